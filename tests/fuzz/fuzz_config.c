/* fuzz_config.c: the configuration. The first line of the input is what stands behind -o, the rest
 * is the file. What is refused is so in one line; what is printed is accepted again, and means the
 * same. */
#include "config.h"
#include "fuzz.h"
#include "log.h"
#include "provider.h"

#include <errno.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX (1 << 20)
/* As config_file.c says in its message. */
#define LINE_MAX_BYTES 198

/* A file without a disk; only its owner may read it. */
static int file_of(struct piece text)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(fchmod(fd, 0600) == 0);
	CHECK(write(fd, text.text, text.len) == (ssize_t)text.len);
	return fd;
}

static int load(int fd, const char *options, struct config **ret_config, struct buf *error)
{
	struct buf joined = BUF_INIT(TEXT_MAX);
	char *argv[] = {(char *)"ibinderfs", (char *)"acme", (char *)"/mnt",
			(char *)"-o",	     NULL,	     NULL};
	int rc;

	CHECK(buf_printf(&joined, "config=/proc/self/fd/%d,%s", fd, options) == 0);
	argv[4] = joined.data;
	rc = config_load(5, argv, ret_config, error);
	buf_reset(&joined);
	CHECK((rc == 0) == (error->len == 0));
	CHECK(!memchr(buf_str(error), '\n', error->len));
	return rc;
}

/* In the file blanks around a value and a comment behind it are no part of it. */
static bool is_plain(const char *options)
{
	return !strpbrk(options, "; \\");
}

/* A path that was relative may be longer now than a line of the file may be. */
static bool has_long_line(const struct buf *printed)
{
	struct piece input = {printed->data, printed->len};
	struct piece line;

	while (piece_take(&input, '\n', &line)) {
		if (line.len > LINE_MAX_BYTES)
			return true;
	}
	return false;
}

static void check_again(const struct config *config, const struct buf *printed)
{
	struct config *again = NULL;
	struct buf error = BUF_INIT(TEXT_MAX);
	struct buf text = BUF_INIT(TEXT_MAX);
	struct buf reprinted = BUF_INIT(TEXT_MAX);
	int fd;

	buf_append(&text, printed->data, printed->len);
	if (config->secret_source != CONFIG_SECRET_FILE) /* the others are not printed */
		buf_printf(&text, "%s = another\n", config->secret_key);
	fd = file_of((struct piece){text.data, text.len});
	if (load(fd, "", &again, &error)) {
		fprintf(stderr, "%s\n%s", error.data, text.data);
		abort();
	}
	CHECK(config_print(again, &reprinted) == 0);
	/* But for the first line, which names the file. */
	CHECK(strcmp(strchr(printed->data, '\n'), strchr(reprinted.data, '\n')) == 0);
	config_free(again);
	close(fd);
	buf_reset(&error);
	buf_reset(&text);
	buf_reset(&reprinted);
}

static void check_secret(const struct config *config)
{
	struct secret secret = {NULL, 0};
	struct buf error = BUF_INIT(TEXT_MAX);

	/* Others are files and commands of the fuzzer's choice. */
	if (config->secret_source != CONFIG_SECRET_INLINE)
		return;
	if (config_read_secret(config, &secret, &error))
		CHECK(error.len > 0);
	else
		CHECK(secret.len > 0 && secret.value[secret.len] == '\0' && error.len == 0);
	secret_fini(&secret);
	buf_reset(&error);
}

/* All that its provider needs is there. */
static void check_provider(const struct config *config)
{
	const struct provider_ops *ops = provider_find(config->provider);
	struct provider *provider = NULL;

	CHECK(ops && ops->provider_new(config, &provider) == 0);
	ops->provider_free(provider);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct piece input = {(const char *)data, size};
	struct piece first = {"", 0};
	struct config *config = NULL;
	struct buf error = BUF_INIT(TEXT_MAX);
	struct buf printed = BUF_INIT(TEXT_MAX);
	char *options;
	int fd;

	piece_take(&input, '\n', &first);
	options = piece_copy(first);
	fd = file_of(input);
	if (load(fd, options, &config, &error) == 0) {
		check_provider(config);
		CHECK(config_print(config, &printed) == 0);
		check_secret(config);
		if (is_plain(options) && !has_long_line(&printed))
			check_again(config, &printed);
	}
	config_free(config);
	buf_reset(&printed);
	buf_reset(&error);
	close(fd);
	free(options);
	return 0;
}
