/* listing_builder.c: collecting objects, in any order, for a listing. What becomes of them is in
 * listing_finish.c.
 *
 * The builder owns all it was given; on failure the caller frees it and no listing exists. */
#include "listing_builder_internal.h"

#include "hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int listing_builder_account(struct listing_builder *builder)
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

uint32_t listing_builder_find(const struct listing_builder *builder, enum listing_kind kind,
			      const char *id)
{
	uint32_t item = NO_ITEM;

	if (builder->table)
		item = *slot_of(builder, ino_of(builder, kind, id));
	return item != NO_ITEM && is_object(builder, item, kind, id) ? item : NO_ITEM;
}

bool listing_builder_has(const struct listing_builder *builder, enum listing_kind kind,
			 const char *id)
{
	return listing_builder_find(builder, kind, id) != NO_ITEM;
}

void listing_builder_apart(struct listing_builder *builder)
{
	builder->apart = true;
}

void listing_builder_complete(struct listing_builder *builder, const char *folder)
{
	uint32_t item = listing_builder_find(builder, LISTING_KIND_FOLDER, folder);

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

int listing_builder_add(struct listing_builder *builder, const struct listing_object *object,
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
	return listing_builder_account(builder);
}

int listing_builder_add_file(struct listing_builder *builder, const struct listing_object *object)
{
	uint32_t item;
	int error = listing_builder_add(builder, object, LISTING_FILE, &item);

	return error == -EEXIST ? 0 : error;
}

int listing_builder_add_dir(struct listing_builder *builder, const struct listing_object *object)
{
	uint32_t item;
	int error = listing_builder_add(builder, object, LISTING_DIR, &item);

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
	return listing_builder_account(builder);
}

int listing_builder_put(struct listing_builder *builder, enum listing_kind kind, const char *id,
			const char *folder)
{
	uint32_t item = listing_builder_find(builder, kind, id);
	uint32_t into =
		folder ? listing_builder_find(builder, LISTING_KIND_FOLDER, folder) : NO_ITEM;
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
