/* kernel.c: what stands in place of the kernel: requests at random, and each answer looked at where
 * it is given. They go in through session.c.
 *
 * It keeps lookup counts as the kernel does, and caches nothing: every look is an upcall. */
#include "kernel.h"

#include "block.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KNODES_MAX   512
#define HANDLES_MAX  12
#define WAITING_MAX  10
#define REQUESTS_MAX 4096
#define PROCESSES    3

static struct knode knodes[KNODES_MAX];
static unsigned knode_count;
static struct khandle handles[HANDLES_MAX];
static struct fuse_req *requests[REQUESTS_MAX];
static unsigned request_count;
static unsigned waiting;

/* --- Nodes and handles --- */

struct knode *knode_find(uint64_t id)
{
	for (unsigned i = 0; i < knode_count; i++) {
		if (knodes[i].id == id)
			return &knodes[i];
	}
	return NULL;
}

/* An id stands for one state, of a file in files/ for one version. */
static void knode_narrow(struct knode *node, uint32_t candidates)
{
	if (node->place.type != PLACE_DOCUMENT)
		return;
	node->candidates &= candidates;
	CHECK(node->candidates, "one id stands for two states of document %d",
	      node->place.document);
}

static void knode_count_lookup(uint64_t id, const struct place *place, uint32_t candidates)
{
	struct knode *node = knode_find(id);

	if (!node) {
		CHECK(knode_count < KNODES_MAX, "too many nodes");
		node = &knodes[knode_count++];
		*node = (struct knode){.id = id, .place = *place, .candidates = UINT32_MAX};
	}
	/* After a failure a folder may be there under its id: nothing of ours. */
	CHECK(node->place.type == PLACE_NOTHING || place->type == PLACE_NOTHING ||
		      (node->place.type == place->type &&
		       (place->type != PLACE_DOCUMENT || node->place.document == place->document)),
	      "one id stands for two objects");
	node->place = *place;
	node->lookups++;
	knode_narrow(node, candidates);
}

static void keep_attr(uint64_t id, const struct stat *attr, int64_t keep_ms)
{
	struct knode *node = knode_find(id);

	if (!node || keep_ms == 0 || !S_ISREG(attr->st_mode))
		return;
	CHECK(!node->told || node->size == attr->st_size,
	      "a file of one id has %lld bytes, and had %lld", (long long)attr->st_size,
	      (long long)node->size);
	node->told = true;
	node->size = attr->st_size;
}

static struct khandle *handle_new(const struct fuse_req *req, uint64_t fh)
{
	struct khandle *handle = req->handle;

	*handle = (struct khandle){
		.is_open = true,
		.is_dir = req->ask == ASK_OPENDIR,
		.busy = handle->busy,
		.id = req->id,
		.fh = fh,
		.place = req->place,
		.generations = (1u << GENERATIONS) - 1,
	};
	return handle;
}

/* --- Asking --- */

static struct fuse_req *ask(struct fuse_req asked)
{
	static const char *const words[ASKS] = {
		"lookup", "getattr", "readlink", "opendir", "readdirplus", "releasedir",
		"open",	  "read",    "release",	 "statfs",  "forget",	   "interrupt",
	};
	struct fuse_req *req = memory_get(sizeof(*req));

	CHECK(request_count < REQUESTS_MAX, "the schedule is too long");
	*req = asked;
	req->asked_ms = clock_ms;
	req->asked_boot_ms = clock_boot_ms();
	req->asked_seq = now_seq;
	req->ctx.pid = 100 + (int)rng_below(PROCESSES);
	requests[request_count++] = req;
	if (req->handle)
		req->handle->busy++;
	waiting += req->ask != ASK_INTERRUPT;
	action("%s #%u of %llx %s", words[req->ask], request_count - 1, (unsigned long long)req->id,
	       req->name);
	session_submit(req);
	return req;
}

/* --- Answers --- */

