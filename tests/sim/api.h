/*
 * api: the vendor's routes: which path means what, and who may call.
 *
 * Written from the vendor's documentation; where it is silent the stricter reading is taken. Runs
 * under the simulator's lock.
 */
#ifndef SIM_API_H
#define SIM_API_H

#include "reply.h"

/* Finds the route of request->path and takes the ids out of it. */
void api_route(struct request *request);
void api_answer(struct sim *sim, struct request *request, struct reply *reply);

#endif
