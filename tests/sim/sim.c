/* See sim.h. */
#include "sim.h"
#include "token.h"
#include "vendor.h"

#include <errno.h>
#include <stddef.h>
#include <sys/random.h>
#include <time.h>

static uint64_t sim_clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t sim_now_ms(void)
{
	return sim_clock_ms(CLOCK_MONOTONIC);
}

uint64_t sim_now_ms_wall(void)
{
	return sim_clock_ms(CLOCK_REALTIME);
}

const struct setting sim_setting_list[] = {
	{"latency_ms", SETTING_NUMBER, offsetof(struct sim_settings, latency_ms),
	 .max = SIM_WAIT_MAX_MS},
	{"jitter_ms", SETTING_NUMBER, offsetof(struct sim_settings, jitter_ms),
	 .max = SIM_WAIT_MAX_MS},
	{"storage_latency_ms", SETTING_NUMBER, offsetof(struct sim_settings, storage_latency_ms),
	 .max = SIM_WAIT_MAX_MS},
	{"token_life", SETTING_NUMBER, offsetof(struct sim_settings, token_life_s),
	 .max = SIM_MAX_SECONDS},
	{0},
};

static int sim_init_lock(struct sim *sim)
{
	pthread_condattr_t attributes;
	int r = pthread_mutex_init(&sim->lock, NULL);

	if (r)
		return -r;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	r = pthread_cond_init(&sim->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (r)
		pthread_mutex_destroy(&sim->lock);
	return -r;
}

int sim_init(struct sim *sim, const struct vendor *vendor)
{
	*sim = (struct sim){.vendor = vendor, .seed = 1};
	if (getrandom(&sim->chance, sizeof(sim->chance), 0) < 0)
		return -errno;
	int r = sim_init_lock(sim);
	if (r)
		return r;
	r = vendor->start(sim);
	if (r)
		sim_fini(sim);
	return r;
}

void sim_fini(struct sim *sim)
{
	token_revoke(sim);
	fault_clear(sim);
	sim->vendor->stop(sim);
	if (sim->log)
		fclose(sim->log);
	pthread_cond_destroy(&sim->wake);
	pthread_mutex_destroy(&sim->lock);
}

void sim_stop(struct sim *sim)
{
	pthread_mutex_lock(&sim->lock);
	sim->stopping = true;
	pthread_cond_broadcast(&sim->wake);
	pthread_mutex_unlock(&sim->lock);
}

bool sim_wait(struct sim *sim, uint64_t ms, uint64_t epoch)
{
	struct timespec end;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)(ms / 1000);
	end.tv_nsec += (long)(ms % 1000) * 1000000;
	if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&sim->lock);
	while (r != ETIMEDOUT && !sim->stopping &&
	       (epoch == UINT64_MAX || epoch == sim->fault_epoch))
		r = pthread_cond_timedwait(&sim->wake, &sim->lock, &end);
	pthread_mutex_unlock(&sim->lock);
	return r == ETIMEDOUT;
}