static struct fuse_req *answered(fuse_req_t req)
{
	CHECK(!req->answered, "a request is answered twice");
	CHECK(!session_is_interrupting, "answered where libfuse holds a lock");
	req->answered = true;
	waiting--;
	if (req->handle)
		req->handle->busy--;
	if (clock_ms - req->asked_ms >= config.timeout_ms)
		troubled = true; /* it was waited for in vain: what is old is shown */
	return req;
}

int fuse_reply_err(fuse_req_t asked, int error)
{
	struct fuse_req *req = answered(asked);

	action("  error %d", error);
	req->error = error;
	if (req->ask == ASK_RELEASE || req->ask == ASK_RELEASEDIR) {
		CHECK(error == 0, "a handle cannot be closed: %d", error);
		return 0;
	}
	if (req->ask == ASK_OPEN || req->ask == ASK_OPENDIR)
		*req->handle = (struct khandle){0};
	/* The engine is being ended. */
	if (error == ENODEV && !engine.fs)
		return 0;
	check_error(req, error);
	return 0;
}

void fuse_reply_none(fuse_req_t asked)
{
	answered(asked);
}

static int64_t ms_of(double seconds)
{
	return (int64_t)(seconds * 1000 + 0.5);
}

int fuse_reply_entry(fuse_req_t asked, const struct fuse_entry_param *entry)
{
	struct fuse_req *req = answered(asked);
	int64_t keep_ms = ms_of(entry->entry_timeout);
	struct place place = place_of(&req->place, req->name);
	bool is_fixed = req->place.type == PLACE_SEARCH || !entry->ino;

	req->got_id = entry->ino;
	req->attr = entry->attr;
	action("  entry %llx, size %lld", (unsigned long long)entry->ino,
	       (long long)entry->attr.st_size);
	if (!entry->ino && place.type == PLACE_NOTHING)
		return 0;
	if (!entry->ino) {
		check_missing(req, keep_ms);
		return 0;
	}
	check_attr(&entry->attr, entry->attr.st_mode & S_IFMT);
	knode_count_lookup(
		entry->ino, &place,
		is_fixed ? UINT32_MAX
			 : check_found(&place, &entry->attr, since_of(place.key, req, keep_ms)));
	keep_attr(entry->ino, &entry->attr, ms_of(entry->attr_timeout));
	return 0;
}

int fuse_reply_attr(fuse_req_t asked, const struct stat *attr, double timeout_s)
{
	struct fuse_req *req = answered(asked);

	req->attr = *attr;
	check_attr(attr, attr->st_mode & S_IFMT);
	keep_attr(req->id, attr, ms_of(timeout_s));
	if (req->handle)
		check_size(req->handle, attr->st_size);
	return 0;
}

int fuse_reply_readlink(fuse_req_t asked, const char *target)
{
	struct fuse_req *req = answered(asked);
	struct place place = kernel_top(LISTING_VIEW_OBJECT).place;
	char names[256];
	char *rest = names;
	char *name;

	snprintf(names, sizeof(names), "../../%s/", vendor->ops->top_name);
	CHECK(strncmp(target, names, strlen(names)) == 0, "a link to %s", target);
	snprintf(names, sizeof(names), "%s", target + strlen(names));
	while ((name = strsep(&rest, "/"))) {
		place = place_of(&place, name);
		check_found(&place, NULL, since_of(KEY_TOP, req, 0));
	}
	CHECK(place_is_dir(&place) && place.part == req->place.part &&
		      place.folder == req->place.folder,
	      "a link to another: %s", target);
	return 0;
}

int fuse_reply_open(fuse_req_t asked, const struct fuse_file_info *fi)
{
	struct fuse_req *req = answered(asked);
	struct khandle *handle = handle_new(req, fi->fh);
	uint64_t since = 0;

	if (req->ask == ASK_OPEN) {
		if (req->place.type == PLACE_DOCUMENT)
			handle->candidates = candidates_of(req) & knode_find(req->id)->candidates;
		return 0;
	}
	if (may_tell_since(place_key_inside(&req->place), req, &since))
		handle->since = since;
	return 0;
}

