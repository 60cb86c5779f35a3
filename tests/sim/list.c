/* See list.h. */
#include "list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int list_add(struct list *list, void *item)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 8;
		void **items = reallocarray(list->items, cap, sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->n++] = item;
	return 0;
}

void list_remove(struct list *list, const void *item)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i] != item)
			continue;
		list->n--;
		memmove(list->items + i, list->items + i + 1, (list->n - i) * sizeof(*list->items));
		return;
	}
}
