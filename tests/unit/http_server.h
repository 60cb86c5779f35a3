/* http_server.h: a tiny HTTP/1.1 server on the test's own loop, and ways to run that loop.
 *
 * A test gives a handler, which sees each whole request and answers it, breaks it, or keeps it for
 * later: `seen` holds all of them in the order of arrival. Include after cmocka.h. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "loop.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define SERVER_SEEN_MAX 512
#define SERVER_HEAD_MAX 4096
#define SERVER_BODY_MAX 2048
/* Longest that anything here should take, on a busy machine under sanitizers. */
#define PATIENCE_MS 20000
#define TICK_MS	    5

struct server;
struct server_connection;

struct server_request {
	char method[8];
	char target[256];
	char head[SERVER_HEAD_MAX]; /* as received, from the request line to the empty line */
	char body[SERVER_BODY_MAX];
	size_t body_len;
	struct server_connection *connection; /* NULL once answered, or closed by either side */
};

struct server_connection {
	uv_tcp_t tcp;
	struct server *server;
	struct server_connection *next;
	struct server_request *request; /* not answered yet */
	char input[SERVER_HEAD_MAX + SERVER_BODY_MAX];
	size_t input_len;
	const char *stream; /* sent again and again until the client has enough; NULL for none */
	size_t stream_len;
	bool closing;
};

struct server {
	uv_loop_t *loop;
	uv_tcp_t listener;
	uv_timer_t tick; /* so that uv_run never blocks for long */
	int port;
	void (*handle)(struct server *server, struct server_request *request);
	void *data;
	struct server_connection *open;
	unsigned accepted; /* connections so far */
	unsigned open_now;
	unsigned open_max;
	size_t bytes_out;
	struct server_request *seen; /* SERVER_SEEN_MAX of them */
	unsigned seen_count;
	int64_t latest_ms; /* when the latest of them came */
};

struct server_write {
	uv_write_t request;
	struct server_connection *connection;
	char *copy;
};

static inline void server_connection_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static inline void server_forget(struct server_connection *connection)
{
	struct server_connection **at = &connection->server->open;

	if (connection->closing)
		return;
	connection->closing = true;
	connection->server->open_now--;
	if (connection->request)
		connection->request->connection = NULL;
	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
}

static inline void server_close_connection(struct server_connection *connection)
{
	if (connection->closing)
		return;
	server_forget(connection);
	uv_close((uv_handle_t *)&connection->tcp, server_connection_closed);
}

static inline void server_write_bytes(struct server_connection *connection, const char *bytes,
				      size_t len);

static inline void server_written(uv_write_t *request, int status)
{
	struct server_write *write = (struct server_write *)request;
	struct server_connection *connection = write->connection;

	free(write->copy);
	free(write);
	if (connection->closing)
		return;
	if (status)
		server_close_connection(connection);
	else if (connection->stream && connection->tcp.write_queue_size == 0)
		server_write_bytes(connection, connection->stream, connection->stream_len);
}

static inline void server_write_bytes(struct server_connection *connection, const char *bytes,
				      size_t len)
{
	struct server_write *write = calloc(1, sizeof(*write));
	uv_buf_t piece;

	write->connection = connection;
	write->copy = malloc(len + 1);
	memcpy(write->copy, bytes, len);
	piece = uv_buf_init(write->copy, (unsigned)len);
	connection->server->bytes_out += len;
	if (uv_write(&write->request, (uv_stream_t *)&connection->tcp, &piece, 1, server_written)) {
		free(write->copy);
		free(write);
		server_close_connection(connection);
	}
}

/* Sends bytes as they are; the request stays open for more. */
static inline void server_send(struct server_request *request, const char *bytes, size_t len)
{
	if (request->connection)
		server_write_bytes(request->connection, bytes, len);
}

