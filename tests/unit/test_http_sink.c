/* test_http_sink.c: bodies that a sink takes as they come: what it is told of them first, when it
 * may pause, what it never gets, and that requests to storage are bare. */
#include "http_fixture.h"

#define HUGE_BYTES (8 * 1024 * KIB)

/* One transfer into a sink, and what became of it. */
struct reader {
	struct http_transfer *transfer;
	struct buf bytes;
	struct http_head head;
	unsigned heads;
	unsigned calls; /* of the sink for bytes */
	unsigned pauses;
	unsigned done;
	int head_says;
	int bytes_say;
	size_t say_after; /* bytes, and then bytes_say once */
	bool paused;
	struct reader *cancels; /* when this one is done */
	struct http_response response;
	char redirect[256];
};

static struct reader readers[3];

static int take_head(void *data, const struct http_head *head)
{
	struct reader *reader = data;

	assert_int_equal(reader->bytes.len, 0);
	reader->heads++;
	reader->head = *head;
	return reader->head_says;
}

static int take_bytes(void *data, const char *bytes, size_t len)
{
	struct reader *reader = data;
	int says = reader->bytes_say;

	assert_int_equal(reader->heads, 1);
	assert_true(len > 0);
	reader->calls++;
	if (says && reader->bytes.len >= reader->say_after) {
		reader->paused = says == -EAGAIN;
		reader->pauses += says == -EAGAIN;
		return says;
	}
	assert_int_equal(buf_append(&reader->bytes, bytes, len), 0);
	return 0;
}

static const struct http_sink sink = {.head = take_head, .bytes = take_bytes};

static void reader_done(void *data, struct http_response *response)
{
	struct reader *reader = data;

	reader->done++;
	reader->transfer = NULL;
	if (response->redirect)
		snprintf(reader->redirect, sizeof(reader->redirect), "%s", response->redirect);
	reader->response = *response;
	response->body = BUF_INIT(response->body.max);
	if (reader->cancels) {
		http_cancel(reader->cancels->transfer);
		reader->cancels->transfer = NULL;
	}
}

/* What a server says, as one text. */
static const char *said;
static bool says_half; /* and does not hang up yet */

static int set_up_storage(void **state)
{
	set_up(state);
	http_free(http);
	memset(readers, 0, sizeof(readers));
	says_half = false;
	for (size_t i = 0; i < COUNT(readers); i++)
		readers[i].bytes = BUF_INIT(2 * HUGE_BYTES);
	assert_int_equal(
		http_new(&loop, HTTP_STORAGE, TIMEOUT_MS, CONNECTIONS, NULL, NULL, &home, &http),
		0);
	return 0;
}

static int tear_down_storage(void **state)
{
	for (size_t i = 0; i < COUNT(readers); i++) {
		buf_reset(&readers[i].bytes);
		buf_reset(&readers[i].response.body);
	}
	return tear_down(state);
}

static void start(struct reader *reader, const char *range)
{
	struct http_request request = {.method = "GET", .sink = &sink};

	assert_true(asprintf(&request.url, "http://127.0.0.1:%d/x", server.port) > 0);
	if (range)
		assert_int_equal(http_request_header(&request, "Range", range), 0);
	assert_int_equal(http_send(http, &request, NULL, reader_done, reader, &reader->transfer),
			 0);
	http_request_fini(&request);
	assert_int_equal(reader->heads + reader->done, 0);
}

static struct reader *read_to_end(void)
{
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].done, 1);
	return &readers[0];
}

static void resume(struct reader *reader)
{
	reader->bytes_say = 0;
	reader->paused = false;
	http_resume(reader->transfer);
}

static void handle_said(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_send(request, said, strlen(said));
	if (!says_half)
		server_hang_up(request);
}

static struct reader *read_said(const char *text)
{
	said = text;
	server.handle = handle_said;
	return read_to_end();
}

static char *huge_body(void)
{
	static char body[HUGE_BYTES];

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 31 + i / 4099);
	return body;
}

static void handle_huge(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_answer_bytes(request, 200, "", huge_body(), HUGE_BYTES);
}

static void assert_is_huge(const struct reader *reader)
{
	assert_int_equal(reader->response.error, 0);
	assert_int_equal(reader->bytes.len, HUGE_BYTES);
	assert_memory_equal(reader->bytes.data, huge_body(), HUGE_BYTES);
}

/* ---- Whole answers. ---- */

