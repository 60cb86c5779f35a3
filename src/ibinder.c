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
 * Owns nothing beyond a task: the objects go into the listing's builder as they come. */
#include "cleanup.h"
#include "date.h"
#include "provider.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A hostile or broken server must not keep a task going for ever. */
#define PAGES_MAX    100000
#define FOLDERS_MAX  100000
#define ID_BYTES_MAX 128
#define NAME_RAW_MAX (64 * 1024)
/* Pages are read again this often when documents moved between them meanwhile. */
#define REREADS_MAX 2
/* When the server does not say how long a token lives (it does: expires_in, (S)). */
#define TOKEN_LIFE_DEFAULT_S 300
#define TOKEN_LIFE_MAX_S     (24 * 3600)

enum request_type {
	REQUEST_BINDERS,
	REQUEST_DRIVE,
	REQUEST_METADATA,
	REQUEST_PAGE,
	REQUEST_SUBFOLDERS
};

struct provider {
	char *api_url;
	char *auth_url;
	char *tenant_id;
	char *client_id;
	char *subfolders_path;
	char *salt; /* provider and tenant, for inode numbers */
	size_t page_size;
	size_t memory;
	bool subfolders_seen;	 /* the call has answered: a 404 then means that one folder */
	bool subfolders_missing; /* the server does not have the call */
};

struct provider_task {
	struct provider *provider;
	enum provider_level level;
	char *id;     /* of the binder */
	char *object; /* the Binder object */
	size_t object_len;
	struct listing_builder *builder;
	int64_t top_mtime_ns;
	enum request_type next_fixed; /* the fixed requests go out in the order of the enum */
	/* Documents: pages are asked from 2 to page_count once the first has told the total. */
	uint64_t page_size;  /* as the server uses it */
	uint64_t page_count; /* 0 until the first page is here */
	uint64_t page_next;
	uint64_t total;
	uint64_t pages_asked; /* in this reading of them */
	uint64_t pages_answered;
	unsigned int rereads;
	bool shifted; /* documents came, went or moved between pages */
	/* Folders whose sub-folders are still to be asked for. */
	char **folders;
	size_t folder_count;
	size_t folder_next;
};

