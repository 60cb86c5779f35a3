/* memory.c: allocations that fail while a schedule says so. Those of src/, of cJSON and of libcurl
 * go through tests/unit/oom_hook.h; this program's own are not among them. */
#include "engine.h"

#include "../unit/oom_hook.h"

unsigned memory_one_of;
unsigned memory_until;
unsigned memory_spared;
int64_t memory_failed_ms;
uint64_t memory_failures;

static bool oom_now(void)
{
	bool fails;

	if (memory_spared || (!memory_one_of && !memory_until))
		return false;
	if (memory_until)
		fails = --memory_until == 0;
	else
		fails = rng_below(memory_one_of) == 0;
	if (!fails)
		return false;
	action("  no memory");
	starved = true;
	memory_failed_ms = clock_ms;
	memory_failures++;
	return true;
}

bool memory_fails(void)
{
	return oom_now();
}

void memory_init(void)
{
	oom_init();
}

void memory_plenty(void)
{
	memory_one_of = 0;
	memory_until = 0;
}

void *memory_get(size_t size)
{
	void *bytes = malloc(size);

	CHECK(bytes, "there is no memory at all");
	return bytes;
}

char *memory_get_text(const char *text)
{
	return strcpy(memory_get(strlen(text) + 1), text);
}
