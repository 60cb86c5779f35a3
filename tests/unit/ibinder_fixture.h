/* ibinder_fixture.h: drives provider_ibinder without a network: a script says what the server
 * answers to which request, and the requests made are kept as text. Include after cmocka.h. */
#ifndef IBINDER_FIXTURE_H
#define IBINDER_FIXTURE_H

#include "loop.h"
#include "provider.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(arr)   (sizeof(arr) / sizeof((arr)[0]))
#define API	     "https://api.test/api"
#define TENANT	     "6f9619ff-8b86-d011-b42d-00c04fc964ff"
#define NOW	     INT64_C(1700000000000000000)
#define WAITING_MAX  256
#define REQUESTS_MAX 2000
#define LOG_MAX	     ((size_t)4 << 20)
/* Where an id is copied to, for the block it is used in. */
#define ID_BUFFER ((char[LISTING_ID_MAX + 1]){0})

/* "METHOD path-and-query", below API. The first row not used yet answers; when all that match are
 * used, the last of them goes on. What no row matches is answered 404. */
struct row {
	const char *request;
	const char *body;
	int status; /* 0: 200 */
};

struct run {
	struct provider *provider;
	int error;		 /* of the task, or -status of an answer it does not do without */
	struct listing *listing; /* NULL after an error, and for a link */
	struct secret link;
	char note[160];
	struct buf log; /* the requests, a line each */
	unsigned requests;
};

static struct config ibinder_config = {
	.tenant_id = TENANT,
	.client_id = "client",
	.api_url = API,
	.auth_url = "https://signin.test/connect/token",
	.subfolders_path = "/documents/drives/binders/{binder}/folders/{folder}",
	.page_size = 3,
	.memory = 64 << 20,
};

static inline struct provider *provider_new(void)
{
	struct provider *provider = NULL;

	assert_int_equal(provider_ibinder.provider_new(&ibinder_config, &provider), 0);
	return provider;
}

static inline const struct row *row_for(const struct row *rows, size_t count, bool *used,
					const char *request)
{
	const struct row *found = NULL;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].request, request) != 0)
			continue;
		found = &rows[i];
		if (used[i])
			continue;
		used[i] = true;
		break;
	}
	return found;
}

static inline struct http_response response_of(int status, const char *body, size_t len)
{
	struct http_response response = {
		.status = status,
		.retry_after_ms = -1,
		.body = BUF_INIT(HTTP_BODY_MAX),
	};

	assert_int_equal(buf_append(&response.body, body, len), 0);
	return response;
}

/* Whatever is sent to the API has the tenant's header and nothing that it should not have. */
static inline void check_request(const struct http_request *request)
{
	bool post = strcmp(request->method, "POST") == 0;

	assert_true(post || strcmp(request->method, "GET") == 0);
	assert_int_equal(request->url[0], '/'); /* below the address */
	assert_string_equal(request->headers[0], "x-ibinder-tenantid: " TENANT);
	assert_null(request->headers[1]);
	assert_false(request->fresh_connection);
	assert_int_equal(post, request->body != NULL);
	if (post)
		assert_string_equal(request->content_type, "application/json");
}

/* Gives one answer to the task. */
static inline int answer(struct provider_task *task, uint64_t tag, const struct row *row)
{
	int status = row ? (row->status ? row->status : 200) : 404;
	struct http_response response;
	int error;

	if (status != 200)
		return provider_ibinder.task_tolerates(task, tag, status) ? 0 : -status;
	response = response_of(status, row->body, strlen(row->body));
	error = provider_ibinder.task_answer(task, tag, &response);
	buf_reset(&response.body);
	return error;
}

/* Takes all requests that may be sent now into a queue of (row, tag). */
struct queue {
	struct {
		const struct row *row;
		uint64_t tag;
	} at[REQUESTS_MAX];
	unsigned first;
	unsigned count;
};

static inline int pull(struct run *run, struct provider_task *task, const struct row *rows,
		       size_t count, bool *used, struct queue *queue)
{
	for (;;) {
		struct http_request request = {.method = NULL};
		char line[4096];
		uint64_t tag;
		int error = provider_ibinder.task_next(task, &request, &tag);

		if (error)
			return error == -EAGAIN ? 0 : error;
		check_request(&request);
		snprintf(line, sizeof(line), "%s %s", request.method, request.url);
		buf_printf(&run->log, "%s%s%.*s\n", line, request.body ? " " : "",
			   (int)request.body_len, request.body ? request.body : "");
		assert_true(run->requests++ < REQUESTS_MAX);
		queue->at[queue->count].row = row_for(rows, count, used, line);
		queue->at[queue->count++].tag = tag;
		http_request_fini(&request);
	}
}

/* Forgets the last conversation, keeps the provider. */
static inline void run_reset(struct run *run)
{
	buf_reset(&run->log);
	run->log = BUF_INIT(LOG_MAX);
	run->requests = 0;
	listing_unref(run->listing);
	run->listing = NULL;
	secret_fini(&run->link);
	run->note[0] = '\0';
}

static inline void finish(struct run *run, struct provider_task *task)
{
	struct provider_result result = {0};

	run->error = provider_ibinder.task_finish(task, NULL, NOW, &result);
	run->listing = result.listing;
	secret_move(&run->link, &result.link);
	snprintf(run->note, sizeof(run->note), "%s", result.note);
}

