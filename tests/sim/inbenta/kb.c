/* See kb.h. */
#include "kb.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KB_ID_STEP 9 /* ids have gaps, as in anything that has been edited for a while */

static int kb_compare(const void *key, const void *item)
{
	uint64_t id = *(const uint64_t *)key;
	uint64_t other = **(uint64_t *const *)item;

	return id < other ? -1 : id > other;
}

static void *kb_find(const struct list *list, uint64_t id)
{
	void **found =
		list->n ? bsearch(&id, list->items, list->n, sizeof(*list->items), kb_compare)
			: NULL;

	return found ? *found : NULL;
}

struct kb_category *kb_find_category(const struct kb *kb, uint64_t id)
{
	return kb_find(&kb->categories, id);
}

struct kb_content *kb_find_content(const struct kb *kb, uint64_t id)
{
	return kb_find(&kb->contents, id);
}

static const struct kb_category *kb_parent(const struct kb *kb, const struct kb_category *category)
{
	return category->parent_kind == KB_PARENT_ID ? kb_find_category(kb, category->parent)
						     : NULL;
}

bool kb_is_below(const struct kb *kb, uint64_t id, uint64_t above)
{
	const struct kb_category *category = kb_find_category(kb, id);

	for (size_t i = 0; category && i <= kb->categories.n; i++) {
		if (category->id == above)
			return true;
		category = kb_parent(kb, category);
	}
	return false;
}

uint64_t kb_level(const struct kb *kb, const struct kb_category *category)
{
	for (uint64_t level = 0; category && level <= kb->categories.n; level++) {
		if (category->id == KB_ROOT)
			return level;
		category = kb_parent(kb, category);
	}
	return UINT64_MAX;
}

/* Lower-case letters, digits and hyphens: what an address can show of a name. */
static char *kb_make_slug(const char *name_json)
{
	struct buf name = {0}, slug = {0};

	if (text_decode_literal(name_json, &name)) {
		buf_free(&name);
		return NULL;
	}
	text_fold(name.data, name.len);
	buf_add(&slug, "", 0);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			buf_add_char(&slug, c);
		else if (slug.len && slug.data[slug.len - 1] != '-')
			buf_add_char(&slug, '-');
	}
	buf_free(&name);
	return buf_take(&slug, NULL);
}

/* Puts a name and what follows from it in; on failure the old ones stay. */
static int kb_set_name(char **name, char **slug, const char *name_json)
{
	char *new_name = strdup(name_json);
	char *new_slug = kb_make_slug(name_json);

	if (!new_name || !new_slug) {
		free(new_name);
		free(new_slug);
		return -ENOMEM;
	}
	free(*name);
	free(*slug);
	*name = new_name;
	*slug = new_slug;
	return 0;
}

static void kb_category_free(struct kb_category *category)
{
	free(category->name_json);
	free(category->slug);
	free(category->children.items);
	free(category);
}

static void kb_content_free(struct kb_content *content)
{
	free(content->title_json);
	free(content->slug);
	free(content->categories);
	free(content->answer);
	free(content);
}

int kb_init(struct kb *kb, const struct kb_options *options, uint64_t seed)
{
	struct kb_category *root;

	*kb = (struct kb){.options = *options, .rng = {.state = rng_mix(seed)}};
	int r = kb_add_category(kb, KB_ROOT, "\"Root\"", &root);
	if (r)
		return r;
	kb->next_content = 1 + rng_below(&kb->rng, KB_ID_STEP);
	return kb_move_category(kb, root, KB_PARENT_DASH, 0);
}

void kb_fini(struct kb *kb)
{
	for (size_t i = 0; i < kb->categories.n; i++)
		kb_category_free(kb->categories.items[i]);
	for (size_t i = 0; i < kb->contents.n; i++)
		kb_content_free(kb->contents.items[i]);
	free(kb->categories.items);
	free(kb->contents.items);
	*kb = (struct kb){0};
}

