/* tree_resource.c: resources: how fresh their listings are, who waits for them, which are evicted.
 *
 * Owns the listings (shared with open handles by reference) and the fetches under way. A resource
 * is freed when no node refers to it and it holds neither listing, husk nor fetch. */
#include "tree_internal.h"

#include "hash.h"
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A resource whose fetch failed is not asked for again sooner, however many want it. */
#define ERROR_TTL_MS 1000
/* For so long, or a tenth of ttl, the kernel may keep a refill that is old already. */
#define REFILL_MS_MAX 1000
/* What was fetched ahead and not looked at may take this part of the memory. */
#define AHEAD_SHARE 4
/* Who does not come for it in that time has turned elsewhere. */
#define AHEAD_KEPT_MS 30000
/* Of the allocator for each node, and for each resource, with its two strings. */
#define NODE_OVERHEAD	  16
#define RESOURCE_OVERHEAD 160
/* What fails ahead may do so again: for so long walkers do without. */
#define AHEAD_PAUSE_MS 5000
/* So many folders are fetched by themselves; who wants more is better served with the binder. And
 * while there are no more entries than that, since each is read again for the next folder. */
#define FOLDERS_APART_MAX 3
#define ENTRIES_APART_MAX 500

static struct resource **part_bucket(struct tree *tree, uint64_t ino)
{
	return &tree->parts[ino % TREE_PART_BUCKETS];
}

static void set_ahead(struct resource *resource, size_t bytes)
{
	resource->tree->ahead_bytes += bytes - resource->ahead_bytes;
	resource->ahead_bytes = bytes;
}

static void drop_listing(struct resource *resource)
{
	if (!resource->listing)
		return;
	set_ahead(resource, 0);
	TAILQ_REMOVE(&resource->tree->lru, resource, lru);
	resource->tree->counters.listings--;
	listing_unref(resource->listing);
	resource->listing = NULL;
}

static void drop_husk(struct resource *resource)
{
	listing_unref(resource->husk);
	resource->husk = NULL;
}

void tree_resource_fini(struct resource *resource)
{
	drop_listing(resource);
	drop_husk(resource);
	if (resource->fetch)
		fetch_cancel(resource->fetch);
	set_ahead(resource, 0);
	resource->tree->object_bytes -= resource->object_len;
	free(resource->id);
	free(resource->path);
	free(resource->object);
}

void tree_resource_maybe_free(struct resource *resource)
{
	struct tree *tree = resource->tree;
	struct resource **at;

	if (resource == &tree->top || resource->references > 0 || resource->listing ||
	    resource->husk || resource->fetch)
		return;
	assert(TAILQ_EMPTY(&resource->waiters.waiters));
	for (at = part_bucket(tree, resource->ino); *at != resource; at = &(*at)->next)
		;
	*at = resource->next;
	tree->counters.resources--;
	tree_resource_fini(resource);
	free(resource);
}

/* Nothing brings the kernel back to an object or query that it has forgotten. */
static bool is_lasting(const struct resource *resource)
{
	return resource->references > 0 || resource->level == PROVIDER_PART ||
	       resource->level == PROVIDER_TOP;
}

void tree_resource_unref(struct resource *resource)
{
	resource->references--;
	if (!is_lasting(resource))
		drop_husk(resource); /* else it would stay for good: nothing evicts a husk */
	tree_resource_maybe_free(resource);
}

/* Takes over what the top listing says of a part now. */
static int part_describe(struct resource *part, const struct listing *listing,
			 const struct listing_entry *entry)
{
	char *object = strndup(listing_body(listing, entry), entry->body_len);
	char *path;

	if (!object)
		return -ENOMEM;
	if (asprintf(&path, "%s/%s", part->tree->top_name, listing_name(listing, entry)) < 0) {
		free(object);
		return -ENOMEM;
	}
	part->tree->object_bytes += entry->body_len - part->object_len;
	free(part->object);
	free(part->path);
	part->object = object;
	part->object_len = entry->body_len;
	part->path = path;
	return 0;
}

