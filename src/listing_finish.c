/* listing_finish.c: the objects that a builder has collected become one immutable tree, in these
 * steps, each a function below:
 *   place      parents by id; unknown ones get a directory named by the id; cycles are cut
 *   group      the objects of each directory, side by side
 *   name       each directory's names, distinct and legal, and its entries sorted by them
 *   date       what did not change since the previous listing keeps its time and version */
#include "listing_builder_internal.h"

#include "cleanup.h"
#include "name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	int error = listing_builder_add(builder, &object, LISTING_DIR, ret_item);

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
		item = listing_builder_find(builder, LISTING_KIND_FOLDER,
					    builder->strings.data + parent);
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
	listing_builder_account(builder);
	if (error)
		listing_unref(listing);
	else
		*ret_listing = listing;
	return error;
}
