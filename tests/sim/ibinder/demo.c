/* See demo.h. All companies, people and projects are invented. */
#include "demo.h"
#include "schema.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEMO_META_MAX	16
#define DEMO_DATE_SIZE	32
#define DEMO_STEP_DAYS	21 /* between two documents of a series */
#define DEMO_MONTH_DAYS 28 /* each month counts as this long, which keeps every date valid */

/* Documents that differ by a number: prefix, number, suffix, as drawings and minutes do. */
struct demo_series {
	const char *folder; /* path from the binder; "" for none */
	const char *prefix;
	unsigned int first; /* 0: the prefix alone is the name, count is 1 */
	unsigned int count;
	const char *suffix;
	bool dated; /* the date goes into the name */
	const char *category;
	const char *discipline; /* may be NULL */
	const char *scale;	/* may be NULL */
	const char *phase;
	unsigned int start; /* year and month of the first, as 202403 */
};

struct demo_binder {
	const char *name;
	const char *created;
	const char *building;
	const struct demo_series *series; /* ends with a NULL folder */
};

static const struct demo_series bjorken[] = {
	{"Ritningar/Arkitekt", "A-40-1-", 1, 14, ".pdf", false, "Drawing", "A", "1:100",
	 "Construction", 202402},
	{"Ritningar/Arkitekt", "A-43-2-", 1, 6, ".pdf", false, "Drawing", "A", "1:20",
	 "Construction", 202405},
	{"Ritningar/Arkitekt", "A-40-1-001.pdf", 0, 1, "", false, "Drawing", "A", "1:100",
	 "AsBuilt", 202509},
	{"Ritningar/Arkitekt", "Situationsplan.pdf", 0, 1, "", false, "Drawing", "L", "1:400",
	 "Construction", 202401},
	{"Ritningar/Konstruktion", "K-20-1-", 1, 12, ".pdf", false, "Drawing", "K", "1:50",
	 "Construction", 202403},
	{"Ritningar/Konstruktion", "K-27-3-", 101, 4, ".dwg", false, "Drawing", "K", "1:20",
	 "Construction", 202406},
	{"Ritningar/VVS", "V-50-1-", 1, 8, ".pdf", false, "Drawing", "V", "1:50", "Construction",
	 202404},
	{"Ritningar/VVS", "V-57-1-", 1, 5, ".pdf", false, "Drawing", "V", "1:50", "Construction",
	 202404},
	{"Ritningar/El", "E-63-1-", 1, 7, ".pdf", false, "Drawing", "E", "1:50", "Construction",
	 202404},
	{"Beskrivningar", "Rambeskrivning VVS.docx", 0, 1, "", false, "Description", "V", NULL,
	 "Construction", 202403},
	{"Beskrivningar", "Byggnadsbeskrivning.docx", 0, 1, "", false, "Description", "A", NULL,
	 "Construction", 202403},
	{"Beskrivningar", "Brandskyddsbeskrivning.pdf", 0, 1, "", false, "Description", "B", NULL,
	 "Construction", 202403},
	{"Beskrivningar", "Rumsbeskrivning.xlsx", 0, 1, "", false, "Description", "A", NULL,
	 "Construction", 202404},
	{"Avtal", "Entreprenadkontrakt ABT 06.pdf", 0, 1, "", false, "Contract", NULL, NULL,
	 "Program", 202311},
	{"Avtal", "ÄTA/tilläggsavtal 1.pdf", 0, 1, "", false, "Contract", NULL, NULL,
	 "Construction", 202410},
	{"Avtal", "Offert.pdf", 0, 1, "", false, "Contract", NULL, NULL, "Program", 202309},
	{"Avtal", "Offert.pdf", 0, 1, "", false, "Contract", NULL, NULL, "Program", 202310},
	{"Protokoll/Byggmöten", "Byggmöte ", 1, 12, ".pdf", true, "Minutes", NULL, NULL,
	 "Construction", 202402},
	{"Protokoll/Samordning", "Samordning ", 1, 5, ".pdf", true, "Minutes", NULL, NULL,
	 "Construction", 202405},
	{"Protokoll", "Startmöte.pdf", 0, 1, "", false, "Minutes", NULL, NULL, "System", 202401},
	{"", "Läs mig först.txt", 0, 1, "", false, "Description", NULL, NULL, "Program", 202309},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL, NULL, NULL, 0},
};

