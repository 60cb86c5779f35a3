/*
 * demo: the made-up construction company that `ibinderfs --demo` shows.
 *
 * Small, plausible, and always the same. Returns 0 or -ENOMEM.
 */
#ifndef SIM_DEMO_H
#define SIM_DEMO_H

#include "org.h"

int demo_organisation(struct org *org);

#endif
