/* test_oom_config.c: every allocation of the configuration, and of the names, fails once. A wrong
 * setting is never let through, and a right one never called wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oom.h"

#include "config.h"
#include "name.h"
#include "url.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX (1 << 20)

static const char *options_under_test;
static const char *file_under_test;
static const char *printed_first; /* what config_print says with all the memory */

static int file_of(const char *text)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static int load(struct config **ret_config, struct buf *error)
{
	char options[1024];
	char *argv[] = {(char *)"ibinderfs", (char *)"acme", (char *)"/mnt",
			(char *)"-o",	     options,	     NULL};
	int fd = file_of(file_under_test);
	int rc;

	snprintf(options, sizeof(options), "config=/proc/self/fd/%d,%s", fd, options_under_test);
	rc = config_load(5, argv, ret_config, error);
	close(fd);
	return rc;
}

static int load_good(void)
{
	struct config *config = NULL;
	struct buf error = BUF_INIT(TEXT_MAX);
	struct buf printed = BUF_INIT(TEXT_MAX);
	int rc = load(&config, &error);

	if (!rc)
		rc = config_print(config, &printed);
	if (!rc && !printed_first)
		printed_first = buf_steal(&printed);
	else if (!rc)
		assert_string_equal(printed.data, printed_first);
	config_free(config);
	buf_reset(&printed);
	buf_reset(&error);
	return rc;
}

/* What must be refused whatever fails: 0 stands for that here. */
static int load_bad(void)
{
	struct config *config = NULL;
	struct buf error = BUF_INIT(TEXT_MAX);
	int rc = load(&config, &error);

	if (rc == 0)
		fail_msg("%s: accepted after %lu failures", options_under_test, oom_failed);
	config_free(config);
	buf_reset(&error);
	return rc == -ENOMEM ? rc : 0;
}

#define ACCOUNT                                                                                    \
	"[acme]\ntenant_id = T\nclient_id = C\nclient_secret = hunter2\n"                          \
	"ca_file = /dev/null\nproxy = socks5h://127.0.0.1:1080\nuid = 5\n"

static void test_good(void **state)
{
	(void)state;
	options_under_test = "ttl=5,api_url=https://host/api/,auth_url=http://127.0.0.1:1/t";
	file_under_test = "[other]\nttl = 1\n" ACCOUNT;
	oom_run(load_good);
	free((char *)printed_first);
	printed_first = NULL;
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"api_url=https://user:password@host/",
		"api_url=https://host/?query",
		"api_url=https://host/#fragment",
		"api_url=http://example.com/",
		"api_url=ftp://host/",
		"proxy=http://user:password@host/",
		"proxy=ftp://host/",
		"ttl=x",
		"tl=1",
		"uid=",
		"subfolders_path=x",
		"ca_file=/nonexistent",
	};

	(void)state;
	file_under_test = ACCOUNT;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options_under_test = bad[i];
		oom_run(load_bad);
	}
}

static int read_secret(void)
{
	struct config config = {
		.source = (char *)"acme",
		.provider = (char *)"ibinder",
		.secret_source = CONFIG_SECRET_INLINE,
		.secret_key = "client_secret",
	};
	struct secret secret = {NULL, 0};
	struct buf error = BUF_INIT(TEXT_MAX);
	char path[64];
	int fd = file_of(ACCOUNT);
	int rc;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config.file = path;
	rc = config_read_secret(&config, &secret, &error);
	if (!rc)
		assert_string_equal(secret.value, "hunter2");
	close(fd);
	secret_fini(&secret);
	buf_reset(&error);
	return rc;
}

static void test_secret(void **state)
{
	(void)state;
	oom_run(read_secret);
}

static int check_links(void)
{
	static const char *const bad[] = {"https://user@host/x", "http://host/x", "x"};
	const char *problem;
	int error = url_storage_check("https://host/x?sig=y", false, &problem);

	for (size_t i = 0; !error && i < sizeof(bad) / sizeof(bad[0]); i++) {
		error = url_storage_check(bad[i], true, &problem);
		assert_int_not_equal(error, 0);
		if (error == -EBADMSG)
			error = 0;
	}
	return error;
}

static void test_links(void **state)
{
	(void)state;
	oom_run(check_links);
}

static int assign_names(void)
{
	static const char *const reserved[] = {"binder.json"};
	static const char *const names[] = {"A [12345678]", "A",       "A", "binder", "",
					    "x/y",	    "x\uFF0Fy"};
	struct name_entry entries[sizeof(names) / sizeof(names[0])];
	const size_t count = sizeof(names) / sizeof(names[0]);
	char ids[sizeof(names) / sizeof(names[0])][16];
	int error;

	for (size_t i = 0; i < count; i++) {
		snprintf(ids[i], sizeof(ids[i]), "12345678%zu", i);
		entries[i] = (struct name_entry){
			.raw = names[i],
			.raw_len = strlen(names[i]),
			.id = ids[i],
			.id_len = strlen(ids[i]),
			.hash = i + 1,
			.suffix = i == 3 ? ".json" : "",
		};
	}
	error = names_assign(entries, count, reserved, 1);
	for (size_t i = 0; i < count; i++) {
		if (error)
			assert_null(entries[i].name);
		else
			free(entries[i].name);
	}
	return error;
}

static void test_names(void **state)
{
	(void)state;
	oom_run(assign_names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_secret), cmocka_unit_test(test_links),
		cmocka_unit_test(test_names),
	};

	unsetenv("CREDENTIALS_DIRECTORY");
	oom_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
