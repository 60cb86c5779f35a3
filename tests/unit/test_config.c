/* test_config.c: command line, environment and file become the right settings, or one line that
 * says what is wrong and never what is secret. */
#include "config_fixture.h"

static void test_modes(void **state)
{
	struct outcome outcome;

	(void)state;
	assert_accepted(load("--help", NULL), "");
	assert_accepted(load("-V", NULL), "");
	assert_accepted(load("--check", "-h", NULL), "");
	set_account();
	outcome = load("-f", "/mnt//a/./b/", NULL);
	assert_int_equal(outcome.rc, 0);
	assert_int_equal(outcome.config->mode, CONFIG_MOUNT);
	assert_true(outcome.config->foreground);
	assert_string_equal(outcome.config->mountpoint, "/mnt/a/b");
	assert_null(outcome.config->source);
	assert_null(outcome.config->file);
	assert_int_equal(outcome.config->log_target, LOG_TARGET_STDERR);
	outcome_fini(&outcome);

	outcome = load("/", "-olog=stderr", NULL);
	assert_string_equal(outcome.config->mountpoint, "/");
	assert_int_equal(outcome.config->log_target, LOG_TARGET_STDERR);
	assert_false(outcome.config->foreground);
	outcome_fini(&outcome);
	assert_accepted(load("/mnt", NULL), "log = syslog\n");

	outcome = load("--check", NULL);
	assert_int_equal(outcome.config->mode, CONFIG_CHECK);
	assert_null(outcome.config->mountpoint);
	assert_int_equal(outcome.config->log_target, LOG_TARGET_STDERR);
	outcome_fini(&outcome);

	assert_refused(load(NULL), -EINVAL, "mount point is missing");
	assert_refused(load("a", "b", "c", NULL), -EINVAL, "too many");
	assert_refused(load("--check", "a", "b", NULL), -EINVAL, "too many");
	assert_refused(load("--demo", "a", "b", NULL), -EINVAL, "too many");
	assert_refused(load("--demo", NULL), -EINVAL, "mount point is missing");
	assert_refused(load("--demo", "--check", NULL), -EINVAL, "exclude");
	assert_refused(load("", NULL), -EINVAL, "mount point is empty");
	assert_refused(load("", "/mnt", NULL), -EINVAL, "SOURCE is empty");
	assert_refused(load("/mnt", "-x", NULL), -EINVAL, "unknown option -x");
	assert_refused(load("/mnt", "-fx", "-f", NULL), -EINVAL, "unknown option -x");
	assert_refused(load("/mnt", "-o", NULL), -EINVAL, "-o needs a value");
	assert_refused(load("/mnt", "--check=" SECRET, NULL), -EINVAL, "--check takes no value");
	assert_refused(load("/mnt", "--client_secret=" SECRET, NULL), -EINVAL,
		       "unknown option --client_secret;");
	assert_refused(load("/mnt", "--secret", SECRET, NULL), -EINVAL, "unknown option --secret;");
}

static void test_relative_mountpoint(void **state)
{
	char here[PATH_MAX];
	char expected[PATH_MAX + 8];
	struct outcome outcome;

	(void)state;
	set_account();
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(expected, sizeof(expected), "%s/m/../n", strcmp(here, "/") == 0 ? "" : here);
	outcome = load("./m/..//n/.", NULL);
	assert_string_equal(outcome.config->mountpoint, expected);
	outcome_fini(&outcome);
	outcome = load(".", NULL);
	assert_string_equal(outcome.config->mountpoint, here);
	outcome_fini(&outcome);
}

