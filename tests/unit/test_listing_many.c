/* test_listing_many.c: listings with very many objects, and a property test with random sets of
 * objects made to meet (IBINDERFS_SEED repeats one). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listing_fixture.h"

#define MANY	     100000
#define MANY_SECONDS 20 /* with sanitizers about 3; were it quadratic, minutes */
#define ROUNDS	     1500
#define OBJECTS_MAX  40

/* ---- Many. ---- */

static void check_quick(const struct object *objects, size_t count)
{
	int64_t start_ms = loop_now_ms();
	struct listing *listing = build(objects, count, NULL, NOW);
	struct listing *again = build(objects, count, listing, LATER);

	for (size_t i = 0; i < again->entry_count; i++) {
		const struct listing_entry *entry = &again->entries[i];

		assert_ptr_equal(listing_find_ino(again, entry->ino), entry);
		assert_int_equal(entry->mtime_ns, NOW);
	}
	assert_true(loop_now_ms() - start_ms < MANY_SECONDS * 1000);
	assert_int_equal(again->entry_count, count);
	listing_unref(listing);
	listing_unref(again);
}

/* All in one directory, a tenth of the names alike; then each folder inside the one before, which
 * comes after it; then all of them in one cycle. */
static void test_many_are_quick(void **state)
{
	struct object *objects = calloc(MANY, sizeof(*objects));
	char(*ids)[16] = calloc(MANY, sizeof(*ids));

	(void)state;
	assert_true(objects && ids);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		objects[i] = (struct object)DOC(ids[i], NULL, i % 10 ? ids[i] : "same");
	}
	check_quick(objects, MANY);
	for (size_t i = 0; i < MANY; i++)
		objects[i] = (struct object)FOLDER(ids[i], i + 1 < MANY ? ids[i + 1] : NULL, "f");
	check_quick(objects, MANY);
	objects[MANY - 1].parent = ids[0];
	check_quick(objects, MANY);
	free(objects);
	free(ids);
}

/* Each folder inside the one before. */
static void test_a_deep_path(void **state)
{
	struct object *objects = calloc(MANY, sizeof(*objects));
	char(*ids)[16] = calloc(MANY, sizeof(*ids));
	int64_t start_ms = loop_now_ms();
	struct buf path = BUF_INIT(4 * MANY);
	const struct listing_entry *entry;
	struct listing *listing;
	uint32_t dir;

	(void)state;
	assert_true(objects && ids);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		objects[i] = (struct object)FOLDER(ids[i], i ? ids[i - 1] : NULL, "f");
	}
	listing = build(objects, MANY, NULL, NOW);
	entry = listing_find_name(listing, 0, "f");
	for (dir = entry->dir; listing->dirs[dir].count > 0; dir = entry->dir)
		entry = listing_find_name(listing, dir, "f");
	assert_int_equal(buf_append_str(&path, ">"), 0);
	assert_int_equal(listing_path(listing, entry, &path), 0);
	assert_int_equal(path.len, 2 * MANY);
	for (size_t i = 0; i < MANY; i++) {
		if (path.data[2 * i] != (i ? '/' : '>') || path.data[2 * i + 1] != 'f')
			fail_msg("not a path of f's at %zu", i);
	}
	assert_true(loop_now_ms() - start_ms < MANY_SECONDS * 1000);
	buf_reset(&path);
	listing_unref(listing);
	free(objects);
	free(ids);
}

/* ---- Random sets. ---- */

static unsigned random_below(unsigned bound)
{
	return (unsigned)random() % bound;
}