static void test_a_body_comes_in_pieces(void **state)
{
	const struct reader *reader;

	(void)state;
	server.handle = handle_huge;
	reader = read_to_end();
	assert_is_huge(reader);
	assert_true(reader->calls > 8);
	assert_int_equal(reader->heads, 1);
	assert_int_equal(reader->head.status, 200);
	assert_int_equal(reader->head.length, HUGE_BYTES);
	assert_int_equal(reader->response.body.len, 0);
	assert_int_equal(reader->response.status, 200);
}

/* Larger than an answer of the API may be. */
static void test_there_is_no_bound_on_what_a_sink_takes(void **state)
{
	(void)state;
	server.handle = handle_endless;
	start(&readers[0], NULL);
	readers[0].bytes_say = -ECANCELED;
	readers[0].say_after = 2 * HUGE_BYTES - 300 * KIB;
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].response.error, -ECANCELED);
	assert_true(readers[0].bytes.len >= readers[0].say_after);
}

static void test_without_a_body_there_is_a_head(void **state)
{
	(void)state;
	assert_int_equal(read_said("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")->heads, 1);
	assert_int_equal(readers[0].head.length, 0);
	assert_int_equal(readers[0].calls, 0);
	assert_int_equal(readers[0].response.error, 0);
}

static void test_a_request_to_storage_is_bare(void **state)
{
	static const char *const none[] = {"Authorization", "Accept",  "Accept-Encoding",
					   "Cookie",	    "Referer", "Expect",
					   "User-Agent",    "Origin",  "x-ibinder-tenantid"};
	const char *head;
	unsigned lines = 0;

	(void)state;
	server.handle = handle_huge;
	start(&readers[0], "bytes=0-99");
	RUN_UNTIL(&loop, readers[0].done);
	for (size_t i = 0; i < COUNT(none); i++)
		assert_null(server_header(&server.seen[0], none[i]));
	assert_string_equal(server_header(&server.seen[0], "Range"), "bytes=0-99");
	for (head = server.seen[0].head; (head = strstr(head, "\r\n")); head += 2)
		lines++;
	assert_int_equal(lines, 4); /* request line, Host, Range, and the empty one */
}

/* ---- Heads. ---- */

static void test_heads(void **state)
{
	static const struct {
		const char *answer;
		int64_t length;
		bool is_framed;
		bool is_encoded;
		bool has_etag;
		bool has_range;
	} table[] = {
		{"200 OK\r\nContent-Length: 2\r\n\r\nab", 2, true, false, false, false},
		{"200 OK\r\n\r\nab", -1, false, false, false, false},
		{"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", -1, true,
		 false, false, false},
		{"200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", -1, true,
		 false, false, false},
		{"200 OK\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\nab", 2, true, false, true,
		 false},
		{"200 OK\r\nContent-Length: 2\r\nETag: W/\"x\"\r\n\r\nab", 2, true, false, false,
		 false},
		{"200 OK\r\nContent-Length: 2\r\netag: \"\"\r\n\r\nab", 2, true, false, true,
		 false},
		{"200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\nab", 2, true, true,
		 false, false},
		{"200 OK\r\nContent-Length: 2\r\nContent-Encoding: identity\r\n\r\nab", 2, true,
		 false, false, false},
		{"206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 5-6/9\r\n\r\nab", 2, true,
		 false, false, true},
		{"206 Part\r\nContent-Length: 2\r\nContent-Range:   bytes 5-6/9  \r\n\r\nab", 2,
		 true, false, false, true},
		{"206 Part\r\nContent-Length: 2\r\nContent-Range: bytes 5-6/*\r\n\r\nab", 2, true,
		 false, false, false},
		{"206 Part\r\nContent-Length: 2\r\n\r\nab", 2, true, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[256];
		const struct http_head *head = &readers[0].head;

		buf_reset(&readers[0].bytes);
		memset(&readers[0], 0, sizeof(readers[0]));
		readers[0].bytes = BUF_INIT(KIB);
		snprintf(text, sizeof(text), "HTTP/1.1 %s", table[i].answer);
		read_said(text);
		assert_int_equal(readers[0].response.error, 0);
		assert_int_equal(readers[0].heads, 1);
		assert_int_equal(head->length, table[i].length);
		assert_int_equal(head->is_framed, table[i].is_framed);
		assert_int_equal(head->is_encoded, table[i].is_encoded);
		assert_int_equal(head->etag != 0, table[i].has_etag);
		assert_int_equal(head->has_range, table[i].has_range);
		if (table[i].has_range)
			assert_true(head->range_from == 5 && head->range_end == 7 &&
				    head->range_total == 9);
		/* Encoded or not, the bytes are those that were sent. */
		assert_string_equal(buf_str(&readers[0].bytes), "ab");
	}
}

/* Equal ETags are equal numbers, others others. */
static void test_etags(void **state)
{
	uint64_t first;

	(void)state;
	said = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: \"a\"\r\n\r\nx";
	server.handle = handle_said;
	for (size_t i = 0; i < 2; i++) {
		start(&readers[i], NULL);
		RUN_UNTIL(&loop, readers[i].done);
	}
	first = readers[0].head.etag;
	assert_true(first != 0 && readers[1].head.etag == first);
	said = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: \"b\"\r\n\r\nx";
	start(&readers[2], NULL);
	RUN_UNTIL(&loop, readers[2].done);
	assert_true(readers[2].head.etag != 0 && readers[2].head.etag != first);
}

/* ---- What a sink never gets. ---- */

static void test_other_statuses_are_collected(void **state)
{
	static const int statuses[] = {201, 204, 301, 400, 403, 404, 416, 429, 500, 503};

	(void)state;
	server.handle = handle_said;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		char text[128];
		bool empty = statuses[i] == 204;

		snprintf(text, sizeof(text), "HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s",
			 statuses[i], empty ? 0 : 3, empty ? "" : "why");
		said = text;
		memset(&readers[0], 0, sizeof(readers[0]));
		readers[0].bytes = BUF_INIT(KIB);
		read_to_end();
		assert_int_equal(readers[0].heads + readers[0].calls, 0);
		assert_int_equal(readers[0].response.error, 0);
		assert_int_equal(readers[0].response.status, statuses[i]);
		assert_string_equal(buf_str(&readers[0].response.body), empty ? "" : "why");
		buf_reset(&readers[0].response.body);
	}
}

