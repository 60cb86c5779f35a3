/* fuzz_provider.c: a provider's answers, step by step, to a finished listing. Built once for each
 * provider, PROVIDER being its name.
 *
 * Input, in lines:
 *
 *   1  the level (T P O Q L: see provider_level; K: the token), then options, see below
 *   2  the id, or the query
 *   3  of a part its object, of a link its version
 *   …  an answer each: status, blank, body. What is not answered is a 404
 *   =  ends a conversation. The next is about the same resource, some time later; with the option f
 *      what follows in the line is the folder that is wanted then
 *
 * Every conversation is held twice: what did not change must keep its times. */
#include "check_listing.h"
#include "provider.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>

#define IN_FLIGHT_MAX	8
#define REQUESTS_MAX	256
#define LISTED_MAX	1024
#define LISTED_ID_MAX	128
#define NOW_NS		INT64_C(1700000000000000000)
#define MEMORY		(64 << 20)
#define MEMORY_SMALL	(16 << 10)
#define PAGE_SIZE	3
#define TOKEN_STEPS_MAX 8
#define TOKEN_LIFE_MAX	(INT64_C(24) * 3600 * 1000)

/* Options, in any order. */
#define OPTION_NEWEST_FIRST 'n' /* the request made last is answered first */
#define OPTION_SMALL	    's' /* little memory */
#define OPTION_HUSK	    'h' /* of the listing before only a husk is left */
#define OPTION_NO_CALL	    'c' /* subfolders_path is empty */
#define OPTION_TOKEN	    't' /* the first answer is to the token request */
#define OPTION_DOMAIN_KEY   'd' /* instead of a secret */
#define OPTION_FOLDERS	    'f' /* of a part at first the names of its folders, then one of them */

/* Which kind of object an answer's list holds; 0: none that is shown. */
static enum listing_kind ibinder_lists(const char *url, enum provider_level level)
{
	if (strstr(url, "/metadataelements"))
		return 0;
	if (strstr(url, "/documents?"))
		return level == PROVIDER_QUERY ? LISTING_KIND_FOUND : LISTING_KIND_DOCUMENT;
	if (strstr(url, "/documents/drives/"))
		return LISTING_KIND_FOLDER;
	return level == PROVIDER_TOP ? LISTING_KIND_BINDER : 0;
}

static enum listing_kind inbenta_lists(const char *url, enum provider_level level)
{
	if (level != PROVIDER_TOP)
		return 0;
	return strstr(url, "/contents?") ? LISTING_KIND_DOCUMENT : LISTING_KIND_FOLDER;
}

static const struct under_test {
	const struct provider_ops *ops;
	const char *list; /* the member of an answer in which a list stands */
	enum listing_kind (*lists)(const char *url, enum provider_level level);
} providers[] = {
	{&provider_ibinder, "items", ibinder_lists},
	{&provider_inbenta, "results", inbenta_lists},
};

static const struct under_test *under_test;
static const struct provider_ops *ops; /* its */

/* The objects that the task took, as another reader of JSON sees them. */
struct listed {
	bool all; /* that reader could follow */
	size_t count;
	struct {
		enum listing_kind kind;
		char id[LISTED_ID_MAX + 1];
	} at[LISTED_MAX];
};

struct input {
	enum provider_level level;
	bool is_token;
	const char *options;
	char *id;
	char *object;
	char *folder; /* or NULL */
	const struct listing *base;
	struct piece answers; /* of this conversation and those after it */
};

static bool has_option(const struct input *input, char option)
{
	return strchr(input->options, option) != NULL;
}

/* --- What was listed --- */

static void listed_add(struct listed *listed, enum listing_kind kind, const char *id)
{
	for (size_t i = 0; i < listed->count; i++) {
		if (listed->at[i].kind == kind && strcmp(listed->at[i].id, id) == 0)
			return;
	}
	if (listed->count == LISTED_MAX || strlen(id) > LISTED_ID_MAX) {
		listed->all = false;
		return;
	}
	listed->at[listed->count].kind = kind;
	strcpy(listed->at[listed->count++].id, id);
}

