/* world_inbenta.c: the truth of an Inbenta knowledge base, and the answers that its API would give.
 */
#include "world_inbenta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATE_DIGITS "20231114221320"
#define FIRST_ID    100 /* of contents */

struct knowledge knowledge;

/* --- Objects --- */

static struct categories *change_categories(void)
{
	struct categories *state = &knowledge.states[knowledge.count];

	if (knowledge.count > 0)
		*state = state[-1];
	knowledge.count++;
	state->from = ++now_seq;
	return state;
}

bool knowledge_was(unsigned state, uint64_t since)
{
	return state + 1 >= knowledge.count || knowledge.states[state + 1].from > since;
}

static int pick_parent(void)
{
	return rng_percent(15) ? CATEGORY_UNKNOWN : (int)rng_below(CATEGORIES);
}

static unsigned pick_categories(void)
{
	unsigned categories = rng_percent(15) ? 1u << CATEGORY_UNKNOWN : 0;

	for (unsigned left = rng_below(4); left > 0; left--)
		categories |= 1u << rng_below(CATEGORIES);
	return categories;
}

static void reset(void)
{
	struct categories *categories;

	memset(&knowledge, 0, sizeof(knowledge));
	knowledge.ids = rng_below(3);
	knowledge.more = rng_below(3);
	/* Without hasMore a page that is not full is the last. */
	knowledge.page_max =
		knowledge.more == MORE_TOLD && rng_percent(40) ? 1 + rng_below(4) : 100;
	knowledge.is_uneven = knowledge.more == MORE_TOLD && rng_percent(30);
	categories = change_categories();
	for (int c = 0; c < CATEGORIES; c++)
		categories->of[c] =
			(struct category){.there = rng_percent(80), .parent = pick_parent()};
	for (int d = 0; d < DOCUMENTS; d++) {
		struct state *state = world_change_object(&world.documents[d]);

		world.documents[d].dated = d % 3 == 0;
		state->there = rng_percent(70);
		state->categories = pick_categories();
	}
}

static void change_category(int number)
{
	struct category *category = &change_categories()->of[number];

	category->revision++;
	switch (rng_below(4)) {
	case 0:
		category->there = !category->there;
		break;
	case 1:
		category->name++;
		break;
	default:
		category->parent = pick_parent();
	}
}

/* Several may go at once, between two answers. One that does is never missed: its page and the
 * next have one in common. */
static void move_content(int first)
{
	unsigned left = 1 + rng_below(3);

	if (world.documents[first].count == STATES_MAX)
		return;
	for (int d = first; d < DOCUMENTS && left > 0; d++) {
		struct object *object = &world.documents[d];
		struct state *state;

		if (object->count == STATES_MAX || (d > first && !world_now(object)->there))
			continue;
		state = world_change_object(object);
		state->there = !state->there;
		action("content %d %s", d, state->there ? "comes" : "goes");
		left--;
	}
	knowledge.moved[knowledge.moved_count++] = now_seq;
}

static void move(void)
{
	move_content((int)rng_below(DOCUMENTS));
}

static void change_content(struct object *object)
{
	struct state *state = world_change_object(object);

	switch (rng_below(4)) {
	case 0:
		state->name++;
		break;
	case 1:
		state->categories = pick_categories();
		break;
	default:
		state->version++;
	}
}

static void change(void)
{
	bool is_category = rng_percent(30);
	int number = (int)rng_below(is_category ? CATEGORIES : DOCUMENTS);

	if ((is_category ? knowledge.count : world.documents[number].count) == STATES_MAX)
		return;
	if (is_category)
		change_category(number);
	else if (rng_percent(20))
		move_content(number);
	else
		change_content(&world.documents[number]);
	action("change %s %d", is_category ? "category" : "content", number);
}

/* --- Texts --- */

static void print_number(int id, char text[16])
{
	bool is_string = knowledge.ids == IDS_STRINGS || (knowledge.ids == IDS_MIXED && id % 2);

	snprintf(text, 16, is_string ? "\"%d\"" : "%d", id);
}

static void print_category(int number, const struct category *category, char text[TEXT_MAX])
{
	char parent[16] = "\"-\"";
	char id[16];

	print_number(number, id);
	if (number != ROOT)
		print_number(category->parent, parent);
	snprintf(text, TEXT_MAX,
		 "{\"id\": %s, \"name\": \"f%d-%u\", \"parent\": %s, \"revision\": %u}", id, number,
		 category->name, parent, category->revision);
}

void knowledge_print_category(int category, char text[TEXT_MAX])
{
	print_category(category, &knowledge_now()->of[category], text);
}

/* In JSON as it is sent, and what it means. NULL: there is none. */
static const char *answer_of(int document, unsigned version, bool is_json, char text[TEXT_MAX])
{
	static const unsigned lengths[] = {1, 40, 40, 200};
	unsigned kind = ((unsigned)document + version) % 7;

	switch (kind) {
	case 0:
		return NULL;
	case 1:
		return "";
	case 2:
		snprintf(text, TEXT_MAX,
			 is_json ? "<p class=\\\"x\\\">\\u00e5\\n\\ud83d\\ude00\\/ %u.%u<\\/p>"
				 : "<p class=\"x\">\u00e5\n\U0001F600/ %u.%u</p>",
			 document, version);
		return text;
	default:
		snprintf(text, TEXT_MAX, "%u.%u %0*u", document, version, lengths[kind - 3],
			 version);
		return text;
	}
}

