/* json.h: reading JSON without changing a byte of it.
 *
 * A value is a span of the text it came in. Nothing is converted until a caller asks: numbers keep
 * their digits, strings their escapes, objects their order and their duplicates. The whole text is
 * checked once by json_parse (RFC 8259 grammar, bounded depth, nothing after the value); the other
 * functions rely on that and allocate nothing but what they append to the caller's buffer.
 *
 * This is why cJSON does not read here: it turns numbers into doubles, cuts strings at \u0000,
 * refuses lone surrogates and takes trailing garbage. */
#ifndef IBINDERFS_JSON_H
#define IBINDERFS_JSON_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Deepest nesting accepted; the documented objects need 4. */
#define JSON_DEPTH_MAX 64

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* One value inside a checked text, without the white space around it. Owns nothing. */
struct json {
	const char *text;
	size_t len;
};

/* Walks an array or object. Start with json_iterate, then json_next until it returns false. */
struct json_iter {
	const char *at;
	const char *end;
	struct json key;   /* the member's name, a string value; unset in an array */
	struct json value; /* the element or the member's value */
};

/* Checks `len` bytes of text (a leading UTF-8 byte order mark is skipped, invalid UTF-8 inside
 * strings is let through: it is the server's, and is shown as it came).
 * Returns 0, or -EBADMSG. */
int json_parse(const char *text, size_t len, struct json *ret_value);

enum json_type json_type(struct json value);

/* An iterator over an array's elements or an object's members; over anything else it is empty. */
struct json_iter json_iterate(struct json container);
bool json_next(struct json_iter *iter);

/* The first member of that exact name. -ENOENT when there is none or `object` is no object. */
int json_get(struct json object, const char *key, struct json *ret_value);
/* The same for `count` names in one walk; a value's `text` is NULL where there is none. */
void json_get_members(struct json object, const char *const *keys, size_t count,
		      struct json *values);
/* json_next over an array, and json_get_members of the element, if it is an object: each byte of it
 * is looked at once for both. */
bool json_next_members(struct json_iter *iter, const char *const *keys, size_t count,
		       struct json *values);

/* Appends a string's meaning as UTF-8; \u0000 gives a NUL byte, a lone surrogate or an invalid
 * UTF-8 sequence gives U+FFFD. Returns 0, -EBADMSG if it is no string, or buf_append's error. */
int json_string_decode(struct json string, struct buf *out);

/* A member of json_get_members by its type. -ENOENT: absent or null. -EBADMSG: of another type, or
 * out of range. json_read_id also takes an integer, as its digits: some vendors send ids as
 * numbers. */
int json_read_string(struct json value, struct buf *out);
int json_read_id(struct json value, struct buf *out);
int json_read_int(struct json value, int64_t *ret_value);
/* The same for one member. */
int json_get_string(struct json object, const char *key, struct buf *out);
int json_get_int(struct json object, const char *key, int64_t *ret_value);

/* Whether a string value means exactly these bytes. */
bool json_string_equals(struct json string, const char *expected);

/* Appends the value re-indented: two spaces a level, one line for an object or array that holds
 * only scalars (also for an empty one), ", " and ": " between, and a newline at the end. Every byte
 * that is not white space between tokens is copied. Returns 0 or buf_append's error. */
int json_indent(struct json value, struct buf *out);

#endif
