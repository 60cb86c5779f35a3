/* See auth.h. */
#include "auth.h"
#include "gate.h"
#include "inbenta.h"
#include "text.h"
#include "token.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <string.h>

void auth_move(struct sim *sim)
{
	inbenta_of(sim)->address++;
}

static void auth_refuse(struct sim *sim, struct reply *reply, enum refusal why, unsigned int status,
			const char *detail)
{
	sim->stats.tokens_refused++;
	reply_refuse(reply, sim, why, status, detail);
}

static void auth_render_api(const struct sim *sim, const char *name, const char *path,
			    struct buf *out)
{
	const struct inbenta *inbenta = inbenta_of(sim);
	struct buf url = {0};

	if (*inbenta->settings.service_base)
		buf_add_str(&url, inbenta->settings.service_base);
	else
		buf_add_format(&url, "http://127.0.0.1:%u", sim->port);
	buf_add_format(&url, "/%s-%" PRIu64, path, inbenta->address);
	buf_add_format(out, "\"%s\":", name);
	if (url.failed)
		out->failed = true;
	else
		text_add_literal(out, url.data, url.len);
	buf_free(&url);
}

static void auth_render_apis(const struct sim *sim, struct buf *out)
{
	buf_add_str(out, "\"apis\":{");
	auth_render_api(sim, "chatbot", "chat", out);
	buf_add_char(out, ',');
	auth_render_api(sim, "knowledge", "km", out);
	buf_add_char(out, '}');
}

/* A new token, begun as a JSON object; false if there is none. Each brings other addresses. */
static bool auth_issue(struct sim *sim, bool client_side, struct reply *reply)
{
	struct token *token = token_issue(sim);

	if (!token) {
		reply_problem(reply, sim, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
		return false;
	}
	token->client_side = client_side;
	auth_move(sim);
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add_format(&reply->body, "{\"accessToken\":\"%s\",\"expiration\":%" PRIu64, token->text,
		       sim_now_ms_wall() / 1000 + sim->settings.token_life_s);
	return true;
}

static void auth_grant(struct sim *sim, bool client_side, struct reply *reply)
{
	if (!auth_issue(sim, client_side, reply))
		return;
	buf_add_format(&reply->body, ",\"expires_in\":%" PRIu64 ",", sim->settings.token_life_s);
	auth_render_apis(sim, &reply->body);
	buf_add_char(&reply->body, '}');
}

/* The body has exactly one member, which says which flow it is. */
static void auth_decide(struct sim *sim, const struct request *request, const cJSON *json,
			struct reply *reply)
{
	const struct inbenta_settings *s = &inbenta_of(sim)->settings;
	const cJSON *member = cJSON_IsObject(json) ? json->child : NULL;
	const char *given = cJSON_GetStringValue(member);
	bool secret = member && !strcmp(member->string, "secret");
	bool domain = member && !strcmp(member->string, s->domain_key_field);

	if (!given || member->next || (!secret && !domain))
		auth_refuse(sim, reply, REFUSED_BODY, MHD_HTTP_BAD_REQUEST,
			    "The body is an object with a secret or a domain key, and no more.");
	else if (strcmp(given, secret ? s->secret : s->domain_key))
		auth_refuse(sim, reply, REFUSED_CLIENT, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (domain && !gate_origin_known(sim, request))
		auth_refuse(sim, reply, REFUSED_DOMAIN, MHD_HTTP_FORBIDDEN, NULL);
	else
		auth_grant(sim, domain, reply);
}

void auth_token(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct buf *body = &request->body;

	if (!request_has_type(request, "application/json")) {
		auth_refuse(sim, reply, REFUSED_CONTENT_TYPE, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
			    NULL);
		return;
	}
	/* To the very end: cJSON takes what follows the value for no mistake otherwise. */
	cJSON *json =
		body->len ? cJSON_ParseWithLengthOpts(body->data, body->len + 1, NULL, true) : NULL;
	auth_decide(sim, request, json, reply);
	cJSON_Delete(json);
}

void auth_refresh(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct token *token = token_find(sim, gate_bearer(request));

	if (request->body.len)
		auth_refuse(sim, reply, REFUSED_BODY, MHD_HTTP_BAD_REQUEST, "The body is empty.");
	else if (auth_issue(sim, token->client_side, reply))
		buf_add_char(&reply->body, '}');
}

void auth_apis(struct sim *sim, const struct request *request, struct reply *reply)
{
	(void)request;
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add_char(&reply->body, '{');
	auth_render_apis(sim, &reply->body);
	buf_add_char(&reply->body, '}');
}
