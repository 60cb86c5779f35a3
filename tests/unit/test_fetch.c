/* test_fetch.c: one fetch against a server in the same loop: its requests side by side, what is
 * tried again and what is not, what each answer means, and cancelling it wherever it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch_fixture.h"

/* What a busy machine may add to a duration. */
#define NOISE_MS 1000

/* ---- Getting. ---- */

static void test_the_top_is_one_request(void **state)
{
	const struct fetch_counters *counters = fetcher_counters(fetcher);

	(void)state;
	start(0, NULL, true);
	assert_int_equal(await(0), 0);
	assert_int_equal(outcomes[0].listing->entry_count, 1);
	assert_non_null(listing_find_name(outcomes[0].listing, 0, "Kv. Björken"));
	assert_int_equal(server.seen_count, 2);
	assert_string_equal(server_header(&server.seen[1], "Authorization"), "Bearer token-1");
	assert_string_equal(server_header(&server.seen[1], "x-ibinder-tenantid"), "TENANT");
	/* The token's request carries neither. */
	assert_null(server_header(&server.seen[0], "Authorization"));
	assert_null(server_header(&server.seen[0], "x-ibinder-tenantid"));
	assert_int_equal(counters->requests, 1);
	assert_int_equal(counters->answers_ok, 1);
	assert_int_equal(counters->fetches, 1);
	assert_int_equal(counters->fetches_failed, 0);
	assert_int_equal(counters->in_flight, 0);
	assert_int_equal(counters->bytes, strlen("[{\"id\":\"A\",\"name\":\"Kv. Björken\"}]"));
	assert_int_equal(failures.total, 0);
}

static void test_a_fetch_waits_for_the_first_token(void **state)
{
	(void)state;
	HOLDS(TOKEN_URL, 1);
	start(0, NULL, true);
	run_for(&loop, 30);
	assert_int_equal(server.seen_count, 0);
	renew();
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	run_for(&loop, 30);
	assert_int_equal(outcomes[0].calls, 0);
	assert_int_equal(requests(), 0);
	release();
	assert_int_equal(await(0), 0);
}

static void test_pages_come_side_by_side_within_the_budget(void **state)
{
	const struct fetch_counters *counters = fetcher_counters(fetcher);

	(void)state;
	documents = 10 * PAGE_SIZE - 3;
	HOLDS(PAGE_URL "?pageSize=10&pageNumber=1", 1);
	start(0, "A", true);
	RUN_UNTIL(&loop, server_count(&server, PAGE_URL) == 1 && server_waiting(&server) == 1);
	run_for(&loop, 30);
	/* Nobody knows yet how many pages there are. */
	assert_int_equal(requests(), 3);
	HOLDS(PAGE_URL, FOREVER);
	release();
	RUN_UNTIL(&loop, server_waiting(&server) == CONNECTIONS);
	run_for(&loop, 50);
	assert_int_equal(server_waiting(&server), CONNECTIONS);
	assert_int_equal(counters->in_flight, CONNECTIONS);
	/* Each answer makes room for one more. */
	for (unsigned left = 9; left > CONNECTIONS; left--) {
		unsigned i = 0;

		while (!server.seen[i].connection)
			i++;
		answer_well(&server.seen[i]);
		RUN_UNTIL(&loop, server_waiting(&server) == CONNECTIONS);
	}
	rules_clear();
	release();
	assert_int_equal(await(0), 0);
	assert_int_equal(outcomes[0].listing->entry_count, documents + 2);
	assert_int_equal(requests(), 2 + 10);
	for (unsigned page = 1; page <= 10; page++) {
		char prefix[64];
		unsigned count = 0;

		snprintf(prefix, sizeof(prefix), "/api/documents?pageSize=10&pageNumber=%u", page);
		for (unsigned i = 0; i < server.seen_count; i++)
			count += strcmp(server.seen[i].target, prefix) == 0;
		assert_int_equal(count, 1);
	}
	assert_int_equal(counters->in_flight_max, CONNECTIONS);
	assert_int_equal(counters->in_flight, 0);
}

