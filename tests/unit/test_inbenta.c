/* test_inbenta.c: a knowledge base's listing from recorded answers: which pages are asked for, and
 * what becomes of categories and contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inbenta_fixture.h"

#define STEPS_MAX  64
#define CATEGORIES "GET /categories/?maxDepth=-1&tracking=0"
#define NO_CATEGORIES                                                                              \
	{                                                                                          \
		CATEGORIES, "{\"results\":[]}"                                                     \
	}
#define PAGE(length, offset) "GET /contents?length=" length "&offset=" offset "&tracking=0"
#define RESULTS(items, more) "{\"results\":[" items "],\"hasMore\":" more "}"
#define C(id)		     "{\"id\":" id ",\"title\":\"t\",\"categories\":[]}"

/* A request that must come, in this order, and its answer. */
struct step {
	const char *request;
	const char *answer;
};

struct run {
	struct provider *provider;
	struct listing *listing; /* NULL after an error */
	int error;
};

static void check_request(const struct http_request *request, const char *line)
{
	char asked[300];

	snprintf(asked, sizeof(asked), "%s %s", request->method, request->url);
	assert_string_equal(asked, line);
	assert_string_equal(request->headers[0], "x-inbenta-key: the-key");
	assert_null(request->headers[1]);
	assert_null(request->body);
}

/* Every request that may be sent is taken before the next answer is given; answers come in the
 * order of the requests. */
static void run_level(struct run *run, enum provider_level level, const char *id,
		      const struct step *steps, size_t count)
{
	struct provider_resource resource = {.level = level, .id = id};
	struct provider_result result = {0};
	struct provider_task *task = NULL;
	uint64_t tags[STEPS_MAX];
	size_t asked = 0;
	size_t answered = 0;

	if (!run->provider)
		run->provider = provider_of(&inbenta_config);
	listing_unref(run->listing);
	run->listing = NULL;
	run->error = 0;
	assert_int_equal(provider_inbenta.task_new(run->provider, &resource, &task), 0);
	while (!run->error) {
		struct http_request request = {.method = NULL};
		struct http_response response;

		assert_true(asked < STEPS_MAX);
		run->error = provider_inbenta.task_next(task, &request, &tags[asked]);
		if (!run->error) {
			if (asked >= count)
				fail_msg("one too many: %s", request.url);
			check_request(&request, steps[asked++].request);
			http_request_fini(&request);
			continue;
		}
		if (run->error != -EAGAIN || answered == asked)
			break;
		response = response_of(200, steps[answered].answer);
		run->error = provider_inbenta.task_answer(task, tags[answered++], &response);
		buf_reset(&response.body);
	}
	if (run->error == -EAGAIN) {
		assert_int_equal(asked, count);
		run->error = provider_inbenta.task_finish(task, NULL, NOW, &result);
		run->listing = result.listing;
	}
	provider_inbenta.task_free(task);
}

#define RUN(run, ...)                                                                              \
	run_level(run, PROVIDER_TOP, NULL, (const struct step[]){__VA_ARGS__},                     \
		  sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void run_fini(struct run *run)
{
	listing_unref(run->listing);
	provider_inbenta.provider_free(run->provider);
	*run = (struct run){.provider = NULL};
}

static unsigned contents_in(const struct run *run)
{
	unsigned count = 0;

	assert_int_equal(run->error, 0);
	for (uint32_t i = 0; i < run->listing->entry_count; i++)
		count += run->listing->entries[i].kind == LISTING_KIND_DOCUMENT;
	return count;
}

/* ---- Pages. ---- */

static void test_a_page_begins_with_the_last_content_of_the_one_before(void **state)
{
	struct run run = {.provider = NULL};

	(void)state;
	RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), RESULTS(C("1") "," C("2"), "false")});
	assert_int_equal(contents_in(&run), 2);
	run_fini(&run);
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "false")});
	assert_int_equal(contents_in(&run), 4);
	run_fini(&run);
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6") "," C("7"), "true")},
	    {PAGE("4", "6"), RESULTS(C("7") "," C("8") "," C("9"), "false")});
	assert_int_equal(contents_in(&run), 9);
	/* The next time as many are asked for at once: one answer is enough to go on. */
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6") "," C("7"), "true")},
	    {PAGE("4", "6"), RESULTS(C("7") "," C("8") "," C("9") "," C("10"), "true")},
	    {PAGE("4", "9"), RESULTS(C("10"), "false")});
	assert_int_equal(contents_in(&run), 10);
	run_fini(&run);
}

