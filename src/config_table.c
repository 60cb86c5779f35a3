/* config_table.c: the one table of settings; usage text and effective settings printed from it.
 *
 * Owns nothing. Fails only as the buffer it appends to does. */
#include "config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define YEAR_MS	   (INT64_C(366) * 24 * 3600 * 1000)
#define TIMEOUT_MS (INT64_C(3600) * 1000)
#define MIB	   (INT64_C(1) << 20)
/* 1 TiB, or what a small address space leaves. */
#define MEMORY_MAX (SIZE_MAX >> 20 >= MIB ? MIB << 20 : INT64_C(1) << 30)
/* Longest name of a setting that key_nearest compares. */
#define NAME_BYTES_COMPARED 32
/* --help: where the second column begins, and how long it gets before the default moves on. */
#define USAGE_COLUMN 28
#define USAGE_WIDTH  49

#define FIELD(name) offsetof(struct config, name)

#define IBINDER "ibinder"
#define INBENTA "inbenta"

const char *const config_providers[] = {IBINDER, INBENTA, NULL};

const struct config_setting config_settings[KEY_COUNT] = {
	[KEY_PROVIDER] = {.key = "provider",
			  .type = TYPE_PROVIDER,
			  .offset = FIELD(provider),
			  .fallback = IBINDER,
			  .argument = "NAME",
			  .help = "whose API: ibinder or inbenta"},
	[KEY_TENANT_ID] = {.key = "tenant_id",
			   .type = TYPE_TEXT,
			   .offset = FIELD(tenant_id),
			   .environment = {"IBINDER_TENANT_ID", "IBINDER_ORG_ID"},
			   .provider = IBINDER,
			   .account = true,
			   .required = true,
			   .argument = "ID",
			   .help = "the organisation's id"},
	[KEY_CLIENT_ID] = {.key = "client_id",
			   .type = TYPE_TEXT,
			   .offset = FIELD(client_id),
			   .environment = {"IBINDER_CLIENT_ID"},
			   .provider = IBINDER,
			   .account = true,
			   .required = true,
			   .argument = "ID",
			   .help = "the API client's id"},
	[KEY_CLIENT_SECRET] = {.key = "client_secret",
			       .environment = {"IBINDER_CLIENT_SECRET"},
			       .may_be_empty = true, /* its slot holds no text */
			       .provider = IBINDER,
			       .account = true,
			       .secret = CONFIG_SECRET_INLINE,
			       .argument = "SECRET",
			       .place = PLACE_FILE,
			       .help = "the secret itself; makes the file a secret one"},
	[KEY_CLIENT_SECRET_FILE] = {.key = "client_secret_file",
				    .provider = IBINDER,
				    .account = true,
				    .secret = CONFIG_SECRET_FILE,
				    .argument = "FILE",
				    .help = "file that holds the API client's secret"},
	[KEY_CLIENT_SECRET_COMMAND] = {.key = "client_secret_command",
				       .provider = IBINDER,
				       .account = true,
				       .secret = CONFIG_SECRET_COMMAND,
				       .argument = "CMD",
				       .place = PLACE_FILE,
				       .help = "run by /bin/sh, prints the secret"},
	[KEY_API_URL] = {.key = "api_url",
			 .type = TYPE_URL_BASE,
			 .offset = FIELD(api_url),
			 .fallback = "https://api.ibinder.com/api",
			 .environment = {"IBINDER_API_URL"},
			 .provider = IBINDER,
			 .account = true,
			 .argument = "URL",
			 .help = "base of the API"},
	[KEY_AUTH_URL] = {.key = "auth_url",
			  .type = TYPE_URL,
			  .offset = FIELD(auth_url),
			  .fallback = "https://signin.ibinder.com/connect/token",
			  .environment = {"IBINDER_AUTH_URL"},
			  .provider = IBINDER,
			  .account = true,
			  .argument = "URL",
			  .help = "the token endpoint"},
	[KEY_SUBFOLDERS_PATH] = {.key = "subfolders_path",
				 .type = TYPE_SUBFOLDERS,
				 .offset = FIELD(subfolders_path),
				 .fallback = "/documents/drives/binders/{binder}/folders/{folder}",
				 .provider = IBINDER,
				 .may_be_empty = true,
				 .argument = "PATH",
				 .help = "below api_url; empty: do not ask for sub-folders"},
	[KEY_PAGE_SIZE] = {.key = "page_size",
			   .type = TYPE_COUNT,
			   .offset = FIELD(page_size),
			   .fallback = "250",
			   .min = 1,
			   .max = 1000,
			   .provider = IBINDER,
			   .argument = "N",
			   .help = "documents per search page"},
	[KEY_INBENTA_API_KEY] = {.key = "api_key",
				 .type = TYPE_TEXT,
				 .offset = FIELD(api_key),
				 .environment = {"INBENTA_API_KEY"},
				 .provider = INBENTA,
				 .account = true,
				 .required = true,
				 .argument = "KEY",
				 .help = "the API key, which every call names"},
	[KEY_INBENTA_SECRET] = {.key = "secret",
				.environment = {"INBENTA_SECRET"},
				.may_be_empty = true, /* its slot holds no text */
				.provider = INBENTA,
				.account = true,
				.secret = CONFIG_SECRET_INLINE,
				.argument = "SECRET",
				.place = PLACE_FILE,
				.help = "the secret itself; makes the file a secret one"},
	[KEY_INBENTA_SECRET_FILE] = {.key = "secret_file",
				     .provider = INBENTA,
				     .account = true,
				     .secret = CONFIG_SECRET_FILE,
				     .argument = "FILE",
				     .help = "file that holds the API key's secret"},
	[KEY_INBENTA_SECRET_COMMAND] = {.key = "secret_command",
					.provider = INBENTA,
					.account = true,
					.secret = CONFIG_SECRET_COMMAND,
					.argument = "CMD",
					.place = PLACE_FILE,
					.help = "run by /bin/sh, prints the secret"},
	[KEY_INBENTA_DOMAIN_KEY] = {.key = "domain_key",
				    .environment = {"INBENTA_DOMAIN_KEY"},
				    .may_be_empty = true, /* its slot holds no text */
				    .provider = INBENTA,
				    .account = true,
				    .secret = CONFIG_SECRET_INLINE,
				    .argument = "KEY",
				    .place = PLACE_FILE,
				    .help = "instead of a secret; needs domain"},
	[KEY_INBENTA_DOMAIN] = {.key = "domain",
				.type = TYPE_ORIGIN,
				.offset = FIELD(domain),
				.environment = {"INBENTA_DOMAIN"},
				.provider = INBENTA,
				.account = true,
				.argument = "URL",
				.help = "a domain registered for the domain key"},
	[KEY_INBENTA_DOMAIN_KEY_FIELD] = {.key = "domain_key_field",
					  .type = TYPE_TEXT,
					  .offset = FIELD(domain_key_field),
					  .fallback = "domainKey",
					  .provider = INBENTA,
					  .argument = "NAME",
					  .help = "what /auth calls a domain key"},
	[KEY_INBENTA_ANSWER_ATTRIBUTE] = {.key = "answer_attribute",
					  .type = TYPE_TEXT,
					  .offset = FIELD(answer_attribute),
					  .fallback = "ANSWER_TEXT",
					  .provider = INBENTA,
					  .argument = "NAME",
					  .help = "the attribute with the answer's HTML"},
	[KEY_INBENTA_AUTH_URL] = {.key = "auth_url",
				  .type = TYPE_URL_BASE,
				  .offset = FIELD(auth_url),
				  .fallback = "https://api.inbenta.io/v1",
				  .environment = {"INBENTA_AUTH_URL"},
				  .provider = INBENTA,
				  .account = true,
				  .argument = "URL",
				  .help = "base of /auth; the rest comes with the token"},
	[KEY_INBENTA_PAGE_SIZE] = {.key = "page_size",
				   .type = TYPE_COUNT,
				   .offset = FIELD(page_size),
				   .fallback = "100",
				   .min = 1,
				   .max = 100,
				   .provider = INBENTA,
				   .argument = "N",
				   .help = "contents per page"},
	[KEY_TTL] = {.key = "ttl",
		     .type = TYPE_SECONDS,
		     .offset = FIELD(ttl_ms),
		     .fallback = "60",
		     .max = YEAR_MS,
		     .argument = "SECONDS",
		     .help = "how long a listing is fresh"},
	[KEY_STALE] = {.key = "stale",
		       .type = TYPE_SECONDS,
		       .offset = FIELD(stale_ms),
		       .fallback = "600",
		       .max = YEAR_MS,
		       .argument = "SECONDS",
		       .help = "after ttl: shown while a new one is fetched"},
	[KEY_TIMEOUT] = {.key = "timeout",
			 .type = TYPE_SECONDS,
			 .offset = FIELD(timeout_ms),
			 .fallback = "10",
			 .min = 1,
			 .max = TIMEOUT_MS,
			 .argument = "SECONDS",
			 .help = "longest that a file operation waits"},
	[KEY_CONNECTIONS] = {.key = "connections",
			     .type = TYPE_COUNT,
			     .offset = FIELD(connections),
			     .fallback = "16",
			     .min = 1,
			     .max = 256,
			     .argument = "N",
			     .help = "most API requests, and most read-ahead"},
	[KEY_MEMORY] = {.key = "memory",
			.type = TYPE_SIZE,
			.offset = FIELD(memory),
			.fallback = "256M",
			.min = MIB,
			.max = MEMORY_MAX,
			.argument = "SIZE",
			.help = "cap on cached listings and bytes; K, M or G"},
	[KEY_CONTENT] = {.key = "content",
			 .type = TYPE_FLAG,
			 .offset = FIELD(content),
			 .fallback = "on",
			 .argument = "on|off",
			 .help = "off: no files/, and open() costs nothing"},
	[KEY_SIZES] = {.key = "sizes",
		       .type = TYPE_SIZES,
		       .offset = FIELD(sizes),
		       .fallback = "lazy",
		       .provider = IBINDER,
		       .argument = "lazy|exact",
		       .help = "in files/: learnt at open, or at look-up"},
	[KEY_CA_FILE] = {.key = "ca_file",
			 .type = TYPE_PATH,
			 .offset = FIELD(ca_file),
			 .argument = "FILE",
			 .help = "CA certificates instead of the system's"},
	[KEY_PROXY] = {.key = "proxy",
		       .type = TYPE_PROXY,
		       .offset = FIELD(proxy),
		       .may_be_empty = true,
		       .argument = "URL",
		       .help = "instead of $https_proxy; empty: none"},
	[KEY_LOG_LEVEL] = {.key = "log_level",
			   .type = TYPE_LOG_LEVEL,
			   .offset = FIELD(log_level),
			   .fallback = "info",
			   .argument = "LEVEL",
			   .help = "error, warning, info or debug"},
	[KEY_LOG] = {.key = "log",
		     .type = TYPE_LOG_TARGET,
		     .offset = FIELD(log_target),
		     .argument = "TARGET",
		     .help = "stderr (with -f, --check) or syslog"},
	[KEY_UID] = {.key = "uid",
		     .type = TYPE_USER,
		     .offset = FIELD(uid),
		     .argument = "USER",
		     .help = "owner of the files (the mounting user)"},
	[KEY_GID] = {.key = "gid",
		     .type = TYPE_GROUP,
		     .offset = FIELD(gid),
		     .argument = "GROUP",
		     .help = "group of the files (the mounting user's)"},
	[KEY_UMASK] = {.key = "umask",
		       .type = TYPE_OCTAL,
		       .offset = FIELD(umask),
		       .fallback = "0",
		       .max = 0777,
		       .argument = "MODE",
		       .help = "octal mode bits that the files lack"},
	[KEY_ALLOW_OTHER] = {.key = "allow_other",
			     .type = TYPE_FLAG,
			     .offset = FIELD(allow_other),
			     .help = "let every user in, as modes say"},
	[KEY_ALLOW_ROOT] = {.key = "allow_root",
			    .type = TYPE_FLAG,
			    .offset = FIELD(allow_root),
			    .help = "let root in"},
	[KEY_CONFIG] = {.key = "config",
			.argument = "FILE",
			.place = PLACE_OPTION,
			.help = "where SOURCE is looked up"},
};

