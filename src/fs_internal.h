/* fs_internal.h: what the fs_*.c files share. Nothing else includes it.
 *
 *   fs.c        the session, and which function serves which request
 *   fs_wait.c   requests that may have to wait: parking, deadlines, interrupts
 *   fs_op.c     what each of them does: lookup, getattr, opendir, open, read, readlink
 *   fs_ahead.c  documents and binders fetched before they are opened
 *   fs_view.c   which entries of a listing a directory shows, under which names and attributes
 *   fs_dir.c    reading directories
 *   fs_fixed.c  the daemon's own nodes: the root, the directories below it, `.ibinderfs/` */
#ifndef IBINDERFS_FS_INTERNAL_H
#define IBINDERFS_FS_INTERNAL_H

#include "fs.h"
#include "loop.h"
#include "name.h"

#include <fuse_lowlevel.h>
#include <sys/queue.h>

/* The daemon's own nodes; the others begin at LISTING_INO_MIN. The top directory is one in each
 * view: binders/, files/, by-id/binders/. */
#define FS_INO_ROOT	     FUSE_ROOT_ID
#define FS_INO_TOP	     2
#define FS_INO_CONTROL	     3
#define FS_INO_BY_ID	     4
#define FS_INO_OBJECTS	     5 /* by-id/documents/ */
#define FS_INO_SEARCH	     6
#define FS_INO_CONTROL_FIRST 16

/* The kernel takes no longer target (PATH_MAX with its NUL). */
#define FS_LINK_TARGET_MAX 4095
/* How long the kernel may believe what never changes. */
#define FS_FIXED_TIMEOUT_S 3600.0

struct op;
TAILQ_HEAD(op_list, op);

/* What inline contents mean: one copy for all who have them open. */
struct fs_decoded {
	unsigned int references;
	struct buf bytes;
};

enum handle_type {
	HANDLE_DIR,
	HANDLE_INLINE,
	HANDLE_CONTENT,
	HANDLE_TEXT, /* a file in `.ibinderfs/`; also a directory whose entries never change */
};

/* What stands behind a handle of the kernel. A directory or file keeps the listing or content it
 * began with: so a directory never changes under a reader, and size and bytes of a file never
 * disagree. */
struct open_handle {
	TAILQ_ENTRY(open_handle) link; /* the kernel releases none at a lazy unmount */
	enum handle_type type;
	fuse_ino_t ino;
	union {
		struct {
			struct listing *listing; /* counted */
			struct resource *resource;
			uint32_t index;	      /* in the listing's dirs */
			uint64_t publication; /* of the listing; see tree_publication */
			bool cached;	      /* what is read goes into the kernel's cache */
		} dir;
		struct {
			struct listing *listing; /* counted */
			const struct listing_entry *entry;
			const char *bytes; /* in the listing, or decoded */
			size_t len;
			struct fs_decoded *decoded; /* counted, or NULL */
		} bytes;
		struct {
			struct content *content; /* counted */
			struct readahead readahead;
			int64_t mtime_ns;
			/* The latest read that waited in vain. */
			struct {
				int error;
				off_t offset;
				size_t size;
				int64_t at_ms;
			} missed;
		} content;
		struct buf text;
	};
};

/* A text of `.ibinderfs/` for readers without a handle (content=off). */
struct fs_text {
	struct buf text;
	int64_t made_ms; /* 0: never */
	bool was_read;	 /* since its attributes were asked for */
};

/* A process that opened a directory lately. */
struct fs_walker {
	pid_t pid;	   /* 0: none */
	int64_t opened_ms; /* when its latest was there */
	fuse_ino_t latest; /* the latest below the top one */
	unsigned int run;  /* directories of the top one in quick succession */
};

#define FS_WALKERS 8

