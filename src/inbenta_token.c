/* inbenta_token.c: the Inbenta API: how a token is asked for, and what refusals mean. The calls,
 * and how well each fact is known, stand in inbenta.c.
 *
 *   step             a good answer              any other
 *   AUTH             granted; without           an error
 *                    addresses: APIS_AFTER_AUTH
 *   REFRESH          APIS                       AUTH
 *   APIS             granted                    AUTH
 *   APIS_AFTER_AUTH  granted                    an error
 *
 * It begins with AUTH, unless a token is alive: then with REFRESH, or with APIS if only the address
 * is wrong. Owns the address of the knowledge API, which is kept in memory alone. */
#include "cleanup.h"
#include "inbenta_internal.h"
#include "url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the example 1200 (S). */
#define TOKEN_LIFE_MAX_S  (24 * 3600)
#define ADDRESS_BYTES_MAX 4096

enum step { STEP_BEGIN, STEP_AUTH, STEP_REFRESH, STEP_APIS, STEP_APIS_AFTER_AUTH };

/* Not cJSON: it would leave copies of the secret behind. */
static void append_string(struct buf *out, const char *text)
{
	buf_append_str(out, "\"");
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_printf(out, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			buf_printf(out, "\\u%04x", (unsigned int)*text);
		else
			buf_append(out, text, 1);
	}
	buf_append_str(out, "\"");
}

static int set_body(const struct provider *provider, const struct secret *secret,
		    struct http_request *request)
{
	struct buf body CLEANUP(buf_wipe) = BUF_INIT(8 * SECRET_BYTES_MAX);

	buf_append_str(&body, "{");
	append_string(&body, provider->domain ? provider->domain_key_field : "secret");
	buf_append_str(&body, ": ");
	append_string(&body, secret->value);
	buf_append_str(&body, "}");
	if (body.error)
		return body.error;
	request->content_type = "application/json";
	request->body_len = body.len;
	request->body = buf_steal(&body);
	return 0;
}

static enum step first_step(const struct provider *provider, const struct provider_need *need)
{
	if (!need->held)
		return STEP_AUTH;
	return need->misled || !provider->address ? STEP_APIS : STEP_REFRESH;
}

int inbenta_token_request(const struct provider *provider, const struct provider_need *need,
			  struct provider_grant *grant, struct http_request *ret_request,
			  const struct secret **ret_bearer)
{
	static const char *const paths[] = {
		[STEP_AUTH] = "/auth",
		[STEP_REFRESH] = "/refreshToken",
		[STEP_APIS] = "/apis",
		[STEP_APIS_AFTER_AUTH] = "/apis",
	};
	const struct secret *bearer = grant->token.value ? &grant->token : need->held;
	struct http_request request = {.method = "POST"};
	int error = 0;

	if (grant->step == STEP_BEGIN)
		grant->step = first_step(provider, need);
	if (!bearer)
		grant->step = STEP_AUTH;
	if (grant->step == STEP_APIS || grant->step == STEP_APIS_AFTER_AUTH)
		request.method = "GET";
	if (asprintf(&request.url, "%s%s", provider->auth_url, paths[grant->step]) < 0) {
		request.url = NULL;
		error = -ENOMEM;
	}
	if (!error)
		error = inbenta_add_headers(provider, &request);
	if (!error && grant->step == STEP_AUTH)
		error = set_body(provider, need->secret, &request);
	if (error) {
		http_request_fini(&request);
		return error;
	}
	if (grant->step != STEP_AUTH)
		*ret_bearer = bearer;
	*ret_request = request;
	return 0;
}

/* expires_in is a duration, expiration a point in time (S), which helps only if the clocks agree.
 */
static int64_t life_of(struct provider *provider, struct json answer, int64_t wall_now_s)
{
	int64_t expiration_s;
	int64_t life_s;

	if (json_get_int(answer, "expires_in", &life_s) == 0 && life_s >= 1)
		provider->life_s = life_s < TOKEN_LIFE_MAX_S ? life_s : TOKEN_LIFE_MAX_S;
	else if (json_get_int(answer, "expiration", &expiration_s) == 0 &&
		 expiration_s > wall_now_s && expiration_s - wall_now_s <= TOKEN_LIFE_MAX_S)
		provider->life_s = expiration_s - wall_now_s;
	return provider->life_s;
}

static int take_token(struct provider *provider, struct json answer, int64_t wall_now_s,
		      struct provider_grant *grant)
{
	struct buf token CLEANUP(buf_wipe) = BUF_INIT(SECRET_BYTES_MAX);
	int error = json_get_string(answer, "accessToken", &token);

	if (error)
		return error == -ENOMEM ? error : -EBADMSG;
	if (!http_is_bearer(token.data, token.len))
		return -EBADMSG;
	error = secret_set(&grant->token, token.data, token.len);
	if (!error)
		grant->life_ms = life_of(provider, answer, wall_now_s) * 1000;
	return error;
}

