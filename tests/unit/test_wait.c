/* test_wait.c: each waiter is woken exactly once: by its queue, or by its deadline, unless it left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock_skip.h"
#include "http_server.h"
#include "wait.h"

#include <errno.h>

#define COUNT(arr)  (sizeof(arr) / sizeof((arr)[0]))
#define TIMEOUT_MS  10000
#define MANY	    6
#define NOT_WOKEN   1
#define MISSED_BASE (-1000)

struct person {
	struct waiter waiter; /* first, so that a waiter is a person */
	int error;	      /* NOT_WOKEN, or what it was told */
	unsigned wakes;
	unsigned order; /* in which it was woken, from 1 */
	bool comes_back;
	struct person *makes_leave; /* who leaves when this one is woken */
	struct person *makes_come;  /* who comes into the first queue then */
};

static uv_loop_t loop;
static struct wait_room *room;
static struct wait_queue queues[2];
static struct person people[MANY];
static unsigned woken;
static int64_t missed_asked_ms;

/* Says whose deadline it was, and in which queue. */
static int missed(void *owner, int64_t asked_ms)
{
	missed_asked_ms = asked_ms;
	return MISSED_BASE - (int)((struct wait_queue *)owner - queues);
}

static void on_wake(struct waiter *waiter, int error)
{
	struct person *person = (struct person *)waiter;

	person->wakes++;
	person->error = error;
	person->order = ++woken;
	if (person->comes_back)
		wait_enter(room, waiter->queue, waiter, waiter->asked_ms);
	if (person->makes_leave)
		wait_leave(room, &person->makes_leave->waiter);
	if (person->makes_come)
		wait_enter(room, &queues[0], &person->makes_come->waiter, loop_now_ms());
}

