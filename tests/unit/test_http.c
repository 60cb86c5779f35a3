/* test_http.c: http.c against a server in the same loop: what is sent, what each kind of answer
 * becomes, and that cancelling is silent in every state. */
#include "http_fixture.h"

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
		TEST(test_cancel_before_anything_is_sent),
		TEST(test_cancel_while_waiting),
		TEST(test_cancel_while_the_body_comes),
		TEST(test_cancel_from_inside_another_done),
		TEST(test_cancel_while_a_name_is_looked_up),
		TEST(test_free_with_transfers_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
