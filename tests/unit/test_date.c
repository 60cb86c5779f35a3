/* test_date.c: dates as the APIs write them: what is taken, what is refused, and the edges of what
 * 64 bits of nanoseconds hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "date.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define S	   INT64_C(1000000000)

static void test_taken(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} table[] = {
		{"2024-01-15T08:30:00Z", 1705307400 * S},
		{"2024-01-15t08:30:00z", 1705307400 * S},
		{"2024-01-15 08:30:00Z", 1705307400 * S},
		{"2024-01-15T08:30:00", 1705307400 * S},
		{"2024-01-15T08:30:00.5Z", 1705307400 * S + S / 2},
		{"2024-01-15T08:30:00,25Z", 1705307400 * S + S / 4},
		{"2024-01-15T08:30:00.123456789Z", 1705307400 * S + 123456789},
		{"2024-01-15T08:30:00.1234567899999999999999Z", 1705307400 * S + 123456789},
		{"2024-01-15T08:30:00.000000001Z", 1705307400 * S + 1},
		{"2024-01-15T08:30:00+00:00", 1705307400 * S},
		{"2024-01-15T09:30:00+01:00", 1705307400 * S},
		{"2024-01-15T07:00:00-0130", 1705307400 * S},
		{"2024-01-15T09:30:00.5+01:00", 1705307400 * S + S / 2},
		{"2024-01-16T08:29:00+23:59", 1705307400 * S},
		{"2024-01-15", 1705276800 * S},
		{"2024-01-15Z", 1705276800 * S},
		{"2024-02-29T00:00:00Z", 1709164800 * S},
		{"2016-12-31T23:59:60Z", 1483228800 * S}, /* a leap second is the next one */
		{"1970-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59.75Z", -S / 4},
		{"1900-02-28T23:59:59Z", -INT64_C(2203891201) * S},
		{"2038-01-19T03:14:08Z", INT64_C(2147483648) * S},
		{"2261-12-31T00:00:00Z", INT64_C(9214560000) * S},
		{"1678-01-01T00:00:00Z", -INT64_C(9214560000) * S},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t ns = 42;

		if (date_parse_rfc3339(table[i].text, &ns) || ns != table[i].ns)
			fail_msg("%s: %lld", table[i].text, (long long)ns);
	}
}

static void test_refused(void **state)
{
	static const char *const table[] = {
		"",
		"yesterday",
		"2024",
		"2024-01",
		"15/01/2024",
		"2024-13-01T00:00:00Z",
		"2024-00-10T00:00:00Z",
		"2024-01-32T00:00:00Z",
		"2024-02-30T00:00:00Z",
		"2023-02-29",
		"2024-04-31",
		"2024-01-15T",
		"2024-01-15T08",
		"2024-01-15T08:30",
		"2024-01-15T24:00:00Z",
		"2024-01-15T08:60:00Z",
		"2024-01-15T08:30:00ZZ",
		"2024-01-15T08:30:00Z ",
		"2024-01-15T08:30:00+",
		"2024-01-15T08:30:00+1",
		"2024-01-15T08:30:00+01:",
		"2024-01-15T08:30:00+01:0",
		"2024-01-15T08:30:00+01:000",
		"2024-01-15T08:30:00+24:00",
		"2024-01-15T08:30:00+01:60",
		"2024-01-15T08:30:00+-1:00",
		"2024-01-15T08:30:00 UTC",
		"1705307400",
		"1677-01-01T00:00:00Z",
		"2263-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z",
		"0000-01-01T00:00:00Z",
		"-2024-01-15T08:30:00Z",
		"99999-01-15T08:30:00Z",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t ns = 42;

		if (date_parse_rfc3339(table[i], &ns) != -EINVAL || ns != 42)
			fail_msg("%s is taken for %lld", table[i], (long long)ns);
	}
}

/* The C library, asked the other way round, is the judge of every day for six centuries. */
static void test_every_day(void **state)
{
	(void)state;
	for (int64_t day = -106000; day <= 106000; day += 1) {
		time_t seconds = (time_t)(day * 86400 + (day & 0xffff));
		char text[40];
		struct tm tm;
		int64_t ns = 0;

		gmtime_r(&seconds, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		if (date_parse_rfc3339(text, &ns) || ns != seconds * S)
			fail_msg("%s: %lld", text, (long long)ns);
	}
}

static void test_digits(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: no date */
	} table[] = {
		{"20240131235958", 1706745598}, {"19700101000000", 0},
		{"20000229000000", 951782400},	{"2024013123595", -1},
		{"202401312359580", -1},	{"2024-01-312359", -1},
		{"20240231000000", -1},		{"20241301000000", -1},
		{"20240100000000", -1},		{"20240131250000", -1},
		{"20240131236000", -1},		{"00000000000000", -1},
		{"99991231235959", -1},		{"", -1},
		{" 2024013123595", -1},		{"+2024013123595", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t ns = 42;
		int error = date_parse_digits(table[i].text, &ns);

		assert_int_equal(error, table[i].seconds < 0 ? -EINVAL : 0);
		assert_int_equal(ns, error ? 42 : table[i].seconds * S);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
