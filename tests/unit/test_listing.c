/* test_listing.c: the snapshot and its builder: where objects stand, what they are called, inode
 * numbers that never change, times and versions carried over, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "listing_fixture.h"

/* ---- Placing. ---- */

static void test_empty(void **state)
{
	struct listing *listing = BUILD(NULL, NOW);

	(void)state;
	assert_int_equal(listing->entry_count, 0);
	assert_int_equal(listing->dir_count, 1);
	assert_int_equal(listing->dirs[0].mtime_ns, NOW);
	assert_null(listing_find_name(listing, 0, ""));
	assert_null(listing_find_ino(listing, 4711));
	listing_unref(listing);
}

static void test_objects_stand_in_their_folders(void **state)
{
	/* Children before their parents: the order of answers is not ours. */
	struct listing *listing =
		BUILD(NULL, NOW, DOC_OF("d1", "sub", "A.pdf", "{\"id\":\"d1\",\"n\":1.50}", 0),
		      FOLDER_JSON("sub"), FOLDER("sub", "top", "Arkitekt"),
		      DOC("d2", NULL, "Loose"), FOLDER("top", NULL, "Ritningar"),
		      FOLDER_JSON("top"), BINDER_JSON("b"), METADATA_JSON("b"));
	const struct listing_entry *entry;

	(void)state;
	check_listing(listing);
	assert_int_equal(listing->entry_count, 8);
	assert_int_equal(listing->dir_count, 3);
	assert_non_null(at_path(listing, "binder.json"));
	assert_non_null(at_path(listing, "metadata-elements.json"));
	assert_non_null(at_path(listing, "Loose.json"));
	assert_non_null(at_path(listing, "Ritningar/folder.json"));
	assert_non_null(at_path(listing, "Ritningar/Arkitekt/folder.json"));
	entry = at_path(listing, "Ritningar/Arkitekt/A.pdf.json");
	assert_non_null(entry);
	assert_string_equal(listing_id(listing, entry, ID_BUFFER), "d1");
	assert_int_equal(entry->kind, LISTING_KIND_DOCUMENT);
	assert_int_equal(entry->body_len, strlen("{\"id\": \"d1\", \"n\": 1.50}\n"));
	assert_memory_equal(listing_body(listing, entry), "{\"id\": \"d1\", \"n\": 1.50}\n",
			    entry->body_len);
	assert_null(at_path(listing, "Ritningar/A.pdf.json"));
	assert_null(at_path(listing, "Ritningar/Arkitekt/A.pdf"));
	listing_unref(listing);
}

static void test_binders_are_directories_elsewhere(void **state)
{
	struct listing *listing = BUILD(NULL, NOW, BINDER("X", "Kv. Björken", NULL, 42),
					BINDER("Y", "Åkern", NULL, 0));
	const struct listing_entry *entry = at_path(listing, "Kv. Björken");

	(void)state;
	check_listing(listing);
	assert_int_equal(listing->dir_count, 1);
	assert_int_equal(entry->type, LISTING_DIR);
	assert_int_equal(entry->dir, LISTING_ELSEWHERE);
	assert_int_equal(entry->mtime_ns, 42);
	assert_memory_equal(listing_body(listing, entry), "{\"id\": \"X\"}\n", entry->body_len);
	listing_unref(listing);
}

static void test_an_unknown_folder_gets_a_directory_named_by_its_id(void **state)
{
	struct listing *listing = BUILD(NULL, NOW, DOC("d1", "ghost", "A"), DOC("d2", "ghost", "B"),
					DOC("d3", "a/ghost", "C"),
					/* A folder without a parent that is known, likewise. */
					FOLDER("f", "lost", "Found"), DOC("d4", "f", "D"));

	(void)state;
	check_listing(listing);
	assert_non_null(at_path(listing, "ghost/A.json"));
	assert_non_null(at_path(listing, "ghost/B.json"));
	assert_non_null(at_path(listing, "a／ghost/C.json"));
	assert_non_null(at_path(listing, "lost/Found/D.json"));
	assert_int_equal(listing->entry_count, 8);
	listing_unref(listing);
}

