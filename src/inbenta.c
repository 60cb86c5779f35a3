/* inbenta.c: the Inbenta API, its knowledge base: the provider and its tasks.
 *
 * Facts are the vendor's documentation where marked (S), its published client code where marked
 * (V); what is inferred is marked (I), and what is not documented at all (?) is a setting.
 *
 *   token  POST /auth {secret} or {domain key} (S)       token and addresses
 *          POST /refreshToken (V), then GET /apis (S)    the same, while a token is alive
 *   top    GET /categories/?maxDepth=-1 (V)              all of them, flat; at once
 *          GET /contents?length=&offset= (V)             pages, whose number nobody tells; at once,
 *                                                        then several at a time
 *   object GET /contents/{id} (S)                        one request
 *
 * One listing holds the whole knowledge base: what a category holds is said by the contents, so no
 * call for a category is needed. tracking=0 on every call keeps them out of the owner's statistics
 * of what readers click (V).
 *
 * The token's requests are in inbenta_token.c, pages and answers in inbenta_read.c. */
#include "cleanup.h"
#include "inbenta_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the example (S); for a server that tells nothing of use. */
#define TOKEN_LIFE_DEFAULT_S 1200
/* Longest page (V). */
#define PAGE_LENGTH_MAX 100
/* Where things belong may take this part of memory=, until they are there. */
#define PLACES_PART 8
/* Ids are unsigned integers (V). */
#define ID_DIGITS_MAX 20

static void inbenta_free(struct provider *provider)
{
	if (!provider)
		return;
	free(provider->auth_url);
	free(provider->api_key);
	free(provider->domain);
	free(provider->domain_key_field);
	free(provider->answer_attribute);
	free(provider->salt);
	free(provider->address);
	free(provider);
}

static void inbenta_forget(struct provider *provider)
{
	provider->total = 0;
	provider->throttle = (struct inbenta_usage){0};
	provider->quota = (struct inbenta_usage){0};
}

static int inbenta_new(const struct config *config, struct provider **ret_provider)
{
	struct provider *provider = calloc(1, sizeof(*provider));

	if (!provider)
		return -ENOMEM;
	provider->page_size =
		config->page_size < PAGE_LENGTH_MAX ? config->page_size : PAGE_LENGTH_MAX;
	provider->memory = config->memory;
	provider->life_s = TOKEN_LIFE_DEFAULT_S;
	provider->auth_url = strdup(config->auth_url);
	provider->api_key = strdup(config->api_key);
	provider->domain_key_field = strdup(config->domain_key_field);
	provider->answer_attribute = strdup(config->answer_attribute);
	if (config->by_domain_key)
		provider->domain = strdup(config->domain);
	if (asprintf(&provider->salt, "inbenta:%s", config->api_key) < 0)
		provider->salt = NULL;
	if (!provider->auth_url || !provider->api_key || !provider->domain_key_field ||
	    !provider->answer_attribute || !provider->salt ||
	    (config->by_domain_key && !provider->domain)) {
		inbenta_free(provider);
		return -ENOMEM;
	}
	provider->plain = strncmp(provider->auth_url, "http:", 5) == 0;
	*ret_provider = provider;
	return 0;
}

static void inbenta_describe(const struct provider *provider, struct buf *out)
{
	if (provider->domain)
		buf_printf(
			out,
			"domain key     used as %s. It keeps other domains' pages out, not other "
			"programs: every visitor's browser has the key, and any program can name "
			"the domain. What it opens is as good as public; a secret is not\n",
			provider->domain);
}

static const char *inbenta_address(const struct provider *provider)
{
	return provider->address;
}

/* A domain key is accepted for registered domains, which browsers name by themselves (I); whether
 * the calls after /auth need that too is not documented, and does no harm. */
int inbenta_add_headers(const struct provider *provider, struct http_request *request)
{
	int error = http_request_header(request, "x-inbenta-key", provider->api_key);

	if (!error && provider->domain)
		error = http_request_header(request, "Origin", provider->domain);
	return error;
}

/* --- Tasks --- */

static void inbenta_task_free(struct provider_task *task)
{
	if (!task)
		return;
	listing_builder_free(task->builder);
	buf_reset(&task->parents);
	buf_reset(&task->places);
	free(task->pages);
	free(task->id);
	free(task);
}