int tree_part_get(struct tree *tree, const struct listing *listing,
		  const struct listing_entry *entry, struct resource **ret_part)
{
	struct resource **bucket = part_bucket(tree, entry->ino);
	struct resource *part;
	char id[LISTING_ID_MAX + 1];

	for (part = *bucket; part; part = part->next) {
		if (part->ino == entry->ino && part->level == PROVIDER_PART) {
			*ret_part = part;
			return 0;
		}
	}
	part = calloc(1, sizeof(*part));
	if (!part)
		return -ENOMEM;
	part->tree = tree;
	part->level = PROVIDER_PART;
	part->ino = entry->ino;
	part->mtime_ns = LISTING_NO_TIME;
	wait_queue_init(&part->waiters, tree_resource_missed, part);
	part->id = strdup(listing_id(listing, entry, id));
	if (!part->id || part_describe(part, listing, entry)) {
		tree_resource_fini(part);
		free(part);
		return -ENOMEM;
	}
	part->next = *bucket;
	*bucket = part;
	tree->counters.resources++;
	*ret_part = part;
	return 0;
}

int tree_resource(struct tree *tree, enum provider_level level, const char *id, const char *path,
		  struct resource **ret_resource)
{
	uint64_t hash =
		listing_ino(hash_mix(hash_string(HASH_START + level, id)) & LISTING_INO_MASK,
			    LISTING_VIEW_QUERY);
	struct resource **bucket = part_bucket(tree, hash);
	struct resource *resource;

	for (resource = *bucket; resource; resource = resource->next) {
		if (resource->ino == hash && resource->level == level &&
		    strcmp(resource->id, id) == 0) {
			*ret_resource = resource;
			return 0;
		}
	}
	resource = calloc(1, sizeof(*resource));
	if (!resource)
		return -ENOMEM;
	resource->tree = tree;
	resource->level = level;
	resource->ino = hash;
	resource->mtime_ns = LISTING_NO_TIME;
	wait_queue_init(&resource->waiters, tree_resource_missed, resource);
	resource->id = strdup(id);
	resource->path = strdup(path);
	if (!resource->id || !resource->path) {
		tree_resource_fini(resource);
		free(resource);
		return -ENOMEM;
	}
	resource->next = *bucket;
	*bucket = resource;
	tree->counters.resources++;
	*ret_resource = resource;
	return 0;
}

/* All that grows with the organisation: what the kernel knows goes only when it forgets, so
 * listings make room for it. */
static size_t bytes_held(const struct tree *tree)
{
	return listing_bytes_alive() + tree->object_bytes +
	       tree->counters.resources * (sizeof(struct resource) + RESOURCE_OVERHEAD) +
	       tree->counters.nodes * (sizeof(struct node) + NODE_OVERHEAD) +
	       tree->bucket_count * sizeof(*tree->nodes);
}

/* Fetched ahead of somebody who may still come for it. */
static bool is_awaited(const struct resource *resource)
{
	return resource->ahead_bytes > 0 &&
	       (resource->fetch || tree_resource_age_ms(resource) < AHEAD_KEPT_MS);
}

/* What is still being fetched does not drive out the top, which leads to everything, nor what was
 * used last beside it: or whoever uses that would wait for it again and again. */
static bool is_spared(const struct resource *resource)
{
	const struct resource *top = &resource->tree->top;
	const struct resource *next = TAILQ_NEXT(resource, lru);

	return resource == top || !next || (next == top && !TAILQ_NEXT(next, lru));
}

/* Without memory for what must stay of it, all of it stays: the next time there may be some. */
static void evict_one(struct resource *resource)
{
	if (is_lasting(resource)) {
		resource->husk = listing_husk(resource->listing);
		if (!resource->husk)
			return;
	}
	drop_listing(resource);
	resource->tree->counters.evictions++;
	tree_resource_maybe_free(resource);
}

/* Keeps memory under its cap by dropping whole listings, least recently used first. Those that
 * somebody is about to be answered from stay. What is still being fetched counts too. */
