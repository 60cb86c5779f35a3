/* http.c: libcurl's multi interface driven by libuv.
 *
 * Owns the multi handle, its connections, and one poll handle for each of curl's sockets. A
 * transfer is freed when its `done` has been called or http_cancel is. */
#include "http.h"

#include "cleanup.h"
#include "hash.h"
#include "log.h"
#include "loop.h"

#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* Slower than this for `timeout` counts as dead (the bound CernVM-FS uses). */
#define LOW_SPEED_BYTES_PER_S 1024L
/* A whole transfer may take this many times the timeout. */
#define TRANSFER_TIMEOUTS     6
#define TRANSFERS_CONNECT_MAX 256L
/* Room is made at once for a body that says to be so long: a server may lie. */
#define BODY_EXPECTED_MAX (1024 * 1024)
/* Document bytes come in larger pieces than answers. */
#define STORAGE_RECEIVE_BYTES (256 * 1024L)

struct http {
	CURLM *multi; /* NULL: it failed; the next request makes another */
	uv_loop_t *loop;
	uv_timer_t timer;
	enum http_kind kind;
	int64_t timeout_ms;
	long connections_max;
	char *ca_file; /* owned, or NULL */
	char *proxy;   /* owned, or NULL */
	bool proxied;  /* perhaps: no_proxy may say otherwise */
	struct url_home *home;
	struct http_transfer *transfers; /* all under way, doubly linked */
};

struct http_transfer {
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	char *body; /* what is sent; owned, overwritten before it is freed */
	size_t body_len;
	size_t headers_len; /* bytes of headers received */
	const struct http_sink *sink;
	bool head_told;	   /* to the sink */
	bool enough;	   /* of an answer that the sink does not take */
	size_t dropped;	   /* bytes of it */
	int refused_error; /* what the sink said */
	int peer_error;	   /* why the address that a name has is not connected to */
	struct http_response response;
	char curl_text[CURL_ERROR_SIZE];
	void (*done)(void *data, struct http_response *response);
	void *data;
	struct http_transfer *next;
	struct http_transfer **link; /* what points here */
};

/* One of curl's sockets. Freed by the loop once closed. */
struct http_socket {
	uv_poll_t poll;
	struct http *http;
	curl_socket_t fd;
};

static void transfer_free(struct http_transfer *transfer)
{
	struct curl_slist *header;

	*transfer->link = transfer->next;
	if (transfer->next)
		transfer->next->link = transfer->link;
	curl_multi_remove_handle(transfer->http->multi, transfer->easy);
	curl_easy_cleanup(transfer->easy);
	for (header = transfer->headers; header; header = header->next)
		explicit_bzero(header->data, strlen(header->data)); /* the bearer token */
	curl_slist_free_all(transfer->headers);
	if (transfer->body)
		explicit_bzero(transfer->body, transfer->body_len);
	free(transfer->body);
	/* A token answer may be among them. */
	buf_wipe(&transfer->response.body);
	free(transfer);
}

/* The errno that a failed transfer shows to users: see DESIGN "Errors are errno". */
static int errno_of(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return -EPROTO;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EBADMSG;
	default:
		return -EHOSTUNREACH;
	}
}

/* One line a request, for those who look for the cause of something. */
static void log_transfer(const struct http_transfer *transfer)
{
	const struct http_response *response = &transfer->response;
	const char *method = "";
	const char *url = "";
	char shown[256];
	curl_off_t took_us = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_METHOD, &method);
	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
	curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME_T, &took_us);
	log_debug("%s %s: status %ld, %zu bytes, %lld ms%s%s", method,
		  transfer->http->kind == HTTP_API ? log_url(url, shown, sizeof(shown))
						   : log_origin(url, shown, sizeof(shown)),
		  response->status, response->body.len, (long long)took_us / 1000,
		  response->error ? ", " : "", response->text);
}

/* The value of a header of the answer, or NULL. Valid until the next call. */
static const char *header_value(const struct http_transfer *transfer, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

static void read_head(struct http_transfer *transfer)
{
	struct http_head *head = &transfer->response.head;
	const char *value;
	curl_off_t length = -1;
	long version = 0;

	*head = (struct http_head){.length = -1};
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &head->status);
	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
	head->length = length;
	/* HTTP/2 says where a body ends; HTTP/1 does by its length or by chunks. */
	value = header_value(transfer, "Transfer-Encoding");
	head->is_framed = length >= 0 || version >= CURL_HTTP_VERSION_2_0 ||
			  (value && strcasestr(value, "chunked"));
	value = header_value(transfer, "Content-Encoding");
	head->is_encoded = value && *value && strcasecmp(value, "identity") != 0;
	value = header_value(transfer, "ETag");
	if (value && *value == '"')
		head->etag = hash_mix(hash_string(HASH_START, value)) | 1;
	value = header_value(transfer, "Content-Range");
	if (value)
		http_parse_content_range(value, head);
}

