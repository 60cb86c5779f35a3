/* The operations on an organisation, see change.h. */
#include "api.h"
#include "ibinder.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct org *change_org(const struct change *change)
{
	return &ibinder_of(change->sim)->org;
}

static struct org_binder *change_binder(const struct change *change, const char *member)
{
	const char *id = change_string(change, member);

	return id ? org_find_binder(change_org(change), id) : NULL;
}

static struct org_folder *change_folder(const struct change *change, const char *member)
{
	const char *id = change_string(change, member);

	return id ? org_find_folder(change_org(change), id) : NULL;
}

static struct org_document *change_document(const struct change *change)
{
	const char *id = change_string(change, "id");

	return id ? org_find_document(change_org(change), id) : NULL;
}

static int change_show_document(const struct change *change, const struct org_document *document)
{
	buf_add(change->object, document->raw, document->raw_len);
	return 0;
}

static int change_rename_document(const struct change *change)
{
	struct org_document *document = change_document(change);

	if (!document)
		return -ENOENT;
	if (!change->name_json)
		return -EINVAL;
	int r = org_rename_document(change_org(change), document, change->name_json);
	return r ? r : change_show_document(change, document);
}

static int change_add_document(const struct change *change)
{
	struct org_binder *binder = change_binder(change, "binder");
	struct org_folder *folder = change_folder(change, "folder");
	struct org_document *document;

	if (!binder || (!folder && change_string(change, "folder")))
		return -ENOENT;
	if (!change->name_json || (folder && folder->binder != binder))
		return -EINVAL;
	int r = gen_add_document(change_org(change), binder, folder, ORG_FOLDER_NULL,
				 change->name_json, &document);
	return r ? r : change_show_document(change, document);
}

static int change_delete_document(const struct change *change)
{
	struct org_document *document = change_document(change);

	if (!document)
		return -ENOENT;
	org_remove_document(change_org(change), document);
	return 0;
}

static int change_new_version(const struct change *change)
{
	struct org_document *document = change_document(change);

	if (!document)
		return -ENOENT;
	int r = org_add_version(change_org(change), document);
	return r ? r : change_show_document(change, document);
}

static int change_set_metadata(const struct change *change)
{
	struct org_document *document = change_document(change);
	const char *key = change_string(change, "key");

	if (!document)
		return -ENOENT;
	/* Binder and tab say where a document is: it is moved, not edited. */
	if (!key || !strcmp(key, "GLOBAL_BinderId") || !strcmp(key, "GLOBAL_TabId"))
		return -EINVAL;
	int r = org_set_metadata(change_org(change), document, key,
				 change_string(change, "valueId"));
	return r ? r : change_show_document(change, document);
}

static int change_move_document(const struct change *change)
{
	struct org_document *document = change_document(change);
	struct org_folder *folder = change_folder(change, "folder");

	if (!document || (!folder && change_string(change, "folder")))
		return -ENOENT;
	if (folder && folder->binder != document->binder)
		return -EINVAL;
	int r = org_move_document(change_org(change), document, folder);
	return r ? r : change_show_document(change, document);
}

static int change_add_binder(const struct change *change)
{
	struct org_binder *binder;

	if (!change->name_json)
		return -EINVAL;
	int r = org_add_binder(change_org(change), change->name_json, "2025-06-02T08:00:00Z",
			       &binder);
	if (!r)
		buf_add_str(change->object, binder->raw);
	return r;
}

static int change_rename_binder(const struct change *change)
{
	struct org_binder *binder = change_binder(change, "id");

	if (!binder)
		return -ENOENT;
	if (!change->name_json)
		return -EINVAL;
	int r = org_rename_binder(binder, change->name_json);
	if (!r)
		buf_add_str(change->object, binder->raw);
	return r;
}

static int change_delete_binder(const struct change *change)
{
	struct org_binder *binder = change_binder(change, "id");

	if (!binder)
		return -ENOENT;
	org_remove_binder(change_org(change), binder);
	return 0;
}

static int change_add_folder(const struct change *change)
{
	struct org_binder *binder = change_binder(change, "binder");
	struct org_folder *parent = change_folder(change, "parent");
	struct org_folder *folder;

	if (!binder || (!parent && change_string(change, "parent")))
		return -ENOENT;
	if (!change->name_json || (parent && (parent->binder != binder || !parent->listed)))
		return -EINVAL;
	int r = org_add_folder(change_org(change), binder, parent, change->name_json, true,
			       &folder);
	if (!r)
		buf_add_str(change->object, folder->raw);
	return r;
}

static int change_rename_folder(const struct change *change)
{
	struct org_folder *folder = change_folder(change, "id");

	if (!folder)
		return -ENOENT;
	if (!change->name_json)
		return -EINVAL;
	int r = org_rename_folder(folder, change->name_json);
	if (!r)
		buf_add_str(change->object, folder->raw);
	return r;
}

static int change_delete_folder(const struct change *change)
{
	const cJSON *keep = cJSON_GetObjectItemCaseSensitive(change->json, "keep_documents");
	struct org_folder *folder = change_folder(change, "id");

	if (!folder || !folder->listed)
		return -ENOENT;
	org_remove_folder(change_org(change), folder, cJSON_IsTrue(keep));
	return 0;
}

const struct change_op org_changes[] = {
	{"rename_document", change_rename_document},
	{"add_document", change_add_document},
	{"delete_document", change_delete_document},
	{"new_version", change_new_version},
	{"set_metadata", change_set_metadata},
	{"move_document", change_move_document},
	{"add_binder", change_add_binder},
	{"rename_binder", change_rename_binder},
	{"delete_binder", change_delete_binder},
	{"add_folder", change_add_folder},
	{"rename_folder", change_rename_folder},
	{"delete_folder", change_delete_folder},
	{0},
};
