/* utf8.h: characters in bytes that should be UTF-8 and may not be. Pure; cannot fail. */
#ifndef IBINDERFS_UTF8_H
#define IBINDERFS_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the UTF-8 sequence at `at` (which is before `end`). When it is not valid (overlong,
 * a surrogate, past U+10FFFF, cut off), the length of what one U+FFFD stands for. */
size_t utf8_length(const char *at, const char *end, bool *ret_valid);

/* Whether a valid sequence is a control that a terminal may act on, or that shows the text around
 * it in another order: C1 (U+0080 to U+009F; xterm takes U+009B for ESC [), and the directional
 * embeddings, overrides and isolates (U+202A to U+202E, U+2066 to U+2069), by which "fdp.exe" can
 * be made to look like "exe.pdf". Marks of direction (U+200E, U+200F), which Arabic and Hebrew
 * names hold for good reasons, only act on their neighbours and are none. */
bool utf8_is_hazard(const char *at, size_t len);

/* Writes a code point (at most U+10FFFF) as UTF-8. Returns the length. */
size_t utf8_encode(unsigned code, char out[4]);

#endif
