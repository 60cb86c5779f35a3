/* See rng.h. */
#include "rng.h"

uint64_t rng_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t rng_next(struct rng *r)
{
	uint64_t value = rng_mix(r->state);

	r->state += 0x9e3779b97f4a7c15u;
	return value;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

void rng_make_guid(struct rng *r, char ret_guid[RNG_GUID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t high = rng_next(r);
	uint64_t low = rng_next(r);
	char *out = ret_guid;

	high = (high & ~(uint64_t)0xf000) | 0x4000;			/* version 4 */
	low = (low & ~((uint64_t)0xc0 << 56)) | ((uint64_t)0x80 << 56); /* variant 1 */
	for (unsigned int i = 0; i < 32; i++) {
		uint64_t half = i < 16 ? high : low;

		if (i == 8 || i == 12 || i == 16 || i == 20)
			*out++ = '-';
		*out++ = digits[(half >> (60 - 4 * (i % 16))) & 0xf];
	}
	*out = '\0';
}

void rng_make_nano(struct rng *r, char ret_nano[RNG_NANO_SIZE])
{
	/* The vendor's example is MNWI5YR89; ids are case-sensitive (S). */
	static const char alphabet[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	for (int i = 0; i < RNG_NANO_SIZE - 1; i++)
		ret_nano[i] = alphabet[rng_below(r, sizeof(alphabet) - 1)];
	ret_nano[RNG_NANO_SIZE - 1] = '\0';
}
