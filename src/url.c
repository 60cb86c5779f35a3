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

const char *url_storage_problem(const char *text, bool plain)
{
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *scheme CLEANUP(cleanup_curl_text) = NULL;
	char *host CLEANUP(cleanup_curl_text) = NULL;
	char *user CLEANUP(cleanup_curl_text) = NULL;

	if (!url || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return "the download link is no URL";
	if (strcasecmp(scheme, "https") != 0 &&
	    (!plain || strcasecmp(scheme, "http") != 0 || !url_host_is_loopback(host)))
		return "the download link is not https";
	/* Also if it cannot be told for want of memory. */
	if (curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_NO_USER)
		return "the download link holds a user name";
	return NULL;
}
