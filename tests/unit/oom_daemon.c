/* oom_daemon.c: linked to the daemon, makes its allocations fail at random: one of $OOM_ONE_OF,
 * from one SIGRTMIN to the next, or from the start if there is $OOM_AT_ONCE. $OOM_SEED repeats
 * which. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "oom_hook.h"

static atomic_bool oom_active;
static atomic_ulong oom_seen;
static unsigned long oom_seed;
static unsigned long oom_one_of = 50;

/* Of the allocation's number alone: threads do not matter. */
static bool oom_now(void)
{
	uint64_t hash;

	if (!atomic_load(&oom_active))
		return false;
	hash = (atomic_fetch_add(&oom_seen, 1) + oom_seed) * UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	return (hash >> 32) % oom_one_of == 0;
}

static void toggle(int number)
{
	(void)number;
	atomic_store(&oom_active, !atomic_load(&oom_active));
}

__attribute__((constructor)) static void begin(void)
{
	const char *one_of = getenv("OOM_ONE_OF");
	const char *seed = getenv("OOM_SEED");

	if (one_of)
		oom_one_of = strtoul(one_of, NULL, 10);
	if (seed)
		oom_seed = strtoul(seed, NULL, 10);
	oom_init();
	signal(SIGRTMIN, toggle);
	atomic_store(&oom_active, getenv("OOM_AT_ONCE") != NULL);
}
