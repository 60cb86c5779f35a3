/* See change.h. */
#include "change.h"
#include "text.h"
#include "vendor.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

const char *change_string(const struct change *change, const char *member)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(change->json, member));
}

int change_literal(const struct change *change, const char *member, const char *raw_member,
		   struct buf *literal)
{
	const char *plain = change_string(change, member);
	const char *raw = change_string(change, raw_member);
	struct buf decoded = {0};
	int r = 0;

	if (raw) {
		r = text_decode_literal(raw, &decoded);
		buf_free(&decoded);
		buf_add_str(literal, raw);
	} else if (plain) {
		text_add_literal(literal, plain, strlen(plain));
	}
	return r ? r : literal->failed ? -ENOMEM : 0;
}

int change_apply(struct sim *sim, const struct cJSON *json, struct buf *ret_object)
{
	struct change change = {.sim = sim, .json = json, .object = ret_object};
	const char *op = change_string(&change, "op");
	const struct change_op *known = sim->vendor->changes;
	struct buf literal = {0};
	int r = change_literal(&change, "name", "name_raw", &literal);

	change.name_json = literal.data;
	while (op && known->op && strcmp(known->op, op))
		known++;
	if (!r)
		r = op && known->op ? known->apply(&change) : -EINVAL;
	if (!r && !ret_object->len)
		buf_add_str(ret_object, "null");
	buf_free(&literal);
	return r;
}
