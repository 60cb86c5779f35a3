/* test_content_trouble.c: storage that fails, refuses or sends elsewhere: a retry, a new link or an
 * error, and never more requests than help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "content_fixture.h"

/* What failed is not tried again sooner. */
#define ERROR_TTL_MS 1000

/* --- Retries --- */

static void test_failures_are_tried_again_after_a_while(void **state)
{
	(void)state;
	storage.size = 300 * KIB;
	REFUSES(STORAGE, 2, 503);
	RESETS(STORAGE, 1);
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_all(0), 0);
	assert_int_equal(counters()->requests, 4);
	assert_int_equal(counters()->retries, 3);
	assert_int_equal(counters()->links, 1);
	assert_int_equal(failures.total, 0);
}

static void test_a_retry_waits(void **state)
{
	int64_t skipped_ms = 0;

	(void)state;
	storage.size = 1;
	REFUSES(STORAGE, 2, 500);
	start_open(0, "v");
	for (unsigned tries = 1; tries <= 2; tries++) {
		RUN_UNTIL(&loop, counters()->retries == tries);
		for (skipped_ms = 0; counters()->requests == tries; skipped_ms += 10) {
			assert_true(skipped_ms < 2000);
			clock_skip(&loop, 10);
			uv_run(&loop, UV_RUN_NOWAIT);
		}
		/* 200 ms and twice that, each up to a quarter more or less. */
		assert_in_range(skipped_ms, 130 * tries, 260 * tries);
	}
	assert_int_equal(finish(0), 0);
}

/* What came counts: only the rest is asked for. */
static void test_a_retry_goes_on_where_it_was_cut_off(void **state)
{
	(void)state;
	open_large();
	storage.cuts = true;
	start_read(0, 10 * MIB, 400 * KIB);
	RUN_UNTIL(&loop, counters()->retries == 1);
	storage.cuts = false;
	assert_int_equal(finish(0), 0);
	assert_bytes_right(0);
	assert_string_equal(range_of(1), "bytes=10485760-10895359");
	assert_string_equal(range_of(2), "bytes=10690560-10895359");
	assert_int_equal(counters()->bytes, FIRST_BYTES + 400 * KIB);
}

/* As long as each try brings something there is no reason to give up. */
static void test_progress_counts_tries_anew(void **state)
{
	(void)state;
	open_large();
	storage.cuts = true;
	assert_int_equal(read_some(0, 10 * MIB, 1000), 0);
	assert_true(counters()->retries >= 9);
	assert_int_equal(failures.total, 0);
}

static void test_a_retry_that_is_too_late_is_an_error(void **state)
{
	int64_t asked_ms = loop_now_ms();

	(void)state;
	REFUSES(STORAGE, FOREVER, 500);
	assert_int_equal(open_reader(0, "v"), -EIO);
	assert_true(loop_now_ms() - asked_ms <= TIMEOUT_MS + 500);
	assert_int_equal(latest_failure()->status, 500);
	assert_string_equal(latest_failure()->path, "files/B/v");
	assert_non_null(strstr(latest_failure()->what, "GET http://127.0.0.1:") &&
			!strstr(latest_failure()->what, "/s/v"));
	assert_null(strstr(latest_failure()->what, "sig="));
	assert_int_equal(counters()->in_flight, 0);
}

static void test_what_just_failed_is_not_asked_for_again(void **state)
{
	unsigned requests;

	(void)state;
	open_large();
	REFUSES(STORAGE, FOREVER, 400);
	assert_int_equal(read_some(0, 10 * MIB, 4096), -EBADMSG);
	requests = stored();
	for (int i = 0; i < 5; i++)
		assert_int_equal(read_some(0, 10 * MIB, 4096), -EBADMSG);
	assert_int_equal(stored(), requests);
	rules_clear();
	assert_int_equal(read_some(0, 30 * MIB, 4096), 0); /* it was that part alone */
	clock_skip(&loop, ERROR_TTL_MS + 1);
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
}

