/* fetch.c: getting one resource from the API.
 *
 * A call is one request of a fetch over all its tries:
 *
 *   state      leaves on                                       to
 *   (task)     pump has room and a token                       SENT
 *   SENT       200, or a status the task does without          gone, the task has the answer
 *              401 for the first time                          DUE at once, with a new token
 *              429                                             DUE after the pause, for everybody
 *              5xx, network, while it may go on                DUE after a back-off
 *              anything else                                   gone, and the fetch fails
 *   DUE        pump, once its time has come                    SENT
 *
 * A fetch that is not over always has a call that is not sent yet, or `exhausted` set. It ends when
 * its task has no request left and no call exists. */
#include "fetch.h"

#include "breaker.h"
#include "log.h"
#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 5000
#define PAUSE_MIN_MS   1000
/* A server that goes on answering 429 is given up on for this fetch. */
#define LIMITED_TRIES 5

struct call {
	TAILQ_ENTRY(call) link;
	struct fetch *fetch;
	struct http_request request;
	uint64_t tag;
	struct http_transfer *transfer; /* while SENT */
	uint64_t token_serial;
	int64_t first_ms; /* of the first try */
	int64_t sent_ms;  /* of the latest */
	int64_t due_ms;	  /* while DUE */
	unsigned int tries;
	unsigned int limited;
	bool reauthorised;
};

struct fetch {
	TAILQ_ENTRY(fetch) link;
	struct fetcher *fetcher;
	struct provider_task *task;
	struct listing *previous;
	TAILQ_HEAD(, call) calls;
	bool foreground;
	bool exhausted; /* the task has no request until an answer comes */
	int last_error; /* of a try that is being repeated */
	char *path;
	void (*done)(void *data, int error, struct listing *listing);
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
	int64_t timeout_ms;
	TAILQ_HEAD(fetch_list, fetch) foreground;
	struct fetch_list background;
	int64_t pause_until_ms;
	struct breaker breaker;
	struct http_transfer *probe;
	struct fetch_counters counters;
};

static void wake_pump(struct fetcher *fetcher);

static void call_free(struct call *call)
{
	if (call->transfer) {
		http_cancel(call->transfer);
		call->fetch->fetcher->counters.in_flight--;
	}
	TAILQ_REMOVE(&call->fetch->calls, call, link);
	http_request_fini(&call->request);
	free(call);
}

static struct fetch_list *list_of(struct fetch *fetch)
{
	return fetch->foreground ? &fetch->fetcher->foreground : &fetch->fetcher->background;
}

void fetch_cancel(struct fetch *fetch)
{
	struct call *call;

	while ((call = TAILQ_FIRST(&fetch->calls)))
		call_free(call);
	TAILQ_REMOVE(list_of(fetch), fetch, link);
	fetch->fetcher->ops->task_free(fetch->task);
	listing_unref(fetch->previous);
	free(fetch->path);
	free(fetch);
}

static void fetch_end(struct fetch *fetch, int error, struct listing *listing)
{
	void (*done)(void *data, int error, struct listing *listing) = fetch->done;
	struct fetcher *fetcher = fetch->fetcher;
	void *data = fetch->data;

	if (error)
		fetcher->counters.fetches_failed++;
	fetch_cancel(fetch);
	done(data, error, listing);
	wake_pump(fetcher);
}

static void fetch_fail(struct fetch *fetch, int error, const struct http_response *response,
		       const char *what)
{
	struct failure failure = {.error = error};

	snprintf(failure.path, sizeof(failure.path), "%s", fetch->path);
	snprintf(failure.what, sizeof(failure.what), "%s", what);
	if (response && !response->error) {
		struct provider_problem problem;

		failure.status = response->status;
		fetch->fetcher->ops->explain(response, &problem);
		memcpy(failure.title, problem.title, sizeof(failure.title));
		memcpy(failure.trace_id, problem.trace_id, sizeof(failure.trace_id));
	}
	failures_note(fetch->fetcher->failures, &failure);
	fetch_end(fetch, error, NULL);
}

