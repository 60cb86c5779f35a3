/* See org.h. */
#include "org.h"
#include "schema.h"
#include "text.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int org_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void *org_find(void *const *tree, const char *id)
{
	void *const *found = tfind(id, tree, org_compare);

	return found ? *found : NULL;
}

int org_init(struct org *org, const struct org_options *options)
{
	*org = (struct org){.options = *options, .rng = {.state = rng_mix(options->seed)}};
	org->key_binder = org_intern(org, "GLOBAL_BinderId");
	org->key_tab = org_intern(org, "GLOBAL_TabId");
	return org->key_binder && org->key_tab ? 0 : -ENOMEM;
}

const char *org_find_string(const struct org *org, const char *s)
{
	return org_find(&org->strings, s);
}

static const char *org_intern_new(struct org *org, const char *s)
{
	char *copy = strdup(s);

	if (!copy || !tsearch(copy, &org->strings, org_compare)) {
		free(copy);
		return NULL;
	}
	return copy;
}

const char *org_intern(struct org *org, const char *s)
{
	uint32_t hash = 0;

	for (const char *c = s; *c; c++)
		hash = hash * 31 + (unsigned char)*c;
	const char **recent = &org->recent[hash % ORG_RECENT];
	if (*recent && !strcmp(*recent, s))
		return *recent;
	const char *known = org_find_string(org, s);
	if (!known)
		known = org_intern_new(org, s);
	if (known)
		*recent = known;
	return known;
}

struct org_binder *org_find_binder(const struct org *org, const char *id)
{
	for (size_t i = 0; i < org->binders.n; i++) {
		struct org_binder *binder = org->binders.items[i];

		if (!strcmp(binder->id, id))
			return binder;
	}
	return NULL;
}

struct org_folder *org_find_folder(const struct org *org, const char *id)
{
	return org_find(&org->folder_tree, id);
}

struct org_document *org_find_document(const struct org *org, const char *id)
{
	return org_find(&org->document_tree, id);
}

struct org_version *org_find_version(const struct org *org, const char *id)
{
	return org_find(&org->version_tree, id);
}

struct org_version *org_document_version(const struct org_document *document, const char *id)
{
	struct org_version *version = document->version;

	while (version && strcmp(version->id, id))
		version = version->older;
	return version;
}

const char *org_document_value(const struct org *org, const struct org_document *document,
			       const char *key)
{
	if (key == org->key_binder)
		return document->binder->id;
	if (key == org->key_tab)
		return document->folder ? document->folder->id : NULL;
	for (size_t i = 0; i < document->n_meta; i++)
		if (document->meta[i].key == key)
			return document->meta[i].value;
	return NULL;
}

static void org_folder_free(struct org_folder *folder)
{
	if (!folder)
		return;
	free(folder->folders.items);
	free(folder->documents.items);
	free(folder->name_json);
	free(folder->raw);
	free(folder);
}

static void org_document_free(struct org *org, struct org_document *document)
{
	if (!document)
		return;
	while (document->version) {
		struct org_version *older = document->version->older;

		tdelete(document->version->id, &org->version_tree, org_compare);
		free(document->version);
		document->version = older;
	}
	free(document->name_json);
	free(document->name_fold);
	free(document->meta);
	free(document->raw);
	free(document);
}

static void org_binder_free(struct org *org, struct org_binder *binder)
{
	if (!binder)
		return;
	for (size_t i = 0; i < binder->documents.n; i++) {
		struct org_document *document = binder->documents.items[i];

		tdelete(document->id, &org->document_tree, org_compare);
		org_document_free(org, document);
	}
	for (size_t i = 0; i < binder->all_folders.n; i++) {
		struct org_folder *folder = binder->all_folders.items[i];

		tdelete(folder->id, &org->folder_tree, org_compare);
		org_folder_free(folder);
	}
	free(binder->documents.items);
	free(binder->folders.items);
	free(binder->all_folders.items);
	free(binder->name_json);
	free(binder->created);
	free(binder->raw);
	free(binder->elements);
	free(binder);
}

void org_fini(struct org *org)
{
	for (size_t i = 0; i < org->binders.n; i++)
		org_binder_free(org, org->binders.items[i]);
	free(org->binders.items);
	tdestroy(org->strings, free);
	*org = (struct org){0};
}