/* Sends bytes as they are again and again, until the client closes. */
static inline void server_stream(struct server_request *request, const char *bytes, size_t len)
{
	if (!request->connection)
		return;
	request->connection->stream = bytes;
	request->connection->stream_len = len;
	server_write_bytes(request->connection, bytes, len);
}

/* A whole answer. `headers` are lines that end in \r\n, or "". */
static inline void server_answer_bytes(struct server_request *request, int status,
				       const char *headers, const char *body, size_t len)
{
	struct server_connection *connection = request->connection;
	char *text;
	int head_len;

	if (!connection)
		return;
	head_len = asprintf(&text, "HTTP/1.1 %d Said\r\n%sContent-Length: %zu\r\n\r\n", status,
			    headers, len);
	server_write_bytes(connection, text, (size_t)head_len);
	free(text);
	if (len)
		server_write_bytes(connection, body, len);
	request->connection = NULL;
	connection->request = NULL;
}

static inline void server_answer(struct server_request *request, int status, const char *headers,
				 const char *body)
{
	server_answer_bytes(request, status, headers, body, strlen(body));
}

/* Closes with RST. */
static inline void server_reset(struct server_request *request)
{
	struct server_connection *connection = request->connection;

	if (!connection)
		return;
	server_forget(connection);
	uv_tcp_close_reset(&connection->tcp, server_connection_closed);
}

static inline void server_hang_up(struct server_request *request)
{
	if (request->connection)
		server_close_connection(request->connection);
}

/* The value of a request's header, or NULL. Valid until the next call. */
static inline const char *server_header(const struct server_request *request, const char *name)
{
	static char value[SERVER_HEAD_MAX];
	size_t name_len = strlen(name);
	const char *line = request->head;

	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
			line += name_len + 1;
			line += strspn(line, " ");
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"), line);
			return value;
		}
	}
	return NULL;
}

/* Requests whose method and target begin like this, such as "GET /api/binders". */
static inline unsigned server_count(const struct server *server, const char *prefix)
{
	unsigned count = 0;
	char line[sizeof(server->seen->method) + sizeof(server->seen->target) + 1];

	for (unsigned i = 0; i < server->seen_count; i++) {
		snprintf(line, sizeof(line), "%s %s", server->seen[i].method,
			 server->seen[i].target);
		count += strncmp(line, prefix, strlen(prefix)) == 0;
	}
	return count;
}

/* Requests that wait for an answer now. */
static inline unsigned server_waiting(const struct server *server)
{
	unsigned count = 0;

	for (unsigned i = 0; i < server->seen_count; i++)
		count += server->seen[i].connection != NULL;
	return count;
}

/* Takes one whole request out of the input. False: there is none yet. */
static inline bool server_take(struct server_connection *connection)
{
	struct server *server = connection->server;
	struct server_request *request;
	size_t head_len;
	size_t body_len = 0;
	const char *length;
	char *end;

	connection->input[connection->input_len] = '\0';
	end = strstr(connection->input, "\r\n\r\n");
	if (!end || connection->request || server->seen_count == SERVER_SEEN_MAX)
		return false;
	head_len = (size_t)(end - connection->input) + 4;
	request = &server->seen[server->seen_count];
	memset(request, 0, sizeof(*request));
	if (head_len >= sizeof(request->head))
		return false;
	memcpy(request->head, connection->input, head_len);
	length = server_header(request, "Content-Length");
	if (length)
		body_len = strtoul(length, NULL, 10);
	if (body_len >= sizeof(request->body) || connection->input_len < head_len + body_len)
		return false;
	memcpy(request->body, connection->input + head_len, body_len);
	request->body_len = body_len;
	sscanf(request->head, "%7s %255s", request->method, request->target);
	connection->input_len -= head_len + body_len;
	memmove(connection->input, connection->input + head_len + body_len, connection->input_len);
	request->connection = connection;
	connection->request = request;
	server->seen_count++;
	server->latest_ms = loop_now_ms();
	server->handle(server, request);
	return true;
}

