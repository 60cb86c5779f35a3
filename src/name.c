/* name.c: the API's names made into file names.
 *
 * Owns the tables of one names_assign call; the names go to the caller. Fails for want of
 * memory and for a suffix that could not fit, never for what a name holds.
 *
 * A name is tried in forms that tell ever more apart:
 *
 *   plain    A-40.pdf
 *   id8      A-40 [MNWI5YR8].pdf           also when the plain form does not fit
 *   id       A-40 [MNWI5YR89].pdf
 *   hash     A-40 [00c3f2a91b7e6d54].pdf   also when the id does not fit
 *
 * It goes in rounds over the whole set: name all that are new, see who clashes, let every one of
 * them that is below "hash" go up, until none clashes. Who goes up depends on the set alone, so
 * order plays no part. Only names that changed are looked at again, so all rounds together take
 * time in proportion to the entries, however the names are chosen. */
#include "name.h"

#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest extension that survives a cut, with its dot. What is longer, or holds a blank, is none.
 */
#define EXTENSION_BYTES_MAX 16
/* Longest id, made legal, that a name may carry: leaves room for most of the name itself. */
#define ID_BYTES_MAX   128
#define ID_CHARS_SHORT 8
/* " [", the longest id, "]" and a NUL. */
#define MARKER_SIZE (ID_BYTES_MAX + 4)

#define NONE	   SIZE_MAX
#define HASH_START 0xCBF29CE484222325u

enum level { LEVEL_PLAIN, LEVEL_ID8, LEVEL_ID, LEVEL_HASH };

/* ---- One name. ---- */

/* The legal form of the character at `at`: the text itself, or made in `made`. Returns its length
 * and the length of what it stands for. */
static size_t legal_piece(const char *at, const char *end, char made[3], const char **ret_piece,
			  size_t *ret_taken)
{
	unsigned char c = (unsigned char)*at;
	const char *replacement = NULL;
	bool valid = true;

	*ret_taken = c < 0x80 ? 1 : utf8_length(at, end, &valid);
	if (c == '/')
		replacement = "\uFF0F";
	else if (c == 0x7F)
		replacement = "\u2421";
	else if (!valid || (c >= 0x80 && utf8_is_hazard(at, *ret_taken)))
		replacement = "\uFFFD";
	if (replacement) {
		*ret_piece = replacement;
		return strlen(replacement);
	}
	if (c < 0x20) { /* U+2400 and on show U+0000 and on */
		memcpy(made, "\u2400", 3);
		made[2] = (char)(made[2] + c);
		*ret_piece = made;
		return 3;
	}
	*ret_piece = at;
	return *ret_taken;
}

/* Writes the legal form of `raw` and a NUL: at most `max` bytes, of at most `chars_max` characters.
 * Returns the length, and whether something did not fit. "." and ".." are spell_dots' business. */
static size_t legalise(const char *raw, size_t raw_len, char *out, size_t max, size_t chars_max,
		       bool *ret_cut)
{
	const char *end = raw + raw_len;
	size_t len = 0;

	for (const char *at = raw; at < end && chars_max > 0; chars_max--) {
		char made[3];
		const char *piece;
		size_t taken;
		size_t piece_len = legal_piece(at, end, made, &piece, &taken);
		if (piece_len > max - len) {
			*ret_cut = true;
			out[len] = '\0';
			return len;
		}
		memcpy(out + len, piece, piece_len);
		len += piece_len;
		at += taken;
	}
	*ret_cut = false;
	out[len] = '\0';
	return len;
}

/* Puts full-width dots for the two names that mean something else to the kernel. */
static void spell_dots(const char **raw, size_t *raw_len)
{
	if (*raw_len == 1 && (*raw)[0] == '.')
		*raw = "\uFF0E";
	else if (*raw_len == 2 && (*raw)[0] == '.' && (*raw)[1] == '.')
		*raw = "\uFF0E\uFF0E";
	else
		return;
	*raw_len = strlen(*raw);
}

/* Takes the extension off a name: shortens `*raw_len` and writes its legal form, of which it
 * returns the length. It starts at the last dot that is not the first character. */
static size_t extension_take(const char *raw, size_t *raw_len, char out[EXTENSION_BYTES_MAX + 1])
{
	bool cut;

	out[0] = '\0';
	/* Legal forms are never shorter than what they stand for: no need to look further. */
	size_t from = *raw_len > EXTENSION_BYTES_MAX ? *raw_len - EXTENSION_BYTES_MAX : 1;
	if (from >= *raw_len)
		return 0;
	const char *dot = memrchr(raw + from, '.', *raw_len - from);
	if (!dot)
		return 0;
	size_t start = (size_t)(dot - raw);
	size_t len = legalise(dot, *raw_len - start, out, EXTENSION_BYTES_MAX, SIZE_MAX, &cut);
	if (cut || memchr(out, ' ', len)) /* "Projekt 012 Kv. Björken" has none */
		return 0;
	*raw_len = start;
	return len;
}

