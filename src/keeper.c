/* keeper.c: the process that mounts, unmounts and reads the secret.
 *
 * Messages are packets on a socket pair: the daemon's are `struct question`, the keeper's `struct
 * answer` and what follows it. The secret is read by a child, since a command may take long and an
 * unmount must not wait for it. Without the daemon, the keeper ends and leaves the mount as it is:
 * dead, so that nobody takes the empty directory below for the organisation.
 *
 * Owns its end of the socket pair. Its failures are messages to the daemon, or the end. */
#include "keeper.h"

#include "cleanup.h"
#include "log.h"
#include "loop.h"
#include "mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Unmounting lazily waits for nothing; fusermount3 has to be started. */
#define END_WITHIN_MS 5000
/* The command's own limit, and what starting it may take. */
#define SECRET_WITHIN_MS (CONFIG_SECRET_COMMAND_MS + 5000)
/* A secret or a message. */
#define TEXT_MAX SECRET_BYTES_MAX

enum wish { READ_SECRET = 'r', UNMOUNT = 'u' };

struct question {
	enum wish wish;
	uint32_t serial;
};

struct answer {
	uint32_t serial;
	int32_t result; /* 0: a secret follows; -errno: a message */
};

/* --- The keeper --- */

static int send_answer(int fd, uint32_t serial, int result, const char *text, size_t len)
{
	struct answer answer = {.serial = serial, .result = result};
	struct iovec parts[] = {{&answer, sizeof(answer)}, {(void *)text, len}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_fuse_fd(int fd, int result, int fuse_fd)
{
	struct answer answer = {.result = result};
	struct iovec part = {&answer, sizeof(answer)};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (!result) {
		struct cmsghdr *header;

		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fuse_fd, sizeof(int));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int answer_secret(int fd, uint32_t serial, const struct config *config)
{
	struct secret secret CLEANUP(secret_fini) = {NULL, 0};
	struct buf error CLEANUP(buf_reset) = BUF_INIT(TEXT_MAX);
	int result;

	signal(SIGCHLD, SIG_DFL); /* a command's end is waited for */
	result = config_read_secret(config, &secret, &error);
	if (result)
		return send_answer(fd, serial, result, buf_str(&error), error.len);
	return send_answer(fd, serial, 0, secret.value, secret.len);
}

/* Nothing of the daemon's caller is kept: its pipes would not end with the daemon. What a command
 * says on standard error goes where the log goes. */
static void let_go(const struct config *config)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!config->foreground && config->log_target != LOG_TARGET_STDERR)
		dup2(null, STDERR_FILENO);
	close(null);
}

/* Returns when the daemon is gone, or wants the mount gone; in a child, when it has answered. */
static int serve(int fd, const struct config *config)
{
	struct question question;
	pid_t reader = 0;
	ssize_t got;

	for (;;) {
		do {
			got = recv(fd, &question, sizeof(question), 0);
		} while (got < 0 && errno == EINTR);
		if (got != sizeof(question))
			return 0;
		if (question.wish == UNMOUNT) {
			signal(SIGCHLD, SIG_DFL); /* fusermount3's end is waited for */
			return mountpoint_clear(config->mountpoint);
		}
		/* One at a time, however many the daemon asks for; each ends by itself. */
		while (reader > 0 && waitpid(reader, NULL, 0) < 0 && errno == EINTR)
			;
		reader = fork();
		if (reader == 0)
			return answer_secret(fd, question.serial, config);
		if (reader < 0)
			send_answer(fd, question.serial, -errno, NULL, 0);
	}
}

static int keep(int fd, const struct config *config)
{
	/* The daemon decides when all ends. */
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	sigset_t blocked; /* by the daemon, which does not hear them yet */
	int fuse_fd = -1;
	int result;
	size_t i;

	prctl(PR_SET_NAME, "ibinderfs-keep");
	sigemptyset(&blocked);
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
		signal(ignored[i], SIG_IGN);
		sigaddset(&blocked, ignored[i]);
	}
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	result = mountpoint_mount(config, &fuse_fd);
	if (send_fuse_fd(fd, result, fuse_fd)) /* nobody serves it */
		result = -EPIPE;
	if (fuse_fd >= 0)
		close(fuse_fd);
	if (result == -EPIPE)
		mountpoint_clear(config->mountpoint);
	if (result)
		return result;
	let_go(config);
	signal(SIGCHLD, SIG_IGN); /* who reads a secret leaves nothing behind */
	return serve(fd, config);
}

