/* http_memory.c: libcurl's memory is overwritten before it is given back: it writes whole requests,
 * with the token, into buffers of its own, and would leave them on the heap for as long as nothing
 * else needs the room. Owns nothing. */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void wiping_free(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

/* Not realloc: what moves would leave a copy. */
static void *wiping_realloc(void *memory, size_t size)
{
	size_t had = memory ? malloc_usable_size(memory) : 0;
	void *moved;

	if (memory && size > had / 2 && size <= had)
		return memory;
	moved = malloc(size);
	if (!moved)
		return NULL;
	if (memory)
		memcpy(moved, memory, had < size ? had : size);
	wiping_free(memory);
	return moved;
}

int http_global_init(void)
{
	return curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
				    strdup, calloc)
		       ? -ENOMEM
		       : 0;
}

void http_global_fini(void)
{
	curl_global_cleanup();
}
