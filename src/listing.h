/* listing.h: an immutable snapshot of what one resource of the API holds.
 *
 * A listing is a set of directories (one binder: its own directory and all folders below) with
 * entries, attributes and file bodies together, in one generation. It is built once, never
 * changes, and is counted by references: an open file or directory keeps the one it began with.
 *
 * A builder takes objects in any order and finish() makes a tree of them: names are assigned by
 * name.h; an object whose parent is unknown goes into a directory named by that parent's id; cycles
 * are cut; nothing is lost, and nothing is shown twice but where it was put. */
#ifndef IBINDERFS_LISTING_H
#define IBINDERFS_LISTING_H

#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Inode numbers below this are the daemon's own fixed nodes. */
#define LISTING_INO_MIN 4096
/* An object stands in several places of the tree, under names that go together. The two highest
 * bits of an inode number say which place it is of, the others are the object's. */
#define LISTING_INO_BITS 62
#define LISTING_INO_MASK ((UINT64_C(1) << LISTING_INO_BITS) - 1)
/* No time from the API: the time first seen is shown. */
#define LISTING_NO_TIME INT64_MIN
/* A file that has no contents of its own beside its JSON. */
#define LISTING_NO_CONTENT UINT32_MAX
/* A directory whose children are in another resource's listing. */
#define LISTING_ELSEWHERE UINT32_MAX
/* Longest id of an object or a version, in bytes. */
#define LISTING_ID_MAX 255

enum listing_type { LISTING_FILE, LISTING_DIR };

enum listing_view {
	LISTING_VIEW_OBJECT,  /* JSON files, and their directories */
	LISTING_VIEW_CONTENT, /* what the documents hold, in the same directories */
	LISTING_VIEW_ID,      /* links named by id */
	LISTING_VIEW_QUERY,   /* directories of queries, which no listing has */
};

/* What an object is; part of its inode number, so the values must never change. */
enum listing_kind {
	LISTING_KIND_BINDER = 1,
	LISTING_KIND_FOLDER = 2,
	LISTING_KIND_DOCUMENT = 3,
	LISTING_KIND_BINDER_JSON = 4,
	LISTING_KIND_FOLDER_JSON = 5,
	LISTING_KIND_METADATA_JSON = 6,
	LISTING_KIND_OBJECT = 7, /* a document that was asked for by its id */
	LISTING_KIND_FOUND = 8,	 /* a document in the answer to a query */
};

struct listing_entry {
	uint64_t ino;
	int64_t mtime_ns;  /* since the epoch; also the ctime */
	uint64_t version;  /* of a file: the generation in which its body was last seen to change */
	uint32_t body;	   /* where a file's bytes begin in the listing's text, */
	uint32_t body_len; /* and how many; of a directory elsewhere: the object describing it */
	uint32_t name;	   /* where the name begins, NUL-terminated */
	uint32_t id;	   /* where the API's id begins */
	union {
		uint32_t dir;	  /* a directory's index in dirs, or LISTING_ELSEWHERE */
		uint32_t content; /* where a file's version's id begins, or LISTING_NO_CONTENT */
	};
	uint8_t id_len;
	uint8_t content_len;
	uint8_t type : 1;      /* enum listing_type */
	uint8_t is_inline : 1; /* `content` is where a struct listing_inline is */
	uint8_t is_linked : 1; /* the object stands in several directories, with an entry in each */
	uint8_t kind;	       /* enum listing_kind */
};

/* Contents that came with their object. Not aligned. */
struct listing_inline {
	uint32_t string; /* where the string begins in the listing's text, with its quotes, */
	uint32_t len;	 /* and its bytes; */
	uint32_t size;	 /* and how many bytes it means */
};

struct listing_dir {
	uint64_t ino; /* 0 for the top directory, which its own entry elsewhere describes */
	int64_t mtime_ns;
	uint32_t first; /* its entries stand together, sorted by name in byte order */
	uint32_t count;
	uint32_t parent; /* index in dirs; the top directory is its own parent */
	bool incomplete; /* not all of its entries are known; see listing_builder_apart */
};

