/* See fault.h. */
#include "fault.h"
#include "sim.h"
#include "vendor.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FAULT_NUMBER_MAX 1e12

static const char *const fault_names[FAULT_KINDS] = {
	[FAULT_NONE] = "none",
	[FAULT_STATUS] = "status",
	[FAULT_RESET] = "reset",
	[FAULT_HANG] = "hang",
	[FAULT_NOT_JSON] = "not_json",
	[FAULT_EMPTY_BODY] = "empty_body",
	[FAULT_WRONG_TYPES] = "wrong_types",
	[FAULT_DEEP] = "deep",
	[FAULT_ENDLESS] = "endless",
	[FAULT_REDIRECT] = "redirect",
	[FAULT_TRUNCATE] = "truncate",
	[FAULT_SLOW] = "slow",
	[FAULT_DELAY] = "delay",
	[FAULT_BAD_UTF8] = "bad_utf8",
	[FAULT_BIG_TOTAL_COUNT] = "big_total",
	[FAULT_ZERO_PAGE] = "zero_page",
	[FAULT_NULL_ITEMS] = "null_items",
	[FAULT_WRONG_RANGE] = "wrong_range",
	[FAULT_OTHER_LENGTH] = "other_length",
	[FAULT_NO_CONTENT_RANGE] = "no_content_range",
	[FAULT_SHORT_RANGE] = "short_range",
	[FAULT_IGNORE_RANGE] = "ignore_range",
	[FAULT_OTHER_ETAG] = "other_etag",
	[FAULT_ENCODED] = "encoded",
};

bool fault_replaces(const struct fault *fault, const struct route *route)
{
	if (fault->kind == FAULT_ENDLESS && (route->flags & ROUTE_STORAGE))
		return false;
	return fault->kind >= FAULT_STATUS && fault->kind <= FAULT_REDIRECT;
}

/* Reads an optional number; false if it is there and unfit. */
static bool fault_number(const cJSON *json, const char *name, double min, double *value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!item)
		return true;
	if (!cJSON_IsNumber(item) || item->valuedouble < min ||
	    item->valuedouble > FAULT_NUMBER_MAX)
		return false;
	*value = item->valuedouble;
	return true;
}

static bool fault_text(const cJSON *json, const char *name, char *text, size_t size)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	if (!item)
		return true;
	if (!cJSON_IsString(item) || strlen(item->valuestring) >= size)
		return false;
	memcpy(text, item->valuestring, strlen(item->valuestring) + 1);
	return true;
}

static const char *fault_parse_numbers(struct fault *fault, const cJSON *json)
{
	double times = -1, after = 0, status = fault->status, variant = 0, speed = 100, ms = 1000;

	if (!fault_number(json, "times", -1, &times) || !fault_number(json, "after", 0, &after))
		return "times is a number from -1, after one from 0";
	if (!fault_number(json, "status", 200, &status) || status > STATS_STATUS_MAX - 1)
		return "status is a number from 200 to 599";
	if (!fault_number(json, "variant", 0, &variant) || variant > FAULT_VARIANTS - 1)
		return "there are variants 0 to 7";
	if (!fault_number(json, "bytes_per_second", 1, &speed))
		return "bytes_per_second is a number from 1";
	if (!fault_number(json, "ms", 0, &ms) || ms > SIM_WAIT_MAX_MS)
		return "ms is a number up to an hour";
	fault->times = (int64_t)times;
	fault->after = (uint64_t)after;
	fault->status = (unsigned int)status;
	fault->variant = (unsigned int)variant;
	fault->bytes_per_second = (uint64_t)speed;
	fault->ms = (uint64_t)ms;
	return NULL;
}

static bool fault_route_has(const struct fault *fault, unsigned int flag)
{
	return fault->route && (fault->route->flags & flag);
}

