/*
 * See search.h. A search by binder or by folder alone, which is what a listing asks, is a slice of
 * that binder's or folder's own list; anything else goes through the candidates once per page.
 */
#include "search.h"
#include "ibinder.h"
#include "text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SEARCH_FILTERS_MAX  32
#define SEARCH_SORTS_MAX    8
#define SEARCH_PAGE_DEFAULT 50
#define SEARCH_NUMBER_MAX   1000000000u

struct search_filter {
	const char *key;   /* interned; NULL: no document has it */
	const char *value; /* borrowed from the request */
	const char *known; /* the same interned; NULL: no document's metadata has it */
};

struct search_sort {
	const char *key; /* interned; NULL: no document has it */
	bool descending;
};

struct search {
	const struct org *org;
	enum ibinder_tab_filter tab_filter;
	struct search_filter filters[SEARCH_FILTERS_MAX];
	size_t n_filters;
	struct search_sort sorts[SEARCH_SORTS_MAX];
	size_t n_sorts;
	char *term; /* owned, lower case; NULL: none */
	size_t term_len;
	uint64_t page_size;
	uint64_t page_number;
};

static const char *search_string(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* True if every member of the object is one of the two or three names. */
static bool search_members_known(const cJSON *object, const char *a, const char *b, const char *c)
{
	const cJSON *member;

	cJSON_ArrayForEach(member, object) if (strcmp(member->string, a) &&
					       strcmp(member->string, b) &&
					       (!c || strcmp(member->string, c))) return false;
	return cJSON_IsObject(object);
}

/* Binder, tab and status are enumerated and are filtered by valueId (S). */
static bool search_key_enumerated(const char *key)
{
	return !strcmp(key, "GLOBAL_BinderId") || !strcmp(key, "GLOBAL_TabId") ||
	       !strcmp(key, "GLOBAL_Status");
}

static const char *search_parse_filter(struct search *search, const cJSON *json)
{
	const char *key = search_string(json, "metadataElementId");
	const char *value_id = search_string(json, "valueId");
	const char *value = search_string(json, "value");

	if (!search_members_known(json, "metadataElementId", "valueId", "value") || !key)
		return "A filter needs metadataElementId and valueId or value.";
	if (!value_id && (!value || search_key_enumerated(key)))
		return "The filter needs a valueId.";
	if (search->n_filters == SEARCH_FILTERS_MAX)
		return "Too many filters.";
	value = value_id ? value_id : value;
	search->filters[search->n_filters++] = (struct search_filter){
		.key = org_find_string(search->org, key),
		.value = value,
		.known = org_find_string(search->org, value),
	};
	return NULL;
}

static const char *search_parse_sort(struct search *search, const cJSON *json)
{
	const char *key = search_string(json, "metadataElementId");
	const char *direction = search_string(json, "direction");

	if (!search_members_known(json, "metadataElementId", "direction", NULL) || !key)
		return "SortBy needs metadataElementId and direction.";
	if (direction && strcmp(direction, "asc") && strcmp(direction, "desc"))
		return "The direction is asc or desc.";
	if (search->n_sorts == SEARCH_SORTS_MAX)
		return "Too much to sort by.";
	search->sorts[search->n_sorts++] = (struct search_sort){
		.key = org_find_string(search->org, key),
		.descending = direction && !strcmp(direction, "desc"),
	};
	return NULL;
}

/* Returns what is wrong with the body, or NULL. */
static const char *search_parse_body(struct search *search, const cJSON *json)
{
	const cJSON *filters = cJSON_GetObjectItemCaseSensitive(json, "MetadataFilters");
	const cJSON *sorts = cJSON_GetObjectItemCaseSensitive(json, "SortBy");
	const char *problem = NULL;
	const cJSON *item;

	/* The outer names have a capital, the inner ones have not (S). */
	if (!search_members_known(json, "MetadataFilters", "SortBy", NULL))
		return "The body is an object with MetadataFilters and SortBy.";
	if ((filters && !cJSON_IsArray(filters)) || (sorts && !cJSON_IsArray(sorts)))
		return "MetadataFilters and SortBy are arrays.";
	cJSON_ArrayForEach(item, filters) if (!problem) problem = search_parse_filter(search, item);
	cJSON_ArrayForEach(item, sorts) if (!problem) problem = search_parse_sort(search, item);
	return problem;
}

static int search_parse_query(struct search *search, const struct request *request,
			      uint64_t max_page)
{
	const char *size = request_query(request, "pageSize");
	const char *number = request_query(request, "pageNumber");
	const char *term = request_query(request, "searchTerm");

	search->page_size = SEARCH_PAGE_DEFAULT;
	search->page_number = 1; /* pages are counted from 1 (S) */
	if (size && text_parse_number(size, SEARCH_NUMBER_MAX, &search->page_size))
		return -EINVAL;
	if (number && text_parse_number(number, SEARCH_NUMBER_MAX, &search->page_number))
		return -EINVAL;
	if (!search->page_size || !search->page_number)
		return -EINVAL;
	if (search->page_size > max_page)
		search->page_size = max_page;
	if (!term || !*term)
		return 0;
	search->term = strdup(term);
	if (!search->term)
		return -ENOMEM;
	search->term_len = strlen(term);
	text_fold(search->term, search->term_len);
	return 0;
}

static bool search_in_tab(const struct search *search, const struct org_folder *folder,
			  const char *id)
{
	if (search->tab_filter == IBINDER_TAB_NONE ||
	    (search->tab_filter == IBINDER_TAB_TOP && folder && folder->parent))
		return false;
	if (search->tab_filter != IBINDER_TAB_NESTED)
		return folder && !strcmp(folder->id, id);
	while (folder && strcmp(folder->id, id))
		folder = folder->parent;
	return folder;
}

static bool search_matches(const struct search *search, const struct org_document *document)
{
	const struct org *org = search->org;

	for (size_t i = 0; i < search->n_filters; i++) {
		const struct search_filter *filter = &search->filters[i];

		if (!filter->key)
			return false;
		if (filter->key == org->key_tab) {
			if (!search_in_tab(search, document->folder, filter->value))
				return false;
		} else if (filter->key == org->key_binder) {
			if (strcmp(document->binder->id, filter->value))
				return false;
		} else if (!filter->known ||
			   org_document_value(org, document, filter->key) != filter->known) {
			return false;
		}
	}
	return !search->term ||
	       memmem(document->name_fold, document->name_fold_len, search->term, search->term_len);
}

static int search_compare(const void *left, const void *right, void *context)
{
	const struct org_document *a = *(void *const *)left;
	const struct org_document *b = *(void *const *)right;
	const struct search *search = context;

	for (size_t i = 0; i < search->n_sorts; i++) {
		const char *key = search->sorts[i].key;
		const char *value_a = key ? org_document_value(search->org, a, key) : NULL;
		const char *value_b = key ? org_document_value(search->org, b, key) : NULL;
		int order = strcmp(value_a ? value_a : "", value_b ? value_b : "");

		if (order)
			return search->sorts[i].descending ? -order : order;
	}
	return strcmp(a->id, b->id);
}

static int search_collect(const struct search *search, const struct list *candidates,
			  struct list *matches)
{
	for (size_t i = 0; i < candidates->n; i++)
		if (search_matches(search, candidates->items[i]) &&
		    list_add(matches, candidates->items[i]))
			return -ENOMEM;
	return 0;
}

/* The value of the first filter by that key, or NULL. */
static const char *search_filter_value(const struct search *search, const char *key)
{
	for (size_t i = 0; i < search->n_filters; i++)
		if (search->filters[i].key == key)
			return search->filters[i].value;
	return NULL;
}

/* The shortest list that holds all matches; NULL: every binder's must be gone through. */
static const struct list *search_candidates(const struct search *search)
{
	static const struct list none;
	const char *binder_id = search_filter_value(search, search->org->key_binder);
	const char *folder_id = search_filter_value(search, search->org->key_tab);

	if (folder_id) {
		const struct org_folder *folder = org_find_folder(search->org, folder_id);

		if (!folder)
			return &none;
		return search->tab_filter == IBINDER_TAB_NESTED ? &folder->binder->documents
								: &folder->documents;
	}
	if (binder_id) {
		const struct org_binder *binder = org_find_binder(search->org, binder_id);

		return binder ? &binder->documents : &none;
	}
	return NULL;
}

/* True if the candidates are the matches: one filter, and it is what they are listed by. */
static bool search_is_slice(const struct search *search)
{
	if (search->n_filters != 1 || search->term || search->n_sorts)
		return false;
	const char *key = search->filters[0].key;
	return key == search->org->key_binder ||
	       (key == search->org->key_tab && search->tab_filter == IBINDER_TAB_EXACT);
}

static void search_render(const struct search *search, const struct list *matches,
			  enum fault_kind fault, struct reply *reply)
{
	uint64_t first = (search->page_number - 1) * search->page_size;
	struct buf *body = &reply->body;

	reply_set(reply, MHD_HTTP_OK, "application/json; charset=utf-8");
	buf_add_str(body, "{\"items\":");
	if (fault == FAULT_NULL_ITEMS) {
		buf_add_str(body, "null");
	} else {
		buf_add_char(body, '[');
		for (uint64_t i = first; i < matches->n && i < first + search->page_size; i++) {
			const struct org_document *document = matches->items[i];

			if (fault == FAULT_ZERO_PAGE)
				break;
			if (i > first)
				buf_add_char(body, ',');
			buf_add(body, document->raw, document->raw_len);
		}
		buf_add_char(body, ']');
	}
	buf_add_str(body, ",\"totalCount\":");
	if (fault == FAULT_BIG_TOTAL_COUNT)
		buf_add_str(body, FAULT_BIG_TOTAL);
	else
		buf_add_format(body, "%zu", matches->n + (fault == FAULT_ZERO_PAGE));
	buf_add_format(body, ",\"pageNumber\":%" PRIu64 ",\"pageSize\":%" PRIu64 "}",
		       search->page_number, fault == FAULT_ZERO_PAGE ? 0 : search->page_size);
}

static int search_run(struct search *search, enum fault_kind fault, struct reply *reply)
{
	const struct list *candidates = search_candidates(search);
	const struct list *binders = &search->org->binders;
	struct list matches = {0};
	int r = 0;

	if (candidates && search_is_slice(search)) {
		search_render(search, candidates, fault, reply);
		return 0;
	}
	if (candidates)
		r = search_collect(search, candidates, &matches);
	for (size_t i = 0; !candidates && i < binders->n && !r; i++)
		r = search_collect(search, &((struct org_binder *)binders->items[i])->documents,
				   &matches);
	if (!r && search->n_sorts)
		qsort_r(matches.items, matches.n, sizeof(*matches.items), search_compare, search);
	if (!r)
		search_render(search, &matches, fault, reply);
	free(matches.items);
	return r;
}

void search_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct ibinder *ibinder = ibinder_of(sim);
	struct search search = {
		.org = &ibinder->org,
		.tab_filter = ibinder->settings.tab_filter,
	};
	const struct buf *body = &request->body;
	cJSON *json = body->len ? cJSON_ParseWithLength(body->data, body->len) : NULL;
	const char *problem = search_parse_body(&search, json);
	int r = 0;

	if (!request_has_type(request, "application/json"))
		reply_refuse(reply, sim, REFUSED_CONTENT_TYPE, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
			     NULL);
	else if (problem)
		reply_refuse(reply, sim, REFUSED_BODY, MHD_HTTP_BAD_REQUEST, problem);
	else if ((r = search_parse_query(&search, request, ibinder->settings.max_page)) == -EINVAL)
		reply_refuse(reply, sim, REFUSED_PAGING, MHD_HTTP_BAD_REQUEST,
			     "pageSize and pageNumber are numbers from 1.");
	else if (r || (r = search_run(&search, request->fault.kind, reply)))
		reply_problem(reply, sim, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
	free(search.term);
	cJSON_Delete(json);
}