static void test_shorter_pages_are_the_servers_and_gaps_are_filled(void **state)
{
	struct run run = {.provider = NULL};

	(void)state;
	RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3"), "true")},
	    {PAGE("3", "2"), RESULTS(C("3") "," C("4") "," C("5"), "true")},
	    {PAGE("3", "4"), RESULTS(C("5") "," C("6"), "true")},
	    {PAGE("2", "5"), RESULTS(C("6") "," C("7"), "true")},
	    {PAGE("3", "6"), RESULTS(C("7") "," C("8"), "false")},
	    {PAGE("3", "8"), RESULTS("", "false")});
	assert_int_equal(contents_in(&run), 8);
	run_fini(&run);
	/* Pages of one have nothing in common. */
	RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), RESULTS(C("1"), "true")},
	    {PAGE("1", "1"), RESULTS(C("2"), "true")}, {PAGE("1", "2"), RESULTS(C("3"), "false")});
	assert_int_equal(contents_in(&run), 3);
	run_fini(&run);
}

/* What it has was in those beside it, which came before it. */
static void test_a_page_that_is_overtaken_need_not_have_news(void **state)
{
	struct run run = {.provider = NULL};

	(void)state;
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6") "," C("7"), "true")},
	    {PAGE("4", "6"), RESULTS(C("7") "," C("8") "," C("9"), "false")});
	assert_int_equal(contents_in(&run), 9);
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6"), "true")},
	    {PAGE("4", "6"), RESULTS(C("7") "," C("8") "," C("9"), "false")},
	    {PAGE("2", "5"), RESULTS(C("6") "," C("7"), "true")});
	assert_int_equal(contents_in(&run), 9);
	/* But it must go on. */
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6"), "true")},
	    {PAGE("4", "6"), RESULTS(C("7") "," C("8") "," C("9"), "false")},
	    {PAGE("2", "5"), RESULTS(C("6"), "true")});
	assert_int_equal(run.error, -EBADMSG);
	run_fini(&run);
}

static void test_what_moved_between_pages_is_found_in_a_second_reading(void **state)
{
	struct run run = {.provider = NULL};

	(void)state;
	/* 1 goes after the first page was read: 4 slips into it. */
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("5") "," C("6") "," C("7"), "false")},
	    {PAGE("4", "0"), RESULTS(C("2") "," C("3") "," C("4") "," C("5"), "true")},
	    {PAGE("4", "3"), RESULTS(C("5") "," C("6") "," C("7"), "false")});
	assert_int_equal(contents_in(&run), 7);
	run_fini(&run);
	/* So many go that the next page is past the end. */
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6") "," C("7"), "true")},
	    {PAGE("4", "6"), RESULTS("", "false")},
	    {PAGE("4", "0"), RESULTS(C("4") "," C("5") "," C("6") "," C("7"), "true")},
	    {PAGE("4", "3"), RESULTS(C("7") "," C("8"), "false")});
	assert_int_equal(contents_in(&run), 8);
	run_fini(&run);
	/* One that comes moves others to the next page; a second reading is the last one. */
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("3") "," C("4") "," C("5"), "false")},
	    {PAGE("4", "0"), RESULTS(C("0") "," C("1") "," C("2") "," C("3"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5"), "false")});
	assert_int_equal(contents_in(&run), 6);
	run_fini(&run);
	/* It comes while a gap is filled, which is all old then; */
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("4") "," C("5") "," C("6"), "true")},
	    {PAGE("2", "5"), RESULTS(C("5") "," C("6"), "true")},
	    {PAGE("4", "0"), RESULTS(C("0") "," C("1") "," C("2") "," C("3"), "true")},
	    {PAGE("4", "3"), RESULTS(C("3") "," C("4") "," C("5") "," C("6"), "true")},
	    {PAGE("4", "6"), RESULTS(C("6") "," C("7"), "false")});
	assert_int_equal(contents_in(&run), 8);
	run_fini(&run);
	/* or between pages of one, which no seam shows. */
	RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), RESULTS(C("1"), "true")},
	    {PAGE("1", "1"), RESULTS(C("1"), "true")}, {PAGE("1", "0"), RESULTS(C("0"), "true")},
	    {PAGE("1", "1"), RESULTS(C("1"), "true")}, {PAGE("1", "2"), RESULTS(C("2"), "false")});
	assert_int_equal(contents_in(&run), 3);
	run_fini(&run);
}

