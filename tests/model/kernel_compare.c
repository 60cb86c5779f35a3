/* kernel_compare.c: at a quiet point everything is read, by one of the ways that lead there, and
 * equals the truth: names, types, sizes, bytes, times. */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 64
#define READ_MAX    (WORLD_SIZE_MAX + 1)

struct entry {
	char name[64];
	uint64_t id; /* 0: its attributes did not come along */
};

struct listed {
	struct entry entries[ENTRIES_MAX];
	unsigned count;
};

/* What was shown of a document at the last quiet point. */
static struct {
	bool valid;
	unsigned state;
	int binder;
	int64_t mtime_ns;
} seen[DOCUMENTS];

static int64_t begun_wall_ns;

void kernel_compare_reset(void)
{
	memset(seen, 0, sizeof(seen));
	begun_wall_ns = clock_wall_ns();
}

/* While bytes of storage's that have changed are looked at: that may be told, once. */
static bool may_change;
static bool changed;

static struct fuse_req *demand(struct fuse_req asked)
{
	struct fuse_req *req = kernel_do(asked);

	if (may_change && req->error == EBADMSG) {
		changed = true;
		troubled = false;
		return req;
	}
	CHECK(req->error == 0, "error %d for %s of %llx, and nothing is wrong", req->error,
	      req->name, (unsigned long long)req->id);
	return req;
}

/* --- Directories --- */

static void take(struct listed *listed, const struct fuse_req *req)
{
	for (size_t at = 0; at < req->len;) {
		const struct fuse_direntplus *entry = (const void *)(req->bytes + at);
		struct entry *to = &listed->entries[listed->count];

		at += FUSE_DIRENTPLUS_SIZE(entry);
		snprintf(to->name, sizeof(to->name), "%.*s", (int)entry->dirent.namelen,
			 entry->dirent.name);
		to->id = entry->entry_out.nodeid;
		if (strcmp(to->name, ".") != 0 && strcmp(to->name, "..") != 0)
			CHECK(++listed->count < ENTRIES_MAX, "too many entries");
	}
}

static void read_whole_dir(struct fuse_req dir, struct listed *listed)
{
	struct fuse_req *req;

	listed->count = 0;
	dir.handle = kernel_handle();
	dir.ask = ASK_OPENDIR;
	req = demand(dir);
	do {
		dir.ask = ASK_READDIRPLUS;
		dir.fh = dir.handle->fh;
		dir.offset = dir.handle->offset;
		dir.size = 4096;
		dir.keeps = true;
		req = demand(dir);
		take(listed, req);
	} while (req->len > 0);
	kernel_close(dir.handle);
	settle();
}

static void expect(struct listed *listed, const char *name)
{
	for (unsigned i = 0; i < listed->count; i++) {
		if (strcmp(listed->entries[i].name, name) != 0)
			continue;
		return;
	}
	fail("%s is not listed", name);
}

/* --- Files --- */

static struct fuse_req *read_whole(struct fuse_req file)
{
	struct fuse_req *req;
	off_t size;

	file.handle = kernel_handle();
	file.ask = ASK_OPEN;
	if (!kernel_open_unasked(&file)) {
		req = demand(file);
		if (changed)
			return req;
	}
	file.ask = ASK_GETATTR;
	size = demand(file)->attr.st_size;
	file.ask = ASK_READ;
	file.fh = file.handle->fh;
	file.size = READ_MAX;
	file.keeps = true;
	req = demand(file);
	CHECK(changed || (size_t)size == req->len, "%s: size %lld, and %zu bytes", file.name,
	      (long long)size, req->len);
	if (file.handle->is_open)
		kernel_close(file.handle);
	settle();
	return req;
}

static void compare_text(struct fuse_req file, const char *text)
{
	struct fuse_req *req = read_whole(file);

	CHECK(req->len == strlen(text) + 1 && memcmp(req->bytes, text, req->len - 1) == 0 &&
		      req->bytes[req->len - 1] == '\n',
	      "a file should be %s, and is %.*s", text, (int)req->len, req->bytes);
}

