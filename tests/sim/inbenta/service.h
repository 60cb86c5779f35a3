/*
 * service: the knowledge API: contents and categories.
 */
#ifndef SIM_SERVICE_H
#define SIM_SERVICE_H

#include "reply.h"

void service_contents(struct sim *sim, const struct request *request, struct reply *reply);
void service_content(struct sim *sim, const struct request *request, struct reply *reply);
void service_categories(struct sim *sim, const struct request *request, struct reply *reply);
void service_category_contents(struct sim *sim, const struct request *request, struct reply *reply);
/* A positive number, or 0, without leading zeros: how a path names an object. */
bool service_parse_id(const char *text, uint64_t *ret_id);

#endif
