/* See token.h. */
#include "token.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* By which tests find any token wherever it turns up. */
#define TOKEN_CANARY "canarytoken-"
#define TOKEN_MAX    10000 /* alive at once; beyond that the oldest one dies */

static void token_drop_dead(struct sim *sim)
{
	uint64_t now = sim_now_ms();
	size_t alive = 0;

	for (size_t i = 0; i < sim->n_tokens; i++)
		if (sim->tokens[i].dies_at_ms > now)
			sim->tokens[alive++] = sim->tokens[i];
	sim->n_tokens = alive;
	if (alive == TOKEN_MAX) {
		sim->n_tokens--;
		memmove(sim->tokens, sim->tokens + 1, sim->n_tokens * sizeof(*sim->tokens));
	}
}

struct token *token_issue(struct sim *sim)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char bytes[TOKEN_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return NULL;
	token_drop_dead(sim);
	struct token *tokens = reallocarray(sim->tokens, sim->n_tokens + 1, sizeof(*sim->tokens));
	if (!tokens)
		return NULL;
	sim->tokens = tokens;
	struct token *token = &tokens[sim->n_tokens++];
	*token = (struct token){.dies_at_ms = sim_now_ms() + sim->settings.token_life_s * 1000};
	memcpy(token->text, TOKEN_CANARY, strlen(TOKEN_CANARY));
	for (size_t i = strlen(TOKEN_CANARY); i < TOKEN_LEN; i++)
		token->text[i] = alphabet[bytes[i] % 64];
	sim->stats.tokens_issued++;
	return token;
}

const struct token *token_find(const struct sim *sim, const char *text)
{
	uint64_t now = sim_now_ms();

	for (size_t i = 0; i < sim->n_tokens; i++)
		if (!strcmp(sim->tokens[i].text, text))
			return sim->tokens[i].dies_at_ms > now ? &sim->tokens[i] : NULL;
	return NULL;
}

void token_revoke(struct sim *sim)
{
	free(sim->tokens);
	sim->tokens = NULL;
	sim->n_tokens = 0;
}