static int duplicate(const char *text, char **ret_copy)
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
	if (duplicate(config->api_url, &provider->api_url) ||
	    duplicate(config->auth_url, &provider->auth_url) ||
	    duplicate(config->tenant_id, &provider->tenant_id) ||
	    duplicate(config->client_id, &provider->client_id) ||
	    duplicate(config->subfolders_path, &provider->subfolders_path) ||
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
	if (body.error || duplicate(provider->auth_url, &request.url))
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

/* --- Answers --- */

/* Lists come as an array; the vendor's quickstart reads `.items` instead (S): both are taken. */
static int list_of(const struct http_response *response, struct json *ret_list)
{
	struct json answer;
	struct json list;

	if (json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	if (json_type(answer) == JSON_ARRAY) {
		*ret_list = answer;
		return 0;
	}
	if (json_get(answer, "items", &list) || json_type(list) != JSON_ARRAY)
		return -EBADMSG;
	*ret_list = list;
	return 0;
}

/* An object without a usable id cannot be shown, asked for, or told from another. */
static int get_id(struct json object, struct buf *out)
{
	int error = json_get_id(object, "id", out);

	if (error)
		return error == -ENOMEM ? error : -EBADMSG;
	if (out->len == 0 || strlen(out->data) != out->len)
		return -EBADMSG;
	return 0;
}

/* A name of another type than string is no name; the id then stands for it. */
static int get_name(struct json object, const char *key, struct buf *out)
{
	int error = json_get_string(object, key, out);

	return error == -ENOMEM || error == -EFBIG ? error : 0;
}

static int64_t get_date(struct json object, const char *key)
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(64);
	int64_t ns;

	if (json_get_string(object, key, &text) || date_parse_rfc3339(buf_str(&text), &ns))
		return LISTING_NO_TIME;
	return ns;
}

static int add_binders(struct provider_task *task, const struct http_response *response)
{
	struct json list;
	struct json_iter iter;
	int error = list_of(response, &list);

	if (error)
		return error;
	for (iter = json_iterate(list); json_next(&iter);) {
		struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
		struct buf name CLEANUP(buf_reset) = BUF_INIT(NAME_RAW_MAX);

		error = get_id(iter.value, &id);
		if (!error)
			error = get_name(iter.value, "name", &name);
		if (error)
			return error;
		error = listing_builder_add_dir(
			task->builder, &(struct listing_object){
					       .kind = LISTING_KIND_BINDER,
					       .id = id.data,
					       .raw_name = buf_str(&name),
					       .raw_name_len = name.len,
					       .elsewhere = true,
					       .mtime_ns = get_date(iter.value, "createdAt"),
					       .json = iter.value,
				       });
		if (error)
			return error;
	}
	return 0;
}

static int remember_folder(struct provider_task *task, const char *id)
{
	char **folders;

	if (task->folder_count >= FOLDERS_MAX)
		return -EFBIG;
	/* A power of two is full. */
	if ((task->folder_count & (task->folder_count - 1)) == 0) {
		size_t capacity = task->folder_count ? task->folder_count * 2 : 1;

		folders = realloc(task->folders, capacity * sizeof(*folders));
		if (!folders)
			return -ENOMEM;
		task->folders = folders;
	}
	if (duplicate(id, &task->folders[task->folder_count]))
		return -ENOMEM;
	task->folder_count++;
	return 0;
}

/* `parent`: the folder that was asked about, NULL for the drive. parentId is not trusted: at the
 * top it is not documented. */
static int add_folder(struct provider_task *task, const char *parent, struct json folder)
{
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf name CLEANUP(buf_reset) = BUF_INIT(NAME_RAW_MAX);
	struct listing_object object = {
		.kind = LISTING_KIND_FOLDER,
		.parent = parent,
		.mtime_ns = LISTING_NO_TIME,
	};
	int error = get_id(folder, &id);

	if (!error)
		error = get_name(folder, "name", &name);
	if (error || listing_builder_has(task->builder, LISTING_KIND_FOLDER, id.data))
		return error;
	object.id = id.data;
	object.raw_name = buf_str(&name);
	object.raw_name_len = name.len;
	error = listing_builder_add_dir(task->builder, &object);
	if (error)
		return error;
	object.kind = LISTING_KIND_FOLDER_JSON;
	object.parent = id.data;
	object.own_name = "folder.json";
	object.json = folder;
	error = listing_builder_add_file(task->builder, &object);
	return error ? error : remember_folder(task, id.data);
}

static int add_folders(struct provider_task *task, const char *parent,
		       const struct http_response *response)
{
	struct json list;
	struct json_iter iter;
	int error = list_of(response, &list);

	for (iter = json_iterate(list); !error && json_next(&iter);)
		error = add_folder(task, parent, iter.value);
	return error;
}

/* What a document's metadata says for a key: [{metadataElementId, valueId}] (S); free-form keys may
 * carry `value` instead (I). */
static int get_metadata(struct json document, const char *key, struct buf *out)
{
	struct json metadata;
	struct json_iter iter;

	if (json_get(document, "metadata", &metadata))
		return -ENOENT;
	for (iter = json_iterate(metadata); json_next(&iter);) {
		struct json element;
		int error;

		if (json_get(iter.value, "metadataElementId", &element) ||
		    !json_string_equals(element, key))
			continue;
		error = json_get_string(iter.value, "valueId", out);
		return error == -ENOENT ? json_get_string(iter.value, "value", out) : error;
	}
	return -ENOENT;
}

static int64_t document_date(struct json document)
{
	static const char *const keys[] = {"GLOBAL_RevisionDate", "GLOBAL_Date"};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct buf text CLEANUP(buf_reset) = BUF_INIT(64);
		int64_t ns;

		if (get_metadata(document, keys[i], &text) == 0 &&
		    date_parse_rfc3339(buf_str(&text), &ns) == 0)
			return ns;
	}
	return LISTING_NO_TIME;
}

static int add_document(struct provider_task *task, struct json document)
{
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf folder CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf name CLEANUP(buf_reset) = BUF_INIT(NAME_RAW_MAX);
	int error = get_id(document, &id);

	if (!error)
		error = get_name(document, "fileName", &name);
	if (error)
		return error;
	if (listing_builder_has(task->builder, LISTING_KIND_DOCUMENT, id.data)) {
		if (task->rereads == 0)
			task->shifted = true;
		return 0;
	}
	/* folderId equals the GLOBAL_TabId value (I): either will do. */
	if (json_get_id(document, "folderId", &folder) || folder.len == 0) {
		buf_reset(&folder);
		if (get_metadata(document, "GLOBAL_TabId", &folder))
			buf_reset(&folder);
	}
	return listing_builder_add_file(task->builder,
					&(struct listing_object){
						.kind = LISTING_KIND_DOCUMENT,
						.id = id.data,
						.parent = folder.len ? folder.data : NULL,
						.raw_name = buf_str(&name),
						.raw_name_len = name.len,
						.suffix = ".json",
						.mtime_ns = document_date(document),
						.json = document,
					});
}

