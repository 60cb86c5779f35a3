/* content_storage.c: all parts together: the budget, the pause that a 429 imposes, the breaker with
 * its probe, and the links that the API gives. One function, pump, decides what is sent next.
 *
 * Storage is another host than the API: one may be down, or slow, without the other. */
#include "content_internal.h"
#include "log.h"
#include "loop.h"
#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most parts sent that somebody waits for. The last of these are left to contents that have none
 * under way, so that a few slow files do not stop the others. What is only read ahead must fit into
 * connections=, and into less than these, so that it never stands in their way. */
#define FOREGROUND_MAX 128
#define FURTHER_MAX    96
#define BACKGROUND_MAX 32

/* --- Links --- */

static struct part *part_without_answer(const struct content *content)
{
	struct part *part;

	TAILQ_FOREACH (part, &content->parts, in_content) {
		if (!part->accepted)
			break;
	}
	return part;
}

void content_fail_link(struct content *content, int error, const struct http_response *response,
		       const char *what)
{
	struct part *part;

	content_ref(content); /* until all are told */
	while ((part = part_without_answer(content)))
		part_fail(part, error, response, what);
	secret_fini(&content->link);
	content->link_renewed = false;
	content_unref(content);
}

static void on_link(void *data, int error, struct provider_result *result)
{
	struct content *content = data;
	struct contents *contents = content->contents;
	const char *problem = NULL;

	content->link_fetch = NULL;
	if (!error)
		error = url_storage_check(result->link.value, contents->plain, &problem);
	if (error) {
		content_fail_link(content, error, NULL, problem);
		return;
	}
	secret_move(&content->link, &result->link);
	content->link_serial++;
	content_storage_wake(contents);
	content_maybe_idle(content);
}

static int ask_link(struct content *content, bool foreground)
{
	struct contents *contents = content->contents;
	struct provider_resource wanted = {
		.level = PROVIDER_LINK,
		.id = content->document,
		.version = content->version,
	};

	if (content->link_fetch)
		return 0;
	contents->counters.links++;
	return fetch_start(contents->fetcher, &wanted, content->path, NULL, foreground, on_link,
			   content, &content->link_fetch);
}

void content_renew_link(struct content *content)
{
	secret_fini(&content->link);
	content->link_renewed = true;
}

/* --- Breaker --- */

static void on_probe_timer(uv_timer_t *timer);

static void probe_later(struct contents *contents, int64_t min_ms)
{
	int64_t wait_ms = loop_jitter_ms(breaker_next_probe_ms(&contents->breaker));

	loop_timer_start(&contents->probe_timer, on_probe_timer,
			 wait_ms > min_ms ? wait_ms : min_ms);
}

void content_storage_note_failure(struct contents *contents, const struct content *content,
				  int64_t since_ms, int error)
{
	if (content->link.value)
		secret_set(&contents->probe_link, content->link.value, content->link.len);
	if (!breaker_failure(&contents->breaker, since_ms, loop_now_ms(), error))
		return;
	log_warning("storage has not answered for %lld ms: serving what is cached until it does",
		    (long long)(loop_now_ms() - contents->breaker.failing_since_ms));
	probe_later(contents, 0);
	content_storage_wake(contents); /* which fails what waits */
}

void content_storage_note_success(struct contents *contents)
{
	if (!breaker_success(&contents->breaker, loop_now_ms()))
		return;
	uv_timer_stop(&contents->probe_timer);
	log_info("storage answers again");
}

/* Any answer will do, and no byte of it is wanted. */
static int probe_head(void *data, const struct http_head *head)
{
	(void)data;
	(void)head;
	return -ECANCELED;
}

static int probe_bytes(void *data, const char *bytes, size_t len)
{
	(void)data;
	(void)bytes;
	(void)len;
	return -ECANCELED;
}

static const struct http_sink probe_sink = {.head = probe_head, .bytes = probe_bytes};

static void on_probe_answer(void *data, struct http_response *response)
{
	struct contents *contents = data;

	contents->probe = NULL;
	if (!contents->breaker.open) /* something else was faster */
		return;
	if (http_server_failed(response))
		probe_later(contents, response->retry_after_ms);
	else
		content_storage_note_success(contents);
}

static void on_probe_timer(uv_timer_t *timer)
{
	struct contents *contents = timer->data;
	struct http_request request = {
		.method = "GET",
		.fresh_connection = true,
		.sink = &probe_sink,
	};
	int error = -ENOENT;

	if (contents->probe) { /* of the time the breaker was open before */
		probe_later(contents, 0);
		return;
	}
	if (contents->probe_link.value)
		request.url = strdup(contents->probe_link.value);
	if (request.url)
		error = http_request_header(&request, "Range", "bytes=0-0");
	if (!error)
		error = http_send(contents->http, &request, NULL, on_probe_answer, contents,
				  &contents->probe);
	http_request_fini(&request);
	if (error == -ENOENT)
		content_storage_note_success(contents); /* whoever comes next finds out */
	else if (error)
		probe_later(contents, 0);
	else
		contents->counters.requests++;
}

int content_storage_refusal(const struct contents *contents, const struct content *content)
{
	if (contents->breaker.open)
		return contents->breaker.error;
	if (contents->pause_until_ms - loop_now_ms() > contents->timeout_ms)
		return -EBUSY;
	return content->link.value ? 0 : fetcher_refusal(contents->fetcher);
}

/* --- Pump --- */

static void free_dropped(struct contents *contents)
{
	struct part *part;

	while ((part = TAILQ_FIRST(&contents->dropped))) {
		TAILQ_REMOVE(&contents->dropped, part, in_contents);
		if (part->transfer) {
			http_cancel(part->transfer);
			contents->counters.in_flight--;
		}
		part_free(part);
	}
}

