/* tree.h: what the kernel knows of (nodes), what the API holds (resources), and how fresh that is.
 *
 * A resource is what one fetch gets and one listing holds: the top directory, one binder with all
 * below it, one document, the answer to one query. A node is what the kernel holds lookup counts
 * for; it says in which resource's listing its entry is, and, for a directory, in which one its
 * children are. */
#ifndef IBINDERFS_TREE_H
#define IBINDERFS_TREE_H

#include "config.h"
#include "fetch.h"
#include "listing.h"
#include "wait.h"

#include <stdbool.h>
#include <stdint.h>

struct tree;
struct resource;

enum node_type {
	NODE_DIR,
	NODE_INLINE,  /* a file with its bytes in the listing: an object, or what came with it */
	NODE_CONTENT, /* what a document holds */
	NODE_LINK,    /* to a directory, by id */
};

/* There may be one for every file of the organisation, so it is kept small. */
struct node {
	struct node *next;     /* in the table */
	uint64_t version;      /* of a file's bytes; 0: no file */
	uint64_t ino;	       /* what users are shown, for all versions; see listing_ino */
	uint64_t lookups : 56; /* the kernel's lookup count */
	uint64_t type : 8;     /* enum node_type */
	/* Whose listing has the entry; counted. NULL for a query, which is in no listing. */
	struct resource *home;
	/* One of a directory, none of others. */
	struct {
		struct resource *inside;   /* whose listing has the children; counted */
		uint64_t seen_publication; /* that the kernel's cached readdir is of */
	} dir[];
};

struct tree_counters {
	uint64_t nodes;
	uint64_t resources;
	uint64_t listings; /* cached */
	uint64_t served_fresh;
	uint64_t served_stale; /* past ttl: while a refresh runs, or because it failed */
	uint64_t evictions;
	uint64_t ahead; /* fetches begun ahead of who walks */
};

/* What is passed in must outlive the tree. Returns 0 or -ENOMEM. */
int tree_new(const struct config *config, struct fetcher *fetcher, struct wait_room *room,
	     const struct provider_ops *ops, struct tree **ret_tree);
/* No waiter may be left. */
void tree_free(struct tree *tree);

struct resource *tree_top(struct tree *tree);
/* The resource of one object or query, made if need be; `path` names it to users, below the mount
 * point. Borrowed until the loop runs again, or a node refers to it. Returns 0 or -ENOMEM. */
int tree_resource(struct tree *tree, enum provider_level level, const char *id, const char *path,
		  struct resource **ret_resource);
/* When the entries of a resource's directory last changed, as far as was seen, also when its
 * listing was evicted. LISTING_NO_TIME for a part that was never listed; the top counts from the
 * mount. */
int64_t tree_mtime_ns(const struct resource *resource);

/* How much of a resource's directories is needed: their entries in all of them, the names of the
 * directories that are known, or the entries of the one with that inode number. Of a binder that
 * was never listed, a folder that is opened is fetched without the rest, until there were a few. */
#define TREE_ALL   0
#define TREE_NAMES 1

/* The listing to answer from now, in which what is needed is complete, borrowed until the loop runs
 * again:
 *   fresh                     served
 *   past ttl, within stale    served, one refresh behind it
 *   older or none             -EAGAIN: a fetch is under way, wait in tree_queue
 * If a fetch is bound to fail, or (`waited`) has been waited for in vain, an old listing is served
 * all the same; without one the -errno says why, and what tree_resource made for this may be gone.
 */
int tree_access(struct tree *tree, struct resource *resource, uint64_t need, bool waited,
		const struct listing **ret_listing);
/* Fetches in the background what is behind an entry of the top listing, unless there is something
 * to show. Returns 0, or -EAGAIN while there is no room (what was fetched ahead and not looked at
 * has a share of memory=) or the server has trouble. Other failures are left to who comes. */
int tree_fetch_ahead(struct tree *tree, const struct listing *top,
		     const struct listing_entry *entry);
/* For people, below the mount point. */
const char *tree_path(const struct resource *resource);
/* Those in it are woken when the fetch under way has ended. */
struct wait_queue *tree_queue(struct resource *resource);
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

/* What the kernel knows it by. A file has one for each version: bytes, size and times in the
 * kernel's caches belong to it, and so versions never meet there. */
uint64_t tree_node_id(const struct node *node);
/* The node of that id, or NULL if the kernel should not know it. */
struct node *tree_node(struct tree *tree, uint64_t id);
/* Adds one to the lookup count of the entry's node in a view, making it if need be; `version` as in
 * struct node. -ENOMEM, or -EBADMSG when the node is another object's already. */
int tree_lookup(struct tree *tree, struct resource *home, const struct listing *listing,
		const struct listing_entry *entry, enum listing_view view, uint64_t version,
		struct node **ret_node);
/* The same for the directory of a query. */
int tree_lookup_query(struct tree *tree, struct resource *inside, struct node **ret_node);
void tree_forget(struct tree *tree, uint64_t id, uint64_t lookups);

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
