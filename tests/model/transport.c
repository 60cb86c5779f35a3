/* transport.c: what stands in place of http.c: each request waits until a schedule answers it.
 *
 * A request is judged as a server would judge it, and as the design promises: no credentials where
 * they do not belong, no more requests than connections=, none while the server wants to be left
 * alone. The answer is what is true when the request arrives or when the answer leaves, as rng has
 * it. A transfer that nobody answers ends like one of curl's: with -ETIMEDOUT after timeout=. */
#include "transport.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API	      "http://127.0.0.1/api"
#define AUTH	      "http://127.0.0.1/connect/token"
#define CLIENT_SECRET "client-secret"
#define TRANSFERS_MAX 512
/* Beside the fetches': the token's and the probe's. */
#define SPARE_CONNECTIONS 2

#define TOKENS_MAX 8192

static struct http_transfer *transfers[TRANSFERS_MAX];
static unsigned transfer_count;
static unsigned token_given;
static unsigned token_oldest; /* that the server believes */
static int64_t token_dead_ms[TOKENS_MAX];
static int64_t pause_until_ms; /* for the API, by Retry-After */

void transport_reset(void)
{
	CHECK(transfer_count == 0, "%u transfers are left", transfer_count);
	token_given = 0;
	token_oldest = 1;
	pause_until_ms = 0;
}

void transport_forget(void)
{
	pause_until_ms = 0;
}

void transport_revoke(void)
{
	token_oldest = token_given + 1;
	troubled = true;
}

/* A paused transfer waits for its reader, not for storage. */
unsigned transport_waiting(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < transfer_count; i++)
		count += !transfers[i]->paused;
	return count;
}

/* --- As in http.h --- */

int http_new(uv_loop_t *unused, enum http_kind kind, int64_t timeout_ms, size_t connections,
	     const char *ca_file, const char *proxy, struct url_home *home, struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));

	(void)unused;
	(void)ca_file;
	(void)proxy;
	(void)home;
	*http = (struct http){.kind = kind, .timeout_ms = timeout_ms, .connections = connections};
	*ret_http = http;
	return 0;
}

static void transfer_free(struct http_transfer *transfer)
{
	unsigned i = 0;

	while (transfers[i] != transfer)
		CHECK(++i < transfer_count, "a transfer is ended twice");
	transfers[i] = transfers[--transfer_count];
	transfer->http->transfers--;
	buf_reset(&transfer->answer);
	free(transfer->body);
	free(transfer->url);
	free(transfer);
}

void http_free(struct http *http)
{
	for (unsigned i = transfer_count; http && i-- > 0;) {
		if (transfers[i]->http == http)
			transfer_free(transfers[i]);
	}
	free(http);
}

static bool is_token(const struct http_transfer *transfer)
{
	return strcmp(transfer->url, AUTH) == 0;
}

static void judge(struct http_transfer *transfer, const struct http_request *request,
		  const struct secret *bearer)
{
	bool is_storage = transfer->http->kind == HTTP_STORAGE;
	bool asks_token = is_token(transfer);

	CHECK(is_storage || asks_token || strncmp(transfer->url, API "/", strlen(API "/")) == 0,
	      "a request to elsewhere: %s", transfer->url);
	CHECK((bearer == NULL) == (is_storage || asks_token), "credentials for %s", transfer->url);
	CHECK(asks_token == (transfer->body && strstr(transfer->body, CLIENT_SECRET)),
	      "the client's secret for %s", transfer->url);
	if (is_storage)
		storage_judge(transfer, request->headers[0]);
	else
		CHECK(transfer->http->transfers <= config.connections + SPARE_CONNECTIONS,
		      "%u requests under way", transfer->http->transfers);
	if (!bearer)
		return;
	CHECK(sscanf(bearer->value, "token-%u", &transfer->token) == 1 && transfer->token > 0 &&
		      transfer->token <= token_given,
	      "a token that was never given");
	CHECK(clock_boot_ms() < token_dead_ms[transfer->token], "a token is sent after its end");
	CHECK(clock_boot_ms() >= pause_until_ms,
	      "a request %" PRId64 " ms before Retry-After is over",
	      pause_until_ms - clock_boot_ms());
}

