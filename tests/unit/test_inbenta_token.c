/* test_inbenta_token.c: the conversation for a token step by step, what refusals mean, and what is
 * told of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inbenta_fixture.h"

#define REFRESHED "{\"accessToken\":\"def\",\"expiration\":1700000600}"

/* A conversation under way. */
struct talk {
	struct provider *provider;
	struct secret secret;
	struct secret held;
	struct provider_need need;
	struct provider_grant grant;
};

static void begin(struct talk *talk, bool held, bool misled)
{
	secret_fini(&talk->grant.token);
	talk->grant = (struct provider_grant){.step = 0};
	if (!talk->provider)
		talk->provider = provider_of(&inbenta_config);
	assert_int_equal(secret_set(&talk->secret, "s3cr\"t\\\n", 8), 0);
	assert_int_equal(secret_set(&talk->held, "old", 3), 0);
	talk->need = (struct provider_need){
		.secret = &talk->secret,
		.held = held ? &talk->held : NULL,
		.misled = misled,
	};
}

static void talk_fini(struct talk *talk)
{
	provider_inbenta.provider_free(talk->provider);
	secret_fini(&talk->secret);
	secret_fini(&talk->held);
	secret_fini(&talk->grant.token);
	*talk = (struct talk){.provider = NULL};
}

/* The next request must be this one; `bearer` NULL: without a token. */
static void asks(struct talk *talk, const char *line, const char *bearer, const char *body)
{
	struct http_request request = {.method = NULL};
	const struct secret *with = NULL;
	char asked[200];

	assert_int_equal(provider_inbenta.token_request(talk->provider, &talk->need, &talk->grant,
							&request, &with),
			 0);
	snprintf(asked, sizeof(asked), "%s %s", request.method, request.url);
	assert_string_equal(asked, line);
	assert_string_equal(request.headers[0], "x-inbenta-key: the-key");
	assert_null(request.headers[1]);
	assert_int_equal(!with, !bearer);
	if (bearer)
		assert_string_equal(with->value, bearer);
	assert_int_equal(!request.body, !body);
	if (body) {
		assert_string_equal(request.content_type, "application/json");
		assert_int_equal(request.body_len, strlen(body));
		assert_memory_equal(request.body, body, request.body_len);
	}
	http_request_fini(&request);
}

static int hears(struct talk *talk, int status, const char *body)
{
	struct http_response response = response_of(status, body);
	int error = provider_inbenta.token_answer(talk->provider, &response, WALL_S, &talk->grant);

	buf_reset(&response.body);
	return error;
}

#define ASKS_AUTH(talk)                                                                            \
	asks(talk, "POST " AUTH_URL "/auth", NULL, "{\"secret\": \"s3cr\\\"t\\\\\\u000a\"}")

static void test_the_first_token_comes_with_its_address(void **state)
{
	struct talk talk = {.provider = NULL};

	(void)state;
	begin(&talk, false, false);
	assert_null(provider_inbenta.address(talk.provider));
	ASKS_AUTH(&talk);
	assert_int_equal(hears(&talk, 200, GRANTED), 0);
	assert_string_equal(talk.grant.token.value, "abc");
	assert_int_equal(talk.grant.life_ms, 1200000);
	assert_string_equal(provider_inbenta.address(talk.provider), ADDRESS);
	talk_fini(&talk);
}

/* A talk whose provider knows an address. */
static void begin_later(struct talk *talk, bool held, bool misled)
{
	begin(talk, false, false);
	ASKS_AUTH(talk);
	assert_int_equal(hears(talk, 200, GRANTED), 0);
	begin(talk, held, misled);
}

