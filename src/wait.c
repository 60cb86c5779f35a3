/* wait.c: waiters by deadline, and the one timer they need. Cannot fail once it is made. */
#include "wait.h"

#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

TAILQ_HEAD(waiter_list, waiter);

struct wait_room {
	uv_timer_t timer; /* for the first deadline */
	int64_t timeout_ms;
	struct waiter_list waiters; /* by deadline */
	struct wait_counters counters;
};

int wait_room_new(uv_loop_t *loop, int64_t timeout_ms, struct wait_room **ret_room)
{
	struct wait_room *room = calloc(1, sizeof(*room));

	if (!room)
		return -ENOMEM;
	uv_timer_init(loop, &room->timer);
	room->timer.data = room;
	room->timeout_ms = timeout_ms;
	TAILQ_INIT(&room->waiters);
	*ret_room = room;
	return 0;
}

static void room_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void wait_room_free(struct wait_room *room)
{
	if (!room)
		return;
	assert(TAILQ_EMPTY(&room->waiters));
	uv_close((uv_handle_t *)&room->timer, room_closed);
}

const struct wait_counters *wait_counters(const struct wait_room *room)
{
	return &room->counters;
}

void wait_queue_init(struct wait_queue *queue, int (*missed)(void *owner, int64_t asked_ms),
		     void *owner)
{
	TAILQ_INIT(&queue->waiters);
	queue->missed = missed;
	queue->owner = owner;
}

static void wake(struct wait_room *room, struct waiter *waiter, int error)
{
	wait_leave(room, waiter);
	waiter->wake(waiter, error);
}

static void on_deadline(uv_timer_t *timer);

static void set_timer(struct wait_room *room)
{
	struct waiter *first = TAILQ_FIRST(&room->waiters);
	int64_t left_ms = first ? first->deadline_ms - loop_now_ms() : 0;

	if (left_ms < 1)
		left_ms = 1;
	if (!first)
		uv_timer_stop(&room->timer);
	/* Else each who comes to wait would put off by 1 ms who is due already. */
	else if (!uv_is_active((uv_handle_t *)&room->timer) ||
		 uv_timer_get_due_in(&room->timer) > (uint64_t)left_ms)
		loop_timer_start(&room->timer, on_deadline, left_ms);
}

static void on_deadline(uv_timer_t *timer)
{
	struct wait_room *room = timer->data;
	struct waiter *waiter;

	while ((waiter = TAILQ_FIRST(&room->waiters)) && waiter->deadline_ms <= loop_now_ms()) {
		room->counters.missed++;
		wake(room, waiter, waiter->queue->missed(waiter->queue->owner, waiter->asked_ms));
	}
	set_timer(room);
}

void wait_enter(struct wait_room *room, struct wait_queue *queue, struct waiter *waiter,
		int64_t asked_ms)
{
	struct waiter *before = TAILQ_LAST(&room->waiters, waiter_list);

	waiter->queue = queue;
	waiter->asked_ms = asked_ms;
	waiter->deadline_ms = asked_ms + room->timeout_ms;
	TAILQ_INSERT_TAIL(&queue->waiters, waiter, in_queue);
	/* Nearly always the last. */
	while (before && before->deadline_ms > waiter->deadline_ms)
		before = TAILQ_PREV(before, waiter_list, in_room);
	if (before)
		TAILQ_INSERT_AFTER(&room->waiters, before, waiter, in_room);
	else
		TAILQ_INSERT_HEAD(&room->waiters, waiter, in_room);
	room->counters.waiting++;
	room->counters.waits++;
	set_timer(room);
}

void wait_leave(struct wait_room *room, struct waiter *waiter)
{
	TAILQ_REMOVE(&waiter->queue->waiters, waiter, in_queue);
	TAILQ_REMOVE(&room->waiters, waiter, in_room);
	room->counters.waiting--;
	if (TAILQ_EMPTY(&room->waiters))
		uv_timer_stop(&room->timer);
}

void wait_wake(struct wait_room *room, struct wait_queue *queue, int error)
{
	struct waiter *waiter;
	size_t count = 0;

	TAILQ_FOREACH (waiter, &queue->waiters, in_queue)
		count++;
	while (count-- > 0 && (waiter = TAILQ_FIRST(&queue->waiters)))
		wake(room, waiter, error);
}