/* Takes the task's next request, if it has one now, into a call that may be sent at once. Returns
 * 0, or -errno if the fetch cannot go on. */
static int fetch_pull(struct fetch *fetch)
{
	struct call *call = calloc(1, sizeof(*call));
	int error;

	if (!call)
		return -ENOMEM;
	error = fetch->fetcher->ops->task_next(fetch->task, &call->request, &call->tag);
	fetch->exhausted = error == -EAGAIN;
	if (error) {
		free(call);
		return fetch->exhausted ? 0 : error;
	}
	call->fetch = fetch;
	TAILQ_INSERT_TAIL(&fetch->calls, call, link);
	return 0;
}

static bool has_unsent(const struct fetch *fetch)
{
	struct call *call;

	TAILQ_FOREACH(call, &fetch->calls, link)
	{
		if (!call->transfer)
			return true;
	}
	return false;
}

/* After an answer: on with the task, or to its end; then the fetch is gone. */
static void fetch_advance(struct fetch *fetch)
{
	struct listing *listing;
	int error = has_unsent(fetch) ? 0 : fetch_pull(fetch);

	if (error) {
		fetch_fail(fetch, error, NULL, "the request could not be made");
		return;
	}
	if (!fetch->exhausted || !TAILQ_EMPTY(&fetch->calls))
		return;
	error = fetch->fetcher->ops->task_finish(fetch->task, fetch->previous, loop_wall_ns(),
						 &listing);
	if (error)
		fetch_fail(fetch, error, NULL, "the listing could not be built");
	else
		fetch_end(fetch, 0, listing);
}

/* --- Breaker --- */

static void fail_all(struct fetcher *fetcher, int error, const char *what)
{
	struct fetch_list *lists[] = {&fetcher->foreground, &fetcher->background};
	struct fetch *fetch;
	size_t i;

	/* An ended fetch may start another, which is refused: this comes to an end. */
	for (i = 0; i < 2; i++) {
		while ((fetch = TAILQ_FIRST(lists[i])))
			fetch_fail(fetch, error, NULL, what);
	}
}

static void on_probe_timer(uv_timer_t *timer);

static void probe_later(struct fetcher *fetcher)
{
	loop_timer_start(&fetcher->probe_timer, on_probe_timer,
			 loop_jitter_ms(breaker_next_probe_ms(&fetcher->breaker)));
}

static void note_failure(struct fetcher *fetcher, int64_t since_ms, int error)
{
	if (!breaker_failure(&fetcher->breaker, since_ms, loop_now_ms(), error))
		return;
	log_warning("the server has not answered for %lld ms: serving what is cached until it does",
		    (long long)(loop_now_ms() - fetcher->breaker.failing_since_ms));
	probe_later(fetcher);
	wake_pump(fetcher); /* which fails what waits */
}

static void note_success(struct fetcher *fetcher)
{
	if (!breaker_success(&fetcher->breaker, loop_now_ms()))
		return;
	uv_timer_stop(&fetcher->probe_timer);
	log_info("the server answers again");
}

static void on_probe_answer(void *data, struct http_response *response)
{
	struct fetcher *fetcher = data;

	fetcher->probe = NULL;
	if (response->error || response->status >= 500)
		probe_later(fetcher);
	else
		note_success(fetcher); /* whatever it says, it is there */
}

/* Sends the first request of the top resource; only whether an answer comes matters. */
static void on_probe_timer(uv_timer_t *timer)
{
	struct fetcher *fetcher = timer->data;
	struct provider_resource top = {.level = PROVIDER_TOP};
	struct provider_task *task = NULL;
	struct http_request request = {0};
	uint64_t serial;
	uint64_t tag;
	const struct secret *bearer = token_get(fetcher->token, &serial);

	if (!bearer) {
		token_retry(fetcher->token); /* a token granted closes the breaker as well */
		probe_later(fetcher);
		return;
	}
	request.fresh_connection = true;
	if (fetcher->ops->task_new(fetcher->provider, &top, &task) ||
	    fetcher->ops->task_next(task, &request, &tag) ||
	    http_send(fetcher->http, &request, bearer, on_probe_answer, fetcher, &fetcher->probe))
		probe_later(fetcher);
	else
		fetcher->counters.requests++;
	http_request_fini(&request);
	fetcher->ops->task_free(task);
}

