/* test_config_secret.c: where the client secret comes from, which files and commands are trusted
 * with it, and that no message shows it. */
#include "config_fixture.h"

#include <signal.h>
#include <time.h>

/* Loads [acme] and reads its secret; the message must hold `part`, or the secret be SECRET. */
static void check_secret(int expected_rc, const char *part)
{
	struct outcome outcome = load("acme", "/mnt", NULL);
	struct buf error = BUF_INIT(8192);
	struct secret secret = {0};
	int rc = outcome.rc;

	if (rc == 0) {
		buf_reset(&outcome.text);
		rc = config_read_secret(outcome.config, &secret, &error);
		buf_append_str(&outcome.text, buf_str(&error));
	}
	assert_null(strstr(buf_str(&outcome.text), SECRET));
	if (expected_rc < 0) {
		assert_says(&outcome, part);
		assert_null(secret.value);
	} else {
		if (rc < 0)
			fail_msg("refused: %s", buf_str(&outcome.text));
		assert_string_equal(secret.value, SECRET);
		assert_int_equal(secret.len, strlen(SECRET));
	}
	assert_int_equal(rc, expected_rc);
	secret_fini(&secret);
	buf_reset(&error);
	outcome_fini(&outcome);
}

static void test_secret_file(void **state)
{
	static const struct {
		mode_t mode;
		int rc;
	} modes[] = {{0600, 0},	      {0400, 0},       {0700, 0},	{0640, -EACCES},
		     {0604, -EACCES}, {0440, -EACCES}, {0660, -EACCES}, {0601, -EACCES}};
	char part[PATH_MAX + 64];

	(void)state;
	write_section(0644, "client_secret_file = acme.secret"); /* beside the configuration */
	snprintf(part, sizeof(part), "run chmod 600 %s", file_path("ibinderfs/acme.secret"));
	for (size_t i = 0; i < COUNT(modes); i++) {
		write_file("ibinderfs/acme.secret", modes[i].mode, SECRET "\n", strlen(SECRET) + 1);
		check_secret(modes[i].rc, part);
	}
	write_file("ibinderfs/acme.secret", 0600, SECRET "\r\n", strlen(SECRET) + 2);
	check_secret(0, NULL);
	write_file("ibinderfs/acme.secret", 0600, SECRET, strlen(SECRET));
	check_secret(0, NULL);
	write_file("ibinderfs/acme.secret", 0600, "\r\n", 2);
	check_secret(-EINVAL, "acme.secret is empty");
	write_file("ibinderfs/acme.secret", 0600, "", 0);
	check_secret(-EINVAL, "acme.secret is empty");
	write_file("ibinderfs/acme.secret", 0600, SECRET "\0x", strlen(SECRET) + 2);
	check_secret(-EINVAL, "holds a NUL byte");
	unlink(file_path("ibinderfs/acme.secret"));
	check_secret(-ENOENT, "No such file");
	assert_int_equal(mkfifo(file_path("ibinderfs/acme.secret"), 0600), 0);
	check_secret(-ENODEV, "not a regular file");
	unlink(file_path("ibinderfs/acme.secret"));

	/* A link counts as what it leads to. */
	write_file("real", 0600, SECRET "\n", strlen(SECRET) + 1);
	assert_int_equal(symlink("../real", file_path("ibinderfs/acme.secret")), 0);
	check_secret(0, NULL);
	write_file("real", 0644, SECRET "\n", strlen(SECRET) + 1);
	check_secret(-EACCES, part);
	unlink(file_path("ibinderfs/acme.secret"));
}

static void test_secret_size(void **state)
{
	char *text = malloc(SECRET_BYTES_MAX + 8);
	struct outcome outcome;
	struct secret secret = {0};
	struct buf error = BUF_INIT(8192);

	(void)state;
	assert_non_null(text);
	memset(text, 's', SECRET_BYTES_MAX + 8);
	memcpy(text + SECRET_BYTES_MAX, "\r\n", 2);
	write_section(0644, "client_secret_file = acme.secret");
	write_file("ibinderfs/acme.secret", 0600, text, SECRET_BYTES_MAX + 2);
	outcome = load("acme", "/mnt", NULL);
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), 0);
	assert_int_equal(secret.len, SECRET_BYTES_MAX);
	secret_fini(&secret);
	outcome_fini(&outcome);
	memset(text, 's', SECRET_BYTES_MAX + 8);
	write_file("ibinderfs/acme.secret", 0600, text, SECRET_BYTES_MAX + 1);
	check_secret(-EINVAL, "or more than 16384 bytes");
	write_file("ibinderfs/acme.secret", 0600, text, SECRET_BYTES_MAX + 3);
	check_secret(-EFBIG, "too large");
	free(text);
}

