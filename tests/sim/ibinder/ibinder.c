/* See ibinder.h. The vendor's table, with its options, settings and calls of the control port. */
#include "ibinder.h"
#include "api.h"
#include "demo.h"
#include "storage.h"
#include "text.h"
#include "vendor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define IBINDER_DEPTH_MAX 200u /* folders below folders are walked by recursion */
#define IBINDER_SIZE_MAX  (1ull << 40)
#define IBINDER_FIELD_MAX 200u

static const char *const ibinder_wrong_types[FAULT_VARIANTS] = {
	"{\"items\":7,\"totalCount\":\"x\",\"pageNumber\":[],\"pageSize\":null}",
	"[1,\"two\",null,[],{\"id\":7,\"name\":{},\"parentId\":[],\"fileName\":false}]",
	"42",
	"\"text\"",
	"null",
	"{\"items\":[{\"id\":7,\"fileName\":null,\"folderId\":[],\"binderId\":{},\"metadata\":"
	"\"x\","
	"\"latestVersionId\":false},null,3,[]],\"totalCount\":4,\"pageNumber\":1,\"pageSize\":4}",
	"{\"access_token\":7,\"expires_in\":\"soon\",\"token_type\":[],\"url\":{},\"id\":null}",
	"{\"items\":[{}],\"totalCount\":-1,\"pageNumber\":1.5,\"pageSize\":-250}",
};

static void ibinder_truth_folders(const struct org_binder *binder, struct buf *out)
{
	const char *comma = "";

	buf_add_str(out, ",\"folders\":[");
	for (size_t i = 0; i < binder->all_folders.n; i++) {
		const struct org_folder *folder = binder->all_folders.items[i];

		if (!folder->listed)
			continue;
		buf_add_format(out, "%s{\"id\":\"%s\",\"parentId\":", comma, folder->id);
		if (folder->parent)
			buf_add_format(out, "\"%s\"", folder->parent->id);
		else
			buf_add_str(out, "null");
		buf_add_str(out, ",\"raw\":");
		text_add_literal(out, folder->raw, strlen(folder->raw));
		buf_add_char(out, '}');
		comma = ",";
	}
	buf_add_char(out, ']');
}

/* The newest first. */
static void ibinder_truth_versions(const struct org_document *document, struct buf *out)
{
	const struct org_version *version = document->version;

	buf_add_str(out, ",\"versions\":[");
	for (; version; version = version->older)
		buf_add_format(out, "{\"id\":\"%s\",\"size\":%" PRIu64 "}%s", version->id,
			       version->size, version->older ? "," : "");
	buf_add_char(out, ']');
}

