/* See gen.h. */
#include "gen.h"
#include "names.h"
#include "schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define GEN_DATE_SIZE	40
#define GEN_META_GLOBAL 7 /* reserved elements beside GLOBAL_BinderId and GLOBAL_TabId */

/* How often, among a binder's documents, an oddity comes up under --odd-names. */
#define GEN_EVERY_TWIN	      16 /* the name of another document of the folder */
#define GEN_EVERY_FOLDER_NAME 19 /* the name of a folder beside it */
#define GEN_EVERY_FOLDERLESS  23 /* in no folder */
#define GEN_EVERY_ORPHAN      29 /* in a folder that no listing shows */

/* RFC 3339 (S), also with the fractions and offsets that it allows. */
static void gen_date(struct rng *rng, char ret_date[GEN_DATE_SIZE])
{
	static const char *const tails[] = {":00Z", ":00Z", ":00.1234567+01:00", ":30.5Z",
					    ":00-03:30"};
	unsigned int year = 2021 + (unsigned int)rng_below(rng, 5);
	unsigned int month = 1 + (unsigned int)rng_below(rng, 12);
	unsigned int day = 1 + (unsigned int)rng_below(rng, 28);
	unsigned int hour = 7 + (unsigned int)rng_below(rng, 10);

	snprintf(ret_date, GEN_DATE_SIZE, "%04u-%02u-%02uT%02u:30%s", year, month, day, hour,
		 tails[rng_below(rng, sizeof(tails) / sizeof(tails[0]))]);
}

static int gen_put(struct org *org, struct org_meta *meta, size_t *n, const char *key,
		   const char *value)
{
	struct org_meta entry = {org_intern(org, key), org_intern(org, value)};

	if (!entry.key || !entry.value)
		return -ENOMEM;
	meta[(*n)++] = entry;
	return 0;
}

static const char *gen_pick(struct rng *rng, const struct schema_value *values)
{
	return values[rng_below(rng, schema_count(values))].id;
}

/* Fills meta, which has room for all, in the order that documents show them. */
static int gen_metadata(struct org *org, struct org_meta *meta, size_t *ret_n)
{
	struct rng *rng = &org->rng;
	char date[GEN_DATE_SIZE], revision_date[GEN_DATE_SIZE], version[8];
	size_t n = 0;

	gen_date(rng, date);
	gen_date(rng, revision_date);
	snprintf(version, sizeof(version), "%u.%u", 1 + (unsigned int)rng_below(rng, 4),
		 (unsigned int)rng_below(rng, 3));
	if (gen_put(org, meta, &n, "GLOBAL_TabType", "Documents") ||
	    gen_put(org, meta, &n, "GLOBAL_Category", gen_pick(rng, schema_categories)) ||
	    gen_put(org, meta, &n, "GLOBAL_CreatedBy", gen_pick(rng, schema_people)) ||
	    gen_put(org, meta, &n, "GLOBAL_Date", date))
		return -ENOMEM;
	if (rng_below(rng, 5) && gen_put(org, meta, &n, "GLOBAL_RevisionDate", revision_date))
		return -ENOMEM;
	if (gen_put(org, meta, &n, "GLOBAL_Status", gen_pick(rng, schema_statuses)) ||
	    gen_put(org, meta, &n, "GLOBAL_Version", version))
		return -ENOMEM;
	for (size_t i = 0; i < org->options.extra_fields; i++) {
		char key[SCHEMA_KEY_SIZE];
		struct schema_field field = schema_extra(i, key);

		if (gen_put(org, meta, &n, field.key, gen_pick(rng, field.values)))
			return -ENOMEM;
	}
	*ret_n = n;
	return 0;
}

int gen_add_document(struct org *org, struct org_binder *binder, struct org_folder *folder,
		     enum org_folderless folderless, const char *name_json,
		     struct org_document **ret_document)
{
	struct org_meta *meta = calloc(GEN_META_GLOBAL + org->options.extra_fields, sizeof(*meta));
	size_t n = 0;
	int r = meta ? gen_metadata(org, meta, &n) : -ENOMEM;

	if (!r)
		r = org_add_document(org, binder, folder, folderless, name_json, meta, n,
				     ret_document);
	free(meta);
	return r;
}

static void gen_plain_binder(struct buf *out, size_t i)
{
	static const char *const places[] = {
		"Kv. Björken", "Norra skolan",	  "Brf Ängsblomman", "Hamnmagasinet",
		"Kv. Åkern 4", "Vårdcentral Öst", "Slussens garage", "Idrottshall Söder",
	};

	buf_add_format(out, "\"Projekt %03zu %s\"", i + 1, places[i % COUNT(places)]);
}

static void gen_plain_folder(struct buf *out, size_t i)
{
	static const char *const subjects[] = {
		"Arkitekt",
		"Konstruktion",
		"VVS",
		"El och tele",
		"Mark",
		"Beskrivningar",
		"Avtal",
		"Protokoll",
		"Kvalitet",
		"Arbetsmiljö",
		"Drift och skötsel",
		"Relationshandlingar",
	};

	buf_add_format(out, "\"%02zu %s\"", i + 1, subjects[i % COUNT(subjects)]);
}

