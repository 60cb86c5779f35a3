/* See inbenta.h. The vendor's table, with its options, settings and calls of the control port. */
#include "inbenta.h"
#include "auth.h"
#include "gate.h"
#include "kb_change.h"
#include "service.h"
#include "vendor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INBENTA_DEPTH_MAX 200u /* what lies below a category is removed by recursion */
#define INBENTA_SIZE_MAX  (16u << 20)

static const char *const inbenta_wrong_types[FAULT_VARIANTS] = {
	"{\"results\":7,\"hasMore\":\"x\"}",
	"[1,\"two\",null,[],{\"id\":7,\"name\":{},\"parent\":[],\"title\":false}]",
	"42",
	"\"text\"",
	"null",
	"{\"results\":[{\"id\":{},\"title\":null,\"categories\":{\"a\":1},\"modificationDate\":7,"
	"\"attributes\":\"x\",\"parent\":{},\"name\":[]},null,3,[]],\"hasMore\":false}",
	"{\"accessToken\":7,\"expiration\":\"soon\",\"expires_in\":-1,\"apis\":{\"knowledge\":[]}}",
	"{\"results\":[{},{\"id\":-1},{\"id\":1.5},{\"id\":\"x\"},{\"id\":true},{\"id\":\"\"}]"
	",\"hasMore\":7}",
};

#define KB(member)    offsetof(struct inbenta, options.member)
#define VALUE(member) offsetof(struct inbenta_settings, member)

static const struct setting inbenta_options[] = {
	{"contents", SETTING_NUMBER, KB(contents), .max = SIM_MAX_COUNT},
	{"categories", SETTING_NUMBER, KB(categories), .max = SIM_MAX_COUNT},
	{"category_depth", SETTING_NUMBER, KB(category_depth), .min = 1, .max = INBENTA_DEPTH_MAX},
	{"size_min", SETTING_NUMBER, KB(size_min), .max = INBENTA_SIZE_MAX},
	{"size_max", SETTING_NUMBER, KB(size_max), .max = INBENTA_SIZE_MAX},
	{"answer_attribute", SETTING_TEXT, KB(answer_attribute), .max = KB_ATTRIBUTE_SIZE},
	{"odd_names", SETTING_FLAG, KB(odd_names), .max = 1},
	{"odd_numbers", SETTING_FLAG, KB(odd_numbers), .max = 1},
	{"odd_categories", SETTING_FLAG, KB(odd_categories), .max = 1},
	{0},
};

static const char *const inbenta_origins[] = {"auth", "every", NULL};
static const char *const inbenta_dead_tokens[] = {"403", "401", NULL};
static const char *const inbenta_old_address[] = {"403", "404", NULL};
static const char *const inbenta_errors[] = {"auto", "error", "Message", "message", NULL};
static const char *const inbenta_nestings[] = {"own", "nested", NULL};
static const char *const inbenta_clicks[] = {"content", "all", NULL};
static const char *const inbenta_ids[] = {"number", "string", "mixed", NULL};
static const char *const inbenta_usages[] = {"fraction", "percent", "ratio",
					     "garbage",	 "absent",  NULL};
static const char *const inbenta_resets[] = {"seconds", "unix", NULL};

static const struct setting inbenta_settings[] = {
	{"api_key", SETTING_TEXT, VALUE(api_key), .max = SIM_TEXT_MAX, .env = "SIM_API_KEY"},
	{"secret", SETTING_TEXT, VALUE(secret), .max = SIM_TEXT_MAX, .env = "SIM_SECRET"},
	{"domain_key", SETTING_TEXT, VALUE(domain_key), .max = SIM_TEXT_MAX,
	 .env = "SIM_DOMAIN_KEY"},
	{"domain_key_field", SETTING_TEXT, VALUE(domain_key_field), .max = SIM_TEXT_MAX},
	{"domains", SETTING_TEXT, VALUE(domains), .max = SIM_URL_MAX},
	{"service_base", SETTING_TEXT, VALUE(service_base), .max = SIM_URL_MAX},
	{"origin", SETTING_WORD, VALUE(origin), .words = inbenta_origins},
	{"dead_token", SETTING_WORD, VALUE(dead_token), .words = inbenta_dead_tokens},
	{"old_address", SETTING_WORD, VALUE(old_address), .words = inbenta_old_address},
	{"old_addresses", SETTING_NUMBER, VALUE(old_addresses), .max = SIM_MAX_COUNT},
	{"errors", SETTING_WORD, VALUE(errors), .words = inbenta_errors},
	{"echo_token", SETTING_SWITCH, VALUE(echo_token), .max = 1},
	{"max_page", SETTING_NUMBER, VALUE(max_page), .min = 1, .max = SIM_MAX_COUNT},
	{"category_contents", SETTING_WORD, VALUE(category_contents), .words = inbenta_nestings},
	{"clicks", SETTING_WORD, VALUE(clicks), .words = inbenta_clicks},
	{"ids", SETTING_WORD, VALUE(ids), .words = inbenta_ids},
	{"throttle_limit", SETTING_NUMBER, VALUE(throttle_limit), .max = SIM_MAX_COUNT},
	{"quota_limit", SETTING_NUMBER, VALUE(quota_limit), .max = SIM_MAX_COUNT},
	{"throttle_window", SETTING_NUMBER, VALUE(throttle_window_s), .min = 1,
	 .max = SIM_MAX_SECONDS},
	{"usage", SETTING_WORD, VALUE(usage), .words = inbenta_usages},
	{"reset", SETTING_WORD, VALUE(reset), .words = inbenta_resets},
	{0},
};

