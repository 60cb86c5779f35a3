/*
 * reply: a request as the routes see it, and the answer they fill in.
 *
 * A request borrows MHD's connection; its body is its own. A reply owns its body. Routes run under
 * the simulator's lock and do no I/O.
 */
#ifndef SIM_REPLY_H
#define SIM_REPLY_H

#include "rng.h"
#include "sim.h"

#include <microhttpd.h>

#define REQUEST_ID_MAX	  128
#define REQUEST_BODY_MAX  (64u << 10)
#define REPLY_JSON	  "application/json; charset=utf-8"
#define REPLY_HEADERS_MAX 8
#define REPLY_VALUE_MAX	  256
#define REPLY_RANGE_MAX	  80
#define REPLY_ETAG_MAX	  24
#define REPLY_HOP	  "hop" /* query parameter that marks a request as redirected here */

struct request {
	struct MHD_Connection *connection; /* borrowed */
	const struct route *route;	   /* NULL on the control port */
	const char *method;
	const char *path;
	char *uri;		    /* owned: path and query as they came */
	char id[2][REQUEST_ID_MAX]; /* the variable parts of the path */
	struct buf body;
	bool body_too_large;
	bool started; /* headers have been seen and counted; never on the control port */
	struct fault fault;
};

struct reply_header {
	const char *name; /* static */
	char value[REPLY_VALUE_MAX];
};

struct reply {
	unsigned int status;
	const char *type; /* static */
	struct buf body;
	/* Not NULL: content that is made while it is sent, and no body. Needs no lock. */
	void (*read)(const struct sim *sim, const char *id, uint64_t offset, char *out, size_t n);
	char content_id[RNG_GUID_SIZE];
	uint64_t offset; /* of the content */
	uint64_t length;
	uint64_t bytes_per_second;	     /* of the content; 0: as fast as it goes */
	bool chunked;			     /* the content's length is not told */
	char etag[REPLY_ETAG_MAX];	     /* empty: no header */
	char content_range[REPLY_RANGE_MAX]; /* empty: no header */
	const char *allow;		     /* static; header Allow */
	const char *challenge;		     /* static; header WWW-Authenticate */
	const char *encoding;		     /* static; header Content-Encoding */
	bool accept_ranges;
	struct reply_header header[REPLY_HEADERS_MAX]; /* others, up to an empty name */
};

const char *request_header(const struct request *request, const char *name);
/* NULL if the query has no such parameter; "" if it has no value. */
const char *request_query(const struct request *request, const char *name);
/* True if there is one, whatever its case: MHD's own look-up takes no notice of it. */
bool request_query_names(const struct request *request, const char *name);
/* Adds to the body; beyond REQUEST_BODY_MAX it only remembers that there was too much. */
void request_add_body(struct request *request, const char *bytes, size_t n);
/* NULL-safe. */
void request_free(struct request *request);
/* True if the content type is this one, whatever its parameters. */
bool request_has_type(const struct request *request, const char *type);

void reply_set(struct reply *reply, unsigned int status, const char *type);
/* The vendor's error body, counted as refused for this reason. detail may be NULL. */
void reply_refuse(struct reply *reply, struct sim *sim, enum refusal why, unsigned int status,
		  const char *detail);
/* The same without counting a refusal: the server's own failure. */
void reply_problem(struct reply *reply, struct sim *sim, unsigned int status, const char *detail);
/* Adds a header; a value that is too long is cut. */
void reply_add(struct reply *reply, const char *name, const char *value);
/* Gives the answer to MHD, which sends it; the body goes along. */
enum MHD_Result reply_send(struct sim *sim, const struct request *request, struct reply *reply);

#endif
