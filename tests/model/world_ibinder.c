/* world_ibinder.c: the truth of an iBinder organisation, and the answers that its API
 * would give. */
#include "world_ibinder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_ID "%08d-0000-4000-8000-000000000000"
#define FOLDER_ID   "folder-%d-%d"

struct ibinder ibinder;

/* --- Objects --- */

static void reset(void)
{
	memset(&ibinder, 0, sizeof(ibinder));
	ibinder.tells_tabs = rng_percent(70);
	for (int b = 0; b < BINDERS; b++) {
		world_change_object(&ibinder.binders[b])->there = b == 0 || rng_percent(80);
		for (int f = 0; f < FOLDERS; f++)
			world_change_object(&ibinder.folders[b][f])->there = true;
	}
	for (int d = 0; d < DOCUMENTS; d++) {
		struct state *state = world_change_object(&world.documents[d]);

		world.documents[d].dated = d % 3 == 0;
		state->there = rng_percent(70);
		state->binder = (int)rng_below(BINDERS);
		state->folder = (int)rng_below(FOLDERS + 1) - 1;
	}
}

static void change_document(struct object *object)
{
	struct state *state = world_change_object(object);
	int before = state->binder;

	ibinder.moved[before] = now_seq;
	switch (rng_below(6)) {
	case 0:
		state->there = !state->there;
		*(state->there ? &ibinder.came[before] : &ibinder.went[before]) = now_seq;
		break;
	case 1:
		state->name++;
		break;
	case 2:
		state->binder = (int)rng_below(BINDERS);
		ibinder.moved[state->binder] = now_seq;
		if (state->there && state->binder != before) {
			ibinder.went[before] = now_seq;
			ibinder.came[state->binder] = now_seq;
		}
		/* fall through */
	case 3:
		state->folder = (int)rng_below(FOLDERS + 1) - 1;
		break;
	default:
		state->version++;
	}
}

static void change(void)
{
	unsigned what = rng_below(12);
	int binder = (int)rng_below(BINDERS);
	struct object *object = &world.documents[rng_below(DOCUMENTS)];

	if (what == 0)
		object = &ibinder.binders[binder];
	else if (what == 1)
		object = &ibinder.folders[binder][rng_below(FOLDERS)];
	if (object->count == STATES_MAX ||
	    (what > 1 && !world_now(object)->there && rng_percent(50)))
		return;
	if (what > 1)
		change_document(object);
	/* One that is gone stays so: ids do not come again. */
	else if (what == 0 && binder > 0 && world_now(object)->there && rng_percent(30))
		world_change_object(object)->there = false;
	else
		world_change_object(object)->name++;
	action("change %s %d: state %u",
	       what > 1 ? "document"
	       : what	? "folder of"
			: "binder",
	       what > 1 ? (int)(object - world.documents) : binder, object->count - 1);
}

/* --- Texts --- */

void ibinder_print_binder(int binder, const struct state *state, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX,
		 "{\"id\": \"BINDER00%d\", \"name\": \"b%d-%u\", \"type\": \"binder\", "
		 "\"createdAt\": \"" IBINDER_DATE "\"}",
		 binder, binder, state->name);
}

void ibinder_print_folder(int binder, int folder, const struct state *state, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX,
		 "{\"id\": \"" FOLDER_ID "\", \"name\": \"f%d-%u\", \"type\": \"tab\", "
		 "\"revision\": %u}",
		 binder, folder, folder, state->name, state->revision);
}

void ibinder_print_elements(int binder, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "[\n  {\"id\": \"GLOBAL_Status\", \"binder\": %d}\n]", binder);
}

static void print_document(int document, const struct state *state, char text[TEXT_MAX])
{
	char folder[32] = "null";
	char tab[128] = "";

	if (state->folder >= 0)
		snprintf(folder, sizeof(folder), "\"" FOLDER_ID "\"", state->binder, state->folder);
	if (state->folder >= 0 && ibinder.tells_tabs)
		snprintf(tab, sizeof(tab),
			 "    {\"metadataElementId\": \"GLOBAL_TabId\", \"valueId\": %s},\n",
			 folder);
	snprintf(text, TEXT_MAX,
		 "{\n  \"id\": \"" DOCUMENT_ID "\",\n  \"fileName\": \"d%d-%u.pdf\",\n"
		 "  \"folderId\": %s,\n  \"binderId\": \"BINDER00%d\",\n  \"metadata\": [\n%s"
		 "    {\"metadataElementId\": \"Revision\", \"valueId\": \"%u\"}%s\n  ],\n"
		 "  \"latestVersionId\": \"v-%d-%u\"\n}",
		 document, document, state->name, folder, state->binder, tab, state->revision,
		 world.documents[document].dated
			 ? ",\n    {\"metadataElementId\": \"GLOBAL_Date\", "
			   "\"valueId\": \"" IBINDER_DATE "\"}"
			 : "",
		 document, state->version);
}

static void print_id(int document, char id[NAME_MAX_OURS])
{
	snprintf(id, NAME_MAX_OURS, DOCUMENT_ID, document);
}

int ibinder_binder_of(const char *id)
{
	return world_digit_after(id, "BINDER00", BINDERS);
}

static int document_of(const char *id)
{
	return world_digit_after(id, "0000000", DOCUMENTS);
}

static const char *bytes_of(int document, unsigned version, unsigned generation, size_t *ret_size)
{
	if (generation >= storage_generations(document, version))
		return NULL;
	*ret_size = storage_size(document, version, generation);
	return storage_bytes(document, version, generation);
}

