/*
 * ibinder: the first vendor: an organisation of binders, and what can be set about it.
 *
 * The state belongs to the simulator and is guarded by its lock; what stands before `org` does not
 * change while it runs, but for the settings.
 */
#ifndef SIM_IBINDER_H
#define SIM_IBINDER_H

#include "gen.h"
#include "sim.h"

struct ibinder_settings {
	uint64_t link_life_s;
	uint64_t max_page;
	bool items_wrapper;
	unsigned int tab_filter; /* enum ibinder_tab_filter */
	uint64_t storage_rate;	 /* bytes per second of one answer; 0: unbounded */
	bool storage_range;
	bool storage_length;
	bool storage_etag;
	unsigned int storage_416; /* enum ibinder_416 */
	unsigned int subfolders;  /* enum ibinder_subfolders */
	char client_id[SIM_TEXT_MAX];
	char client_secret[SIM_TEXT_MAX];
	char tenant[SIM_TEXT_MAX];
	char storage_base[SIM_URL_MAX];
};

/* In the order of the words that set them. */
enum ibinder_tab_filter {
	IBINDER_TAB_EXACT,
	IBINDER_TAB_NESTED, /* a folder's documents and those of all folders below */
	IBINDER_TAB_TOP,    /* nothing by folders that are not at the binder's top */
	IBINDER_TAB_NONE    /* nothing at all */
};
enum ibinder_416 { IBINDER_416_RANGE, IBINDER_416_BARE };
enum ibinder_subfolders {
	IBINDER_SUBFOLDERS_PRESENT,
	IBINDER_SUBFOLDERS_404,
	IBINDER_SUBFOLDERS_405
};

struct ibinder {
	struct ibinder_settings settings; /* first, see vendor.h */
	struct gen_options gen;
	struct org_options options;
	struct org org;
	uint64_t link_key; /* signs download links */
};

static inline struct ibinder *ibinder_of(const struct sim *sim)
{
	return sim->state;
}

#endif