static void test_what_did_not_change_is_carried_over(void **state)
{
	struct provider_resource top = {.level = PROVIDER_TOP};
	struct listing *first;

	(void)state;
	start(0, NULL, true);
	assert_int_equal(await(0), 0);
	first = outcomes[0].listing;
	outcomes[0].listing = NULL;
	assert_int_equal(fetch_start(fetcher, &top, "binders", first, true, done, &outcomes[1],
				     &outcomes[1].fetch),
			 0);
	outcomes[2].calls = (unsigned)first->generation;
	outcomes[2].error = (int)(first->entries[0].mtime_ns % 1000000007);
	listing_unref(first); /* the fetch keeps its own */
	assert_int_equal(await(1), 0);
	assert_true(outcomes[1].listing->entries[0].version == outcomes[2].calls);
	assert_int_equal(outcomes[1].listing->entries[0].mtime_ns % 1000000007, outcomes[2].error);
}

/* ---- Answers that end it. ---- */

static void test_what_each_answer_means(void **state)
{
	static const struct {
		int status;
		const char *body;
		int error;
	} table[] = {
		{400, "{\"title\":\"Validation\",\"traceId\":\"t-1\"}", -EBADMSG},
		{403, "{\"title\":\"Forbidden\",\"traceId\":\"t-2\"}", -EACCES},
		{404, "<html>", -ENOENT},
		{405, "", -EBADMSG},
		{409, "", -EBADMSG},
		{302, "", -EBADMSG},
		{201, "[]", -EBADMSG},
		{204, "", -EBADMSG},
		{200, "<html>Welcome</html>", -EBADMSG},
		{200, "", -EBADMSG},
		{200, "[{\"name\":\"no id\"}]", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		rules_clear();
		SAYS(.prefix = TOP_URL, .times = 1, .status = table[i].status,
		     .body = table[i].body);
		assert_int_equal(fetch(NULL), table[i].error);
		assert_int_equal(latest_failure()->error, table[i].error);
		assert_int_equal(latest_failure()->status, table[i].status);
		assert_string_equal(latest_failure()->path, "binders");
		/* Asking again would bring the same. */
		assert_int_equal(requests(), i + 1);
	}
	assert_string_equal(failures.ring[0].title, "Validation");
	assert_string_equal(failures.ring[0].trace_id, "t-1");
	assert_string_equal(failures.ring[1].title, "Forbidden");
	assert_int_equal(fetcher_counters(fetcher)->fetches_failed, COUNT(table));
	assert_int_equal(fetcher_counters(fetcher)->retries, 0);
	/* None of these says that the server is gone. */
	assert_int_equal(fetcher_failing_since(fetcher), 0);
	assert_int_equal(fetch(NULL), 0);
}

/* The first answer that ends a fetch ends it: the others are not waited for. */
static void test_one_bad_answer_ends_it_all(void **state)
{
	(void)state;
	documents = 5 * PAGE_SIZE;
	REFUSES(PAGE_URL "?pageSize=10&pageNumber=3", 1, 403);
	HOLDS(PAGE_URL "?pageSize=10&pageNumber=2", 1);
	start(0, "A", true);
	assert_int_equal(await(0), -EACCES);
	assert_int_equal(fetcher_counters(fetcher)->in_flight, 0);
	RUN_UNTIL(&loop, server_waiting(&server) == 0); /* the held one was cancelled */
	run_for(&loop, 30);
	assert_int_equal(outcomes[0].calls, 1);
}

static int set_up_small(void **state)
{
	config_memory = 20000;
	set_up_with_token(state);
	config_memory = 16 << 20;
	return 0;
}

static void test_more_than_memory_allows(void **state)
{
	(void)state;
	documents = 100 * PAGE_SIZE;
	assert_int_equal(fetch("A"), -EFBIG);
	assert_int_equal(latest_failure()->error, -EFBIG);
	documents = 3;
	assert_int_equal(fetch("A"), 0);
}

/* ---- Trying again. ---- */

static void test_what_may_pass_is_tried_again(void **state)
{
	static const int statuses[] = {500, 502, 503, 504};

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		rules_clear();
		REFUSES(TOP_URL, 1, statuses[i]);
		assert_int_equal(fetch(NULL), 0);
		assert_int_equal(fetcher_counters(fetcher)->retries, i + 1);
	}
	assert_int_equal(fetcher_counters(fetcher)->answers_broken, COUNT(statuses));
	assert_int_equal(failures.total, 0);
}

