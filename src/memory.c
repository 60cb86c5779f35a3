/* memory.c: freed memory goes back to the system. Owns when it last did. */
#include "memory.h"

#include <malloc.h>

#define MAPPED_BYTES_MIN (256 * 1024)
#define TIDY_EVERY_MS	 30000

/* Listings and answers are large and come and go: each in a mapping of its own, its memory goes
 * back when it is freed. glibc would raise the limit for such mappings with every large block that
 * is freed, and keep the next ones on the heap. */
void memory_init(void)
{
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
}

/* Smaller ones leave holes between what stays, which get more with the hours. */
void memory_tidy(int64_t now_ms)
{
	static int64_t tidied_ms;

	if (now_ms - tidied_ms < TIDY_EVERY_MS)
		return;
	tidied_ms = now_ms;
	malloc_trim(0);
}
