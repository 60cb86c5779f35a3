/* hash.h: the one hash there is: FNV-1a (64 bit), mixed at the end by MurmurHash3's finaliser where
 * all bits must be good. Not for keys that an attacker should not be able to choose. Inode numbers
 * are made of it, so it must never change. */
#ifndef IBINDERFS_HASH_H
#define IBINDERFS_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_START 0xcbf29ce484222325ULL

/* Goes on from `hash`. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ULL;
	return hash;
}

static inline uint64_t hash_string(uint64_t hash, const char *text)
{
	return hash_bytes(hash, text, strlen(text));
}

static inline uint64_t hash_mix(uint64_t hash)
{
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdULL;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ULL;
	return hash ^ hash >> 33;
}

#endif
