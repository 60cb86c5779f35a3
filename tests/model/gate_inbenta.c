/* gate_inbenta.c: how Inbenta's servers let requests in: the token, whose address of the API is
 * another each time, the allowance, and refusals of many forms. */
#include "vendor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define AUTH	      "http://127.0.0.1/v1"
#define SERVICE	      "http://127.0.0.1/km-"
#define DENIED	      "{\"Message\":\"User is not authorized to access this with an explicit deny\"}"
#define UNAUTHORIZED  "{\"message\":\"Unauthorized\"}"
#define NO_PAIR	      "{\"message\":\"not a valid key=value pair (missing equal-sign)\"}"
#define TOO_MANY      "{\"error\":{\"code\":429,\"message\":\"Too many requests\"}}"
#define ANOTHER_LIMIT 1000
#define NS_PER_S      (1000 * NS_PER_MS)
/* Resets are told in whole seconds, and those of one allowance may differ by so much. */
#define RESET_SLACK_MS 2000

/* What kind of server it is. */
static struct {
	bool tells_address; /* with the answer to /auth */
	bool old_dies;	    /* each address as soon as there is another */
	bool old_is_404;    /* and is unknown then, instead of asking for a key=value pair */
	bool dead_is_401;   /* a token that is no good, instead of an explicit deny */
	bool tells_life;    /* expires_in, not expiration alone */
	uint64_t limit;	    /* requests in a period; 0: as many as one likes */
	int64_t period_ms;
	bool is_quota; /* of the allowance that is limited; the other one is not */
	enum { USAGE_PARTS, USAGE_PERCENT, USAGE_FRACTION, USAGE_GARBAGE, USAGES } usage;
	bool reset_is_time;
	bool tells_wait; /* Retry-After */
} server;

static unsigned address_given;
static unsigned address_oldest; /* that serves */
/* The latest calls that were refused for their address, and when. */
static struct {
	char target[64];
	uint64_t seq;
} refused[16];
static unsigned refused_count;
static unsigned address_least; /* the client knows better than to use an older one */
static uint64_t used;	       /* in this period */
static int64_t period_end_ms;

static void reset(void)
{
	static const uint64_t limits[] = {3, 5, 10, 30};
	static const int64_t periods_ms[] = {2000, 5000, 8000};

	address_given = 0;
	address_oldest = 1;
	address_least = 1;
	memset(refused, 0, sizeof(refused));
	refused_count = 0;
	used = 0;
	period_end_ms = 0;
	server.tells_address = rng_percent(70);
	server.old_dies = rng_percent(50);
	server.old_is_404 = rng_percent(50);
	server.dead_is_401 = rng_percent(50);
	server.tells_life = rng_percent(50);
	server.limit = rng_percent(30) ? RNG_PICK(limits) : 0;
	server.period_ms = RNG_PICK(periods_ms);
	server.is_quota = rng_percent(50);
	server.usage = rng_below(USAGES);
	server.reset_is_time = rng_percent(50);
	server.tells_wait = rng_percent(30);
}

/* --- Judging --- */

/* The path of a call of the authorization's, or NULL. */
static const char *token_path(const struct http_transfer *transfer)
{
	size_t len = strlen(AUTH);

	return strncmp(transfer->url, AUTH, len) == 0 ? transfer->url + len : NULL;
}

static bool is_token(const struct http_transfer *transfer)
{
	return token_path(transfer) != NULL;
}

static bool is_auth(const struct http_transfer *transfer)
{
	return is_token(transfer) && strcmp(token_path(transfer), "/auth") == 0;
}

/* The number in the address of the API, and the path below. */
static unsigned address_of(const struct http_transfer *transfer, const char **ret_target)
{
	unsigned number = 0;
	int len = 0;

	CHECK(sscanf(transfer->url, SERVICE "%u/v1%n", &number, &len) == 1 && len > 0,
	      "a request to elsewhere: %s", transfer->url);
	*ret_target = transfer->url + len;
	return number;
}

static void judge(const struct http_transfer *transfer, const struct http_request *request,
		  bool has_bearer)
{
	const char *path = token_path(transfer);
	const char *body = NULL;
	const char *method = "GET";

	CHECK(request->headers[0] && strcmp(request->headers[0], "x-inbenta-key: api-key") == 0,
	      "a call without the key: %s", transfer->url);
	CHECK(config.domain
		      ? request->headers[1] && !request->headers[2] &&
				strcmp(request->headers[1], "Origin: https://help.example") == 0
		      : !request->headers[1],
	      "a wrong origin for %s", transfer->url);
	CHECK(has_bearer != is_auth(transfer), "credentials for %s", transfer->url);
	if (is_auth(transfer))
		body = config.by_domain_key ? "{\"domainKey\": \"client-secret\"}"
					    : "{\"secret\": \"client-secret\"}";
	CHECK(body ? transfer->body && strcmp(transfer->body, body) == 0 : !transfer->body,
	      "a wrong body for %s", transfer->url);
	if (!path) {
		unsigned address = address_of(transfer, &path);

		CHECK(address >= address_least && address <= address_given,
		      "a request to address %u, and the latest is %u", address, address_given);
	} else if (strcmp(path, "/apis") != 0) {
		CHECK(strcmp(path, "/auth") == 0 || strcmp(path, "/refreshToken") == 0,
		      "a request that the API does not have: %s", transfer->url);
		method = "POST";
	}
	CHECK(strcmp(request->method, method) == 0, "%s %s", request->method, transfer->url);
}

