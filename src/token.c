/* token.c: the bearer token's state machine.
 *
 *   state         leaves on                        to
 *   IDLE          token_renew                      ASKING
 *   ASKING        another request follows          ASKING
 *                 granted                          HELD
 *                 refused                          REFUSED
 *                 network, 429, 5xx, nonsense      BACKING_OFF
 *   HELD          80 % of life, slept past, reject   ASKING
 *   BACKING_OFF   timer, token_retry               ASKING
 *   REFUSED       TOKEN_REFUSED_MS, token_renew    ASKING
 *
 * In every state a token may be held; token_get says whether it is alive. */
#include "token.h"

#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S       1000000000LL
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 60000
/* A token counts as dead a twentieth of its life early: a request takes time to arrive. */
#define MARGIN_PART 20

struct token {
	uv_timer_t timer;
	struct http *http;
	const struct provider_ops *ops;
	struct provider *provider;
	struct failures *failures;
	void (*changed)(void *data);
	void *data;
	enum token_state state;
	struct secret secret;	     /* the client's */
	struct secret bearer;	     /* the token; unset without one */
	struct provider_grant grant; /* of the conversation under way */
	int64_t granted_ms;	     /* when it brought the token */
	bool renewing;		     /* and whether it may go on from the token that is held */
	bool misled;		     /* where requests go is not known, or known to be wrong */
	uint64_t serial;	     /* of the token */
	int64_t renew_ms;	     /* when it is to be renewed */
	int64_t dead_ms;	     /* when it must no longer be sent */
	/* When a refusal of that kind last had a token asked for; 0 before. */
	int64_t rejected_ms[PROVIDER_REFUSAL_ADDRESS + 1];
	int64_t backoff_ms;
	int64_t allowed_ms; /* until then the server asked to be left alone */
	int error;	    /* of the last try */
	struct http_transfer *transfer;
	uint64_t requests;
};

/* Debug builds stop at a state that the table does not have. */
static void token_check(const struct token *token)
{
	(void)token;
	assert((token->state == TOKEN_ASKING) == (token->transfer != NULL));
	assert(token->state != TOKEN_HELD || token->bearer.value);
	assert(token->state != TOKEN_REFUSED || token->error == -EACCES);
}

static void ask(struct token *token, bool renewing);

static void on_timer(uv_timer_t *timer)
{
	struct token *token = timer->data;

	/* After a failure the conversation begins from nothing. */
	ask(token, token->state == TOKEN_HELD);
}

static void enter(struct token *token, enum token_state state, int64_t timer_ms)
{
	token->state = state;
	if (timer_ms > 0)
		loop_timer_start(&token->timer, on_timer, timer_ms);
	else
		uv_timer_stop(&token->timer);
	token_check(token);
	token->changed(token->data);
}

/* Whether a text holds the beginning of a secret, or all of a short one. */
static bool reveals(const char *text, const struct secret *secret)
{
	char start[9];

	if (!secret->value || secret->len == 0)
		return false;
	snprintf(start, sizeof(start), "%s", secret->value);
	return strstr(text, start) != NULL;
}

void token_explain(const struct token *token, const struct http_response *response,
		   struct failure *failure)
{
	struct provider_problem problem;

	failure->status = response->status;
	if (response->error)
		return;
	token->ops->explain(response, &problem);
	if (reveals(problem.title, &token->secret) || reveals(problem.title, &token->bearer) ||
	    reveals(problem.trace_id, &token->secret) || reveals(problem.trace_id, &token->bearer))
		return;
	memcpy(failure->title, problem.title, sizeof(failure->title));
	memcpy(failure->trace_id, problem.trace_id, sizeof(failure->trace_id));
}

static void failed(struct token *token, int error, const struct http_response *response)
{
	struct failure failure = {.error = error, .path = "token"};
	int64_t asked_ms = response && response->retry_after_ms > 0 ? response->retry_after_ms : 0;
	int64_t wait_ms;

	if (response)
		token_explain(token, response, &failure);
	snprintf(failure.what, sizeof(failure.what), "%s",
		 response && response->error ? response->text
		 : token->grant.problem	     ? token->grant.problem
		 : error == -EACCES	     ? "the server refuses this client"
					     : "the answer to the token request is of no use");
	secret_fini(&token->grant.token);
	failures_note(token->failures, &failure);
	token->error = error;
	token->allowed_ms = loop_now_ms() + asked_ms;
	if (error == -EACCES) {
		enter(token, TOKEN_REFUSED, TOKEN_REFUSED_MS);
		return;
	}
	/* Want of memory is not the server's: it needs no rest from that. */
	token->backoff_ms =
		token->backoff_ms && error != -ENOMEM ? token->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (token->backoff_ms > BACKOFF_MAX_MS)
		token->backoff_ms = BACKOFF_MAX_MS;
	wait_ms = loop_jitter_ms(token->backoff_ms);
	enter(token, TOKEN_BACKING_OFF, wait_ms > asked_ms ? wait_ms : asked_ms);
}

static void granted(struct token *token)
{
	const struct provider_grant *grant = &token->grant;
	int64_t now_ms = loop_now_ms();

	if (!grant->token.value && !token->bearer.value) {
		ask(token, false); /* the one that was to stay was refused meanwhile */
		return;
	}
	if (grant->token.value) {
		int64_t dead_ms = token->granted_ms + grant->life_ms - grant->life_ms / MARGIN_PART;

		if (dead_ms <= now_ms) {
			token->grant.problem = "the token expired before its address was known";
			failed(token, -ETIMEDOUT, NULL);
			return;
		}
		secret_move(&token->bearer, &token->grant.token);
		token->dead_ms = dead_ms;
		/* Jitter only towards earlier: 70 to 80 % of the life. */
		token->renew_ms = token->granted_ms + grant->life_ms * 8 / 10 -
				  random() % (grant->life_ms / 10 + 1);
	}
	token->serial++;
	token->misled = false;
	token->backoff_ms = 0;
	token->error = 0;
	enter(token, TOKEN_HELD, token->renew_ms > now_ms ? token->renew_ms - now_ms : 1);
}