const char *const config_log_levels[LOG_LEVEL_DEBUG + 1] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

const char *const config_log_targets[LOG_TARGET_SYSLOG + 1] = {
	[LOG_TARGET_STDERR] = "stderr",
	[LOG_TARGET_SYSLOG] = "syslog",
};

const char *const config_sizes_words[CONFIG_SIZES_EXACT + 1] = {
	[CONFIG_SIZES_LAZY] = "lazy",
	[CONFIG_SIZES_EXACT] = "exact",
};

enum config_key config_key_find(const char *name, size_t len)
{
	enum config_key key = 0;

	while (key < KEY_COUNT && (strncmp(config_settings[key].key, name, len) != 0 ||
				   config_settings[key].key[len] != '\0'))
		key++;
	return key;
}

bool config_key_is_of(enum config_key key, const char *provider)
{
	const char *owner = config_settings[key].provider;

	return !owner || (provider && strcmp(owner, provider) == 0);
}

/* Levenshtein's distance, row by row. Both lengths are at most NAME_BYTES_COMPARED. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[NAME_BYTES_COMPARED + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b_len];
}

static const char *key_nearest(const char *name, size_t len)
{
	const char *nearest = NULL;
	size_t nearest_distance;

	if (len > NAME_BYTES_COMPARED)
		return NULL;
	/* A third of the letters may be wrong: "tl" means ttl, "xyz" means nothing. */
	nearest_distance = len / 3 + 1;
	if (nearest_distance > 3)
		nearest_distance = 3;
	nearest_distance++;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const char *key = config_settings[i].key;
		size_t distance = edit_distance(name, len, key, strlen(key));

		if (distance < nearest_distance && distance < strlen(key) - 1) {
			nearest = key;
			nearest_distance = distance;
		}
	}
	return nearest;
}

