/* breaker.h: when to stop asking a server that does not answer.
 *
 *   closed   requests go out. Opens once they have failed for `timeout` without one success, and at
 *            least BREAKER_FAILURES times: whoever asked first has waited as long as anybody should
 *   open     nothing goes out but a probe, less and less often. Any answer closes it
 *
 * Only decides; owns no timer and does no I/O. Cannot fail. */
#ifndef IBINDERFS_BREAKER_H
#define IBINDERFS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES     2
#define BREAKER_PROBE_MIN_MS 1000
#define BREAKER_PROBE_MAX_MS 60000

struct breaker {
	int64_t timeout_ms;	  /* set once by the owner */
	int64_t succeeded_ms;	  /* when the server last answered; 0: never */
	int64_t failing_since_ms; /* start of the first failed try, not before then; 0: none */
	int64_t probe_wait_ms;
	unsigned int failures; /* since the last success */
	bool open;
	int error; /* while open: the -errno of what opened it */
};

/* A try that began at `since_ms` failed. Returns whether that opened the breaker. */
bool breaker_failure(struct breaker *breaker, int64_t since_ms, int64_t now_ms, int error);
/* The server answered. Returns whether that closed the breaker. */
bool breaker_success(struct breaker *breaker, int64_t now_ms);
/* How long to wait before the next probe; doubles each time. */
int64_t breaker_next_probe_ms(struct breaker *breaker);

#endif
