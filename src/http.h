/* http.h: HTTP requests on the loop. The only user of libcurl.
 *
 * There are two of them, with connections of their own: one for the API and one for storage, whose
 * requests are bare. One multi handle owns the connections; each request has a fresh easy handle,
 * so nothing of one request (headers, credentials) can leak into the next. No redirect is followed
 * here: curl would take custom headers such as the tenant's along to another host. TLS is always
 * verified, 1.2 or later; there is no switch for that. Bodies are bounded by HTTP_BODY_MAX or taken
 * by a sink as they come, headers by HTTP_HEADERS_BYTES_MAX, time by the timeouts. */
#ifndef IBINDERFS_HTTP_H
#define IBINDERFS_HTTP_H

#include "buf.h"
#include "secret.h"
#include "url.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Largest body taken, after decompression: 64 KiB for each of 250 documents. */
#define HTTP_BODY_MAX (16 * 1024 * 1024)
/* Most bytes of headers taken; usual is 1 KiB. */
#define HTTP_HEADERS_BYTES_MAX (64 * 1024)
/* Longest Retry-After obeyed; a longer one counts as this. */
#define HTTP_RETRY_AFTER_MAX_MS (5 * 60 * 1000)
#define HTTP_HEADERS_MAX	4
/* Of an answer that is no part of a document: its beginning may say why. */
#define HTTP_STORAGE_TEXT_MAX 4096

enum http_kind {
	HTTP_API,
	HTTP_STORAGE, /* no Accept, no compression: ranges count the bytes as they are stored */
};

/* What the head of an answer says of its body. */
struct http_head {
	long status;
	int64_t length;	 /* Content-Length; -1: not told */
	bool is_framed;	 /* a body that was cut off can be told from a whole one */
	bool is_encoded; /* Content-Encoding: not the bytes as they are stored */
	uint64_t etag;	 /* hash of a strong ETag; 0: none */
	bool has_range;	 /* Content-Range could be read, and names the total */
	uint64_t range_from;
	uint64_t range_end; /* exclusive; equal to range_from if the range asked cannot be had */
	uint64_t range_total;
};

/* Takes the body of a 200 or 206 as it comes; others are collected. Called from the loop, or
 * from http_resume. */
struct http_sink {
	/* Before the first byte, or at the end if there is none. Returns 0 or -errno. */
	int (*head)(void *data, const struct http_head *head);
	/* Returns 0, -EAGAIN (nothing taken: pause until http_resume), or -errno. */
	int (*bytes)(void *data, const char *bytes, size_t len);
};

struct http_request {
	const char *method;		 /* "GET" or "POST"; static */
	char *url;			 /* owned */
	char *body;			 /* owned; NULL for none; overwritten before it is freed */
	size_t body_len;		 /* bytes */
	const char *content_type;	 /* of the body; static */
	char *headers[HTTP_HEADERS_MAX]; /* owned, "Name: value" */
	bool fresh_connection;		 /* do not reuse one: the last try failed on the network */
	const struct http_sink *sink;	 /* static; called with the data of `done`; or NULL */
};

struct http;
struct http_transfer;

struct http_response {
	int error;		/* 0, or -errno: there is no answer to look at */
	char text[256];		/* for an error: what happened, fit for showing */
	long status;		/* HTTP status */
	struct buf body;	/* bytes as sent, decompressed */
	int64_t retry_after_ms; /* -1: the server named none */
	bool http2;
	struct http_head head;
	/* Of a redirect: its target, a secret; curl's, valid until `done` returns. Or NULL. */
	const char *redirect;
	const struct http_transfer *transfer; /* for http_header */
};

/* Once, before all else here and before any thread. Returns 0 or -ENOMEM. */
int http_global_init(void);
void http_global_fini(void);

/* `timeout_ms`: for connecting, and for how long less than 1 kB/s is suffered; a whole transfer may
 * take six times as long, or for ever if a sink takes it. ca_file and proxy may be NULL. `home`
 * judges whom to connect to, and must outlive what is returned; where a proxy connects, it alone
 * knows whom. Returns 0 or -errno. */
int http_new(uv_loop_t *loop, enum http_kind kind, int64_t timeout_ms, size_t connections,
	     const char *ca_file, const char *proxy, struct url_home *home, struct http **ret_http);
/* Cancels what is under way. Memory is released once the loop has run again. NULL is legal. */
void http_free(struct http *http);

/* Sends; `request` may be freed at once, `bearer` may be NULL. `done` is called exactly once, from
 * the loop and never from inside http_send, unless http_cancel comes first; the response is the
 * callee's to read until it returns, and it may take the body by moving it out.
 * Returns 0 or -ENOMEM. */
int http_send(struct http *http, const struct http_request *request, const struct secret *bearer,
	      void (*done)(void *data, struct http_response *response), void *data,
	      struct http_transfer **ret_transfer);
void http_cancel(struct http_transfer *transfer);
/* Goes on after a pause. May call the sink. */
void http_resume(struct http_transfer *transfer);

/* Whether a response says that the server or the way to it is down, rather than something else. */
bool http_server_failed(const struct http_response *response);

/* The value of an answer's header, or NULL. Valid until the next call. */
const char *http_header(const struct http_response *response, const char *name);

/* Whether these bytes may stand in a header as a bearer token. RFC 6750, 2.1: only visible ASCII.
 * Anything else could end the header early. */
bool http_is_bearer(const char *bytes, size_t len);

void http_request_fini(struct http_request *request);
/* Adds "name: value". Returns 0, -ENOMEM, or -E2BIG. */
int http_request_header(struct http_request *request, const char *name, const char *value);

/* Reads a Content-Range (RFC 9110, 14.4), "bytes 0-99/1234" or "bytes * /1234" without the blank,
 * into the range_ members and has_range. */
void http_parse_content_range(const char *value, struct http_head *head);

/* Appends `text` percent-encoded: all but unreserved characters (RFC 3986). */
int http_escape(struct buf *out, const char *text, size_t len);

/* Milliseconds from `wall_now_s` (Unix seconds) that a Retry-After asks for: delta seconds or an
 * HTTP date (RFC 9110, 10.2.3), at most HTTP_RETRY_AFTER_MAX_MS; -1 if it says nothing useful. */
int64_t http_parse_retry_after(const char *value, int64_t wall_now_s);

#endif