static void ibinder_truth_documents(const struct org_binder *binder, struct buf *out)
{
	buf_add_str(out, ",\"documents\":[");
	for (size_t i = 0; i < binder->documents.n; i++) {
		const struct org_document *document = binder->documents.items[i];

		buf_add_format(out, "%s{\"id\":\"%s\",\"folderId\":", i ? "," : "", document->id);
		if (document->folder)
			buf_add_format(out, "\"%s\"", document->folder->id);
		else
			buf_add_str(out, "null");
		buf_add_format(out, ",\"latestVersionId\":\"%s\",\"size\":%" PRIu64,
			       document->version->id, document->version->size);
		ibinder_truth_versions(document, out);
		buf_add_str(out, ",\"raw\":");
		text_add_literal(out, document->raw, document->raw_len);
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static void ibinder_truth(struct sim *sim, struct buf *out)
{
	const struct org *org = &ibinder_of(sim)->org;

	buf_add_str(out, "{\"binders\":[");
	for (size_t i = 0; i < org->binders.n; i++) {
		const struct org_binder *binder = org->binders.items[i];

		buf_add_format(out, "%s{\"id\":\"%s\",\"raw\":", i ? "," : "", binder->id);
		text_add_literal(out, binder->raw, strlen(binder->raw));
		buf_add_str(out, ",\"metadataelements\":");
		text_add_literal(out, binder->elements, strlen(binder->elements));
		ibinder_truth_folders(binder, out);
		ibinder_truth_documents(binder, out);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}");
}

static bool ibinder_query_number(const struct request *request, const char *name,
				 uint64_t *ret_number)
{
	const char *value = request_query(request, name);

	return !value || !text_parse_number(value, UINT64_MAX, ret_number);
}

/* A version's bytes as they are, whatever storage is set or spoilt to send. */
static void ibinder_content(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	const char *id = request_query(call->request, "version");
	const struct org_version *version = id ? org_find_version(&ibinder_of(sim)->org, id) : NULL;
	uint64_t offset = 0, length = UINT64_MAX;

	if (!ibinder_query_number(call->request, "offset", &offset) ||
	    !ibinder_query_number(call->request, "length", &length)) {
		control_fail(reply, MHD_HTTP_BAD_REQUEST, "offset and length are numbers");
		return;
	}
	if (!version) {
		control_fail(reply, MHD_HTTP_NOT_FOUND, "no such version");
		return;
	}
	reply_set(reply, MHD_HTTP_OK, "application/octet-stream");
	reply->read = storage_read;
	memcpy(reply->content_id, version->id, sizeof(reply->content_id));
	reply->offset = offset < version->size ? offset : version->size;
	reply->length = version->size - reply->offset;
	if (reply->length > length)
		reply->length = length;
}

/* The signatures of links given out so far hold no more. */
static void ibinder_expire_links(struct sim *sim, const struct control_call *call,
				 struct reply *reply)
{
	(void)call;
	ibinder_of(sim)->link_key = rng_mix(ibinder_of(sim)->link_key);
	control_ok(reply);
}

/* Problem details (RFC 9110). */
static void ibinder_problem(struct sim *sim, struct buf *body, unsigned int status,
			    const char *detail)
{
	unsigned int chapter = status >= 500 ? 6 : 5;

	buf_add_format(body, "{\"type\":\"https://tools.ietf.org/html/rfc9110#section-15.%u.%u\"",
		       chapter, status % 100 + 1);
	buf_add_format(body, ",\"title\":\"%s\",\"status\":%u", MHD_get_reason_phrase_for(status),
		       status);
	buf_add_format(body, ",\"traceId\":\"00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-00\"",
		       rng_mix(sim->chance ^ sim->trace), rng_mix(sim->trace + 1),
		       rng_mix(~sim->trace));
	sim->trace++;
	if (detail)
		buf_add_format(body, ",\"errors\":{\"request\":[\"%s\"]}", detail);
	buf_add_char(body, '}');
}

#define GEN(member)   offsetof(struct ibinder, gen.member)
#define ORG(member)   offsetof(struct ibinder, options.member)
#define VALUE(member) offsetof(struct ibinder_settings, member)

static const struct setting ibinder_options[] = {
	{"binders", SETTING_NUMBER, GEN(binders), .max = SIM_MAX_COUNT},
	{"folders", SETTING_NUMBER, GEN(folders), .max = SIM_MAX_COUNT},
	{"depth", SETTING_NUMBER, GEN(depth), .min = 1, .max = IBINDER_DEPTH_MAX},
	{"documents", SETTING_NUMBER, GEN(documents), .max = SIM_MAX_COUNT},
	{"metadata", SETTING_NUMBER, ORG(extra_fields), .max = IBINDER_FIELD_MAX},
	{"size_min", SETTING_NUMBER, ORG(size_min), .max = IBINDER_SIZE_MAX},
	{"size_max", SETTING_NUMBER, ORG(size_max), .max = IBINDER_SIZE_MAX},
	{"odd_names", SETTING_FLAG, GEN(odd_names), .max = 1},
	{"odd_numbers", SETTING_FLAG, ORG(odd_numbers), .max = 1},
	{0},
};

static const char *const ibinder_tab_filters[] = {"exact", "nested", "top", "none", NULL};
static const char *const ibinder_416s[] = {"range", "bare", NULL};
static const char *const ibinder_subfolders[] = {"present", "404", "405", NULL};

static const struct setting ibinder_settings[] = {
	{"client_id", SETTING_TEXT, VALUE(client_id), .max = SIM_TEXT_MAX},
	{"client_secret", SETTING_TEXT, VALUE(client_secret), .max = SIM_TEXT_MAX,
	 .env = "SIM_CLIENT_SECRET"},
	{"tenant", SETTING_TEXT, VALUE(tenant), .max = SIM_TEXT_MAX},
	{"storage_base", SETTING_TEXT, VALUE(storage_base), .max = SIM_URL_MAX},
	{"link_life", SETTING_NUMBER, VALUE(link_life_s), .max = SIM_MAX_SECONDS},
	{"items_wrapper", SETTING_FLAG, VALUE(items_wrapper), .max = 1},
	{"max_page", SETTING_NUMBER, VALUE(max_page), .min = 1, .max = SIM_MAX_COUNT},
	{"subfolders", SETTING_WORD, VALUE(subfolders), .words = ibinder_subfolders},
	{"tab_filter", SETTING_WORD, VALUE(tab_filter), .words = ibinder_tab_filters},
	{"storage_range", SETTING_SWITCH, VALUE(storage_range), .max = 1},
	{"storage_length", SETTING_SWITCH, VALUE(storage_length), .max = 1},
	{"storage_etag", SETTING_SWITCH, VALUE(storage_etag), .max = 1},
	{"storage_416", SETTING_WORD, VALUE(storage_416), .words = ibinder_416s},
	{"storage_rate", SETTING_NUMBER, VALUE(storage_rate), .max = SIM_MAX_RATE},
	{0},
};

static const struct control_route ibinder_controls[] = {
	{"POST", "/links/expire", ibinder_expire_links},
	{"GET", "/content", ibinder_content},
	{0},
};

static const char *const ibinder_secrets[] = {
	"access_token",	 "token",     "authorization",	    "client_id",
	"client_secret", "tenant_id", "x-ibinder-tenantid", NULL,
};

static int ibinder_start(struct sim *sim)
{
	struct ibinder *ibinder = calloc(1, sizeof(*ibinder));

	if (!ibinder)
		return -ENOMEM;
	*ibinder = (struct ibinder){
		.settings =
			{
				.link_life_s = 300,
				.max_page = 1000,
				.storage_range = true,
				.storage_length = true,
				.client_id = "sim-client",
				.client_secret = "s3cr&t=+%/ å",
				.tenant = "6f9619ff-8b86-d011-b42d-00c04fc964ff",
			},
		.gen = {.binders = 2, .folders = 6, .depth = 3, .documents = 60},
		.options = {.extra_fields = 6, .size_min = 100, .size_max = 20000},
	};
	sim->state = ibinder;
	sim->settings.token_life_s = 3600;
	return getrandom(&ibinder->link_key, sizeof(ibinder->link_key), 0) < 0 ? -errno : 0;
}

static int ibinder_fill(struct sim *sim)
{
	struct ibinder *ibinder = ibinder_of(sim);
	struct org_options *options = &ibinder->options;

	if (options->size_min > options->size_max)
		return -EINVAL;
	options->seed = sim->seed;
	options->text_content = sim->demo;
	int r = org_init(&ibinder->org, options);
	if (r)
		return r;
	return sim->demo ? demo_organisation(&ibinder->org)
			 : gen_organisation(&ibinder->org, &ibinder->gen);
}

static void ibinder_stop(struct sim *sim)
{
	if (!sim->state)
		return;
	org_fini(&ibinder_of(sim)->org);
	free(sim->state);
	sim->state = NULL;
}

const struct vendor vendor_ibinder = {
	.name = "ibinder",
	.routes = api_routes,
	.secrets = ibinder_secrets,
	.error_type = "application/problem+json; charset=utf-8",
	.wrong_types = ibinder_wrong_types,
	.options = ibinder_options,
	.settings = ibinder_settings,
	.settings_size = sizeof(struct ibinder_settings),
	.controls = ibinder_controls,
	.changes = org_changes,
	.start = ibinder_start,
	.fill = ibinder_fill,
	.stop = ibinder_stop,
	.answer = api_answer,
	.problem = ibinder_problem,
	.truth = ibinder_truth,
};
