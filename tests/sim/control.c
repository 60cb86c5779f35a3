/* See control.h. Everything runs under the simulator's lock, so a test sees whole changes only. */
#include "control.h"
#include "change.h"
#include "oauth.h"
#include "reply.h"
#include "text.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_BACKLOG 128

/* What a call came with. */
struct control_call {
	const struct request *request;
	const cJSON *json; /* NULL without a body */
};

static void control_fail(struct reply *reply, unsigned int status, const char *why)
{
	reply_set(reply, status, "application/json");
	buf_add_str(&reply->body, "{\"ok\":false,\"problem\":");
	text_add_literal(&reply->body, why, strlen(why));
	buf_add_char(&reply->body, '}');
}

static void control_ok(struct reply *reply)
{
	buf_add_str(&reply->body, "{\"ok\":true}");
}

static void control_stats(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	stats_render(&sim->stats, &reply->body);
}

static void control_reset(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	stats_reset(&sim->stats);
	control_ok(reply);
}

/* All of the settings hold or none does. */
static void control_settings(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	struct sim_settings settings = sim->settings;
	const cJSON *item;

	cJSON_ArrayForEach(item, call->json)
	{
		char *printed = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
		const char *value = cJSON_IsString(item) ? item->valuestring : printed;
		int r = value ? sim_set(&settings, item->string, value) : -ENOMEM;

		cJSON_free(printed);
		if (r) {
			control_fail(reply, MHD_HTTP_BAD_REQUEST, item->string);
			return;
		}
	}
	sim->settings = settings;
	control_ok(reply);
}

static void control_revoke(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)call;
	oauth_revoke(sim);
	control_ok(reply);
}

/* The signatures of links given out so far hold no more. */
static void control_expire_links(struct sim *sim, const struct control_call *call,
				 struct reply *reply)
{
	(void)call;
	sim->link_key = rng_mix(sim->link_key);
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

static void control_truth_folders(const struct org_binder *binder, struct buf *out)
{
	const char *comma = "";

	buf_add_str(out, ",\"folders\":[");
	for (size_t i = 0; i < binder->all_folders.n; i++) {
		const struct org_folder *folder = binder->all_folders.items[i];

		if (!folder->listed)
			continue;
		buf_add_format(out, "%s{\"id\":\"%s\",\"parentId\":", comma, folder->id);
		if (folder->parent)
			buf_add_format(out, "\"%s\"", folder->parent->id);
		else
			buf_add_str(out, "null");
		buf_add_str(out, ",\"raw\":");
		text_add_literal(out, folder->raw, strlen(folder->raw));
		buf_add_char(out, '}');
		comma = ",";
	}
	buf_add_char(out, ']');
}

/* The newest first. */
static void control_truth_versions(const struct org_document *document, struct buf *out)
{
	const struct org_version *version = document->version;

	buf_add_str(out, ",\"versions\":[");
	for (; version; version = version->older)
		buf_add_format(out, "{\"id\":\"%s\",\"size\":%" PRIu64 "}%s", version->id,
			       version->size, version->older ? "," : "");
	buf_add_char(out, ']');
}

static void control_truth_documents(const struct org_binder *binder, struct buf *out)
{
	buf_add_str(out, ",\"documents\":[");
	for (size_t i = 0; i < binder->documents.n; i++) {
		const struct org_document *document = binder->documents.items[i];

		buf_add_format(out, "%s{\"id\":\"%s\",\"folderId\":", i ? "," : "", document->id);
		if (document->folder)
			buf_add_format(out, "\"%s\"", document->folder->id);
		else
			buf_add_str(out, "null");
		buf_add_format(out, ",\"latestVersionId\":\"%s\",\"size\":%" PRIu64,
			       document->version->id, document->version->size);
		control_truth_versions(document, out);
		buf_add_str(out, ",\"raw\":");
		text_add_literal(out, document->raw, document->raw_len);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void control_truth(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	struct buf *out = &reply->body;

	(void)call;
	buf_add_str(out, "{\"binders\":[");
	for (size_t i = 0; i < sim->org.binders.n; i++) {
		const struct org_binder *binder = sim->org.binders.items[i];

		buf_add_format(out, "%s{\"id\":\"%s\",\"raw\":", i ? "," : "", binder->id);
		text_add_literal(out, binder->raw, strlen(binder->raw));
		buf_add_str(out, ",\"metadataelements\":");
		text_add_literal(out, binder->elements, strlen(binder->elements));
		control_truth_folders(binder, out);
		control_truth_documents(binder, out);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}");
}

static bool control_query_number(const struct request *request, const char *name,
				 uint64_t *ret_number)
{
	const char *value = request_query(request, name);

	return !value || !text_parse_number(value, UINT64_MAX, ret_number);
}

/* A version's bytes as they are, whatever storage is set or spoilt to send. */
static void control_content(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	const char *id = request_query(call->request, "version");
	const struct org_version *version = id ? org_find_version(&sim->org, id) : NULL;
	uint64_t offset = 0, length = UINT64_MAX;

	if (!control_query_number(call->request, "offset", &offset) ||
	    !control_query_number(call->request, "length", &length)) {
		control_fail(reply, MHD_HTTP_BAD_REQUEST, "offset and length are numbers");
		return;
	}
	if (!version) {
		control_fail(reply, MHD_HTTP_NOT_FOUND, "no such version");
		return;
	}
	reply_set(reply, MHD_HTTP_OK, "application/octet-stream");
	memcpy(reply->version_id, version->id, sizeof(reply->version_id));
	reply->offset = offset < version->size ? offset : version->size;
	reply->length = version->size - reply->offset;
	if (reply->length > length)
		reply->length = length;
}

static void control_ping(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	(void)sim;
	(void)call;
	control_ok(reply);
}

static const struct {
	const char *method;
	const char *path;
	void (*handle)(struct sim *sim, const struct control_call *call, struct reply *reply);
} control_routes[] = {
	{"GET", "/ping", control_ping},
	{"GET", "/stats", control_stats},
	{"POST", "/stats/reset", control_reset},
	{"POST", "/settings", control_settings},
	{"POST", "/tokens/revoke", control_revoke},
	{"POST", "/links/expire", control_expire_links},
	{"POST", "/faults", control_fault_add},
	{"DELETE", "/faults", control_fault_clear},
	{"GET", "/faults", control_fault_list},
	{"POST", "/change", control_change},
	{"GET", "/truth", control_truth},
	{"GET", "/content", control_content},
};

static enum MHD_Result control_answer(struct sim *sim, struct request *request)
{
	const struct buf *body = &request->body;
	cJSON *json = body->len ? cJSON_ParseWithLength(body->data, body->len) : NULL;
	size_t n = sizeof(control_routes) / sizeof(control_routes[0]);
	struct control_call call = {request, json};
	struct reply reply = {0};
	size_t i = 0;

	while (i < n && (strcmp(control_routes[i].path, request->path) ||
			 strcmp(control_routes[i].method, request->method)))
		i++;
	reply_set(&reply, MHD_HTTP_OK, "application/json; charset=utf-8");
	if (i == n) {
		control_fail(&reply, MHD_HTTP_NOT_FOUND, "no such call");
	} else if (request->body_too_large || (body->len && !cJSON_IsObject(json))) {
		control_fail(&reply, MHD_HTTP_BAD_REQUEST, "the body is not a JSON object");
	} else {
		pthread_mutex_lock(&sim->lock);
		control_routes[i].handle(sim, &call, &reply);
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