static void converse(struct token *token);

static void on_answer(void *data, struct http_response *response)
{
	struct token *token = data;
	bool had_token = token->grant.token.value;
	int error = response->error;

	token->transfer = NULL;
	if (!error && response->status == 429)
		error = -EBUSY;
	else if (!error && response->status >= 500)
		error = -EIO;
	else if (!error)
		error = token->ops->token_answer(token->provider, response,
						 loop_wall_ns() / NS_PER_S, &token->grant);
	/* The conversation may go on for long. */
	if (!had_token && token->grant.token.value)
		token->granted_ms = loop_now_ms();
	if (error == -EAGAIN)
		converse(token);
	else if (error)
		failed(token, error, response);
	else
		granted(token);
}

/* Sends the conversation's next request. */
static void converse(struct token *token)
{
	bool alive = token->bearer.value && loop_now_ms() < token->dead_ms;
	const struct provider_need need = {
		.secret = &token->secret,
		.held = token->renewing && alive ? &token->bearer : NULL,
		.misled = token->misled,
	};
	const struct secret *bearer = NULL;
	struct http_request request = {0};
	int error;

	error = token->ops->token_request(token->provider, &need, &token->grant, &request, &bearer);
	if (!error)
		error = http_send(token->http, &request, bearer, on_answer, token,
				  &token->transfer);
	http_request_fini(&request);
	if (error) {
		failed(token, error, NULL);
		return;
	}
	token->requests++;
	enter(token, TOKEN_ASKING, 0);
}

static void ask(struct token *token, bool renewing)
{
	if (token->transfer)
		return;
	secret_fini(&token->grant.token);
	token->grant = (struct provider_grant){.step = 0};
	token->renewing = renewing;
	converse(token);
}

int token_new(uv_loop_t *loop, struct http *http, const struct provider_ops *ops,
	      struct provider *provider, struct failures *failures, void (*changed)(void *data),
	      void *data, struct token **ret_token)
{
	struct token *token = calloc(1, sizeof(*token));

	if (!token)
		return -ENOMEM;
	uv_timer_init(loop, &token->timer);
	token->timer.data = token;
	token->http = http;
	token->ops = ops;
	token->provider = provider;
	token->failures = failures;
	token->changed = changed;
	token->data = data;
	*ret_token = token;
	return 0;
}

static void token_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void token_free(struct token *token)
{
	if (!token)
		return;
	if (token->transfer)
		http_cancel(token->transfer);
	secret_fini(&token->secret);
	secret_fini(&token->bearer);
	secret_fini(&token->grant.token);
	uv_close((uv_handle_t *)&token->timer, token_closed);
}

void token_renew(struct token *token, struct secret *secret)
{
	secret_move(&token->secret, secret);
	if (token->transfer) {
		http_cancel(token->transfer); /* it carries the old secret */
		token->transfer = NULL;
	}
	token->backoff_ms = 0;
	ask(token, false);
}

void token_retry(struct token *token)
{
	if (token->state == TOKEN_BACKING_OFF && loop_now_ms() >= token->allowed_ms)
		ask(token, false);
}

const struct secret *token_get(struct token *token, uint64_t *ret_serial)
{
	if (token->bearer.value && loop_now_ms() < token->dead_ms) {
		*ret_serial = token->serial;
		return token->misled ? NULL : &token->bearer;
	}
	/* The machine slept past the renewal, and the timer slept with it. */
	if (token->state == TOKEN_HELD)
		ask(token, false);
	return NULL;
}

bool token_is_replaced(const struct token *token, uint64_t serial)
{
	return !token->bearer.value || serial != token->serial;
}

bool token_reject(struct token *token, uint64_t serial, enum provider_refusal why)
{
	bool is_address = why == PROVIDER_REFUSAL_ADDRESS;
	int64_t now_ms = loop_now_ms();

	if (token_is_replaced(token, serial))
		return true;
	/* Addresses may change with the token that is being asked for, and that this one is wrong
	 * may be known already. */
	if (is_address && (token->misled || token->state == TOKEN_ASKING)) {
		token->misled = true;
		return true;
	}
	if (token->rejected_ms[why] && now_ms - token->rejected_ms[why] < TOKEN_REJECT_PAUSE_MS)
		return false;
	token->rejected_ms[why] = now_ms;
	token->misled = is_address;
	if (!is_address)
		secret_fini(&token->bearer);
	if (token->state == TOKEN_HELD)
		ask(token, is_address);
	else
		token_retry(token); /* the network is back, or there would be no refusal */
	return true;
}

enum token_state token_state(const struct token *token)
{
	return token->state;
}

int token_error(const struct token *token)
{
	if (token->state == TOKEN_REFUSED || token->state == TOKEN_BACKING_OFF)
		return token->error;
	return 0;
}

int token_last_error(const struct token *token)
{
	return token->error;
}

int64_t token_life_ms(const struct token *token)
{
	int64_t left_ms = token->bearer.value ? token->dead_ms - loop_now_ms() : 0;

	return left_ms > 0 ? left_ms : 0;
}

uint64_t token_requests(const struct token *token)
{
	return token->requests;
}
