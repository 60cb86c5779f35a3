/* mountpoint.c: making sure that a directory can be mounted on. */
#include "mountpoint.h"

#include "cleanup.h"
#include "log.h"

#include <errno.h>
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

/* Clears dead mounts of ours, also several on top of each other. A living one is -EBUSY. */
static int clear_dead(const char *path, struct buf *error)
{
	struct statfs unused;
	int result;

	while (is_ours(path)) {
		/* Not stat: the kernel may still know the attributes of a dead mount's root. */
		if (statfs(path, &unused) == 0 || errno != ENOTCONN) {
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
