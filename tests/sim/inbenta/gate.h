/*
 * gate: what a call must pass before it is looked at: key, allowance, address, token.
 */
#ifndef SIM_GATE_H
#define SIM_GATE_H

#include "vendor.h"

#define GATE_SERVICE ROUTE_VENDOR /* flag of a route: lies below the changing service address */

void gate_answer(struct sim *sim, const struct request *request, struct reply *reply);
/* An error in one of the three documented shapes. detail may be NULL. */
void gate_problem(struct sim *sim, struct buf *body, unsigned int status, const char *detail);
/* What follows "Bearer " in the request, or NULL. */
const char *gate_bearer(const struct request *request);
/* True if the header Origin is there and on the list. */
bool gate_origin_known(const struct sim *sim, const struct request *request);

#endif
