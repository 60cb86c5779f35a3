/* tree.c: nodes, resources, freshness, eviction.
 *
 * Owns the nodes (freed at lookup count 0) and the resources (freed when no node refers to them and
 * they hold neither listing nor fetch). Listings are shared with open handles by reference. */
#include "tree.h"

#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A resource whose fetch failed is not asked for again sooner, however many want it. */
#define ERROR_TTL_MS  1000
#define BUCKETS_MIN   256
#define BUCKETS_PARTS 256

struct resource {
	struct resource *next; /* in the table, by ino */
	struct tree *tree;
	uint64_t ino; /* of its directory; 0: the top */
	char *id;     /* the API's id; NULL: the top */
	char *path;   /* for people, below the mount point */
	char *object; /* the API's object for it, for the fetch; NULL: the top */
	size_t object_len;
	struct listing *listing; /* NULL: never fetched, or evicted */
	uint64_t publication;	 /* of `listing`; see tree_publication */
	struct listing *husk;	 /* what an evicted listing left; see listing_husk */
	int64_t fetched_ms;	 /* when `listing` came; INT64_MIN: forgotten */
	bool forget;		 /* what the fetch under way brings is old already */
	int64_t failed_ms;	 /* when the last fetch failed, while error is set */
	int error;		 /* of the last fetch */
	int64_t missed_ms;   /* when it was last waited for in vain, while missed_error is set */
	int missed_error;    /* what the waiter was told; 0 once the fetch has ended */
	struct fetch *fetch; /* under way, or NULL */
	TAILQ_HEAD(, tree_waiter) waiters;
	TAILQ_ENTRY(resource) lru; /* while it has a listing; least recently used first */
	unsigned int references;   /* by nodes */
};

struct tree {
	uv_timer_t timer; /* for the first waiter's deadline */
	struct fetcher *fetcher;
	const char *top_name;
	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t timeout_ms;
	size_t memory;
	struct resource top;
	int64_t top_mtime_ns; /* wall time of the last change seen in the top's entries */
	struct resource *parts[BUCKETS_PARTS];
	struct node **nodes; /* buckets, a power of two */
	size_t bucket_count;
	TAILQ_HEAD(waiter_list, tree_waiter) waiters;
	TAILQ_HEAD(, resource) lru;
	struct tree_counters counters;
};

/* --- Resources --- */

static struct resource **part_bucket(struct tree *tree, uint64_t ino)
{
	return &tree->parts[ino % BUCKETS_PARTS];
}

static void drop_husk(struct resource *resource)
{
	listing_unref(resource->husk);
	resource->husk = NULL;
}

static void resource_fini(struct resource *resource)
{
	if (resource->listing) {
		TAILQ_REMOVE(&resource->tree->lru, resource, lru);
		resource->tree->counters.listings--;
		listing_unref(resource->listing);
	}
	drop_husk(resource);
	if (resource->fetch)
		fetch_cancel(resource->fetch);
	free(resource->id);
	free(resource->path);
	free(resource->object);
}

static void resource_maybe_free(struct resource *resource)
{
	struct tree *tree = resource->tree;
	struct resource **at;

	if (resource == &tree->top || resource->references > 0 || resource->listing ||
	    resource->husk || resource->fetch)
		return;
	assert(TAILQ_EMPTY(&resource->waiters));
	for (at = part_bucket(tree, resource->ino); *at != resource; at = &(*at)->next)
		;
	*at = resource->next;
	tree->counters.resources--;
	resource_fini(resource);
	free(resource);
}

static void resource_unref(struct resource *resource)
{
	resource->references--;
	resource_maybe_free(resource);
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
	free(part->object);
	free(part->path);
	part->object = object;
	part->object_len = entry->body_len;
	part->path = path;
	return 0;
}

