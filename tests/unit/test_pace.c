/* test_pace.c: how quickly requests may go out by what a server tells of its allowance; and how the
 * Inbenta API's headers are read for that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "inbenta_internal.h"
#include "pace.h"

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define WALL_S	   INT64_C(1700000000)

static int64_t told(struct pace *pace, uint64_t left, bool is_short, int64_t reset_ms,
		    int64_t now_ms)
{
	const struct provider_allowance allowance = {
		.left = left,
		.is_short = is_short,
		.reset_ms = reset_ms,
	};

	return pace_told(pace, &allowance, false, now_ms, now_ms);
}

static void test_nothing_told_bounds_nothing(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	pace_sent(&pace, 1000);
	assert_true(pace_allows(&pace, 1000, 1000));
}

/* One word alone, however bad, is not believed. */
static void test_what_is_told_counts_once_it_goes_down(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	assert_int_equal(told(&pace, 0, true, 60000, 1000), 0);
	assert_true(pace_allows(&pace, 16, 1000));
	assert_int_equal(told(&pace, 50, false, 60000, 1000), 0);
	assert_int_equal(told(&pace, 49, false, 59999, 1001), 0);
	assert_int_equal(told(&pace, 48, false, 59998, 1002), 0);
	assert_true(pace_allows(&pace, 47, 1002));
	assert_false(pace_allows(&pace, 48, 1002)); /* those under way may be counted yet */
	assert_true(pace_allows(&pace, 0, 1002));
}

static void test_a_short_allowance_is_spread_and_one_used_up_waited_for(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	told(&pace, 11, false, 10000, 1000);
	assert_int_equal(told(&pace, 10, true, 10000, 1000), 0);
	assert_true(pace_allows(&pace, 0, 1000));
	pace_sent(&pace, 1000);
	assert_false(pace_allows(&pace, 0, 1000 + 10000 / 11 - 1));
	assert_true(pace_allows(&pace, 0, 1000 + 10000 / 11 + 1));
	/* Not for ever, however long it is until the reset. */
	told(&pace, 9, true, 3600000, 2000);
	told(&pace, 8, true, 3600000, 2000);
	pace_sent(&pace, 2000);
	assert_false(pace_allows(&pace, 0, 2000 + PACE_GAP_MAX_MS - 1));
	assert_true(pace_allows(&pace, 0, 2000 + PACE_GAP_MAX_MS));
	assert_int_equal(told(&pace, 0, true, 3599000, 3000), 3599000);
}

static void test_a_new_allowance_ends_it(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	told(&pace, 3, true, 2000, 1000);
	told(&pace, 2, true, 2000, 1000);
	pace_sent(&pace, 1000);
	assert_false(pace_allows(&pace, 2, 1000));
	assert_true(pace_allows(&pace, 2, 3000)); /* its time has come, told or not */
	assert_int_equal(told(&pace, 99, false, 60000, 3100), 0);
	assert_true(pace_allows(&pace, 98, 3100));
	assert_false(pace_allows(&pace, 99, 3100)); /* believed from the first word on */
}

/* The one for an hour left less for a moment. */
static void test_what_is_used_up_for_a_minute_waits_for_no_hour(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	told(&pace, 40, false, 3600000, 1000);
	told(&pace, 39, false, 3600000, 1000);
	told(&pace, 38, false, 60000, 1000);
	assert_int_equal(told(&pace, 0, true, 59000, 2000), 59000);
	assert_int_equal(told(&pace, 99, false, 60000, 61000), 0);
	assert_true(pace_allows(&pace, 50, 61000));
}

/* Answers overtake each other, and whole seconds make the same reset look like another. */
static void test_of_one_allowance_the_least_counts(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	told(&pace, 20, false, 5000, 1000);
	told(&pace, 17, false, 5900, 1000);
	told(&pace, 16, false, 5000, 1000);
	told(&pace, 18, false, 5000, 1100);
	assert_true(pace_allows(&pace, 15, 1100));
	assert_false(pace_allows(&pace, 16, 1100));
}

