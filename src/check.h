/* check.h: `ibinderfs --check`: each step towards a first listing, said aloud. */
#ifndef IBINDERFS_CHECK_H
#define IBINDERFS_CHECK_H

#include "config.h"

/* Asks for a token, the top listing and its first entry, each at most `timeout` long, and prints
 * each step on stdout.
 * Returns 0 if all hold, else -errno of the first that does not. */
int check_run(const struct config *config);

#endif
