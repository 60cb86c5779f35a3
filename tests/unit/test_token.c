/* test_token.c: the token's state machine against a server in the same loop, on a clock that the
 * test turns: when it asks, how often, what it serves meanwhile, and what makes it stop. */
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

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define TIMEOUT_MS 5000
#define LIFE_S	   1000
#define ROUNDS	   20

static uv_loop_t loop;
static struct url_home home = {.api = "127.0.0.1", .places = URL_LOOPBACK};
static struct server server;
static struct http *http;
static struct provider *provider;
static struct token *token;
static struct failures failures;
static unsigned changes;

/* What the server does with a token request. */
static struct {
	enum { GRANT, SAY, RESET, HOLD } does;
	int status;
	const char *headers;
	const char *body;
	unsigned granted;
} script;

static void grant(struct server_request *request)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"access_token\":\"token-%u\",\"expires_in\":%d}",
		 ++script.granted, LIFE_S);
	server_answer(request, 200, "", body);
}

static void handle(struct server *unused, struct server_request *request)
{
	(void)unused;
	if (script.does == GRANT)
		grant(request);
	else if (script.does == SAY)
		server_answer(request, script.status, script.headers, script.body);
	else if (script.does == RESET)
		server_reset(request);
}

static void says(int status, const char *headers, const char *body)
{
	script.does = SAY;
	script.status = status;
	script.headers = headers;
	script.body = body;
}

static void changed(void *data)
{
	(void)data;
	changes++;
}

static void token_start(void)
{
	assert_int_equal(token_new(&loop, http, &provider_ibinder, provider, &failures, changed,
				   NULL, &token),
			 0);
}

static int set_up(void **state)
{
	struct config config = {
		.tenant_id = (char *)"tenant",
		.client_id = (char *)"client",
		.api_url = (char *)"http://127.0.0.1:1/api",
		.subfolders_path = (char *)"",
		.page_size = 250,
		.memory = 1 << 20,
	};

	(void)state;
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	memset(&script, 0, sizeof(script));
	memset(&failures, 0, sizeof(failures));
	changes = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	server_start(&server, &loop, handle, NULL);
	assert_int_equal(http_new(&loop, HTTP_API, TIMEOUT_MS, 4, NULL, NULL, &home, &http), 0);
	assert_true(asprintf(&config.auth_url, "http://127.0.0.1:%d/connect/token", server.port) >
		    0);
	assert_int_equal(provider_ibinder.provider_new(&config, &provider), 0);
	free(config.auth_url);
	token_start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	token_free(token);
	http_free(http);
	provider_ibinder.provider_free(provider);
	server_stop(&server);
	loop_drain(&loop);
	return 0;
}

static void renew(const char *text)
{
	struct secret secret = {NULL, 0};

	assert_int_equal(secret_set(&secret, text, strlen(text)), 0);
	token_renew(token, &secret);
	assert_null(secret.value); /* moved */
}

/* Until the request under way is answered. */
static void await(enum token_state state)
{
	RUN_UNTIL(&loop, token_state(token) != TOKEN_ASKING);
	assert_int_equal(token_state(token), state);
}

/* A granted token is held. */
static void hold_token(void)
{
	script.does = GRANT;
	renew("hunter2");
	await(TOKEN_HELD);
}

static const char *held(uint64_t *ret_serial)
{
	const struct secret *secret = token_get(token, ret_serial);

	return secret ? secret->value : NULL;
}

static void assert_held(const char *expected)
{
	uint64_t serial;
	const char *value = held(&serial);

	if (expected && value)
		assert_string_equal(value, expected);
	else
		assert_ptr_equal(value, expected);
}

/* Turns the clock until the next request goes out. Returns how far, within a step. */
static int64_t skip_until_request(int64_t step_ms)
{
	uint64_t before = token_requests(token);
	int64_t skipped_ms = 0;

	for (; token_requests(token) == before; skipped_ms += step_ms) {
		assert_true(skipped_ms < TOKEN_REFUSED_MS * 4);
		clock_skip(&loop, step_ms);
	}
	return skipped_ms;
}

/* It must go out so long after the latest. Real time passes as well, as much as the machine likes:
 * with it it was not too soon, without it not too late. Returns what was skipped. */
