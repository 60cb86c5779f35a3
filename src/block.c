/* block.c: the block cache. */
#include "block.h"

#include "hash.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS 4096

struct block_cache {
	size_t max_bytes;
	struct block *buckets[BUCKETS];
	TAILQ_HEAD(, block) by_age; /* oldest first */
	struct block_counters counters;
};

int block_cache_new(size_t max_bytes, struct block_cache **ret_cache)
{
	struct block_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	cache->max_bytes = max_bytes;
	TAILQ_INIT(&cache->by_age);
	*ret_cache = cache;
	return 0;
}

static struct block **slot_of(struct block_cache *cache, uint64_t owner, uint64_t index)
{
	struct block **at = &cache->buckets[hash_mix(owner + index) % BUCKETS];

	while (*at && ((*at)->owner != owner || (*at)->index != index))
		at = &(*at)->next;
	return at;
}

static size_t cost_of(const struct block *block)
{
	return sizeof(*block) + block->size;
}

static void take_out(struct block_cache *cache, struct block *block)
{
	*slot_of(cache, block->owner, block->index) = block->next;
	TAILQ_REMOVE(&cache->by_age, block, by_age);
	cache->counters.bytes -= cost_of(block);
	cache->counters.blocks--;
}

static void drop(struct block_cache *cache, struct block *block)
{
	take_out(cache, block);
	free(block);
}

void block_cache_free(struct block_cache *cache)
{
	struct block *block;

	if (!cache)
		return;
	while ((block = TAILQ_FIRST(&cache->by_age)))
		drop(cache, block);
	free(cache);
}

const struct block_counters *block_cache_counters(const struct block_cache *cache)
{
	return &cache->counters;
}

struct block *block_find(struct block_cache *cache, uint64_t owner, uint64_t index)
{
	return *slot_of(cache, owner, index);
}

/* Makes room for `size` more. Returns one that went and is of that size, for the caller to use
 * again: memory that has been touched is cheaper. Or NULL. */
static struct block *evict(struct block_cache *cache, uint32_t size)
{
	struct block *block = TAILQ_FIRST(&cache->by_age);
	struct block *reusable = NULL;

	while (block && cache->counters.bytes + size > cache->max_bytes) {
		struct block *next = TAILQ_NEXT(block, by_age);

		if (block->pins == 0) {
			take_out(cache, block);
			cache->counters.evictions++;
			if (!reusable && block->size == size)
				reusable = block;
			else
				free(block);
		}
		block = next;
	}
	return reusable;
}

int block_add(struct block_cache *cache, uint64_t owner, uint64_t index, uint32_t size,
	      struct block **ret_block)
{
	struct block *block = evict(cache, size);

	if (!block)
		block = malloc(sizeof(*block) + size);
	if (!block)
		return -ENOMEM;
	*block = (struct block){.owner = owner, .index = index, .size = size, .pins = 1};
	*slot_of(cache, owner, index) = block;
	TAILQ_INSERT_TAIL(&cache->by_age, block, by_age);
	cache->counters.bytes += cost_of(block);
	cache->counters.blocks++;
	*ret_block = block;
	return 0;
}

void block_pin(struct block *block)
{
	block->pins++;
}

void block_unpin(struct block *block)
{
	if (block)
		block->pins--;
}

static void drop_if_unpinned(struct block_cache *cache, struct block *block)
{
	if (block->pins > 0)
		block->have = 0;
	else
		drop(cache, block);
}

void block_drop_owner(struct block_cache *cache, uint64_t owner, uint64_t size)
{
	struct block *block = TAILQ_FIRST(&cache->by_age);
	struct block *next;
	uint64_t index;

	/* By its indices, or through all blocks: whichever are fewer. */
	if (size / BLOCK_BYTES < cache->counters.blocks) {
		for (index = 0; index <= size / BLOCK_BYTES; index++) {
			block = block_find(cache, owner, index);
			if (block)
				drop_if_unpinned(cache, block);
		}
		return;
	}
	for (; block; block = next) {
		next = TAILQ_NEXT(block, by_age);
		if (block->owner == owner)
			drop_if_unpinned(cache, block);
	}
}
