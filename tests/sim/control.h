/*
 * control: the second port, through which tests watch and change what is simulated.
 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "reply.h"

struct MHD_Daemon;
struct cJSON;

/* What a call came with. */
struct control_call {
	const struct request *request;
	const struct cJSON *json; /* NULL without a body */
};

struct control_route {
	const char *method;
	const char *path; /* NULL ends a table */
	void (*handle)(struct sim *sim, const struct control_call *call, struct reply *reply);
};

/* Port 0: any free one. Returns NULL if it cannot listen. */
struct MHD_Daemon *control_start(struct sim *sim, uint16_t port, uint16_t *ret_port);
void control_fail(struct reply *reply, unsigned int status, const char *why);
void control_ok(struct reply *reply);

#endif
