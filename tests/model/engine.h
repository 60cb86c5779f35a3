/* engine.h: the daemon without kernel, network or time: what the files of this program share.
 *
 * All of src/ but main.c, http.c and libfuse's session is the real thing, on the real libuv.
 * Replaced are, in this program alone:
 *
 *   the clock      clock_gettime() stands before the C library's, also for libuv: time passes when
 *                  a schedule says so, from timer to timer (clock.c)
 *   http.c         each request waits until a schedule answers it: rightly, wrongly, late or never
 *                  (transport.c, storage.c)
 *   libfuse        requests come from the schedule through the session's descriptor, answers are
 *                  looked at where they are given (session.c, kernel.c)
 *   the server     a small organisation or knowledge base that remembers all it ever was: what
 *                  differs between the vendors stands in *_ibinder.c, *_inbenta.c (vendor.h)
 *   malloc         fails when a schedule says so (memory.c)
 *
 * A schedule is what one seed makes of them; it comes out the same each time. */
#ifndef ENGINE_H
#define ENGINE_H

#include "buf.h"
#include "fs_internal.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define NS_PER_MS  INT64_C(1000000)
/* What failed is not tried again for a while. */
#define FAILURES_LAST_MS 10000

/* --- engine.c: the schedule --- */

/* Prints the seed, the latest actions and what is wrong, and ends the program. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail(__VA_ARGS__);                                                         \
	} while (0)
void action(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Below n; n > 0. */
unsigned rng_below(unsigned n);
static inline bool rng_percent(unsigned percent)
{
	return rng_below(100) < percent;
}
#define RNG_PICK(arr) ((arr)[rng_below(COUNT(arr))])

extern struct config config;
extern struct daemon {
	struct provider *provider;
	struct failures failures;
	struct http *http;
	struct http *storage;
	struct wait_room *room;
	struct fetcher *fetcher;
	struct tree *tree;
	struct contents *contents;
	struct control control;
	struct fs *fs;
} engine;
extern uv_loop_t loop;
/* Grows with each step of a schedule: what happened before what. */
extern uint64_t now_seq;
/* Something failed since the last quiet point: old answers and errors may come. */
extern bool troubled;
/* When that was. */
extern uint64_t quiet_seq;
/* Or before that: what is shown for want of newer may be of then. */
extern bool was_troubled;
/* An allocation has failed since then: as little is new, but ENOMEM is the only error that may come
 * of it. */
extern bool starved;
/* The latest SIGHUP, on the clock that counts sleep and as a now_seq; 0: none. */
extern int64_t hangup_ms;
extern uint64_t hangup_seq;

/* --- clock.c --- */

extern int64_t clock_ms;	/* of timers */
extern int64_t clock_asleep_ms; /* which passed beside it: the machine slept */
static inline int64_t clock_boot_ms(void)
{
	return clock_ms + clock_asleep_ms;
}
void clock_reset(void);
int64_t clock_wall_ns(void); /* without moving it */

/* --- memory.c --- */

extern unsigned memory_one_of; /* of so many allocations one fails; 0: none */
extern unsigned memory_until;  /* the one of that number fails, and no other; 0: none */
extern unsigned memory_spared; /* while not 0, none does: the server is at work */
/* When the latest failed, in clock_ms; and how many ever did. */
extern int64_t memory_failed_ms;
extern uint64_t memory_failures;
void memory_init(void);
void memory_plenty(void);
/* Whether one fails here, in a part of the daemon that is not the real one. */
bool memory_fails(void);
/* For this program itself: never fail. */
void *memory_get(size_t size);
char *memory_get_text(const char *text);

/* --- vendor.h --- */

/* Whose server the schedule meets. */
extern const struct vendor *vendor;

/* --- world.c: the server's truth --- */

#define DOCUMENTS  10
#define STATES_MAX 24 /* of each object; it changes no more then */
#define TEXT_MAX   1024

/* What an object was from `from` (a now_seq) on. */
struct state {
	uint64_t from;
	int64_t from_wall_ns;
	bool there;
	int binder;	     /* of a document; -1 for others */
	int folder;	     /* -1: none */
	unsigned categories; /* or those it is in, a bit for each */
	unsigned name;
	unsigned revision;
	unsigned version;
};

struct object {
	struct state states[STATES_MAX];
	unsigned count;
	bool dated; /* a document that shows a date of its own */
};

extern struct world {
	struct object documents[DOCUMENTS];
} world;

void world_reset(void);
static inline const struct state *world_now(const struct object *object)
{
	return &object->states[object->count - 1];
}
/* A new state, like the one before. */
struct state *world_change_object(struct object *object);
/* Whether that was so at some time between the two. */
bool world_was(const struct object *object, unsigned state, uint64_t since, uint64_t until);
/* Of an answer: an item of a JSON array. */
void world_add_item(struct buf *out, bool *first, const char *text);
/* The digit that ends a text which begins like this; -1: it does not, or is not below. */
int world_digit_after(const char *text, const char *start, int below);

