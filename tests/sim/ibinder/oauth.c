/* See oauth.h. */
#include "oauth.h"
#include "ibinder.h"
#include "text.h"
#include "token.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The members of a token request, however it was encoded. */
enum oauth_member { OAUTH_GRANT, OAUTH_ID, OAUTH_SECRET, OAUTH_SCOPE, OAUTH_MEMBERS };

static const char *const oauth_names[OAUTH_MEMBERS] = {
	"grant_type",
	"client_id",
	"client_secret",
	"scope",
};

struct oauth_request {
	struct buf member[OAUTH_MEMBERS]; /* data is NULL when absent */
};

static enum oauth_member oauth_member_find(const char *name)
{
	enum oauth_member i = 0;

	while (i < OAUTH_MEMBERS && strcmp(oauth_names[i], name))
		i++;
	return i;
}

/* One name=value of a form. A member given twice, or badly encoded, spoils the request. */
static int oauth_parse_pair(const char *pair, size_t n, struct oauth_request *out)
{
	const char *equals = memchr(pair, '=', n);
	size_t name_len = equals ? (size_t)(equals - pair) : n;
	struct buf name = {0};
	int r = text_decode_form(pair, name_len, &name);
	enum oauth_member member = r ? OAUTH_MEMBERS : oauth_member_find(name.data);

	buf_free(&name);
	if (r || member == OAUTH_MEMBERS)
		return r;
	if (!equals || out->member[member].data)
		return -EINVAL;
	return text_decode_form(equals + 1, n - name_len - 1, &out->member[member]);
}

static int oauth_parse_form(const struct buf *body, struct oauth_request *out)
{
	size_t at = 0;

	while (at < body->len) {
		const char *pair = body->data + at;
		const char *end = memchr(pair, '&', body->len - at);
		size_t n = end ? (size_t)(end - pair) : body->len - at;
		int r = oauth_parse_pair(pair, n, out);

		if (r)
			return r;
		at += n + 1;
	}
	return 0;
}

static int oauth_parse_json(const struct buf *body, struct oauth_request *out)
{
	cJSON *json = body->len ? cJSON_ParseWithLength(body->data, body->len) : NULL;
	int r = cJSON_IsObject(json) ? 0 : -EINVAL;

	for (enum oauth_member i = 0; i < OAUTH_MEMBERS && !r; i++) {
		const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, oauth_names[i]);

		if (cJSON_IsString(member))
			buf_add_str(&out->member[i], member->valuestring);
		else if (member)
			r = -EINVAL;
	}
	cJSON_Delete(json);
	return r;
}

static bool oauth_member_is(const struct oauth_request *request, enum oauth_member i,
			    const char *expected)
{
	const struct buf *member = &request->member[i];

	return member->data && member->len == strlen(expected) &&
	       !memcmp(member->data, expected, member->len);
}

static void oauth_refuse(struct sim *sim, struct reply *reply, enum refusal why,
			 unsigned int status, const char *error)
{
	sim->stats.refused[why]++;
	sim->stats.tokens_refused++;
	reply_set(reply, status, "application/json");
	buf_add_format(&reply->body, "{\"error\":\"%s\"}", error);
}

static void oauth_grant(struct sim *sim, struct reply *reply)
{
	const struct token *token = token_issue(sim);

	if (!token) {
		reply_problem(reply, sim, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
		return;
	}
	reply_set(reply, MHD_HTTP_OK, "application/json; charset=utf-8");
	buf_add_format(&reply->body,
		       "{\"access_token\":\"%s\",\"expires_in\":%" PRIu64
		       ",\"token_type\":\"Bearer\"}",
		       token->text, sim->settings.token_life_s);
}

void oauth_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	bool form = request_has_type(request, "application/x-www-form-urlencoded");
	struct oauth_request asked = {0};

	if (!form && !request_has_type(request, "application/json")) {
		oauth_refuse(sim, reply, REFUSED_CONTENT_TYPE, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
			     "invalid_request");
		return;
	}
	int r = form ? oauth_parse_form(&request->body, &asked)
		     : oauth_parse_json(&request->body, &asked);
	if (r || !asked.member[OAUTH_GRANT].data || !asked.member[OAUTH_ID].data ||
	    !asked.member[OAUTH_SECRET].data)
		oauth_refuse(sim, reply, REFUSED_BODY, MHD_HTTP_BAD_REQUEST, "invalid_request");
	else if (!oauth_member_is(&asked, OAUTH_GRANT, "client_credentials"))
		oauth_refuse(sim, reply, REFUSED_GRANT, MHD_HTTP_BAD_REQUEST,
			     "unsupported_grant_type");
	else if (!oauth_member_is(&asked, OAUTH_ID, ibinder_of(sim)->settings.client_id) ||
		 !oauth_member_is(&asked, OAUTH_SECRET, ibinder_of(sim)->settings.client_secret))
		oauth_refuse(sim, reply, REFUSED_CLIENT, MHD_HTTP_UNAUTHORIZED, "invalid_client");
	else if (!oauth_member_is(&asked, OAUTH_SCOPE, "ibinder_public"))
		oauth_refuse(sim, reply, REFUSED_SCOPE, MHD_HTTP_BAD_REQUEST, "invalid_scope");
	else
		oauth_grant(sim, reply);
	for (size_t i = 0; i < OAUTH_MEMBERS; i++)
		buf_free(&asked.member[i]);
}
