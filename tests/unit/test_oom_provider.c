/* test_oom_provider.c: every allocation of the provider, its listings and its token fails once. No
 * answer is taken for another one: what comes to its end is the same as with all the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oom.h"

#include "provider.h"

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#define NOW	   INT64_C(1700000000000000000)

static const struct provider_ops *ops = &provider_ibinder;

static const struct config config = {
	.tenant_id = (char *)"TENANT",
	.client_id = (char *)"client",
	.api_url = (char *)"https://api.test/api",
	.auth_url = (char *)"https://signin.test/connect/token",
	.subfolders_path = (char *)"/folders/{binder}/{folder}",
	.api_key = (char *)"key",
	.domain_key_field = (char *)"domainKey",
	.answer_attribute = (char *)"ANSWER_TEXT",
	.page_size = 3,
	.memory = 16 << 20,
};

struct answer {
	const char *url; /* the end of it */
	const char *body;
};

static const struct answer top_answers[] = {
	{"/binders", "{\"items\":[{\"id\":\"B\",\"name\":\"Kv. Bj\\u00f6rken\","
		     "\"createdAt\":\"2024-01-15T08:30:00Z\"},{\"id\":7,\"name\":\"x\"},"
		     "{\"id\":\"C\",\"name\":\"x\"}]}"},
	{NULL, NULL},
};

static const struct answer part_answers[] = {
	{"/drives/binders/B", "[{\"id\":\"f1\",\"name\":\"Ritningar\"},{\"id\":\"f2\","
			      "\"name\":\"Ritningar\"}]"},
	{"/metadataelements", "[{\"id\":\"GLOBAL_Status\"}]"},
	{"pageNumber=1", "{\"items\":[{\"id\":\"d1\",\"fileName\":\"A.pdf\",\"folderId\":\"f1\","
			 "\"latestVersionId\":\"version-1\",\"metadata\":[{\"metadataElementId\":"
			 "\"GLOBAL_RevisionDate\",\"valueId\":\"2024-02-01\"}]},"
			 "{\"id\":\"d2\",\"fileName\":\"A.pdf\",\"folderId\":\"f1\"},"
			 "{\"id\":\"d3\",\"fileName\":\"B.pdf\",\"metadata\":["
			 "{\"metadataElementId\":\"GLOBAL_TabId\",\"value\":\"f3\"},"
			 "{\"metadataElementId\":\"GLOBAL_Date\",\"value\":\"2024-02-02\"}]}],"
			 "\"totalCount\":4,\"pageSize\":3}"},
	{"pageNumber=2", "{\"items\":[{\"id\":\"d4\",\"fileName\":\"binder.json\","
			 "\"folderId\":\"lost\"}],\"totalCount\":4,\"pageSize\":3}"},
	{"/folders/B/f1", "[{\"id\":\"f3\",\"name\":\"Arkitekt\"}]"},
	{"/folders/B/f2", "[]"},
	{"/folders/B/f3", "[]"},
	{NULL, NULL},
};

#define TABBED(id, tab)                                                                            \
	"{\"id\":\"" id "\",\"fileName\":\"" id ".pdf\",\"folderId\":\"" tab                       \
	"\",\"metadata\":[{\"metadataElementId\":\"GLOBAL_TabId\",\"valueId\":\"" tab "\"}]}"

static const struct answer folder_answers[] = {
	{"/drives/binders/B", "[{\"id\":\"f1\",\"name\":\"Ritningar\"},{\"id\":\"f2\","
			      "\"name\":\"Ritningar\"}]"},
	{"pageNumber=1", "{\"items\":[" TABBED("d1", "f1") "," TABBED("d2", "f1") "," TABBED(
				 "d3", "f1") "],\"totalCount\":3,\"pageSize\":3}"},
	{"/folders/B/f1", "[{\"id\":\"f3\",\"name\":\"Arkitekt\"}]"},
	{"/folders/B/f2", "[]"},
	{NULL, NULL},
};

static const struct answer object_answers[] = {
	{"/documents/d1", "{\"id\":\"D1\",\"fileName\":\"A.pdf\"}"},
	{NULL, NULL},
};

static const struct answer query_answers[] = {
	{"pageNumber=1&searchTerm=brand", "{\"items\":[{\"id\":\"d1\",\"fileName\":\"A.pdf\"}],"
					  "\"totalCount\":1,\"pageSize\":3}"},
	{NULL, NULL},
};

