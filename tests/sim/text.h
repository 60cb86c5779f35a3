/*
 * text: JSON string literals, both ways, for what cJSON cannot carry (NUL, lone surrogates), and
 * percent-decoding of forms.
 *
 * Owns nothing; results go into the caller's buffer.
 */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include "buf.h"

#include <stdint.h>

/* Adds the bytes as a quoted JSON string; bytes from 0x80 on pass as they are. */
void text_add_literal(struct buf *out, const char *bytes, size_t n);
/* The same in ASCII alone, slashes escaped too, as PHP writes it. The bytes are UTF-8. */
void text_add_ascii_literal(struct buf *out, const char *bytes, size_t n);
/*
 * Decodes a quoted JSON string literal to UTF-8; a lone surrogate becomes U+FFFD, \u0000 a NUL
 * byte. Returns -EINVAL if it is not exactly one literal.
 */
int text_decode_literal(const char *literal, struct buf *out);
/* Decodes application/x-www-form-urlencoded. Returns -EINVAL on a broken percent sequence. */
int text_decode_form(const char *bytes, size_t n, struct buf *out);
/* Lower-cases ASCII in place. */
void text_fold(char *bytes, size_t n);
/* Reads a decimal number with nothing around it. Returns -EINVAL or -ERANGE. */
int text_parse_number(const char *s, uint64_t max, uint64_t *ret_number);

#endif
