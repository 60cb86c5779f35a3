/* secret.h: a type for what must never be shown: client secret, bearer token.
 *
 * It has no printer. The bytes are overwritten before they are freed. */
#ifndef IBINDERFS_SECRET_H
#define IBINDERFS_SECRET_H

#include <stddef.h>

/* Longest secret accepted, in bytes. */
#define SECRET_BYTES_MAX 16384

struct secret {
	char *value; /* owned, NUL-terminated; NULL while unset */
	size_t len;
};

/* Replaces what is held by a copy. Returns 0, -ENOMEM, or -EINVAL when longer than SECRET_BYTES_MAX
 * or holding a NUL. */
int secret_set(struct secret *secret, const char *value, size_t len);
void secret_move(struct secret *to, struct secret *from);
void secret_fini(struct secret *secret);

#endif
