/* test_content_silence.c: when storage counts as silent: not while bytes flow; and what becomes of
 * transfers that somebody holds back or waits for no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "content_fixture.h"

#define HELD_MAX 128

/* Requests to storage that wait for the test, and where each is. */
static struct server_request *held[HELD_MAX];
static unsigned held_count;
static uint64_t held_at[HELD_MAX];

static bool is_stored(const struct server_request *request)
{
	return strncmp(request->target, "/s/", 3) == 0;
}

/* Answers with the head alone. */
static void handle_head(struct server *whole, struct server_request *request)
{
	uint64_t from;
	uint64_t last;

	if (!is_stored(request)) {
		handle_all(whole, request);
		return;
	}
	assert_int_equal(
		sscanf(server_header(request, "Range"), "bytes=%" SCNu64 "-%" SCNu64, &from, &last),
		2);
	assert_true(held_count < HELD_MAX);
	held_at[held_count] = from;
	held[held_count++] = request;
	server_format(request,
		      "HTTP/1.1 206 Part\r\nContent-Length: %" PRIu64
		      "\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
		      last + 1 - from, from, last, storage.size);
}

/* Each of those under way brings some bytes. */
static void trickle(size_t len)
{
	static char bytes[BLOCK];

	for (unsigned i = 0; i < held_count; i++) {
		for (size_t k = 0; k < len; k++)
			bytes[k] = byte_at(held_at[i] + k);
		server_send(held[i], bytes, len);
		held_at[i] += len;
	}
	run_for(&loop, 20);
}

static void hold_with(void (*handler)(struct server *, struct server_request *))
{
	held_count = 0;
	server.handle = handler;
}

/* --- Bytes that flow --- */

/* Two files with a transfer each, which go on slowly. */
static void start_two(void)
{
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(open_reader(1, "w"), 0);
	settle();
	hold_with(handle_head);
	start_read(0, 10 * MIB, 900 * KIB);
	start_read(1, 10 * MIB, 900 * KIB);
	RUN_UNTIL(&loop, held_count == 2);
	trickle(30000);
}

static void test_old_transfers_that_are_cut_are_no_silence(void **state)
{
	(void)state;
	start_two();
	for (int i = 0; i < 8; i++) {
		clock_skip(&loop, 400);
		trickle(50000);
	}
	RUN_UNTIL(&loop, readers[0].done && readers[1].done);
	start_read(0, 10 * MIB + 600 * KIB, 4096);
	start_read(1, 10 * MIB + 600 * KIB, 4096);
	assert_int_equal(held_count, 2); /* which they wait for too */
	server_hang_up(held[0]);
	server_hang_up(held[1]);
	RUN_UNTIL(&loop, counters()->retries >= 2 || contents_breaker_open(contents));
	assert_false(contents_breaker_open(contents));
	server.handle = handle_all;
	assert_int_equal(finish(0), 0);
	assert_int_equal(finish(1), 0);
	assert_bytes_right(0);
	assert_bytes_right(1);
}

static void test_missed_deadlines_while_bytes_flow_are_no_silence(void **state)
{
	(void)state;
	start_two();
	reader_of(2, "v");
	reader_of(3, "w");
	clock_skip(&loop, 300);
	trickle(30000);
	start_read(2, 10 * MIB + 800 * KIB, 4096);
	start_read(3, 10 * MIB + 800 * KIB, 4096);
	for (int i = 0; i < 9; i++) {
		clock_skip(&loop, 400);
		trickle(20000);
	}
	RUN_UNTIL(&loop, readers[2].done && readers[3].done);
	assert_int_equal(readers[2].error, -ETIMEDOUT);
	assert_int_equal(readers[3].error, -ETIMEDOUT);
	assert_int_equal(held_count, 2);
	assert_false(contents_breaker_open(contents));
}

/* --- The breaker's probe --- */

static unsigned breaker_probes; /* so many were sent; none is answered */

/* File v and probes are held; all else fails. */
static void handle_down(struct server *whole, struct server_request *request)
{
	const char *range = server_header(request, "Range");

	if (!is_stored(request)) {
		handle_all(whole, request);
	} else if (strncmp(request->target, "/s/v", 4) == 0 || strcmp(range, "bytes=0-0") == 0) {
		breaker_probes += strcmp(range, "bytes=0-0") == 0;
		assert_true(held_count < HELD_MAX);
		held[held_count++] = request;
	} else {
		server_reset(request);
	}
}