static void test_who_waits_too_long_is_told_and_the_fetch_goes_on(void **state)
{
	static char half[50 * 1024];
	struct server_request *request;

	(void)state;
	open_large();
	HOLDS(STORAGE, 1);
	start_read(0, 10 * MIB, 2 * sizeof(half));
	RUN_UNTIL(&loop, stored() == 2);
	request = &server.seen[server.seen_count - 1];
	clock_skip(&loop, TIMEOUT_MS - 1000);
	for (size_t i = 0; i < sizeof(half); i++)
		half[i] = byte_at(10 * MIB + i);
	server_format(request, "HTTP/1.1 206 Part\r\nContent-Length: 102400\r\n"
			       "Content-Range: bytes 10485760-10588159/62914560\r\n\r\n");
	server_send(request, half, sizeof(half));
	RUN_UNTIL(&loop, counters()->bytes == FIRST_BYTES + sizeof(half));
	assert_int_equal(open_reader(1, "v"), 0);
	start_read(1, 10 * MIB, 2 * sizeof(half));
	clock_skip(&loop, 1100);
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].error, -ETIMEDOUT);
	assert_string_equal(latest_failure()->path, "files/B/v");
	assert_false(readers[1].done);
	for (size_t i = 0; i < sizeof(half); i++)
		half[i] = byte_at(10 * MIB + sizeof(half) + i);
	server_send(request, half, sizeof(half));
	assert_int_equal(finish(1), 0);
	assert_bytes_right(1);
	assert_int_equal(stored(), 2);
	assert_false(contents_breaker_open(contents));
}

static void test_silence_is_a_timeout(void **state)
{
	(void)state;
	HOLDS(STORAGE, FOREVER);
	start_open(0, "v");
	RUN_UNTIL(&loop, stored() == 1);
	clock_skip(&loop, TIMEOUT_MS + 100);
	RUN_UNTIL(&loop, readers[0].done);
	assert_int_equal(readers[0].error, -ETIMEDOUT);
}

static void test_too_many_requests_pause_everybody(void **state)
{
	(void)state;
	storage.size = 1000;
	SAYS(.prefix = STORAGE, .times = 1, .status = 429, .headers = "Retry-After: 1\r\n");
	start_open(0, "v");
	RUN_UNTIL(&loop, counters()->retries == 1);
	start_open(1, "w");
	run_for(&loop, 100);
	assert_int_equal(stored(), 1);
	assert_int_equal(finish(0), 0);
	assert_int_equal(finish(1), 0);
	assert_int_equal(stored(), 3);
}

static void test_a_pause_longer_than_anybody_waits(void **state)
{
	(void)state;
	open_large();
	SAYS(.prefix = STORAGE, .times = 1, .status = 429, .headers = "Retry-After: 60\r\n");
	assert_int_equal(read_some(0, 10 * MIB, 4096), -EBUSY);
	assert_int_equal(read_some(0, 30 * MIB, 4096), -EBUSY); /* at once, and unasked */
	assert_int_equal(stored(), 2);
	contents_forget(contents);
	assert_int_equal(read_some(0, 30 * MIB, 4096), 0);
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
}

/* --- Links --- */

static void test_an_expired_link_is_renewed(void **state)
{
	(void)state;
	open_large();
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
	assert_int_equal(counters()->links, 1);
	for (unsigned renewals = 1; renewals <= 3; renewals++) {
		storage.good_from = storage.links + 1;
		assert_int_equal(read_some(0, (20 + renewals) * MIB, 4096), 0);
		assert_int_equal(counters()->links, 1 + renewals);
	}
	assert_int_equal(failures.total, 0);
}

static void test_each_refusal_means_a_new_link(void **state)
{
	static const int statuses[] = {401, 403, 404, 410};

	(void)state;
	open_large();
	for (size_t i = 0; i < COUNT(statuses); i++) {
		REFUSES(STORAGE, 1, statuses[i]);
		assert_int_equal(read_some(0, (i + 1) * 10 * MIB, 4096), 0);
		assert_int_equal(counters()->links, i + 2);
		rules_clear();
	}
}

