/* floor.c: what FUSE itself costs. Serves a copy of a directory tree from memory, read-only, from
 * one thread, with every cache of the kernel on. There is nothing behind it, so no daemon that does
 * something can be faster.
 *
 * Usage: floor [--no-open] DIRECTORY MOUNTPOINT. Prints "ready" once mounted; ends when unmounted.
 * --no-open: `open` answers ENOSYS, after which the kernel opens and closes files by itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOREVER_S	86400.0
#define REPLY_BYTES_MAX (128 * 1024)

struct node {
	char *name;
	struct stat attr;
	struct node *parent;
	struct node **children; /* of a directory, sorted by name */
	size_t count;
	char *data; /* of a file */
};

static struct node root;
static bool no_open;

/* --- The copy in memory --- */

static int fail(const char *what)
{
	perror(what);
	return -1;
}

static int load_file(struct node *node, int dir)
{
	size_t size = (size_t)node->attr.st_size;
	int fd = openat(dir, node->name, O_RDONLY | O_CLOEXEC);
	bool whole;

	node->data = malloc(size + 1);
	whole = fd >= 0 && node->data && read(fd, node->data, size) == (ssize_t)size;
	if (fd >= 0)
		close(fd);
	return whole ? 0 : fail(node->name);
}

static int compare(const void *a, const void *b)
{
	return strcmp((*(struct node *const *)a)->name, (*(struct node *const *)b)->name);
}

static int load_dir(struct node *dir, DIR *stream);

/* Adds the entry `name` of `stream` to the directory, with all below it. */
static int load_entry(struct node *dir, DIR *stream, const char *name)
{
	struct node *node = calloc(1, sizeof(*node));
	int fd = dirfd(stream);
	DIR *below;

	/* The array doubles whenever its length is a power of two. */
	if ((dir->count & (dir->count - 1)) == 0)
		dir->children = realloc(dir->children,
					(dir->count ? 2 * dir->count : 1) * sizeof(struct node *));
	if (!node || !dir->children || !(node->name = strdup(name)))
		return fail("floor");
	dir->children[dir->count++] = node;
	node->parent = dir;
	if (fstatat(fd, name, &node->attr, AT_SYMLINK_NOFOLLOW))
		return fail(name);
	node->attr.st_ino = (ino_t)(uintptr_t)node;
	if (!S_ISDIR(node->attr.st_mode))
		return load_file(node, fd);
	below = fdopendir(openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return below ? load_dir(node, below) : fail(name);
}

static int load_dir(struct node *dir, DIR *stream)
{
	struct dirent *entry;
	int error = 0;

	while (!error && (entry = readdir(stream)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			error = load_entry(dir, stream, entry->d_name);
	closedir(stream);
	if (dir->count)
		qsort(dir->children, dir->count, sizeof(struct node *), compare);
	return error;
}

/* --- Operations --- */

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;
}

static void fill(struct fuse_entry_param *param, const struct node *node)
{
	*param = (struct fuse_entry_param){.ino = node->attr.st_ino,
					   .attr = node->attr,
					   .attr_timeout = FOREVER_S,
					   .entry_timeout = FOREVER_S};
}

static void floor_init(void *data, struct fuse_conn_info *connection)
{
	(void)data;
	connection->want |= FUSE_CAP_READDIRPLUS;
	connection->want &= ~(unsigned int)FUSE_CAP_READDIRPLUS_AUTO;
}

static void floor_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct node *dir = node_of(parent);
	struct node *key = &(struct node){.name = (char *)name};
	struct node **found =
		dir->count ? bsearch(&key, dir->children, dir->count, sizeof(key), compare) : NULL;
	struct fuse_entry_param param = {.entry_timeout = FOREVER_S}; /* a negative entry */

	if (found)
		fill(&param, *found);
	fuse_reply_entry(req, &param);
}

static void floor_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	fuse_reply_attr(req, &node_of(ino)->attr, FOREVER_S);
}

static void floor_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void floor_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			      struct fuse_file_info *fi)
{
	static char reply[REPLY_BYTES_MAX];
	const struct node *dir = node_of(ino);
	struct fuse_entry_param param;
	size_t used = 0;

	(void)fi;
	if (size > sizeof(reply))
		size = sizeof(reply);
	for (size_t i = (size_t)offset; i < dir->count + 2; i++) {
		const struct node *node = i == 0   ? dir
					  : i == 1 ? (dir->parent ? dir->parent : dir)
						   : dir->children[i - 2];
		size_t need;

		fill(&param, node);
		if (i < 2)
			param.ino = 0; /* "." and ".." are not looked up */
		need = fuse_add_direntry_plus(req, reply + used, size - used,
					      i == 0   ? "."
					      : i == 1 ? ".."
						       : node->name,
					      &param, (off_t)i + 1);
		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, reply, used);
}

static void floor_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (no_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void floor_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	const struct node *node = node_of(ino);
	size_t left = offset < node->attr.st_size ? (size_t)(node->attr.st_size - offset) : 0;

	(void)fi;
	fuse_reply_buf(req, left ? node->data + offset : NULL, size < left ? size : left);
}

static const struct fuse_lowlevel_ops operations = {
	.init = floor_init,
	.lookup = floor_lookup,
	.getattr = floor_getattr,
	.opendir = floor_opendir,
	.readdirplus = floor_readdirplus,
	.open = floor_open,
	.read = floor_read,
};

static int serve(const char *mountpoint)
{
	char *argv[] = {"floor", "-o", "ro,nosuid,nodev,noexec,subtype=floor", NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *session =
		fuse_session_new(&args, &operations, sizeof(operations), NULL);
	int error;

	fuse_opt_free_args(&args);
	if (!session || fuse_session_mount(session, mountpoint))
		return -1;
	puts("ready");
	fflush(stdout);
	error = fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	return error;
}

int main(int argc, char **argv)
{
	DIR *stream;

	no_open = argc == 4 && !strcmp(argv[1], "--no-open");
	if (argc != 3 + no_open) {
		fputs("usage: floor [--no-open] DIRECTORY MOUNTPOINT\n", stderr);
		return 2;
	}
	stream = opendir(argv[1 + no_open]);
	if (!stream || fstat(dirfd(stream), &root.attr))
		return -fail(argv[1 + no_open]);
	root.attr.st_ino = FUSE_ROOT_ID;
	if (load_dir(&root, stream))
		return 1;
	return serve(argv[2 + no_open]) ? 1 : 0;
}
