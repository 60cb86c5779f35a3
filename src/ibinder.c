/* ibinder.c: the iBinder File API: which request comes next, and what an answer means.
 *
 * Facts are the vendor's documentation (api-docs.ibinder.com) where marked (S); what is inferred is
 * marked (I) and stands behind a setting or a tolerant reader.
 *
 *   top    GET /binders                                                       one request
 *   part   GET  /documents/drives/binders/{binder}        top folders         at once
 *          GET  /binders/{binder}/metadataelements        metadata schema     at once
 *          POST /documents?pageSize=&pageNumber=1         documents           at once
 *          POST /documents?…&pageNumber=2…n               when the first told how many
 *          GET  subfolders_path (I)                       for each folder as it becomes known
 *
 * Answers are read in ibinder_read.c. */
#include "cleanup.h"
#include "ibinder_internal.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When the server does not say how long a token lives (it does: expires_in, (S)). */
#define TOKEN_LIFE_DEFAULT_S 300
#define TOKEN_LIFE_MAX_S     (24 * 3600)

int ibinder_duplicate(const char *text, char **ret_copy)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	*ret_copy = copy;
	return 0;
}

static void ibinder_free(struct provider *provider)
{
	if (!provider)
		return;
	free(provider->api_url);
	free(provider->auth_url);
	free(provider->tenant_id);
	free(provider->client_id);
	free(provider->subfolders_path);
	free(provider->salt);
	free(provider);
}

/* An empty subfolders_path switches the call off. */
static void ibinder_forget(struct provider *provider)
{
	provider->subfolders_seen = false;
	provider->subfolders_missing = provider->subfolders_path[0] == '\0';
}

static int ibinder_new(const struct config *config, struct provider **ret_provider)
{
	struct provider *provider = calloc(1, sizeof(*provider));

	if (!provider)
		return -ENOMEM;
	provider->page_size = config->page_size;
	provider->memory = config->memory;
	if (ibinder_duplicate(config->api_url, &provider->api_url) ||
	    ibinder_duplicate(config->auth_url, &provider->auth_url) ||
	    ibinder_duplicate(config->tenant_id, &provider->tenant_id) ||
	    ibinder_duplicate(config->client_id, &provider->client_id) ||
	    ibinder_duplicate(config->subfolders_path, &provider->subfolders_path) ||
	    asprintf(&provider->salt, "ibinder:%s", config->tenant_id) < 0) {
		provider->salt = NULL;
		ibinder_free(provider);
		return -ENOMEM;
	}
	ibinder_forget(provider);
	*ret_provider = provider;
	return 0;
}

static void ibinder_describe(const struct provider *provider, struct buf *out)
{
	if (provider->subfolders_missing)
		buf_append_str(
			out, "sub-folders    the server does not have the call in subfolders_path; "
			     "their documents are in directories named by the folder's id\n");
}

/* --- Token: OAuth 2.0 client credentials, form-encoded (S) --- */

static int ibinder_token_request(const struct provider *provider, const struct secret *secret,
				 struct http_request *ret_request)
{
	struct buf body CLEANUP(buf_wipe) = BUF_INIT(4 * SECRET_BYTES_MAX);
	struct http_request request = {
		.method = "POST",
		.content_type = "application/x-www-form-urlencoded",
	};

	buf_append_str(&body, "grant_type=client_credentials&scope=ibinder_public&client_id=");
	http_escape(&body, provider->client_id, strlen(provider->client_id));
	buf_append_str(&body, "&client_secret=");
	http_escape(&body, secret->value, secret->len);
	if (body.error || ibinder_duplicate(provider->auth_url, &request.url))
		return -ENOMEM;
	request.body_len = body.len;
	request.body = buf_steal(&body);
	*ret_request = request;
	return 0;
}

static int ibinder_token_answer(const struct provider *provider,
				const struct http_response *response,
				struct provider_grant *ret_grant)
{
	struct buf token CLEANUP(buf_wipe) = BUF_INIT(SECRET_BYTES_MAX);
	struct json answer;
	int64_t life_s = TOKEN_LIFE_DEFAULT_S;
	size_t i;
	int error;