static void test_secret_inline(void **state)
{
	(void)state;
	write_section(0600, "client_secret = " SECRET);
	check_secret(0, NULL);
	write_section(0644, "client_secret = " SECRET);
	check_secret(-EACCES, "ibinderfs/config is open to other users (mode 0644): run chmod 600");
	write_section(0640, "client_secret = " SECRET);
	check_secret(-EACCES, "(mode 0640): run chmod 600");
	/* Another section's secret is not ours to judge. */
	write_config(0644, "[acme]\ntenant_id=t\nclient_id=c\n[b]\nclient_secret=" SECRET "\n");
	check_secret(-EINVAL, "is not set");
	write_section(0600, "client_secret =");
	check_secret(-EINVAL, "is empty");
	write_section(0600, "client_secret = " SECRET "\nclient_secret_file = x");
	check_secret(-EINVAL, "config:5: client_secret_file: the secret has another source");
}

/* SIGHUP: what was changed in the meantime counts. */
static void test_secret_reread(void **state)
{
	struct outcome outcome;
	struct secret secret = {0};
	struct buf error = BUF_INIT(8192);

	(void)state;
	write_section(0600, "client_secret = old");
	outcome = load("acme", "/mnt", NULL);
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), 0);
	assert_string_equal(secret.value, "old");
	write_section(0600, "client_secret = new");
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), 0);
	assert_string_equal(secret.value, "new");
	write_section(0600, "ttl = 1");
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), -EINVAL);
	assert_non_null(strstr(buf_str(&error), "client_secret is gone from section [acme]"));
	assert_string_equal(secret.value, "new"); /* untouched on failure */
	buf_reset(&error);
	unlink(file_path("ibinderfs/config"));
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), -ENOENT);
	buf_reset(&error);
	secret_fini(&secret);
	outcome_fini(&outcome);
}

static void test_secret_environment(void **state)
{
	struct outcome outcome;
	struct secret secret = {0};
	struct buf error = BUF_INIT(8192);

	(void)state;
	set_account();
	outcome = load("/mnt", NULL);
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), 0);
	assert_string_equal(secret.value, SECRET);
	unsetenv("IBINDER_CLIENT_SECRET");
	assert_int_equal(config_read_secret(outcome.config, &secret, &error), -EINVAL);
	assert_string_equal(buf_str(&error), "IBINDER_CLIENT_SECRET is empty");
	buf_reset(&error);
	secret_fini(&secret);
	outcome_fini(&outcome);
}

static void test_credentials_directory(void **state)
{
	char credentials[PATH_MAX];
	char line[PATH_MAX + 64];

	(void)state;
	snprintf(credentials, sizeof(credentials), "%s", file_path("credentials"));
	mkdir(credentials, 0700);
	setenv("CREDENTIALS_DIRECTORY", credentials, 1);
	write_section(0644, "client_secret_file = client_secret");
	write_file("ibinderfs/client_secret", 0600, SECRET "\n", strlen(SECRET) + 1);
	check_secret(0, NULL); /* not in the directory: beside the configuration */
	write_file("ibinderfs/client_secret", 0600, "wrong", 5);
	write_file("credentials/client_secret", 0400, SECRET "\n", strlen(SECRET) + 1);
	check_secret(0, NULL);

	/* The mask of systemd's ACL looks like group access; only root's files are trusted so. */
	write_file("credentials/client_secret", 0440, SECRET "\n", strlen(SECRET) + 1);
	check_secret(geteuid() == 0 ? 0 : -EACCES, "chmod 600");
	write_file("credentials/client_secret", 0444, SECRET "\n", strlen(SECRET) + 1);
	check_secret(-EACCES, "chmod 600");
	write_file("credentials/client_secret", 0640, SECRET "\n", strlen(SECRET) + 1);
	check_secret(-EACCES, "chmod 600");

	if (geteuid() == 0) {
		write_file("credentials/client_secret", 0440, SECRET "\n", strlen(SECRET) + 1);
		assert_int_equal(chown(file_path("credentials/client_secret"), 54321, 0), 0);
		check_secret(-EACCES, "belongs to another user (uid 54321)");
	}

	/* Only files of the directory itself. */
	write_file("ibinderfs/client_secret", 0440, SECRET "\n", strlen(SECRET) + 1);
	write_section(0644, "client_secret_file = ../ibinderfs/client_secret");
	check_secret(-EACCES, "chmod 600");
	snprintf(line, sizeof(line), "client_secret_file = %s/../ibinderfs/client_secret",
		 credentials);
	write_section(0644, line);
	check_secret(-EACCES, "chmod 600");
	unlink(file_path("credentials/client_secret"));
	unlink(file_path("ibinderfs/client_secret"));
	rmdir(credentials);
}

static void check_mode(uid_t owner, mode_t mode, mode_t forbidden, const char *expected)
{
	struct stat st = {.st_uid = owner, .st_mode = S_IFREG | mode};
	struct buf error = BUF_INIT(1024);
	int rc = config_file_check_mode("/a b's", &st, forbidden, &error);

	assert_int_equal(rc, *expected ? -EACCES : 0);
	if (*expected)
		assert_non_null(strstr(buf_str(&error), expected));
	else
		assert_int_equal(error.len, 0);
	buf_reset(&error);
}

