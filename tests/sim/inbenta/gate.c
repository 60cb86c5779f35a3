/*
 * See gate.h. The order of the checks is not documented: a gateway knows the key first, then
 * whether the address exists, and only then the token.
 */
#include "gate.h"
#include "inbenta.h"
#include "text.h"
#include "token.h"

#include <inttypes.h>
#include <string.h>

#define GATE_BEARER	  "Bearer "
#define GATE_DENIED	  "User is not authorized to access this resource with an explicit deny"
#define GATE_NO_PAIR	  "not a valid key=value pair (missing equal-sign) in Authorization header"
#define GATE_QUOTA_PERIOD 60 /* windows of the throttle: an hour of minutes */
/* What usage is measured against when nothing is bounded. */
#define GATE_THROTTLE_NOMINAL 100000
#define GATE_QUOTA_NOMINAL    1000000

const char *gate_bearer(const struct request *request)
{
	const char *authorization = request_header(request, "Authorization");
	size_t n = strlen(GATE_BEARER);

	if (!authorization || strncasecmp(authorization, GATE_BEARER, n))
		return NULL;
	return authorization + n;
}

bool gate_origin_known(const struct sim *sim, const struct request *request)
{
	const char *origin = request_header(request, "Origin");
	const char *domain = inbenta_of(sim)->settings.domains;

	while (origin && *domain) {
		size_t n = strcspn(domain, " ");

		if (n && strlen(origin) == n && !memcmp(origin, domain, n))
			return true;
		domain += n + (domain[n] == ' ');
	}
	return false;
}

/* On its own, a gateway answers what it refuses itself, the API all else. */
static enum inbenta_error gate_shape(const struct sim *sim, unsigned int status)
{
	enum inbenta_error shape = inbenta_of(sim)->settings.errors;

	if (shape != INBENTA_ERROR_AUTO)
		return shape;
	if (status == MHD_HTTP_UNAUTHORIZED)
		return INBENTA_ERROR_LOWER;
	return status == MHD_HTTP_FORBIDDEN || status == MHD_HTTP_TOO_MANY_REQUESTS || status >= 500
		       ? INBENTA_ERROR_UPPER
		       : INBENTA_ERROR_API;
}

void gate_problem(struct sim *sim, struct buf *body, unsigned int status, const char *detail)
{
	const char *message = detail ? detail : MHD_get_reason_phrase_for(status);
	enum inbenta_error shape = gate_shape(sim, status);

	if (shape == INBENTA_ERROR_API)
		buf_add_format(body, "{\"error\":{\"code\":%u,\"message\":", status);
	else
		buf_add_str(body, shape == INBENTA_ERROR_UPPER ? "{\"Message\":" : "{\"message\":");
	text_add_literal(body, message, strlen(message));
	buf_add_str(body, shape == INBENTA_ERROR_API ? "}}" : "}");
}

