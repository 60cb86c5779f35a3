/* test_fetcher_pause.c: too many requests: the pause after a 429 for all fetches together, and how
 * many may be under way after it; against a server in the same loop on a clock that the test turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch_fixture.h"

static void test_a_429_pauses_everything(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 2\r\n");
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	assert_in_range(fetcher_pause_ms(fetcher), 1500, 2000);
	/* Short enough to try. */
	assert_int_equal(fetcher_refusal(fetcher), 0);
	start(1, "A", true);
	run_for(&loop, 50);
	assert_int_equal(requests(), 1);
	skip_to_request(20, 1500, 2100);
	assert_int_equal(await(0), 0);
	assert_int_equal(await(1), 0);
	assert_int_equal(fetcher_pause_ms(fetcher), 0);
	assert_int_equal(failures.total, 0);
	/* The server is there, after all. */
	assert_int_equal(fetcher_failing_since(fetcher), 0);
}

static void test_a_429_that_names_no_time(void **state)
{
	(void)state;
	REFUSES(TOP_URL, 2, 429);
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	skip_to_request(20, 700, 1300);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 2);
	skip_to_request(20, 1400, 2600);
	assert_int_equal(await(0), 0);
}

static void test_429_without_end(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = FOREVER, .status = 429, .headers = "Retry-After: 0\r\n",
	     .body = "{\"title\":\"Slow down\"}");
	assert_int_equal(fetch(NULL), -EBUSY);
	assert_in_range(requests(), 2, 10);
	assert_int_equal(latest_failure()->status, 429);
	assert_string_equal(latest_failure()->title, "Slow down");
}

static void test_a_pause_that_nobody_can_wait_out(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 3600\r\n");
	start(0, NULL, false);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	assert_int_equal(fetcher_refusal(fetcher), -EBUSY);
	assert_int_equal(fetch_missed_deadline(outcomes[0].fetch, loop_now_ms() - 100), -EBUSY);
	assert_int_equal(latest_failure()->status, 429);
	/* The background waits; longer than five minutes it is not. */
	assert_in_range(skip_until_request(1000), 290000, 301000);
	assert_int_equal(await(0), 0);
	assert_false(fetcher_breaker_open(fetcher));
}

/* Half as many at once, however many of those under way were refused; then more again. */
static void check_narrowing(int status, const uint64_t *refused)
{
	documents = 50 * PAGE_SIZE;
	REFUSES(PAGE_URL "?pageSize=10&pageNumber=2", 1, status);
	REFUSES(PAGE_URL "?pageSize=10&pageNumber=3", 1, status);
	start(0, "A", true);
	RUN_UNTIL(&loop, *refused == 2);
	HOLDS(PAGE_URL, FOREVER);
	clock_skip(&loop, 1000);
	RUN_UNTIL(&loop, server_waiting(&server) > 0);
	run_for(&loop, 50);
	/* The other two were answered in between. */
	assert_in_range(server_waiting(&server), CONNECTIONS / 2, CONNECTIONS / 2 + 1);
	rules_clear();
	release();
	RUN_UNTIL(&loop, requests() > 40);
	HOLDS(PAGE_URL, FOREVER);
	RUN_UNTIL(&loop, server_waiting(&server) == CONNECTIONS);
	rules_clear();
	release();
	assert_int_equal(await(0), 0);
}

static void test_a_429_narrows_and_answers_widen(void **state)
{
	(void)state;
	check_narrowing(429, &fetcher_counters(fetcher)->answers_limited);
}

static void test_an_overload_narrows_too(void **state)
{
	(void)state;
	check_narrowing(503, &fetcher_counters(fetcher)->answers_broken);
}

/* A call that went out only when the pause had ended is not the server's slowness. */
static void test_a_deadline_just_after_a_pause(void **state)
{
	int64_t since_ms;

	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 3600\r\n");
	HOLDS(DRIVE_URL, 1);
	start(0, NULL, false);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	skip_until_request(100);
	assert_int_equal(await(0), 0);
	start(1, "A", true);
	RUN_UNTIL(&loop, server_waiting(&server) == 1);
	since_ms = loop_now_ms() - TIMEOUT_MS;
	assert_int_equal(fetch_missed_deadline(outcomes[1].fetch, since_ms), -EBUSY);
	assert_int_equal(fetcher_failing_since(fetcher), 0);
	/* Of who came when it was over, the server let down all. */
	since_ms += TIMEOUT_MS - 100;
	assert_int_equal(fetch_missed_deadline(outcomes[1].fetch, since_ms), -ETIMEDOUT);
}