/* Readers 1 and 2 fail until the breaker opens; a while before that, reader 0 asks. */
static void open_breaker(uint64_t at)
{
	int64_t start_ms = loop_now_ms();

	readers[0].done = true;
	for (unsigned i = 0; !contents_breaker_open(contents); i++) {
		assert_true(i < 200);
		if (readers[0].done && loop_now_ms() - start_ms > TIMEOUT_MS * 2 / 3)
			start_read(0, at, 4096);
		for (size_t k = 1; k < 3; k++) {
			if (i == 0 || readers[k].done)
				start_read(k, at + i * 4 * BLOCK, 4096);
		}
		clock_skip(&loop, 50);
		run_for(&loop, 5);
	}
	assert_true(readers[0].waits);
}

static struct server_request *await_probe(void)
{
	unsigned before = breaker_probes;

	for (int i = 0; breaker_probes == before; i++) {
		assert_true(i < 100);
		clock_skip(&loop, 20);
		run_for(&loop, 5);
	}
	return held[held_count - 1];
}

static void test_a_probe_that_is_late_goes_on_for_nothing(void **state)
{
	struct server_request *late;

	(void)state;
	storage.size = 60 * MIB;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(open_reader(i, i == 0 ? "v" : i == 1 ? "w" : "x"), 0);
	settle();
	breaker_probes = 0;
	hold_with(handle_down);
	open_breaker(10 * MIB);
	late = await_probe();
	assert_true(readers[0].waits);
	answer_all(held[0]);
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].error, 0);
	assert_false(contents_breaker_open(contents));

	server_reset(late);
	for (int i = 0; i < 50; i++) {
		clock_skip(&loop, 200);
		run_for(&loop, 5);
	}
	assert_int_equal(breaker_probes, 1);

	held_count = 0;
	open_breaker(30 * MIB); /* and again */
	await_probe();
	assert_int_equal(breaker_probes, 2);
}

/* --- What is held back --- */

static struct sunk {
	int say;
	bool paused;
	unsigned done;
	int error;
} sunk;

static int sunk_head(void *data, const struct http_head *head)
{
	(void)data;
	(void)head;
	return 0;
}

static int sunk_bytes(void *data, const char *bytes, size_t len)
{
	struct sunk *it = data;

	(void)bytes;
	(void)len;
	it->paused = it->say == -EAGAIN;
	return it->say;
}

static void sunk_done(void *data, struct http_response *response)
{
	struct sunk *it = data;

	it->done++;
	it->error = response->error;
}

/* No more bytes come that could be refused after it. */
static void test_what_is_refused_when_resumed_ends_it(void **state)
{
	static const struct http_sink sink = {.head = sunk_head, .bytes = sunk_bytes};
	struct http_request request = {.method = "GET", .sink = &sink};
	struct http_transfer *transfer;
	int64_t start_ms;

	(void)state;
	storage.size = 60 * MIB;
	hold_with(handle_head);
	sunk = (struct sunk){.say = -EAGAIN};
	assert_true(asprintf(&request.url, "http://127.0.0.1:%d/s/v", server.port) > 0);
	assert_int_equal(http_request_header(&request, "Range", "bytes=0-999999"), 0);
	assert_int_equal(http_send(storage_http, &request, NULL, sunk_done, &sunk, &transfer), 0);
	http_request_fini(&request);
	RUN_UNTIL(&loop, held_count == 1);
	trickle(1000);
	RUN_UNTIL(&loop, sunk.paused);
	sunk.say = -EIO;
	start_ms = loop_now_ms();
	http_resume(transfer);
	RUN_UNTIL(&loop, sunk.done);
	assert_int_equal(sunk.done, 1);
	assert_int_equal(sunk.error, -EIO);
	assert_true(loop_now_ms() - start_ms < TIMEOUT_MS / 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONTENT_TEST(test_old_transfers_that_are_cut_are_no_silence),
		CONTENT_TEST(test_missed_deadlines_while_bytes_flow_are_no_silence),
		CONTENT_TEST(test_a_probe_that_is_late_goes_on_for_nothing),
		CONTENT_TEST(test_what_is_refused_when_resumed_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
