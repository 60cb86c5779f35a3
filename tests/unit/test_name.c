/* test_name.c: names made legal and distinct: tables of what is promised, and properties that hold
 * for thousands of sets made to clash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "buf.h"
#include "name.h"

#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define COUNT(arr)   (sizeof(arr) / sizeof((arr)[0]))
#define S(literal)   literal, sizeof(literal) - 1
#define BAD	     "\xEF\xBF\xBD" /* U+FFFD */
#define X10	     "xxxxxxxxxx"
#define X100	     X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define ROUNDS	     4000
#define SET_MAX	     24
#define MANY	     100000
#define ID_SIZE	     24
#define MANY_SECONDS 20 /* with sanitizers under 2; were it quadratic, hours */

static const char *const reserved_names[] = {"binder.json", "folder.json", "Ritningar"};

/* ---- One name. ---- */

static void test_legalise(void **state)
{
	static const struct {
		const char *raw;
		size_t raw_len;
		const char *legal;
	} table[] = {
		{S("Projekt 012 Kv. Björken"), "Projekt 012 Kv. Björken"},
		{S("¿Cómo pago?"), "¿Cómo pago?"},
		{S(" leading, trailing and \"quoted\" "), " leading, trailing and \"quoted\" "},
		{S(".hidden"), ".hidden"},
		{S("..."), "..."},
		{S("."), "\uFF0E"},
		{S(".."), "\uFF0E\uFF0E"},
		{S(""), "id"},
		{S("a/b"), "a\uFF0Fb"},
		{S("/"), "\uFF0F"},
		{S("../.."), "..\uFF0F.."},
		{S("a\0b"), "a\u2400b"},
		{S("\x01\t\n\x1B\x1F\x7F"), "\u2401\u2409\u240A\u241B\u241F\u2421"},
		{S("\xC2\x80\xC2\x9F\u00A0"), BAD BAD "\u00A0"},
		{S("\u2029\u202A\u202E\u202F"), "\u2029" BAD BAD "\u202F"},
		{S("\u2065\u2066\u2069\u206A"), "\u2065" BAD BAD "\u206A"},
		{S("\u200Eخطة\u200F.pdf"), "\u200Eخطة\u200F.pdf"},
		{S("\u0C2Aé"), "\u0C2Aé"},
		{S("\\ : * ? < > |"), "\\ : * ? < > |"},
		{S("\xFF"), BAD},
		{S("a\xC3"), "a" BAD},
		{S("\xC0\xAF"), BAD BAD},
		{S("\xE0\x80\xAF"), BAD BAD BAD},
		{S("\xED\xA0\x80\xED\xBF\xBF"), BAD BAD BAD BAD BAD BAD},
		{S("\xED\x9F\xBF\xEE\x80\x80"), "\xED\x9F\xBF\xEE\x80\x80"},
		{S("\xF0\x8F\xBF\xBF"), BAD BAD BAD BAD},
		{S("\xF4\x90\x80\x80"), BAD BAD BAD BAD},
		{S("\xF4\x8F\xBF\xBF😀"), "\xF4\x8F\xBF\xBF😀"},
		{S("\xF0\x9F\x98/"), BAD "\uFF0F"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct name_entry entry = {
			.raw = table[i].raw,
			.raw_len = table[i].raw_len,
			.id = "id",
			.id_len = 2,
			.suffix = "",
		};

		assert_int_equal(names_assign(&entry, 1, NULL, 0), 0);
		assert_string_equal(entry.name, table[i].legal);
		free(entry.name);
	}
}

/* ---- Sets, by table. ---- */

struct row {
	const char *raw;
	const char *id;
	const char *suffix;
	const char *name;
};

/* `hash` of a row is its number from 1. */
static void check_rows(const struct row *rows, size_t count)
{
	struct name_entry entries[SET_MAX];

	for (size_t i = 0; i < count; i++) {
		entries[i] = (struct name_entry){
			.raw = rows[i].raw,
			.raw_len = strlen(rows[i].raw),
			.id = rows[i].id,
			.id_len = strlen(rows[i].id),
			.hash = i + 1,
			.suffix = rows[i].suffix,
		};
	}
	assert_int_equal(names_assign(entries, count, reserved_names, COUNT(reserved_names)), 0);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(entries[i].name, rows[i].name);
	for (size_t i = 0; i < count; i++)
		free(entries[i].name);
}

#define CHECK_ROWS(...)                                                                            \
	do {                                                                                       \
		static const struct row rows[] = {__VA_ARGS__};                                    \
		check_rows(rows, COUNT(rows));                                                     \
	} while (0)

static void test_assign_plain(void **state)
{
	(void)state;
	assert_int_equal(names_assign(NULL, 0, reserved_names, COUNT(reserved_names)), 0);
	CHECK_ROWS({"A-40-1-001.pdf", "1", ".json", "A-40-1-001.pdf"},
		   {"A-40-1-002.pdf", "2", ".json", "A-40-1-002.pdf"},
		   {"Arkitekt", "3", "", "Arkitekt"}, {"a/b", "4", "", "a\uFF0Fb"});
	CHECK_ROWS({"", "MNWI5YR89", "", "MNWI5YR89"}, {"", "a/../b", ".json", "a\uFF0F..\uFF0Fb"});
	CHECK_ROWS({"", "..", "", "\uFF0E\uFF0E"}, {".", "x", ".json", "\uFF0E"});
}

static void test_assign_clash(void **state)
{
	(void)state;
	/* All that clash, and they alone. */
	CHECK_ROWS({"a.pdf", "MNWI5YR89", ".json", "a [MNWI5YR8].pdf"},
		   {"a.pdf", "6f9619ff-8b86", ".json", "a [6f9619ff].pdf"},
		   {"b.pdf", "3", ".json", "b.pdf"});
	/* Different names that become the same. */
	CHECK_ROWS({"a/b", "1", "", "a\uFF0Fb [1]"}, {"a\uFF0Fb", "2", "", "a\uFF0Fb [2]"});
	CHECK_ROWS({".", "1", "", "\uFF0E [1]"}, {"\uFF0E", "2", "", "\uFF0E [2]"});
	CHECK_ROWS({"..", "1", "", "\uFF0E\uFF0E [1]"},
		   {"\uFF0E\uFF0E", "2", "", "\uFF0E\uFF0E [2]"});
	CHECK_ROWS({"", "1", "", "1 [1]"}, {"1", "2", "", "1 [2]"});
	/* The whole id where eight characters do not tell apart, for those two alone. */
	CHECK_ROWS({"a.b", "12345678x", ".json", "a [12345678x].b"},
		   {"a.b", "12345678y", ".json", "a [12345678y].b"},
		   {"a.b", "99", ".json", "a [99].b"});
	/* Characters, not bytes; legal. */
	CHECK_ROWS({"a", "åäöÅÄÖéèxyz", "", "a [åäöÅÄÖéè]"},
		   {"a", "//////////", "", "a [\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F]"});
	/* The hash where the ids become the same, or are (of different kinds). */
	CHECK_ROWS({"a.b", "1/", ".json", "a [0000000000000001].b"},
		   {"a.b", "1\uFF0F", ".json", "a [0000000000000002].b"});
	CHECK_ROWS({"a", "1", "", "a [0000000000000001]"}, {"a", "1", "", "a [0000000000000002]"});
	/* ... or do not fit. */
	CHECK_ROWS({"a", "12345678a" X100 X100, "", "a [0000000000000001]"},
		   {"a", "12345678b" X100 X100, "", "a [0000000000000002]"});
	CHECK_ROWS({"a", X100 X100, "", "a [0000000000000001]"},
		   {"a", X100 X100 "x", "", "a [0000000000000002]"});
}

static void test_assign_two_trees(void **state)
{
	(void)state;
	/* The same with their suffixes, then the same without. */
	CHECK_ROWS({"a.json", "1", "", "a [1].json"}, {"a", "2", ".json", "a [2]"});
	CHECK_ROWS({"a", "1", "", "a [1]"}, {"a", "2", ".json", "a [2]"});
	/* Never side by side: one name with its suffix, the other without. */
	CHECK_ROWS({"a", "1", ".json", "a"}, {"a.json", "2", ".json", "a.json"});
}

static void test_assign_reserved(void **state)
{
	(void)state;
	CHECK_ROWS({"binder", "1", ".json", "binder [1]"}, {"folder", "2", "", "folder"},
		   {"folder.json", "3", "", "folder [3].json"},
		   {"Ritningar", "4", "", "Ritningar [4]"},
		   {"binder.json", "5", ".json", "binder.json"},
		   {"Binder", "6", ".json", "Binder"});
}

/* A marked name meets one that is called so. */
static void test_assign_chain(void **state)
{
	(void)state;
	CHECK_ROWS({"a", "123456789", "", "a [123456789]"}, {"a", "2", "", "a [2]"},
		   {"a [12345678]", "3", "", "a [12345678] [3]"});
	CHECK_ROWS({"a", "1", "", "a [1]"}, {"a", "2", "", "a [2]"},
		   {"a [1]", "3", "", "a [1] [3]"}, {"a [1] [3]", "4", "", "a [1] [3] [4]"});
}

static void test_assign_cut(void **state)
{
	(void)state;
	/* 255 bytes fit, 250 with the suffix. */
	CHECK_ROWS({X100 X100 X10 X10 X10 X10 X10 "xxxxx", "1", "",
		    X100 X100 X10 X10 X10 X10 X10 "xxxxx"},
		   {X100 X100 X10 X10 X10 X10 X10, "2", ".json", X100 X100 X10 X10 X10 X10 X10},
		   {X100 X100 X10 X10 X10 X10 X10 "x", "MNWI5YR89", ".json",
		    X100 X100 X10 X10 X10 "xxxxxxxxx [MNWI5YR8]"});
	/* The extension stays. */
	CHECK_ROWS({X100 X100 X100 ".pdf", "MNWI5YR89", ".json",
		    X100 X100 X10 X10 X10 "xxxxx [MNWI5YR8].pdf"});
	/* Sixteen bytes are an extension, seventeen are none; neither is a first dot. */
	CHECK_ROWS({X100 X100 X100 ".123456789abcdef", "MNWI5YR89", "",
		    X100 X100 X10 X10 "xxxxxxxx [MNWI5YR8].123456789abcdef"},
		   {X100 X100 X100 ".123456789abcdefg", "2", "",
		    X100 X100 X10 X10 X10 X10 X10 "x [2]"},
		   {"." X100 X100 X100, "3", "", "." X100 X100 X10 X10 X10 X10 X10 " [3]"});
	/* Its legal form counts. */
	CHECK_ROWS({"a./////", "1", "", "a [1].\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F"},
		   {"a.\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F", "2", "",
		    "a [2].\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F"},
		   {"b.//////", "3", "", "b.\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F [3]"},
		   {"b.//////", "4", "", "b.\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F\uFF0F [4]"});
	CHECK_ROWS({".a", "1", "", ".a [1]"}, {".a", "2", "", ".a [2]"}, {"b.", "1", "", "b [1]."},
		   {"b.", "2", "", "b [2]."}, {"..c", "1", "", ". [1].c"},
		   {"..c", "2", "", ". [2].c"});
	/* At a code point. */
	CHECK_ROWS({X100 X100 X10 X10 X10 X10 "xxxxxxxxåååå", "MNWI5YR89", "",
		    X100 X100 X10 X10 X10 X10 "xxxx [MNWI5YR8]"},
		   {X100 X100 X10 X10 X10 X10 "xåååååååå", "MNWI5YR89", "",
		    X100 X100 X10 X10 X10 X10 "xå [MNWI5YR8]"});
}

static void test_assign_refused(void **state)
{
	struct name_entry entry = {
		.raw = "a", .raw_len = 1, .id = "1", .id_len = 1, .name = (char *)1};

	(void)state;
	entry.suffix = ".a suffix of more than 32 bytes....";
	assert_int_equal(names_assign(&entry, 1, NULL, 0), -EINVAL);
	assert_null(entry.name);
}

/* ---- Sets, by property. ---- */

static uint64_t random_state;

static unsigned random_below(unsigned bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % bound;
}

static void random_bytes(struct buf *out)
{
	/* Few pieces, so that the names they make are often alike. */
	static const struct {
		const char *bytes;
		size_t len;
	} pieces[] = {
		{S("a")},
		{S("a")},
		{S("a")},
		{S("b")},
		{S(".")},
		{S("/")},
		{S("\uFF0F")},
		{S("\0")},
		{S("\x7F")},
		{S("\xFF")},
		{S(BAD)},
		{S("\xED\xA0\x80")},
		{S("\xC3")},
		{S("å")},
		{S("😀")},
		{S(".pdf")},
		{S(".json")},
		{S("binder")},
		{S("Ritningar")},
		{S(" [a]")},
		{S(" [aaaaaaaa]")},
		{S(" [0000000000000001]")},
		{S("\xC2\x85")},
		{S(X100 X100 X10 X10 X10)},
		{S("åååååååååååååååååååååååååååååååååååååååååååååååååååååååååååå")},
	};
	for (unsigned left = random_below(4); left > 0; left--) {
		unsigned choice = random_below(COUNT(pieces));
		buf_append(out, pieces[choice].bytes, pieces[choice].len);
	}
}

static int compare_source(const struct name_entry *a, const struct name_entry *b)
{
	if (a->raw_len != b->raw_len || a->id_len != b->id_len)
		return 1;
	return (a->raw_len > 0 && memcmp(a->raw, b->raw, a->raw_len)) ||
	       memcmp(a->id, b->id, a->id_len) || strcmp(a->suffix, b->suffix);
}

/* Entries that own their raw names and ids; of two that are equal only one. */
static size_t random_set(struct name_entry *entries)
{
	size_t count = 0;

	for (unsigned left = 1 + random_below(SET_MAX); left > 0; left--) {
		struct name_entry *entry = &entries[count];
		struct buf raw = BUF_INIT(10000);
		struct buf id = BUF_INIT(10000);
		random_bytes(&raw);
		if (random_below(3) == 0)
			buf_append_str(&id, "aaaaaaaa");
		random_bytes(&id);
		if (id.len == 0)
			buf_append_str(&id, "a");
		*entry = (struct name_entry){.raw_len = raw.len, .id_len = id.len};
		entry->raw = buf_steal(&raw);
		entry->id = buf_steal(&id);
		entry->suffix = random_below(2) ? ".json" : "";
		entry->hash = left;

		size_t other = 0;
		while (compare_source(entry, &entries[other]) != 0)
			other++;
		if (other < count) {
			free((char *)entry->raw);
			free((char *)entry->id);
		} else {
			count++;
		}
	}
	return count;
}

static void check_legal(const struct name_entry *entry)
{
	const char *at = entry->name;
	mbstate_t shift = {0};

	assert_true(strlen(at) + strlen(entry->suffix) <= NAME_BYTES_MAX);
	assert_string_not_equal(at, "");
	assert_string_not_equal(at, ".");
	assert_string_not_equal(at, "..");
	for (; *at; at++)
		assert_true((unsigned char)*at >= 0x20 && *at != 0x7F && *at != '/');
	/* The C library's opinion of UTF-8 is not our own. */
	at = entry->name;
	if (mbsrtowcs(NULL, &at, 0, &shift) == (size_t)-1)
		fail_msg("not UTF-8: %s", entry->name);
}

static void full_name(const struct name_entry *entry, char out[NAME_BYTES_MAX + 1])
{
	char *end = stpncpy(out, entry->name, NAME_BYTES_MAX);
	stpcpy(end, entry->suffix);
}

static void check_distinct(const struct name_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char full[NAME_BYTES_MAX + 1];
		full_name(&entries[i], full);
		for (size_t r = 0; r < COUNT(reserved_names); r++)
			assert_string_not_equal(full, reserved_names[r]);
		for (size_t j = 0; j < i; j++) {
			char other[NAME_BYTES_MAX + 1];
			full_name(&entries[j], other);
			assert_string_not_equal(full, other);
			assert_string_not_equal(entries[i].name, entries[j].name);
		}
	}
}

