/* main.c: start-up order, daemonising, signals, exit code. The only file that ends the process.
 *
 *   configuration, secret, mount point     what can never work fails here, on stderr
 *   fork                                   the parent waits for "up" and returns 0, or 1
 *   keeper                                 mounts
 *   loop, http, provider, fetcher, tree    nothing here needs the network
 *   lock-in                                the last word of who trusts the server
 *   fs                                     FUSE_INIT: up. From here the log goes where it should
 *   … unmount or SIGTERM …
 *   the same in reverse, the keeper unmounts */
#include "buf.h"
#include "check.h"
#include "cleanup.h"
#include "config.h"
#include "control.h"
#include "demo.h"
#include "fs.h"
#include "keeper.h"
#include "lockin.h"
#include "log.h"
#include "loop.h"
#include "mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_FAILED 1
/* A mount that is not up by then is given up: nothing in start-up needs the network. */
#define UP_WITHIN_MS		30000
#define DOWN_WITHIN_MS		5000
#define MESSAGE_MAX		(16 * 1024) /* a message may name several paths */
#define SIGNAL_COUNT		4
#define STORAGE_CONNECTIONS_MAX 128
#define MAPPED_BYTES_MIN	(256 * 1024)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IBINDERFS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IBINDERFS_SANITIZED 1
#endif
#endif

/* Reading the secret again, in libuv's pool: the keeper may run a command. */
struct reread {
	uv_work_t work;
	struct daemon *daemon;
	struct secret secret;
	struct buf error;
	int result;
	bool again; /* asked for once more meanwhile: what is being read may be old */
};

struct daemon {
	uv_loop_t loop;
	uv_signal_t signals[SIGNAL_COUNT];
	struct config *config;
	const struct provider_ops *ops;
	struct provider *provider;
	struct failures failures;
	struct secret *secret; /* to begin with */
	struct url_home home;
	struct http *http;
	struct http *storage;
	struct wait_room *room;
	struct fetcher *fetcher;
	struct tree *tree;
	struct contents *contents; /* NULL: content=off, or the listings have it */
	struct control control;
	struct fs *fs;
	struct reread reread;
	bool rereading;
	struct keeper keeper;
	int lock_error; /* what lockin_enter said */
	int up_fd;	/* tells the parent; -1 in the foreground */
	int error;	/* what ended the session, if not an unmount */
};

/* --- Events --- */

static void on_up(void *data)
{
	struct daemon *daemon = data;
	const struct config *config = daemon->config;
	int null;

	if (daemon->up_fd >= 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null >= 0) {
			dup2(null, STDIN_FILENO);
			dup2(null, STDOUT_FILENO);
			if (config->log_target != LOG_TARGET_STDERR)
				dup2(null, STDERR_FILENO);
			close(null);
		}
	}
	log_init(config->log_level, config->log_target);
	log_info("%s is mounted, version " IBINDERFS_VERSION, config->mountpoint);
	if (daemon->lock_error)
		log_warning("this kernel does not let the daemon lock itself in: %s",
			    strerror(-daemon->lock_error));
	if (daemon->up_fd >= 0) {
		if (write(daemon->up_fd, "u", 1) != 1)
			log_warning("nobody waited for the mount");
		close(daemon->up_fd);
		daemon->up_fd = -1;
	}
	/* Not before: what fails is for the log. */
	fetcher_renew(daemon->fetcher, daemon->secret);
}

static void on_unmounted(void *data, int error)
{
	struct daemon *daemon = data;

	daemon->error = error;
	if (error)
		log_error("%s: the kernel's requests cannot be read: %s",
			  daemon->config->mountpoint, strerror(-error));

	log_info("%s is unmounted", daemon->config->mountpoint);
	uv_stop(&daemon->loop);
}

static void reread_secret(uv_work_t *work)
{
	struct reread *reread = work->data;

	reread->result =
		keeper_read_secret(&reread->daemon->keeper, &reread->secret, &reread->error);
}