static void test_a_token_alive_is_refreshed_and_the_address_taken_anew(void **state)
{
	struct talk talk = {.provider = NULL};

	(void)state;
	begin_later(&talk, true, false);
	asks(&talk, "POST " AUTH_URL "/refreshToken", "old", NULL);
	assert_int_equal(hears(&talk, 200, REFRESHED), -EAGAIN);
	asks(&talk, "GET " AUTH_URL "/apis", "def", NULL);
	/* Until it is there the old one serves, where it did. */
	assert_string_equal(provider_inbenta.address(talk.provider), ADDRESS);
	assert_int_equal(hears(&talk, 200, "{" APIS("https://other.test//") "}"), 0);
	assert_string_equal(provider_inbenta.address(talk.provider), "https://other.test/v1");
	assert_string_equal(talk.grant.token.value, "def");
	assert_int_equal(talk.grant.life_ms, 600000);
	talk_fini(&talk);
}

static void test_a_wrong_address_alone_costs_one_call(void **state)
{
	struct talk talk = {.provider = NULL};

	(void)state;
	begin_later(&talk, true, true);
	asks(&talk, "GET " AUTH_URL "/apis", "old", NULL);
	assert_int_equal(hears(&talk, 200, "{" APIS("https://other.test") "}"), 0);
	assert_null(talk.grant.token.value); /* the one that is held stays */
	talk_fini(&talk);
}

static void test_whatever_goes_wrong_on_the_way_begins_anew(void **state)
{
	static const struct {
		int status;
		const char *body;
	} wrong[] = {
		{400, "{}"},
		{401, "{\"message\":\"Unauthorized\"}"},
		{403, "{\"Message\":\"… with an explicit deny\"}"},
		{404, ""},
		{200, ""},
		{200, "[]"},
		{200, "{}"},
		{200, "{\"accessToken\":7,\"apis\":7}"},
		{200, "{\"accessToken\":\"a b\",\"apis\":{}}"},
		{200, "{\"accessToken\":\"\",\"apis\":{\"knowledge\":null}}"},
		{200,
		 "{\"accessToken\":\"a\\r\\nX: y\",\"apis\":{\"knowledge\":\"http://x.test\"}}"},
		{302, "{}"},
	};
	struct talk talk = {.provider = NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		for (int step = 0; step < 3; step++) {
			begin_later(&talk, true, step == 2);
			asks(&talk,
			     step == 2 ? "GET " AUTH_URL "/apis" : "POST " AUTH_URL "/refreshToken",
			     "old", NULL);
			if (step == 1) {
				assert_int_equal(hears(&talk, 200, REFRESHED), -EAGAIN);
				asks(&talk, "GET " AUTH_URL "/apis", "def", NULL);
			}
			assert_int_equal(hears(&talk, wrong[i].status, wrong[i].body), -EAGAIN);
			ASKS_AUTH(&talk);
			assert_int_equal(hears(&talk, 200, GRANTED), 0);
			assert_string_equal(talk.grant.token.value, "abc");
			assert_null(talk.grant.problem);
			talk_fini(&talk);
		}
	}
}

static void test_a_token_that_died_meanwhile_begins_anew(void **state)
{
	struct talk talk = {.provider = NULL};

	(void)state;
	begin_later(&talk, true, true);
	asks(&talk, "GET " AUTH_URL "/apis", "old", NULL);
	talk.need.held = NULL;
	ASKS_AUTH(&talk);
	talk_fini(&talk);
}

static void test_a_grant_without_addresses_asks_for_them(void **state)
{
	struct talk talk = {.provider = NULL};

	(void)state;
	begin(&talk, false, false);
	ASKS_AUTH(&talk);
	assert_int_equal(hears(&talk, 200, "{\"accessToken\":\"abc\",\"expires_in\":5}"), -EAGAIN);
	asks(&talk, "GET " AUTH_URL "/apis", "abc", NULL);
	assert_int_equal(hears(&talk, 401, ""), -EBADMSG); /* and no further */
	begin(&talk, false, false);
	ASKS_AUTH(&talk);
	assert_int_equal(hears(&talk, 200, "{\"accessToken\":\"abc\",\"expires_in\":5}"), -EAGAIN);
	asks(&talk, "GET " AUTH_URL "/apis", "abc", NULL);
	assert_int_equal(hears(&talk, 200, "{" APIS("https://km.test") "}"), 0);
	assert_int_equal(talk.grant.life_ms, 5000);
	talk_fini(&talk);
}

