/* test_listing_places.c: objects that stand in several directories, contents that come along with
 * them, and names in both trees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listing_fixture.h"

#define DEEP 2000

static struct listing *finish(struct listing_builder *builder, const struct listing *previous)
{
	struct listing *listing = NULL;

	assert_int_equal(listing_builder_finish(builder, previous, LISTING_NO_TIME, NOW, &listing),
			 0);
	listing_builder_free(builder);
	return listing;
}

static int put(struct listing_builder *builder, const char *id, const char *folder)
{
	return listing_builder_put(builder, LISTING_KIND_DOCUMENT, id, folder);
}

static const struct object folders_and_one[] = {
	FOLDER("a", NULL, "A"),
	FOLDER("b", NULL, "B"),
	FOLDER("c", "b", "C"),
	DOC("d", NULL, "D"),
};

static void test_a_file_in_several_folders_is_one_inode(void **state)
{
	static const char *const paths[] = {"A/D.json", "B/C/D.json", "D.json"};
	struct listing_builder *builder = builder_with(folders_and_one, COUNT(folders_and_one));
	struct listing *listing;

	(void)state;
	assert_int_equal(put(builder, "d", "a"), 0);
	assert_int_equal(put(builder, "d", "c"), 0);
	assert_int_equal(put(builder, "d", NULL), 0);
	for (int i = 0; i < 2; i++) { /* it is there already */
		assert_int_equal(put(builder, "d", "a"), 0);
		assert_int_equal(put(builder, "d", "c"), 0);
		assert_int_equal(put(builder, "d", NULL), 0);
	}
	assert_int_equal(put(builder, "x", "a"), -ENOENT);
	assert_int_equal(put(builder, "d", "x"), -ENOENT);
	listing = finish(builder, NULL);
	assert_int_equal(listing->entry_count, 6);
	for (size_t i = 0; i < COUNT(paths); i++) {
		const struct listing_entry *entry = at_path(listing, paths[i]);
		struct buf path = BUF_INIT(100);

		assert_non_null(entry);
		assert_int_equal(entry->ino, at_path(listing, paths[0])->ino);
		assert_int_equal(entry->body, at_path(listing, paths[0])->body);
		assert_int_equal(listing_links(listing, entry), 3);
		assert_int_equal(listing_path(listing, entry, &path), 0);
		assert_string_equal(path.data, paths[i]);
		buf_reset(&path);
	}
	assert_int_equal(listing_links(listing, at_path(listing, "A")), 1);
	listing_unref(listing);
}

static void test_a_first_place_is_a_move(void **state)
{
	struct listing_builder *builder = builder_with(folders_and_one, COUNT(folders_and_one));
	struct listing *listing;

	(void)state;
	assert_int_equal(put(builder, "d", NULL), 0);
	assert_int_equal(put(builder, "d", "b"), 0);
	assert_int_equal(listing_builder_put(builder, LISTING_KIND_FOLDER, "a", "c"), 0);
	/* A directory has one place. */
	assert_int_equal(listing_builder_put(builder, LISTING_KIND_FOLDER, "a", "b"), 0);
	listing = finish(builder, NULL);
	check_listing(listing);
	assert_non_null(at_path(listing, "B/C/A"));
	assert_non_null(at_path(listing, "B/D.json"));
	assert_int_equal(listing->entry_count, 4);
	assert_int_equal(listing_links(listing, at_path(listing, "B/D.json")), 1);
	listing_unref(listing);
}

static void test_folders_put_into_each_other_are_not_lost(void **state)
{
	struct listing_builder *builder = builder_with(folders_and_one, COUNT(folders_and_one));
	struct listing *listing;

	(void)state;
	assert_int_equal(listing_builder_put(builder, LISTING_KIND_FOLDER, "b", "c"), 0);
	assert_int_equal(listing_builder_put(builder, LISTING_KIND_FOLDER, "a", "a"), 0);
	listing = finish(builder, NULL);
	check_listing(listing);
	assert_non_null(at_path(listing, "A"));
	assert_true(at_path(listing, "B/C") || at_path(listing, "C/B"));
	listing_unref(listing);
}

