/* test_ibinder_object.c: provider_ibinder's single documents: one by its id, the version it holds,
 * and the link to that version's bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ibinder_fixture.h"

#define DAMAGED_ROUNDS 3000
#define ID	       "0aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0e"
#define VERSION	       "11111111-2222-3333-4444-555555555555"
#define OBJECT_URL     "GET /documents/" ID
#define LINK_URL       OBJECT_URL "/versions/" VERSION "/downloadlink"

static struct run run;

static int tear_down(void **state)
{
	(void)state;
	run_fini(&run);
	return 0;
}

/* ---- One document. ---- */

static void run_object(const char *id, struct row row)
{
	run_resource(&run, &(struct provider_resource){.level = PROVIDER_OBJECT, .id = id}, &row,
		     1);
}

static void test_a_document_by_its_id(void **state)
{
	static const char body[] = "{\n"
				   "  \"id\": \"" ID "\",\n"
				   "  \"fileName\": \"a/b.pdf\",\n"
				   "  \"folderId\": \"F\",\n"
				   "  \"latestVersionId\": \"V\",\n"
				   "  \"metadata\": [\n"
				   "    {\"metadataElementId\": \"GLOBAL_Date\", "
				   "\"valueId\": \"2020-01-01\"}\n"
				   "  ],\n"
				   "  \"new\": 1.50\n"
				   "}\n";
	const struct listing_entry *entry;

	(void)state;
	run_object(ID, (struct row){OBJECT_URL, body, 0});
	assert_int_equal(run.error, 0);
	assert_string_equal(buf_str(&run.log), OBJECT_URL "\n");
	assert_int_equal(run.listing->entry_count, 1);
	assert_int_equal(run.listing->dir_count, 1);
	entry = &run.listing->entries[0];
	assert_ptr_equal(at_path(&run, "a／b.pdf.json"), entry);
	assert_string_equal(listing_id(run.listing, entry, ID_BUFFER), ID);
	assert_int_equal(entry->kind, LISTING_KIND_OBJECT);
	assert_int_equal(entry->type, LISTING_FILE);
	assert_int_equal(entry->mtime_ns, INT64_C(1577836800000000000));
	assert_null(listing_content(run.listing, entry, ID_BUFFER));
	assert_int_equal(entry->body_len, strlen(body));
	assert_memory_equal(listing_body(run.listing, entry), body, entry->body_len);
	assert_null(run.link.value);
	assert_string_equal(run.note, "");
}

/* That there is none is an answer to keep, like a listing. */
static void test_a_document_that_does_not_exist(void **state)
{
	static const int refused[] = {400, 401, 403, 405, 409, 500};

	(void)state;
	run_object(ID, (struct row){OBJECT_URL, "", 404});
	assert_int_equal(run.error, 0);
	assert_int_equal(run.listing->entry_count, 0);
	for (size_t i = 0; i < COUNT(refused); i++) {
		run_object(ID, (struct row){OBJECT_URL, "", refused[i]});
		assert_int_equal(run.error, -refused[i]);
		assert_null(run.listing);
	}
}

/* GUIDs are the same in either case, and the file is the one that was asked for. */
static void test_the_case_of_an_id(void **state)
{
	static const char upper[] = "0AEC8B9F-3D52-4B1C-9D0E-5F6A7B8C9D0E";

	(void)state;
	run_object(upper,
		   (struct row){"GET /documents/0AEC8B9F-3D52-4B1C-9D0E-5F6A7B8C9D0E", DOC(ID), 0});
	assert_int_equal(run.error, 0);
	assert_string_equal(listing_id(run.listing, &run.listing->entries[0], ID_BUFFER), upper);
}