static void test_auth_is_refused_or_of_no_use(void **state)
{
	static const struct {
		int status;
		const char *body;
		int error;
		const char *problem;
	} table[] = {
		{400, "{}", -EACCES, NULL},
		{401, "", -EACCES, NULL},
		{403, "<html>", -EACCES, NULL},
		{404, "{}", -EBADMSG, NULL},
		{415, "{}", -EBADMSG, NULL},
		{302, GRANTED, -EBADMSG, NULL},
		{200, "", -EBADMSG, NULL},
		{200, "{}", -EBADMSG, NULL},
		{200, "{\"accessToken\":\"\"," APIS("https://km.test") "}", -EBADMSG, NULL},
		{200, "{\"accessToken\":\"a\\nb\"," APIS("https://km.test") "}", -EBADMSG, NULL},
		{200, "{\"accessToken\":\"a\",\"apis\":{}}", -EBADMSG, "no address"},
		{200, "{\"accessToken\":\"a\",\"apis\":[]}", -EBADMSG, "no address"},
		{200, "{\"accessToken\":\"a\"," APIS("https://x.test\\u0000y") "}", -EBADMSG,
		 "no address"},
		{200, "{\"accessToken\":\"a\"," APIS("http://km.test") "}", -EBADMSG, "not https"},
		/* Only where /auth itself is plain, on this computer. */
		{200, "{\"accessToken\":\"a\"," APIS("http://127.0.0.1") "}", -EBADMSG,
		 "not https"},
		{200, "{\"accessToken\":\"a\"," APIS("https://u@km.test") "}", -EBADMSG,
		 "user name"},
		{200, "{\"accessToken\":\"a\"," APIS("https://km.test/?q") "}", -EBADMSG, "query"},
		{200, "{\"accessToken\":\"a\"," APIS("km.test") "}", -EBADMSG, "no URL"},
	};
	struct talk talk = {.provider = NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		begin(&talk, false, false);
		ASKS_AUTH(&talk);
		assert_int_equal(hears(&talk, table[i].status, table[i].body), table[i].error);
		assert_int_equal(!talk.grant.problem, !table[i].problem);
		if (table[i].problem)
			assert_non_null(strstr(talk.grant.problem, table[i].problem));
		assert_null(provider_inbenta.address(talk.provider));
		talk_fini(&talk);
	}
}

static void test_a_life_is_told_by_duration_or_by_a_clock_that_agrees(void **state)
{
	static const struct {
		const char *body;
		int64_t life_s;
	} table[] = {
		{"\"expires_in\":900,\"expiration\":1", 900},
		{"\"expires_in\":0,\"expiration\":1700000700", 700},
		{"\"expires_in\":\"x\",\"expiration\":1700000700", 700},
		{"\"expiration\":1700000001", 1},
		/* A clock that is wrong says nothing: as long as before. */
		{"\"expiration\":1700000000", 1200},
		{"\"expiration\":1600000000", 1200},
		{"\"expiration\":1800000000", 1200},
		{"\"expiration\":null", 1200},
		{"\"expires_in\":99999999999", 24 * 3600},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct talk talk = {.provider = NULL};
		char body[200];

		begin(&talk, false, false);
		ASKS_AUTH(&talk);
		snprintf(body, sizeof(body), "{\"accessToken\":\"a\",%s,%s}", table[i].body,
			 APIS("https://km.test"));
		assert_int_equal(hears(&talk, 200, body), 0);
		assert_int_equal(talk.grant.life_ms, table[i].life_s * 1000);
		talk_fini(&talk);
	}
}

