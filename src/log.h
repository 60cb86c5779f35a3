/* log.h: one line per event, to stderr or syslog.
 *
 * Secrets have their own type (struct secret, secret.h) that has no printer, and URLs are logged
 * through log_url, which drops user information, query and fragment: so none can slip in.
 * Control characters from foreign text are replaced, so that a server cannot forge lines. */
#ifndef IBINDERFS_LOG_H
#define IBINDERFS_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };

/* Until the first call: info and above to stderr. */
void log_init(enum log_level level, enum log_target target);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A URL fit for showing: scheme, host, port and path. Writes at most `size` bytes with the NUL and
 * returns `out`. */
const char *log_url(const char *url, char *out, size_t size);
/* Of an address that is a secret: scheme, host and port. As log_url otherwise. */
const char *log_origin(const char *url, char *out, size_t size);

#endif
