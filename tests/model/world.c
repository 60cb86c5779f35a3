/* world.c: the server's truth: a small organisation with all that it ever was, and the answers that
 * the API and the storage would give. */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_ID  "%08d-0000-4000-8000-000000000000"
#define FOLDER_ID    "folder-%d-%d"
#define BYTES_PERIOD 251

struct world world;
static unsigned char swapped[DOCUMENTS][STATES_MAX]; /* how often a version was */

/* --- Objects --- */

static struct state *object_change(struct object *object)
{
	struct state *state = &object->states[object->count];

	*state = object->count ? object->states[object->count - 1] : (struct state){.folder = -1};
	object->count++;
	state->from = ++now_seq;
	state->from_wall_ns = clock_wall_ns();
	state->revision++;
	return state;
}

void world_reset(void)
{
	memset(&world, 0, sizeof(world));
	memset(swapped, 0, sizeof(swapped));
	world.tells_tabs = rng_percent(70);
	for (int b = 0; b < BINDERS; b++) {
		object_change(&world.binders[b])->there = b == 0 || rng_percent(80);
		for (int f = 0; f < FOLDERS; f++)
			object_change(&world.folders[b][f])->there = true;
	}
	for (int d = 0; d < DOCUMENTS; d++) {
		struct state *state = object_change(&world.documents[d]);

		world.documents[d].dated = d % 3 == 0;
		state->there = rng_percent(70);
		state->binder = (int)rng_below(BINDERS);
		state->folder = (int)rng_below(FOLDERS + 1) - 1;
	}
}

static void change_document(struct object *object)
{
	struct state *state = object_change(object);

	world.moved[state->binder] = now_seq;
	switch (rng_below(6)) {
	case 0:
		state->there = !state->there;
		break;
	case 1:
		state->name++;
		break;
	case 2:
		state->binder = (int)rng_below(BINDERS);
		world.moved[state->binder] = now_seq;
		/* fall through */
	case 3:
		state->folder = (int)rng_below(FOLDERS + 1) - 1;
		break;
	default:
		state->version++;
	}
}

void world_change(void)
{
	unsigned what = rng_below(12);
	int binder = (int)rng_below(BINDERS);
	struct object *object = &world.documents[rng_below(DOCUMENTS)];

	if (what == 0)
		object = &world.binders[binder];
	else if (what == 1)
		object = &world.folders[binder][rng_below(FOLDERS)];
	if (object->count == STATES_MAX ||
	    (what > 1 && !world_now(object)->there && rng_percent(50)))
		return;
	if (what > 1)
		change_document(object);
	/* One that is gone stays so: ids do not come again. */
	else if (what == 0 && binder > 0 && world_now(object)->there && rng_percent(30))
		object_change(object)->there = false;
	else
		object_change(object)->name++;
	action("change %s %d: state %u",
	       what > 1 ? "document"
	       : what	? "folder of"
			: "binder",
	       what > 1 ? (int)(object - world.documents) : binder, object->count - 1);
}

bool world_was(const struct object *object, unsigned state, uint64_t since, uint64_t until)
{
	uint64_t end = state + 1 < object->count ? object->states[state + 1].from : UINT64_MAX;

	return object->states[state].from <= until && end > since;
}

/* --- Texts --- */

void world_print_binder(int binder, const struct state *state, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX,
		 "{\"id\": \"BINDER00%d\", \"name\": \"b%d-%u\", \"type\": \"binder\", "
		 "\"createdAt\": \"" WORLD_DATE "\"}",
		 binder, binder, state->name);
}

void world_print_folder(int binder, int folder, const struct state *state, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX,
		 "{\"id\": \"" FOLDER_ID "\", \"name\": \"f%d-%u\", \"type\": \"tab\", "
		 "\"revision\": %u}",
		 binder, folder, folder, state->name, state->revision);
}

void world_print_elements(int binder, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "[\n  {\"id\": \"GLOBAL_Status\", \"binder\": %d}\n]", binder);
}

void world_print_document(int document, const struct state *state, char text[TEXT_MAX])
{
	char folder[32] = "null";
	char tab[128] = "";

	if (state->folder >= 0)
		snprintf(folder, sizeof(folder), "\"" FOLDER_ID "\"", state->binder, state->folder);
	if (state->folder >= 0 && world.tells_tabs)
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
			   "\"valueId\": \"" WORLD_DATE "\"}"
			 : "",
		 document, state->version);
}

/* The digit that ends a text which begins like this. */
static int digit_after(const char *text, const char *start, int below)
{
	size_t len = strlen(start);

	if (!text || strncmp(text, start, len) != 0 || text[len] < '0' || text[len] >= '0' + below)
		return -1;
	return text[len] - '0';
}

int world_binder_of(const char *id)
{
	return digit_after(id, "BINDER00", BINDERS);
}

