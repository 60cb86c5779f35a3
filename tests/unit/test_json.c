/* test_json.c: the grammar, walking, what strings mean, and that re-indenting changes white space
 * alone. Every text is parsed from an allocation of its exact size, so that the sanitizer sees a
 * read past its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json_fixture.h"

#define ROUNDS 3000

static uint64_t random_state;

static unsigned random_below(unsigned bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % bound;
}

static const char *random_of(const char *const *choices, size_t count)
{
	return choices[random_below((unsigned)count)];
}

static void random_space(struct buf *out)
{
	static const char *const spaces[] = {"", "", "", " ", "\n", "\t\r\n  "};
	buf_append_str(out, random_of(spaces, COUNT(spaces)));
}

static void random_string(struct buf *out)
{
	/* clang-format off */
	static const char *const pieces[] = {
		"a", "name", " ", "{", "}", "[", "]", ",", ":", "\\n", "\\\"", "\\/", "\\\\", "å",
		"日本", "\\u0000", "\\ud800", "\\ud83d\\ude00", "\xFF", "\xF0\x9F", "\x7F",
		"long enough for more than one word",
	};
	/* clang-format on */
	buf_append_str(out, "\"");
	for (unsigned left = random_below(5); left > 0; left--)
		buf_append_str(out, random_of(pieces, COUNT(pieces)));
	buf_append_str(out, "\"");
}

static void random_value(struct buf *out, unsigned depth)
{
	static const char *const scalars[] = {
		"12345678901234567890", "1E400", "-0", "0.10", "true", "false", "null", "1e-7"};
	unsigned choice = random_below(depth > 0 ? 6 : 3);

	random_space(out);
	if (choice == 0) {
		buf_append_str(out, random_of(scalars, COUNT(scalars)));
	} else if (choice < 3) {
		random_string(out);
	} else {
		bool is_object = choice < 5;
		buf_append_str(out, is_object ? "{" : "[");
		random_space(out);
		for (unsigned i = 0, count = random_below(5); i < count; i++) {
			if (i > 0)
				buf_append_str(out, ",");
			if (is_object) {
				random_space(out);
				random_string(out);
				random_space(out);
				buf_append_str(out, ":");
			}
			random_value(out, depth - 1);
		}
		buf_append_str(out, is_object ? "}" : "]");
	}
	random_space(out);
}

/* Leaves out the white space between tokens. Written without the module under test. */
static void strip(const char *text, size_t len, struct buf *out)
{
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (!in_string && strchr(" \t\r\n", text[i]))
			continue;
		buf_append(out, &text[i], 1);
		if (in_string && text[i] == '\\')
			buf_append(out, &text[++i], 1);
		else if (text[i] == '"')
			in_string = !in_string;
	}
}

/* ---- json_parse. ---- */

/* clang-format off */
static const char *const valid_texts[] = {
	"null", "true", "false", "0", "-0", "-1.5e+10", "1E400", "12345678901234567890", "0.0e-0",
	"\"\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u12aF\"", "\"\x7F\"", "\"\xFF\xED\xA0\x80\"",
	"\"\\ud800\"", "[]", "[ ]", "{}", "{ }", "[1,2]", "[[],{}]", "{\"a\":1,\"a\":2}",
	"{\"\":[{}]}", " \t\r\n[ 1 , \"x\" , { \"a\" : null } ] \n", "\xEF\xBB\xBF{}",
	"\xEF\xBB\xBF 1", "\"seven..\"", "\"eight...\"", "\"nine....\\\\\"",
};

static const char *const invalid_texts[] = {
	"", " ", "\xEF\xBB\xBF", "\xEF\xBB\xBF\xEF\xBB\xBF{}", "\xFF\xFE{", "nul", "nulll", "True",
	"tru", "NaN", "Infinity", "-", "+1", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "0x10",
	"1 2", "[", "]", "{", "}", "[}", "{]", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1", "[1,",
	"[\"a\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\" 1}", "{a:1}", "{1:1}",
	"{'a':1}", "{\"a\":1", "{\"a\":1 \"b\":2}", "{\"a\"", "{\"a\":", "[]]", "{}}", "{}x",
	"[]//", "/**/1", "\"", "\"a", "\"\\", "\"\\\"", "\"\\x\"", "\"\\u\"", "\"\\u12\"",
	"\"\\u12G4\"", "\"\\u123", "\"\\U0041\"", "\"\n\"", "\"\x01\"", "\"12345678\x1F\"",
	"\"123\x1Fwxyz\"", "\"\t\"", "'a'", "\f1", "\v1", "<html>",
};
/* clang-format on */

static void test_parse_valid(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(valid_texts); i++) {
		char *copy;
		parse(valid_texts[i], strlen(valid_texts[i]), &copy);
		free(copy);
	}
}