static void evict(struct tree *tree, const struct resource *keep)
{
	struct resource *resource = TAILQ_FIRST(&tree->lru);

	while (resource && bytes_held(tree) + listing_bytes_building() > tree->memory) {
		struct resource *next = TAILQ_NEXT(resource, lru);

		/* One that an open handle keeps would free nothing. */
		if (resource != keep && !resource->fetch && !is_awaited(resource) &&
		    resource->listing->references == 1 &&
		    (bytes_held(tree) > tree->memory || !is_spared(resource))) {
			evict_one(resource);
		}
		resource = next;
	}
}

void tree_make_room(void *tree)
{
	evict(tree, NULL);
}

void tree_resource_expire(struct resource *resource)
{
	resource->fetched_ms = INT64_MIN;
	resource->forget = resource->fetch != NULL;
	resource->error = 0;
	resource->missed_error = 0;
}

/* A part whose object changed or went must be asked anew: its own file shows that object. */
static void top_changed(struct tree *tree, const struct listing *listing)
{
	struct resource *part;
	struct resource *next;
	size_t i;

	for (i = 0; i < TREE_PART_BUCKETS; i++) {
		for (part = tree->parts[i]; part; part = next) {
			const struct listing_entry *entry = listing_find_ino(listing, part->ino);

			next = part->next;
			if (part->level != PROVIDER_PART)
				continue;
			if (!entry) {
				tree_resource_expire(part);
				drop_husk(part);
				if (part->references == 0 && !part->fetch)
					drop_listing(part);
				tree_resource_maybe_free(part);
			} else if (entry->body_len != part->object_len ||
				   memcmp(listing_body(listing, entry), part->object,
					  part->object_len) != 0) {
				tree_resource_expire(part);
				/* Without memory the old description serves a little longer. */
				part_describe(part, listing, entry);
			}
		}
	}
}

static void publish(struct resource *resource, struct listing *listing)
{
	static uint64_t publications;
	struct tree *tree = resource->tree;
	bool is_ahead = resource->ahead_bytes > 0;
	/* It was added to a listing, whose age stays. */
	bool is_added = !listing_is_whole(listing) && resource->fetched != TREE_NAMES;

	/* Being listed for the first time is no change of the top. */
	if (resource != &tree->top ||
	    (resource->listed_mtime_ns && resource->listed_mtime_ns != listing->dirs[0].mtime_ns))
		resource->mtime_ns = listing->dirs[0].mtime_ns;
	resource->listed_mtime_ns = listing->dirs[0].mtime_ns;
	/* Open handles keep the listing they began with: a copy with each refresh would add up. */
	if (resource->listing && listing_equals(listing, resource->listing)) {
		listing_unref(listing);
		listing = listing_ref(resource->listing);
	}
	drop_listing(resource);
	drop_husk(resource);
	resource->listing = listing;
	resource->publication = ++publications;
	set_ahead(resource, is_ahead ? listing->bytes : 0);
	/* Age counts from the arrival: a fetch may take longer than ttl. */
	if (!resource->forget && !is_added)
		resource->fetched_ms = loop_now_ms();
	TAILQ_INSERT_TAIL(&tree->lru, resource, lru);
	tree->counters.listings++;
	if (resource->level == PROVIDER_PART && listing_is_whole(listing))
		tree->usual_bytes = (3 * tree->usual_bytes + listing->bytes) / 4;
	if (resource == &tree->top)
		top_changed(tree, listing);
	evict(tree, resource);
}

static void on_fetched(void *data, int error, struct provider_result *result)
{
	struct resource *resource = data;

	resource->fetch = NULL;
	resource->error = error;
	resource->missed_error = 0;
	if (error) {
		if (resource->ahead_bytes)
			resource->tree->ahead_since_ms = loop_now_ms() + AHEAD_PAUSE_MS;
		set_ahead(resource, 0);
		resource->failed_ms = loop_now_ms();
		/* It is gone; anything else may pass. An organisation's list of binders is not
		 * gone, whatever the server says. */
		if (error == -ENOENT && resource != &resource->tree->top) {
			drop_listing(resource);
			drop_husk(resource);
		}
	} else {
		publish(resource, result->listing);
	}
	resource->references++; /* a waiter's answer must not free it */
	wait_wake(resource->tree->room, &resource->waiters, error);
	tree_resource_unref(resource);
}

