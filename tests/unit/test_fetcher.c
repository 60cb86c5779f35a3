/* test_fetcher.c: all fetches together, against a server in the same loop on a clock that the test
 * turns: who goes first, the breaker and its probes, missed deadlines, and
 * freeing it all in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch_fixture.h"

static int set_up_single(void **state)
{
	config_connections = 1;
	set_up_with_token(state);
	config_connections = CONNECTIONS;
	return 0;
}

#define MANY_CONNECTIONS 16

static int set_up_many(void **state)
{
	config_connections = MANY_CONNECTIONS;
	set_up_with_token(state);
	config_connections = CONNECTIONS;
	return 0;
}

/* ---- Who goes first. ---- */

/* The order in which the server saw the binders' first requests, such as "CAB". */
static const char *order_seen(void)
{
	static char order[SERVER_SEEN_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < server.seen_count; i++) {
		if (strncmp(server.seen[i].target, "/api/documents/drives/binders/", 30) == 0)
			order[len++] = server.seen[i].target[30];
	}
	order[len] = '\0';
	return order;
}

static void test_who_is_waited_for_goes_first(void **state)
{
	(void)state;
	start(0, "A", false);
	start(1, "B", false);
	start(2, "C", true);
	start(3, "D", true);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(await(i), 0);
	assert_string_equal(order_seen(), "CDAB");
}

/* Not only at the start: nothing of a background fetch goes out before a foreground one has all
 * that it can ask for. */
static void test_the_background_waits_in_the_middle(void **state)
{
	(void)state;
	start(0, "A", false);
	RUN_UNTIL(&loop, requests() == 1);
	start(1, "B", true);
	assert_int_equal(await(1), 0);
	assert_int_equal(outcomes[0].calls, 0);
	assert_int_equal(server_count(&server, SCHEMA_URL "A/"), 0);
	assert_int_equal(await(0), 0);
}

static void test_who_is_waited_for_now_moves_up(void **state)
{
	(void)state;
	start(0, "A", false);
	start(1, "B", false);
	start(2, "C", false);
	fetch_promote(outcomes[2].fetch);
	fetch_promote(outcomes[2].fetch);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(await(i), 0);
	assert_string_equal(order_seen(), "CAB");
}

static void test_equals_take_turns(void **state)
{
	char turns[5] = "";

	(void)state;
	start(0, "A", true);
	start(1, "B", true);
	assert_int_equal(await(0), 0);
	assert_int_equal(await(1), 0);
	assert_int_equal(server.seen_count, 7); /* with the token's */
	for (unsigned i = 0; i < 4; i++)
		turns[i] = strstr(server.seen[1 + i].target, "/A") ? 'A' : 'B';
	assert_string_equal(turns, "ABAB");
}

static void test_the_budget_is_for_all_together(void **state)
{
	(void)state;
	documents = 5 * PAGE_SIZE;
	for (size_t i = 0; i < FETCHES_MAX; i++)
		start(i, "A", i % 2);
	for (size_t i = 0; i < FETCHES_MAX; i++)
		assert_int_equal(await(i), 0);
	assert_int_equal(fetcher_counters(fetcher)->in_flight_max, CONNECTIONS);
	assert_int_equal(requests(), FETCHES_MAX * 7);
	assert_true(server.open_max <= CONNECTIONS + 2);
}

