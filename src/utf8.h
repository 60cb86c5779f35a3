/* utf8.h: characters in bytes that should be UTF-8 and may not be. Pure; cannot fail. */
#ifndef IBINDERFS_UTF8_H
#define IBINDERFS_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the UTF-8 sequence at `at` (which is before `end`). When it is not valid (overlong,
 * a surrogate, past U+10FFFF, cut off), the length of what one U+FFFD stands for. */
size_t utf8_length(const char *at, const char *end, bool *ret_valid);

/* Writes a code point (at most U+10FFFF) as UTF-8. Returns the length. */
size_t utf8_encode(unsigned code, char out[4]);

#endif
