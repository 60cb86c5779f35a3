/* buf.h: a byte buffer that grows up to a bound.
 *
 * The first failed append frees what was held and makes every later append fail with the same
 * error, so a caller may append many times and check once. The bytes are always followed by a NUL
 * that `len` does not count. */
#ifndef IBINDERFS_BUF_H
#define IBINDERFS_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* owned; NULL while empty */
	size_t len; /* bytes held, without the final NUL */
	size_t cap; /* bytes allocated */
	size_t max; /* longest that len may become */
	int error;  /* 0, or the -errno of the append that failed */
	bool open;  /* holds no secret: may leave copies behind as it grows */
};

#define BUF_INIT(max_len)      ((struct buf){.max = (max_len)})
#define BUF_INIT_OPEN(max_len) ((struct buf){.max = (max_len), .open = true})

/* Frees the bytes and forgets an error; the bound stays, as does what it may hold. */
void buf_reset(struct buf *buf);
/* As buf_reset, and overwrites the bytes first: for what may hold a secret. */
void buf_wipe(struct buf *buf);

/* All return 0, -ENOMEM, or -EFBIG when the bound would be passed. */
/* Makes room for so many more bytes, which are then appended without growing. */
int buf_reserve(struct buf *buf, size_t more);
int buf_append(struct buf *buf, const void *data, size_t len);
int buf_append_str(struct buf *buf, const char *str);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bytes as a C string: never NULL, "" while empty. Valid until the next change. */
const char *buf_str(const struct buf *buf);
/* Hands the bytes to the caller, who frees them; the buffer is empty afterwards. NULL while empty.
 */
char *buf_steal(struct buf *buf);

#endif
