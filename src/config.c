/* config.c: joins command line, environment and configuration file into one structure.
 *
 * Every name of a setting has a slot. The sources fill the slots, the nearer ones over the others;
 * then each slot, or the default, is read into the field that the provider has for it. Slots are
 * text with the place they come from, so a message can say where to mend what. The loader owns them
 * and, until it succeeds, the structure. A secret passes through here only as the knowledge that
 * there is one. */
#include "config_internal.h"

#include "cleanup.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Longest single option in -o, name of a place in a message, and reason in one; in bytes. */
#define OPTION_BYTES_MAX 8192
#define WHERE_BYTES_MAX	 (PATH_MAX + 64)
#define WHY_BYTES_MAX	 (PATH_MAX + 256)

enum layer { LAYER_NONE, LAYER_OPTION, LAYER_ENVIRONMENT, LAYER_SECTION };

struct slot {
	enum layer layer;
	char *text;  /* owned */
	char *where; /* owned; how a message names the place */
};

struct loader {
	struct config *config;
	struct slot slots[KEY_COUNT];
	struct buf *error;
};

/* What mount(8) and fstab say to everybody, and what only confirms that the mount is read-only. A
 * final '*' stands for any rest. */
static const char *const ignored_options[] = {
	"_netdev", "nofail", "noauto", "auto",	    "defaults", "user",	   "users",
	"nouser",  "owner",  "group",  "ro",	    "rw",	"nosuid",  "nodev",
	"noexec",  "suid",   "dev",    "exec",	    "relatime", "noatime", "nodiratime",
	"sync",	   "async",  "x-*",    "comment=*",
};

/* Above any character, so that a message can tell a long option from a short one. */
enum { LONG_CHECK = 256, LONG_DEMO, LONG_HELP, LONG_VERSION };

static const struct option long_options[] = {
	{"check", no_argument, NULL, LONG_CHECK},
	{"demo", no_argument, NULL, LONG_DEMO},
	{"help", no_argument, NULL, LONG_HELP},
	{"version", no_argument, NULL, LONG_VERSION},
	{NULL, 0, NULL, 0},
};

void config_free(struct config *config)
{
	if (!config)
		return;
	free(config->source);
	free(config->mountpoint);
	free(config->file);
	free(config->provider);
	free(config->secret_origin);
	free(config->tenant_id);
	free(config->client_id);
	free(config->api_key);
	free(config->domain);
	free(config->domain_key_field);
	free(config->answer_attribute);
	free(config->api_url);
	free(config->auth_url);
	free(config->subfolders_path);
	free(config->ca_file);
	free(config->proxy);
	free(config);
}

static void loader_fini(struct loader *loader)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		free(loader->slots[i].text);
		free(loader->slots[i].where);
	}
	config_free(loader->config);
}

/* Providers may have settings of the same name: one slot is for all of them. */
static struct slot *slot_of(struct loader *loader, enum config_key key)
{
	const char *name = config_settings[key].key;

	return &loader->slots[config_key_find(name, strlen(name))];
}

/* Fills a slot anew. `where` is two parts: "-o " and "ttl", "/etc/ibinderfs/config:7: " and "ttl".
 */
static int slot_fill(struct slot *slot, enum layer layer, const char *text, const char *place,
		     const char *name)
{
	struct buf where = BUF_INIT(WHERE_BYTES_MAX);
	char *copy = strdup(text);

	if (!copy || buf_printf(&where, "%s%s", place, name) < 0) {
		free(copy);
		buf_reset(&where);
		return -ENOMEM;
	}
	free(slot->text);
	free(slot->where);
	*slot = (struct slot){.layer = layer, .text = copy, .where = buf_steal(&where)};
	return 0;
}

/* Absolute without a look at the file system: realpath would hang on a dead mount. */
static int make_absolute(const char *path, char **ret_path)
{
	struct buf out = BUF_INIT(PATH_MAX);
	char *cwd CLEANUP_FREE = NULL;
	int rc = 0;

	if (*path != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return -errno;
		rc = strcmp(cwd, "/") == 0 ? 0 : buf_append_str(&out, cwd);
	}
	while (rc == 0 && *path) {
		size_t len = strcspn(path, "/");

		/* Not "..": behind a symbolic link it is not the directory before. */
		if (len > 0 && !(len == 1 && *path == '.')) {
			rc = buf_append_str(&out, "/");
			if (rc == 0)
				rc = buf_append(&out, path, len);
		}
		path += len + (path[len] == '/');
	}
	if (rc == 0 && out.len == 0)
		rc = buf_append_str(&out, "/");
	if (rc == 0)
		*ret_path = buf_steal(&out);
	buf_reset(&out);
	return rc;
}

