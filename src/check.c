/* check.c: `ibinderfs --check`. Prints one line a step; what failed is followed by what to do. */
#include "check.h"

#include "cleanup.h"
#include "failures.h"
#include "fetch.h"
#include "http.h"
#include "loop.h"
#include "name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct check {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct url_home home;
	struct fetcher *fetcher;
	struct fetch *fetch; /* under way, or NULL */
	bool done;
	int error;
	struct listing *listing; /* what the fetch brought */
};

static void say(const char *step, bool ok, const char *text)
{
	printf("%-14s %s%s%s\n", step, ok ? "ok" : "FAILED", text[0] ? ": " : "", text);
}

static void on_done(void *data, int error, struct provider_result *result)
{
	struct check *check = data;

	check->fetch = NULL;
	check->error = error;
	check->listing = result ? result->listing : NULL;
	check->done = true;
	uv_timer_stop(&check->deadline);
	uv_stop(&check->loop);
}

static void on_deadline(uv_timer_t *timer)
{
	struct check *check = timer->data;

	check->error = -ETIMEDOUT;
	check->done = true;
	uv_stop(&check->loop);
}

static bool check_secret(const struct config *config, struct secret *ret_secret)
{
	struct buf error CLEANUP(buf_reset) = BUF_INIT(16 * 1024);
	char origin[64];

	if (config_read_secret(config, ret_secret, &error)) {
		say("secret", false, buf_str(&error));
		return false;
	}
	snprintf(origin, sizeof(origin), "%s, from %s", config->secret_key,
		 config->secret_source == CONFIG_SECRET_ENVIRONMENT ? "the environment"
		 : config->secret_source == CONFIG_SECRET_INLINE    ? "the configuration file"
		 : config->secret_source == CONFIG_SECRET_FILE	    ? "its file"
								    : "its command");
	say("secret", true, origin);
	return true;
}

/* Returns whether there was one. */
static bool print_failures(const struct failures *failures)
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(64 * 1024);

	if (failures_print(failures, &text) == 0)
		fputs(buf_str(&text), stdout);
	return text.len > 0;
}

/* What the failures noted say of this step. */
static void say_failed(const char *step, const struct failures *failures, int error)
{
	say(step, false, failures_errno_name(error));
	if (!print_failures(failures))
		printf("%s\n", failures_advice(error, 0));
}

/* Fetches one resource, at most `timeout` long. Returns 0 or -errno. */
static int fetch_one(struct check *check, const struct config *config,
		     const struct provider_resource *resource, const char *path)
{
	int error = fetch_start(check->fetcher, resource, path, NULL, true, on_done, check,
				&check->fetch);

	if (error)
		return error;
	check->done = false;
	loop_timer_start(&check->deadline, on_deadline, config->timeout_ms);
	while (!check->done && uv_run(&check->loop, UV_RUN_DEFAULT))
		;
	if (check->fetch) /* the deadline was faster */
		fetch_cancel(check->fetch);
	check->fetch = NULL;
	return check->error;
}

static int check_top(struct check *check, const struct config *config,
		     const struct provider_ops *ops, const struct provider *provider,
		     struct failures *failures)
{
	struct provider_resource top = {.level = PROVIDER_TOP};
	int error = fetch_one(check, config, &top, ops->top_name);
	struct token *token = fetcher_token(check->fetcher);
	char text[320];
	char url[256];

	if (token_life_ms(token) == 0) {
		error = token_error(token) ? token_error(token) : error;
		say_failed("token", failures, error);
		return error;
	}
	snprintf(text, sizeof(text), "good for %" PRId64 " s, from %s", token_life_ms(token) / 1000,
		 log_url(config->auth_url, url, sizeof(url)));
	say("token", true, text);
	if (error) {
		say_failed("listing", failures, error);
		return error;
	}
	snprintf(text, sizeof(text), "%" PRIu32 " entries, from %s", check->listing->dirs[0].count,
		 log_url(ops->address(provider), url, sizeof(url)));
	say("listing", true, text);
	return 0;
}

