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