/* --- Answers --- */

static void call_again(struct call *call, int64_t wait_ms)
{
	call->due_ms = loop_now_ms() + wait_ms;
	wake_pump(call->fetch->fetcher);
}

/* The server or the network failed: try again if there is time left for it. */
static void call_failed(struct call *call, int error, const struct http_response *response)
{
	struct fetch *fetch = call->fetch;
	struct fetcher *fetcher = fetch->fetcher;
	int64_t wait_ms = BACKOFF_MIN_MS << (call->tries < 5 ? call->tries - 1 : 4);
	char what[128];

	if (wait_ms > BACKOFF_MAX_MS)
		wait_ms = BACKOFF_MAX_MS;
	wait_ms = loop_jitter_ms(wait_ms);
	if (response->retry_after_ms > wait_ms)
		wait_ms = response->retry_after_ms;
	fetch->last_error = error;
	note_failure(fetcher, call->sent_ms, error);
	if (loop_now_ms() + wait_ms < call->first_ms + fetcher->timeout_ms) {
		call->request.fresh_connection = response->error != 0;
		fetcher->counters.retries++;
		call_again(call, wait_ms);
		return;
	}
	snprintf(what, sizeof(what), "the server fails (tried %u times)", call->tries);
	fetch_fail(fetch, error, response, response->error ? response->text : what);
}

/* 429: everything to this server pauses, not only this call. */
static void call_limited(struct call *call, const struct http_response *response)
{
	struct fetcher *fetcher = call->fetch->fetcher;
	int64_t wait_ms = response->retry_after_ms;
	int64_t until_ms;

	fetcher->counters.answers_limited++;
	call->fetch->last_error = -EBUSY;
	if (++call->limited >= LIMITED_TRIES) {
		fetch_fail(call->fetch, -EBUSY, response, "too many requests");
		return;
	}
	if (wait_ms < 0)
		wait_ms = loop_jitter_ms(PAUSE_MIN_MS << (call->limited - 1));
	until_ms = loop_now_ms() + wait_ms;
	if (until_ms > fetcher->pause_until_ms)
		fetcher->pause_until_ms = until_ms;
	call->first_ms = until_ms; /* the pause is not the server's failure */
	call_again(call, wait_ms);
}

static void call_unauthorised(struct call *call, const struct http_response *response)
{
	if (!call->reauthorised && token_reject(call->fetch->fetcher->token, call->token_serial)) {
		call->reauthorised = true;
		call_again(call, 0);
		return;
	}
	fetch_fail(call->fetch, -EACCES, response, "the server does not accept the token");
}

static void call_answered(struct call *call, const struct http_response *response)
{
	struct fetch *fetch = call->fetch;
	int error;

	error = fetch->fetcher->ops->task_answer(fetch->task, call->tag, response);
	call_free(call);
	if (error == -EFBIG)
		fetch_fail(fetch, error, response, "it is larger than memory= allows");
	else if (error)
		fetch_fail(fetch, error, response, "the answer is not as documented");
	else
		fetch_advance(fetch);
}

static void call_refused(struct call *call, const struct http_response *response)
{
	struct fetch *fetch = call->fetch;
	int error = response->status == 403   ? -EACCES
		    : response->status == 404 ? -ENOENT
					      : -EBADMSG;

	fetch->fetcher->counters.answers_refused++;
	if (fetch->fetcher->ops->task_tolerates(fetch->task, call->tag, response->status)) {
		call_free(call);
		fetch_advance(fetch);
		return;
	}
	fetch_fail(fetch, error, response,
		   error == -EACCES   ? "the server forbids it"
		   : error == -ENOENT ? "the server does not know it"
				      : "the server answers with an unexpected status");
}

