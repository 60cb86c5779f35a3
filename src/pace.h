/* pace.h: how quickly requests may go out, by what the server says of its allowance, so that it
 * need not refuse any.
 *
 * What such headers mean is documented by few vendors. So they are believed only while what they
 * say is left goes down as requests are made, and their worst effect is that requests wait.
 *
 * Only decides; owns no timer and does no I/O. Cannot fail. */
#ifndef IBINDERFS_PACE_H
#define IBINDERFS_PACE_H

#include "provider.h"

#include <stdbool.h>
#include <stdint.h>

/* Longest wait between two requests of an allowance that runs short. */
#define PACE_GAP_MAX_MS 1000

struct pace {
	int trust;	  /* above 0: what is told is believed */
	uint64_t left;	  /* requests, as last told */
	int64_t reset_ms; /* when there will be a new allowance; 0: nothing was told */
	int64_t gap_ms;	  /* between two requests */
	int64_t next_ms;  /* before that none goes out */
	int64_t asked_ms; /* when the latest request was sent whose answer told of it */
};

/* An answer (429: `is_limited`) to a request sent then told of the allowance. Returns for how long
 * nothing should be sent, in ms. */
int64_t pace_told(struct pace *pace, const struct provider_allowance *allowance, bool is_limited,
		  int64_t sent_ms, int64_t now_ms);
/* Whether a request may go out now, with so many under way. */
bool pace_allows(const struct pace *pace, uint64_t in_flight, int64_t now_ms);
void pace_sent(struct pace *pace, int64_t now_ms);

#endif