int org_add_binder(struct org *org, const char *name_json, const char *created,
		   struct org_binder **ret_binder)
{
	struct org_binder *binder = calloc(1, sizeof(*binder));
	if (!binder)
		return -ENOMEM;
	rng_make_nano(&org->rng, binder->id);
	binder->name_json = strdup(name_json);
	binder->created = strdup(created);
	binder->elements = schema_render(org->options.extra_fields);
	if (binder->name_json && binder->created)
		binder->raw = org_render_binder(binder);
	if (!binder->raw || !binder->elements || list_add(&org->binders, binder)) {
		org_binder_free(org, binder);
		return -ENOMEM;
	}
	*ret_binder = binder;
	return 0;
}

int org_add_folder(struct org *org, struct org_binder *binder, struct org_folder *parent,
		   const char *name_json, bool listed, struct org_folder **ret_folder)
{
	struct list *siblings = parent ? &parent->folders : &binder->folders;
	struct org_folder *folder = calloc(1, sizeof(*folder));
	if (!folder)
		return -ENOMEM;
	rng_make_guid(&org->rng, folder->id);
	folder->binder = binder;
	folder->parent = parent;
	folder->listed = listed;
	folder->level = parent ? parent->level + 1 : 1;
	folder->name_json = strdup(name_json);
	if (folder->name_json)
		folder->raw = org_render_folder(folder);
	if (!folder->raw || !tsearch(folder, &org->folder_tree, org_compare))
		goto fail;
	if (list_add(&binder->all_folders, folder))
		goto fail_tree;
	if (listed && list_add(siblings, folder))
		goto fail_list;
	*ret_folder = folder;
	return 0;

fail_list:
	list_remove(&binder->all_folders, folder);
fail_tree:
	tdelete(folder->id, &org->folder_tree, org_compare);
fail:
	org_folder_free(folder);
	return -ENOMEM;
}

/* Writes the raw text anew after a change of the document. */
static int org_document_refresh(struct org *org, struct org_document *document)
{
	size_t len;
	char *raw = org_render_document(org, document, &len);

	if (!raw)
		return -ENOMEM;
	free(document->raw);
	document->raw = raw;
	document->raw_len = len;
	return 0;
}

int org_add_version(struct org *org, struct org_document *document)
{
	const struct org_options *options = &org->options;
	struct org_version *version = calloc(1, sizeof(*version));
	if (!version)
		return -ENOMEM;
	rng_make_guid(&org->rng, version->id);
	version->size =
		options->size_min + rng_below(&org->rng, options->size_max - options->size_min + 1);
	version->older = document->version;
	if (!tsearch(version, &org->version_tree, org_compare)) {
		free(version);
		return -ENOMEM;
	}
	document->version = version;
	if (org_document_refresh(org, document)) {
		document->version = version->older;
		tdelete(version->id, &org->version_tree, org_compare);
		free(version);
		return -ENOMEM;
	}
	return 0;
}

/* Puts a name and its folded form in; on failure the document keeps the old ones. */
static int org_document_set_name(struct org_document *document, const char *name_json)
{
	struct buf fold = {0};
	char *copy = strdup(name_json);
	int r = copy ? text_decode_literal(name_json, &fold) : -ENOMEM;

	if (r) {
		free(copy);
		buf_free(&fold);
		return r;
	}
	free(document->name_json);
	free(document->name_fold);
	document->name_json = copy;
	document->name_fold = buf_take(&fold, &document->name_fold_len);
	text_fold(document->name_fold, document->name_fold_len);
	return 0;
}

int org_add_document(struct org *org, struct org_binder *binder, struct org_folder *folder,
		     enum org_folderless folderless, const char *name_json,
		     const struct org_meta *meta, size_t n_meta, struct org_document **ret_document)
{
	struct org_document *document = calloc(1, sizeof(*document));
	int r = -ENOMEM;
	if (!document)
		return r;
	rng_make_guid(&org->rng, document->id);
	document->binder = binder;
	document->folder = folder;
	document->folderless = folderless;
	document->meta = calloc(n_meta + 1, sizeof(*meta));
	if (!document->meta)
		goto fail;
	if (n_meta)
		memcpy(document->meta, meta, n_meta * sizeof(*meta));
	document->n_meta = n_meta;
	r = org_document_set_name(document, name_json);
	if (!r)
		r = org_add_version(org, document);
	if (r)
		goto fail;
	r = -ENOMEM;
	if (!tsearch(document, &org->document_tree, org_compare))
		goto fail;
	if (list_add(&binder->documents, document))
		goto fail_tree;
	if (folder && list_add(&folder->documents, document))
		goto fail_list;
	*ret_document = document;
	return 0;

fail_list:
	list_remove(&binder->documents, document);
fail_tree:
	tdelete(document->id, &org->document_tree, org_compare);
fail:
	org_document_free(org, document);
	return r;
}

