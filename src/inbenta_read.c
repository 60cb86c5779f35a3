/* inbenta_read.c: the Inbenta API: what answers mean, and which pages to ask for. The objects go
 * into the listing's builder as they come; where they belong is known once all are there.
 *
 * Fails with -EBADMSG where an answer is not what is known of it, -EFBIG past a bound. */
#include "cleanup.h"
#include "date.h"
#include "hash.h"
#include "inbenta_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES_MAX LISTING_ID_MAX
/* The root of categories: knowledge/ itself (V). */
#define ROOT "0"
/* Pages asked for beyond those that are known to be there. */
#define PAGES_AHEAD_MAX 8
/* A hostile or broken server must not keep a task going for ever. */
#define PAGES_MAX 100000

/* --- Values --- */

/* 14 digits, YYYYMMDDHHMMSS (S); UTC (?). What is no date is LISTING_NO_TIME. Returns 0 or -ENOMEM.
 */
static int read_date(struct json date, int64_t *ret_ns)
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(64);
	int error = json_read_id(date, &text);

	if (error == -ENOMEM)
		return error;
	if (error || date_parse_digits(buf_str(&text), ret_ns))
		*ret_ns = LISTING_NO_TIME;
	return 0;
}

static bool is_type(struct json value, enum json_type type)
{
	return value.text && json_type(value) == type;
}

/* Remembers an id for inbenta_place. */
static int keep(struct buf *out, const char *id)
{
	return buf_append(out, id, strlen(id) + 1);
}

/* --- Categories --- */

enum category_member { CATEGORY_ID, CATEGORY_NAME, CATEGORY_PARENT, CATEGORY_MEMBERS };
static const char *const category_keys[CATEGORY_MEMBERS] = {
	[CATEGORY_ID] = "id",
	[CATEGORY_NAME] = "name",
	[CATEGORY_PARENT] = "parent",
};

static int add_category_dir(struct provider_task *task, const char *id,
			    const struct json members[CATEGORY_MEMBERS])
{
	struct buf name CLEANUP(buf_reset) = BUF_INIT(HTTP_BODY_MAX);
	struct buf parent CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	int error = provider_read_name(members[CATEGORY_NAME], &name);

	if (error)
		return error;
	error = listing_builder_add_dir(task->builder, &(struct listing_object){
							       .kind = LISTING_KIND_FOLDER,
							       .id = id,
							       .raw_name = buf_str(&name),
							       .raw_name_len = name.len,
							       .mtime_ns = LISTING_NO_TIME,
						       });
	if (error)
		return error;
	/* "-" is the root's (V), and like others without an id's form no category's. */
	error = provider_read_id(members[CATEGORY_PARENT], &parent);
	if (error)
		return error == -ENOMEM ? error : 0;
	error = keep(&task->parents, id);
	return error ? error : keep(&task->parents, parent.data);
}

static int add_category(struct provider_task *task, struct json category)
{
	struct json members[CATEGORY_MEMBERS];
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct listing_object object = {
		.kind = LISTING_KIND_FOLDER_JSON,
		.own_name = "category.json",
		.mtime_ns = LISTING_NO_TIME,
		.json = category,
	};
	int error;

	json_get_members(category, category_keys, CATEGORY_MEMBERS, members);
	error = provider_read_id(members[CATEGORY_ID], &id);
	if (error || listing_builder_has(task->builder, LISTING_KIND_FOLDER_JSON, id.data))
		return error;
	object.id = id.data;
	if (strcmp(id.data, ROOT) != 0) {
		object.parent = id.data;
		error = add_category_dir(task, id.data, members);
		if (error)
			return error;
	}
	return listing_builder_add_file(task->builder, &object);
}

/* --- Contents --- */

enum content_member {
	CONTENT_ID,
	CONTENT_TITLE,
	CONTENT_CATEGORIES,
	CONTENT_DATE,
	CONTENT_ATTRIBUTES,
	CONTENT_MEMBERS
};
static const char *const content_keys[CONTENT_MEMBERS] = {
	[CONTENT_ID] = "id",
	[CONTENT_TITLE] = "title",
	[CONTENT_CATEGORIES] = "categories",
	[CONTENT_DATE] = "modificationDate",
	[CONTENT_ATTRIBUTES] = "attributes",
};

/* The answer's HTML is an attribute, whose name differs per instance (V). */
static struct json answer_of(const struct provider_task *task, struct json attributes)
{
	struct json answer = {0};

	if (is_type(attributes, JSON_OBJECT) &&
	    json_get(attributes, task->provider->answer_attribute, &answer) == 0 &&
	    json_type(answer) != JSON_STRING)
		answer = (struct json){0};
	return answer;
}

static int add_content(struct provider_task *task, enum listing_kind kind, const char *id,
		       struct json content, const struct json members[CONTENT_MEMBERS])
{
	struct buf title CLEANUP(buf_reset) = BUF_INIT(HTTP_BODY_MAX);
	struct listing_object object = {
		.kind = kind,
		.id = id,
		.suffix = ".json",
		.json = content,
	};
	int error = provider_read_name(members[CONTENT_TITLE], &title);

