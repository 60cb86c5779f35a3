/* test_token_talk.c: the token's state machine where a token takes a conversation of several
 * requests: what it serves meanwhile, and where it begins anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock_skip.h"
#include "http_server.h"
#include "log.h"
#include "token.h"

#include <errno.h>

#define TIMEOUT_MS 5000
#define LIFE_S	   1000
#define AUTH	   "POST /v1/auth"
#define REFRESH	   "POST /v1/refreshToken"
#define APIS	   "GET /v1/apis"

static uv_loop_t loop;
static struct server server;
static struct http *http;
static struct url_home home = {.api = "127.0.0.1", .places = URL_LOOPBACK};
static struct provider *provider;
static struct token *token;
static struct failures failures;
static unsigned granted;
static const char *failing; /* what is answered 500, or NULL */
static const char *holding; /* what is not answered, or NULL */

static void answer(struct server_request *request)
{
	char body[256];
	int len = 0;

	if (!strstr(request->target, "apis"))
		len = snprintf(body, sizeof(body),
			       "{\"accessToken\":\"token-%u\",\"expires_in\":%d,", ++granted,
			       LIFE_S);
	else
		body[len++] = '{';
	snprintf(body + len, sizeof(body) - (size_t)len,
		 "\"apis\":{\"knowledge\":\"http://127.0.0.1:%d/km-%u\"}}", server.port, granted);
	server_answer(request, 200, "", body);
}

static void handle(struct server *unused, struct server_request *request)
{
	char line[sizeof(request->method) + sizeof(request->target) + 1];

	(void)unused;
	snprintf(line, sizeof(line), "%s %s", request->method, request->target);
	if (failing && strcmp(line, failing) == 0)
		server_answer(request, 500, "", "{\"Message\":\"busy\"}");
	else if (!holding || strcmp(line, holding) != 0)
		answer(request);
}

static void changed(void *data)
{
	(void)data;
}

/* The lines of all requests so far, with a blank behind each path. */
static const char *asked(void)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < server.seen_count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ",
					server.seen[i].target + strlen("/v1/"));
	return text;
}

static const char *bearer_of(unsigned request)
{
	static char text[64];
	const char *at = strstr(server.seen[request].head, "Bearer ");

	snprintf(text, sizeof(text), "%.*s", at ? (int)strcspn(at + 7, "\r") : 0, at ? at + 7 : "");
	return text;
}

static const struct secret *held(uint64_t *ret_serial)
{
	return token_get(token, ret_serial);
}

static void assert_held(const char *expected)
{
	uint64_t serial;
	const struct secret *bearer = held(&serial);

	assert_int_equal(!bearer, !expected);
	if (bearer)
		assert_string_equal(bearer->value, expected);
}

static int set_up(void **state)
{
	struct config config = {
		.api_key = (char *)"key",
		.domain_key_field = (char *)"domainKey",
		.answer_attribute = (char *)"A",
		.page_size = 100,
		.memory = 1 << 20,
	};
	struct secret secret = {NULL, 0};

	(void)state;
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	memset(&failures, 0, sizeof(failures));
	granted = 0;
	failing = NULL;
	holding = NULL;
	assert_int_equal(uv_loop_init(&loop), 0);
	server_start(&server, &loop, handle, NULL);
	assert_int_equal(http_new(&loop, HTTP_API, TIMEOUT_MS, 4, NULL, NULL, &home, &http), 0);
	assert_true(asprintf(&config.auth_url, "http://127.0.0.1:%d/v1", server.port) > 0);
	assert_int_equal(provider_inbenta.provider_new(&config, &provider), 0);
	free(config.auth_url);
	assert_int_equal(token_new(&loop, http, &provider_inbenta, provider, &failures, changed,
				   NULL, &token),
			 0);
	assert_int_equal(secret_set(&secret, "hunter2", 7), 0);
	token_renew(token, &secret);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_held("token-1");
	assert_string_equal(asked(), "auth ");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	token_free(token);
	http_free(http);
	provider_inbenta.provider_free(provider);
	server_stop(&server);
	loop_drain(&loop);
	return 0;
}

static void skip_to_renewal(void)
{
	clock_skip(&loop, LIFE_S * 800 + 1);
	RUN_UNTIL(&loop, server.seen_count >= 2);
}

static void test_a_renewal_goes_on_from_the_token_that_is_held(void **state)
{
	(void)state;
	holding = APIS;
	skip_to_renewal();
	RUN_UNTIL(&loop, server.seen_count == 3);
	assert_string_equal(asked(), "auth refreshToken apis ");
	assert_string_equal(bearer_of(1), "token-1");
	assert_string_equal(bearer_of(2), "token-2");
	/* Without its address a token is of no use yet. */
	assert_int_equal(token_state(token), TOKEN_ASKING);
	assert_held("token-1");
	answer(&server.seen[2]);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_held("token-2");
	assert_int_equal(token_requests(token), 3);
}

