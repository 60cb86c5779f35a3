/*
 * gen: makes an organisation of a given size out of a seed.
 *
 * The same options give the same objects with the same ids, byte for byte. Returns 0 or -ENOMEM.
 */
#ifndef SIM_GEN_H
#define SIM_GEN_H

#include "org.h"

struct gen_options {
	uint64_t binders;
	uint64_t folders;   /* per binder, all levels together */
	uint64_t depth;	    /* deepest nesting; 1 = only tabs */
	uint64_t documents; /* per binder */
	bool odd_names;
};

int gen_organisation(struct org *org, const struct gen_options *options);
/* What a new document carries that nobody described: the reserved and the extra elements. */
int gen_add_document(struct org *org, struct org_binder *binder, struct org_folder *folder,
		     enum org_folderless folderless, const char *name_json,
		     struct org_document **ret_document);

#endif
