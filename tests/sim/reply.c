/*
 * See reply.h. Sending: an answer that is not slow, cut or endless goes out from memory; the others
 * are read by MHD from a stream, piece by piece, in the connection's own thread.
 */
#include "reply.h"
#include "vendor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BLOCK   (64u << 10)
#define STREAM_TICKS   10   /* pieces per second of a slow body */
#define STREAM_MISSING 1000 /* bytes promised and not sent when the true body is empty */
#define REPLY_SELF     "{self}"
#define STREAM_ENDLESS "{\"id\":\"endless\",\"name\":\"and so on\"},"

struct stream {
	struct sim *sim;
	char *data; /* owned; NULL: read it */
	void (*read)(const struct sim *sim, const char *id, uint64_t offset, char *out, size_t n);
	char content_id[RNG_GUID_SIZE];
	uint64_t offset;
	uint64_t sendable; /* UINT64_MAX: endless */
	bool cut;	   /* after the sendable bytes the connection is cut */
	uint64_t bytes_per_second;
	uint64_t began_ms;
	uint64_t epoch;
	uint64_t *sent; /* counter of bytes, under the lock; NULL: not counted */
};

const char *request_header(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct query_search {
	const char *name;
	const char *value;
};

static enum MHD_Result query_match(void *cls, enum MHD_ValueKind kind, const char *name,
				   const char *value)
{
	struct query_search *search = cls;

	(void)kind;
	if (strcmp(name, search->name))
		return MHD_YES;
	search->value = value ? value : "";
	return MHD_NO;
}

const char *request_query(const struct request *request, const char *name)
{
	struct query_search search = {.name = name};

	MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, query_match, &search);
	return search.value;
}

bool request_query_names(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
					     strlen(name), NULL, NULL) == MHD_YES;
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
	reply_set(reply, status, sim->vendor->error_type);
	sim->vendor->problem(sim, &reply->body, status, detail);
}

void reply_refuse(struct reply *reply, struct sim *sim, enum refusal why, unsigned int status,
		  const char *detail)
{
	sim->stats.refused[why]++;
	reply_problem(reply, sim, status, detail);
	if (status == MHD_HTTP_UNAUTHORIZED)
		reply->challenge = "Bearer error=\"invalid_token\"";
}

void reply_add(struct reply *reply, const char *name, const char *value)
{
	size_t i = 0;

	while (i < REPLY_HEADERS_MAX && reply->header[i].name)
		i++;
	if (i == REPLY_HEADERS_MAX)
		return;
	reply->header[i].name = name;
	snprintf(reply->header[i].value, sizeof(reply->header[i].value), "%s", value);
}

/* The counter for the bytes of an answer; the control port's are not counted. */
static uint64_t *reply_counter(struct sim *sim, const struct request *request)
{
	return request->started ? &sim->stats.bytes[vendor_route_index(sim->vendor, request->route)]
				: NULL;
}

static void reply_count(struct sim *sim, uint64_t *counter, uint64_t n)
{
	if (!counter)
		return;
	pthread_mutex_lock(&sim->lock);
	*counter += n;
	pthread_mutex_unlock(&sim->lock);
}

/* Waits until the next piece is due, and says how long it is. */
static uint64_t stream_pace(const struct stream *stream, uint64_t pos, uint64_t n)
{
	uint64_t piece = stream->bytes_per_second / STREAM_TICKS + 1;

	if (n > piece)
		n = piece;
	uint64_t due = stream->began_ms + (pos + n) * 1000 / stream->bytes_per_second;
	uint64_t now = sim_now_ms();
	/* When faults are cleared meanwhile the rest goes out at full speed. */
	if (due > now)
		sim_wait(stream->sim, due - now, stream->epoch);
	return n;
}

static void stream_endless(uint64_t pos, char *out, uint64_t n)
{
	const char *unit = STREAM_ENDLESS;

	for (uint64_t i = 0; i < n; i++, pos++)
		out[i] = pos ? unit[(pos - 1) % (sizeof(STREAM_ENDLESS) - 1)] : '[';
}

/* Bytes count before they are sent, so that a client that has read them finds them counted. */
static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
	struct stream *stream = cls;
	uint64_t n = max;

	if (pos >= stream->sendable)
		return stream->cut ? MHD_CONTENT_READER_END_WITH_ERROR
				   : MHD_CONTENT_READER_END_OF_STREAM;
	if (n > stream->sendable - pos)
		n = stream->sendable - pos;
	if (stream->bytes_per_second)
		n = stream_pace(stream, pos, n);
	if (!stream->data)
		stream->read(stream->sim, stream->content_id, stream->offset + pos, out, n);
	else if (stream->sendable == UINT64_MAX)
		stream_endless(pos, out, n);
	else
		memcpy(out, stream->data + pos, n);
	reply_count(stream->sim, stream->sent, n);
	return (ssize_t)n;
}

static void stream_free(void *cls)
{
	struct stream *stream = cls;

	free(stream->data);
	free(stream);
}

