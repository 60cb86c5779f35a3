/* test_block.c: blocks are found by owner and index, the oldest go first, pinned ones stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "block.h"

#include <string.h>

#define OWNER	  UINT64_C(0x1234567890abcdef)
#define COST(len) (sizeof(struct block) + (len))

static struct block_cache *cache;

static int set_up(size_t max_bytes)
{
	assert_int_equal(block_cache_new(max_bytes, &cache), 0);
	return 0;
}

static void tear_down(void)
{
	block_cache_free(cache);
	cache = NULL;
}

/* A full block that tells who it is, no longer pinned. */
static struct block *add(uint64_t owner, uint64_t index, uint32_t size)
{
	struct block *block = NULL;

	assert_null(block_find(cache, owner, index));
	assert_int_equal(block_add(cache, owner, index, size, &block), 0);
	assert_int_equal(block->pins, 1);
	assert_int_equal(block->have, 0);
	assert_int_equal(block->size, size);
	memset(block->bytes, (int)(owner * 7 + index), size);
	block->have = size;
	block_unpin(block);
	return block;
}

static uint64_t held(void)
{
	return block_cache_counters(cache)->bytes;
}

static void test_found_by_owner_and_index(void **state)
{
	(void)state;
	set_up(1 << 20);
	assert_null(block_find(cache, OWNER, 0));
	/* Such that owner + index are the same: neighbours in the table. */
	for (uint64_t i = 0; i < 10; i++)
		add(OWNER + i, 10 - i, 100);
	for (uint64_t i = 0; i < 10; i++) {
		const struct block *block = block_find(cache, OWNER + i, 10 - i);

		assert_non_null(block);
		assert_true(block->owner == OWNER + i && block->index == 10 - i);
		assert_int_equal((unsigned char)block->bytes[99],
				 (unsigned char)((OWNER + i) * 7 + 10 - i));
		assert_null(block_find(cache, OWNER + i, 11 - i));
	}
	assert_int_equal(block_cache_counters(cache)->blocks, 10);
	assert_int_equal(held(), 10 * COST(100));
	tear_down();
}

static void test_the_oldest_go_first(void **state)
{
	(void)state;
	set_up(3 * COST(BLOCK_BYTES));
	for (uint64_t i = 0; i < 3; i++)
		add(OWNER, i, BLOCK_BYTES);
	assert_int_equal(block_cache_counters(cache)->evictions, 0);
	assert_non_null(block_find(cache, OWNER, 0)); /* looking does not make it younger */
	add(OWNER, 3, BLOCK_BYTES);
	assert_null(block_find(cache, OWNER, 0));
	assert_non_null(block_find(cache, OWNER, 1));
	assert_int_equal(block_cache_counters(cache)->evictions, 1);
	assert_int_equal(block_cache_counters(cache)->blocks, 3);
	/* A small one still takes a whole one's place, a further small one has room then. */
	add(OWNER, 4, 1);
	add(OWNER, 5, 1);
	assert_null(block_find(cache, OWNER, 1));
	assert_non_null(block_find(cache, OWNER, 2));
	assert_int_equal(block_cache_counters(cache)->evictions, 2);
	assert_int_equal(held(), 2 * COST(BLOCK_BYTES) + 2 * COST(1));
	tear_down();
}

static void test_never_over_its_cap_for_long(void **state)
{
	const size_t cap = 10 * COST(BLOCK_BYTES) + 17;

	(void)state;
	set_up(cap);
	for (uint64_t i = 0; i < 200; i++) {
		add(OWNER + i % 7, i, (uint32_t)(i * 7919 % BLOCK_BYTES + 1));
		assert_true(held() <= cap);
		assert_non_null(block_find(cache, OWNER + i % 7, i));
	}
	tear_down();
}

static void test_pinned_ones_stay(void **state)
{
	struct block *pinned;

	(void)state;
	set_up(2 * COST(1000));
	pinned = add(OWNER, 0, 1000);
	block_pin(pinned);
	block_pin(pinned);
	for (uint64_t i = 1; i < 10; i++)
		add(OWNER, i, 1000);
	assert_ptr_equal(block_find(cache, OWNER, 0), pinned);
	assert_non_null(block_find(cache, OWNER, 9));
	assert_int_equal(block_cache_counters(cache)->blocks, 2);
	block_unpin(pinned);
	add(OWNER, 10, 1000);
	assert_ptr_equal(block_find(cache, OWNER, 0), pinned);
	block_unpin(pinned);
	add(OWNER, 11, 1000);
	assert_null(block_find(cache, OWNER, 0));
	block_unpin(NULL);
	tear_down();
}

/* Many fill blocks at once: then there are more than the cap allows, until they are done. */
static void test_the_cap_gives_way_to_pins(void **state)
{
	struct block *blocks[8];

	(void)state;
	set_up(COST(1000));
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(block_add(cache, OWNER, i, 1000, &blocks[i]), 0);
	assert_int_equal(held(), 8 * COST(1000));
	for (uint64_t i = 0; i < 8; i++)
		block_unpin(blocks[i]);
	add(OWNER, 8, 1000);
	assert_int_equal(block_cache_counters(cache)->blocks, 1);
	assert_non_null(block_find(cache, OWNER, 8));
	tear_down();
}

/* Also without any room there is the block that is being filled. */
static void test_without_room(void **state)
{
	struct block *block;

	(void)state;
	set_up(0);
	assert_int_equal(block_add(cache, OWNER, 0, BLOCK_BYTES, &block), 0);
	assert_ptr_equal(block_find(cache, OWNER, 0), block);
	block_unpin(block);
	assert_ptr_equal(block_find(cache, OWNER, 0), block); /* until the next comes */
	add(OWNER, 1, 1);
	assert_null(block_find(cache, OWNER, 0));
	tear_down();
}

static void test_an_owner_is_dropped_whole(void **state)
{
	struct block *pinned;

	(void)state;
	set_up(1 << 20);
	for (uint64_t i = 0; i < 5; i++) {
		add(OWNER, i, 100);
		add(OWNER + 1, i, 100);
	}
	pinned = block_find(cache, OWNER, 2);
	block_pin(pinned);
	block_drop_owner(cache, OWNER, UINT64_MAX);
	for (uint64_t i = 0; i < 5; i++) {
		assert_non_null(block_find(cache, OWNER + 1, i));
		assert_ptr_equal(block_find(cache, OWNER, i), i == 2 ? pinned : NULL);
	}
	assert_int_equal(pinned->have, 0);
	assert_int_equal(block_cache_counters(cache)->blocks, 6);
	assert_int_equal(held(), 6 * COST(100));
	assert_int_equal(block_cache_counters(cache)->evictions, 0);
	block_unpin(pinned);
	block_drop_owner(cache, OWNER, UINT64_MAX);
	assert_null(block_find(cache, OWNER, 2));
	tear_down();
}

static void test_freed_though_pinned(void **state)
{
	struct block *block;

	(void)state;
	block_cache_free(NULL);
	set_up(1 << 20);
	add(OWNER, 0, 10);
	assert_int_equal(block_add(cache, OWNER, 1, 10, &block), 0); /* goes though it is pinned */
	tear_down();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found_by_owner_and_index),
		cmocka_unit_test(test_the_oldest_go_first),
		cmocka_unit_test(test_never_over_its_cap_for_long),
		cmocka_unit_test(test_pinned_ones_stay),
		cmocka_unit_test(test_the_cap_gives_way_to_pins),
		cmocka_unit_test(test_without_room),
		cmocka_unit_test(test_an_owner_is_dropped_whole),
		cmocka_unit_test(test_freed_though_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
