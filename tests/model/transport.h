/* transport.h: what transport.c (requests, the API's answers) and storage.c (the answers of
 * storage) share. */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include "engine.h"

struct http {
	enum http_kind kind;
	int64_t timeout_ms;
	size_t connections;
	unsigned transfers;
};

struct http_transfer {
	struct http *http;
	char *url;
	char *body; /* NULL: none */
	unsigned token;
	bool ranged;
	uint64_t from; /* of the range; */
	uint64_t end;  /* exclusive, */
	uint64_t asked_end;
	const struct http_sink *sink;
	void (*done)(void *data, struct http_response *response);
	void *data;
	int64_t deadline_ms;
	struct buf answer; /* of the API, while `status` is set */
	int status;
	int64_t retry_after_ms;
	int64_t rest_until_ms; /* with 429: until then nothing more is to be asked */
	struct {
		const char *name; /* NULL: no more */
		char value[40];
	} headers[4];
	/* Of an answer of storage that has begun: */
	const char *bytes; /* what it sends, */
	size_t len;	   /* how much of that, */
	size_t sent;	   /* and so far, if it was paused; */
	bool paused;
	bool cut; /* the connection breaks then */
};

/* How a server refuses; which of them is left to chance. */
struct refusal {
	int status;
	const char *body;
};
struct refusals {
	const struct refusal *list;
	unsigned count;
};
#define REFUSALS(arr)                                                                              \
	{                                                                                          \
		arr, COUNT(arr)                                                                    \
	}

/* What differs between the vendors' servers; see vendor.h. */
struct vendor_gate {
	/* Draws what kind of server a schedule meets; or NULL. */
	void (*reset)(void);
	/* Whether it is a request for a token. */
	bool (*is_token)(const struct http_transfer *transfer);
	/* A request to the API as it may be: address, headers, body, and whether it bears a token.
	 */
	void (*judge)(const struct http_transfer *transfer, const struct http_request *request,
		      bool has_bearer);
	/* What a request but those for tokens is answered now: status, answer, headers. */
	void (*answer)(struct http_transfer *transfer);
	/* A right answer to a request for a token. */
	void (*give_token)(struct http_transfer *transfer);
	/* Is elsewhere from now on; or NULL. */
	void (*move)(void);
	/* A wrong answer to any request; or NULL. */
	void (*lie)(struct http_transfer *transfer);
	struct refusals token;	   /* OUTCOME_401 */
	struct refusals forbidden; /* OUTCOME_403 */
	struct refusals client;	   /* OUTCOME_REFUSED, of a token request */
};

/* transport.c: the transfer is gone then. */
void transport_end(struct http_transfer *transfer, struct http_response *response);
void transport_end_with_error(struct http_transfer *transfer, int error);
void transport_end_with_text(struct http_transfer *transfer, int status, int64_t retry_after_ms,
			     const char *text);
/* Gives a token; it is called "token-" and the number. */
unsigned transport_new_token(int life_s);
/* That number, or 0. */
unsigned transport_token_of(const struct secret *bearer);
bool transport_believes(unsigned token);

/* storage.c */
/* A request to storage as it may be: an address of ours, no header but a range. */
void storage_judge(struct http_transfer *transfer, const char *header);
/* Where http.c does not connect to. */
bool storage_is_private(const struct http_transfer *transfer);
void storage_give(struct http_transfer *transfer);
void storage_give_half(struct http_transfer *transfer);
/* Goes on after a pause. */
void storage_go_on(struct http_transfer *transfer);
/* Leads where it should not, or in circles. */
void storage_mislead(struct http_transfer *transfer);
/* What it says of the bytes, or the bytes, are not as they must be. */
void storage_lie(struct http_transfer *transfer);

#endif