static const struct {
	const char *options;
	const char *line; /* expected in config_print */
} accepted[] = {
	{"ttl=0", "ttl = 0\n"},
	{"ttl=0.5", "ttl = 0.5\n"},
	{"ttl=.25", "ttl = 0.25\n"},
	{"ttl=1.0019", "ttl = 1.001\n"},
	{"ttl=31622400", "ttl = 31622400\n"},
	{"ttl=1,ttl=2", "ttl = 2\n"},
	{"stale=0", "stale = 0\n"},
	{"timeout=0.001", "timeout = 0.001\n"},
	{"timeout=3600", "timeout = 3600\n"},
	{"connections=1", "connections = 1\n"},
	{"connections=256", "connections = 256\n"},
	{"page_size=1", "page_size = 1\n"},
	{"page_size=1000", "page_size = 1000\n"},
	{"memory=1M", "memory = 1M\n"},
	{"memory=1048577", "memory = 1048577\n"},
	{"memory=2048k", "memory = 2M\n"},
	{"memory=3g", "memory = 3G\n"},
	{"", "content = on\nsizes = lazy\n"},
	{"content=off", "content = off\n"},
	{"content=off,content=on", "content = on\n"},
	{"sizes=exact", "sizes = exact\n"},
	{"sizes=exact,sizes=lazy", "sizes = lazy\n"},
	{"api_url=https://x.example/api///", "api_url = https://x.example/api\n"},
	{"api_url=https://x.example", "api_url = https://x.example\n"},
	{"api_url=http://127.0.0.1:8080/api", "api_url = http://127.0.0.1:8080/api\n"},
	{"api_url=http://127.3.2.1/", "api_url = http://127.3.2.1\n"},
	{"api_url=http://[::1]:1/", "api_url = http://[::1]:1\n"},
	{"api_url=http://LocalHost:1/", "api_url = http://LocalHost:1\n"},
	{"auth_url=https://x.example/token/", "auth_url = https://x.example/token/\n"},
	{"subfolders_path=", "subfolders_path = \n"},
	{"subfolders_path=/a/{folder}/{binder}", "subfolders_path = /a/{folder}/{binder}\n"},
	{"subfolders_path=/a\\,b/{folder}/{binder}", "subfolders_path = /a,b/{folder}/{binder}\n"},
	{"ca_file=/dev/null", "ca_file = /dev/null\n"},
	{"proxy=", "proxy = \n"},
	{"proxy=proxy.example:3128", "proxy = proxy.example:3128\n"},
	{"proxy=http://proxy.example:3128", "proxy = http://proxy.example:3128\n"},
	{"proxy=socks5h://proxy.example", "proxy = socks5h://proxy.example\n"},
	{"log_level=error", "log_level = error\n"},
	{"log_level=warning", "log_level = warning\n"},
	{"log_level=debug", "log_level = debug\n"},
	{"log=stderr", "log = stderr\n"},
	{"log=syslog", "log = syslog\n"},
	{"uid=0", "uid = 0\n"},
	{"uid=root,gid=root", "uid = 0\ngid = 0\n"},
	{"uid=4294967294", "uid = 4294967294\n"},
	{"gid=12345", "gid = 12345\n"},
	{"umask=027", "umask = 027\n"},
	{"umask=777", "umask = 777\n"},
	{"allow_other", "allow_other = on\n"},
	{"allow_other=off,allow_root", "allow_root = on\n"},
	{"tenant_id=a\\,b\\c", "tenant_id = a,b\\c\n"},
	{"provider=ibinder", "provider = ibinder\n"},
	{",,ttl=3,", "ttl = 3\n"},
	{"", "ttl = 60\n"},
	{"_netdev,nofail,noauto,auto,defaults,user,users,nouser,owner,group,ro,rw,nosuid,nodev,"
	 "noexec,suid,dev,exec,relatime,noatime,nodiratime,sync,async,x-systemd.automount,"
	 "x-systemd.idle-timeout=60,comment=anything",
	 "ttl = 60\n"},
};

static void test_accepted_values(void **state)
{
	(void)state;
	set_account();
	for (size_t i = 0; i < COUNT(accepted); i++)
		assert_accepted(load("/mnt", "-o", accepted[i].options, NULL), accepted[i].line);
}

