/* fetcher.c: all fetches together: the request budget, the pause that a 429 imposes, the breaker
 * with its probe, the token. One function, pump, decides what is sent next.
 *
 * Owns the token, three handles of the loop, and the probe's transfer. */
#include "fetch_internal.h"
#include "log.h"
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S 1000000000LL
/* After a 429 that names no time, the first; "at once" is no answer to too many requests. */
#define PAUSE_UNTOLD_MS 1000
#define PAUSE_MIN_MS	200
/* Most fetches begun and not ended, when somebody waits for the next and when nobody does: each
 * holds in memory what it received so far. */
#define FOREGROUND_MAX 16
#define BACKGROUND_MAX 8
/* And none is begun once those hold this many times memory= (one may well hold it once, and others
 * must not wait for its end), or this part of it if nobody waits. */
#define FOREGROUND_TIMES 2
#define BACKGROUND_PART	 4
/* This part of the connections is left to who has none; at least one by what nobody waits for. */
#define SPARE_PART 8

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

/* `min_ms`: what the server asked for, or less. */
static void probe_later(struct fetcher *fetcher, int64_t min_ms)
{
	int64_t wait_ms = loop_jitter_ms(breaker_next_probe_ms(&fetcher->breaker));

	loop_timer_start(&fetcher->probe_timer, on_probe_timer,
			 wait_ms > min_ms ? wait_ms : min_ms);
}

void fetcher_note_failure(struct fetcher *fetcher, int64_t since_ms, int error)
{
	if (!breaker_failure(&fetcher->breaker, since_ms, loop_now_ms(), error))
		return;
	log_warning("the server has not answered for %lld ms: serving what is cached until it does",
		    (long long)(loop_now_ms() - fetcher->breaker.failing_since_ms));
	probe_later(fetcher, fetcher_pause_ms(fetcher));
	fetcher_wake(fetcher); /* which fails what waits */
}

void fetcher_note_success(struct fetcher *fetcher)
{
	if (!breaker_success(&fetcher->breaker, loop_now_ms()))
		return;
	uv_timer_stop(&fetcher->probe_timer);
	if (fetcher->probe) { /* something else was faster */
		http_cancel(fetcher->probe);
		fetcher->probe = NULL;
	}
	log_info("the server answers again");
}

static void on_probe_answer(void *data, struct http_response *response)
{
	struct fetcher *fetcher = data;

	fetcher->probe = NULL;
	if (http_server_failed(response)) {
		probe_later(fetcher, response->retry_after_ms);
		return;
	}
	fetcher_heed(fetcher, response, fetcher->probe_sent_ms);
	if (response->status == 429)
		fetcher_limited(fetcher, response, fetcher->probe_sent_ms, 0);
	fetcher_note_success(fetcher); /* whatever it says, it is there */
}

/* Where the API is may be another with each token. */
static int set_url(const struct fetcher *fetcher, const char *path, struct http_request *request)
{
	char *url;

	if (asprintf(&url, "%s%s", fetcher->ops->address(fetcher->provider), path) < 0)
		return -ENOMEM;
	free(request->url);
	request->url = url;
	return 0;
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
	int error;
	const struct secret *bearer = token_get(fetcher->token, &serial);

	if (fetcher_pause_ms(fetcher) > 0) { /* whatever was reason to look */
		loop_timer_start(timer, on_probe_timer, fetcher_pause_ms(fetcher));
		return;
	}
	if (!bearer) {
		token_retry(fetcher->token); /* a token granted is reason for a probe at once */
		probe_later(fetcher, 0);
		return;
	}
	error = fetcher->ops->task_new(fetcher->provider, &top, &task);
	if (!error)
		error = fetcher->ops->task_next(task, &request, &tag);
	request.fresh_connection = true;
	if (!error)
		error = set_url(fetcher, request.url, &request);
	if (!error)
		error = http_send(fetcher->http, &request, bearer, on_probe_answer, fetcher,
				  &fetcher->probe);
	fetcher->probe_sent_ms = loop_now_ms();
	if (error)
		probe_later(fetcher, 0);
	else
		fetcher->counters.requests++;
	http_request_fini(&request);
	fetcher->ops->task_free(task);
}

/* --- Pump: what to send next --- */

static int call_send(struct call *call, const struct secret *bearer, uint64_t serial,
		     int64_t now_ms)
{
	struct fetcher *fetcher = call->fetch->fetcher;
	int error = set_url(fetcher, call->path, &call->request);

	if (!error)
		error = http_send(fetcher->http, &call->request, bearer, fetch_answered, call,
				  &call->transfer);
	if (error)
		return error;
	pace_sent(&fetcher->pace, now_ms);
	call->token_serial = serial;
	call->sent_ms = now_ms;
	if (call->tries++ == 0)
		call->first_ms = now_ms;
	call->fetch->in_flight++;
	fetcher->counters.requests++;
	fetcher->counters.in_flight++;
	if (fetcher->counters.in_flight > fetcher->counters.in_flight_max)
		fetcher->counters.in_flight_max = fetcher->counters.in_flight;
	return 0;
}

