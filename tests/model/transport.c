/* transport.c: what stands in place of http.c: each request waits until a schedule answers it.
 *
 * A request is judged as a server would judge it, and as the design promises: no credentials where
 * they do not belong, no more requests than connections=, none while the server wants to be left
 * alone. The answer is what is true when the request arrives or when the answer leaves, as rng has
 * it. A transfer that nobody answers ends like one of curl's: with -ETIMEDOUT after timeout=. */
#include "vendor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRANSFERS_MAX 512
/* Beside the fetches': the token's and the probe's. */
#define SPARE_CONNECTIONS 2

#define TOKENS_MAX 8192

/* The least rest after a 429: that names no time, less its jitter; and that names one. */
#define REST_MIN_MS   750
#define REST_LEAST_MS 200

static struct http_transfer *transfers[TRANSFERS_MAX];
static unsigned transfer_count;
static unsigned token_given;
static unsigned token_oldest; /* that the server believes */
static int64_t token_dead_ms[TOKENS_MAX];
static int64_t pause_until_ms;	 /* for the API, by 429 */
static int64_t refused_until_ms; /* for the client, in clock_ms: it is not to ask for tokens */
bool transport_is_well;

void transport_reset(void)
{
	CHECK(transfer_count == 0, "%u transfers are left", transfer_count);
	token_given = 0;
	token_oldest = 1;
	pause_until_ms = 0;
	refused_until_ms = 0;
	if (vendor->gate->reset)
		vendor->gate->reset();
}

void transport_forget(void)
{
	pause_until_ms = 0;
	refused_until_ms = 0;
}

