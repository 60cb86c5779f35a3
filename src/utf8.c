/* utf8.c: characters in bytes that should be UTF-8 and may not be. */
#include "utf8.h"

size_t utf8_length(const char *at, const char *end, bool *ret_valid)
{
	unsigned char lead = (unsigned char)*at;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t need = 0; /* no sequence starts like this */
	size_t len = 1;

	if (lead < 0x80) {
		need = 1;
	} else if (lead >= 0xC2 && lead <= 0xDF) {
		need = 2;
	} else if (lead >= 0xE0 && lead <= 0xEF) {
		need = 3;
		if (lead == 0xE0)
			low = 0xA0; /* below: overlong */
		if (lead == 0xED)
			high = 0x9F; /* above: surrogates */
	} else if (lead >= 0xF0 && lead <= 0xF4) {
		need = 4;
		if (lead == 0xF0)
			low = 0x90; /* below: overlong */
		if (lead == 0xF4)
			high = 0x8F; /* above: past U+10FFFF */
	}
	while (len < need && at + len < end && (unsigned char)at[len] >= low &&
	       (unsigned char)at[len] <= high) {
		len++;
		low = 0x80;
		high = 0xBF;
	}
	*ret_valid = len == need;
	return len;
}

bool utf8_is_hazard(const char *at, size_t len)
{
	const unsigned char *byte = (const unsigned char *)at;

	if (len == 2)
		return byte[0] == 0xC2 && byte[1] <= 0x9F;
	if (len != 3 || byte[0] != 0xE2)
		return false;
	return (byte[1] == 0x80 && byte[2] >= 0xAA && byte[2] <= 0xAE) ||
	       (byte[1] == 0x81 && byte[2] >= 0xA6 && byte[2] <= 0xA9);
}

size_t utf8_encode(unsigned code, char out[4])
{
	static const unsigned char lead[] = {0x00, 0xC0, 0xE0, 0xF0};
	unsigned tail = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

	out[0] = (char)(lead[tail] | code >> 6 * tail);
	for (unsigned i = 1; i <= tail; i++)
		out[i] = (char)(0x80 | (code >> 6 * (tail - i) & 0x3F));
	return tail + 1;
}
