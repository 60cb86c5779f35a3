/*
 * stats: what arrived and how it was answered, for tests that count.
 *
 * Owned by the simulator and guarded by its lock.
 */
#ifndef SIM_STATS_H
#define SIM_STATS_H

#include "buf.h"

#include <stdint.h>

#define STATS_STATUS_MAX 600
#define STATS_ROUTES_MAX 16 /* of a vendor */
#define STATS_WORDS	 8  /* different protocols or header names remembered */
#define STATS_WORD_SIZE	 32

struct route;

/* Why a request was refused. */
enum refusal {
	REFUSED_MISSING_TOKEN,
	REFUSED_DEAD_TOKEN,
	REFUSED_MISSING_TENANT,
	REFUSED_TENANT,
	REFUSED_QUERY_CREDENTIALS,
	REFUSED_CONTENT_TYPE,
	REFUSED_BODY,
	REFUSED_PAGING,
	REFUSED_METHOD,
	REFUSED_PATH,
	REFUSED_ID,
	REFUSED_CLIENT,
	REFUSED_GRANT,
	REFUSED_SCOPE,
	REFUSED_LINK,
	REFUSED_MISSING_KEY,
	REFUSED_KEY,
	REFUSED_DOMAIN,
	REFUSED_ADDRESS,
	REFUSED_ALLOWANCE,
	REFUSED_HEADER,
	REFUSALS,
};

/* Words seen and how often; more different ones than fit are not remembered. */
struct stats_words {
	char word[STATS_WORDS][STATS_WORD_SIZE];
	uint64_t count[STATS_WORDS];
	size_t n;
};

struct stats {
	uint64_t routes[STATS_ROUTES_MAX];
	uint64_t bytes[STATS_ROUTES_MAX]; /* of bodies, handed to the socket */
	uint64_t status[STATS_STATUS_MAX];
	uint64_t refused[REFUSALS];
	uint64_t leaked_credentials;
	uint64_t in_flight;
	uint64_t peak_concurrency;
	uint64_t storage_in_flight;
	uint64_t storage_peak_concurrency;
	uint64_t ranges; /* storage requests that named a range */
	uint64_t clicks; /* reads that the owner's statistics show as a reader's */
	uint64_t connections;
	uint64_t tokens_issued;
	uint64_t tokens_refused;
	struct stats_words protocols;
	struct stats_words forwarded_protocols;
	struct stats_words redirect_headers;
};

void stats_words_add(struct stats_words *words, const char *word);
/* Requests under way stay counted. */
void stats_reset(struct stats *stats);
/* The routes are those of the vendor's table. */
void stats_render(const struct stats *stats, const struct route *routes, struct buf *out);

#endif
