/* fs_op.c: what the requests do that may have to wait: lookup, getattr, opendir, open, read,
 * readlink. See fs_wait.c for the waiting.
 *
 * Each function may run several times: after each wait it starts again, and what it needs may be
 * another by then. */
#include "fs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_SUFFIX ".json"
/* Sizes learnt ahead of a lookup (sizes=exact), of the entries after it. */
#define SIZES_AHEAD 15
/* Pieces of an answer that is not copied together: a read of 1 MiB that begins in a block. */
#define PIECES_MAX 17
/* Who has waited in vain is not made to wait for the same bytes again so soon. */
#define MISSED_TTL_MS 1000

static int op_access(struct op *op, struct resource *resource, uint64_t need,
		     const struct listing **ret_listing)
{
	struct wait_queue *queue = tree_queue(resource);
	bool waited = fs_op_waited(op, queue);
	int error = tree_access(op->fs->tree, resource, need, waited, ret_listing);

	if (error == -EAGAIN)
		return fs_op_wait(op, queue);
	return error && waited && op->wake_error ? op->wake_error : error;
}

/* The entry of that inode, with its listing; NULL: there is none any more. */
static int op_find_entry(struct op *op, struct resource *home, uint64_t ino,
			 const struct listing **ret_listing, const struct listing_entry **ret_entry)
{
	int error = op_access(op, home, TREE_NAMES, ret_listing);

	*ret_entry = error ? NULL : listing_find_ino(*ret_listing, ino);
	if (error || *ret_entry || listing_is_whole(*ret_listing))
		return error;
	error = op_access(op, home, TREE_ALL, ret_listing);
	*ret_entry = error ? NULL : listing_find_ino(*ret_listing, ino);
	return error;
}

/* The same for what a node shows; a document that has no contents any more is none in files/. */
static int op_find_shown(struct op *op, const struct node *node, const struct listing **ret_listing,
			 const struct listing_entry **ret_entry)
{
	int error = op_find_entry(op, node->home, listing_ino_object(node->ino), ret_listing,
				  ret_entry);

	if (*ret_entry && (*ret_entry)->type == LISTING_FILE &&
	    listing_ino_view(node->ino) == LISTING_VIEW_CONTENT && !listing_has_content(*ret_entry))
		*ret_entry = NULL;
	return error;
}

/* The directory that is or was listed as this inode: with all its entries, or (`names`) those that
 * happen to be known. */
static int op_find_dir(struct op *op, bool names, struct resource **ret_resource,
		       const struct listing **ret_listing, uint32_t *ret_dir)
{
	uint64_t ino = listing_ino_object(op->ino);
	const struct listing_entry *entry;
	struct node *node;
	int error;

	*ret_dir = 0;
	if (fs_is_top(op->ino)) {
		*ret_resource = tree_top(op->fs->tree);
		return op_access(op, *ret_resource, TREE_ALL, ret_listing);
	}
	node = tree_node(op->fs->tree, op->ino);
	if (!node)
		return -ESTALE;
	if (node->type != NODE_DIR)
		return -ENOTDIR;
	*ret_resource = node->dir->inside;
	if (node->dir->inside != node->home)
		return op_access(op, *ret_resource, names ? TREE_NAMES : TREE_ALL, ret_listing);
	error = op_find_entry(op, node->home, ino, ret_listing, &entry);
	if (!error && entry && !names) {
		error = op_access(op, node->home, ino, ret_listing);
		entry = error ? NULL : listing_find_ino(*ret_listing, ino);
	}
	if (error)
		return error;
	if (!entry || entry->type != LISTING_DIR || entry->dir == LISTING_ELSEWHERE)
		return -ENOENT;
	*ret_dir = entry->dir;
	return 0;
}

/* --- Look-up --- */