static const struct {
	const char *options;
	const char *part; /* expected in the message */
} refused[] = {
	{"ttl=-1", "-o ttl: '-1' is no number of seconds"},
	{"ttl=1e3", "-o ttl: '1e3' is no number"},
	{"ttl= 1", "is no number"},
	{"ttl=.", "is no number"},
	{"ttl=1.2.3", "is no number"},
	{"ttl=inf", "is no number"},
	{"ttl=31622401", "out of range"},
	{"ttl=99999999999999999999999999", "out of range"},
	{"ttl=", "-o ttl: is empty"},
	{"ttl", "-o ttl: needs a value: ttl=SECONDS"},
	{"timeout=0", "more than 0"},
	{"timeout=0.0009", "more than 0"},
	{"timeout=3600.001", "at most 3600"},
	{"connections=0", "from 1 to 256"},
	{"connections=257", "from 1 to 256"},
	{"connections=1.5", "from 1 to 256"},
	{"page_size=0", "from 1 to 1000"},
	{"page_size=1001", "from 1 to 1000"},
	{"memory=1023K", "no size from 1M"},
	{"memory=K", "no size"},
	{"memory=1T", "no size"},
	{"memory=99999999999G", "no size"},
	{"memory=1025G", "no size"},
	{"api_url=x.example/api", "is not a URL"},
	{"api_url=ftp://x.example/", "must begin with https://"},
	{"api_url=file:///etc/passwd", "must begin with https://"},
	{"api_url=http://x.example/", "plain http"},
	{"auth_url=http://x.example/", "plain http"},
	{"auth_url=http://128.0.0.1/", "plain http"},
	{"auth_url=http://127.0.0.1.example/", "plain http"},
	{"auth_url=http://localhost.example/", "plain http"},
	{"auth_url=http://[::2]/", "plain http"},
	{"auth_url=https://user:" SECRET "@x.example/", "user name or password"},
	{"auth_url=https://" SECRET "@x.example/", "user name or password"},
	{"auth_url=https://@x.example/", "user name or password"},
	{"api_url=https://x.example/?q", "query or fragment"},
	{"api_url=https://x.example/?", "query or fragment"},
	{"api_url=https://x.example/#f", "query or fragment"},
	{"api_url=https://x.example/#", "query or fragment"},
	{"api_url=https://x.example/a b", "is not a URL"},
	{"subfolders_path=/a/{folder}", "{binder} and {folder}"},
	{"subfolders_path=a/{folder}/{binder}", "{binder} and {folder}"},
	{"ca_file=/nonexistent", "-o ca_file: cannot read /nonexistent: No such file"},
	{"proxy=ftp://proxy.example", "is not a proxy"},
	{"proxy=http://user:" SECRET "@proxy.example:3128", "must not hold a user name"},
	{"proxy=user:" SECRET "@proxy.example:3128", "must not hold a user name"},
	{"log_level=loud", "none of error, warning, info, debug"},
	{"log=file", "neither stderr nor syslog"},
	{"uid=no such user", "-o uid: 'no such user' is no user's name"},
	{"uid=4294967295", "is no user"},
	{"uid=-1", "is no user"},
	{"gid=no such group", "is no group"},
	{"umask=1000", "no octal mode"},
	{"umask=8", "no octal mode"},
	{"allow_other=maybe", "neither on nor off"},
	{"allow_other,allow_root", "exclude each other"},
	{"provider=acme", "'acme' is not known; known: ibinder, inbenta"},
	{"provider=inbenta,domain=https://h.example/a", "must end with the host"},
	{"provider=inbenta,domain=https:/h.example/a", "must end with the host"},
	{"tenant_id=a\nb", "-o tenant_id: holds a control character"},
	{"tll=3", "unknown setting 'tll'; did you mean ttl?"},
	{"pagesize=3", "did you mean page_size?"},
	{"alow_other", "did you mean allow_other?"},
	{"contents=on", "did you mean content?"},
	{"content=maybe", "neither on nor off"},
	{"content=", "-o content: is empty"},
	{"sizes=", "-o sizes: is empty"},
	{"sizes=true", "-o sizes: 'true' is neither lazy nor exact"},
	{"sizes=Exact", "neither lazy nor exact"},
	{"sizes", "-o sizes: needs a value: sizes=lazy|exact"},
	{"xyzzy=" SECRET, "unknown setting 'xyzzy'; see"},
	{"TTL=3", "unknown setting 'TTL'; see"},
	{"no such thing", "not the name of a setting"},
	{"client_secret=" SECRET ",ttl=3", "-o client_secret: every user can read"},
	{"client_secret", "-o client_secret: every user can read"},
	{"client_secret_command=echo " SECRET, "only the configuration file takes it"},
	{"client_secret_file=", "-o client_secret_file: is empty"},
	{"config=/nonexistent", "without SOURCE"},
};

