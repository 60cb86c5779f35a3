/* test_content_stream.c: storage that knows no ranges: one stream from the start, paused when
 * nobody wants more, shared, and never a second copy of what came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIMEOUT_MS 15000 /* nothing here is about time */
#include "content_fixture.h"

/* What one pause may be late by: curl's buffer. */
#define SLACK_BYTES (256 * KIB)

static int set_up_stream(void **state)
{
	set_up_contents(state);
	storage.no_range = true;
	return 0;
}

static void test_read_in_order_it_is_one_request(void **state)
{
	(void)state;
	storage.size = 8 * MIB + 17;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_all(0), 0);
	settle();
	assert_int_equal(counters()->requests, 1);
	assert_int_equal(counters()->bytes, storage.size);
	assert_int_equal(counters()->retries, 0);
}

static void test_it_stops_where_nobody_wants_more(void **state)
{
	uint64_t before;

	(void)state;
	storage.size = 40 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	run_for(&loop, 100);
	assert_in_range(counters()->bytes, FIRST_BYTES, FIRST_BYTES + SLACK_BYTES);
	assert_int_equal(counters()->in_flight, 1);
	before = counters()->bytes;
	run_for(&loop, 100);
	assert_int_equal(counters()->bytes, before);
	/* And goes on from there. */
	assert_int_equal(read_some(0, FIRST_BYTES, 4096), 0);
	run_for(&loop, 100);
	assert_true(counters()->bytes < 3 * MIB);
	assert_int_equal(counters()->requests, 1);
	close_reader(0);
	settle();
	assert_int_equal(failures.total, 0);
}

/* Who waits for bytes in the middle of a block is told as soon as they are there. */
static void test_a_stream_that_pauses_within_a_block_wakes_who_waits(void **state)
{
	(void)state;
	storage.size = 2 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	run_for(&loop, 50);
	for (uint64_t at = 600 * KIB; at < 2 * MIB - 100001; at += 100001 + 77) {
		readers[0].readahead = (struct readahead){0}; /* a reader without any run-up */
		assert_int_equal(read_some(0, at, 100001), 0);
	}
	assert_int_equal(wait_counters(room)->missed, 0);
}

static void test_a_jump_back_begins_anew(void **state)
{
	(void)state;
	contents_memory = 64 << 20;
	storage.size = 30 * MIB; /* more than the blocks of the start stay */
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_all(0), 0);
	assert_int_equal(counters()->requests, 1);
	assert_int_equal(read_some(0, 100, 4096), 0);
	assert_int_equal(counters()->requests, 2);
	assert_int_equal(read_some(0, 29 * MIB, 4096), 0); /* still there */
	assert_int_equal(counters()->requests, 2);
}

static void test_readers_share_a_stream(void **state)
{
	(void)state;
	storage.size = 6 * MIB;
	for (size_t i = 0; i < 10; i++)
		start_open(i, "v");
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(finish(i), 0);
	for (size_t i = 0; i < 10; i++)
		start_read(i, i * 500 * KIB, 100 * KIB);
	for (size_t i = 0; i < 10; i++) {
		assert_int_equal(finish(i), 0);
		assert_bytes_right(i);
	}
	assert_int_equal(counters()->requests, 1);
	assert_true(counters()->bytes <= storage.size);
}

static void test_without_a_length_the_end_tells_the_size(void **state)
{
	(void)state;
	storage.chunked = true;
	for (unsigned i = 0; i < 4; i++) {
		static const uint64_t sizes[] = {0, 1, 65536, 3 * 1024 * 1024 + 5};
		char version[] = {(char)('a' + (int)i), '\0'};

		storage.size = sizes[i];
		assert_int_equal(open_reader(i, version), 0);
		assert_int_equal(content_size(readers[i].content), storage.size);
		assert_int_equal(read_all(i), 0);
	}
	assert_int_equal(counters()->requests, 4);
}

/* Larger than memory, and its length not told: it comes again for who reads it from the start. */
static void test_a_huge_one_without_a_length(void **state)
{
	size_t block_bytes;

	(void)state;
	storage.chunked = true;
	storage.size = 20 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(content_size(readers[0].content), storage.size);
	contents_bytes(contents, &block_bytes);
	assert_true(block_bytes <= 12 * MIB);
	assert_int_equal(read_all(0), 0);
	assert_in_range(counters()->requests, 2, 3);
}

/* More files than connections, each read a bit: who waits comes before who waits no longer. */
static void test_two_hundred_streams(void **state)
{
	uint64_t most = 0;

	(void)state;
	storage.size = 600 * KIB;
	for (size_t i = 0; i < 200; i++) {
		char version[32];

		snprintf(version, sizeof(version), "s%zu", i);
		start_open(i, version);
		if (i % 50 < 49)
			continue;
		for (size_t j = i - 49; j <= i; j++)
			assert_int_equal(finish(j), 0);
		most = counters()->in_flight > most ? counters()->in_flight : most;
		server.seen_count = 0; /* all were answered */
	}
	assert_int_equal(most, 32); /* the others make way, and begin anew */
	for (size_t i = 0; i < 200; i += 10) {
		assert_int_equal(read_some(i, 590 * KIB, 10 * KIB), 0);
		assert_int_equal(read_some(i, 0, 64 * KIB), 0);
		assert_true(counters()->in_flight <= 65);
	}
	assert_int_equal(failures.total, 0);
	for (size_t i = 0; i < 200; i++)
		close_reader(i);
	settle();
	assert_int_equal(wait_counters(room)->missed, 0);
}