static const struct route inbenta_routes[] = {
	{"auth", "POST", "/v1/auth", ROUTE_OPEN, auth_token},
	{"refresh", "POST", "/v1/refreshToken", 0, auth_refresh},
	{"apis", "GET", "/v1/apis", 0, auth_apis},
	{"contents", "GET", "/km-{}/v1/contents", GATE_SERVICE | ROUTE_PAGES, service_contents},
	{"content", "GET", "/km-{}/v1/contents/{}", GATE_SERVICE, service_content},
	{"categories", "GET", "/km-{}/v1/categories/", GATE_SERVICE, service_categories},
	{"category_contents", "GET", "/km-{}/v1/categories/{}/contents", GATE_SERVICE,
	 service_category_contents},
	{"redirect_target", NULL, "/redirect-target", ROUTE_REDIRECT_TARGET, NULL},
	{"other", NULL, NULL, 0, NULL},
	{0},
};

static const char *const inbenta_secrets[] = {
	"secret",	"domainKey",	 "key",		  "api_key", "accessToken",
	"access_token", "authorization", "x-inbenta-key", NULL,
};

static void inbenta_move_addresses(struct sim *sim, const struct control_call *call,
				   struct reply *reply)
{
	(void)call;
	auth_move(sim);
	control_ok(reply);
}

static void inbenta_reset_allowances(struct sim *sim, const struct control_call *call,
				     struct reply *reply)
{
	struct inbenta *inbenta = inbenta_of(sim);

	(void)call;
	memset(inbenta->throttle, 0, sizeof(inbenta->throttle));
	memset(inbenta->quota, 0, sizeof(inbenta->quota));
	control_ok(reply);
}

/* A content's answer as it is, for comparing bytes. */
static void inbenta_content(struct sim *sim, const struct control_call *call, struct reply *reply)
{
	const char *given = request_query(call->request, "id");
	const struct kb_content *content = NULL;
	uint64_t id;

	if (given && service_parse_id(given, &id))
		content = kb_find_content(&inbenta_of(sim)->kb, id);
	if (!content || !content->answer) {
		control_fail(reply, MHD_HTTP_NOT_FOUND, "no such content, or it has no answer");
		return;
	}
	reply_set(reply, MHD_HTTP_OK, "application/octet-stream");
	buf_add(&reply->body, content->answer, content->answer_len);
}

static const struct control_route inbenta_controls[] = {
	{"POST", "/addresses/move", inbenta_move_addresses},
	{"POST", "/allowances/reset", inbenta_reset_allowances},
	{"GET", "/content", inbenta_content},
	{0},
};

static int inbenta_start(struct sim *sim)
{
	struct inbenta *inbenta = calloc(1, sizeof(*inbenta));

	if (!inbenta)
		return -ENOMEM;
	*inbenta = (struct inbenta){
		.settings =
			{
				.api_key = "sim-api-key",
				.secret = "s3cr\"t\\/+% ñ",
				.domain_key = "sim-domain-key",
				.domain_key_field = "domainKey",
				.domains = "https://help.example.com https://www.example.org:8443",
				.max_page = 100,
				.throttle_window_s = 60,
			},
		.options =
			{
				.contents = 60,
				.categories = 12,
				.category_depth = 3,
				.size_min = 100,
				.size_max = 4000,
				.answer_attribute = "ANSWER_TEXT",
			},
		.address = 1,
	};
	sim->state = inbenta;
	sim->settings.token_life_s = 1200;
	return 0;
}

static int inbenta_fill(struct sim *sim)
{
	struct inbenta *inbenta = inbenta_of(sim);

	if (inbenta->options.size_min > inbenta->options.size_max)
		return -EINVAL;
	int r = kb_init(&inbenta->kb, &inbenta->options, sim->seed);
	if (r)
		return r;
	return sim->demo ? kb_demo(&inbenta->kb) : kb_generate(&inbenta->kb);
}

static void inbenta_stop(struct sim *sim)
{
	if (!sim->state)
		return;
	kb_fini(&inbenta_of(sim)->kb);
	free(sim->state);
	sim->state = NULL;
}

static void inbenta_truth(struct sim *sim, struct buf *out)
{
	kb_render_truth(&inbenta_of(sim)->kb, inbenta_of(sim)->settings.ids, out);
}

const struct vendor vendor_inbenta = {
	.name = "inbenta",
	.routes = inbenta_routes,
	.secrets = inbenta_secrets,
	.error_type = "application/json",
	.wrong_types = inbenta_wrong_types,
	.options = inbenta_options,
	.settings = inbenta_settings,
	.settings_size = sizeof(struct inbenta_settings),
	.controls = inbenta_controls,
	.changes = kb_changes,
	.start = inbenta_start,
	.fill = inbenta_fill,
	.stop = inbenta_stop,
	.answer = gate_answer,
	.problem = gate_problem,
	.truth = inbenta_truth,
};
