/* storage.c: the answers of storage: bytes of a version as its link's address names it, in ranges,
 * whole, or without a length; at once or after redirects; and all that is not to be believed. */
#include "vendor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CHUNK	 3000
#define HOPS_MAX 2 /* as README promises */
/* Where http.c does not connect to: a private network, and the API is not there. */
#define PRIVATE "https://10.0.0.7/s/"

#define BYTES_PERIOD 251

struct storage storage;
static unsigned char swapped[DOCUMENTS][STATES_MAX]; /* how often a version was */

void storage_pick(void)
{
	storage = (struct storage){.scheme_and_host = STORAGE_PLAIN};
	memset(swapped, 0, sizeof(swapped));
	if (!rng_percent(40))
		return;
	if (rng_percent(50))
		storage.kind = (enum storage_kind)rng_below(STORAGE_KINDS);
	storage.hops = rng_percent(50) ? 0 : 1 + rng_below(HOPS_MAX);
	storage.lies = rng_percent(50);
	storage.swaps = rng_percent(50) && vendor->ops->has_links;
	storage.bare_416 = rng_percent(50);
	/* Of a stream nothing else tells a change before its end. */
	storage.has_etags = rng_percent(50) || (storage.swaps && storage.kind == STORAGE_STREAM);
	if (rng_percent(50))
		storage.scheme_and_host = STORAGE_TLS;
}

/* --- Contents --- */

static unsigned mix(int document, unsigned version)
{
	return ((unsigned)document * 31 + version) * 2654435761u >> 8;
}

/* Without ETags only another length tells that the bytes are others. */
size_t storage_size(int document, unsigned version, unsigned generation)
{
	static const size_t sizes[] = {0, 1, 17, 300, 300, 300, 4096, 5000, 5000, 70000};

	/* More than what comes by one request, whose ranges may be of two generations. */
	static const size_t swapped_sizes[] = {300, 5000, 66000, 600000, 600000, STORAGE_SIZE_MAX};

	generation = storage.has_etags ? generation / 2 : generation * 3;
	generation += mix(document, version);
	return storage.swaps ? swapped_sizes[generation % COUNT(swapped_sizes)]
			     : sizes[generation % COUNT(sizes)];
}

/* All bytes are from one text, each version's from another place on. */
const char *storage_bytes(int document, unsigned version, unsigned generation)
{
	static char bytes[STORAGE_SIZE_MAX + STORAGE_SLACK + BYTES_PERIOD];

	if (!bytes[0]) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(1 + i * 31 % BYTES_PERIOD + i / 257);
	}
	return bytes + (mix(document, version) + 17 * generation) % BYTES_PERIOD;
}

unsigned storage_generations(int document, unsigned version)
{
	return 1u + swapped[document][version];
}

void storage_swap(void)
{
	int document = rng_percent(70) ? storage.latest : (int)rng_below(DOCUMENTS);
	unsigned version = world_now(&world.documents[document])->version;
	unsigned generation = storage_generations(document, version);

	if (generation == GENERATIONS)
		return;
	for (unsigned old = 0; !storage.has_etags && old < generation; old++) {
		if (storage_size(document, version, old) ==
		    storage_size(document, version, generation))
			return;
	}
	swapped[document][version]++;
	action("storage has other bytes of document %d, version %u", document, version);
}

/* --- Addresses --- */

static void read_address(const struct http_transfer *transfer, int *ret_document,
			 unsigned *ret_version, unsigned *ret_hop)
{
	const char *path = strstr(transfer->url, "/s/");

	*ret_hop = 0;
	CHECK(path && sscanf(path, "/s/%d-%u?sig=secret&hop=%u", ret_document, ret_version,
			     ret_hop) >= 2,
	      "link %s", transfer->url);
}

bool storage_is_private(const struct http_transfer *transfer)
{
	return strncmp(transfer->url, PRIVATE, strlen(PRIVATE)) == 0;
}

void storage_judge(struct http_transfer *transfer, const char *header)
{
	size_t len = strlen(storage.scheme_and_host);
	unsigned version;
	unsigned hop;
	int document;

	CHECK(storage_is_private(transfer) ||
		      (strncmp(transfer->url, storage.scheme_and_host, len) == 0 &&
		       strncmp(transfer->url + len, "/s/", 3) == 0),
	      "a request to another storage: %s", transfer->url);
	read_address(transfer, &document, &version, &hop);
	storage.latest = document;
	CHECK(hop <= HOPS_MAX, "redirect %u is followed", hop);
	if (!header)
		return;
	transfer->ranged = sscanf(header, "Range: bytes=%" SCNu64 "-%" SCNu64, &transfer->from,
				  &transfer->end) == 2;
	CHECK(transfer->ranged, "storage is told %s", header);
	transfer->asked_end = ++transfer->end;
}

/* --- Redirects --- */

static void redirect(struct http_transfer *transfer, const char *to)
{
	static const int statuses[] = {301, 302, 303, 307, 308};
	int status = RNG_PICK(statuses);

	action("  redirect to %s", to ? to : "nowhere");
	transport_end(transfer, &(struct http_response){
					.status = status,
					.retry_after_ms = -1,
					.body = BUF_INIT(HTTP_BODY_MAX),
					.head = {.status = status, .length = -1},
					.redirect = to,
				});
}

static void redirect_on(struct http_transfer *transfer, const char *scheme_and_host)
{
	char to[128];
	unsigned version;
	unsigned hop;
	int document;

	read_address(transfer, &document, &version, &hop);
	snprintf(to, sizeof(to), "%s/s/%d-%u?sig=secret&hop=%u", scheme_and_host, document, version,
		 hop + 1);
	redirect(transfer, to);
}

