/* vendor.h: what differs between the providers' servers, and between the trees that their truth is
 * shown as. Each vendor's part is in world_, places_ and gate_NAME.c; all else is one for all. */
#ifndef VENDOR_H
#define VENDOR_H

#include "transport.h"

/* Where something stands in the tree. */
struct place {
	enum place_type {
		PLACE_TOP,
		PLACE_PART, /* a directory of the top's, listed by a fetch of its own */
		PLACE_FOLDER,
		PLACE_SEARCH,
		PLACE_QUERY,
		PLACE_OBJECTS, /* in by-id/ */
		PLACE_DOCUMENT,
		PLACE_PART_JSON,
		PLACE_ELEMENTS,
		PLACE_FOLDER_JSON,
		PLACE_LINK,
		PLACE_NOTHING, /* no name of ours */
	} type;
	enum listing_view view;
	int part;
	int folder; /* -1: none */
	int parent; /* of a folder: the one it is in, or -1 */
	int document;
	unsigned name; /* the number in it */
	int key;       /* which listing has the entry; -1: none */
};

#define NAME_MAX_OURS 64
#define ENTRIES_MAX   64

struct vendor {
	const struct provider_ops *ops;

	/* The server's truth. */
	const struct vendor_world {
		/* The provider's own settings. */
		void (*configure)(struct config *config);
		void (*reset)(void);
		void (*change)(void);
		/* A document comes or goes, while all are being listed in pages: that is to be
		 * noticed. Or NULL. */
		void (*move)(void);
		/* A right answer. `target` is path and query below the API. Returns the status. */
		int (*answer)(const char *target, const char *body, struct buf *out);
		/* As the server sends it, and as a file shows it but for the newline at its end. */
		void (*print_document)(int document, const struct state *state,
				       char text[TEXT_MAX]);
		/* What a document's file in files/ holds. NULL: it has none, or not so many
		 * generations. */
		const char *(*bytes)(int document, unsigned version, unsigned generation,
				     size_t *ret_size);
		void (*print_id)(int document, char id[NAME_MAX_OURS]);
		/* The number in an id or a name, or -1. */
		int (*document_of)(const char *id);
		int (*part_of)(const char *id); /* NULL: there are none */
	} * world;

	/* Where things stand. */
	const struct vendor_places {
		/* One listing holds all; else each part has its own. */
		bool all_in_top;
		/* Of a document's names, by view. */
		const char *suffixes[LISTING_VIEW_QUERY + 1];
		const char *folder_json;
		unsigned links_max;  /* of one file */
		void (*reset)(void); /* or NULL */
		/* A name in by-id/'s directory of links. False: it is none. */
		bool (*read_link)(const char *name, struct place *place);
		void (*print_link)(const struct place *place, char name[NAME_MAX_OURS]);
		/* A name for a look-up that stands there, stood there, or might. */
		void (*pick_name)(const struct place *dir, char name[NAME_MAX_OURS]);
		/* Where a document's contents are now, and what that is in. NULL: they are in the
		 * listing. */
		struct place (*of_document)(int document);
		struct place (*above)(const struct place *place);
		/* The states in which it stood there, under that name and with these attributes (or
		 * NULL), at some time since then. */
		uint32_t (*states)(const struct place *place, const struct stat *attr,
				   uint64_t since);
		/* Whether it stood there all the time, */
		bool (*stood)(const struct place *place, uint64_t since);
		/* and can have slipped through no listing. */
		bool (*is_certain)(const struct place *place, uint64_t since);
		/* Whether a document in that part can have, since then. */
		bool (*may_slip)(int part, uint64_t since);
		/* For good; that is believed for a while, however short ttl is. Or NULL. */
		bool (*is_gone)(const struct place *place);
		/* At a quiet point: all that stands in a directory; */
		unsigned (*inside)(const struct place *dir, struct place entries[ENTRIES_MAX]);
		/* the text of one of our own files; */
		void (*print)(const struct place *place, char text[TEXT_MAX]);
		/* of how many places a document's file is one; NULL: of one; */
		nlink_t (*links)(int document);
		/* and what the truth leaves to the listing. `is_listed`: in the top. Or NULL. */
		void (*settle)(bool (*is_listed)(const struct place *place));
	} * places;

	const struct vendor_gate *gate;
};

extern const struct vendor_world world_ibinder, world_inbenta;
extern const struct vendor_places places_ibinder, places_inbenta;
extern const struct vendor_gate gate_ibinder, gate_inbenta;

/* --- place.c --- */

/* What a name in a directory stands for, and the other way round. */
struct place place_of(const struct place *dir, const char *name);
void place_print(const struct place *place, char name[NAME_MAX_OURS]);
/* Which listing has the entries of a directory. */
int place_key_inside(const struct place *dir);
/* Whether it is in a listing, not got by its id alone. */
static inline bool place_is_listed(const struct place *place)
{
	return place->key < KEY_OBJECT;
}
static inline bool place_is_dir(const struct place *place)
{
	return place->type <= PLACE_OBJECTS;
}

/* --- kernel_check.c, for the vendors --- */

/* Whether a document that is in that state is a file of that size there. */
bool kernel_has_size(const struct place *place, const struct state *state, off_t size);

#endif
