/* gate_ibinder.c: how iBinder's server lets requests in. */
#include "vendor.h"

#include <stdio.h>
#include <string.h>

#define API	      "http://127.0.0.1/api"
#define AUTH	      "http://127.0.0.1/connect/token"
#define CLIENT_SECRET "client-secret"

static bool is_token(const struct http_transfer *transfer)
{
	return strcmp(transfer->url, AUTH) == 0;
}

static void judge(const struct http_transfer *transfer, const struct http_request *request,
		  bool has_bearer)
{
	bool asks_token = is_token(transfer);

	(void)request;
	CHECK(asks_token || strncmp(transfer->url, API "/", strlen(API "/")) == 0,
	      "a request to elsewhere: %s", transfer->url);
	CHECK(has_bearer != asks_token, "credentials for %s", transfer->url);
	CHECK(asks_token == (transfer->body && strstr(transfer->body, CLIENT_SECRET)),
	      "the client's secret for %s", transfer->url);
}

static void answer(struct http_transfer *transfer)
{
	if (!transport_believes(transfer->token)) {
		transfer->status = 401;
		return;
	}
	transfer->status = vendor->world->answer(transfer->url + strlen(API), transfer->body,
						 &transfer->answer);
	/* If it is the first one, the client must take the call for missing, for a while. */
	troubled = troubled || (transfer->status == 404 && strstr(transfer->url, "/folders/"));
}

static void give_token(struct http_transfer *transfer)
{
	static const int lives_s[] = {3, 60, 3600};
	int life_s = RNG_PICK(lives_s);
	char text[128];

	snprintf(text, sizeof(text), "{\"access_token\":\"token-%u\",\"expires_in\":%d}",
		 transport_new_token(life_s), life_s);
	transport_end_with_text(transfer, 200, -1, text);
}

static const struct refusal token[] = {{401, ""}};
static const struct refusal forbidden[] = {{403, "{\"title\":\"Forbidden\"}"}};
static const struct refusal client[] = {{400, "{\"error\":\"invalid_client\"}"}};

const struct vendor_gate gate_ibinder = {
	.is_token = is_token,
	.judge = judge,
	.answer = answer,
	.give_token = give_token,
	.token = REFUSALS(token),
	.forbidden = REFUSALS(forbidden),
	.client = REFUSALS(client),
};
