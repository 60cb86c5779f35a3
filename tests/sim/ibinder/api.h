/*
 * api: the vendor's routes: which path means what, and who may call.
 *
 * Written from the vendor's documentation; where it is silent the stricter reading is taken. Runs
 * under the simulator's lock.
 */
#ifndef SIM_API_H
#define SIM_API_H

#include "vendor.h"

extern const struct route api_routes[];
extern const struct change_op org_changes[]; /* org_change.c */

void api_answer(struct sim *sim, const struct request *request, struct reply *reply);

#endif