static int part_get(struct tree *tree, const struct listing *listing,
		    const struct listing_entry *entry, struct resource **ret_part)
{
	struct resource **bucket = part_bucket(tree, entry->ino);
	struct resource *part;

	for (part = *bucket; part; part = part->next) {
		if (part->ino == entry->ino) {
			*ret_part = part;
			return 0;
		}
	}
	part = calloc(1, sizeof(*part));
	if (!part)
		return -ENOMEM;
	part->tree = tree;
	part->ino = entry->ino;
	TAILQ_INIT(&part->waiters);
	part->id = strdup(listing_id(listing, entry));
	if (!part->id || part_describe(part, listing, entry)) {
		resource_fini(part);
		free(part);
		return -ENOMEM;
	}
	part->next = *bucket;
	*bucket = part;
	tree->counters.resources++;
	*ret_part = part;
	return 0;
}

static void drop_listing(struct resource *resource)
{
	if (!resource->listing)
		return;
	TAILQ_REMOVE(&resource->tree->lru, resource, lru);
	resource->tree->counters.listings--;
	listing_unref(resource->listing);
	resource->listing = NULL;
}

/* Keeps memory under its cap by dropping whole listings, least recently used first. Those that
 * somebody is about to be answered from stay. */
static void evict(struct tree *tree, const struct resource *keep)
{
	struct resource *resource = TAILQ_FIRST(&tree->lru);

	while (resource && listing_bytes_alive() > tree->memory) {
		struct resource *next = TAILQ_NEXT(resource, lru);

		if (resource != keep && !resource->fetch) {
			resource->husk = listing_husk(resource->listing);
			drop_listing(resource);
			tree->counters.evictions++;
			resource_maybe_free(resource);
		}
		resource = next;
	}
}

/* The next access waits for a new listing; one under way already is served to its waiters only. */
static void expire(struct resource *resource)
{
	resource->fetched_ms = INT64_MIN;
	resource->forget = resource->fetch != NULL;
	resource->error = 0;
}