/* Where one connection broke the others that wait in the pool may be dead as well. */
static void test_a_broken_connection_is_tried_again_on_a_fresh_one(void **state)
{
	unsigned accepted;

	(void)state;
	HOLDS(TOP_URL, 3);
	for (size_t i = 0; i < 3; i++)
		start(i, NULL, true);
	RUN_UNTIL(&loop, server_waiting(&server) == 3);
	release();
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(await(i), 0);
	for (size_t i = 0; i < 3; i++)
		listing_unref(outcomes[i].listing);
	memset(outcomes, 0, sizeof(outcomes));
	accepted = server.accepted;
	RESETS(TOP_URL, 1);
	assert_int_equal(fetch(NULL), 0);
	assert_int_equal(fetcher_counters(fetcher)->network_errors, 1);
	assert_int_equal(fetcher_counters(fetcher)->retries, 1);
	assert_int_equal(server.accepted, accepted + 1);
}

/* Only the request that failed is sent again. */
static void test_a_page_that_fails_is_the_only_one_sent_again(void **state)
{
	(void)state;
	documents = 4 * PAGE_SIZE;
	REFUSES(PAGE_URL "?pageSize=10&pageNumber=3", 2, 503);
	start(0, "A", true);
	assert_int_equal(await(0), 0);
	assert_int_equal(outcomes[0].listing->entry_count, documents + 2);
	assert_int_equal(requests(), 2 + 4 + 2);
	assert_int_equal(server_count(&server, PAGE_URL "?pageSize=10&pageNumber=3"), 3);
}

static void test_it_is_given_up_within_the_timeout(void **state)
{
	int64_t start_ms = loop_now_ms();

	(void)state;
	SAYS(.prefix = TOP_URL, .times = FOREVER, .status = 500,
	     .body = "{\"title\":\"Oops\",\"traceId\":\"t-9\"}");
	assert_int_equal(fetch(NULL), -EIO);
	/* No try begins later, and the next would be much later. */
	assert_true(loop_now_ms() - start_ms < TIMEOUT_MS + NOISE_MS);
	assert_in_range(requests(), 3, 5);
	assert_int_equal(latest_failure()->status, 500);
	assert_string_equal(latest_failure()->title, "Oops");
	assert_string_equal(latest_failure()->trace_id, "t-9");
	assert_non_null(strstr(latest_failure()->what, "tried"));
}

static void test_back_off_grows(void **state)
{
	static const int64_t expected_ms[] = {200, 400, 800};

	(void)state;
	REFUSES(TOP_URL, 3, 500);
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_broken == 1);
	for (unsigned i = 0; i < COUNT(expected_ms); i++) {
		skip_to_request(10, expected_ms[i] * 3 / 4 - 60, expected_ms[i] * 5 / 4 + 60);
		if (i < 2)
			RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_broken == i + 2);
	}
	assert_int_equal(await(0), 0);
}

/* A Retry-After is obeyed, and when there is no time for it there is no point in waiting. */
static void test_retry_after_of_a_503(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 503, .headers = "Retry-After: 2\r\n");
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_broken == 1);
	skip_to_request(20, 1900, 2200);
	assert_int_equal(await(0), 0);
	listing_unref(outcomes[0].listing);
	outcomes[0].listing = NULL;

	rules_clear();
	SAYS(.prefix = TOP_URL, .times = 1, .status = 503, .headers = "Retry-After: 60\r\n");
	assert_int_equal(fetch(NULL), -EIO);
	assert_int_equal(requests(), 3);
}

/* ---- 401. ---- */

static void test_a_401_heals_once(void **state)
{
	(void)state;
	REFUSES(TOP_URL, 1, 401);
	assert_int_equal(fetch(NULL), 0);
	assert_int_equal(server_count(&server, TOKEN_URL), 2);
	assert_int_equal(server_count(&server, TOP_URL), 2);
	assert_string_equal(server_header(&server.seen[server.seen_count - 1], "Authorization"),
			    "Bearer token-2");
	assert_int_equal(failures.total, 0);
}

