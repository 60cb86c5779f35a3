/* provider.c: the providers by name. */
#include "provider.h"

#include <string.h>

static const struct provider_ops *const providers[] = {&provider_ibinder, &provider_inbenta};

const struct provider_ops *provider_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	}
	return NULL;
}
