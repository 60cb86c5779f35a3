/* test_listing_apart.c: listings in which not everything is known: which directories are complete,
 * and what of such a listing serves as the one before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listing_fixture.h"

#define TOP_TIME 777

static struct listing *build_apart(const struct object *objects, size_t count, const char *complete,
				   const struct listing *previous, int64_t now_ns)
{
	struct listing_builder *builder = builder_with(objects, count);
	struct listing *listing = NULL;

	listing_builder_apart(builder);
	if (complete)
		listing_builder_complete(builder, complete);
	assert_int_equal(listing_builder_finish(builder, previous, TOP_TIME, now_ns, &listing), 0);
	listing_builder_free(builder);
	return listing;
}

static const struct object parts[] = {
	FOLDER("f", NULL, "F"),		FOLDER_JSON("f"), FOLDER("g", NULL, "G"), FOLDER_JSON("g"),
	DOC_OF("d", "f", "D", NULL, 5),
};
static const struct object all[] = {
	FOLDER("f", NULL, "F"),
	FOLDER_JSON("f"),
	FOLDER("g", NULL, "G"),
	FOLDER_JSON("g"),
	DOC_OF("d", "f", "D", NULL, 5),
	DOC("e", "g", "E"),
	DOC("x", NULL, "X"),
};
static const struct object changed[] = {
	FOLDER("f", NULL, "F"),
	FOLDER_JSON("f"),
	FOLDER("h", NULL, "H"),
	FOLDER_JSON("h"),
	DOC_OF("d", "f", "D", "{\"id\":\"d\",\"new\":1}", 5),
	DOC("e", "h", "E"),
};

static bool is_complete(const struct listing *listing, const char *path)
{
	return !listing->dirs[at_path(listing, path)->dir].incomplete;
}

static void test_what_is_complete(void **state)
{
	struct listing *part = build_apart(parts, COUNT(parts), "f", NULL, NOW);
	struct listing *whole = build(all, COUNT(all), NULL, NOW);

	(void)state;
	assert_false(listing_is_whole(part));
	assert_true(is_complete(part, "F"));
	assert_false(is_complete(part, "G"));
	assert_true(listing_is_whole(whole));
	assert_true(is_complete(whole, "G"));
	listing_unref(part);
	listing_unref(whole);
}

static void test_the_rest_is_no_change(void **state)
{
	struct listing *part = build_apart(parts, COUNT(parts), "f", NULL, NOW);
	struct listing *whole = build(all, COUNT(all), part, LATER);

	(void)state;
	assert_int_equal(part->dirs[0].mtime_ns, TOP_TIME);
	assert_int_equal(whole->dirs[0].mtime_ns, TOP_TIME);
	assert_int_equal(mtime_at(whole, "F"), NOW);
	assert_int_equal(mtime_at(whole, "G"), NOW);
	assert_int_equal(mtime_at(whole, "F/D.json"), 5);
	assert_true(at_path(whole, "F/D.json")->version == part->generation);
	assert_int_equal(mtime_at(whole, "G/E.json"), LATER);
	assert_false(listing_equals(whole, part));
	listing_unref(part);
	listing_unref(whole);
}

static void test_a_change_since_the_part_is_seen(void **state)
{
	struct listing *part = build_apart(parts, COUNT(parts), "f", NULL, NOW);
	struct listing *whole = build(changed, COUNT(changed), part, LATER);

	(void)state;
	assert_int_equal(mtime_at(whole, "F/D.json"), LATER);
	assert_true(at_path(whole, "F/D.json")->version == whole->generation);
	assert_int_equal(whole->dirs[0].mtime_ns, LATER); /* G went */
	assert_int_equal(mtime_at(whole, "F"), NOW);
	listing_unref(part);
	listing_unref(whole);
}

static void test_an_evicted_part(void **state)
{
	struct listing *part = build_apart(parts, COUNT(parts), "f", NULL, NOW);
	struct listing *husk = listing_husk(part);
	struct listing *whole = build(changed, COUNT(changed), husk, LATER);
	struct listing *same = build(all, COUNT(all), husk, LATER);

	(void)state;
	assert_int_equal(mtime_at(whole, "F/D.json"), LATER);
	assert_int_equal(mtime_at(same, "F/D.json"), 5);
	assert_int_equal(mtime_at(same, "F"), NOW);
	/* Of G and of the top it remembers nothing: what is in them is not known. */
	assert_int_equal(husk->seen_count, 4);
	listing_unref(part);
	listing_unref(husk);
	listing_unref(whole);
	listing_unref(same);
}

/* An empty folder looks the same before and after it is known to be empty. */
static void test_to_be_complete_is_a_difference(void **state)
{
	struct listing *part = build_apart(parts, COUNT(parts), NULL, NULL, NOW);
	struct listing *more = build_apart(parts, COUNT(parts), "g", part, LATER);
	struct listing *same = build_apart(parts, COUNT(parts), "g", more, LATER);

	(void)state;
	assert_false(listing_equals(more, part));
	assert_true(listing_equals(same, more));
	assert_int_equal(mtime_at(more, "G"), NOW);
	listing_unref(part);
	listing_unref(more);
	listing_unref(same);
}

static void test_completing_what_is_not_there(void **state)
{
	struct listing *part = build_apart(parts, COUNT(parts), "unknown", NULL, NOW);

	(void)state;
	assert_int_equal(part->entry_count, COUNT(parts));
	assert_false(is_complete(part, "F"));
	listing_unref(part);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_complete),
		cmocka_unit_test(test_the_rest_is_no_change),
		cmocka_unit_test(test_a_change_since_the_part_is_seen),
		cmocka_unit_test(test_an_evicted_part),
		cmocka_unit_test(test_to_be_complete_is_a_difference),
		cmocka_unit_test(test_completing_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