static void test_a_416_tells_its_range(void **state)
{
	const struct http_head *head;

	(void)state;
	read_said("HTTP/1.1 416 Said\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n");
	head = &readers[0].response.head;
	assert_int_equal(readers[0].heads, 0);
	assert_true(head->has_range && head->range_total == 0 && head->range_end == 0);
	assert_int_equal(head->status, 416);
}

static int status_said;

static void handle_endless_status(struct server *unused, struct server_request *request)
{
	static char zeros[64 * KIB];
	char head[128];

	(void)unused;
	snprintf(head, sizeof(head),
		 "HTTP/1.1 %d Said\r\nRetry-After: 7\r\nLocation: /there\r\n\r\n", status_said);
	server_send(request, head, strlen(head));
	server_stream(request, zeros, sizeof(zeros));
}

/* The status is what matters; of the rest only the beginning is taken. */
static void test_a_large_error_is_an_answer_all_the_same(void **state)
{
	static const int statuses[] = {403, 404, 500, 503};

	(void)state;
	server.handle = handle_endless_status;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		status_said = statuses[i];
		memset(&readers[0], 0, sizeof(readers[0]));
		read_to_end();
		assert_int_equal(readers[0].response.error, 0);
		assert_int_equal(readers[0].response.status, statuses[i]);
		assert_int_equal(readers[0].response.retry_after_ms, 7000);
		assert_true(readers[0].response.body.len <= HTTP_STORAGE_TEXT_MAX);
		assert_int_equal(readers[0].heads + readers[0].calls, 0);
		assert_int_equal(http_server_failed(&readers[0].response), statuses[i] >= 500);
		buf_reset(&readers[0].response.body);
	}
	assert_true(server.bytes_out < COUNT(statuses) * HTTP_BODY_MAX);
}

/* ---- Redirects. ---- */

static void test_where_a_redirect_leads(void **state)
{
	static const struct {
		const char *location;
		const char *target; /* from http://127.0.0.1:PORT/x */
	} table[] = {
		{"Location: https://other.example/a?sig=1\r\n", "https://other.example/a?sig=1"},
		{"Location: //other.example/a\r\n", "http://other.example/a"},
		{"Location: /a?b\r\n", "/a?b"},
		{"Location: a\r\n", "/a"},
		{"", NULL},
	};

	(void)state;
	server.handle = handle_said;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[256];
		char expected[256] = "";

		snprintf(text, sizeof(text), "HTTP/1.1 302 Said\r\n%sContent-Length: 0\r\n\r\n",
			 table[i].location);
		if (table[i].target && table[i].target[0] == '/')
			snprintf(expected, sizeof(expected), "http://127.0.0.1:%d%s", server.port,
				 table[i].target);
		else if (table[i].target)
			snprintf(expected, sizeof(expected), "%s", table[i].target);
		said = text;
		memset(&readers[0], 0, sizeof(readers[0]));
		read_to_end();
		assert_int_equal(readers[0].response.error, 0);
		assert_int_equal(readers[0].response.status, 302);
		assert_string_equal(readers[0].redirect, expected);
	}
	assert_int_equal(server.seen_count, COUNT(table)); /* none was followed */
}

