/*
 * oauth: the token endpoint and the tokens it gave out.
 *
 * Live tokens are kept in an array of the simulator; dead ones are dropped when the next is
 * issued.
 */
#ifndef SIM_OAUTH_H
#define SIM_OAUTH_H

#include "reply.h"

void oauth_answer(struct sim *sim, const struct request *request, struct reply *reply);
bool oauth_token_lives(const struct sim *sim, const char *token);
/* Every token issued so far is dead from now on. */
void oauth_revoke(struct sim *sim);

#endif
