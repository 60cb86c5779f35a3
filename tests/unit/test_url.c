/* test_url.c: bytes come over https, or from this computer, and never with a password in the URL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
/* No message may repeat any of a link. */
#define SIGNATURE "hunter2"

static void test_loopback(void **state)
{
	static const char *const yes[] = {"127.0.0.1", "127.255.255.254", "127.0.0.0",
					  "[::1]",     "localhost",	  "LOCALHOST"};
	static const char *const no[] = {
		"",	 "128.0.0.1",  "126.255.255.255",    "10.0.0.127", "[::]",
		"[::2]", "::1",	       "localhost.example",  "localhos",   "127.0.0.1.example",
		"127.1", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0",	   "example.localhost",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++)
		assert_true(url_host_is_loopback(yes[i]));
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(url_host_is_loopback(no[i]));
}

/* What is wrong with it, or NULL. */
static const char *problem_of(const char *link, bool plain)
{
	const char *problem = NULL;
	int error = url_storage_check(link, plain, &problem);

	assert_int_equal(error, problem ? -EBADMSG : 0);
	return problem;
}

static void test_links_that_may_be_used(void **state)
{
	static const char *const links[] = {
		"https://x.blob.core.example/a/b?sv=1&sig=" SIGNATURE "%3D",
		"HTTPS://X.example/",
		"https://x.example",
		"https://x.example:8443/a",
		"https://192.0.2.1/a",
		"https://[2001:db8::1]/a",
		"http://127.0.0.1:8080/a",
		"http://127.1/a", /* is 127.0.0.1 */
		"http://localhost/a",
		"http://[::1]:80/a",
		"https://x.example/a@b",
		"https://x.example/?u=a:b@c",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(links); i++) {
		const char *problem = problem_of(links[i], true);

		if (problem)
			fail_msg("%s: %s", links[i], problem);
	}
}

static void test_links_that_may_not(void **state)
{
	static const struct {
		const char *link;
		const char *part;
	} table[] = {
		{"", "no URL"},
		{"/a/b?sig=" SIGNATURE, "no URL"},
		{"//x.example/" SIGNATURE, "no URL"},
		{"x.example/" SIGNATURE, "no URL"},
		{"https://", "no URL"},
		{"https://x example/", "no URL"},
		{"http://x.example/?sig=" SIGNATURE, "not https"},
		{"http://128.0.0.1/", "not https"},
		{"http://127.0.0.1.example/", "not https"},
		{"http://localhost.example/", "not https"},
		{"http://[::ffff:127.0.0.1]/", "not https"},
		{"http://0.0.0.0/", "not https"},
		/* What follows the @ is where it would connect to. */
		{"http://127.0.0.1@x.example/", "not https"},
		{"http://localhost:80@x.example/", "not https"},
		{"ftp://127.0.0.1/a", "not https"},
		{"ftp://x.example/a", "not https"},
		{"sftp://localhost/a", "not https"},
		{"https://user:" SIGNATURE "@x.example/", "user name"},
		{"https://" SIGNATURE "@x.example/", "user name"},
		{"https://@x.example/", "user name"},
		{"https://:" SIGNATURE "@x.example/", "user name"},
		{"http://user@127.0.0.1/", "user name"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *problem = problem_of(table[i].link, true);

		if (!problem || !strstr(problem, table[i].part))
			fail_msg("%s: %s", table[i].link, problem ? problem : "is taken");
		assert_null(strstr(problem, SIGNATURE));
	}
	/* The API's own being https, storage's must be too. */
	assert_non_null(problem_of("http://127.0.0.1/", false));
	assert_null(problem_of("https://127.0.0.1/", false));
	/* Schemes that not every libcurl can parse are refused either way. */
	assert_non_null(problem_of("file:///etc/passwd", true));
	assert_non_null(problem_of("file://localhost/etc/passwd", true));
	assert_non_null(problem_of("gopher://127.0.0.1/", true));
	assert_non_null(problem_of("data:text/plain,x", true));
	assert_non_null(problem_of("javascript:alert(1)", true));
}

/* --- Places --- */

static struct sockaddr *address(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1)
		out->ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1)
		out->ss_family = AF_INET6;
	else
		fail_msg("%s", text);
	return (struct sockaddr *)out;
}