static const struct demo_series skolan[] = {
	{"Ritningar/Arkitekt", "A-40-2-", 1, 9, ".pdf", false, "Drawing", "A", "1:100", "AsBuilt",
	 202306},
	{"Ritningar/Konstruktion", "K-20-2-", 1, 6, ".pdf", false, "Drawing", "K", "1:50",
	 "AsBuilt", 202306},
	{"Ritningar/Landskap", "L-30-1-", 1, 4, ".pdf", false, "Drawing", "L", "1:400", "AsBuilt",
	 202307},
	{"Relationshandlingar", "Relationsritning R-", 1, 5, ".pdf", false, "Drawing", "A", "1:100",
	 "AsBuilt", 202406},
	{"Relationshandlingar", "Förteckning.xlsx", 0, 1, "", false, "Description", NULL, NULL,
	 "AsBuilt", 202408},
	{"Drift och skötsel/Ventilation", "Skötselanvisning LA-", 1, 4, ".pdf", false, "Manual",
	 "V", NULL, "AsBuilt", 202409},
	{"Drift och skötsel/Hissar", "Besiktning hiss ", 1, 2, ".pdf", true, "Manual", "E", NULL,
	 "AsBuilt", 202410},
	{"Drift och skötsel", "Drift- och underhållsplan.pdf", 0, 1, "", false, "Manual", NULL,
	 NULL, "AsBuilt", 202409},
	{"Kvalitet", "Egenkontroll ", 1, 8, ".pdf", false, "Record", "K", NULL, "Construction",
	 202311},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL, NULL, NULL, 0},
};

static const struct demo_series angsblomman[] = {
	{"Ritningar/Arkitekt", "A-01-1-", 1, 6, ".pdf", false, "Drawing", "A", "1:100", "System",
	 202501},
	{"Ritningar/El", "E-61-1-", 1, 3, ".pdf", false, "Drawing", "E", "1:50", "System", 202503},
	{"Beskrivningar", "Programhandling.pdf", 0, 1, "", false, "Description", "A", NULL,
	 "Program", 202411},
	{"Beskrivningar", "PM Fukt.pdf", 0, 1, "", false, "Description", "K", NULL, "System",
	 202502},
	{"Protokoll/Projekteringsmöten", "Projekteringsmöte ", 1, 6, ".pdf", true, "Minutes", NULL,
	 NULL, "System", 202412},
	{"Avtal", "Konsultavtal.pdf", 0, 1, "", false, "Contract", NULL, NULL, "Program", 202411},
	{"Bilder", "Platsbesök ", 1, 4, ".jpg", true, "Record", NULL, NULL, "Program", 202411},
	{NULL, NULL, 0, 0, NULL, false, NULL, NULL, NULL, NULL, 0},
};

static const struct demo_binder binders[] = {
	{"Projekt 012 Kv. Björken", "2023-08-28T07:12:00Z", "H1", bjorken},
	{"Projekt 009 Norra skolan", "2023-01-16T09:40:00Z", "H2", skolan},
	{"Projekt 015 Brf Ängsblomman", "2024-10-07T06:55:00Z", "H3", angsblomman},
};

/* Steps on from the first of the start month, in whole days of short months. */
static void demo_date(unsigned int start, unsigned int days, const char *tail,
		      char ret_date[DEMO_DATE_SIZE])
{
	unsigned int months = start / 100 * 12 + start % 100 - 1 + days / DEMO_MONTH_DAYS;

	snprintf(ret_date, DEMO_DATE_SIZE, "%04u-%02u-%02u%s", months / 12, months % 12 + 1,
		 days % DEMO_MONTH_DAYS + 1, tail);
}

static int demo_literal(struct buf *out, const char *name)
{
	out->len = 0;
	text_add_literal(out, name, strlen(name));
	return out->failed ? -ENOMEM : 0;
}

/* Finds the folder of one level by name, or makes it. */
static int demo_enter(struct org *org, struct org_binder *binder, struct org_folder *parent,
		      const char *name_json, struct org_folder **ret_folder)
{
	const struct list *folders = parent ? &parent->folders : &binder->folders;

	for (size_t i = 0; i < folders->n; i++) {
		struct org_folder *folder = folders->items[i];

		if (strcmp(folder->name_json, name_json))
			continue;
		*ret_folder = folder;
		return 0;
	}
	return org_add_folder(org, binder, parent, name_json, true, ret_folder);
}

static int demo_folder(struct org *org, struct org_binder *binder, const char *path,
		       struct org_folder **ret_folder)
{
	struct org_folder *folder = NULL;
	struct buf name = {0};
	int r = 0;

