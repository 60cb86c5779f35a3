/* kernel_check.c: whether an answer may be, going by all that the server ever was.
 *
 * As long as nothing has failed, an answer tells what was true at some time since the fetch began
 * whose listing is at most ttl + stale old, and what the kernel may keep is not older than ttl when
 * it goes. After a failure older truth may be shown, and errors, but never what was never true. */
#include "kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool may_tell_since(int key, const struct fuse_req *req, uint64_t *ret_since)
{
	int64_t asked_ms = req->asked_boot_ms;
	int64_t since_ms = asked_ms - config.ttl_ms - config.stale_ms;

	if (troubled || key < 0 || (starved && was_troubled))
		return false;
	if (starved) { /* what is old is shown, but nothing that never was */
		*ret_since = 1;
		return true;
	}
	if (req->asked_seq >= hangup_seq && since_ms < hangup_ms)
		since_ms = hangup_ms; /* all that came before is forgotten */
	CHECK(invariants_since(key, since_ms, req->asked_seq, ret_since),
	      "key %d: a listing is shown that is older than ttl and stale allow", key);
	return true;
}

/* --- Attributes --- */

void check_attr(const struct stat *attr, mode_t type)
{
	mode_t mode = type == S_IFDIR ? 0555 : type == S_IFLNK ? 0777 : 0444;

	CHECK(attr->st_mode == (type | mode), "mode %o", attr->st_mode);
	CHECK(attr->st_nlink == 1 ||
		      (type == S_IFREG && attr->st_nlink <= vendor->places->links_max),
	      "%lu links", (unsigned long)attr->st_nlink);
	CHECK(attr->st_blocks == (attr->st_size + 511) / 512, "%lld blocks",
	      (long long)attr->st_blocks);
	CHECK(attr->st_mtim.tv_sec == attr->st_ctim.tv_sec &&
		      attr->st_mtim.tv_nsec == attr->st_ctim.tv_nsec,
	      "mtime and ctime differ");
	CHECK(attr->st_mtim.tv_nsec >= 0 && attr->st_mtim.tv_nsec < 1000 * NS_PER_MS &&
		      attr->st_mtim.tv_sec * 1000 * NS_PER_MS <= clock_wall_ns(),
	      "a time of the future");
}

static size_t text_size(const struct place *place, const struct state *state)
{
	char text[TEXT_MAX];

	vendor->world->print_document(place->document, state, text);
	return strlen(text) + 1;
}

/* A bit for each that has that size. */
static unsigned generations_of_size(const struct place *place, const struct state *state,
				    size_t size)
{
	unsigned found = 0;
	size_t right;

	for (unsigned g = 0; vendor->world->bytes(place->document, state->version, g, &right); g++)
		found |= (right == size) << g;
	return found;
}

bool kernel_has_size(const struct place *place, const struct state *state, off_t size)
{
	if (place->type != PLACE_DOCUMENT)
		return true;
	if (place->view != LISTING_VIEW_CONTENT)
		return (size_t)size == text_size(place, state);
	/* 0: not known yet, where contents are not in the listing */
	return (size == 0 && vendor->ops->has_links) ||
	       generations_of_size(place, state, (size_t)size);
}

uint64_t since_of(int key, const struct fuse_req *req, int64_t keep_ms)
{
	uint64_t since = 0;
	uint64_t kept = 0;

	CHECK(keep_ms <= config.ttl_ms, "kept for %" PRId64 " ms", keep_ms);
	if (!may_tell_since(key, req, &since))
		return 0;
	/* What is kept until then must not be older than ttl. */
	if (keep_ms > 0)
		CHECK(invariants_since(key, clock_boot_ms() + keep_ms - config.ttl_ms,
				       req->asked_seq, &kept),
		      "key %d may be kept for %" PRId64 " ms, past ttl", key, keep_ms);
	return since > kept ? since : kept;
}

/* One version may be that of several states. */
static uint32_t with_same_version(const struct place *place, uint32_t candidates)
{
	const struct object *object = &world.documents[place->document];
	uint32_t all = candidates;

	if (place->type != PLACE_DOCUMENT || place->view != LISTING_VIEW_CONTENT)
		return candidates;
	for (unsigned i = 0; i < object->count; i++) {
		for (unsigned j = 0; j < object->count; j++) {
			if (candidates >> i & 1 &&
			    object->states[i].version == object->states[j].version)
				all |= UINT32_C(1) << j;
		}
	}
	return all;
}

