/*
 * change: the operations by which a test changes what is served.
 */
#ifndef SIM_CHANGE_H
#define SIM_CHANGE_H

#include "sim.h"

struct cJSON;

/* What an operation works on: its JSON, and a name if it has one. */
struct change {
	struct sim *sim;
	const struct cJSON *json;
	const char *name_json; /* a quoted JSON literal, NULL if none was given */
	struct buf *object;    /* takes the raw text of the object that was touched */
};

struct change_op {
	const char *op; /* NULL ends a table */
	int (*apply)(const struct change *change);
};

/* NULL if there is no such member or it is no string. */
const char *change_string(const struct change *change, const char *member);
/*
 * A member that is a plain string, or under the other name a JSON literal (for what cJSON cannot
 * carry), as a literal; adds nothing without either. Returns -EINVAL or -ENOMEM.
 */
int change_literal(const struct change *change, const char *member, const char *raw_member,
		   struct buf *literal);
/*
 * Carries out one operation and adds the raw text of the object it touched (null after a deletion).
 * Returns -EINVAL if the operation is not well formed, -ENOENT if it names nothing known, -ENOMEM.
 */
int change_apply(struct sim *sim, const struct cJSON *json, struct buf *ret_object);

#endif
