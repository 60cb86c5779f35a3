/* test_content_limits.c: what contents keep to when storage is crowded or fails: who may take how
 * many connections, what a probe of a size may cost, and how often is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "content_fixture.h"

#define HELD_MAX       256
#define FOREGROUND_MAX 128
#define FURTHER_MAX    96
#define PARTS_MAX      8
#define BACKGROUND_MAX 32

/* Requests to storage that wait for the test. */
static struct server_request *held[HELD_MAX];
static unsigned held_count;

static bool is_stored(const struct server_request *request)
{
	return strncmp(request->target, "/s/", 3) == 0;
}

/* Says nothing to storage's requests. */
static void handle_hold(struct server *whole, struct server_request *request)
{
	if (!is_stored(request)) {
		handle_all(whole, request);
		return;
	}
	assert_true(held_count < HELD_MAX);
	held[held_count++] = request;
}

static void hold_with(void (*handler)(struct server *, struct server_request *))
{
	held_count = 0;
	server.handle = handler;
}

/* --- Room --- */

static void start_opens(size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++) {
		char version[32];

		snprintf(version, sizeof(version), "s%zu", i);
		start_open(i, version);
	}
}

static void test_what_is_held_back_makes_room(void **state)
{
	int64_t start_ms;

	(void)state;
	storage.size = 600 * KIB; /* more than is wanted at first */
	storage.no_range = true;
	hold_with(handle_hold);
	start_opens(0, FOREGROUND_MAX);
	RUN_UNTIL(&loop, held_count == FOREGROUND_MAX);
	start_opens(FOREGROUND_MAX, 20);
	run_for(&loop, 100);
	assert_int_equal(held_count, FOREGROUND_MAX);
	start_ms = loop_now_ms();
	for (unsigned i = 0; i < 20; i++)
		answer_all(held[i]);
	RUN_UNTIL(&loop,
		  held_count == FOREGROUND_MAX + 20 || loop_now_ms() - start_ms > TIMEOUT_MS / 2);
	assert_int_equal(held_count, FOREGROUND_MAX + 20);
}

static void test_slow_files_leave_room_for_another(void **state)
{
	const size_t files = FURTHER_MAX / PARTS_MAX + 2;

	(void)state;
	storage.size = 60 * MIB;
	start_opens(0, files);
	for (size_t i = 0; i < files; i++)
		assert_int_equal(finish(i), 0);
	settle();
	hold_with(handle_hold);
	for (size_t i = 0; i < files * PARTS_MAX; i++) {
		char version[32];

		snprintf(version, sizeof(version), "s%zu", i % files);
		reader_of(i, version);
		start_read(i, (10 + i / files) * MIB, 4096);
	}
	RUN_UNTIL(&loop, held_count >= FURTHER_MAX);
	run_for(&loop, 200);
	assert_int_equal(held_count, FURTHER_MAX);
	start_open(READERS_MAX - 1, "another");
	RUN_UNTIL(&loop, held_count > FURTHER_MAX);
	assert_int_equal(strncmp(held[FURTHER_MAX]->target, "/s/another", 10), 0);
}

static void probe(const char *version, bool first_bytes)
{
	struct content *content;
	char path[64];

	snprintf(path, sizeof(path), "files/B/%s", version);
	assert_int_equal(contents_get(contents, "D", version, path, &content), 0);
	assert_int_equal(content_probe(content, first_bytes), 0);
	content_unref(content);
}

static void start_probes(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char version[32];

		snprintf(version, sizeof(version), "p%u", i);
		probe(version, false);
	}
}

/* As set_up_contents() but for how many connections there may be. */
static void allow_connections(size_t connections)
{
	struct config config = {
		.api_url = (char *)"http://127.0.0.1",
		.memory = contents_memory,
		.content = true,
		.connections = connections,
		.timeout_ms = TIMEOUT_MS,
	};

	free_contents();
	assert_int_equal(
		contents_new(&loop, storage_http, &config, fetcher, room, &failures, &contents), 0);
}

