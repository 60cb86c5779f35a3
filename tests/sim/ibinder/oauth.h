/*
 * oauth: the token endpoint.
 */
#ifndef SIM_OAUTH_H
#define SIM_OAUTH_H

#include "reply.h"

void oauth_answer(struct sim *sim, const struct request *request, struct reply *reply);

#endif
