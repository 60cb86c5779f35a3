/* test_query.c: the grammar of queries, by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT(arr) (sizeof(arr) / sizeof((arr)[0]))

/* As "text|key=value|key=value", each part in brackets: none is confused with another. */
static void show(const struct query *query, char *out, size_t size)
{
	size_t len = 0;

	if (query->text)
		len += (size_t)snprintf(out, size, "[%s]", query->bytes + query->text);
	for (size_t i = 0; i < query->filter_count; i++)
		len += (size_t)snprintf(out + len, size - len, "{[%s][%s]}",
					query->bytes + query->filters[i].key,
					query->bytes + query->filters[i].value);
	assert_true(len > 0 && len < size);
}

static void test_queries(void **state)
{
	static const struct {
		const char *typed;
		const char *shown;
	} table[] = {
		{"brandskydd", "[brandskydd]"},
		{"a b", "[a b]"},
		{" ", "[ ]"},
		{"GLOBAL_Status=Archived", "{[GLOBAL_Status][Archived]}"},
		{"GLOBAL_Status=Archived,relation", "[relation]{[GLOBAL_Status][Archived]}"},
		{"relation,GLOBAL_Status=Archived", "[relation]{[GLOBAL_Status][Archived]}"},
		{"a=1,b=2,text,c=3", "[text]{[a][1]}{[b][2]}{[c][3]}"},
		{"a=1,a=1", "{[a][1]}{[a][1]}"},
		{" a = 1 , t ", "[ t ]{[ a ][ 1 ]}"},
		/* The first "=" alone divides. */
		{"a=b=c", "{[a][b=c]}"},
		{"a==", "{[a][=]}"},
		/* Escapes: what they stand for divides nothing. */
		{"a%2Cb", "[a,b]"},
		{"a%2cb%2C", "[a,b,]"},
		{"a%3Db", "[a=b]"},
		{"a%3db=c%3Dd", "{[a=b][c=d]}"},
		{"%2C=%2C", "{[,][,]}"},
		{"100%25", "[100%]"},
		{"%2525", "[%25]"},
		{"a%2Fb", "[a/b]"},
		{"%2Egit", "[.git]"},
		{"%20", "[ ]"},
		{"%41%7a", "[Az]"},
		{"Bj%C3%B6rken", "[Björken]"},
		/* Half a character as it is, half escaped. */
		{"Bj\xc3%B6rken", "[Björken]"},
		{"Björken=å", "{[Björken][å]}"},
		{"%F0%9F%98%80", "[😀]"},
		/* Dots and signs that have no meaning here. */
		{"a.pdf", "[a.pdf]"},
		{"a=.b,.c", "[.c]{[a][.b]}"},
		{"-", "[-]"},
		{"a+b&c#d?e;f\"g\\h*", "[a+b&c#d?e;f\"g\\h*]"},
		{"1=1,2=2,3=3,4=4,5=5,6=6,7=7,8=8,9=9,a=a,b=b,c=c,d=d,e=e,f=f,g=g,t",
		 "[t]{[1][1]}{[2][2]}{[3][3]}{[4][4]}{[5][5]}{[6][6]}{[7][7]}{[8][8]}{[9][9]}"
		 "{[a][a]}{[b][b]}{[c][c]}{[d][d]}{[e][e]}{[f][f]}{[g][g]}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *problem = "as before";
		struct query query;
		struct query copy;
		char shown[2000];

		if (query_parse(table[i].typed, &query, &problem))
			fail_msg("%s: %s", table[i].typed, problem);
		assert_string_equal(problem, "as before");
		copy = query;
		memset(&query, 'x', sizeof(query));
		show(&copy, shown, sizeof(shown));
		assert_string_equal(shown, table[i].shown);
	}
}

static void test_what_is_no_query(void **state)
{
	static const struct {
		const char *typed;
		const char *problem; /* a part of the sentence */
	} table[] = {
		{"", "empty"},
		{",", "nothing"},
		{"a,", "nothing"},
		{",a", "nothing"},
		{"a=b,", "nothing"},
		{"a=b,,c", "nothing"},
		{"=", "KEY=VALUE"},
		{"=a", "KEY=VALUE"},
		{"a=", "KEY=VALUE"},
		{"a=,b", "KEY=VALUE"},
		{"b,=a", "KEY=VALUE"},
		{"a,b", "only one text"},
		{"a,x=y,b", "only one text"},
		/* What any program might look for. */
		{".", "%2E"},
		{"..", "%2E"},
		{".git", "%2E"},
		{".a=b", "%2E"},
		{".Trash-1000", "%2E"},
		{"%", "%25"},
		{"%2", "%25"},
		{"a%", "%25"},
		{"100% wool", "%25"},
		{"%2,C", "%25"},
		{"%=a", "%25"},
		{"a=%4", "%25"},
		{"%G0", "%25"},
		{"%0G", "%25"},
		{"% 1", "%25"},
		{"%+1", "%25"},
		{"%0x41", "%25"},
		{"%xx", "%25"},
		{"%00", "control"},
		{"a%00", "control"},
		{"a=b%00", "control"},
		{"%0A", "control"},
		{"%1f", "control"},
		{"%7F", "control"},
		{"a\nb", "control"},
		{"\x7f", "control"},
		{"\x01=a", "control"},
		{"\xff", "UTF-8"},
		{"%FF", "UTF-8"},
		{"%C3", "UTF-8"},
		{"a%C3=a", "UTF-8"},
		/* One character is not made of two parts. */
		{"%C3=%A5", "UTF-8"},
		{"a=%C3,%A5", "UTF-8"},
		{"%C0%80", "UTF-8"},
		{"%ED%A0%80", "UTF-8"},
		{"%F4%90%80%80", "UTF-8"},
		{"1=1,2=2,3=3,4=4,5=5,6=6,7=7,8=8,9=9,a=a,b=b,c=c,d=d,e=e,f=f,g=g,h=h", "16"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *problem = NULL;
		struct query query;
		struct query untouched;

		memset(&query, 'x', sizeof(query));
		memset(&untouched, 'x', sizeof(untouched));
		if (query_parse(table[i].typed, &query, &problem) != -EINVAL)
			fail_msg("%s is taken", table[i].typed);
		if (!strstr(problem, table[i].problem))
			fail_msg("%s: %s", table[i].typed, problem);
		assert_true(strlen(problem) < 90);
		assert_memory_equal(&query, &untouched, sizeof(query));
	}
}

/* As long as can be, of the parts that need most room beside their bytes. */
static void test_the_longest_query(void **state)
{
	static const char few[] =
		"1=1,2=2,3=3,4=4,5=5,6=6,7=7,8=8,9=9,a=a,b=b,c=c,d=d,e=e,f=f,g=g,";
	char typed[QUERY_BYTES_MAX + 2];
	const char *problem = NULL;
	struct query query;

	(void)state;
	memset(typed, 't', sizeof(typed));
	memcpy(typed, few, strlen(few));
	typed[QUERY_BYTES_MAX] = '\0';
	assert_int_equal(query_parse(typed, &query, &problem), 0);
	assert_int_equal(strlen(query.bytes + query.text), QUERY_BYTES_MAX - strlen(few));
	assert_int_equal(query.len, QUERY_BYTES_MAX + 2);
	typed[QUERY_BYTES_MAX] = 't';
	typed[QUERY_BYTES_MAX + 1] = '\0';
	assert_int_equal(query_parse(typed, &query, &problem), -EINVAL);
	assert_non_null(strstr(problem, "too long"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_what_is_no_query),
		cmocka_unit_test(test_the_longest_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