static inline void server_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct server_connection *connection = handle->data;

	(void)suggested;
	*ret_buf = uv_buf_init(connection->input + connection->input_len,
			       (unsigned)(sizeof(connection->input) - 1 - connection->input_len));
}

static inline void server_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct server_connection *connection = stream->data;

	(void)buf;
	if (count < 0) {
		server_close_connection(connection);
		return;
	}
	connection->input_len += (size_t)count;
	while (!connection->closing && server_take(connection))
		;
}

static inline void server_accept(uv_stream_t *listener, int status)
{
	struct server *server = listener->data;
	struct server_connection *connection = calloc(1, sizeof(*connection));

	(void)status;
	connection->server = server;
	uv_tcp_init(server->loop, &connection->tcp);
	uv_tcp_nodelay(&connection->tcp, 1);
	connection->tcp.data = connection;
	connection->next = server->open;
	server->open = connection;
	server->accepted++;
	if (++server->open_now > server->open_max)
		server->open_max = server->open_now;
	if (uv_accept(listener, (uv_stream_t *)&connection->tcp))
		server_close_connection(connection);
	else
		uv_read_start((uv_stream_t *)&connection->tcp, server_alloc, server_read);
}

static inline void server_ticked(uv_timer_t *timer)
{
	(void)timer;
}

/* Listens on a port of its own on 127.0.0.1. */
static inline void
server_start(struct server *server, uv_loop_t *loop,
	     void (*handle)(struct server *server, struct server_request *request), void *data)
{
	struct sockaddr_in address;
	int len = sizeof(address);

	signal(SIGPIPE, SIG_IGN); /* clients that are gone are part of the tests */
	memset(server, 0, sizeof(*server));
	server->loop = loop;
	server->handle = handle;
	server->data = data;
	server->seen = calloc(SERVER_SEEN_MAX, sizeof(*server->seen));
	assert_non_null(server->seen);
	uv_timer_init(loop, &server->tick);
	uv_timer_start(&server->tick, server_ticked, TICK_MS, TICK_MS);
	uv_ip4_addr("127.0.0.1", 0, &address);
	assert_int_equal(uv_tcp_init(loop, &server->listener), 0);
	server->listener.data = server;
	assert_int_equal(uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&server->listener, 128, server_accept), 0);
	assert_int_equal(uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &len),
			 0);
	server->port = ntohs(address.sin_port);
}

/* From here on connections are refused. */
static inline void server_refuse(struct server *server)
{
	if (!uv_is_closing((uv_handle_t *)&server->listener))
		uv_close((uv_handle_t *)&server->listener, NULL);
	while (server->open)
		server_close_connection(server->open);
}

/* The loop must run once more before the structure goes. */
static inline void server_stop(struct server *server)
{
	server_refuse(server);
	uv_close((uv_handle_t *)&server->tick, NULL);
	free(server->seen);
	server->seen = NULL;
	server->seen_count = 0;
}

/* Runs the loop until the condition holds; a test that waits in vain fails. */
#define RUN_UNTIL(loop, condition)                                                                 \
	do {                                                                                       \
		int64_t run_end_ms = loop_now_ms() + PATIENCE_MS;                                  \
		while (!(condition)) {                                                             \
			if (loop_now_ms() > run_end_ms)                                            \
				fail_msg("never happened: %s", #condition);                        \
			uv_run(loop, UV_RUN_ONCE);                                                 \
		}                                                                                  \
	} while (0)

/* Runs the loop for a while, to see that something does not happen: also on a machine that did not
 * let us run meanwhile, with as many turns as there would be. */
static inline void run_for(uv_loop_t *loop, int64_t ms)
{
	int64_t end_ms = loop_now_ms() + ms;

	for (int64_t turns = 0; loop_now_ms() < end_ms || turns < ms / TICK_MS; turns++)
		uv_run(loop, UV_RUN_ONCE);
}

/* Runs what is left and checks that nothing of the test stays on the loop. */
static inline void loop_drain(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}

#endif
