/* content_part.c: one ranged GET over all its tries: what an answer means. The states are in
 * content_internal.h.
 *
 * What storage says is believed only as far as it fits what is known: a range other than the one
 * asked for, another length, another ETag never bring a byte into the cache. */
#include "content_internal.h"
#include "log.h"
#include "loop.h"
#include "url.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_MS	  200
#define BACKOFF_DOUBLINGS 4
#define PAUSE_MIN_MS	  1000
#define REDIRECTS_MAX	  2
/* Most connections that are held back; what would be one more is asked for again when wanted. */
#define PAUSED_MAX 32
/* A part that took this part of the timeout was slow, and makes the next ones shorter. */
#define SLOW_SHARE 4
#define FAST_SHARE 16
#define LEAD_MIN   (256 * 1024)

static struct part_list *list_of(const struct part *part)
{
	struct contents *contents = part->content->contents;

	return part->foreground ? &contents->foreground : &contents->background;
}

int part_new(struct content *content, uint64_t start, uint64_t end, bool foreground,
	     struct part **ret_part)
{
	struct part *part = calloc(1, sizeof(*part));

	if (!part)
		return -ENOMEM;
	part->contents = content->contents;
	part->content = content;
	part->pos = start;
	part->ask_end = end;
	part->until = end;
	part->foreground = foreground;
	part->first_ms = loop_now_ms();
	/* Where another left off: that block must not go before this one goes on with it. */
	part->block = start % BLOCK_BYTES ? block_find(content->contents->blocks, content->key,
						       start / BLOCK_BYTES)
					  : NULL;
	if (part->block)
		block_pin(part->block);
	TAILQ_INSERT_TAIL(&content->parts, part, in_content);
	content->part_count++;
	TAILQ_INSERT_TAIL(list_of(part), part, in_contents);
	content_storage_wake(content->contents);
	*ret_part = part;
	return 0;
}

void part_extend(struct part *part, uint64_t until)
{
	if (part->until < until)
		part->until = until;
	if (part->paused) {
		part->resume = true;
		content_storage_wake(part->contents);
	}
}

void part_cut(struct part *part, uint64_t end)
{
	if (end >= part->end)
		return;
	part->end = end;
	part->ask_end = end;
	part->until = end;
	part->is_long = false;
	part->is_cut = true;
}

void part_resumed(struct part *part)
{
	part->resume = false;
	if (part->paused)
		part->contents->paused--;
	part->paused = false;
}

static void set_block(struct part *part, struct block *block)
{
	block_unpin(part->block);
	part->block = block;
}

void part_drop(struct part *part)
{
	struct content *content = part->content;

	set_block(part, NULL);
	part_resumed(part);
	TAILQ_REMOVE(&content->parts, part, in_content);
	if (--content->part_count == 0)
		content->probing = false; /* with nothing under way it would never end */
	TAILQ_REMOVE(list_of(part), part, in_contents);
	TAILQ_INSERT_TAIL(&content->contents->dropped, part, in_contents);
	part->content = NULL; /* which may go before this does */
	content_storage_wake(content->contents);
}

void part_free(struct part *part)
{
	secret_fini(&part->location);
	free(part);
}

void part_promote(struct part *part)
{
	struct contents *contents = part->content->contents;

	if (part->foreground)
		return;
	TAILQ_REMOVE(&contents->background, part, in_contents);
	part->foreground = true;
	TAILQ_INSERT_TAIL(&contents->foreground, part, in_contents);
	if (part->content->link_fetch)
		fetch_promote(part->content->link_fetch);
	content_storage_wake(contents);
}

/* --- Ends --- */

static void note(const struct part *part, int error, const struct http_response *response,
		 const char *what)
{
	const struct content *content = part->content;
	struct failure failure = {.error = error};
	char url[128];

	if (response)
		failure.status = response->status;
	snprintf(failure.path, sizeof(failure.path), "%s", content->path);
	snprintf(failure.what, sizeof(failure.what), "GET %s: %s",
		 part->location.value || content->link.value
			 ? log_origin(part->location.value ? part->location.value
							   : content->link.value,
				      url, sizeof(url))
			 : "of its link",
		 what);
	failures_note(content->contents->failures, &failure);
}