/* Something large leaves room for who comes next, and what nobody waits for for everybody. */
static void test_the_last_places_are_for_who_has_none(void **state)
{
	unsigned large;

	(void)state;
	documents = 20 * PAGE_SIZE;
	HOLDS(PAGE_URL "?pageSize=10&pageNumber=1", 1);
	start(0, "A", true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	run_for(&loop, 50);
	HOLDS(PAGE_URL, FOREVER);
	HOLDS(DRIVE_URL, FOREVER);
	HOLDS(SCHEMA_URL, FOREVER);
	release();
	large = MANY_CONNECTIONS - MANY_CONNECTIONS / 8;
	RUN_UNTIL(&loop, server_waiting(&server) == large);
	start(1, "B", false);
	run_for(&loop, 50);
	assert_int_equal(server_waiting(&server), large);
	for (size_t i = 2; i < 5; i++)
		start(i, "C", true);
	RUN_UNTIL(&loop, server_waiting(&server) == MANY_CONNECTIONS);
	run_for(&loop, 50);
	assert_int_equal(server_waiting(&server), MANY_CONNECTIONS);
	assert_int_equal(server_count(&server, DRIVE_URL "C"), MANY_CONNECTIONS - large);
	rules_clear();
	release();
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(await(i), 0);
}

/* What was received so far is held in memory, so only so many are begun; where somebody waits,
 * more. */
static void test_few_are_begun_in_the_background(void **state)
{
	unsigned begun;

	(void)state;
	HOLDS(PAGE_URL, FOREVER);
	for (size_t i = 0; i < FETCHES_MAX - 1; i++)
		start(i, "A", false);
	RUN_UNTIL(&loop, server_waiting(&server) > 0);
	run_for(&loop, 100);
	begun = server_count(&server, DRIVE_URL);
	assert_in_range(begun, 1, FETCHES_MAX - 2);
	/* Room in the budget of requests is not the reason. */
	start(FETCHES_MAX - 1, NULL, true);
	if (server_waiting(&server) < CONNECTIONS)
		assert_int_equal(await(FETCHES_MAX - 1), 0);
	rules_clear();
	release();
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		RUN_UNTIL(&loop, outcomes[i].calls);
		assert_int_equal(outcomes[i].error, 0);
	}
}

/* All that were begun back off, nothing is under way, and others are not begun for their sake: the
 * clock must bring them back. */
static void test_all_that_were_begun_back_off(void **state)
{
	(void)state;
	REFUSES(DRIVE_URL, 8, 503);
	REFUSES(SCHEMA_URL, 8, 503);
	for (size_t i = 0; i < FETCHES_MAX; i++)
		start(i, "A", false);
	for (size_t i = 0; i < FETCHES_MAX; i++)
		assert_int_equal(await(i), 0);
}

/* Who is cancelled makes room. */
static void test_a_cancelled_fetch_makes_room(void **state)
{
	(void)state;
	HOLDS(DRIVE_URL, 1);
	start(0, "A", true);
	start(1, "B", true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	run_for(&loop, 30);
	assert_string_equal(order_seen(), "A");
	fetch_cancel(outcomes[0].fetch);
	assert_int_equal(await(1), 0);
	assert_int_equal(outcomes[0].calls, 0);
}

/* ---- Breaker. ---- */

/* All API requests fail until the breaker opens. */
static void open_breaker(void)
{
	int64_t start_ms = loop_now_ms();

	RESETS("GET /api", FOREVER);
	RESETS("POST /api", FOREVER);
	assert_int_equal(fetch(NULL), -EHOSTUNREACH);
	if (loop_now_ms() - start_ms < TIMEOUT_MS) {
		assert_false(fetcher_breaker_open(fetcher));
		assert_int_equal(fetcher_refusal(fetcher), 0);
	}
	assert_true(fetcher_failing_since(fetcher) > 0);
	clock_sleep(TIMEOUT_MS); /* curl's clock stands still: what hangs goes on hanging */
	assert_int_equal(fetch(NULL), -EHOSTUNREACH);
	assert_true(fetcher_breaker_open(fetcher));
}

static void test_the_breaker_opens_and_refuses(void **state)
{
	uint64_t before;

	(void)state;
	open_breaker();
	before = requests();
	assert_int_equal(fetcher_refusal(fetcher), -EHOSTUNREACH);
	/* Also what is started nevertheless ends at once, without a request. */
	start(0, NULL, true);
	start(1, "A", false);
	assert_int_equal(await(0), -EHOSTUNREACH);
	assert_int_equal(await(1), -EHOSTUNREACH);
	assert_int_equal(requests(), before);
}

static void test_the_breaker_takes_all_fetches_with_it(void **state)
{
	(void)state;
	HOLDS(DRIVE_URL, 1);
	start(1, "A", false);
	RUN_UNTIL(&loop, server_count(&server, PAGE_URL) == 1);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->in_flight == 1);
	open_breaker();
	assert_int_equal(await(1), -EHOSTUNREACH);
	assert_int_equal(fetcher_counters(fetcher)->in_flight, 0);
	RUN_UNTIL(&loop, server_waiting(&server) == 0);
}