/* A name is repeated only if it looks like one: where a key is expected, a secret may stand by a
 * slip ("client_secret dGVzdA==" without its '='). */
static bool looks_like_key(const char *name, size_t len)
{
	return len <= NAME_BYTES_COMPARED &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.") >= len;
}

int config_key_refuse(const char *where, const char *name, size_t len, struct buf *error)
{
	const char *nearest;

	if (!looks_like_key(name, len))
		return config_fail(error, -EINVAL, "%s: not the name of a setting", where);
	nearest = key_nearest(name, len);
	if (nearest)
		return config_fail(error, -EINVAL, "%s: unknown setting '%.*s'; did you mean %s?",
				   where, (int)len, name, nearest);
	return config_fail(error, -EINVAL, "%s: unknown setting '%.*s'; see ibinderfs --help",
			   where, (int)len, name);
}

/* Behind a blank a semicolon begins a comment. */
static int print_text(const char *key, const char *text, struct buf *out)
{
	return text ? buf_printf(out, "%s =%s%s\n", key, *text == ';' ? "" : " ", text) : 0;
}

static int print_seconds(const char *key, int64_t ms, struct buf *out)
{
	int digits = ms % 1000 == 0 ? 0 : ms % 100 == 0 ? 1 : ms % 10 == 0 ? 2 : 3;

	return buf_printf(out, "%s = %.*f\n", key, digits, (double)ms / 1000);
}