/* Page numbers count from 1; the server may use smaller pages than asked for, and says so (S). */
static int take_totals(struct provider_task *task, struct json answer, bool first, size_t items)
{
	int64_t total;
	int64_t size = (int64_t)task->provider->page_size;
	int error;

	if (json_get_int(answer, "totalCount", &total) || total < 0)
		return -EBADMSG;
	error = json_get_int(answer, "pageSize", &size);
	if ((error && error != -ENOENT) || size < 1 || (first && items == 0 && total > 0))
		return -EBADMSG;
	if (first) {
		task->page_size = (uint64_t)size;
		task->total = (uint64_t)total;
	} else if ((uint64_t)size != task->page_size) {
		return -EBADMSG; /* the pages no longer fit together */
	} else if ((uint64_t)total != task->total) {
		task->shifted = true;
		task->total = (uint64_t)total;
	}
	if (task->total / task->page_size >= PAGES_MAX)
		return -EFBIG;
	task->page_count = (task->total + task->page_size - 1) / task->page_size;
	if (task->page_count == 0)
		task->page_count = 1;
	return 0;
}

/* When documents came or went while the pages were read, one may have slipped from a page not yet
 * read to one already read: then all are read once more, and what is there already is skipped. */
static void maybe_reread(struct provider_task *task)
{
	if (task->pages_answered < task->pages_asked || task->page_next <= task->page_count)
		return;
	if (!task->shifted || task->rereads >= REREADS_MAX)
		return;
	task->rereads++;
	task->shifted = false;
	task->page_next = 1;
	task->pages_asked = 0;
	task->pages_answered = 0;
}

static int add_page(struct provider_task *task, const struct http_response *response)
{
	bool first = task->page_count == 0;
	struct json answer;
	struct json list;
	struct json_iter iter;
	size_t items = 0;
	int error;

	if (json_parse(buf_str(&response->body), response->body.len, &answer) ||
	    json_get(answer, "items", &list) || json_type(list) != JSON_ARRAY)
		return -EBADMSG;
	for (iter = json_iterate(list); json_next(&iter); items++) {
		error = add_document(task, iter.value);
		if (error)
			return error;
	}
	error = take_totals(task, answer, first, items);
	if (error)
		return error;
	task->pages_answered++;
	maybe_reread(task);
	return 0;
}

static int add_metadata_elements(struct provider_task *task, const struct http_response *response)
{
	struct listing_object object = {
		.kind = LISTING_KIND_METADATA_JSON,
		.id = task->id,
		.own_name = "metadata-elements.json",
		.mtime_ns = LISTING_NO_TIME,
	};

	if (json_parse(buf_str(&response->body), response->body.len, &object.json))
		return -EBADMSG;
	return listing_builder_add_file(task->builder, &object);
}

static int ibinder_task_answer(struct provider_task *task, uint64_t tag,
			       const struct http_response *response)
{
	uint64_t index = tag >> 8;

	switch ((enum request_type)(tag & 0xff)) {
	case REQUEST_BINDERS:
		return add_binders(task, response);
	case REQUEST_DRIVE:
		return add_folders(task, NULL, response);
	case REQUEST_METADATA:
		return add_metadata_elements(task, response);
	case REQUEST_PAGE:
		return add_page(task, response);
	case REQUEST_SUBFOLDERS:
		task->provider->subfolders_seen = true;
		return add_folders(task, task->folders[index], response);
	}
	return -EBADMSG;
}

/* The path of the sub-folders call is inferred: a server that does not have it answers 404 or 405,
 * and is not asked again. Once it has answered, a 404 means that this folder is gone. A binder
 * without a metadata schema only lacks that file. */
static bool ibinder_task_tolerates(struct provider_task *task, uint64_t tag, long status)
{
	enum request_type type = (enum request_type)(tag & 0xff);

	if (type == REQUEST_METADATA)
		return status == 404;
	if (type != REQUEST_SUBFOLDERS || (status != 404 && status != 405))
		return false;
	if (status == 405 || !task->provider->subfolders_seen)
		task->provider->subfolders_missing = true;
	return true;
}

/* --- Tasks --- */

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
	object.mtime_ns = get_date(object.json, "createdAt");
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
	error = listing_builder_new(provider->salt, provider->memory, &task->builder);
	if (!error && resource->level == PROVIDER_PART) {
		task->next_fixed = REQUEST_DRIVE;
		error = duplicate(resource->id, &task->id);
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
