/* test_ibinder.c: provider_ibinder's requests, as documented, and what it makes of binders,
 * folders, documents and dates. Pages and wrong answers have files of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ibinder_fixture.h"

static struct run run;

static int set_up(void **state)
{
	(void)state;
	ibinder_config.subfolders_path = "/documents/drives/binders/{binder}/folders/{folder}";
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	run_fini(&run);
	return 0;
}

static void assert_body(const char *path, const char *body)
{
	const struct listing_entry *entry = at_path(&run, path);

	assert_non_null(entry);
	assert_int_equal(entry->body_len, strlen(body));
	assert_memory_equal(listing_body(run.listing, entry), body, entry->body_len);
}

/* ---- Binders. ---- */

#define TWO_BINDERS                                                                                \
	"[{\"id\":\"MNWI5YR89\",\"name\":\"Projekt 012\",\"type\":\"project\","                    \
	"\"createdAt\":\"2024-01-15T08:30:00Z\",\"new\":[1.50]},"                                  \
	"{\"id\":\"mnwi5yr89\",\"name\":\"Projekt 013\",\"type\":\"project\"}]"

static void check_two_binders(void)
{
	const struct listing_entry *entry;

	assert_int_equal(run.error, 0);
	assert_string_equal(buf_str(&run.log), "GET /binders\n");
	assert_int_equal(run.listing->entry_count, 2);
	entry = at_path(&run, "Projekt 012");
	assert_string_equal(listing_id(run.listing, entry, ID_BUFFER), "MNWI5YR89");
	assert_int_equal(entry->mtime_ns, INT64_C(1705307400000000000));
	assert_int_equal(entry->dir, LISTING_ELSEWHERE);
	assert_true(entry->ino == UINT64_C(0x1477240f80a7c016));
	/* Ids differ in case alone. */
	assert_string_equal(listing_id(run.listing, at_path(&run, "Projekt 013"), ID_BUFFER),
			    "mnwi5yr89");
	assert_int_equal(at_path(&run, "Projekt 013")->mtime_ns, NOW);
	assert_body("Projekt 012", "{\n"
				   "  \"id\": \"MNWI5YR89\",\n"
				   "  \"name\": \"Projekt 012\",\n"
				   "  \"type\": \"project\",\n"
				   "  \"createdAt\": \"2024-01-15T08:30:00Z\",\n"
				   "  \"new\": [1.50]\n"
				   "}\n");
}

static void test_binders_as_array_or_in_items(void **state)
{
	(void)state;
	run_top(&run, TWO_BINDERS);
	check_two_binders();
	run_top(&run, "{\"items\":" TWO_BINDERS ",\"totalCount\":2}");
	check_two_binders();
	run_top(&run, "\xef\xbb\xbf \n" TWO_BINDERS "\r\n");
	check_two_binders();
}

static void test_no_binders(void **state)
{
	(void)state;
	run_top(&run, "[]");
	assert_int_equal(run.error, 0);
	assert_int_equal(run.listing->entry_count, 0);
	run_top(&run, "{\"items\":[]}");
	assert_int_equal(run.error, 0);
}

static void test_the_same_binder_twice_is_one(void **state)
{
	(void)state;
	run_top(&run, "[{\"id\":\"B\",\"name\":\"N\"},{\"id\":\"B\",\"name\":\"N\"}]");
	assert_int_equal(run.error, 0);
	assert_int_equal(run.listing->entry_count, 1);
}

/* ---- Requests. ---- */

static void test_a_binder_is_asked_for_as_documented(void **state)
{
	(void)state;
	RUN_PART(&run, {DRIVE_URL, "[" DIR("F1") "," DIR("F/2") "]", 0}, NO_METADATA,
		 {PAGE_URL("1"), PAGE("7", "3", DOC("1") "," DOC("2") "," DOC("3")), 0},
		 {PAGE_URL("2"), PAGE("7", "3", DOC("4") "," DOC("5") "," DOC("6")), 0},
		 {PAGE_URL("3"), PAGE("7", "3", DOC("7")), 0},
		 {SUB_URL("F1"), "[" DIR("F3") "]", 0}, {SUB_URL("F%2F2"), "[]", 0},
		 {SUB_URL("F3"), "[]", 0});
	assert_int_equal(run.error, 0);
#define SEARCH                                                                                     \
	" {\"MetadataFilters\":[{\"metadataElementId\":\"GLOBAL_BinderId\",\"valueId\":\"B\"}]}\n"
	assert_string_equal(buf_str(&run.log),
			    DRIVE_URL "\n" METADATA_URL "\n" PAGE_URL("1") SEARCH
				    /* F1 and F/2 are known first. */
				    SUB_URL("F1") "\n" SUB_URL("F%2F2") "\n" PAGE_URL("2")
					    SEARCH PAGE_URL("3") SEARCH SUB_URL("F3") "\n");
	assert_non_null(at_path(&run, "dir F1/dir F3/folder.json"));
	assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 7);
}