static void start_reread(struct daemon *daemon);

static void note_secret(const struct reread *reread)
{
	struct failure failure = {.error = reread->result, .path = "secret"};

	snprintf(failure.what, sizeof(failure.what), "the one in use stays: %s",
		 buf_str(&reread->error));
	failures_note(&reread->daemon->failures, &failure);
}

static void secret_reread(uv_work_t *work, int cancelled)
{
	struct reread *reread = work->data;
	struct daemon *daemon = reread->daemon;

	daemon->rereading = false;
	if (cancelled)
		return;
	if (daemon->fetcher && !reread->again) { /* no fetcher: the daemon is ending */
		if (reread->result)
			note_secret(reread);
		else
			fetcher_renew(daemon->fetcher, &reread->secret);
	}
	secret_fini(&reread->secret);
	buf_reset(&reread->error);
	if (daemon->fetcher && reread->again)
		start_reread(daemon);
}

static void start_reread(struct daemon *daemon)
{
	struct reread *reread = &daemon->reread;

	*reread = (struct reread){.daemon = daemon, .error = BUF_INIT(MESSAGE_MAX)};
	reread->work.data = reread;
	daemon->rereading =
		uv_queue_work(&daemon->loop, &reread->work, reread_secret, secret_reread) == 0;
}

static void on_hangup(struct daemon *daemon)
{
	log_info("forgetting every listing and document, and reading the secret again");
	tree_expire_all(daemon->tree);
	if (daemon->contents)
		contents_forget(daemon->contents);
	fetcher_forget(daemon->fetcher);
	if (daemon->rereading)
		daemon->reread.again = true;
	else
		start_reread(daemon);
}

static void log_status(const struct daemon *daemon)
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(CONTROL_TEXT_MAX);
	char *at;
	char *line;

	if (control_print_status(&daemon->control, &text))
		return;
	for (at = text.data; (line = strsep(&at, "\n"));) {
		if (*line)
			log_write(LOG_LEVEL_INFO, "status: %s", line);
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	if (number == SIGHUP) {
		on_hangup(daemon);
	} else if (number == SIGUSR1) {
		log_status(daemon);
	} else {
		log_info("ending on signal %d", number);
		uv_stop(&daemon->loop);
	}
}

/* --- Start and end --- */

static const int signal_numbers[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

/* One that comes between the mount and the loop must not end the daemon and leave the mount dead.
 */
static void hold_signals(int how)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < SIGNAL_COUNT; i++)
		sigaddset(&set, signal_numbers[i]);
	sigprocmask(how, &set, NULL);
}

static int start_signals(struct daemon *daemon)
{
	int error = 0;
	size_t i;

	for (i = 0; i < SIGNAL_COUNT && !error; i++) {
		uv_signal_init(&daemon->loop, &daemon->signals[i]);
		daemon->signals[i].data = daemon;
		error = uv_signal_start(&daemon->signals[i], on_signal, signal_numbers[i]);
	}
	hold_signals(SIG_UNBLOCK);
	return error;
}

/* Storage has connections of its own: they carry no credentials, and the API's budget is not
 * theirs. */
static int start_contents(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	int error =
		http_new(&daemon->loop, HTTP_STORAGE, config->timeout_ms, STORAGE_CONNECTIONS_MAX,
			 config->ca_file, config->proxy, &daemon->home, &daemon->storage);

	if (error)
		return error;
	return contents_new(&daemon->loop, daemon->storage, config, daemon->fetcher, daemon->room,
			    &daemon->failures, &daemon->contents);
}

