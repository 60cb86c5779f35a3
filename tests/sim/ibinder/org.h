/*
 * org: the simulated organisation: binders, folders, documents and their versions.
 *
 * Owns every object, and of each the raw JSON text that the API sends, so that a test can ask for
 * the truth byte for byte. Objects are reached by id and, for search, by binder and by folder.
 * Strings of metadata are interned: equal strings are the same pointer for as long as the
 * organisation lives. Not locked: the caller holds the simulator's lock.
 *
 * Functions that can fail return 0 or -errno (-ENOMEM) and leave the organisation as it was.
 */
#ifndef SIM_ORG_H
#define SIM_ORG_H

#include "buf.h"
#include "list.h"
#include "rng.h"

#include <stdbool.h>
#include <stdint.h>

#define ORG_RECENT 1024

struct org_options {
	uint64_t seed;
	uint64_t extra_fields; /* metadata elements of a binder's own */
	uint64_t size_min;     /* bytes of a document's content */
	uint64_t size_max;
	bool odd_numbers;  /* documents carry extra members whose spelling must survive */
	bool text_content; /* contents are readable text all through */
};

struct org_meta {
	const char *key;   /* interned */
	const char *value; /* interned */
};

/* In structures looked up by id, the id comes first: the trees compare pointers to it. */
struct org_version {
	char id[RNG_GUID_SIZE];
	uint64_t size;
	struct org_version *older; /* owned */
};

/* How the member folderId looks in a document that is in no folder. */
enum org_folderless {
	ORG_FOLDER_ABSENT,
	ORG_FOLDER_NULL,
	ORG_FOLDER_EMPTY,
	ORG_FOLDERLESS_KINDS,
};

struct org_document {
	char id[RNG_GUID_SIZE];
	struct org_binder *binder;
	struct org_folder *folder; /* NULL: in none, see folderless */
	enum org_folderless folderless;
	char *name_json; /* owned: the name as a quoted JSON literal */
	char *name_fold; /* owned: decoded and lower-cased, for search; may hold NUL bytes */
	size_t name_fold_len;
	struct org_meta *meta; /* owned array; without GLOBAL_BinderId and GLOBAL_TabId */
	size_t n_meta;
	struct org_version *version; /* owned, the latest */
	char *raw;		     /* owned */
	size_t raw_len;
};

struct org_folder {
	char id[RNG_GUID_SIZE];
	struct org_binder *binder;
	struct org_folder *parent; /* NULL: top level */
	bool listed;		   /* false: documents name it, but no listing shows it */
	unsigned int level;	   /* 1 at the top */
	char *name_json;	   /* owned */
	char *raw;		   /* owned */
	struct list folders;	   /* the next level, listed ones only */
	struct list documents;
};

struct org_binder {
	char id[RNG_NANO_SIZE];
	char *name_json;	 /* owned */
	char *created;		 /* owned: the date as sent */
	char *raw;		 /* owned */
	char *elements;		 /* owned: the metadata schema, a JSON array */
	struct list folders;	 /* the top level, listed ones only */
	struct list all_folders; /* owns them, also those not listed */
	struct list documents;	 /* owns them */
};

struct org {
	struct org_options options;
	struct rng rng;
	struct list binders; /* owns them */
	void *folder_tree;   /* tsearch trees of borrowed objects */
	void *document_tree;
	void *version_tree;
	void *strings;			/* tsearch tree, owns its strings */
	const char *recent[ORG_RECENT]; /* strings just interned, by hash; spares most searches */
	const char *key_binder;		/* interned GLOBAL_BinderId and GLOBAL_TabId */
	const char *key_tab;
};

int org_init(struct org *org, const struct org_options *options);
void org_fini(struct org *org);

/* NULL when memory is out. */
const char *org_intern(struct org *org, const char *s);
/* NULL when no object has ever used that string. */
const char *org_find_string(const struct org *org, const char *s);

struct org_binder *org_find_binder(const struct org *org, const char *id);
struct org_folder *org_find_folder(const struct org *org, const char *id);
struct org_document *org_find_document(const struct org *org, const char *id);
struct org_version *org_find_version(const struct org *org, const char *id);
/* The version if it is the document's own, else NULL. */
struct org_version *org_document_version(const struct org_document *document, const char *id);
/* The value of a metadata element given by its interned key, NULL if the document has none. */
const char *org_document_value(const struct org *org, const struct org_document *document,
			       const char *key);

/* Names are quoted JSON literals and are copied. */
int org_add_binder(struct org *org, const char *name_json, const char *created,
		   struct org_binder **ret_binder);
int org_add_folder(struct org *org, struct org_binder *binder, struct org_folder *parent,
		   const char *name_json, bool listed, struct org_folder **ret_folder);
int org_add_document(struct org *org, struct org_binder *binder, struct org_folder *folder,
		     enum org_folderless folderless, const char *name_json,
		     const struct org_meta *meta, size_t n_meta,
		     struct org_document **ret_document);
int org_add_version(struct org *org, struct org_document *document);

int org_rename_binder(struct org_binder *binder, const char *name_json);
int org_rename_folder(struct org_folder *folder, const char *name_json);
int org_rename_document(struct org *org, struct org_document *document, const char *name_json);
/* A NULL value removes the element. */
int org_set_metadata(struct org *org, struct org_document *document, const char *key,
		     const char *value);
int org_move_document(struct org *org, struct org_document *document, struct org_folder *folder);

void org_remove_binder(struct org *org, struct org_binder *binder);
/* With what lies below it. keep_documents: they stay, naming a folder that no listing shows. */
void org_remove_folder(struct org *org, struct org_folder *folder, bool keep_documents);
void org_remove_document(struct org *org, struct org_document *document);

/* org_render.c: the raw JSON text of an object. NULL when memory is out; the caller frees. */
char *org_render_binder(const struct org_binder *binder);
char *org_render_folder(const struct org_folder *folder);
char *org_render_document(const struct org *org, const struct org_document *document,
			  size_t *ret_len);

#endif
