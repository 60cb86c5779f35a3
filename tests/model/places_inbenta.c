/* places_inbenta.c: where the objects of an Inbenta knowledge base stand in the tree. The folders
 * are its categories; the top is the root and all that has no other place. */
#include "world_inbenta.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TOP		   (-1)
#define IS_IN(set, number) ((set) >> (number)&1)

/* Which category of a cycle stands at the top, as the listing has it: of each set of them. */
static int cuts[1 << CATEGORIES];

/* --- Names --- */

static bool read_link(const char *name, struct place *place)
{
	if (name[0] <= '0' || name[0] >= '0' + CATEGORIES || name[1])
		return false;
	place->folder = name[0] - '0';
	return true;
}

static void print_link(const struct place *place, char name[NAME_MAX_OURS])
{
	snprintf(name, NAME_MAX_OURS, "%d", place->folder);
}

static void pick_name(const struct place *dir, char name[NAME_MAX_OURS])
{
	struct place place = *dir;
	int d = (int)rng_below(DOCUMENTS);
	int c = 1 + (int)rng_below(CATEGORIES - 1);
	const struct object *document = &world.documents[d];

	if (rng_percent(5)) {
		snprintf(name, NAME_MAX_OURS, ".git");
		return;
	}
	place.type = PLACE_DOCUMENT;
	place.document = d;
	place.key = KEY_TOP;
	if (dir->type == PLACE_OBJECTS) {
		place.key = KEY_OBJECT + d;
	} else if (dir->view == LISTING_VIEW_ID) {
		place.type = PLACE_LINK;
		place.folder = c;
	} else if (rng_percent(60)) {
		place.name = document->states[rng_below(document->count)].name;
	} else if (rng_percent(80)) {
		place.type = PLACE_FOLDER;
		place.folder = c;
		place.name = knowledge.states[rng_below(knowledge.count)].of[c].name;
	} else {
		place.type = PLACE_FOLDER_JSON;
	}
	place_print(&place, name);
}

/* --- Where what stands --- */

/* Not that of a cycle. */
static int parent_of(const struct categories *categories, int number)
{
	int parent = categories->of[number].parent;

	return parent != ROOT && parent < CATEGORIES && categories->of[parent].there ? parent : TOP;
}

/* The categories of the cycle that one is on; 0: it is on none. */
static unsigned cycle_of(const struct categories *categories, int number)
{
	unsigned met = 0;
	int at = number;

	while (at != TOP && !IS_IN(met, at)) {
		met |= 1u << at;
		at = parent_of(categories, at);
	}
	return at == number ? met : 0;
}

static bool may_stand(const struct categories *categories, int number, int parent)
{
	if (!categories->of[number].there)
		return false;
	return parent == parent_of(categories, number) ||
	       (parent == TOP && cycle_of(categories, number));
}

/* The categories that a content is shown in, the root for the top. */
static unsigned places_of(const struct categories *categories, unsigned named)
{
	unsigned known = named & 1u << ROOT;

	for (int c = 1; c < CATEGORIES; c++)
		known |= categories->of[c].there ? named & 1u << c : 0;
	return known ? known : 1u << ROOT;
}

static bool is_in(const struct place *dir_of, unsigned places)
{
	return IS_IN(places, dir_of->folder == TOP ? ROOT : dir_of->folder);
}

static nlink_t links_of(unsigned places)
{
	return (nlink_t)__builtin_popcount(places);
}

/* --- What may be shown --- */

/* A content by itself, whatever the categories. */
static bool stands(const struct place *place, const struct state *state, const struct stat *attr)
{
	size_t size;

	if (!state->there || (attr && !kernel_has_size(place, state, attr->st_size)))
		return false;
	if (!place_is_listed(place))
		return !attr || attr->st_nlink == 1;
	return state->name == place->name &&
	       (place->view != LISTING_VIEW_CONTENT ||
		vendor->world->bytes(place->document, state->version, 0, &size));
}

static bool stands_in(const struct place *place, const struct state *state,
		      const struct categories *categories, const struct stat *attr)
{
	unsigned places = places_of(categories, state->categories);

	return is_in(place, places) && (!attr || attr->st_nlink == links_of(places));
}

static uint32_t document_states(const struct place *place, const struct stat *attr, uint64_t since)
{
	const struct object *object = &world.documents[place->document];
	uint32_t states = 0;

	for (unsigned i = 0; i < object->count; i++) {
		const struct state *state = &object->states[i];
		bool found = !place_is_listed(place);

		if (!world_was(object, i, since, now_seq) || !stands(place, state, attr))
			continue;
		for (unsigned c = 0; !found && c < knowledge.count; c++)
			found = knowledge_was(c, since) &&
				stands_in(place, state, &knowledge.states[c], attr);
		states |= (uint32_t)found << i;
	}
	return states;
}

static bool category_stands(const struct place *place, const struct categories *categories)
{
	const struct category *category = &categories->of[place->folder];

	switch (place->type) {
	case PLACE_LINK:
		return category->there;
	case PLACE_FOLDER:
		return category->name == place->name &&
		       may_stand(categories, place->folder, place->parent);
	default: /* category.json */
		return categories->of[place->folder == TOP ? ROOT : place->folder].there;
	}
}

