/* cleanup.h: the destructor idiom for locals.
 *
 * CLEANUP(thing_fini) calls thing_fini(&variable) when the variable goes out of scope. The
 * function takes a pointer to the variable and must accept a zeroed or moved-from one. */
#ifndef IBINDERFS_CLEANUP_H
#define IBINDERFS_CLEANUP_H

#include <stdlib.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

#define CLEANUP_FREE CLEANUP(cleanup_free)

#endif
