/* url.c: which addresses may be spoken to. */
#include "url.h"

#include "cleanup.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

/* --- Places --- */

static enum url_place place_of_ipv4(uint32_t address)
{
	static const struct {
		uint32_t net;
		unsigned int bits;
		enum url_place place;
	} table[] = {
		{0x00000000, 8, URL_LOOPBACK},	  /* 0/8: this computer */
		{0x0A000000, 8, URL_PRIVATE},	  /* 10/8 */
		{0x64400000, 10, URL_PRIVATE},	  /* 100.64/10 */
		{0x7F000000, 8, URL_LOOPBACK},	  /* 127/8 */
		{0xA9FE0000, 16, URL_LINK_LOCAL}, /* 169.254/16 */
		{0xAC100000, 12, URL_PRIVATE},	  /* 172.16/12 */
		{0xC0A80000, 16, URL_PRIVATE},	  /* 192.168/16 */
		{0xE0000000, 3, URL_NOWHERE},	  /* 224/4 multicast, 240/4 reserved */
	};
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if ((address ^ table[i].net) >> (32 - table[i].bits) == 0)
			return table[i].place;
	}
	return URL_PUBLIC;
}

static enum url_place place_of_ipv6(const struct in6_addr *address)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xFF, 0x9B};	      /* RFC 6052 */
	static const uint8_t local[6] = {0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01}; /* RFC 8215 */
	const uint8_t *bytes = address->s6_addr;
	uint32_t ipv4;

	memcpy(&ipv4, bytes + 12, sizeof(ipv4));
	if (IN6_IS_ADDR_UNSPECIFIED(address) || IN6_IS_ADDR_LOOPBACK(address))
		return URL_LOOPBACK;
	if (IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address) ||
	    memcmp(bytes, nat64, sizeof(nat64)) == 0)
		return place_of_ipv4(ntohl(ipv4));
	if (IN6_IS_ADDR_LINKLOCAL(address))
		return URL_LINK_LOCAL;
	if ((bytes[0] & 0xFE) == 0xFC || IN6_IS_ADDR_SITELOCAL(address) || /* RFC 4193 */
	    memcmp(bytes, local, sizeof(local)) == 0)
		return URL_PRIVATE;
	return IN6_IS_ADDR_MULTICAST(address) ? URL_NOWHERE : URL_PUBLIC;
}

enum url_place url_place_of(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return place_of_ipv4(ntohl(
			((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
	if (address->sa_family == AF_INET6)
		return place_of_ipv6(
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	return URL_NOWHERE;
}

/* Of a host that is an address. A name may be anywhere: public until it is resolved. */
static enum url_place place_of_host(const char *host)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	char bare[URL_HOST_SIZE];

	if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1)
		return url_place_of((struct sockaddr *)&ipv4);
	snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(host + (*host == '['), "]%"),
		 host + (*host == '['));
	if (inet_pton(AF_INET6, bare, &ipv6.sin6_addr) == 1)
		return url_place_of((struct sockaddr *)&ipv6);
	return url_host_is_loopback(host) ? URL_LOOPBACK : URL_PUBLIC;
}

/* As libcurl writes it; "" if there is none that fits. Returns 0 or -ENOMEM. */
static int host_of(const char *text, char out[URL_HOST_SIZE])
{
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *host CLEANUP(cleanup_curl_text) = NULL;
	CURLUcode code = url ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;

	out[0] = '\0';
	if (!code && text)
		code = curl_url_set(url, CURLUPART_URL, text, 0);
	if (!code)
		code = curl_url_get(url, CURLUPART_HOST, &host, 0);
	if (!code && strlen(host) < URL_HOST_SIZE)
		memcpy(out, host, strlen(host) + 1);
	return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : 0;
}

/* As libcurl looks for one for https://; plain http never goes to a proxy. */
static bool is_proxied(const char *proxy)
{
	static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	size_t i;

	if (proxy)
		return *proxy != '\0';
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return true;
	}
	return false;
}

int url_home_init(struct url_home *home, const char *api_url, const char *auth_url,
		  const char *proxy)
{
	int error = host_of(api_url ? api_url : auth_url, home->api);

	if (!error)
		error = host_of(auth_url, home->auth);
	home->places = URL_PUBLIC | place_of_host(home->api);
	home->proxied = is_proxied(proxy);
	return error;
}

int url_home_check(struct url_home *home, const char *url, const struct sockaddr *peer)
{
	char host[URL_HOST_SIZE];
	enum url_place place;
	int error = host_of(url, host);

	if (error || host[0] == '\0')
		return error ? error : -EBADMSG;
	place = home->proxied ? place_of_host(host) : url_place_of(peer);
	if (strcasecmp(host, home->api) == 0)
		home->places |= place;
	return (home->places & place) || strcasecmp(host, home->auth) == 0 ? 0 : -EBADMSG;
}
