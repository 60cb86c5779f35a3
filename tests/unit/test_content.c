/* test_content.c: documents' bytes: one link and one request to know the size, each byte asked for
 * once, as few requests as may be, and nothing kept that nobody needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TIMEOUT_MS 15000 /* nothing here is about time */
#include "content_fixture.h"

/* --- Sizes --- */

static void test_open_learns_the_size_by_what_brings_the_first_bytes(void **state)
{
	uint64_t size = 0;

	(void)state;
	storage.size = 100 * KIB + 17;
	assert_false(contents_size(contents, "v1", &size));
	assert_int_equal(open_reader(0, "v1"), 0);
	assert_int_equal(content_size(readers[0].content), storage.size);
	assert_true(contents_size(contents, "v1", &size));
	assert_int_equal(size, storage.size);
	settle();
	assert_int_equal(read_some(0, 0, 128 * KIB), 0);
	assert_int_equal(readers[0].len, storage.size);
	assert_int_equal(counters()->links, 1);
	assert_int_equal(counters()->requests, 1);
	assert_int_equal(stored(), 1);
	assert_string_equal(range_of(0), "bytes=0-524287");
	assert_int_equal(counters()->bytes, storage.size);
	assert_int_equal(server_count(&server, "GET /api/documents/D/versions/v1/downloadlink"), 1);
}

static void test_a_size_alone_costs_one_byte(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	readers[0].without_bytes = true;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(content_size(readers[0].content), storage.size);
	settle();
	assert_string_equal(range_of(0), "bytes=0-0");
	assert_int_equal(counters()->bytes, 1);
	assert_int_equal(open_reader(1, "v"), 0); /* from now on it is known */
	assert_int_equal(counters()->requests, 1);
}

/* Waiters are told of the size as soon as the head is there: the body may take long. */
static void test_the_size_does_not_wait_for_the_bytes(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	HOLDS(STORAGE, 1);
	start_open(0, "v");
	RUN_UNTIL(&loop, stored() == 1);
	server_format(&server.seen[server.seen_count - 1],
		      "HTTP/1.1 206 Part\r\nContent-Length: 524288\r\n"
		      "Content-Range: bytes 0-524287/62914560\r\n\r\nx");
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(content_size(readers[0].content), 62914560);
	assert_int_equal(counters()->in_flight, 1);
}

static void test_a_probe_learns_a_size_that_nobody_waits_for(void **state)
{
	struct content *content;
	uint64_t size;

	(void)state;
	storage.size = 5 * MIB;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(contents_get(contents, "D", "v", "files/v", &content), 0);
		assert_int_equal(content_probe(content, false), 0);
		content_unref(content);
	}
	RUN_UNTIL(&loop, contents_size(contents, "v", &size));
	assert_int_equal(size, 5 * MIB);
	settle();
	assert_int_equal(counters()->requests, 1);
	assert_int_equal(counters()->bytes, 1);
}

/* Else every file that a listing with sizes=exact shows would hold a connection for ever. */
static void test_a_probe_of_a_stream_lets_it_go(void **state)
{
	struct content *content;
	uint64_t size;

	(void)state;
	storage.size = 20 * MIB;
	storage.no_range = true;
	for (char version[] = "a"; version[0] < 'f'; version[0]++) {
		assert_int_equal(contents_get(contents, "D", version, "files/v", &content), 0);
		assert_int_equal(content_probe(content, false), 0);
		content_unref(content);
		RUN_UNTIL(&loop, contents_size(contents, version, &size));
		settle();
	}
	assert_int_equal(counters()->requests, 5);
	assert_true(counters()->bytes < 5 * MIB);
	assert_int_equal(failures.total, 0);
	/* Whoever opens it then finds no trace of that. */
	assert_int_equal(open_reader(0, "e"), 0);
	assert_int_equal(read_some(0, 0, 4096), 0);
}

/* --- Who shares what --- */

static void test_many_readers_of_one_version_cost_one_request(void **state)
{
	(void)state;
	storage.size = 300 * KIB;
	for (size_t i = 0; i < 50; i++)
		start_open(i, "v");
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(finish(i), 0);
	for (size_t i = 0; i < 50; i++)
		start_read(i, i * KIB, 256 * KIB);
	for (size_t i = 0; i < 50; i++) {
		assert_int_equal(finish(i), 0);
		assert_bytes_right(i);
	}
	assert_int_equal(counters()->links, 1);
	assert_int_equal(counters()->requests, 1);
	assert_int_equal(counters()->contents, 1);
	assert_int_equal(counters()->bytes, storage.size);
}

static void test_readers_far_into_a_file_share_too(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	settle();
	for (size_t i = 0; i < 20; i++) {
		if (i)
			assert_int_equal(open_reader(i, "v"), 0);
		start_read(i, 30 * MIB + 5000, 4096);
	}
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(finish(i), 0);
		assert_bytes_right(i);
	}
	settle();
	assert_int_equal(counters()->requests, 2);
}

