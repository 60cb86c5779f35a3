/* listing_builder_internal.h: what listing_builder.c (collecting objects) and listing_finish.c
 * (making a tree of them) share. Nothing else includes it. */
#ifndef IBINDERFS_LISTING_BUILDER_INTERNAL_H
#define IBINDERFS_LISTING_BUILDER_INTERNAL_H

#include "listing.h"

#define NO_ITEM	  UINT32_MAX
#define NO_STRING SIZE_MAX

/* An object as collected. Strings are offsets: their buffers move when they grow. */
struct item {
	uint64_t ino;
	int64_t mtime_ns;
	size_t parent; /* in `strings`; NO_STRING: the top */
	size_t raw_name;
	size_t raw_name_len;
	const char *own_name;
	const char *suffix;
	uint32_t body; /* in `text`, as are id and content */
	uint32_t body_len;
	uint32_t id;
	uint32_t
		content; /* LISTING_NO_CONTENT: it has none; of a folder: the item put there last */
	uint8_t id_len;
	uint8_t content_len;
	uint32_t parent_item; /* NO_ITEM: the top */
	uint32_t dir;	      /* a directory's index in the listing */
	enum listing_kind kind;
	enum listing_type type;
	unsigned char walk; /* enum walk */
	bool complete;	    /* a folder, though the listing is not whole */
	bool is_inline;
	bool is_linked;
};

enum walk { WALK_NOT_SEEN, WALK_ON_PATH, WALK_DONE };

struct listing_builder {
	uint64_t salt_hash;
	char *scope;
	const char *content_suffix;
	size_t max_bytes;
	struct buf strings; /* what only finish() needs */
	struct buf text;    /* the listing's */
	struct buf scratch; /* what a string means, for its size */
	struct item *items;
	uint32_t count;
	uint32_t capacity;
	uint32_t top_latest; /* the item put into the top last */
	size_t accounted;    /* bytes, in bytes_building */
	uint64_t factor;     /* odd and secret: no choice of ids can crowd the table */
	uint32_t *table;     /* open addressing by inode number: index in items, or NO_ITEM */
	uint32_t table_size; /* a power of two */
	bool apart;	     /* not everything is added */
};

/* The item of that kind and id, or NO_ITEM. */
uint32_t listing_builder_find(const struct listing_builder *builder, enum listing_kind kind,
			      const char *id);
/* Returns 0, -EEXIST for one that is there already (also with its item), or as
 * listing_builder_add_file. */
int listing_builder_add(struct listing_builder *builder, const struct listing_object *object,
			enum listing_type type, uint32_t *ret_item);
/* Counts what is held now among all that is, so that fetches under way are bounded together.
 * Returns 0 or -EFBIG. */
int listing_builder_account(struct listing_builder *builder);

static inline bool is_inner_dir(const struct item *item)
{
	return item->type == LISTING_DIR && item->dir != LISTING_ELSEWHERE;
}

#endif