/* The API's date until a change is seen, then the time of that; never another without a change. */
static void compare_time(int d, const struct fuse_req *found)
{
	const struct object *object = &world.documents[d];
	const struct state *now = world_now(object);
	int64_t mtime_ns =
		found->attr.st_mtim.tv_sec * 1000 * NS_PER_MS + found->attr.st_mtim.tv_nsec;
	bool may_be_new = !seen[d].valid || seen[d].binder != now->binder;
	int64_t since_ns = begun_wall_ns;

	if (!may_be_new && seen[d].state == object->count - 1) {
		CHECK(mtime_ns == seen[d].mtime_ns, "document %d did not change, and its time did",
		      d);
		return;
	}
	for (unsigned i = seen[d].state; !may_be_new && i < object->count; i++)
		may_be_new = !object->states[i].there || object->states[i].binder != now->binder;
	if (seen[d].valid)
		since_ns = object->states[seen[d].state + (seen[d].state + 1 < object->count)]
				   .from_wall_ns;
	if (seen[d].binder != now->binder)
		since_ns = begun_wall_ns; /* it may have been there before */
	CHECK((may_be_new && object->dated && mtime_ns == WORLD_DATE_NS) ||
		      (mtime_ns >= since_ns && mtime_ns <= clock_wall_ns()),
	      "document %d has a time %" PRId64 " ns before its change", d, since_ns - mtime_ns);
	seen[d].valid = true;
	seen[d].state = object->count - 1;
	seen[d].binder = now->binder;
	seen[d].mtime_ns = mtime_ns;
}

static struct fuse_req find(struct fuse_req dir, const char *name, struct fuse_req **ret_found)
{
	struct fuse_req *req;

	dir.ask = ASK_LOOKUP;
	snprintf(dir.name, sizeof(dir.name), "%s", name);
	req = demand(dir);
	CHECK(changed || req->got_id, "%s is not found", name);
	if (ret_found)
		*ret_found = req;
	dir.id = req->got_id;
	dir.place = place_of(&dir.place, name);
	return dir;
}

/* Those of any generation; what is known of an older one stays so while nobody looks. */
static bool is_content(int d, const struct fuse_req *req)
{
	unsigned version = world_now(&world.documents[d])->version;

	for (unsigned g = 0; g < world_generations(d, version); g++) {
		if (req->len == world_size(d, version, g) &&
		    (req->len == 0 ||
		     memcmp(req->bytes, world_bytes(d, version, g), req->len) == 0))
			return true;
	}
	return false;
}

/* False: storage was found to have other bytes now. */
static bool compare_content(struct fuse_req dir, const char *name)
{
	int d = place_of(&dir.place, name).document;
	bool is_swapped = world_generations(d, world_now(&world.documents[d])->version) > 1;
	struct fuse_req file;
	struct fuse_req *req;

	changed = false;
	may_change = is_swapped;
	file = find(dir, name, NULL);
	if (!changed) {
		req = read_whole(file);
		CHECK(changed || is_content(d, req), "%zu bytes of document %d are wrong", req->len,
		      d);
	}
	may_change = false;
	return !changed;
}

static void compare_document(struct fuse_req dir, const char *name)
{
	char text[TEXT_MAX];
	struct fuse_req *found;
	struct fuse_req file;
	int d;

	if (dir.place.view == LISTING_VIEW_CONTENT) {
		if (!compare_content(dir, name))
			CHECK(compare_content(dir, name), "%s was opened anew, and is of no use",
			      name);
		return;
	}
	file = find(dir, name, &found);
	d = file.place.document;
	if (file.place.key >= KEY_BINDER && file.place.key < KEY_OBJECT)
		compare_time(d, found);
	world_print_document(d, world_now(&world.documents[d]), text);
	compare_text(file, text);
}

/* --- All --- */

static void compare_documents(struct fuse_req dir, struct listed *listed, unsigned *expected)
{
	const char *suffix = dir.place.view == LISTING_VIEW_CONTENT ? "" : ".json";
	char name[64];

	for (int d = 0; d < DOCUMENTS; d++) {
		const struct state *state = world_now(&world.documents[d]);

		if (!state->there || !world_now(&world.binders[state->binder])->there)
			continue;
		if (dir.place.type != PLACE_QUERY &&
		    (state->binder != dir.place.binder || state->folder != dir.place.folder))
			continue;
		snprintf(name, sizeof(name), "d%d-%u.pdf%s", d, state->name, suffix);
		expect(listed, name);
		++*expected;
		compare_document(dir, name);
	}
}

