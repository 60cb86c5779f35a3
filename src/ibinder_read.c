/* ibinder_read.c: the iBinder File API: what an answer means. The objects go into the listing's
 * builder as they come; a task only remembers which pages and folders are still to be asked for.
 *
 * Fails with -EBADMSG where an answer is not what the documentation says, -EFBIG past a bound. */
#include "cleanup.h"
#include "date.h"
#include "ibinder_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A hostile or broken server must not keep a task going for ever. */
#define PAGES_MAX    100000
#define FOLDERS_MAX  100000
#define ID_BYTES_MAX 128
/* Pages are read again this often when documents moved between them meanwhile. */
#define REREADS_MAX 2

/* Lists come as an array; the vendor's quickstart reads `.items` instead (S): both are taken. */
static int list_of(const struct http_response *response, struct json *ret_list)
{
	struct json answer;
	struct json list;

	if (json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	if (json_type(answer) == JSON_ARRAY) {
		*ret_list = answer;
		return 0;
	}
	if (json_get(answer, "items", &list) || json_type(list) != JSON_ARRAY)
		return -EBADMSG;
	*ret_list = list;
	return 0;
}

static bool is_id(const struct buf *text)
{
	return text->len > 0 && strlen(text->data) == text->len;
}

/* What is no date is LISTING_NO_TIME. Returns 0 or -ENOMEM. */
static int read_date(struct json date, int64_t *ret_ns)
{
	struct buf text CLEANUP(buf_reset) = BUF_INIT(64);
	int error = json_read_string(date, &text);

	if (error == -ENOMEM)
		return error;
	if (error || date_parse_rfc3339(buf_str(&text), ret_ns))
		*ret_ns = LISTING_NO_TIME;
	return 0;
}

int ibinder_get_date(struct json object, const char *key, int64_t *ret_ns)
{
	struct json date;

	json_get_members(object, &key, 1, &date);
	return read_date(date, ret_ns);
}

static int add_binder(struct provider_task *task, struct json binder)
{
	enum { ID, NAME, CREATED_AT, MEMBERS };
	static const char *const keys[MEMBERS] = {"id", "name", "createdAt"};
	struct json members[MEMBERS];
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf name CLEANUP(buf_reset) = BUF_INIT(HTTP_BODY_MAX);
	int64_t created_ns;
	int error;

	json_get_members(binder, keys, MEMBERS, members);
	error = provider_read_id(members[ID], &id);
	if (!error)
		error = provider_read_name(members[NAME], &name);
	if (!error)
		error = read_date(members[CREATED_AT], &created_ns);
	if (error)
		return error;
	return listing_builder_add_dir(task->builder, &(struct listing_object){
							      .kind = LISTING_KIND_BINDER,
							      .id = id.data,
							      .raw_name = buf_str(&name),
							      .raw_name_len = name.len,
							      .elsewhere = true,
							      .mtime_ns = created_ns,
							      .json = binder,
						      });
}

static int add_binders(struct provider_task *task, const struct http_response *response)
{
	struct json list;
	struct json_iter iter;
	int error = list_of(response, &list);

	if (error)
		return error;
	for (iter = json_iterate(list); !error && json_next(&iter);)
		error = add_binder(task, iter.value);
	return error;
}

int ibinder_remember_folder(struct provider_task *task, const char *id)
{
	char **folders;

	if (task->folder_count >= FOLDERS_MAX)
		return -EFBIG;
	/* A power of two is full. */
	if ((task->folder_count & (task->folder_count - 1)) == 0) {
		size_t capacity = task->folder_count ? task->folder_count * 2 : 1;

		folders = realloc(task->folders, capacity * sizeof(*folders));
		if (!folders)
			return -ENOMEM;
		task->folders = folders;
	}
	if (ibinder_duplicate(id, &task->folders[task->folder_count]))
		return -ENOMEM;
	task->folder_count++;
	return 0;
}

/* `parent`: the folder that was asked about, NULL for the drive. parentId is not trusted: at the
 * top it is not documented. */
int ibinder_add_folder(struct provider_task *task, const char *parent, struct json folder)
{
	enum { ID, NAME, MEMBERS };
	static const char *const keys[MEMBERS] = {"id", "name"};
	struct json members[MEMBERS];
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf name CLEANUP(buf_reset) = BUF_INIT(HTTP_BODY_MAX);
	struct listing_object object = {
		.kind = LISTING_KIND_FOLDER,
		.parent = parent,
		.mtime_ns = LISTING_NO_TIME,
	};
	int error;

	json_get_members(folder, keys, MEMBERS, members);
	error = provider_read_id(members[ID], &id);
	if (!error)
		error = provider_read_name(members[NAME], &name);
	if (error || listing_builder_has(task->builder, LISTING_KIND_FOLDER, id.data))
		return error;
	object.id = id.data;
	object.raw_name = buf_str(&name);
	object.raw_name_len = name.len;
	error = listing_builder_add_dir(task->builder, &object);
	if (error)
		return error;
	object.kind = LISTING_KIND_FOLDER_JSON;
	object.parent = id.data;
	object.own_name = "folder.json";
	object.json = folder;
	error = listing_builder_add_file(task->builder, &object);
	if (error || task->apart)
		return error;
	return ibinder_remember_folder(task, id.data);
}

static int add_folders(struct provider_task *task, const char *parent,
		       const struct http_response *response)
{
	struct json list;
	struct json_iter iter;
	int error = list_of(response, &list);

	if (error)
		return error;
	for (iter = json_iterate(list); !error && json_next(&iter);)
		error = ibinder_add_folder(task, parent, iter.value);
	return error;
}

/* What is read of a document. */
enum document_member {
	DOCUMENT_ID,
	DOCUMENT_NAME,
	DOCUMENT_FOLDER,
	DOCUMENT_VERSION,
	DOCUMENT_METADATA,
	DOCUMENT_MEMBERS
};
static const char *const document_keys[DOCUMENT_MEMBERS] = {
	[DOCUMENT_ID] = "id",
	[DOCUMENT_NAME] = "fileName",
	[DOCUMENT_FOLDER] = "folderId",
	[DOCUMENT_VERSION] = "latestVersionId",
	[DOCUMENT_METADATA] = "metadata",
};

/* And of its metadata. */
enum metadata_key { METADATA_REVISION_DATE, METADATA_DATE, METADATA_FOLDER, METADATA_KEYS };
static const char *const metadata_keys[METADATA_KEYS] = {
	[METADATA_REVISION_DATE] = "GLOBAL_RevisionDate",
	[METADATA_DATE] = "GLOBAL_Date",
	[METADATA_FOLDER] = "GLOBAL_TabId",
};

/* [{metadataElementId, valueId}] (S); free-form keys may carry `value` instead (I). The first
 * element of a key counts; a value's `text` stays NULL where there is none. */
static void get_metadata(struct json metadata, struct json values[METADATA_KEYS])
{
	enum { ELEMENT, VALUE_ID, VALUE, MEMBERS };
	static const char *const keys[MEMBERS] = {"metadataElementId", "valueId", "value"};
	struct json members[MEMBERS];
	bool seen[METADATA_KEYS] = {false};
	size_t missing = METADATA_KEYS;
	struct json_iter iter;
	size_t i;

	for (i = 0; i < METADATA_KEYS; i++)
		values[i] = (struct json){0};
	if (!metadata.text)
		return;
	iter = json_iterate(metadata);
	while (missing > 0 && json_next_members(&iter, keys, MEMBERS, members)) {
		for (i = 0; members[ELEMENT].text && i < METADATA_KEYS; i++) {
			if (seen[i] || !json_string_equals(members[ELEMENT], metadata_keys[i]))
				continue;
			seen[i] = true;
			missing--;
			values[i] = members[VALUE_ID];
			if (!values[i].text || json_type(values[i]) == JSON_NULL)
				values[i] = members[VALUE];
		}
	}
}

static int get_document_date(const struct json metadata[METADATA_KEYS], int64_t *ret_ns)
{
	int error = read_date(metadata[METADATA_REVISION_DATE], ret_ns);

	if (!error && *ret_ns == LISTING_NO_TIME)
		error = read_date(metadata[METADATA_DATE], ret_ns);
	return error;
}

/* Either member names a folder; `folder` stays empty where it does not. Returns 0 or -ENOMEM. */
static int read_folder(struct json folder_id, struct buf *folder)
{
	int error = json_read_id(folder_id, folder);

	if (error == -ENOMEM)
		return error;
	if (error || !is_id(folder))
		buf_reset(folder);
	return 0;
}

/* Where a document stands and which version it holds; the buffers stay empty where it does not say.
 */
static int get_place(struct provider *provider, const struct json members[DOCUMENT_MEMBERS],
		     const struct json metadata[METADATA_KEYS], struct buf *folder,
		     struct buf *version)
{
	struct json tab = metadata[METADATA_FOLDER];
	/* folderId equals the GLOBAL_TabId value (I): either will do. */
	int error = read_folder(members[DOCUMENT_FOLDER], folder);

	if (!error && folder->len == 0)
		error = read_folder(tab, folder);
	else if (!error && (!tab.text || !json_string_equals(tab, folder->data)))
		provider->tab_is_other = true;
	if (error)
		return error;
	error = json_read_string(members[DOCUMENT_VERSION], version);
	if (error == -ENOMEM)
		return error;
	if (error || !is_id(version))
		buf_reset(version);
	return 0;
}

/* A binder's documents have a place and contents; others stand side by side, with JSON alone. */
static int add_document(struct provider_task *task, enum listing_kind kind, const char *id,
			struct json document, const struct json members[DOCUMENT_MEMBERS])
{
	struct buf folder CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf version CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct buf name CLEANUP(buf_reset) = BUF_INIT(HTTP_BODY_MAX);
	struct json metadata[METADATA_KEYS];
	struct listing_object object = {
		.kind = kind,
		.id = id,
		.suffix = ".json",
		.json = document,
	};
	int error = provider_read_name(members[DOCUMENT_NAME], &name);

	get_metadata(members[DOCUMENT_METADATA], metadata);
	if (!error)
		error = get_document_date(metadata, &object.mtime_ns);
	if (error)
		return error;
	object.raw_name = buf_str(&name);
	object.raw_name_len = name.len;
	if (kind == LISTING_KIND_DOCUMENT) {
		error = get_place(task->provider, members, metadata, &folder, &version);
		if (error)
			return error;
		/* Whether a search by a folder also finds what is in folders below it is not
		 * documented. */
		if (task->folder && strcmp(buf_str(&folder), task->folder) != 0)
			return 0;
		object.parent = folder.len ? folder.data : NULL;
		object.content = buf_str(&version);
	}
	error = listing_builder_add_file(task->builder, &object);
	if (!error)
		task->found++;
	return error;
}

/* One of a page: of a binder's documents, or of those that answer a query. */
static int add_listed(struct provider_task *task, struct json document,
		      const struct json members[DOCUMENT_MEMBERS])
{
	bool query = task->level == PROVIDER_QUERY;
	enum listing_kind kind = query ? LISTING_KIND_FOUND : LISTING_KIND_DOCUMENT;
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	int error = provider_read_id(members[DOCUMENT_ID], &id);

	if (error)
		return error;
	if (listing_builder_has(task->builder, kind, id.data)) {
		if (task->rereads == 0)
			task->shifted = true;
		return 0;
	}
	if (query && task->found == QUERY_DOCUMENTS_MAX) {
		task->cut = true;
		return 0;
	}
	return add_document(task, kind, id.data, document, members);
}

int ibinder_add_listed(struct provider_task *task, struct json document)
{
	struct json members[DOCUMENT_MEMBERS];

	json_get_members(document, document_keys, DOCUMENT_MEMBERS, members);
	return add_listed(task, document, members);
}

/* A document that was asked for by its id. GUIDs are the same in either case: the id is kept as it
 * was asked for. */
static int add_object(struct provider_task *task, const struct http_response *response)
{
	struct json members[DOCUMENT_MEMBERS];
	struct buf id CLEANUP(buf_reset) = BUF_INIT(ID_BYTES_MAX);
	struct json document;
	int error;

	if (json_parse(buf_str(&response->body), response->body.len, &document))
		return -EBADMSG;
	json_get_members(document, document_keys, DOCUMENT_MEMBERS, members);
	error = provider_read_id(members[DOCUMENT_ID], &id);
	if (error)
		return error;
	if (strcasecmp(id.data, task->id) != 0)
		return -EBADMSG;
	return add_document(task, LISTING_KIND_OBJECT, task->id, document, members);
}

/* The answer {url} (S) is a secret. Whether that URL may be used is not for us to say. */
static int take_link(struct provider_task *task, const struct http_response *response)
{
	struct buf url CLEANUP(buf_wipe) = BUF_INIT(SECRET_BYTES_MAX);
	struct json answer;
	size_t i;
	int error;

	if (json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	error = json_get_string(answer, "url", &url);
	if (error)
		return error == -ENOMEM ? error : -EBADMSG;
	for (i = 0; i < url.len; i++) {
		if ((unsigned char)url.data[i] <= ' ' || url.data[i] == 0x7f)
			return -EBADMSG;
	}
	if (url.len == 0)
		return -EBADMSG;
	return secret_set(&task->link, url.data, url.len);
}

/* Asks for no more pages of a query than may be shown. */
static uint64_t pages_to_read(struct provider_task *task, uint64_t pages)
{
	uint64_t shown = QUERY_DOCUMENTS_MAX / task->page_size;

	if (task->level != PROVIDER_QUERY)
		return pages;
	if (shown == 0)
		shown = 1; /* and of that the first QUERY_DOCUMENTS_MAX */
	task->cut = task->cut || pages > shown || task->total > QUERY_DOCUMENTS_MAX;
	return pages > shown ? shown : pages;
}

enum page_member { PAGE_ITEMS, PAGE_TOTAL, PAGE_SIZE, PAGE_MEMBERS };
static const char *const page_keys[PAGE_MEMBERS] = {
	[PAGE_ITEMS] = "items",
	[PAGE_TOTAL] = "totalCount",
	[PAGE_SIZE] = "pageSize",
};

/* Page numbers count from 1; the server may use smaller pages than asked for, and says so (S). */
static int take_totals(struct provider_task *task, const struct json members[PAGE_MEMBERS],
		       bool first, size_t items)
{
	int64_t total;
	int64_t size = (int64_t)task->provider->page_size;
	uint64_t pages;
	int error;

	if (json_read_int(members[PAGE_TOTAL], &total) || total < 0)
		return -EBADMSG;
	error = json_read_int(members[PAGE_SIZE], &size);
	if ((error && error != -ENOENT) || size < 1 || (first && items == 0 && total > 0))
		return -EBADMSG;
	if (first) {
		task->page_size = (uint64_t)size;
		task->total = (uint64_t)total;
	} else if ((uint64_t)size != task->page_size) {
		return -EBADMSG; /* the pages no longer fit together */
	} else if ((uint64_t)total != task->total) {
		task->shifted = true;
		task->total = (uint64_t)total;
	}
	pages = task->total / task->page_size + (task->total % task->page_size != 0);
	task->page_count = pages_to_read(task, pages);
	if (task->page_count > PAGES_MAX)
		return -EFBIG;
	if (task->page_count == 0)
		task->page_count = 1;
	return 0;
}

/* When documents came or went while the pages were read, one may have slipped from a page not yet
 * read to one already read: then all are read once more, and what is there already is skipped. A
 * server that goes on sending less than it announces would hide documents: -EBADMSG. */
static int maybe_reread(struct provider_task *task)
{
	if (task->pages_answered < task->pages_asked || task->page_next <= task->page_count)
		return 0;
	if (!task->shifted && !task->lacking)
		return 0;
	if (task->rereads >= REREADS_MAX)
		return task->lacking ? -EBADMSG : 0;
	task->rereads++;
	task->shifted = false;
	task->lacking = false;
	task->page_next = 1;
	task->pages_asked = 0;
	task->pages_answered = 0;
	return 0;
}

/* How many documents a page must hold, as far as the server's total is true. */
static uint64_t page_items(const struct provider_task *task, uint64_t number)
{
	uint64_t before = (number - 1) * task->page_size;
	uint64_t left = task->total > before ? task->total - before : 0;

	return left < task->page_size ? left : task->page_size;
}

static int add_page(struct provider_task *task, uint64_t number,
		    const struct http_response *response)
{
	bool first = task->page_count == 0;
	struct json members[PAGE_MEMBERS];
	struct json document[DOCUMENT_MEMBERS];
	struct json answer;
	struct json_iter iter;
	size_t items = 0;
	int error;

	if (json_parse(buf_str(&response->body), response->body.len, &answer))
		return -EBADMSG;
	json_get_members(answer, page_keys, PAGE_MEMBERS, members);
	if (!members[PAGE_ITEMS].text || json_type(members[PAGE_ITEMS]) != JSON_ARRAY)
		return -EBADMSG;
	iter = json_iterate(members[PAGE_ITEMS]);
	for (; json_next_members(&iter, document_keys, DOCUMENT_MEMBERS, document); items++) {
		error = add_listed(task, iter.value, document);
		if (error)
			return error;
	}
	error = take_totals(task, members, first, items);
	if (error)
		return error;
	if (items < page_items(task, number))
		task->lacking = true;
	task->pages_answered++;
	return maybe_reread(task);
}

static int add_metadata_elements(struct provider_task *task, const struct http_response *response)
{
	struct listing_object object = {
		.kind = LISTING_KIND_METADATA_JSON,
		.id = task->id,
		.own_name = "metadata-elements.json",
		.mtime_ns = LISTING_NO_TIME,
	};

	if (json_parse(buf_str(&response->body), response->body.len, &object.json))
		return -EBADMSG;
	return listing_builder_add_file(task->builder, &object);
}

int ibinder_task_answer(struct provider_task *task, uint64_t tag,
			const struct http_response *response)
{
	uint64_t index = tag >> 8;

	switch ((enum request_type)(tag & 0xff)) {
	case REQUEST_BINDERS:
		return add_binders(task, response);
	case REQUEST_DOCUMENT:
		return add_object(task, response);
	case REQUEST_LINK:
		return take_link(task, response);
	case REQUEST_DRIVE:
		return add_folders(task, NULL, response);
	case REQUEST_METADATA:
		return add_metadata_elements(task, response);
	case REQUEST_PAGE:
		return add_page(task, index, response);
	case REQUEST_SUBFOLDERS:
		task->provider->subfolders_seen = true;
		/* A 404 for one folder may have come in before the other answers. */
		task->provider->subfolders_missing = false;
		return add_folders(task, task->folders[index], response);
	}
	return -EBADMSG;
}
