/* listing_fixture.h: what the tests of listings share: objects in short, a listing built from them,
 * its tree as text, and what holds for every listing. Include after cmocka.h. */
#ifndef LISTING_FIXTURE_H
#define LISTING_FIXTURE_H

#include "listing.h"
#include "loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(arr)  (sizeof(arr) / sizeof((arr)[0]))
#define LISTING_MAX ((size_t)256 << 20)
#define NOW	    INT64_C(1700000000000000000)
#define LATER	    INT64_C(1800000000000000000)
/* Where an id is copied to, for the block it is used in. */
#define ID_BUFFER ((char[LISTING_ID_MAX + 1]){0})

/* An object in short: `json` NULL stands for {"id": id}. */
struct object {
	enum listing_kind kind;
	const char *id;
	const char *parent;
	const char *name;
	const char *json;
	int64_t mtime_ns;    /* 0: no time */
	const char *content; /* its version's id */
};

#define FOLDER(id_, parent_, name_)                                                                \
	{                                                                                          \
		.kind = LISTING_KIND_FOLDER, .id = id_, .parent = parent_, .name = name_           \
	}
#define DOC_OF(id_, parent_, name_, json_, mtime_)                                                 \
	{                                                                                          \
		.kind = LISTING_KIND_DOCUMENT, .id = id_, .parent = parent_, .name = name_,        \
		.json = json_, .mtime_ns = mtime_                                                  \
	}
#define DOC(id_, parent_, name_) DOC_OF(id_, parent_, name_, NULL, 0)
#define BINDER(id_, name_, json_, mtime_)                                                          \
	{                                                                                          \
		.kind = LISTING_KIND_BINDER, .id = id_, .name = name_, .json = json_,              \
		.mtime_ns = mtime_                                                                 \
	}
#define BINDER_JSON(id_)                                                                           \
	{                                                                                          \
		.kind = LISTING_KIND_BINDER_JSON, .id = id_                                        \
	}
#define METADATA_JSON(id_)                                                                         \
	{                                                                                          \
		.kind = LISTING_KIND_METADATA_JSON, .id = id_                                      \
	}
#define FOLDER_JSON(id_)                                                                           \
	{                                                                                          \
		.kind = LISTING_KIND_FOLDER_JSON, .id = id_, .parent = id_                         \
	}

static inline int add(struct listing_builder *builder, const struct object *short_form)
{
	char made[LISTING_ID_MAX + 64];
	const char *json = short_form->json;
	enum listing_kind kind = short_form->kind;
	struct listing_object object = {
		.kind = kind,
		.id = short_form->id,
		.parent = short_form->parent,
		.raw_name = short_form->name,
		.raw_name_len = short_form->name ? strlen(short_form->name) : 0,
		.own_name = kind == LISTING_KIND_BINDER_JSON	 ? "binder.json"
			    : kind == LISTING_KIND_FOLDER_JSON	 ? "folder.json"
			    : kind == LISTING_KIND_METADATA_JSON ? "metadata-elements.json"
								 : NULL,
		.suffix = kind == LISTING_KIND_DOCUMENT ? ".json" : NULL,
		.content = short_form->content,
		.elsewhere = kind == LISTING_KIND_BINDER,
		.mtime_ns = short_form->mtime_ns ? short_form->mtime_ns : LISTING_NO_TIME,
	};

	snprintf(made, sizeof(made), "{\"id\":\"%s\"}", short_form->id);
	if (kind != LISTING_KIND_FOLDER)
		assert_int_equal(
			json_parse(json ? json : made, strlen(json ? json : made), &object.json),
			0);
	if (kind == LISTING_KIND_BINDER || kind == LISTING_KIND_FOLDER)
		return listing_builder_add_dir(builder, &object);
	return listing_builder_add_file(builder, &object);
}