static void test_many_401_cost_one_token(void **state)
{
	(void)state;
	HOLDS(DRIVE_URL, FOREVER);
	start(0, "A", true);
	start(1, "B", true);
	start(2, "C", true);
	start(3, "D", true);
	RUN_UNTIL(&loop, server_waiting(&server) == CONNECTIONS);
	rules_clear();
	for (unsigned i = 0; i < server.seen_count; i++)
		server_answer(&server.seen[i], 401, "", "");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(await(i), 0);
	assert_int_equal(server_count(&server, TOKEN_URL), 2);
}

static void test_a_401_that_a_new_token_does_not_cure(void **state)
{
	(void)state;
	REFUSES(TOP_URL, FOREVER, 401);
	assert_int_equal(fetch(NULL), -EACCES);
	assert_int_equal(server_count(&server, TOKEN_URL), 2);
	assert_int_equal(server_count(&server, TOP_URL), 2);
	/* Nor the next one: for a while nobody asks for a third. */
	assert_int_equal(fetch(NULL), -EACCES);
	assert_int_equal(server_count(&server, TOKEN_URL), 2);
	assert_int_equal(server_count(&server, TOP_URL), 3);
	assert_int_equal(latest_failure()->status, 401);
	rules_clear();
	assert_int_equal(fetch(NULL), 0);
}

/* They are of tokens that are no longer held. */
static void test_a_401_of_what_was_replaced_under_way_does_not_count(void **state)
{
	(void)state;
	HOLDS(TOP_URL, 3);
	start(0, NULL, true);
	for (unsigned tries = 1; tries <= 3; tries++) {
		RUN_UNTIL(&loop, server_waiting(&server) == 1);
		renew();
		RUN_UNTIL(&loop, tokens_granted == tries + 1);
		run_for(&loop, 20);
		for (unsigned i = 0; i < server.seen_count; i++)
			server_answer(&server.seen[i], 401, "", "");
	}
	assert_int_equal(await(0), 0);
	assert_int_equal(requests(), 4);
}

/* A server that refuses later than tokens live would be asked for ever. */
static void test_what_was_replaced_counts_past_the_timeout(void **state)
{
	(void)state;
	HOLDS(TOP_URL, FOREVER);
	start(0, NULL, true);
	for (unsigned tries = 1; tries <= 2; tries++) {
		RUN_UNTIL(&loop, server_waiting(&server) == 1);
		clock_sleep(TIMEOUT_MS);
		renew();
		RUN_UNTIL(&loop, tokens_granted == tries + 1);
		run_for(&loop, 20);
		assert_int_equal(requests(), tries);
		server_answer(&server.seen[server.seen_count - 2], 401, "", "");
	}
	assert_int_equal(await(0), -EACCES);
	assert_int_equal(requests(), 2);
}

/* However far apart the refusals are. */
static void test_a_slow_401_heals_once_as_well(void **state)
{
	(void)state;
	HOLDS(TOP_URL, FOREVER);
	start(0, NULL, true);
	for (unsigned tries = 1; tries <= 2; tries++) {
		RUN_UNTIL(&loop, server_waiting(&server) == 1);
		clock_sleep(2 * TOKEN_REJECT_PAUSE_MS);
		assert_int_equal(outcomes[0].calls, 0);
		assert_int_equal(requests(), tries);
		server_answer(&server.seen[server.seen_count - 1], 401, "", "");
	}
	assert_int_equal(await(0), -EACCES);
	assert_int_equal(requests(), 2);
}

static void test_a_client_that_is_refused(void **state)
{
	(void)state;
	REFUSES(TOKEN_URL, FOREVER, 400);
	renew();
	start(0, NULL, true);
	start(1, "A", false);
	assert_int_equal(await(0), -EACCES);
	assert_int_equal(await(1), -EACCES);
	assert_int_equal(fetcher_refusal(fetcher), -EACCES);
	assert_int_equal(requests(), 0);
	/* A new secret, and all is well. */
	rules_clear();
	renew();
	assert_int_equal(fetcher_refusal(fetcher), 0);
	assert_int_equal(fetch(NULL), 0);
}

/* ---- Cancelling. ---- */

