/* config.h: options, configuration file and environment become one immutable structure.
 *
 * Precedence: -o options, then environment, then the file's section, then defaults. One table in
 * config.c names every setting: its key (the same in -o and in the file), environment variable,
 * type, default and range; usage text and `.ibinderfs/config` are printed from it.
 * Errors are one line that says what is wrong, where it was set, and what to do; they never hold
 * the value of a secret. */
#ifndef IBINDERFS_CONFIG_H
#define IBINDERFS_CONFIG_H

#include "buf.h"
#include "log.h"
#include "secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum config_mode { CONFIG_MOUNT, CONFIG_CHECK, CONFIG_DEMO, CONFIG_HELP, CONFIG_VERSION };

/* Where the client's secret comes from; one of them is set. Kept so that SIGHUP can read it again.
 */
enum config_secret_source {
	CONFIG_SECRET_NONE,
	CONFIG_SECRET_ENVIRONMENT,
	CONFIG_SECRET_INLINE, /* in the configuration file, which then is checked like a secret file
			       */
	CONFIG_SECRET_FILE,
	CONFIG_SECRET_COMMAND,
};

/* Whose APIs there are; NULL ends the list. */
extern const char *const config_providers[];

/* When sizes in files/ are learnt. */
enum config_sizes { CONFIG_SIZES_LAZY, CONFIG_SIZES_EXACT };

struct config {
	enum config_mode mode;
	bool foreground;
	char *source;	  /* section of the file, or NULL: the environment alone */
	char *mountpoint; /* absolute; NULL for --check, --help, --version */
	char *file;	  /* the configuration file that was read, or NULL */

	char *provider; /* one of config_providers */
	enum config_secret_source secret_source;
	const char *secret_key; /* the setting that says so; static */
	char *secret_origin;	/* path or command; NULL for the others */

	/* ibinder */
	char *tenant_id;
	char *client_id;
	char *api_url;	       /* without a trailing slash */
	char *subfolders_path; /* below api_url, with {binder} and {folder}; "" switches the call
				  off */
	/* inbenta */
	char *api_key;
	char *domain;	    /* "https://host", an origin; NULL without a domain key */
	bool by_domain_key; /* the secret is a domain key */
	char *domain_key_field;
	char *answer_attribute;

	char *auth_url; /* iBinder: the whole token endpoint; Inbenta: a base */
	char *ca_file;	/* NULL: the system's */
	char *proxy;	/* NULL: the environment's, as libcurl reads it */

	int64_t ttl_ms;
	int64_t stale_ms;
	int64_t timeout_ms;
	size_t connections;
	size_t page_size;
	size_t memory; /* bytes, for listings and contents together */
	bool content;  /* whether there are files/, and open() is answered */
	enum config_sizes sizes;

	enum log_level log_level;
	enum log_target log_target;

	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool allow_other;
	bool allow_root;
};

/* Reads command line, environment and file. On failure appends one line (no newline) to `error`,
 * and returns -EINVAL (the user's mistake), -EACCES (a secret's file is open to others), or another
 * -errno. The caller frees the result with config_free. */
int config_load(int argc, char **argv, struct config **ret_config, struct buf *error);
void config_free(struct config *config);

/* Of `memory` the process itself takes this much: 13.0 MiB were measured with nothing cached, of
 * which 8 are pages of libraries, and 2.5 come with TLS and the system's authorities. */
#define CONFIG_PROCESS_BYTES (14 << 20)
/* But so much may be cached, or `memory` if that is less: it is then a cap on that alone. */
#define CONFIG_CACHED_MIN (16 << 20)
static inline size_t config_memory_cached(const struct config *config)
{
	size_t least = config->memory < CONFIG_CACHED_MIN ? config->memory : CONFIG_CACHED_MIN;

	return config->memory > CONFIG_PROCESS_BYTES + least ? config->memory - CONFIG_PROCESS_BYTES
							     : least;
}

/* How much of that is for document bytes, if the provider has them apart from the listings, and how
 * much for listings. Fixed shares: neither can drive out the other. */
static inline size_t config_memory_contents(const struct config *config, bool has_links)
{
	return config->content && has_links ? config_memory_cached(config) / 4 : 0;
}
static inline size_t config_memory_listings(const struct config *config, bool has_links)
{
	return config_memory_cached(config) - config_memory_contents(config, has_links);
}

/* Reads the client secret from where the configuration says. Safe to call from another thread.
 * A secret_command is killed after CONFIG_SECRET_COMMAND_MS. Errors as config_load. */
#define CONFIG_SECRET_COMMAND_MS 10000
int config_read_secret(const struct config *config, struct secret *ret_secret, struct buf *error);

/* Appends the effective settings, one `key = value` a line, in the form the file takes; a secret
 * shows where it comes from, never what it is. */
int config_print(const struct config *config, struct buf *out);
/* Appends the text for --help. */
int config_usage(struct buf *out);

#endif
