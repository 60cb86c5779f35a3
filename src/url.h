/* url.h: which addresses may be spoken to. libcurl's parser judges, so that what is checked is what
 * is connected to. */
#ifndef IBINDERFS_URL_H
#define IBINDERFS_URL_H

#include <stdbool.h>

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