/* One failure, one new link, however many parts it hit. */
static void test_parts_share_a_new_link(void **state)
{
	(void)state;
	open_large();
	for (size_t i = 1; i < 8; i++)
		assert_int_equal(open_reader(i, "v"), 0);
	storage.good_from = storage.links + 1;
	for (size_t i = 0; i < 8; i++)
		start_read(i, (i + 1) * 5 * MIB, 4096);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(finish(i), 0);
	assert_int_equal(counters()->links, 2);
}

/* A refusal that was under way when the new link came is not one of the new link. */
static void test_a_late_refusal_is_of_the_old_link(void **state)
{
	struct server_request *late;

	(void)state;
	open_large();
	assert_int_equal(open_reader(1, "v"), 0);
	HOLDS(STORAGE, 2);
	start_read(0, 10 * MIB, 4096);
	RUN_UNTIL(&loop, stored() == 2);
	start_read(1, 30 * MIB, 4096);
	RUN_UNTIL(&loop, stored() == 3);
	late = &server.seen[server.seen_count - 1];
	server_answer(late - 1, 403, "", "");
	assert_int_equal(finish(0), 0);
	assert_int_equal(counters()->links, 2);
	server_answer(late, 403, "", "");
	assert_int_equal(finish(1), 0);
	assert_bytes_right(1);
	assert_int_equal(counters()->links, 2);
}

static void test_a_new_link_that_is_refused_too_is_an_error(void **state)
{
	(void)state;
	open_large();
	REFUSES(STORAGE, FOREVER, 403);
	assert_int_equal(read_some(0, 10 * MIB, 4096), -EACCES);
	assert_int_equal(counters()->links, 2);
	rules_clear();
	clock_skip(&loop, ERROR_TTL_MS + 1);
	REFUSES(STORAGE, FOREVER, 404);
	assert_int_equal(read_some(0, 10 * MIB, 4096), -ENOENT);
	assert_true(counters()->links <= 4);
}

/* The storage had its reasons for a while, and the links it was asked with then have expired. */
static void test_a_refusal_is_not_for_ever(void **state)
{
	(void)state;
	open_large();
	REFUSES(STORAGE, FOREVER, 403);
	assert_int_equal(read_some(0, 10 * MIB, 4096), -EACCES);
	rules_clear();
	storage.good_from = storage.links + 1;
	clock_skip(&loop, ERROR_TTL_MS + 1);
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
}

static void test_forget_forgets_links(void **state)
{
	uint64_t size;

	(void)state;
	storage.size = 60 * MIB;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(open_reader(1, "idle"), 0);
	settle();
	close_reader(1);
	contents_forget(contents);
	assert_false(contents_size(contents, "idle", &size));
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
	assert_int_equal(counters()->links, 3);
	assert_int_equal(open_reader(1, "idle"), 0);
	close_reader(1);
}

static void test_no_link_no_bytes(void **state)
{
	static const struct {
		const char *body;
		int status;
		int error;
	} table[] = {
		{"", 403, -EACCES},
		{"", 404, -ENOENT},
		{"{}", 200, -EBADMSG},
		{"{\"url\":\"http://storage.example/x?sig=hunter2\"}", 200, -EBADMSG},
		{"{\"url\":\"https://hunter2@storage.example/x\"}", 200, -EBADMSG},
		{"{\"url\":\"file:///etc/passwd\"}", 200, -EBADMSG},
		{"{\"url\":\"/s/v?sig=hunter2\"}", 200, -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		SAYS(.prefix = LINKS, .times = 1, .status = table[i].status, .body = table[i].body);
		assert_int_equal(open_reader(i, (const char[]){(char)('a' + (int)i), '\0'}),
				 table[i].error);
		assert_null(strstr(latest_failure()->what, "hunter2"));
		rules_clear();
	}
	assert_int_equal(counters()->requests, 0);
}

static void test_storage_never_sees_credentials(void **state)
{
	unsigned asked = 0;

	(void)state;
	storage.size = 3 * MIB;
	SAYS(.prefix = STORAGE, .times = 1, .status = 302, .headers = "Location: /s/other\r\n");
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_all(0), 0);
	for (unsigned i = 0; i < server.seen_count; i++) {
		if (strncmp(server.seen[i].target, "/s/", 3) != 0) {
			asked += server_header(&server.seen[i], "Authorization") != NULL;
			continue;
		}
		assert_null(server_header(&server.seen[i], "Authorization"));
		assert_null(server_header(&server.seen[i], "x-ibinder-tenantid"));
		assert_null(strstr(server.seen[i].head, "token-"));
		assert_null(strstr(server.seen[i].head, "TENANT"));
	}
	assert_true(asked > 0); /* the API does */
}

