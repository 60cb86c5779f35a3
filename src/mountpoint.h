/* mountpoint.h: making sure that a directory can be mounted on. */
#ifndef IBINDERFS_MOUNTPOINT_H
#define IBINDERFS_MOUNTPOINT_H

#include "buf.h"

/* Clears a dead mount of ours from `path` ("Transport endpoint is not connected": its daemon was
 * killed), then checks that it is a directory without a live mount of ours. Never waits for a file
 * system other than the directory's own. Returns 0; or -errno with one line in `error` that says
 * what to do. */
int mountpoint_prepare(const char *path, struct buf *error);

#endif
