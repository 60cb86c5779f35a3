/* test_content_change.c: storage that lies, or whose bytes change while they are read: never a
 * wrong byte, never old ones among new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "content_fixture.h"

/* --- Lies --- */

static void test_an_answer_that_does_not_fit_is_asked_for_once_more(void **state)
{
	static const char *const lies[] = {
		"Content-Range: bytes 0-4095/62914560\r\n",	       /* another part */
		"Content-Range: bytes 10485760-10489856/62914560\r\n", /* more than was sent */
		"Content-Range: bytes 10485760-10489854/62914560\r\n", /* less than was sent */
		"Content-Range: bytes 10485760-10489855/*\r\n",
		"Content-Range: nonsense\r\n",
		"Content-Encoding: gzip\r\nContent-Range: bytes 10485760-10489855/62914560\r\n",
		"",
	};

	(void)state;
	storage.size = 60 * MIB;
	for (size_t i = 0; i < COUNT(lies); i++) {
		assert_int_equal(open_reader(0, (const char[]){(char)('a' + (int)i), '\0'}), 0);
		settle();
		server.seen_count = 0;
		storage.range_says = lies[i];
		start_read(0, 10 * MIB, 4096);
		RUN_UNTIL(&loop, counters()->retries == 2 * i + 1);
		storage.range_says = NULL;
		assert_int_equal(finish(0), 0);
		assert_bytes_right(0);
		assert_int_equal(stored(), 2);

		/* And if it lies again, it is an error. */
		server.seen_count = 0;
		storage.range_says = lies[i];
		assert_int_equal(read_some(0, 20 * MIB, 100), -EBADMSG);
		assert_int_equal(stored(), 2);
		storage.range_says = NULL;
		close_reader(0);
	}
}

/* --- Changes --- */

static void assert_broken(size_t index)
{
	assert_int_equal(read_some(index, 30 * MIB, 4096), -EBADMSG);
	assert_int_equal(read_some(index, 0, 4096), -EBADMSG); /* what was there too */
	assert_non_null(strstr(latest_failure()->what, "open it anew"));
}

static void test_another_length_ends_it(void **state)
{
	(void)state;
	open_large();
	storage.delta = 5;
	assert_broken(0);
	storage.delta = 0;
	storage.size = 50 * MIB;
	assert_int_equal(open_reader(1, "v"), 0);
	assert_int_equal(content_size(readers[1].content), 50 * MIB);
	assert_int_equal(read_some(1, 30 * MIB, 4096), 0);
	assert_int_equal(read_some(0, 30 * MIB, 4096), -EBADMSG); /* it stays so */
	assert_int_equal(counters()->contents, 2);
	close_reader(0);
	assert_int_equal(counters()->contents, 1);
	assert_int_equal(read_some(1, 0, 4096), 0);
}

/* It does not say how long it is, but no longer as long as it was. */
static void test_a_range_that_is_gone_ends_it(void **state)
{
	(void)state;
	open_large();
	REFUSES(STORAGE, 1, 416);
	assert_broken(0);
	storage.size = 20 * MIB;
	assert_int_equal(open_reader(1, "v"), 0);
	assert_int_equal(content_size(readers[1].content), 20 * MIB);
	assert_int_equal(read_some(1, 10 * MIB, 4096), 0);
	assert_bytes_right(1);
}

static void test_another_etag_ends_it(void **state)
{
	(void)state;
	storage.headers = "ETag: \"one\"\r\n";
	open_large();
	assert_int_equal(read_some(0, 10 * MIB, 4096), 0);
	storage.headers = "";
	assert_int_equal(read_some(0, 15 * MIB, 4096), 0); /* says nothing */
	storage.headers = "ETag: W/\"two\"\r\n";
	assert_int_equal(read_some(0, 20 * MIB, 4096), 0); /* weak: says nothing of bytes */
	storage.headers = "ETag: \"two\"\r\n";
	storage.seed = 9;
	assert_broken(0);
	assert_int_equal(open_reader(1, "v"), 0);
	assert_int_equal(read_some(1, 0, 4096), 0); /* the new bytes */
}