/* An id that only a document or a binder has is no folder. */
static void test_only_folders_are_parents(void **state)
{
	struct listing *listing = BUILD(NULL, NOW, DOC("x", NULL, "A"), DOC("y", "x", "B"),
					BINDER_JSON("b"), DOC("z", "b", "C"));

	(void)state;
	check_listing(listing);
	assert_non_null(at_path(listing, "A.json"));
	assert_non_null(at_path(listing, "x/B.json"));
	assert_non_null(at_path(listing, "b/C.json"));
	listing_unref(listing);
}

static void test_cycles_are_cut_and_nothing_is_lost(void **state)
{
	const struct object objects[] = {
		FOLDER("a", "b", "A"),	     FOLDER("b", "c", "B"), FOLDER("c", "a", "C"),
		FOLDER("self", "self", "S"), DOC("d", "b", "doc"),  FOLDER("in", "c", "In"),
		DOC("e", "self", "own"),
	};
	struct listing *listing = build(objects, COUNT(objects), NULL, NOW);
	unsigned at_top = 0;

	(void)state;
	check_listing(listing);
	assert_int_equal(listing->entry_count, COUNT(objects));
	assert_non_null(at_path(listing, "S/own.json"));
	at_top += at_path(listing, "A/C/B/doc.json") && at_path(listing, "A/C/In");
	at_top += at_path(listing, "B/A/C/In") && at_path(listing, "B/doc.json");
	at_top += at_path(listing, "C/B/A") && at_path(listing, "C/B/doc.json");
	assert_int_equal(at_top, 1);
	assert_int_equal(listing->dirs[0].count, 2);
	listing_unref(listing);
}

static void test_duplicates_are_shown_once(void **state)
{
	struct listing *listing =
		BUILD(NULL, NOW, FOLDER("f", NULL, "F"), FOLDER("f", NULL, "F"), DOC("d", "f", "D"),
		      DOC("d", "f", "D"),
		      /* The first one counts; the same id of another kind is another object. */
		      DOC("d", NULL, "elsewhere"), FOLDER("d", NULL, "folder d"));

	(void)state;
	check_listing(listing);
	assert_int_equal(listing->entry_count, 3);
	assert_non_null(at_path(listing, "F/D.json"));
	assert_non_null(at_path(listing, "folder d"));
	listing_unref(listing);
}

static void test_has(void **state)
{
	struct listing_builder *builder = builder_with(NULL, 0);

	(void)state;
	assert_false(listing_builder_has(builder, LISTING_KIND_FOLDER, "f"));
	assert_int_equal(add(builder, &(struct object)FOLDER("f", NULL, "F")), 0);
	assert_true(listing_builder_has(builder, LISTING_KIND_FOLDER, "f"));
	assert_false(listing_builder_has(builder, LISTING_KIND_DOCUMENT, "f"));
	assert_false(listing_builder_has(builder, LISTING_KIND_FOLDER, "F"));
	for (int i = 0; i < 1000; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		assert_false(listing_builder_has(builder, LISTING_KIND_FOLDER, id));
		assert_int_equal(add(builder, &(struct object)FOLDER(id, NULL, "F")), 0);
		assert_true(listing_builder_has(builder, LISTING_KIND_FOLDER, id));
	}
	listing_builder_free(builder);
}

/* ---- Names. ---- */

