/* content_fixture.h: contents on a fetcher with provider_ibinder, and storage in the same loop: one
 * server that gives links and the bytes behind them, but for what a test makes it do. Include after
 * cmocka.h. */
#ifndef CONTENT_FIXTURE_H
#define CONTENT_FIXTURE_H

#include "content.h"
#include "fetch_fixture.h"
#include "wait.h"

#include <inttypes.h>

#define KIB	    ((uint64_t)1024)
#define MIB	    ((uint64_t)1024 * 1024)
#define READERS_MAX 256
#define PIECES_MAX  16
/* What opening a file asks for, and what reads one block. */
#define FIRST_BYTES (512 * KIB)
#define BLOCK	    (64 * KIB)
/* Storage's own address, and the request for a link. */
#define STORAGE "GET /s/"
#define LINKS	"GET /api/documents/D/versions/"

/* How storage behaves; rules go before it. */
static struct storage {
	uint64_t size;
	unsigned seed;		/* other bytes */
	const char *headers;	/* of each 200 and 206 */
	bool no_range;		/* 200 and all of it, whatever was asked */
	bool chunked;		/* such a 200 tells no length */
	bool cuts;		/* each answer ends after half of it */
	unsigned good_from;	/* links with a lower number have expired: 403 */
	unsigned links;		/* given so far */
	const char *range_says; /* instead of the right Content-Range */
	int64_t delta;		/* of the length that Content-Range tells */
} storage;

struct reader {
	struct waiter waiter; /* first, so that a waiter is a reader */
	struct content *content;
	struct readahead readahead;
	uint64_t offset;
	size_t len;
	size_t got;
	char *bytes;
	bool opens;
	bool without_bytes; /* opens to know the size alone */
	bool done;
	bool waits;
	int error;
	unsigned wakes;
};

static struct http *storage_http;
static struct wait_room *room;
static struct contents *contents;
static struct reader readers[READERS_MAX];
static size_t contents_memory = 64 << 20; /* in all; a quarter is for contents */

static inline char byte_at(uint64_t offset)
{
	return (char)(offset * 31 + offset / 4099 + storage.seed);
}

/* --- Storage --- */

