/* lockin.c: what a daemon that was taken over by a lying server could not do: run a program, write
 * a file, read what belongs to users, listen, send signals, look into other processes, or use
 * root's power.
 *
 * Landlock and not a list of system calls (seccomp): it says what we mean, "reads below /etc and
 * /usr, nothing else", where a list would have to name whatever libc, its name service modules,
 * OpenSSL, libcurl's resolver threads and sanitizers call today, and one that was forgotten would
 * end the daemon on another machine in a rare moment. The systemd unit has such a list besides.
 * What the daemon needs others for, the keeper does (keeper.h).
 *
 * What is open stays usable: /dev/fuse, connections, the log. A file is found by a rule for a
 * directory above it, because what is renewed by renaming (resolv.conf) is another file then.
 *
 * Owns nothing. Sources: landlock(7), capabilities(7), prctl(2). */
#include "lockin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of newer kernels than the headers may be. */
#define FS_TRUNCATE	      (1ULL << 14) /* ABI 3 */
#define FS_IOCTL_DEV	      (1ULL << 15) /* ABI 5 */
#define NET_BIND_TCP	      (1ULL << 0)  /* ABI 4 */
#define SCOPE_ABSTRACT_SOCKET (1ULL << 0)  /* ABI 6 */
#define SCOPE_SIGNAL	      (1ULL << 1)  /* ABI 6 */
#define FS_OF_ABI_1	      (LANDLOCK_ACCESS_FS_MAKE_SYM | (LANDLOCK_ACCESS_FS_MAKE_SYM - 1))
#define FS_READ		      (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_OF_FILES	      (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)

/* As the kernel grew it: an older one takes, and knows, the beginning. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

/* What is not there is left out. */
static const struct {
	const char *path;
	uint64_t access;
} readable[] = {
	/* Name resolution, certificates, libraries that libc loads late, time zones. */
	{"/etc", FS_READ},
	{"/usr", FS_READ},
	{"/lib", FS_READ},
	{"/lib64", FS_READ},
	{"/nix/store", FS_READ},
	{"/gnu/store", FS_READ},
	{"/run", FS_READ},		       /* resolv.conf is a link to here */
	{"/mnt/wsl", FS_READ},		       /* or here */
	{"/var/lib/ca-certificates", FS_READ}, /* openSUSE's */
	{"/dev/null", FS_OF_FILES},
	{"/dev/random", LANDLOCK_ACCESS_FS_READ_FILE},
	{"/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE},
	/* How many processors there are; sanitizers: threads, and what the lines are called. */
	{"/proc", FS_READ},
	{"/sys/devices/system/cpu", FS_READ},
	{"/proc/self/exe", LANDLOCK_ACCESS_FS_READ_FILE},
};

static int allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	struct stat file;
	int result = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0;
	if (fstat(rule.parent_fd, &file) == 0 && !S_ISDIR(file.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		result = -errno;
	close(rule.parent_fd);
	return result;
}

static int restrict_files(const char *ca_file)
{
	struct ruleset ruleset = {.fs = FS_OF_ABI_1};
	size_t size = sizeof(ruleset.fs);
	int result = 0;
	int rules;
	size_t i;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0)
		return -errno;
	if (abi >= 2)
		ruleset.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		ruleset.fs |= FS_TRUNCATE;
	if (abi >= 4) {
		ruleset.net = NET_BIND_TCP;
		size = offsetof(struct ruleset, scoped);
	}
	if (abi >= 5)
		ruleset.fs |= FS_IOCTL_DEV;
	if (abi >= 6) {
		ruleset.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL;
		size = sizeof(ruleset);
	}
	rules = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	if (rules < 0)
		return -errno;
	for (i = 0; i < sizeof(readable) / sizeof(readable[0]) && !result; i++)
		result = allow(rules, readable[i].path, readable[i].access);
	if (!result && ca_file)
		result = allow(rules, ca_file, FS_READ);
	if (!result && syscall(SYS_landlock_restrict_self, rules, 0))
		result = -errno;
	close(rules);
	return result;
}

/* Landlock says nothing of clocks, modules, networks; an ordinary user has none of these anyway. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capset, &header, none) ? -errno : 0;
}

int lockin_enter(const char *ca_file)
{
	int result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
	int error = restrict_files(ca_file);

	if (!result)
		result = error;
	error = drop_capabilities();
	return result ? result : error;
}
