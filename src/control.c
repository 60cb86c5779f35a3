/* control.c: the texts of `.ibinderfs/`. Each printer returns 0 or the buffer's -errno. */
#include "control.h"

#include "loop.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* Old or failed listings that the status names one by one. */
#define STATUS_LISTED_MAX 20

static const char *token_word(enum token_state state)
{
	static const char *const words[] = {
		[TOKEN_IDLE] = "not asked for", [TOKEN_ASKING] = "being asked for",
		[TOKEN_HELD] = "held",		[TOKEN_BACKING_OFF] = "not to be had",
		[TOKEN_REFUSED] = "refused",
	};

	return words[state];
}

/* Whether the server answers, in a word, for both status files. */
static const char *server_word(const struct control *control)
{
	const struct fetch_counters *fetches = fetcher_counters(control->fetcher);
	struct token *token = fetcher_token(control->fetcher);

	if (token_life_ms(token) == 0 && token_error(token))
		return "cannot be asked without a token";
	if (fetcher_breaker_open(control->fetcher))
		return "down";
	if (fetcher_failing_since(control->fetcher))
		return "failing";
	if (fetcher_pause_ms(control->fetcher) > 0)
		return "limiting";
	if (fetches->answers_ok + fetches->answers_refused + fetches->answers_limited)
		return "answering";
	return fetches->requests ? "asked, no answer yet" : "not asked yet";
}

struct old_listings {
	struct buf *out;
	unsigned int listed;
	unsigned int old;
	unsigned int failed;
};

static void print_old(void *data, const char *path, int64_t age_ms, bool old, int error,
		      const struct listing *listing)
{
	struct old_listings *lists = data;

	lists->old += old && listing;
	lists->failed += error != 0;
	if (!error || lists->listed++ >= STATUS_LISTED_MAX)
		return;
	buf_printf(lists->out, "  %s: last fetch failed with %s, ", path,
		   failures_errno_name(error));
	if (listing && age_ms >= 0)
		buf_printf(lists->out, "shown as it was %" PRId64 " s ago\n", age_ms / 1000);
	else
		buf_append_str(lists->out, listing ? "shown as it was\n" : "not shown\n");
}

/* Whether storage answers, in a word, for both status files. */
static const char *storage_word(const struct contents *contents)
{
	const struct content_counters *counters = contents_counters(contents);

	if (contents_breaker_open(contents))
		return "down";
	if (contents_failing(contents))
		return "failing";
	if (contents_pause_ms(contents) > 0)
		return "limiting";
	if (counters->answers)
		return "answering";
	return counters->requests ? "asked, no answer yet" : "not asked yet";
}

static void print_contents(const struct control *control, struct buf *out)
{
	const struct content_counters *counters;
	size_t block_bytes;
	size_t bytes;

	if (!control->contents)
		return;
	counters = contents_counters(control->contents);
	bytes = contents_bytes(control->contents, &block_bytes);
	buf_printf(out, "storage        %s", storage_word(control->contents));
	if (contents_pause_ms(control->contents))
		buf_printf(out, ", for another %" PRId64 " s",
			   contents_pause_ms(control->contents) / 1000 + 1);
	buf_printf(out,
		   "; %" PRIu64 " requests, %" PRIu64 " under way; %.1f of %.1f MiB of bytes "
		   "cached\n",
		   counters->requests, counters->in_flight, (double)bytes / (1 << 20),
		   (double)config_memory_contents(control->config, true) / (1 << 20));
}

