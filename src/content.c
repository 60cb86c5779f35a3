/* content.c: contents by version: sizes, who waits, what is there.
 *
 * Owns the contents. One that nobody holds goes idle: its size stays known until idle ones take too
 * much memory. */
#include "content_internal.h"

#include "hash.h"
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the first request brings beside the size: a small document whole. */
#define FIRST_BYTES (512 * 1024)
/* Beginnings of documents that nobody has opened yet may take this part of it. */
#define AHEAD_SHARE 4
/* Sizes of contents that nobody holds may take this part of the memory for bytes. */
#define IDLE_SHARE 4

/* --- The table --- */

static struct content **slot_of(struct contents *contents, const char *version)
{
	uint64_t hash = hash_mix(hash_string(HASH_START, version));
	struct content **at = &contents->table[hash % CONTENT_BUCKETS];

	while (*at && strcmp((*at)->version, version) != 0)
		at = &(*at)->next;
	return at;
}

uint64_t contents_key(struct contents *contents, const char *version)
{
	const struct content *content = *slot_of(contents, version);

	return content ? content->key
		       : hash_mix(hash_string(HASH_START + contents->forgotten, version)) | 1;
}

static size_t cost_of(const struct content *content)
{
	return sizeof(*content) + strlen(content->document) + strlen(content->version) +
	       strlen(content->path) + content->link.len + 64;
}

static void leave_table(struct content *content)
{
	if (!content->listed)
		return;
	*slot_of(content->contents, content->version) = content->next;
	content->listed = false;
}

static void content_free(struct content *content)
{
	if (content->is_idle) {
		TAILQ_REMOVE(&content->contents->idle_contents, content, idle);
		content->contents->idle_bytes -= cost_of(content);
	}
	/* Who gets this version anew may learn another size, for which they would not fit. */
	if (content->listed)
		block_drop_owner(content->contents->blocks, content->key,
				 content->size_known ? content->size : UINT64_MAX);
	leave_table(content);
	content->contents->counters.contents--;
	secret_fini(&content->link);
	free(content->document);
	free(content->version);
	free(content->path);
	free(content);
}

static int missed(void *owner, int64_t asked_ms);

static int content_new(struct contents *contents, const char *document, const char *version,
		       const char *path, struct content **ret_content)
{
	struct content *content = calloc(1, sizeof(*content));

	if (!content)
		return -ENOMEM;
	content->document = strdup(document);
	content->version = strdup(version);
	content->path = strdup(path);
	if (!content->document || !content->version || !content->path) {
		free(content->document);
		free(content->version);
		free(content->path);
		free(content);
		return -ENOMEM;
	}
	content->contents = contents;
	content->key = contents_key(contents, version);
	content->lead_max = CONTENT_LEAD_MAX;
	TAILQ_INIT(&content->parts);
	wait_queue_init(&content->waiters, missed, content);
	content->next = NULL;
	*slot_of(contents, version) = content;
	content->listed = true;
	contents->counters.contents++;
	*ret_content = content;
	return 0;
}

int contents_get(struct contents *contents, const char *document, const char *version,
		 const char *path, struct content **ret_content)
{
	struct content *content = *slot_of(contents, version);
	int error;

	if (!content) {
		error = content_new(contents, document, version, path, &content);
		if (error)
			return error;
	}
	if (content->is_idle) {
		TAILQ_REMOVE(&contents->idle_contents, content, idle);
		contents->idle_bytes -= cost_of(content);
		content->is_idle = false;
	}
	content_ref(content);
	*ret_content = content;
	return 0;
}

bool contents_size(struct contents *contents, const char *version, uint64_t *ret_size)
{
	const struct content *content = *slot_of(contents, version);

	if (!content || !content->size_known)
		return false;
	*ret_size = content->size;
	return true;
}

void content_ref(struct content *content)
{
	if (content->references++ == 0)
		content->contents->held++;
}

bool content_is_wanted(const struct content *content)
{
	return content->references > 0 || content->probing;
}

