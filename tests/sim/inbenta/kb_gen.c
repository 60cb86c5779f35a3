/* The made-up knowledge base, see kb.h. The same options give the same one, byte for byte. */
#include "kb.h"
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Which contents are not in just one known category. */
#define GEN_EVERY_SECOND    5  /* in two */
#define GEN_EVERY_THIRD	    15 /* in three */
#define GEN_EVERY_HOMELESS  23 /* in none */
#define GEN_EVERY_UNKNOWN   29 /* in one that is not in the list */
#define GEN_EVERY_ROOT	    31 /* in the root */
#define GEN_EVERY_ONE_KNOWN 37 /* in a known and in an unknown one */
#define GEN_EVERY_NO_ANSWER 41 /* without the answer's attribute */

/* How often an oddity comes up under --odd-names, --odd-numbers and --odd-categories. */
#define GEN_EVERY_TWIN	       16 /* the title of the content before */
#define GEN_EVERY_CATEGORY     19 /* the name of a category */
#define GEN_EVERY_BAD_DATE     13
#define GEN_EVERY_REPEATED     11 /* in the same category twice */
#define GEN_UNKNOWN_CATEGORY   900000001u
#define GEN_LAST_EXACT	       9007199254740992u /* 2^53: the next one is no double */
#define GEN_CATEGORIES_A_CHILD 3

void kb_make_dates(struct kb *kb, char ret_created[KB_DATE_SIZE], char ret_modified[KB_DATE_SIZE])
{
	unsigned int year = 2019 + (unsigned int)rng_below(&kb->rng, 3);
	unsigned int day = 101 + 100 * (unsigned int)rng_below(&kb->rng, 12) +
			   (unsigned int)rng_below(&kb->rng, 28);
	unsigned int hour = 7 + (unsigned int)rng_below(&kb->rng, 10);
	unsigned int years = (unsigned int)rng_below(&kb->rng, 5);
	unsigned int second = (unsigned int)rng_below(&kb->rng, 60);

	snprintf(ret_created, KB_DATE_SIZE, "%04u%04u%02u3000", year % 10000, day % 10000,
		 hour % 100);
	snprintf(ret_modified, KB_DATE_SIZE, "%04u%04u%02u45%02u", (year + years) % 10000,
		 day % 10000, hour % 100, second % 100);
}

char *kb_make_answer(struct kb *kb)
{
	static const char *const pieces[] = {
		"<p>Puede pagar con tarjeta, por transferencia o contra reembolso.</p>\n",
		"<p>You can change your order until it has left the warehouse.</p>\n",
		"<ul><li>Envío: 24&nbsp;h</li><li>Península &amp; Baleares</li></ul>\n",
		"<p>Más en <a href=\"/ayuda/?a=1&amp;b=2\">la ayuda</a> — nº 7.</p>",
		"<p class='note'>Questions? Answers 🙂 — “quoted” \\ and so on.</p>\n",
		"<table border=\"0\"><tr><td>1</td><td>½ €</td></tr></table>\t<br />\r\n",
	};
	const struct kb_options *options = &kb->options;
	uint64_t size =
		options->size_min + rng_below(&kb->rng, options->size_max - options->size_min + 1);
	struct buf answer = {0};

	buf_add(&answer, "", 0);
	for (;;) {
		const char *piece = pieces[rng_below(&kb->rng, COUNT(pieces))];

		if (answer.failed || answer.len + strlen(piece) > size)
			break;
		buf_add_str(&answer, piece);
	}
	while (!answer.failed && answer.len < size)
		buf_add_char(&answer, '.');
	return buf_take(&answer, NULL);
}

static void gen_category_name(struct buf *name, const struct kb *kb, size_t i)
{
	static const char *const subjects[] = {
		"Pagos",
		"Envíos",
		"Devoluciones",
		"Your account",
		"Facturas",
		"Orders",
		"Garantía",
		"Privacidad y cookies",
		"Shipping",
		"Tarjetas",
		"Atención al cliente",
		"Gift cards",
	};

	name->len = 0;
	if (kb->options.odd_names && i % 7 == 6)
		buf_add_str(name, ((struct kb_category *)kb->categories.items[i])->name_json);
	else if (kb->options.odd_names && i % 2)
		names_add_odd(name, i / 2);
	else
		buf_add_format(name, "\"%s %zu\"", subjects[i % COUNT(subjects)], i + 1);
}

/* The first ones form one chain, so that the depth is reached; the others hang anywhere. */
static uint64_t gen_parent(struct kb *kb)
{
	const struct list *categories = &kb->categories;
	uint64_t depth = kb->options.category_depth;
	const struct kb_category *last = categories->items[categories->n - 1];

	if (categories->n <= depth)
		return last->id;
	if (!rng_below(&kb->rng, GEN_CATEGORIES_A_CHILD))
		return KB_ROOT;
	const struct kb_category *above = categories->items[rng_below(&kb->rng, categories->n)];
	return kb_level(kb, above) < depth ? above->id : KB_ROOT;
}

static int gen_categories(struct kb *kb)
{
	struct kb_category *category;
	struct buf name = {0};
	int r = 0;

	for (size_t i = 0; i < kb->options.categories && !r; i++) {
		gen_category_name(&name, kb, i);
		r = name.failed ? -ENOMEM
				: kb_add_category(kb, gen_parent(kb), name.data, &category);
	}
	buf_free(&name);
	return r;
}