static void fail_waiting(struct contents *contents, int error, const char *what)
{
	struct part *part;
	struct part *next;

	for (part = TAILQ_FIRST(&contents->background); part; part = next) {
		struct content *content = part->content;

		next = TAILQ_NEXT(part, in_contents);
		if (part->transfer)
			continue;
		part_drop(part);
		content_maybe_idle(content);
	}
	/* A waiter's answer may start anything, but no part while the breaker is open. */
	for (part = TAILQ_FIRST(&contents->foreground); part; part = next) {
		if (part->transfer) {
			next = TAILQ_NEXT(part, in_contents);
			continue;
		}
		part_fail(part, error, NULL, what);
		next = TAILQ_FIRST(&contents->foreground);
	}
}

static bool is_ready(struct part *part, int64_t now_ms)
{
	if (part->transfer || part->due_ms > now_ms)
		return false;
	return part->location.value || part->content->link.value;
}

/* How many may be sent with this one. */
static size_t most_with(const struct part *part)
{
	const struct contents *contents = part->contents;
	const struct part *other;

	if (!part->foreground)
		return contents->connections < BACKGROUND_MAX ? contents->connections
							      : BACKGROUND_MAX;
	TAILQ_FOREACH (other, &part->content->parts, in_content) {
		if (other->transfer && !other->paused)
			return FURTHER_MAX;
	}
	return FOREGROUND_MAX;
}

/* Sends what is ready of one list, and asks for the links that its parts need. */
static void pump_list(struct contents *contents, struct part_list *list, int64_t now_ms)
{
	struct part *part;
	struct part *next;
	int error;

	for (part = TAILQ_FIRST(list); part; part = next) {
		struct content *content = part->content;

		next = TAILQ_NEXT(part, in_contents);
		if (!part->transfer && part->due_ms <= now_ms && !content->link.value &&
		    !part->location.value) {
			error = ask_link(content, part->foreground);
			if (error) {
				content_fail_link(content, error, NULL,
						  "the download link cannot be asked for");
				next = TAILQ_FIRST(list);
			}
			continue;
		}
		if (!is_ready(part, now_ms) ||
		    contents->counters.in_flight - contents->paused >= most_with(part))
			continue;
		error = part_send(part, now_ms);
		if (error)
			part_fail(part, error, NULL, "the request could not be made");
		next = TAILQ_FIRST(list); /* others may have gone */
	}
}

static void resume_list(struct part_list *list)
{
	struct part *part;
	struct part *next;

	for (part = TAILQ_FIRST(list); part; part = next) {
		next = TAILQ_NEXT(part, in_contents);
		if (!part->resume)
			continue;
		part_resumed(part);
		if (part->transfer) {
			http_resume(part->transfer);
			next = TAILQ_FIRST(list); /* whatever that set off */
		}
	}
}

static void on_timer(uv_timer_t *timer)
{
	content_storage_wake(timer->data);
}

/* Comes back when the pause ends or the next part is due. */
static void set_timer(struct contents *contents, int64_t now_ms)
{
	struct part_list *lists[] = {&contents->foreground, &contents->background};
	int64_t due_ms = INT64_MAX;
	struct part *part;
	size_t i;

	for (i = 0; i < 2; i++) {
		TAILQ_FOREACH (part, lists[i], in_contents) {
			int64_t at_ms = part->due_ms > contents->pause_until_ms
						? part->due_ms
						: contents->pause_until_ms;

			if (!part->transfer && at_ms > now_ms && at_ms < due_ms)
				due_ms = at_ms;
		}
	}
	if (due_ms == INT64_MAX)
		uv_timer_stop(&contents->timer);
	else
		loop_timer_start(&contents->timer, on_timer, due_ms - now_ms);
}

static void pump(uv_idle_t *idle)
{
	struct contents *contents = idle->data;
	int64_t now_ms = loop_now_ms();

	uv_idle_stop(idle);
	free_dropped(contents);
	resume_list(&contents->foreground);
	resume_list(&contents->background);
	if (contents->breaker.open)
		fail_waiting(contents, contents->breaker.error, "storage does not answer");
	else if (now_ms >= contents->pause_until_ms) {
		pump_list(contents, &contents->foreground, now_ms);
		pump_list(contents, &contents->background, now_ms);
	}
	set_timer(contents, now_ms);
}

void content_storage_wake(struct contents *contents)
{
	uv_idle_start(&contents->idle, pump);
}

void content_storage_pause(struct contents *contents, int64_t wait_ms)
{
	int64_t until_ms = loop_now_ms() + wait_ms;

	if (until_ms > contents->pause_until_ms)
		contents->pause_until_ms = until_ms;
}

/* --- Start and end --- */

void content_storage_start(struct contents *contents, uv_loop_t *loop)
{
	uv_idle_init(loop, &contents->idle);
	uv_timer_init(loop, &contents->timer);
	uv_timer_init(loop, &contents->probe_timer);
	contents->idle.data = contents;
	contents->timer.data = contents;
	contents->probe_timer.data = contents;
	contents->handles_open = 3;
}

void content_storage_end(struct contents *contents)
{
	if (contents->probe)
		http_cancel(contents->probe);
	contents->probe = NULL;
}

static void handle_closed(uv_handle_t *handle)
{
	struct contents *contents = handle->data;

	if (--contents->handles_open > 0)
		return;
	free(contents);
}

void content_storage_free(struct contents *contents)
{
	free_dropped(contents);
	secret_fini(&contents->probe_link);
	block_cache_free(contents->blocks);
	uv_close((uv_handle_t *)&contents->idle, handle_closed);
	uv_close((uv_handle_t *)&contents->timer, handle_closed);
	uv_close((uv_handle_t *)&contents->probe_timer, handle_closed);
}
