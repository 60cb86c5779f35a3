/* mountpoint.c: the directory that is mounted on. Owns nothing. */
#include "mountpoint.h"

#include "cleanup.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define MOUNT_TYPE "fuse.ibinderfs"

/* Whether the last thing mounted at `path` is ours. */
static bool is_ours(const char *path)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;
	bool ours = false;

	if (!mounts)
		return false;
	while ((mount = getmntent(mounts))) {
		if (strcmp(mount->mnt_dir, path) == 0)
			ours = strcmp(mount->mnt_type, MOUNT_TYPE) == 0;
	}
	endmntent(mounts);
	return ours;
}

/* Lazily, since processes may still stand in the dead mount. fusermount3 is for those who are not
 * root; the daemon behind is dead, so it does not wait for anything. */
static int unmount(const char *path)
{
	char *const command[] = {"fusermount3", "-u", "-z", "-q", (char *)path, NULL};
	pid_t child;
	int status;

	if (umount2(path, MNT_DETACH) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	if (posix_spawnp(&child, command[0], NULL, NULL, command, environ))
		return -EPERM;
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Not stat: the kernel may still know the attributes of a dead mount's root. */
static bool is_dead(const char *path)
{
	struct statfs unused;

	return statfs(path, &unused) && errno == ENOTCONN;
}

/* Clears dead mounts of ours, also several on top of each other. A living one is -EBUSY. */
static int clear_dead(const char *path, struct buf *error)
{
	int result;

	while (is_ours(path)) {
		if (!is_dead(path)) {
			buf_printf(error, "%s: already mounted; 'fusermount3 -u %s' ends it", path,
				   path);
			return -EBUSY;
		}
		result = unmount(path);
		if (result) {
			buf_printf(error,
				   "%s: a dead mount is there and cannot be cleared (%s): run "
				   "'umount -l %s' as root",
				   path, strerror(-result), path);
			return result;
		}
		log_info("%s: cleared a dead mount", path);
	}
	return 0;
}

int mountpoint_prepare(const char *path, struct buf *error)
{
	/* The table of mounts has no symbolic links. Resolving one asks no file system of ours. */
	char *real CLEANUP_FREE = realpath(path, NULL);
	struct stat stat_buf;
	int result = clear_dead(real ? real : path, error);

	if (result)
		return result;
	if (stat(path, &stat_buf)) {
		result = -errno;
		buf_printf(error, "%s: %s%s", path, strerror(-result),
			   result == -ENOENT	 ? ": make the directory first"
			   : result == -ENOTCONN ? ": a dead mount is there: run umount -l first"
						 : "");
		return result;
	}
	if (!S_ISDIR(stat_buf.st_mode)) {
		buf_printf(error, "%s: not a directory", path);
		return -ENOTDIR;
	}
	return 0;
}

int mountpoint_clear(const char *path)
{
	char *real CLEANUP_FREE = realpath(path, NULL);
	const char *at = real ? real : path;

	return is_ours(at) && is_dead(at) ? unmount(at) : 0;
}

/* The mount's options; the name may hold commas, which separate them. */
static int mount_options(const struct config *config, struct fuse_args *args)
{
	struct buf options = BUF_INIT(4096);
	const char *at;
	int error;

	buf_append_str(&options, "ro,nosuid,nodev,noexec,subtype=ibinderfs,fsname=ibinderfs");
	for (at = config->source; at && *at; at++) {
		if (at == config->source)
			buf_append_str(&options, "#");
		if (*at == ',' || *at == '\\')
			buf_append_str(&options, "\\");
		buf_append(&options, at, 1);
	}
	if (config->allow_other)
		buf_append_str(&options, ",allow_other,default_permissions");
	if (config->allow_root)
		buf_append_str(&options, ",allow_root,default_permissions");
	error = options.error;
	if (!error && (fuse_opt_add_arg(args, "ibinderfs") || fuse_opt_add_arg(args, "-o") ||
		       fuse_opt_add_arg(args, buf_str(&options))))
		error = -ENOMEM;
	buf_reset(&options);
	return error;
}

struct fuse_session *mountpoint_session(const struct config *config,
					const struct fuse_lowlevel_ops *ops, size_t ops_size,
					void *data)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;

	if (mount_options(config, &args) == 0)
		session = fuse_session_new(&args, ops, ops_size, data);
	fuse_opt_free_args(&args);
	return session;
}

int mountpoint_mount(const struct config *config, int *ret_fuse_fd)
{
	static const struct fuse_lowlevel_ops none;
	/* Never freed: libfuse would unmount. */
	static struct fuse_session *session;
	int fd;

	session = mountpoint_session(config, &none, sizeof(none), NULL);
	if (!session || fuse_session_mount(session, config->mountpoint))
		return -EIO;
	fd = fuse_session_fd(session);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	*ret_fuse_fd = fd;
	return 0;
}

__attribute__((format(printf, 2, 0))) static void
on_libfuse_log(enum fuse_log_level level, const char *format, va_list arguments)
{
	char text[512];
	size_t len;

	vsnprintf(text, sizeof(text), format, arguments);
	len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	log_write(level <= FUSE_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "%s", text);
}

void mountpoint_log_libfuse(void)
{
	fuse_set_log_func(on_libfuse_log);
}