static int print_size(const char *key, size_t size, struct buf *out)
{
	static const char *const suffixes[] = {"", "K", "M", "G"};
	size_t i = 0;

	while (i < 3 && size != 0 && size % 1024 == 0) {
		size /= 1024;
		i++;
	}
	return buf_printf(out, "%s = %zu%s\n", key, size, suffixes[i]);
}

static int print_setting(const struct config *config, const struct config_setting *setting,
			 struct buf *out)
{
	const void *field = (const char *)config + setting->offset;
	const char *key = setting->key;

	switch (setting->type) {
	case TYPE_ELSEWHERE:
		return 0;
	case TYPE_TEXT:
	case TYPE_PROVIDER:
	case TYPE_PATH:
	case TYPE_URL:
	case TYPE_URL_BASE:
	case TYPE_ORIGIN:
	case TYPE_PROXY:
	case TYPE_SUBFOLDERS:
		return print_text(key, *(char *const *)field, out);
	case TYPE_SECONDS:
		return print_seconds(key, *(const int64_t *)field, out);
	case TYPE_COUNT:
		return buf_printf(out, "%s = %zu\n", key, *(const size_t *)field);
	case TYPE_SIZE:
		return print_size(key, *(const size_t *)field, out);
	case TYPE_LOG_LEVEL:
		return print_text(key, config_log_levels[*(const enum log_level *)field], out);
	case TYPE_LOG_TARGET:
		return print_text(key, config_log_targets[*(const enum log_target *)field], out);
	case TYPE_SIZES:
		return print_text(key, config_sizes_words[*(const enum config_sizes *)field], out);
	case TYPE_USER:
		return buf_printf(out, "%s = %u\n", key, *(const uid_t *)field);
	case TYPE_GROUP:
		return buf_printf(out, "%s = %u\n", key, *(const gid_t *)field);
	case TYPE_OCTAL:
		return buf_printf(out, "%s = %03o\n", key, *(const mode_t *)field);
	case TYPE_FLAG:
		return print_text(key, *(const bool *)field ? "on" : "off", out);
	}
	return -EINVAL;
}

/* A command may itself hold a password, so it is not shown either. */
static int print_secret_source(const struct config *config, struct buf *out)
{
	switch (config->secret_source) {
	case CONFIG_SECRET_NONE:
		return 0;
	case CONFIG_SECRET_ENVIRONMENT:
		return buf_printf(out, "; %s comes from the environment\n", config->secret_key);
	case CONFIG_SECRET_INLINE:
		return buf_printf(out, "; %s stands in the configuration file\n",
				  config->secret_key);
	case CONFIG_SECRET_FILE:
		return print_text(config->secret_key, config->secret_origin, out);
	case CONFIG_SECRET_COMMAND:
		return buf_printf(out, "; the secret comes from %s\n", config->secret_key);
	}
	return -EINVAL;
}

