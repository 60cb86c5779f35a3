/* fetch.h: getting one resource from the API: all its requests, in parallel, with retries.
 *
 * The fetcher holds the request budget (`connections`), the pause that a 429 imposes, and the
 * breaker. Foreground fetches (somebody waits) go before background ones; among equals each gets
 * one request in turn. Failed requests that are safe to repeat (all of them only read) are repeated
 * with back-off until `timeout` after their first try.
 *
 * Breaker: once requests have failed for `timeout` without one success between, everything under
 * way fails at once and new fetches are refused; a probe, less and less often, finds out when the
 * server is back. */
#ifndef IBINDERFS_FETCH_H
#define IBINDERFS_FETCH_H

#include "config.h"
#include "failures.h"
#include "provider.h"
#include "token.h"

#include <stdbool.h>
#include <stdint.h>

struct fetcher;
struct fetch;

struct fetch_counters {
	uint64_t requests; /* API requests sent, retries included */
	uint64_t retries;
	uint64_t bytes; /* of bodies received */
	uint64_t http2; /* answers that came over HTTP/2 */
	uint64_t answers_ok;
	uint64_t answers_refused; /* 4xx but 429 */
	uint64_t answers_limited; /* 429 */
	uint64_t answers_broken;  /* 5xx */
	uint64_t network_errors;
	uint64_t fetches;
	uint64_t fetches_failed;
	uint64_t in_flight; /* now */
	uint64_t in_flight_max;
};

/* What is passed in must outlive the fetcher. Returns 0 or -errno. */
int fetcher_new(uv_loop_t *loop, struct http *http, const struct config *config,
		const struct provider_ops *ops, struct provider *provider,
		struct failures *failures, struct fetcher **ret_fetcher);
/* Cancels everything without calling anybody back. */
void fetcher_free(struct fetcher *fetcher);

/* Has `grown` called from the loop each time that a fetch has taken in an answer, and holds more.
 */
void fetcher_watch(struct fetcher *fetcher, void (*grown)(void *data), void *data);
/* Forgets what was learnt about the server: a pause it asked for, calls it does not have. */
void fetcher_forget(struct fetcher *fetcher);
/* Takes the secret (moved) into use and asks for a token with it, whatever failed before. */
void fetcher_renew(struct fetcher *fetcher, struct secret *secret);

/* Starts a fetch. `path` names it to users, below the mount point. `previous` (or NULL) is kept by
 * reference until the end. `done` is called exactly once, from the loop or from inside another
 * fetch_* call but never from inside this one, unless fetch_cancel comes first; it gets a result
 * (NULL with an error) that it reads or moves from until it returns, and whose listing is its to
 * unref. Returns 0, -ENOMEM, or -EAGAIN when too many wait in the background. */
int fetch_start(struct fetcher *fetcher, const struct provider_resource *resource, const char *path,
		struct listing *previous, bool foreground,
		void (*done)(void *data, int error, struct provider_result *result), void *data,
		struct fetch **ret_fetch);
/* Somebody waits now. */
void fetch_promote(struct fetch *fetch);
void fetch_cancel(struct fetch *fetch);

/* -errno with which a new foreground fetch would be bound to fail now: breaker open, client
 * refused, pause longer than the timeout; 0 if it may try. */
int fetcher_refusal(const struct fetcher *fetcher);
/* Somebody waited for this fetch since then until the deadline. Returns the -errno to show; may
 * open the breaker, and then fail the fetch from the loop. */
int fetch_missed_deadline(struct fetch *fetch, int64_t since_ms);

struct token *fetcher_token(struct fetcher *fetcher);
const struct fetch_counters *fetcher_counters(const struct fetcher *fetcher);
/* Since when all requests have failed, in loop_now_ms; 0 when the last one succeeded. */
int64_t fetcher_failing_since(const struct fetcher *fetcher);
bool fetcher_breaker_open(const struct fetcher *fetcher);
/* Milliseconds left of the pause that a 429 imposed. */
int64_t fetcher_pause_ms(const struct fetcher *fetcher);

#endif