/* --- The allowance --- */

static void tell(struct http_transfer *transfer, bool is_quota, uint64_t part, uint64_t limit,
		 int64_t reset_s)
{
	static const char *const garbage[] = {"lots", "", "-1", "12/0", "NaN%", "1/2/3", "%12"};
	unsigned at = is_quota ? 2 : 0;
	char *usage = transfer->headers[at].value;
	size_t size = sizeof(transfer->headers[at].value);

	transfer->headers[at].name = is_quota ? "x-quota-usage" : "x-throttle-usage";
	transfer->headers[at + 1].name = is_quota ? "x-quota-reset" : "x-throttle-reset";
	switch (server.usage) {
	case USAGE_PARTS:
		snprintf(usage, size, "%" PRIu64 "/%" PRIu64, part, limit);
		break;
	case USAGE_PERCENT:
		snprintf(usage, size, "%" PRIu64 "%%", part * 100 / limit);
		break;
	case USAGE_FRACTION:
		part = part * 100 / limit;
		snprintf(usage, size, "%" PRIu64 ".%02" PRIu64, part / 100, part % 100);
		break;
	default:
		snprintf(usage, size, "%s", RNG_PICK(garbage));
	}
	if (server.reset_is_time)
		reset_s += clock_wall_ns() / NS_PER_S;
	snprintf(transfer->headers[at + 1].value, size, "%" PRId64, reset_s);
}

/* Counts the request, and tells what is left. */
static bool is_allowed(struct http_transfer *transfer)
{
	int64_t left_s;
	bool is_over;

	if (!server.limit || transport_is_well)
		return true;
	if (clock_boot_ms() >= period_end_ms) {
		period_end_ms = clock_boot_ms() + server.period_ms;
		used = 0;
	}
	is_over = used >= server.limit;
	used += !is_over;
	left_s = (period_end_ms - clock_boot_ms() + 999) / 1000;
	tell(transfer, server.is_quota, used, server.limit, left_s);
	tell(transfer, !server.is_quota, 1, ANOTHER_LIMIT, server.period_ms / 1000);
	/* Who is told that none are left will rest; past its deadline, if that comes first. */
	troubled = troubled || is_over ||
		   (used == server.limit && server.usage != USAGE_GARBAGE &&
		    left_s * 1000 >= config.timeout_ms);
	if (!is_over)
		return true;
	transfer->status = 429;
	buf_append_str(&transfer->answer, TOO_MANY);
	if (server.tells_wait)
		transfer->retry_after_ms = left_s * 1000;
	if (server.usage != USAGE_GARBAGE)
		transfer->rest_until_ms = period_end_ms - RESET_SLACK_MS;
	return false;
}

/* --- Answers --- */

static void refuse(struct http_transfer *transfer, int status, const char *text)
{
	transfer->status = status;
	buf_append_str(&transfer->answer, text);
}

/* A call that meets two wrong addresses is given up, unless the second was replaced meanwhile. */
static bool was_refused(const char *target)
{
	unsigned at = refused_count++ % COUNT(refused);
	bool found = false;

	for (size_t i = 0; i < COUNT(refused); i++)
		found = found ||
			(refused[i].seq > quiet_seq && strcmp(refused[i].target, target) == 0);
	snprintf(refused[at].target, sizeof(refused[at].target), "%s", target);
	refused[at].seq = now_seq;
	return found;
}

static void answer(struct http_transfer *transfer)
{
	const char *target;
	unsigned address = address_of(transfer, &target);
	bool is_gone;

	if (!is_allowed(transfer))
		return;
	/* 404 to who asks for a content cannot be told from one that is gone. */
	is_gone = server.old_is_404 && strncmp(target, "/contents/", 10) == 0;
	if (address < address_oldest && !(is_gone && transport_is_well)) {
		refuse(transfer, server.old_is_404 ? 404 : 403, server.old_is_404 ? "" : NO_PAIR);
		troubled = troubled || is_gone || (was_refused(target) && address == address_given);
	} else if (!transport_believes(transfer->token)) {
		refuse(transfer, server.dead_is_401 ? 401 : 403,
		       server.dead_is_401 ? UNAUTHORIZED : DENIED);
	} else {
		transfer->status = vendor->world->answer(target, NULL, &transfer->answer);
	}
}

static void move(void)
{
	address_oldest = address_given + 1;
	action("the API moves");
}