uint32_t check_found(const struct place *place, const struct stat *attr, uint64_t since)
{
	uint32_t candidates = vendor->places->states(place, attr, since);

	if (candidates)
		return with_same_version(place, candidates);
	fail("type %d, part %d, folder %d, document %d, name %u, size %lld, %u links: it was not "
	     "so since %" PRIu64,
	     place->type, place->part, place->folder, place->document, place->name,
	     attr ? (long long)attr->st_size : -1LL, attr ? (unsigned)attr->st_nlink : 0, since);
}

/* Whether no listing since then can be without it. */
static bool must_be_there(const struct place *place, uint64_t since)
{
	return vendor->places->is_certain(place, since) && vendor->places->stood(place, since);
}

void check_missing(const struct fuse_req *req, int64_t keep_ms)
{
	struct place place = place_of(&req->place, req->name);
	uint64_t since;

	if (place.type == PLACE_NOTHING || troubled)
		return;
	since = since_of(place.key, req, keep_ms);
	CHECK(since == 0 || !must_be_there(&place, since),
	      "%s is not found, and was there since %" PRIu64, req->name, since);
}

/* --- Errors --- */

void check_error(const struct fuse_req *req, int error)
{
	static const int possible[] = {EACCES, EBADMSG, EBUSY,	EHOSTUNREACH, EIO,
				       ENOENT, EPROTO,	ESTALE, ETIMEDOUT};
	int key = req->ask == ASK_OPENDIR ? place_key_inside(&req->place) : req->place.key;
	uint64_t since;
	size_t i = 0;

	if (error == EINTR) {
		CHECK(req->interrupted, "EINTR for who was not interrupted");
		return;
	}
	if (error == ENOMEM) {
		CHECK(memory_failed_ms >= req->asked_ms - config.timeout_ms - FAILURES_LAST_MS,
		      "ENOMEM, and no allocation has failed");
		return;
	}
	while (i < COUNT(possible) && possible[i] != error)
		i++;
	CHECK(i < COUNT(possible), "error %d is none of the design's", error);
	if (troubled)
		return;
	if (error == ENOENT) {
		/* That a part is gone is believed for a while, however short ttl is. */
		if (vendor->places->is_gone && vendor->places->is_gone(&req->place))
			return;
		if (req->ask == ASK_LOOKUP)
			check_missing(req, 0);
		else if (req->ask == ASK_READ &&
			 vendor->ops
				 ->has_links) /* no listing says so, but who was to give a link */
			CHECK(!vendor->places->stood(&req->place, 1),
			      "bytes are gone, and their document not");
		else if (may_tell_since(key, req, &since))
			CHECK(!must_be_there(&req->place, since),
			      "error %d for what was there since %" PRIu64, error, since);
		return;
	}
	/* Another version: the kernel looks it up again. With content=off nothing else tells it. */
	if (error == ESTALE && (req->ask == ASK_OPEN || !config.content))
		return;
	/* Nobody failed but the schedule, which was slow, or changed the bytes being read. */
	CHECK(error == ETIMEDOUT || (error == EBADMSG && engine.contents),
	      "error %d, and nothing has failed", error);
	troubled = true;
}

/* --- Bytes --- */

uint32_t candidates_of(const struct fuse_req *req)
{
	const struct place *place = &req->place;
	const struct object *object = &world.documents[place->document];
	uint64_t since = 0;
	uint32_t candidates = 0;

	may_tell_since(place->key, req, &since);
	for (unsigned i = 0; i < object->count; i++) {
		if (world_was(object, i, since, now_seq))
			candidates |= UINT32_C(1) << i;
	}
	return with_same_version(place, candidates);
}

/* What a file shows or holds in a state, from an offset on; `text` may hold it. NULL: there are not
 * so many generations. */
