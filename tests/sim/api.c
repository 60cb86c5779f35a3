/* See api.h. */
#include "api.h"
#include "oauth.h"
#include "search.h"
#include "storage.h"

#include <string.h>

#define JSON_TYPE  "application/json; charset=utf-8"
#define API_BEARER "Bearer "

static const struct {
	enum route route;
	const char *method;
	const char *path; /* {} stands for one variable part */
} api_routes[] = {
	{ROUTE_TOKEN, "POST", "/connect/token"},
	{ROUTE_BINDERS, "GET", "/api/binders"},
	{ROUTE_ELEMENTS, "GET", "/api/binders/{}/metadataelements"},
	{ROUTE_DRIVE, "GET", "/api/documents/drives/binders/{}"},
	{ROUTE_SUBFOLDERS, "GET", "/api/documents/drives/binders/{}/folders/{}"},
	{ROUTE_SEARCH, "POST", "/api/documents"},
	{ROUTE_DOCUMENT, "GET", "/api/documents/{}"},
	{ROUTE_DOWNLOADLINK, "GET", "/api/documents/{}/versions/{}/downloadlink"},
	{ROUTE_STORAGE, "GET", "/storage/{}"},
	{ROUTE_REDIRECT_TARGET, NULL, "/redirect-target"},
};

static bool api_match(struct request *request, const char *pattern)
{
	const char *path = request->path;
	size_t n_ids = 0;

	while (*pattern) {
		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size_t n = strcspn(path, "/");
		if (!n || n >= REQUEST_ID_MAX)
			return false;
		memcpy(request->id[n_ids], path, n);
		request->id[n_ids++][n] = '\0';
		pattern += 2;
		path += n;
	}
	return !*path;
}

void api_route(struct request *request)
{
	request->route = ROUTE_OTHER;
	for (size_t i = 0; i < sizeof(api_routes) / sizeof(api_routes[0]); i++) {
		if (!api_match(request, api_routes[i].path))
			continue;
		request->route = api_routes[i].route;
		return;
	}
}

static const char *api_route_method(enum route route)
{
	for (size_t i = 0; i < sizeof(api_routes) / sizeof(api_routes[0]); i++)
		if (api_routes[i].route == route)
			return api_routes[i].method;
	return NULL;
}

