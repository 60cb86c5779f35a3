/* fs_internal.h: what the fs_*.c files share. Nothing else includes it.
 *
 *   fs.c        the session, and which function serves which request
 *   fs_wait.c   requests that may have to wait: lookup, getattr, opendir, open
 *   fs_dir.c    reading directories
 *   fs_fixed.c  the daemon's own nodes: the root, the top directory, `.ibinderfs/` */
#ifndef IBINDERFS_FS_INTERNAL_H
#define IBINDERFS_FS_INTERNAL_H

#include "fs.h"
#include "loop.h"

#include <fuse_lowlevel.h>
#include <sys/queue.h>

/* The daemon's own nodes; the others begin at LISTING_INO_MIN. */
#define FS_INO_ROOT	     FUSE_ROOT_ID
#define FS_INO_TOP	     2
#define FS_INO_CONTROL	     3
#define FS_INO_CONTROL_FIRST 16

/* How long the kernel may believe what never changes. */
#define FS_FIXED_TIMEOUT_S 3600.0

struct op;
TAILQ_HEAD(op_list, op);

/* What stands behind a handle of the kernel. A directory or file keeps the listing it began with:
 * so a directory never changes under a reader, and size and bytes of a file never disagree. */
struct open_handle {
	TAILQ_ENTRY(open_handle) link; /* the kernel releases none at a lazy unmount */
	fuse_ino_t ino;
	struct listing *listing; /* counted; NULL for the daemon's own nodes */
	union {
		struct {
			struct resource *resource;
			uint32_t index;	      /* in the listing's dirs */
			uint64_t publication; /* of the listing; see tree_publication */
			bool cached;	      /* what is read goes into the kernel's cache */
		} dir;
		struct {
			const struct listing_entry *entry;
			bool paged; /* counted in its node's handles */
		} file;
	};
	struct buf text; /* of a file in `.ibinderfs/` */
};

struct fs {
	uv_loop_t *loop;
	const struct config *config;
	struct tree *tree;
	struct control *control;
	void (*ready)(void *data);
	void (*ended)(void *data, int error);
	void *data;
	struct fuse_session *session;
	bool mounted;
	struct loop_reader reader;
	struct fuse_buf buf; /* libfuse's receive buffer, kept */
	struct op_list parked;
	struct op_list interrupted; /* to be answered once libfuse has let go of its locks */
	TAILQ_HEAD(, open_handle) handles;
	uint64_t top_seen_publication; /* see struct node */
	int64_t started_wall_ns;
};

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct open_handle *fs_handle(const struct fuse_file_info *fi)
{
	return (struct open_handle *)(uintptr_t)fi->fh;
}

/* fs.c */
struct open_handle *fs_handle_new(struct fs *fs, fuse_ino_t ino);
void fs_handle_free(struct fs *fs, struct open_handle *handle);
void fs_attr_fill(const struct fs *fs, struct stat *attr, uint64_t ino, bool is_dir,
		  int64_t mtime_ns, off_t size);
/* Attributes of a node's entry; notes what the kernel is told. `timeout_s` is for how long it may
 * keep them: shortened if need be. */
void fs_entry_attr(struct fs *fs, struct node *node, const struct listing_entry *entry,
		   struct stat *attr, double *timeout_s);

/* Counts a request of the kernel. */
void fs_count(fuse_req_t req, enum control_upcall upcall, fuse_ino_t ino);

/* The kernel did not get to know an entry for which tree_lookup counted: takes both back. */
void fs_untell(struct fs *fs, fuse_ino_t ino);

/* fs_wait.c */
enum op_type { OP_LOOKUP, OP_GETATTR, OP_OPENDIR, OP_OPEN };
void fs_op_run(fuse_req_t req, enum op_type type, fuse_ino_t ino, const char *name,
	       const struct fuse_file_info *fi);
/* Where the publication is kept that the kernel's cached reading of a directory is of. */
uint64_t *fs_seen_publication(struct fs *fs, fuse_ino_t ino);
/* Answers what was interrupted since the last call. */
void fs_ops_interrupted(struct fs *fs);
/* Answers all that is parked with ENODEV. */
void fs_ops_end(struct fs *fs);

/* fs_dir.c */
void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi);
void fs_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);

/* fs_fixed.c */
struct fs_fixed {
	const char *name;
	fuse_ino_t ino;
};
/* The root and `.ibinderfs/`: directories whose entries never change. */
bool fs_is_fixed_dir(fuse_ino_t ino);
bool fs_is_control_file(fuse_ino_t ino);
/* The entry at `index`, or false past the last. */
bool fs_fixed_entry(const struct fs *fs, fuse_ino_t dir, size_t index, struct fs_fixed *ret_entry);
void fs_fixed_attr(struct fs *fs, fuse_ino_t ino, struct stat *attr, double *ret_timeout_s);
void fs_fixed_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_fixed_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
