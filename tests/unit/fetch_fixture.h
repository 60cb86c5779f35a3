/* fetch_fixture.h: a fetcher with its token, provider_ibinder and a server in the same loop, which
 * serves a small organisation but for what a test makes it do. Include after cmocka.h. */
#ifndef FETCH_FIXTURE_H
#define FETCH_FIXTURE_H

#include "breaker.h"
#include "clock_skip.h"
#include "fetch.h"
#include "http_server.h"
#include "log.h"

#include <errno.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))
#ifndef TIMEOUT_MS
#define TIMEOUT_MS 3000
#endif
#define CONNECTIONS 4
#define PAGE_SIZE   10
#define RULES_MAX   8
#define FETCHES_MAX 12

#define TOKEN_URL  "POST /connect/token"
#define TOP_URL	   "GET /api/binders"
#define DRIVE_URL  "GET /api/documents/drives/binders/"
#define SCHEMA_URL "GET /api/binders/"
#define PAGE_URL   "POST /api/documents"

/* What the server does instead of answering, to requests that begin like this, so many times. */
struct rule {
	const char *prefix;
	unsigned times;
	enum { SAY, RESET, HOLD } does;
	int status;
	const char *headers;
	const char *body;
};

struct outcome {
	unsigned calls;
	int error;
	struct listing *listing;
	struct fetch *fetch; /* NULL once done */
};

static uv_loop_t loop;
static struct url_home home = {.api = "127.0.0.1", .places = URL_LOOPBACK};
static struct server server;
static struct http *http;
static struct provider *provider;
static struct fetcher *fetcher;
static struct failures failures;
static struct rule rules[RULES_MAX];
static unsigned documents; /* in each binder */
static unsigned tokens_granted;
static struct outcome outcomes[FETCHES_MAX];
static size_t config_memory = 16 << 20;
static size_t config_connections = CONNECTIONS;

static inline void rule_add(struct rule rule)
{
	size_t i = 0;

	while (rules[i].prefix)
		assert_true(++i < RULES_MAX);
	if (!rule.headers)
		rule.headers = "";
	if (!rule.body)
		rule.body = "";
	rules[i] = rule;
}

#define FOREVER		 1000000
#define SAYS(...)	 rule_add((struct rule){__VA_ARGS__})
#define REFUSES(p, t, s) rule_add((struct rule){.prefix = p, .times = t, .status = s})
#define RESETS(p, t)	 rule_add((struct rule){.prefix = p, .times = t, .does = RESET})
#define HOLDS(p, t)	 rule_add((struct rule){.prefix = p, .times = t, .does = HOLD})

static inline void rules_clear(void)
{
	memset(rules, 0, sizeof(rules));
}

static inline void answer_page(struct server_request *request)
{
	struct buf body = BUF_INIT(1 << 20);
	const char *page = strstr(request->target, "pageNumber=");
	unsigned first =
		((unsigned)strtoul(page + strlen("pageNumber="), NULL, 10) - 1) * PAGE_SIZE;

	buf_append_str(&body, "{\"items\":[");
	for (unsigned i = first; i < documents && i < first + PAGE_SIZE; i++)
		buf_printf(&body, "%s{\"id\":\"%u\",\"fileName\":\"%u.pdf\"}", i > first ? "," : "",
			   i, i);
	buf_printf(&body, "],\"totalCount\":%u,\"pageSize\":%d}", documents, PAGE_SIZE);
	server_answer(request, 200, "", buf_str(&body));
	buf_reset(&body);
}

/* As an organisation in order would. */
static inline void answer_well(struct server_request *request)
{
	char body[128];

	if (strcmp(request->target, "/connect/token") == 0) {
		snprintf(body, sizeof(body), "{\"access_token\":\"token-%u\",\"expires_in\":3600}",
			 ++tokens_granted);
		server_answer(request, 200, "", body);
	} else if (strcmp(request->target, "/api/binders") == 0) {
		server_answer(request, 200, "", "[{\"id\":\"A\",\"name\":\"Kv. Björken\"}]");
	} else if (strncmp(request->target, "/api/documents?", 15) == 0) {
		answer_page(request);
	} else {
		server_answer(request, 200, "", "[]");
	}
}

static inline void handle(struct server *unused, struct server_request *request)
{
	char line[sizeof(request->method) + sizeof(request->target) + 1];

	(void)unused;
	snprintf(line, sizeof(line), "%s %s", request->method, request->target);
	for (size_t i = 0; i < RULES_MAX && rules[i].prefix; i++) {
		if (strncmp(line, rules[i].prefix, strlen(rules[i].prefix)) != 0 ||
		    rules[i].times == 0)
			continue;
		rules[i].times--;
		if (rules[i].does == SAY)
			server_answer(request, rules[i].status, rules[i].headers, rules[i].body);
		else if (rules[i].does == RESET)
			server_reset(request);
		return;
	}
	answer_well(request);
}

/* Answers all that is held. */
static inline void release(void)
{
	for (unsigned i = 0; i < server.seen_count; i++)
		answer_well(&server.seen[i]);
}

static inline void renew(void)
{
	struct secret secret = {NULL, 0};

	assert_int_equal(secret_set(&secret, "hunter2", 7), 0);
	fetcher_renew(fetcher, &secret);
}

