/*
 * names: names as nobody should have to expect.
 *
 * They are added to a buffer as quoted JSON literals, because some cannot be written otherwise
 * (NUL, lone surrogates). Owns nothing.
 */
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include "buf.h"

#include <stddef.h>

/* Any i: the table is gone through again and again. */
void names_add_odd(struct buf *out, size_t i);

#endif
