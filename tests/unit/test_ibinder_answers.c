/* test_ibinder_answers.c: pages that shift, shrink and lie; answers of the wrong shape, size and
 * type; names and ids of every kind; and answers damaged at random (IBINDERFS_SEED repeats). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ibinder_fixture.h"

#define DAMAGED_ROUNDS 3000
#define SAYS	       "{\"metadataElementId\":\"GLOBAL_Date\",\"valueId\":\"2020-01-01\"}"

static struct run run;

static int tear_down(void **state)
{
	(void)state;
	run_fini(&run);
	ibinder_config.memory = 64 << 20;
	return 0;
}

/* A binder without folders, and these pages. */
#define RUN_PAGES(...) RUN_PART(&run, NO_FOLDERS, NO_METADATA, __VA_ARGS__)

/* ---- Pages. ---- */

static void test_full_pages_end_where_the_total_says(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("6", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("6", "3", DOC("4") "," DOC("5") "," DOC("6")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 2);
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 6);
	RUN_PAGES({PAGE_URL("1"), PAGE("3", "3", DOC("1") "," DOC("2") "," DOC("3")), 0});
	assert_int_equal(asked(&run, "POST"), 1);
}

/* Three are asked for; the server gives two at a time, and says so: that is believed. */
static void test_smaller_pages_than_asked_for(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("5", "2", DOC("1") "," DOC("2")), 0},
		  {PAGE_URL("2"), PAGE("5", "2", DOC("3") "," DOC("4")), 0},
		  {PAGE_URL("3"), PAGE("5", "2", DOC("5")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 3);
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 5);
}

static void test_larger_pages_than_asked_for(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("4", "100", DOC("1") "," DOC("2") "," DOC("3") "," DOC("4")),
		   0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 1);
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 4);
}

/* What the answer does not say is as it was asked for. */
static void test_an_unsaid_page_size(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"),
		   "{\"totalCount\":4,\"items\":[" DOC("1") "," DOC("2") "," DOC("3") "]}", 0},
		  {PAGE_URL("2"), "{\"items\":[" DOC("4") "],\"totalCount\":4,\"pageSize\":null}",
		   0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 2);
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 4);
}

/* A document was added at the front meanwhile: the last of page 1 came again on page 2, and the new
 * one is on a page that was read already. All pages are read once more. */
static void test_a_document_that_comes_twice_means_that_pages_shifted(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("5", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("1"), PAGE("5", "3", DOC("new") "," DOC("1") "," DOC("2")), 0},
		  {PAGE_URL("2"), PAGE("5", "3", DOC("3") "," DOC("4")), 0},
		  {PAGE_URL("2"), PAGE("5", "3", DOC("3") "," DOC("4")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 4);
	assert_non_null(at_path(&run, "new.pdf.json"));
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 5);
}

static void test_a_total_that_grows(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("4", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("1"), PAGE("7", "3", DOC("1") "," DOC("2") "," DOC("0")), 0},
		  {PAGE_URL("2"), PAGE("7", "3", DOC("4") "," DOC("5") "," DOC("6")), 0},
		  {PAGE_URL("3"), PAGE("7", "3", DOC("7")), 0});
	assert_int_equal(run.error, 0);
	/* Pages 1 and 2, the one that came to be, and all three again. */
	assert_int_equal(asked(&run, "POST"), 6);
	assert_non_null(at_path(&run, "0.pdf.json"));
	assert_non_null(at_path(&run, "7.pdf.json"));
}

