/* clock.c: time that passes when a schedule says so. Stands before the C library's for the whole
 * program, libuv included. */
#include "engine.h"

#include <time.h>

#define START_MS   INT64_C(1000000)
#define WALL_START INT64_C(1790000000)

int64_t clock_ms;
int64_t clock_asleep_ms;
static int64_t looks; /* at the wall clock: each sees another time, as on a real one */

void clock_reset(void)
{
	clock_ms = START_MS;
	clock_asleep_ms = 0;
	looks = 0;
}

int64_t clock_wall_ns(void)
{
	return WALL_START * 1000 * NS_PER_MS + clock_boot_ms() * NS_PER_MS + looks;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t ns = clock_ms * NS_PER_MS;

	if (clock == CLOCK_BOOTTIME)
		ns = clock_boot_ms() * NS_PER_MS;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
		looks++;
		ns = clock_wall_ns();
	}
	now->tv_sec = ns / (1000 * NS_PER_MS);
	now->tv_nsec = ns % (1000 * NS_PER_MS);
	return 0;
}
