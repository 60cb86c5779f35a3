/* tree.c: nodes, and the whole tree. Resources are in tree_resource.c.
 *
 * Owns the nodes; one is freed when its lookup count comes to 0. */
#include "tree_internal.h"

#include "hash.h"
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 256

/* --- Nodes --- */

static uint64_t id_of(uint64_t ino, uint64_t version)
{
	uint64_t object = listing_ino_object(ino);

	if (version)
		object = hash_mix(object ^ hash_mix(version)) & LISTING_INO_MASK;
	if (object < LISTING_INO_MIN)
		object += LISTING_INO_MIN;
	return listing_ino(object, listing_ino_view(ino));
}

uint64_t tree_node_id(const struct node *node)
{
	return id_of(node->ino, node->version);
}

static struct node **node_slot(struct tree *tree, uint64_t id)
{
	struct node **at = &tree->nodes[id & (tree->bucket_count - 1)];

	while (*at && tree_node_id(*at) != id)
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
			struct node **slot = &new[tree_node_id(node) & (tree->bucket_count - 1)];

			old[i] = node->next;
			node->next = *slot;
			*slot = node;
		}
	}
	free(old);
}

struct node *tree_node(struct tree *tree, uint64_t id)
{
	return *node_slot(tree, id);
}

/* `home` may be NULL; `inside` is, unless it is a directory. */
static int node_new(struct tree *tree, uint64_t ino, uint64_t version, enum node_type type,
		    struct resource *home, struct resource *inside, struct node **ret_node)
{
	size_t dirs = type == NODE_DIR;
	struct node *node = calloc(1, sizeof(*node) + dirs * sizeof(node->dir[0]));

	if (!node)
		return -ENOMEM;
	if (tree->counters.nodes >= tree->bucket_count)
		grow(tree);
	node->version = version;
	node->ino = ino;
	node->type = type;
	node->home = home;
	if (home)
		home->references++;
	if (dirs) {
		node->dir->inside = inside;
		inside->references++;
	}
	*node_slot(tree, tree_node_id(node)) = node;
	tree->counters.nodes++;
	*ret_node = node;
	return 0;
}

static enum node_type type_of(const struct listing_entry *entry, enum listing_view view)
{
	if (view == LISTING_VIEW_ID)
		return NODE_LINK;
	if (entry->type == LISTING_DIR)
		return NODE_DIR;
	return view == LISTING_VIEW_CONTENT && !entry->is_inline ? NODE_CONTENT : NODE_INLINE;
}

static int entry_node_new(struct tree *tree, struct resource *home, const struct listing *listing,
			  const struct listing_entry *entry, enum listing_view view,
			  uint64_t version, struct node **ret_node)
{
	enum node_type type = type_of(entry, view);
	struct resource *inside = type == NODE_DIR ? home : NULL;
	int error = 0;

	if (type == NODE_DIR && entry->dir == LISTING_ELSEWHERE)
		error = tree_part_get(tree, listing, entry, &inside);
	if (error)
		return error;
	error = node_new(tree, listing_ino(entry->ino, view), version, type, home, inside,
			 ret_node);
	if (error && inside)
		tree_resource_maybe_free(inside);
	return error;
}

int tree_lookup(struct tree *tree, struct resource *home, const struct listing *listing,
		const struct listing_entry *entry, enum listing_view view, uint64_t version,
		struct node **ret_node)
{
	uint64_t ino = listing_ino(entry->ino, view);
	struct node *node = tree_node(tree, id_of(ino, version));
	int error = 0;

	if (!node)
		error = entry_node_new(tree, home, listing, entry, view, version, &node);
	else if (node->type != type_of(entry, view) || node->ino != ino ||
		 node->version != version || (node->type == NODE_DIR && node->home != home))
		error = -EBADMSG; /* these are hashes: ids can be made to collide */
	if (error)
		return error;
	if (node->home != home) { /* the document has moved to another binder */
		home->references++;
		tree_resource_unref(node->home);
		node->home = home;
	}
	node->lookups++;
	*ret_node = node;
	return 0;
}