int64_t tree_resource_age_ms(const struct resource *resource)
{
	if (!resource->listing || resource->fetched_ms == INT64_MIN)
		return INT64_MAX;
	return loop_now_ms() - resource->fetched_ms;
}

/* The directory of that inode number in a listing, or NULL. */
static const struct listing_entry *find_dir(const struct listing *listing, uint64_t ino)
{
	const struct listing_entry *entry = listing_find_ino(listing, ino);

	return entry && entry->type == LISTING_DIR && entry->dir != LISTING_ELSEWHERE ? entry
										      : NULL;
}

static bool holds(const struct listing *listing, uint64_t need)
{
	const struct listing_entry *entry;

	if (listing_is_whole(listing) || need == TREE_NAMES)
		return true;
	entry = need == TREE_ALL ? NULL : find_dir(listing, need);
	return entry && !listing->dirs[entry->dir].incomplete;
}

static unsigned int complete_dirs(const struct listing *listing)
{
	unsigned int count = 0;
	uint32_t i;

	for (i = 0; i < listing->dir_count; i++)
		count += !listing->dirs[i].incomplete;
	return count;
}

/* How much to fetch when that is needed. What was whole once is fetched whole for ever: only so a
 * change is seen, whenever it was. */
static uint64_t extent(const struct resource *resource, uint64_t need)
{
	const struct listing *listing = resource->listing;

	if (resource->level != PROVIDER_PART || resource->husk || need == TREE_ALL)
		return TREE_ALL;
	if (!listing)
		return need == TREE_NAMES ? TREE_NAMES : TREE_ALL;
	if (listing_is_whole(listing) || need == TREE_NAMES || resource->fetched == need ||
	    tree_resource_age_ms(resource) > resource->tree->ttl_ms || !find_dir(listing, need) ||
	    complete_dirs(listing) >= FOLDERS_APART_MAX || listing->entry_count > ENTRIES_APART_MAX)
		return TREE_ALL;
	return need;
}

static int start(struct resource *resource, uint64_t need, bool foreground)
{
	char folder[LISTING_ID_MAX + 1] = "";
	struct provider_resource wanted = {
		.level = resource->level,
		.id = resource->id,
		.object = resource->object,
		.object_len = resource->object_len,
	};
	uint64_t fetched = extent(resource, need);
	struct fetch *less = resource->fetch;
	int error;

	if (less && (!foreground || need == TREE_NAMES || resource->fetched == need ||
		     resource->fetched == TREE_ALL)) {
		if (foreground)
			fetch_promote(less);
		return 0;
	}
	if (less) /* who comes for more has the rest fetched at once */
		fetched = TREE_ALL;
	if (fetched != TREE_ALL) {
		wanted.folder = folder;
		wanted.base = resource->listing;
		if (fetched != TREE_NAMES)
			listing_id(resource->listing, find_dir(resource->listing, fetched), folder);
	}
	error = fetch_start(resource->tree->fetcher, &wanted, resource->path,
			    resource->listing ? resource->listing : resource->husk, foreground,
			    on_fetched, resource, &resource->fetch);
	if (error)
		return error;
	if (less)
		fetch_cancel(less);
	resource->fetched = fetched;
	resource->forget = false;
	return 0;
}

/* Why a fetch should not be waited for now: it just failed, is bound to, or was just waited for in
 * vain. A path is one operation for its user and one of ours for each component. */
static int refusal(const struct resource *resource)
{
	int error = resource->fetch ? resource->missed_error : resource->error;
	int64_t since_ms = resource->fetch ? resource->missed_ms : resource->failed_ms;

	if (error && loop_now_ms() - since_ms < ERROR_TTL_MS)
		return error;
	return fetcher_refusal(resource->tree->fetcher);
}

static int serve(struct resource *resource, bool fresh, const struct listing **ret_listing)
{
	struct tree *tree = resource->tree;

	set_ahead(resource, 0);
	TAILQ_REMOVE(&tree->lru, resource, lru);
	TAILQ_INSERT_TAIL(&tree->lru, resource, lru);
	if (fresh)
		tree->counters.served_fresh++;
	else
		tree->counters.served_stale++;
	*ret_listing = resource->listing;
	return 0;
}

