/* places_ibinder.c: where the objects of an iBinder organisation stand in the tree. */
#include "world_ibinder.h"

#include <stdio.h>
#include <string.h>

/* --- Names --- */

static bool read_link(const char *name, struct place *place)
{
	place->part = ibinder_binder_of(name);
	return place->part >= 0;
}

static void print_link(const struct place *place, char name[NAME_MAX_OURS])
{
	snprintf(name, NAME_MAX_OURS, "BINDER00%d", place->part);
}

static void pick_name(const struct place *dir, char name[NAME_MAX_OURS])
{
	struct place place = *dir;
	int d = (int)rng_below(DOCUMENTS);
	const struct object *document = &world.documents[d];
	int b = (int)rng_below(BINDERS);
	int f = (int)rng_below(FOLDERS);

	place.key = place_key_inside(dir);
	place.document = d;
	if (rng_percent(5)) {
		snprintf(name, NAME_MAX_OURS, ".git");
		return;
	}
	if (dir->type == PLACE_SEARCH) {
		place.type = PLACE_QUERY;
	} else if (dir->type == PLACE_OBJECTS) {
		place.type = PLACE_DOCUMENT;
		place.key = KEY_OBJECT + d;
	} else if (dir->type == PLACE_TOP) {
		place.type = dir->view == LISTING_VIEW_ID ? PLACE_LINK : PLACE_PART;
		place.part = b;
		if (place.type == PLACE_PART)
			place.name =
				ibinder.binders[b].states[rng_below(ibinder.binders[b].count)].name;
	} else if (rng_percent(60) || dir->type == PLACE_QUERY) {
		place.type = PLACE_DOCUMENT;
		place.name = document->states[rng_below(document->count)].name;
	} else if (rng_percent(60)) {
		place.type = PLACE_FOLDER;
		place.folder = f;
		place.name = world_now(&ibinder.folders[dir->part][f])->name;
	} else {
		place.type = dir->type == PLACE_PART ? PLACE_PART_JSON : PLACE_FOLDER_JSON;
	}
	place_print(&place, name);
}

/* --- What may be shown --- */

static const struct object *object_of(const struct place *place)
{
	switch (place->type) {
	case PLACE_PART:
	case PLACE_LINK:
		return &ibinder.binders[place->part];
	case PLACE_FOLDER:
		return &ibinder.folders[place->part][place->folder];
	case PLACE_DOCUMENT:
		return &world.documents[place->document];
	default:
		return NULL;
	}
}

/* Whether the object stood there, under that name. */
static bool stands(const struct place *place, const struct state *state)
{
	if (!state->there)
		return false;
	if (place->type == PLACE_LINK || place->key == KEY_OBJECT + place->document)
		return true;
	if (state->name != place->name ||
	    (place->type == PLACE_FOLDER && place->parent != WORLD_PARENT(place->folder)))
		return false;
	if (place->type != PLACE_DOCUMENT || place->key == KEY_QUERY)
		return true;
	return state->binder == place->part && state->folder == place->folder;
}

static uint32_t states_of(const struct place *place, const struct stat *attr, uint64_t since)
{
	const struct object *object = object_of(place);
	uint32_t states = 0;

	if (!object)
		return UINT32_MAX;
	for (unsigned i = 0; i < object->count; i++) {
		if (world_was(object, i, since, now_seq) && stands(place, &object->states[i]) &&
		    (!attr || kernel_has_size(place, &object->states[i], attr->st_size)))
			states |= UINT32_C(1) << i;
	}
	return states;
}

/* Documents may slip from page to page while they come and go: the API has no snapshots. */
static bool is_certain(const struct place *place, uint64_t since)
{
	if (place->type != PLACE_DOCUMENT || place->key == KEY_OBJECT + place->document)
		return true;
	for (int b = 0; b < BINDERS; b++) {
		if ((place->key == KEY_QUERY || b == place->part) && ibinder.moved[b] >= since)
			return false;
	}
	return true;
}

/* As many that came as went leave the number of all as it was, which is all that pages tell. */
static bool may_slip(int part, uint64_t since)
{
	return ibinder.came[part] >= since && ibinder.went[part] >= since;
}

/* Whether it stood there all the time since then. */
static bool stood(const struct place *place, uint64_t since)
{
	const struct object *object = object_of(place);

	if (!object)
		return false;
	if (place->key >= KEY_PART && place->key < KEY_OBJECT &&
	    !world_now(&ibinder.binders[place->part])->there)
		return false;
	if (place->type == PLACE_DOCUMENT &&
	    !world_now(&ibinder.binders[world_now(object)->binder])->there)
		return false;
	for (unsigned i = 0; i < object->count; i++) {
		if (world_was(object, i, since, now_seq) && !stands(place, &object->states[i]))
			return false;
	}
	return true;
}

