/* url.h: which addresses may be spoken to. libcurl's parser judges, so that what is checked is what
 * is connected to. */
#ifndef IBINDERFS_URL_H
#define IBINDERFS_URL_H

#include <stdbool.h>

/* Whether a host, as libcurl writes it, is this computer: 127.0.0.0/8, [::1], localhost. */
bool url_host_is_loopback(const char *host);

/* What is wrong with an address that a server chose to have bytes fetched from, or NULL: it must be
 * https, or (`plain`) http to loopback, without user name and password. Static text that does not
 * repeat the address, which is a secret. */
const char *url_storage_problem(const char *url, bool plain);
/* The same for one that a server chose to have its API's calls made below: without query and
 * fragment, too. */
const char *url_service_problem(const char *url, bool plain);

#endif