int tree_lookup_query(struct tree *tree, struct resource *inside, struct node **ret_node)
{
	struct node *node = tree_node(tree, id_of(inside->ino, 0));
	int error = 0;

	if (!node)
		error = node_new(tree, inside->ino, 0, NODE_DIR, NULL, inside, &node);
	else if (node->dir->inside != inside)
		error = -EBADMSG;
	if (error) {
		tree_resource_maybe_free(inside); /* made for this look alone, perhaps */
		return error;
	}
	node->lookups++;
	*ret_node = node;
	return 0;
}

void tree_forget(struct tree *tree, uint64_t id, uint64_t lookups)
{
	struct node **slot = node_slot(tree, id);
	struct node *node = *slot;

	if (!node)
		return;
	assert(node->lookups >= lookups);
	node->lookups -= lookups;
	if (node->lookups > 0)
		return;
	*slot = node->next;
	tree->counters.nodes--;
	if (node->type == NODE_DIR)
		tree_resource_unref(node->dir->inside);
	if (node->home)
		tree_resource_unref(node->home);
	free(node);
}

/* --- The whole --- */

int tree_new(const struct config *config, struct fetcher *fetcher, struct wait_room *room,
	     const struct provider_ops *ops, struct tree **ret_tree)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->nodes = calloc(BUCKETS_MIN, sizeof(*tree->nodes));
	tree->top.path = strdup(ops->top_name);
	if (!tree->nodes || !tree->top.path) {
		free(tree->nodes);
		free(tree->top.path);
		free(tree);
		return -ENOMEM;
	}
	tree->bucket_count = BUCKETS_MIN;
	tree->fetcher = fetcher;
	tree->room = room;
	tree->top_name = ops->top_name;
	tree->ttl_ms = config->ttl_ms;
	tree->stale_ms = config->stale_ms;
	tree->memory = config_memory_listings(config, ops->has_links);
	tree->usual_bytes = tree->memory / 32; /* until one is known */
	tree->top.tree = tree;
	tree->top.mtime_ns = loop_wall_ns();
	wait_queue_init(&tree->top.waiters, tree_resource_missed, &tree->top);
	TAILQ_INIT(&tree->lru);
	tree->counters.resources = 1;
	fetcher_watch(fetcher, tree_make_room, tree);
	*ret_tree = tree;
	return 0;
}

void tree_free(struct tree *tree)
{
	struct resource *part;
	size_t i;

	if (!tree)
		return;
	/* At unmount the kernel sends no FORGET: the nodes go without their references. */
	for (i = 0; i < tree->bucket_count; i++) {
		while (tree->nodes[i]) {
			struct node *node = tree->nodes[i];

			tree->nodes[i] = node->next;
			free(node);
		}
	}
	free(tree->nodes);
	for (i = 0; i < TREE_PART_BUCKETS; i++) {
		while ((part = tree->parts[i])) {
			tree->parts[i] = part->next;
			tree_resource_fini(part);
			free(part);
		}
	}
	tree_resource_fini(&tree->top);
	free(tree);
}

void tree_expire_all(struct tree *tree)
{
	struct resource *part;
	size_t i;

	tree_resource_expire(&tree->top);
	for (i = 0; i < TREE_PART_BUCKETS; i++) {
		for (part = tree->parts[i]; part; part = part->next)
			tree_resource_expire(part);
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
		int64_t age = tree_resource_age_ms(resource);

		if (resource->listing || resource->error)
			each(data, resource->path, age == INT64_MAX ? -1 : age, age > tree->ttl_ms,
			     resource->error, resource->listing);
		resource = resource->next;
		while (!resource && bucket < TREE_PART_BUCKETS)
			resource = tree->parts[bucket++];
	}
}