static inline int set_up(void **state)
{
	struct config config = {
		.tenant_id = (char *)"TENANT",
		.client_id = (char *)"client",
		.subfolders_path = (char *)"",
		.page_size = PAGE_SIZE,
		.memory = config_memory,
		.connections = config_connections,
		.timeout_ms = TIMEOUT_MS,
	};

	(void)state;
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	rules_clear();
	memset(outcomes, 0, sizeof(outcomes));
	memset(&failures, 0, sizeof(failures));
	documents = 0;
	tokens_granted = 0;
	assert_int_equal(uv_loop_init(&loop), 0);
	server_start(&server, &loop, handle, NULL);
	/* As main.c: room for the token's request and the probe beside the fetches'. */
	assert_int_equal(http_new(&loop, HTTP_API, TIMEOUT_MS, config.connections + 2, NULL, NULL,
				  &home, &http),
			 0);
	assert_true(asprintf(&config.auth_url, "http://127.0.0.1:%d/connect/token", server.port) >
		    0);
	assert_true(asprintf(&config.api_url, "http://127.0.0.1:%d/api", server.port) > 0);
	assert_int_equal(provider_ibinder.provider_new(&config, &provider), 0);
	assert_int_equal(
		fetcher_new(&loop, http, &config, &provider_ibinder, provider, &failures, &fetcher),
		0);
	free(config.auth_url);
	free(config.api_url);
	return 0;
}

/* The same with a token that is held. */
static inline int set_up_with_token(void **state)
{
	set_up(state);
	renew();
	RUN_UNTIL(&loop, token_state(fetcher_token(fetcher)) == TOKEN_HELD);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	fetcher_free(fetcher);
	http_free(http);
	provider_ibinder.provider_free(provider);
	server_stop(&server);
	loop_drain(&loop);
	for (size_t i = 0; i < FETCHES_MAX; i++)
		listing_unref(outcomes[i].listing);
	return 0;
}

static inline void done(void *data, int error, struct provider_result *result)
{
	struct outcome *outcome = data;

	outcome->calls++;
	outcome->error = error;
	outcome->listing = result ? result->listing : NULL;
	outcome->fetch = NULL;
}

/* Starts outcomes[index]: the binder of that id, or the top for NULL. */
static inline void start(size_t index, const char *binder, bool foreground)
{
	static const char object[] = "{\"id\":\"A\"}";
	struct provider_resource resource = {
		.level = binder ? PROVIDER_PART : PROVIDER_TOP,
		.id = binder,
		.object = object,
		.object_len = sizeof(object) - 1,
	};
	struct outcome *outcome = &outcomes[index];
	char path[64];

	snprintf(path, sizeof(path), "binders%s%s", binder ? "/" : "", binder ? binder : "");
	*outcome = (struct outcome){.calls = 0};
	assert_int_equal(fetch_start(fetcher, &resource, path, NULL, foreground, done, outcome,
				     &outcome->fetch),
			 0);
	assert_int_equal(outcome->calls, 0);
	assert_non_null(outcome->fetch);
}

static inline int await(size_t index)
{
	RUN_UNTIL(&loop, outcomes[index].calls);
	assert_int_equal(outcomes[index].calls, 1);
	assert_int_equal(outcomes[index].error == 0, outcomes[index].listing != NULL);
	return outcomes[index].error;
}

/* One fetch to its end; its listing goes. Time spent backing off is skipped: only while nothing is
 * under way, so that no transfer times out. */
static inline int fetch(const char *binder)
{
	int64_t end_ms = loop_now_ms() + PATIENCE_MS;

	start(0, binder, true);
	while (!outcomes[0].calls && loop_now_ms() < end_ms) {
		uv_run(&loop, UV_RUN_ONCE);
		if (fetcher_counters(fetcher)->in_flight == 0 &&
		    token_state(fetcher_token(fetcher)) != TOKEN_ASKING)
			clock_skip(&loop, 20);
	}
	await(0);
	listing_unref(outcomes[0].listing);
	outcomes[0].listing = NULL;
	return outcomes[0].error;
}

static inline uint64_t requests(void)
{
	return fetcher_counters(fetcher)->requests;
}

/* Turns the clock until the next API request goes out. Returns how far, within a step. */
static inline int64_t skip_until_request(int64_t step_ms)
{
	uint64_t before = requests();
	int64_t skipped_ms = 0;

	for (; requests() == before; skipped_ms += step_ms) {
		assert_true(skipped_ms < 1000000);
		clock_skip(&loop, step_ms);
		uv_run(&loop, UV_RUN_NOWAIT); /* a timer wakes the pump, and that sends */
	}
	return skipped_ms;
}

/* The next API request must go out so long after the latest. Real time passes as well, as much as
 * the machine likes: with it it was not too soon, without it not too late. */
static inline void skip_to_request(int64_t step_ms, int64_t least_ms, int64_t most_ms)
{
	int64_t latest_ms = server.latest_ms;

	assert_in_range(skip_until_request(step_ms), 0, most_ms);
	assert_true(loop_now_ms() - latest_ms >= least_ms);
}

static inline const struct failure *latest_failure(void)
{
	assert_true(failures.total > 0);
	return &failures.ring[(failures.total - 1) % FAILURES_KEPT];
}

#endif