static bool gate_has_key(struct sim *sim, const struct request *request, struct reply *reply)
{
	const char *key = request_header(request, "x-inbenta-key");

	if (!key)
		reply_refuse(reply, sim, REFUSED_MISSING_KEY, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (strcmp(key, inbenta_of(sim)->settings.api_key))
		reply_refuse(reply, sim, REFUSED_KEY, MHD_HTTP_FORBIDDEN, NULL);
	else
		return true;
	return false;
}

/* The optional headers: wrong ones are worse than none. */
static bool gate_headers_fit(const struct request *request)
{
	static const char *const environments[] = {"production", "preproduction", "development"};
	const char *environment = request_header(request, "x-inbenta-env");
	const char *user_type = request_header(request, "x-inbenta-user-type");
	uint64_t ignored;
	size_t i = 0;

	if (user_type && text_parse_number(user_type, UINT32_MAX, &ignored))
		return false;
	while (environment && i < 3 && strcmp(environment, environments[i]))
		i++;
	return i < 3;
}

/* One more call in a window, or false if it is full. */
static bool gate_count(struct inbenta_window *window, uint64_t limit, uint64_t length_ms)
{
	uint64_t now = sim_now_ms();

	if (now >= window->ends_at_ms)
		*window = (struct inbenta_window){.ends_at_ms = now + length_ms};
	if (limit && window->used >= limit)
		return false;
	window->used++;
	return true;
}

static void gate_show_usage(struct inbenta *inbenta, uint64_t used, uint64_t limit,
			    char text[REPLY_VALUE_MAX])
{
	static const char *const garbage[] = {"lots",
					      "",
					      "-1",
					      "12/0",
					      "0x10/1e3",
					      "NaN%",
					      "99999999999999999999999/1",
					      "12/100/7; b=\"%\""};

	switch ((enum inbenta_usage)inbenta->settings.usage) {
	case INBENTA_USAGE_FRACTION:
		snprintf(text, REPLY_VALUE_MAX, "%" PRIu64 "/%" PRIu64, used, limit);
		break;
	case INBENTA_USAGE_PERCENT:
		snprintf(text, REPLY_VALUE_MAX, "%" PRIu64 "%%", used * 100 / limit);
		break;
	case INBENTA_USAGE_RATIO:
		snprintf(text, REPLY_VALUE_MAX, "%.2f", (double)used / (double)limit);
		break;
	case INBENTA_USAGE_GARBAGE:
		snprintf(text, REPLY_VALUE_MAX, "%s", garbage[inbenta->garbage++ % 8]);
		break;
	case INBENTA_USAGE_ABSENT:
		*text = '\0';
		break;
	}
}

static void gate_show_window(struct inbenta *inbenta, const struct inbenta_window *window,
			     uint64_t limit, const char *usage_name, const char *reset_name,
			     struct reply *reply)
{
	uint64_t now = sim_now_ms();
	uint64_t left = window->ends_at_ms > now ? (window->ends_at_ms - now + 999) / 1000 : 0;
	char text[REPLY_VALUE_MAX];

	if (inbenta->settings.usage == INBENTA_USAGE_ABSENT)
		return;
	gate_show_usage(inbenta, window->used, limit, text);
	reply_add(reply, usage_name, text);
	if (inbenta->settings.usage == INBENTA_USAGE_GARBAGE)
		gate_show_usage(inbenta, 0, 0, text);
	else if (inbenta->settings.reset == INBENTA_RESET_UNIX)
		snprintf(text, sizeof(text), "%" PRIu64, sim_now_ms_wall() / 1000 + left);
	else
		snprintf(text, sizeof(text), "%" PRIu64, left);
	reply_add(reply, reset_name, text);
}

/* Counts the call against the allowances; they are shown on every answer from here on. */
static bool gate_allows(struct sim *sim, const struct request *request, struct reply *reply)
{
	struct inbenta *inbenta = inbenta_of(sim);
	const struct inbenta_settings *s = &inbenta->settings;
	enum inbenta_group group =
		request->route->flags & GATE_SERVICE ? INBENTA_PRODUCT : INBENTA_AUTHORIZATION;
	uint64_t length_ms = s->throttle_window_s * 1000;
	bool throttle = gate_count(&inbenta->throttle[group], s->throttle_limit, length_ms);
	/* A call that one allowance refuses uses up nothing of the other. */
	bool quota = !throttle || gate_count(&inbenta->quota[group], s->quota_limit,
					     length_ms * GATE_QUOTA_PERIOD);

	gate_show_window(inbenta, &inbenta->throttle[group],
			 s->throttle_limit ? s->throttle_limit : GATE_THROTTLE_NOMINAL,
			 "x-throttle-usage", "x-throttle-reset", reply);
	gate_show_window(inbenta, &inbenta->quota[group],
			 s->quota_limit ? s->quota_limit : GATE_QUOTA_NOMINAL, "x-quota-usage",
			 "x-quota-reset", reply);
	if (throttle && quota)
		return true;
	reply_refuse(reply, sim, REFUSED_ALLOWANCE, MHD_HTTP_TOO_MANY_REQUESTS, NULL);
	return false;
}

/* A service address holds until tokens have been taken that brought others. */
static bool gate_address_holds(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct inbenta *inbenta = inbenta_of(sim);
	const struct inbenta_settings *s = &inbenta->settings;
	const char *authorization = request_header(request, "Authorization");
	struct buf detail = {0};
	uint64_t number = 0;

	if (!(request->route->flags & GATE_SERVICE))
		return true;
	if (!text_parse_number(request->id[0], inbenta->address, &number) && number &&
	    number + s->old_addresses >= inbenta->address)
		return true;
	if (s->old_address == INBENTA_OLD_404) {
		reply_refuse(reply, sim, REFUSED_ADDRESS, MHD_HTTP_NOT_FOUND, NULL);
		return false;
	}
	buf_add_str(&detail, GATE_NO_PAIR);
	if (s->echo_token && authorization)
		buf_add_format(&detail, ": '%s'", authorization);
	reply_refuse(reply, sim, REFUSED_ADDRESS, MHD_HTTP_FORBIDDEN, detail.data);
	buf_free(&detail);
	return false;
}

static bool gate_has_token(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct inbenta_settings *s = &inbenta_of(sim)->settings;
	const char *bearer = gate_bearer(request);
	const struct token *token = bearer ? token_find(sim, bearer) : NULL;

	if (!bearer)
		reply_refuse(reply, sim, REFUSED_MISSING_TOKEN, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (!token && s->dead_token == INBENTA_DEAD_401)
		reply_refuse(reply, sim, REFUSED_DEAD_TOKEN, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (!token)
		reply_refuse(reply, sim, REFUSED_DEAD_TOKEN, MHD_HTTP_FORBIDDEN, GATE_DENIED);
	else if (token->client_side && s->origin == INBENTA_ORIGIN_EVERY &&
		 !gate_origin_known(sim, request))
		reply_refuse(reply, sim, REFUSED_DOMAIN, MHD_HTTP_FORBIDDEN, NULL);
	else
		return true;
	return false;
}

static void gate_null_items(const struct route *route, struct reply *reply)
{
	reply->body.len = 0;
	if (route->flags & ROUTE_PAGES)
		buf_add_str(&reply->body, "{\"results\":null,\"hasMore\":false}");
	else
		buf_add_str(&reply->body,
			    route->flags & GATE_SERVICE ? "{\"results\":null}" : "null");
}

void gate_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct route *route = request->route;

	if (!gate_has_key(sim, request, reply) || !gate_allows(sim, request, reply))
		return;
	if (!gate_headers_fit(request)) {
		reply_refuse(reply, sim, REFUSED_HEADER, MHD_HTTP_BAD_REQUEST,
			     "x-inbenta-env or x-inbenta-user-type is not valid.");
		return;
	}
	if (!gate_address_holds(sim, request, reply))
		return;
	if (!(route->flags & ROUTE_OPEN) && !gate_has_token(sim, request, reply))
		return;
	route->answer(sim, request, reply);
	if (request->fault.kind == FAULT_NULL_ITEMS && reply->status == MHD_HTTP_OK)
		gate_null_items(route, reply);
}