static const struct answer link_answers[] = {
	{"/versions/v1/downloadlink", "{\"url\":\"https://storage.test/d1?sig=x\"}"},
	{NULL, NULL},
};

#define BINDER "{\"id\":\"B\",\"name\":\"Kv\",\"createdAt\":\"2024-01-15T08:30:00Z\"}"

static const struct provider_resource top = {.level = PROVIDER_TOP};
static const struct provider_resource part = {
	.level = PROVIDER_PART, .id = "B", .object = BINDER, .object_len = sizeof(BINDER) - 1};
static const struct provider_resource object = {.level = PROVIDER_OBJECT, .id = "d1"};
static const struct provider_resource query = {.level = PROVIDER_QUERY,
					       .id = "brand,GLOBAL_Status=Draft"};
static const struct provider_resource document_link = {
	.level = PROVIDER_LINK, .id = "d1", .version = "v1"};

static const char *body_for(const struct answer *answers, const char *url)
{
	for (; answers->url; answers++) {
		size_t len = strlen(answers->url);

		if (strlen(url) >= len && strcmp(url + strlen(url) - len, answers->url) == 0)
			return answers->body;
	}
	fail_msg("nobody answers %s", url);
	return NULL;
}

static struct http_response response_of(const char *body, int status)
{
	struct http_response response = {.status = status, .body = BUF_INIT(HTTP_BODY_MAX)};

	/* As one that has come: of that it is not what fails here. */
	response.body.data = strdup(body);
	response.body.len = strlen(body);
	response.body.cap = response.body.len + 1;
	return response;
}

static int converse(struct provider_task *task, const struct answer *answers)
{
	for (;;) {
		struct http_request request = {.method = NULL};
		struct http_response response;
		uint64_t tag;
		int error = ops->task_next(task, &request, &tag);

		if (error)
			return error == -EAGAIN ? 0 : error;
		assert_null(request.headers[1]);
		assert_string_equal(request.headers[0], ops == &provider_ibinder
								? "x-ibinder-tenantid: TENANT"
								: "x-inbenta-key: key");
		response = response_of(body_for(answers, request.url), 200);
		http_request_fini(&request);
		error = ops->task_answer(task, tag, &response);
		buf_reset(&response.body);
		if (error)
			return error;
	}
}

static int fetch(struct provider *provider, const struct provider_resource *resource,
		 const struct answer *answers, const struct listing *previous,
		 struct provider_result *ret_result)
{
	struct provider_task *task = NULL;
	int error = ops->task_new(provider, resource, &task);

	if (!error)
		error = converse(task, answers);
	if (!error)
		error = ops->task_finish(task, previous, NOW, ret_result);
	ops->task_free(task);
	return error;
}

/* What users see of a listing. */
static struct buf shown(const struct listing *listing)
{
	struct buf out = BUF_INIT(1 << 20);
	unsigned long at = oom_at;

	oom_at = 0;
	for (uint32_t i = 0; i < listing->entry_count; i++) {
		const struct listing_entry *entry = &listing->entries[i];
		char id[LISTING_ID_MAX + 1];
		const char *content = listing_content(listing, entry, id);

		listing_path(listing, entry, &out);
		buf_printf(&out, " %lld %s %.*s\n", (long long)entry->mtime_ns,
			   content ? content : "-", (int)entry->body_len,
			   listing_body(listing, entry));
		if (listing_has_content(entry) && entry->is_inline) {
			listing_inline_read(listing, entry, &out);
		}
	}
	oom_at = at;
	return out;
}

/* With all the memory there is, each scenario leaves here what must be the outcome. */
static struct buf expected;

static void compare(const struct listing *listing)
{
	struct buf out = shown(listing);

	if (!expected.data) {
		expected = out;
		return;
	}
	assert_string_equal(out.data, expected.data);
	buf_reset(&out);
}

static const struct provider_resource *resource_under_test;
static const struct answer *answers_under_test;