/* One entry of a reading; returns its length. */
static size_t take_entry(struct fuse_req *req, const char *bytes)
{
	const struct fuse_direntplus *entry = (const void *)bytes;
	struct khandle *handle = req->handle;
	struct place place;
	char name[256];

	snprintf(name, sizeof(name), "%.*s", (int)entry->dirent.namelen, entry->dirent.name);
	handle->offset = (off_t)entry->dirent.off;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return FUSE_DIRENTPLUS_SIZE(entry);
	place = place_of(&handle->place, name);
	CHECK(!handle->since || place.type != PLACE_NOTHING, "%s is listed", name);
	check_listed(handle, name);
	if (entry->entry_out.nodeid) {
		struct stat attr = {.st_mode = entry->entry_out.attr.mode,
				    .st_nlink = entry->entry_out.attr.nlink,
				    .st_size = (off_t)entry->entry_out.attr.size};

		knode_count_lookup(entry->entry_out.nodeid, &place,
				   check_found(&place, &attr, handle->since));
		keep_attr(entry->entry_out.nodeid, &attr,
			  (int64_t)entry->entry_out.attr_valid * 1000 +
				  entry->entry_out.attr_valid_nsec / NS_PER_MS);
	} else {
		check_found(&place, NULL, handle->since);
	}
	return FUSE_DIRENTPLUS_SIZE(entry);
}

static void take_bytes(struct fuse_req *req, const char *bytes, size_t len)
{
	CHECK(len <= req->size, "more is read than was asked for");
	if (req->ask == ASK_READ) {
		check_bytes(req->handle, bytes, len, req->offset, req->size);
		if (knode_find(req->id) && req->place.type == PLACE_DOCUMENT)
			knode_narrow(knode_find(req->id), req->handle->candidates);
	} else if (len == 0) {
		check_all_listed(req->handle);
		req->handle->ended = true;
	} else {
		for (size_t at = 0; at < len;)
			at += take_entry(req, bytes + at);
	}
	req->len = len;
	if (req->keeps && len > 0) {
		req->bytes = memory_get(len);
		memcpy(req->bytes, bytes, len);
	}
}

int fuse_reply_buf(fuse_req_t asked, const char *bytes, size_t len)
{
	take_bytes(answered(asked), bytes, len);
	return 0;
}

int fuse_reply_iov(fuse_req_t asked, const struct iovec *iov, int count)
{
	struct fuse_req *req = answered(asked);
	static char bytes[STORAGE_SIZE_MAX + 1];
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		CHECK(len + iov[i].iov_len <= sizeof(bytes), "more is read than was asked for");
		memcpy(bytes + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	take_bytes(req, bytes, len);
	return 0;
}

int fuse_reply_statfs(fuse_req_t asked, const struct statvfs *stat)
{
	answered(asked);
	CHECK(stat->f_namemax == 255, "names of %lu bytes", stat->f_namemax);
	return 0;
}

/* --- Requests at random --- */

struct fuse_req kernel_top(enum listing_view view)
{
	return (struct fuse_req){
		.id = listing_ino(FS_INO_TOP, view),
		.place = {.type = PLACE_TOP, .view = view, .folder = -1, .key = -1},
	};
}

static struct fuse_req of_node(const struct knode *node)
{
	return (struct fuse_req){.id = node->id, .place = node->place};
}

static struct fuse_req pick_node(void)
{
	static const enum listing_view views[] = {LISTING_VIEW_OBJECT, LISTING_VIEW_OBJECT,
						  LISTING_VIEW_CONTENT, LISTING_VIEW_ID};

	if (knode_count > 0 && rng_percent(80))
		return of_node(&knodes[rng_below(knode_count)]);
	if (rng_percent(15))
		return (struct fuse_req){.id = FS_INO_OBJECTS,
					 .place = {.type = PLACE_OBJECTS, .folder = -1, .key = -1}};
	if (vendor->ops->query_check && rng_percent(15))
		return (struct fuse_req){.id = FS_INO_SEARCH,
					 .place = {.type = PLACE_SEARCH, .folder = -1, .key = -1}};
	return kernel_top(views[rng_below(config.content ? 4 : 2)]);
}

static struct khandle *free_handle(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (!handles[i].is_open && !handles[i].busy)
			return &handles[i];
	}
	return NULL;
}

