/* config_value.c: reads the values of settings.
 *
 * Owns nothing. A value that cannot be taken is -EINVAL with the reason appended; the field keeps
 * what it held. */
#include "config_internal.h"
#include "url.h"

#include "cleanup.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* How a message repeats a wrong value, and no more of it. */
#define QUOTE "'%.60s'"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "60", "0.5", ".5" to milliseconds; what is finer is dropped. Not strtod: it reads as the locale
 * says and takes "inf" and "0x1p3". */
static int parse_seconds(const char *text, int64_t *ret_ms)
{
	int64_t ms = 0;
	int64_t unit = 1000;
	bool fraction = false;
	bool digits = false;

	for (; *text; text++) {
		if (*text == '.' && !fraction) {
			fraction = true;
			continue;
		}
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		digits = true;
		if (fraction) {
			unit /= 10;
			ms += (*text - '0') * unit;
		} else {
			if (ms > INT64_MAX / 10 - 9000)
				return -ERANGE;
			ms = ms * 10 + (*text - '0') * unit;
		}
	}
	if (!digits)
		return -EINVAL;
	*ret_ms = ms;
	return 0;
}

/* Digits in base 8 or 10 and nothing else, unlike strtoll. */
static int parse_digits(const char *text, size_t len, int base, int64_t *ret_value)
{
	int64_t value = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int digit = text[i] - '0';

		if (digit < 0 || digit >= base)
			return -EINVAL;
		if (value > (INT64_MAX - digit) / base)
			return -ERANGE;
		value = value * base + digit;
	}
	*ret_value = value;
	return 0;
}

