/* config_file.c: reads a section of the configuration file, and any file that may hold a secret.
 *
 * inih does the syntax. Lines are fed to it through a reader of ours, which keeps count of them for
 * messages, takes leading blanks away (inih would see a continuation line), and refuses what inih
 * would cut without a word: its line buffer and section names have fixed sizes. Contents are
 * overwritten before they are freed. */
#include "config_internal.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* inih cuts longer section names (MAX_SECTION in its ini.c, with the NUL). */
#define SECTION_BYTES_MAX 49
/* Read at a time. */
#define READ_BYTES 4096
/* How much a message tells of the sections there are. */
#define SECTIONS_LISTED_MAX 400

struct section_reader {
	const char *path;
	const char *section; /* the one wanted */
	const char *at;	     /* rest of the file */
	const char *end;
	const struct stat *st;
	unsigned line;
	bool found;
	unsigned seen_line[KEY_COUNT]; /* 0: not set yet */
	struct buf sections;	       /* names found, for a message */
	config_file_fn *fn;
	void *user;
	struct buf *error;
	int rc; /* first failure, already told */
};

const char *config_file_strerror(int error)
{
	if (error == -ENODEV)
		return "not a regular file";
	if (error == -EFBIG)
		return "too large";
	return strerror(-error);
}

int config_read_some(int fd, struct buf *data)
{
	char chunk[READ_BYTES];
	ssize_t got = read(fd, chunk, sizeof(chunk));
	int rc = got < 0 ? -errno : got > 0;

	if (got > 0 && buf_append(data, chunk, (size_t)got) < 0)
		rc = data->error;
	explicit_bzero(chunk, sizeof(chunk));
	return rc;
}

static void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

int config_file_read(const char *path, struct stat *ret_st, struct buf *data)
{
	/* O_NONBLOCK: a FIFO must not hang us before fstat tells what it is. Symbolic links are
	 * followed, credentials of Kubernetes are some: what counts is the file behind. */
	int fd CLEANUP(cleanup_fd) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int rc;

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	if (!S_ISREG(ret_st->st_mode))
		return -ENODEV;
	do
		rc = config_read_some(fd, data);
	while (rc > 0 || rc == -EINTR);
	return rc;
}

/* Appends a path so that a shell takes it as one word. */
static void append_shell_word(struct buf *out, const char *path)
{
	if (path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			      "/._-+@:,")] == '\0') {
		buf_append_str(out, path);
		return;
	}
	buf_append_str(out, "'");
	for (; *path; path++)
		*path == '\'' ? buf_append_str(out, "'\\''") : buf_append(out, path, 1);
	buf_append_str(out, "'");
}

int config_file_check_mode(const char *path, const struct stat *st, mode_t forbidden,
			   struct buf *error)
{
	uid_t user = geteuid();
	bool foreign = st->st_uid != user && st->st_uid != 0;
	bool open = (st->st_mode & forbidden) != 0;

	if (!foreign && !open)
		return 0;
	buf_printf(error, "%s ", path);
	if (foreign)
		buf_printf(error, "belongs to another user (uid %u)", st->st_uid);
	if (open)
		buf_printf(error, "%sis open to other users (mode %04o)", foreign ? " and " : "",
			   st->st_mode & 07777);
	buf_append_str(error, ": run ");
	if (foreign) {
		buf_printf(error, "chown %u ", user);
		append_shell_word(error, path);
	}
	if (open) {
		/* What others may only read can stay readable. */
		buf_printf(error, "%schmod %s ", foreign ? " && " : "",
			   forbidden & S_IROTH ? "600" : "go-w");
		append_shell_word(error, path);
	}
	return -EACCES;
}

static int join_path(const char *dir, size_t dir_len, const char *name, char **ret_path)
{
	struct buf path = BUF_INIT(PATH_MAX);
	int rc = buf_append(&path, dir, dir_len);

	if (rc == 0 && (dir_len == 0 || dir[dir_len - 1] != '/'))
		rc = buf_append_str(&path, "/");
	if (rc == 0)
		rc = buf_append_str(&path, name);
	if (rc == 0)
		*ret_path = buf_steal(&path);
	buf_reset(&path);
	return rc;
}

int config_file_resolve(const char *name, const char *config_file, char **ret_path)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	const char *slash = config_file ? strrchr(config_file, '/') : NULL;
	char *cwd CLEANUP_FREE = NULL;

	if (*name == '/')
		return join_path("", 0, name + 1, ret_path);
	if (credentials && !strchr(name, '/')) {
		char *path CLEANUP_FREE = NULL;
		int rc = join_path(credentials, strlen(credentials), name, &path);

		if (rc < 0)
			return rc;
		if (access(path, F_OK) == 0) {
			*ret_path = path;
			path = NULL;
			return 0;
		}
	}
	if (slash)
		return join_path(config_file, (size_t)(slash + 1 - config_file), name, ret_path);
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return -errno;
	return join_path(cwd, strlen(cwd), name, ret_path);
}