static void test_versions_are_separate(void **state)
{
	(void)state;
	storage.size = 1000;
	assert_int_equal(open_reader(0, "v1"), 0);
	settle();
	storage.seed = 77;
	storage.size = 2000;
	assert_int_equal(open_reader(1, "v2"), 0);
	assert_int_equal(content_size(readers[0].content), 1000);
	assert_int_equal(content_size(readers[1].content), 2000);
	assert_int_equal(read_some(1, 0, 2000), 0);
	storage.seed = 0; /* as the first was */
	assert_int_equal(read_some(0, 0, 1000), 0);
	assert_true(contents_key(contents, "v1") != contents_key(contents, "v2") &&
		    contents_key(contents, "") != 0);
}

/* A held answer of one file does not hold another. */
static void test_nobody_waits_for_anothers_download(void **state)
{
	(void)state;
	storage.size = 300 * KIB;
	HOLDS(STORAGE "slow", FOREVER);
	for (size_t i = 0; i < 20; i++) {
		char version[32];

		snprintf(version, sizeof(version), "slow%zu", i);
		start_open(i, version);
	}
	RUN_UNTIL(&loop, server_count(&server, STORAGE "slow") == 20);
	assert_int_equal(open_reader(100, "quick"), 0);
	assert_int_equal(read_some(100, 0, 4096), 0);
	assert_false(readers[0].done);
	release_all();
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(finish(i), 0);
}

/* --- What is asked for --- */

static void test_each_byte_of_a_sequential_reader_comes_once(void **state)
{
	uint64_t most = 0;

	(void)state;
	storage.size = 40 * MIB + 12345;
	assert_int_equal(open_reader(0, "v"), 0);
	for (uint64_t at = 0; at < storage.size; at += 128 * KIB) {
		assert_int_equal(read_some(0, at, 128 * KIB), 0);
		most = counters()->in_flight > most ? counters()->in_flight : most;
	}
	settle();
	assert_int_equal(counters()->bytes, storage.size);
	assert_true(most >= 2); /* several under way */
	assert_true(most <= CONNECTIONS + 1);
	assert_in_range(counters()->requests, 3, 8);
	assert_int_equal(counters()->links, 1);
	assert_int_equal(counters()->retries, 0);
}

static void test_small_reads_fetch_little(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_some(0, 40 * MIB + 123, 4096), 0);
	assert_int_equal(read_some(0, 20 * MIB + 456, 4096), 0);
	settle();
	assert_int_equal(counters()->requests, 3);
	assert_string_equal(range_of(1), "bytes=41943040-41947258");
	assert_true(counters()->bytes < MIB);
	/* And the same again nothing. */
	assert_int_equal(read_some(0, 40 * MIB + 1000, 2000), 0);
	assert_int_equal(counters()->requests, 3);
}

/* What a block lacks is asked for from where it ends. */
static void test_a_block_is_completed(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	settle();
	assert_int_equal(read_some(0, 10 * MIB, 100), 0);
	assert_int_equal(read_some(0, 50 * MIB, 100), 0); /* so that the next is a jump too */
	assert_int_equal(read_some(0, 10 * MIB + 50, 200), 0);
	assert_string_equal(range_of(3), "bytes=10485860-10486009");
	settle();
	assert_int_equal(counters()->bytes, FIRST_BYTES + 100 + 100 + 150);
}

static void test_at_the_end_nothing_is_asked_for(void **state)
{
	struct readahead readahead = {0};

	(void)state;
	storage.size = MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	settle();
	assert_int_equal(content_want(readers[0].content, &readahead, MIB, 4096), 0);
	readahead = (struct readahead){0};
	assert_int_equal(content_want(readers[0].content, &readahead, 2 * MIB, 4096), 0);
	readahead = (struct readahead){0};
	assert_int_equal(content_want(readers[0].content, &readahead, UINT64_MAX - 4096, 4096), 0);
	settle();
	assert_int_equal(counters()->requests, 1);
	assert_int_equal(read_some(0, MIB - 10, 4096), 0);
	assert_int_equal(readers[0].got, 10);
}

/* A reader of very much at once gets it piece by piece, through a cache that holds less. */
static void test_more_than_the_cache_holds(void **state)
{
	size_t block_bytes;

	(void)state;
	storage.size = 20 * MIB; /* 12 MiB of blocks is the most */
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_all(0), 0);
	assert_int_equal(read_some(0, 0, 19 * MIB), 0);
	settle();
	assert_true(contents_bytes(contents, &block_bytes) <= 16 * MIB);
	assert_true(block_bytes > 8 * MIB && block_bytes <= 12 * MIB);
}

/* --- Who leaves --- */

static void test_what_nobody_waits_for_is_not_fetched(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_some(0, 0, 256 * KIB), 0);
	settle();
	HOLDS(STORAGE, FOREVER);
	start_read(0, 10 * MIB, 128 * KIB);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	close_reader(0);
	RUN_UNTIL(&loop, server_waiting(&server) == 0);
	assert_int_equal(counters()->in_flight, 0);
	assert_int_equal(counters()->contents, 1); /* its size stays known */
	assert_int_equal(failures.total, 0);
}

