/* readahead.c: how far ahead of a reader to fetch. Pure. */
#include "readahead.h"

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t readahead_note(struct readahead *readahead, uint64_t offset, uint64_t len, uint64_t max)
{
	uint64_t end = offset + len;
	uint64_t next = readahead->next;
	uint64_t gap = offset > next ? offset - next : 0;

	if (gap > READAHEAD_SLACK_BYTES || offset + READAHEAD_BACK_BYTES < next) {
		*readahead = (struct readahead){.next = end};
		return 0;
	}
	if (end > next) {
		readahead->read += end - next - gap;
		readahead->skipped += gap;
		readahead->next = end;
	} else { /* a late one fills what was skipped */
		len = min(len, readahead->skipped);
		readahead->read += len;
		readahead->skipped -= len;
	}
	if (readahead->skipped > readahead->read) { /* so those were jumps */
		*readahead = (struct readahead){.next = readahead->next};
		return 0;
	}
	return min(readahead->read - readahead->skipped, max);
}