	while (*path && !r) {
		size_t n = strcspn(path, "/");

		name.len = 0;
		text_add_literal(&name, path, n);
		r = name.failed ? -ENOMEM : demo_enter(org, binder, folder, name.data, &folder);
		path += n + (path[n] == '/');
	}
	buf_free(&name);
	if (!r)
		*ret_folder = folder;
	return r;
}

static int demo_put(struct org *org, struct org_meta *meta, size_t *n, const char *key,
		    const char *value)
{
	if (!value)
		return 0;
	struct org_meta entry = {org_intern(org, key), org_intern(org, value)};
	if (!entry.key || !entry.value)
		return -ENOMEM;
	meta[(*n)++] = entry;
	return 0;
}

static int demo_metadata(struct org *org, const struct demo_binder *plan,
			 const struct demo_series *series, unsigned int i, struct org_meta *meta,
			 size_t *ret_n)
{
	static const char *const statuses[] = {"Approved", "Approved", "InReview", "Approved",
					       "Draft"};
	const char *author = schema_people[rng_below(&org->rng, schema_count(schema_people))].id;
	bool as_built = !strcmp(series->phase, "AsBuilt");
	unsigned int revision = (unsigned int)rng_below(&org->rng, 4);
	char date[DEMO_DATE_SIZE], revised[DEMO_DATE_SIZE];
	char version[2] = {(char)('A' + (revision ? revision - 1 : 0)), '\0'};
	size_t n = 0;

	demo_date(series->start, i * DEMO_STEP_DAYS, "T08:30:00Z", date);
	demo_date(series->start, i * DEMO_STEP_DAYS + revision * 9, "T13:05:00.25+01:00", revised);
	const char *status = as_built ? "Archived" : statuses[rng_below(&org->rng, 5)];
	if (demo_put(org, meta, &n, "GLOBAL_TabType", "Documents") ||
	    demo_put(org, meta, &n, "GLOBAL_Category", series->category) ||
	    demo_put(org, meta, &n, "GLOBAL_CreatedBy", author) ||
	    demo_put(org, meta, &n, "GLOBAL_Date", date) ||
	    demo_put(org, meta, &n, "GLOBAL_RevisionDate", revision ? revised : NULL) ||
	    demo_put(org, meta, &n, "GLOBAL_Status", status) ||
	    demo_put(org, meta, &n, "GLOBAL_Version", revision ? version : "-") ||
	    demo_put(org, meta, &n, "Discipline", series->discipline) ||
	    demo_put(org, meta, &n, "Scale", series->scale) ||
	    demo_put(org, meta, &n, "Phase", series->phase) ||
	    demo_put(org, meta, &n, "Building", plan->building))
		return -ENOMEM;
	*ret_n = n;
	return 0;
}

static int demo_document(struct org *org, struct org_binder *binder, const struct demo_binder *plan,
			 const struct demo_series *series, unsigned int i)
{
	struct org_meta meta[DEMO_META_MAX];
	struct org_folder *folder = NULL;
	struct org_document *document;
	struct buf name = {0}, literal = {0};
	char date[DEMO_DATE_SIZE];
	size_t n = 0;

	demo_date(series->start, i * DEMO_STEP_DAYS, "", date);
	buf_add_str(&name, series->prefix);
	if (series->first)
		buf_add_format(&name, series->dated ? "%02u" : "%03u", series->first + i);
	if (series->dated)
		buf_add_format(&name, " %s", date);
	buf_add_str(&name, series->suffix);
	int r = name.failed ? -ENOMEM : demo_literal(&literal, name.data);
	if (!r)
		r = demo_folder(org, binder, series->folder, &folder);
	if (!r)
		r = demo_metadata(org, plan, series, i, meta, &n);
	if (!r)
		r = org_add_document(org, binder, folder, ORG_FOLDER_NULL, literal.data, meta, n,
				     &document);
	buf_free(&name);
	buf_free(&literal);
	return r;
}

static int demo_fill(struct org *org, struct org_binder *binder, const struct demo_binder *plan)
{
	int r = 0;

	for (const struct demo_series *series = plan->series; series->folder; series++)
		for (unsigned int i = 0; i < series->count && !r; i++)
			r = demo_document(org, binder, plan, series, i);
	return r;
}

int demo_organisation(struct org *org)
{
	struct buf literal = {0};
	int r = 0;

	for (size_t i = 0; i < sizeof(binders) / sizeof(binders[0]) && !r; i++) {
		struct org_binder *binder;

		r = demo_literal(&literal, binders[i].name);
		if (!r)
			r = org_add_binder(org, literal.data, binders[i].created, &binder);
		if (!r)
			r = demo_fill(org, binder, &binders[i]);
	}
	buf_free(&literal);
	return r;
}