/* Blocks are as long as the size says; what is sent may be longer. */
static void test_a_stream_longer_than_the_size_ends_it(void **state)
{
	(void)state;
	storage.size = 100;
	readers[0].without_bytes = true;
	assert_int_equal(open_reader(0, "v"), 0);
	settle();
	storage.size = 5000;
	storage.no_range = true;
	storage.chunked = true;
	start_read(0, 0, 100);
	assert_int_equal(finish(0), -EBADMSG);
	assert_int_equal(open_reader(1, "v"), 0);
	assert_int_equal(content_size(readers[1].content), 5000);
	assert_int_equal(read_some(1, 0, 5000), 0);
}

/* A block that was half filled when the size changed does not serve for the new one. */
static void test_the_last_block_grows(void **state)
{
	(void)state;
	storage.size = 600 * KIB;
	assert_int_equal(open_reader(0, "v"), 0);
	settle();
	storage.cuts = true;
	start_read(0, 580 * KIB, 20 * KIB); /* its last block begins at 576 KiB */
	RUN_UNTIL(&loop, counters()->retries == 1);
	storage.cuts = false;
	storage.size = 640 * KIB;
	assert_int_equal(finish(0), -EBADMSG);
	assert_int_equal(open_reader(1, "v"), 0);
	assert_int_equal(read_some(1, 512 * KIB, 128 * KIB), 0);
	assert_int_equal(read_some(1, 0, 512 * KIB), 0);
}

static void test_broken_while_a_link_is_asked_for(void **state)
{
	(void)state;
	open_large();
	assert_int_equal(open_reader(1, "v"), 0);
	HOLDS(STORAGE, 2);
	start_read(0, 10 * MIB, 4096);
	start_read(1, 30 * MIB, 4096);
	RUN_UNTIL(&loop, server_waiting(&server) == 2);
	HOLDS(LINKS, 1);
	for (unsigned i = 0, answered = 0; i < server.seen_count; i++) {
		if (!server.seen[i].connection)
			continue;
		if (answered++ == 0) {
			server_answer(&server.seen[i], 403, "", "");
			RUN_UNTIL(&loop, counters()->links == 2);
			RUN_UNTIL(&loop, server_count(&server, LINKS) == 2);
		} else if (strncmp(server.seen[i].target, "/s/", 3) == 0) {
			storage.size++;
			answer_all(&server.seen[i]);
		}
	}
	assert_int_equal(finish(0), -EBADMSG);
	assert_int_equal(finish(1), -EBADMSG);
	/* Freed with the rest though it is in no table any more. */
}

/* --- SIGHUP --- */

static void test_what_was_told_wrongly_can_be_forgotten(void **state)
{
	uint64_t key;
	uint64_t size;

	(void)state;
	storage.size = 0;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(content_size(readers[0].content), 0);
	close_reader(0);
	storage.size = 600 * KIB;
	key = contents_key(contents, "v");
	contents_forget(contents);
	assert_false(contents_size(contents, "v", &size));
	assert_true(contents_key(contents, "v") != key); /* what the kernel knows is void too */
	assert_int_equal(counters()->contents, 0);
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(read_all(0), 0);
	assert_int_equal(content_size(readers[0].content), 600 * KIB);
}

/* Who has a file open goes on reading it; who opens it when nobody has gets it anew. */
static void test_what_is_open_is_forgotten_when_it_is_closed(void **state)
{
	uint64_t key;

	(void)state;
	storage.size = 600 * KIB;
	assert_int_equal(open_reader(0, "v"), 0);
	key = contents_key(contents, "v");
	contents_forget(contents);
	assert_int_equal(contents_key(contents, "v"), key);
	assert_int_equal(read_all(0), 0);
	settle();
	close_reader(0);
	assert_int_equal(counters()->contents, 0);
	assert_true(contents_key(contents, "v") != key);
	storage.seed = 9;
	storage.size = 700 * KIB;
	assert_int_equal(open_reader(0, "v"), 0);
	assert_int_equal(content_size(readers[0].content), 700 * KIB);
	assert_int_equal(read_all(0), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CONTENT_TEST(test_an_answer_that_does_not_fit_is_asked_for_once_more),
		CONTENT_TEST(test_another_length_ends_it),
		CONTENT_TEST(test_a_range_that_is_gone_ends_it),
		CONTENT_TEST(test_another_etag_ends_it),
		CONTENT_TEST(test_a_stream_longer_than_the_size_ends_it),
		CONTENT_TEST(test_the_last_block_grows),
		CONTENT_TEST(test_broken_while_a_link_is_asked_for),
		CONTENT_TEST(test_what_was_told_wrongly_can_be_forgotten),
		CONTENT_TEST(test_what_is_open_is_forgotten_when_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