static void test_a_binder_without_folders_and_documents(void **state)
{
	(void)state;
	RUN_PART(&run, NO_FOLDERS, NO_METADATA, NO_DOCUMENTS);
	assert_int_equal(run.error, 0);
	assert_int_equal(run.requests, 3);
	assert_int_equal(run.listing->entry_count, 2);
	assert_body("metadata-elements.json", "[]\n");
	assert_body("binder.json", "{\"id\": \"B\", \"name\": \"Kv. Björken\", "
				   "\"createdAt\": \"2024-01-15T08:30:00Z\"}\n");
	assert_int_equal(at_path(&run, "binder.json")->mtime_ns, INT64_C(1705307400000000000));
	assert_int_equal(run.listing->dirs[0].mtime_ns, INT64_C(1705307400000000000));
}

/* Ids are any text: one that could end a path, a query or a string is none of these. */
static void test_odd_ids_are_encoded(void **state)
{
	static const char id[] = "a/b?c#d%e \"f\"\\\nå";
	static const char path[] = "a%2Fb%3Fc%23d%25e%20%22f%22%5C%0A%C3%A5";
	struct provider_task *task = NULL;
	struct buf expected = BUF_INIT(1000);

	(void)state;
	run.provider = provider_new();
	assert_int_equal(provider_ibinder.task_new(run.provider,
						   &(struct provider_resource){
							   .level = PROVIDER_PART,
							   .id = id,
							   .object = "{}",
							   .object_len = 2,
						   },
						   &task),
			 0);
	for (int i = 0; i < 3; i++) {
		struct http_request request;
		uint64_t tag;

		assert_int_equal(provider_ibinder.task_next(task, &request, &tag), 0);
		check_request(&request);
		buf_reset(&expected);
		if (i == 0)
			buf_printf(&expected, "/documents/drives/binders/%s", path);
		else if (i == 1)
			buf_printf(&expected, "/binders/%s/metadataelements", path);
		else
			buf_append_str(&expected, "/documents?pageSize=3&pageNumber=1");
		assert_string_equal(request.url, buf_str(&expected));
		if (request.body) {
			static const char in_body[] = "\"a/b?c#d%e \\\"f\\\"\\\\\\nå\"";
			struct json body;

			assert_int_equal(json_parse(request.body, request.body_len, &body), 0);
			assert_non_null(strstr(request.body, in_body));
		}
		http_request_fini(&request);
	}
	buf_reset(&expected);
	provider_ibinder.task_free(task);
}