struct khandle *kernel_handle(void)
{
	return free_handle(HANDLES_MAX);
}

bool kernel_open_unasked(struct fuse_req *req)
{
	if (config.content || req->ask != ASK_OPEN)
		return false;
	handle_new(req, 0);
	if (req->place.type == PLACE_DOCUMENT)
		req->handle->candidates = knode_find(req->id)->candidates;
	return true;
}

static bool is_unlisted(const struct place *place)
{
	return place->type == PLACE_OBJECTS || place->type == PLACE_SEARCH;
}

static void ask_node(struct fuse_req req)
{
	if (place_is_dir(&req.place) && (rng_percent(70) || is_unlisted(&req.place))) {
		req.ask = ASK_LOOKUP;
		vendor->places->pick_name(&req.place, req.name);
	} else if (rng_percent(30) || req.place.type == PLACE_NOTHING) {
		req.ask = ASK_GETATTR; /* nothing: shown after a failure, a directory perhaps */
	} else if (req.place.type == PLACE_LINK) {
		req.ask = ASK_READLINK;
	} else {
		req.handle = free_handle(HANDLES_MAX - 1); /* one is left for who compares */
		req.ask = place_is_dir(&req.place) ? ASK_OPENDIR : ASK_OPEN;
		if (!req.handle)
			req.ask = ASK_GETATTR;
		else if (kernel_open_unasked(&req))
			return;
	}
	ask(req);
}

static struct fuse_req on_handle(struct khandle *handle)
{
	return (struct fuse_req){
		.id = handle->id, .place = handle->place, .handle = handle, .fh = handle->fh};
}

static void ask_handle(struct khandle *handle)
{
	static const size_t sizes[] = {1, 100, 4096, 100000};
	struct fuse_req req = on_handle(handle);

	if (handle->is_dir) {
		if (handle->busy || handle->ended)
			return;
		req.ask = ASK_READDIRPLUS;
		req.size = rng_percent(50) ? 600 : 4096;
		req.offset = handle->offset;
	} else if (rng_percent(20)) {
		req.ask = ASK_GETATTR;
	} else {
		req.ask = ASK_READ;
		req.size = RNG_PICK(sizes);
		req.offset = rng_percent(50) ? 0 : rng_below(6000);
		if (storage.swaps && rng_percent(50)) /* another block of a large one */
			req.offset += rng_below(STORAGE_SIZE_MAX / BLOCK_BYTES) * BLOCK_BYTES;
	}
	ask(req);
}

static const struct knode *node_at(const struct place *place)
{
	for (unsigned i = 0; i < knode_count; i++) {
		const struct place *at = &knodes[i].place;

		if (at->view == place->view && at->type == place->type && at->part == place->part &&
		    at->folder == place->folder &&
		    (at->type != PLACE_DOCUMENT || at->document == place->document))
			return &knodes[i];
	}
	return NULL;
}

/* Goes on with one document's content: a directory nearer to it, opens it, reads. By chance alone
 * few get as far as to read twice from storage. */
static void ask_content(void)
{
	struct place place = vendor->places->of_document((int)rng_below(DOCUMENTS));
	struct place dir = vendor->places->above(&place);
	const struct knode *node = node_at(&place);
	struct fuse_req req = kernel_top(LISTING_VIEW_CONTENT);

	for (unsigned i = 0; i < HANDLES_MAX; i++) {
		if (handles[i].is_open && !handles[i].is_dir &&
		    handles[i].place.view == LISTING_VIEW_CONTENT && rng_percent(50)) {
			ask_handle(&handles[i]);
			return;
		}
	}
	if (node) {
		ask_node(of_node(node));
		return;
	}
	for (; dir.type != PLACE_TOP && !(node = node_at(&dir)); dir = vendor->places->above(&dir))
		place = dir;
	if (node)
		req = of_node(node);
	req.ask = ASK_LOOKUP;
	place_print(&place, req.name);
	ask(req);
}