static void test_probes_close_it(void **state)
{
	int64_t expected_ms = BREAKER_PROBE_MIN_MS;

	(void)state;
	open_breaker();
	for (int i = 0; i < 4; i++) {
		uint64_t errors = requests();

		skip_to_request(20, expected_ms * 3 / 4 - 100, expected_ms * 5 / 4 + 100);
		assert_int_equal(requests(), errors + 1);
		run_for(&loop, 100); /* it fails as well */
		assert_true(fetcher_breaker_open(fetcher));
		assert_int_equal(requests(), errors + 1);
		expected_ms *= 2;
	}
	rules_clear();
	skip_until_request(100);
	RUN_UNTIL(&loop, !fetcher_breaker_open(fetcher));
	assert_int_equal(fetcher_refusal(fetcher), 0);
	assert_int_equal(fetcher_failing_since(fetcher), 0);
	assert_int_equal(fetch(NULL), 0);
	/* No more probes. */
	expected_ms = (int64_t)requests();
	clock_skip(&loop, 10 * BREAKER_PROBE_MAX_MS);
	run_for(&loop, 20);
	assert_int_equal(requests(), expected_ms);
}

/* Whatever it says, a server that answers is there; but not one that says 5xx. */
static void test_what_closes_it(void **state)
{
	static const struct {
		int status;
		bool closes;
	} table[] = {{500, false}, {503, false}, {401, true},
		     {404, true},  {429, true},	 {200, true}};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		rules_clear();
		if (!fetcher_breaker_open(fetcher))
			open_breaker();
		rules_clear();
		REFUSES(TOP_URL, 1, table[i].status);
		skip_until_request(100);
		if (table[i].closes)
			RUN_UNTIL(&loop, !fetcher_breaker_open(fetcher));
		run_for(&loop, 50);
		assert_int_equal(fetcher_breaker_open(fetcher), !table[i].closes);
	}
}

/* A probe that nobody needs any more is not left behind to be forgotten. */
static void test_a_probe_ends_with_the_breaker(void **state)
{
	(void)state;
	open_breaker();
	rules_clear();
	HOLDS(TOP_URL, 1);
	skip_until_request(100);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	REFUSES(TOKEN_URL, 1, 400);
	renew(); /* "refused" is what users must be told then */
	RUN_UNTIL(&loop, !fetcher_breaker_open(fetcher));
	run_for(&loop, 100);
	assert_int_equal(server_waiting(&server), 0);
}

/* A new token is reason to look at once; it says nothing of the API's server. */
static void test_a_new_token_probes(void **state)
{
	uint64_t before;

	(void)state;
	open_breaker();
	before = requests();
	for (unsigned i = 1; i <= 2; i++) {
		renew();
		RUN_UNTIL(&loop, tokens_granted == 1 + i);
		run_for(&loop, 100); /* sooner than the next probe by the clock */
		assert_int_equal(requests(), before + i);
		assert_int_equal(fetcher_breaker_open(fetcher), i == 1);
		rules_clear();
	}
}

static void test_a_server_that_answers_5xx_only(void **state)
{
	(void)state;
	REFUSES("GET /api", FOREVER, 503);
	assert_int_equal(fetch(NULL), -EIO);
	clock_skip(&loop, TIMEOUT_MS);
	assert_int_equal(fetch(NULL), -EIO);
	assert_true(fetcher_breaker_open(fetcher));
	assert_int_equal(fetcher_refusal(fetcher), -EIO);
}

/* Some fail, some are answered: the server is there. */
static void test_one_broken_call_does_not_open_it(void **state)
{
	(void)state;
	RESETS(PAGE_URL, FOREVER);
	for (int round = 0; round < 2; round++) {
		start(1, "A", true);
		while (!outcomes[1].calls) {
			assert_int_equal(fetch(NULL), 0);
			assert_false(fetcher_breaker_open(fetcher));
			clock_skip(&loop, 100);
		}
		assert_int_equal(outcomes[1].error, -EHOSTUNREACH);
		assert_int_equal(fetcher_refusal(fetcher), 0);
	}
	assert_true(fetcher_counters(fetcher)->network_errors >= 6);
}

