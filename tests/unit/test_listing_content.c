/* test_listing_content.c: which version's bytes a document holds, where an entry stands, and which
 * place of the tree an inode number is of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listing_fixture.h"

#define VERSION(id_, parent_, name_, content_)                                                     \
	{                                                                                          \
		.kind = LISTING_KIND_DOCUMENT, .id = id_, .parent = parent_, .name = name_,        \
		.content = content_                                                                \
	}

static const char *content_at(const struct listing *listing, const char *path)
{
	static char buffer[LISTING_ID_MAX + 1];
	const struct listing_entry *entry = at_path(listing, path);

	assert_non_null(entry);
	return listing_content(listing, entry, buffer);
}

/* A version without a name is another thing than no contents at all. */
static void test_documents_name_their_version(void **state)
{
	struct listing *listing = BUILD(NULL, NOW, VERSION("d", "f", "D", "version of d"),
					VERSION("e", NULL, "E", ""), VERSION("g", NULL, "G", NULL),
					FOLDER("f", NULL, "F"), FOLDER_JSON("f"));

	(void)state;
	check_listing(listing);
	assert_string_equal(content_at(listing, "F/D.json"), "version of d");
	assert_string_equal(content_at(listing, "E.json"), "");
	assert_null(content_at(listing, "G.json"));
	assert_null(content_at(listing, "F"));
	assert_null(content_at(listing, "F/folder.json"));
	/* Beside it stand name and id, which it must not run into. */
	assert_string_equal(listing_id(listing, at_path(listing, "F/D.json"), ID_BUFFER), "d");
	listing_unref(listing);
}

/* An id that stands in the body is not kept twice; others may be spelt otherwise there, and a body
 * may hold part of an id or only another one. */
