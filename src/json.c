/* json.c: reading JSON without changing a byte of it.
 *
 * Owns nothing. Only json_parse meets unchecked bytes, and answers -EBADMSG; everything after it
 * walks a text that is known to follow the grammar, and can fail only where a caller asks for what
 * is not there or a buffer refuses to grow. */
#include "json.h"

#include "utf8.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* Every byte of a word set to `byte`. */
#define BYTES_OF(byte) (0x0101010101010101u * (uint64_t)(byte))

#define REPLACEMENT 0xFFFDu

/* Eight bytes, the first one lowest. */
static uint64_t word_load(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

/* Bit 7 of every byte that is below `limit` (at most 0x80). Bytes above a real hit may be false
 * hits (the subtraction borrows), so only the lowest one counts. */
static uint64_t word_below(uint64_t word, unsigned char limit)
{
	return (word - BYTES_OF(limit)) & ~word & BYTES_OF(0x80);
}

static uint64_t word_equal(uint64_t word, char byte)
{
	return word_below(word ^ BYTES_OF((unsigned char)byte), 1);
}

/* The first quote, backslash or control character, else `end`. Most of a text is inside strings,
 * so this decides how fast the whole module is. */
static const char *scan_string(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t word = word_load(at);
		uint64_t hits =
			word_equal(word, '"') | word_equal(word, '\\') | word_below(word, 0x20);
		if (hits)
			return at + __builtin_ctzll(hits) / 8;
	}
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
		at++;
	return at;
}

/* The same where no control characters can be: the first quote or backslash. */
static const char *scan_checked(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t word = word_load(at);
		uint64_t hits = word_equal(word, '"') | word_equal(word, '\\');
		if (hits)
			return at + __builtin_ctzll(hits) / 8;
	}
	while (at < end && *at != '"' && *at != '\\')
		at++;
	return at;
}

/* The first backslash or byte that is not ASCII, else `end`. */
static const char *scan_ascii(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t word = word_load(at);
		uint64_t hits = word_equal(word, '\\') | (word & BYTES_OF(0x80));
		if (hits)
			return at + __builtin_ctzll(hits) / 8;
	}
	while (at < end && *at != '\\' && (unsigned char)*at < 0x80)
		at++;
	return at;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && is_space(*at))
		at++;
	return at;
}

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	return at;
}

/* Four hexadecimal digits as a number, or -1. */
static int hex4(const char *at)
{
	int code = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];
		if (c >= '0' && c <= '9')
			code = code * 16 + (c - '0');
		else if (c >= 'a' && c <= 'f')
			code = code * 16 + (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			code = code * 16 + (c - 'A' + 10);
		else
			return -1;
	}
	return code;
}

/* ---- The check: one pass of the grammar over bytes that may be anything. ---- */

struct check {
	const char *at;
	const char *end;
};

/* Takes `c` and the white space before it, if it comes next. */
static bool check_take(struct check *check, char c)
{
	check->at = skip_space(check->at, check->end);
	if (check->at == check->end || *check->at != c)
		return false;
	check->at++;
	return true;
}

static bool check_escape(struct check *check)
{
	const char *at = check->at;
	ptrdiff_t left = check->end - at;

	if (left < 2)
		return false;
	if (at[1] == 'u') {
		if (left < 6 || hex4(at + 2) < 0)
			return false;
		check->at += 6;
		return true;
	}
	check->at += 2;
	return at[1] != '\0' && strchr("\"\\/bfnrt", at[1]);
}

static bool check_string(struct check *check)
{
	if (!check_take(check, '"'))
		return false;
	for (;;) {
		check->at = scan_string(check->at, check->end);
		if (check->at == check->end)
			return false;
		if (*check->at == '"') {
			check->at++;
			return true;
		}
		if (*check->at != '\\' || !check_escape(check))
			return false;
	}
}

static bool check_digits(struct check *check)
{
	const char *start = check->at;
	check->at = skip_digits(start, check->end);
	return check->at > start;
}

static bool check_number(struct check *check)
{
	if (*check->at == '-')
		check->at++;
	const char *integer = check->at;
	if (!check_digits(check) || (*integer == '0' && check->at - integer > 1))
		return false;
	if (check->at < check->end && *check->at == '.') {
		check->at++;
		if (!check_digits(check))
			return false;
	}
	if (check->at < check->end && (*check->at == 'e' || *check->at == 'E')) {
		check->at++;
		if (check->at < check->end && (*check->at == '+' || *check->at == '-'))
			check->at++;
		return check_digits(check);
	}
	return true;
}