/* cJSON ends strings at \u0000, refuses lone surrogates, and leaves bad UTF-8 as it is. */
static bool is_comparable(const struct buf *body)
{
	const char *end = body->data + body->len;
	bool valid = body->len > 0 && !strstr(body->data, "\\u0000");

	for (const char *at = body->data; valid && at < end;)
		at += utf8_length(at, end, &valid);
	return valid && strlen(body->data) == body->len;
}

static void listed_take(struct listed *listed, enum listing_kind kind, const struct buf *body)
{
	cJSON *answer = is_comparable(body) ? cJSON_Parse(body->data) : NULL;
	const cJSON *list = answer;
	const cJSON *object;

	if (cJSON_IsObject(answer))
		list = cJSON_GetObjectItemCaseSensitive(answer, under_test->list);
	listed->all = listed->all && list;
	cJSON_ArrayForEach(object, list)
	{
		const cJSON *id = cJSON_GetObjectItemCaseSensitive(object, "id");
		char digits[32];

		if (cJSON_IsString(id)) {
			listed_add(listed, kind, id->valuestring);
		} else if (cJSON_IsNumber(id) && id->valuedouble >= 1 && id->valuedouble < 1e15) {
			snprintf(digits, sizeof(digits), "%.0f", id->valuedouble);
			listed_add(listed, kind, digits);
		} else {
			listed->all = false; /* a number that a double does not hold, or 0 or -0 */
		}
	}
	cJSON_Delete(answer);
}

/* Nothing is lost, nothing comes twice, and nothing that was not sent. */
static void check_listed(const struct listed *listed, const struct listing *listing)
{
	uint32_t kinds[LISTING_KIND_FOUND + 1] = {0};

	for (size_t i = 0; i < listed->count; i++) {
		enum listing_kind kind = listed->at[i].kind;

		/* The root of Inbenta's categories is the top. */
		if (kind == LISTING_KIND_FOLDER && !find_id(listing, kind, listed->at[i].id))
			kind = LISTING_KIND_FOLDER_JSON;
		CHECK(find_id(listing, kind, listed->at[i].id));
		kinds[listed->at[i].kind]++;
	}
	if (!listed->all)
		return;
	CHECK(count_kind(listing, LISTING_KIND_BINDER) == kinds[LISTING_KIND_BINDER]);
	CHECK(count_kind(listing, LISTING_KIND_DOCUMENT) == kinds[LISTING_KIND_DOCUMENT]);
	CHECK(count_kind(listing, LISTING_KIND_FOUND) == kinds[LISTING_KIND_FOUND]);
	CHECK(count_kind(listing, LISTING_KIND_FOLDER_JSON) == kinds[LISTING_KIND_FOLDER]);
}

/* --- Requests and answers --- */

static void check_line(const char *text, bool blanks)
{
	for (; *text; text++)
		CHECK((unsigned char)*text < 0x7f &&
		      ((unsigned char)*text > ' ' || (blanks && *text == ' ')));
}

/* No server and no user may put anything into a request but what belongs there. */
static void check_request(const struct http_request *request)
{
	bool post = strcmp(request->method, "POST") == 0;
	struct json body;

	CHECK(post || strcmp(request->method, "GET") == 0);
	CHECK(strncmp(request->url, "https://", 8) == 0 || request->url[0] == '/');
	check_line(request->url, false);
	for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i]; i++)
		check_line(request->headers[i], true);
	CHECK(post || !request->body);
	if (request->body && strcmp(request->content_type, "application/json") == 0)
		CHECK(json_parse(request->body, request->body_len, &body) == 0);
}

/* The next answer of this conversation. False: there is none. */
static bool answer_take(struct piece *answers, struct http_response *ret_response)
{
	struct piece rest = *answers;
	struct piece line;

	*ret_response = (struct http_response){
		.retry_after_ms = -1,
		.body = BUF_INIT(HTTP_BODY_MAX),
	};
	if (!piece_take(&rest, '\n', &line) || (line.len && line.text[0] == '='))
		return false;
	*answers = rest;
	for (int i = 0; i < 3 && line.len && isdigit((unsigned char)line.text[0]); i++) {
		ret_response->status = ret_response->status * 10 + (line.text[0] - '0');
		line.text++;
		line.len--;
	}
	if (line.len && line.text[0] == ' ') {
		line.text++;
		line.len--;
	}
	CHECK(buf_append(&ret_response->body, line.text, line.len) == 0);
	return true;
}

