/* fs_wait.c: requests that may have to wait for a listing.
 *
 *   request -> fs_op_run -> answered         what is needed is cached, or it is an error
 *                        -> -EAGAIN -> parked, a fetch is under way
 *                               woken by the tree -> run again (data, or the deadline's error)
 *                               interrupted       -> EINTR; the fetch goes on for the cache
 *                               fs_ops_end        -> ENODEV
 *
 * An op is answered exactly once, and freed then. */
#include "fs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A request that may have to wait. On the stack until it does. */
struct op {
	struct tree_waiter waiter;
	TAILQ_ENTRY(op) parked;
	TAILQ_ENTRY(op) interrupted;
	struct fs *fs;
	fuse_req_t req;
	enum op_type type;
	fuse_ino_t ino;
	const char *name; /* of a lookup; owned once parked */
	struct fuse_file_info fi;
	int64_t asked_ms;
	struct resource *wait_for; /* set with -EAGAIN */
	bool woken;		   /* having waited for wait_for */
	int wake_error;
	bool is_interrupted;
};

static int op_access(struct op *op, struct resource *resource, const struct listing **ret_listing)
{
	bool waited = op->woken && op->wait_for == resource;
	int error = tree_access(op->fs->tree, resource, waited, ret_listing);

	if (error == -EAGAIN) {
		op->wait_for = resource;
		op->woken = false;
	} else if (error && waited && op->wake_error) {
		error = op->wake_error;
	}
	return error;
}

/* The directory that is or was listed as this inode. */
static int op_find_dir(struct op *op, struct resource **ret_resource,
		       const struct listing **ret_listing, uint32_t *ret_dir)
{
	const struct listing_entry *entry;
	struct node *node;
	int error;

	if (op->ino == FS_INO_TOP) {
		*ret_resource = tree_top(op->fs->tree);
		*ret_dir = 0;
		return op_access(op, *ret_resource, ret_listing);
	}
	node = tree_node(op->fs->tree, op->ino);
	if (!node)
		return -ESTALE;
	if (node->type != LISTING_DIR)
		return -ENOTDIR;
	*ret_resource = node->dir.inside;
	error = op_access(op, *ret_resource, ret_listing);
	if (error)
		return error;
	*ret_dir = 0;
	if (node->dir.inside != node->home)
		return 0;
	entry = listing_find_ino(*ret_listing, op->ino);
	if (!entry || entry->dir == LISTING_ELSEWHERE)
		return -ENOENT;
	*ret_dir = entry->dir;
	return 0;
}

static int reply_entry(struct op *op, struct resource *resource, const struct listing *listing,
		       const struct listing_entry *entry)
{
	struct fuse_entry_param reply = {0};
	struct node *node;
	int error;

	reply.entry_timeout = tree_timeout_s(op->fs->tree, resource);
	reply.attr_timeout = reply.entry_timeout;
	if (entry) {
		error = tree_lookup(op->fs->tree, resource, listing, entry, &node);
		if (error)
			return error;
		reply.ino = entry->ino;
		fs_entry_attr(op->fs, node, entry, &reply.attr, &reply.attr_timeout);
	}
	/* A reply that the kernel no longer wants does not count as a lookup. */
	if (fuse_reply_entry(op->req, &reply) && entry)
		fs_untell(op->fs, entry->ino);
	return 0;
}

static int run_lookup(struct op *op)
{
	const struct listing *listing;
	struct resource *resource;
	uint32_t dir;
	int error = op_find_dir(op, &resource, &listing, &dir);

	if (error)
		return error;
	return reply_entry(op, resource, listing, listing_find_name(listing, dir, op->name));
}

/* Who has a file open can look at it also when it is gone. The kernel does not say through which
 * handle it asks. */
static const struct listing_entry *open_entry(const struct fs *fs, fuse_ino_t ino)
{
	const struct open_handle *handle;

	TAILQ_FOREACH (handle, &fs->handles, link) {
		if (handle->ino == ino && handle->listing)
			return handle->file.entry;
	}
	return NULL;
}

static int run_getattr(struct op *op)
{
	const struct listing_entry *entry = NULL;
	const struct listing *listing;
	struct node *node = tree_node(op->fs->tree, op->ino);
	struct stat attr;
	double timeout_s;
	int error;

	if (!node)
		return -ESTALE;
	error = op_access(op, node->home, &listing);
	if (error == -EAGAIN)
		return error;
	if (!error)
		entry = listing_find_ino(listing, op->ino);
	if (!entry && node->type == LISTING_FILE)
		entry = open_entry(op->fs, op->ino);
	if (!entry)
		return error ? error : -ENOENT;
	timeout_s = tree_timeout_s(op->fs->tree, node->home);
	fs_entry_attr(op->fs, node, entry, &attr, &timeout_s);
	fuse_reply_attr(op->req, &attr, timeout_s);
	return 0;
}

uint64_t *fs_seen_publication(struct fs *fs, fuse_ino_t ino)
{
	return ino == FS_INO_TOP ? &fs->top_seen_publication
				 : &tree_node(fs->tree, ino)->dir.seen_publication;
}

/* The kernel has one cache for the readings of a directory: who began with another listing must not
 * meet this one there. */
static bool is_read_otherwise(const struct fs *fs, const struct open_handle *handle)
{
	const struct open_handle *other;

	TAILQ_FOREACH (other, &fs->handles, link) {
		if (other->ino == handle->ino && other->listing != handle->listing)
			return true;
	}
	return false;
}

