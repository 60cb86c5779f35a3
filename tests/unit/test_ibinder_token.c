/* test_ibinder_token.c: the token request and its answers, and what error answers tell people: by
 * table, from what the vendor documents and from what could come instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ibinder_fixture.h"

#define S(literal) literal, sizeof(literal) - 1

static void check_token_request(const char *client_id, const char *secret_text, size_t secret_len,
				const char *body)
{
	struct config config = ibinder_config;
	struct provider *provider = NULL;
	struct secret secret = {NULL, 0};
	const struct provider_need need = {.secret = &secret};
	struct provider_grant grant = {.step = 0};
	const struct secret *bearer = NULL;
	struct http_request request = {.method = NULL};

	config.client_id = (char *)client_id;
	assert_int_equal(provider_ibinder.provider_new(&config, &provider), 0);
	assert_int_equal(secret_set(&secret, secret_text, secret_len), 0);
	assert_int_equal(provider_ibinder.token_request(provider, &need, &grant, &request, &bearer),
			 0);
	assert_null(bearer);
	assert_string_equal(request.method, "POST");
	assert_string_equal(request.url, "https://signin.test/connect/token");
	assert_string_equal(request.content_type, "application/x-www-form-urlencoded");
	/* The tenant's header is the API's, and this may be another host. */
	assert_null(request.headers[0]);
	assert_int_equal(request.body_len, strlen(body));
	assert_memory_equal(request.body, body, request.body_len);
	http_request_fini(&request);
	secret_fini(&secret);
	provider_ibinder.provider_free(provider);
}

#define FORM "grant_type=client_credentials&scope=ibinder_public&client_id="

static void test_the_request_is_form_encoded(void **state)
{
	(void)state;
	check_token_request("client", S("hunter2"), FORM "client&client_secret=hunter2");
	check_token_request("a b&c=d", S("+ &=%?#/\"'\\<>"),
			    FORM "a%20b%26c%3Dd&client_secret="
				 "%2B%20%26%3D%25%3F%23%2F%22%27%5C%3C%3E");
	check_token_request("å", S("\r\nö\xff\x01"),
			    FORM "%C3%A5&client_secret=%0D%0A%C3%B6%FF%01");
	check_token_request("client", S("-._~"), FORM "client&client_secret=-._~");
	check_token_request("client", S(""), FORM "client&client_secret=");
}

static void test_the_longest_secret_fits(void **state)
{
	static char secret[SECRET_BYTES_MAX];
	static char body[3 * SECRET_BYTES_MAX + 200];
	size_t len;

	(void)state;
	memset(secret, '/', sizeof(secret));
	strcpy(body, FORM "client&client_secret=");
	len = strlen(body);
	for (size_t i = 0; i < sizeof(secret); i++, len += 3)
		memcpy(body + len, "%2F", 4);
	check_token_request("client", secret, sizeof(secret), body);
}

#define GRANT(token, rest) "{\"access_token\":\"" token "\"" rest "}"