/* Everything is known in it, so that nothing new comes is no reason to stop; an end there is. */
static void test_a_second_reading_without_end_is_refused(void **state)
{
#define AGAIN RESULTS(C("2") "," C("3") "," C("4") "," C("5"), "true")
	struct run run = {.provider = NULL};

	(void)state;
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")},
	    {PAGE("4", "3"), RESULTS(C("5") "," C("6") "," C("7"), "false")},
	    {PAGE("4", "0"), AGAIN}, {PAGE("4", "3"), AGAIN}, {PAGE("4", "6"), AGAIN},
	    {PAGE("4", "9"), AGAIN}, {PAGE("4", "12"), AGAIN}, {PAGE("4", "15"), AGAIN},
	    {PAGE("4", "18"), AGAIN}, {PAGE("4", "21"), AGAIN}, {PAGE("4", "24"), AGAIN},
	    {PAGE("4", "27"), AGAIN}, {PAGE("4", "30"), AGAIN}, {PAGE("4", "33"), AGAIN},
	    {PAGE("4", "36"), AGAIN}, {PAGE("4", "39"), AGAIN});
	assert_int_equal(run.error, -EBADMSG);
	run_fini(&run);
}

static void test_pages_that_cannot_be_are_refused(void **state)
{
#define SAME RESULTS(C("1") "," C("2") "," C("3") "," C("4"), "true")
	static const char *const wrong[] = {
		"",
		"[]",
		"7",
		"{}",
		"{\"results\":null,\"hasMore\":false}",
		"{\"results\":{},\"hasMore\":false}",
		RESULTS("", "true"), /* would go on for ever */
		RESULTS(C("1"), "1"),
		RESULTS(C("1"), "\"true\""),
		RESULTS("null", "false"),
		RESULTS("{}", "false"),
		RESULTS("{\"id\":null}", "false"),
		RESULTS("{\"id\":\"\"}", "false"),
		RESULTS("{\"id\":1.5}", "false"),
		RESULTS("{\"id\":\"a\\u0000b\"}", "false"),
	};
	struct run run = {.provider = NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), wrong[i]});
		assert_int_equal(run.error, -EBADMSG);
	}
	/* The same page again and again, and always more: no second reading ends either. */
	RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), SAME}, {PAGE("4", "3"), SAME},
	    {PAGE("4", "0"), SAME}, {PAGE("4", "3"), SAME}, {PAGE("4", "6"), SAME},
	    {PAGE("4", "9"), SAME}, {PAGE("4", "12"), SAME});
	assert_int_equal(run.error, -EBADMSG);
	RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), RESULTS(C("1"), "true")},
	    {PAGE("1", "1"), RESULTS(C("1"), "true")}, {PAGE("1", "0"), RESULTS(C("1"), "true")},
	    {PAGE("1", "1"), RESULTS(C("1"), "true")}, {PAGE("1", "2"), RESULTS(C("1"), "true")});
	assert_int_equal(run.error, -EBADMSG);
	RUN(&run, {CATEGORIES, "{\"results\":[{\"id\":{}}]}"}, {PAGE("4", "0"), ""});
	assert_int_equal(run.error, -EBADMSG);
	run_fini(&run);
}

