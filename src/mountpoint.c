/* mountpoint.c: making sure that a directory can be mounted on. */
#include "mountpoint.h"

#include "cleanup.h"
#include "log.h"

#include <errno.h>
#include <mntent.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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

int mountpoint_prepare(const char *path, struct buf *error)
{
	struct stat stat_buf;
	int result = stat(path, &stat_buf) ? -errno : 0;

	if (result == -ENOTCONN && is_ours(path)) {
		result = unmount(path);
		if (result) {
			buf_printf(error,
				   "%s: a dead mount is there and cannot be cleared (%s): run "
				   "'umount -l %s' as root",
				   path, strerror(-result), path);
			return result;
		}
		log_info("%s: cleared a dead mount", path);
		result = stat(path, &stat_buf) ? -errno : 0;
	}
	if (result) {
		buf_printf(error, "%s: %s: make the directory first", path, strerror(-result));
		return result;
	}
	if (!S_ISDIR(stat_buf.st_mode)) {
		buf_printf(error, "%s: not a directory", path);
		return -ENOTDIR;
	}
	if (is_ours(path)) {
		buf_printf(error, "%s: already mounted; 'umount %s' ends it", path, path);
		return -EBUSY;
	}
	return 0;
}