static int start(struct daemon *daemon, struct secret *secret, int fuse_fd)
{
	const struct config *config = daemon->config;
	int error = start_signals(daemon);

	if (!error)
		error = url_home_init(&daemon->home, config->api_url, config->auth_url,
				      config->proxy);
	if (!error)
		error = http_new(&daemon->loop, HTTP_API, config->timeout_ms, config->connections,
				 config->ca_file, config->proxy, &daemon->home, &daemon->http);
	if (!error)
		error = daemon->ops->provider_new(config, &daemon->provider);
	if (!error)
		error = fetcher_new(&daemon->loop, daemon->http, config, daemon->ops,
				    daemon->provider, &daemon->failures, &daemon->fetcher);
	if (!error)
		error = wait_room_new(&daemon->loop, config->timeout_ms, &daemon->room);
	if (!error)
		error = tree_new(config, daemon->fetcher, daemon->room, daemon->ops, &daemon->tree);
	if (!error && config->content && daemon->ops->has_links)
		error = start_contents(daemon);
	if (error) {
		close(fuse_fd);
		return error;
	}
	daemon->control = (struct control){
		.config = config,
		.ops = daemon->ops,
		.provider = daemon->provider,
		.fetcher = daemon->fetcher,
		.tree = daemon->tree,
		.contents = daemon->contents,
		.room = daemon->room,
		.failures = &daemon->failures,
		.mounted_wall_ns = loop_wall_ns(),
	};
	daemon->secret = secret;
	daemon->lock_error = lockin_enter(config->ca_file);
	error = fs_new(&daemon->loop, fuse_fd, config, daemon->tree, daemon->contents, daemon->room,
		       &daemon->control, on_up, on_unmounted, daemon, &daemon->fs);
	return error;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void end(struct daemon *daemon)
{
	fs_free(daemon->fs);
	keeper_unmount(&daemon->keeper);
	contents_free(daemon->contents);
	tree_free(daemon->tree);
	wait_room_free(daemon->room);
	fetcher_free(daemon->fetcher);
	daemon->fetcher = NULL; /* the secret may still be being read */
	http_free(daemon->storage);
	http_free(daemon->http);
	daemon->ops->provider_free(daemon->provider);
	/* The signals are left; what was freed above goes with the loop's last turns. */
	uv_walk(&daemon->loop, close_handle, NULL);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	uv_loop_close(&daemon->loop);
	keeper_fini(&daemon->keeper);
}

static void say_unmounted(const struct config *config, int error)
{
	if (error == -EIO) /* libfuse or fusermount3 said why */
		log_error("%s: cannot mount", config->mountpoint);
	else
		log_error("%s: cannot mount: %s", config->mountpoint, strerror(-error));
}

static int run(struct config *config, struct secret *secret, int up_fd)
{
	/* static: large, and there is one. */
	static struct daemon daemon;
	bool is_daemon;
	int fuse_fd;
	int error;

	daemon.config = config;
	daemon.up_fd = up_fd;
	daemon.ops = provider_find(config->provider);
	hold_signals(SIG_BLOCK);
	error = keeper_start(config, secret, &daemon.keeper, &is_daemon, &fuse_fd);
	if (!is_daemon)
		return error ? EXIT_FAILED : EXIT_SUCCESS;
	if (error) {
		say_unmounted(config, error);
		return EXIT_FAILED;
	}
	error = uv_loop_init(&daemon.loop);
	if (error) {
		log_error("cannot start: %s", strerror(-error));
		close(fuse_fd);
		keeper_unmount(&daemon.keeper);
		keeper_fini(&daemon.keeper);
		return EXIT_FAILED;
	}
	error = start(&daemon, secret, fuse_fd);
	if (error)
		say_unmounted(config, error);
	else
		uv_run(&daemon.loop, UV_RUN_DEFAULT);
	if (!error)
		error = daemon.error;
	end(&daemon);
	return error ? EXIT_FAILED : EXIT_SUCCESS;
}

/* The secret and the token must not end up in a core file or be read by a debugger. */
static void protect_memory(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
#ifndef IBINDERFS_SANITIZED /* the leak check attaches to the process */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

/* Listings and answers are large and come and go: each in a mapping of its own, its memory goes
 * back when it is freed. glibc would raise the limit for such mappings with every large block that
 * is freed, and keep the next ones on the heap, where what is freed between others is held for
 * good. */
static void return_freed_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES_MIN);
}