int world_document_of(const char *id)
{
	return digit_after(id, "0000000", DOCUMENTS);
}

/* --- Contents --- */

static unsigned mix(int document, unsigned version)
{
	return ((unsigned)document * 31 + version) * 2654435761u >> 8;
}

/* Without ETags only another length tells that the bytes are others. */
size_t world_size(int document, unsigned version, unsigned generation)
{
	static const size_t sizes[] = {0, 1, 17, 300, 300, 300, 4096, 5000, 5000, 70000};

	/* More than what comes by one request, whose ranges may be of two generations. */
	static const size_t swapped_sizes[] = {300, 5000, 66000, 600000, 600000, WORLD_SIZE_MAX};

	generation = storage.has_etags ? generation / 2 : generation * 3;
	generation += mix(document, version);
	return storage.swaps ? swapped_sizes[generation % COUNT(swapped_sizes)]
			     : sizes[generation % COUNT(sizes)];
}

/* All bytes are from one text, each version's from another place on. */
const char *world_bytes(int document, unsigned version, unsigned generation)
{
	static char bytes[WORLD_SIZE_MAX + WORLD_SLACK + BYTES_PERIOD];

	if (!bytes[0]) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)(1 + i * 31 % BYTES_PERIOD + i / 257);
	}
	return bytes + (mix(document, version) + 17 * generation) % BYTES_PERIOD;
}

unsigned world_generations(int document, unsigned version)
{
	return 1u + swapped[document][version];
}

void world_swap(void)
{
	int document = rng_percent(70) ? storage.latest : (int)rng_below(DOCUMENTS);
	unsigned version = world_now(&world.documents[document])->version;
	unsigned generation = world_generations(document, version);

	if (generation == GENERATIONS)
		return;
	for (unsigned old = 0; !storage.has_etags && old < generation; old++) {
		if (world_size(document, version, old) == world_size(document, version, generation))
			return;
	}
	swapped[document][version]++;
	action("storage has other bytes of document %d, version %u", document, version);
}

/* --- Answers --- */

static void add_item(struct buf *out, bool *first, const char *text)
{
	buf_printf(out, "%s%s", *first ? "" : ",", text);
	*first = false;
}

static int answer_binders(struct buf *out)
{
	char text[TEXT_MAX];
	bool first = true;

	buf_append_str(out, "[");
	for (int b = 0; b < BINDERS; b++) {
		const struct state *state = world_now(&world.binders[b]);

		if (!state->there)
			continue;
		world_print_binder(b, state, text);
		add_item(out, &first, text);
	}
	buf_append_str(out, "]");
	return 200;
}

/* The tabs, or the folders in one. */
static int answer_folders(int binder, int parent, struct buf *out)
{
	char text[TEXT_MAX];
	bool first = true;

	if (binder < 0 || !world_now(&world.binders[binder])->there)
		return 404;
	buf_append_str(out, "[");
	for (int f = 0; f < FOLDERS; f++) {
		if (WORLD_PARENT(f) != parent)
			continue;
		world_print_folder(binder, f, world_now(&world.folders[binder][f]), text);
		add_item(out, &first, text);
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

	if (!state->there || !world_now(&world.binders[state->binder])->there)
		return false;
	snprintf(text, sizeof(text), FOLDER_ID, state->binder, state->folder);
	if (tab && strcmp(tab, text) != 0)
		return false;
	snprintf(text, sizeof(text), "d%d-%u.pdf", document, state->name);
	return (!binder || world_binder_of(binder) == state->binder) &&
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
		world_print_document(d, world_now(&world.documents[d]), text);
		add_item(out, &first, text);
	}
	buf_printf(out, "],\"totalCount\":%u,\"pageNumber\":%u,\"pageSize\":%u}", total, number,
		   size);
	return 200;
}

static int answer_document(const char *path, struct buf *out)
{
	int document = world_document_of(path);
	const char *version = strstr(path, "/versions/v-");
	char text[TEXT_MAX];
	unsigned number;

	if (document < 0 || !world_now(&world.documents[document])->there)
		return 404;
	if (!version) {
		world_print_document(document, world_now(&world.documents[document]), text);
		buf_append_str(out, text);
	} else if (sscanf(version, "/versions/v-%*d-%u/downloadlink", &number) == 1) {
		buf_printf(out, "{\"url\":\"%s/s/%d-%u?sig=secret\"}", storage.scheme_and_host,
			   document, number);
	} else {
		return 404;
	}
	return 200;
}

int world_answer(const char *target, const char *body, struct buf *out)
{
	char text[TEXT_MAX];
	int binder;
	int folder;

	if (strcmp(target, "/binders") == 0)
		return answer_binders(out);
	if (sscanf(target, "/binders/BINDER00%d/metadataelements", &binder) == 1) {
		world_print_elements(binder, text);
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