/* Lets the fault act on the stream. Returns the length that the answer promises. */
static uint64_t stream_spoil(struct stream *stream, const struct fault *fault, uint64_t length)
{
	if (fault->kind == FAULT_TRUNCATE) {
		stream->sendable = length / 2;
		stream->cut = true;
		return length ? length : STREAM_MISSING;
	}
	if (fault->kind == FAULT_SLOW) {
		stream->bytes_per_second = fault->bytes_per_second;
		stream->epoch = fault->epoch;
	} else if (fault->kind == FAULT_ENDLESS) {
		stream->sendable = UINT64_MAX;
		return MHD_SIZE_UNKNOWN;
	}
	return length;
}

static struct MHD_Response *reply_stream(struct sim *sim, const struct request *request,
					 struct reply *reply)
{
	struct stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	uint64_t length = reply->length;
	memcpy(stream->content_id, reply->content_id, sizeof(stream->content_id));
	stream->read = reply->read;
	stream->offset = reply->offset;
	if (!reply->read) {
		length = reply->body.len;
		stream->data = buf_take(&reply->body, NULL);
	}
	stream->sim = sim;
	stream->sendable = length;
	stream->bytes_per_second = reply->bytes_per_second;
	stream->began_ms = sim_now_ms();
	stream->epoch = UINT64_MAX;
	stream->sent = reply_counter(sim, request);
	length = stream_spoil(stream, &request->fault, length);
	size_t block = length < STREAM_BLOCK ? length + 1 : STREAM_BLOCK;
	if (reply->chunked)
		length = MHD_SIZE_UNKNOWN;
	struct MHD_Response *response = NULL;
	if (stream->read || stream->data)
		response = MHD_create_response_from_callback(length, block, stream_read, stream,
							     stream_free);
	if (!response)
		stream_free(stream);
	return response;
}

/* HTTP has answers whose body is not sent. */
static bool reply_has_body(const struct request *request, const struct reply *reply)
{
	return strcmp(request->method, "HEAD") && reply->status != MHD_HTTP_NO_CONTENT &&
	       reply->status != MHD_HTTP_NOT_MODIFIED;
}

static struct MHD_Response *reply_memory(struct sim *sim, const struct request *request,
					 struct reply *reply)
{
	size_t len;
	char *data = buf_take(&reply->body, &len);
	if (!data)
		return NULL;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(data);
	else if (reply_has_body(request, reply))
		reply_count(sim, reply_counter(sim, request), len);
	return response;
}

static bool reply_add_header(struct MHD_Response *response, const char *name, const char *value)
{
	return !value || !*value || MHD_add_response_header(response, name, value) == MHD_YES;
}

/*
 * Where a redirect leads. {self} is the path and query of the request itself, marked with the
 * number of the redirect in place of an earlier one's mark.
 */
static bool reply_add_location(struct MHD_Response *response, const struct request *request)
{
	const char *location = request->fault.location;
	const char *self = strstr(location, REPLY_SELF);

	if (!self)
		return reply_add_header(response, MHD_HTTP_HEADER_LOCATION, location);
	const char *uri = request->uri;
	const char *marked = strstr(uri, "?" REPLY_HOP "=");
	if (!marked)
		marked = strstr(uri, "&" REPLY_HOP "=");
	size_t n = marked ? (size_t)(marked - uri) : strlen(uri);
	struct buf url = {0};
	buf_add(&url, location, (size_t)(self - location));
	buf_add(&url, uri, n);
	buf_add_format(&url, "%c" REPLY_HOP "=%" PRIu64, memchr(uri, '?', n) ? '&' : '?',
		       request->fault.fired);
	buf_add_str(&url, self + strlen(REPLY_SELF));
	bool added = !url.failed && reply_add_header(response, MHD_HTTP_HEADER_LOCATION, url.data);
	buf_free(&url);
	return added;
}

enum MHD_Result reply_send(struct sim *sim, const struct request *request, struct reply *reply)
{
	const struct fault *fault = &request->fault;
	bool streamed = reply->read || fault->kind == FAULT_TRUNCATE || fault->kind == FAULT_SLOW ||
			fault->kind == FAULT_ENDLESS;
	struct MHD_Response *response =
		streamed ? reply_stream(sim, request, reply) : reply_memory(sim, request, reply);
	const struct {
		const char *name;
		const char *value; /* NULL or empty: no header */
	} headers[] = {
		{MHD_HTTP_HEADER_CONTENT_TYPE, reply->type},
		{MHD_HTTP_HEADER_ALLOW, reply->allow},
		{MHD_HTTP_HEADER_WWW_AUTHENTICATE, reply->challenge},
		{MHD_HTTP_HEADER_CONTENT_ENCODING, reply->encoding},
		{MHD_HTTP_HEADER_CONTENT_RANGE, reply->content_range},
		{MHD_HTTP_HEADER_ETAG, reply->etag},
		{MHD_HTTP_HEADER_RETRY_AFTER, fault->retry_after},
		{MHD_HTTP_HEADER_ACCEPT_RANGES, reply->accept_ranges ? "bytes" : NULL},
	};
	bool good = response && reply_add_location(response, request);

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]) && good; i++)
		good = reply_add_header(response, headers[i].name, headers[i].value);
	for (size_t i = 0; i < REPLY_HEADERS_MAX && reply->header[i].name && good; i++)
		good = reply_add_header(response, reply->header[i].name, reply->header[i].value);
	enum MHD_Result result =
		good ? MHD_queue_response(request->connection, reply->status, response) : MHD_NO;
	if (response)
		MHD_destroy_response(response);
	buf_free(&reply->body);
	return result;
}
