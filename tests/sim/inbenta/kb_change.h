/*
 * kb_change: the operations by which a test changes the knowledge base.
 */
#ifndef SIM_KB_CHANGE_H
#define SIM_KB_CHANGE_H

#include "change.h"

extern const struct change_op kb_changes[];

#endif
