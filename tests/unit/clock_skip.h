/* clock_skip.h: a clock that a test can turn forward: waits of minutes take no time, and a machine
 * can have slept. It stands before the C library's own for the whole program, libuv included. The
 * wall clock stays as it is. Include in one file of a program. */
#ifndef CLOCK_SKIP_H
#define CLOCK_SKIP_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static int64_t clock_awake_ms;	/* added to all clocks but the wall's */
static int64_t clock_asleep_ms; /* added to the one that counts while the machine sleeps */

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t ms = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? 0 : clock_awake_ms;
	int64_t ns;

	if (clock == CLOCK_BOOTTIME)
		ms += clock_asleep_ms;
	if (syscall(SYS_clock_gettime, clock, now) != 0)
		return -1;
	ns = now->tv_nsec + ms % 1000 * 1000000;
	now->tv_sec += ms / 1000 + ns / 1000000000;
	now->tv_nsec = ns % 1000000000;
	return 0;
}

/* Time passes, and the timers that are due by then fire. */
static inline void clock_skip(uv_loop_t *loop, int64_t ms)
{
	clock_awake_ms += ms;
	uv_run(loop, UV_RUN_NOWAIT);
}

/* Time passes while the machine sleeps, and the timers with it. */
static inline void clock_sleep(int64_t ms)
{
	clock_asleep_ms += ms;
}

#endif
