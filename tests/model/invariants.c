/* invariants.c: what must hold of the engine's own lists and counters after each turn of the loop;
 * and when which listing was being fetched. The only file here that looks inside. */
#include "content_internal.h"
#include "fetch_internal.h"
#include "tree_internal.h"
#include "vendor.h"

#include <string.h>

#define PERIODS_MAX 64

/* From some time before a fetch begins to some time after it ends. */
struct period {
	uint64_t from;
	uint64_t end;	/* UINT64_MAX: under way */
	int64_t end_ms; /* INT64_MAX */
};

static struct {
	struct period periods[PERIODS_MAX];
	unsigned count;
	bool running;
	/* Of the one that is under way. */
	uint64_t publication;
	const struct fetch *fetch;
	uint64_t fetched;
} keys[KEYS];
static uint64_t last_seq;

void invariants_reset(void)
{
	memset(keys, 0, sizeof(keys));
	last_seq = now_seq;
}

void invariants_mark(void)
{
	last_seq = ++now_seq;
}

static int key_of(const struct resource *resource)
{
	switch (resource->level) {
	case PROVIDER_TOP:
		return KEY_TOP;
	case PROVIDER_PART:
		return KEY_PART + vendor->world->part_of(resource->id);
	case PROVIDER_OBJECT:
		return KEY_OBJECT + vendor->world->document_of(resource->id);
	default:
		return KEY_QUERY;
	}
}

static void end_period(int key)
{
	struct period *period = &keys[key].periods[keys[key].count++ % PERIODS_MAX];

	period->end = now_seq;
	period->end_ms = clock_boot_ms();
	keys[key].running = false;
}

/* One fetch may follow another at once: then a listing has been published, or more is fetched now.
 */
static void note(int key, const struct resource *resource)
{
	bool is_fetched = resource && resource->fetch;

	if (keys[key].running &&
	    (!is_fetched || resource->publication != keys[key].publication ||
	     resource->fetch != keys[key].fetch || resource->fetched != keys[key].fetched))
		end_period(key);
	if (!is_fetched)
		return;
	if (!keys[key].running)
		keys[key].periods[keys[key].count % PERIODS_MAX] =
			(struct period){.from = last_seq, .end = UINT64_MAX, .end_ms = INT64_MAX};
	keys[key].running = true;
	keys[key].publication = resource->publication;
	keys[key].fetch = resource->fetch;
	keys[key].fetched = resource->fetched;
}

bool invariants_since(int key, int64_t ms, uint64_t asked, uint64_t *ret_seq)
{
	unsigned count = keys[key].count + keys[key].running;
	unsigned i = count > PERIODS_MAX ? count - PERIODS_MAX : 0;

	for (; i < count; i++) {
		const struct period *period = &keys[key].periods[i % PERIODS_MAX];

		/* What was under way when all was forgotten is only for who waited for it. */
		if (asked >= hangup_seq && period->from < hangup_seq && period->end < asked)
			continue;
		if (period->end_ms >= ms) {
			*ret_seq = period->from;
			return true;
		}
	}
	return false;
}

/* --- The tree --- */

static unsigned waiters_of(const struct wait_queue *queue)
{
	const struct waiter *waiter;
	unsigned count = 0;

	TAILQ_FOREACH (waiter, &queue->waiters, in_queue)
		count++;
	return count;
}

static void check_resource(struct resource *resource)
{
	CHECK(resource->fetch || TAILQ_EMPTY(&resource->waiters.waiters),
	      "who waits for %s will not be woken", resource->path);
	CHECK(resource == &engine.tree->top || resource->references || resource->listing ||
		      resource->husk || resource->fetch,
	      "%s is kept for nothing", resource->path);
}

static void check_tree(unsigned *waiters)
{
	struct tree *tree = engine.tree;
	struct resource *resource = &tree->top;
	const struct resource *of_key[KEYS] = {NULL};
	size_t bucket = 0;
	size_t nodes = 0;
	size_t ahead = 0;
	size_t references = 0;
	size_t referring = 0;
	unsigned resources = 0;
	unsigned listings = 0;
	unsigned in_lru = 0;

	while (resource) {
		check_resource(resource);
		resources++;
		listings += resource->listing != NULL;
		ahead += resource->ahead_bytes;
		references += resource->references;
		*waiters += waiters_of(&resource->waiters);
		of_key[key_of(resource)] = resource;
		resource = resource->next;
		while (!resource && bucket < TREE_PART_BUCKETS)
			resource = tree->parts[bucket++];
	}
	TAILQ_FOREACH (resource, &tree->lru, lru) {
		in_lru++;
		CHECK(resource->listing, "%s has no listing to evict", resource->path);
	}
	for (size_t i = 0; i < tree->bucket_count; i++) {
		for (const struct node *node = tree->nodes[i]; node; node = node->next) {
			nodes++;
			referring += (node->home != NULL) + (node->type == NODE_DIR);
		}
	}
	CHECK(references == referring, "resources are referred to %zu times, and count %zu",
	      referring, references);
	CHECK(resources == tree->counters.resources && listings == tree->counters.listings &&
		      in_lru == listings && nodes == tree->counters.nodes &&
		      ahead == tree->ahead_bytes,
	      "the tree's counters: %u resources, %u listings, %u in lru, %zu nodes, %zu ahead",
	      resources, listings, in_lru, nodes, ahead);
	for (int key = 0; key < KEYS; key++)
		note(key, of_key[key]);
}