static bool option_is_ignored(const char *option)
{
	for (size_t i = 0; i < sizeof(ignored_options) / sizeof(ignored_options[0]); i++) {
		const char *pattern = ignored_options[i];
		size_t len = strlen(pattern);

		if (pattern[len - 1] == '*' ? strncmp(option, pattern, len - 1) == 0
					    : strcmp(option, pattern) == 0)
			return true;
	}
	return false;
}

static int refuse_secret(struct loader *loader, const struct config_setting *setting)
{
	const char *separator = "";

	buf_printf(loader->error,
		   "-o %s: every user can read a command line; a secret belongs into the "
		   "environment (%s) or into the configuration file (",
		   setting->key, setting->environment[0]);
	for (enum config_key key = 0; key < KEY_COUNT; key++) {
		if (!config_settings[key].secret ||
		    strcmp(config_settings[key].provider, setting->provider) != 0)
			continue;
		buf_printf(loader->error, "%s%s", separator, config_settings[key].key);
		separator = ", ";
	}
	return config_fail(loader->error, -EINVAL, ")");
}

/* Takes `key`, or `key=value`. No message repeats a value before its key is known to be harmless.
 */
static int load_option(struct loader *loader, const char *option)
{
	size_t name_len = strcspn(option, "=");
	enum config_key key = config_key_find(option, name_len);
	const struct config_setting *setting = &config_settings[key];

	if (*option == '\0' || option_is_ignored(option))
		return 0;
	if (key == KEY_COUNT)
		return config_key_refuse("-o", option, name_len, loader->error);
	if (config_key_is_secret(key))
		return refuse_secret(loader, setting);
	if (setting->place == PLACE_FILE)
		return config_fail(loader->error, -EINVAL,
				   "-o %s: only the configuration file takes it", setting->key);
	if (setting->type == TYPE_FLAG && option[name_len] == '\0')
		return slot_fill(&loader->slots[key], LAYER_OPTION, "on", "-o ", setting->key);
	if (option[name_len] == '\0')
		return config_fail(loader->error, -EINVAL, "-o %s: needs a value: %s=%s",
				   setting->key, setting->key,
				   setting->argument ? setting->argument : "");
	return slot_fill(&loader->slots[key], LAYER_OPTION, option + name_len + 1, "-o ",
			 setting->key);
}

/* Splits at commas; "\," is a comma inside a value. */
static int load_options(struct loader *loader, const char *options)
{
	struct buf option = BUF_INIT(OPTION_BYTES_MAX);
	int rc = 0;

	while (rc == 0) {
		if (options[0] == '\\' && options[1] == ',') {
			rc = buf_append(&option, ",", 1);
			options += 2;
		} else if (options[0] != ',' && options[0] != '\0') {
			rc = buf_append(&option, options, 1);
			options++;
		} else {
			rc = load_option(loader, buf_str(&option));
			buf_wipe(&option);
			if (*options++ == '\0')
				break;
		}
		if (rc == -EFBIG)
			rc = config_fail(loader->error, -EINVAL, "-o: an option is too long");
	}
	buf_wipe(&option);
	return rc;
}

static int set_mode(struct loader *loader, enum config_mode mode)
{
	if (loader->config->mode != CONFIG_MOUNT && loader->config->mode != mode)
		return config_fail(loader->error, -EINVAL, "--check and --demo exclude each other");
	loader->config->mode = mode;
	return 0;
}

/* Says what getopt_long did not like, without what follows '=': it might be a secret. */
static int refuse_argument(struct loader *loader, const char *argument)
{
	int name_len = (int)strcspn(argument, "=");

	if (optopt != 0 && optopt < LONG_CHECK)
		return config_fail(loader->error, -EINVAL,
				   "unknown option -%c; see ibinderfs --help", optopt);
	if (optopt != 0)
		return config_fail(loader->error, -EINVAL, "%.*s takes no value", name_len,
				   argument);
	return config_fail(loader->error, -EINVAL, "unknown option %.*s; see ibinderfs --help",
			   name_len, argument);
}