static bool may_start(const struct fetcher *fetcher, bool foreground)
{
	size_t started_max = foreground ? FOREGROUND_MAX : BACKGROUND_MAX;
	size_t bytes_max =
		foreground ? fetcher->memory * FOREGROUND_TIMES : fetcher->memory / BACKGROUND_PART;

	return fetcher->started == 0 ||
	       (fetcher->started < started_max && listing_bytes_building() < bytes_max);
}

/* The last connections are left to who has none: an answer that takes one request should not have
 * to wait until something large is through, nor for what nobody waits for, which may hang. */
static bool has_place(const struct fetch *fetch)
{
	const struct fetcher *fetcher = fetch->fetcher;
	size_t spare = fetcher->window / SPARE_PART;

	if (!fetch->foreground)
		spare = spare || fetcher->window == 1 ? spare : 1;
	else if (fetch->in_flight == 0)
		spare = 0;
	return fetcher->counters.in_flight < fetcher->window - spare;
}

/* Sends one request of the first fetch in the list that has one ready, and moves that fetch to the
 * end; a new one is begun only within the bounds above. Returns whether there was one. */
static bool pump_list(struct fetcher *fetcher, struct fetch_list *list, const struct secret *bearer,
		      uint64_t serial, int64_t now_ms)
{
	struct call *call = NULL;
	struct fetch *fetch;
	int error;

	TAILQ_FOREACH (fetch, list, link) {
		if (!has_place(fetch))
			continue;
		if (!fetch->started && !fetch->is_light && !may_start(fetcher, fetch->foreground))
			continue;
		call = fetch_ready_call(fetch, now_ms);
		if (call)
			break;
	}
	if (!call)
		return false;
	fetcher->started += !fetch->started && !fetch->is_light;
	fetch->started = true;
	TAILQ_REMOVE(list, fetch, link);
	TAILQ_INSERT_TAIL(list, fetch, link);
	error = call_send(call, bearer, serial, now_ms);
	if (!error && !fetch_ready_call(fetch, now_ms) && !fetch->exhausted)
		error = fetch_pull(fetch);
	if (error)
		fetch_fail(fetch, error, NULL, "the request could not be made");
	return true;
}

static void on_timer(uv_timer_t *timer)
{
	fetcher_wake(timer->data);
}

/* Comes back when the pause ends or the next call to repeat is due. What is due already waits for
 * an answer, a token or the end of another fetch, which wake the pump themselves. */
static void set_timer(struct fetcher *fetcher, int64_t now_ms)
{
	struct fetch_list *lists[] = {&fetcher->foreground, &fetcher->background};
	int64_t due_ms = INT64_MAX;
	int64_t least_ms = fetcher->pause_until_ms;
	struct fetch *fetch;
	struct call *call;
	size_t i;

	if (fetcher->pace.next_ms > least_ms)
		least_ms = fetcher->pace.next_ms;
	for (i = 0; i < 2; i++) {
		TAILQ_FOREACH (fetch, lists[i], link) {
			TAILQ_FOREACH (call, &fetch->calls, link) {
				int64_t at_ms = call->due_ms > least_ms ? call->due_ms : least_ms;

				if (!call->transfer && at_ms > now_ms && at_ms < due_ms)
					due_ms = at_ms;
			}
		}
	}
	if (due_ms == INT64_MAX)
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
		fail_all(fetcher, fetcher->breaker.error,
			 token_life_ms(fetcher->token) == 0 && token_error(fetcher->token)
				 ? "there is no token: see \"token\""
				 : "the server does not answer");
		return;
	}
	if (TAILQ_EMPTY(&fetcher->foreground) && TAILQ_EMPTY(&fetcher->background))
		return;
	bearer = token_get(fetcher->token, &serial);
	if (!bearer && token_error(fetcher->token) == -ENOMEM)
		token_retry(fetcher->token); /* by now there may be some */
	if (!bearer && token_error(fetcher->token) == -ENOMEM) {
		fail_all(fetcher, -ENOMEM, "there is no token, and no memory to ask for one");
		return;
	}
	if (!bearer && token_error(fetcher->token) == -EACCES) {
		fail_all(fetcher, -EACCES, "there is no token: the server refuses this client");
		return;
	}
	while (bearer && now_ms >= fetcher->pause_until_ms &&
	       pace_allows(&fetcher->pace, fetcher->counters.in_flight, now_ms)) {
		if (!pump_list(fetcher, &fetcher->foreground, bearer, serial, now_ms) &&
		    !pump_list(fetcher, &fetcher->background, bearer, serial, now_ms))
			break;
		bearer = token_get(fetcher->token, &serial);
	}
	set_timer(fetcher, now_ms);
}

