/* http_text.c: what stands in requests and answers: Content-Range, Retry-After, percent-encoding,
 * headers. Pure. */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool http_is_bearer(const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] <= ' ' || bytes[i] >= 0x7f)
			return false;
	}
	return len > 0;
}

/* 1 to 18 digits, so that nothing overflows. */
static bool take_number(const char **at, uint64_t *ret_number)
{
	size_t len = strspn(*at, "0123456789");

	if (len < 1 || len > 18)
		return false;
	*ret_number = strtoull(*at, NULL, 10);
	*at += len;
	return true;
}

void http_parse_content_range(const char *value, struct http_head *head)
{
	const char *at = value + strlen("bytes ");
	uint64_t from = 0;
	uint64_t last = 0;
	uint64_t total;
	bool is_range;

	head->has_range = false;
	if (strncasecmp(value, "bytes ", strlen("bytes ")) != 0)
		return;
	is_range = *at != '*';
	if (!is_range)
		at++;
	else if (!take_number(&at, &from) || *at++ != '-' || !take_number(&at, &last))
		return;
	if (*at++ != '/' || !take_number(&at, &total) || *at != '\0')
		return;
	if (is_range && (from > last || last >= total))
		return;
	head->range_from = from;
	head->range_end = is_range ? last + 1 : from;
	head->range_total = total;
	head->has_range = true;
}

/* Not curl_easy_escape, which needs memory of its own: a failure would not stick to `out`, and the
 * request would go out without this part of it. */
int http_escape(struct buf *out, const char *text, size_t len)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (; len > 0; text++, len--) {
		if (memchr(unreserved, *text, sizeof(unreserved) - 1))
			buf_append(out, text, 1);
		else
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
	return out->error;
}

int64_t http_parse_retry_after(const char *value, int64_t wall_now_s)
{
	char *end;
	long long seconds;
	time_t date;

	errno = 0;
	seconds = strtoll(value, &end, 10);
	if (end == value || *end != '\0') {
		date = curl_getdate(value, NULL);
		if (date == -1)
			return -1;
		seconds = date > wall_now_s ? (long long)date - wall_now_s : 0;
	}
	if (seconds < 0)
		return -1;
	if (errno == ERANGE || seconds > HTTP_RETRY_AFTER_MAX_MS / 1000)
		return HTTP_RETRY_AFTER_MAX_MS;
	return seconds * 1000;
}

bool http_server_failed(const struct http_response *response)
{
	return response->error == -ETIMEDOUT || response->error == -EHOSTUNREACH ||
	       (!response->error && response->status >= 500);
}

void http_request_fini(struct http_request *request)
{
	size_t i;

	if (request->url) /* a download link is a secret */
		explicit_bzero(request->url, strlen(request->url));
	free(request->url);
	if (request->body)
		explicit_bzero(request->body, request->body_len);
	free(request->body);
	for (i = 0; i < HTTP_HEADERS_MAX; i++)
		free(request->headers[i]);
	memset(request, 0, sizeof(*request));
}

int http_request_header(struct http_request *request, const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < HTTP_HEADERS_MAX; i++) {
		if (request->headers[i])
			continue;
		if (asprintf(&request->headers[i], "%s: %s", name, value) < 0) {
			request->headers[i] = NULL;
			return -ENOMEM;
		}
		return 0;
	}
	return -E2BIG;
}
