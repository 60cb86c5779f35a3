/* check_listing.h: what holds for every listing, whatever the server sent. */
#ifndef CHECK_LISTING_H
#define CHECK_LISTING_H

#include "fuzz.h"
#include "listing.h"
#include "name.h"
#include "utf8.h"

/* How long the text is follows from what the listing says it holds. */
static inline size_t text_len(const struct listing *listing)
{
	return listing->bytes - sizeof(*listing) - listing->dir_count * sizeof(*listing->dirs) -
	       listing->entry_count * (sizeof(*listing->entries) + sizeof(uint32_t));
}

static inline void check_name(const char *name, size_t max)
{
	const char *end = name + strnlen(name, max);
	size_t len;
	bool valid;

	CHECK(end < name + max && *name && end - name <= NAME_BYTES_MAX);
	CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	for (const char *at = name; at < end; at += len) {
		len = utf8_length(at, end, &valid);
		CHECK((unsigned char)*at >= ' ' && *at != 0x7f && *at != '/');
		CHECK(valid && !utf8_is_hazard(at, len));
	}
}

static inline void check_body(const struct listing *listing, const struct listing_entry *entry)
{
	const char *body = listing_body(listing, entry);
	struct json value;

	CHECK((size_t)entry->body + entry->body_len <= text_len(listing));
	if (entry->body_len == 0) {
		CHECK(entry->type == LISTING_DIR && entry->dir != LISTING_ELSEWHERE);
		return;
	}
	CHECK(body[entry->body_len - 1] == '\n');
	CHECK(json_parse(body, entry->body_len, &value) == 0);
	CHECK(value.text == body && value.len == entry->body_len - 1);
}

/* The name in files/. */
static inline void content_name(const struct listing *listing, const struct listing_entry *entry,
				char name[2 * NAME_BYTES_MAX])
{
	size_t len = strlen(listing_name(listing, entry)) - strlen(".json");

	snprintf(name, 2 * NAME_BYTES_MAX, "%.*s%s", (int)len, listing_name(listing, entry),
		 listing->content_suffix);
}

static inline void check_content(const struct listing *listing, const struct listing_entry *entry)
{
	char name[2 * NAME_BYTES_MAX];
	char id[LISTING_ID_MAX + 1];
	struct listing_inline contents;
	struct buf bytes = BUF_INIT(1 << 20);

	content_name(listing, entry, name);
	check_name(name, sizeof(name));
	if (!entry->is_inline) {
		CHECK((size_t)entry->content + entry->content_len <= text_len(listing));
		CHECK(strlen(listing_content(listing, entry, id)) == entry->content_len);
		return;
	}
	CHECK(entry->content + sizeof(contents) <= text_len(listing));
	memcpy(&contents, listing->text + entry->content, sizeof(contents));
	CHECK((size_t)contents.string + contents.len <= text_len(listing));
	CHECK(listing_inline_read(listing, entry, &bytes) == 0);
	CHECK(bytes.len == listing_inline_size(listing, entry));
	buf_reset(&bytes);
}

static inline void check_entry(const struct listing *listing, uint32_t index)
{
	const struct listing_entry *entry = &listing->entries[index];
	uint32_t dir = listing_dir_of(listing, entry);
	struct buf path = BUF_INIT(1 << 20);
	char id[LISTING_ID_MAX + 1];

	CHECK(entry->name < text_len(listing));
	check_name(listing_name(listing, entry), text_len(listing) - entry->name);
	CHECK((size_t)entry->id + entry->id_len <= text_len(listing) && entry->id_len > 0);
	CHECK(strlen(listing_id(listing, entry, id)) == entry->id_len);
	if (listing_has_content(entry))
		check_content(listing, entry);
	check_body(listing, entry);
	CHECK(entry->ino >= LISTING_INO_MIN && entry->ino <= LISTING_INO_MASK);
	CHECK(entry->mtime_ns != LISTING_NO_TIME && entry->version <= listing->generation);
	CHECK(listing_find_ino(listing, entry->ino)->ino == entry->ino);
	CHECK(listing_links(listing, entry) == 1 || entry->is_linked);
	CHECK(listing_find_name(listing, dir, listing_name(listing, entry)) == entry);
	CHECK(listing_path(listing, entry, &path) == 0);
	for (int step = -1; step <= 1; step += 2) {
		const struct listing_entry *next =
			listing_neighbour(listing, entry, LISTING_BY_NAME, step);

		CHECK(!next || (listing_dir_of(listing, next) == dir && next == entry + step));
		next = listing_neighbour(listing, entry, LISTING_BY_INO, step);
		CHECK(!next || (step < 0 ? next->ino <= entry->ino : next->ino >= entry->ino));
	}
	buf_reset(&path);
}

