/* engine.c: schedules: what happens to the daemon's engine, in which order, from one seed.
 *
 *   engine [--seconds=N | --schedules=N]     from a seed that is printed
 *   engine SEED...                           these alone; also SEED=n in the environment
 *
 * The seed chooses the provider; with --provider=NAME before them all seeds are that one's.
 *
 * A schedule makes an organisation and a configuration, then asks, answers, fails, changes, forgets
 * and lets time pass as chance has it; at quiet points all is read and compared; at the end nothing
 * may be left. What each of these demands stands in kernel_check.c, kernel_compare.c, invariants.c
 * and transport.c. */
#include "engine.h"
#include "kernel.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ACTIONS_KEPT   60
#define SCHEDULE_MAX_S 3 /* usual is less than a millisecond */
/* The server is well for so long at most before all must be well. */
#define CALM_WITHIN_MS (20 * 60 * 1000)
#define CALM_STEP_MS   1000
/* Listings that are being built or read may be beside those that count. */
#define MEMORY_SLACK 16384

static const struct vendor vendors[] = {
	{&provider_ibinder, &world_ibinder, &places_ibinder, &gate_ibinder},
	{&provider_inbenta, &world_inbenta, &places_inbenta, &gate_inbenta},
};

const struct vendor *vendor;
struct config config;
struct daemon engine;
uv_loop_t loop;
uint64_t now_seq;
bool troubled;
uint64_t quiet_seq;
bool was_troubled;
bool starved;
int64_t hangup_ms;
uint64_t hangup_seq;

static const struct vendor *provider_given; /* NULL: the seed chooses */
static uint64_t seed;
static uint64_t rng_state;
static unsigned fault_percent;
static bool may_starve;
static struct totals {
	uint64_t schedules;
	uint64_t steps;
	uint64_t answers;
	uint64_t compared;
	uint64_t evictions;
} totals;

/* --- Chance, and what is told when something is wrong --- */

unsigned rng_below(unsigned n)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (unsigned)((rng_state >> 20) % n);
}

static char actions[ACTIONS_KEPT][160];
static unsigned action_count;

void action(const char *format, ...)
{
	char *line = actions[action_count++ % ACTIONS_KEPT];
	va_list arguments;
	int len = snprintf(line, sizeof(actions[0]), "%10" PRId64 " ", clock_ms);

	va_start(arguments, format);
	vsnprintf(line + len, sizeof(actions[0]) - (size_t)len, format, arguments);
	va_end(arguments);
}

