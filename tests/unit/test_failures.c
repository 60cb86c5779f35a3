/* test_failures.c: the ring of latest failures: what it keeps, merges and shows, and that neither
 * ring nor log can be flooded or made to act on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failures.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX (1024 * 1024)

static struct failures failures;
static struct buf text = {.max = TEXT_MAX};
static FILE *log_file;
static int real_stderr;

/* The log goes to stderr: here to a file. */
static int set_up(void **state)
{
	(void)state;
	memset(&failures, 0, sizeof(failures));
	log_file = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	return !log_file || real_stderr < 0 || dup2(fileno(log_file), STDERR_FILENO) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	fclose(log_file);
	buf_reset(&text);
	return 0;
}

static void note(const char *path, int error, long status, const char *title, const char *trace_id)
{
	struct failure failure = {.error = error, .status = status, .count = 77};

	snprintf(failure.path, sizeof(failure.path), "%s", path);
	snprintf(failure.what, sizeof(failure.what), "it went wrong");
	snprintf(failure.title, sizeof(failure.title), "%s", title);
	snprintf(failure.trace_id, sizeof(failure.trace_id), "%s", trace_id);
	failures_note(&failures, &failure);
}

static const char *printed(void)
{
	buf_reset(&text);
	assert_int_equal(failures_print(&failures, &text), 0);
	return buf_str(&text);
}

static unsigned lines(const char *string)
{
	unsigned count = 0;

	for (; *string; string++)
		count += *string == '\n';
	return count;
}

static const char *logged(void)
{
	static char bytes[TEXT_MAX];
	ssize_t len = pread(fileno(log_file), bytes, sizeof(bytes) - 1, 0);

	assert_true(len >= 0);
	bytes[len] = '\0';
	return bytes;
}

static void test_nothing_failed(void **state)
{
	(void)state;
	assert_string_equal(printed(), "");
	assert_int_equal(failures.total, 0);
}

static void test_one_line_says_it_all(void **state)
{
	const char *line;

	(void)state;
	note("binders/Projekt 012", -EACCES, 403, "Forbidden for this role", "00-4bf92f35-01");
	line = printed();
	assert_int_equal(lines(line), 1);
	assert_non_null(strstr(line, "Z EACCES binders/Projekt 012: it went wrong (HTTP 403)"));
	assert_non_null(strstr(line, "; the server says: Forbidden for this role"));
	assert_non_null(strstr(line, "; traceId 00-4bf92f35-01"));
	assert_non_null(strstr(
		line, "; the account (its tenant, role, key or domain) does not allow this\n"));
	assert_null(strstr(line, "times since"));
	assert_int_equal(failures.ring[0].count, 1);

	line = logged();
	assert_int_equal(lines(line), 1);
	assert_non_null(strstr(line, "binders/Projekt 012: it went wrong (EACCES)"));
	assert_non_null(strstr(line, "Forbidden for this role"));
	assert_non_null(strstr(line, "00-4bf92f35-01"));
}

static void test_what_is_not_known_is_not_shown(void **state)
{
	(void)state;
	note("token", -EHOSTUNREACH, 0, "", "");
	assert_null(strstr(printed(), "HTTP"));
	assert_null(strstr(printed(), "server says"));
	assert_null(strstr(printed(), "traceId"));
}

static void test_repeats_are_counted_not_repeated(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		note("token", -EIO, 500, "Oops", i < 999 ? "first" : "newest");
		note("binders", -ETIMEDOUT, 0, "", "");
	}
	assert_int_equal(failures.total, 2);
	assert_int_equal(lines(printed()), 2);
	assert_int_equal(lines(logged()), 2);
	assert_non_null(strstr(printed(), "; 1000 times since 20"));
	/* The time shown is the latest one's, so its words must be, too: support asks for them. */
	assert_non_null(strstr(printed(), "traceId newest"));
	assert_null(strstr(printed(), "traceId first"));
	assert_true(failures.ring[0].first_wall_ns <= failures.ring[0].last_wall_ns);
}

/* Another errno, status or path is another failure; the same one after another counts anew. */
static void test_what_differs_is_told_apart(void **state)
{
	(void)state;
	note("a", -EIO, 500, "", "");
	note("a", -EIO, 503, "", "");
	note("a", -EBADMSG, 503, "", "");
	note("b", -EBADMSG, 503, "", "");
	note("a", -EIO, 500, "", "");
	assert_int_equal(failures.total, 5);
	assert_int_equal(lines(printed()), 5);
	assert_int_equal(lines(logged()), 5);
}

static void test_keeps_the_latest(void **state)
{
	char path[32];

	(void)state;
	for (int i = 0; i < 10 * FAILURES_KEPT + 7; i++) {
		snprintf(path, sizeof(path), "<%d>", i);
		note(path, -EIO, 500, "", "");
		assert_int_equal(lines(printed()), i < FAILURES_KEPT ? i + 1 : FAILURES_KEPT);
		assert_non_null(strstr(printed(), path));
	}
	snprintf(path, sizeof(path), "<%d>", 9 * FAILURES_KEPT + 7);
	assert_non_null(strstr(printed(), path));
	snprintf(path, sizeof(path), "<%d>", 9 * FAILURES_KEPT + 6);
	assert_null(strstr(printed(), path));
	/* What fell out of the ring is new when it comes again. */
	note("<0>", -EIO, 500, "", "");
	assert_int_equal(failures.ring[(failures.total - 1) % FAILURES_KEPT].count, 1);
}

