/* See storage.h. */
#include "storage.h"
#include "ibinder.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>

#define STORAGE_BLOCK	     64 /* contents are made in blocks of this many bytes */
#define STORAGE_DIGITS	     12
#define STORAGE_BINARY_EVERY 4	  /* every fourth block is not text */
#define STORAGE_LONGER	     1000 /* bytes more of a file that pretends to be longer */

static uint64_t storage_hash(uint64_t seed, const char *s)
{
	for (; *s; s++)
		seed = rng_mix(seed ^ (unsigned char)*s);
	return seed;
}

static uint64_t storage_sign(const struct sim *sim, const char *version_id, uint64_t expires)
{
	return rng_mix(storage_hash(ibinder_of(sim)->link_key, version_id) ^ expires);
}

void storage_link(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_document *document =
		org_find_document(&ibinder_of(sim)->org, request->id[0]);
	const struct org_version *version =
		document ? org_document_version(document, request->id[1]) : NULL;
	uint64_t expires = sim_now_ms_wall() + ibinder_of(sim)->settings.link_life_s * 1000;
	struct buf url = {0};

	if (!version) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	if (*ibinder_of(sim)->settings.storage_base)
		buf_add_str(&url, ibinder_of(sim)->settings.storage_base);
	else
		buf_add_format(&url, "http://127.0.0.1:%u/storage", sim->port);
	buf_add_format(&url, "/%s?sig=%016" PRIx64 "&exp=%" PRIu64, version->id,
		       storage_sign(sim, version->id, expires), expires);
	reply_set(reply, MHD_HTTP_OK, "application/json; charset=utf-8");
	buf_add_str(&reply->body, "{\"url\":");
	if (url.failed)
		reply->body.failed = true;
	else
		text_add_literal(&reply->body, url.data, url.len);
	buf_add_char(&reply->body, '}');
	buf_free(&url);
}

/* A line of words; it begins with its place in hexadecimal, the first one with what it is. */
static void storage_line(const char *version_id, struct rng rng, uint64_t block,
			 char out[STORAGE_BLOCK])
{
	static const char digits[] = "0123456789abcdef";
	char head[STORAGE_BLOCK];

	for (size_t i = 0; i < STORAGE_BLOCK; i += sizeof(uint64_t)) {
		/* Eight letters of 'a' to 'p' by one number: contents must be cheap. */
		uint64_t word = (rng_next(&rng) & 0x0f0f0f0f0f0f0f0fu) + 0x6161616161616161u;

		memcpy(out + i, &word, sizeof(word));
		out[i + sizeof(word) - 1] = ' ';
	}
	out[STORAGE_BLOCK - 1] = '\n';
	if (!block) {
		int n = snprintf(head, sizeof(head), "%%PDF-1.7\n%% version %s\n", version_id);

		memcpy(out, head, (size_t)n);
		return;
	}
	for (unsigned int i = 0; i < STORAGE_DIGITS; i++)
		out[i] = digits[(block * STORAGE_BLOCK >> 4 * (STORAGE_DIGITS - 1 - i)) & 0xf];
	out[STORAGE_DIGITS] = ' ';
}

static void storage_block(const char *version_id, bool text, uint64_t seed, uint64_t block,
			  char out[STORAGE_BLOCK])
{
	struct rng rng = {.state = rng_mix(seed ^ block)};

	if (text || block % STORAGE_BINARY_EVERY != STORAGE_BINARY_EVERY - 1) {
		storage_line(version_id, rng, block, out);
		return;
	}
	for (size_t i = 0; i < STORAGE_BLOCK; i += sizeof(uint64_t)) {
		uint64_t word = rng_next(&rng);

		memcpy(out + i, &word, sizeof(word));
	}
}

void storage_read(const struct sim *sim, const char *version_id, uint64_t offset, char *out,
		  size_t n)
{
	bool text = ibinder_of(sim)->org.options.text_content;
	uint64_t seed = storage_hash(0, version_id);
	char bytes[STORAGE_BLOCK];

	while (n) {
		size_t skip = offset % STORAGE_BLOCK;
		size_t part = STORAGE_BLOCK - skip < n ? STORAGE_BLOCK - skip : n;

		if (part == STORAGE_BLOCK) {
			storage_block(version_id, text, seed, offset / STORAGE_BLOCK, out);
		} else {
			storage_block(version_id, text, seed, offset / STORAGE_BLOCK, bytes);
			memcpy(out, bytes + skip, part);
		}
		out += part;
		offset += part;
		n -= part;
	}
}

/* Object stores answer in XML. */
static void storage_refuse(struct sim *sim, struct reply *reply, enum refusal why,
			   unsigned int status, const char *code)
{
	sim->stats.refused[why]++;
	reply_set(reply, status, "application/xml");
	buf_add_format(&reply->body,
		       "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code></Error>",
		       code);
}

/*
 * Reads "bytes=A-B", "bytes=A-" or "bytes=-N" against the size. Returns 200 if there is no single
 * range to obey, 206 with the part, or 416.
 */