/* A page that says "moved here" may be of any length. */
static void test_a_redirect_with_a_large_body_still_leads_there(void **state)
{
	static char body[10 * HTTP_STORAGE_TEXT_MAX];
	char text[sizeof(body) + 128];

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	snprintf(text, sizeof(text),
		 "HTTP/1.1 302 Said\r\nLocation: https://other.example/\r\nContent-Length: "
		 "%zu\r\n\r\n%s",
		 sizeof(body) - 1, body);
	read_said(text);
	assert_int_equal(readers[0].response.error, 0);
	assert_int_equal(readers[0].response.status, 302);
	assert_string_equal(readers[0].redirect, "https://other.example/");
	assert_true(readers[0].response.body.len <= HTTP_STORAGE_TEXT_MAX);
}

/* ---- Pausing. ---- */

static void test_a_pause_holds_the_sender_back(void **state)
{
	size_t len;

	(void)state;
	server.handle = handle_endless;
	readers[0].bytes_say = -EAGAIN;
	readers[0].say_after = 100 * KIB;
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, readers[0].paused);
	len = readers[0].bytes.len;
	run_for(&loop, 2 * TIMEOUT_MS + 500); /* a pause is no silence */
	assert_int_equal(readers[0].done, 0);
	assert_int_equal(readers[0].bytes.len, len);
	assert_true(server.bytes_out < HTTP_BODY_MAX); /* what the sockets hold */
	http_cancel(readers[0].transfer);
	assert_int_equal(readers[0].done, 0);
}

static void test_no_byte_is_lost_or_doubled_over_pauses(void **state)
{
	unsigned pauses = 0;

	(void)state;
	server.handle = handle_huge;
	start(&readers[0], NULL);
	while (!readers[0].done) {
		readers[0].bytes_say = -EAGAIN;
		readers[0].say_after = readers[0].bytes.len + 200 * KIB;
		RUN_UNTIL(&loop, readers[0].paused || readers[0].done);
		if (readers[0].done)
			break;
		resume(&readers[0]);
		pauses++;
	}
	assert_true(pauses > 10);
	assert_int_equal(readers[0].heads, 1);
	assert_is_huge(&readers[0]);
}

/* The server went meanwhile: what had come is given, then the end is told. */
static void test_the_connection_breaks_during_a_pause(void **state)
{
	(void)state;
	server.handle = handle_endless;
	readers[0].bytes_say = -EAGAIN;
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, readers[0].paused);
	assert_int_equal(readers[0].bytes.len, 0);
	server_reset(&server.seen[0]);
	uv_run(&loop, UV_RUN_NOWAIT);
	if (!readers[0].done)
		resume(&readers[0]);
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].done, 1);
	assert_failed(&readers[0].response, -EHOSTUNREACH);
}

/* ---- A sink that has enough. ---- */

static void test_a_head_may_be_refused(void **state)
{
	(void)state;
	server.handle = handle_huge;
	readers[0].head_says = -EPROTO;
	read_to_end();
	assert_int_equal(readers[0].response.error, -EPROTO);
	assert_int_equal(readers[0].calls, 0);
	assert_int_equal(readers[0].heads, 1);
	assert_int_equal(readers[0].response.status, 200);
}

static void test_the_head_of_an_empty_body_may_be_refused(void **state)
{
	(void)state;
	readers[0].head_says = -EPROTO;
	read_said("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(readers[0].heads, 1);
	assert_int_equal(readers[0].response.error, -EPROTO);
}

static void test_bytes_may_be_refused(void **state)
{
	(void)state;
	server.handle = handle_huge;
	readers[0].bytes_say = -ECANCELED;
	readers[0].say_after = 300 * KIB;
	read_to_end();
	assert_int_equal(readers[0].response.error, -ECANCELED);
	assert_true(readers[0].bytes.len < HUGE_BYTES);
	assert_memory_equal(readers[0].bytes.data, huge_body(), readers[0].bytes.len);
}

/* What was refused after a pause is gone: nothing may come after it as if it had not been. */
static void test_bytes_may_be_refused_after_a_pause(void **state)
{
	unsigned calls;
	size_t len;

	(void)state;
	server.handle = handle_huge;
	readers[0].bytes_say = -EAGAIN;
	readers[0].say_after = 300 * KIB;
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, readers[0].paused);
	len = readers[0].bytes.len;
	calls = readers[0].calls;
	readers[0].bytes_say = -EIO;
	http_resume(readers[0].transfer);
	if (readers[0].calls > calls)
		readers[0].bytes_say = 0; /* it was told once */
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].response.error, -EIO);
	assert_int_equal(readers[0].bytes.len, len);
}

