/* provider_read.c: what all providers read of an answer alike. */
#include "provider.h"

#include <errno.h>
#include <string.h>

int provider_read_id(struct json id, struct buf *out)
{
	int error = json_read_id(id, out);

	if (error)
		return error == -ENOMEM ? error : -EBADMSG;
	return out->len > 0 && strlen(out->data) == out->len ? 0 : -EBADMSG;
}

int provider_read_name(struct json name, struct buf *out)
{
	int error = json_read_string(name, out);

	return error == -ENOMEM ? error : 0;
}