/* Headers that tell what is left, read as what is used up. */
static void test_what_goes_up_is_not_believed(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	for (uint64_t left = 0; left < 30; left++) {
		assert_int_equal(told(&pace, left, true, 60000, 1000 + (int64_t)left), 0);
		pace_sent(&pace, 1000 + (int64_t)left);
		assert_true(pace_allows(&pace, 16, 1000 + (int64_t)left));
	}
}

static void test_a_429_proves_it(void **state)
{
	const struct provider_allowance none = {.left = 0, .is_short = true, .reset_ms = 30000};
	struct pace pace = {.trust = 0};

	(void)state;
	assert_int_equal(pace_told(&pace, &none, true, 1000, 1000), 30000);
}

/* ---- Headers. ---- */

static void test_formats(void **state)
{
	static const struct {
		const char *usage;
		const char *reset;
		uint64_t left;
		bool is_short;
		int64_t reset_ms; /* -1: nothing is told */
	} table[] = {
		{"12/100", "37", 88, false, 37000},
		{"79/100", "37", 21, false, 37000},
		{"80/100", "37", 20, true, 37000},
		{"100/100", "0", 0, true, 0},
		{"130/100", "1", 0, true, 1000},
		{"0/1", "60", 1, false, 60000},
		{"999999999999999998/999999999999999999", "5", 1, true, 5000},
		{"12%", "37", 88, false, 37000},
		{"80%", "3600", 20, true, 3600000},
		{"140%", "5", 0, true, 5000},
		{"0.12", "37", 88, false, 37000},
		{"0.8", "37", 20, true, 37000},
		{"1.00", "37", 0, true, 37000},
		{"0.999", "37", 1, true, 37000},
		{"12/100", "1700000037", 88, false, 38000},
		{"12/100", "1699999999", 0, false, -1},
		{"12/100", "1700009999", 0, false, -1},
		{"12/100", "3601", 0, false, -1},
		{"12/100", "soon", 0, false, -1},
		{"12/100", "", 0, false, -1},
		{"12/100", "-1", 0, false, -1},
		{"12/100", "5 s", 0, false, -1},
		{"12/100", NULL, 0, false, -1},
		{NULL, "37", 0, false, -1},
		{"", "37", 0, false, -1},
		{"lots", "37", 0, false, -1},
		{"-1", "37", 0, false, -1},
		{"12", "37", 0, false, -1},
		{"12/0", "37", 0, false, -1},
		{"12/", "37", 0, false, -1},
		{"12/x", "37", 0, false, -1},
		{"12/100/7", "37", 0, false, -1},
		{"0x10/1e3", "37", 0, false, -1},
		{"NaN%", "37", 0, false, -1},
		{"12%%", "37", 0, false, -1},
		{"2.00", "37", 0, false, -1},
		{"0.", "37", 0, false, -1},
		{"0.1x", "37", 0, false, -1},
		{"99999999999999999999999/1", "37", 0, false, -1},
		{"1/99999999999999999999999", "37", 0, false, -1},
		{"1/2", "99999999999999999999999", 0, false, -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct inbenta_usage kept = {0};
		struct provider_allowance allowance = {.reset_ms = -1};
		bool is_told = inbenta_read_allowance(&kept, table[i].usage, table[i].reset, WALL_S,
						      &allowance);

		if (is_told != (table[i].reset_ms >= 0))
			fail_msg("%s, %s: %d", table[i].usage, table[i].reset, is_told);
		if (!is_told)
			continue;
		if (allowance.left != table[i].left || allowance.is_short != table[i].is_short)
			fail_msg("%s: %d left, short: %d", table[i].usage, (int)allowance.left,
				 allowance.is_short);
		assert_int_equal(allowance.reset_ms, table[i].reset_ms);
	}
}

static uint64_t left_at(struct inbenta_usage *kept, const char *usage)
{
	struct provider_allowance allowance;

	assert_true(inbenta_read_allowance(kept, usage, "30", WALL_S, &allowance));
	return allowance.left;
}

/* What a request is of a percentage shows from the second answer on. */
static void test_a_percentage_tells_requests_by_what_they_add(void **state)
{
	struct inbenta_usage kept = {0};

	(void)state;
	assert_int_equal(left_at(&kept, "10%"), 90);
	assert_int_equal(left_at(&kept, "20%"), 7);
	assert_int_equal(left_at(&kept, "90%"), 1);
	assert_int_equal(left_at(&kept, "100%"), 0);
	assert_int_equal(left_at(&kept, "10%"), 90); /* a new one */
	assert_int_equal(left_at(&kept, "15%"), 16);
	assert_int_equal(left_at(&kept, "15%"), 33); /* two requests a step */
}

/* When it counts, never more than there are, whatever the limit, although percents are rounded and
 * answers overtake each other. */
static void test_a_percentage_never_promises_too_much(void **state)
{
	(void)state;
	for (unsigned int limit = 2; limit <= 400; limit++) {
		struct inbenta_usage kept = {0};

		for (unsigned int used = 1; used <= limit; used++) {
			unsigned int told = used ^ 1U; /* 1, 0, 3, 2, ... */
			unsigned int most = used | 1U;
			char usage[8];
			uint64_t left;

			if (most > limit)
				continue;
			snprintf(usage, sizeof(usage), "%u%%", told * 100 / limit);
			left = left_at(&kept, usage);
			if (used > 8 && used + 20 > limit && left > limit - most)
				fail_msg("%u of %u: %d left", told, limit, (int)left);
		}
	}
}

/* Whole seconds and a delay make the same reset look like another. */
static void test_a_late_answer_is_of_no_new_allowance(void **state)
{
	struct pace pace = {.trust = 0};

	(void)state;
	told(&pace, 20, false, 3000, 1000);
	told(&pace, 10, false, 3000, 1100);
	told(&pace, 6, false, 2000, 2500);
	told(&pace, 12, false, 2000, 3100); /* overtaken */
	assert_false(pace_allows(&pace, 6, 3100));
}

/* What a client was refused an hour ago says nothing of what others have used up since. */
static void test_a_percentage_is_over_with_its_time(void **state)
{
	struct inbenta_usage kept = {0};
	struct provider_allowance allowance;

	(void)state;
	assert_int_equal(left_at(&kept, "100%"), 0);
	assert_true(inbenta_read_allowance(&kept, "55%", "30", WALL_S + 40, &allowance));
	assert_int_equal(allowance.left, 45);
}

/* Its body took four seconds: what it says was so when the others were not counted yet. */
static void test_what_was_asked_before_and_comes_late_is_nothing_new(void **state)
{
	const struct provider_allowance late = {.left = 19, .reset_ms = 57000};
	struct pace pace = {.trust = 0};

	(void)state;
	told(&pace, 18, false, 57000, 1000);
	told(&pace, 3, false, 57000, 1100);
	assert_int_equal(pace_told(&pace, &late, false, 900, 5000), 0);
	assert_true(pace_allows(&pace, 2, 5000));
	assert_false(pace_allows(&pace, 3, 5000));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_told_bounds_nothing),
		cmocka_unit_test(test_what_is_told_counts_once_it_goes_down),
		cmocka_unit_test(test_a_short_allowance_is_spread_and_one_used_up_waited_for),
		cmocka_unit_test(test_a_new_allowance_ends_it),
		cmocka_unit_test(test_what_is_used_up_for_a_minute_waits_for_no_hour),
		cmocka_unit_test(test_of_one_allowance_the_least_counts),
		cmocka_unit_test(test_what_goes_up_is_not_believed),
		cmocka_unit_test(test_a_429_proves_it),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_a_percentage_tells_requests_by_what_they_add),
		cmocka_unit_test(test_a_percentage_never_promises_too_much),
		cmocka_unit_test(test_a_late_answer_is_of_no_new_allowance),
		cmocka_unit_test(test_a_percentage_is_over_with_its_time),
		cmocka_unit_test(test_what_was_asked_before_and_comes_late_is_nothing_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