static void print_address(struct buf *out)
{
	address_given++;
	if (server.old_dies)
		move();
	if (address_oldest > address_given)
		address_oldest = address_given;
	buf_printf(out,
		   "\"apis\":{\"chatbot\":\"http://127.0.0.1/chat\",\"knowledge\":\"" SERVICE
		   "%u%s\"}",
		   address_given, rng_percent(50) ? "/" : "");
}

/* An absolute time is of whole seconds, and the token ends then. */
static void print_token(struct buf *out)
{
	static const int lives_s[] = {3, 60, 3600};
	int life_s = RNG_PICK(lives_s);

	buf_printf(out, "\"accessToken\":\"token-%u\",\"expiration\":%" PRId64,
		   transport_new_token(life_s), clock_wall_ns() / NS_PER_S + life_s);
	if (server.tells_life)
		buf_printf(out, ",\"expires_in\":%d", life_s);
}

static void give_token(struct http_transfer *transfer)
{
	const char *path = token_path(transfer);
	uint64_t failures = memory_failures;
	bool has_address = strcmp(path, "/refreshToken") != 0;
	struct buf out = BUF_INIT(TEXT_MAX);

	if (!is_auth(transfer) && !transport_believes(transfer->token)) {
		transport_end_with_text(transfer, server.dead_is_401 ? 401 : 403, -1,
					server.dead_is_401 ? UNAUTHORIZED : DENIED);
		return;
	}
	memory_spared++;
	buf_append_str(&out, "{");
	if (strcmp(path, "/apis") != 0)
		print_token(&out);
	if (is_auth(transfer) && server.tells_address)
		buf_append_str(&out, ",");
	else if (is_auth(transfer))
		has_address = false;
	if (has_address)
		print_address(&out);
	buf_append_str(&out, "}");
	memory_spared--;
	transport_end_with_text(transfer, 200, -1, buf_str(&out));
	buf_reset(&out);
	/* Else it may not have been taken. */
	if (has_address && memory_failures == failures)
		address_least = address_given;
}

/* --- Lies, none of which may be believed --- */

static void lie(struct http_transfer *transfer)
{
	static const char *const of_tokens[] = {
		"[]",
		"{\"accessToken\":\"\",\"expires_in\":60,\"apis\":5}",
		"{\"accessToken\":\"a\\nb\",\"expires_in\":60,\"apis\":{}}",
		"{\"accessToken\":\"liar\",\"expires_in\":60,\"apis\":{\"knowledge\":7}}",
		"{\"accessToken\":\"liar\",\"apis\":{\"knowledge\":\"ftp://a/\"}}",
		"{\"accessToken\":\"liar\",\"apis\":{\"knowledge\":\"http://192.0.2.7/km\"}}",
		"{\"accessToken\":\"liar\",\"apis\":{\"knowledge\":\"https://u@192.0.2.7/km\"}}",
	};
	static const char *const of_lists[] = {
		"{}",
		"{\"results\":null,\"hasMore\":false}",
		"{\"results\":[",
		"{\"results\":[{\"name\":\"x\",\"title\":\"x\"}],\"hasMore\":false}",
		"{\"results\":[{\"id\":{},\"title\":\"x\"}],\"hasMore\":false}",
		"{\"results\":[7],\"hasMore\":false}",
	};
	static const char *const of_contents[] = {
		"{\"results\":{}}",
		"{\"results\":[],\"hasMore\":true}",
		"{\"results\":[{\"id\":999,\"title\":\"x\"}],\"hasMore\":\"yes\"}",
		"{\"results\":[{\"id\":999,\"title\":\"x\"},{}],\"hasMore\":false}",
	};
	bool is_list = strstr(transfer->url, "/contents?");
	const char *text = RNG_PICK(of_lists);

	if (is_token(transfer) && strcmp(token_path(transfer), "/refreshToken") == 0)
		text = of_tokens[rng_below(3)];
	else if (is_token(transfer))
		text = RNG_PICK(of_tokens);
	else if (is_list && rng_percent(60))
		text = RNG_PICK(of_contents);
	else if (strstr(transfer->url, "/contents/") && rng_percent(50))
		text = "{\"results\":[{\"id\":999,\"title\":\"x\"}]}";
	transport_end_with_text(transfer, 200, -1, text);
}

/* --- Refusals of what is right --- */

static const struct refusal token[] = {{401, UNAUTHORIZED}, {403, DENIED}};
static const struct refusal forbidden[] = {
	{403, "{\"error\":{\"code\":403,\"message\":\"Forbidden\"}}"},
	{403, NO_PAIR},
	{404, ""},
};
static const struct refusal client[] = {{400, "{}"}, {401, UNAUTHORIZED}, {403, DENIED}};

const struct vendor_gate gate_inbenta = {
	.reset = reset,
	.is_token = is_token,
	.judge = judge,
	.answer = answer,
	.give_token = give_token,
	.move = move,
	.lie = lie,
	.token = REFUSALS(token),
	.forbidden = REFUSALS(forbidden),
	.client = REFUSALS(client),
};