	if (!error)
		error = read_date(members[CONTENT_DATE], &object.mtime_ns);
	if (error)
		return error;
	object.raw_name = buf_str(&title);
	object.raw_name_len = title.len;
	if (kind == LISTING_KIND_DOCUMENT)
		object.text = answer_of(task, members[CONTENT_ATTRIBUTES]);
	return listing_builder_add_file(task->builder, &object);
}

static int keep_categories(struct provider_task *task, const char *id, struct json categories)
{
	struct json_iter iter;
	int error = keep(&task->places, id);

	if (is_type(categories, JSON_ARRAY)) {
		for (iter = json_iterate(categories); !error && json_next(&iter);) {
			struct buf category CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);

			error = provider_read_id(iter.value, &category);
			if (!error)
				error = keep(&task->places, category.data);
			else if (error == -EBADMSG) /* none that is known */
				error = 0;
		}
	}
	return error ? error : keep(&task->places, "");
}

/* One of a page. */
static int add_listed(struct provider_task *task, struct inbenta_page *page, struct json content)
{
	struct json members[CONTENT_MEMBERS];
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	int error;

	json_get_members(content, content_keys, CONTENT_MEMBERS, members);
	error = provider_read_id(members[CONTENT_ID], &id);
	if (error)
		return error;
	page->last = hash_mix(hash_string(HASH_START, id.data));
	if (page->count++ == 0)
		page->first = page->last;
	if (listing_builder_has(task->builder, LISTING_KIND_DOCUMENT, id.data))
		return 0;
	task->found++;
	error = add_content(task, LISTING_KIND_DOCUMENT, id.data, content, members);
	return error ? error : keep_categories(task, id.data, members[CONTENT_CATEGORIES]);
}

/* The one that was asked for by its id. */
static int add_object(struct provider_task *task, struct json content)
{
	struct json members[CONTENT_MEMBERS];
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	int error;

	json_get_members(content, content_keys, CONTENT_MEMBERS, members);
	error = provider_read_id(members[CONTENT_ID], &id);
	if (error)
		return error;
	if (strcmp(id.data, task->id) != 0)
		return -EBADMSG;
	return add_content(task, LISTING_KIND_OBJECT, id.data, content, members);
}

/* --- Pages ---
 *
 * No answer tells how many contents there are, nor that some came or went while pages were read,
 * when one may slip from a page not yet read to one already read. So each page begins with the
 * last content of the one before it: if it does not, or one that is to go on has nothing new, all
 * are read once more, and what is there already is skipped. */

/* How many contents a page has in common with the next. */
static uint64_t overlap(const struct provider_task *task)
{
	return task->page_length > 1 ? 1 : 0;
}

/* Whether another page should be asked for: the answers tell whether there are more. What the
 * latest listing had is asked for at once, and beyond that the more pages the more have come. */
static bool may_plan(const struct provider_task *task)
{
	uint64_t expected = task->provider->total / (task->page_length - overlap(task));
	uint64_t ahead = task->answered > expected ? (task->answered - expected + 1) / 2 : 1;
	uint64_t fresh = task->offset + overlap(task); /* the first that would be new */

	if (task->page_count == 0)
		return true;
	if (task->answered == 0 || fresh >= task->end)
		return false;
	if (ahead > PAGES_AHEAD_MAX)
		ahead = PAGES_AHEAD_MAX;
	return fresh < task->provider->total || task->page_count - task->answered < ahead;
}

/* A power of two is full. */
static int plan_page(struct provider_task *task, uint64_t offset, uint64_t length)
{
	struct inbenta_page *pages;

	if (task->page_count >= PAGES_MAX)
		return -EFBIG;
	if ((task->page_count & (task->page_count - 1)) == 0) {
		size_t capacity = task->page_count ? task->page_count * 2 : 1;

		pages = realloc(task->pages, capacity * sizeof(*pages));
		if (!pages)
			return -ENOMEM;
		task->pages = pages;
	}
	task->pages[task->page_count++] = (struct inbenta_page){.offset = offset, .length = length};
	return 0;
}

int inbenta_next_page(struct provider_task *task, const struct inbenta_page **ret_page)
{
	if (task->page_next == task->page_count) {
		int error =
			may_plan(task) ? plan_page(task, task->offset, task->page_length) : -EAGAIN;

		if (error)
			return error;
		task->offset += task->page_length - overlap(task);
	}
	*ret_page = &task->pages[task->page_next++];
	return 0;
}

static int compare_pages(const void *a, const void *b)
{
	uint64_t left = ((const struct inbenta_page *)a)->offset;
	uint64_t right = ((const struct inbenta_page *)b)->offset;

	return left < right ? -1 : left > right;
}

