/* config_fixture.h: what the tests of the configuration share: a temporary directory as
 * $XDG_CONFIG_HOME, an environment without an account, config_load with a list of arguments. */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

#include "config.h"
#include "config_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define ARGUMENTS_MAX 8
/* Stands for every secret here: no message may show it. */
#define SECRET "hunter2"

static char directory[] = "/tmp/test_config.XXXXXX";
static const char *const variables[] = {
	"IBINDER_TENANT_ID", "IBINDER_ORG_ID",	 "IBINDER_CLIENT_ID",	  "IBINDER_CLIENT_SECRET",
	"IBINDER_API_URL",   "IBINDER_AUTH_URL", "CREDENTIALS_DIRECTORY", "HOME",
};

/* The outcome of one config_load. */
struct outcome {
	int rc;
	struct config *config;
	struct buf text; /* what config_print says, or the error */
};

static inline void outcome_fini(struct outcome *outcome)
{
	config_free(outcome->config);
	buf_reset(&outcome->text);
}

static inline const char *file_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static inline void write_file(const char *name, mode_t mode, const char *text, size_t len)
{
	const char *path = file_path(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* The text of $XDG_CONFIG_HOME/ibinderfs/config. */
static inline void write_config(mode_t mode, const char *text)
{
	write_file("ibinderfs/config", mode, text, strlen(text));
}

/* A section [acme] that is complete but for a secret, with more lines. */
static inline void write_section(mode_t mode, const char *lines)
{
	char text[2 * PATH_MAX];

	snprintf(text, sizeof(text), "[acme]\ntenant_id = T\nclient_id = C\n%s\n", lines);
	write_config(mode, text);
}

static inline struct outcome load(const char *first, ...)
{
	struct outcome outcome = {.text = BUF_INIT(16384)};
	char *argv[ARGUMENTS_MAX + 2] = {(char *)"ibinderfs"};
	int argc = 1;
	va_list arguments;

	va_start(arguments, first);
	for (const char *at = first; at && argc <= ARGUMENTS_MAX; at = va_arg(arguments, char *))
		argv[argc++] = (char *)at;
	va_end(arguments);
	outcome.rc = config_load(argc, argv, &outcome.config, &outcome.text);
	if (outcome.rc == 0) {
		assert_int_equal(outcome.text.len, 0);
		assert_int_equal(config_print(outcome.config, &outcome.text), 0);
	} else {
		assert_null(outcome.config);
		assert_true(outcome.text.len > 0);
		assert_null(strchr(buf_str(&outcome.text), '\n'));
	}
	assert_null(strstr(buf_str(&outcome.text), SECRET));
	return outcome;
}

static inline void assert_says(const struct outcome *outcome, const char *part)
{
	if (!strstr(buf_str(&outcome->text), part))
		fail_msg("expected \"%s\" in: %s", part, buf_str(&outcome->text));
}

static inline void assert_refused(struct outcome outcome, int rc, const char *part)
{
	assert_says(&outcome, part);
	assert_int_equal(outcome.rc, rc);
	outcome_fini(&outcome);
}

static inline void assert_accepted(struct outcome outcome, const char *line)
{
	if (outcome.rc < 0)
		fail_msg("refused: %s", buf_str(&outcome.text));
	assert_says(&outcome, line);
	outcome_fini(&outcome);
}

static inline void set_account(void)
{
	setenv("IBINDER_TENANT_ID", "tenant", 1);
	setenv("IBINDER_CLIENT_ID", "client", 1);
	setenv("IBINDER_CLIENT_SECRET", SECRET, 1);
}

static inline int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++)
		unsetenv(variables[i]);
	setenv("XDG_CONFIG_HOME", directory, 1);
	write_config(0644, "");
	return 0;
}

static inline int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	return mkdir(file_path("ibinderfs"), 0700);
}

static inline int remove_directory(void **state)
{
	static const char *const files[] = {"ibinderfs/config", "ibinderfs/acme.secret",
					    "elsewhere", "real", "pid"};

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++)
		unlink(file_path(files[i]));
	rmdir(file_path("ibinderfs"));
	return rmdir(directory);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

#endif