static void answer_api(struct http_transfer *transfer)
{
	memory_spared++;
	if (transfer->token < token_oldest)
		transfer->status = 401;
	else
		transfer->status = world_answer(transfer->url + strlen(API), transfer->body,
						&transfer->answer);
	memory_spared--;
}

int http_send(struct http *http, const struct http_request *request, const struct secret *bearer,
	      void (*done)(void *data, struct http_response *response), void *data,
	      struct http_transfer **ret_transfer)
{
	struct http_transfer *transfer;

	if (memory_fails())
		return -ENOMEM;
	memory_spared++;
	transfer = calloc(1, sizeof(*transfer));
	CHECK(transfer_count < TRANSFERS_MAX, "too many transfers");
	*transfer = (struct http_transfer){
		.http = http,
		.url = strdup(request->url),
		.body = request->body ? strndup(request->body, request->body_len) : NULL,
		.sink = request->sink,
		.done = done,
		.data = data,
		.deadline_ms = clock_ms + http->timeout_ms,
		.answer = BUF_INIT(HTTP_BODY_MAX),
		.end = UINT64_MAX,
	};
	http->transfers++;
	transfers[transfer_count++] = transfer;
	judge(transfer, request, bearer);
	action("  sent: %s%s%s", transfer->url, request->headers[0] ? " " : "",
	       http->kind == HTTP_STORAGE && request->headers[0] ? request->headers[0] : "");
	if (bearer && rng_percent(50))
		answer_api(transfer); /* the truth as it is now; the answer takes its time */
	memory_spared--;
	*ret_transfer = transfer;
	return 0;
}

void http_cancel(struct http_transfer *transfer)
{
	action("  cancelled: %s", transfer->url);
	transfer_free(transfer);
}

/* --- Answers --- */

void transport_end(struct http_transfer *transfer, struct http_response *response)
{
	response->body.max = HTTP_BODY_MAX;
	transfer->done(transfer->data, response);
	buf_reset(&response->body);
	transfer_free(transfer);
}

void transport_end_with_error(struct http_transfer *transfer, int error)
{
	struct http_response response = {
		.error = error, .retry_after_ms = -1, .body = BUF_INIT(HTTP_BODY_MAX)};

	snprintf(response.text, sizeof(response.text), "error %d", -error);
	transport_end(transfer, &response);
}

static void end_with_text(struct http_transfer *transfer, int status, int64_t retry_after_ms,
			  const char *text)
{
	struct http_response response = {.status = status,
					 .retry_after_ms = retry_after_ms,
					 .body = BUF_INIT(HTTP_BODY_MAX)};

	response.head.status = status;
	memory_spared++;
	buf_append_str(&response.body, text);
	memory_spared--;
	transport_end(transfer, &response);
}

static void give_token(struct http_transfer *transfer)
{
	static const int lives_s[] = {3, 60, 3600};
	int life_s = RNG_PICK(lives_s);
	char text[128];

	token_given++;
	CHECK(token_given < COUNT(token_dead_ms), "too many tokens are asked for");
	token_dead_ms[token_given] = clock_boot_ms() + life_s * 1000;
	snprintf(text, sizeof(text), "{\"access_token\":\"token-%u\",\"expires_in\":%d}",
		 token_given, life_s);
	end_with_text(transfer, 200, -1, text);
}

void http_resume(struct http_transfer *transfer)
{
	transfer->deadline_ms = clock_ms + transfer->http->timeout_ms;
	storage_go_on(transfer);
}

static bool answer_rightly(struct http_transfer *transfer)
{
	bool is_right = true;

	if (is_token(transfer)) {
		give_token(transfer);
	} else if (transfer->http->kind == HTTP_STORAGE) {
		storage_give(transfer);
	} else {
		struct buf body;

		if (!transfer->status)
			answer_api(transfer);
		is_right = transfer->status == 200;
		/* If it is the first one, the client must take the call for missing, for a while.
		 */
		troubled =
			troubled || (transfer->status == 404 && strstr(transfer->url, "/folders/"));
		body = transfer->answer;
		transfer->answer = BUF_INIT(HTTP_BODY_MAX);
		if (transfer->status != 200)
			buf_reset(&body);
		transport_end(transfer, &(struct http_response){
						.status = transfer->status,
						.retry_after_ms = -1,
						.body = body,
					});
	}
	return is_right;
}

