/* query.c: the grammar of queries, see query.h.
 *
 * Owns nothing. The functions below give NULL, or the sentence that says what is wrong. */
#include "query.h"
#include "utf8.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Appends what stands from `at` to `end`, decoded. Decoding never makes it longer, and each "," and
 * "=" between parts leaves its place to a NUL: the room always suffices. */
static const char *add_part(struct query *query, const char *at, const char *end,
			    size_t *ret_offset)
{
	size_t start = query->len;
	const char *part;

	while (at < end) {
		char byte = *at++;

		if (byte == '%') {
			char digits[3] = {0};

			/* What ends a part is no digit: this reads nothing beyond it. */
			if (!isxdigit((unsigned char)at[0]) || !isxdigit((unsigned char)at[1]))
				return "after % come two hexadecimal digits; write a percent sign "
				       "as %25";
			memcpy(digits, at, 2);
			byte = (char)strtoul(digits, NULL, 16);
			at += 2;
		}
		if ((unsigned char)byte < ' ' || byte == 0x7f)
			return "control characters cannot be searched for";
		query->bytes[query->len++] = byte;
	}
	for (part = query->bytes + start; part < query->bytes + query->len;) {
		bool valid;

		part += utf8_length(part, query->bytes + query->len, &valid);
		if (!valid)
			return "the query is not UTF-8";
	}
	query->bytes[query->len++] = '\0';
	*ret_offset = start;
	return NULL;
}

static const char *add_term(struct query *query, const char *term, const char *end)
{
	const char *equals = memchr(term, '=', (size_t)(end - term));
	struct query_filter filter;
	const char *problem;

	if (term == end)
		return "there is nothing before, after or between commas; write a comma as %2C";
	if (!equals) {
		if (query->text)
			return "only one text can be searched for; write a comma in it as %2C";
		return add_part(query, term, end, &query->text);
	}
	if (equals == term || equals + 1 == end)
		return "a filter is KEY=VALUE, neither empty; write an equals sign in a text as "
		       "%3D";
	if (query->filter_count == QUERY_FILTERS_MAX)
		return "there are more than 16 filters";
	problem = add_part(query, term, equals, &filter.key);
	if (!problem)
		problem = add_part(query, equals + 1, end, &filter.value);
	if (!problem)
		query->filters[query->filter_count++] = filter;
	return problem;
}

int query_parse(const char *typed, struct query *ret_query, const char **ret_problem)
{
	struct query query = {.len = 1};
	const char *problem = NULL;
	const char *end;

	_Static_assert(QUERY_FILTERS_MAX == 16, "the sentence above says so");
	if (typed[0] == '\0')
		problem = "the query is empty";
	else if (typed[0] == '.')
		problem = "a query does not begin with a dot; write it as %2E";
	else if (strlen(typed) > QUERY_BYTES_MAX)
		problem = "the query is too long";
	for (; !problem; typed = end + 1) {
		end = typed + strcspn(typed, ",");
		problem = add_term(&query, typed, end);
		if (!problem && *end == '\0') {
			*ret_query = query;
			return 0;
		}
	}
	*ret_problem = problem;
	return -EINVAL;
}
