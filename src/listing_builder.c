/* listing_builder.c: objects in any order become one immutable tree.
 *
 * finish() goes through these steps, each a function below:
 *   place      parents by id; unknown ones get a directory named by the id; cycles are cut
 *   group      the objects of each directory, side by side
 *   name       each directory's names, distinct and legal, and its entries sorted by them
 *   date       what did not change since the previous listing keeps its time and version
 * The builder owns all it was given; on failure the caller frees it and no listing exists. */
#include "cleanup.h"
#include "hash.h"
#include "listing.h"
#include "name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static size_t bytes_building;

size_t listing_bytes_building(void)
{
	return bytes_building;
}

/* The hash of all that identifies an object. Must never change: inode numbers are the same after a
 * remount. */
static uint64_t ino_of(const struct listing_builder *builder, enum listing_kind kind,
		       const char *id)
{
	/* 0xff is no byte of UTF-8: it ends a text. */
	const unsigned char end_kind[] = {0xff, (unsigned char)kind};
	uint64_t hash = hash_bytes(builder->salt_hash, end_kind, 2);

	if (kind == LISTING_KIND_FOLDER || kind == LISTING_KIND_FOLDER_JSON ||
	    kind == LISTING_KIND_FOUND)
		hash = hash_bytes(hash_string(hash, builder->scope), end_kind, 1);
	hash = hash_mix(hash_string(hash, id)) & LISTING_INO_MASK;
	return hash < LISTING_INO_MIN ? hash + LISTING_INO_MIN : hash;
}

/* Counts what is held now among all that is, so that fetches under way are bounded together. */
static int account(struct listing_builder *builder)
{
	/* The room that is left in the buffers was never touched: it takes no memory yet. */
	size_t held = builder->strings.len + builder->text.len + builder->scratch.cap +
		      builder->capacity * (sizeof(*builder->items) + 2 * sizeof(*builder->table));

	bytes_building += held - builder->accounted;
	builder->accounted = held;
	return bytes_building / LISTING_BUILDING_TIMES > builder->max_bytes ? -EFBIG : 0;
}

int listing_builder_new(const char *salt, const char *scope, size_t max_bytes,
			struct listing_builder **ret_builder)
{
	struct listing_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return -ENOMEM;
	builder->salt_hash = hash_string(HASH_START, salt);
	builder->scope = strdup(scope);
	if (!builder->scope) {
		listing_builder_free(builder);
		return -ENOMEM;
	}
	builder->content_suffix = "";
	builder->top_latest = NO_ITEM;
	arc4random_buf(&builder->factor, sizeof(builder->factor));
	builder->factor |= 1;
	builder->max_bytes = max_bytes;
	builder->strings = BUF_INIT_OPEN(max_bytes);
	builder->scratch = BUF_INIT(max_bytes);
	/* Offsets in it are 32 bits wide. */
	builder->text = BUF_INIT_OPEN(max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX - 1);
	*ret_builder = builder;
	return 0;
}

void listing_builder_free(struct listing_builder *builder)
{
	if (!builder)
		return;
	buf_reset(&builder->strings);
	buf_reset(&builder->text);
	buf_reset(&builder->scratch);
	free(builder->items);
	free(builder->table);
	free(builder->scope);
	bytes_building -= builder->accounted;
	free(builder);
}

/* The slot that holds this inode number, or the free one where it belongs. */
static uint32_t *slot_of(const struct listing_builder *builder, uint64_t ino)
{
	uint32_t mask = builder->table_size - 1;
	uint32_t at = (uint32_t)(ino * builder->factor >> 32) & mask;

	while (builder->table[at] != NO_ITEM && builder->items[builder->table[at]].ino != ino)
		at = (at + 1) & mask;
	return &builder->table[at];
}

static bool is_object(const struct listing_builder *builder, uint32_t item, enum listing_kind kind,
		      const char *id)
{
	const struct item *candidate = &builder->items[item];

	return candidate->kind == kind && candidate->id_len == strlen(id) &&
	       memcmp(builder->text.data + candidate->id, id, candidate->id_len) == 0;
}

static uint32_t find(const struct listing_builder *builder, enum listing_kind kind, const char *id)
{
	uint32_t item = NO_ITEM;

	if (builder->table)
		item = *slot_of(builder, ino_of(builder, kind, id));
	return item != NO_ITEM && is_object(builder, item, kind, id) ? item : NO_ITEM;
}

