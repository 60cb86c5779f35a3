/* fs.c: the FUSE session, and which function serves which request. See fs_internal.h for the rest.
 *
 * Owns the session and the handles of open files and directories. */
#include "fs_internal.h"

#include "mountpoint.h"
#include "name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Requests taken from the kernel before the loop sees to its other events. */
#define RECEIVE_BATCH 64
/* Most requests of the kernel that no process waits for by itself: reads ahead, releases. */
#define BACKGROUND_MAX 256

/* --- Handles --- */

struct open_handle *fs_handle_new(struct fs *fs, enum handle_type type, fuse_ino_t ino)
{
	struct open_handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->type = type;
	handle->ino = ino;
	TAILQ_INSERT_TAIL(&fs->handles, handle, link);
	return handle;
}

void fs_handle_free(struct fs *fs, struct open_handle *handle)
{
	TAILQ_REMOVE(&fs->handles, handle, link);
	switch (handle->type) {
	case HANDLE_DIR:
		listing_unref(handle->dir.listing);
		break;
	case HANDLE_INLINE:
		listing_unref(handle->bytes.listing);
		fs_decoded_unref(handle->bytes.decoded);
		break;
	case HANDLE_CONTENT:
		content_unref(handle->content.content);
		break;
	case HANDLE_TEXT:
		buf_reset(&handle->text);
		break;
	}
	free(handle);
}

/* --- Requests --- */

static void fs_init(void *data, struct fuse_conn_info *conn)
{
	struct fs *fs = data;

	/* Forced: AUTO starts a walk with one look-up per entry and gains nothing (measured). */
	conn->want |= conn->capable & FUSE_CAP_READDIRPLUS;
	conn->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
	/* A look-up that waits must not hold up others in the same directory. */
	conn->want |= conn->capable & FUSE_CAP_PARALLEL_DIROPS;
	conn->want |= conn->capable & FUSE_CAP_AUTO_INVAL_DATA;
	/* What is read ahead waits like the rest: with the kernel's 12, a few slow downloads would
	 * hold up every other reader. */
	conn->max_background = BACKGROUND_MAX;
	/* Requests are small: a pipe would only add system calls. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE);
	fs->ready(fs->data);
}

/* Looking at the counters does not change them. */
void fs_count(fuse_req_t req, enum control_upcall upcall, fuse_ino_t ino)
{
	if (ino != FS_INO_CONTROL && !fs_is_control_file(ino))
		fs_of(req)->control->upcalls[upcall]++;
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fs_count(req, CONTROL_UPCALL_LOOKUP, parent);
	if (fs_is_fixed_dir(parent) && parent != FS_INO_OBJECTS && parent != FS_INO_SEARCH)
		fs_fixed_lookup(req, parent, name);
	else
		fs_op_run(&(struct op){.req = req, .type = OP_LOOKUP, .ino = parent, .name = name});
}

static void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	tree_forget(fs_of(req)->tree, ino, lookups);
	fuse_reply_none(req);
}

static void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	size_t i;

	for (i = 0; i < count; i++)
		tree_forget(fs_of(req)->tree, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat attr;
	double timeout_s;

	fs_count(req, CONTROL_UPCALL_GETATTR, ino);
	(void)fi;
	if (!fs_is_fixed(ino)) {
		fs_op_run(&(struct op){.req = req, .type = OP_GETATTR, .ino = ino});
		return;
	}
	if (fs_fixed_attr(fs_of(req), ino, &attr, &timeout_s))
		fuse_reply_err(req, ENOMEM);
	else
		fuse_reply_attr(req, &attr, timeout_s);
}

static void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fs_count(req, CONTROL_UPCALL_OPENDIR, ino);
	if (fs_is_fixed_dir(ino))
		fs_fixed_opendir(req, ino, fi);
	else
		fs_op_run(&(struct op){.req = req, .type = OP_OPENDIR, .ino = ino, .fi = *fi});
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fs_count(req, CONTROL_UPCALL_OPEN, ino);
	if (!fs_of(req)->config->content)
		fuse_reply_err(req, ENOSYS); /* the kernel will not ask again, for any file */
	else if (fs_is_control_file(ino))
		fs_control_open(req, ino, fi);
	else
		fs_op_run(&(struct op){.req = req, .type = OP_OPEN, .ino = ino, .fi = *fi});
}

void fs_reply_part(fuse_req_t req, const char *bytes, size_t len, size_t size, off_t offset)
{
	if (offset < 0 || (size_t)offset >= len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, bytes + offset,
			       size < len - (size_t)offset ? size : len - (size_t)offset);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	const struct open_handle *handle = fs_handle(fi);

	fs_count(req, CONTROL_UPCALL_READ, ino);
	if (handle && handle->type == HANDLE_TEXT)
		fs_reply_part(req, handle->text.data, handle->text.len, size, offset);
	else if (handle && handle->type == HANDLE_INLINE)
		fs_reply_part(req, handle->bytes.bytes, handle->bytes.len, size, offset);
	else if (!handle && fs_is_control_file(ino))
		fs_control_read(req, ino, size, offset);
	else
		fs_op_run(&(struct op){.req = req,
				       .type = OP_READ,
				       .ino = ino,
				       .fi = *fi,
				       .size = size,
				       .offset = offset});
}

