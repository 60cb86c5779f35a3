/* test_json_members.c: an object's members, and what they are as strings, ids and numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json_fixture.h"

static void test_get(void **state)
{
	char *copy;
	struct json value;

	(void)state;
	const char *text =
		"{\"b\":{\"a\":0},\"a\":1,\"A\":2,\"a\":3,\"\":4,\"\\u0061b\":5,\"a\\u0000\":6}";
	struct json object = parse(text, strlen(text), &copy);
	static const struct {
		const char *key;
		char expected;
	} table[] = {{"a", '1'}, {"A", '2'}, {"", '4'}, {"ab", '5'}};
	for (size_t i = 0; i < COUNT(table); i++) {
		assert_int_equal(json_get(object, table[i].key, &value), 0);
		assert_int_equal(value.len, 1);
		assert_int_equal(value.text[0], table[i].expected);
	}
	assert_int_equal(json_get(object, "c", &value), -ENOENT);
	assert_int_equal(json_get(object, "abc", &value), -ENOENT);
	assert_int_equal(json_get(value, "a", &value), -ENOENT);
	assert_int_equal(value.text[0], '5');
	free(copy);
}

static void test_get_members(void **state)
{
	static const char *const keys[] = {"id", "absent", "null", "ab", "last", "no"};
	static const char *const expected[] = {"\"first\"", NULL, "null", "5", "[ 1 ]", NULL};
	const char *text = "{\"null\":null, \"id\":\"first\",\"x\":{\"no\":1,\"last\":2},"
			   "\"\\u0061b\":5,\"id\":\"second\",\"last\":[ 1 ]}";
	struct json values[COUNT(keys)];
	char *copy;

	(void)state;
	json_get_members(parse(text, strlen(text), &copy), keys, COUNT(keys), values);
	for (size_t i = 0; i < COUNT(keys); i++) {
		if (!expected[i]) {
			assert_null(values[i].text);
			continue;
		}
		assert_int_equal(values[i].len, strlen(expected[i]));
		assert_memory_equal(values[i].text, expected[i], values[i].len);
	}
	free(copy);
	json_get_members(parse("[\"id\"]", 6, &copy), keys, 1, values);
	assert_null(values[0].text);
	free(copy);
}

/* As json_next and json_get_members of the value would have it, wherever the walk for members
 * stops.
 */
static void test_next_members(void **state)
{
	static const char *const keys[] = {"id", "list"};
	static const char *const texts[] = {
		"[]",
		" [ ] ",
		"[{}]",
		"[{\"id\":1,\"list\":[{\"id\":2}]} , { \"list\" : [ ] , \"id\" : \"a]}\\\"\" }]",
		"[{\"id\":1,\"list\":2,\"more\":{\"a\":[[{}],\"}\"]}},{\"x\":{\"id\":1},\"y\":[]}]",
		"[1, \"id\", null,[{\"id\":1}],{\"list\":[1,2]},[], {\"id\":{\"id\":{}}}]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		char *copy;
		struct json list = parse(texts[i], strlen(texts[i]), &copy);
		struct json_iter one = json_iterate(list);
		struct json_iter both = json_iterate(list);
		struct json expected[COUNT(keys)];
		struct json values[COUNT(keys)];
		while (json_next(&one)) {
			json_get_members(one.value, keys, COUNT(keys), expected);
			assert_true(json_next_members(&both, keys, COUNT(keys), values));
			assert_ptr_equal(both.value.text, one.value.text);
			assert_int_equal(both.value.len, one.value.len);
			for (size_t k = 0; k < COUNT(keys); k++) {
				assert_ptr_equal(values[k].text, expected[k].text);
				assert_int_equal(values[k].len, expected[k].len);
			}
		}
		assert_false(json_next_members(&both, keys, COUNT(keys), values));
		assert_null(values[0].text);
		free(copy);
	}
}

static const char members[] =
	"{\"s\":\"x\\u00e5\",\"empty\":\"\",\"null\":null,\"true\":true,\"zero\":0,\"minus\":-0,"
	"\"big\":12345678901234567890,\"max\":9223372036854775807,\"min\":-9223372036854775808,"
	"\"over\":9223372036854775808,\"under\":-9223372036854775809,\"part\":1.5,\"exp\":1E400,"
	"\"list\":[1],\"object\":{}}";

static void test_get_string_and_id(void **state)
{
	static const struct {
		const char *key;
		int string_error;
		const char *string;
		int id_error;
		const char *id;
	} table[] = {
		{"s", 0, "xå", 0, "xå"},
		{"empty", 0, "", 0, ""},
		{"null", -ENOENT, "", -ENOENT, ""},
		{"absent", -ENOENT, "", -ENOENT, ""},
		{"true", -EBADMSG, "", -EBADMSG, ""},
		{"zero", -EBADMSG, "", 0, "0"},
		{"big", -EBADMSG, "", 0, "12345678901234567890"},
		{"min", -EBADMSG, "", 0, "-9223372036854775808"},
		{"part", -EBADMSG, "", -EBADMSG, ""},
		{"exp", -EBADMSG, "", -EBADMSG, ""},
		{"list", -EBADMSG, "", -EBADMSG, ""},
		{"object", -EBADMSG, "", -EBADMSG, ""},
	};
	char *copy;

	(void)state;
	struct json object = parse(members, sizeof(members) - 1, &copy);
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf out = BUF_INIT(BYTES_MAX);
		assert_int_equal(json_get_string(object, table[i].key, &out),
				 table[i].string_error);
		assert_string_equal(buf_str(&out), table[i].string);
		buf_reset(&out);
		struct json member;
		json_get_members(object, &table[i].key, 1, &member);
		assert_int_equal(json_read_id(member, &out), table[i].id_error);
		assert_string_equal(buf_str(&out), table[i].id);
		buf_reset(&out);
	}
	free(copy);
}

static void test_get_int(void **state)
{
	static const struct {
		const char *key;
		int error;
		int64_t number;
	} table[] = {
		{"zero", 0, 0},	       {"minus", 0, 0},	       {"max", 0, INT64_MAX},
		{"min", 0, INT64_MIN}, {"over", -EBADMSG, 7},  {"under", -EBADMSG, 7},
		{"big", -EBADMSG, 7},  {"part", -EBADMSG, 7},  {"exp", -EBADMSG, 7},
		{"s", -EBADMSG, 7},    {"true", -EBADMSG, 7},  {"list", -EBADMSG, 7},
		{"null", -ENOENT, 7},  {"absent", -ENOENT, 7},
	};
	char *copy;

	(void)state;
	struct json object = parse(members, sizeof(members) - 1, &copy);
	for (size_t i = 0; i < COUNT(table); i++) {
		int64_t number = 7;
		assert_int_equal(json_get_int(object, table[i].key, &number), table[i].error);
		assert_true(number == table[i].number);
	}
	free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),	     cmocka_unit_test(test_get_members),
		cmocka_unit_test(test_next_members), cmocka_unit_test(test_get_string_and_id),
		cmocka_unit_test(test_get_int),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
