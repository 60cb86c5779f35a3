/* fuzz_text.c: the short texts: header values, dates, queries, download links, and what is shown of
 * a server's words. The first byte of the input says which it is; the rest is the text. */
#include "date.h"
#include "failures.h"
#include "fuzz.h"
#include "http.h"
#include "inbenta_internal.h"
#include "log.h"
#include "query.h"
#include "url.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <strings.h>
#include <time.h>

#define WALL_NOW_S INT64_C(1700000000)
#define NS_PER_S   INT64_C(1000000000)

static void read_content_range(const char *text)
{
	struct http_head head = {.length = -1};
	struct http_head again = {.length = -1};
	char written[128];

	http_parse_content_range(text, &head);
	if (!head.has_range)
		return;
	CHECK(head.range_from <= head.range_end);
	if (head.range_from < head.range_end) {
		CHECK(head.range_end <= head.range_total);
		snprintf(written, sizeof(written), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
			 head.range_from, head.range_end - 1, head.range_total);
	} else {
		snprintf(written, sizeof(written), "bytes */%" PRIu64, head.range_total);
	}
	http_parse_content_range(written, &again);
	CHECK(memcmp(&head, &again, sizeof(head)) == 0);
}

static void read_retry_after(const char *text)
{
	int64_t ms = http_parse_retry_after(text, WALL_NOW_S);

	CHECK(ms >= -1 && ms <= HTTP_RETRY_AFTER_MAX_MS);
	CHECK(ms <= 0 || ms % 1000 == 0);
}

static void read_date(const char *text)
{
	int64_t ns;
	int64_t again;
	int64_t fraction;
	time_t seconds;
	struct tm tm;
	char day[32];
	char written[64];

	if (date_parse_rfc3339(text, &ns))
		return;
	fraction = (ns % NS_PER_S + NS_PER_S) % NS_PER_S;
	seconds = (ns - fraction) / NS_PER_S;
	CHECK(gmtime_r(&seconds, &tm));
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(written, sizeof(written), "%s.%09" PRId64 "Z", day, fraction);
	CHECK(date_parse_rfc3339(written, &again) == 0 && again == ns);
}

/* Appends a part so that each of its bytes is escaped. */
static void write_part(struct buf *out, const char *part)
{
	bool valid;
	const char *end = part + strlen(part);

	for (const char *at = part; at < end; at += utf8_length(at, end, &valid))
		CHECK((unsigned char)*at >= ' ' && *at != 0x7f);
	for (; *part; part++)
		CHECK(buf_printf(out, "%%%02X", (unsigned char)*part) == 0);
}

static void read_query(const char *text)
{
	struct query query;
	struct query again;
	const char *problem = NULL;
	struct buf written = BUF_INIT(8 * QUERY_BYTES_MAX);

	if (query_parse(text, &query, &problem)) {
		CHECK(problem && *problem);
		return;
	}
	CHECK(query.len <= sizeof(query.bytes) && query.filter_count <= QUERY_FILTERS_MAX);
	CHECK(query.text || query.filter_count);
	if (query.text)
		write_part(&written, query.bytes + query.text);
	for (size_t i = 0; i < query.filter_count; i++) {
		buf_append_str(&written, written.len ? "," : "");
		write_part(&written, query.bytes + query.filters[i].key);
		buf_append_str(&written, "=");
		write_part(&written, query.bytes + query.filters[i].value);
	}
	/* Three bytes for one: it may be too long now, but it is the same. */
	if (written.len <= QUERY_BYTES_MAX) {
		CHECK(query_parse(buf_str(&written), &again, &problem) == 0);
		CHECK(!query.text == !again.text && query.filter_count == again.filter_count);
		CHECK(strcmp(query.bytes + query.text, again.bytes + again.text) == 0);
		for (size_t i = 0; i < query.filter_count; i++) {
			CHECK(strcmp(query.bytes + query.filters[i].key,
				     again.bytes + again.filters[i].key) == 0);
			CHECK(strcmp(query.bytes + query.filters[i].value,
				     again.bytes + again.filters[i].value) == 0);
		}
	}
	buf_reset(&written);
}