/* `tail -n 1 errors` shows the latest, also when that one is a repeat. */
static void test_the_latest_comes_last(void **state)
{
	const char *last;
	char path[32];

	(void)state;
	for (int i = 0; i < FAILURES_KEPT + 10; i++) {
		snprintf(path, sizeof(path), "<%d>", i);
		note(path, -EIO, 500, "", "");
	}
	note("<30>", -EIO, 500, "", "");
	last = strstr(printed(), "<30>");
	assert_non_null(last);
	assert_int_equal(lines(last), 1);
	assert_null(strstr(last + 1, "<30>"));
	assert_int_equal(lines(printed()), FAILURES_KEPT);
}

static void test_control_characters_do_not_reach_a_terminal(void **state)
{
	static const char nasty[] = "a\nb\x1b[2J\rc\x7f\td\xc2\x9b"
				    "2Je\xc2\x80\u202Ef\u2066g";
	const char *shown;

	(void)state;
	note(nasty, -EIO, 500, nasty, nasty);
	shown = printed();
	assert_int_equal(lines(shown), 1);
	for (const unsigned char *at = (const unsigned char *)shown; *at; at++) {
		assert_true(*at >= ' ' || *at == '\n');
		assert_int_not_equal(*at, 0x7f);
		/* C1 controls: some terminals act on U+009B as on ESC [. */
		assert_false(at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f);
	}
	assert_non_null(strstr(shown, "a?b?[2J?c??d??2Je?????f???g"));
	/* It is still the same failure when it comes again. */
	note(nasty, -EIO, 500, nasty, nasty);
	assert_int_equal(lines(printed()), 1);
	assert_int_equal(failures.total, 1);
}

/* Long texts come here cut, perhaps inside a character. */
static void test_what_is_shown_is_utf8(void **state)
{
	(void)state;
	note("a\xe5\x9b", -EIO, 500, "\xff\xfe",
	     "b\xe5\x9b"
	     "c");
	assert_non_null(strstr(printed(), " a??: "));
	assert_non_null(strstr(printed(), "says: ??;"));
	assert_non_null(strstr(printed(), "traceId b??c"));
}

static void test_other_characters_stay(void **state)
{
	(void)state;
	note("binders/Kv. Björken ¿Cómo? 図面 😀", -EIO, 500, "Något \"gick\" fel\\", "");
	assert_non_null(strstr(printed(), "binders/Kv. Björken ¿Cómo? 図面 😀: "));
	assert_non_null(strstr(printed(), "Något \"gick\" fel\\"));
}

/* Every errno that DESIGN names has an advice, and the advice fits. */
static void test_advice(void **state)
{
	static const struct {
		int error;
		long status;
		const char *says;
	} table[] = {
		{-EACCES, 403, "role"},	       {-EACCES, 401, "secret"},
		{-EACCES, 0, "SIGHUP"},	       {-EBUSY, 429, "connections="},
		{-EHOSTUNREACH, 0, "network"}, {-ETIMEDOUT, 0, "timeout="},
		{-EPROTO, 0, "ca_file="},      {-EBADMSG, 200, "api_url="},
		{-EBADMSG, 302, "redirect"},   {-EFBIG, 200, "memory="},
		{-EIO, 500, "traceId"},	       {-ENOENT, 404, "gone"},
		{-ENOMEM, 0, "memory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_non_null(
			strstr(failures_advice(table[i].error, table[i].status), table[i].says));
	assert_string_equal(failures_advice(-EROFS, 0), "");
	assert_string_equal(failures_errno_name(-ETIMEDOUT), "ETIMEDOUT");
	assert_string_equal(failures_errno_name(-EBADMSG), "EBADMSG");
	assert_string_equal(failures_errno_name(-100000), "unknown");
}

static void test_times(void **state)
{
	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	failures_print_time(&text, INT64_C(1769860800999999999));
	assert_string_equal(buf_str(&text), "2026-01-31T12:00:00Z");
	buf_reset(&text);
	failures_print_time(&text, 0);
	assert_string_equal(buf_str(&text), "1970-01-01T00:00:00Z");
}

static void test_a_full_buffer_is_reported(void **state)
{
	struct buf small = BUF_INIT(40);

	(void)state;
	note("token", -EIO, 500, "", "");
	assert_int_equal(failures_print(&failures, &small), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_failed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_line_says_it_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_not_known_is_not_shown, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_repeats_are_counted_not_repeated, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_differs_is_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keeps_the_latest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_latest_comes_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_control_characters_do_not_reach_a_terminal,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_shown_is_utf8, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_characters_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_advice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_buffer_is_reported, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
