/* demo.c: starting the server of the made-up organisation. */
#include "demo.h"

#include "cleanup.h"
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

#define SERVER_NAME	"ibinderfs-sim"
#define READY_WITHIN_MS 10000
#define ARGUMENTS_MAX	12
/* Not a secret: what it opens is made up, and served to this machine alone. */
#define DEMO_TENANT "6f9619ff-8b86-d011-b42d-00c04fc964ff"
#define DEMO_CLIENT "demo"
#define DEMO_SECRET "demo"

/* What each vendor's server is started with, and what the account for it is. */
static const struct vendor {
	const char *provider;
	const char *arguments[5];  /* NULL ends them */
	const char *server_secret; /* environment variables */
	const char *secret;
	const char *secret_key; /* the setting */
	const char *api_path;	/* NULL: the token tells */
	const char *auth_path;
} vendors[] = {
	{
		.provider = "ibinder",
		.arguments = {"--tenant", DEMO_TENANT, "--client-id", DEMO_CLIENT},
		.server_secret = "SIM_CLIENT_SECRET",
		.secret = "IBINDER_CLIENT_SECRET",
		.secret_key = "client_secret",
		.api_path = "/api",
		.auth_path = "/connect/token",
	},
	{
		.provider = "inbenta",
		.arguments = {"--vendor=inbenta", "--api-key=" DEMO_CLIENT},
		.server_secret = "SIM_SECRET",
		.secret = "INBENTA_SECRET",
		.secret_key = "secret",
		.auth_path = "/v1",
	},
};

static const struct vendor *vendor_of(const struct config *config)
{
	const struct vendor *vendor = vendors;

	while (strcmp(vendor->provider, config->provider) != 0)
		vendor++;
	return vendor;
}

/* In the build tree, under the same prefix as this program, or where it was installed. */
static int find_server(char *out, size_t size)
{
	static const char *const beside[] = {"tests/sim/" SERVER_NAME,
					     "../libexec/ibinderfs/" SERVER_NAME};
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *dir;
	size_t i;

	if (len < 0)
		return -errno;
	self[len] = '\0';
	dir = dirname(self);
	for (i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
		snprintf(out, size, "%s/%s", dir, beside[i]);
		if (access(out, X_OK) == 0)
			return 0;
	}
	snprintf(out, size, "%s/%s", IBINDERFS_LIBEXECDIR, SERVER_NAME);
	return access(out, X_OK) == 0 ? 0 : -errno;
}

/* `in` and `out` become the server's standard input and output. A server behind a daemon keeps
 * neither the caller's standard error, which may be a pipe that somebody reads to its end, nor the
 * caller's directory. */
static int spawn_server(const char *path, const struct vendor *vendor, int in, int out,
			bool foreground)
{
	char *command[ARGUMENTS_MAX] = {(char *)path, (char *)"--demo",
					(char *)"--exit-with-stdin"};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t child;
	size_t i;
	int error;

	for (i = 0; vendor->arguments[i]; i++)
		command[3 + i] = (char *)vendor->arguments[i];
	if (setenv(vendor->server_secret, DEMO_SECRET, 1))
		return -errno;
	error = posix_spawn_file_actions_init(&actions);
	if (error)
		return -error;
	error = posix_spawnattr_init(&attributes);
	if (error) {
		posix_spawn_file_actions_destroy(&actions);
		return -error;
	}
	/* In a session of its own, so that Ctrl-C in a terminal unmounts before it ends. */
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (!foreground)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addchdir_np(&actions, "/");
	error = posix_spawn(&child, path, &actions, &attributes, command, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

/* Reads "ready port=41234 …". */
static int read_port(int fd, unsigned int *ret_port)
{
	char line[128];
	size_t len = 0;
	int64_t deadline_ms = loop_now_ms() + READY_WITHIN_MS;

	while (len < sizeof(line) - 1) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int64_t left_ms = deadline_ms - loop_now_ms();
		ssize_t count;

		if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) == 0)
			return -ETIMEDOUT;
		count = read(fd, line + len, sizeof(line) - 1 - len);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return -EPIPE;
		len += (size_t)count;
		line[len] = '\0';
		if (strchr(line, '\n'))
			return sscanf(line, "ready port=%u", ret_port) == 1 ? 0 : -EPROTO;
	}
	return -EPROTO;
}

/* `path` NULL: none. */
static int set_url(char **field, unsigned int port, const char *path)
{
	if (path && asprintf(field, "http://127.0.0.1:%u%s", port, path) < 0) {
		*field = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* The account is --demo's alone: config_load has left it out. */
static int point_config(struct config *config, unsigned int port)
{
	const struct vendor *vendor = vendor_of(config);

	free(config->proxy);
	config->proxy = NULL; /* loopback */
	config->tenant_id = strdup(DEMO_TENANT);
	config->client_id = strdup(DEMO_CLIENT);
	config->api_key = strdup(DEMO_CLIENT);
	config->secret_source = CONFIG_SECRET_ENVIRONMENT;
	config->secret_key = vendor->secret_key;
	if (setenv(vendor->secret, DEMO_SECRET, 1))
		return -errno;
	return set_url(&config->api_url, port, vendor->api_path) ||
			       set_url(&config->auth_url, port, vendor->auth_path) ||
			       !config->tenant_id || !config->client_id || !config->api_key
		       ? -ENOMEM
		       : 0;
}

int demo_start(struct config *config, int *ret_pipe, struct buf *error)
{
	char path[PATH_MAX];
	int in[2] = {-1, -1};
	int out[2] = {-1, -1};
	unsigned int port = 0;
	int result = find_server(path, sizeof(path));

	if (result) {
		buf_printf(error, "the demo server (%s) is not installed: %s", SERVER_NAME,
			   strerror(-result));
		return result;
	}
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		result = -errno;
	if (!result)
		result = spawn_server(path, vendor_of(config), in[0], out[1], config->foreground);
	if (in[0] >= 0)
		close(in[0]);
	if (out[1] >= 0)
		close(out[1]);
	if (!result)
		result = read_port(out[0], &port);
	if (out[0] >= 0)
		close(out[0]);
	if (!result)
		result = point_config(config, port);
	if (result) {
		buf_printf(error, "the demo server did not start: %s", strerror(-result));
		if (in[1] >= 0)
			close(in[1]);
		return result;
	}
	*ret_pipe = in[1];
	return 0;
}
