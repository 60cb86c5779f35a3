/* fetch.c: getting one resource from the API.
 *
 * A call is one request of a fetch over all its tries:
 *
 *   state      leaves on                                       to
 *   (task)     pump has room and a token                       SENT
 *   SENT       200, or a status the task does without          gone, the task has the answer
 *              a refusal of token or address, once each        DUE at once, with a new one
 *              429                                             DUE after the pause, for everybody
 *              5xx, network, while it may go on                DUE after a back-off
 *              anything else                                   gone, and the fetch fails
 *   DUE        pump, once its time has come                    SENT
 *
 * A fetch that is not over always has a call that is not sent yet, or `exhausted` set. It ends when
 * its task has no request left and no call exists. */
#include "fetch_internal.h"
#include "log.h"
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_MS	  200
#define BACKOFF_DOUBLINGS 4
/* Most refreshes that wait for their turn; the next access asks again for one that was left out. */
#define BACKGROUND_QUEUE_MAX 64
/* A server that goes on answering 429 is given up on for this fetch. */
#define LIMITED_TRIES 5

static void call_free(struct call *call)
{
	if (call->transfer) {
		http_cancel(call->transfer);
		call->fetch->in_flight--;
		call->fetch->fetcher->counters.in_flight--;
	}
	TAILQ_REMOVE(&call->fetch->calls, call, link);
	http_request_fini(&call->request);
	free(call->path);
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
	fetch->fetcher->started -= fetch->started && !fetch->is_light;
	fetch->fetcher->ops->task_free(fetch->task);
	listing_unref(fetch->previous);
	fetcher_wake(fetch->fetcher); /* there is room now */
	free(fetch->path);
	free(fetch);
}

static void fetch_end(struct fetch *fetch, int error, struct provider_result *result)
{
	void (*done)(void *data, int error, struct provider_result *result) = fetch->done;
	struct fetcher *fetcher = fetch->fetcher;
	void *data = fetch->data;

	if (error)
		fetcher->counters.fetches_failed++;
	fetch_cancel(fetch);
	done(data, error, result);
}

/* With what the server said, if it did. `response` may be NULL. */
static struct failure failure_of(const struct fetch *fetch, int error,
				 const struct http_response *response)
{
	struct failure failure = {.error = error};

	if (response)
		token_explain(fetch->fetcher->token, response, &failure);
	return failure;
}

static void note(struct fetch *fetch, struct failure *failure, const char *what)
{
	snprintf(failure->path, sizeof(failure->path), "%s", fetch->path);
	snprintf(failure->what, sizeof(failure->what), "%s", what);
	failures_note(fetch->fetcher->failures, failure);
}

void fetch_fail(struct fetch *fetch, int error, const struct http_response *response,
		const char *what)
{
	struct failure failure = failure_of(fetch, error, response);

	note(fetch, &failure, what);
	fetch_end(fetch, error, NULL);
}

int fetch_pull(struct fetch *fetch)
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
	call->path = call->request.url;
	call->request.url = NULL;
	TAILQ_INSERT_TAIL(&fetch->calls, call, link);
	return 0;
}

struct call *fetch_ready_call(const struct fetch *fetch, int64_t now_ms)
{
	struct call *call;

	TAILQ_FOREACH (call, &fetch->calls, link) {
		if (!call->transfer && call->due_ms <= now_ms)
			return call;
	}
	return NULL;
}

/* After an answer: on with the task, or to its end; then the fetch is gone. */
static void fetch_advance(struct fetch *fetch)
{
	struct provider_result result = {0};
	int error = 0;

	fetch->exhausted = false; /* the answer may have brought more to ask */
	if (!fetch_ready_call(fetch, loop_now_ms()))
		error = fetch_pull(fetch);
	if (error) {
		fetch_fail(fetch, error, NULL, "the request could not be made");
		return;
	}
	if (!fetch->exhausted || !TAILQ_EMPTY(&fetch->calls))
		return;
	error = fetch->fetcher->ops->task_finish(fetch->task, fetch->previous, loop_wall_ns(),
						 &result);
	if (error) {
		fetch_fail(fetch, error, NULL, "the answers could not be put together");
		return;
	}
	if (result.note[0]) {
		struct failure failure = {.error = -EFBIG};

		note(fetch, &failure, result.note);
	}
	fetch_end(fetch, 0, &result);
	secret_fini(&result.link);
}

/* --- Answers --- */