/* Of what a server names only what is configured may be on this computer. */
static void check_place(const char *text)
{
	const struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const struct sockaddr_in out = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x08080808),
	};
	struct url_home home;
	CURLU *url = curl_url();
	char *host = NULL;

	CHECK(url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK);
	CHECK(curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK);
	CHECK(url_home_init(&home, "https://api.test/api", "https://auth.test/token", "") == 0);
	CHECK((url_home_check(&home, text, (const struct sockaddr *)&out) == 0) ==
	      (strlen(host) < URL_HOST_SIZE));
	if (url_home_check(&home, text, (const struct sockaddr *)&here) == 0)
		CHECK(strcasecmp(host, "api.test") == 0 || strcasecmp(host, "auth.test") == 0);
	curl_free(host);
	curl_url_cleanup(url);
}

/* The user, the password and what follows "?" or "#" must never be shown. */
static void read_link(const char *text)
{
	char shown[4096];
	const char *tail = text + strcspn(text, "?#");
	const char *problem;

	log_url(text, shown, sizeof(shown));
	CHECK(!strpbrk(shown, "?#"));
	log_origin(text, shown, sizeof(shown));
	CHECK(strlen(shown) <= (size_t)(tail - text));
	if (!url_storage_check(text, false, &problem)) {
		CHECK(strncasecmp(text + strspn(text, " "), "https:", 6) == 0);
		check_place(text);
	} else if (!url_storage_check(text, true, &problem)) {
		CHECK(strncasecmp(text + strspn(text, " "), "http:", 5) == 0);
	}
}

/* One line for each failure, of characters that move no cursor. */
static void read_problem(const char *text)
{
	struct failures failures = {.total = 0};
	struct failure failure = {.error = -EBADMSG, .status = 500};
	struct buf out = BUF_INIT(1 << 16);
	size_t len = strlen(text);
	size_t lines = 0;

	snprintf(failure.path, sizeof(failure.path), "%s", text + len / 2);
	snprintf(failure.what, sizeof(failure.what), "%s", text);
	snprintf(failure.title, sizeof(failure.title), "%s", text);
	snprintf(failure.trace_id, sizeof(failure.trace_id), "%s", text + len / 3);
	failures_note(&failures, &failure);
	failures_note(&failures, &failure);
	CHECK(failures.total == 1);
	CHECK(failures_print(&failures, &out) == 0);
	for (const char *at = out.data; at < out.data + out.len;) {
		bool valid;

		lines += *at == '\n';
		CHECK((unsigned char)*at >= ' ' || *at == '\n');
		len = utf8_length(at, out.data + out.len, &valid);
		CHECK(valid && *at != 0x7f && !utf8_is_hazard(at, len));
		at += len;
	}
	CHECK(lines == 1 && out.data[out.len - 1] == '\n');
	buf_reset(&out);
}

/* A usage and its reset, each in a line. */
static void read_allowance(const char *text)
{
	struct inbenta_usage kept = {.percent = 10};
	struct provider_allowance allowance;
	struct piece input = {text, strlen(text)};
	struct piece usage;
	struct piece reset;
	char *values[2];

	if (!piece_take(&input, '\n', &usage) || !piece_take(&input, '\n', &reset))
		return;
	values[0] = piece_copy(usage);
	values[1] = piece_copy(reset);
	for (int turn = 0; turn < 2; turn++) {
		if (!inbenta_read_allowance(&kept, values[0], values[1], WALL_NOW_S, &allowance))
			continue;
		CHECK(allowance.reset_ms >= 0 && allowance.reset_ms <= 3601 * 1000);
		CHECK(kept.first <= kept.percent && kept.percent <= 100);
	}
	free(values[0]);
	free(values[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		char letter;
		void (*read)(const char *text);
	} kinds[] = {
		{'c', read_content_range}, {'r', read_retry_after}, {'d', read_date},
		{'q', read_query},	   {'l', read_link},	    {'p', read_problem},
		{'a', read_allowance},
	};
	char *text;

	if (size == 0)
		return 0;
	log_init(LOG_LEVEL_ERROR, LOG_TARGET_STDERR);
	text = piece_copy((struct piece){(const char *)data + 1, size - 1});
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].letter == (char)*data)
			kinds[i].read(text);
	}
	free(text);
	return 0;
}