static int64_t skip_to_request(int64_t step_ms, int64_t least_ms, int64_t most_ms)
{
	int64_t latest_ms = server.latest_ms;
	int64_t skipped_ms = skip_until_request(step_ms);

	assert_in_range(skipped_ms, 0, most_ms);
	assert_true(loop_now_ms() - latest_ms >= least_ms);
	return skipped_ms;
}

/* ---- Asking. ---- */

static void test_nothing_happens_before_there_is_a_secret(void **state)
{
	(void)state;
	run_for(&loop, 20);
	clock_skip(&loop, TOKEN_REFUSED_MS * 2);
	token_retry(token);
	assert_held(NULL);
	assert_int_equal(token_state(token), TOKEN_IDLE);
	assert_int_equal(token_error(token), 0);
	assert_int_equal(token_life_ms(token), 0);
	assert_int_equal(token_requests(token), 0);
	assert_int_equal(changes, 0);
}

static void test_asks_at_once_and_in_the_background(void **state)
{
	uint64_t serial = 0;

	(void)state;
	renew("hun ter&2");
	assert_int_equal(token_state(token), TOKEN_ASKING);
	assert_held(NULL);
	assert_int_equal(changes, 1);
	await(TOKEN_HELD);
	assert_int_equal(changes, 2);
	assert_string_equal(held(&serial), "token-1");
	assert_int_equal(token_error(token), 0);
	/* It counts as dead a little before it is. */
	assert_in_range(token_life_ms(token), LIFE_S * 950 - PATIENCE_MS, LIFE_S * 950);

	assert_int_equal(server_count(&server, "POST /connect/token"), 1);
	assert_int_equal(server.seen_count, 1);
	assert_string_equal(server_header(&server.seen[0], "Content-Type"),
			    "application/x-www-form-urlencoded");
	assert_null(server_header(&server.seen[0], "Authorization"));
	assert_non_null(strstr(server.seen[0].body, "client_secret=hun%20ter%262"));
	assert_int_equal(failures.total, 0);
}

static void test_one_request_however_many_wait(void **state)
{
	uint64_t serial;

	(void)state;
	script.does = HOLD;
	renew("hunter2");
	for (int i = 0; i < 1000; i++) {
		assert_null(held(&serial));
		token_retry(token);
		assert_true(token_reject(token, 0, PROVIDER_REFUSAL_TOKEN));
	}
	RUN_UNTIL(&loop, server.seen_count == 1);
	run_for(&loop, 20);
	assert_int_equal(server.seen_count, 1);
	assert_int_equal(token_requests(token), 1);
	grant(&server.seen[0]);
	await(TOKEN_HELD);
}

/* ---- Renewing. ---- */

static void test_renewed_between_70_and_80_percent_of_its_life(void **state)
{
	int64_t least_ms = INT64_MAX;
	int64_t most_ms = 0;

	(void)state;
	hold_token();
	for (unsigned round = 1; round <= ROUNDS; round++) {
		char old[16];
		char new[16];
		uint64_t serial = 0;
		uint64_t new_serial = 0;
		int64_t ms;

		snprintf(old, sizeof(old), "token-%u", round);
		snprintf(new, sizeof(new), "token-%u", round + 1);
		assert_string_equal(held(&serial), old);
		ms = skip_to_request(500, LIFE_S * 700, LIFE_S * 800 + 500);
		least_ms = ms < least_ms ? ms : least_ms;
		most_ms = ms > most_ms ? ms : most_ms;
		/* The old one serves until the new one is there. */
		assert_int_equal(token_state(token), TOKEN_ASKING);
		assert_held(old);
		await(TOKEN_HELD);
		assert_string_equal(held(&new_serial), new);
		assert_true(new_serial != serial);
		assert_int_equal(token_requests(token), round + 1);
	}
	/* Many clients that began together do not come back together. */
	assert_true(most_ms - least_ms > LIFE_S * 10);
}

/* A failed renewal is not a logout. */
static void test_the_old_token_serves_while_renewals_fail(void **state)
{
	int64_t passed_ms;

	(void)state;
	hold_token();
	script.does = RESET;
	passed_ms = skip_until_request(500);
	await(TOKEN_BACKING_OFF);
	for (; passed_ms < LIFE_S * 945; passed_ms += 5000) {
		assert_held("token-1");
		clock_skip(&loop, 5000);
		RUN_UNTIL(&loop, token_state(token) != TOKEN_ASKING);
	}
	assert_held("token-1");
	assert_true(token_requests(token) > 5);
	clock_skip(&loop, LIFE_S * 10);
	RUN_UNTIL(&loop, token_state(token) != TOKEN_ASKING);
	assert_held(NULL);
	assert_int_equal(token_life_ms(token), 0);
	assert_int_equal(token_error(token), -EHOSTUNREACH);
	script.does = GRANT;
	skip_until_request(1000);
	await(TOKEN_HELD);
	assert_held("token-2");
	assert_int_equal(token_error(token), 0);
}

