/* See api.h. */
#include "api.h"
#include "ibinder.h"
#include "oauth.h"
#include "search.h"
#include "storage.h"
#include "token.h"

#include <string.h>

#define API_BEARER "Bearer "

/* True if the caller may go on; else the refusal is in the reply. */
static bool api_authorise(struct sim *sim, const struct request *request, struct reply *reply)
{
	const char *authorization = request_header(request, "Authorization");
	const char *tenant = request_header(request, "x-ibinder-tenantid");
	size_t n = strlen(API_BEARER);

	if (!authorization || strncasecmp(authorization, API_BEARER, n))
		reply_refuse(reply, sim, REFUSED_MISSING_TOKEN, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (!token_find(sim, authorization + n))
		reply_refuse(reply, sim, REFUSED_DEAD_TOKEN, MHD_HTTP_UNAUTHORIZED, NULL);
	else if (!tenant)
		reply_refuse(reply, sim, REFUSED_MISSING_TENANT, MHD_HTTP_BAD_REQUEST,
			     "The header x-ibinder-tenantid is required.");
	else if (strcmp(tenant, ibinder_of(sim)->settings.tenant))
		reply_refuse(reply, sim, REFUSED_TENANT, MHD_HTTP_FORBIDDEN, NULL);
	else
		return true;
	return false;
}

/* Opens and closes a list as the settings want it: an array, or an array in a wrapper. */
static void api_list_begin(const struct sim *sim, struct reply *reply)
{
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	if (ibinder_of(sim)->settings.items_wrapper)
		buf_add_str(&reply->body, "{\"items\":");
}

static void api_list_end(const struct sim *sim, struct reply *reply)
{
	if (ibinder_of(sim)->settings.items_wrapper)
		buf_add_char(&reply->body, '}');
}

static void api_folders(const struct sim *sim, const struct list *folders, struct reply *reply)
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

static void api_binders(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct list *binders = &ibinder_of(sim)->org.binders;

	(void)request;
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

static void api_elements(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_binder *binder = org_find_binder(&ibinder_of(sim)->org, request->id[0]);

	if (!binder) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	api_list_begin(sim, reply);
	buf_add_str(&reply->body, binder->elements);
	api_list_end(sim, reply);
}

static void api_drive(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_binder *binder = org_find_binder(&ibinder_of(sim)->org, request->id[0]);

	if (binder)
		api_folders(sim, &binder->folders, reply);
	else
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
}

static void api_subfolders(struct sim *sim, const struct request *request, struct reply *reply)
{
	static const unsigned int statuses[] = {MHD_HTTP_OK, MHD_HTTP_NOT_FOUND,
						MHD_HTTP_METHOD_NOT_ALLOWED};
	unsigned int status = statuses[ibinder_of(sim)->settings.subfolders];
	const struct org_folder *folder = org_find_folder(&ibinder_of(sim)->org, request->id[1]);

	if (status != MHD_HTTP_OK)
		reply_problem(reply, sim, status, NULL);
	else if (!folder || !folder->listed || strcmp(folder->binder->id, request->id[0]))
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
	else
		api_folders(sim, &folder->folders, reply);
}

static void api_document(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_document *document =
		org_find_document(&ibinder_of(sim)->org, request->id[0]);

	if (!document) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add(&reply->body, document->raw, document->raw_len);
}

static void api_null_items(const struct sim *sim, struct reply *reply)
{
	reply->body.len = 0;
	buf_add_str(&reply->body,
		    ibinder_of(sim)->settings.items_wrapper ? "{\"items\":null}" : "null");
}

void api_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct route *route = request->route;

	if (!(route->flags & ROUTE_OPEN) && !api_authorise(sim, request, reply))
		return;
	route->answer(sim, request, reply);
	if (request->fault.kind == FAULT_NULL_ITEMS && reply->status == MHD_HTTP_OK &&
	    !(route->flags & (ROUTE_OPEN | ROUTE_PAGES)))
		api_null_items(sim, reply);
}

const struct route api_routes[] = {
	{"token", "POST", "/connect/token", ROUTE_OPEN, oauth_answer},
	{"binders", "GET", "/api/binders", 0, api_binders},
	{"metadataelements", "GET", "/api/binders/{}/metadataelements", 0, api_elements},
	{"drive", "GET", "/api/documents/drives/binders/{}", 0, api_drive},
	{"subfolders", "GET", "/api/documents/drives/binders/{}/folders/{}", 0, api_subfolders},
	{"search", "POST", "/api/documents", ROUTE_PAGES, search_answer},
	{"document", "GET", "/api/documents/{}", 0, api_document},
	{"downloadlink", "GET", "/api/documents/{}/versions/{}/downloadlink", 0, storage_link},
	{"storage", NULL, "/storage/{}", ROUTE_STORAGE, storage_answer},
	{"redirect_target", NULL, "/redirect-target", ROUTE_REDIRECT_TARGET, NULL},
	{"other", NULL, NULL, 0, NULL},
	{0},
};