/* The server asked for it; a new secret does not change that. */
static void test_a_reload_does_not_end_a_pause(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 3600\r\n");
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	renew();
	assert_true(fetcher_pause_ms(fetcher) > 0);
	assert_int_equal(fetcher_refusal(fetcher), -EBUSY);
}

/* Who asks for all to be forgotten asks for that as well. */
static void test_forgetting_ends_a_pause(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 3600\r\n");
	start(0, NULL, false);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	start(1, "A", false);
	run_for(&loop, 30);
	assert_int_equal(requests(), 1);
	fetcher_forget(fetcher);
	assert_int_equal(fetcher_pause_ms(fetcher), 0);
	assert_int_equal(fetcher_refusal(fetcher), 0);
	assert_int_equal(await(1), 0);
	/* Also for the one that met the limit: who asks for the same would wait with it. */
	assert_int_equal(await(0), 0);
}

/* The timer slept with the machine: who comes next finds that the pause is over. */
static void test_a_pause_that_the_machine_slept_through(void **state)
{
	(void)state;
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 60\r\n");
	start(0, NULL, true);
	RUN_UNTIL(&loop, fetcher_counters(fetcher)->answers_limited == 1);
	run_for(&loop, 30); /* by now the timer is set */
	clock_sleep(100000);
	assert_int_equal(fetcher_pause_ms(fetcher), 0);
	fetch_promote(outcomes[0].fetch);
	assert_int_equal(await(0), 0);
}

/* Turns the clock in small steps, as what is under way takes real time. */
#define SKIP_UNTIL(condition)                                                                      \
	for (int i = 0; !(condition); i++) {                                                       \
		assert_true(i < 10000);                                                            \
		clock_skip(&loop, 5);                                                              \
		run_for(&loop, 1);                                                                 \
	}

/* A token that is granted at last is reason to look whether the server is back, but not while it
 * wants to be left alone. */
static void test_a_probe_waits_for_the_end_of_a_pause(void **state)
{
	uint64_t sent;

	(void)state;
	SAYS(.prefix = TOKEN_URL, .times = 1, .status = 200,
	     .body = "{\"access_token\":\"short\",\"expires_in\":2}");
	RESETS(TOKEN_URL, FOREVER);
	SAYS(.prefix = TOP_URL, .times = 1, .status = 429, .headers = "Retry-After: 60\r\n");
	renew();
	start(0, NULL, false);
	SKIP_UNTIL(fetcher_breaker_open(fetcher));
	assert_int_equal(fetcher_counters(fetcher)->answers_limited, 1);
	rules_clear();
	sent = requests();
	SKIP_UNTIL(token_state(fetcher_token(fetcher)) == TOKEN_HELD);
	run_for(&loop, 50);
	assert_true(fetcher_pause_ms(fetcher) > 0);
	assert_int_equal(requests(), sent);
	skip_until_request(100);
	assert_int_equal(fetcher_pause_ms(fetcher), 0);
	RUN_UNTIL(&loop, !fetcher_breaker_open(fetcher));
}

/* The first answer after a long silence is no leave to go on as before. */
static void test_a_probe_that_is_too_much_pauses_everything(void **state)
{
	(void)state;
	RESETS("GET /api", FOREVER);
	fetch(NULL);
	clock_sleep(TIMEOUT_MS);
	fetch(NULL);
	assert_true(fetcher_breaker_open(fetcher));
	rules_clear();
	REFUSES(TOP_URL, 1, 429);
	skip_until_request(100);
	RUN_UNTIL(&loop, !fetcher_breaker_open(fetcher));
	assert_in_range(fetcher_pause_ms(fetcher), 1, 1250);
	assert_true(loop_now_ms() + fetcher_pause_ms(fetcher) - server.latest_ms >= 750);
	assert_int_equal(fetcher_counters(fetcher)->answers_limited, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_with_token, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_429_pauses_everything),
		TEST(test_a_429_that_names_no_time),
		TEST(test_429_without_end),
		TEST(test_a_pause_that_nobody_can_wait_out),
		TEST(test_a_429_narrows_and_answers_widen),
		TEST(test_an_overload_narrows_too),
		TEST(test_a_deadline_just_after_a_pause),
		TEST(test_a_reload_does_not_end_a_pause),
		TEST(test_forgetting_ends_a_pause),
		TEST(test_a_pause_that_the_machine_slept_through),
		TEST(test_a_probe_that_is_too_much_pauses_everything),
		cmocka_unit_test_setup_teardown(test_a_probe_waits_for_the_end_of_a_pause, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