void content_maybe_idle(struct content *content)
{
	struct contents *contents = content->contents;
	struct content *first;

	if (content_is_wanted(content) || !TAILQ_EMPTY(&content->parts) || content->link_fetch ||
	    content->is_idle)
		return;
	if (content->forget)
		contents->forgotten++;
	/* A failure is remembered too, or each who looks would try again. */
	if (!content->listed || content->forget ||
	    (!content->size_known && !content->failed.error)) {
		content_free(content);
		return;
	}
	content->is_idle = true;
	TAILQ_INSERT_TAIL(&contents->idle_contents, content, idle);
	contents->idle_bytes += cost_of(content);
	while (contents->idle_bytes > contents->memory_idle &&
	       (first = TAILQ_FIRST(&contents->idle_contents)))
		content_free(first);
}

void content_unref(struct content *content)
{
	struct part *part;
	struct part *next;

	if (--content->references > 0)
		return;
	content->contents->held--;
	for (part = TAILQ_FIRST(&content->parts); part && !content_is_wanted(content);
	     part = next) {
		next = TAILQ_NEXT(part, in_content);
		part_drop(part);
	}
	content_maybe_idle(content);
}

/* --- What was learnt --- */

void content_wake(struct content *content)
{
	content_ref(content); /* an answer must not free it */
	wait_wake(content->contents->room, &content->waiters, 0);
	content_unref(content);
}

void content_break(struct content *content, const char *why)
{
	struct failure failure = {.error = -EBADMSG};
	struct part *part;

	if (content->broken)
		return;
	content->broken = -EBADMSG;
	content->contents->forgotten++;
	content->probing = false;
	leave_table(content);
	while ((part = TAILQ_FIRST(&content->parts)))
		part_drop(part);
	/* After them: a block still pinned would stay, and be too small for another size. */
	block_drop_owner(content->contents->blocks, content->key,
			 content->size_known ? content->size : UINT64_MAX);
	if (content->link_fetch)
		fetch_cancel(content->link_fetch);
	content->link_fetch = NULL;
	snprintf(failure.path, sizeof(failure.path), "%s", content->path);
	snprintf(failure.what, sizeof(failure.what), "%s", why);
	failures_note(content->contents->failures, &failure);
}

int content_learn_size(struct content *content, uint64_t size)
{
	if (content->size_known && content->size != size) {
		content_break(content,
			      "storage changed its length while it was read: open it anew");
		return -EBADMSG;
	}
	content->size = size;
	content->size_known = true;
	return 0;
}

static int missed(void *owner, int64_t asked_ms)
{
	struct content *content = owner;
	struct contents *contents = content->contents;
	struct failure failure = {.error = -ETIMEDOUT};
	const char *what = "its bytes did not come within timeout=";
	struct part *part;

	if (content->link_fetch)
		return fetch_missed_deadline(content->link_fetch, asked_ms);
	TAILQ_FOREACH (part, &content->parts, in_content) {
		if (part->foreground && part->last_error)
			failure.error = part->last_error;
		if (part->accepted && part->end == PART_TO_END && !content->size_known)
			what = "storage tells no length, and its end, which would, did not come "
			       "within timeout=: raise that";
	}
	/* The pause took most of that time. */
	if (contents->pause_until_ms > asked_ms + contents->timeout_ms / 2)
		failure.error = -EBUSY;
	/* No answer at all in that time; with some, this is merely slow. */
	if (failure.error != -EBUSY && contents->breaker.succeeded_ms < asked_ms)
		content_storage_note_failure(contents, content, asked_ms, failure.error);
	contents->counters.failures++;
	snprintf(failure.path, sizeof(failure.path), "%s", content->path);
	snprintf(failure.what, sizeof(failure.what), "%s", what);
	failures_note(contents->failures, &failure);
	return failure.error;
}

/* --- Reading --- */

static int open_in(struct content *content, bool first_bytes, bool foreground)
{
	struct part *part = TAILQ_FIRST(&content->parts);
	int error;

	if (content->broken)
		return content->broken;
	if (content->size_known)
		return 0;
	if (part) { /* however far it is: a stream may not know the size before its end */
		if (foreground)
			part_promote(part);
		return -EAGAIN;
	}
	error = content_fetch(content, 0, first_bytes ? FIRST_BYTES : 1, foreground);
	part = TAILQ_FIRST(&content->parts);
	if (!error && part)
		part->size_only = !first_bytes;
	return error ? error : -EAGAIN;
}

int content_open(struct content *content, bool first_bytes)
{
	return open_in(content, first_bytes, true);
}