/* The connection of a paused stream may be cut: nobody needed it then. */
static void test_cut_off_while_paused(void **state)
{
	(void)state;
	storage.size = 40 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	run_for(&loop, 50);
	while (server.open)
		server_close_connection(server.open);
	run_for(&loop, 50);
	assert_int_equal(read_some(0, 0, 4096), 0);
	assert_int_equal(read_some(0, 700 * KIB, 4096), 0);
	assert_int_equal(failures.total, 0);
}

/* Cut off in the middle it starts again; what is there is not taken twice. */
static void test_cut_off_while_it_comes(void **state)
{
	(void)state;
	storage.size = 3 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	storage.cuts = true;
	close_reader(0);
	assert_int_equal(open_reader(0, "w"), 0);
	start_read(0, 2 * MIB, 4096);
	RUN_UNTIL(&loop, counters()->retries == 1);
	storage.cuts = false;
	assert_int_equal(finish(0), 0);
	assert_bytes_right(0);
	assert_int_equal(read_all(0), 0);
	assert_int_equal(failures.total, 0);
}

/* A server that learns ranges, or forgets them, in the middle of it. */
static void test_now_with_ranges_now_without(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	storage.no_range = false;
	assert_int_equal(read_some(0, 50 * MIB, 4096), 0);
	assert_int_equal(read_some(0, 20 * MIB, 4096), 0);
	storage.no_range = true;
	assert_int_equal(read_some(0, 5 * MIB, 4096), 0);
	storage.no_range = false;
	assert_int_equal(read_some(0, 55 * MIB + 1, 128 * KIB), 0);
	assert_int_equal(failures.total, 0);
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

/* Whatever is read, in whatever order, through a small cache, with and without ranges. */
static void test_random_reads(void **state)
{
	static const uint64_t sizes[] = {1, 65535, 65536, 65537, 700001, 2500000};
	unsigned seed = 42;

	(void)state;
	for (size_t i = 0; i < COUNT(sizes) * 3; i++) {
		char version[] = {(char)('a' + (int)i), '\0'};

		storage.size = sizes[i / 3];
		storage.seed = (unsigned)i;
		storage.no_range = i % 3 != 0;
		storage.chunked = i % 3 == 2;
		server.seen_count = 0;
		assert_int_equal(open_reader(0, version), 0);
		assert_int_equal(open_reader(1, version), 0);
		for (int reads = 0; reads < 30; reads++) {
			uint64_t at = next_random(&seed) % storage.size;
			size_t len = next_random(&seed) % 300000 + 1;
			size_t other = next_random(&seed) % 5000 + 1;

			if (reads % 4 == 0)
				storage.no_range = next_random(&seed) % 2;
			start_read(0, at, len);
			start_read(1, next_random(&seed) % storage.size, other);
			assert_int_equal(finish(0), 0);
			assert_int_equal(finish(1), 0);
			assert_bytes_right(0);
			assert_bytes_right(1);
			assert_true(counters()->in_flight <= 16);
			if (server_waiting(&server) == 0)
				server.seen_count = 0;
		}
		close_reader(0);
		close_reader(1);
		settle();
	}
	assert_int_equal(wait_counters(room)->missed, 0);
	assert_int_equal(failures.total, 0);
}

static int set_up_random(void **state)
{
	contents_memory = 4 << 20; /* 768 KiB of blocks: twelve */
	set_up_contents(state);
	contents_memory = 64 << 20;
	return 0;
}

#define STREAM_TEST(function)                                                                      \
	cmocka_unit_test_setup_teardown(function, set_up_stream, tear_down_contents)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		STREAM_TEST(test_read_in_order_it_is_one_request),
		STREAM_TEST(test_it_stops_where_nobody_wants_more),
		STREAM_TEST(test_a_stream_that_pauses_within_a_block_wakes_who_waits),
		STREAM_TEST(test_a_jump_back_begins_anew),
		STREAM_TEST(test_readers_share_a_stream),
		STREAM_TEST(test_without_a_length_the_end_tells_the_size),
		STREAM_TEST(test_a_huge_one_without_a_length),
		STREAM_TEST(test_two_hundred_streams),
		STREAM_TEST(test_cut_off_while_paused),
		STREAM_TEST(test_cut_off_while_it_comes),
		STREAM_TEST(test_now_with_ranges_now_without),
		cmocka_unit_test_setup_teardown(test_random_reads, set_up_random,
						tear_down_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