static bool is_part(const struct listing_entry *entry)
{
	return entry->type == LISTING_DIR && entry->dir == LISTING_ELSEWHERE;
}

/* The list of binders alone does not show whether their documents can be read. */
static int check_part(struct check *check, const struct config *config, const struct listing *top,
		      struct failures *failures)
{
	const struct listing_entry *entry = &top->entries[top->dirs[0].first];
	struct provider_resource part = {.level = PROVIDER_PART};
	char text[NAME_BYTES_MAX + 64];
	char id[LISTING_ID_MAX + 1];
	int error;

	part.id = listing_id(top, entry, id);
	part.object = listing_body(top, entry);
	part.object_len = entry->body_len;
	check->listing = NULL;
	error = fetch_one(check, config, &part, listing_name(top, entry));
	if (error) {
		say_failed("entry", failures, error);
		return error;
	}
	snprintf(text, sizeof(text), "%" PRIu32 " files and directories in \"%s\"",
		 check->listing->entry_count, listing_name(top, entry));
	say("entry", true, text);
	/* What the client may not see of it is left out, which fails nothing. */
	print_failures(failures);
	return 0;
}

static int check_listings(struct check *check, const struct config *config,
			  const struct provider_ops *ops, struct provider *provider,
			  struct failures *failures)
{
	struct buf notes CLEANUP(buf_reset) = BUF_INIT(4096);
	int error = check_top(check, config, ops, provider, failures);
	struct listing *top = check->listing;

	if (!error && top->dirs[0].count > 0 && is_part(&top->entries[top->dirs[0].first])) {
		error = check_part(check, config, top, failures);
		listing_unref(check->listing);
	}
	ops->describe(provider, &notes);
	fputs(buf_str(&notes), stdout);
	listing_unref(top);
	return error;
}

static int ask(struct check *check, const struct config *config, struct secret *secret,
	       struct failures *failures)
{
	const struct provider_ops *ops = provider_find(config->provider);
	struct provider *provider = NULL;
	struct http *http = NULL;
	int error;

	error = url_home_init(&check->home, config->api_url, config->auth_url, config->proxy);
	if (!error)
		error = http_new(&check->loop, HTTP_API, config->timeout_ms, config->connections,
				 config->ca_file, config->proxy, &check->home, &http);
	uv_timer_init(&check->loop, &check->deadline);
	check->deadline.data = check;
	if (!error)
		error = ops->provider_new(config, &provider);
	if (!error)
		error = fetcher_new(&check->loop, http, config, ops, provider, failures,
				    &check->fetcher);
	if (!error) {
		fetcher_renew(check->fetcher, secret);
		error = check_listings(check, config, ops, provider, failures);
	}
	fetcher_free(check->fetcher);
	http_free(http);
	ops->provider_free(provider);
	uv_close((uv_handle_t *)&check->deadline, NULL);
	uv_run(&check->loop, UV_RUN_DEFAULT);
	return error;
}

int check_run(const struct config *config)
{
	struct secret secret CLEANUP(secret_fini) = {NULL, 0};
	/* static: too large for a stack, and there is one check in a process. */
	static struct failures failures;
	struct check check = {.error = 0};
	char text[512];
	int error;

	snprintf(text, sizeof(text), "%s%s%s", config->source ? config->source : "the environment",
		 config->source ? " in " : "", config->source ? config->file : "");
	say("configuration", true, text);
	if (!check_secret(config, &secret))
		return -EACCES;
	if (access("/dev/fuse", R_OK | W_OK))
		printf("%-14s %s\n", "note", "/dev/fuse cannot be opened here: mounting will fail");
	/* What fails is told as a step; the log would only repeat it. */
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	error = uv_loop_init(&check.loop);
	if (error)
		return error;
	error = ask(&check, config, &secret, &failures);
	uv_loop_close(&check.loop);
	return error;
}