/* Whether there are more is then told by whether the page is full. */
static void test_has_more_may_be_missing(void **state)
{
	struct run run = {.provider = NULL};

	(void)state;
	RUN(&run, NO_CATEGORIES,
	    {PAGE("4", "0"), "{\"results\":[" C("1") "," C("2") "," C("3") "," C("4") "]}"},
	    {PAGE("4", "3"), "{\"results\":[" C("4") "],\"hasMore\":null}"});
	assert_int_equal(contents_in(&run), 4);
	run_fini(&run);
}

/* ---- Places. ---- */

#define CATEGORY(id, name, parent) "{\"id\":" id ",\"name\":\"" name "\",\"parent\":" parent "}"
#define IN(id, categories)                                                                         \
	"{\"id\":" id ",\"title\":\"c" id "\",\"categories\":" categories                          \
	",\"attributes\":{\"ANSWER_TEXT\":\"<p>\\u00e5\\/" id "\"}}"

/* The paths in which a content stands, sorted, with '|' between. */
static void check_places(const struct run *run, const char *id, const char *expected)
{
	char paths[8][200];
	struct buf text = BUF_INIT(4096);
	size_t count = 0;

	for (uint32_t i = 0; i < run->listing->entry_count; i++) {
		const struct listing_entry *entry = &run->listing->entries[i];
		char buffer[LISTING_ID_MAX + 1];
		struct buf path = BUF_INIT(200);

		if (entry->kind != LISTING_KIND_DOCUMENT ||
		    strcmp(listing_id(run->listing, entry, buffer), id) != 0)
			continue;
		assert_int_equal(listing_path(run->listing, entry, &path), 0);
		snprintf(paths[count++], sizeof(paths[0]), "%s", path.data);
		buf_reset(&path);
		assert_true(count < 8);
	}
	qsort(paths, count, sizeof(paths[0]), (int (*)(const void *, const void *))strcmp);
	for (size_t i = 0; i < count; i++)
		buf_printf(&text, "%s%s", i ? "|" : "", paths[i]);
	assert_string_equal(buf_str(&text), expected);
	buf_reset(&text);
	for (uint32_t i = 0; i < run->listing->entry_count; i++) {
		char buffer[LISTING_ID_MAX + 1];
		const struct listing_entry *entry = &run->listing->entries[i];

		if (entry->kind == LISTING_KIND_DOCUMENT &&
		    strcmp(listing_id(run->listing, entry, buffer), id) == 0)
			assert_int_equal(listing_links(run->listing, entry), count);
	}
}

static void test_contents_stand_in_each_of_their_categories(void **state)
{
	struct run run = {.provider = NULL};

	(void)state;
	RUN(&run,
	    {CATEGORIES,
	     "{\"results\":[" CATEGORY("\"3\"", "n3", "\"2\"") "," CATEGORY(
		     "0", "root",
		     "\"-\"") "," CATEGORY("1", "n1",
					   "0") "," CATEGORY("2", "n2",
							     "1") "," CATEGORY("4", "n4",
									       "99") "]}"},
	    {PAGE("4", "0"),
	     RESULTS(IN("10", "[1,\"2\"]") "," IN("11", "[3,3,\"3\",98]") "," IN("12", "[0,4]"),
		     "true")},
	    {PAGE("3", "2"),
	     RESULTS(IN("12", "[0,4]") "," IN("13", "{\"a\":1}") "," IN("14", "[99,{},null,\"\"]"),
		     "false")});
	assert_int_equal(run.error, 0);
	check_places(&run, "10", "n1/c10.json|n1/n2/c10.json");
	check_places(&run, "11", "n1/n2/n3/c11.json");
	check_places(&run, "12", "c12.json|n4/c12.json");
	check_places(&run, "13", "c13.json");
	check_places(&run, "14", "c14.json");
	run_fini(&run);
}

/* As many categories as a page can name, thrice, are placed and looked at in no time to speak of.
 */
