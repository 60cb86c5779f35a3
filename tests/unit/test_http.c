/* test_http.c: http.c against a server in the same loop: what is sent, what each kind of answer and
 * of trouble becomes, that nothing is unbounded, and that cancelling is silent in every state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http.h"
#include "http_server.h"

#include <errno.h>

#define COUNT(arr)  (sizeof(arr) / sizeof((arr)[0]))
#define TIMEOUT_MS  1000
#define CONNECTIONS 4
#define MANY	    12
#define KIB	    1024

static uv_loop_t loop;
static struct server server;
static struct http *http;

/* One transfer and what became of it. */
struct outcome {
	unsigned calls;
	struct http_response response; /* with a body that was moved out */
	struct http_transfer *transfer;
	struct outcome *cancels; /* another that is cancelled when this one is done */
	struct outcome *sends;	 /* another that is sent when this one is done */
};

static struct outcome outcomes[MANY];

static void handle_nothing(struct server *unused, struct server_request *request)
{
	(void)unused;
	(void)request;
}

static int set_up(void **state)
{
	(void)state;
	memset(outcomes, 0, sizeof(outcomes));
	assert_int_equal(uv_loop_init(&loop), 0);
	server_start(&server, &loop, handle_nothing, NULL);
	assert_int_equal(http_new(&loop, TIMEOUT_MS, CONNECTIONS, NULL, NULL, &http), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_free(http);
	http = NULL;
	server_stop(&server);
	loop_drain(&loop);
	for (size_t i = 0; i < MANY; i++)
		buf_reset(&outcomes[i].response.body);
	return 0;
}

static void send_to(struct outcome *outcome, const char *url);

static void done(void *data, struct http_response *response)
{
	struct outcome *outcome = data;

	outcome->calls++;
	outcome->transfer = NULL;
	outcome->response = *response;
	response->body = BUF_INIT(response->body.max); /* moved out, as http.h allows */
	if (outcome->cancels) {
		http_cancel(outcome->cancels->transfer);
		outcome->cancels->transfer = NULL;
	}
	if (outcome->sends)
		send_to(outcome->sends, "/next");
}

/* A whole URL, or a path on the server. */
static void send_to(struct outcome *outcome, const char *url)
{
	struct http_request request = {.method = "GET"};

	if (url[0] == '/')
		assert_true(asprintf(&request.url, "http://127.0.0.1:%d%s", server.port, url) > 0);
	else
		request.url = strdup(url);
	assert_int_equal(http_send(http, &request, NULL, done, outcome, &outcome->transfer), 0);
	http_request_fini(&request);
	assert_int_equal(outcome->calls, 0); /* never from inside http_send */
}

/* The only transfer of a test, to its end. */
static struct http_response *get(const char *url)
{
	send_to(&outcomes[0], url);
	RUN_UNTIL(&loop, outcomes[0].calls);
	assert_int_equal(outcomes[0].calls, 1);
	return &outcomes[0].response;
}

static struct http_response *get_from(void (*handle)(struct server *, struct server_request *))
{
	server.handle = handle;
	return get("/x");
}

static void assert_failed(const struct http_response *response, int error)
{
	assert_int_equal(response->error, error);
	assert_string_not_equal(response->text, "");
}

/* ---- What is sent. ---- */

static void handle_ok(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_answer(request, 200, "Content-Type: application/json\r\n", "{\"name\":\"Björken\"}");
}

static void test_get(void **state)
{
	struct http_request request = {.method = "GET"};
	struct secret bearer = {NULL, 0};
	const struct server_request *seen;

	(void)state;
	server.handle = handle_ok;
	assert_true(asprintf(&request.url, "http://127.0.0.1:%d/api/binders?a=%%20b", server.port) >
		    0);
	assert_int_equal(http_request_header(&request, "x-ibinder-tenantid", "TENANT"), 0);
	assert_int_equal(secret_set(&bearer, "abc.def-_~+/=", 13), 0);
	assert_int_equal(
		http_send(http, &request, &bearer, done, &outcomes[0], &outcomes[0].transfer), 0);
	/* Both may go at once. */
	http_request_fini(&request);
	secret_fini(&bearer);
	RUN_UNTIL(&loop, outcomes[0].calls);

	assert_int_equal(outcomes[0].response.error, 0);
	assert_int_equal(outcomes[0].response.status, 200);
	assert_string_equal(buf_str(&outcomes[0].response.body), "{\"name\":\"Björken\"}");
	assert_int_equal(outcomes[0].response.retry_after_ms, -1);
	assert_false(outcomes[0].response.http2);

	assert_int_equal(server.seen_count, 1);
	seen = &server.seen[0];
	assert_string_equal(seen->method, "GET");
	assert_string_equal(seen->target, "/api/binders?a=%20b");
	assert_string_equal(server_header(seen, "x-ibinder-tenantid"), "TENANT");
	assert_string_equal(server_header(seen, "Authorization"), "Bearer abc.def-_~+/=");
	assert_string_equal(server_header(seen, "Accept"), "application/json");
	assert_non_null(strstr(server_header(seen, "Accept-Encoding"), "gzip"));
	assert_null(server_header(seen, "Content-Type"));
	assert_int_equal(seen->body_len, 0);
}

static void test_post(void **state)
{
	static const char body[] = "a=1&b=\0\xff";
	struct http_request request = {
		.method = "POST",
		.content_type = "application/x-www-form-urlencoded",
		.body = malloc(sizeof(body)),
		.body_len = sizeof(body),
	};
	const struct server_request *seen = server.seen;

	(void)state;
	server.handle = handle_ok;
	memcpy(request.body, body, sizeof(body));
	assert_true(asprintf(&request.url, "http://127.0.0.1:%d/token", server.port) > 0);
	assert_int_equal(http_send(http, &request, NULL, done, &outcomes[0], &outcomes[0].transfer),
			 0);
	http_request_fini(&request);
	RUN_UNTIL(&loop, outcomes[0].calls);
	assert_int_equal(outcomes[0].response.status, 200);
	assert_string_equal(seen->method, "POST");
	assert_string_equal(server_header(seen, "Content-Type"),
			    "application/x-www-form-urlencoded");
	assert_int_equal(seen->body_len, sizeof(body));
	assert_memory_equal(seen->body, body, sizeof(body));
}

/* Nothing of one request gets into the next, on the same connection. */
static void test_nothing_leaks_into_the_next_request(void **state)
{
	(void)state;
	test_get(state);
	outcomes[1].calls = 0;
	send_to(&outcomes[1], "/next");
	RUN_UNTIL(&loop, outcomes[1].calls);
	assert_int_equal(server.accepted, 1);
	assert_null(server_header(&server.seen[1], "Authorization"));
	assert_null(server_header(&server.seen[1], "x-ibinder-tenantid"));
}

static void test_a_fresh_connection_when_asked_for(void **state)
{
	struct http_request request = {.method = "GET", .fresh_connection = true};

	(void)state;
	get_from(handle_ok);
	assert_true(asprintf(&request.url, "http://127.0.0.1:%d/", server.port) > 0);
	assert_int_equal(http_send(http, &request, NULL, done, &outcomes[1], &outcomes[1].transfer),
			 0);
	http_request_fini(&request);
	RUN_UNTIL(&loop, outcomes[1].calls);
	assert_int_equal(server.accepted, 2);
}

/* A proxy would carry the token of a plain connection to loopback elsewhere. */
static void test_no_proxy_for_loopback(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	assert_int_equal(get_from(handle_ok)->status, 200);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

/* ---- Answers. ---- */

static void handle_404(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_answer(request, 404, "", "{\"title\":\"Not found\"}");
}

static void test_an_error_status_is_an_answer(void **state)
{
	const struct http_response *response = get_from(handle_404);

	(void)state;
	assert_int_equal(response->error, 0);
	assert_int_equal(response->status, 404);
	assert_string_equal(buf_str(&response->body), "{\"title\":\"Not found\"}");
}

static void handle_429(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_answer(request, 429, "Retry-After: 7\r\n", "");
}

static void test_retry_after_is_read(void **state)
{
	const struct http_response *response = get_from(handle_429);

	(void)state;
	assert_int_equal(response->status, 429);
	assert_int_equal(response->retry_after_ms, 7000);
	assert_string_equal(buf_str(&response->body), "");
}

static void handle_redirect(struct server *unused, struct server_request *request)
{
	char header[128];

	(void)unused;
	snprintf(header, sizeof(header), "Location: http://127.0.0.1:%d/other\r\n",
		 *(int *)server.data);
	server_answer(request, 302, header, "");
}

/* curl would take the tenant's header along. */
static void test_a_redirect_is_not_followed(void **state)
{
	struct server other;
	const struct http_response *response;

	(void)state;
	server_start(&other, &loop, handle_ok, NULL);
	server.data = &other.port;
	response = get_from(handle_redirect);
	assert_int_equal(response->error, 0);
	assert_int_equal(response->status, 302);
	run_for(&loop, 50);
	assert_int_equal(other.accepted, 0);
	assert_int_equal(server.seen_count, 1);
	server_stop(&other);
	run_for(&loop, 1);
}

static void test_no_more_connections_than_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < MANY; i++)
		send_to(&outcomes[i], "/x");
	RUN_UNTIL(&loop, server_waiting(&server) == CONNECTIONS);
	run_for(&loop, 100);
	assert_int_equal(server_waiting(&server), CONNECTIONS);
	server.handle = handle_ok;
	for (size_t i = 0; i < CONNECTIONS; i++)
		handle_ok(&server, &server.seen[i]);
	for (size_t i = 0; i < MANY; i++) {
		RUN_UNTIL(&loop, outcomes[i].calls);
		assert_int_equal(outcomes[i].calls, 1);
		assert_int_equal(outcomes[i].response.status, 200);
	}
	assert_int_equal(server.open_max, CONNECTIONS);
}