static int inbenta_task_new(struct provider *provider, const struct provider_resource *resource,
			    struct provider_task **ret_task)
{
	struct provider_task *task;
	int error;

	if (resource->level != PROVIDER_TOP && resource->level != PROVIDER_OBJECT)
		return -EINVAL;
	task = calloc(1, sizeof(*task));
	if (!task)
		return -ENOMEM;
	task->provider = provider;
	task->level = resource->level;
	task->parents = BUF_INIT(provider->memory / PLACES_PART);
	task->places = BUF_INIT(provider->memory / PLACES_PART);
	task->page_length = provider->page_size;
	task->end = UINT64_MAX;
	error = listing_builder_new(provider->salt, "", provider->memory, &task->builder);
	if (!error && resource->id) {
		task->id = strdup(resource->id);
		error = task->id ? 0 : -ENOMEM;
	}
	if (error) {
		inbenta_task_free(task);
		return error;
	}
	listing_builder_content_suffix(task->builder, ".html");
	*ret_task = task;
	return 0;
}

static int make_request(const struct provider_task *task, const struct inbenta_page *page,
			struct http_request *ret_request)
{
	struct http_request request = {.method = "GET"};
	int error;
	int len;

	if (page)
		len = asprintf(&request.url,
			       "/contents?length=%" PRIu64 "&offset=%" PRIu64 "&tracking=0",
			       page->length, page->offset);
	else if (task->level == PROVIDER_TOP)
		len = asprintf(&request.url, "/categories/?maxDepth=-1&tracking=0");
	else /* digits alone: see inbenta_is_object_id */
		len = asprintf(&request.url, "/contents/%s?tracking=0", task->id);
	if (len < 0)
		return -ENOMEM;
	error = inbenta_add_headers(task->provider, &request);
	if (error)
		http_request_fini(&request);
	else
		*ret_request = request;
	return error;
}

static int inbenta_task_next(struct provider_task *task, struct http_request *ret_request,
			     uint64_t *ret_tag)
{
	const struct inbenta_page *page = NULL;
	int error = 0;

	if (task->asked) {
		error = task->level == PROVIDER_TOP ? inbenta_next_page(task, &page) : -EAGAIN;
		if (error)
			return error;
	}
	error = make_request(task, page, ret_request);
	if (error)
		return error;
	*ret_tag = page ? INBENTA_TAG_PAGES + (uint64_t)(page - task->pages) : 0;
	task->asked = true;
	return 0;
}

/* That a content does not exist is an answer like another, to be kept. */
static bool inbenta_task_tolerates(struct provider_task *task, uint64_t tag, long status)
{
	(void)tag;
	return task->level == PROVIDER_OBJECT && status == 404;
}

static int inbenta_task_finish(struct provider_task *task, const struct listing *previous,
			       int64_t now_ns, struct provider_result *ret_result)
{
	int error = inbenta_place(task);

	if (error)
		return error;
	if (task->level == PROVIDER_TOP)
		task->provider->total = task->found;
	return listing_builder_finish(task->builder, previous, LISTING_NO_TIME, now_ns,
				      &ret_result->listing);
}

static bool inbenta_is_object_id(const char *id, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (id[i] < '0' || id[i] > '9')
			return false;
	}
	return len > 0 && len <= ID_DIGITS_MAX && (id[0] != '0' || len == 1);
}

const struct provider_ops provider_inbenta = {
	.name = "inbenta",
	.top_name = "knowledge",
	.links_name = "categories",
	.objects_name = "contents",
	.provider_new = inbenta_new,
	.provider_free = inbenta_free,
	.forget = inbenta_forget,
	.address = inbenta_address,
	.describe = inbenta_describe,
	.token_request = inbenta_token_request,
	.token_answer = inbenta_token_answer,
	.judge = inbenta_judge,
	.allowance = inbenta_allowance,
	.explain = inbenta_explain,
	.is_object_id = inbenta_is_object_id,
	.task_new = inbenta_task_new,
	.task_free = inbenta_task_free,
	.task_next = inbenta_task_next,
	.task_answer = inbenta_task_answer,
	.task_tolerates = inbenta_task_tolerates,
	.task_finish = inbenta_task_finish,
};
