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

static int refuse(int error, const char *problem, const char **ret_problem)
{
	*ret_problem = problem;
	return error;
}

int url_storage_check(const char *text, bool plain, const char **ret_problem)
{
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *scheme CLEANUP(cleanup_curl_text) = NULL;
	char *host CLEANUP(cleanup_curl_text) = NULL;
	char *user CLEANUP(cleanup_curl_text) = NULL;
	CURLUcode code = url ? curl_url_set(url, CURLUPART_URL, text, 0) : CURLUE_OUT_OF_MEMORY;
	CURLUcode user_code = CURLUE_OK;

	if (!code)
		code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	if (!code)
		code = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (!code)
		user_code = curl_url_get(url, CURLUPART_USER, &user, 0);
	if (code == CURLUE_OUT_OF_MEMORY || user_code == CURLUE_OUT_OF_MEMORY)
		return refuse(-ENOMEM, "there is no memory for the download link", ret_problem);
	if (code)
		return refuse(-EBADMSG, "the download link is no URL", ret_problem);
	if (strcasecmp(scheme, "https") != 0 &&
	    (!plain || strcasecmp(scheme, "http") != 0 || !url_host_is_loopback(host)))
		return refuse(-EBADMSG, "the download link is not https", ret_problem);
	if (user_code != CURLUE_NO_USER)
		return refuse(-EBADMSG, "the download link holds a user name", ret_problem);
	return 0;
}
