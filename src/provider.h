/* provider.h: what a provider of listings is: a vendor's API, without any input or output.
 *
 * A provider says which request comes next and what an answer means. It keeps no clock, opens no
 * connection and knows no cache: fetch.c sends the requests, token.c keeps the token, tree.c the
 * results. So a new provider is a file or a few, and a test can drive it with recorded answers. */
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
		PROVIDER_TOP,	 /* the directory below the root: all binders, or all there is */
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

/* Why a token is asked for. */
struct provider_need {
	const struct secret *secret; /* the client's */
	const struct secret *held;   /* the token there is, if it may be renewed; or NULL */
	bool misled;		     /* it is good, but requests with it go to a wrong address */
};

/* A conversation with the authorization server, and what it granted. Begins zeroed. */
struct provider_grant {
	struct secret token; /* unset at the end: the one that is held stays */
	int64_t life_ms;     /* of the token, from now */
	unsigned int step;   /* of the conversation; the provider's */
	const char *problem; /* what is wrong with an answer; static, or NULL */
};

/* What a refusal (4xx but 429) says beside that. */
enum provider_refusal {
	PROVIDER_REFUSAL_FINAL,	  /* nothing: to ask again would not help */
	PROVIDER_REFUSAL_UNREAD,  /* there was no memory to see */
	PROVIDER_REFUSAL_TOKEN,	  /* that the token is no good */
	PROVIDER_REFUSAL_ADDRESS, /* that requests are sent to a wrong address */
};

/* What an answer says of the requests that may still be sent. */
struct provider_allowance {
	uint64_t left;
	bool is_short;	  /* most are used up */
	int64_t reset_ms; /* until there is a new allowance */
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
	const char *top_name;	  /* the directory below the root */
	const char *links_name;	  /* in by-id/: of links to the directories that the top lists */
	const char *objects_name; /* in by-id/: the directory for PROVIDER_OBJECT */
	bool has_links;		  /* contents are behind a PROVIDER_LINK, not in the listings */

	int (*provider_new)(const struct config *config, struct provider **ret_provider);
	void (*provider_free)(struct provider *provider);
	/* Forgets what was learnt about the server, such as a call that it does not have. */
	void (*forget)(struct provider *provider);

	/* Where the API is: what the URLs of tasks' requests are below. NULL: a token tells it, and
	 * there is none yet. Valid until the next token. */
	const char *(*address)(const struct provider *provider);
	/* The next request for a token, and its answer: never a network error, 429 or 5xx, after
	 * which the conversation begins anew. The request goes out with `ret_bearer` if that is
	 * set, which lives as long as need and grant. token_answer returns 0: granted. -EAGAIN:
	 * another request follows. -EACCES for a refusal, -EBADMSG, or -ENOMEM. */
	int (*token_request)(const struct provider *provider, const struct provider_need *need,
			     struct provider_grant *grant, struct http_request *ret_request,
			     const struct secret **ret_bearer);
	int (*token_answer)(struct provider *provider, const struct http_response *response,
			    int64_t wall_now_s, struct provider_grant *grant);
	enum provider_refusal (*judge)(const struct http_response *response);
	/* Reads the allowance that an answer tells of. False: it tells none. NULL: none ever does.
	 */
	bool (*allowance)(struct provider *provider, const struct http_response *response,
			  int64_t wall_now_s, struct provider_allowance *ret_allowance);

	/* Whether that can be the id of a PROVIDER_OBJECT, so that asking makes sense. */
	bool (*is_object_id)(const char *id, size_t len);
	/* Whether that can be asked for as a PROVIDER_QUERY. If not, says why: static text. NULL:
	 * the provider has no queries. */
	int (*query_check)(const char *query, const char **ret_problem);

	/* Appends lines for the status: what was learnt about the server that users should know. */
	void (*describe)(const struct provider *provider, struct buf *out);

	int (*task_new)(struct provider *provider, const struct provider_resource *resource,
			struct provider_task **ret_task);
	void (*task_free)(struct provider_task *task);
	/* The next request that may be sent now, its URL without the address, with a tag to give
	 * back with its answer. -EAGAIN: none until an answer comes; with none under way the task
	 * is complete. */
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
extern const struct provider_ops provider_inbenta;

/* For providers, of what answers hold. An id, also one that is a number: an object without a usable
 * one cannot be shown, asked for, or told from another. Returns 0, -EBADMSG or -ENOMEM. */
int provider_read_id(struct json id, struct buf *out);
/* A name of another type than string, or beyond all bounds, is no name: nothing is appended, and
 * the id stands for it. Returns 0 or -ENOMEM. */
int provider_read_name(struct json name, struct buf *out);

/* The ops of that name, or NULL. */
const struct provider_ops *provider_find(const char *name);

#endif