/* Ends the call's fetch, naming the call: a fetch makes many. */
static void call_fail(struct call *call, int error, const struct http_response *response,
		      const char *what)
{
	char text[sizeof(((struct failure *)NULL)->what)];
	char url[256];

	snprintf(text, sizeof(text), "%s %s: %s", call->request.method,
		 log_url(call->request.url, url, sizeof(url)), what);
	fetch_fail(call->fetch, error, response, text);
}

static void call_again(struct call *call, int64_t wait_ms)
{
	call->due_ms = loop_now_ms() + wait_ms;
	fetcher_wake(call->fetch->fetcher);
}

/* The server or the network failed: try again if there is time left for it. */
static void call_failed(struct call *call, int error, const struct http_response *response)
{
	struct fetch *fetch = call->fetch;
	struct fetcher *fetcher = fetch->fetcher;
	int64_t wait_ms = BACKOFF_MIN_MS << (call->tries <= BACKOFF_DOUBLINGS ? call->tries - 1
									      : BACKOFF_DOUBLINGS);
	char what[sizeof(response->text) + 32];

	wait_ms = loop_jitter_ms(wait_ms);
	if (response->retry_after_ms > wait_ms)
		wait_ms = response->retry_after_ms;
	call->last = failure_of(fetch, error, response);
	fetcher_note_failure(fetcher, call->sent_ms, error);
	/* It may have more to do than it can: RFC 9110, 15.6.4. */
	if (response->error == -ETIMEDOUT || response->status == 503)
		fetcher_narrow(fetcher, call->sent_ms);
	if (loop_now_ms() + wait_ms < call->first_ms + fetcher->timeout_ms) {
		call->request.fresh_connection = response->error != 0;
		fetcher->counters.retries++;
		call_again(call, wait_ms);
		return;
	}
	snprintf(what, sizeof(what), "%s (tried %u times)",
		 response->error ? response->text : "the server fails", call->tries);
	call_fail(call, error, response, what);
}

/* 429: everything to this server pauses, not only this call. */
static void call_limited(struct call *call, const struct http_response *response)
{
	struct fetcher *fetcher = call->fetch->fetcher;
	int64_t wait_ms;

	call->last = failure_of(call->fetch, -EBUSY, response);
	wait_ms = fetcher_limited(fetcher, response, call->sent_ms, call->limited);
	if (++call->limited >= LIMITED_TRIES) {
		call_fail(call, -EBUSY, response, "too many requests");
		return;
	}
	call->first_ms = loop_now_ms() + wait_ms; /* the pause is not the server's failure */
	call_again(call, wait_ms);
}

/* The token, or the address that came with it, may be no good: then another try with a new one. */
static bool call_healed(struct call *call, enum provider_refusal why)
{
	struct fetcher *fetcher = call->fetch->fetcher;

	if (why < PROVIDER_REFUSAL_TOKEN)
		return false;
	/* What was replaced under way is no second refusal; but that must not go on for ever. */
	if (!token_is_replaced(fetcher->token, call->token_serial) ||
	    loop_now_ms() >= call->first_ms + fetcher->timeout_ms) {
		if (call->healed[why] || !token_reject(fetcher->token, call->token_serial, why))
			return false;
		call->healed[why] = true;
	}
	call_again(call, 0);
	return true;
}

static void call_answered(struct call *call, const struct http_response *response)
{
	struct fetch *fetch = call->fetch;
	int error = fetch->fetcher->ops->task_answer(fetch->task, call->tag, response);

	if (error) {
		call_fail(call, error, response,
			  error == -EFBIG ? "it is larger than memory= allows"
					  : "the answer is not as documented");
		return;
	}
	if (fetch->fetcher->grown)
		fetch->fetcher->grown(fetch->fetcher->grown_data);
	call_free(call);
	fetch_advance(fetch);
}