/* Lists that no editor should be able to make. */
static int gen_odd_categories(struct kb *kb)
{
	static const char *const names[] = {
		"\"Cycle of two, A\"",	 "\"Cycle of two, B\"",	  "\"Its own parent\"",
		"\"Cycle of three, A\"", "\"Cycle of three, B\"", "\"Cycle of three, C\"",
		"\"Below a cycle\"",	 "\"Unknown parent\"",	  "\"Below an unknown parent\"",
		"\"A second root\"",	 "\"Parent null\"",	  "\"No parent\"",
	};
	static const size_t parent[COUNT(names)] = {1, 0, 2, 4, 5, 3, 3, 0, 7, 0, 0, 0};
	struct kb_category *made[COUNT(names)];
	int r = 0;

	for (size_t i = 0; i < COUNT(names) && !r; i++)
		r = kb_add_category(kb, GEN_UNKNOWN_CATEGORY, names[i], &made[i]);
	for (size_t i = 0; i < COUNT(names) && !r; i++) {
		if (i == 7)
			continue;
		enum kb_parent kind = i < 9 ? KB_PARENT_ID : (enum kb_parent)(i - 8);
		r = kb_move_category(kb, made[i], kind, made[parent[i]]->id);
	}
	if (!r)
		made[0]->lost_child = GEN_UNKNOWN_CATEGORY + 1;
	return r;
}

static void gen_title(struct buf *title, const struct kb *kb, size_t i)
{
	static const char *const questions[] = {
		"¿Cómo pago mi pedido?",	"How do I return an order?",
		"¿Cuánto tarda el envío?",	"Where is my invoice?",
		"¿Puedo cambiar la dirección?", "Can I pay in instalments?",
	};
	static const char *const ours[] = {"\"category\"",	"\"category.json\"",
					   "\"category.html\"", "\"knowledge\"",
					   "\"¿Cómo pago?\"",	"\"¿Cómo pago?\""};
	const struct list *contents = &kb->contents;
	const struct list *categories = &kb->categories;

	title->len = 0;
	if (kb->options.odd_names && i % GEN_EVERY_TWIN == GEN_EVERY_TWIN - 1) {
		buf_add_str(title, ((struct kb_content *)contents->items[i - 1])->title_json);
	} else if (kb->options.odd_names && i % GEN_EVERY_CATEGORY == GEN_EVERY_CATEGORY - 1) {
		const struct kb_category *category = categories->items[i % categories->n];

		buf_add_str(title, category->name_json);
	} else if (kb->options.odd_names && i / 2 < COUNT(ours) && !(i % 2)) {
		buf_add_str(title, ours[i / 2]);
	} else if (kb->options.odd_names && i % 2) {
		names_add_odd(title, i / 2);
	} else {
		buf_add_format(title, "\"%s (%zu)\"", questions[i % COUNT(questions)], i + 1);
	}
}

static bool gen_is(size_t i, size_t every)
{
	return i % every == every - 1;
}

/* The category that is dealt to a content; the root only when there is no other. */
static uint64_t gen_dealt(const struct kb *kb, size_t i)
{
	size_t n = kb->categories.n;
	const struct kb_category *category = kb->categories.items[n > 1 ? 1 + i % (n - 1) : 0];

	return category->id;
}

static size_t gen_placed(const struct kb *kb, size_t i, uint64_t categories[4])
{
	size_t n = 0;

	if (gen_is(i, GEN_EVERY_HOMELESS))
		return 0;
	if (gen_is(i, GEN_EVERY_UNKNOWN)) {
		categories[n++] = GEN_UNKNOWN_CATEGORY + 2 + i / GEN_EVERY_UNKNOWN % 3;
		return n;
	}
	categories[n++] = gen_is(i, GEN_EVERY_ROOT) ? KB_ROOT : gen_dealt(kb, i);
	if (gen_is(i, GEN_EVERY_SECOND))
		categories[n++] = gen_dealt(kb, i + 1);
	if (gen_is(i, GEN_EVERY_THIRD))
		categories[n++] = gen_dealt(kb, i + 2);
	if (gen_is(i, GEN_EVERY_ONE_KNOWN))
		categories[n++] = GEN_UNKNOWN_CATEGORY + 2;
	else if (kb->options.odd_categories && gen_is(i, GEN_EVERY_REPEATED))
		categories[n++] = categories[0];
	return n;
}

static void gen_bad_date(struct kb_content *content, size_t i)
{
	static const char *const dates[] = {"00000000000000", "20241301250000", "2024", "",
					    "2024-01-31 09:"};

	snprintf(content->modified, sizeof(content->modified), "%s", dates[i % COUNT(dates)]);
}

static int gen_content(struct kb *kb, size_t i, struct buf *title)
{
	struct kb_content *content;
	uint64_t categories[4];
	size_t n = gen_placed(kb, i, categories);

	/* The last two are one number to whoever reads numbers as doubles. */
	if (kb->options.odd_numbers && i + 2 == kb->options.contents)
		kb->next_content = GEN_LAST_EXACT;
	else if (kb->options.odd_numbers && i && i + 1 == kb->options.contents)
		kb->next_content = GEN_LAST_EXACT + 1;
	gen_title(title, kb, i);
	int r = title->failed ? -ENOMEM
			      : kb_add_content(kb, title->data, categories, n, NULL, &content);
	if (r)
		return r;
	content->homeless = i / GEN_EVERY_HOMELESS % KB_HOMELESS_KINDS;
	if (kb->options.odd_numbers && gen_is(i, GEN_EVERY_BAD_DATE))
		gen_bad_date(content, i / GEN_EVERY_BAD_DATE);
	return gen_is(i, GEN_EVERY_NO_ANSWER) ? kb_set_answer(content, NULL, 0) : 0;
}

int kb_generate(struct kb *kb)
{
	struct buf title = {0};
	int r = gen_categories(kb);

	if (!r && kb->options.odd_categories)
		r = gen_odd_categories(kb);
	for (size_t i = 0; i < kb->options.contents && !r; i++)
		r = gen_content(kb, i, &title);
	buf_free(&title);
	return r;
}
