/* control.h: the texts of `.ibinderfs/`. They say what the daemon knows, and never touch the
 * network. None holds a secret: secrets have no printer. */
#ifndef IBINDERFS_CONTROL_H
#define IBINDERFS_CONTROL_H

#include "buf.h"
#include "config.h"
#include "content.h"
#include "failures.h"
#include "fetch.h"
#include "provider.h"
#include "tree.h"

/* What the kernel asks; fs.c counts. */
enum control_upcall {
	CONTROL_UPCALL_LOOKUP,
	CONTROL_UPCALL_GETATTR,
	CONTROL_UPCALL_OPENDIR,
	CONTROL_UPCALL_READDIR,
	CONTROL_UPCALL_OPEN,
	CONTROL_UPCALL_READ,
	CONTROL_UPCALL_READLINK,
	CONTROL_UPCALL_STATFS,
	CONTROL_UPCALL_COUNT
};

/* Everything that is shown; nothing is owned. */
struct control {
	const struct config *config;
	const struct provider_ops *ops;
	const struct provider *provider;
	struct fetcher *fetcher;
	const struct tree *tree;
	const struct contents *contents; /* NULL: content=off, or it is in the listings */
	const struct wait_room *room;
	struct failures *failures;
	int64_t mounted_wall_ns;
	uint64_t upcalls[CONTROL_UPCALL_COUNT]; /* without those in `.ibinderfs/` itself */
};

struct control_file {
	const char *name;
	int (*print)(const struct control *control, struct buf *out);
};

/* The files in `.ibinderfs/`, sorted by name. */
#define CONTROL_FILE_COUNT 5
extern const struct control_file control_files[CONTROL_FILE_COUNT];

/* Longest text. */
#define CONTROL_TEXT_MAX (4 * 1024 * 1024)

int control_print_status(const struct control *control, struct buf *out);

#endif