void part_fail(struct part *part, int error, const struct http_response *response, const char *what)
{
	struct content *content = part->content;

	if (part->foreground && content_is_wanted(content))
		content->contents->counters.failures++;
	if ((part->foreground || content->probing) && content_is_wanted(content) && what)
		note(part, error, response, what);
	/* What was only read ahead may still be had when somebody waits for it. */
	if (part->foreground || content->probing) {
		content->failed.error = error;
		content->failed.from = content->size_known ? part->pos : 0;
		content->failed.end = part->accepted ? part->end : part->ask_end;
		content->failed.at_ms = loop_now_ms();
	} else {
		content->ahead_failed_ms = loop_now_ms();
	}
	content->probing = false;
	part_drop(part);
	content_wake(content);
}

static void part_complete(struct part *part)
{
	struct content *content = part->content;
	int64_t took_ms = loop_now_ms() - part->sent_ms;
	int64_t timeout_ms = content->contents->timeout_ms;
	bool tells_speed = !part->is_long && !part->is_stream;

	if (tells_speed && took_ms > timeout_ms / SLOW_SHARE && content->lead_max > LEAD_MIN)
		content->lead_max /= 2;
	else if (tells_speed && took_ms < timeout_ms / FAST_SHARE &&
		 content->lead_max < CONTENT_LEAD_MAX)
		content->lead_max *= 2;
	content->probing = false;
	part_drop(part);
	content_wake(content);
}

/* --- Tries --- */

/* Sent once more, with what is still missing, after a while. */
static void part_again(struct part *part, int64_t wait_ms)
{
	part->accepted = false;
	if (part->is_stream) /* which may be anywhere by now */
		part->ask_end = part->until > part->pos ? part->until : part->pos + 1;
	part->due_ms = loop_now_ms() + wait_ms;
	content_storage_wake(part->content->contents);
}

/* Storage, or the network, failed: try again if there is time left and somebody to wait for it. */
static void part_retry(struct part *part, int error, const struct http_response *response,
		       const char *what)
{
	struct contents *contents = part->content->contents;
	int64_t wait_ms = BACKOFF_MIN_MS << (part->tries <= BACKOFF_DOUBLINGS ? part->tries - 1
									      : BACKOFF_DOUBLINGS);

	/* Cut off while nobody wanted more. */
	if (part->paused || ((part->is_stream || part->is_long) && part->content->size_known &&
			     part->pos >= part->until)) {
		part_complete(part);
		return;
	}
	wait_ms = loop_jitter_ms(wait_ms);
	if (response->retry_after_ms > wait_ms)
		wait_ms = response->retry_after_ms;
	if (!part->foreground || !content_is_wanted(part->content) ||
	    loop_now_ms() + wait_ms >= part->first_ms + contents->timeout_ms) {
		part_fail(part, error, response, what);
		return;
	}
	contents->counters.retries++;
	part->last_error = error;
	part_again(part, wait_ms);
}

/* 429: everything to storage pauses. */
static void part_limited(struct part *part, const struct http_response *response)
{
	struct contents *contents = part->content->contents;
	int64_t wait_ms = response->retry_after_ms;

	if (wait_ms < BACKOFF_MIN_MS)
		wait_ms = wait_ms < 0 ? loop_jitter_ms(PAUSE_MIN_MS) : BACKOFF_MIN_MS;
	content_storage_pause(contents, wait_ms);
	part_retry(part, -EBUSY, response, "too many requests");
}

/* A link lives shortly, so a refusal is reason to ask for a new one, once. */
static void part_refused(struct part *part, const struct http_response *response)
{
	struct content *content = part->content;
	bool is_current = content->link.value && part->link_serial == content->link_serial;
	int error = response->status == 404 || response->status == 410 ? -ENOENT : -EACCES;

	if (is_current && content->link_renewed) {
		content_fail_link(content, error, response,
				  "storage refuses a new download link too");
		return;
	}
	if (part->was_refused) { /* just this range: another link would not help */
		part_fail(part, error, response, "storage refuses a new download link too");
		return;
	}
	part->was_refused = true;
	if (is_current)
		content_renew_link(content);
	secret_fini(&part->location);
	part->redirects = 0;
	part_again(part, 0);
}