static void test_the_subfolders_path_is_a_setting(void **state)
{
	(void)state;
	ibinder_config.subfolders_path = "/x/{folder}/y?of={binder}&{other}";
	RUN_PART(&run, {DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA, NO_DOCUMENTS,
		 {"GET /x/F/y?of=B&{other}", "[" DIR("G") "]", 0},
		 {"GET /x/G/y?of=B&{other}", "[]", 0});
	assert_int_equal(run.error, 0);
	assert_non_null(at_path(&run, "dir F/dir G"));
	assert_int_equal(run.requests, 5);
}

static void test_an_empty_subfolders_path_switches_the_call_off(void **state)
{
	(void)state;
	ibinder_config.subfolders_path = "";
	for (int i = 0; i < 2; i++) {
		RUN_PART(&run, {DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA, NO_DOCUMENTS);
		assert_int_equal(run.error, 0);
		assert_int_equal(run.requests, 3);
		provider_ibinder.forget(run.provider); /* nothing was learnt */
	}
}

/* ---- Folders. ---- */

static void test_folders_of_any_depth(void **state)
{
	(void)state;
	RUN_PART(&run, {DRIVE_URL, "{\"items\":[" DIR("1") "]}", 0}, NO_METADATA,
		 {PAGE_URL("1"), PAGE("1", "3", DOC_IN("D", "\"4\"")), 0},
		 {SUB_URL("1"), "{\"items\":[" DIR("2") "]}", 0},
		 {SUB_URL("2"), "[" DIR("3") "," DIR("3b") "]", 0}, {SUB_URL("3"), "[]", 0},
		 {SUB_URL("3b"), "[" DIR("4") "]", 0}, {SUB_URL("4"), "[]", 0});
	assert_int_equal(run.error, 0);
	assert_non_null(at_path(&run, "dir 1/dir 2/dir 3/folder.json"));
	assert_non_null(at_path(&run, "dir 1/dir 2/dir 3b/dir 4/D.pdf.json"));
	assert_body("dir 1/dir 2/dir 3b/folder.json",
		    "{\"id\": \"3b\", \"name\": \"dir 3b\", \"type\": \"tab\", \"parentId\": "
		    "null}\n");
	assert_int_equal(asked(&run, SUB_URL("")), 5);
}

/* The server cannot send the client round in circles: each folder is asked about once. */
static void test_folders_that_return_their_ancestors(void **state)
{
	(void)state;
	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "," DIR("1") "]", 0}, NO_METADATA, NO_DOCUMENTS,
		 {SUB_URL("1"), "[" DIR("1") "," DIR("2") "]", 0},
		 {SUB_URL("2"), "[" DIR("1") "," DIR("3") "," DIR("2") "]", 0},
		 {SUB_URL("3"), "[" DIR("2") "," DIR("1") "]", 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, SUB_URL("")), 3);
	assert_int_equal(count_kind(&run, LISTING_KIND_FOLDER), 3);
	assert_non_null(at_path(&run, "dir 1/dir 2/dir 3"));
}

#define ONE_FOLDER_WITH_SUB                                                                        \
	{DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA,                                             \
	{                                                                                          \
		PAGE_URL("1"), PAGE("2", "3", DOC_IN("D", "\"SUB\"") "," DOC_IN("E", "\"F\"")), 0  \
	}

/* The call is a guess: a server that does not have it is not asked again, and its folders'
 * documents still appear. */
static void check_call_missing(int status)
{
	struct buf text = BUF_INIT(1000);

	provider_ibinder.describe(run.provider, &text);
	assert_string_equal(buf_str(&text), "");
	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "", status});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, SUB_URL("")), 1);
	assert_non_null(at_path(&run, "SUB/D.pdf.json"));
	assert_non_null(at_path(&run, "dir F/E.pdf.json"));
	provider_ibinder.describe(run.provider, &text);
	assert_non_null(strstr(buf_str(&text), "subfolders_path"));
	buf_reset(&text);

	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "[]", 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, SUB_URL("")), 0);

	provider_ibinder.forget(run.provider);
	provider_ibinder.describe(run.provider, &text);
	assert_string_equal(buf_str(&text), "");
	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "[]", 0});
	assert_int_equal(asked(&run, SUB_URL("")), 1);
	provider_ibinder.forget(run.provider);
}

static void test_a_server_without_the_subfolders_call(void **state)
{
	(void)state;
	run.provider = provider_new();
	check_call_missing(404);
	check_call_missing(405);
}

/* Or a binder went just when its folders were asked for the first time: when the binders are listed
 * anew it is tried again. A 405 says more. */
static void test_a_404_may_mean_something_else(void **state)
{
	(void)state;
	run.provider = provider_new();
	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "", 404});
	run_top(&run, "[" BINDER "]");
	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "[" DIR("SUB") "]", 0});
	assert_int_equal(asked(&run, SUB_URL("F")), 1);
	assert_non_null(at_path(&run, "dir F/dir SUB/D.pdf.json"));

	provider_ibinder.forget(run.provider);
	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "", 405});
	run_top(&run, "[" BINDER "]");
	RUN_PART(&run, ONE_FOLDER_WITH_SUB, {SUB_URL("F"), "[]", 0});
	assert_int_equal(asked(&run, SUB_URL("")), 0);
}