bool listing_builder_has(const struct listing_builder *builder, enum listing_kind kind,
			 const char *id)
{
	return find(builder, kind, id) != NO_ITEM;
}

void listing_builder_apart(struct listing_builder *builder)
{
	builder->apart = true;
}

void listing_builder_complete(struct listing_builder *builder, const char *folder)
{
	uint32_t item = find(builder, LISTING_KIND_FOLDER, folder);

	if (item != NO_ITEM)
		builder->items[item].complete = true;
}

/* Doubles the items and the table, which stays at most half full. */
static int grow(struct listing_builder *builder)
{
	uint32_t capacity = builder->capacity ? builder->capacity * 2 : 64;
	uint32_t i;
	uint32_t *table;
	struct item *items;

	if ((size_t)capacity * sizeof(*items) / 2 > builder->max_bytes || capacity > UINT32_MAX / 8)
		return -EFBIG;
	items = realloc(builder->items, capacity * sizeof(*items));
	if (!items)
		return -ENOMEM;
	builder->items = items;
	table = malloc(2 * (size_t)capacity * sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(builder->table);
	builder->table = table;
	builder->table_size = 2 * capacity;
	builder->capacity = capacity;
	for (i = 0; i < builder->table_size; i++)
		table[i] = NO_ITEM;
	/* Of several places of an object the first is the object's. */
	for (i = builder->count; i > 0; i--)
		*slot_of(builder, items[i - 1].ino) = i - 1;
	return 0;
}

static size_t keep(struct listing_builder *builder, const char *bytes, size_t len)
{
	size_t at = builder->strings.len;

	/* An error stays in the buffer and is looked at once. */
	buf_append(&builder->strings, bytes, len);
	buf_append(&builder->strings, "", 1);
	return at;
}

/* Keeps an id of an item's: most stand in its body already, wherever that is. */
static int keep_id(struct listing_builder *builder, const struct item *item, const char *id,
		   uint32_t *ret_at, uint8_t *ret_len)
{
	size_t len = strlen(id);
	const char *body = buf_str(&builder->text) + item->body;
	const char *there = memmem(body, item->body_len, id, len);

	if (len > LISTING_ID_MAX)
		return -EBADMSG;
	*ret_len = (uint8_t)len;
	*ret_at = there ? item->body + (uint32_t)(there - body) : (uint32_t)builder->text.len;
	return there ? 0 : buf_append(&builder->text, id, len);
}

/* A string of the object's is in its body as it came. */
static int keep_inline(struct listing_builder *builder, struct json string, struct item *item)
{
	const char *body = buf_str(&builder->text) + item->body;
	const char *there = memmem(body, item->body_len, string.text, string.len);
	struct listing_inline contents;
	int error;

	if (!there)
		return -EINVAL;
	builder->scratch.len = 0;
	error = json_string_decode(string, &builder->scratch);
	if (error)
		return error;
	contents = (struct listing_inline){
		.string = item->body + (uint32_t)(there - body),
		.len = (uint32_t)string.len,
		.size = (uint32_t)builder->scratch.len,
	};
	item->content = (uint32_t)builder->text.len;
	item->is_inline = true;
	return buf_append(&builder->text, &contents, sizeof(contents));
}

static int keep_text(struct listing_builder *builder, const struct listing_object *object,
		     struct item *item)
{
	int error = 0;

	item->body = (uint32_t)builder->text.len;
	if (object->json.text)
		error = json_indent(object->json, &builder->text);
	if (error)
		return error;
	item->body_len = (uint32_t)builder->text.len - item->body;
	error = keep_id(builder, item, object->id, &item->id, &item->id_len);
	if (!error && object->content)
		error = keep_id(builder, item, object->content, &item->content, &item->content_len);
	if (!error && object->text.text)
		error = keep_inline(builder, object->text, item);
	return error;
}

static int add(struct listing_builder *builder, const struct listing_object *object,
	       enum listing_type type, uint32_t *ret_item)
{
	uint64_t ino = ino_of(builder, object->kind, object->id);
	struct item *item;
	int error;

	if (builder->count == builder->capacity) {
		error = grow(builder);
		if (error)
			return error;
	}
	if (*slot_of(builder, ino) != NO_ITEM) {
		*ret_item = *slot_of(builder, ino);
		return is_object(builder, *ret_item, object->kind, object->id) ? -EEXIST : -EBADMSG;
	}
	item = &builder->items[builder->count];
	*item = (struct item){
		.ino = ino,
		.mtime_ns = object->mtime_ns,
		.parent = NO_STRING,
		.content = LISTING_NO_CONTENT,
		.raw_name_len = object->raw_name_len,
		.own_name = object->own_name,
		.suffix = object->suffix ? object->suffix : "",
		.parent_item = NO_ITEM,
		.dir = LISTING_ELSEWHERE,
		.kind = object->kind,
		.type = type,
	};
	if (object->parent)
		item->parent = keep(builder, object->parent, strlen(object->parent));
	if (object->raw_name)
		item->raw_name = keep(builder, object->raw_name, object->raw_name_len);
	error = keep_text(builder, object, item);
	if (!error)
		error = builder->strings.error;
	if (error)
		return error;
	*slot_of(builder, ino) = builder->count;
	*ret_item = builder->count++;
	return account(builder);
}

int listing_builder_add_file(struct listing_builder *builder, const struct listing_object *object)
{
	uint32_t item;
	int error = add(builder, object, LISTING_FILE, &item);

	return error == -EEXIST ? 0 : error;
}

int listing_builder_add_dir(struct listing_builder *builder, const struct listing_object *object)
{
	uint32_t item;
	int error = add(builder, object, LISTING_DIR, &item);

	if (!error && !object->elsewhere)
		builder->items[item].dir = 0; /* its index comes with finish() */
	return error == -EEXIST ? 0 : error;
}

void listing_builder_content_suffix(struct listing_builder *builder, const char *suffix)
{
	builder->content_suffix = suffix;
}

/* Another place of a file: an item like it, which the table does not have. */
static int add_place(struct listing_builder *builder, uint32_t item, uint32_t folder)
{
	int error;

	if (builder->count == builder->capacity) {
		error = grow(builder);
		if (error)
			return error;
	}
	builder->items[item].is_linked = true;
	builder->items[builder->count] = builder->items[item];
	builder->items[builder->count++].parent_item = folder;
	return account(builder);
}

int listing_builder_put(struct listing_builder *builder, enum listing_kind kind, const char *id,
			const char *folder)
{
	uint32_t item = find(builder, kind, id);
	uint32_t into = folder ? find(builder, LISTING_KIND_FOLDER, folder) : NO_ITEM;
	uint32_t *latest = &builder->top_latest;
	bool is_there;

	if (item == NO_ITEM || (folder && into == NO_ITEM))
		return -ENOENT;
	if (folder)
		latest = &builder->items[into].content;
	is_there = *latest == item || builder->items[item].parent_item == into;
	*latest = item;
	if (is_there)
		return 0;
	if (builder->items[item].parent_item == NO_ITEM) {
		builder->items[item].parent_item = into;
		return 0;
	}
	return builder->items[item].type == LISTING_DIR ? 0 : add_place(builder, item, into);
}

static bool is_inner_dir(const struct item *item)
{
	return item->type == LISTING_DIR && item->dir != LISTING_ELSEWHERE;
}

/* The directory for objects whose folder nobody listed: it is named by the folder's id. */
static int add_orphanage(struct listing_builder *builder, const char *id, uint32_t *ret_item)
{
	struct listing_object object = {
		.kind = LISTING_KIND_FOLDER,
		.id = id,
		.raw_name = id,
		.raw_name_len = strlen(id),
		.mtime_ns = LISTING_NO_TIME,
	};
	int error = add(builder, &object, LISTING_DIR, ret_item);

	if (!error)
		builder->items[*ret_item].dir = 0;
	return error == -EEXIST ? 0 : error;
}

/* Moves one folder of a cycle to the top: the one with the lowest inode number, so that the order
 * in which they came plays no part. */
static void cut_cycle(struct listing_builder *builder, uint32_t on_it)
{
	struct item *items = builder->items;
	uint32_t lowest = on_it;
	uint32_t at;

	for (at = items[on_it].parent_item; at != on_it; at = items[at].parent_item) {
		if (items[at].ino < items[lowest].ino)
			lowest = at;
	}
	items[lowest].parent_item = NO_ITEM;
}

static void cut_cycles(struct listing_builder *builder)
{
	struct item *items = builder->items;
	uint32_t start;

	for (start = 0; start < builder->count; start++) {
		uint32_t at = start;
		uint32_t met;

		for (; at != NO_ITEM && items[at].walk == WALK_NOT_SEEN; at = items[at].parent_item)
			items[at].walk = WALK_ON_PATH;
		met = at != NO_ITEM && items[at].walk == WALK_ON_PATH ? at : NO_ITEM;
		for (at = start; at != NO_ITEM && items[at].walk == WALK_ON_PATH;
		     at = items[at].parent_item)
			items[at].walk = WALK_DONE;
		if (met != NO_ITEM)
			cut_cycle(builder, met);
	}
}

static int place(struct listing_builder *builder)
{
	uint32_t i;

	for (i = 0; i < builder->count; i++) {
		size_t parent = builder->items[i].parent;
		uint32_t item;

		if (parent == NO_STRING)
			continue;
		item = find(builder, LISTING_KIND_FOLDER, builder->strings.data + parent);
		if (item == NO_ITEM) {
			char *id CLEANUP_FREE = strdup(builder->strings.data + parent);
			int error = id ? add_orphanage(builder, id, &item) : -ENOMEM;

			if (error)
				return error;
		}
		builder->items[i].parent_item = item;
	}
	cut_cycles(builder);
	return 0;
}

/* Numbers the directories and sorts the items' indices by directory. `order` has room for all. */
static int group(struct listing_builder *builder, struct listing *listing, uint32_t *order)
{
	uint32_t dirs = 1;
	uint32_t next = 0;
	uint32_t i;

	for (i = 0; i < builder->count; i++) {
		if (is_inner_dir(&builder->items[i]))
			builder->items[i].dir = dirs++;
	}
	listing->dirs = calloc(dirs, sizeof(*listing->dirs));
	if (!listing->dirs)
		return -ENOMEM;
	listing->dir_count = dirs;
	listing->dirs[0].incomplete = builder->apart;
	for (i = 0; i < builder->count; i++) {
		struct item *item = &builder->items[i];
		uint32_t parent =
			item->parent_item == NO_ITEM ? 0 : builder->items[item->parent_item].dir;

		listing->dirs[parent].count++;
		if (is_inner_dir(item)) {
			listing->dirs[item->dir].ino = item->ino;
			listing->dirs[item->dir].parent = parent;
			listing->dirs[item->dir].incomplete = builder->apart && !item->complete;
		}
	}
	for (i = 0; i < dirs; i++) {
		listing->dirs[i].first = next;
		next += listing->dirs[i].count;
		listing->dirs[i].count = 0;
	}
	for (i = 0; i < builder->count; i++) {
		uint32_t item_parent = builder->items[i].parent_item;
		struct listing_dir *dir =
			&listing->dirs[item_parent == NO_ITEM ? 0
							      : builder->items[item_parent].dir];

		order[dir->first + dir->count++] = i;
	}
	return 0;
}

/* A name on its way into the listing. */
struct named {
	char *name; /* owned, with its suffix */
	uint32_t item;
};

static int compare_named(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int keep_entry(struct listing_builder *builder, struct listing *listing, uint32_t at,
		      const struct named *named)
{
	const struct item *item = &builder->items[named->item];
	struct listing_entry *entry = &listing->entries[at];

	*entry = (struct listing_entry){
		.ino = item->ino,
		.mtime_ns = item->mtime_ns,
		.body = item->body,
		.body_len = item->body_len,
		.name = (uint32_t)builder->text.len,
		.id = item->id,
		.id_len = item->id_len,
		.content_len = item->content_len,
		.type = item->type,
		.is_inline = item->is_inline,
		.is_linked = item->is_linked,
		.kind = (uint8_t)item->kind,
	};
	if (item->type == LISTING_DIR)
		entry->dir = item->dir;
	else
		entry->content = item->content;
	return buf_append(&builder->text, named->name, strlen(named->name) + 1);
}

/* Names for the objects of one directory, in `named`; own names are given, the others assigned. */
static int assign(struct listing_builder *builder, const uint32_t *order, uint32_t count,
		  struct named *named)
{
	struct name_entry *entries CLEANUP_FREE = calloc(count, sizeof(*entries));
	const char **reserved CLEANUP_FREE = calloc(count, sizeof(*reserved));
	size_t reserved_count = 0;
	uint32_t entry_count = 0;
	uint32_t i;
	int error = 0;

	if (!entries || !reserved)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		const struct item *item = &builder->items[order[i]];

		if (item->own_name) {
			reserved[reserved_count++] = item->own_name;
			continue;
		}
		entries[entry_count++] = (struct name_entry){
			.raw = builder->strings.data + item->raw_name,
			.raw_len = item->raw_name_len,
			.id = builder->text.data + item->id,
			.id_len = item->id_len,
			.hash = item->ino,
			.suffix = item->suffix,
			.content_suffix = *item->suffix ? builder->content_suffix : NULL,
		};
	}
	error = names_assign(entries, entry_count, reserved, reserved_count);
	if (error)
		return error;
	entry_count = 0;
	for (i = 0; i < count; i++) {
		const struct item *item = &builder->items[order[i]];
		struct name_entry *entry = item->own_name ? NULL : &entries[entry_count++];

		named[i].item = order[i];
		if (asprintf(&named[i].name, "%s%s", entry ? entry->name : item->own_name,
			     entry ? item->suffix : "") < 0) {
			named[i].name = NULL;
			error = -ENOMEM;
		}
		if (entry)
			free(entry->name);
	}
	return error;
}

static int name_dir(struct listing_builder *builder, struct listing *listing,
		    const struct listing_dir *dir, const uint32_t *order)
{
	struct named *named;
	uint32_t i;
	int error;

	if (dir->count == 0)
		return 0;
	named = calloc(dir->count, sizeof(*named));
	if (!named)
		return -ENOMEM;
	error = assign(builder, order + dir->first, dir->count, named);
	if (!error)
		qsort(named, dir->count, sizeof(*named), compare_named);
	for (i = 0; i < dir->count; i++) {
		if (!error)
			error = keep_entry(builder, listing, dir->first + i, &named[i]);
		free(named[i].name);
	}
	free(named);
	return error;
}

struct numbered {
	uint64_t ino;
	uint32_t index;
};

static int compare_numbered(const void *a, const void *b)
{
	uint64_t left = ((const struct numbered *)a)->ino;
	uint64_t right = ((const struct numbered *)b)->ino;

	return left < right ? -1 : left > right;
}

static int index_by_ino(struct listing *listing)
{
	struct numbered *numbered CLEANUP_FREE =
		malloc((listing->entry_count + 1) * sizeof(*numbered));
	uint32_t i;

	listing->by_ino = malloc((listing->entry_count + 1) * sizeof(*listing->by_ino));
	if (!numbered || !listing->by_ino)
		return -ENOMEM;
	for (i = 0; i < listing->entry_count; i++)
		numbered[i] = (struct numbered){listing->entries[i].ino, i};
	qsort(numbered, listing->entry_count, sizeof(*numbered), compare_numbered);
	for (i = 0; i < listing->entry_count; i++)
		listing->by_ino[i] = numbered[i].index;
	return 0;
}

/* The bytes of a buffer without the room it had left to grow. */
static char *steal_exact(struct buf *buf)
{
	size_t len = buf->len;
	char *bytes = buf_steal(buf);
	char *smaller = bytes ? realloc(bytes, len + 1) : NULL;

	return smaller ? smaller : bytes;
}

int listing_builder_finish(struct listing_builder *builder, const struct listing *previous,
			   int64_t top_mtime_ns, int64_t now_ns, struct listing **ret_listing)
{
	static uint64_t generation;
	struct listing *listing = calloc(1, sizeof(*listing));
	uint32_t *order CLEANUP_FREE = NULL;
	uint32_t i;
	int error = -ENOMEM;

	if (!listing)
		return -ENOMEM;
	listing->references = 1;
	listing->generation = ++generation;
	listing->content_suffix = builder->content_suffix;
	error = place(builder);
	if (error)
		goto out;
	error = -ENOMEM;
	order = malloc((builder->count + 1) * sizeof(*order));
	listing->entries = calloc(builder->count + 1, sizeof(*listing->entries));
	if (!order || !listing->entries)
		goto out;
	listing->entry_count = builder->count;
	error = group(builder, listing, order);
	for (i = 0; !error && i < listing->dir_count; i++)
		error = name_dir(builder, listing, &listing->dirs[i], order);
	if (!error)
		error = index_by_ino(listing);
	if (error)
		goto out;
	listing->bytes = sizeof(*listing) + listing->dir_count * sizeof(*listing->dirs) +
			 listing->entry_count * (sizeof(*listing->entries) + sizeof(uint32_t)) +
			 builder->text.len;
	listing->text = steal_exact(&builder->text);
	listing_date(listing, previous, top_mtime_ns, now_ns);
out:
	listing_account(listing);
	account(builder);
	if (error)
		listing_unref(listing);
	else
		*ret_listing = listing;
	return error;
}
