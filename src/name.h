/* name.h: the API's names made into file names.
 *
 * Pure and total: any bytes and any set of entries give legal, distinct names of at most
 * NAME_BYTES_MAX bytes that depend on the set alone, never on its order. */
#ifndef IBINDERFS_NAME_H
#define IBINDERFS_NAME_H

#include <stddef.h>
#include <stdint.h>

/* Linux's NAME_MAX: bytes, not characters. */
#define NAME_BYTES_MAX 255
/* Longest suffix: leaves room for an id and an extension before it. */
#define NAME_SUFFIX_MAX 32

/* One entry of a directory on its way to a name. */
struct name_entry {
	const char *raw; /* what the API calls it; UTF-8 in theory, any bytes in practice */
	size_t raw_len;
	const char *id; /* the API's id, never empty; any bytes */
	size_t id_len;
	uint64_t hash;	    /* another for each entry: tells apart what the whole id cannot */
	const char *suffix; /* what the file name adds: ".json" for a document, else "" */
	const char *content_suffix; /* and in the tree of contents; NULL: nothing */
	char *name;	     /* out: legal name without the suffix, NUL-terminated, from malloc */
	unsigned char level; /* for names_assign alone */
};

/* Gives every entry its name. The names are distinct with the one and with the other suffix (the
 * tree of documents and the tree of their contents use the same names), and with the first
 * differ from all `reserved` names. An empty name becomes the id. Entries that clash all get
 * " [xxxxxxxx]" (first eight characters of the id) before the extension, then the whole id, then
 * the hash. A name that had to be cut always gets it, and keeps its extension. Returns 0, -ENOMEM,
 * or -EINVAL when a suffix is longer than NAME_SUFFIX_MAX, or the second than the first; on failure
 * no entry holds a name. */
int names_assign(struct name_entry *entries, size_t count, const char *const *reserved,
		 size_t reserved_count);

#endif
