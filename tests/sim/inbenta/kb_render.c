/*
 * kb_render: an object's JSON as the API sends it.
 *
 * Members follow the vendor's documentation; the others are made up, and a client must not depend
 * on them.
 */
#include "kb.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>

/* Where an id stands, for mixed spellings that do not follow a rule. */
enum kb_place { KB_PLACE_SELF, KB_PLACE_CATEGORIES, KB_PLACE_PARENT, KB_PLACE_CHILDREN };

static void kb_render_id(struct buf *out, uint64_t id, enum kb_ids ids, enum kb_place place)
{
	bool quoted = ids == KB_IDS_STRING || (ids == KB_IDS_MIXED && rng_mix(id * 4 + place) % 2);

	buf_add_format(out, quoted ? "\"%" PRIu64 "\"" : "%" PRIu64, id);
}

static void kb_render_children(const struct kb_category *category, enum kb_ids ids, struct buf *out)
{
	const char *comma = "";

	buf_add_str(out, ",\"children\":[");
	for (size_t i = 0; i < category->children.n; i++) {
		const struct kb_category *child = category->children.items[i];

		buf_add_str(out, comma);
		kb_render_id(out, child->id, ids, KB_PLACE_CHILDREN);
		comma = ",";
	}
	if (category->lost_child) {
		buf_add_str(out, comma);
		kb_render_id(out, category->lost_child, ids, KB_PLACE_CHILDREN);
	}
	buf_add_char(out, ']');
}

void kb_render_category(const struct kb_category *category, enum kb_ids ids, struct buf *out)
{
	buf_add_str(out, "{\"id\":");
	kb_render_id(out, category->id, ids, KB_PLACE_SELF);
	buf_add_format(out, ",\"name\":%s,\"slug\":\"%s\"", category->name_json, category->slug);
	switch (category->parent_kind) {
	case KB_PARENT_ID:
		buf_add_str(out, ",\"parent\":");
		kb_render_id(out, category->parent, ids, KB_PLACE_PARENT);
		break;
	case KB_PARENT_DASH:
		buf_add_str(out, ",\"parent\":\"-\"");
		break;
	case KB_PARENT_NULL:
		buf_add_str(out, ",\"parent\":null");
		break;
	case KB_PARENT_ABSENT:
	case KB_PARENTS:
		break;
	}
	kb_render_children(category, ids, out);
	buf_add_str(out, ",\"visible\":true}");
}

static void kb_render_categories(const struct kb_content *content, enum kb_ids ids, struct buf *out)
{
	if (!content->n_categories && content->homeless == KB_CATEGORIES_ABSENT)
		return;
	if (!content->n_categories && content->homeless == KB_CATEGORIES_NULL) {
		buf_add_str(out, ",\"categories\":null");
		return;
	}
	buf_add_str(out, ",\"categories\":[");
	for (size_t i = 0; i < content->n_categories; i++) {
		if (i)
			buf_add_char(out, ',');
		kb_render_id(out, content->categories[i], ids, KB_PLACE_CATEGORIES);
	}
	buf_add_char(out, ']');
}

static void kb_render_attributes(const struct kb *kb, const struct kb_content *content,
				 struct buf *out)
{
	const char *name = kb->options.answer_attribute;

	if (!content->answer && kb->options.odd_names) {
		/* Where an empty map is an empty list. */
		buf_add_str(out, content->look % 2 ? ",\"attributes\":[]" : ",\"attributes\":{}");
		return;
	}
	buf_add_str(out, ",\"attributes\":{\"KEYWORDS\":\"ayuda, help\"");
	if (content->answer) {
		buf_add_char(out, ',');
		text_add_literal(out, name, strlen(name));
		buf_add_char(out, ':');
		if (content->look % 3 == 1)
			text_add_ascii_literal(out, content->answer, content->answer_len);
		else
			text_add_literal(out, content->answer, content->answer_len);
	}
	buf_add_str(out, ",\"INTERNAL_NOTE\":\"\"}");
}

void kb_render_content(const struct kb *kb, const struct kb_content *content, enum kb_ids ids,
		       struct buf *out)
{
	static const char odd_members[] =
		",\"x-big\":12345678901234567890,\"x-exp\":1E400,\"x-zero\":-0,\"x-frac\":1.50"
		",\"x-esc\":\"\\u00f1\\/\\u0000\",\"x-nested\":{\"a\":[1,[2,{\"b\":null}],[]],"
		"\"empty\":{},\"id\":\"not-this-one\"}";

	buf_add_str(out, "{\"id\":");
	kb_render_id(out, content->id, ids, KB_PLACE_SELF);
	buf_add_format(out, ",\"title\":%s,\"slug\":\"%s\"", content->title_json, content->slug);
	kb_render_categories(content, ids, out);
	buf_add_format(out, ",\"creationDate\":\"%s\"", content->created);
	if (*content->modified)
		buf_add_format(out, ",\"modificationDate\":\"%s\"", content->modified);
	kb_render_attributes(kb, content, out);
	buf_add_format(out, ",\"status\":\"published\",\"popularity\":%u.%02u", content->look % 2,
		       content->look % 100);
	if (kb->options.odd_numbers)
		buf_add_str(out, odd_members);
	buf_add_char(out, '}');
}

static void kb_truth_raw(struct buf *raw, struct buf *out)
{
	buf_add_str(out, ",\"raw\":");
	if (raw->failed)
		out->failed = true;
	else
		text_add_literal(out, raw->data, raw->len);
	buf_add_char(out, '}');
	raw->len = 0;
}

static void kb_truth_content(const struct kb_content *content, struct buf *out)
{
	buf_add_format(out, "{\"id\":\"%" PRIu64 "\",\"categories\":[", content->id);
	for (size_t i = 0; i < content->n_categories; i++)
		buf_add_format(out, "%s\"%" PRIu64 "\"", i ? "," : "", content->categories[i]);
	buf_add_format(out, "],\"modificationDate\":\"%s\",\"answer\":", content->modified);
	if (content->answer)
		text_add_literal(out, content->answer, content->answer_len);
	else
		buf_add_str(out, "null");
}

/* Here ids are strings whatever the spelling in "raw", and a parent that is no id is null. */
void kb_render_truth(const struct kb *kb, enum kb_ids ids, struct buf *out)
{
	struct buf raw = {0};

	buf_add_str(out, "{\"categories\":[");
	for (size_t i = 0; i < kb->categories.n; i++) {
		const struct kb_category *category = kb->categories.items[i];

		buf_add_format(out, "%s{\"id\":\"%" PRIu64 "\",\"parent\":", i ? "," : "",
			       category->id);
		if (category->parent_kind == KB_PARENT_ID)
			buf_add_format(out, "\"%" PRIu64 "\"", category->parent);
		else
			buf_add_str(out, "null");
		kb_render_category(category, ids, &raw);
		kb_truth_raw(&raw, out);
	}
	buf_add_str(out, "],\"contents\":[");
	for (size_t i = 0; i < kb->contents.n; i++) {
		const struct kb_content *content = kb->contents.items[i];

		if (i)
			buf_add_char(out, ',');
		kb_truth_content(content, out);
		kb_render_content(kb, content, ids, &raw);
		kb_truth_raw(&raw, out);
	}
	buf_add_str(out, "]}");
	buf_free(&raw);
}
