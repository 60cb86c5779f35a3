/* tree_internal.h: what tree.c (nodes) and tree_resource.c (resources, freshness, waiters) share.
 * Nothing else includes it. */
#ifndef IBINDERFS_TREE_INTERNAL_H
#define IBINDERFS_TREE_INTERNAL_H

#include "tree.h"

/* Hash buckets for the parts. */
#define TREE_PART_BUCKETS 256

struct resource {
	struct resource *next; /* in the table, by ino */
	struct tree *tree;
	enum provider_level level;
	uint64_t ino; /* of its directory; of an object or query, a hash; 0: the top */
	char *id;     /* the API's id, or the query; NULL: the top */
	char *path;   /* for people, below the mount point */
	char *object; /* of a part: the API's object for it, for the fetch */
	size_t object_len;
	struct listing *listing; /* NULL: never fetched, or evicted */
	int64_t mtime_ns;	 /* of its directory; see tree_mtime_ns */
	int64_t listed_mtime_ns; /* what the latest listing said of it; 0 before the first */
	uint64_t publication;	 /* of `listing`; see tree_publication */
	struct listing *husk;	 /* what an evicted listing left; see listing_husk */
	int64_t fetched_ms;	 /* when `listing` came; INT64_MIN: forgotten */
	bool forget;		 /* what the fetch under way brings is old already */
	int64_t failed_ms;	 /* when the last fetch failed, while error is set */
	int error;		 /* of the last fetch */
	int64_t missed_ms;   /* when it was last waited for in vain, while missed_error is set */
	int missed_error;    /* what the waiter was told; 0 once the fetch has ended */
	struct fetch *fetch; /* under way, or NULL */
	uint64_t fetched;    /* what that or the latest one is for; see TREE_ALL */
	struct wait_queue waiters;
	/* Fetched ahead of who walks, and not looked at yet: what it takes, or will as far as can
	 * be told; else 0. */
	size_t ahead_bytes;
	TAILQ_ENTRY(resource) lru; /* while it has a listing; least recently used first */
	unsigned int references;   /* by nodes */
};

struct tree {
	struct fetcher *fetcher;
	struct wait_room *room;
	const char *top_name;
	int64_t ttl_ms;
	int64_t stale_ms;
	size_t memory;
	size_t usual_bytes;	/* what a binder's listing takes, going by the latest */
	size_t ahead_bytes;	/* of all resources */
	size_t object_bytes;	/* of all parts' copies of their objects */
	int64_t ahead_since_ms; /* before that nothing is fetched ahead: it failed */
	struct resource top;
	struct resource *parts[TREE_PART_BUCKETS];
	struct node **nodes; /* buckets, a power of two */
	size_t bucket_count;
	TAILQ_HEAD(, resource) lru;
	struct tree_counters counters;
};

/* tree_resource.c */
int tree_resource_missed(void *owner, int64_t asked_ms);
/* The resource that lists the inside of an entry of the top listing; made if need be. -ENOMEM. */
int tree_part_get(struct tree *tree, const struct listing *listing,
		  const struct listing_entry *entry, struct resource **ret_part);
void tree_resource_unref(struct resource *resource);
/* Frees it if nothing needs it. */
void tree_resource_maybe_free(struct resource *resource);
/* Frees what it holds, and cancels its fetch. */
void tree_resource_fini(struct resource *resource);
/* Drops listings for what is being fetched: never while one is borrowed. */
void tree_make_room(void *tree);
/* The next access waits for a new listing; one under way already is served to its waiters only. */
void tree_resource_expire(struct resource *resource);
/* INT64_MAX: there is no listing, or it was forgotten. */
int64_t tree_resource_age_ms(const struct resource *resource);

#endif