static void gen_plain_document(struct buf *out, size_t i)
{
	static const char disciplines[] = "AKVELM";
	static const char *const kinds[] = {"Planritning",  "Sektion",	   "Fasad mot söder",
					    "Uppställning", "Förteckning", "Detalj yttervägg"};
	static const char *const suffixes[] = {"pdf", "dwg", "pdf", "docx", "xlsx", "pdf", "ifc"};
	char discipline = disciplines[i % (sizeof(disciplines) - 1)];

	if (i % 3)
		buf_add_format(out, "\"%c-40-%zu-%04zu.%s\"", discipline, i % 4 + 1, i + 1,
			       suffixes[i % COUNT(suffixes)]);
	else
		buf_add_format(out, "\"%c-%04zu %s.%s\"", discipline, i + 1,
			       kinds[i / 3 % COUNT(kinds)], suffixes[i % COUNT(suffixes)]);
}

/* The first `depth` folders form one chain, so that the depth is reached; the others hang anywhere.
 */
static struct org_folder *gen_parent(struct org *org, const struct org_binder *binder, size_t depth)
{
	const struct list *folders = &binder->all_folders;

	if (!folders->n || depth == 1)
		return NULL;
	if (folders->n < depth)
		return folders->items[folders->n - 1];
	if (!rng_below(&org->rng, 3))
		return NULL;
	struct org_folder *folder = folders->items[rng_below(&org->rng, folders->n)];
	return folder->level < depth ? folder : NULL;
}

static int gen_folders(struct org *org, struct org_binder *binder,
		       const struct gen_options *options)
{
	struct buf name = {0};
	int r = 0;

	for (size_t i = 0; i < options->folders && !r; i++) {
		struct org_folder *parent = gen_parent(org, binder, options->depth);
		const struct list *siblings = parent ? &parent->folders : &binder->folders;
		struct org_folder *folder;

		name.len = 0;
		if (options->odd_names && siblings->n && i % 5 == 4)
			buf_add_str(&name, ((struct org_folder *)siblings->items[0])->name_json);
		else if (options->odd_names && i % 2)
			names_add_odd(&name, i / 2);
		else
			gen_plain_folder(&name, i);
		r = name.failed ? -ENOMEM
				: org_add_folder(org, binder, parent, name.data, true, &folder);
	}
	buf_free(&name);
	return r;
}

static void gen_document_name(struct buf *name, const struct org_binder *binder,
			      const struct org_folder *folder, size_t i, bool odd)
{
	const struct list *beside = folder ? &folder->documents : &binder->documents;
	const struct list *folders = folder ? &folder->folders : &binder->folders;

	name->len = 0;
	if (odd && i % GEN_EVERY_TWIN == GEN_EVERY_TWIN - 1 && beside->n)
		buf_add_str(name, ((struct org_document *)beside->items[beside->n - 1])->name_json);
	else if (odd && i % GEN_EVERY_FOLDER_NAME == GEN_EVERY_FOLDER_NAME - 1 && folders->n)
		buf_add_str(name, ((struct org_folder *)folders->items[0])->name_json);
	else if (odd && i % 2)
		names_add_odd(name, i / 2);
	else
		gen_plain_document(name, i);
}

static int gen_documents(struct org *org, struct org_binder *binder,
			 const struct gen_options *options)
{
	size_t listed = binder->all_folders.n;
	struct org_folder *orphanage = NULL;
	struct buf name = {0};
	int r = 0;

	if (options->odd_names)
		r = org_add_folder(org, binder, NULL, "\"\"", false, &orphanage);
	for (size_t i = 0; i < options->documents && !r; i++) {
		struct org_folder *folder = listed ? binder->all_folders.items[i % listed] : NULL;
		struct org_document *document;

		if (options->odd_names && i % GEN_EVERY_FOLDERLESS == GEN_EVERY_FOLDERLESS - 1)
			folder = NULL;
		else if (options->odd_names && i % GEN_EVERY_ORPHAN == GEN_EVERY_ORPHAN - 1)
			folder = orphanage;
		gen_document_name(&name, binder, folder, i, options->odd_names);
		r = name.failed
			    ? -ENOMEM
			    : gen_add_document(org, binder, folder,
					       (i / GEN_EVERY_FOLDERLESS) % ORG_FOLDERLESS_KINDS,
					       name.data, &document);
	}
	buf_free(&name);
	return r;
}

static int gen_binder(struct org *org, size_t i, const struct gen_options *options)
{
	struct org_binder *binder;
	struct buf name = {0};
	char created[GEN_DATE_SIZE];

	if (options->odd_names && i % 4 == 3)
		buf_add_str(&name, ((struct org_binder *)org->binders.items[0])->name_json);
	else if (options->odd_names && i % 2)
		names_add_odd(&name, i / 2 * 3 + 3);
	else
		gen_plain_binder(&name, i);
	gen_date(&org->rng, created);
	int r = name.failed ? -ENOMEM : org_add_binder(org, name.data, created, &binder);
	buf_free(&name);
	if (!r)
		r = gen_folders(org, binder, options);
	if (!r)
		r = gen_documents(org, binder, options);
	return r;
}

int gen_organisation(struct org *org, const struct gen_options *options)
{
	int r = 0;

	for (size_t i = 0; i < options->binders && !r; i++)
		r = gen_binder(org, i, options);
	return r;
}
