/*
 * inbenta: the second vendor: a knowledge base behind an API key, and what can be set about it.
 *
 * The state belongs to the simulator and is guarded by its lock.
 */
#ifndef SIM_INBENTA_H
#define SIM_INBENTA_H

#include "kb.h"
#include "sim.h"

/* Each in the order of the words that set it. */
enum inbenta_dead_token { INBENTA_DEAD_403, INBENTA_DEAD_401 };
enum inbenta_old_address { INBENTA_OLD_403, INBENTA_OLD_404 };
enum inbenta_error {
	INBENTA_ERROR_AUTO,
	INBENTA_ERROR_API,
	INBENTA_ERROR_UPPER,
	INBENTA_ERROR_LOWER
};
enum inbenta_origin { INBENTA_ORIGIN_AUTH, INBENTA_ORIGIN_EVERY };
enum inbenta_clicks { INBENTA_CLICKS_CONTENT, INBENTA_CLICKS_ALL };
enum inbenta_nesting { INBENTA_OWN, INBENTA_NESTED };
enum inbenta_usage {
	INBENTA_USAGE_FRACTION,
	INBENTA_USAGE_PERCENT,
	INBENTA_USAGE_RATIO,
	INBENTA_USAGE_GARBAGE,
	INBENTA_USAGE_ABSENT,
};
enum inbenta_reset { INBENTA_RESET_SECONDS, INBENTA_RESET_UNIX };

struct inbenta_settings {
	char api_key[SIM_TEXT_MAX];
	char secret[SIM_TEXT_MAX];
	char domain_key[SIM_TEXT_MAX];
	char domain_key_field[SIM_TEXT_MAX];
	char domains[SIM_URL_MAX];	/* separated by blanks */
	char service_base[SIM_URL_MAX]; /* what service addresses begin with; empty: this server */
	unsigned int
		origin; /* enum inbenta_origin: which calls a domain key's token needs it for */
	unsigned int dead_token;  /* enum inbenta_dead_token */
	unsigned int old_address; /* enum inbenta_old_address */
	uint64_t old_addresses;	  /* how many past ones still serve */
	unsigned int errors;	  /* enum inbenta_error */
	bool echo_token;	  /* a refusal repeats the header Authorization */
	uint64_t max_page;
	unsigned int category_contents; /* enum inbenta_nesting */
	unsigned int clicks;		/* enum inbenta_clicks: which reads ask for tracking=0 */
	unsigned int ids;		/* enum kb_ids */
	uint64_t throttle_limit;	/* calls per window and group; 0: unbounded */
	uint64_t quota_limit;		/* calls per 60 windows and group; 0: unbounded */
	uint64_t throttle_window_s;
	unsigned int usage; /* enum inbenta_usage */
	unsigned int reset; /* enum inbenta_reset */
};

/* Allowances are counted per API key in groups (S). */
enum inbenta_group { INBENTA_AUTHORIZATION, INBENTA_PRODUCT, INBENTA_GROUPS };

struct inbenta_window {
	uint64_t ends_at_ms; /* monotonic */
	uint64_t used;
};

struct inbenta {
	struct inbenta_settings settings; /* first, see vendor.h */
	struct kb_options options;
	struct kb kb;
	uint64_t address; /* the number in the service address in force */
	struct inbenta_window throttle[INBENTA_GROUPS];
	struct inbenta_window quota[INBENTA_GROUPS];
	uint64_t garbage; /* counts the unreadable allowance headers sent */
};

static inline struct inbenta *inbenta_of(const struct sim *sim)
{
	return sim->state;
}

#endif
