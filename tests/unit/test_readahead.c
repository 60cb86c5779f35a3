/* test_readahead.c: read-ahead grows with what was read in one go, and a jump ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "readahead.h"

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define KIB	   1024
#define MIB	   (1024 * 1024)
#define MAX	   (8 * MIB)
#define SLACK	   READAHEAD_SLACK_BYTES
#define BACK	   READAHEAD_BACK_BYTES

struct step {
	uint64_t offset;
	uint64_t len;
	uint64_t lead;
};

static void go(const struct step *steps, size_t count, uint64_t max)
{
	struct readahead readahead = {0};

	for (size_t i = 0; i < count; i++)
		assert_int_equal(readahead_note(&readahead, steps[i].offset, steps[i].len, max),
				 steps[i].lead);
}

#define GO(max, ...)                                                                               \
	go((const struct step[]){__VA_ARGS__},                                                     \
	   sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step), max)

/* What is fetched in vain is never more than what was read. */
static void test_the_lead_is_what_was_read(void **state)
{
	(void)state;
	GO(MAX, {0, 128 * KIB, 128 * KIB}, {128 * KIB, 128 * KIB, 256 * KIB},
	   {256 * KIB, 4 * KIB, 260 * KIB}, {260 * KIB, 1, 260 * KIB + 1});
}

static void test_the_lead_is_bounded(void **state)
{
	(void)state;
	GO(300 * KIB, {0, 128 * KIB, 128 * KIB}, {128 * KIB, 128 * KIB, 256 * KIB},
	   {256 * KIB, 128 * KIB, 300 * KIB}, {384 * KIB, MIB, 300 * KIB});
	GO(0, {0, MIB, 0}, {MIB, MIB, 0});
}

static void test_the_same_again_adds_nothing(void **state)
{
	(void)state;
	GO(MAX, {0, 64 * KIB, 64 * KIB}, {0, 64 * KIB, 64 * KIB}, {10, 100, 64 * KIB},
	   {32 * KIB, 64 * KIB, 96 * KIB}, {96 * KIB, 0, 96 * KIB});
}

/* The kernel sends several reads at once, and they arrive in any order. */
static void test_out_of_order_is_no_jump(void **state)
{
	(void)state;
	GO(MAX, {0, 128 * KIB, 128 * KIB}, {256 * KIB, 128 * KIB, 128 * KIB},
	   {128 * KIB, 128 * KIB, 384 * KIB}, {384 * KIB, 128 * KIB, 512 * KIB});
	/* The first two, and several. */
	GO(MAX, {128 * KIB, 128 * KIB, 0}, {0, 128 * KIB, 256 * KIB});
	GO(MAX, {0, MIB, MIB}, {MIB + 256 * KIB, 128 * KIB, MIB - 128 * KIB},
	   {MIB + 384 * KIB, 128 * KIB, MIB}, {MIB + 128 * KIB, 128 * KIB, MIB + 256 * KIB},
	   {MIB, 128 * KIB, MIB + 512 * KIB});
}

/* A little of each stretch: what was fetched after it would be in vain. */
static void test_strides_are_jumps(void **state)
{
	struct readahead readahead = {0};

	(void)state;
	for (uint64_t at = 0; at < 60 * MIB; at += 300 * KIB)
		assert_int_equal(readahead_note(&readahead, at, 4 * KIB, MAX), at ? 0 : 4 * KIB);
	/* Reading on, it is soon ahead again. */
	assert_int_equal(readahead_note(&readahead, readahead.next, 128 * KIB, MAX), 128 * KIB);
	/* What was fetched ahead of who begins to stride is used up. */
	GO(MAX, {0, MIB, MIB}, {MIB + 400 * KIB, 4 * KIB, 628 * KIB},
	   {MIB + 804 * KIB, 4 * KIB, 232 * KIB}, {MIB + 1208 * KIB, 4 * KIB, 0});
	/* Less is skipped than read: worth what is left. */
	GO(MAX, {0, 128 * KIB, 128 * KIB}, {160 * KIB, 128 * KIB, 224 * KIB},
	   {320 * KIB, 128 * KIB, 320 * KIB});
}

static void test_a_jump_starts_anew(void **state)
{
	(void)state;
	/* Ahead, and on from there. */
	GO(MAX, {0, MIB, MIB}, {20 * MIB, 4 * KIB, 0}, {20 * MIB + 4 * KIB, 4 * KIB, 4 * KIB});
	/* Back to the start. */
	GO(MAX, {0, 8 * MIB, 8 * MIB}, {0, 4 * KIB, 0}, {4 * KIB, 4 * KIB, 4 * KIB});
	/* To the end and back, as who looks for a directory there. */
	GO(MAX, {60 * MIB, 4 * KIB, 0}, {0, 4 * KIB, 0}, {60 * MIB, 4 * KIB, 0});
	/* A random reader never gets any. */
	GO(MAX, {7 * MIB, 4 * KIB, 0}, {3 * MIB, 4 * KIB, 0}, {9 * MIB, 4 * KIB, 0},
	   {1 * MIB, 4 * KIB, 0});
}

static void test_where_a_jump_begins(void **state)
{
	static const struct {
		uint64_t offset;
		uint64_t lead;
	} table[] = {
		{20 * MIB, MIB + 1},	   {20 * MIB + SLACK, MIB + 1 - SLACK},
		{20 * MIB + SLACK + 1, 0}, {20 * MIB - BACK, MIB},
		{20 * MIB - BACK - 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct readahead readahead = {.next = 20 * MIB, .read = MIB};

		assert_int_equal(readahead_note(&readahead, table[i].offset, 1, MAX),
				 table[i].lead);
	}
}

/* Files larger than 4 GiB, and the end of what offsets can say. */
static void test_far_out(void **state)
{
	const uint64_t far = UINT64_C(1) << 62;

	(void)state;
	GO(MAX, {far, 4096, 0}, {far + 4096, 4096, 4096}, {far + 8192, 4096, 8192});
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_lead_is_what_was_read),
		cmocka_unit_test(test_the_lead_is_bounded),
		cmocka_unit_test(test_the_same_again_adds_nothing),
		cmocka_unit_test(test_out_of_order_is_no_jump),
		cmocka_unit_test(test_strides_are_jumps),
		cmocka_unit_test(test_a_jump_starts_anew),
		cmocka_unit_test(test_where_a_jump_begins),
		cmocka_unit_test(test_far_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
