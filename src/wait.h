/* wait.h: who waits for what, each until a deadline.
 *
 * Whatever can be waited for (a listing, a document's bytes) has a queue; one room holds all who
 * wait in any of them, by deadline, with one timer. A waiter is woken exactly once, unless it
 * leaves first. */
#ifndef IBINDERFS_WAIT_H
#define IBINDERFS_WAIT_H

#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

struct wait_room;
struct waiter;

struct wait_queue {
	TAILQ_HEAD(, waiter) waiters;
	/* A waiter that asked then has waited in vain: returns the -errno to tell it. */
	int (*missed)(void *owner, int64_t asked_ms);
	void *owner;
};

/* Embedded in the waiting request. */
struct waiter {
	TAILQ_ENTRY(waiter) in_queue;
	TAILQ_ENTRY(waiter) in_room;
	struct wait_queue *queue;
	int64_t asked_ms;
	int64_t deadline_ms;
	/* Called from the loop: 0 when there is something new, else -errno. May wait again. */
	void (*wake)(struct waiter *waiter, int error);
};

struct wait_counters {
	uint64_t waiting; /* now */
	uint64_t waits;
	uint64_t missed; /* deadlines */
};

/* All wait at most `timeout_ms`. Returns 0 or -ENOMEM. */
int wait_room_new(uv_loop_t *loop, int64_t timeout_ms, struct wait_room **ret_room);
/* Nobody may wait any more. Memory is released once the loop has run again. NULL is legal. */
void wait_room_free(struct wait_room *room);
const struct wait_counters *wait_counters(const struct wait_room *room);

void wait_queue_init(struct wait_queue *queue, int (*missed)(void *owner, int64_t asked_ms),
		     void *owner);
/* Whoever has to wait a second time passes the time it first asked, and keeps its deadline. */
void wait_enter(struct wait_room *room, struct wait_queue *queue, struct waiter *waiter,
		int64_t asked_ms);
void wait_leave(struct wait_room *room, struct waiter *waiter);
/* Wakes all who wait now; those who come back in meanwhile go on waiting. */
void wait_wake(struct wait_room *room, struct wait_queue *queue, int error);

#endif