static bool check_word(struct check *check, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(check->end - check->at) < len || memcmp(check->at, word, len) != 0)
		return false;
	check->at += len;
	return true;
}

static bool check_value(struct check *check, int depth);

/* `depth` counts this container too: it bounds the recursion. */
static bool check_container(struct check *check, char close, int depth)
{
	if (depth > JSON_DEPTH_MAX)
		return false;
	check->at++;
	if (check_take(check, close))
		return true;
	do {
		if (close == '}' && !(check_string(check) && check_take(check, ':')))
			return false;
		if (!check_value(check, depth))
			return false;
	} while (check_take(check, ','));
	return check_take(check, close);
}

static bool check_value(struct check *check, int depth)
{
	check->at = skip_space(check->at, check->end);
	if (check->at == check->end)
		return false;
	switch (*check->at) {
	case '{':
		return check_container(check, '}', depth + 1);
	case '[':
		return check_container(check, ']', depth + 1);
	case '"':
		return check_string(check);
	case 't':
		return check_word(check, "true");
	case 'f':
		return check_word(check, "false");
	case 'n':
		return check_word(check, "null");
	default:
		return check_number(check);
	}
}

int json_parse(const char *text, size_t len, struct json *ret_value)
{
	static const char byte_order_mark[] = {'\xEF', '\xBB', '\xBF'};

	if (len >= sizeof(byte_order_mark) &&
	    memcmp(text, byte_order_mark, sizeof(byte_order_mark)) == 0) {
		text += sizeof(byte_order_mark);
		len -= sizeof(byte_order_mark);
	}
	const char *end = text + len;
	const char *start = skip_space(text, end);
	struct check check = {.at = start, .end = end};
	if (!check_value(&check, 0) || skip_space(check.at, end) != end)
		return -EBADMSG;
	*ret_value = (struct json){.text = start, .len = (size_t)(check.at - start)};
	return 0;
}

/* ---- Walking a checked text. ---- */

/* Past the closing quote of the string at `at`. */
static const char *string_end(const char *at, const char *end)
{
	for (at++;; at += 2) {
		at = scan_checked(at, end);
		if (*at == '"')
			return at + 1;
	}
}

static const char *scalar_end(const char *at, const char *end)
{
	while (at < end && *at != ',' && *at != ']' && *at != '}' && !is_space(*at))
		at++;
	return at;
}

/* Past the end of the container that is `depth` deep inside at `at`. Brackets match in a checked
 * text, so counting them is enough. */