/* Afresh, and then once more upon that or its husk. */
static int list_twice(void)
{
	struct provider *provider = NULL;
	struct provider_result first = {.listing = NULL};
	struct provider_result second = {.listing = NULL};
	struct listing *husk = NULL;
	int error = ops->provider_new(&config, &provider);

	if (error)
		return error;
	error = fetch(provider, resource_under_test, answers_under_test, NULL, &first);
	if (!error) {
		compare(first.listing);
		husk = listing_husk(first.listing); /* NULL without memory for it */
		error = fetch(provider, resource_under_test, answers_under_test,
			      husk ? husk : first.listing, &second);
	}
	if (!error)
		compare(second.listing);
	listing_unref(first.listing);
	listing_unref(second.listing);
	listing_unref(husk);
	ops->provider_free(provider);
	assert_int_equal(listing_bytes_building(), 0);
	assert_int_equal(listing_bytes_alive(), 0);
	return error;
}

static void run(const struct provider_resource *resource, const struct answer *answers)
{
	resource_under_test = resource;
	answers_under_test = answers;
	oom_run(list_twice);
	buf_reset(&expected);
}

static void test_top(void **state)
{
	(void)state;
	run(&top, top_answers);
}

static void test_part(void **state)
{
	(void)state;
	run(&part, part_answers);
}

static void test_object(void **state)
{
	(void)state;
	run(&object, object_answers);
}

static void test_query(void **state)
{
	(void)state;
	run(&query, query_answers);
}

/* The names of a part's folders, then one of them upon that, then another upon both. */
static int list_folders(void)
{
	static const char *const folders[] = {"", "f1", "f2"};
	struct provider_result results[COUNT(folders)] = {{.listing = NULL}};
	struct provider *provider = NULL;
	struct provider_resource wanted = part;
	int error = ops->provider_new(&config, &provider);

	if (error)
		return error;
	for (size_t i = 0; !error && i < COUNT(folders); i++) {
		wanted.folder = folders[i];
		wanted.base = i > 0 ? results[i - 1].listing : NULL;
		error = fetch(provider, &wanted, folder_answers, results[i > 0 ? i - 1 : 0].listing,
			      &results[i]);
	}
	if (!error)
		compare(results[COUNT(folders) - 1].listing);
	for (size_t i = 0; i < COUNT(folders); i++)
		listing_unref(results[i].listing);
	ops->provider_free(provider);
	return error;
}

static void test_folder(void **state)
{
	(void)state;
	oom_run(list_folders);
	buf_reset(&expected);
}

static int get_link(void)
{
	struct provider *provider = NULL;
	struct provider_result result = {.listing = NULL};
	int error = ops->provider_new(&config, &provider);

	if (error)
		return error;
	error = fetch(provider, &document_link, link_answers, NULL, &result);
	if (!error)
		assert_string_equal(result.link.value, "https://storage.test/d1?sig=x");
	secret_fini(&result.link);
	ops->provider_free(provider);
	return error;
}

static void test_link(void **state)
{
	(void)state;
	oom_run(get_link);
}

static int get_token(void)
{
	static char value[] = "hunter2";
	const struct secret secret = {value, sizeof(value) - 1};
	const struct provider_need need = {.secret = &secret};
	const struct secret *bearer = NULL;
	struct http_request request = {.method = NULL};
	struct http_response response =
		response_of("{\"access_token\":\"abc\",\"expires_in\":60}", 200);
	struct provider_grant grant = {.life_ms = 0};
	struct provider *provider = NULL;
	int error = ops->provider_new(&config, &provider);

	if (!error)
		error = ops->token_request(provider, &need, &grant, &request, &bearer);
	if (!error) {
		assert_string_equal(request.url, config.auth_url);
		assert_string_equal(request.body,
				    "grant_type=client_credentials&scope=ibinder_public&client_id="
				    "client&client_secret=hunter2");
		error = ops->token_answer(provider, &response, 0, &grant);
	}
	if (!error) {
		assert_string_equal(grant.token.value, "abc");
		assert_int_equal(grant.life_ms, 60000);
	}
	secret_fini(&grant.token);
	http_request_fini(&request);
	buf_reset(&response.body);
	ops->provider_free(provider);
	return error;
}

static void test_token(void **state)
{
	(void)state;
	oom_run(get_token);
}