static const char *bytes_of(int document, unsigned version, unsigned generation, size_t *ret_size)
{
	static char text[TEXT_MAX];
	const char *answer = answer_of(document, version, false, text);

	if (generation > 0 || !answer)
		return NULL;
	*ret_size = strlen(answer);
	return answer;
}

/* Some name theirs twice. */
static void print_categories(const struct state *state, struct buf *out)
{
	bool first = true;
	char id[16];

	for (int c = 0; c <= CATEGORY_UNKNOWN; c++) {
		if (!(state->categories >> c & 1))
			continue;
		print_number(c, id);
		buf_printf(out, "%s%s", first ? "" : ", ", id);
		if (state->revision % 3 == 0)
			buf_printf(out, ", %s", id);
		first = false;
	}
}

static void print_document(int document, const struct state *state, char text[TEXT_MAX])
{
	struct buf categories = BUF_INIT(TEXT_MAX);
	char answer_text[TEXT_MAX];
	const char *answer = answer_of(document, state->version, true, answer_text);
	char attribute[TEXT_MAX] = "";
	char id[16];

	memory_spared++;
	print_categories(state, &categories);
	if (answer)
		snprintf(attribute, sizeof(attribute), ", \"ANSWER_TEXT\": \"%.*s\"", TEXT_MAX / 2,
			 answer);
	print_number(FIRST_ID + document, id);
	snprintf(text, TEXT_MAX,
		 "{\n  \"id\": %s,\n  \"title\": \"d%d-%u\",\n  \"categories\": [%s],\n"
		 "  \"modificationDate\": \"%s\",\n"
		 "  \"attributes\": {\"revision\": \"%u\"%.*s}\n}",
		 id, document, state->name, buf_str(&categories),
		 world.documents[document].dated ? DATE_DIGITS : "2023", state->revision,
		 TEXT_MAX / 2 + 32, attribute);
	buf_reset(&categories);
	memory_spared--;
}

static void print_id(int document, char id[NAME_MAX_OURS])
{
	snprintf(id, NAME_MAX_OURS, "%d", FIRST_ID + document);
}

static int document_of(const char *id)
{
	return world_digit_after(id, "10", DOCUMENTS);
}

/* --- Answers --- */

/* The order means nothing. */
static int answer_categories(struct buf *out)
{
	bool first = true;
	int start = (int)rng_below(CATEGORIES);

	buf_append_str(out, "{\"results\":[");
	for (int i = 0; i < CATEGORIES; i++) {
		int number = (start + i) % CATEGORIES;
		char text[TEXT_MAX];

		if (!knowledge_now()->of[number].there)
			continue;
		knowledge_print_category(number, text);
		world_add_item(out, &first, text);
	}
	buf_append_str(out, "]}");
	return 200;
}

static int answer_page(uint64_t length, uint64_t offset, struct buf *out)
{
	uint64_t count = 0;
	bool first = true;
	bool more;

	CHECK(length > 0 && length <= 100, "a page of %" PRIu64, length);
	if (length > knowledge.page_max)
		length = knowledge.page_max;
	if (knowledge.is_uneven && length > 2)
		length -= rng_below((unsigned)length - 1);
	buf_append_str(out, "{\"results\":[");
	for (int d = 0; d < DOCUMENTS; d++) {
		const struct state *state = world_now(&world.documents[d]);
		char text[TEXT_MAX];

		if (!state->there || count++ < offset || count > offset + length)
			continue;
		print_document(d, state, text);
		world_add_item(out, &first, text);
	}
	more = count > offset + length;
	buf_append_str(out, "]");
	if (knowledge.more == MORE_TOLD)
		buf_printf(out, ",\"hasMore\":%s", more ? "true" : "false");
	if (knowledge.more == MORE_NULL)
		buf_append_str(out, ",\"hasMore\":null");
	buf_append_str(out, "}");
	return 200;
}

static int answer_content(const char *id, struct buf *out)
{
	int document = document_of(id);
	char text[TEXT_MAX];

	if (document < 0 || !world_now(&world.documents[document])->there) {
		buf_append_str(out, "{\"error\":{\"code\":404,\"message\":\"Not found\"}}");
		return 404;
	}
	print_document(document, world_now(&world.documents[document]), text);
	buf_printf(out, "{\"results\":[%s]}", text);
	return 200;
}

static int answer(const char *target, const char *body, struct buf *out)
{
	uint64_t length;
	uint64_t offset;

	CHECK(!body, "a body for %s", target);
	CHECK(strstr(target, "tracking=0"), "a reader's click is counted: %s", target);
	if (strcmp(target, "/categories/?maxDepth=-1&tracking=0") == 0)
		return answer_categories(out);
	if (sscanf(target, "/contents?length=%" SCNu64 "&offset=%" SCNu64, &length, &offset) == 2)
		return answer_page(length, offset, out);
	if (strncmp(target, "/contents/", 10) == 0)
		return answer_content(target + 10, out);
	fail("a request that the API does not have: %s", target);
}

static void configure(struct config *to)
{
	to->auth_url = "http://127.0.0.1/v1";
	to->api_key = "api-key";
	to->by_domain_key = rng_percent(30);
	to->domain = to->by_domain_key ? "https://help.example" : NULL;
	to->domain_key_field = "domainKey";
	to->answer_attribute = "ANSWER_TEXT";
}

const struct vendor_world world_inbenta = {
	.configure = configure,
	.reset = reset,
	.change = change,
	.move = move,
	.answer = answer,
	.print_document = print_document,
	.bytes = bytes_of,
	.print_id = print_id,
	.document_of = document_of,
};
