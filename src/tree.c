/* tree.c: nodes, and the whole tree. Resources are in tree_resource.c.
 *
 * Owns the nodes; one is freed when its lookup count comes to 0. */
#include "tree_internal.h"

#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 256

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

static int node_new(struct tree *tree, struct resource *home, const struct listing *listing,
		    const struct listing_entry *entry, struct node **ret_node)
{
	struct resource *inside = home;
	struct node *node;
	int error = 0;

	if (entry->type == LISTING_DIR && entry->dir == LISTING_ELSEWHERE)
		error = tree_part_get(tree, listing, entry, &inside);
	if (error)
		return error;
	node = calloc(1, sizeof(*node));
	if (!node) {
		tree_resource_maybe_free(inside);
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

int tree_lookup(struct tree *tree, struct resource *home, const struct listing *listing,
		const struct listing_entry *entry, struct node **ret_node)
{
	struct node *node = tree_node(tree, entry->ino);
	int error = 0;

	if (!node)
		error = node_new(tree, home, listing, entry, &node);
	else if (node->type != entry->type || (node->type == LISTING_DIR && node->home != home))
		error = -EBADMSG; /* inode numbers are hashes: ids can be made to collide */
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
		tree_resource_unref(node->dir.inside);
	tree_resource_unref(node->home);
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
	tree->top.mtime_ns = loop_wall_ns();
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
	for (i = 0; i < TREE_PART_BUCKETS; i++) {
		while ((part = tree->parts[i])) {
			tree->parts[i] = part->next;
			tree_resource_fini(part);
			free(part);
		}
	}
	tree_resource_fini(&tree->top);
	uv_close((uv_handle_t *)&tree->timer, tree_closed);
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