/* Never fails: at worst it says less. */
static int explain(void)
{
	struct http_response response =
		response_of("{\"title\":\"Not Found\",\"traceId\":\"00-1\"}", 404);
	struct provider_problem problem;

	ops->explain(&response, &problem);
	assert_true(!problem.title[0] || strcmp(problem.title, "Not Found") == 0);
	assert_true(!problem.trace_id[0] || strcmp(problem.trace_id, "00-1") == 0);
	buf_reset(&response.body);
	return 0;
}

static void test_explain(void **state)
{
	(void)state;
	oom_run(explain);
}

/* What was not read is not taken for a refusal of another kind. */
static int judge(void)
{
	struct http_response response = response_of("{\"Message\":\"an explicit deny\"}", 403);
	enum provider_refusal why = provider_inbenta.judge(&response);

	buf_reset(&response.body);
	if (why == PROVIDER_REFUSAL_UNREAD)
		return -ENOMEM;
	assert_int_equal(why, PROVIDER_REFUSAL_TOKEN);
	return 0;
}

static void test_judge(void **state)
{
	(void)state;
	oom_run(judge);
}

static const struct answer knowledge_answers[] = {
	{"/categories/?maxDepth=-1&tracking=0",
	 "{\"results\":[{\"id\":0,\"name\":\"root\",\"parent\":\"-\"},"
	 "{\"id\":1,\"name\":\"Categor\u00eda 1\",\"parent\":0},"
	 "{\"id\":\"2\",\"name\":\"Sub\",\"parent\":\"1\"}]}"},
	{"offset=0&tracking=0",
	 "{\"results\":[{\"id\":1,\"title\":\"A\",\"categories\":[1,2],"
	 "\"modificationDate\":\"20240201000000\",\"attributes\":{\"ANSWER_TEXT\":\"<p>a\"}},"
	 "{\"id\":2,\"title\":\"A\",\"categories\":[0]},{\"id\":3,\"title\":\"A\"}],"
	 "\"hasMore\":true}"},
	{"offset=2&tracking=0",
	 "{\"results\":[{\"id\":3,\"title\":\"A\"},{\"id\":4,\"title\":\"A\",\"categories\":[2],"
	 "\"modificationDate\":20240202000000}],\"hasMore\":false}"},
	{NULL, NULL},
};

static void test_knowledge(void **state)
{
	(void)state;
	ops = &provider_inbenta;
	run(&top, knowledge_answers);
	ops = &provider_ibinder;
}

static int get_inbenta_token(void)
{
	static char value[] = "hunter2";
	const struct secret secret = {value, sizeof(value) - 1};
	struct provider_need need = {.secret = &secret};
	static const char *const bodies[] = {
		"{\"accessToken\":\"abc\",\"expires_in\":60}",
		"{\"apis\":{\"knowledge\":\"https://api.test/km\"}}",
	};
	struct provider_grant grant = {.life_ms = 0};
	struct provider *provider = NULL;
	int error = provider_inbenta.provider_new(&config, &provider);

	if (error)
		return error;
	for (size_t i = 0; !error && i < 2; i++) {
		struct http_request request = {.method = NULL};
		struct http_response response = response_of(bodies[i], 200);
		const struct secret *bearer = NULL;

		error = provider_inbenta.token_request(provider, &need, &grant, &request, &bearer);
		if (!error) {
			if (i == 0)
				assert_string_equal(request.body, "{\"secret\": \"hunter2\"}");
			error = provider_inbenta.token_answer(provider, &response, 0, &grant);
		}
		if (i == 0 && error == -EAGAIN)
			error = 0;
		http_request_fini(&request);
		buf_reset(&response.body);
	}
	if (!error) {
		assert_string_equal(grant.token.value, "abc");
		assert_string_equal(provider_inbenta.address(provider), "https://api.test/km/v1");
	}
	secret_fini(&grant.token);
	provider_inbenta.provider_free(provider);
	return error;
}

static void test_inbenta_token(void **state)
{
	(void)state;
	oom_run(get_inbenta_token);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top),	      cmocka_unit_test(test_part),
		cmocka_unit_test(test_folder),	      cmocka_unit_test(test_object),
		cmocka_unit_test(test_query),	      cmocka_unit_test(test_link),
		cmocka_unit_test(test_token),	      cmocka_unit_test(test_explain),
		cmocka_unit_test(test_judge),	      cmocka_unit_test(test_knowledge),
		cmocka_unit_test(test_inbenta_token),
	};

	oom_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