int tree_access(struct tree *tree, struct resource *resource, uint64_t need, bool waited,
		const struct listing **ret_listing)
{
	bool there = resource->listing && holds(resource->listing, need);
	int64_t age = there ? tree_resource_age_ms(resource) : INT64_MAX;
	int error;

	if (waited && resource->listing && !resource->error && !resource->missed_error) {
		/* What was waited for is served even if ttl is shorter than the fetch took. */
		if (there)
			return serve(resource, true, ret_listing);
		waited = false; /* it was for less, or did not bring it: the rest does */
	}
	if (age <= tree->ttl_ms)
		return serve(resource, true, ret_listing);
	error = waited ? resource->error : refusal(resource);
	if (age <= tree->ttl_ms + tree->stale_ms) {
		if (!error)
			start(resource, need, false);
		return serve(resource, false, ret_listing);
	}
	set_ahead(resource, 0); /* it is waited for now */
	if (!error && !waited)
		error = start(resource, need, true);
	else if (there)
		return serve(resource, false, ret_listing);
	if (!error)
		return waited ? -ETIMEDOUT : -EAGAIN;
	tree_resource_maybe_free(resource); /* an object of which nothing came to be known */
	return error;
}

/* Whether all of it could be shown now. */
static bool is_there(const struct resource *part)
{
	const struct tree *tree = part->tree;

	return part->listing && listing_is_whole(part->listing) &&
	       tree_resource_age_ms(part) <= tree->ttl_ms + tree->stale_ms;
}

int tree_fetch_ahead(struct tree *tree, const struct listing *top,
		     const struct listing_entry *entry)
{
	struct resource *part;

	TAILQ_FOREACH (part, &tree->lru, lru) {
		if (part->ahead_bytes && !is_awaited(part))
			set_ahead(part, 0);
	}
	if (tree->ahead_bytes + tree->usual_bytes > tree->memory / AHEAD_SHARE ||
	    loop_now_ms() < tree->ahead_since_ms || fetcher_failing_since(tree->fetcher) ||
	    fetcher_pause_ms(tree->fetcher) > 0)
		return -EAGAIN;
	if (entry->type != LISTING_DIR || entry->dir != LISTING_ELSEWHERE ||
	    tree_part_get(tree, top, entry, &part))
		return 0;
	if (!part->fetch && !is_there(part) && !refusal(part) &&
	    start(part, TREE_ALL, false) == 0) {
		set_ahead(part, tree->usual_bytes);
		tree->counters.ahead++;
	}
	tree_resource_maybe_free(part);
	return 0;
}

const struct listing *tree_peek(const struct resource *resource)
{
	return resource->listing;
}

double tree_timeout_s(const struct tree *tree, const struct resource *resource)
{
	int64_t age = tree_resource_age_ms(resource);

	return age < tree->ttl_ms ? (double)(tree->ttl_ms - age) / 1000 : 0;
}

double tree_refill_timeout_s(const struct tree *tree, const struct resource *resource)
{
	int64_t least_ms = tree->ttl_ms / 10 < REFILL_MS_MAX ? tree->ttl_ms / 10 : REFILL_MS_MAX;
	double timeout_s = tree_timeout_s(tree, resource);

	if (tree_resource_age_ms(resource) == INT64_MAX)
		return 0;
	return timeout_s > (double)least_ms / 1000 ? timeout_s : (double)least_ms / 1000;
}

uint64_t tree_publication(const struct resource *resource)
{
	return resource->publication;
}

int tree_resource_missed(void *owner, int64_t asked_ms)
{
	struct resource *resource = owner;

	resource->missed_ms = loop_now_ms();
	resource->missed_error = fetch_missed_deadline(resource->fetch, asked_ms);
	return resource->missed_error;
}

const char *tree_path(const struct resource *resource)
{
	return resource->path;
}

struct wait_queue *tree_queue(struct resource *resource)
{
	return &resource->waiters;
}

struct resource *tree_top(struct tree *tree)
{
	return &tree->top;
}

int64_t tree_mtime_ns(const struct resource *resource)
{
	return resource->mtime_ns;
}