static int reply_entry(struct op *op, struct resource *resource, const struct listing *listing,
		       const struct listing_entry *entry, enum listing_view view)
{
	struct fuse_entry_param reply = {0};
	struct node *node;
	int error;

	reply.entry_timeout = tree_timeout_s(op->fs->tree, resource);
	reply.attr_timeout = reply.entry_timeout;
	if (entry) {
		error = tree_lookup(op->fs->tree, resource, listing, entry, view,
				    fs_view_version(op->fs, view, listing, entry), &node);
		if (error)
			return error;
		reply.ino = tree_node_id(node);
		fs_entry_attr(op->fs, node, listing, entry, &reply.attr, &reply.attr_timeout);
	}
	/* A reply that the kernel no longer wants does not count as a lookup. */
	if (fuse_reply_entry(op->req, &reply) && entry)
		tree_forget(op->fs->tree, reply.ino, 1);
	return 0;
}

static int reply_unknown(struct op *op)
{
	struct fuse_entry_param reply = {.entry_timeout = FS_FIXED_TIMEOUT_S};

	fuse_reply_entry(op->req, &reply);
	return 0;
}

/* by-id/documents/GUID.json: one call, and none for what is no id. */
static int lookup_object(struct op *op)
{
	const struct provider_ops *ops = op->fs->control->ops;
	const struct listing *listing;
	struct resource *resource;
	char path[NAME_BYTES_MAX + 64];
	char id[NAME_BYTES_MAX + 1];
	size_t len = strlen(op->name);
	int error;

	len -= len > strlen(JSON_SUFFIX) ? strlen(JSON_SUFFIX) : 0;
	if (len > NAME_BYTES_MAX || strcmp(op->name + len, JSON_SUFFIX) != 0 ||
	    !ops->is_object_id(op->name, len))
		return reply_unknown(op);
	snprintf(id, sizeof(id), "%.*s", (int)len, op->name);
	snprintf(path, sizeof(path), "by-id/%s/%s", ops->objects_name, op->name);
	error = tree_resource(op->fs->tree, PROVIDER_OBJECT, id, path, &resource);
	if (!error)
		error = op_access(op, resource, TREE_ALL, &listing);
	if (error)
		return error;
	return reply_entry(op, resource, listing, listing->entry_count ? listing->entries : NULL,
			   LISTING_VIEW_OBJECT);
}

