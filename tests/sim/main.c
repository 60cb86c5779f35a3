/*
 * ibinderfs-sim: a vendor's service on loopback, with contents made up from a seed.
 *
 * This file reads the options, starts the two servers, says where they listen and waits for its
 * end: SIGTERM, SIGINT, or the end of stdin when asked to. Exit status 0 then, 1 if it could not
 * start, 2 for wrong options.
 */
#include "server.h"
#include "text.h"
#include "vendor.h"

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

#define MAIN_OPTIONS_MAX 80
#define MAIN_NAME_MAX	 32

struct options {
	uint64_t port;
	uint64_t control_port;
	bool control;
	bool exit_with_stdin;
	const char *log; /* borrowed from argv */
};

enum option_kind {
	OPTION_SETTING = 1, /* a vendor's option, or a setting */
	OPTION_VENDOR,
	OPTION_PORT,
	OPTION_CONTROL_PORT,
	OPTION_EXIT_WITH_STDIN,
	OPTION_DEMO,
	OPTION_SEED,
	OPTION_LOG,
	OPTION_HELP,
};

static const struct option option_common[] = {
	{"vendor", required_argument, NULL, OPTION_VENDOR},
	{"port", required_argument, NULL, OPTION_PORT},
	{"control-port", required_argument, NULL, OPTION_CONTROL_PORT},
	{"exit-with-stdin", no_argument, NULL, OPTION_EXIT_WITH_STDIN},
	{"demo", no_argument, NULL, OPTION_DEMO},
	{"seed", required_argument, NULL, OPTION_SEED},
	{"log", required_argument, NULL, OPTION_LOG},
	{"help", no_argument, NULL, OPTION_HELP},
};

/* What getopt wants; with room for the names, which have - where settings have _. */
struct option_list {
	struct option option[MAIN_OPTIONS_MAX + 1];
	char name[MAIN_OPTIONS_MAX][MAIN_NAME_MAX];
	const struct setting *setting[MAIN_OPTIONS_MAX]; /* NULL for the common ones */
	void *base[MAIN_OPTIONS_MAX];
	size_t n;
};

static void main_list_add(struct option_list *list, const struct setting *table, void *base)
{
	for (; table->name && list->n < MAIN_OPTIONS_MAX; table++) {
		char *name = list->name[list->n];

		snprintf(name, MAIN_NAME_MAX, "%s", table->name);
		for (char *c = name; *c; c++)
			if (*c == '_')
				*c = '-';
		list->option[list->n] = (struct option){
			.name = name,
			.has_arg = table->kind == SETTING_FLAG ? no_argument : required_argument,
			.val = OPTION_SETTING,
		};
		list->setting[list->n] = table;
		list->base[list->n++] = base;
	}
}

static void main_list_make(struct sim *sim, struct option_list *list)
{
	*list = (struct option_list){.n = sizeof(option_common) / sizeof(option_common[0])};
	memcpy(list->option, option_common, sizeof(option_common));
	main_list_add(list, sim_setting_list, &sim->settings);
	main_list_add(list, sim->vendor->options, sim->state);
	main_list_add(list, sim->vendor->settings, sim->state);
}

static void main_usage(const struct option_list *list)
{
	printf("usage: ibinderfs-sim [--OPTION=VALUE]...   (all options: tests/sim/README.md)\n");
	for (size_t i = 0; i < list->n; i++)
		printf("  --%s%s\n", list->option[i].name,
		       list->option[i].has_arg == required_argument ? "=VALUE" : "");
}

/* One option. Returns a negative errno if its value is unfit. */
static int main_option(struct sim *sim, struct options *o, const struct option_list *list,
		       int index, const char *value)
{
	switch ((enum option_kind)list->option[index].val) {
	case OPTION_SETTING:
		return setting_set(list->setting[index], list->base[index], value ? value : "true");
	case OPTION_VENDOR:
		return vendor_find(value) == sim->vendor ? 0 : -EINVAL;
	case OPTION_PORT:
		return text_parse_number(value, UINT16_MAX, &o->port);
	case OPTION_CONTROL_PORT:
		o->control = true;
		return text_parse_number(value, UINT16_MAX, &o->control_port);
	case OPTION_EXIT_WITH_STDIN:
		o->exit_with_stdin = true;
		return 0;
	case OPTION_DEMO:
		sim->demo = true;
		return 0;
	case OPTION_SEED:
		return text_parse_number(value, UINT64_MAX, &sim->seed);
	case OPTION_LOG:
		o->log = value;
		return 0;
	case OPTION_HELP:
		break;
	}
	return -EINVAL;
}

/* Secrets better come this way than on the command line. */
static int main_environment(const struct option_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct setting *setting = list->setting[i];
		const char *value = setting && setting->env ? getenv(setting->env) : NULL;

		if (!value || !setting_set(setting, list->base[i], value))
			continue;
		fprintf(stderr, "ibinderfs-sim: %s: bad value\n", setting->env);
		return -EINVAL;
	}
	return 0;
}

static int main_options(struct sim *sim, struct options *options, int argc, char **argv)
{
	struct option_list list;
	int index, value;

	main_list_make(sim, &list);
	if (main_environment(&list))
		return -EINVAL;
	while ((value = getopt_long(argc, argv, "", list.option, &index)) != -1) {
		if (value == '?')
			return -EINVAL;
		if (value == OPTION_HELP) {
			main_usage(&list);
			return -ECANCELED;
		}
		if (main_option(sim, options, &list, index, optarg)) {
			fprintf(stderr, "ibinderfs-sim: --%s: bad value\n",
				list.option[index].name);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fputs("ibinderfs-sim: stray argument\n", stderr);
		return -EINVAL;
	}
	return 0;
}

/* The vendor decides which options there are, so it is looked for before they are read. */
static const struct vendor *main_vendor(int argc, char **argv)
{
	static const char option[] = "--vendor";
	size_t n = strlen(option);

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], option, n))
			continue;
		if (argv[i][n] == '=')
			return vendor_find(argv[i] + n + 1);
		if (!argv[i][n] && i + 1 < argc)
			return vendor_find(argv[i + 1]);
	}
	return &vendor_ibinder;
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

/* With the options read: makes up what is served, and serves it. */
static int main_run(struct sim *sim, const struct options *options)
{
	int signals = main_signals();
	int r = 0;

	main_raise_limits();
	if (options->log)
		sim->log = fopen(options->log, "ae");
	if (signals < 0 || (options->log && !sim->log)) {
		perror("ibinderfs-sim");
		r = -EIO;
	}
	if (!r)
		r = sim->vendor->fill(sim);
	if (r == -EINVAL)
		fputs("ibinderfs-sim: the options do not fit together\n", stderr);
	if (!r)
		r = main_serve(sim, options, signals);
	if (signals >= 0)
		close(signals);
	return r;
}

int main(int argc, char **argv)
{
	const struct vendor *vendor = main_vendor(argc, argv);
	struct options options = {0};
	struct sim sim;

	if (!vendor) {
		fputs("ibinderfs-sim: --vendor: there is no such vendor\n", stderr);
		return 2;
	}
	if (sim_init(&sim, vendor))
		return EXIT_FAILURE;
	int r = main_options(&sim, &options, argc, argv);
	if (!r)
		r = main_run(&sim, &options);
	sim_fini(&sim);
	return !r || r == -ECANCELED ? EXIT_SUCCESS : r == -EINVAL ? 2 : EXIT_FAILURE;
}
