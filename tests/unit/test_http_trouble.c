/* test_http_trouble.c: http.c against a server that sends too much, too little, or nonsense:
 * nothing is unbounded, and each kind of trouble has its errno. */
#include "http_fixture.h"

/* ---- Bounds. ---- */

static void test_an_endless_body_is_cut_off(void **state)
{
	const struct http_response *response = get_from(handle_endless);

	(void)state;
	assert_failed(response, -EFBIG);
	assert_null(response->body.data);
	/* Beyond the bound only what was in the sockets' buffers. */
	assert_true(server.bytes_out < 2 * HTTP_BODY_MAX);
}

static void handle_at_bound(struct server *unused, struct server_request *request)
{
	size_t len = (size_t)(HTTP_BODY_MAX + *(int *)server.data);
	char *body = calloc(1, len);

	(void)unused;
	server_answer_bytes(request, 200, "", body, len);
	free(body);
}

static void test_the_bound_is_exact(void **state)
{
	int past = 0;

	(void)state;
	server.data = &past;
	assert_int_equal(get_from(handle_at_bound)->error, 0);
	assert_int_equal(outcomes[0].response.body.len, HTTP_BODY_MAX);
	past = 1;
	send_to(&outcomes[1], "/");
	RUN_UNTIL(&loop, outcomes[1].calls);
	assert_failed(&outcomes[1].response, -EFBIG);
}

static void handle_long(struct server *unused, struct server_request *request)
{
	static char body[200000];

	(void)unused;
	server_answer_bytes(request, 200, "", body, sizeof(body));
}

static void handle_boast(struct server *unused, struct server_request *request)
{
	static const char boast[] = "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\nboast";
	uv_buf_t bytes = uv_buf_init((char *)boast, sizeof(boast) - 1);

	(void)unused;
	uv_try_write((uv_stream_t *)&request->connection->tcp, &bytes, 1);
	server_hang_up(request);
}

static void test_room_is_made_once_for_a_body_that_says_how_long_it_is(void **state)
{
	(void)state;
	assert_int_equal(get_from(handle_long)->error, 0);
	assert_int_equal(outcomes[0].response.body.cap, 200000 + 1);
	server.handle = handle_boast;
	send_to(&outcomes[1], "/");
	RUN_UNTIL(&loop, outcomes[1].calls);
	assert_failed(&outcomes[1].response, -EHOSTUNREACH);
	assert_in_range(outcomes[1].response.body.cap, 5, HTTP_BODY_MAX / 8);
}

static void handle_endless_headers(struct server *unused, struct server_request *request)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n";
	static char lines[8 * KIB];

	(void)unused;
	for (size_t i = 0; i + 8 <= sizeof(lines); i += 8)
		memcpy(lines + i, "A: bcd\r\n", 8);
	server_send(request, head, sizeof(head) - 1);
	server_stream(request, lines, sizeof(lines));
}

static void test_endless_headers_are_cut_off(void **state)
{
	(void)state;
	assert_failed(get_from(handle_endless_headers), -EFBIG);
	assert_true(server.bytes_out < HTTP_BODY_MAX);
}

static void handle_endless_header(struct server *unused, struct server_request *request)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nA: ";
	static char line[8 * KIB];

	(void)unused;
	memset(line, 'x', sizeof(line));
	server_send(request, head, sizeof(head) - 1);
	server_stream(request, line, sizeof(line));
}

static void test_an_endless_header_is_cut_off(void **state)
{
	(void)state;
	assert_true(get_from(handle_endless_header)->error < 0);
	assert_true(server.bytes_out < HTTP_BODY_MAX);
}

static void handle_gzip(struct server *unused, struct server_request *request)
{
	/* "hello" in one stored block, its CRC and length. */
	static const char hello[] = "\x1f\x8b\x08\0\0\0\0\0\0\x03\x01\x05\0\xfa\xffhello"
				    "\x86\xa6\x10\x36\x05\0\0\0";

	(void)unused;
	server_answer_bytes(request, 200, "Content-Encoding: gzip\r\n", hello, sizeof(hello) - 1);
}

static void test_gzip_is_decompressed(void **state)
{
	const struct http_response *response = get_from(handle_gzip);

	(void)state;
	assert_int_equal(response->error, 0);
	assert_string_equal(buf_str(&response->body), "hello");
}

static void handle_bad_gzip(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_answer(request, 200, "Content-Encoding: gzip\r\n", "this is not gzip at all");
}

static void test_bad_gzip_is_a_bad_message(void **state)
{
	(void)state;
	assert_failed(get_from(handle_bad_gzip), -EBADMSG);
}

/* A bit at a time, as deflate wants them. */
struct bits {
	unsigned char *bytes;
	size_t count;
};

static void put_bits(struct bits *bits, const char *pattern)
{
	for (; *pattern; pattern++, bits->count++)
		bits->bytes[bits->count / 8] |=
			(unsigned char)((*pattern == '1') << bits->count % 8);
}

/* A gzip stream of 16 times the bound in zeros: in one block of fixed codes, a literal zero and
 * then "258 bytes from distance 1", 13 bits each. It is never ended: it is not to be read so far.
 */
