/* readahead.h: how far ahead of a reader to fetch.
 *
 * As far as it has read without a jump, less what it skipped: so what is fetched in vain is never
 * more than what was read, and a reader that goes on doubles its lead with each round trip. A jump
 * starts anew. */
#ifndef IBINDERFS_READAHEAD_H
#define IBINDERFS_READAHEAD_H

#include <stdint.h>

/* Reads of one reader reach the daemon out of order by this much: the kernel sends several. One
 * that has waited is looked at again when others have gone further. */
#define READAHEAD_SLACK_BYTES (512 * 1024)
#define READAHEAD_BACK_BYTES  (4 * 1024 * 1024)

/* One reader of one file; zeroed at first: who opens a file will read it from the start. */
struct readahead {
	uint64_t next;	  /* where a reader that goes on will read */
	uint64_t read;	  /* bytes since the last jump */
	uint64_t skipped; /* bytes between those, as long as no late read fills them */
};

/* Notes a read; returns for how many bytes after it to fetch, at most `max`. */
uint64_t readahead_note(struct readahead *readahead, uint64_t offset, uint64_t len, uint64_t max);

#endif
