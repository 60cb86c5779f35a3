/* world.c: what the truth of all servers has in common: objects that remember all they ever were.
 */
#include "vendor.h"

#include <string.h>

struct world world;

void world_reset(void)
{
	memset(&world, 0, sizeof(world));
	vendor->world->reset();
}

struct state *world_change_object(struct object *object)
{
	struct state *state = &object->states[object->count];

	*state = object->count ? object->states[object->count - 1] : (struct state){.folder = -1};
	object->count++;
	state->from = ++now_seq;
	state->from_wall_ns = clock_wall_ns();
	state->revision++;
	return state;
}

bool world_was(const struct object *object, unsigned state, uint64_t since, uint64_t until)
{
	uint64_t end = state + 1 < object->count ? object->states[state + 1].from : UINT64_MAX;

	return object->states[state].from <= until && end > since;
}

void world_add_item(struct buf *out, bool *first, const char *text)
{
	buf_printf(out, "%s%s", *first ? "" : ",", text);
	*first = false;
}

int world_digit_after(const char *text, const char *start, int below)
{
	size_t len = strlen(start);

	if (!text || strncmp(text, start, len) != 0 || text[len] < '0' || text[len] >= '0' + below)
		return -1;
	return text[len] - '0';
}