static void test_the_background_leaves_room(void **state)
{
	(void)state;
	allow_connections(256);
	hold_with(handle_hold);
	start_probes(80);
	RUN_UNTIL(&loop, held_count >= BACKGROUND_MAX);
	run_for(&loop, 200);
	assert_int_equal(held_count, BACKGROUND_MAX);
	start_opens(0, FOREGROUND_MAX);
	RUN_UNTIL(&loop, held_count >= FOREGROUND_MAX);
	run_for(&loop, 200);
	assert_int_equal(held_count, FOREGROUND_MAX); /* with those */
}

static void test_the_foreground_alone(void **state)
{
	(void)state;
	allow_connections(256);
	hold_with(handle_hold);
	start_opens(0, FOREGROUND_MAX + 16);
	RUN_UNTIL(&loop, held_count >= FOREGROUND_MAX);
	start_probes(10);
	run_for(&loop, 200);
	assert_int_equal(held_count, FOREGROUND_MAX);
}

/* Once there is room, who waits comes first: also who asks for what is being probed. */
static void test_links_of_probes_wait_for_others(void **state)
{
	(void)state;
	HOLDS(LINKS, FOREVER);
	HOLDS(DRIVE_URL, FOREVER);
	start_probes(8);
	RUN_UNTIL(&loop, server_count(&server, LINKS) == CONNECTIONS - 1);
	start(0, "A", true);
	start_open(0, "p7");
	for (unsigned i = 0; i < server.seen_count; i++) {
		if (strstr(server.seen[i].target, "/versions/p0/"))
			answer_link(&server.seen[i]);
		if (strstr(server.seen[i].target, "/versions/p1/"))
			answer_link(&server.seen[i]);
	}
	RUN_UNTIL(&loop,
		  server_count(&server, DRIVE_URL) + server_count(&server, LINKS "p7/") == 2);
	assert_int_equal(server_count(&server, LINKS), CONNECTIONS - 1 + 1); /* no other's */
	fetch_cancel(outcomes[0].fetch);
}

/* Nobody answers them, and still who waits is not kept waiting. */
static void test_hanging_links_of_probes_leave_room(void **state)
{
	(void)state;
	HOLDS(LINKS, FOREVER);
	start_probes(8);
	RUN_UNTIL(&loop, server_count(&server, LINKS) > 0);
	run_for(&loop, 50);
	start(0, "A", true);
	run_for(&loop, 300);
	assert_int_equal(outcomes[0].calls, 1);
	assert_int_equal(outcomes[0].error, 0);
	listing_unref(outcomes[0].listing);
	outcomes[0].listing = NULL;
}

/* --- Probes of sizes --- */

