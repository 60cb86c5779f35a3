/* See server.h. */
#include "server.h"
#include "vendor.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SERVER_CONNECTIONS_MAX 2048
#define SERVER_BACKLOG	       1024
#define SERVER_STACK	       (512u << 10)
#define SERVER_MEMORY	       (64u << 10) /* of one connection: its headers must fit */
#define SERVER_POLL_MS	       50	   /* how soon a hang notices that the client has gone */

static int server_socket(const struct request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* Disconnecting a TCP socket by AF_UNSPEC sends RST at once and leaves closing it to MHD. */
static void server_reset(const struct request *request)
{
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	connect(server_socket(request), &nowhere, sizeof(nowhere));
}

/* Answers nothing until the client goes, faults are cleared, or the simulator stops. */
static void server_hang(struct sim *sim, const struct request *request)
{
	struct pollfd client = {.fd = server_socket(request), .events = POLLRDHUP};

	while (sim_wait(sim, SERVER_POLL_MS, request->fault.epoch))
		if (poll(&client, 1, 0) != 0)
			return;
}

/* The answers that a fault gives in place of the true one. */
static void server_fault_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct fault *fault = &request->fault;

	reply_set(reply, MHD_HTTP_OK, "application/json; charset=utf-8");
	switch (fault->kind) {
	case FAULT_STATUS:
		if (*fault->body) {
			reply_set(reply, fault->status,
				  *fault->body == '{' ? sim->vendor->error_type : "text/html");
			buf_add_str(&reply->body, fault->body);
		} else {
			reply_problem(reply, sim, fault->status, NULL);
		}
		break;
	case FAULT_NOT_JSON:
		reply_set(reply, MHD_HTTP_OK, "text/html");
		buf_add_str(&reply->body,
			    "<!DOCTYPE html><title>Sign in</title><p>Welcome to the network.");
		break;
	case FAULT_WRONG_TYPES:
		buf_add_str(&reply->body, sim->vendor->wrong_types[fault->variant]);
		break;
	case FAULT_DEEP:
		for (size_t i = 0; i < FAULT_DEEP_LEVELS; i++)
			buf_add_char(&reply->body, '[');
		for (size_t i = 0; i < FAULT_DEEP_LEVELS; i++)
			buf_add_char(&reply->body, ']');
		break;
	case FAULT_REDIRECT:
		reply->status = fault->status;
		break;
	default: /* an empty body, or an endless one, which is made while it is sent */
		break;
	}
}

static void server_log(const struct sim *sim, const struct request *request, unsigned int status)
{
	if (!sim->log)
		return;
	fprintf(sim->log, "%s %s %u\n", request->method, request->uri, status);
	fflush(sim->log);
}

/* Takes the fault that strikes the request, and draws how long its answer is to take. */
static uint64_t server_prepare(struct sim *sim, struct request *request)
{
	pthread_mutex_lock(&sim->lock);
	uint64_t ms = 0;
	request->fault = fault_take(sim, request->route);
	if (request->route->flags & ROUTE_STORAGE) {
		ms = sim->settings.storage_latency_ms;
	} else if (!(request->route->flags & ROUTE_REDIRECT_TARGET)) {
		uint64_t draw = rng_mix(sim->trace++ ^ sim->chance);

		ms = sim->settings.latency_ms + draw % (sim->settings.jitter_ms + 1);
	}
	pthread_mutex_unlock(&sim->lock);
	return ms;
}

static enum MHD_Result server_answer(struct sim *sim, struct request *request)
{
	uint64_t ms = server_prepare(sim, request);
	const struct fault *fault = &request->fault;
	struct reply reply = {0};

	if (ms)
		sim_wait(sim, ms, UINT64_MAX);
	if (fault->kind == FAULT_DELAY)
		sim_wait(sim, fault->ms, fault->epoch);
	else if (fault->kind == FAULT_HANG)
		server_hang(sim, request);
	else if (fault->kind == FAULT_RESET)
		server_reset(request);
	pthread_mutex_lock(&sim->lock);
	bool cut = sim->stopping || fault->kind == FAULT_HANG || fault->kind == FAULT_RESET;
	if (!cut && fault_replaces(fault, request->route))
		server_fault_answer(sim, request, &reply);
	else if (!cut)
		vendor_answer(sim, request, &reply);
	if (!cut && fault->kind == FAULT_BAD_UTF8)
		fault_spoil_utf8(&reply.body);
	if (!cut && reply.status < STATS_STATUS_MAX)
		sim->stats.status[reply.status]++;
	server_log(sim, request, reply.status);
	pthread_mutex_unlock(&sim->lock);
	return cut ? MHD_NO : reply_send(sim, request, &reply);
}

