/* buf.c: a byte buffer that grows up to a bound.
 *
 * Owns the bytes until buf_steal hands them over. Fails with -EFBIG at the bound and -ENOMEM, and
 * then holds nothing and stays failed until it is reset. */
#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* First allocation, unless the bound is lower: an id or a name fits without growing. */
#define BUF_CAP_MIN 64

void buf_reset(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.max = buf->max, .open = buf->open};
}

void buf_wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->len);
	buf_reset(buf);
}

static int buf_fail(struct buf *buf, int error)
{
	buf_wipe(buf);
	buf->error = error;
	return error;
}

/* The bytes in `cap` bytes of memory, or NULL. realloc could leave a copy of a secret behind; where
 * there is none it is cheaper, as the pages of a large buffer move without being copied. */
static char *buf_move(struct buf *buf, size_t cap)
{
	char *data;

	if (buf->open)
		return realloc(buf->data, cap);
	data = malloc(cap);
	if (data && buf->data) {
		memcpy(data, buf->data, buf->len);
		explicit_bzero(buf->data, buf->len);
		free(buf->data);
	}
	return data;
}

/* And for the NUL. */
int buf_reserve(struct buf *buf, size_t more)
{
	if (buf->error)
		return buf->error;
	if (more > buf->max - buf->len)
		return buf_fail(buf, -EFBIG);
	size_t need = buf->len + more + 1;
	if (need <= buf->cap)
		return 0;

	size_t cap = buf->cap ? buf->cap * 2 : BUF_CAP_MIN;
	if (cap < need)
		cap = need;
	if (cap - 1 > buf->max)
		cap = buf->max + 1;
	char *data = buf_move(buf, cap);
	if (!data)
		return buf_fail(buf, -ENOMEM);
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
	if (len == 0)
		return buf->error;
	int error = buf_reserve(buf, len);
	if (error)
		return error;
	memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int buf_append_str(struct buf *buf, const char *str)
{
	return buf_append(buf, str, strlen(str));
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	if (buf->error)
		return buf->error;
	va_start(args, format);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		return buf_fail(buf, errno == EOVERFLOW ? -EFBIG : -ENOMEM);
	if (len == 0)
		return 0;

	int error = buf_reserve(buf, (size_t)len);
	if (error)
		return error;
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
	va_end(args);
	buf->len += (size_t)len;
	return 0;
}

const char *buf_str(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_steal(struct buf *buf)
{
	char *data = buf->data;
	buf->data = NULL;
	buf->len = 0;
	buf->cap = 0;
	return data;
}