static const char *bytes_of(const struct place *place, const struct state *state,
			    unsigned generation, off_t offset, size_t *len, char text[TEXT_MAX])
{
	const char *bytes = text;
	size_t size;

	if (place->view == LISTING_VIEW_CONTENT) {
		bytes = vendor->world->bytes(place->document, state->version, generation, &size);
		if (!bytes)
			return NULL;
	} else {
		if (generation > 0)
			return NULL;
		vendor->world->print_document(place->document, state, text);
		size = strlen(text) + 1;
		text[size - 1] = '\n';
	}
	if ((size_t)offset > size)
		offset = (off_t)size;
	if (*len > size - (size_t)offset)
		*len = size - (size_t)offset;
	return bytes + offset;
}

/* Of those that an open file may be in: a bit for each generation of a state that has these bytes.
 */
static unsigned generations_of_bytes(const struct khandle *handle, const struct state *state,
				     const char *bytes, size_t len, off_t offset, size_t asked)
{
	unsigned found = 0;

	for (unsigned g = 0; g < GENERATIONS; g++) {
		char text[TEXT_MAX];
		size_t right_len = asked;
		const char *right = bytes_of(&handle->place, state, g, offset, &right_len, text);

		if (!right)
			break;
		if (right_len == len && (len == 0 || memcmp(right, bytes, len) == 0))
			found |= 1u << g;
	}
	return found & handle->generations;
}

/* Of the states that an open file may be in those stay of which there are generations here. */
static void narrow(struct khandle *handle, const unsigned generations[STATES_MAX])
{
	unsigned all = 0;

	for (unsigned i = 0; i < STATES_MAX; i++) {
		if (!(handle->candidates & UINT32_C(1) << i))
			continue;
		all |= generations[i];
		if (!generations[i])
			handle->candidates &= ~(UINT32_C(1) << i);
	}
	handle->generations &= all;
}

void check_bytes(struct khandle *handle, const char *bytes, size_t len, off_t offset, size_t asked)
{
	const struct object *object = &world.documents[handle->place.document];
	unsigned generations[STATES_MAX] = {0};

	if (handle->place.type != PLACE_DOCUMENT)
		return;
	for (unsigned i = 0; i < object->count; i++) {
		if (handle->candidates & UINT32_C(1) << i)
			generations[i] = generations_of_bytes(handle, &object->states[i], bytes,
							      len, offset, asked);
	}
	narrow(handle, generations);
	CHECK(handle->candidates, "bytes of document %d at %lld are of no version, or of two",
	      handle->place.document, (long long)offset);
}

void check_size(struct khandle *handle, off_t size)
{
	const struct object *object = &world.documents[handle->place.document];
	unsigned generations[STATES_MAX] = {0};

	if (handle->place.type != PLACE_DOCUMENT)
		return;
	for (unsigned i = 0; i < object->count; i++) {
		const struct state *state = &object->states[i];

		if (handle->place.view == LISTING_VIEW_CONTENT)
			generations[i] = generations_of_size(&handle->place, state, (size_t)size) &
					 handle->generations;
		else
			generations[i] = text_size(&handle->place, state) == (size_t)size;
	}
	narrow(handle, generations);
	CHECK(handle->candidates, "size %lld of an open file is that of no version, or of another",
	      (long long)size);
}

/* --- Directories --- */

void check_listed(struct khandle *handle, const char *name)
{
	struct place place = place_of(&handle->place, name);
	uint32_t bit = UINT32_C(1) << (place.document & 31);

	handle->entries++;
	if (place.type != PLACE_DOCUMENT)
		return;
	CHECK(!(handle->documents & bit), "%s is listed twice", name);
	handle->documents |= bit;
}

void check_all_listed(const struct khandle *handle)
{
	const struct place *dir = &handle->place;
	bool has_documents = dir->type == PLACE_PART || dir->type == PLACE_FOLDER ||
			     (dir->type == PLACE_TOP && vendor->places->all_in_top);

	if (handle->since == 0 || dir->view == LISTING_VIEW_ID || !has_documents)
		return;
	for (int d = 0; d < DOCUMENTS; d++) {
		struct place place = *dir;

		place.type = PLACE_DOCUMENT;
		place.document = d;
		place.name = world_now(&world.documents[d])->name;
		place.key = place_key_inside(dir);
		if (must_be_there(&place, handle->since))
			CHECK(handle->documents & UINT32_C(1) << d,
			      "document %d is not listed, and was there since %" PRIu64, d,
			      handle->since);
	}
}
