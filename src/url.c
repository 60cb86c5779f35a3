/* url.c: which addresses may be spoken to. */
#include "url.h"

#include "cleanup.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static void cleanup_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void cleanup_curl_text(char **text)
{
	curl_free(*text);
}

/* libcurl has made the host canonical: 127.1 is 127.0.0.1 here, and IPv6 stands in brackets. */
bool url_host_is_loopback(const char *host)
{
	struct in_addr ipv4;

	if (inet_pton(AF_INET, host, &ipv4) == 1)
		return ntohl(ipv4.s_addr) >> 24 == IN_LOOPBACKNET;
	return strcmp(host, "[::1]") == 0 || strcasecmp(host, "localhost") == 0;
}

enum problem { NONE, NO_MEMORY, NO_URL, NOT_HTTPS, HAS_USER, HAS_QUERY };

static enum problem problem_of(const char *text, bool plain)
{
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *scheme CLEANUP(cleanup_curl_text) = NULL;
	char *host CLEANUP(cleanup_curl_text) = NULL;
	char *user CLEANUP(cleanup_curl_text) = NULL;
	char *query CLEANUP(cleanup_curl_text) = NULL;
	CURLUcode code = url ? curl_url_set(url, CURLUPART_URL, text, 0) : CURLUE_OUT_OF_MEMORY;

	if (!code)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (!code)
		code = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (!code)
		code = curl_url_get(url, CURLUPART_USER, &user, 0);
	if (!code || code == CURLUE_NO_USER)
		code = curl_url_get(url, CURLUPART_QUERY, &query, 0);
	if (code && code != CURLUE_NO_QUERY)
		return code == CURLUE_OUT_OF_MEMORY ? NO_MEMORY : NO_URL;
	if (strcasecmp(scheme, "https") != 0 &&
	    (!plain || strcasecmp(scheme, "http") != 0 || !url_host_is_loopback(host)))
		return NOT_HTTPS;
	if (user)
		return HAS_USER;
	/* libcurl drops an empty fragment when it parses. */
	return query || strchr(text, '#') ? HAS_QUERY : NONE;
}

static int result_of(enum problem problem, const char *text, const char **ret_problem)
{
	*ret_problem = text;
	if (!text)
		return 0;
	return problem == NO_MEMORY ? -ENOMEM : -EBADMSG;
}

int url_storage_check(const char *url, bool plain, const char **ret_problem)
{
	static const char *const problems[] = {
		[NO_MEMORY] = "there is no memory for the download link",
		[NO_URL] = "the download link is no URL",
		[NOT_HTTPS] = "the download link is not https",
		[HAS_USER] = "the download link holds a user name",
		[HAS_QUERY] = NULL,
	};
	enum problem problem = problem_of(url, plain);

	return result_of(problem, problems[problem], ret_problem);
}

int url_service_check(const char *url, bool plain, const char **ret_problem)
{
	static const char *const problems[] = {
		[NO_MEMORY] = "there is no memory for the API's address",
		[NO_URL] = "the API's address, as the server tells it, is no URL",
		[NOT_HTTPS] = "the API's address, as the server tells it, is not https",
		[HAS_USER] = "the API's address, as the server tells it, holds a user name",
		[HAS_QUERY] =
			"the API's address, as the server tells it, holds a query or fragment",
	};
	enum problem problem = problem_of(url, plain);

	return result_of(problem, problems[problem], ret_problem);
}
