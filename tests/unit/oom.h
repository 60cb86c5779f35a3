/* oom.h: makes the Nth allocation of the library fail: its own (the programs test_oom_*.c are
 * linked with --wrap, see CMakeLists.txt), cJSON's and libcurl's. Those of the test itself and of
 * its server never fail. Not libuv's: it ends the process where it gets no memory for its tables.
 *
 * Include after the system's headers, cmocka.h, and before fixtures. */
#ifndef OOM_H
#define OOM_H

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *bytes, size_t size);
void *__real_reallocarray(void *bytes, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
int __real_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *bytes, size_t size);
void *__wrap_reallocarray(void *bytes, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Which fail: the one of that number, or (`lasting`) that and all after it. 0: none. */
static unsigned long oom_at;
static bool oom_lasting;
static unsigned long oom_seen;
static unsigned long oom_failed;

static bool oom_now(void)
{
	bool fails;

	if (oom_at == 0)
		return false;
	oom_seen++;
	fails = oom_lasting ? oom_seen >= oom_at : oom_seen == oom_at;
	oom_failed += fails;
	if (fails)
		errno = ENOMEM;
	return fails;
}

void *__wrap_malloc(size_t size)
{
	return oom_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return oom_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *bytes, size_t size)
{
	return oom_now() ? NULL : __real_realloc(bytes, size);
}

void *__wrap_reallocarray(void *bytes, size_t count, size_t size)
{
	return oom_now() ? NULL : __real_reallocarray(bytes, count, size);
}

char *__wrap_strdup(const char *text)
{
	return oom_now() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return oom_now() ? NULL : __real_strndup(text, len);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list args;
	int len;

	if (oom_now())
		return -1;
	va_start(args, format);
	len = vasprintf(ret_text, format, args);
	va_end(args);
	return len;
}

#define malloc(size)	     __real_malloc(size)
#define calloc(count, size)  __real_calloc(count, size)
#define realloc(bytes, size) __real_realloc(bytes, size)
#define strdup(text)	     __real_strdup(text)
#define asprintf	     __real_asprintf

/* Before anything else. */
static inline void oom_init(void)
{
	cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};

	cJSON_InitHooks(&hooks);
	assert_int_equal(curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc, free,
					      __wrap_realloc, __wrap_strdup, __wrap_calloc),
			 CURLE_OK);
}

/* Runs `scenario` with its first allocation failing, then its second, and so on until none is left
 * to fail; and the same with all that come after failing too. It returns 0 if it came to its end in
 * spite of that, with the right result, or -ENOMEM; and must leave nothing behind, which the
 * sanitizer sees, so that it can be run again. */
static inline void oom_run(int (*scenario)(void))
{
	unsigned long most = 0;

	assert_int_equal(scenario(), 0);
	for (int lasting = 0; lasting <= 1; lasting++) {
		unsigned long survived = 0;

		oom_lasting = lasting;
		for (unsigned long nth = 1;; nth++) {
			unsigned long failed;
			int error;

			oom_seen = 0;
			oom_failed = 0;
			oom_at = nth;
			error = scenario();
			failed = oom_failed;
			oom_at = 0;
			if (error && error != -ENOMEM)
				fail_msg("allocation %lu%s: %d is not -ENOMEM", nth,
					 lasting ? " and all after it" : "", error);
			if (failed == 0) {
				assert_int_equal(error, 0);
				most = nth - 1;
				break;
			}
			survived += !error;
		}
		print_message("%lu allocations failed%s; done without %lu of them\n", most,
			      lasting ? " for good" : "", survived);
	}
	assert_int_not_equal(most, 0);
	assert_int_equal(scenario(), 0);
}

#endif