static inline struct listing_builder *builder_with(const struct object *objects, size_t count)
{
	struct listing_builder *builder;

	assert_int_equal(listing_builder_new("salt", "", LISTING_MAX, &builder), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(add(builder, &objects[i]), 0);
	return builder;
}

static inline struct listing *build(const struct object *objects, size_t count,
				    const struct listing *previous, int64_t now_ns)
{
	struct listing_builder *builder = builder_with(objects, count);
	struct listing *listing = NULL;

	assert_int_equal(
		listing_builder_finish(builder, previous, LISTING_NO_TIME, now_ns, &listing), 0);
	listing_builder_free(builder);
	assert_non_null(listing);
	return listing;
}

#define BUILD(previous, now, ...)                                                                  \
	build((const struct object[]){__VA_ARGS__},                                                \
	      sizeof((const struct object[]){__VA_ARGS__}) / sizeof(struct object), previous, now)

/* The entry at a path such as "Ritningar/A.json"; NULL if there is none. */
static inline const struct listing_entry *at_path(const struct listing *listing, const char *path)
{
	const struct listing_entry *entry = NULL;
	uint32_t dir = 0;

	for (;;) {
		char name[300];
		size_t len = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		entry = listing_find_name(listing, dir, name);
		if (!entry || path[len] == '\0')
			return entry;
		if (entry->type != LISTING_DIR || entry->dir == LISTING_ELSEWHERE)
			return NULL;
		dir = entry->dir;
		path += len + 1;
	}
}

static inline int64_t mtime_at(const struct listing *listing, const char *path)
{
	const struct listing_entry *entry = at_path(listing, path);

	assert_non_null(entry);
	return entry->mtime_ns;
}

/* One line an entry, in the listing's order: the whole tree as text. */
static inline void print_dir(const struct listing *listing, uint32_t dir, const char *path,
			     struct buf *out)
{
	const struct listing_dir *in = &listing->dirs[dir];

	for (uint32_t i = 0; i < in->count; i++) {
		const struct listing_entry *entry = &listing->entries[in->first + i];
		char below[4096];

		snprintf(below, sizeof(below), "%s/%s", path, listing_name(listing, entry));
		buf_printf(out, "%s %u %s %016llx\n", below, entry->kind,
			   listing_id(listing, entry, ID_BUFFER), (unsigned long long)entry->ino);
		if (entry->body_len)
			buf_append(out, listing_body(listing, entry), entry->body_len);
		if (entry->type == LISTING_DIR && entry->dir != LISTING_ELSEWHERE)
			print_dir(listing, entry->dir, below, out);
	}
}

static inline void assert_same_tree(const struct listing *a, const struct listing *b)
{
	struct buf text_a = BUF_INIT(LISTING_MAX);
	struct buf text_b = BUF_INIT(LISTING_MAX);

	print_dir(a, 0, "", &text_a);
	print_dir(b, 0, "", &text_b);
	assert_string_equal(buf_str(&text_a), buf_str(&text_b));
	buf_reset(&text_a);
	buf_reset(&text_b);
}

/* What holds for every listing, whatever was put in. */
static inline void check_listing(const struct listing *listing)
{
	uint32_t entries = 0;
	uint32_t inner = 0;

	for (uint32_t dir = 0; dir < listing->dir_count; dir++) {
		const struct listing_dir *in = &listing->dirs[dir];
		uint32_t up = dir;
		uint32_t steps = 0;

		entries += in->count;
		assert_true(in->first + in->count <= listing->entry_count);
		for (; up != 0; up = listing->dirs[up].parent)
			assert_true(steps++ < listing->dir_count); /* else a cycle */
		assert_int_equal(listing->dirs[0].parent, 0);
		for (uint32_t i = in->first; i < in->first + in->count; i++) {
			const struct listing_entry *entry = &listing->entries[i];
			const char *name = listing_name(listing, entry);

			if (i > in->first)
				assert_true(strcmp(listing_name(listing, entry - 1), name) < 0);
			assert_true(name[0] != '\0' && strlen(name) <= 255);
			assert_null(strchr(name, '/'));
			assert_ptr_equal(listing_find_name(listing, dir, name), entry);
			assert_ptr_equal(listing_find_ino(listing, entry->ino), entry);
			assert_true(entry->ino >= LISTING_INO_MIN);
			assert_true(entry->mtime_ns != LISTING_NO_TIME);
			assert_true(entry->version > 0 && entry->version <= listing->generation);
			if (entry->type == LISTING_FILE)
				assert_int_equal(listing_body(listing, entry)[entry->body_len - 1],
						 '\n');
			if (entry->type != LISTING_DIR || entry->dir == LISTING_ELSEWHERE)
				continue;
			inner++;
			assert_in_range(entry->dir, 1, listing->dir_count - 1);
			assert_int_equal(listing->dirs[entry->dir].parent, dir);
			assert_int_equal(listing->dirs[entry->dir].ino, entry->ino);
			assert_int_equal(listing->dirs[entry->dir].mtime_ns, entry->mtime_ns);
		}
	}
	assert_int_equal(entries, listing->entry_count);
	assert_int_equal(inner + 1, listing->dir_count);
	assert_true(listing->bytes > listing->entry_count * sizeof(struct listing_entry));
}

#endif
