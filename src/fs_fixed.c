/* fs_fixed.c: the daemon's own nodes. They never wait for the network. */
#include "fs_internal.h"

#include <errno.h>
#include <string.h>

#define CONTROL_DIR ".ibinderfs"

bool fs_is_fixed_dir(fuse_ino_t ino)
{
	return ino == FS_INO_ROOT || ino == FS_INO_CONTROL;
}

bool fs_is_control_file(fuse_ino_t ino)
{
	return ino >= FS_INO_CONTROL_FIRST && ino < FS_INO_CONTROL_FIRST + CONTROL_FILE_COUNT;
}

bool fs_fixed_entry(const struct fs *fs, fuse_ino_t dir, size_t index, struct fs_fixed *ret_entry)
{
	const struct fs_fixed root[] = {
		{CONTROL_DIR, FS_INO_CONTROL},
		{fs->control->ops->top_name, FS_INO_TOP},
	};

	if (dir == FS_INO_ROOT) {
		if (index >= sizeof(root) / sizeof(root[0]))
			return false;
		*ret_entry = root[index];
		return true;
	}
	if (index >= CONTROL_FILE_COUNT)
		return false;
	*ret_entry = (struct fs_fixed){control_files[index].name, FS_INO_CONTROL_FIRST + index};
	return true;
}

static int control_text(const struct fs *fs, fuse_ino_t ino, struct buf *out)
{
	*out = BUF_INIT(CONTROL_TEXT_MAX);
	return control_files[ino - FS_INO_CONTROL_FIRST].print(fs->control, out);
}

void fs_fixed_attr(struct fs *fs, fuse_ino_t ino, struct stat *attr, double *ret_timeout_s)
{
	int64_t mtime_ns = fs->started_wall_ns;
	struct buf text;
	off_t size = 0;

	*ret_timeout_s = FS_FIXED_TIMEOUT_S;
	if (fs_is_control_file(ino)) {
		/* Never kept, and read past the page cache: the text is new at each open. */
		*ret_timeout_s = 0;
		if (control_text(fs, ino, &text) == 0)
			size = (off_t)text.len;
		buf_reset(&text);
	} else if (ino == FS_INO_TOP) {
		*ret_timeout_s = tree_timeout_s(fs->tree, tree_top(fs->tree));
		mtime_ns = tree_mtime_ns(tree_top(fs->tree));
	}
	fs_attr_fill(fs, attr, ino, !fs_is_control_file(ino), mtime_ns, size);
}

void fs_fixed_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param reply = {.entry_timeout = FS_FIXED_TIMEOUT_S};
	struct fs_fixed entry;
	size_t i;

	for (i = 0; fs_fixed_entry(fs_of(req), parent, i, &entry); i++) {
		if (strcmp(entry.name, name) != 0)
			continue;
		reply.ino = entry.ino;
		fs_fixed_attr(fs_of(req), reply.ino, &reply.attr, &reply.attr_timeout);
		break;
	}
	fuse_reply_entry(req, &reply);
}

void fs_fixed_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_handle *handle = fs_handle_new(fs_of(req), ino);

	if (!handle) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)handle;
	if (fuse_reply_open(req, fi))
		fs_handle_free(fs_of(req), handle);
}

void fs_control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_handle *handle = fs_handle_new(fs_of(req), ino);

	if (!handle || control_text(fs_of(req), ino, &handle->text)) {
		if (handle)
			fs_handle_free(fs_of(req), handle);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)handle;
	fi->direct_io = 1;
	if (fuse_reply_open(req, fi))
		fs_handle_free(fs_of(req), handle);
}