static void test_no_token_for_want_of_a_network(void **state)
{
	unsigned asked;

	(void)state;
	RESETS(TOKEN_URL, FOREVER);
	renew();
	start(0, NULL, true);
	for (int i = 0; !fetcher_breaker_open(fetcher); i++) {
		assert_true(i < 100);
		clock_skip(&loop, TIMEOUT_MS / 4);
		run_for(&loop, 20);
	}
	assert_int_equal(await(0), -EHOSTUNREACH);
	assert_int_equal(fetcher_refusal(fetcher), -EHOSTUNREACH);
	assert_int_equal(requests(), 0);
	/* The probe asks for the token; with that it can probe. */
	rules_clear();
	asked = server_count(&server, TOKEN_URL);
	clock_skip(&loop, BREAKER_PROBE_MIN_MS * 5 / 4);
	run_for(&loop, 200); /* long before its own next try */
	assert_int_equal(server_count(&server, TOKEN_URL), asked + 1);
	RUN_UNTIL(&loop, !fetcher_breaker_open(fetcher));
	assert_int_equal(fetch(NULL), 0);
}

/* ---- Missed deadlines. ---- */

static void test_a_missed_deadline_says_why(void **state)
{
	(void)state;
	HOLDS(TOP_URL, 1);
	start(0, NULL, true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, loop_now_ms()), -ETIMEDOUT);
	assert_int_equal(latest_failure()->error, -ETIMEDOUT);
	assert_string_equal(latest_failure()->path, "binders");
	/* The fetch goes on. */
	assert_int_equal(outcomes[0].calls, 0);
	release();
	assert_int_equal(await(0), 0);
}

/* With other answers in that time the server is not gone: it is merely much to fetch. */
static void test_a_missed_deadline_of_a_large_binder(void **state)
{
	int64_t since_ms = loop_now_ms();

	(void)state;
	HOLDS(PAGE_URL, 1);
	start(0, "A", true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_ok == 2);
	for (int i = 0; i < 5; i++)
		assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, since_ms), -ETIMEDOUT);
	assert_int_equal(fetcher_failing_since(fetcher), 0);
	clock_sleep(2 * TIMEOUT_MS);
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, since_ms), -ETIMEDOUT);
	assert_false(fetcher_breaker_open(fetcher));
}

static void test_missed_deadlines_open_the_breaker(void **state)
{
	int64_t since_ms;

	(void)state;
	HOLDS(TOP_URL, FOREVER);
	clock_skip(&loop, 10);
	since_ms = loop_now_ms();
	start(0, NULL, true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	clock_awake_ms += TIMEOUT_MS;
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, since_ms), -ETIMEDOUT);
	assert_false(fetcher_breaker_open(fetcher));
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, since_ms), -ETIMEDOUT);
	assert_true(fetcher_breaker_open(fetcher));
	/* Not from inside, but then at once. */
	assert_int_equal(outcomes[0].calls, 0);
	assert_int_equal(await(0), -ETIMEDOUT);
}

static void test_a_missed_deadline_while_trying_again(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 503, .body = "{\"traceId\":\"t-7\"}");
	HOLDS(TOP_URL, 1);
	start(0, NULL, true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, loop_now_ms() - 10), -EIO);
	assert_int_equal(latest_failure()->status, 503);
	assert_string_equal(latest_failure()->trace_id, "t-7");
}

/* What was overcome is not the reason any more. */
static void test_a_missed_deadline_long_after_a_failure(void **state)
{
	(void)state;
	REFUSES(DRIVE_URL, 1, 503);
	HOLDS(PAGE_URL, 1);
	start(0, "A", true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_ok == 2); /* drive and schema */
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, 1), -ETIMEDOUT);
	assert_int_equal(latest_failure()->status, 0);
}

static void test_a_missed_deadline_without_a_token(void **state)
{
	(void)state;
	RESETS(TOKEN_URL, FOREVER);
	renew();
	start(0, NULL, true);
	RUN_UNTIL(&loop, token_state(fetcher_token(fetcher)) == TOKEN_BACKING_OFF);
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, loop_now_ms() - 10),
			 -EHOSTUNREACH);
}

