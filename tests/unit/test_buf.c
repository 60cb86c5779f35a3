/* test_buf.c: the byte buffer: growing, its bound, errors that stick, what it leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void test_empty(void **state)
{
	struct buf buf = BUF_INIT(10);

	(void)state;
	assert_string_equal(buf_str(&buf), "");
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_int_equal(buf_append_str(&buf, ""), 0);
	assert_int_equal(buf_printf(&buf, "%s", ""), 0);
	assert_null(buf.data);
	assert_null(buf_steal(&buf));
	buf_reset(&buf);
	buf_wipe(&buf);
}

static void test_append(void **state)
{
	struct buf buf = BUF_INIT(1000);

	(void)state;
	assert_int_equal(buf_append_str(&buf, "one"), 0);
	assert_int_equal(buf_append(&buf, "\0two", 4), 0);
	assert_int_equal(buf_printf(&buf, "-%d-%s", 3, "four"), 0);
	assert_int_equal(buf.len, 14);
	assert_memory_equal(buf.data, "one\0two-3-four", 15);

	char *stolen = buf_steal(&buf);
	assert_memory_equal(stolen, "one\0two-3-four", 15);
	free(stolen);
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf_append_str(&buf, "again"), 0);
	assert_string_equal(buf_str(&buf), "again");
	buf_reset(&buf);
	assert_string_equal(buf_str(&buf), "");
}

static void test_bound(void **state)
{
	static const struct {
		size_t max;
		size_t step;
	} table[] = {{0, 1}, {1, 1}, {63, 1}, {64, 1}, {65, 7}, {1000, 7}, {1000, 999}, {4096, 64}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct buf buf = BUF_INIT(table[i].max);
		char step[1024];
		size_t len = 0;

		memset(step, 'x', sizeof(step));
		for (; len + table[i].step <= table[i].max; len += table[i].step) {
			assert_int_equal(buf_append(&buf, step, table[i].step), 0);
			assert_int_equal(buf.len, len + table[i].step);
			assert_int_equal(buf.data[buf.len], '\0');
			assert_true(buf.cap <= table[i].max + 1);
		}
		assert_int_equal(buf_append(&buf, step, table[i].step), -EFBIG);
		assert_null(buf.data);
	}
}

static void test_grows_by_doubling(void **state)
{
	struct buf buf = BUF_INIT(1 << 20);
	size_t cap = 0;
	int grown = 0;

	(void)state;
	for (int i = 0; i < 1 << 20; i++) {
		assert_int_equal(buf_append(&buf, "x", 1), 0);
		grown += buf.cap != cap;
		cap = buf.cap;
	}
	assert_in_range(grown, 1, 20);
	buf_reset(&buf);
}

static void test_error_sticks(void **state)
{
	struct buf buf = BUF_INIT(8);

	(void)state;
	assert_int_equal(buf_append_str(&buf, "12345678"), 0);
	assert_int_equal(buf_printf(&buf, "%d", 9), -EFBIG);
	assert_int_equal(buf.error, -EFBIG);
	assert_int_equal(buf_append(&buf, "", 0), -EFBIG);
	assert_int_equal(buf_append_str(&buf, "1"), -EFBIG);
	assert_int_equal(buf_printf(&buf, "%s", ""), -EFBIG);
	assert_string_equal(buf_str(&buf), "");
	assert_null(buf_steal(&buf));

	buf_reset(&buf);
	assert_int_equal(buf_append_str(&buf, "12345678"), 0);
	assert_int_equal(buf_append_str(&buf, "9"), -EFBIG);
	buf_wipe(&buf);
	assert_int_equal(buf_append_str(&buf, "1"), 0);
	buf_reset(&buf);
}

/* What explicit_bzero was last asked for: these stand in for libc's, of which a fortified build
 * calls the second. */
static size_t wiped;

void __explicit_bzero_chk(void *bytes, size_t len, size_t size);

void __explicit_bzero_chk(void *bytes, size_t len, size_t size)
{
	(void)size;
	memset(bytes, 0, len);
	wiped = len;
}

#undef explicit_bzero
void explicit_bzero(void *bytes, size_t len)
{
	__explicit_bzero_chk(bytes, len, len);
}

static void test_leaves_no_copy(void **state)
{
	struct buf buf = BUF_INIT(1000);
	char more[200] = {0};

	(void)state;
	wiped = 0;
	buf_append_str(&buf, "secret");
	buf_append(&buf, more, sizeof(more)); /* moves */
	assert_int_equal(wiped, 6);
	buf_wipe(&buf);
	assert_int_equal(wiped, 206);

	buf_append_str(&buf, "secret");
	buf_printf(&buf, "%2000s", ""); /* fails */
	assert_int_equal(wiped, 6);
	buf_reset(&buf);
}

static void test_open_grows_in_place_of_copying(void **state)
{
	struct buf buf = BUF_INIT_OPEN(1 << 20);

	(void)state;
	wiped = 0;
	for (int round = 0; round < 2; round++) { /* a reset changes nothing in that */
		for (int i = 0; i < 1000; i++)
			assert_int_equal(buf_printf(&buf, "%04d,", i), 0);
		assert_int_equal(wiped, 0);
		assert_int_equal(buf.len, 5000);
		assert_memory_equal(buf.data, "0000,0001,", 10);
		assert_string_equal(buf.data + 4990, "0998,0999,");
		buf_reset(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_grows_by_doubling),
		cmocka_unit_test(test_error_sticks),
		cmocka_unit_test(test_leaves_no_copy),
		cmocka_unit_test(test_open_grows_in_place_of_copying),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