/* Once the call has answered, 404 means that this one folder has gone. */
static void test_a_folder_that_has_gone(void **state)
{
	struct buf text = BUF_INIT(1000);

	(void)state;
	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "," DIR("2") "," DIR("3") "]", 0}, NO_METADATA,
		 NO_DOCUMENTS, {SUB_URL("1"), "[]", 0}, {SUB_URL("2"), "", 404},
		 {SUB_URL("3"), "[" DIR("4") "]", 0}, {SUB_URL("4"), "", 404});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, SUB_URL("")), 4);
	assert_non_null(at_path(&run, "dir 3/dir 4"));
	provider_ibinder.describe(run.provider, &text);
	assert_string_equal(buf_str(&text), "");

	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "," DIR("2") "]", 0}, NO_METADATA, NO_DOCUMENTS,
		 {SUB_URL("1"), "", 404}, {SUB_URL("2"), "[]", 0});
	assert_int_equal(run.error, 0);
	assert_int_equal(asked(&run, SUB_URL("")), 2);
	run_fini(&run);

	/* Both are under way when the one that has gone is answered first. */
	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "," DIR("2") "]", 0}, NO_METADATA, NO_DOCUMENTS,
		 {SUB_URL("1"), "", 404}, {SUB_URL("2"), "[" DIR("3") "]", 0},
		 {SUB_URL("3"), "[]", 0});
	assert_int_equal(asked(&run, SUB_URL("")), 3);
	provider_ibinder.describe(run.provider, &text);
	assert_string_equal(buf_str(&text), "");
}

/* 405 says that nobody has this call, whatever was said before. */
static void test_a_call_that_is_switched_off_later(void **state)
{
	(void)state;
	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "]", 0}, NO_METADATA, NO_DOCUMENTS,
		 {SUB_URL("1"), "[" DIR("2") "]", 0}, {SUB_URL("2"), "", 405});
	assert_int_equal(run.error, 0);
	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "]", 0}, NO_METADATA, NO_DOCUMENTS,
		 {SUB_URL("1"), "[]", 0});
	assert_int_equal(asked(&run, SUB_URL("")), 0);
}

/* 403 as well: what the client may not see must not hide the rest. */
static void test_what_a_binder_does_without(void **state)
{
	struct buf text = BUF_INIT(1000);

	(void)state;
	for (int status = 403; status <= 404; status++) {
		RUN_PART(&run, NO_FOLDERS, {METADATA_URL, "", status}, NO_DOCUMENTS);
		assert_int_equal(run.error, 0);
		assert_null(at_path(&run, "metadata-elements.json"));
		assert_non_null(at_path(&run, "binder.json"));
	}
	RUN_PART(&run, {DRIVE_URL, "[" DIR("1") "," DIR("2") "]", 0}, NO_METADATA,
		 {PAGE_URL("1"), PAGE("1", "3", DOC_IN("D", "\"SUB\"")), 0},
		 {SUB_URL("1"), "", 403}, {SUB_URL("2"), "[" DIR("3") "]", 0},
		 {SUB_URL("3"), "", 403});
	assert_int_equal(run.error, 0);
	assert_non_null(at_path(&run, "dir 2/dir 3"));
	assert_non_null(at_path(&run, "SUB/D.pdf.json"));
	/* It says nothing of the call. */
	assert_int_equal(asked(&run, SUB_URL("")), 3);
	provider_ibinder.describe(run.provider, &text);
	assert_string_equal(buf_str(&text), "");
}