/* A token that serves is no reason, even if its renewal is refused. */
static void test_a_missed_deadline_with_an_old_token(void **state)
{
	(void)state;
	REFUSES(TOKEN_URL, FOREVER, 400);
	renew();
	RUN_UNTIL(&loop, token_state(fetcher_token(fetcher)) == TOKEN_REFUSED);
	HOLDS(TOP_URL, 1);
	start(0, NULL, true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	assert_int_equal(fetcher_refusal(fetcher), 0);
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, loop_now_ms() - 10), -ETIMEDOUT);
}

/* ---- Ends. ---- */

/* The teardown frees it: with calls sent, held back, backing off and not sent yet, a renewal of the
 * token, a pause. */
static void test_freed_with_everything_under_way(void **state)
{
	(void)state;
	documents = 20 * PAGE_SIZE;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 1\r\n");
	HOLDS(DRIVE_URL, 2);
	HOLDS(TOKEN_URL, 1);
	REFUSES(SCHEMA_URL, 2, 503);
	for (size_t i = 1; i < FETCHES_MAX; i++)
		start(i, "A", i % 2);
	RUN_UNTIL(&loop,
		  fetcher_counters(fetcher)->answers_broken > 0 && server_waiting(&server) == 2);
	renew();
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	assert_true(fetcher_pause_ms(fetcher) > 0);
	fetcher_free(fetcher);
	run_for(&loop, 50);
	for (size_t i = 0; i < FETCHES_MAX; i++)
		assert_int_equal(outcomes[i].calls, 0);
	RUN_UNTIL(&loop, server_waiting(&server) == 0);
	fetcher = NULL; /* NULL is legal */
}

static void test_freed_with_the_breaker_open_and_a_probe_under_way(void **state)
{
	(void)state;
	open_breaker();
	rules_clear();
	HOLDS(TOP_URL, 1);
	skip_until_request(100);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	start(0, "A", true);
	fetcher_free(fetcher);
	fetcher = NULL;
	RUN_UNTIL(&loop, server_waiting(&server) == 0);
	assert_int_equal(outcomes[0].calls, 0);
}

int main(void)
{
#define TEST(function)	      cmocka_unit_test_setup_teardown(function, set_up_with_token, tear_down)
#define TEST_SINGLE(function) cmocka_unit_test_setup_teardown(function, set_up_single, tear_down)
#define TEST_MANY(function)   cmocka_unit_test_setup_teardown(function, set_up_many, tear_down)
#define TEST_BARE(function)   cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST_SINGLE(test_who_is_waited_for_goes_first),
		TEST_SINGLE(test_the_background_waits_in_the_middle),
		TEST_SINGLE(test_who_is_waited_for_now_moves_up),
		TEST_SINGLE(test_equals_take_turns),
		TEST(test_the_budget_is_for_all_together),
		TEST_MANY(test_the_last_places_are_for_who_has_none),
		TEST(test_few_are_begun_in_the_background),
		TEST(test_all_that_were_begun_back_off),
		TEST_SINGLE(test_a_cancelled_fetch_makes_room),
		TEST(test_the_breaker_opens_and_refuses),
		TEST(test_the_breaker_takes_all_fetches_with_it),
		TEST(test_probes_close_it),
		TEST(test_what_closes_it),
		TEST(test_a_probe_ends_with_the_breaker),
		TEST(test_a_new_token_probes),
		TEST(test_a_server_that_answers_5xx_only),
		TEST(test_one_broken_call_does_not_open_it),
		TEST_BARE(test_no_token_for_want_of_a_network),
		TEST(test_a_missed_deadline_says_why),
		TEST(test_a_missed_deadline_of_a_large_binder),
		TEST(test_missed_deadlines_open_the_breaker),
		TEST(test_a_missed_deadline_while_trying_again),
		TEST(test_a_missed_deadline_long_after_a_failure),
		TEST_BARE(test_a_missed_deadline_without_a_token),
		TEST(test_a_missed_deadline_with_an_old_token),
		TEST(test_freed_with_everything_under_way),
		TEST(test_freed_with_the_breaker_open_and_a_probe_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
