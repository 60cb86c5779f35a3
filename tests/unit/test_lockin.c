/* test_lockin.c: a probe that locks itself in as the daemon does, and then tries what a daemon that
 * was taken over would try. Each try is shown to succeed before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))

static char directory[] = "/tmp/ibinderfs-lockin-XXXXXX";
static char secret_path[sizeof(directory) + 16];
static char ca_path[sizeof(directory) + 16];
static int opened; /* before the lock-in */
static pid_t other;

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* --- Denied --- */

static int run_program(void)
{
	char *const command[] = {"/bin/true", NULL};
	pid_t child = vfork();
	int status;

	if (child == 0) {
		execv(command[0], command);
		_exit(errno);
	}
	return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : errno;
}

static int read_a_users_file(void)
{
	return try_open(secret_path, O_RDONLY);
}

static int list_a_users_directory(void)
{
	return try_open(directory, O_RDONLY | O_DIRECTORY);
}

static int write_a_file(void)
{
	return try_open(secret_path, O_WRONLY);
}

static int make_a_file(void)
{
	char path[sizeof(directory) + 16];
	int error;

	snprintf(path, sizeof(path), "%s/new", directory);
	error = try_open(path, O_WRONLY | O_CREAT);
	unlink(path);
	return error;
}

static int append_below_etc(void)
{
	return try_open("/etc/passwd", O_WRONLY | O_APPEND);
}

static int truncate_a_file(void)
{
	return truncate(ca_path, 0) ? errno : 0;
}

static int look_into_another_process(void)
{
	if (ptrace(PTRACE_SEIZE, other, NULL, NULL))
		return errno;
	ptrace(PTRACE_INTERRUPT, other, NULL, NULL);
	waitpid(other, NULL, 0);
	ptrace(PTRACE_DETACH, other, NULL, NULL);
	return 0;
}

static int signal_another_process(void)
{
	return kill(other, 0) ? errno : 0;
}

static int mount_something(void)
{
	if (mount("none", directory, "tmpfs", 0, NULL))
		return errno;
	umount2(directory, MNT_DETACH);
	return 0;
}

static int listen_for_others(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = bind(fd, (struct sockaddr *)&any, sizeof(any)) ? errno : 0;

	close(fd);
	return error;
}

static int set_the_host_name(void)
{
	char name[256];

	gethostname(name, sizeof(name));
	return sethostname(name, strlen(name)) ? errno : 0;
}

/* --- Needed --- */

static int read_below_etc(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int read_the_ca_file(void)
{
	return try_open(ca_path, O_RDONLY);
}

static int use_dev_null(void)
{
	return try_open("/dev/null", O_RDWR);
}

static int read_what_is_open(void)
{
	char byte;

	return pread(opened, &byte, 1, 0) == 1 ? 0 : errno;
}

static int resolve_a_name(void)
{
	struct addrinfo *found = NULL;
	int error = getaddrinfo("localhost", "443", NULL, &found);

	if (!error)
		freeaddrinfo(found);
	return error;
}

/* Nobody listens there, which is another answer than "you may not". */
static int connect_somewhere(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	close(fd);
	return error == ECONNREFUSED ? 0 : error;
}

static void *idle(void *data)
{
	return data;
}

static int start_a_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, idle, NULL);

	if (!error)
		pthread_join(thread, NULL);
	return error;
}

static const struct attempt {
	const char *what;
	int (*try)(void);
	int error; /* when locked in */
	bool root; /* only root can at all */
	long abi;  /* of Landlock that denies it; an older kernel cannot */
} attempts[] = {
	{"run a program", run_program, EACCES, false, 1},
	{"read a user's file", read_a_users_file, EACCES, false, 1},
	{"list a user's directory", list_a_users_directory, EACCES, false, 1},
	{"write a file", write_a_file, EACCES, false, 1},
	{"make a file", make_a_file, EACCES, false, 1},
	{"append below /etc", append_below_etc, EACCES, true, 1},
	{"truncate a file", truncate_a_file, EACCES, false, 3},
	{"look into another process", look_into_another_process, EPERM, false, 1},
	{"signal another process", signal_another_process, EPERM, false, 6},
	{"mount something", mount_something, EPERM, true, 0},
	{"listen", listen_for_others, EACCES, false, 4},
	{"set the host's name", set_the_host_name, EPERM, true, 0},
	{"read below /etc", read_below_etc, 0, false, 0},
	{"read the CA file", read_the_ca_file, 0, false, 0},
	{"use /dev/null", use_dev_null, 0, false, 0},
	{"read what is open", read_what_is_open, 0, false, 0},
	{"resolve a name", resolve_a_name, 0, false, 0},
	{"connect", connect_somewhere, 0, false, 0},
	{"start a thread", start_a_thread, 0, false, 0},
};

/* In a process of its own, since there is no way back. Returns how many went wrong. */
static int probe(bool locked)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int error = locked ? lockin_enter(ca_path) : 0;
	int wrong = 0;
	size_t i;

	if (abi < 0)
		print_message("this kernel has no Landlock: only the rest is looked at\n");
	if ((error != 0) != (locked && abi < 0)) {
		print_error("lockin_enter: %s\n", strerror(-error));
		return 1;
	}
	if (locked && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		wrong++;
	for (i = 0; i < COUNT(attempts); i++) {
		int expected = locked ? attempts[i].error : 0;

		if (!locked && attempts[i].root && geteuid() != 0)
			continue;
		if (locked && attempts[i].abi > abi) {
			print_message("not denied by this kernel: %s\n", attempts[i].what);
			continue;
		}
		error = attempts[i].try();
		if (error == expected)
			continue;
		print_error("%s, %s: %s\n", attempts[i].what, locked ? "locked in" : "free",
			    strerror(error));
		wrong++;
	}
	return wrong;
}

static void run_probe(bool locked)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(probe(locked));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_all_of_it_works_without(void **state)
{
	(void)state;
	run_probe(false);
}

static void test_locked_in_only_what_is_needed_works(void **state)
{
	(void)state;
	run_probe(true);
}

static void test_a_ca_file_that_is_not_there_is_no_reason_to_stay_free(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		_exit(lockin_enter("/nonexistent") != lockin_enter(NULL));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int write_text(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	int error = fd < 0 || write(fd, "text", 4) != 4;

	close(fd);
	return error;
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(secret_path, sizeof(secret_path), "%s/secret", directory);
	snprintf(ca_path, sizeof(ca_path), "%s/ca", directory);
	if (write_text(secret_path) || write_text(ca_path))
		return -1;
	opened = open(secret_path, O_RDONLY | O_CLOEXEC);
	other = fork();
	if (other == 0) {
		pause();
		_exit(0);
	}
	return opened < 0 || other < 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(opened);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	unlink(secret_path);
	unlink(ca_path);
	return rmdir(directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it_works_without),
		cmocka_unit_test(test_locked_in_only_what_is_needed_works),
		cmocka_unit_test(test_a_ca_file_that_is_not_there_is_no_reason_to_stay_free),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
