/*
 * sim: what the parts of the simulator share: the vendor and what it holds, settings, tokens,
 * faults, counters, and the one lock over them.
 *
 * Every connection has its own thread, so a request that waits (latency, a hang, a slow body)
 * blocks nobody. The lock is held only while an answer is worked out, never while waiting or
 * sending.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "fault.h"
#include "setting.h"
#include "stats.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_TEXT_MAX	256 /* a client id, secret or tenant */
#define SIM_URL_MAX	512
#define SIM_WAIT_MAX_MS (3600u * 1000u)
#define SIM_MAX_COUNT	1000000u /* objects of a kind, or of a page */
#define SIM_MAX_SECONDS (10u * 365u * 86400u)
#define SIM_MAX_RATE	1000000000000u

struct token;
struct vendor;

struct sim_settings {
	uint64_t latency_ms;
	uint64_t jitter_ms;
	uint64_t storage_latency_ms; /* where a route is storage, not the API */
	uint64_t token_life_s;
};

extern const struct setting sim_setting_list[];

struct sim {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* signalled when waiting must end early; CLOCK_MONOTONIC */
	bool stopping;
	uint64_t fault_epoch; /* counts how often faults were cleared, which releases hung requests
			       */

	const struct vendor *vendor;
	void *state; /* the vendor's */
	struct sim_settings settings;
	struct stats stats;
	struct fault *faults; /* owned list, oldest first */
	struct token *tokens; /* owned array, see token.h */
	size_t n_tokens;
	uint64_t seed;	 /* what is served follows from it */
	bool demo;	 /* a small fixed example is served instead */
	uint64_t chance; /* of this run: jitter and trace ids */
	uint64_t trace;	 /* numbers the trace ids of problems */
	uint16_t port;
	FILE *log; /* owned; NULL without --log */
};

/* Returns 0 or -errno. */
int sim_init(struct sim *sim, const struct vendor *vendor);
void sim_fini(struct sim *sim);
/* Ends all waiting, for shutting down. */
void sim_stop(struct sim *sim);
/*
 * Sleeps, without the lock. Returns false if it ended early because the simulator stops or, when an
 * epoch is given (not UINT64_MAX), because faults were cleared since then.
 */
bool sim_wait(struct sim *sim, uint64_t ms, uint64_t epoch);
uint64_t sim_now_ms(void);	/* monotonic */
uint64_t sim_now_ms_wall(void); /* since 1970 */

#endif
