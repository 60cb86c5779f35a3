/* token.h: the bearer token's state machine.
 *
 * Asked for in the background at start and renewed at 70 to 80 % of its life by one conversation
 * (of one request or several, as the provider has it), however many wait; the old token serves
 * until the new one is there. A failed renewal is not a logout: network errors, 429 and 5xx are
 * tried again with back-off while the old token lives; a refusal is tried again only after
 * TOKEN_REFUSED_MS or token_renew. */
#ifndef IBINDERFS_TOKEN_H
#define IBINDERFS_TOKEN_H

#include "failures.h"
#include "http.h"
#include "provider.h"

#include <stdint.h>
#include <uv.h>

#define TOKEN_REFUSED_MS      (5 * 60 * 1000)
#define TOKEN_REJECT_PAUSE_MS (10 * 1000)

enum token_state {
	TOKEN_IDLE,	   /* nothing asked yet */
	TOKEN_ASKING,	   /* a conversation is under way */
	TOKEN_HELD,	   /* the timer will renew it */
	TOKEN_BACKING_OFF, /* the last try failed; the timer will try again */
	TOKEN_REFUSED,	   /* the server refused the client; the timer will try again, much later */
};

struct token;

/* `changed` is called after every change of state, from the loop. The others must outlive the
 * token. Returns 0 or -ENOMEM. */
int token_new(uv_loop_t *loop, struct http *http, const struct provider_ops *ops,
	      struct provider *provider, struct failures *failures, void (*changed)(void *data),
	      void *data, struct token **ret_token);
void token_free(struct token *token);

/* Asks now, with this secret (moved from the caller), whatever was refused before. The token that
 * is held goes on serving. */
void token_renew(struct token *token, struct secret *secret);
/* Asks now if a failed try is being waited out; not after a refusal, nor before the server allows
 * it. */
void token_retry(struct token *token);

/* The token to send, or NULL while there is none alive. `ret_serial` names it for token_reject.
 * Valid until the loop runs again. */
const struct secret *token_get(struct token *token, uint64_t *ret_serial);
/* Whether that is not the token that is held: what the server says of it says nothing of the next.
 */
bool token_is_replaced(const struct token *token, uint64_t serial);
/* The server refused a request with that token. If that is still the current one: drops it, or
 * (PROVIDER_REFUSAL_ADDRESS) holds it back until it is known where requests go, and asks anew.
 * False when that was tried less than TOKEN_REJECT_PAUSE_MS ago: it does not help. */
bool token_reject(struct token *token, uint64_t serial, enum provider_refusal why);

/* Notes in `failure` the status of an answer and what the server said, but not if that echoes the
 * client's secret or the token. */
void token_explain(const struct token *token, const struct http_response *response,
		   struct failure *failure);

enum token_state token_state(const struct token *token);
/* 0 while a token is held or may come; else -errno of the last try. */
int token_error(const struct token *token);
/* -errno of the last try that ended, also while the next is under way; 0 after a grant. */
int token_last_error(const struct token *token);
/* Milliseconds that the held token lives on; 0 without one. */
int64_t token_life_ms(const struct token *token);
/* Token requests sent so far. */
uint64_t token_requests(const struct token *token);

#endif
