/* ibinder_folder.c: the iBinder File API: one folder of a binder by itself.
 *
 * Whoever opens one folder need not wait for a binder of thousands of documents: its documents are
 * found by GLOBAL_TabId, its folders by the sub-folders call. That documents below the binder's top
 * folders can be found in this way is inferred (folderId equals GLOBAL_TabId (I)), so an answer
 * without any document counts only once others were found like that: until then the folder stays
 * incomplete, and so the whole binder is fetched. It is in any case once a document was seen that
 * does not say of its folder that it is its tab.
 *
 * Which documents stand at the binder's top is not known meanwhile: a folder that has the name of
 * one is found also by its name without the mark that tells them apart. */
#include "ibinder_internal.h"

#include <errno.h>
#include <string.h>

static const char *dir_id(const struct listing *listing, uint32_t dir,
			  char buffer[LISTING_ID_MAX + 1])
{
	if (dir == 0)
		return NULL;
	return listing_id(listing, listing_find_ino(listing, listing->dirs[dir].ino), buffer);
}

/* The directory of that folder, or 0. */
static uint32_t find_folder(const struct listing *listing, const char *id)
{
	char buffer[LISTING_ID_MAX + 1];
	uint32_t dir;

	for (dir = 1; dir < listing->dir_count; dir++) {
		if (strcmp(dir_id(listing, dir, buffer), id) == 0)
			return dir;
	}
	return 0;
}

bool ibinder_has_folder_apart(const struct provider *provider,
			      const struct provider_resource *resource)
{
	uint32_t dir;

	if (!resource->folder)
		return false;
	if (resource->folder[0] == '\0')
		return true;
	dir = resource->base ? find_folder(resource->base, resource->folder) : 0;
	return dir != 0 && !provider->tab_is_other;
}

static int carry_over_documents(struct provider_task *task, const struct listing *base,
				const struct listing_dir *dir)
{
	uint32_t i;
	int error = 0;

	for (i = dir->first; !error && i < dir->first + dir->count; i++) {
		const struct listing_entry *entry = &base->entries[i];
		struct json document;

		if (entry->kind != LISTING_KIND_DOCUMENT)
			continue;
		error = json_parse(listing_body(base, entry), entry->body_len, &document);
		if (!error)
			error = ibinder_add_listed(task, document);
	}
	return error;
}

/* What is known already is added as if it came in an answer. */
static int carry_over(struct provider_task *task, const struct listing *base)
{
	char parent[LISTING_ID_MAX + 1];
	char id[LISTING_ID_MAX + 1];
	uint32_t i;
	int error = 0;

	for (i = 1; !error && i < base->dir_count; i++) {
		const struct listing_dir *dir = &base->dirs[i];
		const struct listing_entry *entry = listing_find_name(base, i, "folder.json");
		struct json folder;

		if (!entry)
			return -EBADMSG;
		error = json_parse(listing_body(base, entry), entry->body_len, &folder);
		if (!error)
			error = ibinder_add_folder(task, dir_id(base, dir->parent, parent), folder);
		if (error || dir->incomplete)
			continue;
		error = carry_over_documents(task, base, dir);
		if (!error) /* else its texts may be gone */
			listing_builder_complete(task->builder, dir_id(base, i, id));
	}
	return error;
}

int ibinder_begin_folder(struct provider_task *task, const struct provider_resource *resource)
{
	int error;

	task->apart = true;
	listing_builder_apart(task->builder);
	if (resource->folder[0] == '\0') {
		task->last_fixed = REQUEST_DRIVE;
		return 0;
	}
	task->next_fixed = REQUEST_PAGE;
	error = carry_over(task, resource->base);
	if (!error)
		error = ibinder_search_folder(task, resource->folder);
	if (!error)
		error = ibinder_remember_folder(task, resource->folder);
	if (!error)
		error = ibinder_duplicate(resource->folder, &task->folder);
	task->is_below = resource->base->dirs[find_folder(resource->base, resource->folder)].parent;
	task->found = 0;
	return error;
}

void ibinder_finish_folder(struct provider_task *task)
{
	bool *found = &task->provider->found_by_tab[task->is_below];
	bool read = task->page_count > 0 && task->pages_answered == task->page_count;

	*found = *found || task->found > 0;
	if (*found && read && !task->provider->tab_is_other)
		listing_builder_complete(task->builder, task->folder);
}
