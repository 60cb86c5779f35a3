/* place.c: names of our making, such as "d3-1.pdf.json", and what they stand for. */
#include "vendor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* sscanf is slow. */
static bool read_name(const char *name, char letter, const char *suffix, int *ret_object,
		      unsigned *ret_name)
{
	char *end;

	if (name[0] != letter || name[1] < '0' || name[1] > '9' || name[2] != '-')
		return false;
	*ret_object = name[1] - '0';
	*ret_name = (unsigned)strtoul(name + 3, &end, 10);
	return end > name + 3 && strcmp(end, suffix) == 0;
}

int place_key_inside(const struct place *dir)
{
	if (dir->type == PLACE_QUERY)
		return KEY_QUERY;
	return dir->type == PLACE_TOP || vendor->places->all_in_top ? KEY_TOP
								    : KEY_PART + dir->part;
}

static enum place_type read_listed(const char *name, bool in_top, struct place *place)
{
	const struct vendor_places *places = vendor->places;

	if (in_top && !places->all_in_top)
		return read_name(name, 'b', "", &place->part, &place->name) ? PLACE_PART
									    : PLACE_NOTHING;
	if (read_name(name, 'd', places->suffixes[place->view], &place->document, &place->name))
		return PLACE_DOCUMENT;
	if (read_name(name, 'f', "", &place->folder, &place->name))
		return PLACE_FOLDER;
	if (strcmp(name, "binder.json") == 0)
		return PLACE_PART_JSON;
	if (strcmp(name, "metadata-elements.json") == 0)
		return PLACE_ELEMENTS;
	return strcmp(name, places->folder_json) == 0 ? PLACE_FOLDER_JSON : PLACE_NOTHING;
}

struct place place_of(const struct place *dir, const char *name)
{
	struct place place = *dir;

	place.type = PLACE_NOTHING;
	place.parent = dir->folder;
	place.key = place_key_inside(dir);
	if (dir->type == PLACE_OBJECTS) {
		place.document = vendor->world->document_of(name);
		if (place.document >= 0)
			place.type = PLACE_DOCUMENT;
		place.key = KEY_OBJECT + place.document;
	} else if (dir->type == PLACE_SEARCH) {
		place.type = strcmp(name, "pdf") == 0 ? PLACE_QUERY : PLACE_NOTHING;
		place.view = LISTING_VIEW_QUERY;
		place.key = -1;
	} else if (dir->view == LISTING_VIEW_ID) {
		if (vendor->places->read_link(name, &place))
			place.type = PLACE_LINK;
	} else {
		place.type = read_listed(name, dir->type == PLACE_TOP, &place);
	}
	return place;
}

void place_print(const struct place *place, char name[NAME_MAX_OURS])
{
	char id[NAME_MAX_OURS - 5];

	switch (place->type) {
	case PLACE_PART:
		snprintf(name, NAME_MAX_OURS, "b%d-%u", place->part, place->name);
		return;
	case PLACE_FOLDER:
		snprintf(name, NAME_MAX_OURS, "f%d-%u", place->folder, place->name);
		return;
	case PLACE_DOCUMENT:
		if (place->key == KEY_OBJECT + place->document) {
			vendor->world->print_id(place->document, id);
			snprintf(name, NAME_MAX_OURS, "%s.json", id);
			return;
		}
		snprintf(name, NAME_MAX_OURS, "d%d-%u%s", place->document, place->name,
			 vendor->places->suffixes[place->view]);
		return;
	case PLACE_LINK:
		vendor->places->print_link(place, name);
		return;
	case PLACE_PART_JSON:
		snprintf(name, NAME_MAX_OURS, "binder.json");
		return;
	case PLACE_ELEMENTS:
		snprintf(name, NAME_MAX_OURS, "metadata-elements.json");
		return;
	case PLACE_FOLDER_JSON:
		snprintf(name, NAME_MAX_OURS, "%s", vendor->places->folder_json);
		return;
	case PLACE_QUERY:
		snprintf(name, NAME_MAX_OURS, "pdf");
		return;
	case PLACE_TOP:
	case PLACE_SEARCH:
	case PLACE_OBJECTS:
	case PLACE_NOTHING:
		fail("type %d has no name of ours", place->type);
	}
}
