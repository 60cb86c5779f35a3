/* See storage.h. */
#include "storage.h"
#include "text.h"

#include <inttypes.h>
#include <string.h>

#define STORAGE_BLOCK	     64 /* contents are made in blocks of this many bytes */
#define STORAGE_BINARY_EVERY 4	/* every fourth block is not text */

static uint64_t storage_hash(uint64_t seed, const char *s)
{
	for (; *s; s++)
		seed = rng_mix(seed ^ (unsigned char)*s);
	return seed;
}

static uint64_t storage_sign(const struct sim *sim, const char *version_id, uint64_t expires)
{
	return rng_mix(storage_hash(sim->link_key, version_id) ^ expires);
}

void storage_link(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct org_document *document = org_find_document(&sim->org, request->id[0]);
	const struct org_version *version =
		document ? org_document_version(document, request->id[1]) : NULL;
	uint64_t expires = sim_now_ms_wall() + sim->settings.link_life_s * 1000;
	struct buf url = {0};

	if (!version) {
		reply_refuse(reply, sim, REFUSED_ID, MHD_HTTP_NOT_FOUND, NULL);
		return;
	}
	if (*sim->settings.storage_base)
		buf_add_str(&url, sim->settings.storage_base);
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

static void storage_block(const char *version_id, bool text, uint64_t seed, uint64_t block,
			  char out[STORAGE_BLOCK])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz     .";
	struct rng rng = {.state = rng_mix(seed ^ block)};
	char head[STORAGE_BLOCK];
	size_t from = 0;

	if (!text && block % STORAGE_BINARY_EVERY == STORAGE_BINARY_EVERY - 1) {
		for (size_t i = 0; i < STORAGE_BLOCK; i++)
			out[i] = (char)rng_next(&rng);
		return;
	}
	if (block)
		from = (size_t)snprintf(head, sizeof(head), "%010" PRIu64 " ",
					block * STORAGE_BLOCK);
	else
		from = (size_t)snprintf(head, sizeof(head), "%%PDF-1.7\n%% version %s\n",
					version_id);
	memcpy(out, head, from);
	for (size_t i = from; i < STORAGE_BLOCK - 1; i++)
		out[i] = letters[rng_next(&rng) % (sizeof(letters) - 1)];
	out[STORAGE_BLOCK - 1] = '\n';
}

void storage_read(const struct sim *sim, const char *version_id, uint64_t offset, char *out,
		  size_t n)
{
	uint64_t seed = storage_hash(0, version_id);
	char bytes[STORAGE_BLOCK];

	while (n) {
		size_t skip = offset % STORAGE_BLOCK;
		size_t part = STORAGE_BLOCK - skip < n ? STORAGE_BLOCK - skip : n;

		storage_block(version_id, sim->org.options.text_content, seed,
			      offset / STORAGE_BLOCK, bytes);
		memcpy(out, bytes + skip, part);
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

static void storage_content(struct sim *sim, const struct request *request,
			    const struct org_version *version, struct reply *reply)
{
	unsigned int status = MHD_HTTP_OK;

	reply->length = version->size;
	reply->accept_ranges = sim->settings.storage_range;
	if (sim->settings.storage_range)
		status = storage_range(request_header(request, "Range"), version->size,
				       &reply->offset, &reply->length);
	reply_set(reply, status, "application/octet-stream");
	if (status == MHD_HTTP_RANGE_NOT_SATISFIABLE) {
		snprintf(reply->content_range, sizeof(reply->content_range), "bytes */%" PRIu64,
			 version->size);
		return;
	}
	memcpy(reply->version_id, version->id, sizeof(reply->version_id));
	if (status == MHD_HTTP_PARTIAL_CONTENT)
		snprintf(reply->content_range, sizeof(reply->content_range),
			 "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, reply->offset,
			 reply->offset + reply->length - 1, version->size);
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
	const struct org_version *version = org_find_version(&sim->org, request->id[0]);

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
