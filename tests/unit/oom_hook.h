/* oom_hook.h: stands between the library and its allocations. Programs that include it are linked
 * with --wrap, see CMakeLists.txt; cJSON and libcurl are asked to allocate here too. Not libuv: it
 * ends the process where it gets no memory for its tables.
 *
 * Include after the system's headers: from here on the includer's own allocations never fail. */
#ifndef OOM_HOOK_H
#define OOM_HOOK_H

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

/* Whether this allocation fails: the includer says. */
static bool oom_now(void);

static inline bool oom_fails(void)
{
	bool fails = oom_now();

	if (fails)
		errno = ENOMEM;
	return fails;
}

void *__wrap_malloc(size_t size)
{
	return oom_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return oom_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *bytes, size_t size)
{
	return oom_fails() ? NULL : __real_realloc(bytes, size);
}

void *__wrap_reallocarray(void *bytes, size_t count, size_t size)
{
	return oom_fails() ? NULL : __real_reallocarray(bytes, count, size);
}

char *__wrap_strdup(const char *text)
{
	return oom_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return oom_fails() ? NULL : __real_strndup(text, len);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list args;
	int len;

	if (oom_fails())
		return -1;
	va_start(args, format);
	len = vasprintf(ret_text, format, args);
	va_end(args);
	return len;
}

/* Before anything else. */
static inline void oom_init(void)
{
	cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = free};

	cJSON_InitHooks(&hooks);
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc, free, __wrap_realloc,
				 __wrap_strdup, __wrap_calloc))
		abort();
}

#define malloc(size)	     __real_malloc(size)
#define calloc(count, size)  __real_calloc(count, size)
#define realloc(bytes, size) __real_realloc(bytes, size)
#define strdup(text)	     __real_strdup(text)
#undef asprintf /* a macro of glibc's, where it is fortified */
#define asprintf __real_asprintf

#endif