static void test_cut_short(void **state)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"HTTP/1.1 206 OK\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/10\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	};

	(void)state;
	server.handle = handle_said;
	says_half = true;
	for (size_t i = 0; i < COUNT(texts); i++) {
		buf_reset(&readers[0].bytes);
		memset(&readers[0], 0, sizeof(readers[0]));
		readers[0].bytes = BUF_INIT(KIB);
		said = texts[i];
		start(&readers[0], NULL);
		RUN_UNTIL(&loop, readers[0].bytes.len == 3);
		server_hang_up(&server.seen[i]);
		RUN_UNTIL(&loop, readers[0].done);
		assert_failed(&readers[0].response, -EHOSTUNREACH);
		assert_true(http_server_failed(&readers[0].response));
	}
}

/* ---- Cancelling. ---- */

static void test_cancel_from_another_done(void **state)
{
	(void)state;
	server.handle = handle_huge;
	readers[1].bytes_say = -EAGAIN; /* paused by then */
	readers[0].cancels = &readers[1];
	start(&readers[1], NULL);
	RUN_UNTIL(&loop, readers[1].paused);
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, readers[0].done);
	assert_is_huge(&readers[0]);
	RUN_UNTIL(&loop, server.open_now <= 1);
	assert_int_equal(readers[1].done, 0);
}

static void test_free_with_a_paused_transfer(void **state)
{
	(void)state;
	server.handle = handle_endless;
	readers[0].bytes_say = -EAGAIN;
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, readers[0].paused);
	http_free(http);
	http = NULL;
	run_for(&loop, 50);
	assert_int_equal(readers[0].done, 0);
	assert_int_equal(server.open_now, 0);
}

/* A long download is not a slow one: no total time, as for answers. */
static void test_slow_but_not_silent(void **state)
{
	int64_t end_ms = loop_now_ms() + 7 * TIMEOUT_MS;
	static char some[4 * KIB];

	(void)state;
	start(&readers[0], NULL);
	RUN_UNTIL(&loop, server.seen_count == 1);
	said = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	server_send(&server.seen[0], said, strlen(said));
	while (loop_now_ms() < end_ms && !readers[0].done) {
		server_send(&server.seen[0], "1000\r\n", 6);
		server_send(&server.seen[0], some, sizeof(some));
		server_send(&server.seen[0], "\r\n", 2);
		run_for(&loop, TIMEOUT_MS / 5);
	}
	assert_int_equal(readers[0].done, 0);
	/* And then silence. */
	RUN_UNTIL(&loop, readers[0].done);
	assert_failed(&readers[0].response, -ETIMEDOUT);
}

#undef TEST
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_storage, tear_down_storage)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_a_body_comes_in_pieces),
		TEST(test_there_is_no_bound_on_what_a_sink_takes),
		TEST(test_without_a_body_there_is_a_head),
		TEST(test_a_request_to_storage_is_bare),
		TEST(test_heads),
		TEST(test_etags),
		TEST(test_other_statuses_are_collected),
		TEST(test_a_416_tells_its_range),
		TEST(test_a_large_error_is_an_answer_all_the_same),
		TEST(test_where_a_redirect_leads),
		TEST(test_a_redirect_with_a_large_body_still_leads_there),
		TEST(test_a_pause_holds_the_sender_back),
		TEST(test_no_byte_is_lost_or_doubled_over_pauses),
		TEST(test_the_connection_breaks_during_a_pause),
		TEST(test_a_head_may_be_refused),
		TEST(test_the_head_of_an_empty_body_may_be_refused),
		TEST(test_bytes_may_be_refused),
		TEST(test_bytes_may_be_refused_after_a_pause),
		TEST(test_cut_short),
		TEST(test_cancel_from_another_done),
		TEST(test_free_with_a_paused_transfer),
		TEST(test_slow_but_not_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
