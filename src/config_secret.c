/* config_secret.c: fetches the client's secret from environment, configuration file, a file of its
 * own or a command.
 *
 * Owns nothing that lasts; buffers are overwritten before they are freed. Runs in any thread: it
 * reads the configuration, which nobody changes, and tells failures without quoting contents. */
#include "config_internal.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A secret and its line end. */
#define SECRET_INPUT_MAX (SECRET_BYTES_MAX + 2)

/* Takes what a file or command gave, without one final line end. `what` begins the message. */
static int secret_take(struct secret *ret_secret, const char *data, size_t len, const char *what,
		       struct buf *error)
{
	int rc;

	if (len > 0 && data[len - 1] == '\n') {
		len--;
		if (len > 0 && data[len - 1] == '\r')
			len--;
	}
	if (len == 0)
		return config_fail(error, -EINVAL, "%s is empty", what);
	rc = secret_set(ret_secret, data, len);
	if (rc == -EINVAL)
		return config_fail(error, rc, "%s holds a NUL byte or more than %d bytes", what,
				   SECRET_BYTES_MAX);
	return rc;
}

/* systemd writes a credential with mode 0400 and, for a service with User=, adds an ACL entry for
 * that user, whose mask stat shows as the group's bits (write_credential in its
 * src/core/exec-credential.c; up to v252 in execute.c). The owner stays root. */
static bool is_systemd_credential(const char *path, const struct stat *st)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	size_t len = directory ? strlen(directory) : 0;

	while (len > 0 && directory[len - 1] == '/')
		len--;
	if (len == 0 || strncmp(path, directory, len) != 0)
		return false;
	path += len;
	path += strspn(path, "/");
	return *path != '\0' && !strchr(path, '/') && st->st_uid == 0 &&
	       (st->st_mode & 07777) == 0440;
}

static int secret_from_file(const char *key, const char *path, struct secret *ret_secret,
			    struct buf *error)
{
	struct buf data CLEANUP(buf_wipe) = BUF_INIT(SECRET_INPUT_MAX);
	struct stat st;
	int rc = config_file_read(path, &st, &data);

	if (rc < 0)
		return config_fail(error, rc, "cannot read %s %s: %s", key, path,
				   config_file_strerror(rc));
	if (!is_systemd_credential(path, &st))
		rc = config_file_check_mode(path, &st, S_IRWXG | S_IRWXO, error);
	if (rc == 0)
		rc = secret_take(ret_secret, buf_str(&data), data.len, path, error);
	return rc;
}

struct inline_secret {
	const char *key;
	struct secret secret;
};

static void inline_secret_fini(struct inline_secret *wanted)
{
	secret_fini(&wanted->secret);
}

static int take_inline(void *user, enum config_key key, const char *value, unsigned line,
		       struct buf *error)
{
	struct inline_secret *wanted = user;

	(void)line;
	if (strcmp(config_settings[key].key, wanted->key) != 0)
		return 0;
	return secret_take(&wanted->secret, value, strlen(value), wanted->key, error);
}

static int secret_from_section(const struct config *config, struct secret *ret_secret,
			       struct buf *error)
{
	struct inline_secret wanted CLEANUP(inline_secret_fini) = {.key = config->secret_key};
	int rc = config_file_section(config->file, config->source, take_inline, &wanted, error);

	if (rc == -ENOENT)
		return config_fail(error, rc, "the configuration file %s is gone", config->file);
	if (rc < 0)
		return rc;
	if (!wanted.secret.value)
		return config_fail(error, -EINVAL, "%s: %s is gone from section [%s]", config->file,
				   config->secret_key, config->source);
	secret_move(ret_secret, &wanted.secret);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until there is something to read. -ETIMEDOUT when the deadline comes first. */
static int wait_readable(int fd, int64_t deadline_ms)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		int64_t left = deadline_ms - now_ms();
		int ready;

		if (left <= 0)
			return -ETIMEDOUT;
		ready = poll(&poll_fd, 1, (int)left);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

/* The shell gets a process group of its own, to be killed as a whole, default signals, /dev/null
 * as input, and none of our descriptors: not every library opens its own with O_CLOEXEC. */
static int spawn_shell(const char *command, int output, pid_t *ret_pid)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int rc;

	rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0)
		return -rc;
	rc = posix_spawnattr_init(&attributes);
	if (rc != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return -rc;
	}
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							   POSIX_SPAWN_SETPGROUP);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY,
						      0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	if (rc == 0)
		rc = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

static int read_output(int fd, int64_t deadline_ms, struct buf *output)
{
	int rc;

	do {
		rc = wait_readable(fd, deadline_ms);
		if (rc == 0)
			rc = config_read_some(fd, output);
	} while (rc > 0 || rc == -EINTR || rc == -EAGAIN);
	return rc;
}

/* Waits for the end of the process; after a failure or at the deadline ends its whole group.
 * Returns `rc`, or -ETIMEDOUT. */
static int end_shell(pid_t pid, int rc, int64_t deadline_ms, int *ret_status)
{
	int pid_fd = pidfd_open(pid, 0);

	if (rc == 0)
		rc = pid_fd < 0 ? -errno : wait_readable(pid_fd, deadline_ms);
	/* Not reaped yet, so the number still is this group's. */
	if (rc < 0)
		kill(-pid, SIGKILL);
	if (pid_fd >= 0)
		close(pid_fd);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	return rc;
}

static int tell_status(const char *key, int status, struct buf *error)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status))
		return config_fail(error, -EINVAL, "%s failed with status %d", key,
				   WEXITSTATUS(status));
	return config_fail(error, -EINVAL, "%s was ended by signal %d", key, WTERMSIG(status));
}

static int secret_run(const char *key, const char *command, int64_t limit_ms, struct buf *output,
		      struct buf *error)
{
	int64_t deadline_ms = now_ms() + limit_ms;
	int status = 0;
	int ends[2];
	pid_t pid;
	int rc;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* The writing end is the command's: it expects to block when the pipe is full. */
	rc = fcntl(ends[1], F_SETFL, 0) < 0 ? -errno : spawn_shell(command, ends[1], &pid);
	close(ends[1]);
	if (rc == 0) {
		rc = read_output(ends[0], deadline_ms, output);
		rc = end_shell(pid, rc, deadline_ms, &status);
	}
	close(ends[0]);
	if (rc == -ETIMEDOUT)
		return config_fail(error, rc, "%s did not end within %g seconds", key,
				   (double)limit_ms / 1000);
	if (rc == -EFBIG)
		return config_fail(error, -EINVAL, "%s printed more than %d bytes", key,
				   SECRET_BYTES_MAX);
	if (rc < 0)
		return config_fail(error, rc, "cannot run %s: %s", key, strerror(-rc));
	return tell_status(key, status, error);
}

int config_secret_run(const char *key, const char *command, int64_t limit_ms,
		      struct secret *ret_secret, struct buf *error)
{
	struct buf output CLEANUP(buf_wipe) = BUF_INIT(SECRET_INPUT_MAX);
	char what[64];
	int rc = secret_run(key, command, limit_ms, &output, error);

	if (rc < 0)
		return rc;
	snprintf(what, sizeof(what), "the output of %s", key);
	return secret_take(ret_secret, buf_str(&output), output.len, what, error);
}

int config_read_secret(const struct config *config, struct secret *ret_secret, struct buf *error)
{
	size_t told = error->len;
	const char *name;
	const char *value;
	int rc = -EINVAL;

	switch (config->secret_source) {
	case CONFIG_SECRET_NONE:
		rc = config_fail(error, -EINVAL, "there is no secret");
		break;
	case CONFIG_SECRET_ENVIRONMENT:
		name = config_settings[config_key_find(config->secret_key,
						       strlen(config->secret_key))]
			       .environment[0];
		value = getenv(name);
		rc = secret_take(ret_secret, value ? value : "", value ? strlen(value) : 0, name,
				 error);
		break;
	case CONFIG_SECRET_INLINE:
		rc = secret_from_section(config, ret_secret, error);
		break;
	case CONFIG_SECRET_FILE:
		rc = secret_from_file(config->secret_key, config->secret_origin, ret_secret, error);
		break;
	case CONFIG_SECRET_COMMAND:
		rc = config_secret_run(config->secret_key, config->secret_origin,
				       CONFIG_SECRET_COMMAND_MS, ret_secret, error);
		break;
	}
	if (rc < 0 && error->len == told)
		buf_append_str(error, strerror(-rc));
	return rc;
}