static void test_parse_invalid(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(invalid_texts); i++) {
		size_t len = strlen(invalid_texts[i]);
		char *copy = copy_exact(invalid_texts[i], len);
		struct json value = {.text = "untouched"};
		if (json_parse(copy, len, &value) != -EBADMSG)
			fail_msg("accepted: %s", invalid_texts[i]);
		assert_string_equal(value.text, "untouched");
		free(copy);
	}
}

static void test_parse_nul_bytes(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} table[] = {{"\0", 1},	    {"1\0", 2},	     {"[\0]", 3},
		     {"\"\0\"", 3}, {"\"\\\0\"", 4}, {"{}\0", 3}};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct json value;
		assert_int_equal(json_parse(table[i].text, table[i].len, &value), -EBADMSG);
	}
}

static void test_parse_span(void **state)
{
	char *copy;

	(void)state;
	struct json value = parse("\xEF\xBB\xBF \n[1, 2] \n", 13, &copy);
	assert_int_equal(value.len, 6);
	assert_memory_equal(value.text, "[1, 2]", 6);
	free(copy);
}

static void test_parse_depth(void **state)
{
	struct json value;

	(void)state;
	for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
		struct buf text = BUF_INIT(BYTES_MAX);
		for (int i = 0; i < depth; i++)
			buf_append_str(&text, i % 2 ? "{\"a\":" : "[");
		buf_append_str(&text, "1");
		for (int i = depth - 1; i >= 0; i--)
			buf_append_str(&text, i % 2 ? "}" : "]");
		int expected = depth <= JSON_DEPTH_MAX ? 0 : -EBADMSG;
		assert_int_equal(json_parse(text.data, text.len, &value), expected);
		if (expected == 0) {
			struct buf out = BUF_INIT(BYTES_MAX);
			assert_int_equal(json_indent(value, &out), 0);
			buf_reset(&out);
		}
		buf_reset(&text);
	}

	/* Refused at the bound, not where the stack ends. */
	char *brackets = malloc(10000000);
	assert_non_null(brackets);
	memset(brackets, '[', 10000000);
	assert_int_equal(json_parse(brackets, 10000000, &value), -EBADMSG);
	free(brackets);
}

/* ---- Walking. ---- */