static void handle_endless_chunks(struct server *whole, struct server_request *request)
{
	if (!is_stored(request)) {
		handle_all(whole, request);
		return;
	}
	held[held_count++] = request;
	server_format(request, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void send_chunk(struct server_request *request)
{
	static char bytes[BLOCK];

	server_format(request, "%zx\r\n", sizeof(bytes));
	server_send(request, bytes, sizeof(bytes));
	server_send(request, "\r\n", 2);
	run_for(&loop, 10);
}

static void assert_lets_go(bool first_bytes)
{
	hold_with(handle_endless_chunks);
	probe("v", first_bytes);
	RUN_UNTIL(&loop, held_count == 1);
	for (int i = 0; i < 20; i++)
		send_chunk(held[0]);
	assert_int_equal(counters()->in_flight, 0);
	assert_null(held[0]->connection);
	assert_true(counters()->bytes <= BLOCK * 2);
	assert_int_equal(held_count, 1);
}

static void test_a_probe_lets_go_of_a_stream(void **state)
{
	(void)state;
	assert_lets_go(false);
}

static void test_a_probe_with_bytes_lets_go_of_a_stream(void **state)
{
	(void)state;
	assert_lets_go(true);
}

static void test_a_stream_that_is_too_slow_to_open_says_so(void **state)
{
	(void)state;
	hold_with(handle_endless_chunks);
	start_open(0, "v");
	RUN_UNTIL(&loop, held_count == 1);
	while (!readers[0].done) {
		clock_skip(&loop, TIMEOUT_MS / 5);
		send_chunk(held[0]);
	}
	assert_int_equal(readers[0].error, -ETIMEDOUT);
	assert_non_null(strstr(latest_failure()->what, "no length"));
	assert_int_equal(held_count, 1);
}

static void test_a_probe_leaves_no_block(void **state)
{
	uint64_t size = 0;
	size_t block_bytes = 1;

	(void)state;
	storage.size = 60 * MIB;
	probe("v", false);
	RUN_UNTIL(&loop, contents_size(contents, "v", &size));
	settle();
	assert_true(size == storage.size);
	assert_string_equal(range_of(0), "bytes=0-0");
	contents_bytes(contents, &block_bytes);
	assert_int_equal(block_bytes, 0);
	/* Somebody may want just that byte. */
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_some(0, 40 * MIB, 4096), 0);
	assert_int_equal(read_some(0, 0, 1), 0);
	assert_int_equal(counters()->requests, 3);
	assert_int_equal(read_some(0, 0, 4096), 0);
}

static void open_breaker(size_t reader)
{
	RESETS(STORAGE, FOREVER);
	for (unsigned i = 0; !contents_breaker_open(contents); i++) {
		assert_true(i < 200);
		if (readers[reader].done)
			start_read(reader, i * BLOCK, 4096);
		clock_skip(&loop, 50);
		run_for(&loop, 5);
	}
}

/* What is given up is forgotten, or it would stay for as long as the mount. */
static void test_probes_that_the_breaker_ends_are_forgotten(void **state)
{
	uint64_t before;

	(void)state;
	allow_connections(1);
	open_large();
	assert_int_equal(open_reader(1, "w"), 0);
	hold_with(handle_hold);
	start_read(0, 30 * MIB, 4096);
	RUN_UNTIL(&loop, held_count == 1); /* so that probes wait for their turn */
	before = counters()->contents;
	start_probes(20);
	RUN_UNTIL(&loop, counters()->links >= 22);
	run_for(&loop, 50);
	assert_int_equal(held_count, 1);
	assert_int_equal(counters()->contents, before + 20);
	server.handle = handle_all;
	open_breaker(1);
	run_for(&loop, 50);
	assert_int_equal(counters()->contents, before);
}

/* --- Who reads the same file --- */

static void handle_refuse_far(struct server *whole, struct server_request *request)
{
	uint64_t from;

	if (is_stored(request) &&
	    sscanf(server_header(request, "Range"), "bytes=%" SCNu64, &from) == 1 &&
	    from >= 30 * MIB)
		server_answer(request, 403, "", "no");
	else
		handle_all(whole, request);
}

static void test_a_range_that_is_always_refused(void **state)
{
	uint64_t links;
	int64_t start_ms;

	(void)state;
	open_large();
	server.handle = handle_refuse_far;
	reader_of(1, "v");
	links = counters()->links;
	start_ms = loop_now_ms();
	start_read(1, 40 * MIB, 4096);
	for (unsigned i = 0; i < 100 && !readers[1].done; i++)
		assert_int_equal(read_some(0, (8 + i * 7 % 400) * BLOCK, 4096), 0);
	assert_true(readers[1].done);
	assert_int_equal(readers[1].error, -EACCES);
	assert_true(counters()->links - links <= 4);
	assert_true(loop_now_ms() - start_ms < TIMEOUT_MS);
}

static void test_a_jump_drops_nothing_that_is_waited_for(void **state)
{
	struct readahead jump = {.next = 50 * MIB};
	struct content *content;
	struct iovec pieces[PIECES_MAX];
	uint64_t at = 2 * MIB;
	size_t count;
	size_t len;

	(void)state;
	open_large();
	for (uint64_t i = 0; i < 2 * MIB; i += 128 * KIB)
		assert_int_equal(read_some(0, i, 128 * KIB), 0);
	run_for(&loop, 200);
	assert_true(counters()->in_flight > 0); /* held back */
	reader_of(1, "v");
	readers[1].readahead = readers[0].readahead;
	close_reader(0); /* so that there is one reference, as of a file open once */
	content = readers[1].content;
	while ((len = content_peek(content, at, BLOCK, pieces, PIECES_MAX, &count)) > 0)
		at += len;
	start_read(1, at, 4096);
	assert_true(readers[1].waits);
	assert_int_equal(content_want(content, &jump, 0, 4096), 0); /* which is there */
	assert_int_equal(finish(1), 0);
	assert_bytes_right(1);
}

/* --- Tries --- */

static bool stream_is_garbled; /* or is cut */

/* A stream whose length nobody tells, which ends badly. */
static void handle_bad_stream(struct server *whole, struct server_request *request)
{
	static char bytes[700 * KIB];

	if (!is_stored(request)) {
		handle_all(whole, request);
		return;
	}
	for (uint64_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = byte_at(i);
	server_format(request, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n",
		      sizeof(bytes));
	server_send(request, bytes, sizeof(bytes));
	server_format(request, stream_is_garbled ? "\r\nnothing of the kind\r\n" : "\r\n");
	server_hang_up(request);
}

static void test_a_failing_stream_is_not_hurried(void **state)
{
	(void)state;
	server.handle = handle_bad_stream;
	for (size_t i = 0; i < 2; i++) {
		const char *version = i == 1 ? "v" : "w";
		uint64_t before = counters()->requests;
		int error;

		stream_is_garbled = i == 1;
		error = open_reader(i, version);
		assert_true(error < 0);
		assert_in_range(counters()->requests - before, 2, 7); /* as back-off doubles */
		before = counters()->requests;
		for (size_t k = 0; k < 5; k++)
			assert_int_equal(open_reader(i, version), error);
		/* The back-off's next try may be due just then. */
		assert_in_range(counters()->requests - before, 0, 1);
	}
}

static void test_a_stream_is_asked_for_again_rightly(void **state)
{
	(void)state;
	stream_is_garbled = false;
	server.handle = handle_bad_stream;
	start_open(0, "v");
	RUN_UNTIL(&loop, counters()->retries == 1);
	server.handle = handle_all;
	storage.size = 800 * KIB;
	storage.no_range = true;
	storage.chunked = true;
	assert_int_equal(finish(0), 0);
	assert_true(content_size(readers[0].content) == storage.size);
	assert_int_equal(read_all(0), 0);
	assert_true(stored() >= 2);
	for (unsigned i = 0; i < stored(); i++) {
		uint64_t from;
		uint64_t last;

		if (!range_of(i))
			continue;
		assert_int_equal(sscanf(range_of(i), "bytes=%" SCNu64 "-%" SCNu64, &from, &last),
				 2);
		assert_true(from <= last);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONTENT_TEST(test_what_is_held_back_makes_room),
		CONTENT_TEST(test_slow_files_leave_room_for_another),
		CONTENT_TEST(test_the_background_leaves_room),
		CONTENT_TEST(test_the_foreground_alone),
		CONTENT_TEST(test_links_of_probes_wait_for_others),
		CONTENT_TEST(test_hanging_links_of_probes_leave_room),
		CONTENT_TEST(test_a_probe_lets_go_of_a_stream),
		CONTENT_TEST(test_a_probe_with_bytes_lets_go_of_a_stream),
		CONTENT_TEST(test_a_stream_that_is_too_slow_to_open_says_so),
		CONTENT_TEST(test_a_probe_leaves_no_block),
		CONTENT_TEST(test_probes_that_the_breaker_ends_are_forgotten),
		CONTENT_TEST(test_a_range_that_is_always_refused),
		CONTENT_TEST(test_a_jump_drops_nothing_that_is_waited_for),
		CONTENT_TEST(test_a_failing_stream_is_not_hurried),
		CONTENT_TEST(test_a_stream_is_asked_for_again_rightly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
