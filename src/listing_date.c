/* listing_date.c: what changed since the listing before, and when: for times, versions and the page
 * cache. Also what stays of a listing that is evicted, so that a change in between is seen. */
#include "hash.h"
#include "listing.h"

#include <stdlib.h>
#include <string.h>

/* What a listing without a predecessor is compared with. */
static const struct listing nothing;

static uint64_t body_fingerprint(const struct listing *listing, const struct listing_entry *entry)
{
	return hash_bytes(HASH_START, listing_body(listing, entry), entry->body_len);
}

/* Of a directory: who is in it, by which name. */
static uint64_t dir_fingerprint(const struct listing *listing, const struct listing_dir *dir)
{
	uint64_t hash = HASH_START;
	uint32_t i;

	for (i = 0; i < dir->count; i++) {
		const struct listing_entry *entry = &listing->entries[dir->first + i];
		const char *name = listing_name(listing, entry);

		hash = hash_bytes(hash, &entry->ino, sizeof(entry->ino));
		hash = hash_bytes(hash, name, strlen(name) + 1);
	}
	return hash;
}

static bool is_inner_dir(const struct listing_entry *entry)
{
	return entry->type == LISTING_DIR && entry->dir != LISTING_ELSEWHERE;
}

/* --- Husks --- */

static int compare_seen(const void *a, const void *b)
{
	uint64_t left = ((const struct listing_seen *)a)->ino;
	uint64_t right = ((const struct listing_seen *)b)->ino;

	return left < right ? -1 : left > right;
}

static const struct listing_seen *find_seen(const struct listing *husk, uint64_t ino)
{
	struct listing_seen wanted = {.ino = ino};

	if (husk->seen_count == 0)
		return NULL;
	return bsearch(&wanted, husk->seen, husk->seen_count, sizeof(wanted), compare_seen);
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
	/* The top directory has the inode number 0, so all are in order. What a directory holds is
	 * not to be compared while that is not known. */
	if (!listing->dirs[0].incomplete)
		husk->seen[husk->seen_count++] = (struct listing_seen){
			.fingerprint = dir_fingerprint(listing, &listing->dirs[0]),
			.mtime_ns = listing->dirs[0].mtime_ns,
		};
	for (i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[listing->by_ino[i]];

		if (is_inner_dir(entry) && listing->dirs[entry->dir].incomplete)
			continue;
		husk->seen[husk->seen_count++] = (struct listing_seen){
			.ino = entry->ino,
			.fingerprint =
				is_inner_dir(entry)
					? dir_fingerprint(listing, &listing->dirs[entry->dir])
					: body_fingerprint(listing, entry),
			.version = entry->version,
			.mtime_ns = entry->mtime_ns,
		};
	}
	husk->bytes = sizeof(*husk) + husk->seen_count * sizeof(*husk->seen);
	listing_account(husk);
	return husk;
}

/* --- Comparing --- */

static bool same_entries(const struct listing *a, const struct listing_dir *in_a,
			 const struct listing *b, const struct listing_dir *in_b)
{
	uint32_t i;

	if (in_a->count != in_b->count)
		return false;
	for (i = 0; i < in_a->count; i++) {
		const struct listing_entry *left = &a->entries[in_a->first + i];
		const struct listing_entry *right = &b->entries[in_b->first + i];

		if (left->ino != right->ino ||
		    strcmp(listing_name(a, left), listing_name(b, right)) != 0)
			return false;
	}
	return true;
}

/* Whether what was known of a directory still holds, now that all of it is. */
static bool still_holds(const struct listing *listing, const struct listing_dir *dir,
			const struct listing *previous, const struct listing_dir *before)
{
	uint32_t index = (uint32_t)(dir - listing->dirs);
	uint32_t i;

	for (i = 0; i < before->count; i++) {
		const struct listing_entry *old = &previous->entries[before->first + i];
		const struct listing_entry *entry =
			listing_find_name(listing, index, listing_name(previous, old));

		if (!entry || entry->ino != old->ino)
			return false;
	}
	return true;
}

static bool is_as_before(const struct listing *listing, const struct listing_dir *dir,
			 const struct listing *previous, const struct listing_dir *before)
{
	return before->incomplete && !dir->incomplete
		       ? still_holds(listing, dir, previous, before)
		       : same_entries(listing, dir, previous, before);
}