static void test_own_names_win_a_clash(void **state)
{
	struct listing *listing =
		BUILD(NULL, NOW, BINDER_JSON("b"), DOC("doc00001x", NULL, "binder"),
		      FOLDER("fold0001x", NULL, "binder.json"), FOLDER_JSON("fold0001x"),
		      DOC("doc00002x", "fold0001x", "folder"));

	(void)state;
	check_listing(listing);
	assert_int_equal(at_path(listing, "binder.json")->kind, LISTING_KIND_BINDER_JSON);
	assert_int_equal(at_path(listing, "binder [doc00001].json")->kind, LISTING_KIND_DOCUMENT);
	assert_int_equal(at_path(listing, "binder [fold0001].json")->kind, LISTING_KIND_FOLDER);
	assert_int_equal(at_path(listing, "binder [fold0001].json/folder.json")->kind,
			 LISTING_KIND_FOLDER_JSON);
	assert_int_equal(at_path(listing, "binder [fold0001].json/folder [doc00002].json")->kind,
			 LISTING_KIND_DOCUMENT);
	listing_unref(listing);
}

static void test_clashing_names_are_told_apart_in_their_directory_only(void **state)
{
	struct listing *listing =
		BUILD(NULL, NOW, DOC("11111111-1", NULL, "A.pdf"), DOC("22222222-2", NULL, "A.pdf"),
		      FOLDER("f", NULL, "F"), DOC("33333333-3", "f", "A.pdf"),
		      DOC("44444444-4", "f", ""), DOC("55555555-5", "f", ".."));

	(void)state;
	check_listing(listing);
	assert_non_null(at_path(listing, "A [11111111].pdf.json"));
	assert_non_null(at_path(listing, "A [22222222].pdf.json"));
	assert_null(at_path(listing, "A.pdf.json"));
	assert_non_null(at_path(listing, "F/A.pdf.json"));
	assert_non_null(at_path(listing, "F/44444444-4.json"));
	assert_non_null(at_path(listing, "F/．．.json"));
	listing_unref(listing);
}

/* ---- Inode numbers. ---- */

/* Users' backups rely on these: a change here is a change of DESIGN. The values were computed from
 * the documented recipe by another program. */