/* --- Fetches --- */

static void check_list(struct fetch_list *list, bool foreground, size_t *in_flight, size_t *started)
{
	const struct fetch *fetch;
	const struct call *call;

	TAILQ_FOREACH (fetch, list, link) {
		size_t sent = 0;
		size_t calls = 0;

		TAILQ_FOREACH (call, &fetch->calls, link) {
			calls++;
			sent += call->transfer != NULL;
		}
		CHECK(fetch->foreground == foreground, "%s is in the other list", fetch->path);
		CHECK(sent == fetch->in_flight, "%s: %zu of %zu in flight", fetch->path, sent,
		      fetch->in_flight);
		CHECK(calls > 0 && (calls > sent || fetch->exhausted), "%s goes nowhere",
		      fetch->path);
		*in_flight += sent;
		*started += fetch->started && !fetch->is_light;
	}
}

static void check_fetcher(void)
{
	struct fetcher *fetcher = engine.fetcher;
	size_t in_flight = 0;
	size_t started = 0;

	check_list(&fetcher->foreground, true, &in_flight, &started);
	check_list(&fetcher->background, false, &in_flight, &started);
	CHECK(in_flight == fetcher->counters.in_flight && started == fetcher->started,
	      "the fetcher's counters: %zu in flight, %zu started", in_flight, started);
	CHECK(!TAILQ_EMPTY(&fetcher->foreground) || !TAILQ_EMPTY(&fetcher->background) ||
		      listing_bytes_building() == 0,
	      "%zu bytes of a listing that nobody builds", listing_bytes_building());
	CHECK(fetcher->window >= 1 && fetcher->window <= fetcher->connections, "the window is %zu",
	      fetcher->window);
	CHECK(!fetcher->breaker.open || in_flight == 0, "%zu in flight though the breaker is open",
	      in_flight);
}

bool invariants_is_fetching(void)
{
	return !TAILQ_EMPTY(&engine.fetcher->foreground) ||
	       !TAILQ_EMPTY(&engine.fetcher->background);
}

/* --- Contents --- */

struct part_totals {
	unsigned sent;
	unsigned paused;
};

static void count_parts(const struct part_list *list, struct part_totals *totals)
{
	const struct part *part;

	TAILQ_FOREACH (part, list, in_contents) {
		totals->sent += part->transfer != NULL;
		totals->paused += part->paused;
	}
}

static void check_content(const struct content *content)
{
	const struct part *part;
	unsigned parts = 0;

	TAILQ_FOREACH (part, &content->parts, in_content)
		parts++;
	CHECK(parts == content->part_count, "%s has %u parts, and counts %u", content->path, parts,
	      content->part_count);
	CHECK(parts > 0 || !content->probing, "%s is being learnt by nothing", content->path);
	CHECK(content->references > 0 || parts > 0 || content->link_fetch || content->is_idle,
	      "%s is kept for nothing", content->path);
	CHECK(TAILQ_EMPTY(&content->waiters.waiters) || parts > 0,
	      "who waits for bytes of %s will not be woken", content->path);
}

static void check_contents(void)
{
	const struct contents *contents = engine.contents;
	struct part_totals totals = {0};
	unsigned held = 0;
	unsigned known = 0;

	for (size_t i = 0; i < CONTENT_BUCKETS; i++) {
		for (const struct content *at = contents->table[i]; at; at = at->next) {
			check_content(at);
			known++;
			held += at->references > 0;
		}
	}
	count_parts(&contents->foreground, &totals);
	count_parts(&contents->background, &totals);
	count_parts(&contents->dropped, &totals);
	CHECK(totals.sent == contents->counters.in_flight && totals.paused == contents->paused,
	      "the contents' counters: %u in flight, %u paused", totals.sent, totals.paused);
	/* One whose bytes changed under way is none of the table's, while somebody holds it. */
	CHECK(contents->counters.contents - known == contents->held - held,
	      "%u contents are known, %u held; counted are %llu and %zu", known, held,
	      (unsigned long long)contents->counters.contents, contents->held);
}

void invariants_check(void)
{
	unsigned waiters = 0;

	check_tree(&waiters);
	check_fetcher();
	if (engine.contents)
		check_contents();
	CHECK(wait_counters(engine.room)->waiting == kernel_waiting(),
	      "%llu wait, and %u requests are open",
	      (unsigned long long)wait_counters(engine.room)->waiting, kernel_waiting());
	CHECK(engine.contents || waiters == kernel_waiting(), "%u wait for listings, of %u",
	      waiters, kernel_waiting());
	last_seq = now_seq;
}
