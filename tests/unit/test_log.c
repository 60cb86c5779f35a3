/* test_log.c: lines are harmless, bounded and complete, whatever foreign text they carry; URLs are
 * shown without what may be secret. */
#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char captured[8192];
static int captured_priority;

/* These take the place of the C library's, under the names that a caller with and one without
 * _FORTIFY_SOURCE uses. */
void openlog(const char *ident, int option, int facility);
void syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __syslog_chk(int priority, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void openlog(const char *ident, int option, int facility)
{
	assert_string_equal(ident, "ibinderfs");
	assert_int_equal(option, 1);	    /* LOG_PID */
	assert_int_equal(facility, 3 << 3); /* LOG_DAEMON */
}

void syslog(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	captured_priority = priority;
	vsnprintf(captured, sizeof(captured), format, arguments);
	va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;

	(void)flag;
	va_start(arguments, format);
	captured_priority = priority;
	vsnprintf(captured, sizeof(captured), format, arguments);
	va_end(arguments);
}

/* What log_write(level, "%s", text) leaves on stderr. */
static const char *capture(enum log_level level, const char *text)
{
	int saved = dup(STDERR_FILENO);
	int ends[2];
	ssize_t len;

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	errno = E2BIG;
	log_write(level, "%s", text);
	assert_int_equal(errno, E2BIG);
	dup2(saved, STDERR_FILENO);
	close(saved);
	len = read(ends[0], captured, sizeof(captured) - 1);
	close(ends[0]);
	assert_true(len >= 0);
	captured[len] = '\0';
	return captured;
}

static void test_levels(void **state)
{
	(void)state;
	/* Before log_init. */
	assert_string_equal(capture(LOG_LEVEL_INFO, "a"), "ibinderfs: a\n");
	assert_string_equal(capture(LOG_LEVEL_WARNING, "a"), "ibinderfs: warning: a\n");
	assert_string_equal(capture(LOG_LEVEL_ERROR, "a"), "ibinderfs: error: a\n");
	assert_string_equal(capture(LOG_LEVEL_DEBUG, "a"), "");
	log_init(LOG_LEVEL_DEBUG, LOG_TARGET_STDERR);
	assert_string_equal(capture(LOG_LEVEL_DEBUG, "a"), "ibinderfs: debug: a\n");
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	assert_string_equal(capture(LOG_LEVEL_WARNING, "a"), "");
	assert_string_equal(capture(LOG_LEVEL_ERROR, ""), "ibinderfs: error: \n");
	log_init(LOG_LEVEL_INFO, LOG_TARGET_STDERR);
}

static void test_control_characters(void **state)
{
	static const struct {
		const char *text;
		const char *line;
	} cases[] = {
		{"a\nibinderfs: forged", "ibinderfs: a?ibinderfs: forged\n"},
		{"\x1B[31mred\a\b\t\r\x7F", "ibinderfs: ?[31mred?????\n"},
		{"\x01\x1F ~", "ibinderfs: ?? ~\n"},
		{"csi \xC2\x9B"
		 "31m nel \xC2\x85 \xC2\x80",
		 "ibinderfs: csi ?31m nel ? ?\n"},
		{"Björken å \xC2\xA0 \xC3\x9B €", "ibinderfs: Björken å \xC2\xA0 \xC3\x9B €\n"},
		{"a \u202Efdp.exe\u202C \u2066b\u2069", "ibinderfs: a ?fdp.exe? ?b?\n"},
		{"cut \xC2", "ibinderfs: cut \xC2\n"},
		{"100%s %n", "ibinderfs: 100%s %n\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(capture(LOG_LEVEL_INFO, cases[i].text), cases[i].line);
}

/* A long message ends in "...", and never inside a character. */
static void test_long_message(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		char text[6001] = "";
		size_t len;

		memset(text, 'x', shift);
		for (size_t i = shift; i + 3 <= sizeof(text) - 1; i += 3)
			memcpy(text + i, "€", 3);
		capture(LOG_LEVEL_INFO, text);
		len = strlen(captured);
		assert_true(len > 2000 && len < 2100);
		assert_string_equal(captured + len - 4, "...\n");
		assert_memory_equal(captured + len - 7, "€", 3);
	}
}

static void test_syslog(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_DEBUG, LOG_TARGET_SYSLOG);
	assert_string_equal(capture(LOG_LEVEL_INFO, "x"), "");
	log_warning("line %d\n%s", 1, "100%n");
	assert_string_equal(captured, "line 1?100%n");
	assert_int_equal(captured_priority, 4);
	log_error("e");
	assert_int_equal(captured_priority, 3);
	log_info("i");
	assert_int_equal(captured_priority, 6);
	log_debug("d");
	assert_int_equal(captured_priority, 7);
	log_init(LOG_LEVEL_INFO, LOG_TARGET_STDERR);
}

static void test_url(void **state)
{
	static const struct {
		const char *url;
		const char *shown;
	} cases[] = {
		{"https://x.example/api", "https://x.example/api"},
		{"https://x.example:8443/a/b?sig=secret", "https://x.example:8443/a/b"},
		{"https://x.example?sig=secret", "https://x.example"},
		{"https://x.example/a#secret", "https://x.example/a"},
		{"https://user:secret@x.example/a", "https://x.example/a"},
		{"https://user:sec@ret@x.example/a@b", "https://x.example/a@b"},
		{"https://secret@", "https://"},
		{"https://x.example#a@b", "https://x.example"},
		{"user:secret@x.example/a", "x.example/a"},
		{"/path?next=https://secret@x", "/path"},
		{"x?a://secret", "x"},
		{"", ""},
	};
	char out[256];
	char small[8] = "unset";

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(log_url(cases[i].url, out, sizeof(out)), cases[i].shown);
	assert_string_equal(log_url("https://x.example/", small, sizeof(small)), "https:/");
	small[0] = 'u';
	assert_string_equal(log_url("abc", small, 1), "");
	small[0] = 'u';
	assert_ptr_equal(log_url("abc", small, 0), small);
	assert_int_equal(small[0], 'u');
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),	     cmocka_unit_test(test_control_characters),
		cmocka_unit_test(test_long_message), cmocka_unit_test(test_syslog),
		cmocka_unit_test(test_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