static uint32_t states_of(const struct place *place, const struct stat *attr, uint64_t since)
{
	uint32_t states = 0;

	if (place->type == PLACE_DOCUMENT)
		return document_states(place, attr, since);
	if (place->type == PLACE_NOTHING)
		return UINT32_MAX;
	for (unsigned c = 0; c < knowledge.count; c++) {
		if (knowledge_was(c, since) && category_stands(place, &knowledge.states[c]))
			states |= UINT32_C(1) << c;
	}
	return states;
}

static bool document_stood(const struct place *place, uint64_t since)
{
	const struct object *object = &world.documents[place->document];

	for (unsigned i = 0; i < object->count; i++) {
		if (!world_was(object, i, since, now_seq))
			continue;
		if (!stands(place, &object->states[i], NULL))
			return false;
		for (unsigned c = 0; place_is_listed(place) && c < knowledge.count; c++) {
			if (knowledge_was(c, since) &&
			    !stands_in(place, &object->states[i], &knowledge.states[c], NULL))
				return false;
		}
	}
	return true;
}

static bool stood(const struct place *place, uint64_t since)
{
	if (place->type == PLACE_DOCUMENT)
		return document_stood(place, since);
	if (place->type != PLACE_FOLDER && place->type != PLACE_LINK)
		return false;
	for (unsigned c = 0; c < knowledge.count; c++) {
		if (!knowledge_was(c, since))
			continue;
		if (!category_stands(place, &knowledge.states[c]) ||
		    (place->type == PLACE_FOLDER && cycle_of(&knowledge.states[c], place->folder)))
			return false;
	}
	return true;
}

/* The API has no snapshots: contents may slip from a page not yet read to one already read. Once
 * that is noticed, and all is read again; but pages of one have nothing in common. */
static bool may_slip(int part, uint64_t since)
{
	unsigned moves = 0;

	(void)part;
	for (unsigned i = 0; i < knowledge.moved_count; i++)
		moves += knowledge.moved[i] >= since;
	return moves > (config.page_size > 1 && knowledge.page_max > 1);
}

static bool is_certain(const struct place *place, uint64_t since)
{
	return place->type != PLACE_DOCUMENT || !place_is_listed(place) || !may_slip(0, since);
}

/* --- At a quiet point --- */

static void settle_cuts(bool (*is_listed)(const struct place *place))
{
	const struct categories *categories = knowledge_now();

	for (int c = 1; c < CATEGORIES; c++) {
		unsigned cycle = categories->of[c].there ? cycle_of(categories, c) : 0;
		const struct place place = {
			.type = PLACE_FOLDER, .folder = c, .name = categories->of[c].name};

		if (!cycle || !is_listed(&place))
			continue;
		CHECK(cuts[cycle] == 0 || cuts[cycle] == c,
		      "the cycle of %d is cut at another category than it was, or at two", c);
		cuts[cycle] = c;
	}
}

static bool is_shown_in(const struct categories *categories, int number, int parent)
{
	unsigned cycle = cycle_of(categories, number);

	if (!categories->of[number].there)
		return false;
	if (cycle && cuts[cycle] == number)
		return parent == TOP;
	return parent == parent_of(categories, number);
}

static unsigned add_documents(const struct place *dir, struct place *entries)
{
	unsigned count = 0;

	for (int d = 0; d < DOCUMENTS; d++) {
		const struct state *state = world_now(&world.documents[d]);
		struct place place = *dir;

		place.type = PLACE_DOCUMENT;
		place.document = d;
		place.name = state->name;
		place.key = KEY_TOP;
		if (stands(&place, state, NULL) && stands_in(&place, state, knowledge_now(), NULL))
			entries[count++] = place;
	}
	return count;
}

static unsigned inside(const struct place *dir, struct place entries[ENTRIES_MAX])
{
	const struct categories *categories = knowledge_now();
	bool is_links = dir->view == LISTING_VIEW_ID;
	unsigned count = is_links ? 0 : add_documents(dir, entries);

	for (int c = 1; c < CATEGORIES; c++) {
		if (is_links ? !categories->of[c].there : !is_shown_in(categories, c, dir->folder))
			continue;
		entries[count] = *dir;
		entries[count].type = is_links ? PLACE_LINK : PLACE_FOLDER;
		entries[count].folder = c;
		entries[count++].name = categories->of[c].name;
	}
	if (dir->view == LISTING_VIEW_OBJECT &&
	    (dir->folder != TOP || categories->of[ROOT].there)) {
		entries[count] = *dir;
		entries[count++].type = PLACE_FOLDER_JSON;
	}
	return count;
}

static void print(const struct place *place, char text[TEXT_MAX])
{
	knowledge_print_category(place->folder == TOP ? ROOT : place->folder, text);
}

static nlink_t links_now(int document)
{
	return links_of(
		places_of(knowledge_now(), world_now(&world.documents[document])->categories));
}

static void reset(void)
{
	memset(cuts, 0, sizeof(cuts));
}

const struct vendor_places places_inbenta = {
	.all_in_top = true,
	.suffixes =
		{
			[LISTING_VIEW_OBJECT] = ".json",
			[LISTING_VIEW_CONTENT] = ".html",
			[LISTING_VIEW_ID] = ".json",
			[LISTING_VIEW_QUERY] = ".json",
		},
	.folder_json = "category.json",
	.links_max = CATEGORIES,
	.reset = reset,
	.read_link = read_link,
	.print_link = print_link,
	.pick_name = pick_name,
	.states = states_of,
	.stood = stood,
	.is_certain = is_certain,
	.may_slip = may_slip,
	.inside = inside,
	.print = print,
	.links = links_now,
	.settle = settle_cuts,
};
