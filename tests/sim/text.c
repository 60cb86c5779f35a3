/* See text.h. */
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void text_add_literal(struct buf *out, const char *bytes, size_t n)
{
	buf_add_char(out, '"');
	size_t plain = 0; /* start of the run not yet copied */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(out, bytes + plain, i - plain);
		plain = i + 1;
		if (c == '"' || c == '\\')
			buf_add_format(out, "\\%c", c);
		else if (c == '\n')
			buf_add_str(out, "\\n");
		else
			buf_add_format(out, "\\u%04x", c);
	}
	buf_add(out, bytes + plain, n - plain);
	buf_add_char(out, '"');
}

/* The code point at s and how many bytes it takes. */
static unsigned int text_code_point(const char *s, size_t n, size_t *ret_len)
{
	unsigned char c = (unsigned char)*s;
	size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	unsigned int point = c & (0xffu >> (len + 1));

	for (size_t i = 1; i < len && i < n; i++)
		point = (point << 6) | ((unsigned char)s[i] & 0x3f);
	*ret_len = len < n ? len : n;
	return point;
}

void text_add_ascii_literal(struct buf *out, const char *bytes, size_t n)
{
	struct buf plain = {0};
	size_t len;

	text_add_literal(&plain, bytes, n);
	for (size_t i = 0; i < plain.len && !plain.failed; i += len) {
		unsigned char c = (unsigned char)plain.data[i];

		len = 1;
		if (c == '/') {
			buf_add_str(out, "\\/");
		} else if (c < 0x80) {
			buf_add_char(out, (char)c);
		} else {
			unsigned int point = text_code_point(plain.data + i, plain.len - i, &len);

			if (point > 0xffff)
				buf_add_format(out, "\\u%04x", 0xd7c0 + (point >> 10));
			buf_add_format(out, "\\u%04x",
				       point > 0xffff ? 0xdc00 + (point & 0x3ff) : point);
		}
	}
	out->failed |= plain.failed;
	buf_free(&plain);
}

static int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads the four digits after \u; -1 if they are not all there (a NUL ends the reading). */
static int text_hex4(const char *s)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int digit = text_hex_digit(s[i]);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static void text_add_utf8(struct buf *out, unsigned int c)
{
	if (c < 0x80) {
		buf_add_char(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_add_char(out, (char)(0xc0 | (c >> 6)));
	} else if (c < 0x10000) {
		buf_add_char(out, (char)(0xe0 | (c >> 12)));
		buf_add_char(out, (char)(0x80 | ((c >> 6) & 0x3f)));
	} else {
		buf_add_char(out, (char)(0xf0 | (c >> 18)));
		buf_add_char(out, (char)(0x80 | ((c >> 12) & 0x3f)));
		buf_add_char(out, (char)(0x80 | ((c >> 6) & 0x3f)));
	}
	buf_add_char(out, (char)(0x80 | (c & 0x3f)));
}

/* Decodes the escape after the backslash at s[0]; returns its length in the literal, 0 if bad. */
static size_t text_decode_escape(const char *s, struct buf *out)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *simple = s[1] ? strchr(from, s[1]) : NULL;

	if (simple) {
		buf_add_char(out, to[simple - from]);
		return 2;
	}
	if (s[1] != 'u')
		return 0;
	int high = text_hex4(s + 2);
	if (high < 0)
		return 0;
	if (high < 0xd800 || high > 0xdfff) {
		text_add_utf8(out, (unsigned int)high);
		return 6;
	}
	int low = high < 0xdc00 && s[6] == '\\' && s[7] == 'u' ? text_hex4(s + 8) : -1;
	if (low >= 0xdc00 && low <= 0xdfff) {
		unsigned int pair =
			((unsigned int)(high - 0xd800) << 10) | (unsigned int)(low - 0xdc00);

		text_add_utf8(out, 0x10000 + pair);
		return 12;
	}
	text_add_utf8(out, 0xfffd);
	return 6;
}

int text_decode_literal(const char *literal, struct buf *out)
{
	if (literal[0] != '"')
		return -EINVAL;
	const char *s = literal + 1;
	while (*s && *s != '"') {
		size_t used = 1;

		if (*s == '\\')
			used = text_decode_escape(s, out);
		else if ((unsigned char)*s < 0x20)
			used = 0;
		else
			buf_add_char(out, *s);
		if (!used)
			return -EINVAL;
		s += used;
	}
	if (s[0] != '"' || s[1])
		return -EINVAL;
	buf_add(out, "", 0);
	return out->failed ? -ENOMEM : 0;
}

int text_decode_form(const char *bytes, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		char c = bytes[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = i + 2 < n ? text_hex_digit(bytes[i + 1]) : -1;
			int low = high >= 0 ? text_hex_digit(bytes[i + 2]) : -1;

			if (low < 0)
				return -EINVAL;
			c = (char)(high * 16 + low);
			i += 2;
		}
		buf_add_char(out, c);
	}
	buf_add(out, "", 0);
	return out->failed ? -ENOMEM : 0;
}

void text_fold(char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] >= 'A' && bytes[i] <= 'Z')
			bytes[i] = (char)(bytes[i] - 'A' + 'a');
}

int text_parse_number(const char *s, uint64_t max, uint64_t *ret_number)
{
	char *end;

	if (!s || *s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	unsigned long long value = strtoull(s, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno || value > max)
		return -ERANGE;
	*ret_number = value;
	return 0;
}