	(void)provider;
	/* Refusal bodies are not documented; 400 or 401 is likely (I), and 403 means the same. */
	if (response->status == 400 || response->status == 401 || response->status == 403)
		return -EACCES;
	if (response->status != 200 ||
	    json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	error = json_get_string(answer, "access_token", &token);
	if (error)
		return error == -ENOMEM ? error : -EBADMSG;
	/* RFC 6750, 2.1: only visible ASCII. Anything else could end the header early. */
	for (i = 0; i < token.len; i++) {
		if (token.data[i] <= ' ' || token.data[i] >= 0x7f)
			return -EBADMSG;
	}
	if (token.len == 0)
		return -EBADMSG;
	error = json_get_int(answer, "expires_in", &life_s);
	if (error == 0 && life_s < 1)
		return -EBADMSG;
	if (life_s > TOKEN_LIFE_MAX_S)
		life_s = TOKEN_LIFE_MAX_S;
	error = secret_set(&ret_grant->token, token.data, token.len);
	if (!error)
		ret_grant->life_ms = life_s * 1000;
	return error;
}

/* Problem details (RFC 9110) in API answers, `error` in those of the token endpoint. Any member may
 * be missing, and the body need not be JSON (S). */
static void ibinder_explain(const struct http_response *response,
			    struct provider_problem *ret_problem)
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(4096);
	struct provider_problem problem = {{0}, {0}};
	struct json answer;

	if (json_parse(buf_str(&response->body), response->body.len, &answer) == 0) {
		if (json_get_string(answer, "title", &text) == -ENOENT)
			json_get_string(answer, "error", &text);
		snprintf(problem.title, sizeof(problem.title), "%s", buf_str(&text));
		buf_reset(&text);
		json_get_string(answer, "traceId", &text);
		snprintf(problem.trace_id, sizeof(problem.trace_id), "%s", buf_str(&text));
	}
	*ret_problem = problem;
}

/* --- Requests --- */

/* Appends `path` with {binder} and {folder} replaced by the escaped ids. */
static void expand_path(struct buf *url, const char *path, const char *binder, const char *folder)
{
	while (*path) {
		if (strncmp(path, "{binder}", 8) == 0) {
			http_escape(url, binder, strlen(binder));
			path += 8;
		} else if (strncmp(path, "{folder}", 8) == 0) {
			http_escape(url, folder, strlen(folder));
			path += 8;
		} else {
			buf_append(url, path++, 1);
		}
	}
}

/* {"MetadataFilters": [{"metadataElementId": "GLOBAL_BinderId", "valueId": …}]}: outer names with
 * a capital, inner ones without; the binder is an enumerated key and takes valueId (S). */
static char *search_body(const char *binder)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *filters = cJSON_AddArrayToObject(body, "MetadataFilters");
	cJSON *filter = cJSON_CreateObject();
	char *text = NULL;

	if (cJSON_AddItemToArray(filters, filter)) {
		if (cJSON_AddStringToObject(filter, "metadataElementId", "GLOBAL_BinderId") &&
		    cJSON_AddStringToObject(filter, "valueId", binder))
			text = cJSON_PrintUnformatted(body);
	} else {
		cJSON_Delete(filter);
	}
	cJSON_Delete(body);
	return text;
}

static int make_request(const struct provider_task *task, enum request_type type, uint64_t index,
			struct http_request *ret_request)
{
	const struct provider *provider = task->provider;
	struct http_request request = {.method = "GET"};
	struct buf url CLEANUP(buf_reset) = BUF_INIT(64 * 1024);
	int error;

	buf_append_str(&url, provider->api_url);
	switch (type) {
	case REQUEST_BINDERS:
		buf_append_str(&url, "/binders");
		break;
	case REQUEST_DRIVE:
		expand_path(&url, "/documents/drives/binders/{binder}", task->id, "");
		break;
	case REQUEST_METADATA:
		expand_path(&url, "/binders/{binder}/metadataelements", task->id, "");
		break;
	case REQUEST_PAGE:
		request.method = "POST";
		request.content_type = "application/json";
		buf_printf(&url, "/documents?pageSize=%zu&pageNumber=%" PRIu64, provider->page_size,
			   index);
		request.body = search_body(task->id);
		if (!request.body)
			return -ENOMEM;
		request.body_len = strlen(request.body);
		break;
	case REQUEST_SUBFOLDERS:
		expand_path(&url, provider->subfolders_path, task->id, task->folders[index]);
		break;
	}
	error = url.error;
	if (!error)
		error = http_request_header(&request, "x-ibinder-tenantid", provider->tenant_id);
	request.url = error ? NULL : buf_steal(&url);
	if (error)
		http_request_fini(&request);
	else
		*ret_request = request;
	return error;
}

static uint64_t tag_of(enum request_type type, uint64_t index)
{
	return index << 8 | (uint64_t)type;
}