/* Before anything is known of it nothing stays at all. */
static void test_who_leaves_while_the_link_comes(void **state)
{
	(void)state;
	storage.size = MIB;
	HOLDS(LINKS, 1);
	start_open(0, "v");
	RUN_UNTIL(&loop, server_count(&server, LINKS) == 1);
	close_reader(0);
	release_all();
	settle();
	assert_int_equal(stored(), 0);
	assert_int_equal(counters()->contents, 0);
}

static void test_one_of_two_leaves(void **state)
{
	(void)state;
	storage.size = MIB;
	HOLDS(STORAGE, 1);
	start_open(0, "v");
	start_open(1, "v");
	RUN_UNTIL(&loop, stored() == 1);
	close_reader(0);
	release_all();
	assert_int_equal(finish(1), 0);
	assert_int_equal(counters()->requests, 1);
}

static void probe_many(unsigned count)
{
	char path[1001];

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (unsigned i = 0; i < count; i++) {
		struct content *content;
		char version[32];
		uint64_t size;

		snprintf(version, sizeof(version), "n%u", i);
		assert_int_equal(contents_get(contents, "D", version, path, &content), 0);
		assert_int_equal(content_probe(content, false), 0);
		content_unref(content);
		RUN_UNTIL(&loop, contents_size(contents, version, &size));
		settle();
		server.seen_count = 0;
	}
}

static int set_up_small(void **state)
{
	contents_memory = 1 << 20; /* 256 KiB for contents, a quarter of it for idle ones */
	set_up_contents(state);
	contents_memory = 64 << 20;
	return 0;
}

static void test_sizes_that_nobody_needs_are_bounded(void **state)
{
	size_t block_bytes;
	uint64_t size;

	(void)state;
	storage.size = 1;
	assert_int_equal(open_reader(0, "held"), 0);
	probe_many(100);
	assert_in_range(counters()->contents, 20, 65);
	assert_true(contents_bytes(contents, &block_bytes) <= 256 * KIB);
	assert_true(contents_size(contents, "n99", &size));
	assert_false(contents_size(contents, "n0", &size)); /* the oldest goes first */
	assert_true(contents_size(contents, "held", &size));
	/* Use makes young. */
	assert_int_equal(open_reader(1, "n70"), 0);
	close_reader(1);
	probe_many(20);
	assert_true(contents_size(contents, "n70", &size));
}

/* What was forgotten may come back as something else: no byte of before may be among it. */
static void test_a_forgotten_version_leaves_no_bytes(void **state)
{
	uint64_t size;

	(void)state;
	storage.size = 70000;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_some(0, 0, 70000), 0);
	close_reader(0);
	storage.size = 1;
	probe_many(70);
	assert_false(contents_size(contents, "v", &size));
	storage.size = 130000; /* in the same blocks */
	storage.seed = 3;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_some(0, 0, 130000), 0);
	assert_int_equal(readers[0].got, 130000);
}

/* --- The end --- */

static void test_freed_with_everything_under_way(void **state)
{
	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "read"), 0);
	assert_int_equal(read_some(0, 0, 256 * KIB), 0);
	HOLDS(STORAGE, FOREVER);
	HOLDS(LINKS "linked", FOREVER);
	start_read(0, 30 * MIB, 128 * KIB);
	start_open(1, "linked");
	start_open(2, "opened");
	RUN_UNTIL(&loop, server_waiting(&server) >= 3);
	free_contents();
	run_for(&loop, 50); /* whatever still comes finds nobody */
	contents_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONTENT_TEST(test_open_learns_the_size_by_what_brings_the_first_bytes),
		CONTENT_TEST(test_a_size_alone_costs_one_byte),
		CONTENT_TEST(test_the_size_does_not_wait_for_the_bytes),
		CONTENT_TEST(test_a_probe_learns_a_size_that_nobody_waits_for),
		CONTENT_TEST(test_a_probe_of_a_stream_lets_it_go),
		CONTENT_TEST(test_many_readers_of_one_version_cost_one_request),
		CONTENT_TEST(test_readers_far_into_a_file_share_too),
		CONTENT_TEST(test_versions_are_separate),
		CONTENT_TEST(test_nobody_waits_for_anothers_download),
		CONTENT_TEST(test_each_byte_of_a_sequential_reader_comes_once),
		CONTENT_TEST(test_small_reads_fetch_little),
		CONTENT_TEST(test_a_block_is_completed),
		CONTENT_TEST(test_at_the_end_nothing_is_asked_for),
		CONTENT_TEST(test_more_than_the_cache_holds),
		CONTENT_TEST(test_what_nobody_waits_for_is_not_fetched),
		CONTENT_TEST(test_who_leaves_while_the_link_comes),
		CONTENT_TEST(test_one_of_two_leaves),
		cmocka_unit_test_setup_teardown(test_sizes_that_nobody_needs_are_bounded,
						set_up_small, tear_down_contents),
		cmocka_unit_test_setup_teardown(test_a_forgotten_version_leaves_no_bytes,
						set_up_small, tear_down_contents),
		CONTENT_TEST(test_freed_with_everything_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
