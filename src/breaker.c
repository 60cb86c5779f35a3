/* breaker.c: when to stop asking a server that does not answer. */
#include "breaker.h"

bool breaker_failure(struct breaker *breaker, int64_t since_ms, int64_t now_ms, int error)
{
	/* An answer between: others may hang, but the server was there. */
	if (since_ms < breaker->succeeded_ms)
		since_ms = breaker->succeeded_ms;
	if (!breaker->failing_since_ms || since_ms < breaker->failing_since_ms)
		breaker->failing_since_ms = since_ms;
	breaker->failures++;
	if (breaker->open || breaker->failures < BREAKER_FAILURES ||
	    now_ms - breaker->failing_since_ms < breaker->timeout_ms)
		return false;
	breaker->open = true;
	breaker->error = error;
	breaker->probe_wait_ms = BREAKER_PROBE_MIN_MS;
	return true;
}

bool breaker_success(struct breaker *breaker, int64_t now_ms)
{
	bool was_open = breaker->open;

	breaker->succeeded_ms = now_ms;
	breaker->failing_since_ms = 0;
	breaker->failures = 0;
	breaker->open = false;
	return was_open;
}

int64_t breaker_next_probe_ms(struct breaker *breaker)
{
	int64_t wait_ms = breaker->probe_wait_ms;

	breaker->probe_wait_ms *= 2;
	if (breaker->probe_wait_ms > BREAKER_PROBE_MAX_MS)
		breaker->probe_wait_ms = BREAKER_PROBE_MAX_MS;
	return wait_ms;
}
