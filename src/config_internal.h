/* config_internal.h: what the files of the configuration module share; nobody else includes it.
 *
 * config.c joins the sources, config_table.c holds the settings, config_value.c reads
 * their values, config_file.c reads the INI file and checks file modes, config_secret.c fetches the
 * secret. */
#ifndef IBINDERFS_CONFIG_INTERNAL_H
#define IBINDERFS_CONFIG_INTERNAL_H

#include "config.h"

#include <sys/stat.h>

/* Longest configuration file accepted, in bytes. */
#define CONFIG_FILE_BYTES_MAX 65536
/* Where a configuration file is looked for last. */
#define CONFIG_SYSTEM_FILE "/etc/ibinderfs/config"

enum config_key {
	KEY_PROVIDER,
	KEY_TENANT_ID,
	KEY_CLIENT_ID,
	KEY_CLIENT_SECRET,
	KEY_CLIENT_SECRET_FILE,
	KEY_CLIENT_SECRET_COMMAND,
	KEY_API_URL,
	KEY_AUTH_URL,
	KEY_SUBFOLDERS_PATH,
	KEY_PAGE_SIZE,
	KEY_INBENTA_API_KEY,
	KEY_INBENTA_SECRET,
	KEY_INBENTA_SECRET_FILE,
	KEY_INBENTA_SECRET_COMMAND,
	KEY_INBENTA_DOMAIN_KEY,
	KEY_INBENTA_DOMAIN,
	KEY_INBENTA_DOMAIN_KEY_FIELD,
	KEY_INBENTA_ANSWER_ATTRIBUTE,
	KEY_INBENTA_AUTH_URL,
	KEY_INBENTA_PAGE_SIZE,
	KEY_TTL,
	KEY_STALE,
	KEY_TIMEOUT,
	KEY_CONNECTIONS,
	KEY_MEMORY,
	KEY_CONTENT,
	KEY_SIZES,
	KEY_CA_FILE,
	KEY_PROXY,
	KEY_LOG_LEVEL,
	KEY_LOG,
	KEY_UID,
	KEY_GID,
	KEY_UMASK,
	KEY_ALLOW_OTHER,
	KEY_ALLOW_ROOT,
	KEY_CONFIG,
	KEY_COUNT,
};

enum config_type {
	TYPE_ELSEWHERE, /* no field of its own: config.c deals with it */
	TYPE_TEXT,
	TYPE_PROVIDER,
	TYPE_PATH,
	TYPE_URL,
	TYPE_URL_BASE, /* loses trailing slashes */
	TYPE_ORIGIN,   /* scheme, host and port alone */
	TYPE_PROXY,
	TYPE_SUBFOLDERS,
	TYPE_SECONDS,
	TYPE_COUNT,
	TYPE_SIZE,
	TYPE_LOG_LEVEL,
	TYPE_LOG_TARGET,
	TYPE_SIZES,
	TYPE_USER,
	TYPE_GROUP,
	TYPE_OCTAL,
	TYPE_FLAG,
};

enum config_place { PLACE_ANY, PLACE_FILE, PLACE_OPTION };

struct config_setting {
	const char *key;
	enum config_type type;
	size_t offset;		    /* of its field in struct config */
	const char *fallback;	    /* NULL: none, or computed by config.c */
	int64_t min;		    /* milliseconds, count or bytes */
	int64_t max;		    /* as min */
	const char *environment[2]; /* the first that is set counts */
	enum config_place place;    /* the environment aside */
	const char *provider;	    /* whose it is; NULL: everybody's */
	bool account;		    /* says whose data is shown: --demo brings its own */
	bool required;
	enum config_secret_source secret; /* it says where the secret is */
	bool may_be_empty;
	const char *argument; /* for --help; NULL: takes none */
	const char *help;
};

extern const struct config_setting config_settings[KEY_COUNT];
extern const char *const config_log_levels[LOG_LEVEL_DEBUG + 1];
extern const char *const config_log_targets[LOG_TARGET_SYSLOG + 1];
extern const char *const config_sizes_words[CONFIG_SIZES_EXACT + 1];

/* Appends a message and gives back the code: for `return config_fail(...)`. A message that does
 * not fit is lost, the code stays. */
#define config_fail(error, code, ...) ((void)buf_printf((error), __VA_ARGS__), (code))

/* KEY_COUNT when there is no setting of that name; of several providers' the first. */
enum config_key config_key_find(const char *name, size_t len);
/* Whether a provider has the setting; NULL: all of them have. */
bool config_key_is_of(enum config_key key, const char *provider);
/* Whether the setting's value is a secret itself. */
static inline bool config_key_is_secret(enum config_key key)
{
	return key < KEY_COUNT && config_settings[key].secret == CONFIG_SECRET_INLINE;
}
/* Says that there is no such setting, and which one was probably meant. `where` begins the line. */
int config_key_refuse(const char *where, const char *name, size_t len, struct buf *error);
/* Checks a value and stores it in its field. Appends to `why` what is wrong with it. */
int config_value_set(struct config *config, const struct config_setting *setting, const char *text,
		     struct buf *why);

/* Called for every `key = value` of a section; returns 0, or an error after saying why. */
typedef int config_file_fn(void *user, enum config_key key, const char *value, unsigned line,
			   struct buf *error);
/* Reads one section. -ENOENT without a word when there is no such file. Checks the file's mode when
 * the section holds a secret, or a command that yields one. */
int config_file_section(const char *path, const char *section, config_file_fn *fn, void *user,
			struct buf *error);
/* Where the value of a *_file setting is found. `config_file` may be NULL. */
int config_file_resolve(const char *name, const char *config_file, char **ret_path);
/* Refuses a file that is not the user's or root's, or has one of the `forbidden` mode bits. */
int config_file_check_mode(const char *path, const struct stat *st, mode_t forbidden,
			   struct buf *error);
/* Reads a regular file up to the buffer's bound; wiping it is the caller's. Returns -errno without
 * a message; -ENODEV: not a regular file. */
int config_file_read(const char *path, struct stat *ret_st, struct buf *data);
/* One read(2) that leaves no copy behind: 1 if there was something, 0 at the end, or -errno. */
int config_read_some(int fd, struct buf *data);
/* strerror in the words of config_file_read. */
const char *config_file_strerror(int error);

/* Runs a command, which the setting `key` holds, and takes its output as secret; `limit_ms` bounds
 * the whole. */
int config_secret_run(const char *key, const char *command, int64_t limit_ms,
		      struct secret *ret_secret, struct buf *error);

#endif