/* --- Redirects --- */

static void redirect(unsigned times, const char *headers)
{
	SAYS(.prefix = STORAGE "v", .times = times, .status = 307, .headers = headers);
}

static void test_two_redirects_are_followed(void **state)
{
	(void)state;
	storage.size = MIB;
	redirect(1, "Location: /s/v2?sig=7\r\n");
	redirect(1, "Location: /s/w\r\n");
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(stored(), 3);
	assert_string_equal(range_of(2), "bytes=0-524287");
	assert_int_equal(read_all(0), 0);
	assert_int_equal(counters()->links, 1);
}

static void test_redirects_that_are_not_followed(void **state)
{
	static const struct {
		const char *headers;
		unsigned requests;
	} table[] = {
		{"Location: /s/va\r\n", 3}, /* in a circle */
		{"", 1},
		{"Location: http://storage.example/\r\n", 1},
		{"Location: https://hunter2@storage.example/\r\n", 1},
		{"Location: ftp://127.0.0.1/\r\n", 1},
		{"Location: file:///etc/passwd\r\n", 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		server.seen_count = 0;
		redirect(FOREVER, table[i].headers);
		assert_int_equal(open_reader(i, (const char[]){'v', (char)('a' + (int)i), '\0'}),
				 -EBADMSG);
		assert_int_equal(stored(), table[i].requests);
		assert_null(strstr(latest_failure()->what, "hunter2"));
		rules_clear();
	}
}

/* --- Empty files, and ranges that are not there --- */

static void test_empty_files(void **state)
{
	(void)state;
	assert_int_equal(open_reader(0, "a"), 0); /* 416 that says how long it is */
	assert_int_equal(content_size(readers[0].content), 0);
	assert_int_equal(stored(), 1);
	REFUSES(STORAGE "b", 1, 416); /* 416 that says nothing */
	assert_int_equal(open_reader(1, "b"), 0);
	assert_int_equal(content_size(readers[1].content), 0);
	assert_int_equal(stored(), 3);
	assert_null(range_of(2));
	storage.no_range = true;
	assert_int_equal(open_reader(2, "c"), 0);
	assert_int_equal(content_size(readers[2].content), 0);
	assert_int_equal(failures.total, 0);
	readers[3].without_bytes = true;
	storage.no_range = false;
	assert_int_equal(open_reader(3, "d"), 0);
	assert_int_equal(content_size(readers[3].content), 0);
}

static void test_a_416_that_makes_no_sense(void **state)
{
	(void)state;
	open_large();
	REFUSES(STORAGE, FOREVER, 416);
	assert_int_equal(read_some(0, 10 * MIB, 4096), -EBADMSG);
	assert_int_equal(stored(), 2);
}

/* Who opens again and again meets the failure, not storage. */
static void test_a_failure_is_remembered_between_opens(void **state)
{
	(void)state;
	storage.size = 1000;
	REFUSES(STORAGE, FOREVER, 400);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(open_reader(0, "v"), -EBADMSG);
		close_reader(0);
	}
	assert_int_equal(stored(), 1);
	assert_int_equal(counters()->links, 1);
	rules_clear();
	clock_skip(&loop, ERROR_TTL_MS + 1);
	assert_int_equal(open_reader(0, "v"), 0);
}

