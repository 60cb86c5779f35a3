/* keeper.h: a second process, for what the daemon needs now and then and must not be able to do:
 * mount, unmount, and read the secret again, which may run a command.
 *
 * It is forked before the mount and stays outside of what the daemon then locks itself into
 * (lockin.h). It speaks to nobody but the daemon, of which it takes no more than one of two
 * letters and a number, and it ends with it. */
#ifndef IBINDERFS_KEEPER_H
#define IBINDERFS_KEEPER_H

#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct keeper {
	pid_t pid;
	int fd;		 /* of the daemon's end; owned */
	uint32_t serial; /* of the latest question */
};

/* Forks the keeper and has it mount config->mountpoint. In the daemon returns 0 and the FUSE
 * descriptor, which becomes the caller's, or -errno; -EIO: libfuse or fusermount3 said why.
 *
 * In the keeper, and in what it forks in turn, it returns only at their end, with `ret_is_daemon`
 * false: return from main at once. They overwrite their copy of `secret`. */
int keeper_start(const struct config *config, struct secret *secret, struct keeper *keeper,
		 bool *ret_is_daemon, int *ret_fuse_fd);

/* config_read_secret() by the keeper. Blocks for as long as that may take: not for the loop's
 * thread, and for one thread at a time. */
int keeper_read_secret(struct keeper *keeper, struct secret *ret_secret, struct buf *error);

/* Has the mount taken away, lazily, if it is there still, and waits for the keeper's end, for a few
 * seconds at most. The FUSE descriptor must be closed, or they would wait for us. Who reads a
 * secret meanwhile fails at once. */
void keeper_unmount(struct keeper *keeper);
/* Only when nobody reads a secret any more. */
void keeper_fini(struct keeper *keeper);

#endif