static const char *fault_parse(struct fault *fault, const struct sim *sim, const cJSON *json)
{
	const char *route = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "route"));
	const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "kind"));

	fault->route = route ? vendor_route_find(sim->vendor, route) : NULL;
	if (!route || (!fault->route && strcmp(route, "*")))
		return "route is a route's name or *";
	fault->kind = FAULT_STATUS;
	while (kind && fault->kind < FAULT_KINDS && strcmp(fault_names[fault->kind], kind))
		fault->kind++;
	if (!kind || fault->kind == FAULT_KINDS)
		return "there is no such kind of fault";
	if ((fault->kind == FAULT_BIG_TOTAL_COUNT || fault->kind == FAULT_ZERO_PAGE) &&
	    !fault_route_has(fault, ROUTE_PAGES))
		return "this route has no pages";
	if (fault->kind >= FAULT_WRONG_RANGE && !fault_route_has(fault, ROUTE_STORAGE))
		return "only storage has ranges";
	fault->status = fault->kind == FAULT_REDIRECT ? 302 : 500;
	if (fault->kind == FAULT_REDIRECT)
		snprintf(fault->location, sizeof(fault->location),
			 "http://127.0.0.1:%u/redirect-target", sim->port);
	if (!fault_text(json, "retry_after", fault->retry_after, sizeof(fault->retry_after)) ||
	    !fault_text(json, "location", fault->location, sizeof(fault->location)) ||
	    !fault_text(json, "body", fault->body, sizeof(fault->body)))
		return "retry_after, location and body are strings, and not too long";
	return fault_parse_numbers(fault, json);
}

int fault_add(struct sim *sim, const struct cJSON *json, const char **ret_problem)
{
	struct fault **end = &sim->faults;
	size_t n = 0;

	while (*end) {
		end = &(*end)->next;
		n++;
	}
	if (n >= FAULT_LIST_MAX) {
		*ret_problem = "too many faults";
		return -EINVAL;
	}
	struct fault *fault = calloc(1, sizeof(*fault));
	if (!fault)
		return -ENOMEM;
	const char *problem = fault_parse(fault, sim, json);
	if (problem) {
		free(fault);
		*ret_problem = problem;
		return -EINVAL;
	}
	*end = fault;
	return 0;
}

void fault_clear(struct sim *sim)
{
	while (sim->faults) {
		struct fault *next = sim->faults->next;

		free(sim->faults);
		sim->faults = next;
	}
	sim->fault_epoch++;
	pthread_cond_broadcast(&sim->wake);
}

void fault_render(const struct sim *sim, struct buf *out)
{
	buf_add_char(out, '[');
	for (const struct fault *fault = sim->faults; fault; fault = fault->next)
		buf_add_format(out,
			       "%s{\"route\":\"%s\",\"kind\":\"%s\",\"times\":%" PRId64
			       ",\"after\":%" PRIu64 ",\"passed\":%" PRIu64 ",\"fired\":%" PRIu64
			       "}",
			       fault == sim->faults ? "" : ",",
			       fault->route ? fault->route->name : "*", fault_names[fault->kind],
			       fault->times, fault->after, fault->passed, fault->fired);
	buf_add_char(out, ']');
}

struct fault fault_take(struct sim *sim, const struct route *route)
{
	for (struct fault *fault = sim->faults; fault; fault = fault->next) {
		if (fault->route && fault->route != route)
			continue;
		/* A client led to the target of a redirect must not be led in a circle. */
		if (!fault->route && (route->flags & ROUTE_REDIRECT_TARGET))
			continue;
		if (fault->times >= 0 && fault->fired >= (uint64_t)fault->times)
			continue;
		if (fault->passed < fault->after) {
			fault->passed++;
			continue;
		}
		fault->fired++;
		struct fault taken = *fault;
		taken.next = NULL;
		taken.epoch = sim->fault_epoch;
		return taken;
	}
	return (struct fault){.kind = FAULT_NONE, .epoch = sim->fault_epoch};
}

void fault_spoil_utf8(struct buf *body)
{
	static const char *const marks[] = {"\"fileName\":\"", "\"name\":\"", "\"title\":\"",
					    ":\""};
	static const char bad[] = "\xff\xc3\x28\xed\xa0\x80";
	const char *found = NULL;

	buf_add(body, "", 0);
	if (body->failed)
		return;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]) && !found; i++) {
		found = strstr(body->data, marks[i]);
		if (found)
			found += strlen(marks[i]);
	}
	if (!found)
		return;
	struct buf spoilt = {0};
	size_t before = (size_t)(found - body->data);
	buf_add(&spoilt, body->data, before);
	buf_add_str(&spoilt, bad);
	buf_add(&spoilt, found, body->len - before);
	buf_free(body);
	*body = spoilt;
}