static void check_order(const struct name_entry *entries, size_t count)
{
	struct name_entry shuffled[SET_MAX];
	size_t from[SET_MAX];

	for (size_t i = 0; i < count; i++) {
		size_t at = random_below((unsigned)i + 1);
		shuffled[i] = shuffled[at];
		from[i] = from[at];
		shuffled[at] = entries[i];
		from[at] = i;
	}
	assert_int_equal(names_assign(shuffled, count, reserved_names, COUNT(reserved_names)), 0);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(shuffled[i].name, entries[from[i]].name);
		free(shuffled[i].name);
	}
}

/* Who clashes with no other keeps the name it has alone; who clashes does not. */
static void check_first_round(const struct name_entry *entries, size_t count)
{
	struct name_entry alone[SET_MAX];
	char full[SET_MAX][NAME_BYTES_MAX + 1];
	bool clash[SET_MAX] = {false};
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		alone[i] = entries[i];
		assert_int_equal(names_assign(&alone[i], 1, NULL, 0), 0);
		full_name(&alone[i], full[i]);
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t r = 0; r < COUNT(reserved_names); r++)
			clash[i] = clash[i] || strcmp(full[i], reserved_names[r]) == 0;
		for (size_t j = 0; j < count; j++)
			clash[i] =
				clash[i] || (i != j && (strcmp(full[i], full[j]) == 0 ||
							strcmp(alone[i].name, alone[j].name) == 0));
		any = any || clash[i];
	}
	for (size_t i = 0; i < count; i++) {
		/* An id of up to eight characters is whole at once: a cut name may stay. */
		if (clash[i] && alone[i].level == 0)
			assert_string_not_equal(entries[i].name, alone[i].name);
		if (!any)
			assert_string_equal(entries[i].name, alone[i].name);
		free(alone[i].name);
	}
}

