/* test_ibinder_folder.c: provider_ibinder: one folder of a binder by itself: what is asked, what is
 * carried over, and when the answer is not trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ibinder_fixture.h"

static struct run run;
static struct listing *base;

static int tear_down(void **state)
{
	(void)state;
	listing_unref(base);
	base = NULL;
	run_fini(&run);
	return 0;
}

/* The folder of binder "B" with these rows, on top of `base`; the result is the next base. */
static void run_folder(const char *folder, const struct row *rows, size_t count)
{
	static const char binder[] = BINDER;

	run_resource(&run,
		     &(struct provider_resource){
			     .level = PROVIDER_PART,
			     .id = "B",
			     .object = binder,
			     .object_len = sizeof(binder) - 1,
			     .folder = folder,
			     .base = base,
		     },
		     rows, count);
	assert_int_equal(run.error, 0);
	listing_unref(base);
	base = listing_ref(run.listing);
}

#define RUN_FOLDER(folder, ...)                                                                    \
	run_folder(folder, (const struct row[]){__VA_ARGS__},                                      \
		   sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

#define FOLDER_SEARCH(id)                                                                          \
	" {\"MetadataFilters\":[{\"metadataElementId\":\"GLOBAL_BinderId\",\"valueId\":\"B\"},"    \
	"{\"metadataElementId\":\"GLOBAL_TabId\",\"valueId\":\"" id "\"}]}\n"

#define DOC_OF_TAB(id, folder, tab)                                                                \
	"{\"id\":\"" id "\",\"fileName\":\"" id ".pdf\",\"folderId\":\"" folder "\",\"metadata\":" \
	"[{\"metadataElementId\":\"GLOBAL_TabId\",\"valueId\":\"" tab "\"}]}"

#define DOC_AT(id, folder) DOC_OF_TAB(id, folder, folder)

static void run_names(void)
{
	RUN_FOLDER("", {DRIVE_URL, "[" DIR("F1") "," DIR("F2") "]", 0});
}

static bool is_complete(const char *path)
{
	return !run.listing->dirs[at_path(&run, path)->dir].incomplete;
}

static void test_names_cost_one_request(void **state)
{
	(void)state;
	run_names();
	assert_string_equal(buf_str(&run.log), DRIVE_URL "\n");
	assert_false(listing_is_whole(run.listing));
	assert_non_null(at_path(&run, "binder.json"));
	assert_non_null(at_path(&run, "dir F1/folder.json"));
	assert_false(is_complete("dir F1"));
	assert_false(is_complete("dir F2"));
}

static void test_a_folder_costs_its_pages_and_its_folders(void **state)
{
	(void)state;
	run_names();
	RUN_FOLDER("F1",
		   {PAGE_URL("1"),
		    PAGE("4", "3",
			 DOC_AT("1", "F1") "," DOC_AT("2", "F1") ","
			 /* Perhaps those of folders below are found too. */
			 DOC_AT("9", "F3")),
		    0},
		   {PAGE_URL("2"), PAGE("4", "3", DOC_AT("4", "F1")), 0},
		   {SUB_URL("F1"), "[" DIR("F3") "]", 0});
	assert_string_equal(buf_str(&run.log),
			    PAGE_URL("1") FOLDER_SEARCH("F1") SUB_URL("F1") "\n" PAGE_URL("2")
				    FOLDER_SEARCH("F1"));
	assert_true(is_complete("dir F1"));
	assert_false(is_complete("dir F2"));
	assert_false(is_complete("dir F1/dir F3"));
	assert_false(listing_is_whole(run.listing));
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 3);
	assert_non_null(at_path(&run, "dir F1/4.pdf.json"));
	assert_non_null(at_path(&run, "dir F2/folder.json"));
}

static void test_what_is_known_is_carried_over(void **state)
{
	(void)state;
	run_names();
	RUN_FOLDER("F1", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("1", "F1")), 0},
		   {SUB_URL("F1"), "[" DIR("F3") "]", 0});
	RUN_FOLDER("F3", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("3", "F3")), 0},
		   {SUB_URL("F3"), "[]", 0});
	assert_int_equal(run.requests, 2);
	assert_true(is_complete("dir F1"));
	assert_true(is_complete("dir F1/dir F3"));
	assert_false(is_complete("dir F2"));
	assert_non_null(at_path(&run, "dir F1/1.pdf.json"));
	assert_non_null(at_path(&run, "dir F1/dir F3/3.pdf.json"));
}

