/*
 * auth: tokens by secret or domain key, their refresh, and where the services are.
 */
#ifndef SIM_AUTH_H
#define SIM_AUTH_H

#include "reply.h"

void auth_token(struct sim *sim, const struct request *request, struct reply *reply);
void auth_refresh(struct sim *sim, const struct request *request, struct reply *reply);
void auth_apis(struct sim *sim, const struct request *request, struct reply *reply);
/* The service addresses given out so far are old ones from now on. */
void auth_move(struct sim *sim);

#endif
