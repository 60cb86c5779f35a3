/* http_fixture.h: http.c and a server in one loop, for the tests of http.c. */
#ifndef HTTP_FIXTURE_H
#define HTTP_FIXTURE_H

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
static struct url_home home = {.api = "127.0.0.1", .places = URL_LOOPBACK};
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
	assert_int_equal(
		http_new(&loop, HTTP_API, TIMEOUT_MS, CONNECTIONS, NULL, NULL, &home, &http), 0);
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

static inline void send_to(struct outcome *outcome, const char *url);

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
static inline void send_to(struct outcome *outcome, const char *url)
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
static inline struct http_response *get(const char *url)
{
	send_to(&outcomes[0], url);
	RUN_UNTIL(&loop, outcomes[0].calls);
	assert_int_equal(outcomes[0].calls, 1);
	return &outcomes[0].response;
}

static inline struct http_response *get_from(void (*handle)(struct server *,
							    struct server_request *))
{
	server.handle = handle;
	return get("/x");
}

static inline void assert_failed(const struct http_response *response, int error)
{
	assert_int_equal(response->error, error);
	assert_string_not_equal(response->text, "");
}

static inline void handle_endless(struct server *unused, struct server_request *request)
{
	static char zeros[64 * KIB];
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";

	(void)unused;
	server_send(request, head, sizeof(head) - 1);
	server_stream(request, zeros, sizeof(zeros));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