static void on_answer(void *data, struct http_response *response)
{
	struct call *call = data;
	struct fetcher *fetcher = call->fetch->fetcher;

	call->transfer = NULL;
	fetcher->counters.in_flight--;
	fetcher->counters.bytes += response->body.len;
	fetcher->counters.http2 += response->http2;
	if (response->error == -ETIMEDOUT || response->error == -EHOSTUNREACH) {
		fetcher->counters.network_errors++;
		call_failed(call, response->error, response);
	} else if (response->error) {
		fetch_fail(call->fetch, response->error, response, response->text);
	} else if (response->status >= 500) {
		fetcher->counters.answers_broken++;
		call_failed(call, -EIO, response);
	} else {
		note_success(fetcher);
		if (response->status == 200) {
			fetcher->counters.answers_ok++;
			call_answered(call, response);
		} else if (response->status == 429) {
			call_limited(call, response);
		} else if (response->status == 401) {
			fetcher->counters.answers_refused++;
			call_unauthorised(call, response);
		} else {
			call_refused(call, response);
		}
	}
	wake_pump(fetcher);
}

/* --- Pump: what to send next --- */

static struct call *ready_call(struct fetch *fetch, int64_t now_ms)
{
	struct call *call;

	TAILQ_FOREACH(call, &fetch->calls, link)
	{
		if (!call->transfer && call->due_ms <= now_ms)
			return call;
	}
	return NULL;
}

static int call_send(struct call *call, const struct secret *bearer, uint64_t serial,
		     int64_t now_ms)
{
	struct fetcher *fetcher = call->fetch->fetcher;
	int error =
		http_send(fetcher->http, &call->request, bearer, on_answer, call, &call->transfer);

	if (error)
		return error;
	call->token_serial = serial;
	call->sent_ms = now_ms;
	if (call->tries++ == 0)
		call->first_ms = now_ms;
	fetcher->counters.requests++;
	fetcher->counters.in_flight++;
	if (fetcher->counters.in_flight > fetcher->counters.in_flight_max)
		fetcher->counters.in_flight_max = fetcher->counters.in_flight;
	return 0;
}

/* Sends one request of the first fetch in the list that has one ready, and moves that fetch to the
 * end. Returns whether there was one. */
static bool pump_list(struct fetch_list *list, const struct secret *bearer, uint64_t serial,
		      int64_t now_ms)
{
	struct call *call = NULL;
	struct fetch *fetch;
	int error;

	TAILQ_FOREACH(fetch, list, link)
	{
		call = ready_call(fetch, now_ms);
		if (call)
			break;
	}
	if (!call)
		return false;
	TAILQ_REMOVE(list, fetch, link);
	TAILQ_INSERT_TAIL(list, fetch, link);
	error = call_send(call, bearer, serial, now_ms);
	if (!error && !has_unsent(fetch) && !fetch->exhausted)
		error = fetch_pull(fetch);
	if (error)
		fetch_fail(fetch, error, NULL, "the request could not be made");
	return true;
}

static void on_timer(uv_timer_t *timer)
{
	wake_pump(timer->data);
}

/* Comes back when the pause ends or the next call to repeat is due. */
static void set_timer(struct fetcher *fetcher, int64_t now_ms)
{
	struct fetch_list *lists[] = {&fetcher->foreground, &fetcher->background};
	int64_t due_ms = INT64_MAX;
	struct fetch *fetch;
	struct call *call;
	size_t i;

	for (i = 0; i < 2; i++) {
		TAILQ_FOREACH(fetch, lists[i], link)
		{
			TAILQ_FOREACH(call, &fetch->calls, link)
			{
				if (!call->transfer && call->due_ms < due_ms)
					due_ms = call->due_ms;
			}
		}
	}
	if (fetcher->pause_until_ms > now_ms &&
	    (due_ms < fetcher->pause_until_ms || !TAILQ_EMPTY(&fetcher->foreground) ||
	     !TAILQ_EMPTY(&fetcher->background)))
		due_ms = fetcher->pause_until_ms;
	/* What is due already waits for an answer or a token, which wake the pump themselves. */
	if (due_ms == INT64_MAX || due_ms <= now_ms)
		uv_timer_stop(&fetcher->timer);
	else
		loop_timer_start(&fetcher->timer, on_timer, due_ms - now_ms);
}