static bool is_gone(const struct place *place)
{
	bool is_inside =
		place->type == PLACE_PART || (place->key >= KEY_PART && place->key < KEY_OBJECT);

	return is_inside && !world_now(&ibinder.binders[place->part])->there;
}

/* --- At a quiet point --- */

static unsigned add_documents(const struct place *dir, struct place *entries)
{
	unsigned count = 0;

	for (int d = 0; d < DOCUMENTS; d++) {
		const struct state *state = world_now(&world.documents[d]);

		if (!state->there || !world_now(&ibinder.binders[state->binder])->there)
			continue;
		if (dir->type != PLACE_QUERY &&
		    (state->binder != dir->part || state->folder != dir->folder))
			continue;
		entries[count] = *dir;
		entries[count].type = PLACE_DOCUMENT;
		entries[count].document = d;
		entries[count++].name = state->name;
	}
	return count;
}

static unsigned add_folders(const struct place *dir, struct place *entries)
{
	unsigned count = 0;

	for (int f = 0; f < FOLDERS; f++) {
		if (WORLD_PARENT(f) != dir->folder)
			continue;
		entries[count] = *dir;
		entries[count].type = PLACE_FOLDER;
		entries[count].folder = f;
		entries[count++].name = world_now(&ibinder.folders[dir->part][f])->name;
	}
	return count;
}

static unsigned add_own(const struct place *dir, struct place *entries)
{
	entries[0] = *dir;
	entries[0].type = dir->type == PLACE_PART ? PLACE_PART_JSON : PLACE_FOLDER_JSON;
	entries[1] = *dir;
	entries[1].type = PLACE_ELEMENTS;
	return dir->type == PLACE_PART ? 2 : 1;
}

static unsigned add_binders(const struct place *dir, struct place *entries)
{
	unsigned count = 0;

	for (int b = 0; b < BINDERS; b++) {
		const struct state *state = world_now(&ibinder.binders[b]);

		if (!state->there)
			continue;
		entries[count] = *dir;
		entries[count].type = dir->view == LISTING_VIEW_ID ? PLACE_LINK : PLACE_PART;
		entries[count].part = b;
		entries[count++].name = state->name;
	}
	return count;
}

static unsigned inside(const struct place *dir, struct place entries[ENTRIES_MAX])
{
	unsigned count;

	if (dir->type == PLACE_TOP)
		return add_binders(dir, entries);
	count = add_documents(dir, entries);
	if (dir->type == PLACE_QUERY)
		return count;
	count += add_folders(dir, entries + count);
	if (dir->view == LISTING_VIEW_OBJECT)
		count += add_own(dir, entries + count);
	return count;
}

static void print(const struct place *place, char text[TEXT_MAX])
{
	int b = place->part;

	if (place->type == PLACE_PART_JSON)
		ibinder_print_binder(b, world_now(&ibinder.binders[b]), text);
	else if (place->type == PLACE_ELEMENTS)
		ibinder_print_elements(b, text);
	else
		ibinder_print_folder(b, place->folder,
				     world_now(&ibinder.folders[b][place->folder]), text);
}

static struct place of_document(int document)
{
	const struct state *state = world_now(&world.documents[document]);

	return (struct place){
		.type = PLACE_DOCUMENT,
		.view = LISTING_VIEW_CONTENT,
		.part = state->binder,
		.folder = state->folder,
		.document = document,
		.name = state->name,
		.key = KEY_PART + state->binder,
	};
}

static struct place above(const struct place *place)
{
	struct place dir = *place;

	dir.folder = place->type == PLACE_FOLDER ? WORLD_PARENT(place->folder) : place->folder;
	if (place->type == PLACE_PART) {
		dir.type = PLACE_TOP;
	} else if (dir.folder >= 0) {
		dir.type = PLACE_FOLDER;
		dir.name = world_now(&ibinder.folders[dir.part][dir.folder])->name;
	} else {
		dir.type = PLACE_PART;
		dir.name = world_now(&ibinder.binders[dir.part])->name;
	}
	return dir;
}

const struct vendor_places places_ibinder = {
	.suffixes =
		{
			[LISTING_VIEW_OBJECT] = ".pdf.json",
			[LISTING_VIEW_CONTENT] = ".pdf",
			[LISTING_VIEW_QUERY] = ".pdf.json",
		},
	.folder_json = "folder.json",
	.links_max = 1,
	.read_link = read_link,
	.print_link = print_link,
	.pick_name = pick_name,
	.of_document = of_document,
	.above = above,
	.states = states_of,
	.stood = stood,
	.is_certain = is_certain,
	.may_slip = may_slip,
	.is_gone = is_gone,
	.inside = inside,
	.print = print,
};