/* Tells the sink of the head, once. Returns what it says. */
static int tell_head(struct http_transfer *transfer)
{
	if (transfer->head_told)
		return 0;
	transfer->head_told = true;
	read_head(transfer);
	return transfer->sink->head(transfer->data, &transfer->response.head);
}

static bool is_for_sink(const struct http_transfer *transfer)
{
	long status = 0;

	if (!transfer->sink)
		return false;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return status == 200 || status == 206;
}

static void transfer_finish(struct http_transfer *transfer, CURLcode code)
{
	struct http_response *response = &transfer->response;
	const char *retry_after = header_value(transfer, "Retry-After");
	long version = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &response->status);
	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_VERSION, &version);
	curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &response->redirect);
	response->http2 = version == CURL_HTTP_VERSION_2_0;
	response->retry_after_ms = -1;
	if (retry_after)
		response->retry_after_ms = http_parse_retry_after(retry_after, time(NULL));
	if (code == CURLE_OK && !transfer->refused_error && is_for_sink(transfer))
		transfer->refused_error = tell_head(transfer);
	else if (transfer->sink && !transfer->head_told)
		read_head(transfer);
	if (transfer->refused_error) {
		response->error = transfer->refused_error;
	} else if (transfer->enough) {
		/* What more there was is not wanted. */
	} else if (response->body.error || transfer->headers_len > HTTP_HEADERS_BYTES_MAX) {
		response->error = response->body.error ? response->body.error : -EFBIG;
		snprintf(response->text, sizeof(response->text), "%s",
			 response->error == -EFBIG ? "the answer is too large" : "out of memory");
	} else if (code == CURLE_COULDNT_CONNECT && transfer->peer_error) {
		response->error = transfer->peer_error;
		snprintf(response->text, sizeof(response->text), "%s",
			 response->error == -ENOMEM ? "out of memory"
						    : "the server names an address of this "
						      "computer or of a private network");
	} else if (code != CURLE_OK) {
		response->error = errno_of(code);
		snprintf(response->text, sizeof(response->text), "%s",
			 transfer->curl_text[0] ? transfer->curl_text : curl_easy_strerror(code));
	}
	log_transfer(transfer);
	response->transfer = transfer;
	transfer->done(transfer->data, response);
	transfer_free(transfer);
}

/* Tells the owners of finished transfers. They may send and cancel others meanwhile. */
static void reap(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		char *transfer;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		transfer_finish((struct http_transfer *)transfer, code);
	}
}

/* curl's multi handle failing means it is out of memory or misused; waiting on would spin or hang.
 * Nor is it used again: after a failed allocation libcurl 7.88 has a socket in its tables with
 * which the next transfer divides by zero. */
static void fail_all(struct http *http)
{
	while (http->transfers)
		transfer_finish(http->transfers, CURLE_OUT_OF_MEMORY);
	curl_multi_cleanup(http->multi);
	http->multi = NULL;
	uv_timer_stop(&http->timer);
}

static void act(struct http *http, curl_socket_t fd, int events)
{
	int running;

	if (curl_multi_socket_action(http->multi, fd, events, &running) != CURLM_OK)
		fail_all(http);
	else
		reap(http);
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct http_socket *socket = poll->data;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;

	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(socket->http, socket->fd, flags);
}

static int curl_wants_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct http *http = data;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&http->timer);
	else if (timeout_ms == 0) /* in the loop's next turn: each request begins so */
		uv_timer_start(&http->timer, on_timer, 0, 0);
	else
		loop_timer_start(&http->timer, on_timer, timeout_ms);
	return 0;
}

static void socket_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct http *http = data;
	struct http_socket *socket = socket_data;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (socket)
			uv_close((uv_handle_t *)&socket->poll, socket_closed);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (!socket) {
		socket = calloc(1, sizeof(*socket));
		if (!socket)
			return -1;
		socket->http = http;
		socket->fd = fd;
		if (uv_poll_init_socket(http->loop, &socket->poll, fd)) {
			free(socket);
			return -1;
		}
		socket->poll.data = socket;
		curl_multi_assign(http->multi, fd, socket);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&socket->poll, events, on_socket) ? -1 : 0;
}