/* What did not change keeps its time in all its places, what did has the same new one. */
static void test_places_share_time_and_version(void **state)
{
	struct listing *listings[3] = {NULL};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct listing_builder *builder = builder_with(folders_and_one, 3);
		struct object document =
			DOC_OF("d", NULL, "D", i < 2 ? "{\"id\":\"d\"}" : "{\"id\":\"d\",\"n\":2}",
			       INT64_C(1000));

		assert_int_equal(add(builder, &document), 0);
		assert_int_equal(put(builder, "d", "a"), 0);
		assert_int_equal(put(builder, "d", "c"), 0);
		listings[i] = finish(builder, i ? listings[i - 1] : NULL);
		assert_int_equal(mtime_at(listings[i], "A/D.json"), i < 2 ? 1000 : NOW);
		assert_int_equal(mtime_at(listings[i], "B/C/D.json"), i < 2 ? 1000 : NOW);
		assert_int_equal(at_path(listings[i], "A/D.json")->version,
				 at_path(listings[i], "B/C/D.json")->version);
	}
	assert_true(listing_equals(listings[1], listings[0]));
	assert_false(listing_equals(listings[2], listings[1]));
	for (size_t i = 0; i < 3; i++)
		listing_unref(listings[i]);
}

/* The table grows meanwhile, and finds objects by their first place. */
static void test_many_places(void **state)
{
	enum { FOLDERS = 300, FILES = 100 };
	struct listing_builder *builder = builder_with(NULL, 0);
	struct listing *listing;
	uint32_t places = 0;

	(void)state;
	for (int i = 0; i < FOLDERS; i++) {
		char id[16];
		struct object folder = FOLDER(id, NULL, id);

		snprintf(id, sizeof(id), "f%d", i);
		assert_int_equal(add(builder, &folder), 0);
	}
	for (int i = 0; i < FILES; i++) {
		char id[16];
		struct object document = DOC(id, NULL, id);

		snprintf(id, sizeof(id), "d%d", i);
		assert_int_equal(add(builder, &document), 0);
		for (int j = i; j < FOLDERS; j += 7) {
			char folder[16];

			snprintf(folder, sizeof(folder), "f%d", j);
			assert_int_equal(put(builder, id, folder), 0);
			places++;
		}
	}
	listing = finish(builder, NULL);
	assert_int_equal(listing->entry_count, FOLDERS + places);
	for (uint32_t i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		int number = atoi(listing_name(listing, entry) + 1);

		if (entry->type == LISTING_FILE)
			assert_int_equal(listing_links(listing, entry), (FOLDERS - number + 6) / 7);
	}
	listing_unref(listing);
}

static void add_with_text(struct listing_builder *builder, const char *id, const char *name,
			  const char *text)
{
	static char json[300000];
	struct listing_object object = {
		.kind = LISTING_KIND_DOCUMENT,
		.id = id,
		.raw_name = name,
		.raw_name_len = strlen(name),
		.suffix = ".json",
		.mtime_ns = LISTING_NO_TIME,
	};

	snprintf(json, sizeof(json), "{ \"id\":\"%s\", \"a\":%s}", id, text ? text : "7");
	assert_int_equal(json_parse(json, strlen(json), &object.json), 0);
	if (text)
		assert_int_equal(json_get(object.json, "a", &object.text), 0);
	assert_int_equal(listing_builder_add_file(builder, &object), 0);
}

