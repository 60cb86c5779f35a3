/* failures.h: the latest failures, for `.ibinderfs/errors` and the log.
 *
 * An errno says little; here stands what happened, to what, what the server said, and what to do.
 * A ring of FAILURES_KEPT; the same failure coming again is counted, not repeated, so that neither
 * ring nor log can be flooded. */
#ifndef IBINDERFS_FAILURES_H
#define IBINDERFS_FAILURES_H

#include "buf.h"

#include <stdint.h>

#define FAILURES_KEPT 64

struct failure {
	int64_t first_wall_ns;
	int64_t last_wall_ns;
	unsigned long count;
	int error;	   /* -errno */
	long status;	   /* HTTP status, 0 when there was no answer */
	char path[256];	   /* below the mount point, or "token" */
	char what[512];	   /* what happened; no secrets */
	char title[160];   /* the server's words */
	char trace_id[80]; /* the server's id of it, for its support */
};

struct failures {
	struct failure ring[FAILURES_KEPT];
	unsigned long total; /* different ones noted so far; the next goes to [total % KEPT] */
};

/* Notes a failure (its times and count are set here) and logs it as a warning if it is not the same
 * as the latest of its path. */
void failures_note(struct failures *failures, const struct failure *failure);

/* What a user can do about it; static text, possibly "". */
const char *failures_advice(int error, long status);

/* Appends the text of `.ibinderfs/errors`, the latest last. */
int failures_print(const struct failures *failures, struct buf *out);

/* "ETIMEDOUT" for -ETIMEDOUT. */
const char *failures_errno_name(int error);

/* "2026-01-31T12:00:00Z" */
void failures_print_time(struct buf *out, int64_t wall_ns);

#endif
