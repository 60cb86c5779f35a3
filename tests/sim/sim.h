/*
 * sim: what the parts of the simulator share: the organisation, settings, tokens, faults, counters,
 * and the one lock over them.
 *
 * Every connection has its own thread, so a request that waits (latency, a hang, a slow body)
 * blocks nobody. The lock is held only while an answer is worked out, never while waiting or
 * sending.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "fault.h"
#include "org.h"
#include "stats.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_TEXT_MAX	256 /* a client id, secret or tenant */
#define SIM_URL_MAX	512
#define SIM_WAIT_MAX_MS (3600u * 1000u)
#define SIM_MAX_PAGE	1000000u
#define SIM_MAX_SECONDS (10u * 365u * 86400u)
#define SIM_MAX_RATE	1000000000000u

struct sim_settings {
	uint64_t latency_ms;
	uint64_t jitter_ms;
	uint64_t token_life_s;
	uint64_t link_life_s;
	uint64_t max_page;
	bool items_wrapper;
	bool tab_nested;
	uint64_t storage_latency_ms;
	uint64_t storage_rate; /* bytes per second of one answer; 0: unbounded */
	bool storage_range;
	bool storage_length;
	bool storage_etag;
	bool storage_416_range;
	unsigned int subfolders; /* HTTP status of the call for sub-folders: 200, 404 or 405 */
	char client_id[SIM_TEXT_MAX];
	char client_secret[SIM_TEXT_MAX];
	char tenant[SIM_TEXT_MAX];
	char storage_base[SIM_URL_MAX];
};

struct sim {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* signalled when waiting must end early; CLOCK_MONOTONIC */
	bool stopping;
	uint64_t fault_epoch; /* counts how often faults were cleared, which releases hung requests
			       */

	struct sim_settings settings;
	struct org org;
	struct stats stats;
	struct fault *faults;	    /* owned list, oldest first */
	struct oauth_token *tokens; /* owned array, see oauth.h */
	size_t n_tokens;
	uint64_t link_key; /* signs download links */
	uint64_t trace;	   /* numbers the trace ids of problems */
	uint16_t port;
	FILE *log; /* owned; NULL without --log */
};

/* Returns 0 or -errno. */
int sim_init(struct sim *sim);
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

/* One setting by its name in JSON (latency_ms, subfolders, ...). Returns -EINVAL or -ENOENT. */
int sim_set(struct sim_settings *settings, const char *name, const char *value);

#endif
