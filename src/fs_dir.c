/* fs_dir.c: reading directories, with the attributes of all entries (readdirplus): one listing
 * fills everything. An entry counts as looked up once it is in the reply. */
#include "fs_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Longest reply; the kernel asks for less. */
#define REPLY_BYTES_MAX (128 * 1024)

/* One entry on its way into a reply. */
struct slot {
	const char *name;
	struct fuse_entry_param param; /* ino 0: no look-up is counted */
	struct node *node;	       /* whose lookup was counted for it */
	char buffer[NAME_BYTES_MAX + 1];
};

/* Whether the entry's attributes can be given along. With sizes=exact those of a file whose size is
 * not known cannot: whoever wants them looks it up. */
static bool has_attributes(struct fs *fs, const struct open_handle *handle,
			   const struct listing_entry *entry)
{
	char buffer[LISTING_ID_MAX + 1];
	const char *version;
	uint64_t size;

	if (fs->config->sizes == CONFIG_SIZES_LAZY ||
	    fs_view_inside(handle->ino) != LISTING_VIEW_CONTENT)
		return true;
	version = listing_content(handle->dir.listing, entry, buffer);
	return !version || contents_size(fs->contents, version, &size);
}

/* The entry at `index`: ".", "..", then the directory's. Returns 0, -ENODATA if this view shows
 * nothing there, -ENOENT past the last, -ENOMEM. */
static int slot_fill(struct fs *fs, const struct open_handle *handle, fuse_ino_t ino, size_t index,
		     bool plus, struct slot *slot)
{
	struct fs_fixed fixed;
	const struct listing_entry *entry;
	int error;

	enum listing_view view = fs_view_inside(ino);

	slot->name = index == 0 ? "." : "..";
	slot->param = (struct fuse_entry_param){0};
	slot->node = NULL;
	if (index < 2) {
		slot->param.attr.st_ino = fs_shown_ino(ino);
		slot->param.attr.st_mode = S_IFDIR;
		return 0;
	}
	index -= 2;
	if (handle->type != HANDLE_DIR) {
		if (!fs_fixed_entry(fs, ino, index, &fixed))
			return -ENOENT;
		slot->name = fixed.name;
		slot->param.ino = fixed.ino;
		slot->param.entry_timeout = FS_FIXED_TIMEOUT_S;
		if (plus)
			return fs_fixed_attr(fs, fixed.ino, &slot->param.attr,
					     &slot->param.attr_timeout);
		slot->param.attr.st_ino = fs_shown_ino(fixed.ino);
		slot->param.attr.st_mode = fs_is_control_file(fixed.ino) ? S_IFREG : S_IFDIR;
		return 0;
	}
	entry = fs_view_entry(view, handle->dir.listing, handle->dir.index, index);
	if (!entry)
		return -ENOENT;
	slot->name = fs_view_name(view, handle->dir.listing, entry, slot->buffer);
	if (!slot->name)
		return -ENODATA;
	slot->param.attr.st_ino = fs_shown_ino(listing_ino(entry->ino, view));
	slot->param.attr.st_mode = view == LISTING_VIEW_ID	? S_IFLNK
				   : entry->type == LISTING_DIR ? S_IFDIR
								: S_IFREG;
	/* What has been replaced since the directory was opened must not enter the caches. */
	if (!plus || handle->dir.listing != tree_peek(handle->dir.resource) ||
	    !has_attributes(fs, handle, entry))
		return 0;
	error = tree_lookup(fs->tree, handle->dir.resource, handle->dir.listing, entry, view,
			    fs_view_version(fs, view, handle->dir.listing, entry), &slot->node);
	if (error) /* what cannot be looked up is listed all the same */
		return error == -ENOMEM ? error : 0;
	slot->param.ino = tree_node_id(slot->node);
	slot->param.entry_timeout = tree_refill_timeout_s(fs->tree, handle->dir.resource);
	slot->param.attr_timeout = slot->param.entry_timeout;
	fs_entry_attr(fs, slot->node, handle->dir.listing, entry, &slot->param.attr,
		      &slot->param.attr_timeout);
	return 0;
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi, bool plus)
{
	const struct open_handle *handle = fs_handle(fi);
	struct fs *fs = fs_of(req);
	size_t used = 0;
	char *reply;
	int error = 0;

	fs_count(req, CONTROL_UPCALL_READDIR, ino);
	if (size > REPLY_BYTES_MAX)
		size = REPLY_BYTES_MAX;
	reply = malloc(size);
	if (!reply) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	/* What the kernel caches from here on is of this listing. */
	if (offset == 0 && handle->type == HANDLE_DIR && handle->dir.cached)
		*fs_seen_publication(fs, ino) = handle->dir.publication;
	for (;; offset++) {
		struct slot slot;
		size_t need;

		error = slot_fill(fs, handle, ino, (size_t)offset, plus, &slot);
		if (error == -ENODATA)
			continue;
		if (error)
			break;
		if (plus)
			need = fuse_add_direntry_plus(req, reply + used, size - used, slot.name,
						      &slot.param, offset + 1);
		else
			need = fuse_add_direntry(req, reply + used, size - used, slot.name,
						 &slot.param.attr, offset + 1);
		if (need > size - used) {
			if (slot.node)
				tree_forget(fs->tree, tree_node_id(slot.node), 1);
			break;
		}
		used += need;
	}
	/* After some entries an error waits for the next call. */
	if (error == -ENOMEM && used == 0)
		fuse_reply_err(req, ENOMEM);
	else
		fuse_reply_buf(req, reply, used);
	free(reply);
}

void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	read_dir(req, ino, size, offset, fi, false);
}

void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	read_dir(req, ino, size, offset, fi, true);
}
