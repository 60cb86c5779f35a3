/* fetch_internal.h: what fetch.c (one fetch: its calls and their answers) and fetcher.c (all of
 * them: budget, pause, breaker, token) share. Nothing else includes it. */
#ifndef IBINDERFS_FETCH_INTERNAL_H
#define IBINDERFS_FETCH_INTERNAL_H

#include "breaker.h"
#include "fetch.h"
#include "pace.h"

#include <sys/queue.h>

/* One request of a fetch over all its tries; see the table in fetch.c. */
struct call {
	TAILQ_ENTRY(call) link;
	struct fetch *fetch;
	struct http_request request;
	char *path; /* of its URL, below the address; owned */
	uint64_t tag;
	struct http_transfer *transfer; /* while SENT */
	uint64_t token_serial;
	int64_t first_ms; /* of the first try */
	int64_t sent_ms;  /* of the latest */
	int64_t due_ms;	  /* while DUE */
	unsigned int tries;
	unsigned int limited;
	bool healed[PROVIDER_REFUSAL_ADDRESS + 1]; /* tried again after a refusal of that kind */
	struct failure last; /* of the try that is being repeated; error 0: none */
};

struct fetch {
	TAILQ_ENTRY(fetch) link;
	struct fetcher *fetcher;
	struct provider_task *task;
	struct listing *previous;
	TAILQ_HEAD(, call) calls;
	size_t in_flight; /* of its calls */
	bool foreground;
	bool started;	/* a request was sent: what was received adds up */
	bool is_light;	/* a link: nothing adds up, so the bounds on that do not hold it up */
	bool exhausted; /* the task has no request until an answer comes */
	char *path;
	void (*done)(void *data, int error, struct provider_result *result);
	void *data;
};

struct fetcher {
	uv_timer_t timer; /* for the next DUE call or the end of the pause */
	uv_timer_t probe_timer;
	unsigned int handles_open; /* of these three, for fetcher_free */
	uv_idle_t idle;		   /* runs the pump from the loop, never from inside a caller */
	struct http *http;
	const struct provider_ops *ops;
	struct provider *provider;
	struct failures *failures;
	struct token *token;
	size_t connections;
	size_t window; /* most calls under way now: connections, less when that was too many */
	size_t window_answers; /* since it changed */
	int64_t window_cut_ms;
	size_t memory; /* bytes, as configured */
	int64_t timeout_ms;
	TAILQ_HEAD(fetch_list, fetch) foreground;
	struct fetch_list background;
	size_t started; /* how many of both are */
	int64_t pause_until_ms;
	struct breaker breaker;
	struct pace pace;
	struct http_transfer *probe;
	int64_t probe_sent_ms;
	struct fetch_counters counters;
	void (*grown)(void *data); /* or NULL; see fetcher_watch */
	void *grown_data;
};

/* fetch.c */
/* Ends the fetch: notes why, calls its owner back, frees it. `response` may be NULL. */
void fetch_fail(struct fetch *fetch, int error, const struct http_response *response,
		const char *what);
/* Takes the task's next request, if it has one now, into a call that may be sent at once. Returns
 * 0, or -errno if the fetch cannot go on. */
int fetch_pull(struct fetch *fetch);
/* A call that may be sent now, or NULL. */
struct call *fetch_ready_call(const struct fetch *fetch, int64_t now_ms);
/* The answer to a call (`data`). */
void fetch_answered(void *data, struct http_response *response);

/* fetcher.c */
/* Looks, in the loop's next turn, what can be sent now. */
void fetcher_wake(struct fetcher *fetcher);
/* A call sent then was too much for the server: fewer are under way from now on. */
void fetcher_narrow(struct fetcher *fetcher, int64_t sent_ms);
/* And to that: more again, little by little. */
void fetcher_widen(struct fetcher *fetcher);
/* Goes by a 429 to a request sent then, whose call met so many before. Returns how long that call
 * waits, in ms; nothing else is sent in that time either. */
int64_t fetcher_limited(struct fetcher *fetcher, const struct http_response *response,
			int64_t sent_ms, unsigned int before);
/* Goes by what the answer to a request sent then says of the allowance. */
void fetcher_heed(struct fetcher *fetcher, const struct http_response *response, int64_t sent_ms);
/* A try that began then failed on the network or with 5xx. */
void fetcher_note_failure(struct fetcher *fetcher, int64_t since_ms, int error);
void fetcher_note_success(struct fetcher *fetcher);

#endif
