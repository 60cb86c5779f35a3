/* query.h: what the name of a directory in search/ asks for.
 *
 *   query  = term *("," term)      at most one text, at most QUERY_FILTERS_MAX filters; all must
 * hold term   = filter / text filter = key "=" value         split at the first "="; further ones
 * belong to the value
 *
 * In a key, a value or a text, %XX (two hexadecimal digits) stands for a byte: %2C for a comma, %3D
 * for an equals sign that is no filter's, %25 for a percent sign, %2F for a slash. Blanks count.
 * No query begins with a dot unless it is written %2E: programs look for .git or .hidden in every
 * directory, and that must not become a search.
 *
 * Pure; allocates nothing. */
#ifndef IBINDERFS_QUERY_H
#define IBINDERFS_QUERY_H

#include <stddef.h>

#define QUERY_FILTERS_MAX 16
/* The longest name that the kernel passes to a FUSE filesystem. */
#define QUERY_BYTES_MAX 1024

/* Decoded, each part followed by a NUL. May be copied. */
struct query {
	char bytes[QUERY_BYTES_MAX + 2]; /* bytes[0] is the part that is not there: "" */
	size_t len;			 /* bytes used */
	size_t text;			 /* offset of the free text; 0: none */
	struct query_filter {
		size_t key; /* offset */
		size_t value;
	} filters[QUERY_FILTERS_MAX];
	size_t filter_count;
};

/* Reads a query as it was typed. Returns 0, or -EINVAL with a static sentence for users. */
int query_parse(const char *typed, struct query *ret_query, const char **ret_problem);

#endif