static void test_ids_that_are_not_in_the_body(void **state)
{
	static const struct {
		const char *id;
		const char *content;
		const char *json;
	} table[] = {
		{"x1", "v1", "{\"id\":\"x1\",\"latestVersionId\":\"v1\"}"},
		{"x2/å", "v2", "{\"id\":\"x2\\/\\u00e5\",\"latestVersionId\":\"\\u0076\\u0032\"}"},
		{"x3", "v3", "{\"id\":\"x\",\"latestVersionId\":\"v\"}"},
		{"x4", "x4", "{\"id\":null}"},
		{"x5", "", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct object objects[] = {
			DOC("before", NULL, "before"),
			{LISTING_KIND_DOCUMENT, table[i].id, NULL, "D", table[i].json, 0,
			 table[i].content},
			DOC("behind", NULL, "behind"),
		};
		struct listing *listing = build(objects, COUNT(objects), NULL, NOW);

		check_listing(listing);
		assert_string_equal(listing_id(listing, at_path(listing, "D.json"), ID_BUFFER),
				    table[i].id);
		assert_string_equal(content_at(listing, "D.json"), table[i].content);
		listing_unref(listing);
	}
}

/* Bytes that the listing holds beside the bodies and its tables are the names alone. */
static void test_ids_in_the_body_take_no_room(void **state)
{
	static const char inside[] = "{\"id\":\"0123456789\",\"latestVersionId\":\"abcdefghij\"}";
	static const char outside[] = "{\"id\":\"012345678x\",\"latestVersionId\":\"abcdefghix\"}";
	const struct object in = {LISTING_KIND_DOCUMENT, "0123456789", NULL, "D", inside, 0,
				  "abcdefghij"};
	const struct object out = {LISTING_KIND_DOCUMENT, "0123456789", NULL, "D", outside, 0,
				   "abcdefghij"};
	struct listing *small = build(&in, 1, NULL, NOW);
	struct listing *large = build(&out, 1, NULL, NOW);

	(void)state;
	assert_int_equal(large->bytes - small->bytes, 20);
	listing_unref(small);
	listing_unref(large);
}

static void test_the_longest_id(void **state)
{
	char id[LISTING_ID_MAX + 2];
	const struct object object = VERSION(id, NULL, "D", id);
	struct listing_builder *builder;
	struct listing *listing;

	(void)state;
	memset(id, 'x', sizeof(id));
	id[LISTING_ID_MAX] = '\0';
	listing = build(&object, 1, NULL, NOW);
	assert_string_equal(listing_id(listing, listing->entries, ID_BUFFER), id);
	assert_string_equal(content_at(listing, "D.json"), id);
	listing_unref(listing);
	id[LISTING_ID_MAX] = 'x';
	id[LISTING_ID_MAX + 1] = '\0';
	builder = builder_with(NULL, 0);
	assert_int_equal(add(builder, &object), -EBADMSG);
	listing_builder_free(builder);
}

static void test_versions_are_copied(void **state)
{
	char version[] = "first";
	const struct object object = VERSION("d", NULL, "D", version);
	struct listing_builder *builder = builder_with(&object, 1);
	struct listing *listing = NULL;

	(void)state;
	memset(version, 'x', sizeof(version) - 1);
	assert_int_equal(listing_builder_finish(builder, NULL, LISTING_NO_TIME, NOW, &listing), 0);
	listing_builder_free(builder);
	assert_string_equal(content_at(listing, "D.json"), "first");
	listing_unref(listing);
}

/* Of a new version the entry keeps the number and gets a new time: what was open can be told from
 * what is opened now. */
static void test_a_new_version_is_an_observed_change(void **state)
{
	const struct object old = {LISTING_KIND_DOCUMENT, "d", NULL, "D", "{\"v\":1}", 0, "v1"};
	const struct object new = {LISTING_KIND_DOCUMENT, "d", NULL, "D", "{\"v\":2}", 0, "v2"};
	struct listing *before = build(&old, 1, NULL, NOW);
	struct listing *after = build(&new, 1, before, LATER);

	(void)state;
	assert_string_equal(content_at(before, "D.json"), "v1");
	assert_string_equal(content_at(after, "D.json"), "v2");
	assert_true(at_path(before, "D.json")->ino == at_path(after, "D.json")->ino);
	assert_true(mtime_at(after, "D.json") == LATER);
	assert_false(listing_equals(after, before));
	listing_unref(before);
	listing_unref(after);
}

static void test_paths(void **state)
{
	static const char *const paths[] = {
		"A.json",	"F",	   "F/folder.json", "F/B.json",	   "F/Går",
		"F/Går/C.json", "F/Går/Z", "lost",	    "lost/E.json",
	};
	struct listing *listing =
		BUILD(NULL, NOW, DOC("c", "g", "C"), FOLDER("z", "g", "Z"), DOC("a", NULL, "A"),
		      FOLDER("g", "f", "Går"), DOC("b", "f", "B"), FOLDER("f", NULL, "F"),
		      FOLDER_JSON("f"), DOC("e", "lost", "E"));

	(void)state;
	assert_int_equal(listing->entry_count, COUNT(paths));
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct buf path = BUF_INIT(4096);

		assert_non_null(at_path(listing, paths[i]));
		assert_int_equal(listing_path(listing, at_path(listing, paths[i]), &path), 0);
		assert_string_equal(buf_str(&path), paths[i]);
		buf_reset(&path);
	}
	listing_unref(listing);
}

static void test_a_path_goes_on_from_what_is_there(void **state)
{
	struct listing *listing =
		BUILD(NULL, NOW, FOLDER("f", NULL, "F"), DOC("d", "f", "A rather long name"));
	const struct listing_entry *entry = at_path(listing, "F/A rather long name.json");
	struct buf path = BUF_INIT(64);
	struct buf narrow = BUF_INIT(10);

	(void)state;
	buf_append_str(&path, "files/Kv. X/");
	assert_int_equal(listing_path(listing, entry, &path), 0);
	assert_string_equal(buf_str(&path), "files/Kv. X/F/A rather long name.json");
	assert_true(listing_path(listing, entry, &narrow) < 0);
	buf_reset(&path);
	buf_reset(&narrow);
	listing_unref(listing);
}

