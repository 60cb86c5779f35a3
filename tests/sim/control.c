/* See control.h. Everything runs under the simulator's lock, so a test sees whole changes only. */
#include "control.h"
#include "change.h"
#include "text.h"
#include "token.h"
#include "vendor.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_BACKLOG 128

void control_fail(struct reply *reply, unsigned int status, const char *why)
{
	reply_set(reply, status, "application/json");
	buf_add_str(&reply->body, "{\"ok\":false,\"problem\":");
	text_add_literal(&reply->body, why, strlen(why));
	buf_add_char(&reply->body, '}');
}

void control_ok(struct reply *reply)
{
	buf_add_str(&reply->body, "{\"ok\":true}");
}

static void control_stats(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	stats_render(&sim->stats, sim->vendor->routes, &reply->body);
}

static void control_reset(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	stats_reset(&sim->stats);
	control_ok(reply);
}

static int control_set(struct sim_settings *common, const struct vendor *vendor, void *settings,
		       const cJSON *item)
{
	const struct setting *setting = setting_find(sim_setting_list, item->string);
	void *base = setting ? (void *)common : settings;
	char *printed = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
	const char *value = printed ? printed : cJSON_GetStringValue(item);

	if (!setting)
		setting = setting_find(vendor->settings, item->string);
	int r = setting && value ? setting_set(setting, base, value) : -EINVAL;
	cJSON_free(printed);
	return r;
}

/* All of the settings hold or none does. */
static void control_settings(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	struct sim_settings common = sim->settings;
	size_t size = sim->vendor->settings_size;
	void *settings = malloc(size);
	const cJSON *item;

	if (!settings) {
		control_fail(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
		return;
	}
	memcpy(settings, sim->state, size);
	cJSON_ArrayForEach(item, call->json)
	{
		if (!control_set(&common, sim->vendor, settings, item))
			continue;
		control_fail(reply, MHD_HTTP_BAD_REQUEST, item->string);
		free(settings);
		return;
	}
	sim->settings = common;
	memcpy(sim->state, settings, size);
	free(settings);
	control_ok(reply);
}

static void control_revoke(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	token_revoke(sim);
	control_ok(reply);
}

static void control_fault_add(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	const char *problem = "out of memory";
	int r = fault_add(sim, call->json, &problem);

	if (r)
		control_fail(reply,
			     r == -EINVAL ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_INTERNAL_SERVER_ERROR,
			     problem);
	else
		control_ok(reply);
}

static void control_fault_clear(struct sim *sim, const struct control_call *call,
				struct reply *reply)
{
	(void)call;
	fault_clear(sim);
	control_ok(reply);
}

static void control_fault_list(struct sim *sim, const struct control_call *call,
			       struct reply *reply)
{
	(void)call;
	fault_render(sim, &reply->body);
}

static void control_change(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	struct buf object = {0};
	int r = change_apply(sim, call->json, &object);

	if (r == -ENOENT) {
		control_fail(reply, MHD_HTTP_NOT_FOUND, "no such object");
	} else if (r == -EINVAL) {
		control_fail(reply, MHD_HTTP_BAD_REQUEST, "the operation is not well formed");
	} else if (r || object.failed) {
		control_fail(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
	} else {
		buf_add_str(&reply->body, "{\"ok\":true,\"object\":");
		buf_add(&reply->body, object.data, object.len);
		buf_add_char(&reply->body, '}');
	}
	buf_free(&object);
}

static void control_truth(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	sim->vendor->truth(sim, &reply->body);
}

static void control_ping(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)sim;
	(void)call;
	control_ok(reply);
}

static const struct control_route control_routes[] = {
	{"GET", "/ping", control_ping},
	{"GET", "/stats", control_stats},
	{"POST", "/stats/reset", control_reset},
	{"POST", "/settings", control_settings},
	{"POST", "/tokens/revoke", control_revoke},
	{"POST", "/faults", control_fault_add},
	{"DELETE", "/faults", control_fault_clear},
	{"GET", "/faults", control_fault_list},
	{"POST", "/change", control_change},
	{"GET", "/truth", control_truth},
	{0},
};

static const struct control_route *control_find(const struct control_route *route,
						const struct request *request)
{
	while (route->path &&
	       (strcmp(route->path, request->path) || strcmp(route->method, request->method)))
		route++;
	return route->path ? route : NULL;
}

static enum MHD_Result control_answer(struct sim *sim, struct request *request)
{
	const struct buf *body = &request->body;
	cJSON *json = body->len ? cJSON_ParseWithLength(body->data, body->len) : NULL;
	const struct control_route *route = control_find(control_routes, request);
	struct control_call call = {request, json};
	struct reply reply = {0};

	if (!route)
		route = control_find(sim->vendor->controls, request);
	reply_set(&reply, MHD_HTTP_OK, REPLY_JSON);
	if (!route) {
		control_fail(&reply, MHD_HTTP_NOT_FOUND, "no such call");
	} else if (request->body_too_large || (body->len && !cJSON_IsObject(json))) {
		control_fail(&reply, MHD_HTTP_BAD_REQUEST, "the body is not a JSON object");
	} else {
		pthread_mutex_lock(&sim->lock);
		route->handle(sim, &call, &reply);
		pthread_mutex_unlock(&sim->lock);
	}
	cJSON_Delete(json);
	return reply_send(sim, request, &reply);
}

static enum MHD_Result control_handle(void *cls, struct MHD_Connection *connection, const char *url,
				      const char *method, const char *version, const char *data,
				      size_t *size, void **context)
{
	struct request *request = *context;

	(void)version;
	if (!request) {
		request = calloc(1, sizeof(*request));
		if (!request)
			return MHD_NO;
		request->connection = connection;
		request->method = method;
		request->path = url;
		*context = request;
		return MHD_YES;
	}
	if (*size) {
		request_add_body(request, data, *size);
		*size = 0;
		return MHD_YES;
	}
	return control_answer(cls, request);
}

static void control_completed(void *cls, struct MHD_Connection *connection, void **context,
			      enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)connection;
	(void)code;
	request_free(*context);
	*context = NULL;
}

struct MHD_Daemon *control_start(struct sim *sim, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL,
		port, NULL, NULL, control_handle, sim, MHD_OPTION_SOCK_ADDR, &address,
		MHD_OPTION_NOTIFY_COMPLETED, control_completed, NULL,
		MHD_OPTION_LISTEN_BACKLOG_SIZE, CONTROL_BACKLOG, MHD_OPTION_END);
	if (!daemon)
		return NULL;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
	if (!info || !info->port) {
		MHD_stop_daemon(daemon);
		return NULL;
	}
	*ret_port = info->port;
	return daemon;
}