static void test_documents_that_are_wrong(void **state)
{
	static const char *const bodies[] = {
		"",
		"null",
		"[]",
		"[" DOC(ID) "]",
		"{\"items\":[" DOC(ID) "]}",
		"{}",
		"{\"id\":null}",
		"{\"id\":7}",
		"{\"ID\":\"" ID "\"}",
		DOC("0aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0f"),
		DOC(ID "0"),
		DOC(ID "\\u0000"),
		DOC("{" ID "}"),
		DOC(ID) "x",
		"<html></html>",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		run_object(ID, (struct row){OBJECT_URL, bodies[i], 0});
		if (run.error != -EBADMSG)
			fail_msg("%s: %d", bodies[i], run.error);
		assert_null(run.listing);
	}
}

static void test_what_can_be_an_id(void **state)
{
	static const struct {
		const char *id;
		bool valid;
	} table[] = {
		{ID, true},
		{"0AEC8B9F-3D52-4B1C-9D0E-5F6A7B8C9D0E", true},
		{"00000000-0000-0000-0000-000000000000", true},
		{"ABCDEFab-cdef-0123-4567-89abcdefABCD", true},
		{"", false},
		{".git", false},
		{"0aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0", false},
		{"0aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0e0", false},
		{"0aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0g", false},
		{"0aec8b9f 3d52-4b1c-9d0e-5f6a7b8c9d0e", false},
		{"0aec8b9f03d52-4b1c-9d0e-5f6a7b8c9d0e", false},
		{"0aec8b9-f3d52-4b1c-9d0e-5f6a7b8c9d0e", false},
		{"0aec8b9f-3d52-4b1c-9d0e05f6a7b8c9d0e", false},
		{"-aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0e", false},
		{"{0aec8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0}", false},
		{"0aec8b9f3d524b1c9d0e5f6a7b8c9d0e0000", false},
		{"../c8b9f-3d52-4b1c-9d0e-5f6a7b8c9d0e", false},
		{"å\xc3\xa5\xc3\xa5\xc3\xa5-3d52-4b1c-9d0e-5f6a7b8c9d0e", false},
		{"MNWI5YR89", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		if (provider_ibinder.is_object_id(table[i].id, strlen(table[i].id)) !=
		    table[i].valid)
			fail_msg("%s", table[i].id);
	}
	/* What follows does not belong to it. */
	assert_true(provider_ibinder.is_object_id(ID ".json", strlen(ID)));
	assert_false(provider_ibinder.is_object_id(ID ".json", strlen(ID) + 1));
	assert_false(provider_ibinder.is_object_id(ID, strlen(ID) - 1));
}

/* ---- Versions. ---- */

static void test_the_version_that_a_document_holds(void **state)
{
#define TEN    "0123456789"
#define ID_128 TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "01234567"
	static const struct {
		const char *member;
		const char *version;
	} table[] = {
		{",\"latestVersionId\":\"" VERSION "\"", VERSION},
		{",\"latestVersionId\":\"a/\\u00e5 \"", "a/å "},
		{",\"latestVersionId\":\"" ID_128 "\"", ID_128},
		{",\"latestVersionId\":\"1\",\"latestVersionId\":\"2\"", "1"},
		/* None that could be asked for. */
		{"", ""},
		{",\"latestVersionId\":null", ""},
		{",\"latestVersionId\":\"\"", ""},
		{",\"latestVersionId\":7", ""},
		{",\"latestVersionId\":true", ""},
		{",\"latestVersionId\":[\"v\"]", ""},
		{",\"latestVersionId\":{\"id\":\"v\"}", ""},
		{",\"latestVersionId\":\"v\\u0000w\"", ""},
		{",\"latestVersionId\":\"" ID_128 "9\"", ""},
		{",\"LatestVersionId\":\"v\"", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf page = BUF_INIT(10000);
		const struct listing_entry *entry;

		buf_printf(&page, PAGE("1", "3", "{\"id\":\"D\",\"fileName\":\"D\"%s}"),
			   table[i].member);
		RUN_PART(&run, {DRIVE_URL, "[" DIR("F") "]", 0}, NO_METADATA,
			 {PAGE_URL("1"), buf_str(&page), 0}, {SUB_URL("F"), "[]", 0});
		assert_int_equal(run.error, 0);
		entry = at_path(&run, "D.json");
		assert_non_null(listing_content(run.listing, entry, ID_BUFFER));
		assert_string_equal(listing_content(run.listing, entry, ID_BUFFER),
				    table[i].version);
		buf_reset(&page);
	}
	/* Nothing but documents holds anything. */
	assert_null(listing_content(run.listing, at_path(&run, "binder.json"), ID_BUFFER));
	assert_null(
		listing_content(run.listing, at_path(&run, "metadata-elements.json"), ID_BUFFER));
	assert_null(listing_content(run.listing, at_path(&run, "dir F"), ID_BUFFER));
	assert_null(listing_content(run.listing, at_path(&run, "dir F/folder.json"), ID_BUFFER));
}

/* ---- Links. ---- */

static void run_link(const char *id, const char *version, struct row row)
{
	run_resource(
		&run,
		&(struct provider_resource){.level = PROVIDER_LINK, .id = id, .version = version},
		&row, 1);
}

static void test_a_link_is_asked_for_as_documented(void **state)
{
	static const char url[] = "https://storage.test/x%20y?sig=a%2Fb&se=2024&q=å";

	(void)state;
	run_link(ID, VERSION,
		 (struct row){LINK_URL,
			      "{\"new\":{},\"url\":\"https:\\/\\/storage.test/x%20y?sig=a%2Fb"
			      "\\u0026se=2024&q=å\"}",
			      0});
	assert_int_equal(run.error, 0);
	assert_string_equal(buf_str(&run.log), LINK_URL "\n");
	assert_string_equal(run.link.value, url);
	assert_int_equal(run.link.len, strlen(url));
	assert_null(run.listing);
	assert_string_equal(run.note, "");
}

static void test_odd_ids_are_encoded(void **state)
{
	(void)state;
	run_link("a/b?c", "../d#%",
		 (struct row){"GET /documents/a%2Fb%3Fc/versions/..%2Fd%23%25/downloadlink",
			      "{\"url\":\"u\"}", 0});
	assert_int_equal(run.error, 0);
	assert_string_equal(run.link.value, "u");
}

static void test_links_that_are_wrong(void **state)
{
	static const char *const bodies[] = {
		"",
		"null",
		"\"https://storage.test/\"",
		"[\"https://storage.test/\"]",
		"{}",
		"{\"url\":null}",
		"{\"url\":7}",
		"{\"url\":{}}",
		"{\"url\":[\"https://storage.test/\"]}",
		"{\"url\":\"\"}",
		"{\"Url\":\"https://storage.test/\"}",
		"{\"url\":\"https://storage.test/a b\"}",
		"{\"url\":\" https://storage.test/\"}",
		"{\"url\":\"https://storage.test/\\n\"}",
		"{\"url\":\"https://storage.test/\\r\\nX: y\"}",
		"{\"url\":\"https://storage.test/\\t\"}",
		"{\"url\":\"https://storage.test/\\u0000\"}",
		"{\"url\":\"https://storage.test/\\u007f\"}",
		"{\"url\":\"https://storage.test/",
		"{\"url\":\"https://storage.test/\"}}",
		"https://storage.test/",
	};
	static const int refused[] = {400, 401, 403, 404, 405, 409, 410, 500};

	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		run_link(ID, VERSION, (struct row){LINK_URL, bodies[i], 0});
		if (run.error != -EBADMSG)
			fail_msg("%s: %d", bodies[i], run.error);
		assert_null(run.link.value);
	}
	for (size_t i = 0; i < COUNT(refused); i++) {
		run_link(ID, VERSION, (struct row){LINK_URL, "", refused[i]});
		assert_int_equal(run.error, -refused[i]);
	}
}

static void test_a_link_is_bounded(void **state)
{
	(void)state;
	for (size_t len = SECRET_BYTES_MAX; len <= SECRET_BYTES_MAX + 1; len++) {
		static char url[SECRET_BYTES_MAX + 2];
		struct buf body = BUF_INIT(2 * SECRET_BYTES_MAX);

		memset(url, 'u', len);
		buf_printf(&body, "{\"url\":\"%s\"}", url);
		run_link(ID, VERSION, (struct row){LINK_URL, buf_str(&body), 0});
		assert_int_equal(run.error, len > SECRET_BYTES_MAX ? -EBADMSG : 0);
		assert_int_equal(run.link.len, len > SECRET_BYTES_MAX ? 0 : len);
		buf_reset(&body);
	}
}

/* The fetch was cancelled between the answer and the end: the link must not stay in memory. */
static void test_a_link_that_nobody_takes(void **state)
{
	const struct provider_resource resource = {
		.level = PROVIDER_LINK, .id = ID, .version = VERSION};
	const struct row row = {LINK_URL, "{\"url\":\"https://storage.test/\"}", 0};
	struct provider_task *task = NULL;
	struct http_request request;
	uint64_t tag;

	(void)state;
	run.provider = provider_new();
	assert_int_equal(provider_ibinder.task_new(run.provider, &resource, &task), 0);
	assert_int_equal(provider_ibinder.task_next(task, &request, &tag), 0);
	http_request_fini(&request);
	assert_int_equal(answer(task, tag, &row), 0);
	assert_int_equal(provider_ibinder.task_next(task, &request, &tag), -EAGAIN);
	provider_ibinder.task_free(task); /* the leak checker is the judge */
}

/* ---- Damage. ---- */

static void test_damaged_answers(void **state)
{
	static const struct {
		struct provider_resource resource;
		struct row row;
	} table[] = {
		{{.level = PROVIDER_OBJECT, .id = ID}, {OBJECT_URL, DOC(ID), 0}},
		{{.level = PROVIDER_LINK, .id = ID, .version = VERSION},
		 {LINK_URL, "{\"url\":\"https://storage.test/x?y=z\"}", 0}},
		{{.level = PROVIDER_QUERY, .id = "a=b"},
		 {PAGE_URL("1"), PAGE("2", "3", DOC("1") "," DOC("2")), 0}},
	};
	unsigned good[COUNT(table)] = {0};

	(void)state;
	seed_damage();
	for (size_t round = 0; round < DAMAGED_ROUNDS * COUNT(table); round++) {
		size_t at = round % COUNT(table);
		struct buf text = BUF_INIT(10000);
		struct row row = table[at].row;

		buf_append_str(&text, row.body);
		damage(&text);
		row.body = buf_str(&text);
		run_resource(&run, &table[at].resource, &row, 1);
		assert_true(run.error == 0 || run.error == -EBADMSG || run.error == -EFBIG ||
			    run.error == -404); /* a page that another total promised */
		assert_int_equal(!run.error && at != 1, run.listing != NULL);
		assert_int_equal(!run.error && at == 1, run.link.value != NULL);
		good[at] += run.error == 0;
		buf_reset(&text);
	}
	/* Else it would only test that nonsense is refused. */
	for (size_t i = 0; i < COUNT(table); i++)
		assert_in_range(good[i], DAMAGED_ROUNDS / 100, DAMAGED_ROUNDS * 9 / 10);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_a_document_by_its_id),
		TEST(test_a_document_that_does_not_exist),
		TEST(test_the_case_of_an_id),
		TEST(test_documents_that_are_wrong),
		TEST(test_what_can_be_an_id),
		TEST(test_the_version_that_a_document_holds),
		TEST(test_a_link_is_asked_for_as_documented),
		TEST(test_odd_ids_are_encoded),
		TEST(test_links_that_are_wrong),
		TEST(test_a_link_is_bounded),
		TEST(test_a_link_that_nobody_takes),
		TEST(test_damaged_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
