/*
 * search: POST /documents: filters, term, sorting and pages.
 */
#ifndef SIM_SEARCH_H
#define SIM_SEARCH_H

#include "reply.h"

void search_answer(struct sim *sim, const struct request *request, struct reply *reply);

#endif
