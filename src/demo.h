/* demo.h: the made-up organisation of --demo, served by a program of its own on loopback. */
#ifndef IBINDERFS_DEMO_H
#define IBINDERFS_DEMO_H

#include "buf.h"
#include "config.h"

/* Starts the server and points the configuration at it. It ends when `ret_pipe` closes, at the
 * latest with this process. Returns 0; or -errno with one line in `error`. */
int demo_start(struct config *config, int *ret_pipe, struct buf *error);

#endif
