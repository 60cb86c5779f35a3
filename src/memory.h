/* memory.h: what the process frees goes back to the system, which glibc by itself puts off for
 * ever: a daemon that lives for months would keep the most that it ever held.
 *
 * Only the loop's thread calls it. Cannot fail. */
#ifndef IBINDERFS_MEMORY_H
#define IBINDERFS_MEMORY_H

#include <stdint.h>

/* Once, before anything large is allocated. */
void memory_init(void);
/* When something may have been freed; acts now and then. `now_ms`: see loop_now_ms. */
void memory_tidy(int64_t now_ms);

#endif
