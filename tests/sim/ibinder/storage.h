/*
 * storage: download links and the place they lead to.
 *
 * Contents are not stored: every byte is a function of the version's id and the offset. A link
 * carries its end of life and a signature over it, as presigned links do.
 */
#ifndef SIM_STORAGE_H
#define SIM_STORAGE_H

#include "reply.h"

void storage_link(struct sim *sim, const struct request *request, struct reply *reply);
void storage_answer(struct sim *sim, const struct request *request, struct reply *reply);
/* Bytes of a version's content. Needs no lock. */
void storage_read(const struct sim *sim, const char *version_id, uint64_t offset, char *out,
		  size_t n);

#endif