static void handle_bomb(struct server *unused, struct server_request *request)
{
	static const unsigned char head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
	size_t matches = (size_t)HTTP_BODY_MAX * 16 / 258;
	struct bits bits = {calloc(1, matches * 2 + 100), 0};
	size_t len;

	(void)unused;
	memcpy(bits.bytes, head, sizeof(head));
	bits.count = sizeof(head) * 8;
	put_bits(&bits, "110" /* the last block, fixed codes */
			"00110000" /* literal 0 */);
	while (matches--)
		put_bits(&bits, "11000101" /* length 258 */
				"00000" /* distance 1 */);
	len = bits.count / 8;
	assert_true(len < HTTP_BODY_MAX / 8);
	server_answer_bytes(request, 200, "Content-Encoding: gzip\r\n", (char *)bits.bytes, len);
	free(bits.bytes);
}

static void test_a_gzip_bomb_is_cut_off(void **state)
{
	const struct http_response *response = get_from(handle_bomb);

	(void)state;
	assert_failed(response, -EFBIG);
	assert_null(response->body.data);
}

/* ---- Trouble. ---- */

static void handle_reset(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_reset(request);
}

static void handle_hang_up(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_hang_up(request);
}

static void handle_half(struct server *unused, struct server_request *request)
{
	static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
	uv_buf_t bytes = uv_buf_init((char *)half, sizeof(half) - 1);

	(void)unused;
	uv_try_write((uv_stream_t *)&request->connection->tcp, &bytes, 1);
	server_hang_up(request);
}

static void test_a_broken_connection(void **state)
{
	void (*const handlers[])(struct server *, struct server_request *) = {
		handle_reset, handle_hang_up, handle_half};

	(void)state;
	for (size_t i = 0; i < COUNT(handlers); i++) {
		server.handle = handlers[i];
		send_to(&outcomes[i], "/");
		RUN_UNTIL(&loop, outcomes[i].calls);
		assert_failed(&outcomes[i].response, -EHOSTUNREACH);
		/* curl tries again by itself only what never got an answer on a reused connection.
		 */
		assert_int_equal(server.seen_count, i + 1);
	}
}

static void test_a_refused_connection(void **state)
{
	(void)state;
	server_refuse(&server);
	assert_failed(get("/x"), -EHOSTUNREACH);
}

/* .invalid never resolves (RFC 6761), but a machine without network may take its time to say so. */
static void test_a_name_that_does_not_resolve(void **state)
{
	int error = get("http://nowhere.invalid/")->error;

	(void)state;
	assert_true(error == -EHOSTUNREACH || error == -ETIMEDOUT);
	assert_string_not_equal(outcomes[0].response.text, "");
}

static void test_silence_times_out(void **state)
{
	int64_t start_ms = loop_now_ms();

	(void)state;
	assert_failed(get("/x"), -ETIMEDOUT);
	assert_true(loop_now_ms() - start_ms >= TIMEOUT_MS);
	/* Well before the bound for transfers that do move. */
	assert_true(loop_now_ms() - start_ms < 5 * TIMEOUT_MS);
}

static void trickle(uv_timer_t *timer)
{
	server_send(timer->data, "x", 1);
}

/* A byte now and then is as good as none. */
static void test_a_trickle_times_out(void **state)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
	int64_t start_ms = loop_now_ms();
	uv_timer_t timer;

	(void)state;
	send_to(&outcomes[0], "/");
	RUN_UNTIL(&loop, server.seen_count);
	server_send(&server.seen[0], head, sizeof(head) - 1);
	uv_timer_init(&loop, &timer);
	timer.data = &server.seen[0];
	uv_timer_start(&timer, trickle, 20, 20);
	RUN_UNTIL(&loop, outcomes[0].calls);
	assert_failed(&outcomes[0].response, -ETIMEDOUT);
	assert_true(loop_now_ms() - start_ms < 5 * TIMEOUT_MS);
	uv_close((uv_handle_t *)&timer, NULL);
	run_for(&loop, 1);
}

static void handle_not_http(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_send(request, "SSH-2.0-OpenSSH_9.2\r\n\r\n", 23);
	server_hang_up(request);
}

static void test_what_is_not_http_is_a_bad_message(void **state)
{
	(void)state;
	assert_failed(get_from(handle_not_http), -EBADMSG);
}

/* The client's hello ends in no empty line, so the server just listens: answer with plain text. */
static void handle_plain(uv_stream_t *listener, int status)
{
	server_accept(listener, status);
	server_write_bytes(server.open, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

static void test_plain_text_where_tls_is_expected(void **state)
{
	char url[64];

	(void)state;
	server.listener.connection_cb = handle_plain;
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
	assert_failed(get(url), -EPROTO);
}

/* Whatever a configuration says: only http and https, and a URL that is none fails as an answer. */
static void test_no_other_protocols(void **state)
{
	static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/",
					   "https://",		 "http://[",	     ""};

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		send_to(&outcomes[i], urls[i]);
		RUN_UNTIL(&loop, outcomes[i].calls);
		assert_true(outcomes[i].response.error < 0);
		assert_int_equal(outcomes[i].response.body.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_endless_body_is_cut_off),
		TEST(test_the_bound_is_exact),
		TEST(test_room_is_made_once_for_a_body_that_says_how_long_it_is),
		TEST(test_endless_headers_are_cut_off),
		TEST(test_an_endless_header_is_cut_off),
		TEST(test_gzip_is_decompressed),
		TEST(test_bad_gzip_is_a_bad_message),
		TEST(test_a_gzip_bomb_is_cut_off),
		TEST(test_a_broken_connection),
		TEST(test_a_refused_connection),
		TEST(test_a_name_that_does_not_resolve),
		TEST(test_silence_times_out),
		TEST(test_a_trickle_times_out),
		TEST(test_what_is_not_http_is_a_bad_message),
		TEST(test_plain_text_where_tls_is_expected),
		TEST(test_no_other_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