static void pump(uv_idle_t *idle)
{
	struct fetcher *fetcher = idle->data;
	const struct secret *bearer;
	int64_t now_ms = loop_now_ms();
	uint64_t serial;

	uv_idle_stop(idle);
	if (fetcher->breaker.open) {
		fail_all(fetcher, fetcher->breaker.error, "the server does not answer");
		return;
	}
	if (TAILQ_EMPTY(&fetcher->foreground) && TAILQ_EMPTY(&fetcher->background))
		return;
	bearer = token_get(fetcher->token, &serial);
	if (!bearer && token_error(fetcher->token) == -EACCES) {
		fail_all(fetcher, -EACCES, "there is no token: the server refuses this client");
		return;
	}
	while (bearer && now_ms >= fetcher->pause_until_ms &&
	       fetcher->counters.in_flight < fetcher->connections) {
		if (!pump_list(&fetcher->foreground, bearer, serial, now_ms) &&
		    !pump_list(&fetcher->background, bearer, serial, now_ms))
			break;
		bearer = token_get(fetcher->token, &serial);
	}
	set_timer(fetcher, now_ms);
}

static void wake_pump(struct fetcher *fetcher)
{
	uv_idle_start(&fetcher->idle, pump);
}

static void on_token_changed(void *data)
{
	struct fetcher *fetcher = data;
	enum token_state state = token_state(fetcher->token);
	int error = token_error(fetcher->token);

	if (state == TOKEN_HELD || state == TOKEN_REFUSED)
		note_success(fetcher);
	else if (state == TOKEN_BACKING_OFF && error != -EBUSY &&
		 token_life_ms(fetcher->token) == 0)
		note_failure(fetcher, loop_now_ms(), error);
	wake_pump(fetcher);
}

/* --- Interface --- */

int fetcher_new(uv_loop_t *loop, struct http *http, const struct config *config,
		const struct provider_ops *ops, struct provider *provider,
		struct failures *failures, struct fetcher **ret_fetcher)
{
	struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	int error;

	if (!fetcher)
		return -ENOMEM;
	error = token_new(loop, http, ops, provider, failures, on_token_changed, fetcher,
			  &fetcher->token);
	if (error) {
		free(fetcher);
		return error;
	}
	uv_timer_init(loop, &fetcher->timer);
	uv_timer_init(loop, &fetcher->probe_timer);
	uv_idle_init(loop, &fetcher->idle);
	fetcher->timer.data = fetcher;
	fetcher->probe_timer.data = fetcher;
	fetcher->idle.data = fetcher;
	TAILQ_INIT(&fetcher->foreground);
	TAILQ_INIT(&fetcher->background);
	fetcher->http = http;
	fetcher->ops = ops;
	fetcher->provider = provider;
	fetcher->failures = failures;
	fetcher->connections = config->connections;
	fetcher->timeout_ms = config->timeout_ms;
	fetcher->breaker.timeout_ms = config->timeout_ms;
	fetcher->handles_open = 3;
	*ret_fetcher = fetcher;
	return 0;
}

static void handle_closed(uv_handle_t *handle)
{
	struct fetcher *fetcher = handle->data;

	if (--fetcher->handles_open == 0)
		free(fetcher);
}