static void call_refused(struct call *call, const struct http_response *response)
{
	struct fetch *fetch = call->fetch;
	int error = response->status == 401 || response->status == 403 ? -EACCES
		    : response->status == 404			       ? -ENOENT
								       : -EBADMSG;
	enum provider_refusal why = fetch->fetcher->ops->judge(response);

	fetch->fetcher->counters.answers_refused++;
	if (fetch->fetcher->ops->task_tolerates(fetch->task, call->tag, response->status)) {
		if (error == -EACCES) {
			struct failure failure = failure_of(fetch, error, response);

			note(fetch, &failure,
			     "the server forbids a part of it: what cannot be had otherwise is "
			     "missing");
		}
		call_free(call);
		fetch_advance(fetch);
		return;
	}
	if (why == PROVIDER_REFUSAL_UNREAD) {
		call_fail(call, -ENOMEM, response, "there is no memory to read the refusal");
		return;
	}
	if (call_healed(call, why))
		return;
	call_fail(call, error, response,
		  why == PROVIDER_REFUSAL_TOKEN	    ? "the server does not accept the token"
		  : why == PROVIDER_REFUSAL_ADDRESS ? "the server refuses the address that it gave"
		  : error == -EACCES		    ? "the server forbids it"
		  : error == -ENOENT		    ? "the server does not know it"
				     : "the server answers with an unexpected status");
}

void fetch_answered(void *data, struct http_response *response)
{
	struct call *call = data;
	struct fetcher *fetcher = call->fetch->fetcher;

	call->transfer = NULL;
	call->fetch->in_flight--;
	fetcher->counters.in_flight--;
	fetcher->counters.bytes += response->body.len;
	fetcher->counters.http2 += response->http2;
	fetcher_heed(fetcher, response, call->sent_ms);
	if (http_server_failed(response)) {
		if (response->error)
			fetcher->counters.network_errors++;
		else
			fetcher->counters.answers_broken++;
		call_failed(call, response->error ? response->error : -EIO, response);
	} else if (response->error) {
		call_fail(call, response->error, response, response->text);
	} else {
		fetcher_note_success(fetcher);
		call->last = (struct failure){.error = 0};
		if (response->status == 200) {
			fetcher->counters.answers_ok++;
			fetcher_widen(fetcher);
			call_answered(call, response);
		} else if (response->status == 429) {
			call_limited(call, response);
		} else {
			call_refused(call, response);
		}
	}
	fetcher_wake(fetcher);
}

int fetch_start(struct fetcher *fetcher, const struct provider_resource *resource, const char *path,
		struct listing *previous, bool foreground,
		void (*done)(void *data, int error, struct provider_result *result), void *data,
		struct fetch **ret_fetch)
{
	struct fetch *fetch;
	size_t queued = 0;
	int error;

	TAILQ_FOREACH (fetch, &fetcher->background, link)
		queued++;
	if (!foreground && queued >= BACKGROUND_QUEUE_MAX && resource->level != PROVIDER_LINK)
		return -EAGAIN;
	fetch = calloc(1, sizeof(*fetch));
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
	fetch->is_light = resource->level == PROVIDER_LINK;
	fetch->done = done;
	fetch->data = data;
	TAILQ_INSERT_TAIL(list_of(fetch), fetch, link);
	fetcher->counters.fetches++;
	fetcher_wake(fetcher);
	*ret_fetch = fetch;
	return 0;
}

void fetch_promote(struct fetch *fetch)
{
	/* Also if somebody waits already: the machine may have slept past what the fetch waits for,
	 * and the timer with it. */
	fetcher_wake(fetch->fetcher);
	if (fetch->foreground)
		return;
	TAILQ_REMOVE(list_of(fetch), fetch, link);
	fetch->foreground = true;
	TAILQ_INSERT_TAIL(list_of(fetch), fetch, link);
}

int fetch_missed_deadline(struct fetch *fetch, int64_t since_ms)
{
	struct failure failure = {.error = 0};
	struct fetcher *fetcher = fetch->fetcher;
	const struct call *call;

	TAILQ_FOREACH (call, &fetch->calls, link) {
		if (call->last.error)
			failure = call->last;
	}
	if (!failure.error && token_life_ms(fetcher->token) == 0)
		failure.error = token_last_error(fetcher->token);
	/* Another fetch met the limit, and the pause took most of that time. */
	if (fetcher->pause_until_ms > since_ms + fetcher->timeout_ms / 2 && failure.error != -EBUSY)
		failure = (struct failure){.error = -EBUSY};
	if (!failure.error)
		failure.error = -ETIMEDOUT;
	/* No answer at all in that time; with some, the resource is merely large. */
	if (failure.error != -EBUSY && failure.error != -ENOMEM &&
	    fetcher->breaker.succeeded_ms < since_ms)
		fetcher_note_failure(fetcher, since_ms, failure.error);
	note(fetch, &failure, "not here within timeout=; it is still being fetched");
	return failure.error;
}
