/* fuzz_name.c: names. Whatever the API calls the objects of a directory, their file names are
 * legal, distinct, and the same in whatever order the objects come.
 *
 * Input: a byte of options, then raw name and id in turn, each ended by 0xff, which is no UTF-8. */
#include "fuzz.h"
#include "name.h"
#include "utf8.h"

#define ENTRIES_MAX 64

enum { WITH_SUFFIX = 1, WITH_RESERVED = 2, MIXED = 4 };

static const char *const reserved[] = {"binder.json", "folder.json", "metadata-elements.json"};
#define RESERVED (sizeof(reserved) / sizeof(reserved[0]))

static void check_legal(const struct name_entry *entry)
{
	const char *end = entry->name + strlen(entry->name);

	CHECK(entry->name[0] != '\0');
	CHECK((size_t)(end - entry->name) + strlen(entry->suffix) <= NAME_BYTES_MAX);
	CHECK(strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0);
	for (const char *at = entry->name; at < end;) {
		bool valid;
		size_t len = utf8_length(at, end, &valid);

		CHECK((unsigned char)*at >= ' ' && *at != 0x7f && *at != '/');
		CHECK(valid && !utf8_is_hazard(at, len));
		at += len;
	}
}

static void check_distinct(const struct name_entry *entries, size_t count, size_t reserved_count)
{
	char left[2 * NAME_BYTES_MAX];
	char right[2 * NAME_BYTES_MAX];

	for (size_t i = 0; i < count; i++) {
		snprintf(left, sizeof(left), "%s%s", entries[i].name, entries[i].suffix);
		for (size_t j = 0; j < reserved_count; j++)
			CHECK(strcmp(left, reserved[j]) != 0);
		for (size_t j = 0; j < i; j++) {
			snprintf(right, sizeof(right), "%s%s", entries[j].name, entries[j].suffix);
			CHECK(strcmp(left, right) != 0);
			CHECK(strcmp(entries[i].name, entries[j].name) != 0);
		}
	}
}

/* The same set, from the last to the first and from the middle on. */
static void check_order(const struct name_entry *entries, size_t count, size_t reserved_count)
{
	struct name_entry others[ENTRIES_MAX];

	for (size_t turn = 0; turn < 2; turn++) {
		size_t middle = count / 2;

		for (size_t i = 0; i < count; i++)
			others[i] = entries[turn ? (i + middle) % count : count - 1 - i];
		CHECK(names_assign(others, count, reserved, reserved_count) == 0);
		for (size_t i = 0; i < count; i++) {
			const struct name_entry *entry =
				&entries[turn ? (i + middle) % count : count - 1 - i];

			CHECK(strcmp(others[i].name, entry->name) == 0);
			free(others[i].name);
		}
	}
}

/* Whether nothing about a raw name has to be changed, as long as no other clashes with it. */
static bool is_plain(const struct name_entry *entry)
{
	const char *end = entry->raw + entry->raw_len;

	if (entry->raw_len == 0 || entry->raw_len + strlen(entry->suffix) > NAME_BYTES_MAX ||
	    (entry->raw_len <= 2 && memcmp(entry->raw, "..", entry->raw_len) == 0))
		return false;
	for (const char *at = entry->raw; at < end;) {
		bool valid;
		size_t len;

		if ((unsigned char)*at < ' ' || *at == 0x7f || *at == '/')
			return false;
		len = utf8_length(at, end, &valid);
		if (!valid || utf8_is_hazard(at, len))
			return false;
		at += len;
	}
	return true;
}

static bool is_raw(const struct name_entry *entry)
{
	return strlen(entry->name) == entry->raw_len &&
	       memcmp(entry->name, entry->raw, entry->raw_len) == 0;
}

static bool is_marked(const struct name_entry *entry)
{
	return strstr(entry->name, " [") != NULL;
}

/* A name is only changed if it must be. */
static void check_kept(const struct name_entry *entries, size_t count, size_t reserved_count)
{
	for (size_t i = 0; i < count; i++) {
		if (is_plain(&entries[i]) && !is_marked(&entries[i]))
			CHECK(is_raw(&entries[i]));
	}
	if (count == 1 && reserved_count == 0 && is_plain(&entries[0]))
		CHECK(is_raw(&entries[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct name_entry entries[ENTRIES_MAX];
	struct piece input = {(const char *)data, size};
	struct piece raw;
	struct piece id;
	size_t count = 0;
	size_t reserved_count;
	int options;

	if (size == 0)
		return 0;
	options = *data;
	input.text++;
	input.len--;
	reserved_count = options & WITH_RESERVED ? RESERVED : 0;
	while (count < ENTRIES_MAX && piece_take(&input, '\xff', &raw) &&
	       piece_take(&input, '\xff', &id) && id.len > 0) {
		bool is_file = options & MIXED ? count % 2 : options & WITH_SUFFIX;

		entries[count] = (struct name_entry){
			.raw = raw.text,
			.raw_len = raw.len,
			.id = id.text,
			.id_len = id.len,
			.hash = 0x9e3779b97f4a7c15 * (count + 1),
			.suffix = is_file ? ".json" : "",
		};
		count++;
	}
	CHECK(names_assign(entries, count, reserved, reserved_count) == 0);
	for (size_t i = 0; i < count; i++)
		check_legal(&entries[i]);
	check_distinct(entries, count, reserved_count);
	check_kept(entries, count, reserved_count);
	if (count > 1)
		check_order(entries, count, reserved_count);
	for (size_t i = 0; i < count; i++)
		free(entries[i].name);
	return 0;
}