static void compare_own(struct fuse_req dir, struct listed *listed, const char *name,
			const char *text, unsigned *expected)
{
	expect(listed, name);
	++*expected;
	compare_text(find(dir, name, NULL), text);
}

static void compare_folder(struct fuse_req dir);

static void compare_folders(struct fuse_req dir, struct listed *listed, unsigned *expected)
{
	char name[64];

	for (int f = 0; f < FOLDERS; f++) {
		if (WORLD_PARENT(f) != dir.place.folder)
			continue;
		snprintf(name, sizeof(name), "f%d-%u", f,
			 world_now(&world.folders[dir.place.binder][f])->name);
		expect(listed, name);
		++*expected;
		compare_folder(find(dir, name, NULL));
	}
}

/* A binder, or a folder in one. */
static void compare_folder(struct fuse_req dir)
{
	int b = dir.place.binder;
	int f = dir.place.folder;
	unsigned expected = 0;
	struct listed listed;
	char text[TEXT_MAX];

	read_whole_dir(dir, &listed);
	compare_documents(dir, &listed, &expected);
	compare_folders(dir, &listed, &expected);
	if (dir.place.view == LISTING_VIEW_OBJECT && f < 0) {
		world_print_binder(b, world_now(&world.binders[b]), text);
		compare_own(dir, &listed, "binder.json", text, &expected);
		world_print_elements(b, text);
		compare_own(dir, &listed, "metadata-elements.json", text, &expected);
	} else if (dir.place.view == LISTING_VIEW_OBJECT) {
		world_print_folder(b, f, world_now(&world.folders[b][f]), text);
		compare_own(dir, &listed, "folder.json", text, &expected);
	}
	CHECK(listed.count == expected, "%u entries where %u should be", listed.count, expected);
}

static void compare_top(enum listing_view view)
{
	struct fuse_req top = kernel_top(view);
	unsigned expected = 0;
	struct listed listed;
	char name[64];

	read_whole_dir(top, &listed);
	for (int b = 0; b < BINDERS; b++) {
		const struct state *state = world_now(&world.binders[b]);

		if (!state->there)
			continue;
		if (view == LISTING_VIEW_ID)
			snprintf(name, sizeof(name), "BINDER00%d", b);
		else
			snprintf(name, sizeof(name), "b%d-%u", b, state->name);
		expect(&listed, name);
		expected++;
		if (view == LISTING_VIEW_ID) {
			struct fuse_req link = find(top, name, NULL);

			link.ask = ASK_READLINK;
			demand(link);
		} else {
			compare_folder(find(top, name, NULL));
		}
	}
	CHECK(listed.count == expected, "%u binders where %u should be", listed.count, expected);
}

static void compare_objects(void)
{
	struct fuse_req dir = {.id = FS_INO_OBJECTS,
			       .place = {.type = PLACE_OBJECTS, .folder = -1, .key = -1}};

	for (int d = 0; d < DOCUMENTS; d++) {
		dir.ask = ASK_LOOKUP;
		snprintf(dir.name, sizeof(dir.name), "%08d-0000-4000-8000-000000000000.json", d);
		if (world_now(&world.documents[d])->there)
			compare_document(dir, dir.name);
		else
			CHECK(demand(dir)->got_id == 0, "document %d is found, and is gone", d);
	}
}

static void compare_query(void)
{
	struct fuse_req dir = {.id = FS_INO_SEARCH,
			       .place = {.type = PLACE_SEARCH, .folder = -1, .key = -1}};
	unsigned expected = 0;
	struct listed listed;

	dir = find(dir, "pdf", NULL);
	read_whole_dir(dir, &listed);
	compare_documents(dir, &listed, &expected);
	CHECK(listed.count == expected, "%u documents where %u should be", listed.count, expected);
}

void kernel_compare(void)
{
	unsigned way = rng_below(5);

	if (way < 2) {
		compare_top(LISTING_VIEW_OBJECT);
	} else if (way == 2) {
		compare_top(LISTING_VIEW_ID);
		compare_objects();
	} else if (way == 3) {
		compare_query();
	} else if (config.content) {
		compare_top(LISTING_VIEW_CONTENT);
	}
}