/* In the parent: waits until the daemon says that it is up. Returns the exit code. */
static int wait_for_up(pid_t child, int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char byte;
	int status;
	int ready;

	do {
		ready = poll(&wait, 1, UP_WITHIN_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready > 0 && read(fd, &byte, 1) == 1)
		return EXIT_SUCCESS;
	if (ready == 0) {
		log_error("the mount is not up after %d s: giving up", UP_WITHIN_MS / 1000);
		kill(child, SIGTERM); /* lets it unmount; the pipe closes when it has ended */
		if (poll(&wait, 1, DOWN_WITHIN_MS) == 0)
			kill(child, SIGKILL);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		log_error("the daemon died of signal %d", WTERMSIG(status));
	return EXIT_FAILED;
}

static int run_daemon(struct config *config, struct secret *secret)
{
	int up[2];
	pid_t child;

	if (config->foreground)
		return run(config, secret, -1);
	if (pipe2(up, O_CLOEXEC)) {
		log_error("cannot make a pipe: %s", strerror(errno));
		return EXIT_FAILED;
	}
	child = fork();
	if (child < 0) {
		log_error("cannot fork: %s", strerror(errno));
		return EXIT_FAILED;
	}
	if (child > 0) {
		close(up[1]);
		return wait_for_up(child, up[0]);
	}
	close(up[0]);
	setsid();
	if (chdir("/"))
		log_warning("cannot leave the current directory: %s", strerror(errno));
	return run(config, secret, up[1]);
}

static int mount_and_run(struct config *config)
{
	struct secret secret CLEANUP(secret_fini) = {NULL, 0};
	struct buf error CLEANUP(buf_reset) = BUF_INIT(MESSAGE_MAX);
	int demo_pipe = -1;
	int result = mountpoint_prepare(config->mountpoint, &error);

	if (!result && config->mode == CONFIG_DEMO)
		result = demo_start(config, &demo_pipe, &error);
	if (!result)
		result = config_read_secret(config, &secret, &error);
	if (result) {
		log_error("%s", buf_str(&error));
		return EXIT_FAILED;
	}
	return run_daemon(config, &secret);
}

static int print(int (*printer)(struct buf *out))
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(64 * 1024);

	if (printer(&text))
		return EXIT_FAILED;
	fputs(buf_str(&text), stdout);
	return EXIT_SUCCESS;
}

static int print_version(struct buf *out)
{
	return buf_append_str(out, "ibinderfs " IBINDERFS_VERSION "\n");
}

int main(int argc, char **argv)
{
	struct buf error CLEANUP(buf_reset) = BUF_INIT(MESSAGE_MAX);
	struct config *config = NULL;
	int code = EXIT_FAILED;

	protect_memory();
	return_freed_memory();
	signal(SIGPIPE, SIG_IGN); /* libcurl writes to sockets that may have closed */
	srandom((unsigned int)(loop_wall_ns() ^ getpid())); /* for jitter */
	if (config_load(argc, argv, &config, &error)) {
		log_error("%s", buf_str(&error));
		return EXIT_FAILED;
	}
	log_init(config->log_level, LOG_TARGET_STDERR);
	if (http_global_init()) {
		log_error("libcurl cannot start");
		config_free(config);
		return EXIT_FAILED;
	}
	switch (config->mode) {
	case CONFIG_HELP:
		code = print(config_usage);
		break;
	case CONFIG_VERSION:
		code = print(print_version);
		break;
	case CONFIG_CHECK:
		code = check_run(config) ? EXIT_FAILED : EXIT_SUCCESS;
		break;
	case CONFIG_MOUNT:
	case CONFIG_DEMO:
		code = mount_and_run(config);
		break;
	}
	config_free(config);
	http_global_fini();
	return code;
}