void transport_revoke(void)
{
	if (vendor->gate->move && rng_percent(50))
		vendor->gate->move();
	else
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

unsigned transport_new_token(int life_s)
{
	token_given++;
	CHECK(token_given < COUNT(token_dead_ms), "too many tokens are asked for");
	token_dead_ms[token_given] = clock_boot_ms() + life_s * 1000;
	return token_given;
}

unsigned transport_token_of(const struct secret *bearer)
{
	unsigned token = 0;

	return bearer && sscanf(bearer->value, "token-%u", &token) == 1 ? token : 0;
}

bool transport_believes(unsigned token)
{
	return token >= token_oldest && token <= token_given;
}

static void judge(struct http_transfer *transfer, const struct http_request *request,
		  const struct secret *bearer)
{
	if (transfer->http->kind == HTTP_STORAGE) {
		CHECK(!bearer, "credentials for storage: %s", transfer->url);
		storage_judge(transfer, request->headers[0]);
		return;
	}
	vendor->gate->judge(transfer, request, bearer);
	CHECK(transfer->http->transfers <= config.connections + SPARE_CONNECTIONS,
	      "%u requests under way", transfer->http->transfers);
	CHECK(!transfer->body || bearer || clock_ms >= refused_until_ms,
	      "a client that was refused asks for a token");
	if (!bearer)
		return;
	transfer->token = transport_token_of(bearer);
	CHECK(transfer->token > 0 && transfer->token <= token_given,
	      "a token that was never given");
	CHECK(clock_boot_ms() < token_dead_ms[transfer->token], "a token is sent after its end");
	CHECK(vendor->gate->is_token(transfer) || clock_boot_ms() >= pause_until_ms,
	      "a request %" PRId64 " ms before the server wants one",
	      pause_until_ms - clock_boot_ms());
}

static void answer_api(struct http_transfer *transfer)
{
	memory_spared++;
	vendor->gate->answer(transfer);
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
		.retry_after_ms = -1,
	};
	http->transfers++;
	transfers[transfer_count++] = transfer;
	judge(transfer, request, bearer);
	action("  sent: %s%s%s", transfer->url, request->headers[0] ? " " : "",
	       http->kind == HTTP_STORAGE && request->headers[0] ? request->headers[0] : "");
	if (bearer && !vendor->gate->is_token(transfer) && rng_percent(50))
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
	response->transfer = transfer;
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

void transport_end_with_text(struct http_transfer *transfer, int status, int64_t retry_after_ms,
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

const char *http_header(const struct http_response *response, const char *name)
{
	const struct http_transfer *transfer = response->transfer;

	for (size_t i = 0; i < COUNT(transfer->headers) && transfer->headers[i].name; i++) {
		if (strcmp(transfer->headers[i].name, name) == 0)
			return transfer->headers[i].value;
	}
	return NULL;
}

void http_resume(struct http_transfer *transfer)
{
	transfer->deadline_ms = clock_ms + transfer->http->timeout_ms;
	storage_go_on(transfer);
}

/* For as long as the client is to leave the API alone. */
static void rest_until(int64_t ms)
{
	if (ms > pause_until_ms)
		pause_until_ms = ms;
}

/* After a 429 that asks for so long (-1: it does not say). */
static void rest_after(int64_t retry_after_ms)
{
	int64_t least_ms = retry_after_ms < 0 ? REST_MIN_MS : REST_LEAST_MS;

	rest_until(clock_boot_ms() + (retry_after_ms > least_ms ? retry_after_ms : least_ms));
}

/* No fetch may fail of that. */
static void end_rightly(struct http_transfer *transfer, struct http_response *response)
{
	bool is_right = response->status == 200 && !troubled;
	uint64_t failed = fetcher_counters(engine.fetcher)->fetches_failed;
	uint64_t starvations = memory_failures;

	transport_end(transfer, response);
	CHECK(!is_right || memory_failures != starvations ||
		      fetcher_counters(engine.fetcher)->fetches_failed == failed,
	      "a right answer is refused");
}

static bool answer_rightly(struct http_transfer *transfer)
{
	bool is_right = true;

	if (transfer->http->kind == HTTP_STORAGE) {
		storage_give(transfer);
	} else if (vendor->gate->is_token(transfer)) {
		vendor->gate->give_token(transfer);
	} else {
		struct buf body;

		if (!transfer->status)
			answer_api(transfer);
		is_right = transfer->status == 200;
		body = transfer->answer;
		transfer->answer = BUF_INIT(HTTP_BODY_MAX);
		if (transfer->status == 429) {
			rest_until(transfer->rest_until_ms);
			rest_after(transfer->retry_after_ms);
		}
		end_rightly(transfer, &(struct http_response){
					      .status = transfer->status,
					      .retry_after_ms = transfer->retry_after_ms,
					      .body = body,
				      });
	}
	return is_right;
}

static void answer_limited(struct http_transfer *transfer, int64_t retry_after_ms)
{
	if (transfer->http->kind == HTTP_API && !vendor->gate->is_token(transfer))
		rest_after(retry_after_ms);
	transport_end_with_text(transfer, 429, retry_after_ms, "{\"title\":\"Too many requests\"}");
}

static void answer_refusing(struct http_transfer *transfer, const struct refusals *refusals)
{
	const struct refusal *refusal =
		&refusals->list[refusals->count > 1 ? rng_below(refusals->count) : 0];
	bool is_client = refusals == &vendor->gate->client && transfer->body;
	int64_t before_ms = refused_until_ms;
	uint64_t starvations = memory_failures;

	if (is_client)
		refused_until_ms = clock_ms + TOKEN_REFUSED_MS;
	transport_end_with_text(transfer, refusal->status, -1, refusal->body);
	if (memory_failures != starvations) /* it may not have been understood */
		refused_until_ms = before_ms;
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
	const struct vendor_gate *gate = vendor->gate;

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
		transport_end_with_text(transfer, RNG_PICK(broken), RNG_PICK(pauses_ms), "{}");
		return false;
	case OUTCOME_429:
		answer_limited(transfer, RNG_PICK(pauses_ms));
		return false;
	case OUTCOME_401:
		answer_refusing(transfer, &gate->token);
		return false;
	case OUTCOME_403:
		answer_refusing(transfer, &gate->forbidden);
		return false;
	case OUTCOME_REFUSED:
		if (!transfer->sink && gate->is_token(transfer))
			answer_refusing(transfer, &gate->client);
		else
			transport_end_with_text(transfer, 410, -1,
						"{\"error\":\"invalid_client\"}");
		return false;
	case OUTCOME_NONSENSE:
		transport_end_with_text(transfer, transfer->sink ? 418 : 200, -1, "<html>");
		return false;
	case OUTCOME_CUT:
		answer_cut(transfer);
		return false;
	case OUTCOME_MISLED:
	case OUTCOME_LIE:
		if (!transfer->sink && outcome == OUTCOME_LIE && gate->lie)
			gate->lie(transfer);
		else if (!transfer->sink)
			transport_end_with_text(transfer, 302, -1, "");
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