int control_print_status(const struct control *control, struct buf *out)
{
	const struct wait_counters *waits = wait_counters(control->room);
	const struct fetch_counters *fetches = fetcher_counters(control->fetcher);
	const struct tree_counters *tree = tree_counters(control->tree);
	struct token *token = fetcher_token(control->fetcher);
	struct buf failed = BUF_INIT(CONTROL_TEXT_MAX / 4);
	struct old_listings lists = {.out = &failed};
	const char *address = control->ops->address(control->provider);
	int64_t failing_ms = fetcher_failing_since(control->fetcher);
	char url[256];
	int error;

	tree_each_resource(control->tree, print_old, &lists);
	buf_printf(out, "ibinderfs      " IBINDERFS_VERSION ", process %d, mounted since ",
		   getpid());
	failures_print_time(out, control->mounted_wall_ns);
	buf_printf(out, "\nserver         %s: %s",
		   log_url(address ? address : control->config->auth_url, url, sizeof(url)),
		   server_word(control));
	if (failing_ms)
		buf_printf(out, ", for %" PRId64 " s", (loop_now_ms() - failing_ms) / 1000);
	if (fetcher_pause_ms(control->fetcher))
		buf_printf(out, ", for another %" PRId64 " s",
			   fetcher_pause_ms(control->fetcher) / 1000 + 1);
	buf_printf(out, "\ntoken          %s", token_word(token_state(token)));
	if (token_life_ms(token))
		buf_printf(out, ", good for %" PRId64 " s", token_life_ms(token) / 1000);
	if (token_error(token))
		buf_printf(out, ", last try: %s", failures_errno_name(token_error(token)));
	buf_append_str(out, "\n");
	control->ops->describe(control->provider, out);
	buf_printf(out,
		   "listings       %" PRIu64 " cached, %u past ttl, %u failed; %.1f of %.1f MiB\n",
		   tree->listings, lists.old, lists.failed,
		   (double)listing_bytes_alive() / (1 << 20),
		   (double)config_memory_listings(control->config, control->ops->has_links) /
			   (1 << 20));
	buf_printf(out,
		   "requests       %" PRIu64 " sent, %" PRIu64 " of them retries; %" PRIu64
		   " under way; tokens asked for: %" PRIu64 "\n",
		   fetches->requests, fetches->retries, fetches->in_flight, token_requests(token));
	print_contents(control, out);
	buf_printf(out,
		   "readers        %" PRIu64 " waiting; %" PRIu64 " have waited, %" PRIu64
		   " in vain\n",
		   waits->waiting, waits->waits, waits->missed);
	buf_append(out, buf_str(&failed), failed.len);
	/* Of too many to name the number must do. */
	error = failed.error == -EFBIG ? 0 : failed.error;
	buf_reset(&failed);
	return error ? error : out->error;
}

static size_t content_bytes(const struct control *control)
{
	size_t block_bytes;

	return control->contents ? contents_bytes(control->contents, &block_bytes) : 0;
}

static int print_status_json(const struct control *control, struct buf *out)
{
	const struct fetch_counters *fetches = fetcher_counters(control->fetcher);
	const struct tree_counters *tree = tree_counters(control->tree);
	struct token *token = fetcher_token(control->fetcher);
	struct buf unused = BUF_INIT(CONTROL_TEXT_MAX / 4);
	struct old_listings lists = {.out = &unused};
	cJSON *root = cJSON_CreateObject();
	char *text;
	int error;

	tree_each_resource(control->tree, print_old, &lists);
	buf_reset(&unused);
	cJSON_AddStringToObject(root, "version", IBINDERFS_VERSION);
	cJSON_AddStringToObject(root, "server", server_word(control));
	cJSON_AddStringToObject(root, "token", token_word(token_state(token)));
	cJSON_AddNumberToObject(root, "token_seconds", (double)(token_life_ms(token) / 1000));
	cJSON_AddNumberToObject(root, "token_requests", (double)token_requests(token));
	cJSON_AddNumberToObject(root, "listings", (double)tree->listings);
	cJSON_AddNumberToObject(root, "listings_past_ttl", lists.old);
	cJSON_AddNumberToObject(root, "listings_failed", lists.failed);
	cJSON_AddNumberToObject(root, "memory_bytes",
				(double)(listing_bytes_alive() + content_bytes(control)));
	cJSON_AddNumberToObject(root, "memory_max_bytes", (double)control->config->memory);
	cJSON_AddNumberToObject(root, "requests", (double)fetches->requests);
	cJSON_AddNumberToObject(root, "requests_in_flight", (double)fetches->in_flight);
	cJSON_AddNumberToObject(root, "waiting", (double)wait_counters(control->room)->waiting);
	cJSON_AddNumberToObject(root, "errors", (double)control->failures->total);
	cJSON_AddNumberToObject(root, "process", getpid());
	cJSON_AddStringToObject(root, "storage",
				control->contents ? storage_word(control->contents) : "off");
	/* An object that lacks a member for want of memory would mislead. */
	text = cJSON_GetArraySize(root) == 16 ? cJSON_Print(root) : NULL;
	error = text ? buf_printf(out, "%s\n", text) : -ENOMEM;
	cJSON_free(text);
	cJSON_Delete(root);
	return error;
}

static int print_errors(const struct control *control, struct buf *out)
{
	return failures_print(control->failures, out);
}

static int print_config(const struct control *control, struct buf *out)
{
	return config_print(control->config, out);
}

struct metric {
	const char *name;
	const char *type;
	uint64_t value;
};

static void print_each(struct buf *out, const struct metric *metrics, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		buf_printf(out, "# TYPE ibinderfs_%s %s\nibinderfs_%s %" PRIu64 "\n",
			   metrics[i].name, metrics[i].type, metrics[i].name, metrics[i].value);
}