/* A whole conversation, answered in the order in which it was asked. `run->provider` is made if
 * there is none, and stays for the next run. */
static inline void run_resource(struct run *run, const struct provider_resource *resource,
				const struct row *rows, size_t count)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	bool *used = calloc(count + 1, sizeof(*used));
	struct provider_task *task = NULL;

	if (!run->provider)
		run->provider = provider_new();
	run_reset(run);
	assert_int_equal(provider_ibinder.task_new(run->provider, resource, &task), 0);
	run->error = pull(run, task, rows, count, used, queue);
	while (!run->error && queue->first < queue->count) {
		unsigned at = queue->first++;

		run->error = answer(task, queue->at[at].tag, queue->at[at].row);
		if (!run->error)
			run->error = pull(run, task, rows, count, used, queue);
	}
	if (!run->error)
		finish(run, task);
	provider_ibinder.task_free(task);
	free(queue);
	free(used);
}

static inline void run_fini(struct run *run)
{
	run_reset(run);
	if (run->provider)
		provider_ibinder.provider_free(run->provider);
	*run = (struct run){.provider = NULL};
}

static inline void run_top(struct run *run, const char *binders)
{
	const struct row rows[] = {{"GET /binders", binders, 0}};

	run_resource(run, &(struct provider_resource){.level = PROVIDER_TOP}, rows, 1);
}

#define BINDER "{\"id\":\"B\",\"name\":\"Kv. Björken\",\"createdAt\":\"2024-01-15T08:30:00Z\"}"

/* The binder "B" with these rows. */
static inline void run_part(struct run *run, const struct row *rows, size_t count)
{
	static const char binder[] = BINDER;

	run_resource(run,
		     &(struct provider_resource){
			     .level = PROVIDER_PART,
			     .id = "B",
			     .object = binder,
			     .object_len = sizeof(binder) - 1,
		     },
		     rows, count);
}

#define DRIVE_URL    "GET /documents/drives/binders/B"
#define METADATA_URL "GET /binders/B/metadataelements"
#define PAGE_URL(n)  "POST /documents?pageSize=3&pageNumber=" n
#define SUB_URL(id)  "GET /documents/drives/binders/B/folders/" id
#define NO_FOLDERS                                                                                 \
	{                                                                                          \
		DRIVE_URL, "[]", 0                                                                 \
	}
#define NO_METADATA                                                                                \
	{                                                                                          \
		METADATA_URL, "[]", 0                                                              \
	}
#define NO_DOCUMENTS                                                                               \
	{                                                                                          \
		PAGE_URL("1"), PAGE("0", "3", ""), 0                                               \
	}
/* An answer to a search; all as text, to be wrong where a test wants it. */
#define PAGE(total, size, items)                                                                   \
	"{\"items\":[" items "],\"totalCount\":" total ",\"pageNumber\":1,\"pageSize\":" size "}"
#define DOC(id)		   "{\"id\":\"" id "\",\"fileName\":\"" id ".pdf\"}"
#define DOC_IN(id, folder) "{\"id\":\"" id "\",\"fileName\":\"" id ".pdf\",\"folderId\":" folder "}"
#define DIR(id)		   "{\"id\":\"" id "\",\"name\":\"dir " id "\",\"type\":\"tab\",\"parentId\":null}"

#define RUN_PART(run, ...)                                                                         \
	run_part(run, (const struct row[]){__VA_ARGS__},                                           \
		 sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

/* The entry at a path, or NULL. */
static inline const struct listing_entry *at_path(const struct run *run, const char *path)
{
	uint32_t dir = 0;

	assert_non_null(run->listing);
	for (;;) {
		const struct listing_entry *entry;
		char name[300];
		size_t len = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		entry = listing_find_name(run->listing, dir, name);
		if (!entry || path[len] == '\0')
			return entry;
		if (entry->type != LISTING_DIR || entry->dir == LISTING_ELSEWHERE)
			return NULL;
		dir = entry->dir;
		path += len + 1;
	}
}

static inline unsigned count_kind(const struct run *run, enum listing_kind kind)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < run->listing->entry_count; i++)
		count += run->listing->entries[i].kind == kind;
	return count;
}

/* How many of the requests begin like this. */
static inline unsigned asked(const struct run *run, const char *prefix)
{
	const char *line = buf_str(&run->log);
	unsigned count = 0;

	for (; *line; line = strchr(line, '\n') + 1)
		count += strncmp(line, prefix, strlen(prefix)) == 0;
	return count;
}

/* ---- Damage at random; IBINDERFS_SEED repeats. ---- */

static inline void seed_damage(void)
{
	const char *given = getenv("IBINDERFS_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)loop_wall_ns();

	print_message("IBINDERFS_SEED=%u\n", seed);
	srandom(seed);
}

static inline void damage(struct buf *out)
{
	size_t len = out->len;
	unsigned changes = 1 + (unsigned)random() % 3;

	for (; changes && len; changes--) {
		size_t at = (size_t)random() % len;

		switch (random() % 4) {
		case 0:
			out->data[at] = (char)(1 + random() % 255);
			break;
		case 1:
			out->data[at] = "{}[]\",:0-\\n "[random() % 12];
			break;
		case 2:
			out->data[at] = '\0'; /* cut here */
			len = at;
			break;
		default: /* as somewhere else */
			out->data[at] = out->data[(size_t)random() % len];
		}
	}
}

#endif
