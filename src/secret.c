/* secret.c: what must never be shown, overwritten before its memory is given back.
 *
 * Owns one copy of the bytes. Fails with -EINVAL or -ENOMEM, and then keeps what it held. */
#include "secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int secret_set(struct secret *secret, const char *value, size_t len)
{
	if (len > SECRET_BYTES_MAX || (len > 0 && memchr(value, '\0', len)))
		return -EINVAL;
	char *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, value, len);
	copy[len] = '\0';
	secret_fini(secret);
	*secret = (struct secret){.value = copy, .len = len};
	return 0;
}

void secret_move(struct secret *to, struct secret *from)
{
	if (to == from)
		return;
	secret_fini(to);
	*to = *from;
	*from = (struct secret){0};
}

void secret_fini(struct secret *secret)
{
	if (secret->value)
		explicit_bzero(secret->value, secret->len);
	free(secret->value);
	*secret = (struct secret){0};
}
