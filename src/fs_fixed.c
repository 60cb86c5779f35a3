/* fs_fixed.c: the daemon's own nodes. They never wait for the network. */
#include "fs_internal.h"

#include <errno.h>
#include <string.h>

/* With content=off a text that is older is made anew for who begins to read it. */
#define TEXT_TTL_MS 1000

static const fuse_ino_t ino_files = FS_INO_TOP | (fuse_ino_t)LISTING_VIEW_CONTENT
							 << LISTING_INO_BITS;
static const fuse_ino_t ino_links = FS_INO_TOP | (fuse_ino_t)LISTING_VIEW_ID << LISTING_INO_BITS;

bool fs_is_fixed_dir(fuse_ino_t ino)
{
	return ino == FS_INO_ROOT || ino == FS_INO_CONTROL || ino == FS_INO_BY_ID ||
	       ino == FS_INO_OBJECTS || ino == FS_INO_SEARCH;
}

bool fs_is_control_file(fuse_ino_t ino)
{
	return ino >= FS_INO_CONTROL_FIRST && ino < FS_INO_CONTROL_FIRST + CONTROL_FILE_COUNT;
}

static bool entry_of(const struct fs_fixed *entries, size_t count, size_t index,
		     struct fs_fixed *ret_entry)
{
	if (index >= count)
		return false;
	*ret_entry = entries[index];
	return true;
}

bool fs_fixed_entry(const struct fs *fs, fuse_ino_t dir, size_t index, struct fs_fixed *ret_entry)
{
	const struct provider_ops *ops = fs->control->ops;
	struct fs_fixed root[5] = {
		{".ibinderfs", FS_INO_CONTROL},
		{ops->top_name, FS_INO_TOP},
		{"by-id", FS_INO_BY_ID},
	};
	const struct fs_fixed by_id[] = {
		{ops->links_name, ino_links},
		{ops->objects_name, FS_INO_OBJECTS},
	};
	size_t count = 3;

	if (ops->query_check)
		root[count++] = (struct fs_fixed){"search", FS_INO_SEARCH};
	if (fs->config->content)
		root[count++] = (struct fs_fixed){"files", ino_files};
	if (dir == FS_INO_ROOT)
		return entry_of(root, count, index, ret_entry);
	if (dir == FS_INO_BY_ID)
		return entry_of(by_id, 2, index, ret_entry);
	if (dir != FS_INO_CONTROL || index >= CONTROL_FILE_COUNT)
		return false;
	*ret_entry = (struct fs_fixed){control_files[index].name, FS_INO_CONTROL_FIRST + index};
	return true;
}

static int control_text(const struct fs *fs, fuse_ino_t ino, struct buf *out)
{
	*out = BUF_INIT(CONTROL_TEXT_MAX);
	return control_files[ino - FS_INO_CONTROL_FIRST].print(fs->control, out);
}

/* The text that readers without a handle get now; NULL: out of memory. The kernel asks for the
 * attributes before each read(2), also before the one that finds the end: whoever has just read
 * goes on with its text, or the end of another would follow. */
static const struct fs_text *kept_text(struct fs *fs, fuse_ino_t ino, bool is_read)
{
	struct fs_text *text = &fs->texts[ino - FS_INO_CONTROL_FIRST];
	bool goes_on = is_read || text->was_read;

	text->was_read = is_read;
	if (text->made_ms && (goes_on || loop_now_ms() - text->made_ms < TEXT_TTL_MS))
		return text;
	buf_reset(&text->text);
	text->made_ms = 0;
	if (control_text(fs, ino, &text->text))
		return NULL;
	text->made_ms = loop_now_ms();
	return text;
}

static int control_attr(struct fs *fs, fuse_ino_t ino, struct stat *attr)
{
	struct buf text = BUF_INIT(CONTROL_TEXT_MAX);
	const struct fs_text *kept;
	int error;

	if (!fs->config->content) {
		kept = kept_text(fs, ino, false);
		if (!kept)
			return -ENOMEM;
		/* A time that moves keeps the kernel from reading it out of its cache unnoticed. */
		fs_attr_fill(fs, attr, ino, S_IFREG, loop_wall_ns(), (off_t)kept->text.len);
		return 0;
	}
	error = control_text(fs, ino, &text);
	fs_attr_fill(fs, attr, ino, S_IFREG, fs->started_wall_ns, (off_t)text.len);
	buf_reset(&text);
	return error ? -ENOMEM : 0;
}

int fs_fixed_attr(struct fs *fs, fuse_ino_t ino, struct stat *attr, double *ret_timeout_s)
{
	int64_t mtime_ns = fs->started_wall_ns;

	*ret_timeout_s = FS_FIXED_TIMEOUT_S;
	if (fs_is_control_file(ino)) {
		/* Never kept, and read past the page cache: the text is new at each open. */
		*ret_timeout_s = 0;
		return control_attr(fs, ino, attr);
	}
	if (fs_is_top(ino)) {
		*ret_timeout_s = tree_timeout_s(fs->tree, tree_top(fs->tree));
		mtime_ns = tree_mtime_ns(tree_top(fs->tree));
	}
	fs_attr_fill(fs, attr, ino, S_IFDIR, mtime_ns, 0);
	return 0;
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
		if (fs_fixed_attr(fs_of(req), reply.ino, &reply.attr, &reply.attr_timeout)) {
			fuse_reply_err(req, ENOMEM);
			return;
		}
		break;
	}
	fuse_reply_entry(req, &reply);
}

void fs_fixed_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_handle *handle = fs_handle_new(fs_of(req), HANDLE_TEXT, ino);

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
	struct open_handle *handle = fs_handle_new(fs_of(req), HANDLE_TEXT, ino);

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

void fs_control_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset)
{
	const struct fs_text *kept = kept_text(fs_of(req), ino, true);

	if (kept)
		fs_reply_part(req, kept->text.data, kept->text.len, size, offset);
	else
		fuse_reply_err(req, ENOMEM);
}
