/* mountpoint.h: making sure that a directory can be mounted on; mounting; clearing a dead mount. */
#ifndef IBINDERFS_MOUNTPOINT_H
#define IBINDERFS_MOUNTPOINT_H

#include "buf.h"
#include "config.h"

#include <fuse_lowlevel.h>

/* Clears a dead mount of ours from `path` ("Transport endpoint is not connected": its daemon was
 * killed), then checks that it is a directory without a live mount of ours. Never waits for a file
 * system other than the directory's own. Returns 0; or -errno with one line in `error` that says
 * what to do. */
int mountpoint_prepare(const char *path, struct buf *error);

/* Mounts config->mountpoint and gives the FUSE descriptor, which nobody serves yet; it must be
 * closed before the mount can be cleared. libfuse's and fusermount3's reasons for a failure are
 * logged. Returns 0, -ENOMEM or -EIO. */
int mountpoint_mount(const struct config *config, int *ret_fuse_fd);
/* A session of libfuse with the mount's options, or NULL; the reason is logged. */
struct fuse_session *mountpoint_session(const struct config *config,
					const struct fuse_lowlevel_ops *ops, size_t ops_size,
					void *data);
/* What libfuse says goes to the log. */
void mountpoint_log_libfuse(void);
/* Takes away, lazily, what nobody serves any more. Returns 0 or -errno. */
int mountpoint_clear(const char *path);

#endif
