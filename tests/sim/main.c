/*
 * ibinderfs-sim: an iBinder tenant served on loopback, made up from a seed.
 *
 * This file reads the options, starts the two servers, says where they listen and waits for its
 * end: SIGTERM, SIGINT, or the end of stdin when asked to. Exit status 0 then, 1 if it could not
 * start, 2 for wrong options.
 */
#include "control.h"
#include "demo.h"
#include "gen.h"
#include "server.h"
#include "text.h"

#include <errno.h>
#include <getopt.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define MAIN_COUNT_MAX 1000000u
#define MAIN_DEPTH_MAX 200u /* folders below folders are walked by recursion */
#define MAIN_SIZE_MAX  (1ull << 40)
#define MAIN_FIELD_MAX 200u

struct options {
	struct gen_options gen;
	struct org_options org;
	uint64_t port;
	uint64_t control_port;
	bool control;
	bool demo;
	bool exit_with_stdin;
	const char *log; /* borrowed from argv */
};

enum option_kind {
	OPTION_SETTING = 1, /* the same as a setting of the control port, with - for _ */
	OPTION_FLAG_SETTING,
	OPTION_PORT,
	OPTION_CONTROL_PORT,
	OPTION_EXIT_WITH_STDIN,
	OPTION_DEMO,
	OPTION_SEED,
	OPTION_BINDERS,
	OPTION_FOLDERS,
	OPTION_DEPTH,
	OPTION_DOCUMENTS,
	OPTION_METADATA,
	OPTION_SIZE_MIN,
	OPTION_SIZE_MAX,
	OPTION_ODD_NAMES,
	OPTION_ODD_NUMBERS,
	OPTION_LOG,
	OPTION_HELP,
};

static const struct option option_list[] = {
	{"port", required_argument, NULL, OPTION_PORT},
	{"control-port", required_argument, NULL, OPTION_CONTROL_PORT},
	{"exit-with-stdin", no_argument, NULL, OPTION_EXIT_WITH_STDIN},
	{"demo", no_argument, NULL, OPTION_DEMO},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"binders", required_argument, NULL, OPTION_BINDERS},
	{"folders", required_argument, NULL, OPTION_FOLDERS},
	{"depth", required_argument, NULL, OPTION_DEPTH},
	{"documents", required_argument, NULL, OPTION_DOCUMENTS},
	{"metadata", required_argument, NULL, OPTION_METADATA},
	{"size-min", required_argument, NULL, OPTION_SIZE_MIN},
	{"size-max", required_argument, NULL, OPTION_SIZE_MAX},
	{"odd-names", no_argument, NULL, OPTION_ODD_NAMES},
	{"odd-numbers", no_argument, NULL, OPTION_ODD_NUMBERS},
	{"log", required_argument, NULL, OPTION_LOG},
	{"help", no_argument, NULL, OPTION_HELP},
	{"items-wrapper", no_argument, NULL, OPTION_FLAG_SETTING},
	{"latency-ms", required_argument, NULL, OPTION_SETTING},
	{"jitter-ms", required_argument, NULL, OPTION_SETTING},
	{"token-life", required_argument, NULL, OPTION_SETTING},
	{"link-life", required_argument, NULL, OPTION_SETTING},
	{"max-page", required_argument, NULL, OPTION_SETTING},
	{"subfolders", required_argument, NULL, OPTION_SETTING},
	{"tab-filter", required_argument, NULL, OPTION_SETTING},
	{"storage-range", required_argument, NULL, OPTION_SETTING},
	{"storage-length", required_argument, NULL, OPTION_SETTING},
	{"storage-etag", required_argument, NULL, OPTION_SETTING},
	{"storage-416", required_argument, NULL, OPTION_SETTING},
	{"storage-latency-ms", required_argument, NULL, OPTION_SETTING},
	{"storage-rate", required_argument, NULL, OPTION_SETTING},
	{"storage-base", required_argument, NULL, OPTION_SETTING},
	{"client-id", required_argument, NULL, OPTION_SETTING},
	{"client-secret", required_argument, NULL, OPTION_SETTING},
	{"tenant", required_argument, NULL, OPTION_SETTING},
	{NULL, 0, NULL, 0},
};

static void main_usage(FILE *out)
{
	fputs("usage: ibinderfs-sim [--OPTION=VALUE]...   (all options: tests/sim/README.md)\n",
	      out);
	for (const struct option *option = option_list; option->name; option++)
		fprintf(out, "  --%s%s\n", option->name,
			option->has_arg == required_argument ? "=VALUE" : "");
}

static int main_setting(struct sim *sim, const char *option, const char *value)
{
	char name[32];
	size_t i = 0;

	for (; option[i] && i < sizeof(name) - 1; i++)
		name[i] = option[i] == '-' ? '_' : option[i];
	name[i] = '\0';
	return sim_set(&sim->settings, name, value);
}

static int main_count(const char *value, uint64_t max, size_t *ret_count)
{
	uint64_t number;
	int r = text_parse_number(value, max, &number);

	if (!r)
		*ret_count = number;
	return r;
}

