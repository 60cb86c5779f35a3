/* test_breaker.c: when the breaker opens, what closes it, how often it probes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "breaker.h"

#include <errno.h>

#define TIMEOUT 10000

static struct breaker closed_breaker(void)
{
	return (struct breaker){.timeout_ms = TIMEOUT};
}

static void test_one_failure_never_opens(void **state)
{
	struct breaker breaker = closed_breaker();

	(void)state;
	assert_false(breaker_failure(&breaker, 1000, 1000 + 100 * TIMEOUT, -ETIMEDOUT));
	assert_false(breaker.open);
	assert_int_equal(breaker.failing_since_ms, 1000);
}

static void test_many_failures_in_a_moment_do_not_open(void **state)
{
	struct breaker breaker = closed_breaker();

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_false(breaker_failure(&breaker, 1000, 1000 + TIMEOUT - 1, -EHOSTUNREACH));
	assert_false(breaker.open);
}

static void test_opens_once_after_the_timeout(void **state)
{
	struct breaker breaker = closed_breaker();

	(void)state;
	assert_false(breaker_failure(&breaker, 1000, 2000, -EHOSTUNREACH));
	assert_false(breaker_failure(&breaker, 9000, 1000 + TIMEOUT - 1, -EHOSTUNREACH));
	assert_true(breaker_failure(&breaker, 10000, 1000 + TIMEOUT, -ETIMEDOUT));
	assert_true(breaker.open);
	assert_int_equal(breaker.error, -ETIMEDOUT);
	/* More of the same is no news, and does not change what opened it. */
	assert_false(breaker_failure(&breaker, 10000, 1000 + 2 * TIMEOUT, -EIO));
	assert_int_equal(breaker.error, -ETIMEDOUT);
	assert_int_equal(breaker.failing_since_ms, 1000);
}

/* A try that hung from early on is reported last: the trouble began with it. */
static void test_counts_from_the_earliest_try(void **state)
{
	struct breaker breaker = closed_breaker();

	(void)state;
	assert_false(breaker_failure(&breaker, 5000, 6000, -EHOSTUNREACH));
	assert_true(breaker_failure(&breaker, 1000, 1000 + TIMEOUT, -ETIMEDOUT));
	assert_int_equal(breaker.failing_since_ms, 1000);
}

static void test_success_closes_and_starts_over(void **state)
{
	struct breaker breaker = closed_breaker();

	(void)state;
	breaker_failure(&breaker, 1000, 2000, -EIO);
	assert_true(breaker_failure(&breaker, 2000, 20000, -EIO));
	assert_true(breaker_success(&breaker, 21000));
	assert_false(breaker.open);
	assert_int_equal(breaker.failing_since_ms, 0);
	assert_int_equal(breaker.succeeded_ms, 21000);
	assert_false(breaker_success(&breaker, 22000)); /* it was closed already */
	assert_int_equal(breaker.succeeded_ms, 22000);
	/* One failure, however long it took, and more of them sooner, are no reason yet. */
	assert_false(breaker_failure(&breaker, 23000, 23000 + 2 * TIMEOUT, -EIO));
	breaker_success(&breaker, 50000);
	assert_false(breaker_failure(&breaker, 50000, 50000, -EIO));
	assert_false(breaker_failure(&breaker, 50000, 50000 + TIMEOUT - 1, -EIO));
	assert_true(breaker_failure(&breaker, 50000, 50000 + TIMEOUT, -EIO));
}

/* Tries that hang while others are answered do not say that the server is gone: time counts from
 * the latest answer, though the hanging ones began before it. */
static void test_an_answer_between_counts(void **state)
{
	struct breaker breaker = closed_breaker();

	(void)state;
	breaker_success(&breaker, 10000);
	assert_false(breaker_failure(&breaker, 1000, 11000, -ETIMEDOUT));
	assert_false(breaker_failure(&breaker, 1000, 11001, -ETIMEDOUT));
	assert_false(breaker.open);
	assert_int_equal(breaker.failing_since_ms, 10000);
	assert_true(breaker_failure(&breaker, 12000, 10000 + TIMEOUT, -ETIMEDOUT));
}

static void test_probes_less_and_less_often(void **state)
{
	struct breaker breaker = closed_breaker();
	int64_t expected_ms = BREAKER_PROBE_MIN_MS;

	(void)state;
	for (int round = 0; round < 2; round++) {
		breaker_failure(&breaker, 1000, 2000, -EIO);
		assert_true(breaker_failure(&breaker, 1000, 100000, -EIO));
		expected_ms = BREAKER_PROBE_MIN_MS;
		for (int i = 0; i < 100; i++) {
			assert_int_equal(breaker_next_probe_ms(&breaker), expected_ms);
			expected_ms = expected_ms * 2 > BREAKER_PROBE_MAX_MS ? BREAKER_PROBE_MAX_MS
									     : expected_ms * 2;
		}
		assert_int_equal(expected_ms, BREAKER_PROBE_MAX_MS);
		breaker_success(&breaker, 900); /* the next time it begins anew */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_failure_never_opens),
		cmocka_unit_test(test_many_failures_in_a_moment_do_not_open),
		cmocka_unit_test(test_opens_once_after_the_timeout),
		cmocka_unit_test(test_counts_from_the_earliest_try),
		cmocka_unit_test(test_success_closes_and_starts_over),
		cmocka_unit_test(test_an_answer_between_counts),
		cmocka_unit_test(test_probes_less_and_less_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