/* Half as many, once for all that were under way together. */
void fetcher_narrow(struct fetcher *fetcher, int64_t sent_ms)
{
	if (sent_ms < fetcher->window_cut_ms)
		return;
	fetcher->window = (fetcher->window + 1) / 2;
	fetcher->window_answers = 0;
	fetcher->window_cut_ms = loop_now_ms();
}

/* One more after each round of answers. */
void fetcher_widen(struct fetcher *fetcher)
{
	if (fetcher->window == fetcher->connections || ++fetcher->window_answers < fetcher->window)
		return;
	fetcher->window++;
	fetcher->window_answers = 0;
}

static void pause_for(struct fetcher *fetcher, int64_t wait_ms)
{
	int64_t until_ms = loop_now_ms() + wait_ms;

	if (until_ms > fetcher->pause_until_ms)
		fetcher->pause_until_ms = until_ms;
}

int64_t fetcher_limited(struct fetcher *fetcher, const struct http_response *response,
			int64_t sent_ms, unsigned int before)
{
	int64_t wait_ms = response->retry_after_ms;

	if (wait_ms < 0)
		wait_ms = loop_jitter_ms(PAUSE_UNTOLD_MS << before);
	if (wait_ms < PAUSE_MIN_MS)
		wait_ms = PAUSE_MIN_MS;
	fetcher->counters.answers_limited++;
	fetcher_narrow(fetcher, sent_ms);
	pause_for(fetcher, wait_ms);
	return wait_ms;
}

void fetcher_heed(struct fetcher *fetcher, const struct http_response *response, int64_t sent_ms)
{
	struct provider_allowance allowance;
	int64_t wait_ms;

	if (!fetcher->ops->allowance ||
	    !fetcher->ops->allowance(fetcher->provider, response, loop_wall_ns() / NS_PER_S,
				     &allowance))
		return;
	wait_ms = pace_told(&fetcher->pace, &allowance, response->status == 429, sent_ms,
			    loop_now_ms());
	if (wait_ms > 0)
		pause_for(fetcher,
			  wait_ms < HTTP_RETRY_AFTER_MAX_MS ? wait_ms : HTTP_RETRY_AFTER_MAX_MS);
}

void fetcher_wake(struct fetcher *fetcher)
{
	uv_idle_start(&fetcher->idle, pump);
}

static void on_token_changed(void *data)
{
	struct fetcher *fetcher = data;
	enum token_state state = token_state(fetcher->token);
	int error = token_error(fetcher->token);

	/* A token says nothing of the API's server: reason to look, not to believe that it is back.
	 */
	if (state == TOKEN_HELD && fetcher->breaker.open) {
		if (!fetcher->probe)
			loop_timer_start(&fetcher->probe_timer, on_probe_timer, 1);
	} else if (state == TOKEN_HELD || state == TOKEN_REFUSED) {
		/* Failures to get one are over; "refused" is what users must be told now. */
		fetcher_note_success(fetcher);
	}
	/* Want of memory is no failure of the server's. */
	if (state == TOKEN_BACKING_OFF && error != -EBUSY && error != -ENOMEM &&
	    token_life_ms(fetcher->token) == 0)
		fetcher_note_failure(fetcher, loop_now_ms(), error);
	fetcher_wake(fetcher);
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
	fetcher->window = config->connections;
	fetcher->memory = config_memory_listings(config, ops->has_links);
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

void fetcher_watch(struct fetcher *fetcher, void (*grown)(void *data), void *data)
{
	fetcher->grown = grown;
	fetcher->grown_data = data;
}

void fetcher_forget(struct fetcher *fetcher)
{
	struct fetch_list *lists[] = {&fetcher->foreground, &fetcher->background};
	int64_t now_ms = loop_now_ms();
	struct fetch *fetch;
	struct call *call;
	size_t i;

	fetcher->pause_until_ms = 0;
	fetcher->pace = (struct pace){.trust = 0};
	/* Calls that met the limit wait the pause out by themselves, and whoever asks for the same
	 * would wait with them. */
	for (i = 0; i < 2; i++) {
		TAILQ_FOREACH (fetch, lists[i], link) {
			TAILQ_FOREACH (call, &fetch->calls, link) {
				call->due_ms = 0;
				if (call->first_ms > now_ms)
					call->first_ms = now_ms;
			}
		}
	}
	fetcher->ops->forget(fetcher->provider);
	fetcher_wake(fetcher);
}

void fetcher_renew(struct fetcher *fetcher, struct secret *secret)
{
	token_renew(fetcher->token, secret);
}

int fetcher_refusal(const struct fetcher *fetcher)
{
	if (fetcher->breaker.open)
		return fetcher->breaker.error;
	if (token_error(fetcher->token) == -EACCES && token_life_ms(fetcher->token) == 0)
		return -EACCES;
	return fetcher_pause_ms(fetcher) > fetcher->timeout_ms ? -EBUSY : 0;
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
