/*
 * list: a growing array of pointers, in the order in which they were added.
 *
 * Whether the objects belong to it is its holder's business.
 */
#ifndef SIM_LIST_H
#define SIM_LIST_H

#include <stddef.h>

struct list {
	void **items; /* owned array */
	size_t n;
	size_t cap;
};

/* Returns 0 or -ENOMEM. */
int list_add(struct list *list, void *item);
void list_remove(struct list *list, const void *item);

#endif
