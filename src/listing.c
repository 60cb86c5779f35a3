/* listing.c: the snapshot itself: references, look-up by name and by inode number. The builder is
 * listing_builder.c. Look-ups cannot fail otherwise than by finding nothing. */
#include "listing.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Others of a listing that are looked at for a neighbour by inode number. */
#define NEIGHBOURS_MAX 4096

static size_t bytes_alive;

struct listing *listing_ref(struct listing *listing)
{
	listing->references++;
	return listing;
}

void listing_account(const struct listing *listing)
{
	bytes_alive += listing->bytes;
}

void listing_unref(struct listing *listing)
{
	if (!listing || --listing->references > 0)
		return;
	bytes_alive -= listing->bytes;
	free(listing->dirs);
	free(listing->entries);
	free(listing->by_ino);
	free(listing->text);
	free(listing->seen);
	free(listing);
}

size_t listing_bytes_alive(void)
{
	return bytes_alive;
}

const struct listing_entry *listing_find_name(const struct listing *listing, uint32_t dir,
					      const char *name)
{
	const struct listing_dir *in = &listing->dirs[dir];
	uint32_t low = in->first;
	uint32_t high = in->first + in->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct listing_entry *entry = &listing->entries[middle];
		int order = strcmp(name, listing_name(listing, entry));

		if (order == 0)
			return entry;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* The first index in by_ino whose inode number is not below `ino`. */
static uint32_t find_by_ino(const struct listing *listing, uint64_t ino)
{
	uint32_t low = 0;
	uint32_t high = listing->entry_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (listing->entries[listing->by_ino[middle]].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct listing_entry *listing_find_ino(const struct listing *listing, uint64_t ino)
{
	uint32_t at = find_by_ino(listing, ino);
	const struct listing_entry *entry;

	if (at >= listing->entry_count)
		return NULL;
	entry = &listing->entries[listing->by_ino[at]];
	return entry->ino == ino ? entry : NULL;
}

/* Entries stand in the order of their directories; an empty one has no entry to find. */
uint32_t listing_dir_of(const struct listing *listing, const struct listing_entry *entry)
{
	uint32_t index = (uint32_t)(entry - listing->entries);
	uint32_t low = 0;
	uint32_t high = listing->dir_count - 1;

	/* The last that begins at or before it: empty ones begin where the next does. */
	while (low < high) {
		uint32_t middle = high - (high - low) / 2;

		if (listing->dirs[middle].first <= index)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* The entry of the directory that an entry stands in; NULL: the top. */
static const struct listing_entry *parent_of(const struct listing *listing,
					     const struct listing_entry *entry)
{
	uint32_t dir = listing_dir_of(listing, entry);

	return dir ? listing_find_ino(listing, listing->dirs[dir].ino) : NULL;
}

/* Written from its end: a server may nest folders deeper than a stack would bear. */
int listing_path(const struct listing *listing, const struct listing_entry *entry, struct buf *out)
{
	const struct listing_entry *up;
	size_t len = 0;
	char *end;
	int error;

	for (up = entry; up; up = parent_of(listing, up)) {
		len += strlen(listing_name(listing, up)) + 1;
		/* Each is looked up: what does not fit anyway must not cost more than what does. */
		if (len > INT_MAX || len - 1 > out->max - out->len)
			return -EFBIG;
	}
	error = buf_printf(out, "%*s", (int)len - 1, "");
	if (error)
		return error;
	end = out->data + out->len;
	for (up = entry; up; up = parent_of(listing, up)) {
		size_t name_len = strlen(listing_name(listing, up));

		if (up != entry)
			*--end = '/';
		end -= name_len;
		memcpy(end, listing_name(listing, up), name_len);
	}
	return 0;
}

static const char *copy_id(const struct listing *listing, uint32_t at, uint8_t len, char *buffer)
{
	memcpy(buffer, listing->text + at, len);
	buffer[len] = '\0';
	return buffer;
}

const char *listing_id(const struct listing *listing, const struct listing_entry *entry,
		       char buffer[LISTING_ID_MAX + 1])
{
	return copy_id(listing, entry->id, entry->id_len, buffer);
}

const char *listing_content(const struct listing *listing, const struct listing_entry *entry,
			    char buffer[LISTING_ID_MAX + 1])
{
	if (!listing_has_content(entry) || entry->is_inline)
		return NULL;
	return copy_id(listing, entry->content, entry->content_len, buffer);
}

static struct listing_inline inline_of(const struct listing *listing,
				       const struct listing_entry *entry)
{
	struct listing_inline contents;

	memcpy(&contents, listing->text + entry->content, sizeof(contents));
	return contents;
}

size_t listing_inline_size(const struct listing *listing, const struct listing_entry *entry)
{
	return inline_of(listing, entry).size;
}

int listing_inline_read(const struct listing *listing, const struct listing_entry *entry,
			struct buf *out)
{
	struct listing_inline contents = inline_of(listing, entry);
	struct json string = {listing->text + contents.string, contents.len};

	return json_string_decode(string, out);
}

uint32_t listing_links(const struct listing *listing, const struct listing_entry *entry)
{
	if (!entry->is_linked)
		return 1;
	return find_by_ino(listing, entry->ino + 1) - find_by_ino(listing, entry->ino);
}

static bool is_in(const struct listing_dir *dir, uint32_t index)
{
	return index >= dir->first && index < dir->first + dir->count;
}

const struct listing_entry *listing_neighbour(const struct listing *listing,
					      const struct listing_entry *entry,
					      enum listing_order order, int step)
{
	const struct listing_dir *dir = &listing->dirs[listing_dir_of(listing, entry)];
	int64_t at = entry - listing->entries + step;
	unsigned int looked;

	if (order == LISTING_BY_NAME)
		return at >= 0 && is_in(dir, (uint32_t)at) ? &listing->entries[at] : NULL;
	at = find_by_ino(listing, entry->ino);
	for (looked = 0; looked < NEIGHBOURS_MAX; looked++) {
		at += step;
		if (at < 0 || at >= listing->entry_count)
			return NULL;
		if (is_in(dir, listing->by_ino[at]))
			return &listing->entries[listing->by_ino[at]];
	}
	return NULL;
}