static void test_refused_values(void **state)
{
	char *long_option = malloc(20000);

	(void)state;
	set_account();
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct outcome outcome = load("/mnt", "-o", refused[i].options, NULL);

		assert_says(&outcome, refused[i].part);
		assert_true(outcome.rc == -EINVAL || outcome.rc == -ENOENT);
		outcome_fini(&outcome);
	}
	assert_non_null(long_option);
	memset(long_option, 'a', 19999);
	long_option[19999] = '\0';
	assert_refused(load("/mnt", "-o", long_option, NULL), -EINVAL, "too long");
	free(long_option);
}

/* Whatever -o refuses the file refuses too, and says the line. */
static void test_file_refuses_the_same(void **state)
{
	char line[512];

	(void)state;
	set_account();
	for (size_t i = 0; i < COUNT(refused); i++) {
		/* What only the command line can say, or only the file. */
		if (strpbrk(refused[i].options, ",\n") || !strchr(refused[i].options, '=') ||
		    strstr(refused[i].options, "client_secret") ||
		    strstr(refused[i].options, "= ") || strstr(refused[i].options, "config="))
			continue;
		snprintf(line, sizeof(line), "\n%s", refused[i].options);
		write_section(0644, line);
		struct outcome outcome = load("acme", "/mnt", NULL);

		assert_true(outcome.rc == -EINVAL || outcome.rc == -ENOENT);
		assert_says(&outcome, file_path("ibinderfs/config:5: "));
		outcome_fini(&outcome);
	}
}

static void test_precedence(void **state)
{
	struct outcome outcome;

	(void)state;
	write_config(0600, "[other]\nunknown = 1\n"
			   "[acme]\n tenant_id = file\n client_id: file\n ttl = 5 ; five\n"
			   "api_url = https://file.example/\nclient_secret = " SECRET "\n");
	outcome = load("acme", "/mnt", NULL);
	assert_says(&outcome, "tenant_id = file\nclient_id = file\n; client_secret stands in the "
			      "configuration file\napi_url = https://file.example\n");
	assert_says(&outcome, "\nttl = 5\n");
	assert_says(&outcome, "[acme]\n");
	assert_string_equal(outcome.config->source, "acme");
	assert_string_equal(outcome.config->file, file_path("ibinderfs/config"));
	outcome_fini(&outcome);

	setenv("IBINDER_ORG_ID", "organisation", 1);
	setenv("IBINDER_API_URL", "https://environment.example", 1);
	setenv("IBINDER_CLIENT_ID", "", 1); /* as if unset */
	assert_accepted(load("acme", "/mnt", NULL), "tenant_id = organisation\nclient_id = file\n");
	setenv("IBINDER_TENANT_ID", "environment", 1);
	setenv("IBINDER_CLIENT_SECRET", SECRET, 1);
	assert_accepted(load("acme", "/mnt", NULL),
			"tenant_id = environment\nclient_id = file\n; client_secret comes from the "
			"environment\napi_url = https://environment.example\n");
	assert_accepted(load("acme", "/mnt", "-o", "api_url=https://option.example", NULL),
			"\napi_url = https://option.example\n");
	assert_accepted(load("acme", "/mnt", "-oclient_secret_file=/s,ttl=7", NULL),
			"\nclient_secret_file = /s\n");
	setenv("IBINDER_AUTH_URL", "http://environment.example", 1);
	assert_refused(load("acme", "/mnt", NULL), -EINVAL,
		       "environment variable IBINDER_AUTH_URL: plain http");
}

static void test_missing_account(void **state)
{
	(void)state;
	assert_refused(load("/mnt", NULL), -EINVAL, "tenant_id (IBINDER_TENANT_ID) is not set");
	setenv("IBINDER_TENANT_ID", "t", 1);
	assert_refused(load("/mnt", NULL), -EINVAL, "client_id (IBINDER_CLIENT_ID) is not set");
	write_config(0644, "[acme]\n");
	assert_refused(load("acme", "/mnt", NULL), -EINVAL, "put it into section [acme] of");
	setenv("IBINDER_CLIENT_ID", "c", 1);
	assert_refused(load("--check", NULL), -EINVAL,
		       "client_secret_file (IBINDER_CLIENT_SECRET)");
	setenv("IBINDER_CLIENT_SECRET", "s", 1);
	/* An empty section is one. */
	assert_accepted(load("acme", "/mnt", NULL), "[acme]\n");
}