/* What the entry's level adds to its name; goes up a level when the whole id does not fit. */
static size_t marker_write(struct name_entry *entry, char out[MARKER_SIZE])
{
	char id[ID_BYTES_MAX + 1];
	bool cut = false;

	if (entry->level == LEVEL_ID8)
		legalise(entry->id, entry->id_len, id, ID_BYTES_MAX, ID_CHARS_SHORT, &cut);
	if (entry->level == LEVEL_ID) {
		legalise(entry->id, entry->id_len, id, ID_BYTES_MAX, SIZE_MAX, &cut);
		if (cut)
			entry->level = LEVEL_HASH;
	}
	if (entry->level == LEVEL_HASH)
		return (size_t)snprintf(out, MARKER_SIZE, " [%016" PRIx64 "]", entry->hash);
	return (size_t)snprintf(out, MARKER_SIZE, " [%s]", id);
}

/* The name at the entry's level, without the suffix but with room for it; goes up a level where
 * the form does not fit. Returns the length. */
static size_t name_write(struct name_entry *entry, char out[NAME_BYTES_MAX + 1])
{
	const char *raw = entry->raw_len ? entry->raw : entry->id;
	size_t raw_len = entry->raw_len ? entry->raw_len : entry->id_len;
	size_t room = NAME_BYTES_MAX - strlen(entry->suffix);
	bool cut;

	spell_dots(&raw, &raw_len);
	if (entry->level == LEVEL_PLAIN) {
		size_t len = legalise(raw, raw_len, out, room, SIZE_MAX, &cut);
		if (!cut && len > 0)
			return len;
		entry->level = LEVEL_ID8;
	}

	char marker[MARKER_SIZE];
	size_t marker_len = marker_write(entry, marker);
	char extension[EXTENSION_BYTES_MAX + 1];
	size_t extension_len = extension_take(raw, &raw_len, extension);
	size_t len = legalise(raw, raw_len, out, room - marker_len - extension_len, SIZE_MAX, &cut);
	memcpy(out + len, marker, marker_len);
	len += marker_len;
	memcpy(out + len, extension, extension_len);
	return len + extension_len;
}

/* ---- Who holds which name. ---- */

/* One name in one of the two trees, known by its hash. Two names with equal hashes count as a
 * clash: that costs a marker where none was needed, and never hides an entry. */
struct key {
	uint64_t hash;
	size_t next;	 /* key in the same bucket, or NONE */
	size_t holder;	 /* entry that has this name and could still go up, or NONE */
	size_t arrivals; /* entries that came to this name this round and could still go up */
	size_t fixed;	 /* reserved names, and entries that cannot go up */
};

/* The keys of an entry's current name. */
struct place {
	size_t keys[2]; /* with the suffix, without */
	bool rising;	/* goes up after this round */
};

struct assignment {
	struct name_entry *entries;
	size_t count;
	struct place *places;
	size_t *pending; /* entries to name in this round */
	size_t pending_count;
	size_t *rising; /* and in the next */
	size_t rising_count;
	struct key *keys;
	size_t keys_count;
	size_t keys_cap;
	size_t *buckets; /* first key, or NONE */
	unsigned bucket_bits;
	uint64_t bucket_factor; /* odd and secret: no choice of names can crowd a bucket */
};

/* FNV-1a, going on from `hash`; HASH_START is that of nothing. */
static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3u;
	return hash;
}

/* Finds a name's key, or makes it. NONE: no memory. */
static size_t key_of(struct assignment *work, uint64_t hash)
{
	size_t *bucket = &work->buckets[hash * work->bucket_factor >> (64 - work->bucket_bits)];

	for (size_t key = *bucket; key != NONE; key = work->keys[key].next) {
		if (work->keys[key].hash == hash)
			return key;
	}
	if (work->keys_count == work->keys_cap) {
		size_t cap = work->keys_cap * 2;
		struct key *keys = reallocarray(work->keys, cap, sizeof(*keys));
		if (!keys)
			return NONE;
		work->keys = keys;
		work->keys_cap = cap;
	}
	work->keys[work->keys_count] = (struct key){.hash = hash, .next = *bucket, .holder = NONE};
	*bucket = work->keys_count++;
	return *bucket;
}

/* The key of an entry's current name in one of the trees. */
static struct key *key_at(const struct assignment *work, size_t index, int tree)
{
	return &work->keys[work->places[index].keys[tree]];
}

static size_t key_users(const struct key *key)
{
	return key->fixed + key->arrivals + (key->holder != NONE);
}

/* Names an entry at its level and finds the name's keys, without taking them. */
static int entry_name(struct assignment *work, size_t index)
{
	struct name_entry *entry = &work->entries[index];
	struct place *place = &work->places[index];
	char name[NAME_BYTES_MAX + 1];

	size_t len = name_write(entry, name);
	free(entry->name);
	entry->name = strndup(name, len);
	if (!entry->name)
		return -ENOMEM;
	uint64_t hash = hash_bytes(HASH_START, name, len);
	place->keys[0] = key_of(work, hash_bytes(hash, entry->suffix, strlen(entry->suffix)));
	/* The slash, which no name holds, keeps the two trees' keys apart. */
	if (entry->content_suffix)
		hash = hash_bytes(hash, entry->content_suffix, strlen(entry->content_suffix));
	place->keys[1] = key_of(work, hash_bytes(hash, "/", 1));
	return place->keys[0] == NONE || place->keys[1] == NONE ? -ENOMEM : 0;
}