static void test_places(void **state)
{
	static const struct {
		const char *address;
		enum url_place place;
	} table[] = {
		{"127.0.0.1", URL_LOOPBACK},
		{"127.255.255.255", URL_LOOPBACK},
		{"126.255.255.255", URL_PUBLIC},
		{"128.0.0.0", URL_PUBLIC},
		{"0.0.0.0", URL_LOOPBACK},
		{"0.255.0.1", URL_LOOPBACK},
		{"1.0.0.0", URL_PUBLIC},
		{"9.255.255.255", URL_PUBLIC},
		{"10.0.0.0", URL_PRIVATE},
		{"10.255.255.255", URL_PRIVATE},
		{"11.0.0.0", URL_PUBLIC},
		{"100.63.255.255", URL_PUBLIC},
		{"100.64.0.0", URL_PRIVATE},
		{"100.127.255.255", URL_PRIVATE},
		{"100.128.0.0", URL_PUBLIC},
		{"169.253.255.255", URL_PUBLIC},
		{"169.254.169.254", URL_LINK_LOCAL},
		{"169.255.0.0", URL_PUBLIC},
		{"172.15.255.255", URL_PUBLIC},
		{"172.16.0.0", URL_PRIVATE},
		{"172.31.255.255", URL_PRIVATE},
		{"172.32.0.0", URL_PUBLIC},
		{"192.167.255.255", URL_PUBLIC},
		{"192.168.0.0", URL_PRIVATE},
		{"192.168.255.255", URL_PRIVATE},
		{"192.169.0.0", URL_PUBLIC},
		{"203.0.113.1", URL_PUBLIC},
		{"223.255.255.255", URL_PUBLIC},
		{"224.0.0.1", URL_NOWHERE},
		{"240.0.0.1", URL_NOWHERE},
		{"255.255.255.255", URL_NOWHERE},
		{"::", URL_LOOPBACK},
		{"::1", URL_LOOPBACK},
		{"::2", URL_LOOPBACK}, /* 0.0.0.2 */
		{"::ffff:127.0.0.1", URL_LOOPBACK},
		{"::ffff:10.1.2.3", URL_PRIVATE},
		{"::ffff:203.0.113.1", URL_PUBLIC},
		{"::192.168.1.1", URL_PRIVATE},
		{"64:ff9b::169.254.169.254", URL_LINK_LOCAL},
		{"64:ff9b::203.0.113.1", URL_PUBLIC},
		{"64:ff9c::10.0.0.1", URL_PUBLIC},
		{"64:ff9b:1::203.0.113.1", URL_PRIVATE},
		{"fe80::1", URL_LINK_LOCAL},
		{"febf::1", URL_LINK_LOCAL},
		{"fec0::1", URL_PRIVATE},
		{"fbff::1", URL_PUBLIC},
		{"fc00::1", URL_PRIVATE},
		{"fdff::1", URL_PRIVATE},
		{"fe00::1", URL_PUBLIC},
		{"ff02::1", URL_NOWHERE},
		{"2001:db8::1", URL_PUBLIC},
	};
	struct sockaddr_un other = {.sun_family = AF_UNIX};
	struct sockaddr_storage storage;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		enum url_place place = url_place_of(address(table[i].address, &storage));

		if (place != table[i].place)
			fail_msg("%s: %d", table[i].address, place);
	}
	assert_int_equal(url_place_of((struct sockaddr *)&other), URL_NOWHERE);
}

static bool admits(struct url_home *home, const char *url, const char *peer)
{
	struct sockaddr_storage storage;

	return url_home_check(home, url, address(peer, &storage)) == 0;
}

static void test_a_server_may_name_what_is_public(void **state)
{
	struct url_home home;

	(void)state;
	url_home_init(&home, "https://api.example/api", "https://login.example/connect/token", "");
	assert_true(admits(&home, "https://x.example/", "203.0.113.1"));
	assert_true(admits(&home, "https://x.example/", "2001:db8::1"));
	assert_false(admits(&home, "https://x.example/", "127.0.0.1"));
	assert_false(admits(&home, "https://x.example/", "10.0.0.1"));
	assert_false(admits(&home, "https://10.0.0.1/", "10.0.0.1"));
	assert_false(admits(&home, "https://x.example/", "fe80::1"));
	assert_false(admits(&home, "https://api.example.evil.example/", "10.0.0.1"));
	assert_false(admits(&home, "https://api.example@x.example/", "10.0.0.1"));
	assert_false(admits(&home, "no url", "203.0.113.1"));
}