/* Remembers the names of sections: inih speaks only of those that hold something. */
static int reader_note_section(struct section_reader *reader, const char *line, size_t len)
{
	const char *name = line + 1;
	const char *end = memchr(name, ']', len - 1);
	size_t name_len;

	if (!end)
		return 0; /* inih will complain */
	name_len = (size_t)(end - name);
	if (name_len > SECTION_BYTES_MAX)
		return config_fail(reader->error, -EINVAL,
				   "%s:%u: a section's name has at most %d bytes", reader->path,
				   reader->line, SECTION_BYTES_MAX);
	if (strlen(reader->section) == name_len && memcmp(reader->section, name, name_len) == 0)
		reader->found = true;
	if (reader->sections.len + name_len + strlen(", ") > SECTIONS_LISTED_MAX)
		return 0;
	return buf_printf(&reader->sections, "%s%.*s", reader->sections.len > 0 ? ", " : "",
			  (int)name_len, name);
}

/* inih's idea of fgets. */
static char *reader_line(char *line, int size, void *stream)
{
	struct section_reader *reader = stream;
	const char *start = reader->at;
	const char *newline;
	size_t len;

	if (reader->rc < 0 || start == reader->end)
		return NULL;
	newline = memchr(start, '\n', (size_t)(reader->end - start));
	reader->at = newline ? newline + 1 : reader->end;
	reader->line++;
	while (start < reader->at && *start != '\n' && strchr(" \t\r\v\f", *start) && *start)
		start++;
	len = (size_t)(reader->at - start);

	if (memchr(start, '\0', len))
		reader->rc = config_fail(reader->error, -EINVAL, "%s:%u: holds a NUL byte",
					 reader->path, reader->line);
	else if (len > (size_t)size - 1)
		reader->rc =
			config_fail(reader->error, -EINVAL,
				    "%s:%u: a line has at most %d bytes; a long secret belongs "
				    "into a file of its own",
				    reader->path, reader->line, size - 2);
	else if (len > 0 && *start == '[')
		reader->rc = reader_note_section(reader, start, len);
	if (reader->rc < 0)
		return NULL;
	memcpy(line, start, len);
	line[len] = '\0';
	return line;
}

static int reader_check_mode(const struct section_reader *reader, enum config_key key)
{
	/* Who can write the file could run commands as the user. */
	if (config_settings[key].secret == CONFIG_SECRET_COMMAND)
		return config_file_check_mode(reader->path, reader->st, S_IWGRP | S_IWOTH,
					      reader->error);
	if (config_key_is_secret(key))
		return config_file_check_mode(reader->path, reader->st, S_IRWXG | S_IRWXO,
					      reader->error);
	return 0;
}

static int reader_take(struct section_reader *reader, const char *section, const char *name,
		       const char *value)
{
	enum config_key key = config_key_find(name, strlen(name));
	char where[PATH_MAX + 16];

	snprintf(where, sizeof(where), "%s:%u", reader->path, reader->line);
	if (*section == '\0')
		return config_fail(reader->error, -EINVAL,
				   "%s: a setting stands before the first [section]", where);
	if (strcmp(section, reader->section) != 0)
		return 0;
	if (key == KEY_COUNT)
		return config_key_refuse(where, name, strlen(name), reader->error);
	if (config_settings[key].place == PLACE_OPTION)
		return config_fail(reader->error, -EINVAL, "%s: %s can only be set with -o", where,
				   name);
	if (reader->seen_line[key] != 0)
		return config_fail(reader->error, -EINVAL, "%s: %s is set already in line %u",
				   where, name, reader->seen_line[key]);
	reader->seen_line[key] = reader->line;
	if (reader_check_mode(reader, key) < 0)
		return -EACCES;
	return reader->fn(reader->user, key, value, reader->line, reader->error);
}

/* inih's handler: 1 is success. */
static int reader_on_value(void *user, const char *section, const char *name, const char *value)
{
	struct section_reader *reader = user;

	if (reader->rc == 0)
		reader->rc = reader_take(reader, section, name, value);
	return reader->rc == 0;
}

static int reader_run(struct section_reader *reader)
{
	int bad_line = ini_parse_stream(reader_line, reader, reader_on_value, reader);

	if (reader->rc < 0)
		return reader->rc;
	if (bad_line < 0)
		return -ENOMEM;
	/* The line itself is not shown: it may be a secret gone astray. */
	if (bad_line > 0)
		return config_fail(reader->error, -EINVAL,
				   "%s:%d: neither [section] nor key = value nor a ; comment",
				   reader->path, bad_line);
	if (!reader->found)
		return config_fail(reader->error, -EINVAL,
				   "%s: there is no section [%s]; it has %s", reader->path,
				   reader->section,
				   reader->sections.len > 0 ? buf_str(&reader->sections) : "none");
	return 0;
}

int config_file_section(const char *path, const char *section, config_file_fn *fn, void *user,
			struct buf *error)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	struct section_reader reader = {
		.path = path,
		.section = section,
		.sections = BUF_INIT(SECTIONS_LISTED_MAX),
		.fn = fn,
		.user = user,
		.error = error,
	};
	struct buf data CLEANUP(buf_wipe) = BUF_INIT(CONFIG_FILE_BYTES_MAX);
	struct stat st;
	int rc = config_file_read(path, &st, &data);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return -ENOENT;
	if (rc < 0)
		return config_fail(error, rc, "cannot read the configuration file %s: %s", path,
				   config_file_strerror(rc));
	reader.st = &st;
	reader.at = buf_str(&data);
	reader.end = reader.at + data.len;
	if (strncmp(reader.at, byte_order_mark, strlen(byte_order_mark)) == 0)
		reader.at += strlen(byte_order_mark);
	rc = reader_run(&reader);
	buf_reset(&reader.sections);
	return rc;
}
