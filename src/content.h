/* content.h: what documents hold: sizes and bytes, by version.
 *
 * A version's bytes never change (I), so a content is one version of one document, shared by all
 * who have it open. Its size is learnt from the first ranged GET; bytes come in parts (ranges, or
 * one stream where storage knows no ranges) into the block cache. Storage is asked without any
 * credentials: the link that the API gives is one, and is asked for again when it expires.
 *
 * Nothing here blocks: what is not there yet is -EAGAIN, and waited for in content_queue(). */
#ifndef IBINDERFS_CONTENT_H
#define IBINDERFS_CONTENT_H

#include "config.h"
#include "failures.h"
#include "fetch.h"
#include "http.h"
#include "readahead.h"
#include "wait.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct contents;
struct content;

struct content_counters {
	uint64_t contents; /* known now: sizes, at least */
	uint64_t requests; /* to storage, retries included */
	uint64_t retries;
	uint64_t answers; /* whatever they said */
	uint64_t bytes;	  /* received from storage */
	uint64_t links;	  /* asked for */
	uint64_t in_flight;
	uint64_t reads; /* answered */
	uint64_t bytes_read;
	uint64_t failures; /* of what somebody waited for */
};

/* `http`: an HTTP_STORAGE. What is passed in must outlive it. Returns 0 or -errno. */
int contents_new(uv_loop_t *loop, struct http *http, const struct config *config,
		 struct fetcher *fetcher, struct wait_room *room, struct failures *failures,
		 struct contents **ret_contents);
/* Nobody may wait any more. Memory is released once the loop has run again. NULL is legal. */
void contents_free(struct contents *contents);
/* Forgets sizes, bytes (where a file is open, once it is not), links, failures and a pause that
 * storage asked for: SIGHUP. */
void contents_forget(struct contents *contents);
const struct content_counters *contents_counters(const struct contents *contents);
/* Bytes held in memory, and how many of them in blocks. */
size_t contents_bytes(const struct contents *contents, size_t *ret_block_bytes);
bool contents_breaker_open(const struct contents *contents);
/* Whether storage has failed since it last answered. */
bool contents_failing(const struct contents *contents);
/* How long storage still wants to be left alone; 0: it does not. */
int64_t contents_pause_ms(const struct contents *contents);

/* Names the bytes of a version wherever a number is needed; never 0. Another one if they turn out
 * to have changed, or were forgotten. */
uint64_t contents_key(struct contents *contents, const char *version);
/* The size of a version if it is known, without asking anybody. */
bool contents_size(struct contents *contents, const char *version, uint64_t *ret_size);

/* The content of a document's version, made if need be, counted: who waits in its queue keeps a
 * reference. `path` names it to users, below
 * the mount point. Returns 0 or -ENOMEM. */
int contents_get(struct contents *contents, const char *document, const char *version,
		 const char *path, struct content **ret_content);
/* With the last one, what nobody waits for is no longer fetched. */
void content_unref(struct content *content);

/* 0 once the size is known; -EAGAIN: being learnt; -errno. `first_bytes`: fetch the beginning by
 * the same request, as who opens a file is about to read it. */
int content_open(struct content *content, bool first_bytes);
/* Has the size learnt though nobody waits for it. Returns 0 or -errno. */
int content_probe(struct content *content, bool first_bytes);
/* Of how many contents the first bytes may be fetched so. */
size_t contents_ahead_max(const struct contents *contents);
/* Only once it is known. */
uint64_t content_size(const struct content *content);
/* The bytes from `offset` on that are there without a gap, at most `len`: in at most `iov_max`
 * pieces, borrowed until the loop runs again. Returns how many bytes. */
size_t content_peek(struct content *content, uint64_t offset, size_t len, struct iovec *iov,
		    size_t iov_max, size_t *ret_count);
/* Sees to it that these bytes come, and those that the reader will want next. Returns 0 or -errno.
 */
int content_want(struct content *content, struct readahead *readahead, uint64_t offset, size_t len);
/* Who answered a read of so many bytes says so. */
void content_note_read(struct content *content, size_t len);
/* Woken when there is more, or a failure: ask again. */
struct wait_queue *content_queue(struct content *content);

#endif