/* --- Breaker --- */

static void test_dead_storage_is_not_asked_by_everybody(void **state)
{
	unsigned requests;

	(void)state;
	open_large();
	assert_int_equal(open_reader(1, "w"), 0);
	settle();
	RESETS(STORAGE, FOREVER);
	assert_true(read_some(0, 10 * MIB, 4096) < 0);
	if (!contents_breaker_open(contents)) { /* it opens with the next */
		clock_skip(&loop, TIMEOUT_MS);
		assert_true(read_some(0, 20 * MIB, 4096) < 0);
	}
	assert_true(contents_breaker_open(contents));
	requests = stored();
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(read_some(1, (20 + i) * MIB, 4096), -EHOSTUNREACH);
	assert_int_equal(open_reader(2, "new"), -EHOSTUNREACH);
	assert_int_equal(stored(), requests);
	assert_int_equal(read_some(1, 0, 4096), 0); /* what is there is served */

	rules_clear();
	for (int i = 0; contents_breaker_open(contents); i++) {
		assert_true(i < 1000);
		if (counters()->in_flight == 0)
			clock_skip(&loop, 100);
		run_for(&loop, 10);
	}
	assert_int_equal(stored(), requests + 1); /* the probe */
	clock_skip(&loop, ERROR_TTL_MS + 1);
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
}

/* Storage is another host than the API. */
static void test_the_api_is_not_blamed(void **state)
{
	(void)state;
	storage.size = 1000;
	RESETS(STORAGE, FOREVER);
	for (int i = 0; i < 3 && !contents_breaker_open(contents); i++) {
		char version[] = {(char)('a' + i), '\0'};

		assert_true(open_reader((size_t)i, version) < 0);
		clock_skip(&loop, TIMEOUT_MS);
	}
	assert_true(contents_breaker_open(contents));
	assert_false(fetcher_breaker_open(fetcher));
	assert_int_equal(fetcher_refusal(fetcher), 0);
	assert_int_equal(fetch("A"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONTENT_TEST(test_failures_are_tried_again_after_a_while),
		CONTENT_TEST(test_a_retry_waits),
		CONTENT_TEST(test_a_retry_goes_on_where_it_was_cut_off),
		CONTENT_TEST(test_progress_counts_tries_anew),
		CONTENT_TEST(test_a_retry_that_is_too_late_is_an_error),
		CONTENT_TEST(test_what_just_failed_is_not_asked_for_again),
		CONTENT_TEST(test_who_waits_too_long_is_told_and_the_fetch_goes_on),
		CONTENT_TEST(test_silence_is_a_timeout),
		CONTENT_TEST(test_too_many_requests_pause_everybody),
		CONTENT_TEST(test_a_pause_longer_than_anybody_waits),
		CONTENT_TEST(test_an_expired_link_is_renewed),
		CONTENT_TEST(test_each_refusal_means_a_new_link),
		CONTENT_TEST(test_parts_share_a_new_link),
		CONTENT_TEST(test_a_late_refusal_is_of_the_old_link),
		CONTENT_TEST(test_a_new_link_that_is_refused_too_is_an_error),
		CONTENT_TEST(test_a_refusal_is_not_for_ever),
		CONTENT_TEST(test_forget_forgets_links),
		CONTENT_TEST(test_no_link_no_bytes),
		CONTENT_TEST(test_storage_never_sees_credentials),
		CONTENT_TEST(test_two_redirects_are_followed),
		CONTENT_TEST(test_redirects_that_are_not_followed),
		CONTENT_TEST(test_empty_files),
		CONTENT_TEST(test_a_416_that_makes_no_sense),
		CONTENT_TEST(test_a_failure_is_remembered_between_opens),
		CONTENT_TEST(test_dead_storage_is_not_asked_by_everybody),
		CONTENT_TEST(test_the_api_is_not_blamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