static void test_demo(void **state)
{
	struct outcome outcome;

	(void)state;
	set_account();
	setenv("IBINDER_API_URL", "nonsense", 1);
	outcome = load("--demo", "/mnt", "-o", "ttl=0", NULL);
	assert_int_equal(outcome.rc, 0);
	assert_int_equal(outcome.config->mode, CONFIG_DEMO);
	assert_int_equal(outcome.config->ttl_ms, 0);
	assert_string_equal(outcome.config->provider, "ibinder");
	assert_null(outcome.config->tenant_id);
	assert_null(outcome.config->client_id);
	assert_null(outcome.config->api_url);
	assert_null(outcome.config->auth_url);
	assert_null(outcome.config->file);
	assert_int_equal(outcome.config->secret_source, CONFIG_SECRET_NONE);
	outcome_fini(&outcome);
	assert_refused(load("--demo", "/mnt", "-o", "client_id=x", NULL), -EINVAL,
		       "-o client_id: --demo brings its own");
}

static void test_which_file(void **state)
{
	char option[PATH_MAX + 8];

	(void)state;
	set_account();
	write_file("elsewhere", 0644, "[acme]\nttl = 9\n", 15);
	write_config(0644, "[acme]\nttl = 8\n[two]\n\n[three]\nttl = 1\n");
	assert_accepted(load("acme", "/mnt", NULL), "\nttl = 8\n");
	snprintf(option, sizeof(option), "config=%s", file_path("elsewhere"));
	assert_accepted(load("acme", "/mnt", "-o", option, NULL), "\nttl = 9\n");
	assert_refused(load("two", "/mnt", "-o", option, NULL), -EINVAL,
		       "there is no section [two]; it has acme");
	snprintf(option, sizeof(option), "config=%s", directory);
	assert_refused(load("two", "/mnt", "-o", option, NULL), -ENODEV, "not a regular file");
	assert_refused(load("four", "/mnt", NULL), -EINVAL,
		       "there is no section [four]; it has acme, two, three");
	assert_refused(load("acme", "/mnt", "-o", "config=/nonexistent", NULL), -ENOENT,
		       "no configuration file for [acme]: there is no /nonexistent");
	/* The real /etc/ibinderfs/config may exist where this runs. */
	if (access(CONFIG_SYSTEM_FILE, F_OK) < 0) {
		setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
		assert_refused(load("acme", "/mnt", NULL), -ENOENT,
			       "no /nonexistent/ibinderfs/config and no " CONFIG_SYSTEM_FILE);
		setenv("XDG_CONFIG_HOME", "relative", 1); /* counts for nothing */
		assert_refused(load("acme", "/mnt", NULL), -ENOENT,
			       "there is no " CONFIG_SYSTEM_FILE);
		setenv("HOME", "/nonexistent", 1);
		assert_refused(load("acme", "/mnt", NULL), -ENOENT,
			       "no /nonexistent/.config/ibinderfs/config and no ");
	}
}