static void part_redirected(struct part *part, const struct http_response *response)
{
	const char *problem = NULL;
	int error = 0;

	if (!response->redirect)
		problem = "storage redirects to nowhere";
	else
		error = url_storage_check(response->redirect, part->contents->plain, &problem);
	/* Not back from https to plain http, not even on loopback. */
	if (!problem && part->is_https && strncasecmp(response->redirect, "https:", 6) != 0)
		problem = "storage redirects from https to http";
	if (!problem && part->redirects >= REDIRECTS_MAX)
		problem = "storage redirects more than twice";
	if (!problem) {
		error = secret_set(&part->location, response->redirect, strlen(response->redirect));
		if (error)
			problem = "storage redirects to an address that is too long";
	}
	if (problem) {
		part_fail(part, error == -ENOMEM ? error : -EBADMSG, response, problem);
		return;
	}
	part->redirects++;
	part_again(part, 0);
}

/* The range asked for cannot be had: of an empty file there is none. */
static void part_unsatisfied(struct part *part, const struct http_response *response)
{
	struct content *content = part->content;

	if (response->head.has_range) {
		if (content_learn_size(content, response->head.range_total) == 0 &&
		    part->pos == 0 && content->size == 0)
			part_complete(part);
		else if (!content->broken)
			part_fail(part, -EBADMSG, response, "storage does not have that range");
		else
			content_wake(content);
		return;
	}
	if (part->pos == 0 && !part->plain) { /* some say only that, and mean the same */
		part->plain = true;
		part_again(part, 0);
		return;
	}
	/* It had it before. Kept, the size would have all who come ask for what is not there. */
	if (part->pos > 0 && content->size_known) {
		content_break(content,
			      "storage changed its length while it was read: open it anew");
		content_wake(content);
		return;
	}
	part_fail(part, -EBADMSG, response, "storage does not have that range");
}

static void part_ended(struct part *part, const struct http_response *response)
{
	struct content *content = part->content;

	if (part->end == PART_TO_END) {
		if (content_learn_size(content, part->pos) == 0)
			part_complete(part);
		else
			content_wake(content);
	} else if (part->pos == part->end) {
		part_complete(part);
	} else {
		part_retry(part, -EIO, response, "the answer was cut short");
	}
}

static void part_answered(struct part *part, const struct http_response *response)
{
	switch (response->status) {
	case 200:
	case 206:
		part_ended(part, response);
		break;
	case 401:
	case 403:
	case 404:
	case 410:
		part_refused(part, response);
		break;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		part_redirected(part, response);
		break;
	case 416:
		part_unsatisfied(part, response);
		break;
	case 429:
		part_limited(part, response);
		break;
	default:
		part_fail(part, -EBADMSG, response, "storage answers with an unexpected status");
	}
}

static void part_done(void *data, struct http_response *response)
{
	struct part *part = data;
	struct content *content = part->content;
	struct contents *contents = part->contents;

	part->transfer = NULL;
	contents->counters.in_flight--;
	content_storage_wake(contents);
	contents->counters.answers += !http_server_failed(response);
	if (!content)
		return;
	if (http_server_failed(response)) {
		content_storage_note_failure(contents, content, part->sent_ms,
					     response->error ? response->error : -EIO);
		part_retry(part, response->error ? response->error : -EIO, response,
			   response->error ? response->text : "storage fails");
		return;
	}
	if (!response->error || part->problem)
		content_storage_note_success(contents);
	if (part->problem && !part->doubted) {
		part->doubted = true;
		part_retry(part, -EBADMSG, response, part->problem);
	} else if (response->error) {
		part_fail(part, part->problem ? -EBADMSG : response->error, response,
			  part->problem ? part->problem : response->text);
	} else {
		part_answered(part, response);
	}
}