static int set_up(void **state)
{
	(void)state;
	memset(people, 0, sizeof(people));
	for (size_t i = 0; i < MANY; i++) {
		people[i].error = NOT_WOKEN;
		people[i].waiter.wake = on_wake;
	}
	woken = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(wait_room_new(&loop, TIMEOUT_MS, &room), 0);
	for (size_t i = 0; i < COUNT(queues); i++)
		wait_queue_init(&queues[i], missed, &queues[i]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	wait_room_free(room);
	loop_drain(&loop);
	return 0;
}

static uint64_t waiting(void)
{
	return wait_counters(room)->waiting;
}

static void enter(size_t person, size_t queue)
{
	wait_enter(room, &queues[queue], &people[person].waiter, loop_now_ms());
}

/* libuv's timers need the loop to have seen the clock. */
static void turn(int64_t ms)
{
	clock_skip(&loop, ms);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void test_all_of_a_queue_are_woken_in_turn(void **state)
{
	(void)state;
	enter(0, 0);
	enter(1, 1);
	enter(2, 0);
	assert_int_equal(waiting(), 3);
	wait_wake(room, &queues[0], -ENOENT);
	assert_int_equal(people[0].error, -ENOENT);
	assert_int_equal(people[2].error, -ENOENT);
	assert_int_equal(people[0].order, 1);
	assert_int_equal(people[2].order, 2);
	assert_int_equal(people[1].error, NOT_WOKEN);
	assert_int_equal(waiting(), 1);
	wait_wake(room, &queues[0], 0); /* nobody */
	wait_wake(room, &queues[1], 0);
	assert_int_equal(people[1].error, 0);
	assert_int_equal(waiting(), 0);
	assert_int_equal(wait_counters(room)->waits, 3);
	assert_int_equal(wait_counters(room)->missed, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(people[i].wakes, 1);
}

static void test_deadlines(void **state)
{
	int64_t asked_ms = loop_now_ms();

	(void)state;
	enter(0, 0);
	turn(TIMEOUT_MS / 2);
	enter(1, 1);
	turn(TIMEOUT_MS / 2 - 500);
	assert_int_equal(people[0].error, NOT_WOKEN);
	turn(600);
	assert_int_equal(people[0].error, MISSED_BASE);
	assert_in_range(missed_asked_ms, asked_ms, asked_ms + 300);
	assert_int_equal(people[1].error, NOT_WOKEN); /* the timer goes on for the next */
	assert_int_equal(waiting(), 1);
	turn(TIMEOUT_MS / 2);
	assert_int_equal(people[1].error, MISSED_BASE - 1);
	assert_int_equal(wait_counters(room)->missed, 2);
	assert_int_equal(waiting(), 0);
	turn(10 * TIMEOUT_MS);
	assert_int_equal(people[0].wakes + people[1].wakes, 2);
}

/* The timer fires by itself: nobody has to look. */
static void test_a_deadline_needs_no_help(void **state)
{
	(void)state;
	wait_enter(room, &queues[0], &people[0].waiter, loop_now_ms() - TIMEOUT_MS + 30);
	RUN_UNTIL(&loop, people[0].wakes);
	assert_int_equal(people[0].error, MISSED_BASE);
}

/* Who came late may have asked early, and waits in another queue. */
static void test_the_earliest_deadline_counts(void **state)
{
	int64_t now_ms = loop_now_ms();

	(void)state;
	wait_enter(room, &queues[0], &people[0].waiter, now_ms);
	wait_enter(room, &queues[1], &people[1].waiter, now_ms - 4000);
	wait_enter(room, &queues[0], &people[2].waiter, now_ms - 2000);
	wait_enter(room, &queues[0], &people[3].waiter, now_ms - 6000);
	turn(TIMEOUT_MS + 100);
	assert_int_equal(people[3].order, 1);
	assert_int_equal(people[1].order, 2);
	assert_int_equal(people[2].order, 3);
	assert_int_equal(people[0].order, 4);
}

/* However often it looks, nobody waits longer than the first time allows. */
static void test_who_comes_back_keeps_the_deadline(void **state)
{
	(void)state;
	enter(0, 0);
	people[0].comes_back = true;
	for (int i = 0; i < 9; i++) {
		turn(TIMEOUT_MS / 10);
		wait_wake(room, &queues[0], 0);
	}
	assert_int_equal(people[0].wakes, 9);
	assert_int_equal(people[0].error, 0);
	people[0].comes_back = false;
	turn(TIMEOUT_MS / 10 + 100);
	assert_int_equal(people[0].wakes, 10);
	assert_int_equal(people[0].error, MISSED_BASE);
}

static void test_who_comes_back_is_not_woken_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		enter(i, 0);
		people[i].comes_back = i % 2 == 0;
	}
	people[1].makes_come = &people[4];
	wait_wake(room, &queues[0], 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(people[i].wakes, 1);
	assert_int_equal(people[4].wakes, 0);
	assert_int_equal(waiting(), 3);
	wait_leave(room, &people[0].waiter);
	wait_leave(room, &people[2].waiter);
	wait_leave(room, &people[4].waiter);
}

static void test_who_leaves_is_not_woken(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++)
		enter(i, 0);
	wait_leave(room, &people[0].waiter); /* the earliest deadline */
	people[1].makes_leave = &people[2];
	wait_wake(room, &queues[0], 0);
	assert_int_equal(people[0].wakes, 0);
	assert_int_equal(people[1].wakes, 1);
	assert_int_equal(people[2].wakes, 0);
	assert_int_equal(waiting(), 0);
	/* The same when a deadline makes somebody leave. */
	enter(1, 0);
	enter(2, 1);
	turn(TIMEOUT_MS + 100);
	assert_int_equal(people[1].error, MISSED_BASE);
	assert_int_equal(people[2].wakes, 0);
	assert_int_equal(waiting(), 0);
	assert_int_equal(wait_counters(room)->missed, 1);
}

/* Else the loop would never end. */
static void test_an_empty_room_has_no_timer(void **state)
{
	(void)state;
	enter(0, 0);
	enter(1, 1);
	assert_int_equal(uv_loop_alive(&loop), 1);
	wait_leave(room, &people[0].waiter);
	assert_int_equal(uv_loop_alive(&loop), 1);
	wait_wake(room, &queues[1], 0);
	assert_int_equal(uv_loop_alive(&loop), 0);
	wait_room_free(NULL);
}

/* Who comes to wait just then puts no other's deadline off, however often. */
static void test_who_is_due_is_not_put_off_by_who_comes(void **state)
{
	(void)state;
	enter(0, 0);
	clock_awake_ms += TIMEOUT_MS;
	for (int i = 0; i < 5; i++) {
		enter(1, 1);
		wait_leave(room, &people[1].waiter);
		turn(0);
		clock_awake_ms += 1;
	}
	assert_int_equal(people[0].wakes, 1);
	assert_int_equal(people[0].error, MISSED_BASE);
	assert_int_equal(people[1].wakes, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_all_of_a_queue_are_woken_in_turn),
		TEST(test_deadlines),
		TEST(test_a_deadline_needs_no_help),
		TEST(test_the_earliest_deadline_counts),
		TEST(test_who_comes_back_keeps_the_deadline),
		TEST(test_who_comes_back_is_not_woken_twice),
		TEST(test_who_leaves_is_not_woken),
		TEST(test_an_empty_room_has_no_timer),
		TEST(test_who_is_due_is_not_put_off_by_who_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
