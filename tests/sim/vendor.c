/* See vendor.h. */
#include "vendor.h"

#include <string.h>

static const struct vendor *const vendors[] = {&vendor_ibinder, &vendor_inbenta};

const struct vendor *vendor_find(const char *name)
{
	for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++)
		if (!strcmp(vendors[i]->name, name))
			return vendors[i];
	return NULL;
}

size_t vendor_route_index(const struct vendor *vendor, const struct route *route)
{
	return (size_t)(route - vendor->routes);
}

const struct route *vendor_route_find(const struct vendor *vendor, const char *name)
{
	const struct route *route = vendor->routes;

	while (route->name && strcmp(route->name, name))
		route++;
	return route->name ? route : NULL;
}

static bool vendor_match(struct request *request, const char *pattern)
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

void vendor_route(const struct vendor *vendor, struct request *request)
{
	const struct route *route = vendor->routes;

	while (route->path && !vendor_match(request, route->path))
		route++;
	request->route = route;
}

/* Credentials belong into headers and the token request's body; a query ends up in logs. */
static bool vendor_query_has_secrets(const struct vendor *vendor, const struct request *request)
{
	for (const char *const *name = vendor->secrets; *name; name++)
		if (request_query_names(request, *name))
			return true;
	return false;
}

void vendor_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct route *route = request->route;

	if (route->flags & ROUTE_STORAGE) {
		route->answer(sim, request, reply);
	} else if (route->flags & ROUTE_REDIRECT_TARGET) {
		reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
		buf_add_str(&reply->body, "[]");
	} else if (!route->answer) {
		reply_refuse(reply, sim, REFUSED_PATH, MHD_HTTP_NOT_FOUND, NULL);
	} else if (route->method && strcmp(request->method, route->method)) {
		reply_refuse(reply, sim, REFUSED_METHOD, MHD_HTTP_METHOD_NOT_ALLOWED, NULL);
		reply->allow = route->method;
	} else if (vendor_query_has_secrets(sim->vendor, request)) {
		reply_refuse(reply, sim, REFUSED_QUERY_CREDENTIALS, MHD_HTTP_BAD_REQUEST,
			     "Credentials do not belong into the query.");
	} else if (request->body_too_large) {
		reply_refuse(reply, sim, REFUSED_BODY, MHD_HTTP_CONTENT_TOO_LARGE, NULL);
	} else {
		sim->vendor->answer(sim, request, reply);
	}
}