static void test_contents_inline_are_what_the_string_means(void **state)
{
	static char large[200003];
	struct listing_builder *builder;
	const struct listing_entry *entry;
	struct listing *listing;
	struct buf bytes = BUF_INIT(sizeof(large));

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	large[0] = large[sizeof(large) - 2] = '"';
	assert_int_equal(listing_builder_new("salt", "", LISTING_MAX, &builder), 0);
	listing_builder_content_suffix(builder, ".html");
	add_with_text(builder, "1", "small", "\"\\u00e5\\u0000\\/\"");
	add_with_text(builder, "2", "empty", "\"\"");
	add_with_text(builder, "3", "none", NULL);
	add_with_text(builder, "4", "large", large);
	add_with_text(builder, "5", "bad", "\"\xff\xff\\ud800\"");
	listing = finish(builder, NULL);
	check_listing(listing);
	assert_string_equal(listing->content_suffix, ".html");
	entry = at_path(listing, "small.json");
	assert_int_equal(listing_inline_read(listing, entry, &bytes), 0);
	assert_int_equal(bytes.len, 4);
	assert_memory_equal(bytes.data, "å\0/", 4);
	assert_int_equal(listing_inline_size(listing, entry), 4);
	buf_reset(&bytes);
	assert_null(listing_content(listing, entry, ID_BUFFER)); /* no version */
	assert_true(listing_has_content(entry));
	entry = at_path(listing, "empty.json");
	assert_true(listing_has_content(entry));
	assert_int_equal(listing_inline_size(listing, entry), 0);
	assert_false(listing_has_content(at_path(listing, "none.json")));
	/* Three bytes for each that is no UTF-8. */
	entry = at_path(listing, "bad.json");
	assert_int_equal(listing_inline_size(listing, entry), 9);
	assert_int_equal(listing_inline_read(listing, entry, &bytes), 0);
	assert_int_equal(bytes.len, 9);
	buf_reset(&bytes);
	entry = at_path(listing, "large.json");
	assert_int_equal(listing_inline_size(listing, entry), sizeof(large) - 3);
	assert_int_equal(listing_inline_read(listing, entry, &bytes), 0);
	assert_int_equal(bytes.len, sizeof(large) - 3);
	buf_reset(&bytes);
	listing_unref(listing);
}

/* A directory's name clashes with the name that a file has in the other tree. */
static void test_names_differ_in_both_trees(void **state)
{
	static const struct object dirs[] = {
		FOLDER("1", NULL, "x.html"),
		FOLDER("2", NULL, "y"),
	};
	struct listing_builder *builder = builder_with(dirs, COUNT(dirs));
	struct listing *listing;

	(void)state;
	listing_builder_content_suffix(builder, ".html");
	add_with_text(builder, "3", "x", "\"\"");
	add_with_text(builder, "4", "y", "\"\"");
	listing = finish(builder, NULL);
	check_listing(listing);
	assert_non_null(at_path(listing, "x [1].html"));
	assert_non_null(at_path(listing, "x [3].json"));
	assert_non_null(at_path(listing, "y"));
	assert_non_null(at_path(listing, "y.json"));
	listing_unref(listing);
}

/* Nesting deeper than any path of the kernel's neither hangs nor overflows anything. */
static void test_the_deepest_entry_has_a_path(void **state)
{
	struct listing_builder *builder = builder_with(NULL, 0);
	struct listing *listing;
	size_t longest = 0;

	(void)state;
	for (int i = 0; i < DEEP; i++) {
		char id[16];
		char parent[16];
		struct object folder = FOLDER(id, i ? parent : NULL, "n");

		snprintf(id, sizeof(id), "%d", i);
		snprintf(parent, sizeof(parent), "%d", i - 1);
		assert_int_equal(add(builder, &folder), 0);
	}
	listing = finish(builder, NULL);
	for (uint32_t i = 0; i < listing->entry_count; i++) {
		struct buf path = BUF_INIT(DEEP * 2);

		assert_int_equal(listing_path(listing, &listing->entries[i], &path), 0);
		longest = path.len > longest ? path.len : longest;
		buf_reset(&path);
	}
	assert_int_equal(longest, 2 * DEEP - 1);
	/* What is too long for its buffer is so after as many steps. */
	for (uint32_t i = 0; i < listing->entry_count; i++) {
		struct buf path = BUF_INIT(DEEP);
		uint32_t depth = 1;

		for (uint32_t dir = listing_dir_of(listing, &listing->entries[i]); dir != 0;
		     dir = listing->dirs[dir].parent)
			depth++;
		assert_int_equal(listing_path(listing, &listing->entries[i], &path),
				 2 * depth - 1 > DEEP ? -EFBIG : 0);
		buf_reset(&path);
	}
	listing_unref(listing);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_in_several_folders_is_one_inode),
		cmocka_unit_test(test_a_first_place_is_a_move),
		cmocka_unit_test(test_folders_put_into_each_other_are_not_lost),
		cmocka_unit_test(test_places_share_time_and_version),
		cmocka_unit_test(test_many_places),
		cmocka_unit_test(test_contents_inline_are_what_the_string_means),
		cmocka_unit_test(test_names_differ_in_both_trees),
		cmocka_unit_test(test_the_deepest_entry_has_a_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