static int parse_size(const char *text, int64_t *ret_bytes)
{
	static const char suffixes[] = "KMG";
	size_t len = strlen(text);
	const char *suffix =
		len > 0 ? strchr(suffixes, toupper((unsigned char)text[len - 1])) : NULL;
	unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
	int64_t value;
	int rc = parse_digits(text, len - (suffix != NULL), 10, &value);

	if (rc < 0)
		return rc;
	if (value > INT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}

static int parse_choice(const char *text, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

static int store_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static void cleanup_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void cleanup_curl_text(char **text)
{
	curl_free(*text);
}

/* Takes a part of a URL, for the caller to curl_free. Also an empty part ("https://@host/",
 * "https://host/?") is one; without the part `*ret_text` is NULL. Returns 0 or -ENOMEM. */
static int url_part(CURLU *url, CURLUPart part, char **ret_text)
{
	return curl_url_get(url, part, ret_text, 0) == CURLUE_OUT_OF_MEMORY ? -ENOMEM : 0;
}

/* Refuses a URL that has either part. */
static int refuse_parts(CURLU *url, CURLUPart one, CURLUPart other, const char *problem,
			struct buf *why)
{
	char *first CLEANUP(cleanup_curl_text) = NULL;
	char *second CLEANUP(cleanup_curl_text) = NULL;

	if (url_part(url, one, &first) || url_part(url, other, &second))
		return -ENOMEM;
	return first || second ? config_fail(why, -EINVAL, "%s", problem) : 0;
}

/* No message repeats the URL: it might hold a password. */
static int check_url(CURLU *url, struct buf *why)
{
	char *scheme CLEANUP(cleanup_curl_text) = NULL;
	char *host CLEANUP(cleanup_curl_text) = NULL;
	int rc;

	if (url_part(url, CURLUPART_SCHEME, &scheme) || url_part(url, CURLUPART_HOST, &host))
		return -ENOMEM;
	if (!scheme || (strcasecmp(scheme, "https") != 0 && strcasecmp(scheme, "http") != 0))
		return config_fail(why, -EINVAL, "must begin with https://");
	if (!host)
		return config_fail(why, -EINVAL, "names no host");
	if (strcasecmp(scheme, "http") == 0 && !url_host_is_loopback(host))
		return config_fail(why, -EINVAL,
				   "plain http is for this computer only (127.0.0.0/8, [::1], "
				   "localhost): use https://");
	rc = refuse_parts(url, CURLUPART_USER, CURLUPART_PASSWORD,
			  "must not hold a user name or password", why);
	if (rc < 0)
		return rc;
	return refuse_parts(url, CURLUPART_QUERY, CURLUPART_FRAGMENT,
			    "must not hold a query or fragment", why);
}

static int set_url(char **field, const char *text, bool is_base, struct buf *why)
{
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *canonical CLEANUP(cleanup_curl_text) = NULL;
	CURLUcode code;
	size_t len;
	int rc;

	if (!url)
		return -ENOMEM;
	code = curl_url_set(url, CURLUPART_URL, text, 0);
	if (code == CURLUE_OUT_OF_MEMORY)
		return -ENOMEM;
	if (code != CURLUE_OK)
		return config_fail(why, -EINVAL, "is not a URL such as https://host/path (%s)",
				   curl_url_strerror(code));
	/* libcurl drops an empty fragment when it parses. */
	if (strchr(text, '#'))
		return config_fail(why, -EINVAL, "must not hold a query or fragment");
	rc = check_url(url, why);
	if (rc < 0)
		return rc;
	if (curl_url_get(url, CURLUPART_URL, &canonical, 0) != CURLUE_OK)
		return -ENOMEM;
	len = strlen(canonical);
	while (is_base && len > 0 && canonical[len - 1] == '/')
		canonical[--len] = '\0';
	return store_text(field, canonical);
}

/* As browsers name it (RFC 6454, 6.1): without a slash at the end. */
static int set_origin(char **field, const char *text, struct buf *why)
{
	int rc = set_url(field, text, true, why);

	/* libcurl has written "://" even if there was less. */
	if (rc == 0 && strchr(strstr(*field, "://") + strlen("://"), '/'))
		return config_fail(why, -EINVAL, "must end with the host, such as https://host");
	return rc;
}

static int set_proxy(char **field, const char *text, struct buf *why)
{
	static const char *const schemes[] = {"http",	 "https",  "socks4",
					      "socks4a", "socks5", "socks5h"};
	CURLU *url CLEANUP(cleanup_url) = curl_url();
	char *scheme CLEANUP(cleanup_curl_text) = NULL;
	CURLUcode code;
	int rc;

	if (!url)
		return -ENOMEM;
	if (*text == '\0')
		return store_text(field, text);
	/* A bare host:port is an http proxy to libcurl. */
	code = curl_url_set(url, CURLUPART_URL, text,
			    CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME |
				    (strstr(text, "://") ? 0 : CURLU_GUESS_SCHEME));
	if (code == CURLUE_OUT_OF_MEMORY || url_part(url, CURLUPART_SCHEME, &scheme))
		return -ENOMEM;
	if (code != CURLUE_OK || !scheme || parse_choice(scheme, schemes, COUNT(schemes)) < 0)
		return config_fail(why, -EINVAL,
				   "is not a proxy such as http://host:3128 or socks5h://host");
	rc = refuse_parts(url, CURLUPART_USER, CURLUPART_PASSWORD,
			  "must not hold a user name or password: leave proxy= out and put them "
			  "into the environment variable https_proxy",
			  why);
	return rc < 0 ? rc : store_text(field, text);
}

static int set_subfolders(char **field, const char *text, struct buf *why)
{
	if (*text != '\0' && (*text != '/' || !strstr(text, "{binder}") ||
			      !strstr(text, "{folder}") || strpbrk(text, " #")))
		return config_fail(why, -EINVAL,
				   "must be empty, or begin with '/' and hold {binder} and "
				   "{folder}");
	return store_text(field, text);
}

static int set_path(struct config *config, char **field, const char *text, struct buf *why)
{
	char *path CLEANUP_FREE = NULL;
	int rc = config_file_resolve(text, config->file, &path);

	if (rc < 0)
		return rc;
	if (access(path, R_OK) < 0)
		return config_fail(why, -errno, "cannot read %s: %s", path, strerror(errno));
	return store_text(field, path);
}

static int parse_user(const char *text, uid_t *ret_uid)
{
	const struct passwd *entry;
	int64_t number;

	if (parse_digits(text, strlen(text), 10, &number) == 0) {
		if (number >= (uid_t)-1) /* -1 means "leave alone" to chown */
			return -ERANGE;
		*ret_uid = (uid_t)number;
		return 0;
	}
	entry = getpwnam(text);
	if (!entry)
		return -EINVAL;
	*ret_uid = entry->pw_uid;
	return 0;
}

static int parse_group(const char *text, gid_t *ret_gid)
{
	const struct group *entry;
	int64_t number;

	if (parse_digits(text, strlen(text), 10, &number) == 0) {
		if (number >= (gid_t)-1)
			return -ERANGE;
		*ret_gid = (gid_t)number;
		return 0;
	}
	entry = getgrnam(text);
	if (!entry)
		return -EINVAL;
	*ret_gid = entry->gr_gid;
	return 0;
}

static int set_number(const struct config_setting *setting, void *field, const char *text,
		      struct buf *why)
{
	int64_t value = 0;
	int rc;

	switch (setting->type) {
	case TYPE_SECONDS:
		rc = parse_seconds(text, &value);
		if (rc == -EINVAL)
			return config_fail(
				why, rc, QUOTE " is no number of seconds, such as 60 or 0.5", text);
		if (rc < 0 || value < setting->min || value > setting->max)
			return config_fail(why, -EINVAL,
					   QUOTE " is out of range: %s and at most %" PRId64
						 " seconds",
					   text, setting->min > 0 ? "more than 0" : "0 or more",
					   setting->max / 1000);
		*(int64_t *)field = value;
		return 0;
	case TYPE_COUNT:
		rc = parse_digits(text, strlen(text), 10, &value);
		if (rc < 0 || value < setting->min || value > setting->max)
			return config_fail(why, -EINVAL,
					   QUOTE " is no whole number from %" PRId64 " to %" PRId64,
					   text, setting->min, setting->max);
		*(size_t *)field = (size_t)value;
		return 0;
	case TYPE_SIZE:
		rc = parse_size(text, &value);
		if (rc < 0 || value < setting->min || value > setting->max)
			return config_fail(why, -EINVAL,
					   QUOTE " is no size from %" PRId64 "M to %" PRId64
						 "G, such as 256M",
					   text, setting->min >> 20, setting->max >> 30);
		*(size_t *)field = (size_t)value;
		return 0;
	default: /* TYPE_OCTAL */
		rc = parse_digits(text, strlen(text), 8, &value);
		if (rc < 0 || value > setting->max)
			return config_fail(why, -EINVAL, QUOTE " is no octal mode such as 027",
					   text);
		*(mode_t *)field = (mode_t)value;
		return 0;
	}
}

static int set_choice(const struct config_setting *setting, void *field, const char *text,
		      struct buf *why)
{
	static const char *const flags[] = {"off", "on"};
	int choice;

	switch (setting->type) {
	case TYPE_LOG_LEVEL:
		choice = parse_choice(text, config_log_levels, COUNT(config_log_levels));
		if (choice < 0)
			return config_fail(why, -EINVAL,
					   QUOTE " is none of error, warning, info, debug", text);
		*(enum log_level *)field = (enum log_level)choice;
		return 0;
	case TYPE_LOG_TARGET:
		choice = parse_choice(text, config_log_targets, COUNT(config_log_targets));
		if (choice < 0)
			return config_fail(why, -EINVAL, QUOTE " is neither stderr nor syslog",
					   text);
		*(enum log_target *)field = (enum log_target)choice;
		return 0;
	case TYPE_SIZES:
		choice = parse_choice(text, config_sizes_words, COUNT(config_sizes_words));
		if (choice < 0)
			return config_fail(why, -EINVAL, QUOTE " is neither lazy nor exact", text);
		*(enum config_sizes *)field = (enum config_sizes)choice;
		return 0;
	case TYPE_FLAG:
		choice = parse_choice(text, flags, COUNT(flags));
		if (choice < 0)
			return config_fail(why, -EINVAL, QUOTE " is neither on nor off", text);
		*(bool *)field = choice == 1;
		return 0;
	default: /* TYPE_PROVIDER */
		for (const char *const *name = config_providers; *name; name++) {
			if (strcmp(*name, text) == 0)
				return store_text(field, text);
		}
		return config_fail(why, -EINVAL, QUOTE " is not known; known: ibinder, inbenta",
				   text);
	}
}

int config_value_set(struct config *config, const struct config_setting *setting, const char *text,
		     struct buf *why)
{
	void *field = (char *)config + setting->offset;

	if (*text == '\0' && !setting->may_be_empty)
		return config_fail(why, -EINVAL, "is empty");
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7F)
			return config_fail(why, -EINVAL, "holds a control character");

	switch (setting->type) {
	case TYPE_ELSEWHERE:
		return 0;
	case TYPE_TEXT:
		return store_text(field, text);
	case TYPE_PATH:
		return set_path(config, field, text, why);
	case TYPE_URL:
		return set_url(field, text, false, why);
	case TYPE_URL_BASE:
		return set_url(field, text, true, why);
	case TYPE_ORIGIN:
		return set_origin(field, text, why);
	case TYPE_PROXY:
		return set_proxy(field, text, why);
	case TYPE_SUBFOLDERS:
		return set_subfolders(field, text, why);
	case TYPE_USER:
		if (parse_user(text, field) < 0)
			return config_fail(why, -EINVAL, QUOTE " is no user's name or number",
					   text);
		return 0;
	case TYPE_GROUP:
		if (parse_group(text, field) < 0)
			return config_fail(why, -EINVAL, QUOTE " is no group's name or number",
					   text);
		return 0;
	case TYPE_SECONDS:
	case TYPE_COUNT:
	case TYPE_SIZE:
	case TYPE_OCTAL:
		return set_number(setting, field, text, why);
	case TYPE_PROVIDER:
	case TYPE_LOG_LEVEL:
	case TYPE_LOG_TARGET:
	case TYPE_SIZES:
	case TYPE_FLAG:
		return set_choice(setting, field, text, why);
	}
	return -EINVAL;
}
