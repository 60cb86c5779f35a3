/* world_ibinder.h: what the files about iBinder share: its organisation. */
#ifndef WORLD_IBINDER_H
#define WORLD_IBINDER_H

#include "vendor.h"

#define BINDERS 3
_Static_assert(BINDERS == PARTS_MAX, "each has a key");
#define FOLDERS 3 /* of each binder: two tabs, and one folder in the first */
/* The folder that one is in. */
#define WORLD_PARENT(folder) ((folder) == FOLDERS - 1 ? 0 : -1)

extern struct ibinder {
	struct object binders[BINDERS];
	struct object folders[BINDERS][FOLDERS];
	uint64_t moved[BINDERS]; /* when documents last changed, */
	uint64_t came[BINDERS];	 /* came, */
	uint64_t went[BINDERS];	 /* and went */
	bool tells_tabs;	 /* documents name their folder as their tab, too */
} ibinder;

#define IBINDER_DATE "2023-11-14T22:13:20Z"

void ibinder_print_binder(int binder, const struct state *state, char text[TEXT_MAX]);
void ibinder_print_folder(int binder, int folder, const struct state *state, char text[TEXT_MAX]);
void ibinder_print_elements(int binder, char text[TEXT_MAX]);
/* The number in an id, or -1. */
int ibinder_binder_of(const char *id);

#endif
