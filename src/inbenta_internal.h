/* inbenta_internal.h: what inbenta.c (provider, tasks), inbenta_token.c (the token, refusals),
 * inbenta_read.c (answers) and inbenta_allowance.c (headers) share. Nothing else includes it. */
#ifndef IBINDERFS_INBENTA_INTERNAL_H
#define IBINDERFS_INBENTA_INTERNAL_H

#include "provider.h"

/* Of one kind of allowance, as answers have told without numbers. */
struct inbenta_usage {
	uint64_t answers;     /* 0: none has */
	unsigned int first;   /* percent used, told by the first of them */
	unsigned int percent; /* the most that any of them told */
	int64_t end_s;	      /* when it ends, by the wall clock */
};

struct provider {
	char *auth_url; /* a base: …/v1 */
	char *api_key;
	char *domain; /* NULL: the secret is the client's, not a domain key */
	char *domain_key_field;
	char *answer_attribute;
	char *salt; /* provider and API key, for inode numbers */
	size_t page_size;
	size_t memory;
	bool plain;	/* auth_url is plain http, on loopback: so may the address be */
	char *address;	/* of the knowledge API, as it came with the token; NULL before */
	int64_t life_s; /* of tokens, as last told */
	uint64_t total; /* contents in the latest listing: how many pages may be asked at once */
	struct inbenta_usage throttle;
	struct inbenta_usage quota;
};

struct inbenta_page {
	uint64_t offset; /* counts contents from 0 */
	uint64_t length; /* as asked for */
	uint64_t count;	 /* of contents that came */
	uint64_t first;	 /* hash of the id of the first of them, */
	uint64_t last;	 /* and of the last */
};

struct provider_task {
	struct provider *provider;
	enum provider_level level;
	char *id; /* of a content */
	struct listing_builder *builder;
	struct buf parents;	    /* each category with its parent, NUL-terminated ids */
	struct buf places;	    /* each content with its categories and an empty id */
	bool asked;		    /* the one request that is no page's */
	struct inbenta_page *pages; /* all that were planned */
	size_t page_count;
	size_t page_next; /* of pages: to be asked for */
	size_t answered;
	uint64_t page_length; /* as the server has them */
	uint64_t offset;      /* of the next page to be planned; 0: it is the first */
	uint64_t furthest;    /* offset of the furthest page that was answered */
	uint64_t end;	      /* of contents, as far as known; UINT64_MAX before */
	size_t found;	      /* contents so far */
	bool is_torn;	      /* the pages do not belong together: all are to be read again */
	bool is_reread;
};

/* The tag of the first page's request; that of other requests is 0. */
#define INBENTA_TAG_PAGES 1

/* Adds what every call must have. Returns 0, -ENOMEM or -E2BIG. */
int inbenta_add_headers(const struct provider *provider, struct http_request *request);

/* See provider_ops. */
int inbenta_token_request(const struct provider *provider, const struct provider_need *need,
			  struct provider_grant *grant, struct http_request *ret_request,
			  const struct secret **ret_bearer);
int inbenta_token_answer(struct provider *provider, const struct http_response *response,
			 int64_t wall_now_s, struct provider_grant *grant);
enum provider_refusal inbenta_judge(const struct http_response *response);
void inbenta_explain(const struct http_response *response, struct provider_problem *ret_problem);
int inbenta_task_answer(struct provider_task *task, uint64_t tag,
			const struct http_response *response);

/* The page to ask for now, one of task->pages. -EAGAIN: none until an answer comes. -EFBIG. */
int inbenta_next_page(struct provider_task *task, const struct inbenta_page **ret_page);
/* Puts categories and contents where they said that they belong. Returns 0 or -errno. */
int inbenta_place(struct provider_task *task);

/* See provider_ops; the second reads the headers' values (or NULL). */
bool inbenta_allowance(struct provider *provider, const struct http_response *response,
		       int64_t wall_now_s, struct provider_allowance *ret_allowance);
bool inbenta_read_allowance(struct inbenta_usage *kept, const char *usage, const char *reset,
			    int64_t wall_now_s, struct provider_allowance *ret_allowance);

#endif
