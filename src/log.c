/* log.c: one line per event, to stderr or syslog.
 *
 * Owns the level and the target, set once at start. A line is built in a fixed buffer and written
 * with one call, so lines of several threads do not mix. Nothing here fails: a line that is too
 * long is cut, one that cannot be written is lost. errno is kept. */
#include "log.h"

#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* Longest message in bytes with its NUL; the prefix comes on top. */
#define LOG_MESSAGE_MAX 2048
#define LOG_PREFIX_MAX	32

static const struct {
	const char *prefix;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"ibinderfs: error: ", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"ibinderfs: warning: ", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"ibinderfs: ", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"ibinderfs: debug: ", LOG_DEBUG},
};

static enum log_level log_level = LOG_LEVEL_INFO;
static enum log_target log_target = LOG_TARGET_STDERR;

void log_init(enum log_level level, enum log_target target)
{
	log_level = level;
	log_target = target;
	if (target == LOG_TARGET_SYSLOG)
		openlog("ibinderfs", LOG_PID, LOG_DAEMON);
}

/* Makes one harmless line of foreign text: controls and hazards become '?'. */
static void log_sanitise(char *text)
{
	const char *in = text;
	const char *end = text + strlen(text);
	char *out = text;

	while (in < end) {
		bool valid;
		size_t len = utf8_length(in, end, &valid);

		if ((unsigned char)*in < 0x20 || *in == 0x7F ||
		    (valid && utf8_is_hazard(in, len))) {
			*out++ = '?';
		} else {
			memmove(out, in, len);
			out += len;
		}
		in += len;
	}
	*out = '\0';
}

/* Ends a message that did not fit with "...", at the start of a character. */
static void log_mark_cut(char *message, size_t size)
{
	size_t end = size - sizeof("...");

	while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
		end--;
	memcpy(message + end, "...", sizeof("..."));
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LOG_PREFIX_MAX + LOG_MESSAGE_MAX];
	char *message;
	size_t len;
	va_list args;
	int saved_errno = errno;
	int written;

	if (level > log_level)
		return;

	len = strlen(levels[level].prefix);
	memcpy(line, levels[level].prefix, len);
	message = line + len;

	va_start(args, format);
	written = vsnprintf(message, LOG_MESSAGE_MAX, format, args);
	va_end(args);
	if (written < 0)
		*message = '\0';
	else if (written >= LOG_MESSAGE_MAX)
		log_mark_cut(message, LOG_MESSAGE_MAX);
	log_sanitise(message);

	if (log_target == LOG_TARGET_SYSLOG) {
		syslog(levels[level].priority, "%s", message);
	} else {
		len += strlen(message);
		line[len++] = '\n';
		if (write(STDERR_FILENO, line, len) < 0)
			errno = saved_errno; /* there is nowhere to tell it */
	}
	errno = saved_errno;
}

const char *log_url(const char *url, char *out, size_t size)
{
	const char *scheme_end = strstr(url, "://");
	const char *authority = scheme_end ? scheme_end + strlen("://") : url;
	const char *end = url + strcspn(url, "?#");
	const char *host;
	const char *at;

	if (authority > end) /* "://" inside the query */
		authority = url;
	host = authority;
	/* User information ends at the last '@' before the path. */
	at = memrchr(authority, '@', strcspn(authority, "/?#"));
	if (at)
		host = at + 1;

	if (size > 0)
		snprintf(out, size, "%.*s%.*s", (int)(authority - url), url, (int)(end - host),
			 host);
	return out;
}

const char *log_origin(const char *url, char *out, size_t size)
{
	char *path;

	log_url(url, out, size);
	path = strstr(out, "://");
	path = strchr(path ? path + strlen("://") : out, '/');
	if (path)
		*path = '\0';
	return out;
}
