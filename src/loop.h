/* loop.h: clocks, timers and a readable descriptor on the event loop.
 *
 * The daemon is one libuv loop in one thread; that thread owns all state, so there are no locks.
 * A structure with a libuv handle inside is freed by the handle's close callback, as libuv demands:
 * its _free function starts that, and the loop must run once more. */
#ifndef IBINDERFS_LOOP_H
#define IBINDERFS_LOOP_H

#include <stdint.h>
#include <uv.h>

/* Milliseconds on a clock that never steps and counts while the machine sleeps (CLOCK_BOOTTIME), so
 * that a listing or token that aged in a suspended laptop is old when it wakes. */
int64_t loop_now_ms(void);
/* Nanoseconds since the epoch, on the wall clock. Only for times that are shown. */
int64_t loop_wall_ns(void);

/* `ms` plus or minus up to a quarter, so that many clients do not act in step. Never below 1. */
int64_t loop_jitter_ms(int64_t ms);

/* Starts or restarts a timer that fires once, `ms` from now (at least 1). */
void loop_timer_start(uv_timer_t *timer, uv_timer_cb callback, int64_t ms);

/* Calls reader(data) whenever fd has something to read. The handle must stay until closed. Returns
 * 0 or -errno. */
struct loop_reader {
	uv_poll_t poll;
	void (*reader)(void *data);
	void *data;
};
int loop_reader_start(struct loop_reader *reader, uv_loop_t *loop, int fd,
		      void (*function)(void *data), void *data);

#endif