static void test_inode_numbers_never_change(void **state)
{
	static const char organisation[] = "ibinder:6f9619ff-8b86-d011-b42d-00c04fc964ff";
	static const char guid[] = "0b5e3a52-3b1c-4f6e-9f0a-1d2c3b4a5968";
	static const struct {
		const char *salt;
		enum listing_kind kind;
		const char *id;
		uint64_t ino;
	} table[] = {
		{organisation, LISTING_KIND_BINDER, "MNWI5YR89", UINT64_C(0x1477240f80a7c016)},
		{organisation, LISTING_KIND_BINDER_JSON, "MNWI5YR89", UINT64_C(0x051c615f13241a17)},
		{organisation, LISTING_KIND_METADATA_JSON, "MNWI5YR89",
		 UINT64_C(0x1706441b36c91723)},
		{organisation, LISTING_KIND_FOLDER, guid, UINT64_C(0x002c9787983356ab)},
		{organisation, LISTING_KIND_FOLDER_JSON, guid, UINT64_C(0x1a630bc19243fc9a)},
		{organisation, LISTING_KIND_DOCUMENT, guid, UINT64_C(0x2f536fc1a67d4e86)},
		{organisation, LISTING_KIND_OBJECT, guid, UINT64_C(0x3e1bcce90762b61d)},
		{organisation, LISTING_KIND_FOUND, guid, UINT64_C(0x37f73bb7df254df0)},
		{"", LISTING_KIND_DOCUMENT, "å", UINT64_C(0x0f345c2c33594244)},
		{"ab", LISTING_KIND_DOCUMENT, "c", UINT64_C(0x33fff83bdb377a86)},
		{"a", LISTING_KIND_DOCUMENT, "bc", UINT64_C(0x26f3273c803dc7ca)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct object object = {
			.kind = table[i].kind, .id = table[i].id, .name = "name"};
		struct listing_builder *builder;
		struct listing *listing;

		assert_int_equal(
			listing_builder_new(table[i].salt, "MNWI5YR89", LISTING_MAX, &builder), 0);
		assert_int_equal(add(builder, &object), 0);
		assert_int_equal(listing_builder_finish(builder, NULL, 0, NOW, &listing), 0);
		assert_true(listing->entries[0].ino == table[i].ino);
		assert_ptr_equal(listing_find_ino(listing, table[i].ino), &listing->entries[0]);
		listing_builder_free(builder);
		listing_unref(listing);
	}
}

/* Servers may use one folder id in several binders: they are different directories. Documents are
 * the same wherever they stand. */
static void test_folders_of_different_binders_differ(void **state)
{
	static const char zero[] = "00000000-0000-0000-0000-000000000000";
	const struct object objects[] = {DOC("d", zero, "D"), FOLDER_JSON("f"),
					 FOLDER("f", NULL, "F")};
	static const char *const scopes[] = {"one", "two", "one"};
	static const char *const paths[] = {"F", "F/folder.json",
					    "00000000-0000-0000-0000-000000000000",
					    "00000000-0000-0000-0000-000000000000/D.json"};
	struct listing *listings[COUNT(scopes)];

	(void)state;
	for (size_t i = 0; i < COUNT(scopes); i++) {
		struct listing_builder *builder;

		assert_int_equal(listing_builder_new("salt", scopes[i], LISTING_MAX, &builder), 0);
		for (size_t j = 0; j < COUNT(objects); j++)
			assert_int_equal(add(builder, &objects[j]), 0);
		assert_int_equal(listing_builder_finish(builder, NULL, 0, NOW, &listings[i]), 0);
		check_listing(listings[i]);
		listing_builder_free(builder);
	}
	for (size_t i = 0; i < COUNT(paths); i++) {
		uint64_t one = at_path(listings[0], paths[i])->ino;

		assert_true(one == at_path(listings[2], paths[i])->ino);
		assert_int_equal(one == at_path(listings[1], paths[i])->ino,
				 strcmp(paths[i], paths[3]) == 0);
	}
	for (size_t i = 0; i < COUNT(scopes); i++)
		listing_unref(listings[i]);
}

/* Ids are the server's, and some hash alike: such a listing is refused, whichever comes first. This
 * pair of a document and a folder collides since 0xff also ends the scope. */
static void test_ids_that_collide_are_refused(void **state)
{
	static const char salt[] = "ibinder:6f9619ff-8b86-d011-b42d-00c04fc964ff";
	static const char scope[] = "j_nXVyHqlND";
	const struct object document = DOC_OF("Ev0Ri-irogP\377f", NULL, "D", "{}", 0);
	const struct object folder = FOLDER("f", NULL, "F");
	const struct object inside = DOC("d", "f", "In it");
	const struct object *const orders[][2] = {
		{&document, &folder}, {&folder, &document}, {&document, &inside}};

	(void)state;
	for (size_t i = 0; i < COUNT(orders); i++) {
		struct listing_builder *builder;
		struct listing *listing = NULL;
		bool at_finish = orders[i][1] == &inside; /* its folder is not listed */

		assert_int_equal(listing_builder_new(salt, scope, LISTING_MAX, &builder), 0);
		assert_int_equal(add(builder, orders[i][0]), 0);
		assert_false(listing_builder_has(builder, orders[i][1]->kind, orders[i][1]->id));
		assert_int_equal(add(builder, orders[i][1]), at_finish ? 0 : -EBADMSG);
		if (at_finish)
			assert_int_equal(listing_builder_finish(builder, NULL, 0, NOW, &listing),
					 -EBADMSG);
		assert_null(listing);
		listing_builder_free(builder);
	}
}

/* The number says who an object is, not what it is called or where it stands. */
static void test_inode_numbers_survive_a_move(void **state)
{
	struct listing *before = BUILD(NULL, NOW, FOLDER("f", NULL, "F"), DOC("d", "f", "Old"));
	struct listing *after = BUILD(before, LATER, FOLDER("f", NULL, "G"),
				      DOC_OF("d", NULL, "New", "{\"id\":\"d\",\"v\":2}", 0));

	(void)state;
	assert_true(at_path(before, "F/Old.json")->ino == at_path(after, "New.json")->ino);
	assert_true(at_path(before, "F")->ino == at_path(after, "G")->ino);
	listing_unref(before);
	listing_unref(after);
}

/* ---- Times and versions. ---- */

static void test_first_seen(void **state)
{
	struct listing *listing =
		BUILD(NULL, NOW, DOC_OF("dated", NULL, "dated", NULL, 12345),
		      DOC("undated", NULL, "undated"), DOC_OF("old", NULL, "old", NULL, -1),
		      FOLDER("f", NULL, "F"));
	struct listing_builder *builder = builder_with(NULL, 0);
	struct listing *dated;

	(void)state;
	check_listing(listing);
	assert_int_equal(mtime_at(listing, "dated.json"), 12345);
	assert_int_equal(mtime_at(listing, "old.json"), -1);
	assert_int_equal(mtime_at(listing, "undated.json"), NOW);
	assert_int_equal(mtime_at(listing, "F"), NOW);
	assert_int_equal(listing->dirs[0].mtime_ns, NOW);
	assert_int_equal(listing_builder_finish(builder, NULL, 777, NOW, &dated), 0);
	assert_int_equal(dated->dirs[0].mtime_ns, 777);
	assert_true(dated->generation > listing->generation);
	listing_builder_free(builder);
	listing_unref(listing);
	listing_unref(dated);
}

static void test_what_did_not_change_keeps_time_and_version(void **state)
{
	const struct object objects[] = {
		FOLDER("f", NULL, "F"),
		FOLDER_JSON("f"),
		DOC_OF("d", "f", "D", NULL, 12345),
		DOC("e", NULL, "E"),
	};
	struct listing *first = build(objects, COUNT(objects), NULL, NOW);
	struct listing *second = build(objects, COUNT(objects), first, LATER);
	struct listing *third = build(objects, COUNT(objects), second, LATER + 1);

	(void)state;
	check_listing(third);
	assert_true(third->generation > second->generation);
	assert_int_equal(mtime_at(third, "F"), NOW);
	assert_int_equal(mtime_at(third, "F/D.json"), 12345);
	assert_int_equal(mtime_at(third, "E.json"), NOW);
	assert_int_equal(third->dirs[0].mtime_ns, NOW);
	assert_true(at_path(third, "F/D.json")->version == first->generation);
	assert_true(at_path(third, "F/folder.json")->version == first->generation);
	listing_unref(first);
	listing_unref(second);
	listing_unref(third);
}

/* Also a change that keeps the length, and one to an object that has a date of its own: what was
 * observed later must look later, or rsync and the page cache miss it. */
static void test_an_observed_change_is_dated_now(void **state)
{
	struct listing *before =
		BUILD(NULL, NOW, FOLDER("f", NULL, "F"), DOC_OF("d", "f", "D", "{\"v\":1}", 12345),
		      DOC_OF("e", "f", "E", "{\"v\":1}", 0), BINDER("b", "B", "{\"v\":1}", 9));
	struct listing *after = BUILD(
		before, LATER, FOLDER("f", NULL, "F"), DOC_OF("d", "f", "D", "{\"v\":2}", 67890),
		DOC_OF("e", "f", "E", "{\"v\":1}", 0), BINDER("b", "B", "{\"v\":2}", 9));

	(void)state;
	assert_int_equal(mtime_at(after, "F/D.json"), LATER);
	assert_true(at_path(after, "F/D.json")->version == after->generation);
	assert_int_equal(mtime_at(after, "F/E.json"), NOW);
	assert_true(at_path(after, "F/E.json")->version == before->generation);
	assert_int_equal(mtime_at(after, "B"), LATER);
	/* The same entries stand in the directories. */
	assert_int_equal(mtime_at(after, "F"), NOW);
	assert_int_equal(after->dirs[0].mtime_ns, NOW);
	listing_unref(before);
	listing_unref(after);
}

static void test_a_directory_is_dated_when_its_entries_change(void **state)
{
	struct listing *before =
		BUILD(NULL, NOW, FOLDER("added", NULL, "added"), FOLDER("removed", NULL, "removed"),
		      DOC("r", "removed", "R"), FOLDER("renamed", NULL, "renamed"),
		      DOC("n", "renamed", "old"), FOLDER("replaced", NULL, "replaced"),
		      DOC("x", "replaced", "X"), FOLDER("same", NULL, "same"),
		      FOLDER("inner", "same", "inner"));
	struct listing *after = BUILD(
		before, LATER, FOLDER("added", NULL, "added"), DOC_OF("a", "added", "A", NULL, 5),
		FOLDER("removed", NULL, "removed"), FOLDER("renamed", NULL, "renamed"),
		DOC("n", "renamed", "new"), FOLDER("replaced", NULL, "replaced"),
		DOC("y", "replaced", "X"), FOLDER("same", NULL, "same"),
		FOLDER("inner", "same", "inner"), DOC("i", "inner", "I"));
	static const char *const changed[] = {"added", "removed", "renamed", "replaced",
					      "same/inner"};

	(void)state;
	for (size_t i = 0; i < COUNT(changed); i++)
		assert_int_equal(mtime_at(after, changed[i]), LATER);
	assert_int_equal(mtime_at(after, "same"), NOW);
	assert_int_equal(after->dirs[0].mtime_ns, NOW);
	/* New, and with a date: the API's. Renamed, and its object is the same: as before. */
	assert_int_equal(mtime_at(after, "added/A.json"), 5);
	assert_int_equal(mtime_at(after, "renamed/new.json"), NOW);
	listing_unref(before);
	listing_unref(after);
}

/* Only a listing that shows the very same lets the kernel keep what it was told. */
static void test_equal_listings(void **state)
{
	static const struct object base[] = {FOLDER("f", NULL, "F"), DOC("d", "f", "D"),
					     BINDER("b", "B", NULL, 5)};
	static const struct object changed[][COUNT(base)] = {
		{FOLDER("f", NULL, "G"), DOC("d", "f", "D"), BINDER("b", "B", NULL, 5)},
		{FOLDER("f", NULL, "F"), DOC("d", "f", "E"), BINDER("b", "B", NULL, 5)},
		{FOLDER("f", NULL, "F"), DOC("d", NULL, "D"), BINDER("b", "B", NULL, 5)},
		{FOLDER("f", NULL, "F"), DOC("e", "f", "D"), BINDER("b", "B", NULL, 5)},
		{FOLDER("f", NULL, "F"), DOC_OF("d", "f", "D", "{}", 0), BINDER("b", "B", NULL, 5)},
		{FOLDER("f", NULL, "F"), DOC("d", "f", "D"), BINDER("b", "B", "{}", 5)},
		{FOLDER("f", NULL, "F"), FOLDER("d", "f", "D"), BINDER("b", "B", NULL, 5)},
	};
	struct listing *first = build(base, COUNT(base), NULL, NOW);
	struct listing *same = build(base, COUNT(base), first, LATER);
	struct listing *fewer = build(base, COUNT(base) - 1, first, LATER);
	struct listing *empty = BUILD(first, LATER);
	struct listing *still_empty = BUILD(empty, LATER + 1);

	(void)state;
	assert_true(listing_equals(same, first));
	assert_false(listing_equals(fewer, first));
	assert_false(listing_equals(empty, first));
	assert_true(listing_equals(still_empty, empty));
	for (size_t i = 0; i < COUNT(changed); i++) {
		struct listing *after = build(changed[i], COUNT(base), first, LATER);

		assert_false(listing_equals(after, first));
		listing_unref(after);
	}
	listing_unref(first);
	listing_unref(same);
	listing_unref(fewer);
	listing_unref(empty);
	listing_unref(still_empty);
}

/* What stays of a listing that had to go: no time may go back, and no change be missed. */
static void test_husks(void **state)
{
	size_t alive = listing_bytes_alive();
	struct listing *first =
		BUILD(NULL, NOW, FOLDER("f", NULL, "F"), DOC_OF("dated", "f", "D", "{\"v\":1}", 5),
		      DOC_OF("changed", "f", "C", "{\"v\":1}", 6), DOC("seen", "f", "S"));
	struct listing *second = BUILD(
		first, NOW + 1, FOLDER("f", NULL, "F"), DOC_OF("dated", "f", "D", "{\"v\":2}", 5),
		DOC_OF("changed", "f", "C", "{\"v\":1}", 6), DOC("seen", "f", "S"));
	struct listing *husk = listing_husk(second);
	struct listing *after;
	int64_t top_ns = second->dirs[0].mtime_ns;

	(void)state;
	listing_unref(first);
	listing_unref(second);
	assert_non_null(husk);
	assert_int_equal(listing_bytes_alive(), alive + husk->bytes);
	assert_null(listing_find_ino(husk, 4711));
	after = BUILD(husk, LATER, FOLDER("f", NULL, "F"),
		      DOC_OF("dated", "f", "D", "{\"v\":2}", 5),
		      DOC_OF("changed", "f", "C", "{\"v\":9}", 6), DOC("seen", "f", "S"),
		      DOC_OF("new", "f", "N", NULL, 7));
	check_listing(after);
	assert_int_equal(mtime_at(after, "F/D.json"), NOW + 1);
	assert_int_equal(mtime_at(after, "F/C.json"), LATER);
	assert_int_equal(mtime_at(after, "F/S.json"), NOW);
	assert_int_equal(mtime_at(after, "F/N.json"), 7);
	/* A directory's time is that of its entries: one came into F, none at the top. */
	assert_int_equal(mtime_at(after, "F"), LATER);
	assert_int_equal(after->dirs[0].mtime_ns, top_ns);
	assert_false(listing_equals(after, husk));
	listing_unref(husk);
	husk = listing_husk(after);
	listing_unref(after);
	after = BUILD(husk, LATER + 1, FOLDER("f", NULL, "F"),
		      DOC_OF("dated", "f", "D", "{\"v\":2}", 5),
		      DOC_OF("changed", "f", "C", "{\"v\":9}", 6), DOC("seen", "f", "S"),
		      DOC_OF("new", "f", "N", NULL, 7));
	assert_int_equal(mtime_at(after, "F"), LATER);
	assert_int_equal(after->dirs[0].mtime_ns, top_ns);
	listing_unref(husk);
	listing_unref(after);
	assert_int_equal(listing_bytes_alive(), alive);

	after = BUILD(NULL, NOW);
	husk = listing_husk(after);
	assert_non_null(husk);
	listing_unref(after);
	after = BUILD(husk, LATER, DOC("d", NULL, "D"));
	assert_int_equal(mtime_at(after, "D.json"), LATER);
	listing_unref(after);
	listing_unref(husk);
}

/* ---- Bounds, references. ---- */

static void test_bounded_by_max_bytes(void **state)
{
	static char name[2000];
	static char json[2000];
	static const struct {
		size_t name_len;
		size_t json_len;
	} table[] = {{1, 1}, {1500, 1}, {1, 1500}};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct listing_builder *builder;
		unsigned count = 0;
		int error = 0;

		memset(name, 'n', table[i].name_len);
		name[table[i].name_len] = '\0';
		memset(json, '7', table[i].json_len);
		json[table[i].json_len] = '\0';
		assert_int_equal(listing_builder_new("", "", 100000, &builder), 0);
		for (; !error; count++) {
			char id[16];

			snprintf(id, sizeof(id), "%u", count);
			error = add(builder, &(struct object)DOC_OF(id, "f", name, json, 0));
			assert_true(count < 10000);
		}
		assert_int_equal(error, -EFBIG);
		assert_true(count > 50);
		/* It stays so: what would be missing from the listing cannot be told. */
		if (table[i].name_len > 1 || table[i].json_len > 1)
			assert_int_equal(
				add(builder, &(struct object)DOC_OF("more", "f", "n", "1", 0)),
				-EFBIG);
		listing_builder_free(builder);
	}
}