/* 0 ends the transfer. */
static size_t give_to_sink(struct http_transfer *transfer, const char *bytes, size_t len)
{
	int error = transfer->refused_error;

	/* After a pause curl goes on though it was told to end: what was refused is lost. */
	if (!error)
		error = tell_head(transfer);
	if (!error)
		error = transfer->sink->bytes(transfer->data, bytes, len);
	if (error == -EAGAIN)
		return CURL_WRITEFUNC_PAUSE;
	transfer->refused_error = error;
	return error ? 0 : len;
}

/* Ends the transfer, but not that of a redirect: curl tells where it leads at its end alone. */
static size_t have_enough(struct http_transfer *transfer, size_t len)
{
	long status = 0;

	transfer->dropped += len;
	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status / 100 == 3 && transfer->dropped <= HTTP_BODY_MAX)
		return len;
	transfer->enough = true;
	return 0;
}

/* A body that grew by doubling would be copied and overwritten twice. */
static void expect_body(struct http_transfer *transfer)
{
	curl_off_t length = -1;

	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length > 0)
		buf_reserve(&transfer->response.body,
			    length < BODY_EXPECTED_MAX ? (size_t)length : BODY_EXPECTED_MAX);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct http_transfer *transfer = data;

	if (is_for_sink(transfer))
		return give_to_sink(transfer, bytes, size * count);
	if (transfer->sink && transfer->response.body.len + size * count > HTTP_STORAGE_TEXT_MAX)
		return have_enough(transfer, size * count);
	if (!transfer->response.body.data)
		expect_body(transfer);
	/* Anything but the full count ends the transfer; body.error says why. */
	return buf_append(&transfer->response.body, bytes, size * count) ? 0 : size * count;
}

/* Not every libcurl bounds them all together (CVE-2023-38039). */
static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
	struct http_transfer *transfer = data;

	(void)bytes;
	transfer->headers_len += size * count;
	return transfer->headers_len > HTTP_HEADERS_BYTES_MAX ? 0 : size * count;
}

/* Asked with each address that a name has, so one that changes from one look-up to the next is
 * judged by what is connected to. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_transfer *transfer = data;
	struct http *http = transfer->http;
	unsigned int timeout_ms = (unsigned int)http->timeout_ms;
	const char *url = "";
	curl_socket_t fd;

	(void)purpose;
	curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
	transfer->peer_error = url_home_check(http->home, url, &address->addr);
	if (transfer->peer_error)
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	/* Else libcurl would go on giving requests to an HTTP/2 connection that leads nowhere since
	 * the network was away: of one that times out it closes the stream alone. */
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return fd;
}

static int make_multi(struct http *http)
{
	http->multi = curl_multi_init();
	if (!http->multi)
		return -ENOMEM;
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, http->connections_max);
	return 0;
}

int http_new(uv_loop_t *loop, enum http_kind kind, int64_t timeout_ms, size_t connections,
	     const char *ca_file, const char *proxy, struct url_home *home, struct http **ret_http)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->kind = kind;
	http->timeout_ms = timeout_ms;
	http->connections_max =
		connections < TRANSFERS_CONNECT_MAX ? (long)connections : TRANSFERS_CONNECT_MAX;
	http->home = home;
	uv_timer_init(loop, &http->timer);
	http->timer.data = http;
	http->ca_file = ca_file ? strdup(ca_file) : NULL;
	http->proxy = proxy ? strdup(proxy) : NULL;
	if (make_multi(http) || (ca_file && !http->ca_file) || (proxy && !http->proxy)) {
		http_free(http);
		return -ENOMEM;
	}
	*ret_http = http;
	return 0;
}

static void http_closed(uv_handle_t *timer)
{
	free(timer->data);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	while (http->transfers)
		transfer_free(http->transfers);
	if (http->multi)
		curl_multi_cleanup(http->multi);
	free(http->ca_file);
	free(http->proxy);
	/* The timer belongs to the loop until it says that it is closed. */
	uv_close((uv_handle_t *)&http->timer, http_closed);
}

