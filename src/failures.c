/* failures.c: the ring of latest failures. Cannot fail. */
#include "failures.h"

#include "log.h"
#include "loop.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL

static struct failure *latest_of(struct failures *failures, const char *path)
{
	unsigned long oldest =
		failures->total > FAILURES_KEPT ? failures->total - FAILURES_KEPT : 0;
	unsigned long at;

	for (at = failures->total; at > oldest; at--) {
		struct failure *failure = &failures->ring[(at - 1) % FAILURES_KEPT];

		if (strcmp(failure->path, path) == 0)
			return failure;
	}
	return NULL;
}

/* The server's words come from outside: what a terminal or a line-based reader could act on goes,
 * and so does a character that was cut. */
static void make_plain(char *text)
{
	const char *end = text + strlen(text);
	size_t len;

	for (; text < end; text += len) {
		bool valid;

		len = utf8_length(text, end, &valid);
		if (!valid || utf8_is_hazard(text, len) || (unsigned char)*text < ' ' ||
		    *text == 0x7f)
			memset(text, '?', len);
	}
}

void failures_note(struct failures *failures, const struct failure *failure)
{
	struct failure plain = *failure;
	struct failure *latest;

	make_plain(plain.path);
	make_plain(plain.what);
	make_plain(plain.title);
	make_plain(plain.trace_id);
	plain.last_wall_ns = loop_wall_ns();
	latest = latest_of(failures, plain.path);
	if (latest && latest->error == plain.error && latest->status == plain.status) {
		plain.first_wall_ns = latest->first_wall_ns;
		plain.count = latest->count + 1;
		*latest = plain;
		return;
	}
	plain.first_wall_ns = plain.last_wall_ns;
	plain.count = 1;
	failures->ring[failures->total++ % FAILURES_KEPT] = plain;
	log_warning("%s: %s (%s)%s%s%s%s", plain.path, plain.what, failures_errno_name(plain.error),
		    plain.title[0] ? ", the server says: " : "", plain.title,
		    plain.trace_id[0] ? ", traceId " : "", plain.trace_id);
}

const char *failures_advice(int error, long status)
{
	switch (error) {
	case -EACCES:
		return status == 403
			       ? "the account (its tenant, role, key or domain) does not allow this"
			       : "check the account's ids, keys and secret, then send SIGHUP";
	case -EBUSY:
		return "the API's request allowance is used up; wait, or lower connections=";
	case -EHOSTUNREACH:
		return "check the network, DNS and proxy=";
	case -ETIMEDOUT:
		return "the server is slow or silent; raise timeout= if it is just slow";
	case -EPROTO:
		return "the server's certificate or TLS version is not acceptable; check ca_file=, "
		       "proxy= and the clock";
	case -EBADMSG:
		return status >= 300 && status < 400
			       ? "redirects are not followed; check api_url= and auth_url="
			       : "check api_url= and auth_url=, or report this line";
	case -EFBIG:
		return "raise memory=";
	case -EIO:
		return "the server has a fault; its support asks for the traceId";
	case -ENOENT:
		return "it is gone, or api_url= or auth_url= is wrong";
	case -ENOMEM:
		return "the machine is out of memory";
	default:
		return "";
	}
}

/* Storage is another server, which knows neither client nor token. */
static const char *storage_advice(int error)
{
	switch (error) {
	case -EACCES:
		return "the document's bytes are refused, by the server that the line names; if "
		       "that lasts, ask the vendor";
	case -EBUSY:
		return "the server that the line names asks for fewer requests; wait";
	case -ENOENT:
		return "the server that the line names does not have these bytes";
	case -EBADMSG:
		return "open it again; if that does not help, report this line";
	default:
		return failures_advice(error, 0);
	}
}

static const char *advice_on(const struct failure *failure)
{
	if (strncmp(failure->path, "files/", 6) == 0 && strncmp(failure->what, "GET ", 4) == 0)
		return storage_advice(failure->error);
	if (strncmp(failure->path, "search/", 7) == 0 && failure->error == -EFBIG)
		return "add a term that fewer documents match";
	if (strcmp(failure->path, "token") == 0 && failure->error == -EACCES)
		return "check the account's ids, keys and secret; asked again after 5 minutes, or "
		       "at "
		       "once after SIGHUP";
	if (strcmp(failure->path, "token") == 0 && failure->error == -EBADMSG)
		return failure->status >= 300 && failure->status < 400
			       ? "redirects are not followed; check auth_url="
			       : "check auth_url=";
	return failures_advice(failure->error, failure->status);
}

const char *failures_errno_name(int error)
{
	const char *name = strerrorname_np(-error);

	return name ? name : "unknown";
}

void failures_print_time(struct buf *out, int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_append_str(out, text);
}

static void print_one(const struct failure *failure, struct buf *out)
{
	const char *advice = advice_on(failure);

	failures_print_time(out, failure->last_wall_ns);
	buf_printf(out, " %s %s: %s", failures_errno_name(failure->error), failure->path,
		   failure->what);
	if (failure->status)
		buf_printf(out, " (HTTP %ld)", failure->status);
	if (failure->title[0])
		buf_printf(out, "; the server says: %s", failure->title);
	if (failure->trace_id[0])
		buf_printf(out, "; traceId %s", failure->trace_id);
	if (failure->count > 1) {
		buf_printf(out, "; %lu times since ", failure->count);
		failures_print_time(out, failure->first_wall_ns);
	}
	if (advice[0])
		buf_printf(out, "; %s", advice);
	buf_append_str(out, "\n");
}

static int compare_times(const void *a, const void *b)
{
	int64_t left = (*(const struct failure *const *)a)->last_wall_ns;
	int64_t right = (*(const struct failure *const *)b)->last_wall_ns;

	return left < right ? -1 : left > right;
}

int failures_print(const struct failures *failures, struct buf *out)
{
	const struct failure *sorted[FAILURES_KEPT];
	size_t count = failures->total < FAILURES_KEPT ? failures->total : FAILURES_KEPT;
	size_t i;

	for (i = 0; i < count; i++)
		sorted[i] = &failures->ring[i];
	/* A repeat is counted where the failure first stood: the ring is not in order. */
	qsort(sorted, count, sizeof(sorted[0]), compare_times);
	for (i = 0; i < count; i++)
		print_one(sorted[i], out);
	return out->error;
}