static void test_builders_are_counted(void **state)
{
	size_t before = listing_bytes_building();
	struct listing_builder *builders[LISTING_BUILDING_TIMES + 2];
	const struct object object = DOC_OF("d", NULL, "D", NULL, 0);
	struct listing_builder *builder = builder_with(&object, 1);
	static char json[50002];
	unsigned full = 0;

	(void)state;
	assert_true(listing_bytes_building() > before);
	listing_builder_free(builder);
	assert_int_equal(listing_bytes_building(), before);

	/* Each within its bound, and all together too many. */
	memset(json, '7', sizeof(json) - 1);
	for (size_t i = 0; i < COUNT(builders); i++) {
		const struct object large = DOC_OF("d", NULL, "D", json, 0);
		int error;

		assert_int_equal(listing_builder_new("", "", 60000, &builders[i]), 0);
		error = add(builders[i], &large);
		full += error == -EFBIG;
		assert_true(error == 0 || error == -EFBIG);
	}
	assert_in_range(full, 1, COUNT(builders) - 3);
	for (size_t i = 0; i < COUNT(builders); i++)
		listing_builder_free(builders[i]);
	assert_int_equal(listing_bytes_building(), before);
}

static void test_references_and_memory_in_use(void **state)
{
	size_t before = listing_bytes_alive();
	struct listing *a = BUILD(NULL, NOW, DOC("d", NULL, "D"));
	struct listing *b = BUILD(NULL, NOW, DOC("e", NULL, "E"));

	(void)state;
	assert_int_equal(listing_bytes_alive(), before + a->bytes + b->bytes);
	assert_ptr_equal(listing_ref(a), a);
	listing_unref(a);
	assert_int_equal(listing_bytes_alive(), before + a->bytes + b->bytes);
	assert_non_null(at_path(a, "D.json"));
	listing_unref(b);
	assert_int_equal(listing_bytes_alive(), before + a->bytes);
	listing_unref(a);
	assert_int_equal(listing_bytes_alive(), before);
	listing_unref(NULL);
	listing_builder_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_objects_stand_in_their_folders),
		cmocka_unit_test(test_binders_are_directories_elsewhere),
		cmocka_unit_test(test_an_unknown_folder_gets_a_directory_named_by_its_id),
		cmocka_unit_test(test_only_folders_are_parents),
		cmocka_unit_test(test_cycles_are_cut_and_nothing_is_lost),
		cmocka_unit_test(test_duplicates_are_shown_once),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_own_names_win_a_clash),
		cmocka_unit_test(test_clashing_names_are_told_apart_in_their_directory_only),
		cmocka_unit_test(test_inode_numbers_never_change),
		cmocka_unit_test(test_folders_of_different_binders_differ),
		cmocka_unit_test(test_ids_that_collide_are_refused),
		cmocka_unit_test(test_inode_numbers_survive_a_move),
		cmocka_unit_test(test_first_seen),
		cmocka_unit_test(test_what_did_not_change_keeps_time_and_version),
		cmocka_unit_test(test_an_observed_change_is_dated_now),
		cmocka_unit_test(test_a_directory_is_dated_when_its_entries_change),
		cmocka_unit_test(test_equal_listings),
		cmocka_unit_test(test_husks),
		cmocka_unit_test(test_bounded_by_max_bytes),
		cmocka_unit_test(test_builders_are_counted),
		cmocka_unit_test(test_references_and_memory_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