static void print_content_metrics(const struct contents *contents, struct buf *out)
{
	const struct content_counters *counters = contents_counters(contents);
	size_t block_bytes = 0;
	size_t bytes = contents_bytes(contents, &block_bytes);
	const struct metric metrics[] = {
		{"contents", "gauge", counters->contents},
		{"content_bytes", "gauge", bytes},
		{"block_bytes", "gauge", block_bytes},
		{"content_reads_total", "counter", counters->reads},
		{"content_read_bytes_total", "counter", counters->bytes_read},
		{"content_failures_total", "counter", counters->failures},
		{"links_total", "counter", counters->links},
		{"storage_requests_total", "counter", counters->requests},
		{"storage_retries_total", "counter", counters->retries},
		{"storage_requests_in_flight", "gauge", counters->in_flight},
		{"storage_received_bytes_total", "counter", counters->bytes},
		{"storage_breaker_open", "gauge", contents_breaker_open(contents)},
	};

	print_each(out, metrics, sizeof(metrics) / sizeof(metrics[0]));
}

/* Prometheus' text format. */
static int print_metrics(const struct control *control, struct buf *out)
{
	const struct fetch_counters *fetches = fetcher_counters(control->fetcher);
	const struct tree_counters *tree = tree_counters(control->tree);
	const uint64_t *upcalls = control->upcalls;
	const struct wait_counters *waits = wait_counters(control->room);
	const struct metric metrics[] = {
		{"requests_total", "counter", fetches->requests},
		{"request_retries_total", "counter", fetches->retries},
		{"requests_in_flight", "gauge", fetches->in_flight},
		{"requests_in_flight_max", "gauge", fetches->in_flight_max},
		{"received_bytes_total", "counter", fetches->bytes},
		{"answers_http2_total", "counter", fetches->http2},
		{"answers_ok_total", "counter", fetches->answers_ok},
		{"answers_refused_total", "counter", fetches->answers_refused},
		{"answers_limited_total", "counter", fetches->answers_limited},
		{"answers_broken_total", "counter", fetches->answers_broken},
		{"network_errors_total", "counter", fetches->network_errors},
		{"fetches_total", "counter", fetches->fetches},
		{"fetches_failed_total", "counter", fetches->fetches_failed},
		{"token_requests_total", "counter",
		 token_requests(fetcher_token(control->fetcher))},
		{"token_life_seconds", "gauge",
		 (uint64_t)token_life_ms(fetcher_token(control->fetcher)) / 1000},
		{"breaker_open", "gauge", fetcher_breaker_open(control->fetcher)},
		{"nodes", "gauge", tree->nodes},
		{"resources", "gauge", tree->resources},
		{"listings", "gauge", tree->listings},
		{"listing_bytes", "gauge", listing_bytes_alive()},
		{"listing_evictions_total", "counter", tree->evictions},
		{"fetches_ahead_total", "counter", tree->ahead},
		{"served_fresh_total", "counter", tree->served_fresh},
		{"served_stale_total", "counter", tree->served_stale},
		{"waiters", "gauge", waits->waiting},
		{"waits_total", "counter", waits->waits},
		{"deadlines_missed_total", "counter", waits->missed},
		{"errors_total", "counter", control->failures->total},
		{"upcalls_lookup_total", "counter", upcalls[CONTROL_UPCALL_LOOKUP]},
		{"upcalls_getattr_total", "counter", upcalls[CONTROL_UPCALL_GETATTR]},
		{"upcalls_opendir_total", "counter", upcalls[CONTROL_UPCALL_OPENDIR]},
		{"upcalls_readdir_total", "counter", upcalls[CONTROL_UPCALL_READDIR]},
		{"upcalls_open_total", "counter", upcalls[CONTROL_UPCALL_OPEN]},
		{"upcalls_read_total", "counter", upcalls[CONTROL_UPCALL_READ]},
		{"upcalls_readlink_total", "counter", upcalls[CONTROL_UPCALL_READLINK]},
		{"upcalls_statfs_total", "counter", upcalls[CONTROL_UPCALL_STATFS]},
	};

	print_each(out, metrics, sizeof(metrics) / sizeof(metrics[0]));
	if (control->contents)
		print_content_metrics(control->contents, out);
	return out->error;
}

const struct control_file control_files[CONTROL_FILE_COUNT] = {
	{"config", print_config},	    {"errors", print_errors},
	{"metrics", print_metrics},	    {"status", control_print_status},
	{"status.json", print_status_json},
};