static unsigned int storage_range(const char *header, uint64_t size, uint64_t *ret_offset,
				  uint64_t *ret_length)
{
	uint64_t first, last = UINT64_MAX;
	char text[REPLY_RANGE_MAX];

	if (!header || strncasecmp(header, "bytes=", 6) || strlen(header + 6) >= sizeof(text))
		return MHD_HTTP_OK;
	memcpy(text, header + 6, strlen(header + 6) + 1);
	char *dash = strchr(text, '-');
	if (!dash)
		return MHD_HTTP_OK;
	*dash++ = '\0';
	if (*dash && text_parse_number(dash, UINT64_MAX, &last))
		return MHD_HTTP_OK;
	if (!*text) {
		if (!*dash)
			return MHD_HTTP_OK;
		first = last < size ? size - last : 0;
		if (!last)
			return MHD_HTTP_RANGE_NOT_SATISFIABLE;
		last = UINT64_MAX;
	} else if (text_parse_number(text, UINT64_MAX, &first) || last < first) {
		return MHD_HTTP_OK;
	}
	if (first >= size)
		return MHD_HTTP_RANGE_NOT_SATISFIABLE;
	*ret_offset = first;
	*ret_length = (last < size ? last + 1 : size) - first;
	return MHD_HTTP_PARTIAL_CONTENT;
}

/* What of a version is sent, and as what. */
struct storage_part {
	unsigned int status;
	uint64_t offset;
	uint64_t length;
	uint64_t total; /* of the version, or so the answer says */
};

/* Another start, with as many bytes if there are; a single byte has no other start. */
static void storage_move(struct storage_part *part)
{
	uint64_t after = part->total - part->offset - part->length;

	if (after) {
		part->offset += after < part->length ? after : part->length;
	} else if (part->offset) {
		part->offset -= part->offset < part->length ? part->offset : part->length;
	} else if (part->length > 1) {
		part->offset++;
		part->length--;
	}
}

static void storage_spoil(enum fault_kind kind, struct storage_part *part)
{
	bool ranged = part->status == MHD_HTTP_PARTIAL_CONTENT;

	if (kind == FAULT_WRONG_RANGE && ranged)
		storage_move(part);
	else if (kind == FAULT_SHORT_RANGE && ranged)
		part->length -= part->length / 2;
	else if (kind == FAULT_OTHER_LENGTH)
		part->total += STORAGE_LONGER;
	if (part->status == MHD_HTTP_OK)
		part->length = part->total;
}

static void storage_etag(const struct org_version *version, bool other, struct reply *reply)
{
	uint64_t tag = rng_mix(storage_hash(0, version->id) ^ version->size);

	snprintf(reply->etag, sizeof(reply->etag), "\"%016" PRIx64 "\"", tag + other);
}

static void storage_content(struct sim *sim, const struct request *request,
			    const struct org_version *version, struct reply *reply)
{
	const struct ibinder_settings *settings = &ibinder_of(sim)->settings;
	enum fault_kind fault = request->fault.kind;
	struct storage_part part = {.status = MHD_HTTP_OK, .total = version->size};

	if (settings->storage_range && fault != FAULT_IGNORE_RANGE)
		part.status = storage_range(request_header(request, "Range"), version->size,
					    &part.offset, &part.length);
	storage_spoil(fault, &part);
	reply_set(reply, part.status, "application/octet-stream");
	reply->accept_ranges = settings->storage_range;
	if (part.status == MHD_HTTP_RANGE_NOT_SATISFIABLE) {
		if (settings->storage_416 == IBINDER_416_RANGE)
			snprintf(reply->content_range, sizeof(reply->content_range),
				 "bytes */%" PRIu64, part.total);
		return;
	}
	reply->read = storage_read;
	memcpy(reply->content_id, version->id, sizeof(reply->content_id));
	reply->offset = part.offset;
	reply->length = part.length;
	reply->bytes_per_second = settings->storage_rate;
	reply->encoding = fault == FAULT_ENCODED ? "gzip" : NULL;
	if (settings->storage_etag || fault == FAULT_OTHER_ETAG)
		storage_etag(version, fault == FAULT_OTHER_ETAG, reply);
	if (part.status == MHD_HTTP_OK)
		reply->chunked = !settings->storage_length;
	else if (fault != FAULT_NO_CONTENT_RANGE)
		snprintf(reply->content_range, sizeof(reply->content_range),
			 "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, part.offset,
			 part.offset + part.length - 1, part.total);
}

static bool storage_link_holds(const struct sim *sim, const struct request *request)
{
	const char *signature = request_query(request, "sig");
	const char *expires_text = request_query(request, "exp");
	char expected[17];
	uint64_t expires;

	if (!signature || text_parse_number(expires_text, UINT64_MAX, &expires))
		return false;
	snprintf(expected, sizeof(expected), "%016" PRIx64,
		 storage_sign(sim, request->id[0], expires));
	return !strcmp(signature, expected) && sim_now_ms_wall() < expires;
}

void storage_answer(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_version *version = org_find_version(&ibinder_of(sim)->org, request->id[0]);

	if (strcmp(request->method, "GET")) /* the link is signed for GET alone */
		storage_refuse(sim, reply, REFUSED_METHOD, MHD_HTTP_FORBIDDEN,
			       "SignatureDoesNotMatch");
	else if (request_header(request, "Authorization") ||
		 request_header(request, "x-ibinder-tenantid") || request_header(request, "Cookie"))
		storage_refuse(sim, reply, REFUSED_LINK, MHD_HTTP_BAD_REQUEST, "InvalidArgument");
	else if (!storage_link_holds(sim, request))
		storage_refuse(sim, reply, REFUSED_LINK, MHD_HTTP_FORBIDDEN, "AccessDenied");
	else if (!version)
		storage_refuse(sim, reply, REFUSED_ID, MHD_HTTP_NOT_FOUND, "NoSuchKey");
	else
		storage_content(sim, request, version, reply);
}