static void assert_silent(void)
{
	uint64_t before = requests();

	assert_int_equal(fetcher_counters(fetcher)->in_flight, 0);
	clock_skip(&loop, 1500);
	run_for(&loop, 20);
	assert_int_equal(outcomes[0].calls, 0);
	assert_int_equal(requests(), before);
	assert_int_equal(failures.total, 0);
}

static void cancel(void)
{
	fetch_cancel(outcomes[0].fetch);
	outcomes[0].fetch = NULL;
}

static void test_cancelled_at_once(void **state)
{
	(void)state;
	start(0, "A", true);
	cancel();
	assert_silent();
	start(0, "A", false);
	cancel();
	assert_silent();
}

static void test_cancelled_while_it_waits_for_a_token(void **state)
{
	(void)state;
	HOLDS(TOKEN_URL, 1);
	renew();
	start(0, "A", true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	run_for(&loop, 20);
	cancel();
	release();
	RUN_UNTIL(&loop, token_state(fetcher_token(fetcher)) == TOKEN_HELD);
	assert_silent();
}

static void test_cancelled_with_requests_under_way(void **state)
{
	(void)state;
	documents = 9 * PAGE_SIZE;
	HOLDS(PAGE_URL "?pageSize=10&pageNumber=2", 1);
	HOLDS(PAGE_URL "?pageSize=10&pageNumber=3", 1);
	start(0, "A", true);
	RUN_UNTIL(&loop, server_waiting(&server) == 2 && server_count(&server, PAGE_URL) == 9);
	cancel();
	RUN_UNTIL(&loop, server_waiting(&server) == 0);
	assert_silent();
}

static void test_cancelled_while_it_backs_off(void **state)
{
	(void)state;
	REFUSES(TOP_URL, 1, 500);
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_broken == 1);
	cancel();
	assert_silent();
}

static void test_cancelled_during_a_pause(void **state)
{
	(void)state;
	REFUSES(TOP_URL, 1, 429);
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	cancel();
	assert_silent();
}

static void test_cancelled_while_it_waits_for_room(void **state)
{
	(void)state;
	HOLDS(DRIVE_URL, FOREVER);
	for (size_t i = 1; i <= CONNECTIONS; i++)
		start(i, "B", true);
	start(0, NULL, true);
	RUN_UNTIL(&loop, server_waiting(&server) == CONNECTIONS);
	cancel();
	rules_clear();
	release();
	for (size_t i = 1; i <= CONNECTIONS; i++)
		assert_int_equal(await(i), 0);
	assert_int_equal(outcomes[0].calls, 0);
	assert_int_equal(server_count(&server, TOP_URL), 0 + server_count(&server, SCHEMA_URL));
}

int main(void)
{
#define TEST(function)	    cmocka_unit_test_setup_teardown(function, set_up_with_token, tear_down)
#define TEST_BARE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_top_is_one_request),
		TEST_BARE(test_a_fetch_waits_for_the_first_token),
		TEST(test_pages_come_side_by_side_within_the_budget),
		TEST(test_what_did_not_change_is_carried_over),
		TEST(test_what_each_answer_means),
		TEST(test_one_bad_answer_ends_it_all),
		cmocka_unit_test_setup_teardown(test_more_than_memory_allows, set_up_small,
						tear_down),
		TEST(test_what_may_pass_is_tried_again),
		TEST(test_a_broken_connection_is_tried_again_on_a_fresh_one),
		TEST(test_a_page_that_fails_is_the_only_one_sent_again),
		TEST(test_it_is_given_up_within_the_timeout),
		TEST(test_back_off_grows),
		TEST(test_retry_after_of_a_503),
		TEST(test_a_401_heals_once),
		TEST(test_many_401_cost_one_token),
		TEST(test_a_401_that_a_new_token_does_not_cure),
		TEST(test_a_401_of_what_was_replaced_under_way_does_not_count),
		TEST(test_what_was_replaced_counts_past_the_timeout),
		TEST(test_a_slow_401_heals_once_as_well),
		TEST_BARE(test_a_client_that_is_refused),
		TEST(test_cancelled_at_once),
		TEST_BARE(test_cancelled_while_it_waits_for_a_token),
		TEST(test_cancelled_with_requests_under_way),
		TEST(test_cancelled_while_it_backs_off),
		TEST(test_cancelled_during_a_pause),
		TEST(test_cancelled_while_it_waits_for_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
