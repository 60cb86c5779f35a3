/*
 * See reply.h. Sending: an answer that is not slow, cut or endless goes out from memory; the others
 * are read by MHD from a stream, piece by piece, in the connection's own thread.
 */
#include "reply.h"
#include "storage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BLOCK   (64u << 10)
#define STREAM_TICKS   10   /* pieces per second of a slow body */
#define STREAM_MISSING 1000 /* bytes promised and not sent when the true body is empty */
#define STREAM_ENDLESS "{\"id\":\"endless\",\"name\":\"and so on\"},"

struct stream {
	struct sim *sim;
	char *data; /* owned; NULL for the content of a version */
	char version_id[RNG_GUID_SIZE];
	uint64_t offset;
	uint64_t sendable; /* what comes before the connection is cut */
	uint64_t bytes_per_second;
	uint64_t epoch;
	bool endless;
};

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const struct request *request, const char *name)
{
	const char *value = NULL;

	if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
					  strlen(name), &value, NULL) != MHD_YES)
		return NULL;
	return value ? value : "";
}

void request_add_body(struct request *request, const char *bytes, size_t n)
{
	if (request->body.len + n > REQUEST_BODY_MAX)
		request->body_too_large = true;
	else
		buf_add(&request->body, bytes, n);
}

void request_free(struct request *request)
{
	if (!request)
		return;
	buf_free(&request->body);
	free(request->uri);
	free(request);
}

bool request_has_type(const struct request *request, const char *type)
{
	const char *header = request_header(request, "Content-Type");
	size_t n = strlen(type);

	return header && !strncasecmp(header, type, n) && strchr("; \t", header[n]);
}

void reply_set(struct reply *reply, unsigned int status, const char *type)
{
	reply->status = status;
	reply->type = type;
	reply->body.len = 0;
}

void reply_problem(struct reply *reply, struct sim *sim, unsigned int status, const char *detail)
{
	unsigned int chapter = status >= 500 ? 6 : 5;
	struct buf *body = &reply->body;

	reply_set(reply, status, "application/problem+json; charset=utf-8");
	buf_add_format(body, "{\"type\":\"https://tools.ietf.org/html/rfc9110#section-15.%u.%u\"",
		       chapter, status % 100 + 1);
	buf_add_format(body, ",\"title\":\"%s\",\"status\":%u", MHD_get_reason_phrase_for(status),
		       status);
	buf_add_format(body, ",\"traceId\":\"00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-00\"",
		       rng_mix(sim->link_key ^ sim->trace), rng_mix(sim->trace + 1),
		       rng_mix(~sim->trace));
	sim->trace++;
	if (detail)
		buf_add_format(body, ",\"errors\":{\"request\":[\"%s\"]}", detail);
	buf_add_char(body, '}');
}

void reply_refuse(struct reply *reply, struct sim *sim, enum refusal why, unsigned int status,
		  const char *detail)
{
	sim->stats.refused[why]++;
	reply_problem(reply, sim, status, detail);
	if (status == MHD_HTTP_UNAUTHORIZED)
		reply->challenge = "Bearer error=\"invalid_token\"";
}

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
	struct stream *stream = cls;
	uint64_t n = max;

	if (stream->endless) {
		const char *unit = STREAM_ENDLESS;

		for (size_t i = 0; i < max; i++, pos++)
			out[i] = pos ? unit[(pos - 1) % (sizeof(STREAM_ENDLESS) - 1)] : '[';
		return (ssize_t)max;
	}
	if (pos >= stream->sendable)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n > stream->sendable - pos)
		n = stream->sendable - pos;
	if (stream->bytes_per_second) {
		uint64_t piece = stream->bytes_per_second / STREAM_TICKS + 1;

		if (n > piece)
			n = piece;
		/* When faults are cleared meanwhile the rest goes out at full speed. */
		sim_wait(stream->sim, n * 1000 / stream->bytes_per_second, stream->epoch);
	}
	if (stream->data)
		memcpy(out, stream->data + pos, n);
	else
		storage_read(stream->sim, stream->version_id, stream->offset + pos, out, n);
	return (ssize_t)n;
}

static void stream_free(void *cls)
{
	struct stream *stream = cls;

	free(stream->data);
	free(stream);
}

static struct MHD_Response *reply_stream(struct sim *sim, const struct fault *fault,
					 struct reply *reply)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	uint64_t length = reply->length;
	memcpy(stream->version_id, reply->version_id, sizeof(stream->version_id));
	stream->offset = reply->offset;
	if (!*reply->version_id) {
		length = reply->body.len;
		stream->data = buf_take(&reply->body, NULL);
	}
	stream->sim = sim;
	stream->sendable = length;
	stream->epoch = UINT64_MAX;
	if (fault->kind == FAULT_TRUNCATE) {
		stream->sendable = length / 2;
		length = length ? length : STREAM_MISSING;
	} else if (fault->kind == FAULT_SLOW) {
		stream->bytes_per_second = fault->bytes_per_second;
		stream->epoch = fault->epoch;
	} else if (fault->kind == FAULT_ENDLESS) {
		stream->endless = true;
		length = MHD_SIZE_UNKNOWN;
	}
	struct MHD_Response *response = NULL;
	if (*stream->version_id || stream->data)
		response = MHD_create_response_from_callback(length, STREAM_BLOCK, stream_read,
							     stream, stream_free);
	if (!response)
		stream_free(stream);
	return response;
}

static struct MHD_Response *reply_memory(struct reply *reply)
{
	size_t len;
	char *data = buf_take(&reply->body, &len);
	if (!data)
		return NULL;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(data);
	return response;
}

static bool reply_add_header(struct MHD_Response *response, const char *name, const char *value)
{
	return !value || !*value || MHD_add_response_header(response, name, value) == MHD_YES;
}

enum MHD_Result reply_send(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct fault *fault = &request->fault;
	bool streamed = *reply->version_id || fault->kind == FAULT_TRUNCATE ||
			fault->kind == FAULT_SLOW || fault->kind == FAULT_ENDLESS;
	struct MHD_Response *response =
		streamed ? reply_stream(sim, fault, reply) : reply_memory(reply);
	enum MHD_Result result = MHD_NO;

	if (response && reply_add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type) &&
	    reply_add_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow) &&
	    reply_add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge) &&
	    reply_add_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, reply->content_range) &&
	    reply_add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, fault->retry_after) &&
	    reply_add_header(response, MHD_HTTP_HEADER_LOCATION, fault->location) &&
	    reply_add_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES,
			     reply->accept_ranges ? "bytes" : NULL))
		result = MHD_queue_response(request->connection, reply->status, response);
	if (response)
		MHD_destroy_response(response);
	buf_free(&reply->body);
	return result;
}
