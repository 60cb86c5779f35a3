/* fs.h: the FUSE session: requests of the kernel answered from tree and contents, or parked until
 * they can be.
 *
 * The only caller of fuse_reply_*. Every request is answered exactly once: at once, when what it
 * waits for arrives, at its deadline, or when its caller is interrupted. */
#ifndef IBINDERFS_FS_H
#define IBINDERFS_FS_H

#include "config.h"
#include "content.h"
#include "control.h"
#include "tree.h"

#include <uv.h>

struct fs;

/* Serves what is mounted with the descriptor `fuse_fd`, which becomes the fs's whatever happens;
 * without contents (NULL) there are no files/. libfuse's reasons for a failure are logged. `ready`
 * is called when the kernel has said hello, `ended` when it was unmounted (0) or its requests
 * cannot be read (-errno); both from the loop. What is passed in must outlive the fs. Returns 0,
 * -ENOMEM, -EIO. */
int fs_new(uv_loop_t *loop, int fuse_fd, const struct config *config, struct tree *tree,
	   struct contents *contents, struct wait_room *room, struct control *control,
	   void (*ready)(void *data), void (*ended)(void *data, int error), void *data,
	   struct fs **ret_fs);
/* Answers what is parked with ENODEV, closes the descriptor: what is still mounted is dead then.
 * NULL is legal. */
void fs_free(struct fs *fs);

#endif
