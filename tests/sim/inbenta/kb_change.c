/* See kb_change.h. What touches a content sets its modification date, unless one is given. */
#include "kb_change.h"
#include "inbenta.h"
#include "service.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHANGE_ID_MAX 9007199254740991.0 /* a number in JSON; larger ids come as strings */

static struct inbenta *change_inbenta(const struct change *change)
{
	return inbenta_of(change->sim);
}

static const cJSON *change_member(const struct change *change, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(change->json, name);
}

/* An id as a number or as a numeric string. */
static bool change_parse_id(const cJSON *item, uint64_t *ret_id)
{
	if (cJSON_IsString(item))
		return service_parse_id(item->valuestring, ret_id);
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > CHANGE_ID_MAX)
		return false;
	*ret_id = (uint64_t)item->valuedouble;
	return true;
}

static struct kb_content *change_content(const struct change *change)
{
	uint64_t id;

	return change_parse_id(change_member(change, "id"), &id)
		       ? kb_find_content(&change_inbenta(change)->kb, id)
		       : NULL;
}

static struct kb_category *change_category(const struct change *change)
{
	uint64_t id;

	return change_parse_id(change_member(change, "id"), &id)
		       ? kb_find_category(&change_inbenta(change)->kb, id)
		       : NULL;
}

/* The list of ids in "categories"; they need not lead anywhere. The caller frees. */
static int change_categories(const struct change *change, uint64_t **ret_ids, size_t *ret_n)
{
	const cJSON *array = change_member(change, "categories");
	const cJSON *item;
	size_t n = 0;

	if (!cJSON_IsArray(array))
		return -EINVAL;
	uint64_t *ids = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	cJSON_ArrayForEach(item, array)
	{
		if (change_parse_id(item, &ids[n++]))
			continue;
		free(ids);
		return -EINVAL;
	}
	*ret_ids = ids;
	*ret_n = n;
	return 0;
}

/* The last step of a change: the date, and the object for the answer. */
static int change_touch(const struct change *change, struct kb_content *content)
{
	const struct inbenta *inbenta = change_inbenta(change);
	const char *date = change_string(change, "date");
	time_t now = (time_t)(sim_now_ms_wall() / 1000);
	struct tm utc;

	if (date)
		memcpy(content->modified, date, strlen(date) + 1);
	else if (gmtime_r(&now, &utc))
		strftime(content->modified, sizeof(content->modified), "%Y%m%d%H%M%S", &utc);
	kb_render_content(&inbenta->kb, content, inbenta->settings.ids, change->object);
	return 0;
}

static bool change_date_fits(const struct change *change)
{
	const char *date = change_string(change, "date");

	/* Wrong dates are welcome, but nothing that would have to be escaped. */
	return !date || (strlen(date) < KB_DATE_SIZE && !date[strspn(date, "0123456789-:+. TZ")]);
}

static int change_show_category(const struct change *change, const struct kb_category *category)
{
	kb_render_category(category, change_inbenta(change)->settings.ids, change->object);
	return 0;
}

/* The answer's text: a string, a literal under text_raw, null for none, or made up. */
static int change_answer(const struct change *change, struct kb_content *content)
{
	struct kb *kb = &change_inbenta(change)->kb;
	struct buf literal = {0}, text = {0};
	int r = change_literal(change, "text", "text_raw", &literal);

	if (cJSON_IsNull(change_member(change, "text"))) {
		r = kb_set_answer(content, NULL, 0);
	} else if (!r && literal.len) {
		r = text_decode_literal(literal.data, &text);
		if (!r)
			r = kb_set_answer(content, text.data, text.len);
	} else if (!r) {
		char *made = kb_make_answer(kb);

		r = made ? kb_set_answer(content, made, strlen(made)) : -ENOMEM;
		free(made);
	}
	buf_free(&literal);
	buf_free(&text);
	return r;
}

