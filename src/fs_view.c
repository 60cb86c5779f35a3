/* fs_view.c: which entries of a listing a directory shows, under which names and attributes.
 *
 *   binders/   every entry
 *   files/     directories and documents; these with another suffix than the ".json" of their JSON
 *   by-id/     links to all directories that the top listing has, by their ids */
#include "fs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S    1000000000LL
#define BLOCK_BYTES 512
#define JSON_SUFFIX ".json"
/* An id that is longer, or holds other characters, gets no link. */
#define LINK_ID_MAX   128
#define LINK_ID_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

enum listing_view fs_view_inside(fuse_ino_t dir)
{
	enum listing_view view = listing_ino_view(dir);

	return view == LISTING_VIEW_QUERY ? LISTING_VIEW_OBJECT : view;
}

static bool is_link_id(const char *id)
{
	size_t len = strlen(id);

	return len > 0 && len <= LINK_ID_MAX && strspn(id, LINK_ID_CHARS) == len;
}

const char *fs_view_name(enum listing_view view, const struct listing *listing,
			 const struct listing_entry *entry, char buffer[NAME_BYTES_MAX + 1])
{
	const char *name = listing_name(listing, entry);

	switch (view) {
	case LISTING_VIEW_CONTENT:
		if (entry->type == LISTING_DIR)
			return name;
		if (!listing_has_content(entry))
			return NULL;
		snprintf(buffer, NAME_BYTES_MAX + 1, "%.*s%s",
			 (int)(strlen(name) - strlen(JSON_SUFFIX)), name, listing->content_suffix);
		return buffer;
	case LISTING_VIEW_ID:
		if (entry->type != LISTING_DIR)
			return NULL;
		return is_link_id(listing_id(listing, entry, buffer)) ? buffer : NULL;
	case LISTING_VIEW_OBJECT:
	case LISTING_VIEW_QUERY:
		break;
	}
	return name;
}

const struct listing_entry *fs_view_entry(enum listing_view view, const struct listing *listing,
					  uint32_t dir, size_t index)
{
	const struct listing_dir *in = &listing->dirs[dir];

	if (view == LISTING_VIEW_ID)
		return index < listing->entry_count ? &listing->entries[index] : NULL;
	return index < in->count ? &listing->entries[in->first + index] : NULL;
}

static const struct listing_entry *find_content(const struct listing *listing, uint32_t dir,
						const char *name)
{
	const struct listing_entry *entry = listing_find_name(listing, dir, name);
	size_t suffix_len = strlen(listing->content_suffix);
	size_t len = strlen(name);
	char json_name[NAME_BYTES_MAX + 1];

	if (entry && entry->type == LISTING_DIR)
		return entry;
	if (len < suffix_len || strcmp(name + len - suffix_len, listing->content_suffix) != 0 ||
	    snprintf(json_name, sizeof(json_name), "%.*s" JSON_SUFFIX, (int)(len - suffix_len),
		     name) > NAME_BYTES_MAX)
		return NULL;
	entry = listing_find_name(listing, dir, json_name);
	return entry && listing_has_content(entry) ? entry : NULL;
}

static const struct listing_entry *find_id(const struct listing *listing, const char *id)
{
	char buffer[LISTING_ID_MAX + 1];
	uint32_t i;

	for (i = 0; is_link_id(id) && i < listing->entry_count; i++) {
		if (listing->entries[i].type == LISTING_DIR &&
		    strcmp(listing_id(listing, &listing->entries[i], buffer), id) == 0)
			return &listing->entries[i];
	}
	return NULL;
}

const struct listing_entry *fs_view_find(enum listing_view view, const struct listing *listing,
					 uint32_t dir, const char *name)
{
	switch (view) {
	case LISTING_VIEW_CONTENT:
		return find_content(listing, dir, name);
	case LISTING_VIEW_ID:
		return find_id(listing, name);
	case LISTING_VIEW_OBJECT:
	case LISTING_VIEW_QUERY:
		break;
	}
	return listing_find_name(listing, dir, name);
}

int fs_view_link(const struct fs *fs, const struct listing *listing,
		 const struct listing_entry *entry, struct buf *out)
{
	buf_printf(out, "../../%s/", fs->control->ops->top_name);
	return listing_path(listing, entry, out);
}