static void check_explain(const struct http_response *response)
{
	struct provider_problem problem;

	memset(&problem, 'x', sizeof(problem));
	ops->explain(response, &problem);
	CHECK(strnlen(problem.title, sizeof(problem.title)) < sizeof(problem.title));
	CHECK(strnlen(problem.trace_id, sizeof(problem.trace_id)) < sizeof(problem.trace_id));
}

struct asked {
	uint64_t tag;
	char *url;
};

/* Takes the requests that may be sent now. Returns 0, or why the task cannot go on. */
static int ask(struct provider_task *task, struct asked asked[IN_FLIGHT_MAX], size_t *count)
{
	int error = 0;

	while (!error && *count < IN_FLIGHT_MAX) {
		struct http_request request = {.method = NULL};

		error = ops->task_next(task, &request, &asked[*count].tag);
		if (error)
			break;
		check_request(&request);
		asked[*count].url = strdup(request.url);
		CHECK(asked[*count].url);
		++*count;
		http_request_fini(&request);
	}
	return error == -EAGAIN ? 0 : error;
}

static int take(struct provider_task *task, const struct asked *asked, const struct input *input,
		const struct http_response *response, struct listed *listed)
{
	enum listing_kind kind = under_test->lists(asked->url, input->level);
	int error;

	if (input->folder &&
	    kind == LISTING_KIND_DOCUMENT) /* only those of that folder are taken */
		kind = 0;

	check_explain(response);
	if (response->status != 200)
		return ops->task_tolerates(task, asked->tag, response->status) ? 0 : -EREMOTEIO;
	error = ops->task_answer(task, asked->tag, response);
	CHECK(error == 0 || error == -EBADMSG || error == -EFBIG);
	if (!error && kind)
		listed_take(listed, kind, &response->body);
	return error;
}

/* Up to where no request is left. Returns 0, or why it did not come so far. */
static int converse(struct provider_task *task, const struct input *input, struct listed *listed)
{
	struct asked asked[IN_FLIGHT_MAX];
	struct piece answers = input->answers;
	size_t count = 0;
	int requests = 0;
	int error = ask(task, asked, &count);

	while (!error && count > 0) {
		size_t which = has_option(input, OPTION_NEWEST_FIRST) ? count - 1 : 0;
		struct asked now = asked[which];
		struct http_response response;

		memmove(&asked[which], &asked[which + 1], (count - which - 1) * sizeof(now));
		count--;
		if (!answer_take(&answers, &response))
			response.status = 404;
		error = take(task, &now, input, &response, listed);
		buf_reset(&response.body);
		free(now.url);
		if (!error)
			error = ask(task, asked, &count);
		if (++requests > REQUESTS_MAX)
			error = -E2BIG;
	}
	while (count > 0)
		free(asked[--count].url);
	return error;
}

/* --- Conversations --- */

static void check_link(const struct secret *link)
{
	CHECK(link->value && link->len > 0 && strlen(link->value) == link->len);
	for (size_t i = 0; i < link->len; i++)
		CHECK((unsigned char)link->value[i] > ' ' && link->value[i] != 0x7f);
}

/* Returns the listing, or NULL. `now_ns` is when. */
static struct listing *fetch(struct provider *provider, const struct input *input,
			     const struct listing *previous, int64_t now_ns)
{
	static struct listed listed; /* large: not cleared each time */
	struct provider_result result = {.listing = NULL};
	struct provider_task *task = NULL;
	struct provider_resource resource = {
		.level = input->level,
		.id = input->level == PROVIDER_TOP ? NULL : input->id,
		.object = input->object,
		.object_len = strlen(input->object),
		.version = input->object,
		.folder = input->folder,
		.base = input->base,
	};
	int error;

	listed.all = !input->folder;
	listed.count = 0;
	ops->forget(provider);
	error = ops->task_new(provider, &resource, &task);
	if (!error)
		error = converse(task, input, &listed);
	if (!error) {
		error = ops->task_finish(task, previous, now_ns, &result);
		CHECK(error == 0 || error == -EFBIG);
	}
	if (!error && input->level == PROVIDER_LINK) {
		check_link(&result.link);
	} else if (!error) {
		check_listing(result.listing);
		check_listed(&listed, result.listing);
	}
	CHECK(strnlen(result.note, sizeof(result.note)) < sizeof(result.note));
	secret_fini(&result.link);
	ops->task_free(task);
	return result.listing;
}