static void test_a_domain_key_goes_with_its_domain(void **state)
{
	struct config config = inbenta_config;
	struct secret secret = {NULL, 0};
	const struct provider_need need = {.secret = &secret};
	struct provider_grant grant = {.step = 0};
	const struct secret *bearer = NULL;
	struct http_request request = {.method = NULL};
	struct provider *provider;
	struct buf said = BUF_INIT(4096);

	(void)state;
	config.by_domain_key = true;
	config.domain = (char *)"https://help.test";
	config.domain_key_field = (char *)"\"k\"";
	provider = provider_of(&config);
	assert_int_equal(secret_set(&secret, "dk", 2), 0);
	assert_int_equal(provider_inbenta.token_request(provider, &need, &grant, &request, &bearer),
			 0);
	assert_int_equal(request.body_len, strlen("{\"\\\"k\\\"\": \"dk\"}"));
	assert_memory_equal(request.body, "{\"\\\"k\\\"\": \"dk\"}", request.body_len);
	assert_string_equal(request.headers[1], "Origin: https://help.test");
	provider_inbenta.describe(provider, &said);
	assert_non_null(strstr(buf_str(&said), "https://help.test"));
	assert_null(strstr(buf_str(&said), "dk"));
	buf_reset(&said);
	http_request_fini(&request);
	secret_fini(&secret);
	provider_inbenta.provider_free(provider);
}

static void test_refusals_and_what_they_say(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum provider_refusal means;
		const char *title;
	} table[] = {
		{401, "{\"message\":\"Unauthorized\"}", PROVIDER_REFUSAL_TOKEN, "Unauthorized"},
		{401, "", PROVIDER_REFUSAL_TOKEN, ""},
		{403, "{\"Message\":\"User … with an Explicit deny\"}", PROVIDER_REFUSAL_TOKEN,
		 "User … with an Explicit deny"},
		{403, "{\"error\":{\"code\":403,\"message\":\"an explicit deny\"}}",
		 PROVIDER_REFUSAL_TOKEN, "an explicit deny"},
		{403, "{\"Message\":\"'Bearer abc' not a valid key=value pair\"}",
		 PROVIDER_REFUSAL_ADDRESS, "not a valid key=value pair (…)"},
		{403, "{\"message\":\"Forbidden\"}", PROVIDER_REFUSAL_FINAL, "Forbidden"},
		{403, "explicit deny", PROVIDER_REFUSAL_FINAL, ""},
		{404, "{\"error\":{\"code\":404,\"message\":\"Not found\"}}",
		 PROVIDER_REFUSAL_ADDRESS, "Not found"},
		{400, "{\"error\":\"x\",\"message\":\"explicit deny\"}", PROVIDER_REFUSAL_FINAL,
		 "explicit deny"},
		{405, "[]", PROVIDER_REFUSAL_FINAL, ""},
		{403, "{\"Message\":7,\"message\":\"b\"}", PROVIDER_REFUSAL_FINAL, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_response response = response_of(table[i].status, table[i].body);
		struct provider_problem problem;

		assert_int_equal(provider_inbenta.judge(&response), table[i].means);
		provider_inbenta.explain(&response, &problem);
		assert_string_equal(problem.title, table[i].title);
		assert_string_equal(problem.trace_id, "");
		buf_reset(&response.body);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_token_comes_with_its_address),
		cmocka_unit_test(test_a_token_alive_is_refreshed_and_the_address_taken_anew),
		cmocka_unit_test(test_a_wrong_address_alone_costs_one_call),
		cmocka_unit_test(test_whatever_goes_wrong_on_the_way_begins_anew),
		cmocka_unit_test(test_a_token_that_died_meanwhile_begins_anew),
		cmocka_unit_test(test_a_grant_without_addresses_asks_for_them),
		cmocka_unit_test(test_auth_is_refused_or_of_no_use),
		cmocka_unit_test(test_a_life_is_told_by_duration_or_by_a_clock_that_agrees),
		cmocka_unit_test(test_a_domain_key_goes_with_its_domain),
		cmocka_unit_test(test_refusals_and_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