void storage_mislead(struct http_transfer *transfer)
{
	static const char *const refused[] = {
		"http://192.0.2.7", "http://storage.test",
		"ftp://127.0.0.1",  "https://user@storage.test",
		"file://",
	};

	switch (rng_below(5)) {
	case 0:
		redirect(transfer, NULL);
		return;
	case 1: /* one hop too many, if there were two */
		redirect_on(transfer, storage.scheme_and_host);
		return;
	case 2:
		redirect_on(transfer, "https://10.0.0.7");
		return;
	case 3: /* from https back to http, or an address that may be */
		redirect_on(transfer, STORAGE_PLAIN);
		return;
	default:
		redirect_on(transfer, RNG_PICK(refused));
	}
}

/* --- Bytes --- */

/* In pieces; stops when the sink has enough. */
void storage_go_on(struct http_transfer *transfer)
{
	struct http_response response = {
		.status = transfer->status, .retry_after_ms = -1, .body = BUF_INIT(1)};
	int error = 0;

	response.head.status = response.status;
	while (!error && transfer->sent < transfer->len) {
		size_t left = transfer->len - transfer->sent;
		size_t len = left < CHUNK ? left : CHUNK;

		error = transfer->sink->bytes(transfer->data, transfer->bytes + transfer->sent,
					      len);
		transfer->sent += error ? 0 : len;
	}
	transfer->paused = error == -EAGAIN;
	if (transfer->paused)
		return;
	response.error = error ? error : transfer->cut ? -EHOSTUNREACH : 0;
	transport_end(transfer, &response);
}

static void begin(struct http_transfer *transfer, const struct http_head *head, const char *bytes,
		  size_t len)
{
	int error = transfer->sink->head(transfer->data, head);

	if (error) {
		transport_end_with_error(transfer, error);
		return;
	}
	transfer->status = (int)head->status;
	transfer->bytes = bytes;
	transfer->len = len;
	storage_go_on(transfer);
}

static void give_no_range(struct http_transfer *transfer, size_t size)
{
	struct http_response response = {
		.status = 416, .retry_after_ms = -1, .body = BUF_INIT(HTTP_BODY_MAX)};

	response.head = (struct http_head){
		.status = 416, .has_range = !storage.bare_416, .range_total = size};
	transport_end(transfer, &response);
}

/* What a good answer's head says. False: it is no 200 or 206, and has been given. */
static bool make_head(struct http_transfer *transfer, struct http_head *head,
		      const char **ret_bytes)
{
	unsigned generation;
	unsigned version;
	unsigned hop;
	int document;
	size_t size;

	read_address(transfer, &document, &version, &hop);
	if (hop < storage.hops) {
		redirect_on(transfer, storage.scheme_and_host);
		return false;
	}
	generation = storage_generations(document, version) - 1;
	size = storage_size(document, version, generation);
	*ret_bytes = storage_bytes(document, version, generation);
	if (storage.kind != STORAGE_RANGES)
		transfer->ranged = false;
	if (!transfer->ranged)
		transfer->from = 0;
	if (transfer->ranged && transfer->from >= size) {
		give_no_range(transfer, size);
		return false;
	}
	if (!transfer->ranged || transfer->end > size)
		transfer->end = size;
	*head = (struct http_head){
		.status = transfer->ranged ? 206 : 200,
		.is_framed = true,
		.length = storage.kind == STORAGE_STREAM
				  ? -1
				  : (int64_t)(transfer->end - transfer->from),
		.etag = storage.has_etags ? 1 + (uint64_t)document * 1000 + version * 10 +
						    (uint64_t)generation
					  : 0,
		.has_range = transfer->ranged,
		.range_from = transfer->from,
		.range_end = transfer->end,
		.range_total = size,
	};
	return true;
}

void storage_give(struct http_transfer *transfer)
{
	struct http_head head;
	const char *bytes;

	if (make_head(transfer, &head, &bytes))
		begin(transfer, &head, bytes + transfer->from, transfer->end - transfer->from);
}

void storage_give_half(struct http_transfer *transfer)
{
	struct http_head head;
	const char *bytes;

	transfer->cut = true;
	if (make_head(transfer, &head, &bytes))
		begin(transfer, &head, bytes + transfer->from,
		      (transfer->end - transfer->from) / 2);
}

/* --- Lies --- */

void storage_lie(struct http_transfer *transfer)
{
	static const char wrong[STORAGE_SIZE_MAX]; /* bytes that no document has */
	struct http_head head;
	const char *bytes;
	size_t len;
	unsigned what;

	if (!make_head(transfer, &head, &bytes))
		return;
	len = transfer->end - transfer->from;
	what = rng_below(transfer->ranged ? 9 : 2);
	if (what == 4 && transfer->asked_end >= head.range_total)
		what = 3;
	action("  lie %u", what);
	switch (what) {
	case 0:
		head.is_encoded = true;
		break;
	case 1:
		head = (struct http_head){.status = 200, .length = -1};
		break;
	case 2:
		head.has_range = false;
		break;
	case 3:
		head.range_from++;
		head.range_end++;
		break;
	case 4:
		head.range_end = transfer->asked_end + 1;
		head.length++;
		break;
	case 5:
		head.length++;
		break;
	case 6:
		head.range_end = head.range_from;
		head.length = 0;
		break;
	case 7: /* the right ones, but not all, and no length that would tell */
		head.length = -1;
		begin(transfer, &head, bytes + transfer->from, len / 2);
		return;
	default: /* and more than all */
		head.length = -1;
		begin(transfer, &head, bytes + transfer->from, len + 1 + rng_below(STORAGE_SLACK));
		return;
	}
	begin(transfer, &head, wrong, len);
}