struct fs {
	uv_loop_t *loop;
	const struct config *config;
	struct tree *tree;
	struct contents *contents; /* NULL: content=off, or it is in the listings */
	struct wait_room *room;
	struct control *control;
	void (*ready)(void *data);
	void (*ended)(void *data, int error);
	void *data;
	struct fuse_session *session;
	struct loop_reader reader;
	struct fuse_buf buf; /* libfuse's receive buffer, kept */
	struct op_list parked;
	struct op_list interrupted; /* to be answered once libfuse has let go of its locks */
	TAILQ_HEAD(, open_handle) handles;
	uint64_t top_seen_publication[LISTING_VIEW_QUERY]; /* by view; see struct node */
	struct fs_text texts[CONTROL_FILE_COUNT];
	/* Documents opened one after the other. */
	struct {
		uint64_t last_ino; /* of the latest one's entry */
		size_t run[2];	   /* how many in a row, by name and by inode number */
	} opens;
	struct fs_walker walkers[FS_WALKERS];
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

/* Of the daemon's own, in whatever view. */
static inline bool fs_is_fixed(fuse_ino_t ino)
{
	return listing_ino_object(ino) < LISTING_INO_MIN &&
	       listing_ino_view(ino) != LISTING_VIEW_QUERY;
}

static inline bool fs_is_top(fuse_ino_t ino)
{
	return fs_is_fixed(ino) && listing_ino_object(ino) == FS_INO_TOP;
}

/* The inode number that is shown. The place goes into its lowest bits: who keeps 32 bits alone, as
 * Baloo does, would take an object's file in one place for the one in another. What stands in one
 * place keeps its order. */
static inline uint64_t fs_shown_ino(fuse_ino_t ino)
{
	return listing_ino_object(ino) << (64 - LISTING_INO_BITS) | listing_ino_view(ino);
}

/* fs.c */
struct open_handle *fs_handle_new(struct fs *fs, enum handle_type type, fuse_ino_t ino);
void fs_handle_free(struct fs *fs, struct open_handle *handle);
/* Answers a read of `size` at `offset` from a file of `len` bytes. */
void fs_reply_part(fuse_req_t req, const char *bytes, size_t len, size_t size, off_t offset);
/* Counts a request of the kernel. */
void fs_count(fuse_req_t req, enum control_upcall upcall, fuse_ino_t ino);

/* fs_wait.c */
enum op_type { OP_LOOKUP, OP_GETATTR, OP_OPENDIR, OP_OPEN, OP_READ, OP_READLINK };
#define OP_TYPES (OP_READLINK + 1)

/* A request that may have to wait. On the stack until it does. */
struct op {
	struct waiter waiter; /* first */
	TAILQ_ENTRY(op) parked;
	TAILQ_ENTRY(op) interrupted;
	struct fs *fs;
	fuse_req_t req;
	enum op_type type;
	fuse_ino_t ino;
	const char *name; /* of a lookup; owned once parked */
	struct fuse_file_info fi;
	size_t size; /* of a read */
	off_t offset;
	struct content *content; /* of an open or lookup in files/ that waits: counted */
	int64_t mtime_ns;	 /* of its entry then, when it was opened; */
	uint64_t key;		 /* its contents_key, when it was looked up */
	char *bytes;		 /* of a read that waits: what is there so far; owned */
	size_t len;
	int64_t asked_ms;
	struct wait_queue *wait_for; /* set with -EAGAIN */
	bool woken;		     /* having waited in wait_for */
	int wake_error;
	bool is_interrupted;
};

/* Answers it now, or parks it. */
void fs_op_run(const struct op *op);
/* Whether the op has waited in this queue, just now. */
bool fs_op_waited(const struct op *op, const struct wait_queue *queue);
/* Returns -EAGAIN for fs_op_run, or why it waited in vain. */
int fs_op_wait(struct op *op, struct wait_queue *queue);
/* Answers what was interrupted since the last call. */
void fs_ops_interrupted(struct fs *fs);
/* Answers all that is parked with ENODEV. */
void fs_ops_end(struct fs *fs);

/* fs_op.c */
/* Each answers and returns 0, or returns -EAGAIN having set wait_for, or -errno to answer. */
extern int (*const fs_op_runs[OP_TYPES])(struct op *op);
/* Where the publication is kept that the kernel's cached reading of a directory is of. */
uint64_t *fs_seen_publication(struct fs *fs, fuse_ino_t ino);

/* fs_ahead.c */
/* Has the sizes of the `count` documents after an entry learnt, or (`first_bytes`) their beginnings
 * fetched. */
void fs_learn_after(struct fs *fs, const struct resource *home, const struct listing *listing,
		    const struct listing_entry *entry, enum listing_order order, size_t count,
		    bool first_bytes);
/* A document is being opened. */
void fs_note_open(struct fs *fs, const struct resource *home, const struct listing *listing,
		  const struct listing_entry *entry);
/* A directory is to be opened: what its reader will come to next is perhaps fetched ahead. */
void fs_note_opendir(struct fs *fs, pid_t pid, fuse_ino_t ino);
/* It is there, and the reader goes on. */
void fs_note_opened(struct fs *fs, pid_t pid, fuse_ino_t ino);

/* fs_view.c */
/* The view of what is in a directory. */
enum listing_view fs_view_inside(fuse_ino_t dir);
/* The name under which a view shows an entry, or NULL if it does not. `buffer` may hold it. */
const char *fs_view_name(enum listing_view view, const struct listing *listing,
			 const struct listing_entry *entry, char buffer[NAME_BYTES_MAX + 1]);
/* The entry at `index` among those that a directory may show, or NULL past the last. */
const struct listing_entry *fs_view_entry(enum listing_view view, const struct listing *listing,
					  uint32_t dir, size_t index);
const struct listing_entry *fs_view_find(enum listing_view view, const struct listing *listing,
					 uint32_t dir, const char *name);
/* Fills in the bytes of a HANDLE_INLINE that has its listing and entry. Returns 0 or -ENOMEM. */
int fs_view_bytes(const struct fs *fs, struct open_handle *handle);
/* NULL is legal. */
void fs_decoded_unref(struct fs_decoded *decoded);
/* Where a link by id leads; at most FS_LINK_TARGET_MAX bytes. */
int fs_view_link(const struct fs *fs, const struct listing *listing,
		 const struct listing_entry *entry, struct buf *out);
/* `type`: S_IFDIR, S_IFREG or S_IFLNK. */
void fs_attr_fill(const struct fs *fs, struct stat *attr, uint64_t ino, mode_t type,
		  int64_t mtime_ns, off_t size);
/* Names the bytes that an entry stands for as a file; 0: it is none in this view. */
uint64_t fs_view_version(const struct fs *fs, enum listing_view view, const struct listing *listing,
			 const struct listing_entry *entry);
/* Attributes of a node's entry. `timeout_s` is for how long the kernel may keep them: shortened if
 * need be. */
void fs_entry_attr(const struct fs *fs, const struct node *node, const struct listing *listing,
		   const struct listing_entry *entry, struct stat *attr, double *timeout_s);
/* The same for a version that is open and in no listing any more. */
void fs_handle_attr(const struct fs *fs, const struct node *node, const struct open_handle *handle,
		    struct stat *attr, double *timeout_s);
/* The same for the directory of a query. */
void fs_query_attr(struct fs *fs, const struct node *node, struct stat *attr, double *timeout_s);
/* The content behind an entry of files/, counted. Returns 0, -ENOMEM, or -EBADMSG if the API named
 * no version. */
int fs_content_get(struct fs *fs, const struct resource *home, const struct listing *listing,
		   const struct listing_entry *entry, struct content **ret_content);

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
/* A directory whose entries never change, or are never listed. */
bool fs_is_fixed_dir(fuse_ino_t ino);
bool fs_is_control_file(fuse_ino_t ino);
/* The entry at `index`, or false past the last. */
bool fs_fixed_entry(const struct fs *fs, fuse_ino_t dir, size_t index, struct fs_fixed *ret_entry);
/* Returns 0 or -ENOMEM. */
int fs_fixed_attr(struct fs *fs, fuse_ino_t ino, struct stat *attr, double *ret_timeout_s);
void fs_fixed_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_fixed_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void fs_control_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
/* For a reader without a handle. */
void fs_control_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset);

#endif