/* Whether each page went on where the one before it ended. Sorts the pages. */
static bool is_seamless(struct provider_task *task)
{
	size_t i;

	qsort(task->pages, task->page_count, sizeof(*task->pages), compare_pages);
	for (i = 0; overlap(task) && i + 1 < task->page_count; i++) {
		const struct inbenta_page *page = &task->pages[i];
		const struct inbenta_page *next = &task->pages[i + 1];

		if (next->count == 0 && next->offset >= page->offset + page->count)
			continue; /* asked for in vain */
		if (page->offset + page->count != next->offset + 1 || page->last != next->first)
			return false;
	}
	return true;
}

static void maybe_reread(struct provider_task *task)
{
	if (task->answered < task->page_count || task->offset + overlap(task) < task->end ||
	    task->is_reread || (!task->is_torn && is_seamless(task)))
		return;
	task->is_reread = true;
	task->page_count = 0;
	task->page_next = 0;
	task->answered = 0;
	task->offset = 0;
	task->furthest = 0;
	task->end = UINT64_MAX;
}

/* A page is here, in which `fresh` contents were not known yet. */
static int note_page(struct provider_task *task, const struct inbenta_page *page, uint64_t fresh,
		     bool more)
{
	uint64_t count = page->count;
	uint64_t end = page->offset + count;
	/* What one has that was overtaken may all have been in those beside it. */
	bool is_old = fresh == 0 && page->offset >= task->furthest;
	int error = 0;

	task->answered++;
	if (page->offset > task->furthest)
		task->furthest = page->offset;
	/* It would go on for ever. The second time little is new, but the end is known about. */
	if (more && (count <= (page->offset ? overlap(task) : 0) ||
		     (is_old && task->is_reread && page->offset / 2 >= task->found)))
		return -EBADMSG;
	/* The first time others may have come before it: no further. */
	if (more && is_old && !task->is_reread) {
		task->is_torn = true;
		task->end = 0;
		more = false;
	}
	if (!more && end < task->end)
		task->end = end;
	if (page->offset == 0) {
		if (more)
			task->page_length = count; /* the server may have others */
		task->offset = count - (more ? overlap(task) : 0);
	} else if (more && count < page->length) {
		error = plan_page(task, end - overlap(task), page->length - count + overlap(task));
	}
	if (!error)
		maybe_reread(task);
	return error;
}

static int read_more(struct json more, const struct inbenta_page *page, bool *ret_more)
{
	if (!more.text || json_type(more) == JSON_NULL)
		*ret_more = page->count >= page->length;
	else if (json_type(more) == JSON_BOOL)
		*ret_more = *more.text == 't';
	else
		return -EBADMSG;
	return 0;
}

/* --- Answers --- */

/* {results: […]} (V), and of pages hasMore. */
int inbenta_task_answer(struct provider_task *task, uint64_t tag,
			const struct http_response *response)
{
	enum { RESULTS, HAS_MORE, MEMBERS };
	static const char *const keys[MEMBERS] = {"results", "hasMore"};
	struct json members[MEMBERS];
	struct json answer;
	struct json_iter iter;
	size_t found = task->found;
	struct inbenta_page *page =
		tag >= INBENTA_TAG_PAGES ? &task->pages[tag - INBENTA_TAG_PAGES] : NULL;
	bool more;
	int error = 0;

	if (json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	json_get_members(answer, keys, MEMBERS, members);
	if (!is_type(members[RESULTS], JSON_ARRAY))
		return -EBADMSG;
	for (iter = json_iterate(members[RESULTS]); !error && json_next(&iter);)
		error = page			      ? add_listed(task, page, iter.value)
			: task->level == PROVIDER_TOP ? add_category(task, iter.value)
						      : add_object(task, iter.value);
	if (error || !page)
		return error;
	error = read_more(members[HAS_MORE], page, &more);
	return error ? error : note_page(task, page, task->found - found, more);
}

/* --- Places --- */

/* A category whose parent is not in the list stays at the top. */
static int place_categories(struct provider_task *task)
{
	const char *at = buf_str(&task->parents);
	const char *end = at + task->parents.len;
	int error = 0;

	while (at < end && (!error || error == -ENOENT)) {
		const char *parent = at + strlen(at) + 1;

		error = listing_builder_put(task->builder, LISTING_KIND_FOLDER, at, parent);
		at = parent + strlen(parent) + 1;
	}
	return error == -ENOENT ? 0 : error;
}

/* A content without a known category stays at the top. One that is in the root and elsewhere comes
 * to the top last: from there it would be moved. */
static int place_contents(struct provider_task *task)
{
	const char *at = buf_str(&task->places);
	const char *end = at + task->places.len;
	int error = 0;

	while (at < end && !error) {
		const char *id = at;
		bool in_root = false;

		for (at += strlen(at) + 1; *at && !error; at += strlen(at) + 1) {
			in_root = in_root || strcmp(at, ROOT) == 0;
			error = listing_builder_put(task->builder, LISTING_KIND_DOCUMENT, id, at);
			if (error == -ENOENT)
				error = 0;
		}
		if (!error && in_root)
			error = listing_builder_put(task->builder, LISTING_KIND_DOCUMENT, id, NULL);
		at++;
	}
	return error;
}

int inbenta_place(struct provider_task *task)
{
	int error = place_categories(task);

	return error ? error : place_contents(task);
}
