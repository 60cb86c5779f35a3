/* loop.c: clocks, timers, a readable descriptor, and the end of the loop. */
#include "loop.h"

#include <stdlib.h>
#include <time.h>

#define NS_PER_S  1000000000LL
#define NS_PER_MS 1000000LL

int64_t loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / NS_PER_MS;
}

int64_t loop_wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t loop_jitter_ms(int64_t ms)
{
	int64_t jittered = ms - ms / 4 + (ms >= 2 ? random() % (ms / 2) : 0);

	return jittered < 1 ? 1 : jittered;
}

void loop_timer_start(uv_timer_t *timer, uv_timer_cb callback, int64_t ms)
{
	/* libuv counts from the start of the loop's turn; a long turn would fire early. */
	uv_update_time(timer->loop);
	uv_timer_start(timer, callback, ms < 1 ? 1 : (uint64_t)ms, 0);
}

static void readable(uv_poll_t *poll, int status, int events)
{
	struct loop_reader *reader = poll->data;

	/* An error on the descriptor is found, and reported, by whoever reads it. */
	(void)status;
	(void)events;
	reader->reader(reader->data);
}

int loop_reader_start(struct loop_reader *reader, uv_loop_t *loop, int fd,
		      void (*function)(void *data), void *data)
{
	int error = uv_poll_init(loop, &reader->poll, fd);

	if (error)
		return error;
	reader->reader = function;
	reader->data = data;
	reader->poll.data = reader;
	return uv_poll_start(&reader->poll, UV_READABLE, readable);
}