/* Answered as before: nothing changed, so no time and no version did. */
static void check_unchanged(const struct listing *before, const struct listing *after)
{
	CHECK(before->entry_count == after->entry_count);
	CHECK(before->dirs[0].mtime_ns == after->dirs[0].mtime_ns);
	for (uint32_t i = 0; i < before->entry_count; i++) {
		const struct listing_entry *entry = &before->entries[i];
		const struct listing_entry *other = &after->entries[i];

		CHECK(other->ino == entry->ino && other->mtime_ns == entry->mtime_ns);
		CHECK(entry->type == LISTING_DIR || other->version == entry->version);
		CHECK(strcmp(listing_name(before, entry), listing_name(after, other)) == 0);
	}
	CHECK(listing_equals(after, before));
}

/* One conversation, and the same once more. Takes and returns what was listed last. */
static struct listing *fetch_twice(struct provider *provider, struct input *input,
				   struct listing *previous, int64_t now_ns)
{
	struct listing *first;
	struct listing *husk = NULL;
	struct listing *second;

	input->base = input->folder && *input->folder ? previous : NULL;
	first = fetch(provider, input, previous, now_ns);
	if (!first) {
		listing_unref(previous);
		return NULL;
	}
	/* After an eviction all is fetched, never a part alone. */
	if (has_option(input, OPTION_HUSK) && !input->folder) {
		husk = listing_husk(first);
		CHECK(husk);
	}
	second = fetch(provider, input, husk ? husk : first, now_ns + 1);
	CHECK(second);
	check_unchanged(first, second);
	listing_unref(previous);
	listing_unref(first);
	listing_unref(husk);
	return second;
}

/* libcurl deals with other alphabets. */
static void check_address(const char *address)
{
	for (; *address; address++)
		CHECK((unsigned char)*address > ' ' && *address != 0x7f);
}

/* One step of a conversation about a token. -ENODATA: there is no answer. */
static int ask_token(struct provider *provider, const struct provider_need *need,
		     struct provider_grant *grant, struct piece *answers)
{
	struct http_request request = {.method = NULL};
	const struct secret *bearer = NULL;
	struct http_response response;
	int error = -ENODATA;

	CHECK(ops->token_request(provider, need, grant, &request, &bearer) == 0);
	check_request(&request);
	http_request_fini(&request);
	CHECK(!bearer || bearer == &grant->token || bearer == need->held);
	if (answer_take(answers, &response)) {
		check_explain(&response);
		if (ops->judge)
			ops->judge(&response);
		error = ops->token_answer(provider, &response, NOW_NS / 1000000000, grant);
		CHECK(error == 0 || error == -EACCES || error == -EBADMSG || error == -EAGAIN);
	}
	buf_reset(&response.body);
	return error;
}

/* One that is held is renewed, as long as there are answers; or (`once`) it is enough. */
static void read_token(struct provider *provider, struct piece *answers, bool once)
{
	static char value[] = "hunter2";
	const struct secret secret = {value, sizeof(value) - 1};
	struct provider_grant held = {.life_ms = 0};
	struct provider_need need = {.secret = &secret};
	int conversations = 0;
	int error;

	do {
		struct provider_grant grant = {.life_ms = 0};
		int steps = 0;

		need.held = held.token.value ? &held.token : NULL;
		need.misled = conversations % 2;
		do
			error = ask_token(provider, &need, &grant, answers);
		while (error == -EAGAIN && ++steps < TOKEN_STEPS_MAX);
		CHECK(error != -EAGAIN);
		if (!error && grant.token.value) {
			CHECK(grant.life_ms > 0 && grant.life_ms <= TOKEN_LIFE_MAX);
			check_link(&grant.token);
			secret_move(&held.token, &grant.token);
		}
		CHECK(error || held.token.value);
		if (!error && ops->address(provider))
			check_address(ops->address(provider));
		secret_fini(&grant.token);
	} while (!once && error != -ENODATA && ++conversations < REQUESTS_MAX);
	secret_fini(&held.token);
}

