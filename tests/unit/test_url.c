/* test_url.c: bytes come over https, or from this computer, and never with a password in the URL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "url.h"

#include <errno.h>
#include <string.h>

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
		cmocka_unit_test(test_addresses_of_an_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