size_t content_peek(struct content *content, uint64_t offset, size_t len, struct iovec *iov,
		    size_t iov_max, size_t *ret_count)
{
	size_t total = 0;
	size_t count = 0;

	if (content->broken)
		len = 0;
	while (total < len && count < iov_max) {
		uint64_t at = offset + total;
		struct block *block =
			block_find(content->contents->blocks, content->key, at / BLOCK_BYTES);
		size_t skip = at % BLOCK_BYTES;
		size_t part;

		if (!block || block->have <= skip)
			break;
		part = block->have - skip < len - total ? block->have - skip : len - total;
		iov[count++] = (struct iovec){block->bytes + skip, part};
		total += part;
	}
	*ret_count = count;
	return total;
}

size_t contents_ahead_max(const struct contents *contents)
{
	return contents->memory / AHEAD_SHARE / FIRST_BYTES;
}

int content_probe(struct content *content, bool first_bytes)
{
	int error = open_in(content, first_bytes, false);

	content->probing = error == -EAGAIN;
	return content->probing ? 0 : error;
}

uint64_t content_size(const struct content *content)
{
	return content->size;
}

void content_note_read(struct content *content, size_t len)
{
	content->contents->counters.reads++;
	content->contents->counters.bytes_read += len;
}

struct wait_queue *content_queue(struct content *content)
{
	return &content->waiters;
}

/* --- The whole --- */

int contents_new(uv_loop_t *loop, struct http *http, const struct config *config,
		 struct fetcher *fetcher, struct wait_room *room, struct failures *failures,
		 struct contents **ret_contents)
{
	struct contents *contents = calloc(1, sizeof(*contents));
	int error;

	if (!contents)
		return -ENOMEM;
	contents->memory = config_memory_contents(config, true);
	contents->memory_idle = contents->memory / IDLE_SHARE;
	error = block_cache_new(contents->memory - contents->memory_idle, &contents->blocks);
	if (error) {
		free(contents);
		return error;
	}
	contents->http = http;
	contents->fetcher = fetcher;
	contents->room = room;
	contents->failures = failures;
	contents->connections = config->connections;
	contents->timeout_ms = config->timeout_ms;
	contents->plain = strncasecmp(config->api_url, "http:", 5) == 0;
	contents->breaker.timeout_ms = config->timeout_ms;
	TAILQ_INIT(&contents->idle_contents);
	TAILQ_INIT(&contents->foreground);
	TAILQ_INIT(&contents->background);
	TAILQ_INIT(&contents->dropped);
	content_storage_start(contents, loop);
	*ret_contents = contents;
	return 0;
}

void contents_free(struct contents *contents)
{
	size_t i;

	if (!contents)
		return;
	content_storage_end(contents);
	for (i = 0; i < CONTENT_BUCKETS; i++) {
		struct content *content;

		while ((content = contents->table[i])) {
			struct part *part;

			while ((part = TAILQ_FIRST(&content->parts)))
				part_drop(part);
			if (content->link_fetch)
				fetch_cancel(content->link_fetch);
			content_free(content);
		}
	}
	content_storage_free(contents);
}

void contents_forget(struct contents *contents)
{
	struct content *content;
	size_t i;

	contents->pause_until_ms = 0;
	breaker_success(&contents->breaker, loop_now_ms());
	uv_timer_stop(&contents->probe_timer);
	secret_fini(&contents->probe_link);
	contents->forgotten++;
	while ((content = TAILQ_FIRST(&contents->idle_contents)))
		content_free(content);
	for (i = 0; i < CONTENT_BUCKETS; i++) {
		for (content = contents->table[i]; content; content = content->next) {
			content->forget = true;
			content->failed.error = 0;
			content->link_renewed = false;
			secret_fini(&content->link);
		}
	}
	content_storage_wake(contents);
}

const struct content_counters *contents_counters(const struct contents *contents)
{
	return &contents->counters;
}

size_t contents_bytes(const struct contents *contents, size_t *ret_block_bytes)
{
	*ret_block_bytes = block_cache_counters(contents->blocks)->bytes;
	return *ret_block_bytes + contents->idle_bytes;
}

bool contents_breaker_open(const struct contents *contents)
{
	return contents->breaker.open;
}

bool contents_failing(const struct contents *contents)
{
	return contents->breaker.failing_since_ms != 0;
}

int64_t contents_pause_ms(const struct contents *contents)
{
	int64_t left_ms = contents->pause_until_ms - loop_now_ms();

	return left_ms > 0 ? left_ms : 0;
}
