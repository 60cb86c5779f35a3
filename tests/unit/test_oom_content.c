/* test_oom_content.c: every allocation fails once while a document is opened and read, libcurl's
 * too, on a network that works: its bytes are right, or the answer is -ENOMEM, and once there is
 * memory again they can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oom.h"

#include "content_fixture.h"

#define RECOVERY_MS 120000
#define STEP_MS	    200

/* To its end, as finish() does, but without a wait where nothing is under way. */
static int settle_reader(void)
{
	int64_t end_ms = loop_now_ms() + RECOVERY_MS;

	while (!readers[0].done) {
		assert_true(loop_now_ms() < end_ms);
		if (counters()->in_flight > 0 || fetcher_counters(fetcher)->in_flight > 0)
			uv_run(&loop, UV_RUN_ONCE);
		else
			clock_skip(&loop, STEP_MS);
	}
	return readers[0].error;
}

static int read_once(void)
{
	int error = contents_get(contents, "D", "v", "files/B/v", &readers[0].content);

	if (error)
		return error;
	start_open(0, "v");
	error = settle_reader();
	if (!error) {
		assert_int_equal(content_size(readers[0].content), storage.size);
		start_read(0, 0, (size_t)storage.size);
		error = settle_reader();
	}
	if (!error)
		assert_bytes_right(0);
	close_reader(0);
	return error;
}

static struct storage storage_under_test;

static int read_and_recover(void)
{
	unsigned long at = oom_at;
	int64_t end_ms;
	int error;

	oom_at = 0;
	set_up_contents(NULL);
	storage = storage_under_test;
	oom_at = at;
	error = read_once();
	oom_at = 0;
	end_ms = loop_now_ms() + RECOVERY_MS;
	while (read_once() != 0) { /* a failure is remembered for a while */
		assert_true(loop_now_ms() < end_ms);
		clock_skip(&loop, STEP_MS);
	}
	tear_down_contents(NULL);
	return error;
}

static void test_ranges(void **state)
{
	(void)state;
	storage_under_test = (struct storage){.headers = "", .size = FIRST_BYTES + BLOCK};
	oom_run(read_and_recover);
}

static void test_stream_of_unknown_length(void **state)
{
	(void)state;
	storage_under_test = (struct storage){
		.headers = "",
		.size = BLOCK + 1,
		.no_range = true,
		.chunked = true,
	};
	oom_run(read_and_recover);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_stream_of_unknown_length),
	};

	oom_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
