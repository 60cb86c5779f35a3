/* inbenta_fixture.h: what the tests of provider_inbenta share. Include after cmocka.h. */
#ifndef INBENTA_FIXTURE_H
#define INBENTA_FIXTURE_H

#include "loop.h"
#include "provider.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define AUTH_URL   "https://api.test/v1"
#define ADDRESS	   "https://km.test/x/v1"
#define NOW	   INT64_C(1700000000000000000)
#define WALL_S	   INT64_C(1700000000)
#define APIS(url)  "\"apis\":{\"knowledge\":\"" url "\"}"
#define GRANTED                                                                                    \
	"{\"accessToken\":\"abc\",\"expiration\":1700001200,\"expires_in\":1200," APIS(            \
		"https://km.test/x") "}"

static struct config inbenta_config = {
	.api_key = (char *)"the-key",
	.auth_url = (char *)AUTH_URL,
	.domain_key_field = (char *)"domainKey",
	.answer_attribute = (char *)"ANSWER_TEXT",
	.page_size = 4,
	.memory = 64 << 20,
};

static inline struct http_response response_of(int status, const char *body)
{
	struct http_response response = {
		.status = status,
		.retry_after_ms = -1,
		.body = BUF_INIT(HTTP_BODY_MAX),
	};

	assert_int_equal(buf_append_str(&response.body, body), 0);
	return response;
}

static inline struct provider *provider_of(const struct config *config)
{
	struct provider *provider = NULL;

	assert_int_equal(provider_inbenta.provider_new(config, &provider), 0);
	return provider;
}

#endif