static void answer_limited(struct http_transfer *transfer, int64_t retry_after_ms)
{
	if (transfer->http->kind == HTTP_API && !is_token(transfer) && retry_after_ms > 0 &&
	    clock_boot_ms() + retry_after_ms > pause_until_ms)
		pause_until_ms = clock_boot_ms() + retry_after_ms;
	end_with_text(transfer, 429, retry_after_ms, "{\"title\":\"Too many requests\"}");
}

static void answer_cut(struct http_transfer *transfer)
{
	if (transfer->http->kind == HTTP_STORAGE) {
		storage_give_half(transfer);
	} else {
		transport_end_with_error(transfer, -EHOSTUNREACH);
	}
}

static struct http_transfer *at(unsigned index)
{
	unsigned i = 0;

	while (transfers[i]->paused || index-- > 0)
		CHECK(++i < transfer_count, "no such transfer");
	return transfers[i];
}

bool transport_answer(unsigned index, enum outcome outcome)
{
	static const int64_t pauses_ms[] = {-1, -1, 0, 1000, 5000, 60000};
	static const int errors[] = {-EHOSTUNREACH, -EHOSTUNREACH, -ETIMEDOUT, -EPROTO, -EBADMSG};
	static const int broken[] = {500, 502, 503};
	struct http_transfer *transfer = at(index);
	bool asks_token = is_token(transfer);

	action("answer %d to %s", (int)outcome, transfer->url);
	troubled = troubled || outcome != OUTCOME_RIGHT;
	if (transfer->sink && storage_is_private(transfer)) {
		transport_end_with_error(transfer, -EBADMSG);
		return false;
	}
	if (!transfer->sink && memory_fails()) { /* for the body */
		transport_end_with_error(transfer, -ENOMEM);
		return false;
	}
	switch (outcome) {
	case OUTCOME_ERROR:
		transport_end_with_error(transfer, RNG_PICK(errors));
		return false;
	case OUTCOME_5XX:
		end_with_text(transfer, RNG_PICK(broken), RNG_PICK(pauses_ms), "{}");
		return false;
	case OUTCOME_429:
		answer_limited(transfer, RNG_PICK(pauses_ms));
		return false;
	case OUTCOME_401:
		end_with_text(transfer, 401, -1, "");
		return false;
	case OUTCOME_403:
		end_with_text(transfer, 403, -1, "{\"title\":\"Forbidden\"}");
		return false;
	case OUTCOME_REFUSED:
		end_with_text(transfer, asks_token ? 400 : 410, -1,
			      "{\"error\":\"invalid_client\"}");
		return false;
	case OUTCOME_NONSENSE:
		end_with_text(transfer, transfer->sink ? 418 : 200, -1, "<html>");
		return false;
	case OUTCOME_CUT:
		answer_cut(transfer);
		return false;
	case OUTCOME_MISLED:
	case OUTCOME_LIE:
		if (!transfer->sink)
			end_with_text(transfer, 302, -1, "");
		else if (outcome == OUTCOME_LIE)
			storage_lie(transfer);
		else
			storage_mislead(transfer);
		return false;
	case OUTCOME_RIGHT:
	case OUTCOMES:
		break;
	}
	return answer_rightly(transfer);
}

int64_t transport_deadline_ms(void)
{
	int64_t first_ms = INT64_MAX;

	for (unsigned i = 0; i < transfer_count; i++) {
		if (!transfers[i]->paused && transfers[i]->deadline_ms < first_ms)
			first_ms = transfers[i]->deadline_ms;
	}
	return first_ms;
}

void transport_expire(void)
{
	for (unsigned i = 0; i < transfer_count; i++) {
		if (transfers[i]->paused || transfers[i]->deadline_ms > clock_ms)
			continue;
		action("no answer in time: %s", transfers[i]->url);
		troubled = true;
		transport_end_with_error(transfers[i], -ETIMEDOUT);
		return; /* the list is another now */
	}
}
