/* ibinder_internal.h: what ibinder.c (tasks), ibinder_request.c (requests) and ibinder_read.c
 * (answers) share. Nothing else includes it. */
#ifndef IBINDERFS_IBINDER_INTERNAL_H
#define IBINDERFS_IBINDER_INTERNAL_H

#include "provider.h"

/* Most documents that a query shows, in whole pages. */
#define QUERY_DOCUMENTS_MAX 10000

enum request_type {
	REQUEST_BINDERS,
	REQUEST_DOCUMENT,
	REQUEST_LINK,
	REQUEST_DRIVE,
	REQUEST_METADATA,
	REQUEST_PAGE,
	REQUEST_SUBFOLDERS
};

struct provider {
	char *api_url;
	char *auth_url;
	char *tenant_id;
	char *client_id;
	char *subfolders_path;
	char *salt; /* provider and tenant, for inode numbers */
	size_t page_size;
	size_t memory;
	bool subfolders_seen;	  /* the call has answered: a 404 then means that one folder */
	bool subfolders_missing;  /* the server does not have the call */
	bool subfolders_doubtful; /* going by a 404, which may mean something else */
	/* Documents were found by their folder's id: in folders at a binder's top, and below. */
	bool found_by_tab[2];
	bool tab_is_other; /* one was seen whose GLOBAL_TabId is not the id of the folder it is in
			    */
};

struct provider_task {
	struct provider *provider;
	enum provider_level level;
	char *id;      /* of the binder or document */
	char *version; /* of a link */
	char *object;  /* the Binder object */
	size_t object_len;
	struct listing_builder *builder; /* NULL for a link */
	struct secret link;
	int64_t top_mtime_ns;
	enum request_type next_fixed; /* the fixed requests go out in the order of the enum */
	enum request_type last_fixed;
	/* Documents: pages are asked from 2 to page_count once the first has told the total. */
	char *search;	     /* the body of the requests */
	char *search_term;   /* NULL for none */
	uint64_t page_size;  /* as the server uses it */
	uint64_t page_count; /* 0 until the first page is here */
	uint64_t page_next;
	uint64_t total;
	uint64_t pages_asked; /* in this reading of them */
	uint64_t pages_answered;
	size_t found; /* documents so far */
	unsigned int rereads;
	bool shifted; /* documents came, went or moved between pages */
	bool lacking; /* a page held less than the total says it must */
	bool cut;     /* a query has more documents than are shown */
	/* Folders whose sub-folders are still to be asked for. */
	char **folders;
	size_t folder_count;
	size_t folder_next;
	/* Of a folder by itself; see ibinder_folder.c. */
	bool apart;
	char *folder;  /* whose documents are wanted; NULL: of all, or while others' are added */
	bool is_below; /* not at the binder's top */
};

int ibinder_duplicate(const char *text, char **ret_copy);
/* A date of an object, or LISTING_NO_TIME. Returns 0 or -ENOMEM. */
int ibinder_get_date(struct json object, const char *key, int64_t *ret_ns);

/* Prepares a task's search for the documents of a binder, of a folder, or that answer a query.
 * Return 0, -ENOMEM, or -EINVAL for what is no query. */
int ibinder_search_binder(struct provider_task *task);
int ibinder_search_folder(struct provider_task *task, const char *folder);
int ibinder_search_query(struct provider_task *task, const char *typed);

/* As they come in answers. A folder's parent is NULL at the binder's top. Return 0, -EBADMSG,
 * -EFBIG or -ENOMEM. */
int ibinder_add_folder(struct provider_task *task, const char *parent, struct json folder);
int ibinder_add_listed(struct provider_task *task, struct json document);
/* Has its sub-folders asked for. Returns 0, -EFBIG or -ENOMEM. */
int ibinder_remember_folder(struct provider_task *task, const char *id);

/* Whether a part's folder can be had without the rest. */
bool ibinder_has_folder_apart(const struct provider *provider,
			      const struct provider_resource *resource);
int ibinder_begin_folder(struct provider_task *task, const struct provider_resource *resource);
/* Before the listing is made. */
void ibinder_finish_folder(struct provider_task *task);

/* See provider_ops. */
int ibinder_task_next(struct provider_task *task, struct http_request *ret_request,
		      uint64_t *ret_tag);
int ibinder_task_answer(struct provider_task *task, uint64_t tag,
			const struct http_response *response);

#endif