/* search/QUERY: a directory for the asking; the API is asked when it is read. */
static int lookup_query(struct op *op)
{
	struct fuse_entry_param reply = {.entry_timeout = FS_FIXED_TIMEOUT_S};
	struct failure failure = {.error = -EINVAL};
	struct fs *fs = op->fs;
	struct resource *resource;
	const char *problem;
	struct node *node;
	int error;

	if (op->name[0] == '.') /* .git, .Trash: programs look for these everywhere */
		return reply_unknown(op);
	if (strlen(op->name) > NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	snprintf(failure.path, sizeof(failure.path), "search/%.240s", op->name);
	error = fs->control->ops->query_check(op->name, &problem);
	if (error) {
		snprintf(failure.what, sizeof(failure.what), "not a query: %s", problem);
		failures_note(fs->control->failures, &failure);
		return error;
	}
	error = tree_resource(fs->tree, PROVIDER_QUERY, op->name, failure.path, &resource);
	if (!error)
		error = tree_lookup_query(fs->tree, resource, &node);
	if (error)
		return error;
	reply.ino = tree_node_id(node);
	fs_query_attr(fs, node, &reply.attr, &reply.attr_timeout);
	if (fuse_reply_entry(op->req, &reply))
		tree_forget(fs->tree, reply.ino, 1);
	return 0;
}

/* With sizes=exact, a name in files/ is known only together with its size. */
static int need_size(struct op *op, const struct resource *home, const struct listing *listing,
		     const struct listing_entry *entry)
{
	char buffer[LISTING_ID_MAX + 1];
	const char *version = listing_content(listing, entry, buffer);
	uint64_t size;
	int error;

	if (op->fs->config->sizes != CONFIG_SIZES_EXACT || !version || !*version ||
	    contents_size(op->fs->contents, version, &size))
		return 0;
	if (op->content &&
	    op->key != contents_key(op->fs->contents, version)) { /* a new one came meanwhile */
		content_unref(op->content);
		op->content = NULL;
	}
	if (!op->content) {
		error = fs_content_get(op->fs, home, listing, entry, &op->content);
		if (error)
			return error;
		op->key = contents_key(op->fs->contents, version);
	}
	error = content_open(op->content, false);
	if (error != -EAGAIN)
		return error;
	fs_learn_after(op->fs, home, listing, entry, LISTING_BY_NAME, SIZES_AHEAD, false);
	return fs_op_wait(op, content_queue(op->content));
}

/* Whether a name may be among those that are not known yet: of documents, and of directories that
 * are named by an id. Programs look for .git and the like everywhere. */
static bool may_be_there(enum listing_view view, const char *name)
{
	size_t len = strlen(name);
	size_t suffix = strlen(JSON_SUFFIX);

	return name[0] != '.' || view == LISTING_VIEW_CONTENT ||
	       (len > suffix && strcmp(name + len - suffix, JSON_SUFFIX) == 0);
}

static int run_lookup(struct op *op)
{
	enum listing_view view = fs_view_inside(op->ino);
	const struct listing_entry *entry;
	const struct listing *listing;
	struct resource *resource;
	uint32_t dir;
	int error;

	if (op->ino == FS_INO_OBJECTS)
		return lookup_object(op);
	if (op->ino == FS_INO_SEARCH)
		return lookup_query(op);
	error = op_find_dir(op, true, &resource, &listing, &dir);
	entry = error ? NULL : fs_view_find(view, listing, dir, op->name);
	if (!error && !entry && listing->dirs[dir].incomplete && may_be_there(view, op->name)) {
		error = op_find_dir(op, false, &resource, &listing, &dir);
		entry = error ? NULL : fs_view_find(view, listing, dir, op->name);
	}
	if (error)
		return error;
	if (entry && view == LISTING_VIEW_CONTENT)
		error = need_size(op, resource, listing, entry);
	return error ? error : reply_entry(op, resource, listing, entry, view);
}

/* --- Attributes --- */

/* Who has a version of a file open can look at it also when it is gone. The kernel does not say
 * through which handle it asks, nor whether through any. */
static const struct open_handle *open_file(const struct fs *fs, fuse_ino_t ino)
{
	const struct open_handle *handle;

	TAILQ_FOREACH (handle, &fs->handles, link) {
		if (handle->ino == ino &&
		    (handle->type == HANDLE_INLINE || handle->type == HANDLE_CONTENT))
			return handle;
	}
	return NULL;
}

/* Whether an entry is still what the node stands for. */
static bool is_version_of(const struct fs *fs, const struct node *node,
			  const struct listing *listing, const struct listing_entry *entry)
{
	return fs_view_version(fs, listing_ino_view(node->ino), listing, entry) == node->version;
}

static int run_getattr(struct op *op)
{
	const struct listing_entry *entry;
	const struct open_handle *handle = NULL;
	const struct listing *listing;
	struct node *node = tree_node(op->fs->tree, op->ino);
	bool is_old = false;
	struct stat attr;
	double timeout_s;
	int error;

	if (!node)
		return -ESTALE;
	if (!node->home) {
		fs_query_attr(op->fs, node, &attr, &timeout_s);
		fuse_reply_attr(op->req, &attr, timeout_s);
		return 0;
	}
	error = op_find_shown(op, node, &listing, &entry);
	if (entry)
		is_old = !is_version_of(op->fs, node, listing, entry);
	if (!entry || is_old)
		handle = open_file(op->fs, op->ino);
	if (error == -EAGAIN && !handle)
		return error;
	timeout_s = tree_timeout_s(op->fs->tree, node->home);
	if (handle) {
		fs_handle_attr(op->fs, node, handle, &attr, &timeout_s);
		if (error == -EAGAIN) /* the listing comes behind, for who looks next */
			timeout_s = 0;
	} else if (!entry) {
		return error ? error : -ENOENT;
	} else if (is_old && !op->fs->config->content) {
		return -ESTALE; /* readers have no handle: another size would mend no page */
	} else {
		if (node->type == NODE_CONTENT)
			error = need_size(op, node->home, listing, entry);
		if (error)
			return error;
		fs_entry_attr(op->fs, node, listing, entry, &attr, &timeout_s);
		/* Nothing reads this version any more: it can only be a look at the file as it is
		 * now, by a name or an O_PATH descriptor. After ESTALE the kernel would look a name
		 * up again, but fstat of the descriptor would fail for good. */
		if (is_old)
			timeout_s = 0;
	}
	fuse_reply_attr(op->req, &attr, timeout_s);
	return 0;
}

static int run_readlink(struct op *op)
{
	struct buf target = BUF_INIT(FS_LINK_TARGET_MAX);
	const struct listing_entry *entry;
	const struct listing *listing;
	struct node *node = tree_node(op->fs->tree, op->ino);
	int error;

	if (!node)
		return -ESTALE;
	if (node->type != NODE_LINK)
		return -EINVAL;
	error = op_find_shown(op, node, &listing, &entry);
	if (error)
		return error;
	if (!entry)
		return -ENOENT;
	error = fs_view_link(op->fs, listing, entry, &target);
	if (!error)
		fuse_reply_readlink(op->req, buf_str(&target));
	buf_reset(&target);
	return error == -EFBIG ? -ENAMETOOLONG : error;
}

/* --- Directories --- */

uint64_t *fs_seen_publication(struct fs *fs, fuse_ino_t ino)
{
	return fs_is_top(ino) ? &fs->top_seen_publication[listing_ino_view(ino)]
			      : &tree_node(fs->tree, ino)->dir->seen_publication;
}

/* The kernel has one cache for the readings of a directory: who began with another listing must not
 * meet this one there. */
static bool is_read_otherwise(const struct fs *fs, const struct open_handle *handle)
{
	const struct open_handle *other;

	TAILQ_FOREACH (other, &fs->handles, link) {
		if (other->ino == handle->ino && other->dir.listing != handle->dir.listing)
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
	pid_t pid = fuse_req_ctx(op->req)->pid;
	int error;

	if (!op->wait_for) /* the first time */
		fs_note_opendir(op->fs, pid, op->ino);
	error = op_find_dir(op, false, &resource, &listing, &dir);
	if (error)
		return error;
	fs_note_opened(op->fs, pid, op->ino);
	handle = fs_handle_new(op->fs, HANDLE_DIR, op->ino);
	if (!handle)
		return -ENOMEM;
	handle->dir.resource = resource;
	handle->dir.listing = listing_ref((struct listing *)listing);
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

/* --- Files --- */

static int reply_open(struct op *op, struct open_handle *handle)
{
	op->fi.fh = (uintptr_t)handle;
	op->fi.keep_cache = 1; /* a node's bytes never change */
	if (fuse_reply_open(op->req, &op->fi))
		fs_handle_free(op->fs, handle);
	return 0;
}

/* -ESTALE if the file has another version now: the kernel then opens it again by its name. */
static int find_file(struct op *op, const struct node *node, const struct listing **ret_listing,
		     const struct listing_entry **ret_entry)
{
	int error = op_find_shown(op, node, ret_listing, ret_entry);

	if (error)
		return error;
	if (!*ret_entry)
		return -ENOENT;
	return is_version_of(op->fs, node, *ret_listing, *ret_entry) ? 0 : -ESTALE;
}

static int open_inline(struct op *op, struct node *node)
{
	const struct listing_entry *entry;
	const struct listing *listing;
	struct open_handle *handle;
	int error = find_file(op, node, &listing, &entry);

	if (error)
		return error;
	handle = fs_handle_new(op->fs, HANDLE_INLINE, op->ino);
	if (!handle)
		return -ENOMEM;
	handle->bytes.listing = listing_ref((struct listing *)listing);
	handle->bytes.entry = entry;
	error = fs_view_bytes(op->fs, handle);
	if (error) {
		fs_handle_free(op->fs, handle);
		return error;
	}
	return reply_open(op, handle);
}

/* The version is that of the first try, however long its size takes to come. */
static int open_content(struct op *op, struct node *node)
{
	const struct listing_entry *entry;
	const struct listing *listing;
	struct open_handle *handle;
	int error;

	if (!op->content) {
		error = find_file(op, node, &listing, &entry);
		if (!error)
			error = fs_content_get(op->fs, node->home, listing, entry, &op->content);
		if (error)
			return error;
		fs_note_open(op->fs, node->home, listing, entry);
		op->mtime_ns = entry->mtime_ns;
	}
	error = content_open(op->content, true);
	if (error == -EAGAIN)
		return fs_op_wait(op, content_queue(op->content));
	if (error)
		return error;
	handle = fs_handle_new(op->fs, HANDLE_CONTENT, op->ino);
	if (!handle)
		return -ENOMEM;
	handle->content.content = op->content;
	op->content = NULL;
	handle->content.mtime_ns = op->mtime_ns;
	return reply_open(op, handle);
}

static int run_open(struct op *op)
{
	struct node *node = tree_node(op->fs->tree, op->ino);

	if (!node)
		return -ESTALE;
	if (node->type == NODE_INLINE)
		return open_inline(op, node);
	return node->type == NODE_CONTENT ? open_content(op, node) : -EISDIR;
}

/* Without a handle (content=off) nothing keeps a version that was replaced. */
static int read_inline(struct op *op)
{
	const struct listing_entry *entry;
	const struct listing *listing;
	struct node *node = tree_node(op->fs->tree, op->ino);
	size_t len = op->size;
	int error =
		node && node->type == NODE_INLINE ? find_file(op, node, &listing, &entry) : -ESTALE;

	if (error)
		return error;
	if ((uint64_t)op->offset >= entry->body_len)
		len = 0;
	else if (len > entry->body_len - (size_t)op->offset)
		len = entry->body_len - (size_t)op->offset;
	fuse_reply_buf(op->req, len ? listing_body(listing, entry) + op->offset : NULL, len);
	return 0;
}

/* A page that could not be read ahead is asked for once more by the kernel, at once and for the
 * same reader, who must not wait twice. */
static int read_wait(struct op *op, struct open_handle *handle)
{
	int error = handle->content.missed.error;

	if (!op->woken && error && op->offset >= handle->content.missed.offset &&
	    op->offset - handle->content.missed.offset < (off_t)handle->content.missed.size &&
	    op->asked_ms - handle->content.missed.at_ms < MISSED_TTL_MS)
		return error;
	error = fs_op_wait(op, content_queue(handle->content.content));
	if (error != -EAGAIN) {
		handle->content.missed.error = error;
		handle->content.missed.offset = op->offset;
		handle->content.missed.size = op->size;
		handle->content.missed.at_ms = loop_now_ms();
	}
	return error;
}

/* Takes what is there, as it comes: what is waited for is then never more than what is missing. */
static int read_content(struct op *op, struct open_handle *handle)
{
	struct content *content = handle->content.content;
	uint64_t offset = (uint64_t)op->offset;
	uint64_t left = offset < content_size(content) ? content_size(content) - offset : 0;
	size_t size = op->size < left ? op->size : (size_t)left;
	struct iovec pieces[PIECES_MAX];
	size_t count;
	size_t len;
	size_t i;
	int error;

	if (size == 0) {
		fuse_reply_buf(op->req, NULL, 0);
		return 0;
	}
	error = content_want(content, &handle->content.readahead, offset + op->len, size - op->len);
	len = content_peek(content, offset + op->len, size - op->len, pieces, PIECES_MAX, &count);
	if (op->len + len == size && !op->bytes) {
		content_note_read(content, size);
		fuse_reply_iov(op->req, pieces, (int)count);
		return 0;
	}
	if (!op->bytes)
		op->bytes = malloc(size);
	if (!op->bytes)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		memcpy(op->bytes + op->len, pieces[i].iov_base, pieces[i].iov_len);
		op->len += pieces[i].iov_len;
	}
	if (op->len == size) {
		content_note_read(content, size);
		fuse_reply_buf(op->req, op->bytes, size);
		return 0;
	}
	return error ? error : read_wait(op, handle);
}

static int run_read(struct op *op)
{
	struct open_handle *handle = fs_handle(&op->fi);

	return handle ? read_content(op, handle) : read_inline(op);
}

int (*const fs_op_runs[OP_TYPES])(struct op *op) = {
	[OP_LOOKUP] = run_lookup, [OP_GETATTR] = run_getattr, [OP_OPENDIR] = run_opendir,
	[OP_OPEN] = run_open,	  [OP_READ] = run_read,	      [OP_READLINK] = run_readlink,
};