static void test_one_done_may_send_the_next(void **state)
{
	(void)state;
	outcomes[0].sends = &outcomes[1];
	outcomes[1].sends = &outcomes[2];
	get_from(handle_ok);
	RUN_UNTIL(&loop, outcomes[2].calls);
	assert_int_equal(server.seen_count, 3);
	assert_int_equal(outcomes[2].response.status, 200);
}

/* ---- Bounds. ---- */

static void handle_endless(struct server *unused, struct server_request *request)
{
	static char zeros[64 * KIB];
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";

	(void)unused;
	server_send(request, head, sizeof(head) - 1);
	server_stream(request, zeros, sizeof(zeros));
}

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

/* ---- Cancelling. ---- */

static void test_cancel_before_anything_is_sent(void **state)
{
	(void)state;
	send_to(&outcomes[0], "/x");
	http_cancel(outcomes[0].transfer);
	run_for(&loop, 50);
	assert_int_equal(outcomes[0].calls, 0);
	assert_int_equal(server.seen_count, 0);
}

static void test_cancel_while_waiting(void **state)
{
	(void)state;
	send_to(&outcomes[0], "/x");
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	http_cancel(outcomes[0].transfer);
	/* The server is told: the connection closes. */
	RUN_UNTIL(&loop, server.open_now == 0);
	assert_int_equal(outcomes[0].calls, 0);
}