static int load_arguments(struct loader *loader, int argc, char **argv)
{
	struct config *config = loader->config;
	int rc = 0;
	int option;

	optind = 0; /* glibc: begin anew, also when called before */
	opterr = 0;
	while (rc == 0 && (option = getopt_long(argc, argv, ":fo:hV", long_options, NULL)) != -1) {
		switch (option) {
		case 'f':
			config->foreground = true;
			break;
		case 'o':
			rc = load_options(loader, optarg);
			break;
		case LONG_CHECK:
			rc = set_mode(loader, CONFIG_CHECK);
			break;
		case LONG_DEMO:
			rc = set_mode(loader, CONFIG_DEMO);
			break;
		case 'h':
		case LONG_HELP:
			config->mode = CONFIG_HELP;
			return 0;
		case 'V':
		case LONG_VERSION:
			config->mode = CONFIG_VERSION;
			return 0;
		case ':':
			rc = config_fail(loader->error, -EINVAL, "-%c needs a value", optopt);
			break;
		default:
			rc = refuse_argument(loader, argv[optind - 1]);
		}
	}
	return rc;
}

/* [SOURCE] MOUNTPOINT, [SOURCE] for --check, MOUNTPOINT for --demo. */
static int load_positionals(struct loader *loader, int count, char **arguments)
{
	struct config *config = loader->config;
	bool has_mountpoint = config->mode != CONFIG_CHECK;
	int sources = count - has_mountpoint;
	int rc;

	if (sources < 0)
		return config_fail(loader->error, -EINVAL,
				   "the mount point is missing; see ibinderfs --help");
	if (sources > (config->mode == CONFIG_DEMO ? 0 : 1))
		return config_fail(loader->error, -EINVAL,
				   "too many arguments; see ibinderfs --help");
	if (sources == 1) {
		if (*arguments[0] == '\0')
			return config_fail(loader->error, -EINVAL, "SOURCE is empty");
		config->source = strdup(arguments[0]);
		if (!config->source)
			return -ENOMEM;
	}
	if (has_mountpoint) {
		if (*arguments[sources] == '\0')
			return config_fail(loader->error, -EINVAL, "the mount point is empty");
		rc = make_absolute(arguments[sources], &config->mountpoint);
		if (rc < 0)
			return config_fail(loader->error, rc,
					   "cannot make the mount point an absolute path: %s",
					   strerror(-rc));
	}
	return 0;
}

