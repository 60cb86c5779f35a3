/* json_fixture.h: what the tests of JSON share. Every text is parsed from an allocation of its
 * exact size, so that the sanitizer sees a read past its end. Include after cmocka.h. */
#ifndef JSON_FIXTURE_H
#define JSON_FIXTURE_H

#include "buf.h"
#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX  (16 << 20)
#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))

static inline char *copy_exact(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	return copy;
}

/* Parses what must be valid; the caller frees `*ret_copy`. */
static inline struct json parse(const char *text, size_t len, char **ret_copy)
{
	struct json value;

	*ret_copy = copy_exact(text, len);
	if (json_parse(*ret_copy, len, &value) != 0)
		fail_msg("refused: %.*s", (int)len, text);
	return value;
}

static inline void assert_buf(const struct buf *buf, const char *expected, size_t len)
{
	if (buf->len != len || memcmp(buf_str(buf), expected, len) != 0)
		fail_msg("\"%s\" is not \"%s\"", buf_str(buf), expected);
}
#endif
