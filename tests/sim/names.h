/*
 * names: names as a building company types them, and names as nobody should have to expect.
 *
 * All are added to a buffer as quoted JSON literals, because some cannot be written otherwise
 * (NUL, lone surrogates). Owns nothing.
 */
#ifndef SIM_NAMES_H
#define SIM_NAMES_H

#include "buf.h"

#include <stddef.h>

void names_add_binder(struct buf *out, size_t i);
void names_add_folder(struct buf *out, size_t i);
void names_add_document(struct buf *out, size_t i);
/* Any i: the table is gone through again and again. */
void names_add_odd(struct buf *out, size_t i);

#endif
