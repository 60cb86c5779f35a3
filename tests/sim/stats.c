/* See stats.h. */
#include "stats.h"
#include "text.h"
#include "vendor.h"

#include <inttypes.h>
#include <string.h>

static const char *const refusal_names[REFUSALS] = {
	"missing_token",
	"dead_token",
	"missing_tenant",
	"tenant",
	"query_credentials",
	"content_type",
	"body",
	"paging",
	"method",
	"path",
	"id",
	"client",
	"grant",
	"scope",
	"link",
	"missing_key",
	"key",
	"domain",
	"address",
	"allowance",
	"header",
};

void stats_words_add(struct stats_words *words, const char *word)
{
	size_t i = 0;
	size_t len = strnlen(word, STATS_WORD_SIZE - 1);

	while (i < words->n && strncmp(words->word[i], word, STATS_WORD_SIZE - 1))
		i++;
	if (i == STATS_WORDS)
		return;
	if (i == words->n) {
		memcpy(words->word[i], word, len);
		words->word[i][len] = '\0';
		words->n++;
	}
	words->count[i]++;
}

void stats_reset(struct stats *stats)
{
	uint64_t in_flight = stats->in_flight;
	uint64_t storage = stats->storage_in_flight;

	*stats = (struct stats){
		.in_flight = in_flight,
		.peak_concurrency = in_flight,
		.storage_in_flight = storage,
		.storage_peak_concurrency = storage,
	};
}

static void stats_render_words(const struct stats_words *words, struct buf *out)
{
	buf_add_char(out, '{');
	for (size_t i = 0; i < words->n; i++) {
		if (i)
			buf_add_char(out, ',');
		text_add_literal(out, words->word[i], strlen(words->word[i]));
		buf_add_format(out, ":%" PRIu64, words->count[i]);
	}
	buf_add_char(out, '}');
}

static void stats_render_routes(const struct route *routes, const uint64_t *counts, struct buf *out)
{
	buf_add_char(out, '{');
	for (size_t i = 0; routes[i].name; i++)
		buf_add_format(out, "%s\"%s\":%" PRIu64, i ? "," : "", routes[i].name, counts[i]);
	buf_add_char(out, '}');
}

void stats_render(const struct stats *stats, const struct route *routes, struct buf *out)
{
	const char *comma = "";

	buf_add_str(out, "{\"routes\":");
	stats_render_routes(routes, stats->routes, out);
	buf_add_str(out, ",\"bytes\":");
	stats_render_routes(routes, stats->bytes, out);
	buf_add_str(out, ",\"status\":{");
	for (size_t i = 0; i < STATS_STATUS_MAX; i++) {
		if (!stats->status[i])
			continue;
		buf_add_format(out, "%s\"%zu\":%" PRIu64, comma, i, stats->status[i]);
		comma = ",";
	}
	buf_add_str(out, "},\"refused\":{");
	for (size_t i = 0; i < REFUSALS; i++)
		buf_add_format(out, "%s\"%s\":%" PRIu64, i ? "," : "", refusal_names[i],
			       stats->refused[i]);
	buf_add_format(out,
		       "},\"leaked_credentials\":%" PRIu64 ",\"in_flight\":%" PRIu64
		       ",\"peak_concurrency\":%" PRIu64 ",\"connections\":%" PRIu64
		       ",\"tokens_issued\":%" PRIu64 ",\"tokens_refused\":%" PRIu64,
		       stats->leaked_credentials, stats->in_flight, stats->peak_concurrency,
		       stats->connections, stats->tokens_issued, stats->tokens_refused);
	buf_add_format(out,
		       ",\"clicks\":%" PRIu64 ",\"ranges\":%" PRIu64
		       ",\"storage_in_flight\":%" PRIu64 ",\"storage_peak_concurrency\":%" PRIu64,
		       stats->clicks, stats->ranges, stats->storage_in_flight,
		       stats->storage_peak_concurrency);
	buf_add_str(out, ",\"protocols\":");
	stats_render_words(&stats->protocols, out);
	buf_add_str(out, ",\"forwarded_protocols\":");
	stats_render_words(&stats->forwarded_protocols, out);
	buf_add_str(out, ",\"headers_seen_by_redirect_target\":[");
	for (size_t i = 0; i < stats->redirect_headers.n; i++) {
		if (i)
			buf_add_char(out, ',');
		text_add_literal(out, stats->redirect_headers.word[i],
				 strlen(stats->redirect_headers.word[i]));
	}
	buf_add_str(out, "]}");
}