static void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
	fs_count(req, CONTROL_UPCALL_READLINK, ino);
	fs_op_run(&(struct op){.req = req, .type = OP_READLINK, .ino = ino});
}

static void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fs_handle_free(fs_of(req), fs_handle(fi));
	fuse_reply_err(req, 0);
}

static void fs_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs stat = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_namemax = NAME_BYTES_MAX,
		.f_flag = ST_RDONLY,
	};

	fs_count(req, CONTROL_UPCALL_STATFS, ino);
	fuse_reply_statfs(req, &stat);
}

/* What is missing here answers ENOSYS, which the kernel remembers: so xattrs cost nothing. */
static const struct fuse_lowlevel_ops operations = {
	.init = fs_init,
	.lookup = fs_lookup,
	.forget = fs_forget,
	.forget_multi = fs_forget_multi,
	.getattr = fs_getattr,
	.readlink = fs_readlink,
	.opendir = fs_opendir,
	.readdir = fs_readdir,
	.readdirplus = fs_readdirplus,
	.releasedir = fs_release,
	.open = fs_open,
	.read = fs_read,
	.release = fs_release,
	.statfs = fs_statfs,
};

/* --- Session --- */

static void on_readable(void *data)
{
	struct fs *fs = data;
	int batch;

	for (batch = 0; batch < RECEIVE_BATCH; batch++) {
		int result = fuse_session_receive_buf(fs->session, &fs->buf);

		if (result == -EAGAIN || result == -EINTR)
			return;
		if (result <= 0 || fuse_session_exited(fs->session)) {
			/* libfuse turns the ENODEV of an unmount into 0. Who reads while the
			 * connection is being taken down gets ECONNABORTED instead. */
			if (result == -ECONNABORTED)
				result = 0;
			uv_poll_stop(&fs->reader.poll);
			fs->ended(fs->data, result < 0 ? result : 0);
			return;
		}
		fuse_session_process_buf(fs->session, &fs->buf);
		fs_ops_interrupted(fs);
	}
}

/* What is mounted is known to libfuse by its descriptor alone. */
static int session_start(struct fs *fs, int fuse_fd)
{
	char path[sizeof("/dev/fd/2147483647")];
	int flags = fcntl(fuse_fd, F_GETFL);

	snprintf(path, sizeof(path), "/dev/fd/%d", fuse_fd);
	fs->session = mountpoint_session(fs->config, &operations, sizeof(operations), fs);
	if (!fs->session || fuse_session_mount(fs->session, path)) {
		close(fuse_fd);
		return -EIO;
	}
	if (fcntl(fuse_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return loop_reader_start(&fs->reader, fs->loop, fuse_fd, on_readable, fs);
}

int fs_new(uv_loop_t *loop, int fuse_fd, const struct config *config, struct tree *tree,
	   struct contents *contents, struct wait_room *room, struct control *control,
	   void (*ready)(void *data), void (*ended)(void *data, int error), void *data,
	   struct fs **ret_fs)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int error;

	if (!fs) {
		close(fuse_fd);
		return -ENOMEM;
	}
	fs->loop = loop;
	fs->config = config;
	fs->tree = tree;
	fs->contents = contents;
	fs->room = room;
	fs->control = control;
	fs->ready = ready;
	fs->ended = ended;
	fs->data = data;
	fs->started_wall_ns = loop_wall_ns();
	TAILQ_INIT(&fs->parked);
	TAILQ_INIT(&fs->interrupted);
	TAILQ_INIT(&fs->handles);
	error = session_start(fs, fuse_fd);
	if (error)
		fs_free(fs);
	else
		*ret_fs = fs;
	return error;
}

static void reader_closed(uv_handle_t *handle)
{
	struct loop_reader *reader = handle->data;

	free(reader->data);
}

void fs_free(struct fs *fs)
{
	struct open_handle *handle;
	size_t i;

	if (!fs)
		return;
	fs_ops_end(fs);
	/* libuv must let go of the descriptor before libfuse closes it. */
	if (fs->reader.data)
		uv_close((uv_handle_t *)&fs->reader.poll, reader_closed);
	if (fs->session)
		fuse_session_destroy(fs->session);
	while ((handle = TAILQ_FIRST(&fs->handles)))
		fs_handle_free(fs, handle);
	for (i = 0; i < CONTROL_FILE_COUNT; i++)
		buf_reset(&fs->texts[i].text);
	free(fs->buf.mem);
	if (!fs->reader.data)
		free(fs);
}
