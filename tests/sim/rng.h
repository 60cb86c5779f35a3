/*
 * rng: seeded pseudo-random numbers and the identifiers made of them.
 *
 * The whole organisation follows from one seed, so a failing test can be run again on the same
 * data. Nothing here is fit for secrets.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stddef.h>
#include <stdint.h>

#define RNG_GUID_SIZE 37 /* 36 characters and the NUL */
#define RNG_NANO_SIZE 10 /* 9 characters and the NUL */

struct rng {
	uint64_t state;
};

/* A bijective scramble (splitmix64): also hashes positions of generated file contents. */
uint64_t rng_mix(uint64_t x);
uint64_t rng_next(struct rng *r);
/* 0 .. n-1; 0 when n is 0. */
uint64_t rng_below(struct rng *r, uint64_t n);
void rng_make_guid(struct rng *r, char ret_guid[RNG_GUID_SIZE]);
void rng_make_nano(struct rng *r, char ret_nano[RNG_NANO_SIZE]);

#endif