/* What a husk remembers of an object, or of a directory. */
struct listing_seen {
	uint64_t ino;
	uint64_t fingerprint; /* of the body then */
	uint64_t version;     /* of a file */
	int64_t mtime_ns;
};

struct listing {
	unsigned int references;
	uint64_t generation;	  /* unique in the life of the daemon */
	struct listing_dir *dirs; /* [0] is the top */
	uint32_t dir_count;
	struct listing_entry *entries;
	uint32_t entry_count;
	uint32_t *by_ino;	   /* indices of entries, sorted by inode number */
	char *text;		   /* bodies, names, and the ids that do not stand in a body */
	struct listing_seen *seen; /* of a husk: sorted by inode number */
	uint32_t seen_count;
	const char *content_suffix; /* of contents' names in place of ".json"; static */
	size_t bytes;		    /* all memory held, for the cap */
};

struct listing *listing_ref(struct listing *listing);
/* Frees it with the last reference. NULL is legal. */
void listing_unref(struct listing *listing);
/* For the builder alone: counts a new listing among those alive. */
void listing_account(const struct listing *listing);
/* Bytes held by all listings that are alive, also replaced ones that an open file keeps. */
size_t listing_bytes_alive(void);
/* Bytes held by builders. */
size_t listing_bytes_building(void);

/* Whether it holds all there is: see listing_builder_apart. */
static inline bool listing_is_whole(const struct listing *listing)
{
	return !listing->dirs[0].incomplete;
}

/* Whether a listing shows just what the one before it did, on which it was built. */
bool listing_equals(const struct listing *listing, const struct listing *previous);

/* What must stay of a listing that is dropped for want of memory: what each object looked like, and
 * the time it had. Serves as the `previous` of the next listing and nothing else. Without it a
 * change in between would go unobserved, and rsync would take new bytes for old ones. 32 bytes an
 * object. NULL without memory for it. */
struct listing *listing_husk(const struct listing *listing);
/* For the builder alone: gives directories and entries their times and versions. */
void listing_date(struct listing *listing, const struct listing *previous, int64_t top_mtime_ns,
		  int64_t now_ns);

/* NULL when there is none. */
const struct listing_entry *listing_find_name(const struct listing *listing, uint32_t dir,
					      const char *name);
const struct listing_entry *listing_find_ino(const struct listing *listing, uint64_t ino);

/* The entry before (-1) or after (1) in the same directory, or NULL: at its end, or if it is far.
 * In the one or the other order programs open what they list. */
enum listing_order { LISTING_BY_NAME, LISTING_BY_INO };
const struct listing_entry *listing_neighbour(const struct listing *listing,
					      const struct listing_entry *entry,
					      enum listing_order order, int step);
/* Appends an entry's path below the listing's top directory, without a slash before or after.
 * Returns 0 or buf_append's error. */
int listing_path(const struct listing *listing, const struct listing_entry *entry, struct buf *out);
/* The index of the directory that an entry stands in. */
uint32_t listing_dir_of(const struct listing *listing, const struct listing_entry *entry);

/* The API's id, copied to `buffer`. */
const char *listing_id(const struct listing *listing, const struct listing_entry *entry,
		       char buffer[LISTING_ID_MAX + 1]);
/* The id of the version whose bytes a document holds now, copied to `buffer`; "" if the API named
 * none; NULL if the entry has no contents. */
const char *listing_content(const struct listing *listing, const struct listing_entry *entry,
			    char buffer[LISTING_ID_MAX + 1]);

/* How many bytes the contents are of an entry that has them inline; and the bytes, appended. They
 * are the meaning of a string in the entry's body, so a copy of them would only take room. Returns
 * 0 or buf_append's error. */
size_t listing_inline_size(const struct listing *listing, const struct listing_entry *entry);
int listing_inline_read(const struct listing *listing, const struct listing_entry *entry,
			struct buf *out);
/* In how many directories the object of an entry stands. */
uint32_t listing_links(const struct listing *listing, const struct listing_entry *entry);

