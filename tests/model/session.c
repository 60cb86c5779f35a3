/* session.c: what stands in place of libfuse's session: requests come through its descriptor, and
 * are given to the operations in the order in which they were asked. */
#include "kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define QUEUE_MAX 64

bool session_is_interrupting;

static struct fuse_req *queue[QUEUE_MAX];
static unsigned queue_first;
static unsigned queue_end;
static int session_fd = -1;
static struct fuse_lowlevel_ops operations;
static void *userdata;

void session_reset(void)
{
	queue_first = 0;
	queue_end = 0;
}

void session_submit(struct fuse_req *req)
{
	uint64_t one = 1;

	CHECK(queue_end - queue_first < QUEUE_MAX, "too much is asked at once");
	queue[queue_end++ % QUEUE_MAX] = req;
	if (write(session_fd, &one, sizeof(one)) != sizeof(one))
		fail("the session cannot be written to");
}

void *fuse_req_userdata(fuse_req_t req)
{
	(void)req;
	return userdata;
}

const struct fuse_ctx *fuse_req_ctx(fuse_req_t req)
{
	return &req->ctx;
}

static void interrupt(struct fuse_req *req)
{
	if (!req->interrupt)
		return;
	session_is_interrupting = true;
	req->interrupt(req, req->interrupt_data);
	session_is_interrupting = false;
}

void fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t function, void *data)
{
	CHECK(!req->answered, "an answered request is touched");
	req->interrupt = function;
	req->interrupt_data = data;
	if (req->interrupted)
		interrupt(req);
}

struct fuse_session *fuse_session_new(struct fuse_args *args, const struct fuse_lowlevel_ops *ops,
				      size_t size, void *data)
{
	(void)args;
	CHECK(size == sizeof(operations), "another libfuse");
	operations = *ops;
	userdata = data;
	return (struct fuse_session *)&operations;
}

int session_open(void)
{
	session_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(session_fd >= 0, "no descriptor");
	return session_fd;
}

int fuse_session_mount(struct fuse_session *session, const char *mountpoint)
{
	char path[32];

	(void)session;
	snprintf(path, sizeof(path), "/dev/fd/%d", session_fd);
	CHECK(strcmp(mountpoint, path) == 0, "another descriptor is served: %s", mountpoint);
	return 0;
}

int fuse_session_fd(struct fuse_session *session)
{
	(void)session;
	return session_fd;
}

void fuse_session_destroy(struct fuse_session *session)
{
	(void)session;
	close(session_fd);
	session_fd = -1;
}

int fuse_session_exited(struct fuse_session *session)
{
	(void)session;
	return 0;
}

int fuse_session_receive_buf(struct fuse_session *session, struct fuse_buf *buf)
{
	uint64_t count;

	(void)session;
	(void)buf;
	if (queue_first < queue_end)
		return 1;
	return read(session_fd, &count, sizeof(count)) < 0 ? -EAGAIN : -EINTR;
}

static void run(struct fuse_req *req)
{
	struct fuse_file_info fi = {.fh = req->fh};
	char *name = memory_get_text(req->name); /* libfuse's buffer is used again */

	switch (req->ask) {
	case ASK_LOOKUP:
		operations.lookup(req, req->id, name);
		break;
	case ASK_GETATTR:
		operations.getattr(req, req->id, NULL);
		break;
	case ASK_READLINK:
		operations.readlink(req, req->id);
		break;
	case ASK_OPENDIR:
		operations.opendir(req, req->id, &fi);
		break;
	case ASK_READDIRPLUS:
		operations.readdirplus(req, req->id, req->size, req->offset, &fi);
		break;
	case ASK_RELEASEDIR:
		operations.releasedir(req, req->id, &fi);
		break;
	case ASK_OPEN:
		operations.open(req, req->id, &fi);
		break;
	case ASK_READ:
		operations.read(req, req->id, req->size, req->offset, &fi);
		break;
	case ASK_RELEASE:
		operations.release(req, req->id, &fi);
		break;
	case ASK_STATFS:
		operations.statfs(req, req->id);
		break;
	case ASK_FORGET:
		operations.forget(req, req->id, req->lookups);
		break;
	case ASK_INTERRUPT:
		if (!req->victim->answered)
			interrupt(req->victim);
		req->answered = true;
		break;
	case ASKS:
		break;
	}
	free(name);
}

void fuse_session_process_buf(struct fuse_session *session, const struct fuse_buf *buf)
{
	(void)session;
	(void)buf;
	run(queue[queue_first++ % QUEUE_MAX]);
}
