/* tree.h: what the kernel knows of (nodes), what the API holds (resources), and how fresh that is.
 *
 * A resource is what one fetch gets and one listing holds: the top directory, or one binder with
 * all below it. A node is an inode number the kernel holds lookup counts for; it says in which
 * resource's listing its entry is, and, for a directory, in which one its children are. */
#ifndef IBINDERFS_TREE_H
#define IBINDERFS_TREE_H

#include "config.h"
#include "fetch.h"
#include "listing.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct tree;
struct resource;

struct node {
	struct node *next; /* in the table */
	uint64_t ino;
	uint64_t lookups;      /* the kernel's lookup count */
	struct resource *home; /* whose listing has the entry; counted */
	union {
		struct {
			struct resource *inside;   /* whose listing has the children; counted */
			uint64_t seen_publication; /* that the kernel's cached readdir is of */
		} dir;
		struct {
			uint64_t told_version;	/* whose size the kernel was told last */
			uint64_t pages_version; /* whose bytes may be in the page cache; 0: none */
			uint32_t pages_len;	/* and how many they are */
			uint32_t handles;	/* open through the page cache */
		} file;
	};
	uint8_t type; /* enum listing_type */
};

/* Somebody who waits for a resource. Embedded in the waiting request. */
struct tree_waiter {
	TAILQ_ENTRY(tree_waiter) in_resource;
	TAILQ_ENTRY(tree_waiter) in_tree; /* by deadline: all wait equally long */
	struct resource *resource;
	int64_t asked_ms;
	int64_t deadline_ms;
	/* Called exactly once, from the loop, unless tree_unwait comes first: 0 when the resource
	 * was fetched, else -errno. */
	void (*wake)(struct tree_waiter *waiter, int error);
};

struct tree_counters {
	uint64_t nodes;
	uint64_t resources;
	uint64_t listings; /* cached */
	uint64_t waiters;  /* now */
	uint64_t waits;
	uint64_t deadlines_missed;
	uint64_t served_fresh;
	uint64_t served_stale; /* past ttl: while a refresh runs, or because it failed */
	uint64_t evictions;
};

/* What is passed in must outlive the tree. Returns 0 or -ENOMEM. */
int tree_new(uv_loop_t *loop, const struct config *config, struct fetcher *fetcher,
	     const char *top_name, struct tree **ret_tree);
/* No waiter may be left. */
void tree_free(struct tree *tree);

struct resource *tree_top(struct tree *tree);
/* When the entries of a resource's directory last changed, as far as was seen, also when its
 * listing was evicted. LISTING_NO_TIME for a part that was never listed; the top counts from the
 * mount. */
int64_t tree_mtime_ns(const struct resource *resource);

/* The listing to answer from now, borrowed until the loop runs again:
 *   fresh                     served
 *   past ttl, within stale    served, one refresh behind it
 *   older or none             -EAGAIN: a fetch is under way, call tree_wait
 * If a fetch is bound to fail, or (`waited`) has been waited for in vain, an old listing is served
 * all the same; without one the -errno says why. */
int tree_access(struct tree *tree, struct resource *resource, bool waited,
		const struct listing **ret_listing);
void tree_wait(struct tree *tree, struct resource *resource, struct tree_waiter *waiter,
	       int64_t asked_ms);
void tree_unwait(struct tree *tree, struct tree_waiter *waiter);
/* The listing there is, however old, or NULL. Never starts anything. */
const struct listing *tree_peek(const struct resource *resource);
/* Names the latest fetch that brought the listing: two with equal content differ in it. */
uint64_t tree_publication(const struct resource *resource);
/* Seconds for which the kernel may keep what it is told from the resource now. */
double tree_timeout_s(const struct tree *tree, const struct resource *resource);

/* The same for what a whole directory is refilled with. A listing that is past ttl, and shown while
 * a new one is fetched, holds long enough for the command that reads the directory: or it would
 * look up each entry by itself. */
double tree_refill_timeout_s(const struct tree *tree, const struct resource *resource);

/* The node of that inode number, or NULL if the kernel should not know it. */
struct node *tree_node(struct tree *tree, uint64_t ino);
/* Adds one to the lookup count of the entry's node, making it if need be. -ENOMEM, or -EBADMSG when
 * the inode number is another object's already. */
int tree_lookup(struct tree *tree, struct resource *home, const struct listing *listing,
		const struct listing_entry *entry, struct node **ret_node);
void tree_forget(struct tree *tree, uint64_t ino, uint64_t lookups);

/* Forgets every listing: the next access of each waits for a new one. */
void tree_expire_all(struct tree *tree);

const struct tree_counters *tree_counters(const struct tree *tree);
/* Calls `each` for every resource that has a listing or failed: path, age in ms (-1: no listing,
 * or forgotten), whether past ttl, -errno of the last fetch. */
void tree_each_resource(const struct tree *tree,
			void (*each)(void *data, const char *path, int64_t age_ms, bool old,
				     int error, const struct listing *listing),
			void *data);

#endif
