/* test_secret.c: what must never be shown: copied, compared, moved, and overwritten before it is
 * freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "secret.h"

#include <errno.h>
#include <string.h>

/* What explicit_bzero was asked to overwrite: these stand in for libc's, of which a fortified
 * build calls the second. */
static char wiped[64];

void __explicit_bzero_chk(void *bytes, size_t len, size_t size);

void __explicit_bzero_chk(void *bytes, size_t len, size_t size)
{
	(void)size;
	memset(wiped, 0, sizeof(wiped));
	memcpy(wiped, bytes, len < sizeof(wiped) ? len : sizeof(wiped));
	memset(bytes, 0, len);
}

#undef explicit_bzero
void explicit_bzero(void *bytes, size_t len)
{
	__explicit_bzero_chk(bytes, len, len);
}

static void test_set(void **state)
{
	static char long_value[SECRET_BYTES_MAX + 1];
	struct secret secret = {0};

	(void)state;
	memset(long_value, 'x', sizeof(long_value));
	assert_int_equal(secret_set(&secret, "first", 5), 0);
	assert_string_equal(secret.value, "first");
	assert_int_equal(secret_set(&secret, "a\0b", 3), -EINVAL);
	assert_int_equal(secret_set(&secret, long_value, sizeof(long_value)), -EINVAL);
	assert_string_equal(secret.value, "first");

	assert_int_equal(secret_set(&secret, secret.value + 1, 3), 0);
	assert_string_equal(secret.value, "irs");
	assert_string_equal(wiped, "first");

	assert_int_equal(secret_set(&secret, long_value, SECRET_BYTES_MAX), 0);
	assert_int_equal(secret.len, SECRET_BYTES_MAX);
	assert_int_equal(secret_set(&secret, NULL, 0), 0);
	assert_string_equal(secret.value, "");
	secret_fini(&secret);
}

static void test_move_and_fini(void **state)
{
	struct secret from = {0};
	struct secret to = {0};

	(void)state;
	assert_int_equal(secret_set(&from, "token", 5), 0);
	assert_int_equal(secret_set(&to, "old", 3), 0);
	secret_move(&to, &from);
	assert_string_equal(wiped, "old");
	assert_null(from.value);
	secret_move(&to, &to);
	assert_string_equal(to.value, "token");
	secret_fini(&to);
	assert_string_equal(wiped, "token");
	assert_null(to.value);
	secret_fini(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_move_and_fini),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
