/*
 * fault: the faults a test has planted, and which of them a request meets.
 *
 * A fault belongs to a route (or to all), lets some requests pass, then strikes a number of times.
 * The list is owned by the simulator and guarded by its lock; a request keeps its own copy, so that
 * clearing faults never pulls one from under it.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "buf.h"
#include "stats.h"

#include <stdint.h>

#define FAULT_BODY_MAX	   1024
#define FAULT_TEXT_MAX	   128
#define FAULT_LOCATION_MAX 512
#define FAULT_VARIANTS	   8 /* of wrong types */
#define FAULT_LIST_MAX	   1000
#define FAULT_DEEP_LEVELS  100000
#define FAULT_BIG_TOTAL	   "1000000000000000"

enum fault_kind {
	FAULT_NONE,
	/* These take the place of the answer: the request is not even looked at. */
	FAULT_STATUS,
	FAULT_RESET,
	FAULT_HANG,
	FAULT_NOT_JSON,
	FAULT_EMPTY_BODY,
	FAULT_WRONG_TYPES,
	FAULT_DEEP,
	FAULT_ENDLESS, /* at storage it spoils the right answer instead */
	FAULT_REDIRECT,
	/* These spoil the right answer. */
	FAULT_TRUNCATE,
	FAULT_SLOW,
	FAULT_DELAY,
	FAULT_BAD_UTF8,
	FAULT_BIG_TOTAL_COUNT,
	FAULT_ZERO_PAGE,
	FAULT_NULL_ITEMS,
	/* These too, at storage only. */
	FAULT_WRONG_RANGE,
	FAULT_OTHER_LENGTH,
	FAULT_NO_CONTENT_RANGE,
	FAULT_SHORT_RANGE,
	FAULT_IGNORE_RANGE,
	FAULT_OTHER_ETAG,
	FAULT_ENCODED,
	FAULT_KINDS,
};

struct fault {
	struct fault *next;	   /* owned */
	const struct route *route; /* NULL: every one */
	enum fault_kind kind;
	int64_t times; /* -1: until cleared */
	uint64_t after;
	uint64_t passed;
	uint64_t fired;
	uint64_t epoch; /* of the simulator when it struck */

	unsigned int status;
	unsigned int variant;
	uint64_t bytes_per_second;
	uint64_t ms;
	char retry_after[FAULT_TEXT_MAX]; /* empty: no header */
	char location[FAULT_LOCATION_MAX];
	char body[FAULT_BODY_MAX]; /* empty: an error of the vendor's */
};

struct sim;
struct cJSON;

/* Reads a fault from the control port's JSON. Returns -EINVAL and says what is wrong, or -ENOMEM.
 */
int fault_add(struct sim *sim, const struct cJSON *json, const char **ret_problem);
void fault_clear(struct sim *sim);
void fault_render(const struct sim *sim, struct buf *out);
/* The fault that strikes this request; kind FAULT_NONE if none does. Counts. */
struct fault fault_take(struct sim *sim, const struct route *route);
/* True if the fault takes the place of this route's answer. */
bool fault_replaces(const struct fault *fault, const struct route *route);
/* Puts bytes that are no UTF-8 into the first name in a JSON text. */
void fault_spoil_utf8(struct buf *body);

#endif