static inline void server_format(struct server_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline void server_format(struct server_request *request, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	server_send(request, text, strlen(text));
}

/* The answer is whole: the connection may be used again. */
static inline void server_release(struct server_request *request)
{
	if (request->connection)
		request->connection->request = NULL;
	request->connection = NULL;
}

static inline void send_bytes(struct server_request *request, uint64_t from, uint64_t end)
{
	char *bytes = malloc(end - from + 1);

	for (uint64_t i = from; i < end; i++)
		bytes[i - from] = byte_at(i);
	if (storage.cuts)
		server_send(request, bytes, (end - from + 1) / 2);
	else
		server_send(request, bytes, end - from);
	free(bytes);
	if (storage.cuts)
		server_hang_up(request);
	else
		server_release(request);
}

static inline void answer_whole(struct server_request *request)
{
	if (!storage.chunked) {
		server_format(request, "HTTP/1.1 200 OK\r\n%sContent-Length: %" PRIu64 "\r\n\r\n",
			      storage.headers, storage.size);
		send_bytes(request, 0, storage.size);
		return;
	}
	server_format(request, "HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n",
		      storage.headers);
	for (uint64_t at = 0; at < storage.size && request->connection;) {
		uint64_t end = at + 100000 < storage.size ? at + 100000 : storage.size;
		char bytes[100000];

		for (uint64_t i = at; i < end; i++)
			bytes[i - at] = byte_at(i);
		server_format(request, "%" PRIx64 "\r\n", end - at);
		server_send(request, bytes, end - at);
		server_send(request, "\r\n", 2);
		at = end;
	}
	server_send(request, "0\r\n\r\n", 5);
	server_release(request);
}

static inline void answer_storage(struct server_request *request)
{
	const char *range = server_header(request, "Range");
	const char *sig = strstr(request->target, "sig=");
	uint64_t from;
	uint64_t end;

	if (sig && strtoul(sig + 4, NULL, 10) < storage.good_from) {
		server_answer(request, 403, "", "AuthenticationFailed");
		return;
	}
	if (!range || storage.no_range) {
		answer_whole(request);
		return;
	}
	assert_int_equal(sscanf(range, "bytes=%" SCNu64 "-%" SCNu64, &from, &end), 2);
	assert_true(from <= end);
	end = end + 1 < storage.size ? end + 1 : storage.size;
	if (from >= storage.size) {
		char header[64];

		snprintf(header, sizeof(header), "Content-Range: bytes */%" PRIu64 "\r\n",
			 storage.size);
		server_answer(request, 416, header, "");
		return;
	}
	server_format(request, "HTTP/1.1 206 Part\r\n%sContent-Length: %" PRIu64 "\r\n",
		      storage.headers, end - from);
	if (storage.range_says)
		server_format(request, "%s\r\n", storage.range_says);
	else
		server_format(request,
			      "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
			      from, end - 1, storage.size + (uint64_t)storage.delta);
	send_bytes(request, from, end);
}

static inline void answer_link(struct server_request *request)
{
	char body[256];
	char version[64];

	sscanf(request->target, "/api/documents/D/versions/%63[^/]", version);
	snprintf(body, sizeof(body), "{\"url\":\"http://127.0.0.1:%d/s/%s?sig=%u\"}", server.port,
		 version, ++storage.links);
	server_answer(request, 200, "", body);
}

static inline void answer_all(struct server_request *request)
{
	if (strncmp(request->target, "/s/", 3) == 0)
		answer_storage(request);
	else if (strstr(request->target, "/downloadlink"))
		answer_link(request);
	else
		answer_well(request);
}

static inline bool rule_answers(struct server_request *request)
{
	char line[sizeof(request->method) + sizeof(request->target) + 1];

	snprintf(line, sizeof(line), "%s %s", request->method, request->target);
	for (size_t i = 0; i < RULES_MAX && rules[i].prefix; i++) {
		if (strncmp(line, rules[i].prefix, strlen(rules[i].prefix)) == 0 && rules[i].times)
			return true;
	}
	return false;
}

static inline void handle_all(struct server *whole, struct server_request *request)
{
	if (rule_answers(request))
		handle(whole, request);
	else
		answer_all(request);
}

static inline void release_all(void)
{
	for (unsigned i = 0; i < server.seen_count; i++) {
		if (server.seen[i].connection)
			answer_all(&server.seen[i]);
	}
}

/* --- The contents --- */

static inline int set_up_contents(void **state)
{
	struct config config = {
		.api_url = (char *)"http://127.0.0.1", /* so links may be plain http too */
		.memory = contents_memory,
		.content = true,
		.connections = CONNECTIONS,
		.timeout_ms = TIMEOUT_MS,
	};

	set_up_with_token(state);
	memset(&storage, 0, sizeof(storage));
	memset(readers, 0, sizeof(readers));
	storage.headers = "";
	server.handle = handle_all;
	/* As main.c. */
	assert_int_equal(
		http_new(&loop, HTTP_STORAGE, TIMEOUT_MS, 192, NULL, NULL, &home, &storage_http),
		0);
	assert_int_equal(wait_room_new(&loop, TIMEOUT_MS, &room), 0);
	assert_int_equal(
		contents_new(&loop, storage_http, &config, fetcher, room, &failures, &contents), 0);
	return 0;
}

static inline void free_contents(void)
{
	for (size_t i = 0; i < READERS_MAX; i++) {
		if (readers[i].waits)
			wait_leave(room, &readers[i].waiter);
		if (readers[i].content)
			content_unref(readers[i].content);
		free(readers[i].bytes);
		readers[i] = (struct reader){.done = false};
	}
	contents_free(contents);
	contents = NULL;
}

static inline int tear_down_contents(void **state)
{
	free_contents();
	wait_room_free(room);
	http_free(storage_http);
	return tear_down(state);
}

static inline const struct content_counters *counters(void)
{
	return contents_counters(contents);
}

/* --- Readers --- */

static inline void take_pieces(struct reader *reader)
{
	struct iovec pieces[PIECES_MAX];
	size_t count;

	content_peek(reader->content, reader->offset + reader->got, reader->len - reader->got,
		     pieces, PIECES_MAX, &count);
	for (size_t i = 0; i < count; i++) {
		memcpy(reader->bytes + reader->got, pieces[i].iov_base, pieces[i].iov_len);
		reader->got += pieces[i].iov_len;
	}
}

/* 0 when it has all it wants, -EAGAIN to wait. */
static inline int reader_try(struct reader *reader)
{
	int error;

	if (reader->opens)
		return content_open(reader->content, !reader->without_bytes);
	error = content_want(reader->content, &reader->readahead, reader->offset + reader->got,
			     reader->len - reader->got);
	take_pieces(reader);
	if (reader->got == reader->len)
		return 0;
	return error ? error : -EAGAIN;
}

static inline void reader_go_on(struct reader *reader)
{
	int error = reader_try(reader);

	reader->waits = error == -EAGAIN;
	reader->done = !reader->waits;
	reader->error = reader->waits ? 0 : error;
	if (reader->waits)
		wait_enter(room, content_queue(reader->content), &reader->waiter,
			   reader->waiter.asked_ms);
}

static inline void reader_wake(struct waiter *waiter, int error)
{
	struct reader *reader = (struct reader *)waiter;

	reader->waits = false;
	reader->wakes++;
	if (!error) {
		reader_go_on(reader);
		return;
	}
	reader->done = true;
	reader->error = error;
}

static inline struct reader *reader_of(size_t index, const char *version)
{
	struct reader *reader = &readers[index];
	char path[64];

	reader->waiter.wake = reader_wake;
	reader->waiter.asked_ms = loop_now_ms();
	reader->done = false;
	reader->wakes = 0;
	if (reader->content)
		return reader;
	snprintf(path, sizeof(path), "files/B/%s", version);
	assert_int_equal(contents_get(contents, "D", version, path, &reader->content), 0);
	return reader;
}

static inline void start_open(size_t index, const char *version)
{
	struct reader *reader = reader_of(index, version);

	reader->opens = true;
	reader_go_on(reader);
}

static inline void start_read(size_t index, uint64_t offset, size_t len)
{
	struct reader *reader = reader_of(index, "");
	uint64_t size = content_size(reader->content);

	reader->opens = false;
	reader->offset = offset;
	reader->len = offset >= size ? 0 : offset + len < size ? len : (size_t)(size - offset);
	reader->got = 0;
	reader->bytes = realloc(reader->bytes, reader->len + 1);
	reader_go_on(reader);
}

static inline void close_reader(size_t index)
{
	struct reader *reader = &readers[index];

	if (reader->waits)
		wait_leave(room, &reader->waiter);
	content_unref(reader->content);
	free(reader->bytes);
	*reader = (struct reader){.done = false};
}

/* To its end. Time spent backing off is skipped: only while nothing is under way. */
static inline int finish(size_t index)
{
	int64_t end_ms = loop_now_ms() + PATIENCE_MS;

	while (!readers[index].done) {
		assert_true(loop_now_ms() < end_ms);
		uv_run(&loop, UV_RUN_ONCE);
		if (!readers[index].done && counters()->in_flight == 0 &&
		    fetcher_counters(fetcher)->in_flight == 0)
			clock_skip(&loop, 20);
	}
	return readers[index].error;
}

static inline void assert_bytes_right(size_t index)
{
	const struct reader *reader = &readers[index];

	for (size_t i = 0; i < reader->len; i++) {
		if (reader->bytes[i] != byte_at(reader->offset + i))
			fail_msg("the byte at %" PRIu64 " is wrong", reader->offset + i);
	}
}

static inline int open_reader(size_t index, const char *version)
{
	start_open(index, version);
	return finish(index);
}

static inline int read_some(size_t index, uint64_t offset, size_t len)
{
	int error;

	start_read(index, offset, len);
	error = finish(index);
	if (!error)
		assert_bytes_right(index);
	return error;
}

/* From start to end as `cat` does. */
static inline int read_all(size_t index)
{
	uint64_t size = content_size(readers[index].content);
	int error = 0;

	for (uint64_t at = 0; at < size && !error; at += 128 * KIB)
		error = read_some(index, at, 128 * KIB);
	return error;
}

/* Until nothing is under way any more. */
static inline void settle(void)
{
	RUN_UNTIL(&loop, counters()->in_flight == 0 && fetcher_counters(fetcher)->in_flight == 0);
	run_for(&loop, 20);
	assert_int_equal(counters()->in_flight, 0);
}

/* A file that is open, nothing under way. */
static inline void open_large(void)
{
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	settle();
}

/* Requests so far, and what the last of them asked for. */
static inline unsigned stored(void)
{
	return server_count(&server, STORAGE);
}

static inline const char *range_of(unsigned nth)
{
	for (unsigned i = 0; i < server.seen_count; i++) {
		if (strncmp(server.seen[i].target, "/s/", 3) == 0 && nth-- == 0)
			return server_header(&server.seen[i], "Range");
	}
	return NULL;
}

#define CONTENT_TEST(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, set_up_contents, tear_down_contents)

#endif
