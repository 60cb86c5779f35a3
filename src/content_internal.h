/* content_internal.h: what the content*.c files share. Nothing else includes it.
 *
 *   content.c          contents by version: sizes, who waits, what is there
 *   content_plan.c     what to fetch next
 *   content_part.c     one ranged GET over all its tries: what an answer means
 *   content_storage.c  all parts together: budget, pause, breaker, links */
#ifndef IBINDERFS_CONTENT_INTERNAL_H
#define IBINDERFS_CONTENT_INTERNAL_H

#include "block.h"
#include "breaker.h"
#include "content.h"
#include "secret.h"

#define CONTENT_BUCKETS 1024
/* Furthest that is read ahead of a reader. */
#define CONTENT_LEAD_MAX (8 * 1024 * 1024)
#define PART_TO_END	 UINT64_MAX

/* A piece of a content on its way.
 *
 *   state      leaves on                                        to
 *   WAITING    pump has room, a link, and its time has come     SENT
 *   SENT       all bytes came                                   gone
 *              cut short, network, 5xx, 429                     WAITING, after a back-off
 *              an answer that does not fit, the first time      WAITING, after a back-off
 *              401, 403, 404, 410 with a link that may be old   WAITING, for a new link
 *              a redirect, two at most                          WAITING, for the new address
 *              416 without a total                              WAITING, without a Range
 *              anything else, or no time left for another try   gone, and its waiters are told
 *   either     nobody wants it any more                         DROPPED: gone when the pump runs
 */
struct part {
	TAILQ_ENTRY(part) in_content; /* but not once dropped */
	TAILQ_ENTRY(part) in_contents;
	struct contents *contents;
	struct content *content;	/* NULL once dropped */
	struct http_transfer *transfer; /* while SENT */
	uint64_t pos;			/* the next byte to come */
	uint64_t ask_end;		/* asked for from there to here */
	uint64_t end;			/* of what comes; PART_TO_END: nobody knows yet */
	uint64_t from;			/* where the answer under way began */
	uint64_t until;			/* paused when it gets there */
	uint64_t reached;		/* furthest end of what came, over all tries */
	struct block *block;		/* being filled; pinned; or NULL */
	struct secret location;		/* where a redirect leads; or unset */
	uint64_t link_serial;		/* of the link it was sent to */
	int64_t first_ms;		/* of the first try since the last progress */
	int64_t sent_ms;		/* of the latest */
	int64_t head_ms;		/* when its answer began */
	int64_t due_ms;			/* while WAITING */
	int64_t paused_ms;		/* since when, while paused */
	unsigned int tries;
	unsigned int redirects;
	bool foreground; /* somebody waits */
	bool accepted;	 /* the head of the answer was as it must be */
	bool is_stream;	 /* the whole content from its start: storage knows no ranges */
	bool plain;	 /* asked for without a Range */
	bool is_long;	 /* a range longer than what is wanted now: held back like a stream */
	bool is_cut;	 /* it ends before its answer does */
	bool size_only;	 /* nobody wants its one byte */
	bool paused;
	bool was_paused;     /* so storage is faster than the reader */
	bool resume;	     /* the pump is to do that */
	bool is_https;	     /* where it was sent to */
	bool was_refused;    /* by storage, since the last progress */
	bool doubted;	     /* an answer that did not fit has been asked for once more */
	const char *problem; /* why the answer is not taken; static; or NULL */
	int last_error;	     /* of the try before, or 0 */
};

struct content {
	struct content *next;	   /* in the table */
	TAILQ_ENTRY(content) idle; /* while nobody holds it */
	struct contents *contents;
	uint64_t key;
	char *document;
	char *version;
	char *path;
	unsigned int references; /* by open files and by who waits */
	bool listed;		 /* in the table: not broken */
	bool is_idle;
	bool forget; /* once nobody holds it */
	bool size_known;
	uint64_t size;
	uint64_t etag; /* of the first answer that had one */
	bool no_range;
	bool in_chunks; /* several short ranges at once are faster than a long one */
	bool probing;	/* its size is being learnt ahead of who will ask */
	int broken;	/* -errno: its bytes changed under way; it is of no use any more */
	/* What could not be had lately: who wants just that is told so. */
	struct {
		int error;
		uint64_t from;
		uint64_t end;
		int64_t at_ms;
	} failed;
	struct secret link;
	uint64_t link_serial;
	bool link_renewed; /* it replaces one that was refused, and has not worked yet */
	struct fetch *link_fetch;
	int64_t ahead_failed_ms; /* when something could not be read ahead: not at once again */
	uint64_t lead_max;	 /* bytes that may be read ahead, as the speed of late allows */
	TAILQ_HEAD(, part) parts;
	unsigned int part_count;
	struct wait_queue waiters;
};

