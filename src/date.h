/* date.h: dates as the APIs write them. */
#ifndef IBINDERFS_DATE_H
#define IBINDERFS_DATE_H

#include <stdint.h>

/* Nanoseconds since the epoch of an RFC 3339 date-time such as 2024-01-15T08:30:00Z, with or
 * without fraction; an offset may be missing (UTC), and so may the time of day. Returns 0, or
 * -EINVAL when it is no date, or one that 64 bits of nanoseconds cannot hold (1678 to 2261). */
int date_parse_rfc3339(const char *text, int64_t *ret_ns);
/* The same of 14 digits, YYYYMMDDHHMMSS in UTC. */
int date_parse_digits(const char *text, int64_t *ret_ns);

#endif
