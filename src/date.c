/* date.c: dates as the APIs write them. Pure. */
#include "date.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL
/* Of YYYYMMDDHHMMSS. */
#define DIGITS 14
/* What int64_t nanoseconds can hold, in whole seconds, and a day less for offsets. */
#define SECONDS_MAX (INT64_MAX / NS_PER_S - 86400)

/* ".123": any number of digits, of which nine count. */
static const char *parse_fraction(const char *at, int64_t *ret_ns)
{
	int64_t unit = NS_PER_S / 10;
	int64_t ns = 0;

	for (; isdigit((unsigned char)*at); at++) {
		ns += (*at - '0') * unit;
		unit /= 10;
	}
	*ret_ns = ns;
	return at;
}

/* "Z", "+01:00", "-0130" or nothing. Returns seconds east of UTC, or -EINVAL. */
static int parse_offset(const char *at, int64_t *ret_s)
{
	int sign = *at == '-' ? -1 : 1;
	int digit[4];
	int hours;
	int minutes;
	int i;

	if (*at == '\0' || ((*at == 'Z' || *at == 'z') && at[1] == '\0')) {
		*ret_s = 0;
		return 0;
	}
	if (*at != '+' && *at != '-')
		return -EINVAL;
	at++;
	for (i = 0; i < 4; i++) {
		if (i == 2 && *at == ':')
			at++;
		if (!isdigit((unsigned char)*at))
			return -EINVAL;
		digit[i] = *at++ - '0';
	}
	hours = digit[0] * 10 + digit[1];
	minutes = digit[2] * 10 + digit[3];
	if (*at != '\0' || hours > 23 || minutes > 59)
		return -EINVAL;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return 0;
}

/* timegm turns 30 February into 1 March. */
static bool is_day(struct tm tm)
{
	int day = tm.tm_mday;

	timegm(&tm);
	return tm.tm_mday == day;
}

static int to_ns(struct tm *tm, int64_t offset_s, int64_t fraction_ns, int64_t *ret_ns)
{
	int64_t seconds = timegm(tm) - offset_s;

	if (seconds > SECONDS_MAX || seconds < -SECONDS_MAX)
		return -EINVAL;
	*ret_ns = seconds * NS_PER_S + fraction_ns;
	return 0;
}

int date_parse_rfc3339(const char *text, int64_t *ret_ns)
{
	struct tm tm = {0};
	const char *at = strptime(text, "%Y-%m-%d", &tm);
	int64_t fraction_ns = 0;
	int64_t offset_s;

	if (!at || !is_day(tm))
		return -EINVAL;
	if (*at == 'T' || *at == 't' || *at == ' ') {
		at = strptime(at + 1, "%H:%M:%S", &tm);
		if (!at)
			return -EINVAL;
		if (*at == '.' || *at == ',')
			at = parse_fraction(at + 1, &fraction_ns);
	}
	if (parse_offset(at, &offset_s))
		return -EINVAL;
	return to_ns(&tm, offset_s, fraction_ns, ret_ns);
}

int date_parse_digits(const char *text, int64_t *ret_ns)
{
	struct tm tm = {0};
	const char *end;

	if (strlen(text) != DIGITS || strspn(text, "0123456789") != DIGITS)
		return -EINVAL;
	end = strptime(text, "%Y%m%d%H%M%S", &tm);
	if (!end || *end || !is_day(tm))
		return -EINVAL;
	return to_ns(&tm, 0, 0, ret_ns);
}