/* They are distinct too, and no directory has one of them. */
static inline void check_content_names(const struct listing *listing, const struct listing_dir *dir)
{
	char left[2 * NAME_BYTES_MAX];
	char right[2 * NAME_BYTES_MAX];

	for (uint32_t i = dir->first; i < dir->first + dir->count; i++) {
		if (!listing_has_content(&listing->entries[i]))
			continue;
		content_name(listing, &listing->entries[i], left);
		for (uint32_t j = dir->first; j < dir->first + dir->count; j++) {
			const struct listing_entry *other = &listing->entries[j];

			snprintf(right, sizeof(right), "%s", listing_name(listing, other));
			if (listing_has_content(other))
				content_name(listing, other, right);
			if (j != i && (listing_has_content(other) || other->type == LISTING_DIR))
				CHECK(strcmp(left, right) != 0);
		}
	}
}

/* Each directory stands in its parent, once, and all hang from the top. */
static inline void check_dir(const struct listing *listing, uint32_t index)
{
	const struct listing_dir *dir = &listing->dirs[index];
	uint32_t up = index;

	CHECK((uint64_t)dir->first + dir->count <= listing->entry_count);
	CHECK(dir->mtime_ns != LISTING_NO_TIME);
	for (uint32_t i = dir->first + 1; i < dir->first + dir->count; i++)
		CHECK(strcmp(listing_name(listing, &listing->entries[i - 1]),
			     listing_name(listing, &listing->entries[i])) < 0);
	check_content_names(listing, dir);
	if (index == 0) {
		CHECK(dir->ino == 0 && dir->parent == 0);
		return;
	}
	for (uint32_t steps = 0; up != 0; steps++) {
		CHECK(steps < listing->dir_count && listing->dirs[up].parent < listing->dir_count);
		up = listing->dirs[up].parent;
	}
	const struct listing_entry *entry = listing_find_ino(listing, dir->ino);

	CHECK(entry && entry->type == LISTING_DIR && entry->dir == index);
	CHECK(listing_dir_of(listing, entry) == dir->parent);
}

static inline void check_listing(const struct listing *listing)
{
	uint32_t in_dirs = 0;

	CHECK(listing->references == 1 && listing->dir_count > 0);
	for (uint32_t i = 1; i < listing->entry_count; i++) {
		const struct listing_entry *left = &listing->entries[listing->by_ino[i - 1]];
		const struct listing_entry *right = &listing->entries[listing->by_ino[i]];

		CHECK(left->ino < right->ino ||
		      (left->ino == right->ino && left->is_linked && right->is_linked &&
		       left->type == LISTING_FILE &&
		       listing_dir_of(listing, left) != listing_dir_of(listing, right)));
	}
	for (uint32_t i = 0; i < listing->dir_count; i++) {
		check_dir(listing, i);
		in_dirs += listing->dirs[i].count;
	}
	CHECK(in_dirs == listing->entry_count);
	for (uint32_t i = 0; i < listing->entry_count; i++)
		check_entry(listing, i);
}

static inline const struct listing_entry *find_id(const struct listing *listing,
						  enum listing_kind kind, const char *id)
{
	const struct listing_entry *found = NULL;
	char buffer[LISTING_ID_MAX + 1];

	for (uint32_t i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[i];

		if (entry->kind != kind || strcmp(listing_id(listing, entry, buffer), id) != 0)
			continue;
		CHECK(!found || found->ino == entry->ino); /* shown twice, but where it was put */
		found = entry;
	}
	return found;
}

/* How many objects. */
static inline uint32_t count_kind(const struct listing *listing, enum listing_kind kind)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < listing->entry_count; i++)
		count += listing->entries[i].kind == kind &&
			 listing_find_ino(listing, listing->entries[i].ino) == &listing->entries[i];
	return count;
}

#endif
