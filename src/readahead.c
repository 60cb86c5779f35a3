/* readahead.c: how far ahead of a reader to fetch. Pure. */
#include "readahead.h"

uint64_t readahead_note(struct readahead *readahead, uint64_t offset, uint64_t len, uint64_t max)
{
	uint64_t end = offset + len;
	uint64_t next = readahead->next;

	if (offset > next + READAHEAD_SLACK_BYTES || offset + READAHEAD_BACK_BYTES < next) {
		readahead->next = end;
		readahead->run = 0;
		return 0;
	}
	if (end > next) {
		readahead->run += end - (offset > next ? offset : next);
		readahead->next = end;
	}
	return readahead->run < max ? readahead->run : max;
}