static inline bool listing_has_content(const struct listing_entry *entry)
{
	return entry->type == LISTING_FILE && entry->content != LISTING_NO_CONTENT;
}

static inline const char *listing_name(const struct listing *listing,
				       const struct listing_entry *entry)
{
	return listing->text + entry->name;
}

static inline uint64_t listing_ino(uint64_t object, enum listing_view view)
{
	return object | (uint64_t)view << LISTING_INO_BITS;
}

static inline uint64_t listing_ino_object(uint64_t ino)
{
	return ino & LISTING_INO_MASK;
}

static inline enum listing_view listing_ino_view(uint64_t ino)
{
	return (enum listing_view)(ino >> LISTING_INO_BITS);
}

static inline const char *listing_body(const struct listing *listing,
				       const struct listing_entry *entry)
{
	return listing->text + entry->body;
}

/* One object for the builder; everything is copied. */
struct listing_object {
	enum listing_kind kind;
	const char *id;	    /* not empty, at most LISTING_ID_MAX bytes */
	const char *parent; /* id of the folder it is in; NULL: the top */
	const char *raw_name;
	size_t raw_name_len;
	const char
		*own_name;  /* a name of ours, such as "folder.json", instead of raw_name; static */
	const char *suffix; /* ".json" or ""; static */
	const char *content; /* the id of its contents' version, "" if unknown; NULL: none */
	struct json text;    /* instead: the string in `json` that is its contents; or unset */
	bool elsewhere;	     /* a directory whose children another resource lists */
	int64_t mtime_ns;    /* or LISTING_NO_TIME */
	struct json json; /* a file's body, to be indented; of a directory elsewhere: its object */
};

struct listing_builder;

/* All builders together may hold this many times what one may. */
#define LISTING_BUILDING_TIMES 4

/* `salt` (provider and tenant) makes inode numbers differ between organisations, `scope` (the
 * binder or query) those of folders and of what was found: servers may use one folder id in several
 * binders, and a document answers several queries. `max_bytes` bounds what is
 * collected. Returns 0 or -ENOMEM. */
int listing_builder_new(const char *salt, const char *scope, size_t max_bytes,
			struct listing_builder **ret_builder);
void listing_builder_free(struct listing_builder *builder);
/* Both return 0 (also for an object that is there already: pages may overlap while documents
 * change), -ENOMEM, -EFBIG when a bound would be passed, or -EBADMSG when an id is too long or
 * another object already has the inode number, which is a hash. */
int listing_builder_add_file(struct listing_builder *builder, const struct listing_object *object);
int listing_builder_add_dir(struct listing_builder *builder, const struct listing_object *object);
/* Puts an object that was added into the directory of a folder, which was added too: one that was
 * at the top moves there, and a file that was elsewhere stands in both, as the same inode. NULL:
 * into the top. An object's places are to be put one after the other: then one that it has already
 * is noticed, and returns 0. -ENOENT if either was not added, -ENOMEM or -EFBIG. */
int listing_builder_put(struct listing_builder *builder, enum listing_kind kind, const char *id,
			const char *folder);
/* What contents' names end in, in place of the ".json" of their objects; static. */
void listing_builder_content_suffix(struct listing_builder *builder, const char *suffix);
/* Whether an object of that kind and id was added. */
bool listing_builder_has(const struct listing_builder *builder, enum listing_kind kind,
			 const char *id);
/* Says that not everything is going to be added: the top directory stays incomplete, and so do the
 * folders, but for those that listing_builder_complete names (and that were added). */
void listing_builder_apart(struct listing_builder *builder);
void listing_builder_complete(struct listing_builder *builder, const char *folder);

/* Makes the listing. `previous` (or NULL) is what was shown before: what did not change keeps its
 * time and version, what did gets `now_ns`. `top_mtime_ns` dates the top directory when first seen.
 * Returns 0, -ENOMEM or -EFBIG. The builder can only be freed afterwards. */
int listing_builder_finish(struct listing_builder *builder, const struct listing *previous,
			   int64_t top_mtime_ns, int64_t now_ns, struct listing **ret_listing);

#endif