/* Timers do not run while the machine sleeps: whoever wants the token finds out. */
static void test_slept_past_its_life(void **state)
{
	(void)state;
	hold_token();
	clock_sleep(LIFE_S * 900);
	assert_held("token-1");
	clock_sleep(LIFE_S * 51);
	assert_held(NULL);
	assert_int_equal(token_state(token), TOKEN_ASKING);
	assert_held(NULL);
	assert_int_equal(token_requests(token), 2);
	await(TOKEN_HELD);
	assert_held("token-2");
}

/* ---- Refused. ---- */

static void test_a_refusal_does_not_hammer(void **state)
{
	static const int statuses[] = {400, 401, 403};

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		says(statuses[i], "", "{\"error\":\"invalid_client\"}");
		renew("hunter2");
		await(TOKEN_REFUSED);
		assert_int_equal(token_error(token), -EACCES);
		assert_held(NULL);
		for (int s = 0; s < TOKEN_REFUSED_MS / 1000 - 1; s++) {
			clock_skip(&loop, 1000);
			token_retry(token);
			assert_held(NULL);
			token_reject(token, 0, PROVIDER_REFUSAL_TOKEN);
		}
		assert_int_equal(token_requests(token), 2 * i + 1);
		/* Somebody may have mended it meanwhile. */
		clock_skip(&loop, 2000);
		assert_int_equal(token_requests(token), 2 * i + 2);
		await(TOKEN_REFUSED);
	}
	assert_int_equal(failures.total, COUNT(statuses));
	assert_string_equal(failures.ring[0].path, "token");
	assert_string_equal(failures.ring[0].title, "invalid_client");
	assert_int_equal(failures.ring[0].status, 400);
	assert_int_equal(failures.ring[0].error, -EACCES);
	assert_int_equal(failures.ring[0].count, 2);
}

static void test_a_new_secret_is_tried_at_once(void **state)
{
	(void)state;
	says(401, "", "");
	renew("wrong");
	await(TOKEN_REFUSED);
	script.does = GRANT;
	renew("right");
	assert_int_equal(token_state(token), TOKEN_ASKING);
	assert_int_equal(token_error(token), 0);
	await(TOKEN_HELD);
	assert_held("token-1");
	assert_non_null(strstr(server.seen[1].body, "client_secret=right"));
}

static void test_the_old_token_serves_after_a_refusal(void **state)
{
	(void)state;
	hold_token();
	says(400, "", "");
	skip_until_request(500);
	await(TOKEN_REFUSED);
	assert_held("token-1");
	assert_int_equal(token_error(token), -EACCES);
	assert_true(token_life_ms(token) > 0);
}

/* The request under way carries the old secret; its answer counts no more. */
static void test_a_new_secret_while_asking(void **state)
{
	(void)state;
	script.does = HOLD;
	renew("first");
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	renew("second");
	RUN_UNTIL(&loop, server.seen_count == 2);
	RUN_UNTIL(&loop, server.seen[0].connection == NULL); /* the client closed it */
	assert_non_null(strstr(server.seen[1].body, "client_secret=second"));
	grant(&server.seen[1]);
	await(TOKEN_HELD);
	assert_held("token-1");
	run_for(&loop, 20);
	assert_int_equal(token_requests(token), 2);
}

/* ---- Backing off. ---- */

static void test_tries_again_less_and_less_often(void **state)
{
	int64_t expected_ms = 500;

	(void)state;
	says(500, "", "");
	renew("hunter2");
	for (int i = 0; i < 12; i++) {
		await(TOKEN_BACKING_OFF);
		assert_int_equal(token_error(token), -EIO);
		skip_to_request(10, expected_ms * 3 / 4 - 50, expected_ms * 5 / 4 + 50);
		expected_ms = expected_ms * 2 > 60000 ? 60000 : expected_ms * 2;
	}
	assert_int_equal(expected_ms, 60000);
	/* Once it worked it begins anew. */
	await(TOKEN_BACKING_OFF);
	script.does = GRANT;
	skip_until_request(1000);
	await(TOKEN_HELD);
	says(500, "", "");
	skip_until_request(1000);
	await(TOKEN_BACKING_OFF);
	skip_to_request(10, 300, 700);
	await(TOKEN_BACKING_OFF);
}