static void test_a_content_in_very_many_categories_hangs_nothing(void **state)
{
	enum { MANY = 60000 };
	struct buf categories = BUF_INIT(HTTP_BODY_MAX);
	struct buf page = BUF_INIT(HTTP_BODY_MAX);
	struct run run = {.provider = NULL};
	int64_t began_ms = loop_now_ms();
	const struct listing_entry *entry;

	(void)state;
	buf_append_str(&categories, "{\"results\":[");
	buf_append_str(&page, "{\"results\":[{\"id\":7,\"title\":\"t\",\"categories\":[");
	for (int i = 0; i < 3 * MANY; i++) {
		if (i < MANY)
			buf_printf(&categories, "%s{\"id\":%d,\"name\":\"n\"}", i ? "," : "",
				   i + 1);
		buf_printf(&page, "%s%d", i ? "," : "", i % MANY + 1);
	}
	buf_append_str(&categories, "]}");
	buf_append_str(&page, "]}],\"hasMore\":false}");
	RUN(&run, {CATEGORIES, buf_str(&categories)}, {PAGE("4", "0"), buf_str(&page)});
	assert_int_equal(contents_in(&run), MANY);
	for (uint32_t i = 0; i < run.listing->entry_count; i++) {
		entry = &run.listing->entries[i];
		if (entry->kind == LISTING_KIND_DOCUMENT)
			assert_int_equal(listing_links(run.listing, entry), MANY);
	}
	/* Quadratic it would be minutes. */
	assert_in_range(loop_now_ms() - began_ms, 0, 20000);
	run_fini(&run);
	buf_reset(&categories);
	buf_reset(&page);
}

static void test_an_answer_is_the_strings_meaning_and_its_attribute_configured(void **state)
{
	static const struct {
		const char *attributes;
		const char *html; /* NULL: none */
	} table[] = {
		{"{\"ANSWER_TEXT\":\"<p>\\u00e5\\/\\n\\u0000</p>\"}", "<p>å/\n\0</p>"},
		{"{\"ANSWER_TEXT\":\"\"}", ""},
		{"{\"answer_text\":\"x\"}", NULL},
		{"{\"ANSWER_TEXT\":null}", NULL},
		{"{\"ANSWER_TEXT\":{\"a\":\"x\"}}", NULL},
		{"{}", NULL},
		{"[]", NULL},
		{"[\"ANSWER_TEXT\"]", NULL},
		{"null", NULL},
		{"\"ANSWER_TEXT\"", NULL},
	};
	struct run run = {.provider = NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct listing_entry *entry;
		char page[300];

		snprintf(page, sizeof(page),
			 "{\"results\":[{\"id\":7,\"title\":\"t\",\"attributes\":%s}],\"hasMore\":"
			 "false}",
			 table[i].attributes);
		RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), page});
		assert_int_equal(run.error, 0);
		entry = listing_find_name(run.listing, 0, "t.json");
		assert_non_null(entry);
		assert_int_equal(listing_has_content(entry), table[i].html != NULL);
		if (table[i].html) {
			struct buf html = BUF_INIT(100);

			assert_int_equal(listing_inline_read(run.listing, entry, &html), 0);
			assert_int_equal(html.len, listing_inline_size(run.listing, entry));
			assert_int_equal(html.len, i == 0 ? sizeof("<p>å/\n\0</p>") - 1 : 0);
			assert_memory_equal(buf_str(&html), table[i].html, html.len);
			buf_reset(&html);
		}
	}
	run_fini(&run);
}

