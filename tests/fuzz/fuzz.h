/* fuzz.h: what the fuzz targets share. A target reads one input, given by libFuzzer, and aborts if
 * something does not hold that must hold for every input. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As assert, in every build. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A piece of the input. */
struct piece {
	const char *text;
	size_t len;
};

/* Takes what comes before the next `end` byte, or all; moves behind it. False: nothing is left. */
static inline bool piece_take(struct piece *input, char end, struct piece *ret_piece)
{
	const char *at;

	if (input->len == 0)
		return false;
	at = memchr(input->text, end, input->len);
	ret_piece->text = input->text;
	ret_piece->len = at ? (size_t)(at - input->text) : input->len;
	input->text += ret_piece->len + (at != NULL);
	input->len -= ret_piece->len + (at != NULL);
	return true;
}

/* In memory of its exact size, so that the sanitizer sees a read past its end. */
static inline char *piece_copy(struct piece piece)
{
	char *copy = malloc(piece.len + 1);

	CHECK(copy);
	if (piece.len)
		memcpy(copy, piece.text, piece.len);
	copy[piece.len] = '\0';
	return copy;
}

#endif