void fail(const char *format, ...)
{
	unsigned i = action_count > ACTIONS_KEPT ? action_count - ACTIONS_KEPT : 0;
	va_list arguments;

	for (; i < action_count; i++)
		fprintf(stderr, "%s\n", actions[i % ACTIONS_KEPT]);
	fprintf(stderr, "--provider=%s SEED=%" PRIu64 " at %" PRId64 " ms: ", vendor->ops->name,
		seed, clock_ms);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* --- The engine, as main.c makes and ends it --- */

static void pick_config(void)
{
	static const int64_t ttls_ms[] = {0, 50, 1000, 60000};
	static const int64_t stales_ms[] = {0, 500, 60000};
	static const int64_t timeouts_ms[] = {500, 3000, 10000};
	static const size_t connections[] = {1, 2, 4, 16};
	static const size_t pages[] = {1, 2, 3, 250};
	static const size_t memories[] = {12 << 10, 16 << 10, 16 << 20};

	config = (struct config){
		.provider = (char *)vendor->ops->name,
		.mountpoint = "/mnt",
		.ttl_ms = RNG_PICK(ttls_ms),
		.stale_ms = RNG_PICK(stales_ms),
		.timeout_ms = RNG_PICK(timeouts_ms),
		.connections = RNG_PICK(connections),
		.page_size = RNG_PICK(pages),
		.content = rng_percent(50),
		.sizes = rng_percent(50) ? CONFIG_SIZES_LAZY : CONFIG_SIZES_EXACT,
	};
	/* Less than 1 MiB is only of use without contents beside the listings. */
	config.memory = config.content && vendor->ops->has_links ? 1 << 20 : RNG_PICK(memories);
	vendor->world->configure(&config);
	fault_percent = rng_percent(40) ? 0 : rng_percent(50) ? 10 : 50;
}

static void set_secret(void)
{
	struct secret secret = {NULL, 0};

	memory_spared++; /* who cannot read it keeps the one there was: main.c's affair */
	CHECK(secret_set(&secret, "client-secret", strlen("client-secret")) == 0, "no memory");
	memory_spared--;
	fetcher_renew(engine.fetcher, &secret);
	secret_fini(&secret);
}

static void on_up(void *data)
{
	(void)data;
}

static void on_ended(void *data, int error)
{
	(void)data;
	fail("the session ends: %d", error);
}

static void start(void)
{
	int error;

	memset(&engine, 0, sizeof(engine));
	error = http_new(&loop, HTTP_API, config.timeout_ms, config.connections, NULL, NULL, NULL,
			 &engine.http);
	if (!error)
		error = vendor->ops->provider_new(&config, &engine.provider);
	if (!error)
		error = fetcher_new(&loop, engine.http, &config, vendor->ops, engine.provider,
				    &engine.failures, &engine.fetcher);
	if (!error)
		error = wait_room_new(&loop, config.timeout_ms, &engine.room);
	if (!error)
		error = tree_new(&config, engine.fetcher, engine.room, vendor->ops, &engine.tree);
	if (!error && config.content && vendor->ops->has_links)
		error = http_new(&loop, HTTP_STORAGE, config.timeout_ms, 128, NULL, NULL, NULL,
				 &engine.storage);
	if (!error && engine.storage)
		error = contents_new(&loop, engine.storage, &config, engine.fetcher, engine.room,
				     &engine.failures, &engine.contents);
	engine.control = (struct control){
		.config = &config,
		.ops = vendor->ops,
		.provider = engine.provider,
		.fetcher = engine.fetcher,
		.tree = engine.tree,
		.contents = engine.contents,
		.room = engine.room,
		.failures = &engine.failures,
	};
	if (!error)
		error = fs_new(&loop, session_open(), &config, engine.tree, engine.contents,
			       engine.room, &engine.control, on_up, on_ended, NULL, &engine.fs);
	CHECK(!error, "the engine does not start: %d", error);
	set_secret();
}

static void end(void)
{
	struct fs *fs = engine.fs;

	engine.fs = NULL;
	fs_free(fs);
	kernel_check_ended();
	contents_free(engine.contents);
	tree_free(engine.tree);
	wait_room_free(engine.room);
	fetcher_free(engine.fetcher);
	http_free(engine.storage);
	http_free(engine.http);
	vendor->ops->provider_free(engine.provider);
	for (int turns = 0; uv_run(&loop, UV_RUN_NOWAIT); turns++)
		CHECK(turns < 100, "something is left in the loop");
	CHECK(listing_bytes_alive() == 0 && listing_bytes_building() == 0,
	      "%zu and %zu bytes are left", listing_bytes_alive(), listing_bytes_building());
}

static void hang_up(void)
{
	settle();
	action("SIGHUP");
	invariants_mark();
	hangup_ms = clock_boot_ms();
	hangup_seq = now_seq;
	tree_expire_all(engine.tree);
	if (engine.contents)
		contents_forget(engine.contents);
	fetcher_forget(engine.fetcher);
	transport_forget();
	set_secret();
}

/* --- Time --- */

void settle(void)
{
	int turns = 0;

	do {
		now_seq++;
		uv_run(&loop, UV_RUN_NOWAIT);
		CHECK(++turns < 1000, "the loop does not come to rest");
	} while (uv_backend_timeout(&loop) == 0);
	kernel_check();
	invariants_check();
}

static int64_t next_event_ms(void)
{
	int timer_ms = uv_backend_timeout(&loop);
	int64_t next_ms = transport_deadline_ms();

	return timer_ms >= 0 && clock_ms + timer_ms < next_ms ? clock_ms + timer_ms : next_ms;
}

/* From event to event. */
static void advance_to(int64_t until_ms)
{
	settle();
	while (next_event_ms() <= until_ms) {
		clock_ms = next_event_ms();
		while (transport_deadline_ms() <= clock_ms)
			transport_expire();
		settle();
	}
	clock_ms = until_ms;
	settle();
}

/* After so many answers a document comes or goes; 0: none does. */
static unsigned move_after;

static void answer(enum outcome outcome)
{
	totals.answers++;
	if (move_after && --move_after == 0)
		vendor->world->move();
	transport_answer(rng_below(transport_waiting()), outcome);
}

void run_well(bool (*condition)(void))
{
	int64_t until_ms = clock_ms + CALM_WITHIN_MS;
	bool was_well = transport_is_well;

	transport_is_well = true;
	settle();
	while (!condition()) {
		int64_t next_ms = next_event_ms();

		CHECK(clock_ms < until_ms, "the server is well, and all is not");
		if (transport_waiting()) {
			clock_ms++;
			answer(OUTCOME_RIGHT);
		} else {
			/* Some things end without a timer: a pause in which nobody waits. */
			clock_ms = next_ms < clock_ms + CALM_STEP_MS ? next_ms
								     : clock_ms + CALM_STEP_MS;
		}
		settle();
	}
	transport_is_well = was_well;
}

/* --- Schedules --- */

static bool is_calm(void)
{
	return kernel_waiting() == 0 && transport_waiting() == 0 && !invariants_is_fetching() &&
	       token_state(fetcher_token(engine.fetcher)) == TOKEN_HELD &&
	       !fetcher_breaker_open(engine.fetcher) && fetcher_pause_ms(engine.fetcher) == 0 &&
	       (!engine.contents || (!contents_breaker_open(engine.contents) &&
				     contents_pause_ms(engine.contents) == 0));
}

static int64_t calm_until_ms;

static bool is_later(void)
{
	return clock_ms >= calm_until_ms && transport_waiting() == 0;
}

static void wait_well(int64_t ms)
{
	calm_until_ms = clock_ms + ms;
	run_well(is_later);
}

/* Whatever was wrong is over, and so is what came of it. */
static void be_done(void)
{
	wait_well(config.ttl_ms + config.stale_ms + FAILURES_LAST_MS);
	run_well(is_calm);
	was_troubled = was_troubled || troubled;
	troubled = false;
	starved = false;
	quiet_seq = now_seq;
}

static void be_quiet(void)
{
	action("quiet");
	memory_plenty();
	transport_is_well = true;
	if (token_state(fetcher_token(engine.fetcher)) == TOKEN_REFUSED)
		hang_up(); /* as its text says; or five minutes */
	run_well(is_calm);
	be_done();
	if (vendor->world->move && rng_percent(50)) {
		move_after = 1 + rng_below(8);
		kernel_walk();
		move_after = 0;
		run_well(is_calm);
		be_done();
	}
	action("compare");
	kernel_compare();
	CHECK(!troubled, "there is trouble, and nothing is wrong");
	CHECK(listing_bytes_alive() <=
		      config_memory_listings(&config, vendor->ops->has_links) + MEMORY_SLACK,
	      "%zu bytes of listings", listing_bytes_alive());
	transport_is_well = false;
	totals.compared++;
}

static enum outcome pick_outcome(void)
{
	if (!rng_percent(fault_percent))
		return OUTCOME_RIGHT;
	if (storage.lies && rng_percent(60))
		return rng_percent(30) ? OUTCOME_MISLED : OUTCOME_LIE;
	return (enum outcome)(1 + rng_below(OUTCOMES_USUAL - 1));
}

/* Timers stand still meanwhile, and so do those of the transport. Deadlines pass. */
static void sleep_for(int64_t ms)
{
	settle();
	action("sleep for %" PRId64 " ms", ms);
	troubled = troubled || kernel_waiting() || transport_waiting();
	clock_asleep_ms += ms;
}

/* One allocation of the next ones fails, or some do, or all, until it is over. */
static void change_memory(void)
{
	static const unsigned ones_of[] = {1, 2, 5, 20, 100};

	if (memory_one_of || memory_until) {
		memory_plenty();
		action("memory is back");
	} else if (rng_percent(50)) {
		memory_until = 1 + rng_below(60);
		action("allocation %u fails", memory_until);
	} else {
		memory_one_of = RNG_PICK(ones_of);
		action("one of %u allocations fails", memory_one_of);
	}
}

static void step(void)
{
	static const int64_t waits_ms[] = {1, 1, 5, 20, 100, 450, 1000, 3000, 10000, 61000};
	static const int64_t sleeps_ms[] = {700, 5000, 3600000};
	unsigned what = rng_below(100);

	totals.steps++;
	now_seq++;
	if (may_starve && rng_percent(15))
		change_memory();
	if (storage.swaps && rng_percent(15))
		storage_swap();
	if (what < 40)
		kernel_ask();
	else if (what < 75) {
		if (transport_waiting())
			answer(pick_outcome());
	} else if (what < 84)
		advance_to(clock_ms + RNG_PICK(waits_ms));
	else if (what < 90)
		vendor->world->change();
	else if (what < 93)
		kernel_interrupt();
	else if (what < 98)
		kernel_drop();
	else if (what == 98)
		rng_percent(50) ? hang_up() : sleep_for(RNG_PICK(sleeps_ms));
	else if (fault_percent)
		transport_revoke();
	if (rng_percent(70))
		settle();
}

/* What never ends must say where it is. */
static void on_alarm(int number)
{
	(void)number;
	fail("the schedule does not come to its end");
}

/* Only what repeats it: nothing else can be relied on. */
static void tell_seed(void)
{
	fprintf(stderr, "--provider=%s SEED=%" PRIu64 " at %" PRId64 " ms: see above, or a crash\n",
		vendor->ops->name, seed, clock_ms);
}

static void on_crash(int number)
{
	signal(number, SIG_DFL);
	tell_seed();
	raise(number);
}

/* Of the sanitizer, which lets no other look at a crash. NULL without it. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* What a schedule may meet beside: from numbers of its own, so that without them it is what it
 * always was. */
static void pick_troubles(void)
{
	may_starve = rng_percent(35);
	storage_pick();
	memory_failed_ms = INT64_MIN / 2;
}

static void run_schedule(uint64_t number)
{
	unsigned steps_max;
	unsigned rounds;

	setitimer(ITIMER_PROF, &(struct itimerval){.it_value.tv_sec = SCHEDULE_MAX_S}, NULL);
	seed = number;
	rng_state = (number + 1) * UINT64_C(0xA0761D6478BD642F);
	vendor = provider_given ? provider_given : &RNG_PICK(vendors);
	rng_state = (number + 1) * UINT64_C(0xD1B54A32D192ED03);
	pick_troubles();
	rng_state = (number + 1) * UINT64_C(0x9E3779B97F4A7C15);
	srandom((unsigned)number);
	clock_reset();
	now_seq = 1;
	troubled = false;
	quiet_seq = 0;
	was_troubled = false;
	starved = false;
	hangup_ms = 0;
	hangup_seq = 0;
	action_count = 0;
	pick_config();
	world_reset();
	transport_reset();
	kernel_reset();
	kernel_compare_reset();
	invariants_reset();
	start();
	/* Until bytes change between two looks at them much must have been done. */
	steps_max = storage.swaps && config.content ? 120 : 40;
	for (rounds = 1 + rng_below(2); rounds > 0; rounds--) {
		for (unsigned steps = 5 + rng_below(steps_max); steps > 0; steps--)
			step();
		settle();
		if (rng_percent(60))
			be_quiet();
	}
	if (rng_percent(50)) {
		memory_plenty();
		run_well(is_calm);
		kernel_drop_all();
		CHECK(tree_counters(engine.tree)->nodes == 0, "%llu nodes are left",
		      (unsigned long long)tree_counters(engine.tree)->nodes);
	}
	totals.evictions += tree_counters(engine.tree)->evictions;
	end();
	memory_plenty();
	totals.schedules++;
}

/* --- The program --- */

/* Of the real clocks: ours stands before them. */
static double real_seconds(clockid_t clock)
{
	struct timespec now;

	syscall(SYS_clock_gettime, clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool take_provider(const char *argument)
{
	for (size_t i = 0; i < COUNT(vendors); i++) {
		if (strncmp(argument, "--provider=", 11) == 0 &&
		    strcmp(argument + 11, vendors[i].ops->name) == 0) {
			provider_given = &vendors[i];
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	const char *given = getenv("SEED");
	double began = real_seconds(CLOCK_MONOTONIC);
	double seconds = argc > 1 || given ? 0 : 5;
	unsigned long long schedules = 0;
	uint64_t next = 0;

	memory_init();
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	signal(SIGPROF, on_alarm);
	signal(SIGSEGV, on_crash);
	signal(SIGBUS, on_crash);
	signal(SIGABRT, on_crash); /* an assert() */
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(tell_seed);
	if (uv_loop_init(&loop) || getrandom(&next, 6, 0) != 6)
		return 2;
	for (int i = 1; i < argc; i++) {
		char *end;
		uint64_t number = strtoull(argv[i], &end, 10);

		if (sscanf(argv[i], "--seconds=%lf", &seconds) == 1 ||
		    sscanf(argv[i], "--schedules=%llu", &schedules) == 1 || take_provider(argv[i]))
			continue;
		if (*end) {
			fprintf(stderr,
				"usage: %s [--provider=NAME] [--seconds=N | --schedules=N | "
				"SEED...]\n",
				argv[0]);
			return 2;
		}
		run_schedule(number);
	}
	if (given)
		run_schedule(strtoull(given, NULL, 10));
	if (schedules || seconds > 0)
		printf("SEED=%" PRIu64 " is the first schedule\n", next);
	fflush(stdout);
	while (schedules ? totals.schedules < schedules
			 : real_seconds(CLOCK_MONOTONIC) - began < seconds)
		run_schedule(next++);
	kernel_reset();
	uv_loop_close(&loop);
	printf("%" PRIu64 " schedules, %.0f a second of processor time; %" PRIu64 " steps, %" PRIu64
	       " answers, %" PRIu64 " quiet points, %" PRIu64 " evictions, %" PRIu64
	       " allocations failed\n",
	       totals.schedules, (double)totals.schedules / real_seconds(CLOCK_PROCESS_CPUTIME_ID),
	       totals.steps, totals.answers, totals.compared, totals.evictions, memory_failures);
	return 0;
}