/* --- Attributes --- */

void fs_attr_fill(const struct fs *fs, struct stat *attr, uint64_t ino, mode_t type,
		  int64_t mtime_ns, off_t size)
{
	struct timespec time = {.tv_sec = mtime_ns / NS_PER_S, .tv_nsec = mtime_ns % NS_PER_S};
	mode_t mode = (type == S_IFDIR ? 0555 : 0444) & ~fs->config->umask;

	if (time.tv_nsec < 0) {
		time.tv_nsec += NS_PER_S;
		time.tv_sec--;
	}
	*attr = (struct stat){
		.st_ino = fs_shown_ino(ino),
		.st_mode = type | (type == S_IFLNK ? 0777 : mode),
		/* 1 for a directory says that it does not count its sub-directories. */
		.st_nlink = 1,
		.st_uid = fs->config->uid,
		.st_gid = fs->config->gid,
		.st_size = size,
		.st_blocks = (size + BLOCK_BYTES - 1) / BLOCK_BYTES,
		.st_atim = time,
		.st_mtim = time,
		.st_ctim = time,
	};
}

uint64_t fs_view_version(const struct fs *fs, enum listing_view view, const struct listing *listing,
			 const struct listing_entry *entry)
{
	char version[LISTING_ID_MAX + 1];

	if (entry->type == LISTING_DIR || view == LISTING_VIEW_ID)
		return 0;
	if (view != LISTING_VIEW_CONTENT || entry->is_inline)
		return entry->version;
	return contents_key(fs->contents, listing_content(listing, entry, version));
}

/* Of a file that has its bytes in the listing. */
static off_t inline_size(const struct listing *listing, const struct listing_entry *entry,
			 enum listing_view view)
{
	return view == LISTING_VIEW_CONTENT ? (off_t)listing_inline_size(listing, entry)
					    : (off_t)entry->body_len;
}

void fs_decoded_unref(struct fs_decoded *decoded)
{
	if (!decoded || --decoded->references > 0)
		return;
	buf_reset(&decoded->bytes);
	free(decoded);
}

/* The number of a node stands for one version, and so for the same bytes. */
static struct fs_decoded *find_decoded(const struct fs *fs, fuse_ino_t ino)
{
	const struct open_handle *handle;

	TAILQ_FOREACH (handle, &fs->handles, link) {
		if (handle->ino == ino && handle->type == HANDLE_INLINE && handle->bytes.decoded)
			return handle->bytes.decoded;
	}
	return NULL;
}

static int decode(const struct open_handle *handle, struct fs_decoded **ret_decoded)
{
	const struct listing *listing = handle->bytes.listing;
	size_t size = listing_inline_size(listing, handle->bytes.entry);
	struct fs_decoded *decoded = calloc(1, sizeof(*decoded));
	int error;

	if (!decoded)
		return -ENOMEM;
	decoded->bytes = BUF_INIT_OPEN(size);
	error = buf_reserve(&decoded->bytes, size);
	if (!error)
		error = listing_inline_read(listing, handle->bytes.entry, &decoded->bytes);
	if (error) {
		buf_reset(&decoded->bytes);
		free(decoded);
		return error;
	}
	*ret_decoded = decoded;
	return 0;
}

int fs_view_bytes(const struct fs *fs, struct open_handle *handle)
{
	struct fs_decoded *decoded;
	int error = 0;

	if (listing_ino_view(handle->ino) != LISTING_VIEW_CONTENT) {
		handle->bytes.bytes = listing_body(handle->bytes.listing, handle->bytes.entry);
		handle->bytes.len = handle->bytes.entry->body_len;
		return 0;
	}
	decoded = find_decoded(fs, handle->ino);
	if (!decoded)
		error = decode(handle, &decoded);
	if (error)
		return error;
	decoded->references++;
	handle->bytes.decoded = decoded;
	handle->bytes.bytes = buf_str(&decoded->bytes);
	handle->bytes.len = decoded->bytes.len;
	return 0;
}

/* Of contents that are not in the listing. */
static off_t content_size_known(const struct fs *fs, const struct listing *listing,
				const struct listing_entry *entry, double *timeout_s)
{
	char version[LISTING_ID_MAX + 1];
	uint64_t size = 0;

	/* Until it is known: 0, and the kernel asks again before it goes by it. */
	if (!contents_size(fs->contents, listing_content(listing, entry, version), &size))
		*timeout_s = 0;
	return (off_t)size;
}