int kb_add_category(struct kb *kb, uint64_t parent, const char *name_json,
		    struct kb_category **ret_category)
{
	struct kb_category *category = calloc(1, sizeof(*category));
	if (!category)
		return -ENOMEM;
	struct kb_category *above = kb_find_category(kb, parent);
	category->id = kb->next_category;
	category->parent = parent;
	if (kb_set_name(&category->name_json, &category->slug, name_json) ||
	    list_add(&kb->categories, category)) {
		kb_category_free(category);
		return -ENOMEM;
	}
	if (above && list_add(&above->children, category)) {
		list_remove(&kb->categories, category);
		kb_category_free(category);
		return -ENOMEM;
	}
	kb->next_category += 1 + rng_below(&kb->rng, KB_ID_STEP);
	*ret_category = category;
	return 0;
}

int kb_rename_category(struct kb_category *category, const char *name_json)
{
	return kb_set_name(&category->name_json, &category->slug, name_json);
}

static void kb_leave_parent(struct kb *kb, struct kb_category *category)
{
	struct kb_category *above = kb_find_category(kb, category->parent);

	if (above && category->parent_kind == KB_PARENT_ID)
		list_remove(&above->children, category);
}

int kb_move_category(struct kb *kb, struct kb_category *category, enum kb_parent kind,
		     uint64_t parent)
{
	struct kb_category *above = kind == KB_PARENT_ID ? kb_find_category(kb, parent) : NULL;

	kb_leave_parent(kb, category);
	category->parent_kind = kind;
	category->parent = parent;
	/* There is room when it was a child of it before. */
	return above ? list_add(&above->children, category) : 0;
}

static void kb_forget_category(struct kb *kb, uint64_t id)
{
	for (size_t i = 0; i < kb->contents.n; i++) {
		struct kb_content *content = kb->contents.items[i];
		size_t n = 0;

		for (size_t k = 0; k < content->n_categories; k++)
			if (content->categories[k] != id)
				content->categories[n++] = content->categories[k];
		content->n_categories = n;
	}
}

void kb_remove_category(struct kb *kb, struct kb_category *category, bool keep_ids)
{
	/* Out of its parent first: in a cycle it lies below itself. */
	kb_leave_parent(kb, category);
	while (category->children.n)
		kb_remove_category(kb, category->children.items[0], keep_ids);
	list_remove(&kb->categories, category);
	if (!keep_ids)
		kb_forget_category(kb, category->id);
	kb_category_free(category);
}

int kb_set_categories(struct kb_content *content, const uint64_t *categories, size_t n)
{
	uint64_t *copy = calloc(n + 1, sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	if (n)
		memcpy(copy, categories, n * sizeof(*copy));
	free(content->categories);
	content->categories = copy;
	content->n_categories = n;
	return 0;
}

int kb_set_answer(struct kb_content *content, const char *answer, size_t len)
{
	struct buf copy = {0};
	char *data = NULL;

	if (answer) {
		buf_add(&copy, answer, len);
		data = buf_take(&copy, NULL);
		if (!data)
			return -ENOMEM;
	}
	free(content->answer);
	content->answer = data;
	content->answer_len = data ? len : 0;
	return 0;
}

int kb_add_content(struct kb *kb, const char *title_json, const uint64_t *categories, size_t n,
		   const char *answer, struct kb_content **ret_content)
{
	struct kb_content *content = calloc(1, sizeof(*content));
	if (!content)
		return -ENOMEM;
	char *made = answer ? NULL : kb_make_answer(kb);
	const char *text = answer ? answer : made;
	int r = text ? kb_set_answer(content, text, strlen(text)) : -ENOMEM;
	free(made);
	content->id = kb->next_content;
	content->look = (unsigned int)kb->contents.n;
	kb_make_dates(kb, content->created, content->modified);
	if (!r)
		r = kb_set_name(&content->title_json, &content->slug, title_json);
	if (!r)
		r = kb_set_categories(content, categories, n);
	if (!r)
		r = list_add(&kb->contents, content);
	if (r) {
		kb_content_free(content);
		return r;
	}
	kb->next_content += 1 + rng_below(&kb->rng, KB_ID_STEP);
	*ret_content = content;
	return 0;
}

int kb_rename_content(struct kb_content *content, const char *title_json)
{
	return kb_set_name(&content->title_json, &content->slug, title_json);
}

void kb_remove_content(struct kb *kb, struct kb_content *content)
{
	list_remove(&kb->contents, content);
	kb_content_free(content);
}
