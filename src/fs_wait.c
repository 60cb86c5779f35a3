/* fs_wait.c: requests that may have to wait, for a listing or for bytes. What they do is in
 * fs_op.c.
 *
 *   request -> fs_op_run -> answered         what is needed is there, or it is an error
 *                        -> -EAGAIN -> parked, something is under way
 *                               woken               -> run again (data, or the deadline's error)
 *                               interrupted         -> EINTR; a listing still comes, for the
 *                                                      cache; bytes that nobody else wants do not
 *                               fs_ops_end          -> ENODEV
 *
 * An op is answered exactly once, and freed then. */
#include "fs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool fs_op_waited(const struct op *op, const struct wait_queue *queue)
{
	return op->woken && op->wait_for == queue;
}

int fs_op_wait(struct op *op, struct wait_queue *queue)
{
	if (fs_op_waited(op, queue) && op->wake_error)
		return op->wake_error;
	op->wait_for = queue;
	op->woken = false;
	return -EAGAIN;
}

static void op_fini(struct op *op)
{
	if (op->content)
		content_unref(op->content);
	free(op->bytes);
}

static void op_free(struct op *op)
{
	TAILQ_REMOVE(&op->fs->parked, op, parked);
	if (op->is_interrupted)
		TAILQ_REMOVE(&op->fs->interrupted, op, interrupted);
	op_fini(op);
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

static void op_end(struct op *op, int error)
{
	wait_leave(op->fs->room, &op->waiter);
	fuse_req_interrupt_func(op->req, NULL, NULL);
	fuse_reply_err(op->req, error);
	op_free(op);
}

void fs_ops_interrupted(struct fs *fs)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&fs->interrupted)))
		op_end(op, EINTR);
}

static void on_wake(struct waiter *waiter, int error)
{
	struct op *op = (struct op *)waiter; /* its first member */
	int result;

	op->woken = true;
	op->wake_error = error;
	result = fs_op_runs[op->type](op);
	if (result == -EAGAIN) { /* it needs something else; the deadline stays */
		wait_enter(op->fs->room, op->wait_for, &op->waiter, op->asked_ms);
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
	wait_enter(op->fs->room, op->wait_for, &parked->waiter, op->asked_ms);
	/* If the interrupt was faster than this, the function is called at once. */
	fuse_req_interrupt_func(op->req, on_interrupt, parked);
	return 0;
}

void fs_op_run(const struct op *asked)
{
	struct op op = *asked;
	int error;

	op.fs = fs_of(op.req);
	op.asked_ms = loop_now_ms();
	error = fs_op_runs[op.type](&op);
	if (error == -EAGAIN) {
		error = op_park(&op);
		if (!error)
			return; /* what it holds went along */
	}
	if (error)
		fuse_reply_err(op.req, -error);
	op_fini(&op);
}

void fs_ops_end(struct fs *fs)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&fs->parked)))
		op_end(op, ENODEV);
}