static void test_what_a_binder_does_not_do_without(void **state)
{
	static const int other[] = {400, 401, 409, 500, 503};
	static const int most[] = {400, 401, 403, 404, 405, 500};

	(void)state;
	for (size_t i = 0; i < COUNT(other); i++) {
		RUN_PART(&run, {DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA, NO_DOCUMENTS,
			 {SUB_URL("F"), "", other[i]});
		assert_int_equal(run.error, -other[i]);
		RUN_PART(&run, NO_FOLDERS, {METADATA_URL, "", other[i]}, NO_DOCUMENTS);
		assert_int_equal(run.error, -other[i]);
	}
	RUN_PART(&run, NO_FOLDERS, {METADATA_URL, "", 405}, NO_DOCUMENTS);
	assert_int_equal(run.error, -405);
	for (size_t i = 0; i < COUNT(most); i++) {
		RUN_PART(&run, {DRIVE_URL, "", most[i]}, NO_METADATA, NO_DOCUMENTS);
		assert_int_equal(run.error, -most[i]);
		RUN_PART(&run, NO_FOLDERS, NO_METADATA, {PAGE_URL("1"), "", most[i]});
		assert_int_equal(run.error, -most[i]);
	}
}

/* ---- Documents. ---- */

/* Where a document stands, by what it says of its folder. */
static void test_documents_find_their_folder(void **state)
{
#define TAB(value) "\"metadata\":[{\"metadataElementId\":\"GLOBAL_TabId\",\"valueId\":" value "}]"
	static const struct {
		const char *members;
		const char *path;
	} table[] = {
		{"\"folderId\":\"F\"", "dir F/D.json"},
		{"\"folderId\":\"F\"," TAB("\"other\""), "dir F/D.json"},
		{"\"folderId\":null," TAB("\"F\""), "dir F/D.json"},
		{"\"folderId\":\"\"," TAB("\"F\""), "dir F/D.json"},
		{TAB("\"F\""), "dir F/D.json"},
		{"\"folderId\":{}," TAB("\"F\""), "dir F/D.json"},
		{"\"folderId\":\"unknown\"", "unknown/D.json"},
		{"\"folderId\":17", "17/D.json"},
		{"\"folderId\":\"..\"", "．．/D.json"},
		/* No folder: at the binder's top. */
		{"\"x\":1", "D.json"},
		{"\"folderId\":null", "D.json"},
		{"\"folderId\":\"\"", "D.json"},
		{"\"folderId\":\"\"," TAB("\"\""), "D.json"},
		{"\"folderId\":false", "D.json"},
		{"\"folderId\":null," TAB("null"), "D.json"},
		{"\"metadata\":null", "D.json"},
		{"\"metadata\":\"GLOBAL_TabId\"", "D.json"},
		{"\"metadata\":[null,7,\"x\",[],{}]", "D.json"},
		{"\"metadata\":{\"metadataElementId\":\"GLOBAL_TabId\",\"valueId\":\"F\"}",
		 "D.json"},
		/* No id is like that; above all it must not be taken for another. */
		{"\"folderId\":\"F\\u0000G\"", "D.json"},
		{"\"folderId\":\"\\u0000\"", "D.json"},
		{"\"folderId\":\"F\\u0000G\"," TAB("\"F\""), "dir F/D.json"},
		{TAB("\"F\\u0000\""), "D.json"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf page = BUF_INIT(10000);

		buf_printf(&page, PAGE("1", "3", "{\"id\":\"D\",\"fileName\":\"D\",%s}"),
			   table[i].members);
		RUN_PART(&run, {DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA,
			 {PAGE_URL("1"), buf_str(&page), 0}, {SUB_URL("F"), "[]", 0});
		assert_int_equal(run.error, 0);
		if (!at_path(&run, table[i].path))
			fail_msg("%s is not at %s", table[i].members, table[i].path);
		assert_int_equal(count_kind(&run, LISTING_KIND_DOCUMENT), 1);
		buf_reset(&page);
	}
}

static void test_documents_are_dated(void **state)
{
#define SAYS(key, value) "{\"metadataElementId\":\"" key "\"," value "}"
	static const char revised[] =
		SAYS("GLOBAL_RevisionDate", "\"valueId\":\"2024-01-15T08:30:00.5+01:00\"");
	static const char dated[] = SAYS("GLOBAL_Date", "\"value\":\"2020-01-01\"");
	static const int64_t revised_ns = INT64_C(1705303800500000000);
	static const int64_t dated_ns = INT64_C(1577836800000000000);
	static const struct {
		const char *first;
		const char *second;
		int64_t mtime_ns;
	} table[] = {
		{revised, dated, revised_ns},
		{dated, revised, revised_ns},
		{revised, "null", revised_ns},
		{dated, "{}", dated_ns},
		{SAYS("GLOBAL_RevisionDate", "\"valueId\":\"soon\""), dated, dated_ns},
		{SAYS("GLOBAL_RevisionDate", "\"valueId\":null"), dated, dated_ns},
		{SAYS("GLOBAL_RevisionDate", "\"valueId\":7"), dated, dated_ns},
		{SAYS("GLOBAL_RevisionDate", "\"other\":7"), dated, dated_ns},
		{SAYS("GLOBAL_RevisionDate", "\"valueId\":null,\"value\":\"1970-01-01\""), dated,
		 0},
		{dated, SAYS("GLOBAL_Date", "\"valueId\":\"2021-01-01\""), dated_ns},
		{SAYS("GLOBAL_Date", "\"other\":7"), dated, NOW}, /* the first counts */
		{SAYS("GLOBAL_Date", "\"valueId\":\"9999-01-01\""), "0", NOW},
		{SAYS("global_date", "\"valueId\":\"2020-01-01\""), "0", NOW},
		{SAYS("GLOBAL_Dates", "\"valueId\":\"2020-01-01\""), "0", NOW},
		{"0", "\"GLOBAL_Date\"", NOW},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf page = BUF_INIT(10000);

		buf_printf(&page,
			   PAGE("1", "3", "{\"id\":\"D\",\"fileName\":\"D\",\"metadata\":[%s,%s]}"),
			   table[i].first, table[i].second);
		RUN_PART(&run, NO_FOLDERS, NO_METADATA, {PAGE_URL("1"), buf_str(&page), 0});
		assert_int_equal(run.error, 0);
		if (at_path(&run, "D.json")->mtime_ns != table[i].mtime_ns)
			fail_msg("%s", buf_str(&page));
		buf_reset(&page);
	}
}

/* The schema's members are not documented: any JSON will do. */
static void test_metadata_elements_are_shown_as_they_come(void **state)
{
	(void)state;
	RUN_PART(&run, NO_FOLDERS, {METADATA_URL, "{\"a\":-0,\"b\":1E400,\"a\":\"\\u0000\"}", 0},
		 NO_DOCUMENTS);
	assert_int_equal(run.error, 0);
	assert_body("metadata-elements.json", "{\"a\": -0, \"b\": 1E400, \"a\": \"\\u0000\"}\n");
}

/* The inode number of an entry of a binder in which folder F holds document D. */
static uint64_t ino_in(const char *tenant_id, const char *binder, const char *path)
{
	static const char *const bodies[] = {"[" DIR("F") "]", "[]",
					     PAGE("1", "3", DOC_IN("D", "\"F\""))};
	struct config config = ibinder_config;
	struct provider_task *task = NULL;
	struct http_request request;
	uint64_t tag;
	uint64_t ino;

	config.tenant_id = (char *)tenant_id;
	config.subfolders_path = (char *)"";
	assert_int_equal(provider_ibinder.provider_new(&config, &run.provider), 0);
	assert_int_equal(provider_ibinder.task_new(run.provider,
						   &(struct provider_resource){
							   .level = PROVIDER_PART,
							   .id = binder,
							   .object = "{}",
							   .object_len = 2,
						   },
						   &task),
			 0);
	for (size_t i = 0; i < COUNT(bodies); i++) {
		const struct row row = {"", bodies[i], 0};

		assert_int_equal(provider_ibinder.task_next(task, &request, &tag), 0);
		http_request_fini(&request);
		assert_int_equal(answer(task, tag, &row), 0);
	}
	finish(&run, task);
	assert_int_equal(run.error, 0);
	provider_ibinder.task_free(task);
	ino = at_path(&run, path)->ino;
	run_fini(&run);
	return ino;
}

/* One inode number is one object: a document wherever it is, a folder in its binder. Servers may
 * use one folder id in several binders. */
static void test_whose_inode_numbers_differ(void **state)
{
	(void)state;
	assert_true(ino_in(TENANT, "B", "dir F") == ino_in(TENANT, "B", "dir F"));
	assert_true(ino_in(TENANT, "B", "dir F") != ino_in(TENANT, "C", "dir F"));
	assert_true(ino_in(TENANT, "B", "dir F/folder.json") !=
		    ino_in(TENANT, "C", "dir F/folder.json"));
	assert_true(ino_in(TENANT, "B", "dir F/D.pdf.json") ==
		    ino_in(TENANT, "C", "dir F/D.pdf.json"));
	assert_true(ino_in(TENANT, "B", "dir F/D.pdf.json") !=
		    ino_in("another", "B", "dir F/D.pdf.json"));
	assert_true(ino_in(TENANT, "B", "dir F") != ino_in("another", "B", "dir F"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_binders_as_array_or_in_items),
		TEST(test_no_binders),
		TEST(test_the_same_binder_twice_is_one),
		TEST(test_a_binder_is_asked_for_as_documented),
		TEST(test_a_binder_without_folders_and_documents),
		TEST(test_odd_ids_are_encoded),
		TEST(test_the_subfolders_path_is_a_setting),
		TEST(test_an_empty_subfolders_path_switches_the_call_off),
		TEST(test_folders_of_any_depth),
		TEST(test_folders_that_return_their_ancestors),
		TEST(test_a_server_without_the_subfolders_call),
		TEST(test_a_404_may_mean_something_else),
		TEST(test_a_folder_that_has_gone),
		TEST(test_a_call_that_is_switched_off_later),
		TEST(test_what_a_binder_does_without),
		TEST(test_what_a_binder_does_not_do_without),
		TEST(test_documents_find_their_folder),
		TEST(test_documents_are_dated),
		TEST(test_metadata_elements_are_shown_as_they_come),
		TEST(test_whose_inode_numbers_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