static void test_types(void **state)
{
	static const struct {
		const char *text;
		enum json_type type;
	} table[] = {
		{"null", JSON_NULL}, {"true", JSON_BOOL}, {"false", JSON_BOOL},
		{"0", JSON_NUMBER},  {"-1", JSON_NUMBER}, {"\"\"", JSON_STRING},
		{"[]", JSON_ARRAY},  {"{}", JSON_OBJECT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char *copy;
		struct json value = parse(table[i].text, strlen(table[i].text), &copy);
		assert_int_equal(json_type(value), table[i].type);
		free(copy);
	}
}

static void test_iterate(void **state)
{
	/* Keys are shown before '=', elements apart by '|'. */
	static const struct {
		const char *text;
		const char *expected;
	} table[] = {
		{"[]", ""},
		{"[ \n ]", ""},
		{"{ }", ""},
		{"1", ""},
		{"null", ""},
		{"\"[1,2]\"", ""},
		{"[1]", "1|"},
		{"[ 1 , -2.5e3 ,true , null]", "1|-2.5e3|true|null|"},
		{"[\"a\",\"b:c\"]", "\"a\"|\"b:c\"|"},
		{"[[],[1,[2]],{\"a\":\"]\"}]", "[]|[1,[2]]|{\"a\":\"]\"}|"},
		{"{\"a\":1,\"b\" : [ 2 ] , \"a\":{}}", "\"a\"=1|\"b\"=[ 2 ]|\"a\"={}|"},
		{"{\"\\\"\":\"\\\\\",\"x\":\"}\"}", "\"\\\"\"=\"\\\\\"|\"x\"=\"}\"|"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf seen = BUF_INIT(BYTES_MAX);
		char *copy;
		struct json value = parse(table[i].text, strlen(table[i].text), &copy);
		struct json_iter iter = json_iterate(value);
		while (json_next(&iter)) {
			if (json_type(value) == JSON_OBJECT) {
				buf_append(&seen, iter.key.text, iter.key.len);
				buf_append_str(&seen, "=");
			} else {
				assert_null(iter.key.text);
			}
			buf_append(&seen, iter.value.text, iter.value.len);
			buf_append_str(&seen, "|");
		}
		assert_false(json_next(&iter));
		assert_string_equal(buf_str(&seen), table[i].expected);
		buf_reset(&seen);
		free(copy);
	}
}

/* Would take minutes if a step began at the start again. */
static void test_iterate_long(void **state)
{
	struct buf text = BUF_INIT(BYTES_MAX);
	struct buf id = BUF_INIT(BYTES_MAX);
	char *copy;
	size_t count = 0;

	(void)state;
	buf_append_str(&text, "[");
	for (int i = 0; i < 100000; i++)
		buf_printf(&text, "%s{\"x\":[{}],\"id\":%d}", i ? "," : "", i);
	buf_append_str(&text, "]");
	struct json value = parse(text.data, text.len, &copy);
	struct json_iter iter = json_iterate(value);
	for (; json_next(&iter); count++) {
		int64_t number;
		assert_int_equal(json_get_int(iter.value, "id", &number), 0);
		assert_int_equal(number, count);
	}
	assert_int_equal(count, 100000);
	assert_int_equal(json_indent(value, &id), 0);
	buf_reset(&id);
	buf_reset(&text);
	free(copy);
}

/* ---- Strings. ---- */

#define S(literal) literal, sizeof(literal) - 1
#define BAD	   "\xEF\xBF\xBD" /* U+FFFD */

static const struct {
	const char *text;
	size_t text_len;
	const char *expected;
	size_t expected_len;
} strings[] = {
	{S("\"\""), S("")},
	{S("\"plain\""), S("plain")},
	{S("\"Kv. Björken 日本 😀\""), S("Kv. Björken 日本 😀")},
	{S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), S("\"\\/\b\f\n\r\t")},
	{S("\"\\u0041\\u00e5\\u65E5\\uFFFF\""), S("Aå日\xEF\xBF\xBF")},
	{S("\"a\\u0000b\""), S("a\0b")},
	{S("\"\\ud83d\\ude00\""), S("😀")},
	{S("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), S("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
	{S("\"\\ud83d\""), S(BAD)},
	{S("\"\\ude00x\""), S(BAD "x")},
	{S("\"\\ud83d\\ud83d\\ude00\""), S(BAD "😀")},
	{S("\"\\ud83d\\u0041\""), S(BAD "A")},
	{S("\"\\ud83d\\n\""), S(BAD "\n")},
	{S("\"\\ud83d\\\\ude00\""), S(BAD "\\ude00")},
	{S("\"\\ude00\\ud83d\""), S(BAD BAD)},
	{S("\"\\ude00\\ude00\""), S(BAD BAD)},
	/* Not UTF-8: a lone continuation, overlong, surrogate, past U+10FFFF, cut off. */
	{S("\"a\x80z\""), S("a" BAD "z")},
	{S("\"\xC0\xAF\""), S(BAD BAD)},
	{S("\"\xC1\xBF\""), S(BAD BAD)},
	{S("\"\xE0\x80\xAF\""), S(BAD BAD BAD)},
	{S("\"\xE0\x9F\xBF\""), S(BAD BAD BAD)},
	{S("\"\xED\xA0\x80\""), S(BAD BAD BAD)},
	{S("\"\xED\x9F\xBF\xEE\x80\x80\""), S("\xED\x9F\xBF\xEE\x80\x80")},
	{S("\"\xF0\x8F\xBF\xBF\""), S(BAD BAD BAD BAD)},
	{S("\"\xF4\x90\x80\x80\""), S(BAD BAD BAD BAD)},
	{S("\"\xF5\x80\x80\x80\""), S(BAD BAD BAD BAD)},
	{S("\"\xFF\xFE\""), S(BAD BAD)},
	{S("\"\xC3\""), S(BAD)},
	{S("\"\xE6\x97\""), S(BAD)},
	{S("\"\xF0\x9F\x98\""), S(BAD)},
	{S("\"\xF0\x9F\x98z\""), S(BAD "z")},
	{S("\"\xC3\\u00e5\""), S(BAD "å")},
	{S("\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""),
	 S("\xC2\x80\xDF\xBF\xE0\xA0\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
};

static void test_string_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(strings); i++) {
		struct buf out = BUF_INIT(BYTES_MAX);
		char *copy;
		struct json value = parse(strings[i].text, strings[i].text_len, &copy);
		assert_int_equal(json_string_decode(value, &out), 0);
		assert_buf(&out, strings[i].expected, strings[i].expected_len);
		if (!memchr(strings[i].expected, '\0', strings[i].expected_len))
			assert_true(json_string_equals(value, strings[i].expected));
		assert_false(json_string_equals(value, "plai"));
		assert_false(json_string_equals(value, "plain "));
		buf_reset(&out);
		free(copy);
	}
}

/* Every place in a word at which a run may end. */
static void test_string_runs(void **state)
{
	static const char *const ends[] = {"\\n", "\\u00e5", "å", "\x80"};
	static const char *const meanings[] = {"\n", "å", "å", BAD};

	(void)state;
	for (size_t end = 0; end < COUNT(ends); end++) {
		for (int before = 0; before < 20; before++) {
			struct buf text = BUF_INIT(BYTES_MAX);
			struct buf expected = BUF_INIT(BYTES_MAX);
			struct buf out = BUF_INIT(BYTES_MAX);
			char *copy;
			buf_printf(&text, "\"%.*s%sx\"", before, "abcdefghijklmnopqrstuvwxyz",
				   ends[end]);
			buf_printf(&expected, "%.*s%sx", before, "abcdefghijklmnopqrstuvwxyz",
				   meanings[end]);
			struct json value = parse(text.data, text.len, &copy);
			assert_int_equal(json_string_decode(value, &out), 0);
			assert_buf(&out, expected.data, expected.len);
			buf_reset(&text);
			buf_reset(&expected);
			buf_reset(&out);
			free(copy);
		}
	}
}

static void test_string_errors(void **state)
{
	struct buf out = BUF_INIT(3);
	char *copy;

	(void)state;
	struct json number = parse("12", 2, &copy);
	assert_int_equal(json_string_decode(number, &out), -EBADMSG);
	assert_false(json_string_equals(number, "12"));
	free(copy);
	struct json string = parse("\"four\"", 6, &copy);
	assert_int_equal(json_string_decode(string, &out), -EFBIG);
	free(copy);
}

/* ---- json_indent. ---- */

static void test_indent_table(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} table[] = {
		{"1", "1\n"},
		{" \"a  b\" ", "\"a  b\"\n"},
		{"{}", "{}\n"},
		{"[ ]", "[]\n"},
		{"[1,2 ,\"x\"]", "[1, 2, \"x\"]\n"},
		{"{\"a\":1,\"b\":null}", "{\"a\": 1, \"b\": null}\n"},
		{"{\"a\":\"{[,:]}\"}", "{\"a\": \"{[,:]}\"}\n"},
		{"[[]]", "[\n  []\n]\n"},
		{"[{},1]", "[\n  {},\n  1\n]\n"},
		{"[[1,2],[3,[4]]]", "[\n  [1, 2],\n  [\n    3,\n    [4]\n  ]\n]\n"},
		{"[12345678901234567890,1E400,-0,1.0,1e-7,0.10]",
		 "[12345678901234567890, 1E400, -0, 1.0, 1e-7, 0.10]\n"},
		{"[\"\\u00e5\\/\\ud800\xFF\"]", "[\"\\u00e5\\/\\ud800\xFF\"]\n"},
		{"{\"id\":\"1\",\"metadata\":[{\"metadataElementId\":\"GLOBAL_Status\",\"valueId\":"
		 "\"Archived\"},{\"metadataElementId\":\"x\",\"valueId\":null}],\"id\":2}",
		 "{\n"
		 "  \"id\": \"1\",\n"
		 "  \"metadata\": [\n"
		 "    {\"metadataElementId\": \"GLOBAL_Status\", \"valueId\": \"Archived\"},\n"
		 "    {\"metadataElementId\": \"x\", \"valueId\": null}\n"
		 "  ],\n"
		 "  \"id\": 2\n"
		 "}\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf out = BUF_INIT(BYTES_MAX);
		char *copy;
		struct json value = parse(table[i].text, strlen(table[i].text), &copy);
		assert_int_equal(json_indent(value, &out), 0);
		assert_string_equal(buf_str(&out), table[i].expected);
		buf_reset(&out);
		free(copy);
	}
}

static void test_indent_bound(void **state)
{
	struct buf out = BUF_INIT(10);
	char *copy;

	(void)state;
	struct json value = parse("[1,2,3]", 7, &copy);
	assert_int_equal(json_indent(value, &out), 0); /* ten bytes */
	assert_string_equal(out.data, "[1, 2, 3]\n");
	assert_int_equal(json_indent(value, &out), -EFBIG);
	free(copy);
}

/* White space is all that changes, and indenting again changes nothing. */
static void check_indent(const char *text, size_t len)
{
	struct buf once = BUF_INIT(BYTES_MAX);
	struct buf twice = BUF_INIT(BYTES_MAX);
	struct buf before = BUF_INIT(BYTES_MAX);
	struct buf after = BUF_INIT(BYTES_MAX);
	char *copies[2];

	assert_int_equal(json_indent(parse(text, len, &copies[0]), &once), 0);
	assert_int_equal(json_indent(parse(once.data, once.len, &copies[1]), &twice), 0);
	assert_buf(&twice, once.data, once.len);
	strip(text, len, &before);
	strip(once.data, once.len, &after);
	assert_buf(&after, before.data, before.len);
	buf_reset(&once);
	buf_reset(&twice);
	buf_reset(&before);
	buf_reset(&after);
	free(copies[0]);
	free(copies[1]);
}

static void test_indent_property(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < ROUNDS; seed++) {
		struct buf text = BUF_INIT(BYTES_MAX);
		random_state = seed;
		random_value(&text, 5);
		check_indent(text.data, text.len);
		buf_reset(&text);
	}
}

/* ---- Anything at all. ---- */

static void walk_all(struct json value)
{
	struct buf out = BUF_INIT(BYTES_MAX);
	struct json found;
	struct json_iter iter = json_iterate(value);

	while (json_next(&iter)) {
		buf_reset(&out);
		if (iter.key.text)
			assert_int_equal(json_string_decode(iter.key, &out), 0);
		walk_all(iter.value);
	}
	json_string_decode(value, &out);
	json_get(value, "name", &found);
	buf_reset(&out);
}

/* Damaged texts are refused or hold: nothing reads past their end. */
static void test_damaged(void **state)
{
	static const char bytes[] = "\"\\{}[]:,x0-eu \x80\xE5\x01";
	unsigned accepted = 0;

	(void)state;
	for (unsigned seed = 0; seed < ROUNDS; seed++) {
		struct buf text = BUF_INIT(BYTES_MAX);
		struct json value;

		random_state = seed;
		random_value(&text, 4);
		size_t len = text.len;
		for (unsigned left = random_below(3); left > 0; left--)
			text.data[random_below((unsigned)len)] = bytes[random_below(sizeof(bytes))];
		if (random_below(3) == 0)
			len = random_below((unsigned)len + 1);
		char *copy = copy_exact(text.data, len);
		if (json_parse(copy, len, &value) == 0) {
			accepted++;
			walk_all(value);
			check_indent(copy, len);
		}
		free(copy);
		buf_reset(&text);
	}
	assert_in_range(accepted, ROUNDS / 10, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_valid),	cmocka_unit_test(test_parse_invalid),
		cmocka_unit_test(test_parse_nul_bytes), cmocka_unit_test(test_parse_span),
		cmocka_unit_test(test_parse_depth),	cmocka_unit_test(test_types),
		cmocka_unit_test(test_iterate),		cmocka_unit_test(test_iterate_long),
		cmocka_unit_test(test_string_decode),	cmocka_unit_test(test_string_runs),
		cmocka_unit_test(test_string_errors),	cmocka_unit_test(test_indent_table),
		cmocka_unit_test(test_indent_bound),	cmocka_unit_test(test_indent_property),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