static const char *const server_credentials[] = {"Authorization", "x-ibinder-tenantid", "Cookie",
						 "x-inbenta-key"};

#define SERVER_CREDENTIALS (sizeof(server_credentials) / sizeof(server_credentials[0]))

static bool server_has_credentials(const struct request *request)
{
	for (size_t i = 0; i < SERVER_CREDENTIALS; i++)
		if (request_header(request, server_credentials[i]))
			return true;
	return false;
}

static void server_count_storage(struct stats *stats, const struct request *request)
{
	if (++stats->storage_in_flight > stats->storage_peak_concurrency)
		stats->storage_peak_concurrency = stats->storage_in_flight;
	if (request_header(request, "Range"))
		stats->ranges++;
	if (server_has_credentials(request))
		stats->leaked_credentials++;
}

/* What a client takes along to where it was sent. */
static void server_count_redirected(struct stats *stats, const struct request *request)
{
	for (size_t i = 0; i < SERVER_CREDENTIALS; i++)
		if (request_header(request, server_credentials[i]))
			stats_words_add(&stats->redirect_headers, server_credentials[i]);
}

/* The headers are in: the request counts from here. */
static void server_begin(struct sim *sim, struct request *request, const char *version)
{
	const char *forwarded = request_header(request, "X-Forwarded-Http");
	struct stats *stats = &sim->stats;

	vendor_route(sim->vendor, request);
	pthread_mutex_lock(&sim->lock);
	request->started = true;
	stats->routes[vendor_route_index(sim->vendor, request->route)]++;
	if (++stats->in_flight > stats->peak_concurrency)
		stats->peak_concurrency = stats->in_flight;
	stats_words_add(&stats->protocols, version);
	if (forwarded)
		stats_words_add(&stats->forwarded_protocols, forwarded);
	if (request->route->flags & ROUTE_STORAGE)
		server_count_storage(stats, request);
	if ((request->route->flags & ROUTE_REDIRECT_TARGET) || request_query(request, REPLY_HOP))
		server_count_redirected(stats, request);
	pthread_mutex_unlock(&sim->lock);
}

static enum MHD_Result server_handle(void *cls, struct MHD_Connection *connection, const char *url,
				     const char *method, const char *version, const char *data,
				     size_t *size, void **context)
{
	struct request *request = *context;
	struct sim *sim = cls;

	if (!request || !request->uri)
		return MHD_NO; /* memory was out when the request came */
	if (!request->started) {
		request->connection = connection;
		request->method = method;
		request->path = url;
		server_begin(sim, request, version);
		return MHD_YES;
	}
	if (*size) {
		request_add_body(request, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return server_answer(sim, request);
}

/* The only place where MHD shows the path and query as they came. */
static void *server_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	(void)cls;
	(void)connection;
	if (request)
		request->uri = strdup(uri);
	return request;
}

static void server_completed(void *cls, struct MHD_Connection *connection, void **context,
			     enum MHD_RequestTerminationCode code)
{
	struct request *request = *context;
	struct sim *sim = cls;

	(void)connection;
	(void)code;
	if (request && request->started) {
		pthread_mutex_lock(&sim->lock);
		sim->stats.in_flight--;
		if (request->route->flags & ROUTE_STORAGE)
			sim->stats.storage_in_flight--;
		pthread_mutex_unlock(&sim->lock);
	}
	request_free(request);
	*context = NULL;
}

static void server_connection(void *cls, struct MHD_Connection *connection, void **context,
			      enum MHD_ConnectionNotificationCode code)
{
	struct sim *sim = cls;

	(void)connection;
	(void)context;
	if (code != MHD_CONNECTION_NOTIFY_STARTED)
		return;
	pthread_mutex_lock(&sim->lock);
	sim->stats.connections++;
	pthread_mutex_unlock(&sim->lock);
}

struct MHD_Daemon *server_start(struct sim *sim, uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL,
		port, NULL, NULL, server_handle, sim, MHD_OPTION_SOCK_ADDR, &address,
		MHD_OPTION_URI_LOG_CALLBACK, server_uri, sim, MHD_OPTION_NOTIFY_COMPLETED,
		server_completed, sim, MHD_OPTION_NOTIFY_CONNECTION, server_connection, sim,
		MHD_OPTION_CONNECTION_LIMIT, SERVER_CONNECTIONS_MAX, MHD_OPTION_LISTEN_BACKLOG_SIZE,
		SERVER_BACKLOG, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_MEMORY,
		MHD_OPTION_THREAD_STACK_SIZE, (size_t)SERVER_STACK, MHD_OPTION_END);
	if (!daemon)
		return NULL;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (!info || !info->port) {
		MHD_stop_daemon(daemon);
		return NULL;
	}
	sim->port = info->port;
	return daemon;
}