static void test_owner_and_mode(void **state)
{
	uid_t me = geteuid();
	char expected[256];

	(void)state;
	check_mode(me, 0600, 077, "");
	check_mode(0, 0600, 077, "");
	check_mode(me, 0644, 022, "");
	check_mode(me, 0644, 077, "mode 0644): run chmod 600 '/a b'\\''s'");
	check_mode(me, 0664, 022, "mode 0664): run chmod go-w '/a b'\\''s'");
	snprintf(expected, sizeof(expected), "(uid 54321): run chown %u '/a b'\\''s'", me);
	check_mode(54321, 0600, 077, expected);
	snprintf(expected, sizeof(expected), "run chown %u '/a b'\\''s' && chmod 600 '/a b'\\''s'",
		 me);
	check_mode(54321, 0640, 077, expected);
}

static void test_secret_command(void **state)
{
	(void)state;
	write_section(0644, "client_secret_command = printf 'hun%s\\n' ter2");
	check_secret(0, NULL);
	write_section(0666, "client_secret_command = printf 'hun%s\\n' ter2");
	check_secret(-EACCES, "run chmod go-w");
	write_section(0644, "client_secret_command = echo " SECRET "; exit 3");
	check_secret(-EINVAL, "client_secret_command failed with status 3");
	write_section(0644, "client_secret_command = kill -9 $$");
	check_secret(-EINVAL, "client_secret_command was ended by signal 9");
	write_section(0644, "client_secret_command = true");
	check_secret(-EINVAL, "the output of client_secret_command is empty");
	write_section(0644, "client_secret_command = yes");
	check_secret(-EINVAL, "printed more than 16384 bytes");
	write_section(0644, "client_secret_command =");
	check_secret(-EINVAL, "client_secret_command: is empty");
}

static size_t count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What config_secret_run makes of a command, within a second. */
static void run_command(const char *command, int64_t limit_ms, int expected_rc,
			const char *expected)
{
	struct secret secret = {0};
	struct buf error = BUF_INIT(1024);
	size_t descriptors = count_descriptors();
	struct timespec start, end;
	int rc;

	clock_gettime(CLOCK_MONOTONIC, &start);
	rc = config_secret_run("client_secret_command", command, limit_ms, &secret, &error);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(rc, expected_rc);
	assert_true(end.tv_sec - start.tv_sec <= 5);
	if (rc == 0)
		assert_string_equal(secret.value, expected);
	else
		assert_non_null(strstr(buf_str(&error), expected));
	assert_null(strstr(buf_str(&error), SECRET));
	assert_int_equal(count_descriptors(), descriptors);
	secret_fini(&secret);
	buf_reset(&error);
}

/* Whether a process has ended; nobody might reap it here, so a zombie counts. */
static bool has_ended(pid_t pid)
{
	char path[64];
	char line[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return true;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return line[0] == '\0' || strstr(line, ") Z ");
}

static void test_command_surroundings(void **state)
{
	int leak = fcntl(STDERR_FILENO, F_DUPFD, 77); /* without O_CLOEXEC, as some library might */

	(void)state;
	assert_int_equal(leak, 77);
	run_command("[ -e /proc/$$/fd/77 ] && echo leaked || echo clean", 5000, 0, "clean");
	close(leak);
	run_command("if read x; then echo input; else echo none; fi", 5000, 0, "none");
	/* The background process holds the output open for longer than the shell lives. */
	run_command("(sleep 0.2; echo late) & echo early", 5000, 0, "early\nlate");
	signal(SIGPIPE, SIG_IGN);
	run_command("kill -PIPE $$; echo alive", 5000, -EINVAL, "ended by signal 13");
	signal(SIGPIPE, SIG_DFL);
	run_command("/nonexistent/" SECRET " 2>/dev/null", 5000, -EINVAL, "failed with status 127");
}

static void test_command_deadline(void **state)
{
	char command[PATH_MAX + 128];
	char text[32] = "";
	FILE *file;
	pid_t pid;

	(void)state;
	run_command("echo " SECRET "; sleep 60", 200, -ETIMEDOUT, "did not end within 0.2 seconds");
	run_command("exec >/dev/null; sleep 60", 200, -ETIMEDOUT, "did not end within");
	snprintf(command, sizeof(command), "sleep 60 & echo $! > %s; wait", file_path("pid"));
	run_command(command, 1000, -ETIMEDOUT, "did not end within");
	file = fopen(file_path("pid"), "re");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	pid = (pid_t)strtol(text, NULL, 10);
	assert_true(pid > 1);
	for (int i = 0; i < 1000 && !has_ended(pid); i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_true(has_ended(pid));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_secret_file),		 TEST(test_secret_size),
		TEST(test_secret_inline),	 TEST(test_secret_reread),
		TEST(test_secret_environment),	 TEST(test_credentials_directory),
		TEST(test_owner_and_mode),	 TEST(test_secret_command),
		TEST(test_command_surroundings), TEST(test_command_deadline),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
