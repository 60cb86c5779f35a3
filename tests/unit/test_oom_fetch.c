/* test_oom_fetch.c: every allocation of fetcher, token, provider and HTTP, libcurl's too, fails
 * once, on a network that works: a fetch ends with its listing or with -ENOMEM, and once there is
 * memory again it works again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oom.h"

#include "fetch_fixture.h"

/* Longest that it may take until it works again: the breaker's probes, and a token's back-off. */
#define RECOVERY_MS 120000
#define STEP_MS	    50

static const char *binder_under_test;

/* As its rules say, without the fixture's buffers, which are the library's too. */
static void serve(void)
{
	SAYS(.prefix = TOP_URL, .times = FOREVER, .status = 200,
	     .body = "[{\"id\":\"A\",\"name\":\"Kv. Björken\"}]");
	SAYS(.prefix = PAGE_URL, .times = FOREVER, .status = 200,
	     .body = "{\"items\":[{\"id\":\"1\",\"fileName\":\"1.pdf\"}],\"totalCount\":1}");
}

/* A fetch to its end. Time in which nothing is under way is skipped. */
static int fetch_once(void)
{
	struct provider_resource resource = {
		.level = binder_under_test ? PROVIDER_PART : PROVIDER_TOP,
		.id = binder_under_test,
		.object = "{\"id\":\"A\"}",
		.object_len = 10,
	};
	struct outcome *outcome = &outcomes[0];
	int64_t end_ms = loop_now_ms() + RECOVERY_MS;
	int error;

	*outcome = (struct outcome){.calls = 0};
	error = fetch_start(fetcher, &resource, "binders", NULL, true, done, outcome,
			    &outcome->fetch);
	if (error)
		return error;
	while (!outcome->calls) {
		assert_true(loop_now_ms() < end_ms);
		if (fetcher_counters(fetcher)->in_flight > 0 ||
		    token_state(fetcher_token(fetcher)) == TOKEN_ASKING)
			uv_run(&loop, UV_RUN_ONCE);
		else
			clock_skip(&loop, STEP_MS);
	}
	assert_int_equal(outcome->error == 0, outcome->listing != NULL);
	if (outcome->listing) {
		/* All of it, or nothing. */
		assert_int_equal(outcome->listing->entry_count, binder_under_test ? 3 : 1);
		listing_unref(outcome->listing);
		outcome->listing = NULL;
	}
	return outcome->error;
}

static int fetch_and_recover(void)
{
	struct secret secret = {NULL, 0};
	unsigned long at = oom_at;
	int64_t end_ms;
	int error;

	oom_at = 0;
	set_up(NULL);
	serve();
	assert_int_equal(secret_set(&secret, "hunter2", 7), 0);
	oom_at = at;
	fetcher_renew(fetcher, &secret);
	error = fetch_once();
	oom_at = 0;
	end_ms = loop_now_ms() + RECOVERY_MS;
	while (fetch_once() != 0) { /* the breaker may be open */
		assert_true(loop_now_ms() < end_ms);
		clock_skip(&loop, STEP_MS);
	}
	tear_down(NULL);
	return error;
}

static void test_top(void **state)
{
	(void)state;
	binder_under_test = NULL;
	oom_run(fetch_and_recover);
}

static void test_part(void **state)
{
	(void)state;
	binder_under_test = "A";
	oom_run(fetch_and_recover);
}

/* What the loop needs fails before there is one. */
static int make_and_free(void)
{
	const struct config config = {
		.tenant_id = (char *)"TENANT",
		.client_id = (char *)"client",
		.api_url = (char *)"http://127.0.0.1:1/api",
		.auth_url = (char *)"http://127.0.0.1:1/token",
		.subfolders_path = (char *)"",
		.memory = 16 << 20,
		.connections = 1,
		.timeout_ms = TIMEOUT_MS,
	};
	struct http *client = NULL;
	struct provider *api = NULL;
	struct fetcher *all = NULL;
	uv_loop_t own;
	int error;

	assert_int_equal(uv_loop_init(&own), 0);
	error = http_new(&own, HTTP_API, TIMEOUT_MS, 1, "/dev/null", "http://127.0.0.1", &home,
			 &client);
	if (!error)
		error = provider_ibinder.provider_new(&config, &api);
	if (!error)
		error = fetcher_new(&own, client, &config, &provider_ibinder, api, &failures, &all);
	fetcher_free(all);
	if (api)
		provider_ibinder.provider_free(api);
	http_free(client);
	loop_drain(&own);
	return error;
}

static void test_make(void **state)
{
	(void)state;
	oom_run(make_and_free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_part),
	};

	oom_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