int org_rename_binder(struct org_binder *binder, const char *name_json)
{
	struct org_binder renamed = *binder;

	renamed.name_json = strdup(name_json);
	renamed.raw = renamed.name_json ? org_render_binder(&renamed) : NULL;
	if (!renamed.raw) {
		free(renamed.name_json);
		return -ENOMEM;
	}
	free(binder->name_json);
	free(binder->raw);
	binder->name_json = renamed.name_json;
	binder->raw = renamed.raw;
	return 0;
}

int org_rename_folder(struct org_folder *folder, const char *name_json)
{
	struct org_folder renamed = *folder;

	renamed.name_json = strdup(name_json);
	renamed.raw = renamed.name_json ? org_render_folder(&renamed) : NULL;
	if (!renamed.raw) {
		free(renamed.name_json);
		return -ENOMEM;
	}
	free(folder->name_json);
	free(folder->raw);
	folder->name_json = renamed.name_json;
	folder->raw = renamed.raw;
	return 0;
}

int org_rename_document(struct org *org, struct org_document *document, const char *name_json)
{
	int r = org_document_set_name(document, name_json);

	return r ? r : org_document_refresh(org, document);
}

int org_set_metadata(struct org *org, struct org_document *document, const char *key,
		     const char *value)
{
	const char *known_key = org_intern(org, key);
	const char *known_value = value ? org_intern(org, value) : NULL;
	if (!known_key || (value && !known_value))
		return -ENOMEM;
	size_t at = 0;
	while (at < document->n_meta && document->meta[at].key != known_key)
		at++;
	if (!value) {
		if (at < document->n_meta) {
			document->n_meta--;
			memmove(document->meta + at, document->meta + at + 1,
				(document->n_meta - at) * sizeof(*document->meta));
		}
		return org_document_refresh(org, document);
	}
	if (at == document->n_meta) {
		struct org_meta *meta =
			reallocarray(document->meta, document->n_meta + 1, sizeof(*meta));

		if (!meta)
			return -ENOMEM;
		document->meta = meta;
		document->n_meta++;
	}
	document->meta[at] = (struct org_meta){known_key, known_value};
	return org_document_refresh(org, document);
}

int org_move_document(struct org *org, struct org_document *document, struct org_folder *folder)
{
	if (folder && list_add(&folder->documents, document))
		return -ENOMEM;
	if (document->folder)
		list_remove(&document->folder->documents, document);
	document->folder = folder;
	return org_document_refresh(org, document);
}

void org_remove_document(struct org *org, struct org_document *document)
{
	list_remove(&document->binder->documents, document);
	if (document->folder)
		list_remove(&document->folder->documents, document);
	tdelete(document->id, &org->document_tree, org_compare);
	org_document_free(org, document);
}

void org_remove_folder(struct org *org, struct org_folder *folder, bool keep_documents)
{
	while (folder->folders.n)
		org_remove_folder(org, folder->folders.items[0], keep_documents);
	list_remove(folder->parent ? &folder->parent->folders : &folder->binder->folders, folder);
	if (keep_documents) {
		/* It stays as a name in its documents. Nothing may point at a parent that goes. */
		folder->listed = false;
		folder->parent = NULL;
		return;
	}
	while (folder->documents.n)
		org_remove_document(org, folder->documents.items[folder->documents.n - 1]);
	list_remove(&folder->binder->all_folders, folder);
	tdelete(folder->id, &org->folder_tree, org_compare);
	org_folder_free(folder);
}

void org_remove_binder(struct org *org, struct org_binder *binder)
{
	list_remove(&org->binders, binder);
	org_binder_free(org, binder);
}