static void test_what_is_waited_out(void **state)
{
	static const struct {
		int status;
		const char *body;
		int error;
	} table[] = {
		{500, "", -EIO},
		{502, "<html>", -EIO},
		{503, "", -EIO},
		{429, "", -EBUSY},
		{404, "", -EBADMSG},
		{200, "<html>", -EBADMSG},
		{302, "", -EBADMSG},
		{200, "{\"access_token\":\"a\\r\\nX: b\",\"expires_in\":60}", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		says(table[i].status, "", table[i].body);
		renew("hunter2");
		await(TOKEN_BACKING_OFF);
		assert_int_equal(token_error(token), table[i].error);
		assert_held(NULL);
		/* In the status it is said once: 502 and 503 are others than 500. */
		assert_int_equal(failures.total, i + 1);
		assert_int_equal(failures.ring[i].error, table[i].error);
		assert_int_equal(failures.ring[i].status, table[i].status);
	}
	server_refuse(&server);
	renew("hunter2");
	await(TOKEN_BACKING_OFF);
	assert_int_equal(token_error(token), -EHOSTUNREACH);
}

static void test_retry_after_is_obeyed(void **state)
{
	static const int statuses[] = {429, 503};

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		says(statuses[i], "Retry-After: 30\r\n", "");
		renew("hunter2");
		await(TOKEN_BACKING_OFF);
		skip_to_request(100, 29900, 31000);
		await(TOKEN_BACKING_OFF);
	}
	/* Also where the back-off is about as long, and jitters. */
	for (int round = 0; round < ROUNDS; round++) {
		says(500, "", "");
		renew("hunter2");
		for (int i = 0; i < 4; i++) {
			await(TOKEN_BACKING_OFF);
			skip_until_request(100);
			says(i == 3 ? 429 : 500, "Retry-After: 7\r\n", "");
		}
		await(TOKEN_BACKING_OFF);
		skip_to_request(100, 6900, INT64_MAX);
		await(TOKEN_BACKING_OFF);
	}
}

static void test_somebody_who_waits_need_not_wait_for_the_back_off(void **state)
{
	(void)state;
	script.does = RESET;
	renew("hunter2");
	await(TOKEN_BACKING_OFF);
	script.does = GRANT;
	token_retry(token);
	token_retry(token);
	assert_int_equal(token_state(token), TOKEN_ASKING);
	assert_int_equal(token_requests(token), 2);
	await(TOKEN_HELD);
	token_retry(token);
	assert_int_equal(token_state(token), TOKEN_HELD);
	assert_int_equal(token_requests(token), 2);
}

/* But what the server asked for is not theirs to shorten. */
static void test_somebody_who_waits_obeys_retry_after(void **state)
{
	(void)state;
	says(429, "Retry-After: 30\r\n", "");
	renew("hunter2");
	await(TOKEN_BACKING_OFF);
	clock_skip(&loop, 29000);
	token_retry(token);
	assert_int_equal(token_requests(token), 1);
	clock_skip(&loop, 1500);
	token_retry(token);
	assert_int_equal(token_requests(token), 2);
	await(TOKEN_BACKING_OFF);
}

/* ---- Rejected by the API. ---- */

static void test_a_rejected_token_is_replaced_once(void **state)
{
	uint64_t first = 0;
	uint64_t second = 0;

	(void)state;
	hold_token();
	assert_non_null(held(&first));
	/* Sixteen answers of 401 come in for the same token. */
	for (int i = 0; i < 16; i++)
		assert_true(token_reject(token, first, PROVIDER_REFUSAL_TOKEN));
	assert_held(NULL);
	assert_int_equal(token_requests(token), 2);
	await(TOKEN_HELD);
	assert_string_equal(held(&second), "token-2");

	/* A late one for the old token says nothing of the new. */
	assert_true(token_reject(token, first, PROVIDER_REFUSAL_TOKEN));
	assert_held("token-2");
	/* The new one is rejected as well: a third will not help, and it is not asked for. */
	for (int i = 0; i < 16; i++)
		assert_false(token_reject(token, second, PROVIDER_REFUSAL_TOKEN));
	assert_held("token-2");
	assert_int_equal(token_requests(token), 2);
	clock_skip(&loop, TOKEN_REJECT_PAUSE_MS - 1000);
	assert_false(token_reject(token, second, PROVIDER_REFUSAL_TOKEN));
	clock_skip(&loop, 1500);
	assert_true(token_reject(token, second, PROVIDER_REFUSAL_TOKEN));
	assert_int_equal(token_requests(token), 3);
	await(TOKEN_HELD);
	assert_held("token-3");
}

