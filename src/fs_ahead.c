/* fs_ahead.c: documents fetched before they are opened.
 *
 * Whoever opens documents one after the other would wait for two round trips each time. So when
 * some were opened in the order of their directory, the next ones are fetched before they are asked
 * for, more of them each time. rsync goes by name, cp -r by inode number. */
#include "fs_internal.h"

/* Documents opened in the order of the listing, this many in a row, though a few may be left out:
 * then so many of the next are fetched ahead. */
#define OPENS_IN_ORDER_MIN 2
#define OPENS_GAP_MAX	   4
#define OPENS_AHEAD_MAX	   16

/* Has the sizes of the documents after an entry learnt, or (`first_bytes`) their beginnings
 * fetched.
 */
void fs_learn_after(struct fs *fs, const struct resource *home, const struct listing *listing,
		    const struct listing_entry *entry, enum listing_order order, size_t count,
		    bool first_bytes)
{
	while (count-- > 0 && (entry = listing_neighbour(listing, entry, order, 1))) {
		char buffer[LISTING_ID_MAX + 1];
		const char *version = listing_content(listing, entry, buffer);
		struct content *content;
		uint64_t size;

		if (!version || !*version || contents_size(fs->contents, version, &size) ||
		    fs_content_get(fs, home, listing, entry, &content))
			continue;
		content_probe(content, first_bytes);
		content_unref(content);
	}
}

/* Whether the document opened last stands shortly before this one. */
static bool follows(const struct fs *fs, const struct listing *listing,
		    const struct listing_entry *entry, enum listing_order order)
{
	unsigned int gap;

	for (gap = 0; gap < OPENS_GAP_MAX; gap++) {
		entry = listing_neighbour(listing, entry, order, -1);
		if (!entry || entry->ino == fs->opens.last_ino)
			return entry != NULL;
	}
	return false;
}

void fs_note_open(struct fs *fs, const struct resource *home, const struct listing *listing,
		  const struct listing_entry *entry)
{
	static const enum listing_order orders[] = {LISTING_BY_NAME, LISTING_BY_INO};
	size_t most = contents_ahead_max(fs->contents);
	size_t i;

	if (most > OPENS_AHEAD_MAX)
		most = OPENS_AHEAD_MAX;
	for (i = 0; i < 2; i++) {
		size_t *run = &fs->opens.run[i];

		*run = follows(fs, listing, entry, orders[i]) ? *run + 1 : 0;
		if (*run >= OPENS_IN_ORDER_MIN)
			fs_learn_after(fs, home, listing, entry, orders[i],
				       *run < most ? *run : most, true);
	}
	fs->opens.last_ino = entry->ino;
}
