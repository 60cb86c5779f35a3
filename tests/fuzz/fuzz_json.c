/* fuzz_json.c: reading and re-indenting JSON. What is indented means the same, byte for byte but
 * for white space; and cJSON, where it accepts the text too, reads the same values. */
#include "fuzz.h"
#include "json.h"
#include "utf8.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>

/* cJSON copies a number into 64 bytes, and takes what follows for something else. */
#define CJSON_NUMBER_MAX 63
/* Members of an object that are looked up by name: each costs a walk. */
#define LOOKUPS_MAX 8
#define TEXT_MAX    (1 << 20)

/* The text without white space between tokens. */
static struct buf stripped(struct json value)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	bool quoted = false;

	for (size_t i = 0; i < value.len; i++) {
		char c = value.text[i];

		if (c == '"')
			quoted = !quoted;
		if (quoted || !memchr(" \t\r\n", c, 4))
			CHECK(buf_append(&out, &c, 1) == 0);
		if (quoted && c == '\\')
			CHECK(buf_append(&out, &value.text[++i], 1) == 0);
	}
	return out;
}

/* What is read back from the indented text. */
static void check_same(struct json left, struct json right)
{
	struct json_iter in_left = json_iterate(left);
	struct json_iter in_right = json_iterate(right);

	CHECK(json_type(left) == json_type(right));
	if (json_type(left) != JSON_ARRAY && json_type(left) != JSON_OBJECT) {
		CHECK(left.len == right.len && memcmp(left.text, right.text, left.len) == 0);
		return;
	}
	while (json_next(&in_left)) {
		CHECK(json_next(&in_right));
		CHECK((json_type(left) == JSON_OBJECT) == (in_left.key.text != NULL));
		if (in_left.key.text)
			check_same(in_left.key, in_right.key);
		check_same(in_left.value, in_right.value);
	}
	CHECK(!json_next(&in_right));
}

static void check_indent(struct json value)
{
	struct buf once = BUF_INIT(TEXT_MAX);
	struct buf twice = BUF_INIT(TEXT_MAX);
	struct buf bare = stripped(value);
	struct buf bare_once;
	struct json again;

	CHECK(json_indent(value, &once) == 0);
	CHECK(once.data[once.len] == '\0' && once.data[once.len - 1] == '\n');
	CHECK(json_parse(once.data, once.len, &again) == 0);
	CHECK(again.text == once.data && again.len == once.len - 1);
	check_same(value, again);
	bare_once = stripped(again);
	CHECK(bare.len == bare_once.len && memcmp(bare.data, bare_once.data, bare.len) == 0);
	CHECK(json_indent(again, &twice) == 0);
	CHECK(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
	buf_reset(&once);
	buf_reset(&twice);
	buf_reset(&bare);
	buf_reset(&bare_once);
}

static struct buf decoded(struct json string)
{
	struct buf out = BUF_INIT(TEXT_MAX);

	CHECK(json_string_decode(string, &out) == 0);
	if (out.len == strlen(buf_str(&out)))
		CHECK(json_string_equals(string, buf_str(&out)));
	return out;
}

/* cJSON leaves bad UTF-8 alone. */
static bool is_comparable(struct json string)
{
	const char *end = string.text + string.len;
	bool valid = true;

	for (const char *at = string.text; valid && at < end;)
		at += utf8_length(at, end, &valid);
	return valid;
}

/* Its strings end at the first NUL: so far both are compared. */
static void check_string(struct json string, const char *other)
{
	struct buf text = decoded(string);

	for (size_t i = 0; i < string.len; i++)
		CHECK((unsigned char)string.text[i] >= ' ');
	if (is_comparable(string))
		CHECK(strcmp(buf_str(&text), other) == 0);
	buf_reset(&text);
}

static void check_number(struct json number, double other)
{
	char *copy = piece_copy((struct piece){number.text, number.len});
	const char *digits = copy + (*copy == '-');
	double ours = strtod(copy, NULL);
	int64_t integer;
	char *end;
	long long expected;

	/* cJSON takes more than the grammar has. */
	CHECK(isdigit((unsigned char)digits[0]));
	CHECK(digits[0] != '0' || !isdigit((unsigned char)digits[1]));
	CHECK(isdigit((unsigned char)copy[number.len - 1]));
	CHECK(ours == other || (isinf(ours) && isinf(other)));
	errno = 0;
	expected = strtoll(copy, &end, 10);
	if (*end == '\0' && errno == 0)
		CHECK(json_read_int(number, &integer) == 0 && integer == expected);
	else
		CHECK(json_read_int(number, &integer) == -EBADMSG);
	free(copy);
}

/* The first member of a name counts. */
static void check_lookup(struct json object, const cJSON *other)
{
	struct json_iter iter = json_iterate(object);

	for (int looked = 0; looked < LOOKUPS_MAX && json_next(&iter); looked++) {
		struct buf key = decoded(iter.key);
		struct json found;
		const cJSON *item = other->child;
		struct json_iter before = json_iterate(object);

		if (strlen(buf_str(&key)) == key.len) {
			CHECK(json_get(object, buf_str(&key), &found) == 0);
			while (json_next(&before) && before.value.text != found.text)
				item = item->next;
			CHECK(item);
			if (is_comparable(iter.key) && is_comparable(before.key))
				CHECK(strcmp(item->string, buf_str(&key)) == 0);
		}
		buf_reset(&key);
	}
}

static void check_with(struct json value, const cJSON *other)
{
	struct json_iter iter = json_iterate(value);
	const cJSON *item = other->child;

	switch (json_type(value)) {
	case JSON_NULL:
		CHECK(cJSON_IsNull(other));
		break;
	case JSON_BOOL:
		CHECK(value.text[0] == 't' ? cJSON_IsTrue(other) : cJSON_IsFalse(other));
		break;
	case JSON_NUMBER:
		CHECK(cJSON_IsNumber(other));
		check_number(value, other->valuedouble);
		break;
	case JSON_STRING:
		CHECK(cJSON_IsString(other));
		check_string(value, other->valuestring);
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		CHECK(json_type(value) == JSON_ARRAY ? cJSON_IsArray(other)
						     : cJSON_IsObject(other));
		for (; json_next(&iter); item = item->next) {
			CHECK(item);
			if (iter.key.text)
				check_string(iter.key, item->string);
			check_with(iter.value, item);
		}
		CHECK(!item);
		if (json_type(value) == JSON_OBJECT)
			check_lookup(value, other);
	}
}

/* What we take and cJSON does not. */
static bool is_beyond_cjson(struct json value)
{
	struct json_iter iter = json_iterate(value);
	bool beyond = false;

	if (json_type(value) == JSON_NUMBER)
		return value.len > CJSON_NUMBER_MAX;
	if (json_type(value) == JSON_STRING) /* a lone surrogate */
		return memmem(value.text, value.len, "\\ud", 3) ||
		       memmem(value.text, value.len, "\\uD", 3);
	while (!beyond && json_next(&iter))
		beyond =
			(iter.key.text && is_beyond_cjson(iter.key)) || is_beyond_cjson(iter.value);
	return beyond;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json value;
	cJSON *other;

	if (json_parse((const char *)data, size, &value))
		return 0;
	check_indent(value);
	other = cJSON_ParseWithLength(value.text, value.len);
	if (other)
		check_with(value, other);
	else
		CHECK(is_beyond_cjson(value));
	cJSON_Delete(other);
	return 0;
}