static void test_rejected_while_renewals_fail(void **state)
{
	uint64_t serial = 0;
	uint64_t requests;

	(void)state;
	hold_token();
	script.does = RESET;
	skip_until_request(500);
	await(TOKEN_BACKING_OFF);
	assert_non_null(held(&serial));
	requests = token_requests(token);
	assert_true(token_reject(token, serial, PROVIDER_REFUSAL_TOKEN));
	assert_held(NULL);
	/* The API answered, so the network is back: no reason to wait out the back-off. */
	assert_int_equal(token_state(token), TOKEN_ASKING);
	assert_int_equal(token_requests(token), requests + 1);
	await(TOKEN_BACKING_OFF);
}

/* ---- Secrets, ends. ---- */

/* Also when the server repeats what it was sent. */
static void test_no_failure_shows_a_secret(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":\"invalid_client\"}",
		"{\"title\":\"hunter2 is wrong\",\"traceId\":\"t-1\"}",
		"{\"title\":\"Wrong\",\"traceId\":\"for hunter2\"}",
		"{\"error\":\"token-1 was better\"}",
		"hunter2? token-1?",
	};
	struct buf text = BUF_INIT(1 << 20);

	(void)state;
	hold_token();
	for (size_t i = 0; i < COUNT(bodies); i++) {
		says(400, "", bodies[i]);
		renew("hunter2");
		await(TOKEN_REFUSED);
		assert_held("token-1");
		failures_print(&failures, &text);
		script.does = RESET;
		renew("hunter2");
		await(TOKEN_BACKING_OFF);
	}
	failures_print(&failures, &text);
	assert_non_null(strstr(buf_str(&text), "invalid_client"));
	assert_null(strstr(buf_str(&text), "hunter2"));
	assert_null(strstr(buf_str(&text), "token-"));
	buf_reset(&text);
}

static void test_freed_in_every_state(void **state)
{
	(void)state;
	token_free(NULL);
	token_free(token); /* IDLE */
	for (int kind = 0; kind < 4; kind++) {
		token_start();
		script.does = kind == 0 ? HOLD : kind == 1 ? GRANT : kind == 2 ? RESET : SAY;
		script.status = 400;
		script.headers = script.body = "";
		renew("hunter2");
		if (kind == 0)
			RUN_UNTIL(&loop, server_waiting(&server) == 1);
		else
			RUN_UNTIL(&loop, token_state(token) != TOKEN_ASKING);
		changes = 0;
		token_free(token);
		clock_skip(&loop, TOKEN_REFUSED_MS * 2);
		run_for(&loop, 20);
		assert_int_equal(changes, 0);
	}
	token_start();
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_happens_before_there_is_a_secret),
		TEST(test_asks_at_once_and_in_the_background),
		TEST(test_one_request_however_many_wait),
		TEST(test_renewed_between_70_and_80_percent_of_its_life),
		TEST(test_the_old_token_serves_while_renewals_fail),
		TEST(test_slept_past_its_life),
		TEST(test_a_refusal_does_not_hammer),
		TEST(test_a_new_secret_is_tried_at_once),
		TEST(test_the_old_token_serves_after_a_refusal),
		TEST(test_a_new_secret_while_asking),
		TEST(test_tries_again_less_and_less_often),
		TEST(test_what_is_waited_out),
		TEST(test_retry_after_is_obeyed),
		TEST(test_somebody_who_waits_need_not_wait_for_the_back_off),
		TEST(test_somebody_who_waits_obeys_retry_after),
		TEST(test_a_rejected_token_is_replaced_once),
		TEST(test_rejected_while_renewals_fail),
		TEST(test_no_failure_shows_a_secret),
		TEST(test_freed_in_every_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
