/* test_http_places.c: where a server may have us connect to. The server is on loopback; the API, as
 * configured, is not. */
#include "http_fixture.h"

static int set_up_elsewhere(void **state)
{
	int error = set_up(state);

	url_home_init(&home, "https://api.example/api", "https://login.example/token", "");
	return error;
}

#define ELSEWHERE(function) cmocka_unit_test_setup_teardown(function, set_up_elsewhere, tear_down)

static struct http_response *get_by_name(const char *host)
{
	char url[64];

	snprintf(url, sizeof(url), "http://%s:%d/x", host, server.port);
	return get(url);
}

static void assert_refused(const struct http_response *response)
{
	assert_failed(response, -EBADMSG);
	assert_non_null(strstr(response->text, "private network"));
	assert_int_equal(server.accepted, 0);
	assert_false(http_server_failed(response)); /* nobody is down */
}

static void handle_well(struct server *unused, struct server_request *request)
{
	(void)unused;
	server_answer(request, 200, "", "well");
}

static void test_an_address_is_refused_before_anything_is_sent(void **state)
{
	(void)state;
	assert_refused(get_by_name("127.0.0.1"));
}

/* A name is judged by what it leads to. */
static void test_a_name_is_refused(void **state)
{
	(void)state;
	assert_refused(get_by_name("localhost"));
}

static void test_the_configured_host_is_not_judged_and_its_place_is_open_to_others(void **state)
{
	(void)state;
	server.handle = handle_well;
	url_home_init(&home, "https://localhost/api", "https://login.example/token", "");
	home.places = URL_PUBLIC;		      /* as if the name had led elsewhere before */
	send_to(&outcomes[1], "http://localhost:1/"); /* nobody listens there */
	RUN_UNTIL(&loop, outcomes[1].calls);
	assert_int_equal(outcomes[1].response.error, -EHOSTUNREACH);
	assert_int_equal(get_by_name("127.0.0.1")->status, 200);
}

static void test_the_token_server_is_not_judged_either(void **state)
{
	(void)state;
	server.handle = handle_well;
	url_home_init(&home, "https://api.example/api", "https://localhost/token", "");
	assert_int_equal(get_by_name("localhost")->status, 200);
	buf_reset(&outcomes[0].response.body);
	memset(&outcomes[0], 0, sizeof(outcomes[0]));
	assert_failed(get_by_name("127.0.0.1"), -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		ELSEWHERE(test_an_address_is_refused_before_anything_is_sent),
		ELSEWHERE(test_a_name_is_refused),
		ELSEWHERE(test_the_configured_host_is_not_judged_and_its_place_is_open_to_others),
		ELSEWHERE(test_the_token_server_is_not_judged_either),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
