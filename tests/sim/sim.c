/* See sim.h. */
#include "sim.h"
#include "oauth.h"
#include "text.h"

#include <errno.h>
#include <string.h>
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

int sim_init(struct sim *sim)
{
	pthread_condattr_t attributes;

	*sim = (struct sim){
		.settings =
			{
				.token_life_s = 3600,
				.link_life_s = 300,
				.max_page = 1000,
				.storage_range = true,
				.storage_length = true,
				.storage_416_range = true,
				.subfolders = 200,
				.client_id = "sim-client",
				.client_secret = "s3cr&t=+%/ å",
				.tenant = "6f9619ff-8b86-d011-b42d-00c04fc964ff",
			},
	};
	if (getrandom(&sim->link_key, sizeof(sim->link_key), 0) < 0)
		return -errno;
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

void sim_fini(struct sim *sim)
{
	oauth_revoke(sim);
	fault_clear(sim);
	org_fini(&sim->org);
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

static int sim_set_text(char *field, size_t size, const char *value)
{
	size_t n = strlen(value);

	if (n >= size)
		return -EINVAL;
	memcpy(field, value, n + 1);
	return 0;
}

static int sim_set_number(uint64_t *field, const char *value, uint64_t max)
{
	return text_parse_number(value, max, field) ? -EINVAL : 0;
}

/* One of the words gives true or false; anything else is refused. */
static int sim_set_word(bool *field, const char *value, const char *yes, const char *no)
{
	if (strcmp(value, yes) && strcmp(value, no))
		return -EINVAL;
	*field = !strcmp(value, yes);
	return 0;
}

static int sim_set_switch(bool *field, const char *value)
{
	return sim_set_word(field, value, "true", "false") ? sim_set_word(field, value, "on", "off")
							   : 0;
}

static int sim_set_subfolders(unsigned int *field, const char *value)
{
	if (!strcmp(value, "present"))
		*field = 200;
	else if (!strcmp(value, "404"))
		*field = 404;
	else if (!strcmp(value, "405"))
		*field = 405;
	else
		return -EINVAL;
	return 0;
}

int sim_set(struct sim_settings *s, const char *name, const char *value)
{
	if (!strcmp(name, "latency_ms"))
		return sim_set_number(&s->latency_ms, value, SIM_WAIT_MAX_MS);
	if (!strcmp(name, "jitter_ms"))
		return sim_set_number(&s->jitter_ms, value, SIM_WAIT_MAX_MS);
	if (!strcmp(name, "token_life"))
		return sim_set_number(&s->token_life_s, value, SIM_MAX_SECONDS);
	if (!strcmp(name, "link_life"))
		return sim_set_number(&s->link_life_s, value, SIM_MAX_SECONDS);
	if (!strcmp(name, "max_page"))
		return strcmp(value, "0") ? sim_set_number(&s->max_page, value, SIM_MAX_PAGE)
					  : -EINVAL;
	if (!strcmp(name, "items_wrapper"))
		return sim_set_switch(&s->items_wrapper, value);
	if (!strcmp(name, "storage_range"))
		return sim_set_switch(&s->storage_range, value);
	if (!strcmp(name, "storage_length"))
		return sim_set_switch(&s->storage_length, value);
	if (!strcmp(name, "storage_etag"))
		return sim_set_switch(&s->storage_etag, value);
	if (!strcmp(name, "storage_416"))
		return sim_set_word(&s->storage_416_range, value, "range", "bare");
	if (!strcmp(name, "storage_latency_ms"))
		return sim_set_number(&s->storage_latency_ms, value, SIM_WAIT_MAX_MS);
	if (!strcmp(name, "storage_rate"))
		return sim_set_number(&s->storage_rate, value, SIM_MAX_RATE);
	if (!strcmp(name, "tab_filter"))
		return sim_set_word(&s->tab_nested, value, "nested", "exact");
	if (!strcmp(name, "subfolders"))
		return sim_set_subfolders(&s->subfolders, value);
	if (!strcmp(name, "client_id"))
		return sim_set_text(s->client_id, sizeof(s->client_id), value);
	if (!strcmp(name, "client_secret"))
		return sim_set_text(s->client_secret, sizeof(s->client_secret), value);
	if (!strcmp(name, "tenant"))
		return sim_set_text(s->tenant, sizeof(s->tenant), value);
	if (!strcmp(name, "storage_base"))
		return sim_set_text(s->storage_base, sizeof(s->storage_base), value);
	return -ENOENT;
}