/* Few ids and fewer names, so that they meet; parents may be unknown, later, below, or itself. */
static size_t random_objects(struct object objects[OBJECTS_MAX])
{
	static const char *const folders[] = {"fold0000-a", "fold0000-b", "fold1111-c", "f",
					      "ghost0000",  "ghost/\x01", "\xff",	"é"};
	static const char *const documents[] = {"00000000-1", "00000000-2", "00000000-3", "1", "2",
						"3",	      "fold0000-a", "ghost0000",  "4", "5",
						"6",	      "7"};
	static const char *const names[] = {
		"A", "A.pdf", "A [00000000]", "folder",	   "folder.json", "..",
		"",  "a/b",   "binder",	      "ghost0000", "\xff",	  "A.json"};
	size_t count = random_below(OBJECTS_MAX);

	for (size_t i = 0; i < count; i++) {
		struct object *object = &objects[i];

		*object = (struct object){
			.kind = random_below(3) == 0 ? LISTING_KIND_FOLDER : LISTING_KIND_DOCUMENT,
			.parent =
				random_below(4) == 0 ? NULL : folders[random_below(COUNT(folders))],
			.name = names[random_below(COUNT(names))],
			.json = "{}",
		};
		/* The last two are never listed. */
		object->id = object->kind == LISTING_KIND_FOLDER
				     ? folders[random_below(COUNT(folders) - 4)]
				     : documents[random_below(COUNT(documents))];
		/* Twice the same object is the same object. */
		for (size_t j = 0; j < i; j++) {
			if (objects[j].kind == object->kind &&
			    strcmp(objects[j].id, object->id) == 0)
				*object = objects[j];
		}
	}
	return count;
}

static const struct listing_entry *shown(const struct listing *listing, enum listing_kind kind,
					 const char *id, uint32_t *ret_dir)
{
	const struct listing_entry *found = NULL;

	for (uint32_t dir = 0; dir < listing->dir_count; dir++) {
		for (uint32_t i = 0; i < listing->dirs[dir].count; i++) {
			const struct listing_entry *entry =
				&listing->entries[listing->dirs[dir].first + i];

			if (entry->kind != kind ||
			    strcmp(listing_id(listing, entry, ID_BUFFER), id) != 0)
				continue;
			assert_null(found); /* never twice */
			found = entry;
			*ret_dir = dir;
		}
	}
	return found;
}

/* Whether a folder is its own ancestor. */
static bool on_a_cycle(const struct object *objects, size_t count, const char *id)
{
	const char *at = id;

	for (size_t steps = 0; steps <= count; steps++) {
		const char *up = NULL;

		for (size_t i = 0; i < count; i++) {
			if (objects[i].kind == LISTING_KIND_FOLDER &&
			    strcmp(objects[i].id, at) == 0)
				up = objects[i].parent;
		}
		if (!up)
			return false;
		if (strcmp(up, id) == 0)
			return true;
		at = up;
	}
	return false;
}

static void check_placed(const struct listing *listing, const struct object *objects, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t dir = 0;
		uint32_t above = 0;
		const struct listing_entry *parent =
			objects[i].parent
				? shown(listing, LISTING_KIND_FOLDER, objects[i].parent, &above)
				: NULL;

		assert_non_null(shown(listing, objects[i].kind, objects[i].id, &dir));
		if (!objects[i].parent)
			assert_int_equal(dir, 0);
		else if (objects[i].kind == LISTING_KIND_FOLDER && dir == 0)
			assert_true(on_a_cycle(objects, count, objects[i].id));
		else
			assert_int_equal(dir, parent->dir);
	}
}

static void test_random_sets(void **state)
{
	const char *given = getenv("IBINDERFS_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)loop_wall_ns();

	(void)state;
	print_message("IBINDERFS_SEED=%u\n", seed);
	srandom(seed);
	for (int round = 0; round < ROUNDS; round++) {
		struct object objects[OBJECTS_MAX];
		size_t count = random_objects(objects);
		struct listing *listing = build(objects, count, NULL, NOW);
		struct listing *shuffled;

		check_listing(listing);
		check_placed(listing, objects, count);
		for (size_t i = count; i > 1; i--) {
			size_t other = random_below((unsigned)i);
			struct object swap = objects[i - 1];

			objects[i - 1] = objects[other];
			objects[other] = swap;
		}
		shuffled = build(objects, count, listing, LATER);
		check_listing(shuffled);
		assert_same_tree(listing, shuffled);
		/* Nothing changed, so nothing looks changed. */
		for (uint32_t i = 0; i < shuffled->entry_count; i++)
			assert_int_equal(shuffled->entries[i].mtime_ns, NOW);
		listing_unref(listing);
		listing_unref(shuffled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_are_quick),
		cmocka_unit_test(test_a_deep_path),
		cmocka_unit_test(test_random_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