static void test_file_syntax(void **state)
{
	static const struct {
		const char *text;
		const char *part; /* NULL: accepted */
	} cases[] = {
		{"\xEF\xBB\xBF; comment\r\n# comment\r\n\t[acme]\r\n  ttl = 1\r\n   stale = 2\r\n",
		 NULL},
		{"[acme]\nttl=1", NULL},
		{"[acme]\nttl=1\nttl=2\n", "config:3: ttl is set already in line 2"},
		{"[acme]\nconfig=x\n", "config:2: config can only be set with -o"},
		{"ttl=1\n[acme]\n", "config:1: a setting stands before the first [section]"},
		{"[acme]\n" SECRET "\n", "config:2: neither [section] nor key = value"},
		{"[acme]\nclient_secret " SECRET "==\n", "config:2: not the name of a setting"},
		{"[acme]\ntll = " SECRET "\n", "config:2: unknown setting 'tll'; did you mean ttl"},
		{"[acme\n", "config:1: neither [section]"},
		{"[acme]\n[12345678901234567890123456789012345678901234567890]\n",
		 "config:2: a section's name has at most 49 bytes"},
	};
	char text[1024] = "[acme]\nca_file = ";

	(void)state;
	set_account();
	for (size_t i = 0; i < COUNT(cases); i++) {
		write_config(0600, cases[i].text);
		if (cases[i].part)
			assert_refused(load("acme", "/mnt", NULL), -EINVAL, cases[i].part);
		else
			assert_accepted(load("acme", "/mnt", NULL), "\nttl = 1\n");
	}
	memset(text + strlen(text), 'a', 500);
	write_config(0600, text);
	assert_refused(load("acme", "/mnt", NULL), -EINVAL, "config:2: a line has at most");
	write_file("ibinderfs/config", 0600, "[acme]\nttl = 1\0\n", 16);
	assert_refused(load("acme", "/mnt", NULL), -EINVAL, "config:2: holds a NUL byte");
	{
		char *large = calloc(1, CONFIG_FILE_BYTES_MAX + 1);

		assert_non_null(large);
		write_file("ibinderfs/config", 0600, large, CONFIG_FILE_BYTES_MAX + 1);
		free(large);
		assert_refused(load("acme", "/mnt", NULL), -EFBIG, "too large");
	}
}

/* Document bytes have a fixed share of memory=, and none where there are no files/. The process is
 * within memory= where that leaves enough. */
static void test_shares_of_memory(void **state)
{
	static const struct {
		const char *options;
		size_t contents;
		size_t listings;
	} shares[] = {
		{"memory=66M", 13 << 20, 39 << 20}, {"memory=1048577", 262144, 786433},
		{"memory=16M", 4 << 20, 12 << 20},  {"memory=30M", 4 << 20, 12 << 20},
		{"memory=34M", 5 << 20, 15 << 20},  {"memory=66M,content=off", 0, 52 << 20},
	};

	(void)state;
	set_account();
	for (size_t i = 0; i < COUNT(shares); i++) {
		struct outcome outcome = load("/mnt", "-o", shares[i].options, NULL);

		assert_int_equal(outcome.rc, 0);
		assert_int_equal(config_memory_contents(outcome.config, true), shares[i].contents);
		assert_int_equal(config_memory_listings(outcome.config, true), shares[i].listings);
		/* What a provider does not have needs no room. */
		assert_int_equal(config_memory_listings(outcome.config, false),
				 shares[i].contents + shares[i].listings);
		outcome_fini(&outcome);
	}
}

static void test_usage_names_everything(void **state)
{
	struct buf usage = BUF_INIT(16384);

	(void)state;
	assert_int_equal(config_usage(&usage), 0);
	for (size_t i = 0; i < KEY_COUNT; i++) {
		char line[64];

		snprintf(line, sizeof(line), "\n  %s%s", config_settings[i].key,
			 config_settings[i].argument ? "=" : " ");
		assert_non_null(strstr(buf_str(&usage), line));
	}
	for (const char *line = buf_str(&usage); *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 84);
	buf_reset(&usage);
}

/* What config_print says can be read again and says the same. */
static void test_print_round_trip(void **state)
{
	static const char *const options[] = {
		"ttl=0.125,memory=1536K,umask=077,log=stderr,allow_root,uid=7,subfolders_path=,"
		"proxy=socks5://p.example,content=off,sizes=exact",
		"client_id=;C", /* behind a blank it would be a comment */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(options); i++) {
		struct outcome first, second;

		write_section(0644, "client_secret_file=/x y");
		first = load("acme", "/mnt", "-o", options[i], NULL);
		assert_int_equal(first.rc, 0);
		write_config(0600, buf_str(&first.text));
		second = load("acme", "/mnt", NULL);
		assert_int_equal(second.rc, 0);
		assert_string_equal(buf_str(&first.text), buf_str(&second.text));
		outcome_fini(&first);
		outcome_fini(&second);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_relative_mountpoint),
		TEST(test_accepted_values),
		TEST(test_refused_values),
		TEST(test_file_refuses_the_same),
		TEST(test_precedence),
		TEST(test_missing_account),
		TEST(test_demo),
		TEST(test_which_file),
		TEST(test_file_syntax),
		TEST(test_shares_of_memory),
		TEST(test_usage_names_everything),
		TEST(test_print_round_trip),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