/* ---- Rounds. ---- */

static void entry_raise(struct assignment *work, size_t index)
{
	struct place *place = &work->places[index];

	if (work->entries[index].level >= LEVEL_HASH || place->rising)
		return;
	place->rising = true;
	work->rising[work->rising_count++] = index;
}

/* Names the pending entries, and makes those that must go up the pending ones. */
static int assign_round(struct assignment *work)
{
	for (size_t i = 0; i < work->pending_count; i++) {
		size_t index = work->pending[i];
		int error = entry_name(work, index);
		if (error)
			return error;
		for (int tree = 0; tree < 2; tree++) {
			struct key *key = key_at(work, index, tree);
			if (work->entries[index].level == LEVEL_HASH)
				key->fixed++;
			else
				key->arrivals++;
		}
	}

	for (size_t i = 0; i < work->pending_count; i++) {
		size_t index = work->pending[i];
		for (int tree = 0; tree < 2; tree++) {
			struct key *key = key_at(work, index, tree);
			if (key_users(key) == 1)
				continue;
			entry_raise(work, index);
			if (key->holder != NONE)
				entry_raise(work, key->holder);
		}
	}

	/* Now that it is known who goes: the others hold their names, and those give theirs up. */
	for (size_t i = 0; i < work->pending_count; i++) {
		size_t index = work->pending[i];
		for (int tree = 0; tree < 2; tree++) {
			struct key *key = key_at(work, index, tree);
			key->arrivals = 0;
			if (!work->places[index].rising && work->entries[index].level < LEVEL_HASH)
				key->holder = index;
		}
	}
	for (size_t i = 0; i < work->rising_count; i++) {
		size_t index = work->rising[i];
		for (int tree = 0; tree < 2; tree++) {
			struct key *key = key_at(work, index, tree);
			if (key->holder == index)
				key->holder = NONE;
		}
		work->places[index].rising = false;
		work->entries[index].level++;
	}

	size_t *named = work->pending;
	work->pending = work->rising;
	work->pending_count = work->rising_count;
	work->rising = named;
	work->rising_count = 0;
	return 0;
}

static int assignment_init(struct assignment *work, const char *const *reserved,
			   size_t reserved_count)
{
	work->keys_cap = 2 * work->count + reserved_count;
	work->bucket_bits = 1;
	while ((size_t)1 << work->bucket_bits < work->keys_cap)
		work->bucket_bits++;
	size_t buckets = (size_t)1 << work->bucket_bits;
	arc4random_buf(&work->bucket_factor, sizeof(work->bucket_factor));
	work->bucket_factor |= 1;

	work->places = calloc(work->count, sizeof(*work->places));
	work->pending = calloc(work->count, sizeof(*work->pending));
	work->rising = calloc(work->count, sizeof(*work->rising));
	work->keys = calloc(work->keys_cap, sizeof(*work->keys));
	work->buckets = calloc(buckets, sizeof(*work->buckets));
	if (!work->places || !work->pending || !work->rising || !work->keys || !work->buckets)
		return -ENOMEM;

	for (size_t i = 0; i < buckets; i++)
		work->buckets[i] = NONE;
	for (size_t i = 0; i < reserved_count; i++) {
		uint64_t hash = hash_bytes(HASH_START, reserved[i], strlen(reserved[i]));
		work->keys[key_of(work, hash)].fixed = 1;
	}
	for (size_t i = 0; i < work->count; i++)
		work->pending[i] = i;
	work->pending_count = work->count;
	return 0;
}

static void assignment_fini(struct assignment *work)
{
	free(work->places);
	free(work->pending);
	free(work->rising);
	free(work->keys);
	free(work->buckets);
}

int names_assign(struct name_entry *entries, size_t count, const char *const *reserved,
		 size_t reserved_count)
{
	struct assignment work = {.entries = entries, .count = count};
	int error = 0;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		entries[i].name = NULL;
		entries[i].level = LEVEL_PLAIN;
		if (strlen(entries[i].suffix) > NAME_SUFFIX_MAX ||
		    (entries[i].content_suffix &&
		     strlen(entries[i].content_suffix) > strlen(entries[i].suffix)))
			error = -EINVAL;
	}
	if (error)
		return error;

	error = assignment_init(&work, reserved, reserved_count);
	while (!error && work.pending_count > 0)
		error = assign_round(&work);
	assignment_fini(&work);
	for (size_t i = 0; error && i < count; i++) {
		free(entries[i].name);
		entries[i].name = NULL;
	}
	return error;
}