static void test_answers(void **state)
{
	static const int64_t day_ms = 24 * 3600 * 1000;
	static const int64_t unsaid_ms = 300 * 1000; /* life when the server does not say */
	const struct {
		int status;
		const char *body;
		int error;
		const char *token;
		int64_t life_ms;
	} table[] = {
		{200, GRANT("abc", ",\"expires_in\":3600,\"token_type\":\"Bearer\""), 0, "abc",
		 3600000},
		{200, GRANT("a.b-c_d~e+f/g=", ",\"expires_in\":1"), 0, "a.b-c_d~e+f/g=", 1000},
		{200, GRANT("\\u0061", ",\"expires_in\":60"), 0, "a", 60000},
		/* The life is missing, unreadable, odd. */
		{200, GRANT("abc", ""), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":null"), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":\"3600\""), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":3600.5"), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":1e400"), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":{}"), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":99999999999999999999"), 0, "abc", unsaid_ms},
		{200, GRANT("abc", ",\"expires_in\":9223372036854775807"), 0, "abc", day_ms},
		{200, GRANT("abc", ",\"expires_in\":86401"), 0, "abc", day_ms},
		{200, GRANT("abc", ",\"expires_in\":0"), -EBADMSG, NULL, 0},
		{200, GRANT("abc", ",\"expires_in\":-1"), -EBADMSG, NULL, 0},
		{200, GRANT("abc", ",\"expires_in\":-9223372036854775808"), -EBADMSG, NULL, 0},
		/* No token, or one that would break out of its header. */
		{200, "{\"expires_in\":3600}", -EBADMSG, NULL, 0},
		{200, "{\"access_token\":null}", -EBADMSG, NULL, 0},
		{200, "{\"access_token\":5}", -EBADMSG, NULL, 0},
		{200, "{\"access_token\":[\"abc\"]}", -EBADMSG, NULL, 0},
		{200, "{\"Access_Token\":\"abc\"}", -EBADMSG, NULL, 0},
		{200, GRANT("", ",\"expires_in\":3600"), -EBADMSG, NULL, 0},
		{200, GRANT("a\\r\\nX-Evil: 1", ",\"expires_in\":3600"), -EBADMSG, NULL, 0},
		{200, GRANT("a\\nb", ""), -EBADMSG, NULL, 0},
		{200, GRANT("a b", ""), -EBADMSG, NULL, 0},
		{200, GRANT("a\\u0000b", ""), -EBADMSG, NULL, 0},
		{200, GRANT("a\\u007f", ""), -EBADMSG, NULL, 0},
		{200, GRANT("å", ""), -EBADMSG, NULL, 0},
		/* Not the documented answer at all. */
		{200, "", -EBADMSG, NULL, 0},
		{200, "null", -EBADMSG, NULL, 0},
		{200, "[]", -EBADMSG, NULL, 0},
		{200, "\"abc\"", -EBADMSG, NULL, 0},
		{200, "<html>Sign in</html>", -EBADMSG, NULL, 0},
		{200, "{\"access_token\":\"abc\"", -EBADMSG, NULL, 0},
		{200, "{\"access_token\":\"abc\"} trailing", -EBADMSG, NULL, 0},
		{200, "access_token=abc&expires_in=3600", -EBADMSG, NULL, 0},
		{201, GRANT("abc", ",\"expires_in\":3600"), -EBADMSG, NULL, 0},
		{204, "", -EBADMSG, NULL, 0},
		{302, "", -EBADMSG, NULL, 0},
		{404, "", -EBADMSG, NULL, 0},
		/* Refusals, whatever they say. */
		{400, "{\"error\":\"invalid_client\"}", -EACCES, NULL, 0},
		{401, "", -EACCES, NULL, 0},
		{403, "<html>", -EACCES, NULL, 0},
		{400, GRANT("abc", ",\"expires_in\":3600"), -EACCES, NULL, 0},
	};
	struct provider *provider = provider_new();

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_response response =
			response_of(table[i].status, table[i].body, strlen(table[i].body));
		struct provider_grant grant = {.life_ms = -7};
		int error = provider_ibinder.token_answer(provider, &response, 0, &grant);

		if (error != table[i].error)
			fail_msg("%d %s: %d", table[i].status, table[i].body, error);
		if (error) {
			assert_null(grant.token.value);
			assert_int_equal(grant.life_ms, -7);
		} else {
			assert_string_equal(grant.token.value, table[i].token);
			assert_int_equal(grant.life_ms, table[i].life_ms);
		}
		secret_fini(&grant.token);
		buf_reset(&response.body);
	}
	provider_ibinder.provider_free(provider);
}

static void test_a_token_is_bounded(void **state)
{
	static char body[SECRET_BYTES_MAX + 100] = "{\"access_token\":\"";
	struct provider *provider = provider_new();
	size_t start = strlen(body);

	(void)state;
	memset(body + start, 'x', SECRET_BYTES_MAX + 1);
	for (size_t extra = 0; extra < 2; extra++) {
		struct provider_grant grant = {.life_ms = 0};
		struct http_response response;

		memcpy(body + start + SECRET_BYTES_MAX + extra, "\"}", 3);
		response = response_of(200, body, strlen(body));
		assert_int_equal(provider_ibinder.token_answer(provider, &response, 0, &grant),
				 extra ? -EBADMSG : 0);
		assert_int_equal(grant.token.len, extra ? 0 : SECRET_BYTES_MAX);
		secret_fini(&grant.token);
		buf_reset(&response.body);
		memset(body + start, 'x', SECRET_BYTES_MAX + 1);
	}
	provider_ibinder.provider_free(provider);
}

static void test_explain(void **state)
{
	static const struct {
		const char *body;
		const char *title;
		const char *trace_id;
	} table[] = {
		{"{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,"
		 "\"traceId\":\"00-4bf92f-01\"}",
		 "Forbidden", "00-4bf92f-01"},
		{"{\"title\":\"One or more validation errors\",\"errors\":{\"a\":[\"b\"]}}",
		 "One or more validation errors", ""},
		{"{\"traceId\":\"only\"}", "", "only"},
		{"{\"error\":\"invalid_client\"}", "invalid_client", ""},
		{"{\"title\":null,\"error\":\"invalid_scope\"}", "invalid_scope", ""},
		{"{\"title\":\"T\",\"error\":\"e\"}", "T", ""},
		{"{\"title\":5,\"traceId\":{}}", "", ""},
		{"{}", "", ""},
		{"[]", "", ""},
		{"null", "", ""},
		{"", "", ""},
		{"<html><title>502</title></html>", "", ""},
		{"{\"title\":\"cut", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_response response =
			response_of(500, table[i].body, strlen(table[i].body));
		struct provider_problem problem;

		memset(&problem, 'x', sizeof(problem));
		provider_ibinder.explain(&response, &problem);
		assert_string_equal(problem.title, table[i].title);
		assert_string_equal(problem.trace_id, table[i].trace_id);
		buf_reset(&response.body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_request_is_form_encoded),
		cmocka_unit_test(test_the_longest_secret_fits),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_a_token_is_bounded),
		cmocka_unit_test(test_explain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
