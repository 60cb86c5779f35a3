/* See names.h. */
#include "names.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const odd_literals[] = {
	"\"Fönster & dörrar – ÅÄÖ åäö.pdf\"",
	"\"A/B/snitt 1/2.pdf\"",
	"\"escaped \\/ slash.pdf\"",
	"\"/\"",
	"\".\"",
	"\"..\"",
	"\"...\"",
	"\"\"",
	"\" \"",
	"\".dold.pdf\"",
	"\"trailing blanks   \"",
	"\"trailing dot.\"",
	"\" leading blank.pdf\"",
	"\"binder\"",
	"\"binder.json\"",
	"\"folder\"",
	"\"folder.json\"",
	"\"metadata-elements\"",
	"\"metadata-elements.json\"",
	"\"nul\\u0000inside.pdf\"",
	"\"\\u0000\"",
	"\"line\\nbreak.pdf\"",
	"\"tab\\tand return\\r.pdf\"",
	"\"del \\u007f escaped.pdf\"",
	"\"del \177 raw.pdf\"",
	"\"c1 \\u0085 control.pdf\"",
	"\"c1 \\u009b31m sequence.pdf\"",
	"\"isolate \\u2066fdp.exe\\u2069.pdf\"",
	"\"colour \\u001b[31mred.txt\"",
	"\"lone high \\ud800.pdf\"",
	"\"lone low \\udfff.pdf\"",
	"\"swapped \\udc00\\ud800.pdf\"",
	"\"high then letter \\ud83dA.pdf\"",
	"\"escaped pair \\ud83d\\ude00.pdf\"",
	"\"emoji 🏗️ 👷‍♀️.pdf\"",
	"\"escaped \\u00e5\\u00E4\\u00f6.pdf\"",
	"\"quote \\\" back\\\\slash 'single'.pdf\"",
	"\"$(touch x) `id` ;&|<>*?#!.sh\"",
	"\"-rf\"",
	"\"~\"",
	"\"名前と図面.pdf\"",
	"\"خطة.pdf\"",
	"\"composed å.pdf\"",
	"\"composed a\xcc\x8a.pdf\"",
	"\"slash / or not.pdf\"",
	"\"slash ／ or not.pdf\"",
	"\"picture ␊ of a control.pdf\"",
	"\"picture \\n of a control.pdf\"",
	"\"replacement \xef\xbf\xbd.pdf\"",
	"\"replacement \\ud801.pdf\"",
	"\"mark \\ufeff \\u202egnirts \\uffff.pdf\"",
	"\"Case.pdf\"",
	"\"case.pdf\"",
	"\"x.json\"",
	"\"x\"",
	"\"x.json.json\"",
	"\"x [01234567].pdf\"",
	"\"errors\"",
	"\"con\"",
};

/* Names about and beyond the 255 bytes that a directory entry may have. */
static const struct {
	const char *unit;
	size_t count;
	const char *tail;
} odd_long[] = {
	{"a", 300, ""},	     {"a", 300, ".pdf"},   {"å", 300, ".pdf"}, {"🏠", 300, ".pdf"},
	{"b", 251, ".pdf"},  {"b", 252, ".pdf"},   {"c", 246, ".pdf"}, {"c", 247, ".pdf"},
	{"xå", 100, ".dwg"}, {".", 300, ""},	   {"/", 300, ""},     {"\\ud800", 300, ""},
	{"d", 4, ".eeee"},   {"\\u0001", 300, ""}, {"é", 128, ""},     {"f.", 150, "g"},
};

/* Two long names with one beginning clash when they are cut. */
static const char *const odd_twins[] = {"1.pdf", "2.pdf"};

void names_add_odd(struct buf *out, size_t i)
{
	i %= COUNT(odd_literals) + COUNT(odd_long) + COUNT(odd_twins);
	if (i < COUNT(odd_literals)) {
		buf_add_str(out, odd_literals[i]);
		return;
	}
	i -= COUNT(odd_literals);
	bool twin = i >= COUNT(odd_long);
	const char *unit = twin ? "tvilling " : odd_long[i].unit;
	const char *tail = twin ? odd_twins[i - COUNT(odd_long)] : odd_long[i].tail;
	size_t count = twin ? 40 : odd_long[i].count;

	buf_add_char(out, '"');
	for (size_t k = 0; k < count; k++)
		buf_add_str(out, unit);
	buf_add_format(out, "%s\"", tail);
}