static void test_the_configured_hosts_may_be_anywhere_and_the_api_s_place_counts(void **state)
{
	struct url_home home;

	(void)state;
	url_home_init(&home, "https://api.example/api", "https://login.example/connect/token", "");
	/* Who asks for tokens at home does not let the API name addresses there. */
	assert_true(admits(&home, "https://login.example/connect/token", "127.0.0.1"));
	assert_false(admits(&home, "https://x.example/", "127.0.0.1"));
	assert_true(admits(&home, "https://API.example/api/binders", "10.0.0.1"));
	assert_true(admits(&home, "https://x.example/", "192.168.0.1"));
	assert_false(admits(&home, "https://x.example/", "169.254.169.254"));
	assert_false(admits(&home, "https://x.example/", "127.0.0.1"));

	url_home_init(&home, "http://127.0.0.1:80/api", "http://127.0.0.1:80/token", "");
	assert_true(admits(&home, "https://x.example/", "::1"));
	assert_false(admits(&home, "https://x.example/", "10.0.0.1"));

	/* Without the API's address, where tokens come from is what is configured. */
	url_home_init(&home, NULL, "https://api.example/v1", "");
	assert_true(admits(&home, "https://api.example/v1/auth", "10.0.0.1"));
	assert_true(admits(&home, "https://x.example/", "10.0.0.2"));
}

/* Where the proxy itself is says nothing. */
#define PROXY "10.0.0.99"

static void test_through_a_proxy_the_url_is_judged(void **state)
{
	static const char *const no[] = {"https://127.0.0.1/",	      "https://localhost/",
					 "https://10.0.0.1:8443/a",   "https://[::1]/",
					 "https://[fe80::1%25eth0]/", "https://[::ffff:10.0.0.1]/",
					 "https://0x0a000001/"};
	struct url_home home;

	(void)state;
	url_home_init(&home, "https://api.example/api", "https://login.example/token",
		      "http://proxy.example:3128");
	assert_true(admits(&home, "https://x.example/", PROXY));
	assert_true(admits(&home, "https://203.0.113.1/", PROXY));
	assert_true(admits(&home, "https://[2001:db8::1]/", PROXY));
	for (size_t i = 0; i < COUNT(no); i++) {
		if (admits(&home, no[i], PROXY))
			fail_msg("%s", no[i]);
	}
	url_home_init(&home, "https://[fd00::1]/api", "https://login.example/token",
		      "http://proxy.example:3128");
	assert_true(admits(&home, "https://10.0.0.1/", PROXY));
}

static void test_addresses_of_an_api(void **state)
{
	static const struct {
		const char *address;
		const char *part; /* of what is wrong with it, or NULL */
	} table[] = {
		{"https://km.example", NULL},
		{"https://km.example:8443/a/b/", NULL},
		{"http://127.0.0.1:8080/km-1", NULL},
		{"km.example", "no URL"},
		{"http://km.example", "not https"},
		{"http://127.0.0.1@km.example/", "not https"},
		{"https://" SIGNATURE "@km.example", "user name"},
		{"https://km.example/?" SIGNATURE, "query"},
		{"https://km.example/?", "query"},
		{"https://km.example/#" SIGNATURE, "fragment"},
		{"https://km.example/#", "fragment"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *problem;
		int error = url_service_check(table[i].address, true, &problem);

		assert_int_equal(error, problem ? -EBADMSG : 0);
		if (!problem != !table[i].part || (problem && !strstr(problem, table[i].part)))
			fail_msg("%s: %s", table[i].address, problem ? problem : "is taken");
		if (problem)
			assert_null(strstr(problem, SIGNATURE));
	}
	assert_int_equal(url_service_check("http://127.0.0.1/", false, &(const char *){NULL}),
			 -EBADMSG);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_links_that_may_be_used),
		cmocka_unit_test(test_links_that_may_not),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_a_server_may_name_what_is_public),
		cmocka_unit_test(
			test_the_configured_hosts_may_be_anywhere_and_the_api_s_place_counts),
		cmocka_unit_test(test_through_a_proxy_the_url_is_judged),
		cmocka_unit_test(test_addresses_of_an_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