/* One option. Returns a negative errno if its value is unfit. */
static int main_option(struct sim *sim, struct options *o, const struct option *option,
		       const char *value)
{
	switch ((enum option_kind)option->val) {
	case OPTION_SETTING:
		return main_setting(sim, option->name, value);
	case OPTION_FLAG_SETTING:
		return main_setting(sim, option->name, "true");
	case OPTION_PORT:
		return text_parse_number(value, UINT16_MAX, &o->port);
	case OPTION_CONTROL_PORT:
		o->control = true;
		return text_parse_number(value, UINT16_MAX, &o->control_port);
	case OPTION_EXIT_WITH_STDIN:
		o->exit_with_stdin = true;
		return 0;
	case OPTION_DEMO:
		o->demo = true;
		return 0;
	case OPTION_SEED:
		return text_parse_number(value, UINT64_MAX, &o->org.seed);
	case OPTION_BINDERS:
		return main_count(value, MAIN_COUNT_MAX, &o->gen.binders);
	case OPTION_FOLDERS:
		return main_count(value, MAIN_COUNT_MAX, &o->gen.folders);
	case OPTION_DEPTH:
		return strcmp(value, "0") ? main_count(value, MAIN_DEPTH_MAX, &o->gen.depth)
					  : -EINVAL;
	case OPTION_DOCUMENTS:
		return main_count(value, MAIN_COUNT_MAX, &o->gen.documents);
	case OPTION_METADATA:
		return main_count(value, MAIN_FIELD_MAX, &o->org.extra_fields);
	case OPTION_SIZE_MIN:
		return text_parse_number(value, MAIN_SIZE_MAX, &o->org.size_min);
	case OPTION_SIZE_MAX:
		return text_parse_number(value, MAIN_SIZE_MAX, &o->org.size_max);
	case OPTION_ODD_NAMES:
		o->gen.odd_names = true;
		return 0;
	case OPTION_ODD_NUMBERS:
		o->org.odd_numbers = true;
		return 0;
	case OPTION_LOG:
		o->log = value;
		return 0;
	case OPTION_HELP:
		break;
	}
	return -EINVAL;
}

static int main_options(struct sim *sim, struct options *options, int argc, char **argv)
{
	const char *secret = getenv("SIM_CLIENT_SECRET");
	int index, value;

	if (secret && sim_set(&sim->settings, "client_secret", secret)) {
		fputs("ibinderfs-sim: SIM_CLIENT_SECRET is too long\n", stderr);
		return -EINVAL;
	}
	while ((value = getopt_long(argc, argv, "", option_list, &index)) != -1) {
		if (value == '?')
			return -EINVAL;
		if (value != OPTION_HELP &&
		    main_option(sim, options, &option_list[index], optarg)) {
			fprintf(stderr, "ibinderfs-sim: --%s: bad value\n",
				option_list[index].name);
			return -EINVAL;
		}
		if (value == OPTION_HELP) {
			main_usage(stdout);
			return -ECANCELED;
		}
	}
	if (optind < argc || options->org.size_min > options->org.size_max) {
		fputs("ibinderfs-sim: stray argument, or size-min above size-max\n", stderr);
		return -EINVAL;
	}
	return 0;
}

static int main_organisation(struct sim *sim, const struct options *options)
{
	struct org_options org = options->org;

	org.text_content = options->demo;
	int r = org_init(&sim->org, &org);
	if (r)
		return r;
	return options->demo ? demo_organisation(&sim->org)
			     : gen_organisation(&sim->org, &options->gen);
}

/* Ends on a signal or, if asked to, at the end of stdin. */
static void main_wait(int signals, bool watch_stdin)
{
	struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
			       {.fd = watch_stdin ? STDIN_FILENO : -1, .events = POLLIN}};
	char ignored[256];

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			return;
		if (fds[1].revents && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
			return;
	}
}

static int main_serve(struct sim *sim, const struct options *options, int signals)
{
	struct MHD_Daemon *control = NULL;
	uint16_t control_port = 0;
	struct MHD_Daemon *server = server_start(sim, (uint16_t)options->port);

	if (server && options->control)
		control = control_start(sim, (uint16_t)options->control_port, &control_port);
	bool up = server && (control || !options->control);
	if (up) {
		printf("ready port=%u control=%u\n", sim->port, control_port);
		fflush(stdout);
		main_wait(signals, options->exit_with_stdin);
	} else {
		perror("ibinderfs-sim: cannot listen");
	}
	sim_stop(sim);
	if (control)
		MHD_stop_daemon(control);
	if (server)
		MHD_stop_daemon(server);
	return up ? 0 : -EADDRINUSE;
}

/* A connection costs a descriptor or two; the soft limit is often 1024. */
static void main_raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Signals are blocked before any thread starts, so that all threads leave them to main_wait(). */
static int main_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct options options = {
		.gen = {.binders = 2, .folders = 6, .depth = 3, .documents = 60},
		.org = {.seed = 1, .extra_fields = 6, .size_min = 100, .size_max = 20000},
	};
	struct sim sim;
	int r = sim_init(&sim);

	if (r)
		return EXIT_FAILURE;
	r = main_options(&sim, &options, argc, argv);
	if (r) {
		sim_fini(&sim);
		return r == -ECANCELED ? EXIT_SUCCESS : 2;
	}
	int signals = main_signals();
	main_raise_limits();
	if (options.log)
		sim.log = fopen(options.log, "ae");
	if (signals < 0 || (options.log && !sim.log)) {
		perror("ibinderfs-sim");
		r = -EIO;
	}
	if (!r)
		r = main_organisation(&sim, &options);
	if (!r)
		r = main_serve(&sim, &options, signals);
	if (signals >= 0)
		close(signals);
	sim_fini(&sim);
	return r ? EXIT_FAILURE : EXIT_SUCCESS;
}