/* An object has one number, and each place where it stands a number of its own. */
static void test_views_are_the_two_high_bits(void **state)
{
	static const struct {
		enum listing_view view;
		uint64_t ino;
	} views[] = {
		{LISTING_VIEW_OBJECT, UINT64_C(0x2f536fc1a67d4e86)},
		{LISTING_VIEW_CONTENT, UINT64_C(0x6f536fc1a67d4e86)},
		{LISTING_VIEW_ID, UINT64_C(0xaf536fc1a67d4e86)},
		{LISTING_VIEW_QUERY, UINT64_C(0xef536fc1a67d4e86)},
	};
	const uint64_t object = UINT64_C(0x2f536fc1a67d4e86);

	(void)state;
	for (size_t i = 0; i < COUNT(views); i++) {
		assert_true(listing_ino(object, views[i].view) == views[i].ino);
		assert_int_equal(listing_ino_view(views[i].ino), views[i].view);
		assert_true(listing_ino_object(views[i].ino) == object);
	}
	assert_int_equal(listing_ino_view(LISTING_INO_MIN), LISTING_VIEW_OBJECT);
}

/* Else another view's bits would be part of an object's number. */
static void test_objects_leave_the_high_bits_free(void **state)
{
	struct listing_builder *builder;
	struct listing *listing = NULL;

	(void)state;
	assert_int_equal(listing_builder_new("salt", "", LISTING_MAX, &builder), 0);
	for (unsigned i = 0; i < 200; i++) {
		char id[16];
		const struct object object = {
			.kind = i % 2 ? LISTING_KIND_DOCUMENT : LISTING_KIND_FOLDER,
			.id = id,
			.name = id,
		};

		snprintf(id, sizeof(id), "id %u", i);
		assert_int_equal(add(builder, &object), 0);
	}
	assert_int_equal(listing_builder_finish(builder, NULL, LISTING_NO_TIME, NOW, &listing), 0);
	listing_builder_free(builder);
	for (uint32_t i = 0; i < listing->entry_count; i++)
		assert_int_equal(listing_ino_view(listing->entries[i].ino), LISTING_VIEW_OBJECT);
	listing_unref(listing);
}

/* One document in several answers stands in several directories: other numbers, other times. Asked
 * for by id it is one. */
static void test_what_was_found_differs_by_query(void **state)
{
	static const enum listing_kind kinds[] = {LISTING_KIND_OBJECT, LISTING_KIND_FOUND,
						  LISTING_KIND_DOCUMENT};
	uint64_t inos[COUNT(kinds)][2];

	(void)state;
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (size_t scope = 0; scope < 2; scope++) {
			const struct object object = {.kind = kinds[kind], .id = "d", .name = "D"};
			struct listing_builder *builder;
			struct listing *listing = NULL;

			assert_int_equal(listing_builder_new("salt", scope ? "brand" : "skydd",
							     LISTING_MAX, &builder),
					 0);
			assert_int_equal(add(builder, &object), 0);
			assert_int_equal(listing_builder_finish(builder, NULL, LISTING_NO_TIME, NOW,
								&listing),
					 0);
			inos[kind][scope] = listing->entries[0].ino;
			listing_builder_free(builder);
			listing_unref(listing);
		}
	}
	assert_true(inos[0][0] == inos[0][1]);
	assert_true(inos[1][0] != inos[1][1]);
	assert_true(inos[2][0] == inos[2][1]);
	assert_true(inos[0][0] != inos[1][0] && inos[0][0] != inos[2][0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_documents_name_their_version),
		cmocka_unit_test(test_ids_that_are_not_in_the_body),
		cmocka_unit_test(test_ids_in_the_body_take_no_room),
		cmocka_unit_test(test_the_longest_id),
		cmocka_unit_test(test_versions_are_copied),
		cmocka_unit_test(test_a_new_version_is_an_observed_change),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_a_path_goes_on_from_what_is_there),
		cmocka_unit_test(test_views_are_the_two_high_bits),
		cmocka_unit_test(test_objects_leave_the_high_bits_free),
		cmocka_unit_test(test_what_was_found_differs_by_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