void kernel_ask(void)
{
	struct khandle *handle = &handles[rng_below(HANDLES_MAX)];

	if (waiting >= WAITING_MAX)
		return;
	if (storage.swaps && config.content && rng_percent(60)) {
		ask_content();
		return;
	}
	if (rng_percent(2))
		ask((struct fuse_req){.ask = ASK_STATFS, .id = FS_INO_ROOT});
	else if (handle->is_open && rng_percent(70))
		ask_handle(handle);
	else
		ask_node(pick_node());
}

void kernel_interrupt(void)
{
	struct fuse_req *victim;

	if (request_count == 0)
		return;
	victim = requests[request_count - 1 - rng_below(request_count < 20 ? request_count : 20)];
	if (victim->answered || victim->interrupted || victim->ask >= ASK_FORGET)
		return;
	victim->interrupted = true;
	ask((struct fuse_req){.ask = ASK_INTERRUPT, .victim = victim});
}

static void forget(struct knode *node)
{
	struct fuse_req req = of_node(node);

	req.ask = ASK_FORGET;
	req.lookups = node->lookups;
	*node = knodes[--knode_count];
	ask(req);
}

void kernel_close(struct khandle *handle)
{
	struct fuse_req req = on_handle(handle);

	req.ask = handle->is_dir ? ASK_RELEASEDIR : ASK_RELEASE;
	req.handle = NULL;
	*handle = (struct khandle){0};
	if (req.fh)
		ask(req);
}

/* The kernel forgets nothing that is in use. */
static bool is_in_use(uint64_t id)
{
	for (unsigned i = 0; i < HANDLES_MAX; i++) {
		if ((handles[i].is_open || handles[i].busy) && handles[i].id == id)
			return true;
	}
	for (unsigned i = request_count; i-- > 0 && i + 64 > request_count;) {
		if (!requests[i]->answered && requests[i]->id == id)
			return true;
	}
	return false;
}

void kernel_drop(void)
{
	struct khandle *handle = &handles[rng_below(HANDLES_MAX)];

	if (handle->is_open && !handle->busy && rng_percent(50))
		kernel_close(handle);
	else if (knode_count > 0) {
		struct knode *node = &knodes[rng_below(knode_count)];

		if (!is_in_use(node->id))
			forget(node);
	}
}

void kernel_drop_all(void)
{
	for (unsigned i = 0; i < HANDLES_MAX; i++) {
		if (handles[i].is_open)
			kernel_close(&handles[i]);
	}
	settle();
	while (knode_count > 0) {
		forget(&knodes[knode_count - 1]);
		settle();
	}
}

/* --- What must hold --- */

unsigned kernel_waiting(void)
{
	return waiting;
}

void kernel_check(void)
{
	unsigned open = 0;

	for (unsigned i = request_count; open < waiting; i--) {
		struct fuse_req *req = requests[i - 1];

		if (req->answered)
			continue;
		open++;
		CHECK(!req->interrupted, "request #%u was interrupted, and waits on", i - 1);
		/* Who is woken just then by something else, and needs more, waits for the next
		 * tick. */
		CHECK(clock_ms - req->asked_ms <= config.timeout_ms,
		      "request #%u waits past its deadline", i - 1);
	}
}

void kernel_check_ended(void)
{
	CHECK(waiting == 0, "%u requests were never answered", waiting);
}

void kernel_reset(void)
{
	while (request_count > 0) {
		free(requests[--request_count]->bytes);
		free(requests[request_count]);
	}
	memset(handles, 0, sizeof(handles));
	knode_count = 0;
	session_reset();
	waiting = 0;
}

static const struct fuse_req *awaited;

static bool is_answered(void)
{
	return awaited->answered;
}

struct fuse_req *kernel_do(struct fuse_req asked)
{
	struct fuse_req *req = ask(asked);

	awaited = req;
	settle();
	if (!req->answered)
		run_well(is_answered);
	return req;
}
