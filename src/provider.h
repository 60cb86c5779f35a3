/* provider.h: what a provider of listings is: a vendor's API, without any input or output.
 *
 * A provider says which request comes next and what an answer means. It keeps no clock, opens no
 * connection and knows no cache: fetch.c sends the requests, token.c keeps the token, tree.c the
 * results. So a new provider is one file, and a test can drive it with recorded answers. */
#ifndef IBINDERFS_PROVIDER_H
#define IBINDERFS_PROVIDER_H

#include "config.h"
#include "http.h"
#include "listing.h"
#include "secret.h"

#include <stdint.h>

/* What can be listed with one fetch. */
struct provider_resource {
	enum provider_level {
		PROVIDER_TOP,	 /* the directory below the root: all binders */
		PROVIDER_PART,	 /* one of its directories, with all below it: a binder */
		PROVIDER_OBJECT, /* one document, as a listing of one entry, or of none */
		PROVIDER_QUERY,	 /* the documents that answer a query */
		PROVIDER_LINK,	 /* where the bytes of a document's version are */
	} level;
	const char *id;	    /* the API's id, or the query as it was typed; NULL for the top */
	const char *object; /* of a part: the JSON object the top listing had for it */
	size_t object_len;
	const char *version; /* of a link */
	/* Of a part that is not wanted whole: the id of the one folder whose entries are, or "" for
	 * the names of the folders at its top. NULL: all of it, which may be got in any case. */
	const char *folder;
	/* With the id of a folder: a listing of the part that was got in this way, to be carried
	 * over. Only read while the task is made. */
	const struct listing *base;
};

/* What a task ends with. */
struct provider_result {
	struct listing *listing; /* counted; NULL for a link */
	struct secret link;	 /* a URL that needs no other credentials */
	char note[160];		 /* what users should know of a listing that is not whole, or "" */
};

/* What an authorization server granted. */
struct provider_grant {
	struct secret token;
	int64_t life_ms; /* from now */
};

/* What the server said of a failure, for people. Empty where it said nothing. */
struct provider_problem {
	char title[160];
	char trace_id[80];
};

/* One resource on its way: a conversation of requests and answers. */
struct provider_task;
struct provider;

struct provider_ops {
	const char *name;	  /* as in the configuration */
	const char *top_name;	  /* the directory below the root; also of its links in by-id/ */
	const char *objects_name; /* in by-id/: the directory for PROVIDER_OBJECT */

	int (*provider_new)(const struct config *config, struct provider **ret_provider);
	void (*provider_free)(struct provider *provider);
	/* Forgets what was learnt about the server, such as a call that it does not have. */
	void (*forget)(struct provider *provider);

	/* The token request, and its answer: never a network error, 429 or 5xx, which are retried.
	 * token_answer returns 0, -EACCES for a refusal, -EBADMSG, or -ENOMEM. */
	int (*token_request)(const struct provider *provider, const struct secret *secret,
			     struct http_request *ret_request);
	int (*token_answer)(const struct provider *provider, const struct http_response *response,
			    struct provider_grant *ret_grant);

	/* Whether that can be the id of a PROVIDER_OBJECT, so that asking makes sense. */
	bool (*is_object_id)(const char *id, size_t len);
	/* Whether that can be asked for as a PROVIDER_QUERY. If not, says why: static text. */
	int (*query_check)(const char *query, const char **ret_problem);

	/* Appends lines for the status: what was learnt about the server that users should know. */
	void (*describe)(const struct provider *provider, struct buf *out);

	int (*task_new)(struct provider *provider, const struct provider_resource *resource,
			struct provider_task **ret_task);
	void (*task_free)(struct provider_task *task);
	/* The next request that may be sent now, with a tag to give back with its answer.
	 * -EAGAIN: none until an answer comes; with none under way the task is complete. */
	int (*task_next)(struct provider_task *task, struct http_request *ret_request,
			 uint64_t *ret_tag);
	/* Takes an answer of status 200. Returns 0, -EBADMSG, -EFBIG or -ENOMEM. */
	int (*task_answer)(struct provider_task *task, uint64_t tag,
			   const struct http_response *response);
	/* Reads an error answer. Never fails. */
	void (*explain)(const struct http_response *response, struct provider_problem *ret_problem);
	/* Whether the task goes on without the answer to this request, given its status. */
	bool (*task_tolerates)(struct provider_task *task, uint64_t tag, long status);
	/* Makes the result once complete. See listing_builder_finish. */
	int (*task_finish)(struct provider_task *task, const struct listing *previous,
			   int64_t now_ns, struct provider_result *ret_result);
};

extern const struct provider_ops provider_ibinder;

/* The ops of that name, or NULL. */
const struct provider_ops *provider_find(const char *name);

#endif
