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
	/* Of an answer of storage that has begun: */
	const char *bytes; /* what it sends, */
	size_t len;	   /* how much of that, */
	size_t sent;	   /* and so far, if it was paused; */
	bool paused;
	bool cut; /* the connection breaks then */
};

/* transport.c: the transfer is gone then. */
void transport_end(struct http_transfer *transfer, struct http_response *response);
void transport_end_with_error(struct http_transfer *transfer, int error);

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