static void test_properties(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	for (unsigned seed = 0; seed < ROUNDS; seed++) {
		struct name_entry entries[SET_MAX];

		random_state = seed;
		size_t count = random_set(entries);
		assert_int_equal(
			names_assign(entries, count, reserved_names, COUNT(reserved_names)), 0);
		for (size_t i = 0; i < count; i++)
			check_legal(&entries[i]);
		check_distinct(entries, count);
		check_order(entries, count);
		check_first_round(entries, count);
		for (size_t i = 0; i < count; i++) {
			free((char *)entries[i].raw);
			free((char *)entries[i].id);
			free(entries[i].name);
		}
	}
}

/* ---- Large sets. ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name_entry *)a)->name, ((const struct name_entry *)b)->name);
}

static void check_many(char (*raws)[NAME_BYTES_MAX + 1], char (*ids)[ID_SIZE])
{
	struct name_entry *entries = calloc(MANY, sizeof(*entries));

	assert_non_null(entries);
	for (size_t i = 0; i < MANY; i++) {
		entries[i] = (struct name_entry){
			.raw = raws[i],
			.raw_len = strlen(raws[i]),
			.id = ids[i],
			.id_len = strlen(ids[i]),
			.hash = i,
			.suffix = "",
		};
	}
	clock_t start = clock();
	assert_int_equal(names_assign(entries, MANY, NULL, 0), 0);
	assert_true(clock() - start < MANY_SECONDS * CLOCKS_PER_SEC);
	qsort(entries, MANY, sizeof(*entries), compare_names);
	for (size_t i = 1; i < MANY; i++)
		assert_string_not_equal(entries[i - 1].name, entries[i].name);
	for (size_t i = 0; i < MANY; i++)
		free(entries[i].name);
	free(entries);
}

static void test_many(void **state)
{
	char(*raws)[NAME_BYTES_MAX + 1] = calloc(MANY, sizeof(*raws));
	char(*ids)[ID_SIZE] = calloc(MANY, sizeof(*ids));

	(void)state;
	assert_non_null(raws);
	assert_non_null(ids);
	/* All alike, and so are the ids' first eight characters. */
	for (int i = 0; i < MANY; i++) {
		snprintf(raws[i], sizeof(raws[i]), "relation.pdf");
		snprintf(ids[i], sizeof(ids[i]), "12345678%d", i);
	}
	check_many(raws, ids);

	/* Each is called what the one before becomes, so that every round finds one new clash. */
	for (int i = 0; i < MANY; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%08d", i);
		memset(raws[i], 'x', NAME_BYTES_MAX);
		if (i > 1)
			snprintf(raws[i] + NAME_BYTES_MAX - 11, 12, " [%08d]", i - 1);
	}
	check_many(raws, ids);
	free(raws);
	free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_legalise),	cmocka_unit_test(test_assign_plain),
		cmocka_unit_test(test_assign_clash),	cmocka_unit_test(test_assign_two_trees),
		cmocka_unit_test(test_assign_reserved), cmocka_unit_test(test_assign_chain),
		cmocka_unit_test(test_assign_cut),	cmocka_unit_test(test_assign_refused),
		cmocka_unit_test(test_properties),	cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
