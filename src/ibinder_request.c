/* ibinder_request.c: the iBinder File API: which request comes next, and how it is written. What
 * each call is for stands in ibinder.c.
 *
 * Owns nothing. Fails with -ENOMEM, and -EINVAL for what is no query. */
#include "cleanup.h"
#include "ibinder_internal.h"
#include "query.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* --- Searches --- */

/* Adds {"metadataElementId": key, "valueId": value}. */
static bool add_filter(cJSON *filters, const char *key, const char *value)
{
	cJSON *filter = cJSON_CreateObject();

	if (cJSON_AddItemToArray(filters, filter))
		return cJSON_AddStringToObject(filter, "metadataElementId", key) &&
		       cJSON_AddStringToObject(filter, "valueId", value);
	cJSON_Delete(filter);
	return false;
}

/* The text of {"MetadataFilters": […]}, whose tree is freed: outer names with a capital, inner ones
 * without; filters are ANDed. Enumerated keys, such as the binder, take valueId, and free-form keys
 * take it as well (S). */
static int print_search(cJSON *body, bool whole, char **ret_search)
{
	char *text = whole ? cJSON_PrintUnformatted(body) : NULL;

	cJSON_Delete(body);
	if (!text)
		return -ENOMEM;
	*ret_search = text;
	return 0;
}

int ibinder_search_binder(struct provider_task *task)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *filters = cJSON_AddArrayToObject(body, "MetadataFilters");

	return print_search(body, add_filter(filters, "GLOBAL_BinderId", task->id), &task->search);
}

int ibinder_search_folder(struct provider_task *task, const char *folder)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *filters = cJSON_AddArrayToObject(body, "MetadataFilters");

	return print_search(body,
			    add_filter(filters, "GLOBAL_BinderId", task->id) &&
				    add_filter(filters, "GLOBAL_TabId", folder),
			    &task->search);
}

int ibinder_search_query(struct provider_task *task, const char *typed)
{
	struct query query;
	const char *problem;
	cJSON *body;
	cJSON *filters;
	bool whole;
	size_t i;
	int error = query_parse(typed, &query, &problem);

	if (error)
		return error;
	if (query.text) {
		error = ibinder_duplicate(query.bytes + query.text, &task->search_term);
		if (error)
			return error;
	}
	body = cJSON_CreateObject();
	filters = cJSON_AddArrayToObject(body, "MetadataFilters");
	whole = filters != NULL;
	for (i = 0; whole && i < query.filter_count; i++)
		whole = add_filter(filters, query.bytes + query.filters[i].key,
				   query.bytes + query.filters[i].value);
	return print_search(body, whole, &task->search);
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

static void append_document(struct buf *url, const struct provider_task *task)
{
	buf_append_str(url, "/documents/");
	http_escape(url, task->id, strlen(task->id));
}

static void append_page(struct buf *url, const struct provider_task *task, uint64_t number)
{
	buf_printf(url, "/documents?pageSize=%zu&pageNumber=%" PRIu64, task->provider->page_size,
		   number);
	if (task->search_term) {
		buf_append_str(url, "&searchTerm=");
		http_escape(url, task->search_term, strlen(task->search_term));
	}
}

static int make_request(const struct provider_task *task, enum request_type type, uint64_t index,
			struct http_request *ret_request)
{
	const struct provider *provider = task->provider;
	struct http_request request = {.method = "GET"};
	struct buf url CLEANUP(buf_reset) = BUF_INIT(64 * 1024);
	int error;

	switch (type) {
	case REQUEST_BINDERS:
		buf_append_str(&url, "/binders");
		break;
	case REQUEST_DOCUMENT:
		append_document(&url, task);
		break;
	case REQUEST_LINK:
		append_document(&url, task);
		buf_append_str(&url, "/versions/");
		http_escape(&url, task->version, strlen(task->version));
		buf_append_str(&url, "/downloadlink");
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
		append_page(&url, task, index);
		if (ibinder_duplicate(task->search, &request.body))
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

int ibinder_task_next(struct provider_task *task, struct http_request *ret_request,
		      uint64_t *ret_tag)
{
	bool fixed = task->next_fixed <= task->last_fixed;
	enum request_type type;
	uint64_t index = 1;
	int error;

	if (fixed) {
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
	*ret_tag = index << 8 | (uint64_t)type;
	if (fixed)
		task->next_fixed = (enum request_type)(type + 1);
	else if (type == REQUEST_PAGE)
		task->page_next++;
	else
		task->folder_next++;
	if (type == REQUEST_PAGE)
		task->pages_asked++;
	return 0;
}