static int change_add_content(const struct change *change)
{
	struct kb *kb = &change_inbenta(change)->kb;
	struct kb_content *content;
	uint64_t *ids;
	size_t n;

	if (!change->name_json || !change_date_fits(change))
		return -EINVAL;
	int r = change_categories(change, &ids, &n);
	if (r)
		return r;
	r = kb_add_content(kb, change->name_json, ids, n, "", &content);
	free(ids);
	if (r)
		return r;
	r = change_answer(change, content);
	if (r) {
		kb_remove_content(kb, content);
		return r;
	}
	return change_touch(change, content);
}

static int change_rename_content(const struct change *change)
{
	struct kb_content *content = change_content(change);

	if (!content)
		return -ENOENT;
	if (!change->name_json || !change_date_fits(change))
		return -EINVAL;
	int r = kb_rename_content(content, change->name_json);
	return r ? r : change_touch(change, content);
}

static int change_modify_content(const struct change *change)
{
	struct kb_content *content = change_content(change);

	if (!content)
		return -ENOENT;
	if (!change_date_fits(change))
		return -EINVAL;
	int r = change_answer(change, content);
	return r ? r : change_touch(change, content);
}

static int change_move_content(const struct change *change)
{
	struct kb_content *content = change_content(change);
	uint64_t *ids;
	size_t n;

	if (!content)
		return -ENOENT;
	if (!change_date_fits(change))
		return -EINVAL;
	int r = change_categories(change, &ids, &n);
	if (r)
		return r;
	r = kb_set_categories(content, ids, n);
	free(ids);
	return r ? r : change_touch(change, content);
}

static int change_delete_content(const struct change *change)
{
	struct kb_content *content = change_content(change);

	if (!content)
		return -ENOENT;
	kb_remove_content(&change_inbenta(change)->kb, content);
	return 0;
}

/* The root unless "parent" says otherwise; it need not lead anywhere. */
static bool change_parent(const struct change *change, uint64_t *ret_parent)
{
	const cJSON *parent = change_member(change, "parent");

	*ret_parent = KB_ROOT;
	return !parent || change_parse_id(parent, ret_parent);
}

static int change_add_category(const struct change *change)
{
	struct kb_category *category;
	uint64_t parent;

	if (!change->name_json || !change_parent(change, &parent))
		return -EINVAL;
	int r = kb_add_category(&change_inbenta(change)->kb, parent, change->name_json, &category);
	return r ? r : change_show_category(change, category);
}

static int change_rename_category(const struct change *change)
{
	struct kb_category *category = change_category(change);

	if (!category)
		return -ENOENT;
	if (!change->name_json)
		return -EINVAL;
	int r = kb_rename_category(category, change->name_json);
	return r ? r : change_show_category(change, category);
}

static int change_move_category(const struct change *change)
{
	struct kb_category *category = change_category(change);
	uint64_t parent;

	if (!category)
		return -ENOENT;
	if (category->id == KB_ROOT || !change_parent(change, &parent))
		return -EINVAL;
	int r = kb_move_category(&change_inbenta(change)->kb, category, KB_PARENT_ID, parent);
	return r ? r : change_show_category(change, category);
}

static int change_delete_category(const struct change *change)
{
	struct kb_category *category = change_category(change);

	if (!category)
		return -ENOENT;
	if (category->id == KB_ROOT)
		return -EINVAL;
	kb_remove_category(&change_inbenta(change)->kb, category,
			   cJSON_IsTrue(change_member(change, "keep_ids")));
	return 0;
}

const struct change_op kb_changes[] = {
	{"add_content", change_add_content},	     {"rename_content", change_rename_content},
	{"modify_content", change_modify_content},   {"move_content", change_move_content},
	{"delete_content", change_delete_content},   {"add_category", change_add_category},
	{"rename_category", change_rename_category}, {"move_category", change_move_category},
	{"delete_category", change_delete_category}, {0},
};