/* Credentials belong into headers and the token request's body; a query ends up in logs. */
static bool api_query_has_credentials(const struct request *request)
{
	static const char *const names[] = {
		"access_token",	 "token",     "authorization",	    "client_id",
		"client_secret", "tenant_id", "x-ibinder-tenantid",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (request_query(request, names[i]))
			return true;
	return false;
}

/* True if the caller may go on; else the refusal is in the reply. */
static bool api_authorise(struct sim *sim, const struct request *request, struct reply *reply)
{
	const char *authorization = request_header(request, "Authorization");
	const char *tenant = request_header(request, "x-ibinder-tenantid");
	size_t n = strlen(API_BEARER);

	if (!authorization || strncasecmp(authorization, API_BEARER, n))
		reply_refuse(reply, sim, REFUSED_MISSING_TOKEN, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (!oauth_token_lives(sim, authorization + n))
		reply_refuse(reply, sim, REFUSED_DEAD_TOKEN, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (!tenant)
		reply_refuse(reply, sim, REFUSED_MISSING_TENANT, MHD_HTTP_BAD_REQUEST,
			     "The header x-ibinder-tenantid is required.");
	else if (strcmp(tenant, sim->settings.tenant))
		reply_refuse(reply, sim, REFUSED_TENANT, MHD_HTTP_FORBIDDEN, NULL);
	else
		return true;
	return false;
}

/* Opens and closes a list as the settings want it: an array, or an array in a wrapper. */
static void api_list_begin(const struct sim *sim, struct reply *reply)
{
	reply_set(reply, MHD_HTTP_OK, JSON_TYPE);
	if (sim->settings.items_wrapper)
		buf_add_str(&reply->body, "{\"items\":");
}

static void api_list_end(const struct sim *sim, struct reply *reply)
{
	if (sim->settings.items_wrapper)
		buf_add_char(&reply->body, '}');
}

static void api_folders(const struct sim *sim, const struct org_list *folders, struct reply *reply)
{
	api_list_begin(sim, reply);
	buf_add_char(&reply->body, '[');
	for (size_t i = 0; i < folders->n; i++) {
		if (i)
			buf_add_char(&reply->body, ',');
		buf_add_str(&reply->body, ((struct org_folder *)folders->items[i])->raw);
	}
	buf_add_char(&reply->body, ']');
	api_list_end(sim, reply);
}

static void api_binders(const struct sim *sim, struct reply *reply)
{
	const struct org_list *binders = &sim->org.binders;

	api_list_begin(sim, reply);
	buf_add_char(&reply->body, '[');
	for (size_t i = 0; i < binders->n; i++) {
		if (i)
			buf_add_char(&reply->body, ',');
		buf_add_str(&reply->body, ((struct org_binder *)binders->items[i])->raw);
	}
	buf_add_char(&reply->body, ']');
	api_list_end(sim, reply);
}

static void api_binder(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_binder *binder = org_find_binder(&sim->org, request->id[0]);

	if (!binder) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
	} else if (request->route == ROUTE_DRIVE) {
		api_folders(sim, &binder->folders, reply);
	} else {
		api_list_begin(sim, reply);
		buf_add_str(&reply->body, binder->elements);
		api_list_end(sim, reply);
	}
}

static void api_subfolders(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_folder *folder = org_find_folder(&sim->org, request->id[1]);

	if (sim->settings.subfolders != MHD_HTTP_OK)
		reply_problem(reply, sim, sim->settings.subfolders, NULL);
	else if (!folder || !folder->listed || strcmp(folder->binder->id, request->id[0]))
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
	else
		api_folders(sim, &folder->folders, reply);
}

static void api_document(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_document *document = org_find_document(&sim->org, request->id[0]);

	if (!document) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	reply_set(reply, MHD_HTTP_OK, JSON_TYPE);
	buf_add(&reply->body, document->raw, document->raw_len);
}

static void api_redirect_target(struct reply *reply)
{
	reply_set(reply, MHD_HTTP_OK, JSON_TYPE);
	buf_add_str(&reply->body, "[]");
}

static void api_null_items(const struct sim *sim, struct reply *reply)
{
	reply->body.len = 0;
	buf_add_str(&reply->body, sim->settings.items_wrapper ? "{\"items\":null}" : "null");
}

static void api_call(struct sim *sim, struct request *request, struct reply *reply)
{
	if (!api_authorise(sim, request, reply))
		return;
	switch (request->route) {
	case ROUTE_BINDERS:
		api_binders(sim, reply);
		break;
	case ROUTE_ELEMENTS:
	case ROUTE_DRIVE:
		api_binder(sim, request, reply);
		break;
	case ROUTE_SUBFOLDERS:
		api_subfolders(sim, request, reply);
		break;
	case ROUTE_SEARCH:
		search_answer(sim, request, reply);
		return; /* makes its own null items */
	case ROUTE_DOCUMENT:
		api_document(sim, request, reply);
		break;
	default:
		storage_link(sim, request, reply);
		break;
	}
	if (request->fault.kind == FAULT_NULL_ITEMS && reply->status == MHD_HTTP_OK)
		api_null_items(sim, reply);
}

void api_answer(struct sim *sim, struct request *request, struct reply *reply)
{
	const char *method = api_route_method(request->route);

	if (request->route == ROUTE_OTHER) {
		reply_refuse(reply, sim, REFUSED_PATH, MHD_HTTP_NOT_FOUND, NULL);
	} else if (request->route == ROUTE_STORAGE) {
		storage_answer(sim, request, reply);
	} else if (method && strcmp(request->method, method)) {
		reply_refuse(reply, sim, REFUSED_METHOD, MHD_HTTP_METHOD_NOT_ALLOWED, NULL);
		reply->allow = method;
	} else if (request->route == ROUTE_REDIRECT_TARGET) {
		api_redirect_target(reply);
	} else if (api_query_has_credentials(request)) {
		reply_refuse(reply, sim, REFUSED_QUERY_CREDENTIALS, MHD_HTTP_BAD_REQUEST,
			     "Credentials do not belong into the query.");
	} else if (request->body_too_large) {
		reply_refuse(reply, sim, REFUSED_BODY, MHD_HTTP_CONTENT_TOO_LARGE, NULL);
	} else if (request->route == ROUTE_TOKEN) {
		oauth_answer(sim, request, reply);
	} else {
		api_call(sim, request, reply);
	}
}
