/* url.h: which addresses may be spoken to. libcurl's parser judges, so that what is checked is what
 * is connected to. */
#ifndef IBINDERFS_URL_H
#define IBINDERFS_URL_H

#include <stdbool.h>
#include <sys/socket.h>

/* Longest host that a configured address has, with its NUL: DNS allows 253 bytes. */
#define URL_HOST_SIZE 256

/* Where an address leads. Only what is public may be named by a server, and what is in the same
 * place as the configured API: a link into the machine or the office network of whoever mounts
 * would let the server ask what only they can reach. */
enum url_place {
	URL_PUBLIC = 1 << 0,
	URL_LOOPBACK = 1 << 1,	 /* also 0.0.0.0 and ::, which connect to this computer */
	URL_LINK_LOCAL = 1 << 2, /* among it the clouds' 169.254.169.254 */
	URL_PRIVATE = 1 << 3,	 /* RFC 1918, RFC 6598, RFC 4193 */
	URL_NOWHERE = 1 << 4,	 /* multicast, reserved, another family */
};

/* IPv6 addresses that stand for an IPv4 one are where that is. */
enum url_place url_place_of(const struct sockaddr *address);

/* What the configuration says of where to connect. */
struct url_home {
	char api[URL_HOST_SIZE];
	char auth[URL_HOST_SIZE];
	unsigned int places; /* where the API has been found: bits of url_place */
	bool proxied;	     /* perhaps: no_proxy may say otherwise */
};

/* `api_url` may be NULL: then the API tells its address when it is asked for a token. `proxy` NULL:
 * the environment's, as libcurl reads it. Returns 0 or -ENOMEM. */
int url_home_init(struct url_home *home, const char *api_url, const char *auth_url,
		  const char *proxy);
/* Whether a connection to `peer` may be made for `url`. The configured hosts may be anywhere, and
 * where the API is, is noted. Through a proxy, `peer` is the proxy, and only it knows whom it
 * connects to: the address that the URL itself names is judged, if it names one. Returns 0,
 * -EBADMSG or -ENOMEM. */
int url_home_check(struct url_home *home, const char *url, const struct sockaddr *peer);

/* Whether a host, as libcurl writes it, is this computer: 127.0.0.0/8, [::1], localhost. */
bool url_host_is_loopback(const char *host);

/* Whether bytes may be fetched from an address that a server chose: it must be https, or (`plain`)
 * http to loopback, without user name and password. Returns 0, or -EBADMSG or -ENOMEM with static
 * text that does not repeat the address, which is a secret. */
int url_storage_check(const char *url, bool plain, const char **ret_problem);
/* The same for one that a server chose to have its API's calls made below: without query and
 * fragment, too. */
int url_service_check(const char *url, bool plain, const char **ret_problem);

#endif