/* An empty variable counts as none. Others' accounts may be there too. */
static int load_environment(struct loader *loader)
{
	for (enum config_key key = 0; key < KEY_COUNT; key++) {
		const struct config_setting *setting = &config_settings[key];
		struct slot *slot = slot_of(loader, key);

		if (!config_key_is_of(key, loader->config->provider) ||
		    (loader->config->mode == CONFIG_DEMO && setting->account))
			continue;
		for (size_t i = 0; i < 2 && setting->environment[i]; i++) {
			const char *name = setting->environment[i];
			const char *value = getenv(name);
			int rc;

			if (!value || !*value || slot->layer == LAYER_OPTION ||
			    slot->layer == LAYER_ENVIRONMENT)
				continue;
			rc = slot_fill(slot, LAYER_ENVIRONMENT,
				       config_key_is_secret(key) ? "" : value,
				       "environment variable ", name);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

struct section_loader {
	struct loader *loader;
	const char *path;
};

static int load_from_section(void *user, enum config_key key, const char *value, unsigned line,
			     struct buf *error)
{
	struct section_loader *section = user;
	struct slot *slot = &section->loader->slots[key];
	struct buf place = BUF_INIT(WHERE_BYTES_MAX);
	int rc;

	(void)error;
	if (slot->layer != LAYER_NONE)
		return 0;
	rc = buf_printf(&place, "%s:%u: ", section->path, line);
	if (rc == 0)
		rc = slot_fill(slot, LAYER_SECTION, config_key_is_secret(key) ? "" : value,
			       buf_str(&place), config_settings[key].key);
	buf_reset(&place);
	return rc;
}

/* ~/.config/ibinderfs/config by the XDG rules; NULL when there is no home, as at boot. */
static int user_config_path(char **ret_path)
{
	const char *config_home = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	struct buf path = BUF_INIT(PATH_MAX);
	int rc = 0;

	if (config_home && *config_home == '/')
		rc = buf_printf(&path, "%s/ibinderfs/config", config_home);
	else if (home && *home == '/')
		rc = buf_printf(&path, "%s/.config/ibinderfs/config", home);
	*ret_path = buf_steal(&path);
	return rc;
}

/* Reads the section from the first file that exists. -ENOENT with a message: none does. */
static int load_section(struct loader *loader)
{
	struct config *config = loader->config;
	const char *explicit = loader->slots[KEY_CONFIG].text;
	char *candidates[2] = {NULL, NULL};
	int rc;

	if (explicit && !config->source)
		return config_fail(loader->error, -EINVAL,
				   "-o config: nothing is read from %s without SOURCE, the name of "
				   "a section",
				   explicit);
	if (!config->source)
		return 0;
	rc = explicit ? make_absolute(explicit, &candidates[0]) : user_config_path(&candidates[0]);
	if (rc == 0 && !explicit) {
		candidates[1] = strdup(CONFIG_SYSTEM_FILE);
		rc = candidates[1] ? 0 : -ENOMEM;
	}
	for (size_t i = 0; rc == 0 && i < 2 && !config->file; i++) {
		struct section_loader section = {.loader = loader, .path = candidates[i]};

		if (!candidates[i])
			continue;
		rc = config_file_section(candidates[i], config->source, load_from_section, &section,
					 loader->error);
		if (rc == 0) {
			config->file = candidates[i];
			candidates[i] = NULL;
		} else if (rc == -ENOENT) {
			rc = 0;
		}
	}
	if (rc == 0 && !config->file)
		rc = config_fail(loader->error, -ENOENT,
				 "no configuration file for [%s]: there is no %s%s%s",
				 config->source, candidates[0] ? candidates[0] : CONFIG_SYSTEM_FILE,
				 candidates[0] && candidates[1] ? " and no " : "",
				 candidates[0] && candidates[1] ? candidates[1] : "");
	free(candidates[0]);
	free(candidates[1]);
	return rc;
}

/* What has a place but not in this provider's account is a mistake. */
static int refuse_foreign(struct loader *loader, enum config_key key)
{
	const struct slot *slot = slot_of(loader, key);
	enum config_key other = 0;

	/* The name may be one of this provider's settings as well. */
	while (other < KEY_COUNT && (slot_of(loader, other) != slot ||
				     !config_key_is_of(other, loader->config->provider)))
		other++;
	if (slot->layer == LAYER_NONE || other < KEY_COUNT)
		return 0;
	return config_fail(loader->error, -EINVAL, "%s: is for provider=%s alone, this is %s",
			   slot->where, config_settings[key].provider, loader->config->provider);
}

static int apply_slot(struct loader *loader, enum config_key key)
{
	const struct config_setting *setting = &config_settings[key];
	const struct slot *slot = slot_of(loader, key);
	struct buf why = BUF_INIT(WHY_BYTES_MAX);
	const char *text = slot->text ? slot->text : setting->fallback;
	int rc;

	if (key != KEY_PROVIDER && !config_key_is_of(key, loader->config->provider))
		return refuse_foreign(loader, key);
	if (loader->config->mode == CONFIG_DEMO && setting->account) {
		if (slot->layer == LAYER_NONE)
			return 0;
		return config_fail(loader->error, -EINVAL, "%s: --demo brings its own",
				   slot->where);
	}
	if (!text)
		return 0;
	rc = config_value_set(loader->config, setting, text, &why);
	if (rc < 0)
		rc = config_fail(loader->error, rc, "%s: %s",
				 slot->where ? slot->where : setting->key,
				 why.len > 0 ? buf_str(&why) : strerror(-rc));
	buf_reset(&why);
	return rc;
}

/* The source nearest to the command line wins; within one there must be no choice. */
static int choose_secret(struct loader *loader)
{
	struct config *config = loader->config;
	const struct slot *chosen = NULL;

	for (enum config_key key = 0; key < KEY_COUNT; key++) {
		const struct slot *slot = slot_of(loader, key);

		if (!config_settings[key].secret || slot->layer == LAYER_NONE ||
		    (chosen && slot->layer > chosen->layer))
			continue;
		if (chosen && slot->layer == chosen->layer)
			return config_fail(loader->error, -EINVAL,
					   "%s: the secret has another source already (%s); keep "
					   "one",
					   slot->where, config->secret_key);
		chosen = slot;
		config->secret_source = config_settings[key].secret;
		config->secret_key = config_settings[key].key;
		config->by_domain_key = key == KEY_INBENTA_DOMAIN_KEY;
	}
	if (!chosen)
		return 0;
	if (chosen->layer == LAYER_ENVIRONMENT)
		config->secret_source = CONFIG_SECRET_ENVIRONMENT;
	if (config->secret_source == CONFIG_SECRET_FILE)
		return config_file_resolve(chosen->text, config->file, &config->secret_origin);
	if (config->secret_source == CONFIG_SECRET_COMMAND) {
		config->secret_origin = strdup(chosen->text);
		return config->secret_origin ? 0 : -ENOMEM;
	}
	return 0;
}

/* The setting that the account lacks, or KEY_COUNT. */
static enum config_key missing_key(const struct config *config)
{
	enum config_key key = 0;

	for (; key < KEY_COUNT; key++) {
		const struct config_setting *setting = &config_settings[key];
		const void *field = (const char *)config + setting->offset;

		if (!config_key_is_of(key, config->provider))
			continue;
		if (setting->required && !*(char *const *)field)
			break;
		if (setting->secret == CONFIG_SECRET_INLINE && !config->secret_key)
			break;
	}
	if (key == KEY_COUNT && config->by_domain_key && !config->domain)
		return KEY_INBENTA_DOMAIN;
	return key;
}

static int check_account(struct loader *loader)
{
	const struct config *config = loader->config;
	enum config_key key = missing_key(config);
	const struct config_setting *setting = &config_settings[key];
	const char *suffix = key < KEY_COUNT && config_key_is_secret(key) ? "_file" : "";

	if (key == KEY_COUNT)
		return 0;
	if (config->file)
		return config_fail(loader->error, -EINVAL,
				   "%s%s (%s) is not set: put it into section [%s] of %s or into "
				   "the environment",
				   setting->key, suffix, setting->environment[0], config->source,
				   config->file);
	return config_fail(loader->error, -EINVAL,
			   "%s%s (%s) is not set: set it in the environment, or name a section of "
			   "the configuration file as SOURCE",
			   setting->key, suffix, setting->environment[0]);
}

static int load_settings(struct loader *loader)
{
	struct config *config = loader->config;
	int rc = load_section(loader);

	if (rc == 0)
		rc = apply_slot(loader, KEY_PROVIDER); /* which says what the others are */
	if (rc == 0)
		rc = load_environment(loader);
	config->uid = getuid();
	config->gid = getgid();
	for (enum config_key key = KEY_PROVIDER + 1; rc == 0 && key < KEY_COUNT; key++)
		rc = apply_slot(loader, key);
	if (rc < 0)
		return rc;
	if (loader->slots[KEY_LOG].layer == LAYER_NONE)
		config->log_target = config->foreground || config->mode == CONFIG_CHECK
					     ? LOG_TARGET_STDERR
					     : LOG_TARGET_SYSLOG;
	if (config->allow_other && config->allow_root)
		return config_fail(loader->error, -EINVAL,
				   "allow_other and allow_root exclude each other");
	if (config->mode == CONFIG_DEMO)
		return 0;
	rc = choose_secret(loader);
	return rc == 0 ? check_account(loader) : rc;
}

int config_load(int argc, char **argv, struct config **ret_config, struct buf *error)
{
	struct loader loader CLEANUP(loader_fini) = {.error = error};
	size_t told = error->len;
	int rc = 0;

	loader.config = calloc(1, sizeof(*loader.config));
	if (!loader.config)
		rc = -ENOMEM;
	if (rc == 0)
		rc = load_arguments(&loader, argc, argv);
	if (rc == 0 && loader.config->mode != CONFIG_HELP &&
	    loader.config->mode != CONFIG_VERSION) {
		rc = load_positionals(&loader, argc - optind, argv + optind);
		if (rc == 0)
			rc = load_settings(&loader);
	}
	if (rc < 0) {
		if (error->len == told)
			buf_append_str(error, strerror(-rc));
		return rc;
	}
	*ret_config = loader.config;
	loader.config = NULL;
	return 0;
}
