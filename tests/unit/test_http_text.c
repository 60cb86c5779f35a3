/* test_http_text.c: the parts of http.c that need no network: percent-encoding, headers, what a
 * Retry-After or a Content-Range means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define S(literal) literal, sizeof(literal) - 1

static void test_escape(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *escaped;
	} table[] = {
		{S(""), ""},
		{"not this", 0, ""},
		{S("MNWI5YR89"), "MNWI5YR89"},
		{S("-._~"), "-._~"},
		{S("a b"), "a%20b"},
		{S("a+b"), "a%2Bb"},
		{S("a/b?c#d&e=f%g"), "a%2Fb%3Fc%23d%26e%3Df%25g"},
		{S("\r\nX: y"), "%0D%0AX%3A%20y"},
		{S("å"), "%C3%A5"},
		{S("a\0b"), "a%00b"},
		{S("\0"), "%00"},
		{S("\xff"), "%FF"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf out = BUF_INIT(100);

		assert_int_equal(buf_append_str(&out, ">"), 0);
		assert_int_equal(http_escape(&out, table[i].text, table[i].len), 0);
		assert_string_equal(buf_str(&out) + 1, table[i].escaped);
		buf_reset(&out);
	}
}

/* Every byte either stays and is unreserved (RFC 3986, 2.3), or becomes its two digits. */
static void test_escape_every_byte(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		struct buf out = BUF_INIT(10);
		char byte = (char)c;

		assert_int_equal(http_escape(&out, &byte, 1), 0);
		if (c < 128 && (isalnum(c) || strchr("-._~", c ? c : '!'))) {
			assert_int_equal(out.len, 1);
			assert_int_equal(out.data[0], byte);
		} else {
			assert_int_equal(out.len, 3);
			assert_int_equal(out.data[0], '%');
			assert_int_equal(strtol(out.data + 1, NULL, 16), c);
		}
		buf_reset(&out);
	}
}

static void test_escape_fails_at_the_bound(void **state)
{
	struct buf out = BUF_INIT(8);

	(void)state;
	assert_int_equal(http_escape(&out, "///", 3), -EFBIG);
	assert_int_equal(out.len, 0);
	buf_reset(&out);
}

static void test_headers(void **state)
{
	struct http_request request = {.method = "GET"};

	(void)state;
	for (size_t i = 0; i < HTTP_HEADERS_MAX; i++) {
		char value[2] = {(char)('a' + i), '\0'};

		assert_int_equal(http_request_header(&request, "X-Name", value), 0);
	}
	assert_string_equal(request.headers[0], "X-Name: a");
	assert_string_equal(request.headers[HTTP_HEADERS_MAX - 1], "X-Name: d");
	assert_int_equal(http_request_header(&request, "X-Name", "more"), -E2BIG);
	request.url = strdup("http://x/");
	request.body = strdup("body");
	request.body_len = 4;
	http_request_fini(&request);
	assert_null(request.url);
	assert_null(request.body);
	assert_null(request.headers[0]);
	http_request_fini(&request); /* nothing is left to free */
}

static void test_retry_after(void **state)
{
	static const int64_t now = 1705307400; /* Mon, 15 Jan 2024 08:30:00 GMT */
	static const int64_t max = HTTP_RETRY_AFTER_MAX_MS;
	const struct {
		const char *value;
		int64_t ms;
	} table[] = {
		/* Seconds. */
		{"0", 0},
		{"1", 1000},
		{"120", 120000},
		{"299", 299000},
		{"300", max},
		{"301", max},
		{"86400", max},
		{"9223372036854775807", max},
		{"99999999999999999999999999", max},
		{"-1", -1},
		{"-99999999999999999999999999", -1},
		/* Dates, in the three forms that HTTP knows. */
		{"Mon, 15 Jan 2024 08:30:30 GMT", 30000},
		{"Monday, 15-Jan-24 08:30:30 GMT", 30000},
		{"Mon Jan 15 08:30:30 2024", 30000},
		{"Mon, 15 Jan 2024 08:30:00 GMT", 0},
		{"Mon, 15 Jan 2024 08:29:59 GMT", 0},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Mon, 15 Jan 2024 08:35:01 GMT", max},
		{"Fri, 31 Dec 9999 23:59:59 GMT", max},
		/* Nothing useful. */
		{"", -1},
		{" ", -1},
		{"soon", -1},
		{"12 monkeys", -1},
		{"Mon, 32 Jan 2024 08:30:30 GMT", -1},
		{"\xff\xfe", -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t ms = http_parse_retry_after(table[i].value, now);

		if (ms != table[i].ms)
			fail_msg("%s: %lld", table[i].value, (long long)ms);
	}
}

static void test_content_range(void **state)
{
	static const struct {
		const char *value;
		uint64_t from, end, total;
	} good[] = {
		{"bytes 0-0/1", 0, 1, 1},
		{"bytes 0-99/1234", 0, 100, 1234},
		{"bytes 100-1233/1234", 100, 1234, 1234},
		{"Bytes 1-2/3", 1, 3, 3},
		{"bytes */0", 0, 0, 0},
		{"bytes */1234", 0, 0, 1234},
		{"bytes 5000000000-5000000001/6000000000", 5000000000, 5000000002, 6000000000},
		{"bytes 000-001/002", 0, 2, 2},
		{"bytes 0-999999999999999998/999999999999999999", 0, 999999999999999999,
		 999999999999999999},
	};
	static const char *const bad[] = {
		"",
		"b",
		"bytes",
		"bytes ",
		"bytes 0",
		"bytes 0-",
		"bytes 0-1",
		"bytes 0-1/",
		"bytes 0-1/*",
		"bytes */*",
		"bytes *",
		"bytes */",
		"bytes -1/2",
		"bytes 1-0/2",
		"bytes 0-2/2",
		"bytes 2-2/2",
		"bytes 0-0/0",
		"bytes 0-1/2 ",
		"bytes 0-1/2x",
		"bytes  0-1/2",
		"bytes 0 -1/2",
		"bytes 0- 1/2",
		"bytes +0-1/2",
		"bytes 0--1/2",
		"bytes 0x0-1/2",
		"bytes=0-1/2",
		"byte 0-1/2",
		"octets 0-1/2",
		"0-1/2",
		"bytes 0-1/2, 1-2/3",
		"bytes 0-1000000000000000000/2000000000000000000", /* nineteen digits */
		"bytes 0-1/18446744073709551617",		   /* 2^64 + 1 */
		"bytes 18446744073709551616-18446744073709551617/2",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct http_head head = {.status = 206, .length = 7};

		http_parse_content_range(good[i].value, &head);
		assert_true(head.has_range);
		assert_true(head.range_from == good[i].from);
		assert_true(head.range_end == good[i].end);
		assert_true(head.range_total == good[i].total);
		assert_int_equal(head.status, 206);
		assert_int_equal(head.length, 7);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct http_head head = {.has_range = true};
		char *copy = strdup(bad[i]); /* so that reading past its end is seen */

		http_parse_content_range(copy, &head);
		if (head.has_range)
			fail_msg("taken: \"%s\"", bad[i]);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_every_byte),
		cmocka_unit_test(test_escape_fails_at_the_bound),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_content_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