void fs_entry_attr(const struct fs *fs, const struct node *node, const struct listing *listing,
		   const struct listing_entry *entry, struct stat *attr, double *timeout_s)
{
	struct buf target = BUF_INIT(FS_LINK_TARGET_MAX);
	int64_t mtime_ns = entry->mtime_ns;

	switch ((enum node_type)node->type) {
	case NODE_DIR:
		/* A binder's own listing knows when its entries last changed. */
		if (entry->dir == LISTING_ELSEWHERE &&
		    tree_mtime_ns(node->dir->inside) != LISTING_NO_TIME)
			mtime_ns = tree_mtime_ns(node->dir->inside);
		fs_attr_fill(fs, attr, node->ino, S_IFDIR, mtime_ns, 0);
		break;
	case NODE_INLINE:
		fs_attr_fill(fs, attr, node->ino, S_IFREG, mtime_ns,
			     inline_size(listing, entry, listing_ino_view(node->ino)));
		attr->st_nlink = listing_links(listing, entry);
		break;
	case NODE_CONTENT:
		fs_attr_fill(fs, attr, node->ino, S_IFREG, mtime_ns,
			     content_size_known(fs, listing, entry, timeout_s));
		break;
	case NODE_LINK:
		if (fs_view_link(fs, listing, entry, &target)) /* too long to be read */
			buf_reset(&target);
		fs_attr_fill(fs, attr, node->ino, S_IFLNK, mtime_ns, (off_t)target.len);
		buf_reset(&target);
		break;
	}
}

void fs_handle_attr(const struct fs *fs, const struct node *node, const struct open_handle *handle,
		    struct stat *attr, double *timeout_s)
{
	bool is_inline = handle->type == HANDLE_INLINE;

	*timeout_s = (double)fs->config->ttl_ms / 1000; /* a name's own time ends sooner */
	fs_attr_fill(fs, attr, node->ino, S_IFREG,
		     is_inline ? handle->bytes.entry->mtime_ns : handle->content.mtime_ns,
		     is_inline ? (off_t)handle->bytes.len
			       : (off_t)content_size(handle->content.content));
	if (is_inline)
		attr->st_nlink = listing_links(handle->bytes.listing, handle->bytes.entry);
}

void fs_query_attr(struct fs *fs, const struct node *node, struct stat *attr, double *timeout_s)
{
	int64_t mtime_ns = tree_mtime_ns(node->dir->inside);

	*timeout_s = tree_timeout_s(fs->tree, node->dir->inside);
	fs_attr_fill(fs, attr, node->ino, S_IFDIR,
		     mtime_ns == LISTING_NO_TIME ? fs->started_wall_ns : mtime_ns, 0);
}

/* --- Contents --- */

/* "files/…" for what is "binders/….json" */
static int content_path(const struct resource *home, const struct listing *listing,
			const struct listing_entry *entry, struct buf *out)
{
	int error = buf_printf(out, "files%s/", strchr(tree_path(home), '/'));

	if (!error)
		error = listing_path(listing, entry, out);
	if (!error)
		out->data[out->len - strlen(JSON_SUFFIX)] = '\0';
	return error;
}

int fs_content_get(struct fs *fs, const struct resource *home, const struct listing *listing,
		   const struct listing_entry *entry, struct content **ret_content)
{
	char version_buffer[LISTING_ID_MAX + 1];
	char id[LISTING_ID_MAX + 1];
	const char *version = listing_content(listing, entry, version_buffer);
	struct buf path = BUF_INIT(256 * 1024);
	int error = content_path(home, listing, entry, &path);

	if (!error && !*version) {
		struct failure failure = {.error = -EBADMSG};

		snprintf(failure.path, sizeof(failure.path), "%s", path.data);
		snprintf(failure.what, sizeof(failure.what),
			 "the API names no version of this document");
		failures_note(fs->control->failures, &failure);
		error = -EBADMSG;
	}
	if (!error)
		error = contents_get(fs->contents, listing_id(listing, entry, id), version,
				     path.data, ret_content);
	buf_reset(&path);
	return error;
}
