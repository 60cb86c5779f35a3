/* block.h: the block cache: bytes of documents, in blocks.
 *
 * Over its cap it drops the oldest first: what was read is in the kernel's page cache too, what
 * was read ahead is younger.
 * A block is filled from its start; `have` says how far. It knows its owner by a number alone: who
 * goes drops its blocks. A pinned block stays; with many pinned the cap is passed. */
#ifndef IBINDERFS_BLOCK_H
#define IBINDERFS_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define BLOCK_BYTES (64 * 1024)

struct block {
	TAILQ_ENTRY(block) by_age;
	struct block *next; /* in the table */
	uint64_t owner;
	uint64_t index; /* in units of BLOCK_BYTES */
	uint32_t size;	/* allocated */
	uint32_t have;	/* filled */
	uint32_t pins;
	char bytes[];
};

struct block_cache;

struct block_counters {
	uint64_t bytes; /* held now */
	uint64_t blocks;
	uint64_t evictions;
};

/* Returns 0 or -ENOMEM. */
int block_cache_new(size_t max_bytes, struct block_cache **ret_cache);
/* NULL is legal. */
void block_cache_free(struct block_cache *cache);
const struct block_counters *block_cache_counters(const struct block_cache *cache);

/* The block, or NULL. */
struct block *block_find(struct block_cache *cache, uint64_t owner, uint64_t index);
/* A new block of `size` bytes, pinned; there must be none. Returns 0 or -ENOMEM. */
int block_add(struct block_cache *cache, uint64_t owner, uint64_t index, uint32_t size,
	      struct block **ret_block);
void block_pin(struct block *block);
/* NULL is legal. */
void block_unpin(struct block *block);
/* Drops all of an owner's, but those that are pinned: these are emptied. */
void block_drop_owner(struct block_cache *cache, uint64_t owner, uint64_t size);

#endif
