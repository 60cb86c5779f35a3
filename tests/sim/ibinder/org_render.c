/*
 * org_render: an object's JSON as the API sends it.
 *
 * Members and their order follow the vendor's documentation; each object carries one or two
 * members besides, because "more members may appear at any time" (S).
 */
#include "org.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

char *org_render_binder(const struct org_binder *binder)
{
	struct buf out = {0};

	buf_add_format(&out,
		       "{\"id\":\"%s\",\"name\":%s,\"type\":\"Project\",\"createdAt\":\"%s\",",
		       binder->id, binder->name_json, binder->created);
	buf_add_str(&out, "\"isArchived\":false}");
	return buf_take(&out, NULL);
}

char *org_render_folder(const struct org_folder *folder)
{
	struct buf out = {0};

	buf_add_format(&out,
		       "{\"id\":\"%s\",\"name\":%s,\"type\":\"Tab\",\"parentId\":", folder->id,
		       folder->name_json);
	if (folder->parent)
		buf_add_format(&out, "\"%s\"", folder->parent->id);
	else
		buf_add_str(&out, "null"); /* what the top level has is not documented */
	buf_add_format(&out, ",\"level\":%u}", folder->level);
	return buf_take(&out, NULL);
}

static void org_render_meta(struct buf *out, const char *key, const char *value)
{
	buf_add_str(out, "{\"metadataElementId\":");
	text_add_literal(out, key, strlen(key));
	buf_add_str(out, ",\"valueId\":");
	text_add_literal(out, value, strlen(value));
	buf_add_char(out, '}');
}

char *org_render_document(const struct org *org, const struct org_document *document,
			  size_t *ret_len)
{
	static const char odd_members[] =
		",\"x-big\":12345678901234567890,\"x-exp\":1E400,\"x-zero\":-0,\"x-frac\":1.50"
		",\"x-esc\":\"\\u00e5\\/"
		"\\u0000\",\"x-nested\":{\"a\":[1,[2,{\"b\":null}],[]],\"empty\":{},"
		"\"id\":\"not-this-one\"}";
	struct buf out = {0};

	buf_add_format(&out, "{\"id\":\"%s\",\"fileName\":%s", document->id, document->name_json);
	if (document->folder)
		buf_add_format(&out, ",\"folderId\":\"%s\"", document->folder->id);
	else if (document->folderless == ORG_FOLDER_NULL)
		buf_add_str(&out, ",\"folderId\":null");
	else if (document->folderless == ORG_FOLDER_EMPTY)
		buf_add_str(&out, ",\"folderId\":\"\"");
	buf_add_format(&out, ",\"binderId\":\"%s\",\"metadata\":[", document->binder->id);
	if (document->folder) {
		org_render_meta(&out, org->key_tab, document->folder->id);
		buf_add_char(&out, ',');
	}
	org_render_meta(&out, org->key_binder, document->binder->id);
	for (size_t i = 0; i < document->n_meta; i++) {
		buf_add_char(&out, ',');
		org_render_meta(&out, document->meta[i].key, document->meta[i].value);
	}
	buf_add_format(&out, "],\"latestVersionId\":\"%s\",\"isLocked\":false",
		       document->version->id);
	if (org->options.odd_numbers)
		buf_add_str(&out, odd_members);
	buf_add_char(&out, '}');
	return buf_take(&out, ret_len);
}