/* --- Answers --- */

static int answer_binders(struct buf *out)
{
	char text[TEXT_MAX];
	bool first = true;

	buf_append_str(out, "[");
	for (int b = 0; b < BINDERS; b++) {
		const struct state *state = world_now(&ibinder.binders[b]);

		if (!state->there)
			continue;
		ibinder_print_binder(b, state, text);
		world_add_item(out, &first, text);
	}
	buf_append_str(out, "]");
	return 200;
}

/* The tabs, or the folders in one. */
static int answer_folders(int binder, int parent, struct buf *out)
{
	char text[TEXT_MAX];
	bool first = true;

	if (binder < 0 || !world_now(&ibinder.binders[binder])->there)
		return 404;
	buf_append_str(out, "[");
	for (int f = 0; f < FOLDERS; f++) {
		if (WORLD_PARENT(f) != parent)
			continue;
		ibinder_print_folder(binder, f, world_now(&ibinder.folders[binder][f]), text);
		world_add_item(out, &first, text);
	}
	buf_append_str(out, "]");
	return 200;
}

/* The value of a filter in a search's body, copied to `value`. */
static bool filter_of(const char *body, const char *key, char value[64])
{
	const char *at = body ? strstr(body, key) : NULL;

	at = at ? strstr(at, "\"valueId\":\"") : NULL;
	return at && sscanf(at, "\"valueId\":\"%63[^\"]", value) == 1;
}

static bool is_found(int document, const char *binder, const char *tab, const char *term)
{
	const struct state *state = world_now(&world.documents[document]);
	char text[64];

	if (!state->there || !world_now(&ibinder.binders[state->binder])->there)
		return false;
	snprintf(text, sizeof(text), FOLDER_ID, state->binder, state->folder);
	if (tab && strcmp(tab, text) != 0)
		return false;
	snprintf(text, sizeof(text), "d%d-%u.pdf", document, state->name);
	return (!binder || ibinder_binder_of(binder) == state->binder) &&
	       (!term || strstr(text, term));
}

static int answer_search(const char *query, const char *body, struct buf *out)
{
	char binder[64];
	char tab[64];
	char term[64];
	unsigned size = 1;
	unsigned number = 1;
	bool has_term = sscanf(query, "pageSize=%u&pageNumber=%u&searchTerm=%63s", &size, &number,
			       term) == 3;
	bool has_binder = filter_of(body, "GLOBAL_BinderId", binder);
	bool has_tab = filter_of(body, "GLOBAL_TabId", tab);
	unsigned total = 0;
	bool first = true;

	buf_append_str(out, "{\"items\":[");
	for (int d = 0; d < DOCUMENTS; d++) {
		char text[TEXT_MAX];

		if (!is_found(d, has_binder ? binder : NULL, has_tab ? tab : NULL,
			      has_term ? term : NULL))
			continue;
		if (total++ / size + 1 != number)
			continue;
		print_document(d, world_now(&world.documents[d]), text);
		world_add_item(out, &first, text);
	}
	buf_printf(out, "],\"totalCount\":%u,\"pageNumber\":%u,\"pageSize\":%u}", total, number,
		   size);
	return 200;
}

static int answer_document(const char *path, struct buf *out)
{
	int document = document_of(path);
	const char *version = strstr(path, "/versions/v-");
	char text[TEXT_MAX];
	unsigned number;

	if (document < 0 || !world_now(&world.documents[document])->there)
		return 404;
	if (!version) {
		print_document(document, world_now(&world.documents[document]), text);
		buf_append_str(out, text);
	} else if (sscanf(version, "/versions/v-%*d-%u/downloadlink", &number) == 1) {
		buf_printf(out, "{\"url\":\"%s/s/%d-%u?sig=secret\"}", storage.scheme_and_host,
			   document, number);
	} else {
		return 404;
	}
	return 200;
}

static int answer(const char *target, const char *body, struct buf *out)
{
	char text[TEXT_MAX];
	int binder;
	int folder;

	if (strcmp(target, "/binders") == 0)
		return answer_binders(out);
	if (sscanf(target, "/binders/BINDER00%d/metadataelements", &binder) == 1) {
		ibinder_print_elements(binder, text);
		buf_append_str(out, text);
		return 200;
	}
	if (sscanf(target, "/documents/drives/binders/%*[^/]/folders/" FOLDER_ID, &binder,
		   &folder) == 2)
		return answer_folders(binder, folder, out);
	if (sscanf(target, "/documents/drives/binders/BINDER00%d", &binder) == 1)
		return answer_folders(binder, -1, out);
	if (strncmp(target, "/documents?", 11) == 0)
		return answer_search(target + 11, body, out);
	if (strncmp(target, "/documents/", 11) == 0)
		return answer_document(target + 11, out);
	fail("a request that the API does not have: %s", target);
}

static void configure(struct config *to)
{
	to->tenant_id = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
	to->client_id = "client";
	to->api_url = "http://127.0.0.1/api";
	to->auth_url = "http://127.0.0.1/connect/token";
	to->subfolders_path = "/documents/drives/binders/{binder}/folders/{folder}";
}

const struct vendor_world world_ibinder = {
	.configure = configure,
	.reset = reset,
	.change = change,
	.answer = answer,
	.print_document = print_document,
	.bytes = bytes_of,
	.print_id = print_id,
	.document_of = document_of,
	.part_of = ibinder_binder_of,
};
