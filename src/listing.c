/* listing.c: the snapshot itself: references, look-up by name and by inode number. The builder is
 * listing_builder.c. Look-ups cannot fail otherwise than by finding nothing. */
#include "listing.h"

#include <stdlib.h>
#include <string.h>

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
	free(listing->names);
	free(listing->bodies);
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

const struct listing_entry *listing_find_ino(const struct listing *listing, uint64_t ino)
{
	uint32_t low = 0;
	uint32_t high = listing->entry_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct listing_entry *entry = &listing->entries[listing->by_ino[middle]];

		if (entry->ino == ino)
			return entry;
		if (ino < entry->ino)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* FNV-1a (64 bit). */
uint64_t listing_fingerprint(const char *bytes, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
	return hash;
}

bool listing_equals(const struct listing *listing, const struct listing *previous)
{
	uint32_t i;

	if (listing->entry_count != previous->entry_count ||
	    listing->dir_count != previous->dir_count)
		return false;
	/* A name that changed moved its directory's time, a body its own version. */
	for (i = 0; i < listing->dir_count; i++) {
		if (listing->dirs[i].mtime_ns != previous->dirs[i].mtime_ns ||
		    listing->dirs[i].ino != previous->dirs[i].ino)
			return false;
	}
	for (i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[i];

		if ((entry->type == LISTING_FILE || entry->dir == LISTING_ELSEWHERE) &&
		    entry->version == listing->generation)
			return false;
	}
	return true;
}

struct listing *listing_husk(const struct listing *listing)
{
	struct listing *husk = calloc(1, sizeof(*husk));
	uint32_t i;

	if (!husk)
		return NULL;
	husk->references = 1;
	husk->seen = malloc((listing->entry_count + 1) * sizeof(*husk->seen));
	if (!husk->seen) {
		free(husk);
		return NULL;
	}
	for (i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[listing->by_ino[i]];

		if (entry->type == LISTING_DIR && entry->dir != LISTING_ELSEWHERE)
			continue;
		husk->seen[husk->seen_count++] = (struct listing_seen){
			.ino = entry->ino,
			.fingerprint =
				listing_fingerprint(listing_body(listing, entry), entry->body_len),
			.mtime_ns = entry->mtime_ns,
		};
	}
	husk->bytes = sizeof(*husk) + (listing->entry_count + 1) * sizeof(*husk->seen);
	listing_account(husk);
	return husk;
}

static int compare_seen(const void *ino, const void *seen)
{
	uint64_t left = *(const uint64_t *)ino;
	uint64_t right = ((const struct listing_seen *)seen)->ino;

	return left < right ? -1 : left > right;
}

const struct listing_seen *listing_find_seen(const struct listing *husk, uint64_t ino)
{
	if (husk->seen_count == 0)
		return NULL;
	return bsearch(&ino, husk->seen, husk->seen_count, sizeof(*husk->seen), compare_seen);
}
