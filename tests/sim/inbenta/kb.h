/*
 * kb: the simulated knowledge base: categories and contents.
 *
 * Owns every object. Both kinds are numbered upwards and kept in that order, which is also the
 * order in which they are listed. Parents and the categories of a content are kept as numbers,
 * because they need not lead anywhere. Not locked: the caller holds the simulator's lock.
 *
 * Functions that can fail return 0 or -errno (-ENOMEM) and leave the knowledge base as it was.
 */
#ifndef SIM_KB_H
#define SIM_KB_H

#include "buf.h"
#include "list.h"
#include "rng.h"

#include <stdbool.h>
#include <stdint.h>

#define KB_ROOT		  0
#define KB_DATE_SIZE	  15 /* 14 digits and the NUL */
#define KB_ATTRIBUTE_SIZE 64

struct kb_options {
	uint64_t contents;
	uint64_t categories;	 /* beside the root */
	uint64_t category_depth; /* deepest nesting below the root */
	uint64_t size_min;	 /* bytes of an answer */
	uint64_t size_max;
	bool odd_names;
	bool odd_numbers;
	bool odd_categories; /* cycles, unknown parents, and the like */
	char answer_attribute[KB_ATTRIBUTE_SIZE];
};

/* What the member parent holds. */
enum kb_parent {
	KB_PARENT_ID,
	KB_PARENT_DASH, /* as the root's */
	KB_PARENT_NULL,
	KB_PARENT_ABSENT,
	KB_PARENTS,
};

/* In both structures the id comes first, for the search by it. */
struct kb_category {
	uint64_t id;
	enum kb_parent parent_kind;
	uint64_t parent;
	char *name_json;      /* owned: the name as a quoted JSON literal */
	char *slug;	      /* owned */
	struct list children; /* borrowed */
	uint64_t lost_child;  /* listed among the children and nowhere else; 0: none */
};

/* How the member categories looks in a content that has none. */
enum kb_homeless {
	KB_CATEGORIES_EMPTY,
	KB_CATEGORIES_NULL,
	KB_CATEGORIES_ABSENT,
	KB_HOMELESS_KINDS,
};

struct kb_content {
	uint64_t id;
	char *title_json;     /* owned */
	char *slug;	      /* owned */
	uint64_t *categories; /* owned array */
	size_t n_categories;
	enum kb_homeless homeless;
	char created[KB_DATE_SIZE];
	char modified[KB_DATE_SIZE]; /* empty: no such member */
	char *answer;		     /* owned HTML; NULL: no such attribute */
	size_t answer_len;
	unsigned int look; /* small differences in what else it carries */
};

/* How ids are spelt: both spellings are one id (V). */
enum kb_ids { KB_IDS_NUMBER, KB_IDS_STRING, KB_IDS_MIXED };

struct kb {
	struct kb_options options;
	struct rng rng;
	struct list categories; /* owns them; the root comes first */
	struct list contents;	/* owns them */
	uint64_t next_category;
	uint64_t next_content;
};

int kb_init(struct kb *kb, const struct kb_options *options, uint64_t seed);
void kb_fini(struct kb *kb);

struct kb_category *kb_find_category(const struct kb *kb, uint64_t id);
struct kb_content *kb_find_content(const struct kb *kb, uint64_t id);
/* True if the category is `above` or lies below it. Ends in cycles too. */
bool kb_is_below(const struct kb *kb, uint64_t id, uint64_t above);
/* Levels below the root; UINT64_MAX when no way leads there. */
uint64_t kb_level(const struct kb *kb, const struct kb_category *category);

/* Names are quoted JSON literals; all is copied. */
int kb_add_category(struct kb *kb, uint64_t parent, const char *name_json,
		    struct kb_category **ret_category);
int kb_rename_category(struct kb_category *category, const char *name_json);
int kb_move_category(struct kb *kb, struct kb_category *category, enum kb_parent kind,
		     uint64_t parent);
/* With what lies below. keep_ids: contents go on naming it. */
void kb_remove_category(struct kb *kb, struct kb_category *category, bool keep_ids);

/* Dates are drawn; without an answer one is made up. */
int kb_add_content(struct kb *kb, const char *title_json, const uint64_t *categories, size_t n,
		   const char *answer, struct kb_content **ret_content);
int kb_rename_content(struct kb_content *content, const char *title_json);
int kb_set_categories(struct kb_content *content, const uint64_t *categories, size_t n);
/* NULL takes the attribute away. */
int kb_set_answer(struct kb_content *content, const char *answer, size_t len);
void kb_remove_content(struct kb *kb, struct kb_content *content);

/* kb_render.c: objects as the API sends them. */
void kb_render_category(const struct kb_category *category, enum kb_ids ids, struct buf *out);
void kb_render_content(const struct kb *kb, const struct kb_content *content, enum kb_ids ids,
		       struct buf *out);
void kb_render_truth(const struct kb *kb, enum kb_ids ids, struct buf *out);

/* kb_gen.c: a knowledge base of a given size out of the seed. */
int kb_generate(struct kb *kb);
/* An answer of a drawn size; the caller frees. NULL when memory is out. */
char *kb_make_answer(struct kb *kb);
void kb_make_dates(struct kb *kb, char ret_created[KB_DATE_SIZE], char ret_modified[KB_DATE_SIZE]);

/* kb_demo.c: the help pages of an invented shop. */
int kb_demo(struct kb *kb);

#endif
