/* kernel.h: what kernel.c (requests and their answers) and kernel_check.c (whether an answer may
 * be) share. */
#ifndef KERNEL_H
#define KERNEL_H

#include "vendor.h"

struct knode {
	uint64_t id;
	uint64_t lookups;
	struct place place;
	bool told; /* attributes that the kernel may keep: they are of this id for good */
	off_t size;
	uint32_t candidates; /* the states of its document that it may stand for */
};

struct khandle {
	bool is_open;
	bool is_dir;
	unsigned busy; /* requests under way */
	uint64_t id;
	uint64_t fh;
	struct place place;
	/* Of a file: which states of its document the bytes read so far may be of. */
	uint32_t candidates;
	unsigned generations; /* and in which of their generations */
	/* Of a directory: */
	off_t offset;
	uint64_t since;	    /* the listing is of that now_seq or later; 0: nobody knows */
	uint32_t documents; /* seen so far */
	unsigned entries;
	bool ended; /* all was read */
};

enum ask {
	ASK_LOOKUP,
	ASK_GETATTR,
	ASK_READLINK,
	ASK_OPENDIR,
	ASK_READDIRPLUS,
	ASK_RELEASEDIR,
	ASK_OPEN,
	ASK_READ,
	ASK_RELEASE,
	ASK_STATFS,
	ASK_FORGET,
	ASK_INTERRUPT,
	ASKS
};

/* One request; kept until the schedule's end, so that a second answer is noticed. */
struct fuse_req {
	enum ask ask;
	uint64_t id;
	struct place place; /* of the node, or of the directory in which a name is looked up */
	char name[NAME_MAX_OURS];
	struct khandle *handle;
	uint64_t fh;
	struct fuse_req *victim; /* of an interrupt */
	uint64_t lookups;	 /* of a forget */
	size_t size;
	off_t offset;
	struct fuse_ctx ctx;
	int64_t asked_ms;
	int64_t asked_boot_ms;
	uint64_t asked_seq;
	bool answered;
	bool interrupted;
	fuse_interrupt_func_t interrupt;
	void *interrupt_data;
	/* The answer, for who waits for it. */
	int error;
	uint64_t got_id;
	struct stat attr;
	char *bytes; /* of a read, while `keeps` */
	size_t len;
	bool keeps;
};

/* kernel.c */
/* Asks, and lets the server answer well until there is an answer. */
struct fuse_req *kernel_do(struct fuse_req asked);
/* What the kernel knows by an id, or NULL. */
struct knode *knode_find(uint64_t id);
struct khandle *kernel_handle(void);
/* A directory that is always there. */
struct fuse_req kernel_top(enum listing_view view);
/* With content=off the kernel learns that it need not ask: then true, and it is open. */
bool kernel_open_unasked(struct fuse_req *req);
void kernel_close(struct khandle *handle);

/* session.c */
void session_reset(void);
/* The session's descriptor, which is closed at the end. */
int session_open(void);
void session_submit(struct fuse_req *req);
/* libfuse holds a lock of the request that is being interrupted: it must not be answered. */
extern bool session_is_interrupting;

/* kernel_check.c */
/* The first now_seq of which the answer to a request may tell. False: anything goes. */
bool may_tell_since(int key, const struct fuse_req *req, uint64_t *ret_since);
void check_attr(const struct stat *attr, mode_t type);
/* The same as a number, 0 for anything; `keep_ms`: for so long the kernel may believe the answer.
 */
uint64_t since_of(int key, const struct fuse_req *req, int64_t keep_ms);
/* A name was found, with these attributes (or NULL). Returns the states that it may be of. */
uint32_t check_found(const struct place *place, const struct stat *attr, uint64_t since);
void check_missing(const struct fuse_req *req, int64_t keep_ms);
void check_error(const struct fuse_req *req, int error);
/* The states that a document may be shown in. */
uint32_t candidates_of(const struct fuse_req *req);
/* Takes those away that have other bytes there. */
void check_bytes(struct khandle *handle, const char *bytes, size_t len, off_t offset, size_t asked);
void check_size(struct khandle *handle, off_t size);
void check_listed(struct khandle *handle, const char *name);
void check_all_listed(const struct khandle *handle);

#endif