/* That a folder has no documents is only believed where others have been found by their folder. */
static void test_an_empty_answer_alone_proves_nothing(void **state)
{
	(void)state;
	run_names();
	RUN_FOLDER("F1", NO_DOCUMENTS, {SUB_URL("F1"), "[" DIR("F3") "]", 0});
	assert_false(is_complete("dir F1"));
	RUN_FOLDER("F1", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("1", "F1")), 0},
		   {SUB_URL("F1"), "[" DIR("F3") "]", 0});
	assert_true(is_complete("dir F1"));
	RUN_FOLDER("F2", NO_DOCUMENTS, {SUB_URL("F2"), "[]", 0});
	assert_true(is_complete("dir F2"));
	/* But that was at the top. */
	RUN_FOLDER("F3", NO_DOCUMENTS, {SUB_URL("F3"), "[" DIR("F4") "]", 0});
	assert_false(is_complete("dir F1/dir F3"));
	RUN_FOLDER("F3", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("3", "F3")), 0},
		   {SUB_URL("F3"), "[" DIR("F4") "]", 0});
	assert_true(is_complete("dir F1/dir F3"));
	RUN_FOLDER("F4", NO_DOCUMENTS, {SUB_URL("F4"), "[]", 0});
	assert_true(is_complete("dir F1/dir F3/dir F4"));
	provider_ibinder.forget(run.provider);
	run_names();
	RUN_FOLDER("F2", NO_DOCUMENTS, {SUB_URL("F2"), "[]", 0});
	assert_false(is_complete("dir F2"));
}

/* With one document that is not found by its folder's id there may be others. */
static void check_not_trusted(const char *document)
{
	char page[400];

	snprintf(page, sizeof(page), PAGE("2", "3", DOC_AT("2", "F2") ",%s"), document);
	run_names();
	RUN_FOLDER("F2", {PAGE_URL("1"), page, 0}, {SUB_URL("F2"), "[" DIR("F5") "]", 0});
	assert_false(is_complete("dir F2"));
	RUN_FOLDER("F1", NO_FOLDERS, NO_METADATA, NO_DOCUMENTS);
	assert_true(listing_is_whole(run.listing));
	provider_ibinder.forget(run.provider);
}

static void test_where_a_tab_is_not_the_folder_the_binder_comes(void **state)
{
	(void)state;
	check_not_trusted(DOC_OF_TAB("5", "F5", "F2"));
	check_not_trusted(DOC_IN("5", "\"F5\""));
	run_names();
	RUN_FOLDER("F2", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("2", "F2")), 0},
		   {SUB_URL("F2"), "[]", 0});
	assert_true(is_complete("dir F2"));
}

/* A server may know no such search. */
static void test_a_search_that_is_refused(void **state)
{
	static const int statuses[] = {400, 403, 404};

	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		run_names();
		RUN_FOLDER("F1", {PAGE_URL("1"), "", statuses[i]}, {SUB_URL("F1"), "[]", 0});
		assert_false(is_complete("dir F1"));
	}
	/* A page that is missing is as bad, whatever was found before. */
	RUN_FOLDER("F1", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("1", "F1")), 0},
		   {SUB_URL("F1"), "[]", 0});
	assert_true(is_complete("dir F1"));
	RUN_FOLDER("F2",
		   {PAGE_URL("1"),
		    PAGE("4", "3", DOC_AT("2", "F2") "," DOC_AT("3", "F2") "," DOC_AT("4", "F2")),
		    0},
		   {PAGE_URL("2"), "", 403}, {SUB_URL("F2"), "[]", 0});
	assert_false(is_complete("dir F2"));
}

static void test_a_folder_that_is_not_known_comes_with_the_binder(void **state)
{
	(void)state;
	run_names();
	RUN_FOLDER("F9", NO_FOLDERS, NO_METADATA, NO_DOCUMENTS);
	assert_true(listing_is_whole(run.listing));
}

/* That one folder is gone says nothing of the call. */
static void test_a_folder_that_is_gone_does_not_end_the_call_for_folders(void **state)
{
	(void)state;
	run_names();
	RUN_FOLDER("F1", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("1", "F1")), 0},
		   {SUB_URL("F1"), "", 404});
	assert_true(is_complete("dir F1"));
	RUN_FOLDER("F2", {PAGE_URL("1"), PAGE("1", "3", DOC_AT("2", "F2")), 0},
		   {SUB_URL("F2"), "[" DIR("F3") "]", 0});
	assert_int_equal(run.requests, 2);
	assert_non_null(at_path(&run, "dir F2/dir F3"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_names_cost_one_request),
		TEST(test_a_folder_costs_its_pages_and_its_folders),
		TEST(test_what_is_known_is_carried_over),
		TEST(test_an_empty_answer_alone_proves_nothing),
		TEST(test_where_a_tab_is_not_the_folder_the_binder_comes),
		TEST(test_a_search_that_is_refused),
		TEST(test_a_folder_that_is_not_known_comes_with_the_binder),
		TEST(test_a_folder_that_is_gone_does_not_end_the_call_for_folders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