void fetcher_free(struct fetcher *fetcher)
{
	struct fetch *fetch;

	if (!fetcher)
		return;
	while ((fetch = TAILQ_FIRST(&fetcher->foreground)))
		fetch_cancel(fetch);
	while ((fetch = TAILQ_FIRST(&fetcher->background)))
		fetch_cancel(fetch);
	if (fetcher->probe)
		http_cancel(fetcher->probe);
	token_free(fetcher->token);
	uv_close((uv_handle_t *)&fetcher->idle, handle_closed);
	uv_close((uv_handle_t *)&fetcher->timer, handle_closed);
	uv_close((uv_handle_t *)&fetcher->probe_timer, handle_closed);
}

void fetcher_renew(struct fetcher *fetcher, struct secret *secret)
{
	fetcher->pause_until_ms = 0;
	fetcher->ops->forget(fetcher->provider);
	token_renew(fetcher->token, secret);
}

int fetch_start(struct fetcher *fetcher, const struct provider_resource *resource, const char *path,
		struct listing *previous, bool foreground,
		void (*done)(void *data, int error, struct listing *listing), void *data,
		struct fetch **ret_fetch)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));
	int error;

	if (!fetch)
		return -ENOMEM;
	TAILQ_INIT(&fetch->calls);
	fetch->fetcher = fetcher;
	fetch->path = strdup(path);
	error = fetch->path ? fetcher->ops->task_new(fetcher->provider, resource, &fetch->task)
			    : -ENOMEM;
	if (!error)
		error = fetch_pull(fetch);
	if (error) {
		fetcher->ops->task_free(fetch->task);
		free(fetch->path);
		free(fetch);
		return error;
	}
	fetch->previous = previous ? listing_ref(previous) : NULL;
	fetch->foreground = foreground;
	fetch->done = done;
	fetch->data = data;
	TAILQ_INSERT_TAIL(list_of(fetch), fetch, link);
	fetcher->counters.fetches++;
	wake_pump(fetcher);
	*ret_fetch = fetch;
	return 0;
}

void fetch_promote(struct fetch *fetch)
{
	if (fetch->foreground)
		return;
	TAILQ_REMOVE(list_of(fetch), fetch, link);
	fetch->foreground = true;
	TAILQ_INSERT_TAIL(list_of(fetch), fetch, link);
	wake_pump(fetch->fetcher);
}

int fetcher_refusal(const struct fetcher *fetcher)
{
	if (fetcher->breaker.open)
		return fetcher->breaker.error;
	if (token_error(fetcher->token) == -EACCES && token_life_ms(fetcher->token) == 0)
		return -EACCES;
	return fetcher_pause_ms(fetcher) > fetcher->timeout_ms ? -EBUSY : 0;
}

int fetch_missed_deadline(struct fetch *fetch, int64_t since_ms)
{
	struct failure failure = {.status = 0};
	struct fetcher *fetcher = fetch->fetcher;
	int error = fetch->last_error;

	if (!error)
		error = token_error(fetcher->token);
	if (fetcher_pause_ms(fetcher) > 0)
		error = -EBUSY;
	if (!error)
		error = -ETIMEDOUT;
	/* No answer at all in that time; with some, the resource is merely large. */
	if (error != -EBUSY && fetcher->breaker.succeeded_ms < since_ms)
		note_failure(fetcher, since_ms, error);
	snprintf(failure.path, sizeof(failure.path), "%s", fetch->path);
	snprintf(failure.what, sizeof(failure.what),
		 "not here within timeout=; it is still being fetched");
	failure.error = error;
	failures_note(fetcher->failures, &failure);
	return error;
}

struct token *fetcher_token(struct fetcher *fetcher)
{
	return fetcher->token;
}

const struct fetch_counters *fetcher_counters(const struct fetcher *fetcher)
{
	return &fetcher->counters;
}

int64_t fetcher_failing_since(const struct fetcher *fetcher)
{
	return fetcher->breaker.failing_since_ms;
}

bool fetcher_breaker_open(const struct fetcher *fetcher)
{
	return fetcher->breaker.open;
}

int64_t fetcher_pause_ms(const struct fetcher *fetcher)
{
	int64_t left_ms = fetcher->pause_until_ms - loop_now_ms();

	return left_ms > 0 ? left_ms : 0;
}