static const struct listing_dir *previous_dir(const struct listing *previous, uint64_t ino)
{
	const struct listing_entry *entry;

	if (previous->dir_count == 0)
		return NULL;
	if (ino == 0)
		return &previous->dirs[0];
	entry = listing_find_ino(previous, ino);
	if (!entry || entry->type != LISTING_DIR || entry->dir == LISTING_ELSEWHERE)
		return NULL;
	return &previous->dirs[entry->dir];
}

/* Whether a directory is as it was, be that known from a listing or from a husk. */
static bool dir_is_as_before(const struct listing *listing, const struct listing_dir *dir,
			     const struct listing *previous, int64_t *ret_mtime_ns, bool *ret_known)
{
	const struct listing_dir *before = previous_dir(previous, dir->ino);
	const struct listing_seen *seen = find_seen(previous, dir->ino);

	*ret_known = before || seen;
	if (before && is_as_before(listing, dir, previous, before))
		*ret_mtime_ns = before->mtime_ns;
	else if (seen && seen->fingerprint == dir_fingerprint(listing, dir))
		*ret_mtime_ns = seen->mtime_ns;
	else
		return false;
	return true;
}

static void date_dirs(struct listing *listing, const struct listing *previous, int64_t top_mtime_ns,
		      int64_t now_ns)
{
	uint32_t i;

	for (i = 0; i < listing->dir_count; i++) {
		struct listing_dir *dir = &listing->dirs[i];
		bool known;

		if (dir_is_as_before(listing, dir, previous, &dir->mtime_ns, &known))
			continue;
		dir->mtime_ns =
			i == 0 && !known && top_mtime_ns != LISTING_NO_TIME ? top_mtime_ns : now_ns;
	}
}

static bool same_body(const struct listing *a, const struct listing_entry *in_a,
		      const struct listing *b, const struct listing_entry *in_b)
{
	return in_a->body_len == in_b->body_len &&
	       memcmp(listing_body(a, in_a), listing_body(b, in_b), in_a->body_len) == 0;
}

/* A file, or a directory elsewhere: `previous` may be a husk. */
static void date_entry(const struct listing *listing, struct listing_entry *entry,
		       const struct listing *previous, int64_t now_ns)
{
	const struct listing_entry *before = listing_find_ino(previous, entry->ino);
	const struct listing_seen *seen = find_seen(previous, entry->ino);

	if (before && same_body(previous, before, listing, entry)) {
		entry->mtime_ns = before->mtime_ns;
		entry->version = before->version;
	} else if (seen && seen->fingerprint == body_fingerprint(listing, entry)) {
		entry->mtime_ns = seen->mtime_ns;
		entry->version = seen->version; /* the kernel may go by it still */
	} else if (before || seen || entry->mtime_ns == LISTING_NO_TIME) {
		entry->mtime_ns = now_ns;
	}
}

void listing_date(struct listing *listing, const struct listing *previous, int64_t top_mtime_ns,
		  int64_t now_ns)
{
	uint32_t i;

	if (!previous)
		previous = &nothing;
	date_dirs(listing, previous, top_mtime_ns, now_ns);
	for (i = 0; i < listing->entry_count; i++) {
		struct listing_entry *entry = &listing->entries[i];

		entry->version = listing->generation;
		if (is_inner_dir(entry))
			entry->mtime_ns = listing->dirs[entry->dir].mtime_ns;
		else
			date_entry(listing, entry, previous, now_ns);
	}
}

bool listing_equals(const struct listing *listing, const struct listing *previous)
{
	uint32_t i;

	if (listing->entry_count != previous->entry_count ||
	    listing->dir_count != previous->dir_count)
		return false;
	/* A name that changed moved its directory's time, a body its own version. Directories are
	 * numbered as their answers came, so each is looked up. */
	for (i = 0; i < listing->dir_count; i++) {
		const struct listing_dir *before = previous_dir(previous, listing->dirs[i].ino);

		if (!before || before->mtime_ns != listing->dirs[i].mtime_ns ||
		    before->incomplete != listing->dirs[i].incomplete)
			return false;
	}
	for (i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[i];

		if (!is_inner_dir(entry) && entry->version == listing->generation)
			return false;
	}
	return true;
}
