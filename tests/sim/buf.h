/*
 * buf: a growing byte buffer that every answer and every JSON text is built in.
 *
 * Owns its bytes. A failed allocation, or growing past BUF_MAX, is remembered in `failed` and makes
 * later additions no-ops, so that a builder checks once, at the end. The bytes are always followed
 * by a NUL that does not count.
 */
#ifndef SIM_BUF_H
#define SIM_BUF_H

#include <stdbool.h>
#include <stddef.h>

#define BUF_MAX ((size_t)1 << 31) /* the truth of 100,000 documents is about 200 MB */

struct buf {
	char *data; /* owned; NULL while empty */
	size_t len;
	size_t cap;
	bool failed;
};

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_format(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hands the bytes over (the caller frees them) or returns NULL if building failed. Empties b. */
char *buf_take(struct buf *b, size_t *ret_len);
void buf_free(struct buf *b);

#endif