struct contents {
	uv_idle_t idle;	  /* runs the pump from the loop, never from inside a caller */
	uv_timer_t timer; /* for the next due part or the end of a pause */
	uv_timer_t probe_timer;
	unsigned int handles_open; /* of these three */
	struct http *http;
	struct fetcher *fetcher;
	struct wait_room *room;
	struct failures *failures;
	struct block_cache *blocks;
	size_t connections;
	size_t memory; /* for all of it */
	size_t memory_idle;
	size_t idle_bytes;
	size_t held;	    /* contents with references */
	uint64_t forgotten; /* changes with each: what is opened anew must not share its key */
	size_t paused;	    /* parts */
	int64_t timeout_ms;
	struct content *table[CONTENT_BUCKETS];
	TAILQ_HEAD(, content) idle_contents; /* least recently used first */
	TAILQ_HEAD(part_list, part) foreground;
	struct part_list background;
	struct part_list dropped;
	int64_t pause_until_ms;
	bool plain; /* the API is plain http, on loopback: so may storage be */
	struct breaker breaker;
	struct secret probe_link;
	struct http_transfer *probe;
	struct content_counters counters;
};

/* content.c */
void content_ref(struct content *content);
/* Frees it if nothing needs it, or lets it go idle. */
void content_maybe_idle(struct content *content);
/* Takes a size that an answer told. Returns 0, or -EBADMSG if it differs: then it is broken. */
int content_learn_size(struct content *content, uint64_t size);
/* Its bytes are no longer those that were read before. */
void content_break(struct content *content, const char *why);
/* Who waits looks again. The caller must not touch it after. */
void content_wake(struct content *content);
bool content_is_wanted(const struct content *content);

/* content_plan.c */
/* Sees to it that the byte at `offset` comes, with those to `end`; in the foreground for somebody
 * who waits. Returns 0 or -errno. */
int content_fetch(struct content *content, uint64_t offset, uint64_t end, bool foreground);

/* content_part.c */
int part_new(struct content *content, uint64_t start, uint64_t end, bool foreground,
	     struct part **ret_part);
/* It is gone for its content at once, and for good when the pump runs. */
void part_drop(struct part *part);
void part_free(struct part *part);
void part_promote(struct part *part);
/* Lets it end there, though its answer goes on. */
void part_cut(struct part *part, uint64_t end);
/* Lets it come to `until`; goes on if it is paused. */
void part_extend(struct part *part, uint64_t until);
void part_resumed(struct part *part);
int part_send(struct part *part, int64_t now_ms);
/* Ends it; who waits for these bytes is told. `what` is for people; NULL if it was said already. */
void part_fail(struct part *part, int error, const struct http_response *response,
	       const char *what);

/* content_storage.c */
void content_storage_start(struct contents *contents, uv_loop_t *loop);
/* Nothing is sent any more. */
void content_storage_end(struct contents *contents);
/* Frees all that was dropped, and the contents once the loop has run again. */
void content_storage_free(struct contents *contents);
/* Looks, in the loop's next turn, what can be sent now. */
void content_storage_wake(struct contents *contents);
void content_storage_pause(struct contents *contents, int64_t wait_ms);
void content_storage_note_failure(struct contents *contents, const struct content *content,
				  int64_t since_ms, int error);
void content_storage_note_success(struct contents *contents);
/* -errno with which a new part would be bound to fail now, or 0. */
int content_storage_refusal(const struct contents *contents, const struct content *content);
/* The link was refused: another is asked for. */
void content_renew_link(struct content *content);
/* There is no link that works: who waits for bytes that need one is told. Who comes later has
 * another asked for. `response` may be NULL; so may `what`, if it was said already. */
void content_fail_link(struct content *content, int error, const struct http_response *response,
		       const char *what);

#endif