/* {"apis": {"knowledge": "https://…/km"}} (S), to which /v1 is to be added (V). -ENOENT: there are
 * no addresses. */
static int take_address(struct provider *provider, struct json answer, struct provider_grant *grant)
{
	struct buf url CLEANUP(buf_reset) = BUF_INIT(ADDRESS_BYTES_MAX);
	struct json apis;
	int error = json_get(answer, "apis", &apis);

	if (error)
		return error;
	error = json_get_string(apis, "knowledge", &url);
	if (error == -ENOMEM)
		return error;
	if (error || strlen(buf_str(&url)) != url.len) {
		grant->problem = "the server names no address of the knowledge API";
		return -EBADMSG;
	}
	error = url_service_check(buf_str(&url), provider->plain, &grant->problem);
	if (error)
		return error;
	while (url.len > 0 && url.data[url.len - 1] == '/')
		url.data[--url.len] = '\0';
	if (buf_append_str(&url, "/v1"))
		return url.error;
	free(provider->address);
	provider->address = buf_steal(&url);
	return 0;
}

/* What a good answer brings. -ENOENT: no addresses. */
static int take_answer(struct provider *provider, const struct http_response *response,
		       int64_t wall_now_s, struct provider_grant *grant)
{
	bool has_token = grant->step == STEP_AUTH || grant->step == STEP_REFRESH;
	struct json answer;
	int error = 0;

	if (response->status != 200 ||
	    json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	if (has_token)
		error = take_token(provider, answer, wall_now_s, grant);
	if (!error && grant->step != STEP_REFRESH)
		error = take_address(provider, answer, grant);
	return error;
}

/* The conversation goes on with that step. */
static int go_on(struct provider_grant *grant, enum step step)
{
	grant->step = step;
	return -EAGAIN;
}

int inbenta_token_answer(struct provider *provider, const struct http_response *response,
			 int64_t wall_now_s, struct provider_grant *grant)
{
	bool is_auth = grant->step == STEP_AUTH;
	long status = response->status;
	int error;

	if (is_auth && (status == 400 || status == 401 || status == 403))
		return -EACCES;
	error = take_answer(provider, response, wall_now_s, grant);
	if (error == -ENOMEM)
		return error;
	if (!error)
		return grant->step == STEP_REFRESH ? go_on(grant, STEP_APIS) : 0;
	if (is_auth && error == -ENOENT)
		return go_on(grant, STEP_APIS_AFTER_AUTH);
	if (is_auth || grant->step == STEP_APIS_AFTER_AUTH)
		return -EBADMSG;
	/* Whatever is wrong with the token there was: /auth gives another. */
	secret_fini(&grant->token);
	grant->problem = NULL;
	return go_on(grant, STEP_AUTH);
}

/* --- Refusals --- */

/* {"error": {code, message}} of the API (S), {"Message"} (S) or {"message"} (V) of the gateway.
 * Returns 0 or -ENOMEM. */
static int read_message(const struct http_response *response, struct buf *out)
{
	struct json answer;
	struct json member;
	int error;

	if (json_parse(buf_str(&response->body), response->body.len, &answer))
		return 0;
	error = json_get(answer, "error", &member);
	if (!error)
		error = json_get_string(member, "message", out);
	if (error == -ENOENT)
		error = json_get_string(answer, "Message", out);
	if (error == -ENOENT)
		error = json_get_string(answer, "message", out);
	return error == -ENOMEM ? error : 0;
}

/* A token that has expired may be told by 403 "… with an explicit deny" as well as by 401; 403
 * about a "key=value pair" says that the address is wrong (S). So does 404 of what always is there
 * (I). */
enum provider_refusal inbenta_judge(const struct http_response *response)
{
	struct buf message CLEANUP(buf_reset) = BUF_INIT(4096);

	if (response->status == 401)
		return PROVIDER_REFUSAL_TOKEN;
	if (response->status == 404)
		return PROVIDER_REFUSAL_ADDRESS;
	if (response->status != 403)
		return PROVIDER_REFUSAL_FINAL;
	if (read_message(response, &message))
		return PROVIDER_REFUSAL_UNREAD;
	if (strcasestr(buf_str(&message), "explicit deny"))
		return PROVIDER_REFUSAL_TOKEN;
	return strcasestr(buf_str(&message), "key=value pair") ? PROVIDER_REFUSAL_ADDRESS
							       : PROVIDER_REFUSAL_FINAL;
}

void inbenta_explain(const struct http_response *response, struct provider_problem *ret_problem)
{
	struct buf message CLEANUP(buf_wipe) = BUF_INIT(4096);
	struct provider_problem problem = {{0}, {0}};

	read_message(response, &message);
	/* That one repeats the header, in which there may be a token that was replaced since. */
	if (strcasestr(buf_str(&message), "key=value pair"))
		snprintf(problem.title, sizeof(problem.title), "not a valid key=value pair (…)");
	else
		snprintf(problem.title, sizeof(problem.title), "%s", buf_str(&message));
	*ret_problem = problem;
}