static void test_cancel_while_the_body_comes(void **state)
{
	(void)state;
	server.handle = handle_endless;
	send_to(&outcomes[0], "/x");
	RUN_UNTIL(&loop, server.bytes_out > 100 * KIB);
	http_cancel(outcomes[0].transfer);
	RUN_UNTIL(&loop, server.open_now == 0);
	assert_int_equal(outcomes[0].calls, 0);
}

/* Two answers that came together: the first one's owner cancels the second, which is done already
 * as far as curl knows. */
static void test_cancel_from_inside_another_done(void **state)
{
	unsigned calls;

	(void)state;
	outcomes[0].cancels = &outcomes[1];
	outcomes[1].cancels = &outcomes[0];
	send_to(&outcomes[0], "/x");
	send_to(&outcomes[1], "/y");
	RUN_UNTIL(&loop, server_waiting(&server) == 2);
	handle_ok(&server, &server.seen[0]);
	handle_ok(&server, &server.seen[1]);
	RUN_UNTIL(&loop, outcomes[0].calls + outcomes[1].calls);
	run_for(&loop, 50);
	calls = outcomes[0].calls + outcomes[1].calls;
	assert_int_equal(calls, 1);
}

static void test_cancel_while_a_name_is_looked_up(void **state)
{
	int64_t start_ms = loop_now_ms();

	(void)state;
	send_to(&outcomes[0], "http://nowhere.invalid/");
	uv_run(&loop, UV_RUN_NOWAIT);
	http_cancel(outcomes[0].transfer);
	assert_true(loop_now_ms() - start_ms < TIMEOUT_MS);
	run_for(&loop, 50);
	assert_int_equal(outcomes[0].calls, 0);
}

/* The teardown frees what each test leaves under way; here all states at once, and some beyond the
 * connections allowed. */
static void test_free_with_transfers_under_way(void **state)
{
	(void)state;
	send_to(&outcomes[0], "/silent");
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	server.handle = handle_endless;
	send_to(&outcomes[1], "/endless");
	RUN_UNTIL(&loop, server.bytes_out > 100 * KIB);
	for (size_t i = 2; i < MANY - 1; i++)
		send_to(&outcomes[i], "/x");
	send_to(&outcomes[MANY - 1], "http://nowhere.invalid/");
	http_free(http);
	http = NULL;
	RUN_UNTIL(&loop, server.open_now == 0);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(outcomes[i].calls, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_get),
		TEST(test_post),
		TEST(test_nothing_leaks_into_the_next_request),
		TEST(test_a_fresh_connection_when_asked_for),
		TEST(test_no_proxy_for_loopback),
		TEST(test_an_error_status_is_an_answer),
		TEST(test_retry_after_is_read),
		TEST(test_a_redirect_is_not_followed),
		TEST(test_no_more_connections_than_allowed),
		TEST(test_one_done_may_send_the_next),
		TEST(test_an_endless_body_is_cut_off),
		TEST(test_the_bound_is_exact),
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
		TEST(test_cancel_before_anything_is_sent),
		TEST(test_cancel_while_waiting),
		TEST(test_cancel_while_the_body_comes),
		TEST(test_cancel_from_inside_another_done),
		TEST(test_cancel_while_a_name_is_looked_up),
		TEST(test_free_with_transfers_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