/* One was deleted from page 1: what was first on page 2 slipped onto page 1 after that was read. */
static void test_a_total_that_shrinks(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("5", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("1"), PAGE("4", "3", DOC("2") "," DOC("3") "," DOC("4")), 0},
		  {PAGE_URL("2"), PAGE("4", "3", DOC("5")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 4);
	assert_non_null(at_path(&run, "4.pdf.json"));
}

static void test_a_total_that_drops_to_nothing(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("9", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("1"), PAGE("0", "3", ""), 0}, {PAGE_URL("2"), PAGE("0", "3", ""), 0},
		  {PAGE_URL("3"), PAGE("0", "3", ""), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 4);
}

/* A page with less on it than was announced: perhaps a moment's confusion, so all are read again.
 */
static void test_a_page_that_lacks_something(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("7", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("7", "3", DOC("4")), 0},
		  {PAGE_URL("2"), PAGE("7", "3", DOC("4") "," DOC("5") "," DOC("6")), 0},
		  {PAGE_URL("3"), PAGE("7", "3", DOC("7")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 6);
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 7);
}

/* And if it goes on, documents would be hidden: that is no listing. */
static void test_pages_that_always_lack_something(void **state)
{
	static const char *const lacking[] = {DOC("4"), DOC("4") "," DOC("5"), ""};

	(void)state;
	for (size_t i = 0; i < COUNT(lacking); i++) {
		struct buf page = BUF_INIT(1000);

		buf_printf(&page, "{\"items\":[%s],\"totalCount\":7,\"pageSize\":3}", lacking[i]);
		RUN_PAGES({PAGE_URL("1"), PAGE("7", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
			  {PAGE_URL("2"), buf_str(&page), 0},
			  {PAGE_URL("3"), PAGE("7", "3", DOC("7")), 0});
		assert_int_equal(run.error, -EBADMSG);
		assert_int_equal(asked(&run, "POST"), 9);
		buf_reset(&page);
	}
}

/* Every page says another total: the reading ends all the same. */
static void test_pages_that_never_stand_still(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("6", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("5", "3", DOC("3") "," DOC("2") "," DOC("4")), 0},
		  {PAGE_URL("1"), PAGE("6", "3", DOC("5") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("5", "3", DOC("3") "," DOC("2") "," DOC("4")), 0},
		  {PAGE_URL("1"), PAGE("6", "3", DOC("6") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("5", "3", DOC("3") "," DOC("2") "," DOC("4")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, "POST"), 6);
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 6);
}

static void test_pages_of_the_wrong_kind(void **state)
{
	static const struct {
		const char *page;
		int error;
	} table[] = {
		{"", -EBADMSG},
		{"[]", -EBADMSG}, /* how would one know of more? */
		{"{}", -EBADMSG},
		{"null", -EBADMSG},
		{"\"items\"", -EBADMSG},
		{"{\"items\":[]}", -EBADMSG},
		{"{\"totalCount\":0}", -EBADMSG},
		{"{\"Items\":[],\"totalCount\":0}", -EBADMSG},
		{"{\"items\":{},\"totalCount\":0}", -EBADMSG},
		{"{\"items\":null,\"totalCount\":0}", -EBADMSG},
		{PAGE("\"1\"", "3", DOC("1")), -EBADMSG},
		{PAGE("1.5", "3", DOC("1")), -EBADMSG},
		{PAGE("null", "3", DOC("1")), -EBADMSG},
		{PAGE("-1", "3", DOC("1")), -EBADMSG},
		{PAGE("1e3", "3", DOC("1")), -EBADMSG},
		{PAGE("99999999999999999999", "3", DOC("1")), -EBADMSG},
		{PAGE("1", "0", DOC("1")), -EBADMSG},
		{PAGE("1", "-3", DOC("1")), -EBADMSG},
		{PAGE("1", "\"3\"", DOC("1")), -EBADMSG},
		{PAGE("1", "[]", DOC("1")), -EBADMSG},
		/* There should be some, and there is none: what follows could go on for ever. */
		{PAGE("1", "3", ""), -EBADMSG},
		{PAGE("9223372036854775807", "3", ""), -EBADMSG},
		/* So many that nobody could read them. */
		{PAGE("9223372036854775807", "3", DOC("1")), -EFBIG},
		{PAGE("9223372036854775807", "1", DOC("1")), -EFBIG},
		{PAGE("300003", "3", DOC("1")), -EFBIG},
		/* More than one page, and less than a document. */
		{PAGE("1", "3", "null"), -EBADMSG},
		{PAGE("1", "3", "7"), -EBADMSG},
		{PAGE("1", "3", "[]"), -EBADMSG},
		{PAGE("1", "3", "{}"), -EBADMSG},
		{PAGE("1", "3", DOC("1") "}"), -EBADMSG},
		{"<html>502 Bad Gateway</html>", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		RUN_PAGES({PAGE_URL("1"), table[i].page, 0});
		if (run.error != table[i].error)
			fail_msg("%s: %d", table[i].page, run.error);
		assert_null(run.listing);
	}
}

/* Pages that no longer fit together must not be put together. */
static void test_a_page_size_that_changes(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("5", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("5", "2", DOC("3") "," DOC("4")), 0});
	assert_int_equal(run.error, -EBADMSG);
	RUN_PAGES({PAGE_URL("1"), PAGE("5", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), "<html>", 0});
	assert_int_equal(run.error, -EBADMSG);
}

static void test_a_total_that_explodes_later(void **state)
{
	(void)state;
	RUN_PAGES({PAGE_URL("1"), PAGE("5", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {PAGE_URL("2"), PAGE("9223372036854775807", "3", DOC("4")), 0});
	assert_int_equal(run.error, -EFBIG);
}

static void test_what_is_kept_is_bounded_by_memory(void **state)
{
	struct buf page = BUF_INIT(HTTP_BODY_MAX);

	(void)state;
	buf_append_str(&page, "{\"totalCount\":5000,\"pageSize\":5000,\"items\":[" DOC("x"));
	for (int i = 0; i < 5000; i++)
		buf_printf(&page, ",{\"id\":\"%d\",\"fileName\":\"a document\"}", i);
	buf_append_str(&page, "]}");
	ibinder_config.memory = 100 << 10;
	RUN_PAGES({PAGE_URL("1"), buf_str(&page), 0});
	assert_int_equal(run.error, -EFBIG);
	assert_null(run.listing);
	buf_reset(&page);
}

/* ---- Lists. ---- */

static void test_lists_of_the_wrong_kind(void **state)
{
	static const char *const lists[] = {
		"",
		"null",
		"7",
		"\"[]\"",
		"{}",
		"{\"items\":{}}",
		"{\"Items\":[]}",
		"{\"items\":null}",
		"[",
		"[]]",
		"[null]",
		"[[]]",
		"[7]",
		"[{}]",
		"[{\"id\":null}]",
		"[{\"id\":\"\"}]",
		"[{\"id\":[]}]",
		"[{\"id\":true}]",
		"[{\"id\":1.5}]",
		"[{\"id\":1e3}]",
		"[{\"ID\":\"x\"}]",
		"[{\"id\":\"a\\u0000b\"}]",
		"[{\"id\":\"\\u0000\"}]",
		"[{\"id\":\"ok\",\"name\":\"N\"},{\"name\":\"no id\"}]",
		"<html></html>",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		run_top(&run, lists[i]);
		if (run.error != -EBADMSG)
			fail_msg("binders %s: %d", lists[i], run.error);
		RUN_PART(&run, {DRIVE_URL, lists[i], 0}, NO_METADATA, NO_DOCUMENTS);
		if (run.error != -EBADMSG)
			fail_msg("folders %s: %d", lists[i], run.error);
		RUN_PART(&run, {DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA, NO_DOCUMENTS,
			 {SUB_URL("F"), lists[i], 0});
		if (run.error != -EBADMSG)
			fail_msg("sub-folders %s: %d", lists[i], run.error);
	}
}

static void test_a_schema_that_is_no_json(void **state)
{
	(void)state;
	RUN_PART(&run, NO_FOLDERS, {METADATA_URL, "<html>", 0}, NO_DOCUMENTS);
	assert_int_equal(run.error, -EBADMSG);
}

static void test_nesting_is_bounded(void **state)
{
	struct buf deep = BUF_INIT(1 << 20);

	(void)state;
	for (int i = 0; i < 100000; i++)
		buf_append_str(&deep, "[");
	run_top(&run, buf_str(&deep));
	assert_int_equal(run.error, -EBADMSG);
	buf_reset(&deep);
}

/* ---- Ids and names. ---- */

static void test_ids(void **state)
{
	char text[400];
	char longest[129];

	(void)state;
	memset(longest, 'i', 128);
	longest[128] = '\0';
	snprintf(text, sizeof(text), "[{\"id\":\"%s\",\"name\":\"L\"}]", longest);
	run_top(&run, text);
	assert_int_equal(run.error, 0);
	assert_string_equal(listing_id(run.listing, at_path(&run, "L"), ID_BUFFER), longest);
	snprintf(text, sizeof(text), "[{\"id\":\"%sx\",\"name\":\"L\"}]", longest);
	run_top(&run, text);
	assert_int_equal(run.error, -EBADMSG);

	/* A number is its digits, also one that a double could not hold. */
	run_top(&run, "[{\"id\":9007199254740993,\"name\":\"N\"},{\"id\":-0,\"name\":\"Z\"}]");
	assert_int_equal(run.error, 0);
	assert_string_equal(listing_id(run.listing, at_path(&run, "N"), ID_BUFFER),
			    "9007199254740993");
	assert_string_equal(listing_id(run.listing, at_path(&run, "Z"), ID_BUFFER), "-0");
}

static void test_no_name_makes_a_listing_fail(void **state)
{
	static const struct {
		const char *name; /* the member, or nothing */
		const char *shown;
	} table[] = {
		{",\"name\":\"N\"", "N"},
		{",\"name\":\"a/b\"", "a／b"},
		{",\"name\":\"a\\u0000b\"", "a␀b"},
		{",\"name\":\"\\ud800\"", "\xEF\xBF\xBD"},
		{",\"name\":\"\xff\"", "\xEF\xBF\xBD"},
		{",\"name\":\"..\"", "．．"},
		{",\"name\":\"\\ud83d\\ude00\"", "😀"},
		{",\"name\":\"folder.json\"", "folder.json"},
		/* No name: the id. */
		{"", "ID"},
		{",\"name\":\"\"", "ID"},
		{",\"name\":null", "ID"},
		{",\"name\":7", "ID"},
		{",\"name\":[\"N\"]", "ID"},
		{",\"name\":{}", "ID"},
		{",\"Name\":\"N\"", "ID"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[200];

		snprintf(text, sizeof(text), "[{\"id\":\"ID\"%s}]", table[i].name);
		run_top(&run, text);
		assert_int_equal(run.error, 0);
		if (!at_path(&run, table[i].shown))
			fail_msg("%s is not shown as %s", text, table[i].shown);
	}
}

/* A megabyte of name is odd, and so is one whose bad bytes each become three good ones. */
static void test_very_long_names(void **state)
{
	static const struct {
		size_t len;
		char fill;
	} table[] = {{300, 'n'}, {100 << 10, 'n'}, {1 << 20, 'n'}, {7 << 20, '\xff'}};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf list = BUF_INIT(HTTP_BODY_MAX);
		char *name = malloc(table[i].len);

		memset(name, table[i].fill, table[i].len);
		buf_append_str(&list,
			       "[{\"id\":\"other\",\"name\":\"other\"},{\"id\":\"ID\",\"name\":\"");
		buf_append(&list, name, table[i].len);
		buf_append_str(&list, "\"}]");
		run_top(&run, buf_str(&list));
		assert_int_equal(run.error, 0);
		assert_int_equal(run.listing->entry_count, 2);
		assert_non_null(at_path(&run, "other"));
		buf_reset(&list);
		free(name);
	}
}

/* ---- Damage. ---- */

/* Nothing that a server says may crash, hang, or be taken for another error than "not as
 * documented": the sanitizers and the bound on requests are the judges. */
static void test_damaged_answers(void **state)
{
	static const char *const answers[] = {
		"[" DIR("F") "," DIR("G") "]",
		"[{\"key\":\"a\",\"values\":[{\"valueId\":\"1\"}]}]",
		PAGE("5", "3",
		     DOC_IN("1", "\"F\"") "," DOC_IN(
			     "2", "\"H\"") ",{\"id\":\"3\",\"fileName\":"
					   "\"\\ud800x\",\"metadata\":[" SAYS "]}"),
		PAGE("5", "3", DOC("4") "," DOC_IN("5", "7")),
		"{\"items\":[" DIR("H") "]}",
		"[]",
	};
	unsigned good = 0;

	(void)state;
	seed_damage();
	for (int round = 0; round < DAMAGED_ROUNDS; round++) {
		struct buf text[COUNT(answers)];

		for (size_t i = 0; i < COUNT(answers); i++) {
			text[i] = BUF_INIT(10000);
			buf_append_str(&text[i], answers[i]);
		}
		damage(&text[(size_t)random() % COUNT(answers)]);
		RUN_PART(
			&run, {DRIVE_URL, buf_str(&text[0]), 0},
			{METADATA_URL, buf_str(&text[1]), 0}, {PAGE_URL("1"), buf_str(&text[2]), 0},
			{PAGE_URL("2"), buf_str(&text[3]), 0}, {SUB_URL("F"), buf_str(&text[4]), 0},
			{SUB_URL("G"), buf_str(&text[5]), 0});
		assert_true(run.error == 0 || run.error == -EBADMSG || run.error == -EFBIG ||
			    run.error == -404); /* a page that another total promised */
		assert_int_equal(run.error == 0, run.listing != NULL);
		good += run.error == 0;
		for (size_t i = 0; i < COUNT(answers); i++)
			buf_reset(&text[i]);
	}
	/* Else it would only test that nonsense is refused. */
	assert_in_range(good, DAMAGED_ROUNDS / 100, DAMAGED_ROUNDS - DAMAGED_ROUNDS / 10);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_full_pages_end_where_the_total_says),
		TEST(test_smaller_pages_than_asked_for),
		TEST(test_larger_pages_than_asked_for),
		TEST(test_an_unsaid_page_size),
		TEST(test_a_document_that_comes_twice_means_that_pages_shifted),
		TEST(test_a_total_that_grows),
		TEST(test_a_total_that_shrinks),
		TEST(test_a_total_that_drops_to_nothing),
		TEST(test_a_page_that_lacks_something),
		TEST(test_pages_that_always_lack_something),
		TEST(test_pages_that_never_stand_still),
		TEST(test_pages_of_the_wrong_kind),
		TEST(test_a_page_size_that_changes),
		TEST(test_a_total_that_explodes_later),
		TEST(test_what_is_kept_is_bounded_by_memory),
		TEST(test_lists_of_the_wrong_kind),
		TEST(test_a_schema_that_is_no_json),
		TEST(test_nesting_is_bounded),
		TEST(test_ids),
		TEST(test_no_name_makes_a_listing_fail),
		TEST(test_very_long_names),
		TEST(test_damaged_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