int config_print(const struct config *config, struct buf *out)
{
	int rc = 0;

	if (config->file)
		rc = buf_printf(out, "; from %s\n", config->file);
	if (rc == 0 && config->source)
		rc = buf_printf(out, "[%s]\n", config->source);
	for (enum config_key key = 0; rc == 0 && key < KEY_COUNT; key++) {
		const struct config_setting *setting = &config_settings[key];

		if (!config_key_is_of(key, config->provider))
			continue;
		rc = config->secret_key && strcmp(setting->key, config->secret_key) == 0
			     ? print_secret_source(config, out)
			     : print_setting(config, setting, out);
	}
	return rc;
}

static int usage_line(const struct config_setting *setting, struct buf *out)
{
	char left[USAGE_COLUMN + NAME_BYTES_COMPARED];
	const char *fallback = setting->fallback;
	bool breaks = fallback && strlen(setting->help) + strlen(fallback) > USAGE_WIDTH;
	int rc;

	snprintf(left, sizeof(left), "%s%s%s", setting->key, setting->argument ? "=" : "",
		 setting->argument ? setting->argument : "");
	rc = buf_printf(out, "  %-*s%s", USAGE_COLUMN - 2, left, setting->help);
	if (rc == 0 && breaks)
		rc = buf_printf(out, "\n%*s", USAGE_COLUMN, "");
	else if (rc == 0 && fallback)
		rc = buf_append_str(out, " ");
	if (rc == 0 && fallback)
		rc = buf_printf(out, "(%s)", fallback);
	return rc == 0 ? buf_append_str(out, "\n") : rc;
}

/* What of `place` one provider has, or (NULL) all have. */
static int usage_lines(const char *provider, bool in_file, struct buf *out)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < KEY_COUNT; i++) {
		const struct config_setting *setting = &config_settings[i];
		bool is_of = provider
				     ? setting->provider && strcmp(setting->provider, provider) == 0
				     : !setting->provider;

		if (is_of && (setting->place == PLACE_FILE) == in_file)
			rc = usage_line(setting, out);
	}
	return rc;
}

int config_usage(struct buf *out)
{
	static const char head[] =
		"Usage: ibinderfs [SOURCE] MOUNTPOINT [-f] [-o OPTION[,OPTION...]]\n"
		"       ibinderfs --check [SOURCE] [-o OPTION[,OPTION...]]\n"
		"       ibinderfs --demo MOUNTPOINT [-f] [-o OPTION[,OPTION...]]\n"
		"       ibinderfs --help | --version\n"
		"\n"
		"Mounts an iBinder organisation, or an Inbenta knowledge base, read-only:\n"
		"directories, documents, JSON files.\n"
		"SOURCE is a section of ~/.config/ibinderfs/config, else /etc/ibinderfs/config;\n"
		"without it the account comes from the environment.\n"
		"\n"
		"  -f                        stay in the foreground\n"
		"  -o OPTION[,OPTION...]     settings, below\n"
		"      --check               try configuration, secret, token and a first listing\n"
		"      --demo                mount a made-up organisation: no account, no network\n"
		"  -h, --help                this text\n"
		"  -V, --version             the version\n"
		"\n"
		"Settings for -o and, by the same names, the configuration file (with defaults):\n";
	static const char tail[] =
		"\nEnvironment: IBINDER_TENANT_ID (or IBINDER_ORG_ID), IBINDER_CLIENT_ID,\n"
		"IBINDER_CLIENT_SECRET, IBINDER_API_URL, IBINDER_AUTH_URL; INBENTA_API_KEY,\n"
		"INBENTA_SECRET, INBENTA_DOMAIN_KEY, INBENTA_DOMAIN, INBENTA_AUTH_URL.\n"
		"\nEnd a mount with: fusermount3 -u MOUNTPOINT\n";
	int rc = buf_append_str(out, head);

	if (rc == 0)
		rc = usage_lines(NULL, false, out);
	for (size_t i = 0; rc == 0 && config_providers[i]; i++) {
		rc = buf_printf(out, "\nWith provider=%s:\n", config_providers[i]);
		if (rc == 0)
			rc = usage_lines(config_providers[i], false, out);
		if (rc == 0)
			rc = buf_append_str(out, "  In the configuration file only:\n");
		if (rc == 0)
			rc = usage_lines(config_providers[i], true, out);
	}
	if (rc == 0)
		rc = buf_append_str(out, tail);
	return rc;
}
