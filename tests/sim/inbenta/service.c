/* See service.h. */
#include "service.h"
#include "inbenta.h"
#include "text.h"

#include <string.h>

bool service_parse_id(const char *text, uint64_t *ret_id)
{
	return !(text[0] == '0' && text[1]) && !text_parse_number(text, UINT64_MAX, ret_id);
}

/* A read that does not say tracking=0 is a reader's click in the owner's statistics (V). */
static void service_track(struct sim *sim, const struct request *request)
{
	const char *tracking = request_query(request, "tracking");

	if (!tracking || strcmp(tracking, "0"))
		sim->stats.clicks++;
}

static void service_track_list(struct sim *sim, const struct request *request)
{
	if (inbenta_of(sim)->settings.clicks == INBENTA_CLICKS_ALL)
		service_track(sim, request);
}

static void service_add(const struct inbenta *inbenta, const struct kb_content *content, bool first,
			struct reply *reply)
{
	if (!first)
		buf_add_char(&reply->body, ',');
	kb_render_content(&inbenta->kb, content, inbenta->settings.ids, &reply->body);
}

static bool service_number(const struct request *request, const char *name, uint64_t *ret_number)
{
	const char *value = request_query(request, name);

	return value && !text_parse_number(value, UINT32_MAX, ret_number);
}

void service_contents(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct inbenta *inbenta = inbenta_of(sim);
	const struct list *contents = &inbenta->kb.contents;
	enum fault_kind fault = request->fault.kind;
	uint64_t length, offset;

	if (!service_number(request, "length", &length) || !length ||
	    !service_number(request, "offset", &offset)) {
		reply_refuse(reply, sim, REFUSED_PAGING, MHD_HTTP_BAD_REQUEST,
			     "length is a number from 1, offset one from 0.");
		return;
	}
	service_track_list(sim, request);
	if (length > inbenta->settings.max_page)
		length = inbenta->settings.max_page;
	if (fault == FAULT_ZERO_PAGE)
		length = 0;
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add_str(&reply->body, "{\"results\":[");
	for (uint64_t i = offset; i < contents->n && i < offset + length; i++)
		service_add(inbenta, contents->items[i], i == offset, reply);
	bool more = offset + length < contents->n || fault == FAULT_ZERO_PAGE ||
		    fault == FAULT_BIG_TOTAL_COUNT;
	buf_add_format(&reply->body, "],\"hasMore\":%s}", more ? "true" : "false");
}

void service_content(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct inbenta *inbenta = inbenta_of(sim);
	const struct kb_content *content = NULL;
	uint64_t id;

	if (service_parse_id(request->id[1], &id))
		content = kb_find_content(&inbenta->kb, id);
	if (!content) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	service_track(sim, request);
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add_str(&reply->body, "{\"results\":[");
	service_add(inbenta, content, true, reply);
	buf_add_str(&reply->body, "]}");
}

/* -1 is all levels (V); what a number from 0 does is not documented: so many below the root. */
void service_categories(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct inbenta *inbenta = inbenta_of(sim);
	const struct list *categories = &inbenta->kb.categories;
	const char *given = request_query(request, "maxDepth");
	const char *comma = "";
	uint64_t depth = UINT64_MAX;

	if (!given || (strcmp(given, "-1") && text_parse_number(given, UINT32_MAX, &depth))) {
		reply_refuse(reply, sim, REFUSED_PAGING, MHD_HTTP_BAD_REQUEST,
			     "maxDepth is a number from -1.");
		return;
	}
	service_track_list(sim, request);
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add_str(&reply->body, "{\"results\":[");
	for (size_t i = 0; i < categories->n; i++) {
		const struct kb_category *category = categories->items[i];

		if (depth != UINT64_MAX && kb_level(&inbenta->kb, category) > depth)
			continue;
		buf_add_str(&reply->body, comma);
		kb_render_category(category, inbenta->settings.ids, &reply->body);
		comma = ",";
	}
	buf_add_str(&reply->body, "]}");
}

static bool service_is_in(const struct inbenta *inbenta, const struct kb_content *content,
			  uint64_t category)
{
	bool nested = inbenta->settings.category_contents == INBENTA_NESTED;

	for (size_t i = 0; i < content->n_categories; i++)
		if (content->categories[i] == category ||
		    (nested && kb_is_below(&inbenta->kb, content->categories[i], category)))
			return true;
	return false;
}

void service_category_contents(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct inbenta *inbenta = inbenta_of(sim);
	const struct list *contents = &inbenta->kb.contents;
	bool first = true;
	uint64_t id;

	if (!service_parse_id(request->id[1], &id) || !kb_find_category(&inbenta->kb, id)) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	service_track_list(sim, request);
	reply_set(reply, MHD_HTTP_OK, REPLY_JSON);
	buf_add_str(&reply->body, "{\"results\":[");
	for (size_t i = 0; i < contents->n; i++) {
		if (!service_is_in(inbenta, contents->items[i], id))
			continue;
		service_add(inbenta, contents->items[i], first, reply);
		first = false;
	}
	buf_add_str(&reply->body, "]}");
}