/* --- The answer as it comes --- */

/* Returns -EBADMSG with the reason, which ends the transfer. */
static int refuse(struct part *part, const char *problem)
{
	part->problem = problem;
	return -EBADMSG;
}

static int take_range(struct part *part, const struct http_head *head)
{
	if (!head->has_range)
		return refuse(part, "a part came that does not say which (Content-Range)");
	if (head->range_from != part->pos || head->range_end > part->ask_end ||
	    head->range_end <= head->range_from ||
	    (head->length >= 0 && (uint64_t)head->length != head->range_end - head->range_from))
		return refuse(part, "another part came than was asked for (Content-Range)");
	part->end = head->range_end;
	part->is_stream = false;
	part->content->no_range = false;
	return 0;
}

/* A 200 to a ranged request: storage knows no ranges, and sends all from the start. */
static int take_whole(struct part *part, const struct http_head *head)
{
	struct content *content = part->content;
	struct part *other;
	struct part *next;

	if (!head->is_framed)
		return refuse(part, "storage tells neither a length nor where the bytes end");
	part->pos = 0;
	set_block(part, NULL);
	part->end = head->length >= 0 ? (uint64_t)head->length : PART_TO_END;
	part->is_stream = true;
	part->is_long = false;
	content->no_range = true;
	/* What else was asked for would come as the whole too. */
	for (other = TAILQ_FIRST(&content->parts); other; other = next) {
		next = TAILQ_NEXT(other, in_content);
		if (other != part && !other->accepted)
			part_drop(other);
	}
	return 0;
}

static int part_head(void *data, const struct http_head *head)
{
	struct part *part = data;
	struct content *content = part->content;
	bool knew_size;
	uint64_t size;
	int error;

	if (!part->content)
		return -ECANCELED;
	knew_size = content->size_known;
	if (head->is_encoded)
		return refuse(part, "storage compresses what it sends, unasked");
	error = head->status == 206 ? take_range(part, head) : take_whole(part, head);
	if (error)
		return error;
	if (content->etag && head->etag && content->etag != head->etag) {
		content_break(content, "storage changed its bytes while it was read: open it anew");
		content_wake(content);
		return -ECANCELED;
	}
	if (!content->etag)
		content->etag = head->etag;
	size = head->status == 206 ? head->range_total : part->end;
	if (size != PART_TO_END && content_learn_size(content, size)) {
		content_wake(content);
		return -ECANCELED;
	}
	part->accepted = true;
	part->head_ms = loop_now_ms();
	content->link_renewed = false;
	content_storage_note_success(content->contents);
	/* Nobody waits for the end of a stream to learn its length. */
	if (part->end == PART_TO_END)
		content->probing = false;
	if (!content_is_wanted(content)) {
		part_drop(part);
		content_maybe_idle(content);
	} else if (!knew_size && content->size_known) {
		content_wake(content);
	}
	return !part->content ? -ECANCELED : 0;
}

/* The block that the next byte belongs into, pinned. Returns 0 or -ENOMEM. */
static int next_block(struct part *part)
{
	const struct content *content = part->content;
	struct block_cache *blocks = content->contents->blocks;
	uint64_t index = part->pos / BLOCK_BYTES;
	uint64_t left = content->size_known ? content->size - index * BLOCK_BYTES : BLOCK_BYTES;
	struct block *block;
	int error;

	if (part->block && part->block->index == index)
		return 0;
	block = block_find(blocks, content->key, index);
	if (block) {
		block_pin(block);
	} else {
		error = block_add(blocks, content->key, index,
				  left < BLOCK_BYTES ? (uint32_t)left : BLOCK_BYTES, &block);
		if (error)
			return error;
	}
	set_block(part, block);
	return 0;
}

/* Bytes that are there already, from another stream, are not written again. */
static void fill(const struct part *part, const char *bytes, size_t len)
{
	struct block *block = part->block;
	uint32_t at = (uint32_t)(part->pos % BLOCK_BYTES);

	if (at > block->have || at + len <= block->have)
		return;
	memcpy(block->bytes + block->have, bytes + (block->have - at), at + len - block->have);
	block->have = at + (uint32_t)len;
}