static CURLcode set_headers(struct http_transfer *transfer, const struct http_request *request,
			    const struct secret *bearer)
{
	struct curl_slist *list = NULL;
	struct buf line CLEANUP(buf_wipe) = BUF_INIT(SECRET_BYTES_MAX + 64);
	size_t i;

	/* "Expect:" would cost a round trip on larger bodies. */
	static const char *const fixed[][2] = {
		[HTTP_API] = {"Accept: application/json", "Expect:"},
		[HTTP_STORAGE] = {"Accept:", "Expect:"},
	};

	for (i = 0; i < 2; i++) {
		list = curl_slist_append(transfer->headers, fixed[transfer->http->kind][i]);
		if (!list)
			return CURLE_OUT_OF_MEMORY;
		transfer->headers = list;
	}
	for (i = 0; i < HTTP_HEADERS_MAX && request->headers[i]; i++) {
		list = curl_slist_append(transfer->headers, request->headers[i]);
		if (!list)
			return CURLE_OUT_OF_MEMORY;
		transfer->headers = list;
	}
	if (request->content_type) {
		buf_printf(&line, "Content-Type: %s", request->content_type);
		list = line.error ? NULL : curl_slist_append(transfer->headers, buf_str(&line));
		if (!list)
			return CURLE_OUT_OF_MEMORY;
		transfer->headers = list;
		buf_wipe(&line);
	}
	if (bearer) {
		buf_printf(&line, "Authorization: Bearer %s", bearer->value);
		list = line.error ? NULL : curl_slist_append(transfer->headers, buf_str(&line));
		if (!list)
			return CURLE_OUT_OF_MEMORY;
		transfer->headers = list;
	}
	return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static CURLcode set_tls_and_proxy(struct http_transfer *transfer, bool plain)
{
	CURL *easy = transfer->easy;
	CURLcode code;

	code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
	if (code)
		return code;
	code = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (code)
		return code;
	if (transfer->http->ca_file) {
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, transfer->http->ca_file);
		if (code)
			return code;
	}
	/* Plain HTTP is for loopback alone: a proxy would carry it, and the token, elsewhere. */
	if (plain)
		return curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return transfer->http->proxy ? curl_easy_setopt(easy, CURLOPT_PROXY, transfer->http->proxy)
				     : CURLE_OK;
}

static CURLcode set_options(struct http_transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	int64_t timeout_ms = transfer->http->timeout_ms;
	bool plain = strncasecmp(request->url, "http:", 5) == 0;
	/* Of each HTTP/2 stream that is paused libcurl would hold up to 32 MiB, and several ranges
	 * are asked for because one connection may be slow. */
	bool multiplexed = !plain && transfer->http->kind == HTTP_API;
	CURLcode code;

	/* None of these can fail: they take no copy. */
	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	/* What a sink takes may be paused for long, and is dead only when no byte comes. */
	if (!request->sink)
		curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms * TRANSFER_TIMEOUTS);
	else
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, STORAGE_RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES_PER_S);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)((timeout_ms + 999) / 1000));
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (request->fresh_connection) { /* nor the address: it may have become another */
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	}
	/* Without this, removing a transfer whose name is being resolved waits for getaddrinfo
	 * (curl/curl#8515, #9147). */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	/* Wait for a connection to tell whether it multiplexes instead of opening sixteen. Plain
	 * HTTP cannot, so there is nothing to wait for. */
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, multiplexed ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 multiplexed ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
	if (strcmp(request->method, "POST") == 0) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body ? transfer->body : "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_len);
	}
	code = curl_easy_setopt(easy, CURLOPT_URL, request->url);
	if (code)
		return code;
	if (transfer->http->kind == HTTP_API) {
		code = curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
		if (code)
			return code;
	}
	return set_tls_and_proxy(transfer, plain);
}

int http_send(struct http *http, const struct http_request *request, const struct secret *bearer,
	      void (*done)(void *data, struct http_response *response), void *data,
	      struct http_transfer **ret_transfer)
{
	struct http_transfer *transfer;

	if (!http->multi && make_multi(http))
		return -ENOMEM;
	transfer = calloc(1, sizeof(*transfer));
	if (!transfer)
		return -ENOMEM;
	transfer->http = http;
	transfer->done = done;
	transfer->data = data;
	transfer->sink = request->sink;
	transfer->response.body = BUF_INIT(HTTP_BODY_MAX);
	transfer->next = http->transfers;
	transfer->link = &http->transfers;
	if (http->transfers)
		http->transfers->link = &transfer->next;
	http->transfers = transfer;
	transfer->easy = curl_easy_init();
	if (!transfer->easy)
		goto fail;
	if (request->body) {
		transfer->body = malloc(request->body_len + 1);
		if (!transfer->body)
			goto fail;
		memcpy(transfer->body, request->body, request->body_len);
		transfer->body_len = request->body_len;
	}
	if (set_options(transfer, request) || set_headers(transfer, request, bearer))
		goto fail;
	if (curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK)
		goto fail;
	*ret_transfer = transfer;
	return 0;
fail:
	transfer_free(transfer);
	return -ENOMEM;
}

void http_cancel(struct http_transfer *transfer)
{
	transfer_free(transfer);
}

void http_resume(struct http_transfer *transfer)
{
	CURLcode code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);

	if (code) /* the sink refused what was waiting: curl would not say so by itself */
		transfer_finish(transfer, code);
}

const char *http_header(const struct http_response *response, const char *name)
{
	return response->transfer ? header_value(response->transfer, name) : NULL;
}