static int ibinder_task_next(struct provider_task *task, struct http_request *ret_request,
			     uint64_t *ret_tag)
{
	enum request_type type;
	uint64_t index = 1;
	int error;

	if (task->next_fixed <= REQUEST_PAGE) {
		type = task->next_fixed;
	} else if (task->page_count && task->page_next <= task->page_count) {
		type = REQUEST_PAGE;
		index = task->page_next;
	} else if (task->folder_next < task->folder_count && !task->provider->subfolders_missing) {
		type = REQUEST_SUBFOLDERS;
		index = task->folder_next;
	} else {
		return -EAGAIN;
	}
	error = make_request(task, type, index, ret_request);
	if (error)
		return error;
	*ret_tag = tag_of(type, index);
	if (task->next_fixed <= REQUEST_PAGE)
		task->next_fixed = type == REQUEST_BINDERS ? REQUEST_SUBFOLDERS
							   : (enum request_type)(type + 1);
	else if (type == REQUEST_PAGE)
		task->page_next++;
	else
		task->folder_next++;
	if (type == REQUEST_PAGE)
		task->pages_asked++;
	return 0;
}

/* --- Tasks --- */

/* The path of the sub-folders call is inferred: a server that does not have it answers 404 or 405,
 * and is not asked again. Once it has answered, a 404 means that this folder is gone. What the
 * client may not see of a binder (403) must not hide the rest. */
static bool ibinder_task_tolerates(struct provider_task *task, uint64_t tag, long status)
{
	enum request_type type = (enum request_type)(tag & 0xff);

	if (type == REQUEST_METADATA)
		return status == 404 || status == 403;
	if (type != REQUEST_SUBFOLDERS || (status != 404 && status != 405 && status != 403))
		return false;
	if (status == 405 || (status == 404 && !task->provider->subfolders_seen))
		task->provider->subfolders_missing = true;
	return true;
}

static void ibinder_task_free(struct provider_task *task)
{
	size_t i;

	if (!task)
		return;
	listing_builder_free(task->builder);
	for (i = 0; i < task->folder_count; i++)
		free(task->folders[i]);
	free(task->folders);
	free(task->object);
	free(task->id);
	free(task);
}

/* The Binder object was in the list of binders; a call of its own would tell nothing more. */
static int add_binder_json(struct provider_task *task)
{
	struct listing_object object = {
		.kind = LISTING_KIND_BINDER_JSON,
		.id = task->id,
		.own_name = "binder.json",
	};

	if (json_parse(task->object, task->object_len, &object.json))
		return -EBADMSG;
	object.mtime_ns = ibinder_get_date(object.json, "createdAt");
	task->top_mtime_ns = object.mtime_ns;
	return listing_builder_add_file(task->builder, &object);
}

static int ibinder_task_new(struct provider *provider, const struct provider_resource *resource,
			    struct provider_task **ret_task)
{
	struct provider_task *task = calloc(1, sizeof(*task));
	int error;

	if (!task)
		return -ENOMEM;
	task->provider = provider;
	task->level = resource->level;
	task->top_mtime_ns = LISTING_NO_TIME;
	task->next_fixed = REQUEST_BINDERS;
	task->page_next = 2;
	error = listing_builder_new(provider->salt, resource->id ? resource->id : "",
				    provider->memory, &task->builder);
	if (!error && resource->level == PROVIDER_PART) {
		task->next_fixed = REQUEST_DRIVE;
		error = ibinder_duplicate(resource->id, &task->id);
		task->object_len = resource->object_len;
		task->object = error ? NULL : strndup(resource->object, resource->object_len);
		if (!task->object)
			error = -ENOMEM;
		if (!error)
			error = add_binder_json(task);
	}
	if (error)
		ibinder_task_free(task);
	else
		*ret_task = task;
	return error;
}

static int ibinder_task_finish(struct provider_task *task, const struct listing *previous,
			       int64_t now_ns, struct listing **ret_listing)
{
	return listing_builder_finish(task->builder, previous, task->top_mtime_ns, now_ns,
				      ret_listing);
}

const struct provider_ops provider_ibinder = {
	.name = "ibinder",
	.top_name = "binders",
	.provider_new = ibinder_new,
	.provider_free = ibinder_free,
	.forget = ibinder_forget,
	.describe = ibinder_describe,
	.token_request = ibinder_token_request,
	.token_answer = ibinder_token_answer,
	.explain = ibinder_explain,
	.task_new = ibinder_task_new,
	.task_free = ibinder_task_free,
	.task_next = ibinder_task_next,
	.task_answer = ibinder_task_answer,
	.task_tolerates = ibinder_task_tolerates,
	.task_finish = ibinder_task_finish,
};
