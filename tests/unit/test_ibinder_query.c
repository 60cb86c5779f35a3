/* test_ibinder_query.c: provider_ibinder's searches: what is asked for, how the documents found are
 * shown, and where the listing ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ibinder_fixture.h"

#define FOUND_URL(n) PAGE_URL(n) "&searchTerm=x"

static struct run run;

static int tear_down(void **state)
{
	(void)state;
	run_fini(&run);
	return 0;
}

static void run_query(const char *typed, const struct row *rows, size_t count)
{
	run_resource(&run, &(struct provider_resource){.level = PROVIDER_QUERY, .id = typed}, rows,
		     count);
}

/* The query "x" with these rows. */
#define RUN_QUERY(...)                                                                             \
	run_query("x", (const struct row[]){__VA_ARGS__},                                          \
		  sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

static void test_a_query_is_asked_for_as_documented(void **state)
{
#define FILTER(key, value) "{\"metadataElementId\":\"" key "\",\"valueId\":\"" value "\"}"
	static const struct {
		const char *typed;
		const char *term; /* after the page's number */
		const char *filters;
	} table[] = {
		{"brandskydd", "&searchTerm=brandskydd", ""},
		{"GLOBAL_Status=Archived", "", FILTER("GLOBAL_Status", "Archived")},
		{"GLOBAL_Status=Archived,relation", "&searchTerm=relation",
		 FILTER("GLOBAL_Status", "Archived")},
		{"a=1,b=2", "", FILTER("a", "1") "," FILTER("b", "2")},
		{"å b&c=d+%2F?#%25", "", FILTER("å b&c", "d+/?#%")},
		{"å b&c%3Dd+%2F?#%25\"", "&searchTerm=%C3%A5%20b%26c%3Dd%2B%2F%3F%23%25%22", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf expected = BUF_INIT(1000);
		struct buf url = BUF_INIT(1000);
		struct row row = {.body = PAGE("0", "3", "")};

		buf_printf(&url, PAGE_URL("1") "%s", table[i].term);
		row.request = buf_str(&url);
		run_query(table[i].typed, &row, 1);
		assert_int_equal(run.error, 0);
		buf_printf(&expected, "%s {\"MetadataFilters\":[%s]}\n", buf_str(&url),
			   table[i].filters);
		assert_string_equal(buf_str(&run.log), buf_str(&expected));
		assert_int_equal(run.listing->entry_count, 0);
		assert_int_equal(run.listing->dirs[0].mtime_ns, NOW);
		assert_string_equal(run.note, "");
		buf_reset(&expected);
		buf_reset(&url);
	}
}

/* Text that would end a string, an object or an array in the body is none of these. */
static void test_filters_stay_inside_their_strings(void **state)
{
	const struct row row = {PAGE_URL("1"), PAGE("0", "3", ""), 0};

	(void)state;
	run_query("a\"\\=\"}]%2C\"", &row, 1);
	assert_int_equal(run.error, 0);
	assert_string_equal(buf_str(&run.log), PAGE_URL("1") " {\"MetadataFilters\":["
							     "{\"metadataElementId\":\"a\\\"\\\\\","
							     "\"valueId\":\"\\\"}],\\\"\"}]}\n");
}

static void test_what_is_no_query(void **state)
{
	struct provider_task *task = NULL;
	const char *problem = NULL;

	(void)state;
	run.provider = provider_new();
	assert_int_equal(provider_ibinder.query_check("a,b", &problem), -EINVAL);
	assert_non_null(problem);
	problem = NULL;
	assert_int_equal(provider_ibinder.query_check("a,b=c", &problem), 0);
	assert_null(problem);
	assert_int_equal(provider_ibinder.task_new(
				 run.provider,
				 &(struct provider_resource){.level = PROVIDER_QUERY, .id = "a,b"},
				 &task),
			 -EINVAL);
	assert_null(task);
}

/* All documents stand side by side, whatever folder or version they name. */
static void test_what_was_found_is_flat(void **state)
{
	const struct listing_entry *entry;

	(void)state;
	RUN_QUERY({FOUND_URL("1"),
		   PAGE("5", "3",
			DOC_IN("1", "\"F\"") "," DOC("2") ",{\"id\":\"3\",\"fileName\":\"1.pdf\"}"),
		   0},
		  {FOUND_URL("2"),
		   PAGE("5", "3",
			"{\"id\":\"4\",\"fileName\":\"a/b\",\"latestVersionId\":\"V\","
			"\"metadata\":[{\"metadataElementId\":\"GLOBAL_Date\","
			"\"valueId\":\"2020-01-01\"}]},{\"id\":\"5\"}"),
		   0});
	assert_int_equal(run.error, 0);
	assert_int_equal(run.requests, 2);
	assert_int_equal(run.listing->entry_count, 5);
	assert_int_equal(run.listing->dir_count, 1);
	assert_int_equal(count_kind(&run, LISTING_KIND_FOUND), 5);
	assert_non_null(at_path(&run, "1 [1].pdf.json"));
	assert_non_null(at_path(&run, "1 [3].pdf.json"));
	assert_non_null(at_path(&run, "2.pdf.json"));
	assert_non_null(at_path(&run, "5.json"));
	entry = at_path(&run, "a／b.json");
	assert_int_equal(entry->mtime_ns, INT64_C(1577836800000000000));
	assert_null(listing_content(run.listing, entry, ID_BUFFER));
	assert_string_equal(run.note, "");
}

/* One document that answers two queries is two files: they have directories of their own. */
static void test_inode_numbers_are_the_querys(void **state)
{
	const struct row rows[] = {{FOUND_URL("1"), PAGE("1", "3", DOC("1")), 0},
				   {PAGE_URL("1"), PAGE("1", "3", DOC("1")), 0}};
	uint64_t ino;

	(void)state;
	run_query("x", rows, 2);
	ino = at_path(&run, "1.pdf.json")->ino;
	run_query("a=b", rows, 2);
	assert_true(ino != at_path(&run, "1.pdf.json")->ino);
	run_query("x", rows, 2);
	assert_true(ino == at_path(&run, "1.pdf.json")->ino);
}

static void test_pages_that_shift_are_read_again(void **state)
{
	(void)state;
	RUN_QUERY({FOUND_URL("1"), PAGE("5", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		  {FOUND_URL("1"), PAGE("5", "3", DOC("new") "," DOC("1") "," DOC("2")), 0},
		  {FOUND_URL("2"), PAGE("5", "3", DOC("3") "," DOC("4")), 0},
		  {FOUND_URL("2"), PAGE("5", "3", DOC("3") "," DOC("4")), 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(run.requests, 4);
	assert_int_equal(run.listing->entry_count, 5);
	assert_non_null(at_path(&run, "new.pdf.json"));
}

static void test_answers_that_are_wrong(void **state)
{
	static const struct {
		const char *page;
		int error;
		int status;
	} table[] = {
		{"", -EBADMSG, 0},
		{"[]", -EBADMSG, 0},
		{"{\"items\":[]}", -EBADMSG, 0},
		{PAGE("1", "3", ""), -EBADMSG, 0},
		{PAGE("1", "3", "{\"fileName\":\"no id\"}"), -EBADMSG, 0},
		{PAGE("1", "0", DOC("1")), -EBADMSG, 0},
		{"", -403, 403},
		{"", -404, 404},
		{"", -400, 400},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		RUN_QUERY({FOUND_URL("1"), table[i].page, table[i].status});
		if (run.error != table[i].error)
			fail_msg("%s: %d", table[i].page, run.error);
		assert_null(run.listing);
	}
}

/* ---- Where it ends. ---- */

/* A server that has `total` documents, in pages of `size` whatever was asked for. */
static void run_server(uint64_t total, uint64_t size)
{
	struct provider_resource resource = {.level = PROVIDER_QUERY, .id = "x"};
	struct provider_task *task = NULL;
	uint64_t numbers[REQUESTS_MAX];
	unsigned answered = 0;

	run.provider = provider_new();
	assert_int_equal(provider_ibinder.task_new(run.provider, &resource, &task), 0);
	for (run.error = 0; !run.error; answered++) {
		struct http_request request;
		struct buf page = BUF_INIT(HTTP_BODY_MAX);
		struct row row = {.request = ""};

		/* All that may be sent now is sent. */
		while (provider_ibinder.task_next(task, &request, &numbers[run.requests]) == 0) {
			assert_true(++run.requests < REQUESTS_MAX);
			http_request_fini(&request);
		}
		if (answered == run.requests)
			break;
		/* The tag is a secret of the provider's; pages are asked for in their order. */
		buf_printf(&page, "{\"totalCount\":%ju,\"pageSize\":%ju,\"items\":[",
			   (uintmax_t)total, (uintmax_t)size);
		for (uint64_t i = answered * size; i < (answered + 1) * size && i < total; i++)
			buf_printf(&page, "%s" DOC("%ju"), i % size ? "," : "", (uintmax_t)i,
				   (uintmax_t)i);
		buf_append_str(&page, "]}");
		row.body = buf_str(&page);
		run.error = answer(task, numbers[answered], &row);
		buf_reset(&page);
	}
	if (!run.error)
		finish(&run, task);
	provider_ibinder.task_free(task);
}

static void test_a_query_ends_at_a_bound_and_says_so(void **state)
{
	static const struct {
		uint64_t total;
		uint64_t size;
		unsigned requests;
		uint32_t shown;
		const char *note;
	} table[] = {
		{9999, 250, 40, 9999, ""},
		{10000, 250, 40, 10000, ""},
		{10001, 250, 40, 10000,
		 "the query matches 10001 documents; only the first 10000 are shown"},
		{23456, 250, 40, 10000,
		 "the query matches 23456 documents; only the first 10000 are shown"},
		{INT64_MAX, 250, 40, 10000,
		 "the query matches 9223372036854775807 documents; only the first 10000 are "
		 "shown"},
		/* Whole pages. */
		{9900, 300, 33, 9900, ""},
		{9901, 300, 33, 9900,
		 "the query matches 9901 documents; only the first 9900 are shown"},
		{20000, 300, 33, 9900,
		 "the query matches 20000 documents; only the first 9900 are shown"},
		/* Unless one page is already too much. */
		{10000, 10000, 1, 10000, ""},
		{10001, 10001, 1, 10000,
		 "the query matches 10001 documents; only the first 10000 are shown"},
		{30000, 12000, 1, 10000,
		 "the query matches 30000 documents; only the first 10000 are shown"},
		{9000, 12000, 1, 9000, ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		run_server(table[i].total, table[i].size);
		assert_int_equal(run.error, 0);
		assert_int_equal(run.requests, table[i].requests);
		assert_int_equal(run.listing->entry_count, table[i].shown);
		assert_string_equal(run.note, table[i].note);
		run_fini(&run);
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_query_is_asked_for_as_documented),
		TEST(test_filters_stay_inside_their_strings),
		TEST(test_what_is_no_query),
		TEST(test_what_was_found_is_flat),
		TEST(test_inode_numbers_are_the_querys),
		TEST(test_pages_that_shift_are_read_again),
		TEST(test_answers_that_are_wrong),
		TEST(test_a_query_ends_at_a_bound_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
