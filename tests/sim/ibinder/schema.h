/*
 * schema: the metadata elements of a binder, their labels and allowed values.
 *
 * Owns static tables only. Reserved keys are the vendor's (S); the member names of the answer are
 * not documented, so these are made up, and a client must not depend on them.
 */
#ifndef SIM_SCHEMA_H
#define SIM_SCHEMA_H

#include <stddef.h>

#define SCHEMA_KEY_SIZE 32

struct schema_value {
	const char *id;
	const char *label;
};

struct schema_field {
	const char *key;
	const char *label;
	const char *type;		   /* "Enumeration", "Text" or "Date" */
	const struct schema_value *values; /* ends with a NULL id; for text, plausible values */
};

extern const struct schema_value schema_statuses[];
extern const struct schema_value schema_categories[];
extern const struct schema_value schema_people[];

/* A binder's own field number i, any i: beyond the table they are free text with made-up keys. */
struct schema_field schema_extra(size_t i, char key_storage[SCHEMA_KEY_SIZE]);
size_t schema_count(const struct schema_value *values);
/* The answer of GET metadataelements: a JSON array. NULL when memory is out; the caller frees. */
char *schema_render(size_t extra_fields);

#endif