/* A part whose object changed or went must be asked anew: its own file shows that object. */
static void top_changed(struct tree *tree, const struct listing *listing)
{
	struct resource *part;
	struct resource *next;
	size_t i;

	for (i = 0; i < BUCKETS_PARTS; i++) {
		for (part = tree->parts[i]; part; part = next) {
			const struct listing_entry *entry = listing_find_ino(listing, part->ino);

			next = part->next;
			if (!entry) {
				expire(part);
				drop_husk(part);
				resource_maybe_free(part);
			} else if (entry->body_len != part->object_len ||
				   memcmp(listing_body(listing, entry), part->object,
					  part->object_len) != 0) {
				expire(part);
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

	if (resource == &tree->top && resource->listing &&
	    resource->listing->dirs[0].mtime_ns != listing->dirs[0].mtime_ns)
		tree->top_mtime_ns = listing->dirs[0].mtime_ns;
	/* Open handles keep the listing they began with: a copy with each refresh would add up. */
	if (resource->listing && listing_equals(listing, resource->listing)) {
		listing_unref(listing);
		listing = listing_ref(resource->listing);
	}
	drop_listing(resource);
	drop_husk(resource);
	resource->listing = listing;
	resource->publication = ++publications;
	/* Age counts from the arrival: a fetch may take longer than ttl. */
	if (!resource->forget)
		resource->fetched_ms = loop_now_ms();
	TAILQ_INSERT_TAIL(&tree->lru, resource, lru);
	tree->counters.listings++;
	if (resource == &tree->top)
		top_changed(tree, listing);
	evict(tree, resource);
}

static void wake(struct tree_waiter *waiter, int error)
{
	tree_unwait(waiter->resource->tree, waiter);
	waiter->wake(waiter, error);
}

static void on_fetched(void *data, int error, struct listing *listing)
{
	struct resource *resource = data;
	struct tree_waiter *waiter;

	resource->fetch = NULL;
	resource->error = error;
	resource->missed_error = 0;
	if (error) {
		resource->failed_ms = loop_now_ms();
		/* It is gone; anything else may pass. An organisation's list of binders is not
		 * gone, whatever the server says. */
		if (error == -ENOENT && resource != &resource->tree->top) {
			drop_listing(resource);
			drop_husk(resource);
		}
	} else {
		publish(resource, listing);
	}
	resource->references++; /* a waiter's answer must not free it */
	while ((waiter = TAILQ_FIRST(&resource->waiters)))
		wake(waiter, error);
	resource_unref(resource);
}

static int start(struct resource *resource, bool foreground)
{
	struct provider_resource wanted = {
		.level = resource->id ? PROVIDER_PART : PROVIDER_TOP,
		.id = resource->id,
		.object = resource->object,
		.object_len = resource->object_len,
	};
	int error;

	if (resource->fetch) {
		if (foreground)
			fetch_promote(resource->fetch);
		return 0;
	}
	error = fetch_start(resource->tree->fetcher, &wanted, resource->path,
			    resource->listing ? resource->listing : resource->husk, foreground,
			    on_fetched, resource, &resource->fetch);
	if (!error)
		resource->forget = false;
	return error;
}

/* INT64_MAX: there is none, or it was forgotten. */
static int64_t age_ms(const struct resource *resource)
{
	if (!resource->listing || resource->fetched_ms == INT64_MIN)
		return INT64_MAX;
	return loop_now_ms() - resource->fetched_ms;
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

	TAILQ_REMOVE(&tree->lru, resource, lru);
	TAILQ_INSERT_TAIL(&tree->lru, resource, lru);
	if (fresh)
		tree->counters.served_fresh++;
	else
		tree->counters.served_stale++;
	*ret_listing = resource->listing;
	return 0;
}

int tree_access(struct tree *tree, struct resource *resource, bool waited,
		const struct listing **ret_listing)
{
	int64_t age = age_ms(resource);
	int error;

	/* What was waited for is served even if ttl is shorter than the fetch took. */
	if (age <= tree->ttl_ms ||
	    (waited && resource->listing && !resource->error && !resource->fetch))
		return serve(resource, true, ret_listing);
	error = waited ? resource->error : refusal(resource);
	if (age <= tree->ttl_ms + tree->stale_ms) {
		if (!error)
			start(resource, false);
		return serve(resource, false, ret_listing);
	}
	if (!error && !waited)
		error = start(resource, true);
	else if (resource->listing)
		return serve(resource, false, ret_listing);
	return error ? error : waited ? -ETIMEDOUT : -EAGAIN;
}

const struct listing *tree_peek(const struct resource *resource)
{
	return resource->listing;
}

double tree_timeout_s(const struct tree *tree, const struct resource *resource)
{
	int64_t age = age_ms(resource);

	return age < tree->ttl_ms ? (double)(tree->ttl_ms - age) / 1000 : 0;
}

uint64_t tree_publication(const struct resource *resource)
{
	return resource->publication;
}

struct resource *tree_top(struct tree *tree)
{
	return &tree->top;
}

int64_t tree_top_mtime_ns(const struct tree *tree)
{
	return tree->top_mtime_ns;
}

/* --- Waiters --- */

static void on_deadline(uv_timer_t *timer);

static void set_timer(struct tree *tree)
{
	struct tree_waiter *first = TAILQ_FIRST(&tree->waiters);

	if (first)
		loop_timer_start(&tree->timer, on_deadline, first->deadline_ms - loop_now_ms());
	else
		uv_timer_stop(&tree->timer);
}

static void on_deadline(uv_timer_t *timer)
{
	struct tree *tree = timer->data;
	struct tree_waiter *waiter;

	while ((waiter = TAILQ_FIRST(&tree->waiters)) && waiter->deadline_ms <= loop_now_ms()) {
		struct resource *resource = waiter->resource;

		tree->counters.deadlines_missed++;
		resource->missed_ms = loop_now_ms();
		resource->missed_error = fetch_missed_deadline(resource->fetch, waiter->asked_ms);
		wake(waiter, resource->missed_error);
	}
	set_timer(tree);
}

void tree_wait(struct tree *tree, struct resource *resource, struct tree_waiter *waiter,
	       int64_t asked_ms)
{
	struct tree_waiter *before = TAILQ_LAST(&tree->waiters, waiter_list);

	assert(resource->fetch);
	waiter->resource = resource;
	waiter->asked_ms = asked_ms;
	waiter->deadline_ms = asked_ms + tree->timeout_ms;
	TAILQ_INSERT_TAIL(&resource->waiters, waiter, in_resource);
	/* Nearly always the last; who waits for a second resource keeps the first deadline. */
	while (before && before->deadline_ms > waiter->deadline_ms)
		before = TAILQ_PREV(before, waiter_list, in_tree);
	if (before)
		TAILQ_INSERT_AFTER(&tree->waiters, before, waiter, in_tree);
	else
		TAILQ_INSERT_HEAD(&tree->waiters, waiter, in_tree);
	tree->counters.waiters++;
	tree->counters.waits++;
	set_timer(tree);
}

void tree_unwait(struct tree *tree, struct tree_waiter *waiter)
{
	TAILQ_REMOVE(&waiter->resource->waiters, waiter, in_resource);
	TAILQ_REMOVE(&tree->waiters, waiter, in_tree);
	tree->counters.waiters--;
	if (TAILQ_EMPTY(&tree->waiters))
		uv_timer_stop(&tree->timer);
}

/* --- Nodes --- */

static struct node **node_slot(struct tree *tree, uint64_t ino)
{
	struct node **at = &tree->nodes[ino & (tree->bucket_count - 1)];

	while (*at && (*at)->ino != ino)
		at = &(*at)->next;
	return at;
}

/* Doubles the buckets. Without memory the chains only get longer. */
static void grow(struct tree *tree)
{
	size_t old_count = tree->bucket_count;
	struct node **old = tree->nodes;
	struct node **new = calloc(old_count * 2, sizeof(*new));
	size_t i;

	if (!new)
		return;
	tree->nodes = new;
	tree->bucket_count = old_count * 2;
	for (i = 0; i < old_count; i++) {
		while (old[i]) {
			struct node *node = old[i];
			struct node **slot = &new[node->ino & (tree->bucket_count - 1)];

			old[i] = node->next;
			node->next = *slot;
			*slot = node;
		}
	}
	free(old);
}

struct node *tree_node(struct tree *tree, uint64_t ino)
{
	return *node_slot(tree, ino);
}

/* Whose listing has the children of an entry. */
static int resource_inside(struct tree *tree, struct resource *home, const struct listing *listing,
			   const struct listing_entry *entry, struct resource **ret_inside)
{
	if (entry->type == LISTING_DIR && entry->dir == LISTING_ELSEWHERE)
		return part_get(tree, listing, entry, ret_inside);
	*ret_inside = home;
	return 0;
}

static int node_new(struct tree *tree, struct resource *home, const struct listing *listing,
		    const struct listing_entry *entry, struct node **ret_node)
{
	struct resource *inside;
	struct node *node;
	int error = resource_inside(tree, home, listing, entry, &inside);

	if (error)
		return error;
	node = calloc(1, sizeof(*node));
	if (!node) {
		resource_maybe_free(inside);
		return -ENOMEM;
	}
	if (tree->counters.nodes >= tree->bucket_count)
		grow(tree);
	node->ino = entry->ino;
	node->type = entry->type;
	node->home = home;
	home->references++;
	if (entry->type == LISTING_DIR) {
		node->dir.inside = inside;
		inside->references++;
	}
	*node_slot(tree, node->ino) = node;
	tree->counters.nodes++;
	*ret_node = node;
	return 0;
}

/* The object has moved, for instance to another binder. */
static int node_move(struct tree *tree, struct node *node, struct resource *home,
		     const struct listing *listing, const struct listing_entry *entry)
{
	struct resource *inside;
	int error;

	if (node->type == LISTING_DIR) {
		error = resource_inside(tree, home, listing, entry, &inside);
		if (error)
			return error;
		inside->references++;
		resource_unref(node->dir.inside);
		node->dir.inside = inside;
		node->dir.seen_publication = 0;
	}
	home->references++;
	resource_unref(node->home);
	node->home = home;
	return 0;
}

int tree_lookup(struct tree *tree, struct resource *home, const struct listing *listing,
		const struct listing_entry *entry, struct node **ret_node)
{
	struct node *node = tree_node(tree, entry->ino);
	int error = 0;

	if (!node)
		error = node_new(tree, home, listing, entry, &node);
	else if (node->type != entry->type)
		error = -EBADMSG; /* inode numbers are hashes: ids can be made to collide */
	else if (node->home != home)
		error = node_move(tree, node, home, listing, entry);
	if (error)
		return error;
	node->lookups++;
	*ret_node = node;
	return 0;
}

void tree_forget(struct tree *tree, uint64_t ino, uint64_t lookups)
{
	struct node **slot = node_slot(tree, ino);
	struct node *node = *slot;

	if (!node)
		return;
	assert(node->lookups >= lookups);
	node->lookups -= lookups;
	if (node->lookups > 0)
		return;
	*slot = node->next;
	tree->counters.nodes--;
	if (node->type == LISTING_DIR)
		resource_unref(node->dir.inside);
	resource_unref(node->home);
	free(node);
}

/* --- The whole --- */

int tree_new(uv_loop_t *loop, const struct config *config, struct fetcher *fetcher,
	     const char *top_name, struct tree **ret_tree)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->nodes = calloc(BUCKETS_MIN, sizeof(*tree->nodes));
	tree->top.path = strdup(top_name);
	if (!tree->nodes || !tree->top.path) {
		free(tree->nodes);
		free(tree->top.path);
		free(tree);
		return -ENOMEM;
	}
	tree->bucket_count = BUCKETS_MIN;
	tree->fetcher = fetcher;
	tree->top_name = top_name;
	tree->ttl_ms = config->ttl_ms;
	tree->stale_ms = config->stale_ms;
	tree->timeout_ms = config->timeout_ms;
	tree->memory = config->memory;
	tree->top.tree = tree;
	tree->top_mtime_ns = loop_wall_ns();
	TAILQ_INIT(&tree->top.waiters);
	TAILQ_INIT(&tree->waiters);
	TAILQ_INIT(&tree->lru);
	tree->counters.resources = 1;
	uv_timer_init(loop, &tree->timer);
	tree->timer.data = tree;
	*ret_tree = tree;
	return 0;
}

static void tree_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void tree_free(struct tree *tree)
{
	struct resource *part;
	size_t i;

	if (!tree)
		return;
	assert(TAILQ_EMPTY(&tree->waiters));
	/* At unmount the kernel sends no FORGET: the nodes go without their references. */
	for (i = 0; i < tree->bucket_count; i++) {
		while (tree->nodes[i]) {
			struct node *node = tree->nodes[i];

			tree->nodes[i] = node->next;
			free(node);
		}
	}
	free(tree->nodes);
	for (i = 0; i < BUCKETS_PARTS; i++) {
		while ((part = tree->parts[i])) {
			tree->parts[i] = part->next;
			resource_fini(part);
			free(part);
		}
	}
	resource_fini(&tree->top);
	uv_close((uv_handle_t *)&tree->timer, tree_closed);
}

void tree_expire_all(struct tree *tree)
{
	struct resource *part;
	size_t i;

	expire(&tree->top);
	for (i = 0; i < BUCKETS_PARTS; i++) {
		for (part = tree->parts[i]; part; part = part->next)
			expire(part);
	}
}

const struct tree_counters *tree_counters(const struct tree *tree)
{
	return &tree->counters;
}

void tree_each_resource(const struct tree *tree,
			void (*each)(void *data, const char *path, int64_t age, bool old, int error,
				     const struct listing *listing),
			void *data)
{
	const struct resource *resource = &tree->top;
	size_t bucket = 0;

	while (resource) {
		int64_t age = age_ms(resource);

		if (resource->listing || resource->error)
			each(data, resource->path, age == INT64_MAX ? -1 : age, age > tree->ttl_ms,
			     resource->error, resource->listing);
		resource = resource->next;
		while (!resource && bucket < BUCKETS_PARTS)
			resource = tree->parts[bucket++];
	}
}
