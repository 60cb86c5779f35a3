/*
 * change: the operations by which a test changes the organisation while it is served.
 */
#ifndef SIM_CHANGE_H
#define SIM_CHANGE_H

#include "sim.h"

struct cJSON;

/*
 * Carries out one operation and adds the raw text of the object it touched (null after a deletion).
 * Returns -EINVAL if the operation is not well formed, -ENOENT if it names nothing known, -ENOMEM.
 */
int change_apply(struct sim *sim, const struct cJSON *json, struct buf *ret_object);

#endif
