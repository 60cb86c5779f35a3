/* ibinder.c: the iBinder File API: the provider, its token, and its tasks.
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
 *   one folder of a part (ibinder_folder.c)
 *          GET  /documents/drives/binders/{binder}        names of the top folders, or:
 *          POST /documents?pageSize=&pageNumber=1…n       its documents, as above
 *          GET  subfolders_path (I)                       its folders
 *   object GET  /documents/{document}                                         one request
 *   query  POST /documents?searchTerm=&pageSize=&pageNumber=1                 as for a part
 *   link   GET  /documents/{document}/versions/{version}/downloadlink         one request
 *
 * Requests are made in ibinder_request.c, answers are read in ibinder_read.c. */
#include "cleanup.h"
#include "ibinder_internal.h"
#include "query.h"

#include <ctype.h>
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
	provider->found_by_tab[false] = false;
	provider->found_by_tab[true] = false;
	provider->tab_is_other = false;
	provider->subfolders_doubtful = false;
}

/* A 404 may have been the end of a binder, just when its folders were asked for the first time. */
static void doubt_missing(struct provider *provider)
{
	provider->subfolders_missing =
		provider->subfolders_missing && !provider->subfolders_doubtful;
	provider->subfolders_doubtful = false;
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

static const char *ibinder_address(const struct provider *provider)
{
	return provider->api_url;
}

static int ibinder_token_request(const struct provider *provider, const struct provider_need *need,
				 struct provider_grant *grant, struct http_request *ret_request,
				 const struct secret **ret_bearer)
{
	struct buf body CLEANUP(buf_wipe) = BUF_INIT(4 * SECRET_BYTES_MAX);
	struct http_request request = {
		.method = "POST",
		.content_type = "application/x-www-form-urlencoded",
	};

	(void)grant;
	(void)ret_bearer;
	buf_append_str(&body, "grant_type=client_credentials&scope=ibinder_public&client_id=");
	http_escape(&body, provider->client_id, strlen(provider->client_id));
	buf_append_str(&body, "&client_secret=");
	http_escape(&body, need->secret->value, need->secret->len);
	if (body.error || ibinder_duplicate(provider->auth_url, &request.url))
		return -ENOMEM;
	request.body_len = body.len;
	request.body = buf_steal(&body);
	*ret_request = request;
	return 0;
}

static int ibinder_token_answer(struct provider *provider, const struct http_response *response,
				int64_t wall_now_s, struct provider_grant *grant)
{
	struct buf token CLEANUP(buf_wipe) = BUF_INIT(SECRET_BYTES_MAX);
	struct json answer;
	int64_t life_s = TOKEN_LIFE_DEFAULT_S;
	int error;

	(void)provider;
	(void)wall_now_s;
	/* Refusal bodies are not documented; 400 or 401 is likely (I), and 403 means the same. */
	if (response->status == 400 || response->status == 401 || response->status == 403)
		return -EACCES;
	if (response->status != 200 ||
	    json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	error = json_get_string(answer, "access_token", &token);
	if (error)
		return error == -ENOMEM ? error : -EBADMSG;
	if (!http_is_bearer(token.data, token.len))
		return -EBADMSG;
	error = json_get_int(answer, "expires_in", &life_s);
	if (error == 0 && life_s < 1)
		return -EBADMSG;
	if (life_s > TOKEN_LIFE_MAX_S)
		life_s = TOKEN_LIFE_MAX_S;
	error = secret_set(&grant->token, token.data, token.len);
	if (!error)
		grant->life_ms = life_s * 1000;
	return error;
}

/* What else is forbidden stays so with another token. */
static enum provider_refusal ibinder_judge(const struct http_response *response)
{
	return response->status == 401 ? PROVIDER_REFUSAL_TOKEN : PROVIDER_REFUSAL_FINAL;
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

/* --- Tasks --- */

/* The path of the sub-folders call is inferred: a server that does not have it answers 404 or 405,
 * and is not asked again; after a 404 not before the binders are listed anew. Once it has answered,
 * or if it is asked for one folder alone, a 404 means that this folder is gone. What the client may
 * not see of a binder (403) must not hide the rest. That a document does not exist is an answer
 * like another, to be kept. */
static bool ibinder_task_tolerates(struct provider_task *task, uint64_t tag, long status)
{
	enum request_type type = (enum request_type)(tag & 0xff);

	if (type == REQUEST_DOCUMENT)
		return status == 404;
	if (type == REQUEST_METADATA)
		return status == 404 || status == 403;
	/* Without a folder's own documents all of the binder's will be asked for. */
	if (type == REQUEST_PAGE)
		return task->folder && (status == 400 || status == 403 || status == 404);
	if (type != REQUEST_SUBFOLDERS || (status != 404 && status != 405 && status != 403))
		return false;
	if (status == 405 || (status == 404 && !task->provider->subfolders_seen && !task->apart)) {
		task->provider->subfolders_missing = true;
		task->provider->subfolders_doubtful = status == 404;
	}
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
	free(task->folder);
	secret_fini(&task->link);
	free(task->search_term);
	free(task->search);
	free(task->object);
	free(task->version);
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

	int error;

	if (json_parse(task->object, task->object_len, &object.json))
		return -EBADMSG;
	error = ibinder_get_date(object.json, "createdAt", &object.mtime_ns);
	if (error)
		return error;
	task->top_mtime_ns = object.mtime_ns;
	return listing_builder_add_file(task->builder, &object);
}

static int begin_part(struct provider_task *task, const struct provider_resource *resource)
{
	int error = ibinder_duplicate(resource->id, &task->id);

	if (error)
		return error;
	task->object_len = resource->object_len;
	task->object = strndup(resource->object, resource->object_len);
	if (!task->object)
		return -ENOMEM;
	error = add_binder_json(task);
	if (error)
		return error;
	if (ibinder_has_folder_apart(task->provider, resource))
		return ibinder_begin_folder(task, resource);
	return ibinder_search_binder(task);
}

static int begin_link(struct provider_task *task, const struct provider_resource *resource)
{
	int error = ibinder_duplicate(resource->id, &task->id);

	return error ? error : ibinder_duplicate(resource->version, &task->version);
}

/* What a task of this level needs beside its builder. */
static int begin(struct provider_task *task, const struct provider_resource *resource)
{
	switch (resource->level) {
	case PROVIDER_TOP:
		doubt_missing(task->provider);
		return 0;
	case PROVIDER_PART:
		return begin_part(task, resource);
	case PROVIDER_OBJECT:
		return ibinder_duplicate(resource->id, &task->id);
	case PROVIDER_QUERY:
		return ibinder_search_query(task, resource->id);
	case PROVIDER_LINK:
		return begin_link(task, resource);
	}
	return -EINVAL;
}

static int ibinder_task_new(struct provider *provider, const struct provider_resource *resource,
			    struct provider_task **ret_task)
{
	/* What is asked for at once. */
	static const enum request_type fixed[][2] = {
		[PROVIDER_TOP] = {REQUEST_BINDERS, REQUEST_BINDERS},
		[PROVIDER_PART] = {REQUEST_DRIVE, REQUEST_PAGE},
		[PROVIDER_OBJECT] = {REQUEST_DOCUMENT, REQUEST_DOCUMENT},
		[PROVIDER_QUERY] = {REQUEST_PAGE, REQUEST_PAGE},
		[PROVIDER_LINK] = {REQUEST_LINK, REQUEST_LINK},
	};
	struct provider_task *task = calloc(1, sizeof(*task));
	int error = 0;

	if (!task)
		return -ENOMEM;
	task->provider = provider;
	task->level = resource->level;
	task->top_mtime_ns = LISTING_NO_TIME;
	task->next_fixed = fixed[resource->level][0];
	task->last_fixed = fixed[resource->level][1];
	task->page_next = 2;
	if (resource->level != PROVIDER_LINK)
		error = listing_builder_new(provider->salt, resource->id ? resource->id : "",
					    provider->memory, &task->builder);
	if (!error)
		error = begin(task, resource);
	if (error)
		ibinder_task_free(task);
	else
		*ret_task = task;
	return error;
}

static int ibinder_task_finish(struct provider_task *task, const struct listing *previous,
			       int64_t now_ns, struct provider_result *ret_result)
{
	int error;

	if (task->level == PROVIDER_LINK) {
		secret_move(&ret_result->link, &task->link);
		return 0;
	}
	if (task->folder)
		ibinder_finish_folder(task);
	error = listing_builder_finish(task->builder, previous, task->top_mtime_ns, now_ns,
				       &ret_result->listing);
	if (!error && task->cut)
		snprintf(ret_result->note, sizeof(ret_result->note),
			 "the query matches %" PRIu64 " documents; only the first %zu are shown",
			 task->total, task->found);
	return error;
}

/* Documents' ids are GUIDs (S). */
static bool ibinder_is_object_id(const char *id, size_t len)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	size_t i;

	if (len != sizeof(form) - 1)
		return false;
	for (i = 0; i < len; i++) {
		if (form[i] == '-' ? id[i] != '-' : !isxdigit((unsigned char)id[i]))
			return false;
	}
	return true;
}

static int ibinder_query_check(const char *query, const char **ret_problem)
{
	struct query parsed;

	return query_parse(query, &parsed, ret_problem);
}

const struct provider_ops provider_ibinder = {
	.name = "ibinder",
	.top_name = "binders",
	.links_name = "binders",
	.objects_name = "documents",
	.has_links = true,
	.provider_new = ibinder_new,
	.provider_free = ibinder_free,
	.forget = ibinder_forget,
	.describe = ibinder_describe,
	.address = ibinder_address,
	.token_request = ibinder_token_request,
	.token_answer = ibinder_token_answer,
	.judge = ibinder_judge,
	.explain = ibinder_explain,
	.is_object_id = ibinder_is_object_id,
	.query_check = ibinder_query_check,
	.task_new = ibinder_task_new,
	.task_free = ibinder_task_free,
	.task_next = ibinder_task_next,
	.task_answer = ibinder_task_answer,
	.task_tolerates = ibinder_task_tolerates,
	.task_finish = ibinder_task_finish,
};
