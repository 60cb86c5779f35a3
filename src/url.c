/* url.c: which addresses may be spoken to. */
#include "url.h"

#include "cleanup.h"

#include <arpa/inet.h>
#include <curl/curl.h>
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

enum problem { NONE, NO_URL, NOT_HTTPS, HAS_USER, HAS_QUERY };

static bool has(CURLU *url, CURLUPart part)
{
	char *text CLEANUP(cleanup_curl_text) = NULL;

	return curl_url_get(url, part, &text, 0) == CURLUE_OK;
}

static enum problem problem_of(const char *text, bool plain)
{
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *scheme CLEANUP(cleanup_curl_text) = NULL;
	char *host CLEANUP(cleanup_curl_text) = NULL;

	if (!url || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return NO_URL;
	if (strcasecmp(scheme, "https") != 0 &&
	    (!plain || strcasecmp(scheme, "http") != 0 || !url_host_is_loopback(host)))
		return NOT_HTTPS;
	if (has(url, CURLUPART_USER))
		return HAS_USER;
	/* libcurl drops an empty fragment when it parses. */
	return has(url, CURLUPART_QUERY) || strchr(text, '#') ? HAS_QUERY : NONE;
}

const char *url_storage_problem(const char *text, bool plain)
{
	static const char *const problems[] = {
		[NO_URL] = "the download link is no URL",
		[NOT_HTTPS] = "the download link is not https",
		[HAS_USER] = "the download link holds a user name",
		[HAS_QUERY] = NULL,
	};

	return problems[problem_of(text, plain)];
}

const char *url_service_problem(const char *text, bool plain)
{
	static const char *const problems[] = {
		[NO_URL] = "the API's address, as the server tells it, is no URL",
		[NOT_HTTPS] = "the API's address, as the server tells it, is not https",
		[HAS_USER] = "the API's address, as the server tells it, holds a user name",
		[HAS_QUERY] =
			"the API's address, as the server tells it, holds a query or fragment",
	};

	return problems[problem_of(text, plain)];
}
