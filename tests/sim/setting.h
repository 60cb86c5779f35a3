/*
 * setting: values that can be given by name, on the command line or through the control port.
 *
 * A table says where in a structure each value stands and what it may be. Owns nothing.
 */
#ifndef SIM_SETTING_H
#define SIM_SETTING_H

#include <stddef.h>
#include <stdint.h>

enum setting_kind {
	SETTING_NUMBER, /* uint64_t */
	SETTING_FLAG,	/* bool; on the command line its name alone switches it on */
	SETTING_SWITCH, /* bool: on, off, true or false */
	SETTING_WORD,	/* unsigned int: which of the words */
	SETTING_TEXT,	/* an array of char */
};

struct setting {
	const char *name; /* with _ between words; NULL ends a table */
	enum setting_kind kind;
	size_t offset;
	uint64_t min;		  /* of a number */
	uint64_t max;		  /* of a number; of a text the size of its array; 1 for a switch */
	const char *const *words; /* ends with NULL */
	const char *env;	  /* environment variable that gives it too, or NULL */
};

/* NULL if the table has no such name. */
const struct setting *setting_find(const struct setting *table, const char *name);
/* Returns -EINVAL if the value is unfit; base is the structure that the table is about. */
int setting_set(const struct setting *setting, void *base, const char *value);

#endif