static const char *container_end(const char *at, const char *end, int depth)
{
	for (;;) {
		switch (*at) {
		case '"':
			at = string_end(at, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return at + 1;
			break;
		default:
			break;
		}
		at++;
	}
}

static struct json value_at(const char *at, const char *end)
{
	const char *after;

	if (*at == '"')
		after = string_end(at, end);
	else if (*at == '{' || *at == '[')
		after = container_end(at, end, 0);
	else
		after = scalar_end(at, end);
	return (struct json){.text = at, .len = (size_t)(after - at)};
}

enum json_type json_type(struct json value)
{
	switch (value.text[0]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

struct json_iter json_iterate(struct json container)
{
	enum json_type type = json_type(container);

	if (type != JSON_ARRAY && type != JSON_OBJECT)
		return (struct json_iter){0};
	return (struct json_iter){
		.at = container.text + 1,
		.end = container.text + container.len - 1,
	};
}

/* Where the next element or member begins, or NULL. The container may end before `end`. */
static const char *next_start(const struct json_iter *iter)
{
	const char *at = skip_space(iter->at, iter->end);

	if (at < iter->end && *at == ',')
		at = skip_space(at + 1, iter->end);
	return at == iter->end || *at == '}' || *at == ']' ? NULL : at;
}

bool json_next(struct json_iter *iter)
{
	const char *end = iter->end;
	const char *at = next_start(iter);

	if (!at)
		return false;
	iter->value = value_at(at, end);
	at = skip_space(at + iter->value.len, end);
	if (at < end && *at == ':') {
		iter->key = iter->value;
		iter->value = value_at(skip_space(at + 1, end), end);
		at = iter->value.text + iter->value.len;
	}
	iter->at = at;
	return true;
}

/* Goes over an object's members until it has all that are wanted. */
static void find_members(struct json_iter *iter, const char *const *keys, size_t count,
			 struct json *values)
{
	size_t missing = count;

	while (missing > 0 && json_next(iter)) {
		for (size_t i = 0; i < count; i++) {
			if (values[i].text || !json_string_equals(iter->key, keys[i]))
				continue;
			values[i] = iter->value;
			missing--;
			break;
		}
	}
}

void json_get_members(struct json object, const char *const *keys, size_t count,
		      struct json *values)
{
	struct json_iter iter = json_iterate(object);

	memset(values, 0, count * sizeof(*values));
	if (json_type(object) == JSON_OBJECT)
		find_members(&iter, keys, count, values);
}

bool json_next_members(struct json_iter *iter, const char *const *keys, size_t count,
		       struct json *values)
{
	const char *start = next_start(iter);

	memset(values, 0, count * sizeof(*values));
	if (!start || *start != '{')
		return json_next(iter);
	struct json_iter inside = {.at = start + 1, .end = iter->end};
	find_members(&inside, keys, count, values);
	iter->at = container_end(inside.at, iter->end, 1);
	iter->value = (struct json){.text = start, .len = (size_t)(iter->at - start)};
	return true;
}

int json_get(struct json object, const char *key, struct json *ret_value)
{
	struct json value;

	json_get_members(object, &key, 1, &value);
	if (!value.text)
		return -ENOENT;
	*ret_value = value;
	return 0;
}

/* ---- What strings mean. ---- */

/* The code point of the \uXXXX at `*at`, with its second half if it has one. */
static unsigned decode_unicode(const char **at)
{
	unsigned code = (unsigned)hex4(*at + 2);

	*at += 6;
	if (code < 0xD800 || code > 0xDFFF)
		return code;
	/* Behind the last escape comes at least the closing quote. */
	if (code < 0xDC00 && (*at)[0] == '\\' && (*at)[1] == 'u') {
		unsigned low = (unsigned)hex4(*at + 2);
		if (low >= 0xDC00 && low <= 0xDFFF) {
			*at += 6;
			return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		}
	}
	return REPLACEMENT;
}

static unsigned decode_escape(const char **at)
{
	static const char letters[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	char c = (*at)[1];

	if (c == 'u')
		return decode_unicode(at);
	*at += 2;
	const char *letter = strchr(letters, c);
	return (unsigned char)(letter ? meanings[letter - letters] : c);
}

/* Where the bytes end that stand for themselves. */
static const char *literal_end(const char *at, const char *end)
{
	for (;;) {
		at = scan_ascii(at, end);
		if (at == end || *at == '\\')
			return at;
		bool valid;
		size_t len = utf8_length(at, end, &valid);
		if (!valid)
			return at;
		at += len;
	}
}

/* The next piece of a string's meaning, at most up to `end`: a run of the text itself, or one
 * character made in `made`. Returns its length; moves `*at` behind what it stands for. */
static size_t decode_piece(const char **at, const char *end, char made[4], const char **ret_piece)
{
	const char *start = *at;
	unsigned code = REPLACEMENT;

	*at = literal_end(start, end);
	if (*at > start) {
		*ret_piece = start;
		return (size_t)(*at - start);
	}
	if (*start == '\\') {
		code = decode_escape(at);
	} else {
		bool valid;
		*at += utf8_length(start, end, &valid);
	}
	*ret_piece = made;
	return utf8_encode(code, made);
}

int json_string_decode(struct json string, struct buf *out)
{
	if (json_type(string) != JSON_STRING)
		return -EBADMSG;
	const char *at = string.text + 1;
	const char *end = string.text + string.len - 1;
	while (at < end) {
		char made[4];
		const char *piece;
		size_t len = decode_piece(&at, end, made, &piece);
		int error = buf_append(out, piece, len);
		if (error)
			return error;
	}
	return 0;
}

bool json_string_equals(struct json string, const char *expected)
{
	if (json_type(string) != JSON_STRING)
		return false;
	const char *at = string.text + 1;
	const char *end = string.text + string.len - 1;
	/* Most are told apart here, by their first byte. */
	for (; at < end && *at != '\\' && (unsigned char)*at < 0x80; at++, expected++) {
		if (*at != *expected)
			return false;
	}
	size_t left = strlen(expected);
	while (at < end) {
		char made[4];
		const char *piece;
		size_t len = decode_piece(&at, end, made, &piece);
		if (len > left || memcmp(piece, expected, len) != 0)
			return false;
		expected += len;
		left -= len;
	}
	return left == 0;
}

/* ---- Typed members. ---- */

static bool is_present(struct json value)
{
	return value.text && json_type(value) != JSON_NULL;
}

/* A number without fraction and exponent. */
static bool is_integer(struct json value)
{
	const char *end = value.text + value.len;
	return json_type(value) == JSON_NUMBER &&
	       skip_digits(value.text + (value.text[0] == '-'), end) == end;
}

int json_read_string(struct json value, struct buf *out)
{
	return is_present(value) ? json_string_decode(value, out) : -ENOENT;
}

int json_read_id(struct json value, struct buf *out)
{
	if (is_present(value) && is_integer(value))
		return buf_append(out, value.text, value.len);
	return json_read_string(value, out);
}

int json_read_int(struct json value, int64_t *ret_value)
{
	int64_t number = 0;

	if (!is_present(value))
		return -ENOENT;
	if (!is_integer(value))
		return -EBADMSG;
	bool negative = value.text[0] == '-';
	for (size_t i = negative; i < value.len; i++) {
		int digit = value.text[i] - '0';
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, negative ? -digit : digit, &number))
			return -EBADMSG;
	}
	*ret_value = number;
	return 0;
}

int json_get_string(struct json object, const char *key, struct buf *out)
{
	struct json value;

	json_get_members(object, &key, 1, &value);
	return json_read_string(value, out);
}

int json_get_int(struct json object, const char *key, int64_t *ret_value)
{
	struct json value;

	json_get_members(object, &key, 1, &value);
	return json_read_int(value, ret_value);
}

/* ---- Re-indenting. ---- */

/* As buf_append, but the NUL behind the text is left to the last one. */
static void put(struct buf *out, const char *bytes, size_t len)
{
	if (len >= out->cap - out->len) {
		buf_append(out, bytes, len);
		return;
	}
	memcpy(out->data + out->len, bytes, len);
	out->len += len;
}

/* A line's end and the next one's indent. */
static void put_line(struct buf *out, int depth)
{
	static const char newline[1 + 2 * JSON_DEPTH_MAX + 1] =
		"\n                                                                "
		"                                                                ";
	put(out, newline, 1 + 2 * (size_t)depth);
}

int json_indent(struct json value, struct buf *out)
{
	const char *end = value.text + value.len;
	int depth = 0;
	/* Inside a container that has held no other so far. If one comes, what was written of it is
	 * taken back and written anew: up to there, so no byte is read more than twice. */
	bool one_line = false;
	const char *opened = value.text; /* it began here, */
	size_t opened_len = 0;		 /* and with so much written */

	/* Errors stick to the buffer: one check at the end will do. */
	for (const char *at = value.text; at < end;) {
		const char *token = at++;
		switch (*token) {
		case ' ':
		case '\n':
		case '\r':
		case '\t':
			break;
		case '{':
		case '[':
			if (one_line) {
				one_line = false;
				at = opened;
				if (!out->error)
					out->len = opened_len;
				put_line(out, ++depth);
				break;
			}
			put(out, token, 1);
			one_line = true;
			opened = at;
			opened_len = out->len;
			break;
		case '}':
		case ']':
			if (!one_line)
				put_line(out, --depth);
			one_line = false;
			put(out, token, 1);
			break;
		case ',':
			if (one_line) {
				put(out, ", ", 2);
			} else {
				put(out, token, 1);
				put_line(out, depth);
			}
			break;
		case ':':
			put(out, ": ", 2);
			break;
		case '"':
			at = string_end(token, end);
			put(out, token, (size_t)(at - token));
			break;
		default:
			at = scalar_end(token, end);
			put(out, token, (size_t)(at - token));
		}
	}
	return buf_append(out, "\n", 1); /* ends the text with its NUL too */
}