static void test_dates_and_names(void **state)
{
	static const struct {
		const char *members;
		const char *name;
		int64_t mtime_ns;
	} table[] = {
		{"\"title\":\"a\",\"modificationDate\":\"20240131235958\"", "a.json",
		 INT64_C(1706745598000000000)},
		{"\"title\":\"a\",\"modificationDate\":20240131235958", "a.json",
		 INT64_C(1706745598000000000)},
		{"\"title\":\"a\",\"modificationDate\":\"20240231235958\"", "a.json", NOW},
		{"\"title\":7", "9.json", NOW},
		{"\"title\":\"\"", "9.json", NOW},
		{"\"slug\":\"x\"", "9.json", NOW},
		{"\"title\":\"category\"", "category.json", NOW},
	};
	struct run run = {.provider = NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct listing_entry *entry;
		char page[300];

		snprintf(page, sizeof(page), "{\"results\":[{\"id\":9,%s}],\"hasMore\":false}",
			 table[i].members);
		RUN(&run, NO_CATEGORIES, {PAGE("4", "0"), page});
		assert_int_equal(run.error, 0);
		entry = listing_find_name(run.listing, 0, table[i].name);
		assert_non_null(entry);
		assert_int_equal(entry->mtime_ns, table[i].mtime_ns);
	}
	run_fini(&run);
}

/* ---- One content. ---- */

static void test_one_content_by_its_id(void **state)
{
	static const struct {
		const char *answer;
		int error;
		unsigned entries;
	} table[] = {
		{"{\"results\":[" C("7") "]}", 0, 1},
		{"{\"results\":[" C("\"7\"") "]}", 0, 1},
		{"{\"results\":[]}", 0, 0},
		{"{\"results\":[" C("8") "]}", -EBADMSG, 0},
		{"{\"results\":" C("7") "}", -EBADMSG, 0},
		{"{}", -EBADMSG, 0},
	};
	static const char *const ids[] = {"7", "0", "12345678901234567890"};
	static const char *const no_ids[] = {
		"", "x", "07", "-1", "1.5", "1 ", "123456789012345678901"};
	struct run run = {.provider = NULL};
	struct provider_task *task;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct step step = {"GET /contents/7?tracking=0", table[i].answer};

		run_level(&run, PROVIDER_OBJECT, "7", &step, 1);
		assert_int_equal(run.error, table[i].error);
		if (!run.error)
			assert_int_equal(run.listing->entry_count, table[i].entries);
	}
	for (size_t i = 0; i < COUNT(ids); i++)
		assert_true(provider_inbenta.is_object_id(ids[i], strlen(ids[i])));
	for (size_t i = 0; i < COUNT(no_ids); i++)
		assert_false(provider_inbenta.is_object_id(no_ids[i], strlen(no_ids[i])));
	/* That there is none is an answer, but not for a list. */
	assert_int_equal(provider_inbenta.task_new(
				 run.provider,
				 &(struct provider_resource){.level = PROVIDER_OBJECT, .id = "7"},
				 &task),
			 0);
	assert_true(provider_inbenta.task_tolerates(task, 0, 404));
	assert_false(provider_inbenta.task_tolerates(task, 0, 403));
	provider_inbenta.task_free(task);
	assert_int_equal(
		provider_inbenta.task_new(
			run.provider, &(struct provider_resource){.level = PROVIDER_TOP}, &task),
		0);
	assert_false(provider_inbenta.task_tolerates(task, 0, 404));
	provider_inbenta.task_free(task);
	run_fini(&run);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_page_begins_with_the_last_content_of_the_one_before),
		cmocka_unit_test(test_shorter_pages_are_the_servers_and_gaps_are_filled),
		cmocka_unit_test(test_a_page_that_is_overtaken_need_not_have_news),
		cmocka_unit_test(test_what_moved_between_pages_is_found_in_a_second_reading),
		cmocka_unit_test(test_a_second_reading_without_end_is_refused),
		cmocka_unit_test(test_pages_that_cannot_be_are_refused),
		cmocka_unit_test(test_has_more_may_be_missing),
		cmocka_unit_test(test_contents_stand_in_each_of_their_categories),
		cmocka_unit_test(test_a_content_in_very_many_categories_hangs_nothing),
		cmocka_unit_test(
			test_an_answer_is_the_strings_meaning_and_its_attribute_configured),
		cmocka_unit_test(test_dates_and_names),
		cmocka_unit_test(test_one_content_by_its_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
