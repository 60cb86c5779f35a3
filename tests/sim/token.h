/*
 * token: the bearer tokens given out.
 *
 * Live ones are kept in an array of the simulator; dead ones are dropped when the next is issued.
 */
#ifndef SIM_TOKEN_H
#define SIM_TOKEN_H

#include "sim.h"

#define TOKEN_LEN 64

struct token {
	char text[TOKEN_LEN + 1];
	uint64_t dies_at_ms;
	bool client_side; /* taken with a key that everybody can see */
};

/* A new token, valid until the next call, or NULL when memory or randomness is out. Counts. */
struct token *token_issue(struct sim *sim);
/* NULL unless it lives. */
const struct token *token_find(const struct sim *sim, const char *text);
/* Every token issued so far is dead from now on. */
void token_revoke(struct sim *sim);

#endif