static struct provider *provider_of(const struct input *input)
{
	const struct config config = {
		.provider = (char *)PROVIDER,
		.tenant_id = (char *)"6f9619ff-8b86-d011-b42d-00c04fc964ff",
		.client_id = (char *)"client",
		.api_url = (char *)"https://api.test/api",
		.auth_url = (char *)"https://auth.test/token",
		.subfolders_path = has_option(input, OPTION_NO_CALL)
					   ? (char *)""
					   : (char *)"/documents/drives/binders/{binder}/{folder}",
		.api_key = (char *)"key",
		.domain = (char *)"https://help.test",
		.by_domain_key = has_option(input, OPTION_DOMAIN_KEY),
		.domain_key_field = (char *)"domainKey",
		.answer_attribute = (char *)"ANSWER_TEXT",
		.page_size = PAGE_SIZE,
		.memory = has_option(input, OPTION_SMALL) ? MEMORY_SMALL : MEMORY,
	};
	struct provider *provider = NULL;

	CHECK(ops->provider_new(&config, &provider) == 0);
	return provider;
}

/* Moves on to the next conversation. */
static void skip_to_next(struct input *input, const struct listing *listing)
{
	struct piece line;

	free(input->folder);
	input->folder = NULL;
	while (piece_take(&input->answers, '\n', &line)) {
		if (line.len == 0 || line.text[0] != '=')
			continue;
		line.text++;
		line.len--;
		/* One folder is asked for as long as the rest is not known. */
		if (has_option(input, OPTION_FOLDERS) && listing && !listing_is_whole(listing))
			input->folder = piece_copy(line);
		return;
	}
}

static void run(struct input *input)
{
	struct provider *provider = provider_of(input);
	struct buf status = BUF_INIT(1 << 16);
	struct listing *listing = NULL;
	const char *problem = NULL;
	int64_t now_ns = NOW_NS;

	if (input->is_token || has_option(input, OPTION_TOKEN))
		read_token(provider, &input->answers, !input->is_token);
	if (ops->query_check && ops->query_check(input->id, &problem))
		CHECK(problem && *problem);
	while (!input->is_token && input->answers.len > 0) {
		listing = fetch_twice(provider, input, listing, now_ns);
		now_ns += 1000;
		skip_to_next(input, listing);
	}
	ops->describe(provider, &status);
	buf_reset(&status);
	listing_unref(listing);
	ops->provider_free(provider);
	CHECK(listing_bytes_alive() == 0 && listing_bytes_building() == 0);
}

/* Whether the first lines name something that may be asked for. */
static bool read_level(const char *line, struct input *input)
{
	static const char letters[] = "TPOQL";
	const char *letter = *line ? strchr(letters, *line) : NULL;

	input->is_token = *line == 'K';
	if (letter)
		input->level = (enum provider_level)(letter - letters);
	input->options = line + 1;
	if (letter && input->level == PROVIDER_OBJECT)
		return ops->is_object_id(input->id, strlen(input->id));
	return input->is_token || (letter && *input->id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.answers = {(const char *)data, size}};
	struct piece first = {"", 0};
	struct piece id = {"", 0};
	struct piece object = {"", 0};
	char *line;

	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
		if (strcmp(providers[i].ops->name, PROVIDER) == 0)
			under_test = &providers[i];
	}
	ops = under_test->ops;
	piece_take(&input.answers, '\n', &first);
	piece_take(&input.answers, '\n', &id);
	piece_take(&input.answers, '\n', &object);
	line = piece_copy(first);
	input.id = piece_copy(id);
	input.object = piece_copy(object);
	if (read_level(line, &input)) {
		if (has_option(&input, OPTION_FOLDERS) && input.level == PROVIDER_PART)
			input.folder = piece_copy((struct piece){"", 0});
		run(&input);
		free(input.folder);
	}
	free(line);
	free(input.id);
	free(input.object);
	return 0;
}
