/* fs_ahead.c: documents and binders fetched before they are opened.
 *
 * Whoever opens documents one after the other would wait for two round trips each time. So when
 * some were opened in the order of their directory, the next ones are fetched before they are asked
 * for, more of them each time. rsync goes by name, cp -r by inode number.
 *
 * Whoever walks the tree would wait for each binder. A program that goes from the top directory, or
 * from one binder, to a binder sooner than a person could is taken for a walker: the next binders
 * are fetched ahead of it, more of them each time. */
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

/* A person who reads a list and types or clicks takes longer. */
#define WALK_GAP_MS 200
/* Binders fetched ahead: so many at first, at last so many. */
#define WALK_AHEAD_FIRST 4
#define WALK_AHEAD_MAX	 32

/* That process, or the one in whose place it may come. */
static struct fs_walker *walker_of(struct fs *fs, pid_t pid)
{
	struct fs_walker *oldest = fs->walkers;
	size_t i;

	for (i = 0; i < FS_WALKERS; i++) {
		if (fs->walkers[i].pid == pid)
			return &fs->walkers[i];
		if (fs->walkers[i].opened_ms < oldest->opened_ms)
			oldest = &fs->walkers[i];
	}
	return oldest;
}

/* Fetches up to `count` binders beside a node's, on the side away from `before`, where the reader
 * was: most go by name, some begin at the end. */
static void fetch_beside(struct fs *fs, const struct node *node, fuse_ino_t before, size_t count)
{
	const struct listing *top = tree_peek(node->home);
	const struct listing_entry *entry = NULL;
	const struct listing_entry *from = NULL;
	bool backwards;

	if (top) {
		entry = listing_find_ino(top, listing_ino_object(node->ino));
		from = listing_find_ino(top, listing_ino_object(before));
	}
	if (!entry)
		return;
	backwards = from ? from > entry : !listing_neighbour(top, entry, LISTING_BY_NAME, 1);
	while (count-- > 0) {
		entry = listing_neighbour(top, entry, LISTING_BY_NAME, backwards ? -1 : 1);
		if (!entry || tree_fetch_ahead(fs->tree, top, entry))
			return;
	}
}

void fs_note_opendir(struct fs *fs, pid_t pid, fuse_ino_t ino)
{
	struct fs_walker *walker = walker_of(fs, pid);
	const struct node *node = fs_is_top(ino) ? NULL : tree_node(fs->tree, ino);
	fuse_ino_t before = walker->latest;

	/* Only binders hold so much that it is worth being ahead. Processes that the mount's pid
	 * namespace does not know are all 0. */
	if (pid == 0 || walker->pid != pid || !node || node->home != tree_top(fs->tree) ||
	    node->type != NODE_DIR || node->dir->inside == node->home || before == ino)
		return;
	walker->latest = ino;
	if (loop_now_ms() - walker->opened_ms > WALK_GAP_MS) {
		walker->run = 0;
		return;
	}
	fetch_beside(fs, node, before, (size_t)WALK_AHEAD_FIRST << walker->run);
	if (WALK_AHEAD_FIRST << walker->run < WALK_AHEAD_MAX)
		walker->run++;
}

void fs_note_opened(struct fs *fs, pid_t pid, fuse_ino_t ino)
{
	struct fs_walker *walker = walker_of(fs, pid);

	if (pid == 0)
		return;
	if (walker->pid != pid || fs_is_top(ino))
		*walker = (struct fs_walker){.pid = pid, .latest = ino};
	walker->opened_ms = loop_now_ms();
}