static void test_a_life_begins_with_the_token_not_with_the_address(void **state)
{
	(void)state;
	holding = APIS;
	skip_to_renewal();
	RUN_UNTIL(&loop, server.seen_count == 3);
	clock_sleep(LIFE_S * 1000);
	holding = NULL;
	answer(&server.seen[2]);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_BACKING_OFF);
	assert_int_equal(token_error(token), -ETIMEDOUT);
	assert_held(NULL);
	clock_skip(&loop, 2000);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_string_equal(asked(), "auth refreshToken apis auth ");
	assert_held("token-3");
}

static void test_a_renewal_that_failed_begins_with_nothing(void **state)
{
	(void)state;
	failing = REFRESH;
	skip_to_renewal();
	RUN_UNTIL(&loop, token_state(token) == TOKEN_BACKING_OFF);
	assert_held("token-1");
	clock_skip(&loop, 2000);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_string_equal(asked(), "auth refreshToken auth ");
	assert_held("token-2");
}

static void test_what_was_slept_through_begins_with_nothing(void **state)
{
	(void)state;
	clock_sleep(LIFE_S * 1000);
	assert_held(NULL);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_string_equal(asked(), "auth auth ");
	assert_held("token-2");
}

static void test_a_wrong_address_holds_the_token_back_and_costs_one_request(void **state)
{
	uint64_t first = 0;
	uint64_t second = 0;

	(void)state;
	assert_non_null(held(&first));
	for (int i = 0; i < 16; i++)
		assert_true(token_reject(token, first, PROVIDER_REFUSAL_ADDRESS));
	assert_held(NULL);
	assert_true(token_life_ms(token) > 0);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_string_equal(asked(), "auth apis ");
	assert_string_equal(bearer_of(1), "token-1");
	assert_string_equal(held(&second)->value, "token-1");
	assert_true(second != first);
	/* A late one for what was before says nothing; one for this does not help so soon. */
	assert_true(token_reject(token, first, PROVIDER_REFUSAL_ADDRESS));
	assert_false(token_reject(token, second, PROVIDER_REFUSAL_ADDRESS));
	assert_held("token-1");
	/* Which says nothing of the token. */
	assert_true(token_reject(token, second, PROVIDER_REFUSAL_TOKEN));
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_string_equal(asked(), "auth apis auth ");
	/* The renewal comes when that of the token would have come. */
	clock_skip(&loop, LIFE_S * 690);
	assert_int_equal(token_state(token), TOKEN_HELD);
}

static void test_a_wrong_address_during_a_renewal_waits_for_its_end(void **state)
{
	uint64_t serial = 0;

	(void)state;
	holding = APIS;
	skip_to_renewal();
	RUN_UNTIL(&loop, server.seen_count == 3);
	assert_non_null(held(&serial));
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_ADDRESS));
	assert_held(NULL);
	answer(&server.seen[2]);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_held("token-2");
	assert_string_equal(asked(), "auth refreshToken apis ");
	/* That was no try of its own: the next one is. */
	assert_non_null(held(&serial));
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_ADDRESS));
}

static void test_a_token_refused_while_its_address_is_asked_for_is_replaced(void **state)
{
	uint64_t serial = 0;

	(void)state;
	holding = APIS;
	assert_non_null(held(&serial));
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_ADDRESS));
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_TOKEN));
	RUN_UNTIL(&loop, server.seen_count == 2);
	answer(&server.seen[1]);
	RUN_UNTIL(&loop, token_state(token) == TOKEN_HELD);
	assert_string_equal(asked(), "auth apis auth ");
	assert_held("token-2");
}

/* Those that were under way with the wrong one: it is known already, and they can only wait. */
static void test_a_wrong_address_that_cannot_be_replaced_yet_fails_nobody(void **state)
{
	uint64_t serial = 0;

	(void)state;
	failing = APIS;
	assert_non_null(held(&serial));
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_ADDRESS));
	RUN_UNTIL(&loop, token_state(token) == TOKEN_BACKING_OFF);
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_ADDRESS));
	assert_int_equal(token_state(token), TOKEN_BACKING_OFF);
	assert_held(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(test_a_renewal_goes_on_from_the_token_that_is_held),
		TEST(test_a_life_begins_with_the_token_not_with_the_address),
		TEST(test_a_renewal_that_failed_begins_with_nothing),
		TEST(test_what_was_slept_through_begins_with_nothing),
		TEST(test_a_wrong_address_holds_the_token_back_and_costs_one_request),
		TEST(test_a_wrong_address_during_a_renewal_waits_for_its_end),
		TEST(test_a_token_refused_while_its_address_is_asked_for_is_replaced),
		TEST(test_a_wrong_address_that_cannot_be_replaced_yet_fails_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
