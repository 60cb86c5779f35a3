/* world_inbenta.h: what the files about Inbenta share: its knowledge base. */
#ifndef WORLD_INBENTA_H
#define WORLD_INBENTA_H

#include "vendor.h"

#define ROOT	   0 /* of the categories */
#define CATEGORIES 6 /* with the root */
/* Is named by contents and categories, and in no list. */
#define CATEGORY_UNKNOWN 9
#define CHANGES_MAX	 (DOCUMENTS * STATES_MAX)

struct category {
	bool there;
	int parent; /* also an unknown one, or itself */
	unsigned name;
	unsigned revision;
};

/* All categories, as they were from `from` on: where something stands hangs on several. */
struct categories {
	uint64_t from;
	struct category of[CATEGORIES];
};

extern struct knowledge {
	struct categories states[STATES_MAX];
	unsigned count;
	uint64_t moved[CHANGES_MAX]; /* when contents came or went */
	unsigned moved_count;
	unsigned page_max; /* the server's own */
	bool is_uneven;	   /* and some pages are shorter still */
	enum { MORE_TOLD, MORE_NULL, MORE_ABSENT } more;
	enum { IDS_NUMBERS, IDS_STRINGS, IDS_MIXED } ids;
} knowledge;

static inline const struct categories *knowledge_now(void)
{
	return &knowledge.states[knowledge.count - 1];
}
/* Whether the categories were so at some time since then. */
bool knowledge_was(unsigned state, uint64_t since);
void knowledge_print_category(int category, char text[TEXT_MAX]);

#endif