/* --- The daemon --- */

static int receive_fuse_fd(int fd, int *ret_fuse_fd)
{
	struct answer answer;
	struct iovec part = {&answer, sizeof(answer)};
	char control[CMSG_SPACE(sizeof(int))];
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t got;

	do {
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got != sizeof(answer))
		return -EPIPE;
	if (answer.result)
		return answer.result;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -EMFILE; /* there was no number left for it */
	memcpy(ret_fuse_fd, CMSG_DATA(header), sizeof(int));
	return 0;
}

int keeper_start(const struct config *config, struct secret *secret, struct keeper *keeper,
		 bool *ret_is_daemon, int *ret_fuse_fd)
{
	int ends[2];
	pid_t child;
	int result;

	*ret_is_daemon = true;
	mountpoint_log_libfuse();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	child = fork();
	if (child == 0) {
		*ret_is_daemon = false;
		secret_fini(secret);
		/* Of what the daemon has open it keeps nothing alive. */
		dup2(ends[1], STDERR_FILENO + 1);
		fcntl(STDERR_FILENO + 1, F_SETFD, FD_CLOEXEC);
		close_range(STDERR_FILENO + 2, ~0U, 0);
		return keep(STDERR_FILENO + 1, config);
	}
	result = child < 0 ? -errno : 0;
	close(ends[1]);
	*keeper = (struct keeper){.pid = child, .fd = ends[0]};
	if (!result)
		result = receive_fuse_fd(ends[0], ret_fuse_fd);
	if (result) {
		keeper_unmount(keeper);
		keeper_fini(keeper);
	}
	return result;
}

/* An answer to an earlier question came too late for who asked. */
static int receive_answer(const struct keeper *keeper, struct answer *ret_answer, char *text,
			  size_t *ret_len)
{
	int64_t deadline_ms = loop_now_ms() + SECRET_WITHIN_MS;
	struct iovec parts[] = {{ret_answer, sizeof(*ret_answer)}, {text, TEXT_MAX}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	for (;;) {
		struct pollfd wait = {.fd = keeper->fd, .events = POLLIN};
		int64_t left_ms = deadline_ms - loop_now_ms();
		ssize_t got;

		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (poll(&wait, 1, (int)left_ms) <= 0)
			continue;
		got = recvmsg(keeper->fd, &message, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < (ssize_t)sizeof(*ret_answer))
			return -EPIPE;
		*ret_len = (size_t)got - sizeof(*ret_answer);
		if (ret_answer->serial == keeper->serial)
			return 0;
	}
}

int keeper_read_secret(struct keeper *keeper, struct secret *ret_secret, struct buf *error)
{
	struct question question = {.wish = READ_SECRET, .serial = ++keeper->serial};
	char text[TEXT_MAX];
	struct answer answer;
	size_t len = 0;
	int result = 0;

	if (send(keeper->fd, &question, sizeof(question), MSG_NOSIGNAL) < 0)
		result = -errno;
	if (!result)
		result = receive_answer(keeper, &answer, text, &len);
	if (result)
		buf_printf(error, "the process that reads it does not answer: %s",
			   strerror(-result));
	else if (answer.result == 0)
		result = secret_set(ret_secret, text, len);
	else {
		result = answer.result;
		buf_append(error, text, len);
	}
	explicit_bzero(text, sizeof(text));
	return result;
}

void keeper_unmount(struct keeper *keeper)
{
	struct question question = {.wish = UNMOUNT};
	struct pollfd ended = {.events = POLLIN};

	if (keeper->pid <= 0)
		return;
	send(keeper->fd, &question, sizeof(question), MSG_NOSIGNAL);
	ended.fd = pidfd_open(keeper->pid, 0);
	if (ended.fd >= 0 && poll(&ended, 1, END_WITHIN_MS) == 0)
		log_warning("unmounting takes long: not waiting for it");
	else
		waitpid(keeper->pid, NULL, 0);
	if (ended.fd >= 0)
		close(ended.fd);
	shutdown(keeper->fd, SHUT_RDWR);
}

void keeper_fini(struct keeper *keeper)
{
	close(keeper->fd);
}
