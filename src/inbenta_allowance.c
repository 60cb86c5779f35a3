/* inbenta_allowance.c: the Inbenta API: what answers tell of the allowance, in x-throttle-usage,
 * x-quota-usage and their resets (S). Their formats are not documented (?): "12/100", "12%" and
 * "0.12" are taken for what is used up, seconds or a Unix time for the reset, and all else for
 * nothing.
 *
 * Pure, but for what it remembers of usages without numbers. Cannot fail. */
#include "inbenta_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest that an allowance is for (S). */
#define RESET_MAX_S 3600
/* A number that is larger is no duration. */
#define UNIX_TIME_MIN 1000000000
/* An allowance of which only this part is left runs short. */
#define SHORT_PART 5

/* 1 to 18 digits. */
static bool take_number(const char **at, uint64_t *ret_number)
{
	size_t len = strspn(*at, "0123456789");

	if (len < 1 || len > 18)
		return false;
	*ret_number = strtoull(*at, NULL, 10);
	*at += len;
	return true;
}

/* "0.12", "1.0": in whole percent. */
static bool take_fraction(const char *at, uint64_t whole, uint64_t *ret_percent)
{
	size_t len = strspn(at, "0123456789");

	if (whole > 1 || len < 1 || at[len])
		return false;
	*ret_percent = whole * 100 + (uint64_t)(at[0] - '0') * 10;
	if (len > 1)
		*ret_percent += (uint64_t)(at[1] - '0');
	return true;
}

/* How many requests that leaves is learnt from what those so far added. Answers may overtake each
 * other: less than was told already is a new allowance only if it is much less. */
static void read_percent(struct inbenta_usage *kept, uint64_t percent,
			 struct provider_allowance *ret_allowance)
{
	unsigned int used = percent < 100 ? (unsigned int)percent : 100;
	uint64_t left;

	if (kept->answers == 0 || used < kept->percent / 2)
		*kept = (struct inbenta_usage){.first = used, .percent = used};
	else if (used > kept->percent)
		kept->percent = used;
	left = 100 - kept->percent;
	/* Percents come rounded down: the one begun is taken for used, unless it is the last. */
	if (kept->percent > kept->first && left > 0) {
		left = (left - 1) * kept->answers / (kept->percent - kept->first);
		if (left == 0)
			left = 1;
	}
	kept->answers++;
	ret_allowance->left = left;
	ret_allowance->is_short = 100 - kept->percent <= 100 / SHORT_PART;
}

static bool read_usage(struct inbenta_usage *kept, const char *usage,
		       struct provider_allowance *ret_allowance)
{
	uint64_t used;
	uint64_t limit;

	if (!take_number(&usage, &used))
		return false;
	switch (*usage++) {
	case '/':
		if (!take_number(&usage, &limit) || limit == 0 || *usage)
			return false;
		ret_allowance->left = used < limit ? limit - used : 0;
		ret_allowance->is_short = ret_allowance->left <= limit / SHORT_PART;
		return true;
	case '.':
		if (!take_fraction(usage, used, &used))
			return false;
		break;
	case '%':
		if (*usage)
			return false;
		break;
	default:
		return false;
	}
	read_percent(kept, used, ret_allowance);
	return true;
}

bool inbenta_read_allowance(struct inbenta_usage *kept, const char *usage, const char *reset,
			    int64_t wall_now_s, struct provider_allowance *ret_allowance)
{
	uint64_t at;
	int64_t reset_s;
	bool is_time;

	if (!usage || !reset || !take_number(&reset, &at) || *reset)
		return false;
	reset_s = (int64_t)at;
	is_time = reset_s >= UNIX_TIME_MIN;
	if (is_time)
		reset_s -= wall_now_s;
	if (reset_s < 0 || reset_s > RESET_MAX_S)
		return false;
	/* The one before is over; both times were rounded down. */
	if (wall_now_s > kept->end_s + 1)
		*kept = (struct inbenta_usage){0};
	if (!read_usage(kept, usage, ret_allowance))
		return false;
	kept->end_s = wall_now_s + reset_s;
	/* A time and now are both rounded down: rather late than early. */
	ret_allowance->reset_ms = (reset_s + is_time) * 1000;
	return true;
}

static bool read_headers(const struct http_response *response, struct inbenta_usage *kept,
			 const char *usage_name, const char *reset_name, int64_t wall_now_s,
			 struct provider_allowance *ret_allowance)
{
	const char *value = http_header(response, usage_name);
	char usage[40]; /* a longer one is of no use either */

	if (!value)
		return false;
	snprintf(usage, sizeof(usage), "%s", value); /* valid only until the next is looked at */
	return inbenta_read_allowance(kept, usage, http_header(response, reset_name), wall_now_s,
				      ret_allowance);
}

/* Of the allowances for a minute and for an hour, what leaves less. */
bool inbenta_allowance(struct provider *provider, const struct http_response *response,
		       int64_t wall_now_s, struct provider_allowance *ret_allowance)
{
	struct provider_allowance throttle;
	struct provider_allowance quota;
	bool has_throttle = read_headers(response, &provider->throttle, "x-throttle-usage",
					 "x-throttle-reset", wall_now_s, &throttle);
	bool has_quota = read_headers(response, &provider->quota, "x-quota-usage", "x-quota-reset",
				      wall_now_s, &quota);

	if (has_throttle && (!has_quota || throttle.left <= quota.left))
		*ret_allowance = throttle;
	else if (has_quota)
		*ret_allowance = quota;
	return has_throttle || has_quota;
}
