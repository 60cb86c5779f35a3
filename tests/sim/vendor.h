/*
 * vendor: what the simulator has to know of one vendor: its routes, how it answers and refuses, its
 * options, and what the control port can do with what it holds.
 *
 * All else (ports, faults, counters, tokens, waiting) is the same for every vendor.
 */
#ifndef SIM_VENDOR_H
#define SIM_VENDOR_H

#include "change.h"
#include "control.h"
#include "reply.h"
#include "setting.h"

enum route_flag {
	ROUTE_STORAGE = 1, /* not the API: answers by itself whatever comes, counted apart */
	ROUTE_PAGES = 2,   /* makes its own faults of paging */
	ROUTE_OPEN = 4,	   /* needs no token yet */
	ROUTE_REDIRECT_TARGET = 8,
	ROUTE_VENDOR = 16, /* from here on the vendor's own */
};

struct route {
	const char *name;   /* NULL ends a table */
	const char *method; /* NULL: any */
	const char *path;   /* {} stands for one variable part; NULL: any path, so it stands last */
	unsigned int flags;
	/* NULL: not found */
	void (*answer)(struct sim *sim, const struct request *request, struct reply *reply);
};

struct vendor {
	const char *name;
	const struct route *routes;
	const char *const *secrets;	/* parameters that no query may have; ends with NULL */
	const char *error_type;		/* content type of the vendor's errors */
	const char *const *wrong_types; /* FAULT_VARIANTS bodies, valid JSON of wrong types */

	/* Options, for the start only, and settings are about the vendor's state (sim->state). */
	const struct setting *options;
	const struct setting *settings;
	size_t settings_size; /* the settings are the first bytes of the state */
	const struct control_route *controls;
	const struct change_op *changes;

	/* Makes sim->state with its defaults. Returns 0 or -errno. */
	int (*start)(struct sim *sim);
	/* Makes up what is served. Returns -EINVAL if the options do not fit together. */
	int (*fill)(struct sim *sim);
	void (*stop)(struct sim *sim); /* also after a failed start */
	/* Admits the caller or refuses; then the route answers. */
	void (*answer)(struct sim *sim, const struct request *request, struct reply *reply);
	/* The body of a failure. detail may be NULL. */
	void (*problem)(struct sim *sim, struct buf *body, unsigned int status, const char *detail);
	void (*truth)(struct sim *sim, struct buf *out);
};

extern const struct vendor vendor_ibinder;
extern const struct vendor vendor_inbenta;

/* NULL if there is no such vendor. */
const struct vendor *vendor_find(const char *name);
/* Its place in the vendor's table. */
size_t vendor_route_index(const struct vendor *vendor, const struct route *route);
const struct route *vendor_route_find(const struct vendor *vendor, const char *name);
/* Finds the route of request->path and takes the ids out of it. */
void vendor_route(const struct vendor *vendor, struct request *request);
/* The right answer, under the simulator's lock. */
void vendor_answer(struct sim *sim, const struct request *request, struct reply *reply);

#endif