/* The date of a document that has one, as a time. */
#define WORLD_DATE_NS (INT64_C(1700000000) * 1000000000)

/* --- transport.c --- */

enum outcome {
	OUTCOME_RIGHT,
	OUTCOME_ERROR,	 /* network */
	OUTCOME_5XX,	 /* perhaps with Retry-After */
	OUTCOME_429,	 /* the same */
	OUTCOME_401,	 /* though the token is good */
	OUTCOME_403,	 /* at storage: the link is refused */
	OUTCOME_REFUSED, /* of a token request: invalid_client */
	OUTCOME_NONSENSE,
	OUTCOME_CUT, /* half of the body */
	OUTCOMES_USUAL,
	OUTCOME_MISLED = OUTCOMES_USUAL, /* at storage: a redirect */
	OUTCOME_LIE,			 /* and an answer that is not what was asked for */
	OUTCOMES
};

/* Forgets tokens, links and pauses of the schedule before. */
void transport_reset(void);
/* How many wait for an answer. */
unsigned transport_waiting(void);
/* Answers the one at `index`; true if as a good server would. */
bool transport_answer(unsigned index, enum outcome outcome);
/* When the first of them runs out of time, in clock_ms; INT64_MAX: none waits. */
int64_t transport_deadline_ms(void);
void transport_expire(void);
/* The server believes no token that it gave so far, or is elsewhere. */
void transport_revoke(void);
/* SIGHUP: the client may ask again at once. */
void transport_forget(void);
/* Until set again the server refuses nothing for being asked too much. */
extern bool transport_is_well;

/* --- storage.c --- */

#define STORAGE_PLAIN "http://127.0.0.1"
#define STORAGE_TLS   "https://storage.test"

/* What kind of storage a schedule meets; all are good ones but for `lies` and `swaps`. */
extern struct storage {
	enum storage_kind {
		STORAGE_RANGES,
		STORAGE_WHOLE,	/* knows no ranges */
		STORAGE_STREAM, /* nor lengths */
		STORAGE_KINDS
	} kind;
	unsigned hops; /* redirects from the link to the bytes */
	bool has_etags;
	bool bare_416; /* without a total */
	bool swaps;    /* generations */
	int latest;    /* document that was asked for */
	bool lies;     /* and so does the API: OUTCOME_MISLED, OUTCOME_LIE */
	const char *scheme_and_host;
} storage;
void storage_pick(void);

/* Storage may have other bytes of a version all at once, against what the API promises. */
#define GENERATIONS	 3
#define STORAGE_SIZE_MAX 700000
#define STORAGE_SLACK	 2000 /* more bytes that may be sent after the last */
void storage_swap(void);
/* How many a version has had so far; the last is what storage sends. */
unsigned storage_generations(int document, unsigned version);
size_t storage_size(int document, unsigned version, unsigned generation);
const char *storage_bytes(int document, unsigned version, unsigned generation);

/* --- kernel.c --- */

void kernel_reset(void);
/* A request at random, if there is room for another. */
void kernel_ask(void);
void kernel_interrupt(void);
/* Closes a handle, or forgets a node. */
void kernel_drop(void);
void kernel_drop_all(void);
unsigned kernel_waiting(void);
/* After a turn of the loop: nobody waits past its deadline, nor once interrupted. */
void kernel_check(void);
/* At the end: whatever was asked was answered. */
void kernel_check_ended(void);
/* Everything is read by one of the ways that lead there, and equals the truth. */
void kernel_compare(void);
void kernel_compare_reset(void);
/* All directories are read, while something may change. */
void kernel_walk(void);

/* --- engine.c, for kernel.c --- */

/* Runs the loop until it has nothing to do at this time. */
void settle(void);
/* Lets the server answer all rightly, and time pass, until `condition`. */
void run_well(bool (*condition)(void));

/* --- invariants.c --- */

/* What one fetch brings. */
#define PARTS_MAX 3
enum key {
	KEY_TOP,
	KEY_PART,
	KEY_OBJECT = KEY_PART + PARTS_MAX,
	KEY_QUERY = KEY_OBJECT + DOCUMENTS,
	KEYS
};

void invariants_reset(void);
/* Lists, counters and references of the engine agree. Also notes which keys are being fetched. */
void invariants_check(void);
/* Whether a fetch has not ended yet, be it that it waits. */
bool invariants_is_fetching(void);
/* What comes from here on was not there before. */
void invariants_mark(void);
/* The first now_seq of which a listing of that key may tell that came at `ms` or later, and may be
 * shown to who asked then. False: none came since. */
bool invariants_since(int key, int64_t ms, uint64_t asked, uint64_t *ret_seq);

#endif
