/* kernel_compare.c: at a quiet point everything is read, by one of the ways that lead there, and
 * equals the truth: names, types, sizes, bytes, times. */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_MAX (STORAGE_SIZE_MAX + 1)

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
	int part;
	uint64_t seq;
	int64_t mtime_ns;
} seen[DOCUMENTS];

static int64_t begun_wall_ns;
static uint64_t ids[DOCUMENTS]; /* in this comparison */

void kernel_compare_reset(void)
{
	memset(seen, 0, sizeof(seen));
	begun_wall_ns = clock_wall_ns();
	if (vendor->places->reset)
		vendor->places->reset();
}

/* While bytes of storage's that have changed are looked at: that may be told, once. */
static bool may_change;
static bool changed;

/* While things change: there may be errors. */
static bool may_fail;

static struct fuse_req *demand(struct fuse_req asked)
{
	struct fuse_req *req = kernel_do(asked);

	if (may_fail)
		return req;

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
	if (demand(dir)->error)
		return;
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

static bool is_listed(const struct listed *listed, const char *name)
{
	for (unsigned i = 0; i < listed->count; i++) {
		if (strcmp(listed->entries[i].name, name) == 0)
			return true;
	}
	return false;
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
	bool may_be_new = !seen[d].valid || seen[d].part != now->binder;
	/* What was missing from a listing is as good as new to the next. */
	bool has_slipped = vendor->places->may_slip(now->binder, seen[d].seq);
	int64_t since_ns = begun_wall_ns;

	if (!may_be_new && seen[d].state == object->count - 1 &&
	    (!has_slipped || mtime_ns == seen[d].mtime_ns)) {
		CHECK(mtime_ns == seen[d].mtime_ns, "document %d did not change, and its time did",
		      d);
		return;
	}
	may_be_new = may_be_new || has_slipped;
	for (unsigned i = seen[d].state; !may_be_new && i < object->count; i++)
		may_be_new = !object->states[i].there || object->states[i].binder != now->binder;
	if (seen[d].valid)
		since_ns = object->states[seen[d].state + (seen[d].state + 1 < object->count)]
				   .from_wall_ns;
	if (seen[d].part != now->binder)
		since_ns = begun_wall_ns; /* it may have been there before */
	CHECK((may_be_new && object->dated && mtime_ns == WORLD_DATE_NS) ||
		      (mtime_ns >= since_ns && mtime_ns <= clock_wall_ns()),
	      "document %d has a time %" PRId64 " ns before its change", d, since_ns - mtime_ns);
	seen[d].valid = true;
	seen[d].state = object->count - 1;
	seen[d].part = now->binder;
	seen[d].seq = now_seq;
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
	const char *bytes;
	size_t size;

	for (unsigned g = 0; (bytes = vendor->world->bytes(d, version, g, &size)); g++) {
		if (req->len == size && (size == 0 || memcmp(req->bytes, bytes, size) == 0))
			return true;
	}
	return false;
}

/* In however many places it stands, it is one file. */
static void compare_links(const struct fuse_req *file, const struct fuse_req *found)
{
	int d = file->place.document;
	nlink_t links = 1;

	if (place_is_listed(&file->place)) {
		CHECK(!ids[d] || ids[d] == file->id, "document %d is two files", d);
		ids[d] = file->id;
		if (vendor->places->links)
			links = vendor->places->links(d);
	}
	CHECK(found->attr.st_nlink == links, "%lu links of document %d, and not %lu",
	      (unsigned long)found->attr.st_nlink, d, (unsigned long)links);
}

/* False: storage was found to have other bytes now. */
static bool compare_content(struct fuse_req dir, const char *name)
{
	int d = place_of(&dir.place, name).document;
	struct fuse_req *found;
	struct fuse_req file;
	struct fuse_req *req;
	size_t size;

	changed = false;
	may_change = vendor->world->bytes(d, world_now(&world.documents[d])->version, 1, &size);
	file = find(dir, name, &found);
	if (!changed) {
		compare_links(&file, found);
		req = read_whole(file);
		CHECK(changed || is_content(d, req), "%zu bytes of document %d are wrong", req->len,
		      d);
	}
	may_change = false;
	if (changed)
		ids[d] = 0;
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
	compare_links(&file, found);
	if (place_is_listed(&file.place))
		compare_time(d, found);
	vendor->world->print_document(d, world_now(&world.documents[d]), text);
	compare_text(file, text);
}

/* --- All --- */

static void compare_dir(struct fuse_req dir);

static void compare_entry(struct fuse_req dir, const struct place *place, const char *name)
{
	char text[TEXT_MAX];
	struct fuse_req file;

	if (place->type == PLACE_DOCUMENT) {
		compare_document(dir, name);
		return;
	}
	file = find(dir, name, NULL);
	if (place_is_dir(place)) {
		compare_dir(file);
	} else if (place->type == PLACE_LINK) {
		file.ask = ASK_READLINK;
		demand(file);
	} else {
		vendor->places->print(place, text);
		compare_text(file, text);
	}
}

static struct listed top;

static bool is_in_top(const struct place *place)
{
	char name[NAME_MAX_OURS];

	place_print(place, name);
	return is_listed(&top, name);
}

static void compare_dir(struct fuse_req dir)
{
	struct place entries[ENTRIES_MAX];
	struct listed listed;
	unsigned count;

	read_whole_dir(dir, &listed);
	if (dir.place.type == PLACE_TOP && dir.place.view != LISTING_VIEW_ID &&
	    vendor->places->settle) {
		top = listed;
		vendor->places->settle(is_in_top);
	}
	count = vendor->places->inside(&dir.place, entries);
	for (unsigned i = 0; i < count; i++) {
		char name[NAME_MAX_OURS];

		place_print(&entries[i], name);
		CHECK(is_listed(&listed, name), "%s is not listed", name);
		compare_entry(dir, &entries[i], name);
	}
	CHECK(listed.count == count, "%u entries where %u should be", listed.count, count);
}

static void compare_objects(void)
{
	struct fuse_req dir = {.id = FS_INO_OBJECTS,
			       .place = {.type = PLACE_OBJECTS, .folder = -1, .key = -1}};

	for (int d = 0; d < DOCUMENTS; d++) {
		const struct place place = {
			.type = PLACE_DOCUMENT, .document = d, .key = KEY_OBJECT + d};

		dir.ask = ASK_LOOKUP;
		place_print(&place, dir.name);
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

	compare_dir(find(dir, "pdf", NULL));
}

/* What must be listed is known where it is answered (kernel_check.c). */
static void walk(struct fuse_req dir)
{
	struct listed listed;

	read_whole_dir(dir, &listed);
	for (unsigned i = 0; i < listed.count; i++) {
		const struct place place = place_of(&dir.place, listed.entries[i].name);
		struct fuse_req *req;

		if (!place_is_dir(&place))
			continue;
		dir.ask = ASK_LOOKUP;
		snprintf(dir.name, sizeof(dir.name), "%s", listed.entries[i].name);
		req = demand(dir);
		if (req->got_id)
			walk((struct fuse_req){.id = req->got_id, .place = place});
	}
}

void kernel_walk(void)
{
	may_fail = true;
	walk(kernel_top(LISTING_VIEW_OBJECT));
	may_fail = false;
}

void kernel_compare(void)
{
	unsigned way = rng_below(5);

	memset(ids, 0, sizeof(ids));
	if (way < 2) {
		compare_dir(kernel_top(LISTING_VIEW_OBJECT));
	} else if (way == 2) {
		compare_dir(kernel_top(LISTING_VIEW_ID));
		compare_objects();
	} else if (way == 3 && vendor->ops->query_check) {
		compare_query();
	} else if (config.content) {
		compare_dir(kernel_top(LISTING_VIEW_CONTENT));
	}
}