/* It has brought all that is wanted so far. */
static int stream_pause(struct part *part)
{
	struct content *content = part->content;

	content->probing = false;
	if (!content_is_wanted(content) || part->contents->paused >= PAUSED_MAX) {
		part_drop(part);
		content_maybe_idle(content);
		return -ECANCELED;
	}
	part->paused = true;
	part->was_paused = true;
	part->paused_ms = loop_now_ms();
	part->contents->paused++;
	content_storage_wake(part->contents); /* there is room for another */
	content_wake(content);
	return part->content ? -EAGAIN : -ECANCELED;
}

static int part_bytes(void *data, const char *bytes, size_t len)
{
	struct part *part = data;
	struct content *content = part->content;
	bool wake = false;

	if (!part->content)
		return -ECANCELED;
	if ((part->is_stream || part->is_long) && part->pos >= part->until && content->size_known)
		return stream_pause(part);
	if (part->is_cut && part->end - part->pos < len)
		len = (size_t)(part->end - part->pos);
	if (part->end - part->pos < len)
		return refuse(part, "more bytes came than were announced");
	/* Nothing was announced, but the blocks end where the size says. */
	if (part->end == PART_TO_END && content->size_known && part->pos + len > content->size) {
		content_learn_size(content, part->pos + len);
		content_wake(content);
		return -ECANCELED;
	}
	content->contents->counters.bytes += len;
	/* There was progress: tries count anew. What a stream sends again is none. */
	if (part->pos + len > part->reached) {
		part->reached = part->pos + len;
		part->tries = 1;
		part->was_refused = false;
		part->first_ms = loop_now_ms();
		content_storage_note_success(part->contents);
	}
	if (part->size_only && !part->is_stream) {
		part->pos += len; /* for the size alone: not worth a block */
		return 0;
	}
	while (len > 0) {
		size_t room = BLOCK_BYTES - part->pos % BLOCK_BYTES;
		size_t count = len < room ? len : room;
		int error = next_block(part);

		if (error)
			return error;
		fill(part, bytes, count);
		part->pos += count;
		bytes += count;
		len -= count;
		wake = wake || part->pos % BLOCK_BYTES == 0;
	}
	/* A stream pauses there, so nothing after this would wake who waits for it. */
	wake = wake || part->pos >= part->until;
	if (part->is_cut && part->pos == part->end) {
		part_complete(part);
		return -ECANCELED;
	}
	if (wake && !TAILQ_EMPTY(&content->waiters.waiters))
		content_wake(content);
	return !part->content ? -ECANCELED : 0;
}

static const struct http_sink sink = {.head = part_head, .bytes = part_bytes};

int part_send(struct part *part, int64_t now_ms)
{
	struct content *content = part->content;
	struct contents *contents = content->contents;
	const struct secret *link = part->location.value ? &part->location : &content->link;
	struct http_request request = {
		.method = "GET",
		.url = strdup(link->value),
		.fresh_connection =
			part->last_error == -EHOSTUNREACH || part->last_error == -ETIMEDOUT,
		.sink = &sink,
	};
	char range[64];
	int error = request.url ? 0 : -ENOMEM;

	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, part->pos, part->ask_end - 1);
	if (!error && !part->plain)
		error = http_request_header(&request, "Range", range);
	if (!error)
		error = http_send(contents->http, &request, NULL, part_done, part, &part->transfer);
	http_request_fini(&request);
	if (error)
		return error;
	part->problem = NULL;
	part->is_https = strncasecmp(link->value, "https:", 6) == 0;
	part->from = part->pos;
	part->was_paused = false;
	part->is_cut = false;
	part->link_serial = content->link_serial;
	part->sent_ms = now_ms;
	if (part->tries++ == 0)
		part->first_ms = now_ms;
	contents->counters.requests++;
	contents->counters.in_flight++;
	return 0;
}