static int run_opendir(struct op *op)
{
	const struct listing *listing;
	struct open_handle *handle;
	struct resource *resource;
	uint32_t dir;
	int error = op_find_dir(op, &resource, &listing, &dir);

	if (error)
		return error;
	handle = fs_handle_new(op->fs, op->ino);
	if (!handle)
		return -ENOMEM;
	handle->dir.resource = resource;
	handle->listing = listing_ref((struct listing *)listing);
	handle->dir.index = dir;
	handle->dir.publication = tree_publication(resource);
	op->fi.fh = (uintptr_t)handle;
	handle->dir.cached = !is_read_otherwise(op->fs, handle);
	op->fi.cache_readdir = handle->dir.cached;
	/* Whether the kernel's cached reading of the directory is of this publication, and its
	 * attributes have not run out: otherwise it reads again, which refills them in bulk
	 * (measured: 20,000 expired entries cost 20,001 look-ups without this). */
	op->fi.keep_cache = tree_timeout_s(op->fs->tree, resource) > 0 &&
			    *fs_seen_publication(op->fs, op->ino) == handle->dir.publication;
	if (fuse_reply_open(op->req, &op->fi))
		fs_handle_free(op->fs, handle);
	return 0;
}

/* The page cache belongs to the inode, not to the handle: bytes of two versions must not meet
 * there, nor bytes of one version with the size of another. Then the new handle reads past it. */
static void choose_caching(struct node *node, struct op *op, struct open_handle *handle)
{
	uint64_t version = handle->file.entry->version;

	if (node->file.told_version != version ||
	    (node->file.handles > 0 && node->file.pages_version != version)) {
		op->fi.direct_io = 1;
		return;
	}
	op->fi.keep_cache = node->file.pages_version == version;
	node->file.pages_version = version;
	node->file.pages_len = handle->file.entry->body_len;
	node->file.handles++;
	handle->file.paged = true;
}

static int run_open(struct op *op)
{
	const struct listing_entry *entry;
	const struct listing *listing;
	struct open_handle *handle;
	struct node *node = tree_node(op->fs->tree, op->ino);
	int error;

	if (!node)
		return -ESTALE;
	if (node->type != LISTING_FILE)
		return -EISDIR;
	error = op_access(op, node->home, &listing);
	if (error)
		return error;
	entry = listing_find_ino(listing, op->ino);
	if (!entry)
		return -ENOENT;
	handle = fs_handle_new(op->fs, op->ino);
	if (!handle)
		return -ENOMEM;
	handle->listing = listing_ref((struct listing *)listing);
	handle->file.entry = entry;
	choose_caching(node, op, handle);
	op->fi.fh = (uintptr_t)handle;
	if (fuse_reply_open(op->req, &op->fi)) {
		node->file.handles -= handle->file.paged;
		fs_handle_free(op->fs, handle);
	}
	return 0;
}

static int (*const runs[])(struct op *op) = {
	[OP_LOOKUP] = run_lookup,
	[OP_GETATTR] = run_getattr,
	[OP_OPENDIR] = run_opendir,
	[OP_OPEN] = run_open,
};

/* --- Parking --- */

static void op_free(struct op *op)
{
	TAILQ_REMOVE(&op->fs->parked, op, parked);
	if (op->is_interrupted)
		TAILQ_REMOVE(&op->fs->interrupted, op, interrupted);
	free((char *)op->name);
	free(op);
}

/* libfuse holds a lock of the request here: answering has to wait (see fs_ops_interrupted). */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct op *op = data;

	(void)req;
	if (op->is_interrupted)
		return;
	op->is_interrupted = true;
	TAILQ_INSERT_TAIL(&op->fs->interrupted, op, interrupted);
}

void fs_ops_interrupted(struct fs *fs)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&fs->interrupted))) {
		tree_unwait(fs->tree, &op->waiter);
		fuse_req_interrupt_func(op->req, NULL, NULL);
		fuse_reply_err(op->req, EINTR);
		op_free(op);
	}
}

static void on_wake(struct tree_waiter *waiter, int error)
{
	/* The waiter is an op's first member. */
	struct op *op = (struct op *)waiter;
	int result;

	op->woken = true;
	op->wake_error = error;
	result = runs[op->type](op);
	if (result == -EAGAIN) { /* it needs a second resource; the deadline stays */
		tree_wait(op->fs->tree, op->wait_for, &op->waiter, op->asked_ms);
		return;
	}
	if (result)
		fuse_reply_err(op->req, -result);
	op_free(op);
}

static int op_park(const struct op *op)
{
	struct op *parked = malloc(sizeof(*parked));

	if (!parked)
		return -ENOMEM;
	*parked = *op;
	parked->name = op->name ? strdup(op->name) : NULL;
	if (op->name && !parked->name) {
		free(parked);
		return -ENOMEM;
	}
	parked->waiter.wake = on_wake;
	TAILQ_INSERT_TAIL(&op->fs->parked, parked, parked);
	tree_wait(op->fs->tree, op->wait_for, &parked->waiter, op->asked_ms);
	/* If the interrupt was faster than this, the function is called at once. */
	fuse_req_interrupt_func(op->req, on_interrupt, parked);
	return 0;
}

void fs_op_run(fuse_req_t req, enum op_type type, fuse_ino_t ino, const char *name,
	       const struct fuse_file_info *fi)
{
	struct op op = {
		.fs = fs_of(req),
		.req = req,
		.type = type,
		.ino = ino,
		.name = name,
		.asked_ms = loop_now_ms(),
	};
	int error;

	if (fi)
		op.fi = *fi;
	error = runs[type](&op);
	if (error == -EAGAIN)
		error = op_park(&op);
	if (error)
		fuse_reply_err(req, -error);
}

void fs_ops_end(struct fs *fs)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&fs->parked))) {
		tree_unwait(fs->tree, &op->waiter);
		fuse_req_interrupt_func(op->req, NULL, NULL);
		fuse_reply_err(op->req, ENODEV);
		op_free(op);
	}
}
