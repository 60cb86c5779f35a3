/* content_plan.c: what to fetch next: what a reader waits for, and what it will want.
 *
 *   a first look, a jump      just that, in whole blocks from where one begins
 *   reading on                as far ahead as was read without a jump, at first in short ranges
 *   still reading on          long ranges, held back when they are far enough ahead
 *   one connection is slow    several short ranges at once instead
 *   storage knows no ranges   one stream, held back too */
#include "content_internal.h"

#include "loop.h"

#include <errno.h>

/* A part is at least this long, unless less is asked for by who jumps about. */
#define PART_MIN (128 * 1024)
#define PART_MAX (2 * 1024 * 1024)
/* A reader that goes on gets long ranges, held back when they are far enough ahead: so latency is
 * paid once in a while rather than with each lead. The next is asked for before the first has
 * ended, once so much is read ahead. */
#define LONG_BYTES_FIRST (16 * 1024 * 1024)
#define LONG_BYTES	 (64 * 1024 * 1024)
#define LONG_LEAD	 (256 * 1024)
#define LONG_NEXT	 (1024 * 1024)
#define LONGS_MAX	 2
/* Where one connection is slower than the reader, several may do better: at such speeds, in bytes a
 * second, and once that could be seen for a while. */
#define CHUNKS_SPEED_MIN (1024 * 1024)
#define CHUNKS_SPEED_MAX (64 * 1024 * 1024)
#define CHUNKS_SEEN_MS	 100
/* All leads together may take this part of the memory for bytes, or they would drive out each
 * other's before they are read. */
#define LEAD_SHARE 2
/* Most parts of one content, so that one slow file leaves room for others. */
#define PARTS_MAX 8
/* What failed is not tried again sooner, however many want it. */
#define ERROR_TTL_MS 1000

static uint64_t end_of(const struct part *part)
{
	return part->accepted ? part->end : part->ask_end;
}

/* How far a part can be relied on: a long one is not waited for by who jumps far ahead in it. */
static uint64_t cover_of(const struct part *part)
{
	uint64_t end = end_of(part);

	return part->is_long && end > part->until + PART_MAX ? part->until + PART_MAX : end;
}

/* The part that will bring the byte at `offset`, or NULL: of several streams the nearest. */
static struct part *part_for(const struct content *content, uint64_t offset)
{
	struct part *best = NULL;
	struct part *part;

	TAILQ_FOREACH (part, &content->parts, in_content) {
		if (offset >= part->pos && offset < cover_of(part) &&
		    (!best || part->pos > best->pos))
			best = part;
	}
	return best;
}

/* The first byte from `offset` on that is neither there nor under way, at most `end`. */
static uint64_t first_uncovered(const struct content *content, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		const struct block *block =
			block_find(content->contents->blocks, content->key, offset / BLOCK_BYTES);
		const struct part *part;

		if (block && offset % BLOCK_BYTES < block->have) {
			offset += block->have - offset % BLOCK_BYTES;
			continue;
		}
		part = part_for(content, offset);
		if (!part)
			break;
		offset = cover_of(part);
	}
	return offset < end ? offset : end;
}

static uint64_t first_missing(const struct content *content, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		const struct block *block =
			block_find(content->contents->blocks, content->key, offset / BLOCK_BYTES);

		if (!block || offset % BLOCK_BYTES >= block->have)
			break;
		offset += block->have - offset % BLOCK_BYTES;
	}
	return offset < end ? offset : end;
}

/* Where from `offset`, which is not there, something begins that is, or comes anyway; at most
 * `end`.
 */
static uint64_t gap_end(const struct content *content, uint64_t offset, uint64_t end)
{
	uint64_t at = offset - offset % BLOCK_BYTES + BLOCK_BYTES;

	while (at < end && !part_for(content, at) &&
	       !block_find(content->contents->blocks, content->key, at / BLOCK_BYTES))
		at += BLOCK_BYTES;
	return at < end ? at : end;
}

/* Why bytes should not be waited for now, or 0. */
static int refusal(const struct content *content, uint64_t offset)
{
	if (content->broken)
		return content->broken;
	if (content->failed.error && offset >= content->failed.from &&
	    offset < content->failed.end && loop_now_ms() - content->failed.at_ms < ERROR_TTL_MS)
		return content->failed.error;
	return content_storage_refusal(content->contents, content);
}

/* A block begins where a part begins, or goes on where another left off. */
static uint64_t fetch_start_of(const struct content *content, uint64_t offset)
{
	uint64_t start = offset - offset % BLOCK_BYTES;
	const struct block *block =
		block_find(content->contents->blocks, content->key, offset / BLOCK_BYTES);

	return block ? start + block->have : start;
}

/* A paused stream may have to make way: who waits comes first. */
static bool make_room(struct content *content)
{
	struct part *part;

	if (content->part_count < PARTS_MAX)
		return true;
	TAILQ_FOREACH (part, &content->parts, in_content) {
		if ((part->paused && !part->resume) || !part->foreground) {
			part_drop(part);
			return true;
		}
	}
	return false;
}

/* Somebody waits for what a long range brings: would several short ones at once, as many as fit
 * into a lead, be much faster? Then they take over where it is now. */
static void judge_long(struct part *part)
{
	struct content *content = part->content;
	int64_t head_ms = part->head_ms - part->sent_ms;
	int64_t body_ms = loop_now_ms() - part->head_ms + 1;
	uint64_t rate;
	uint64_t chunked;
	struct part *other;
	struct part *next;

	if (!part->is_long || !part->accepted || part->was_paused || body_ms < CHUNKS_SEEN_MS)
		return;
	rate = (part->pos - part->from) * 1000 / (uint64_t)body_ms;
	if (rate < CHUNKS_SPEED_MIN || rate > CHUNKS_SPEED_MAX)
		return;
	chunked = content->lead_max * 1000 / ((uint64_t)head_ms + PART_MAX * 1000 / rate + 1);
	if (chunked < rate + rate / 2)
		return;
	content->in_chunks = true;
	for (other = TAILQ_FIRST(&content->parts); other; other = next) {
		next = TAILQ_NEXT(other, in_content);
		if (other->is_long && other != part)
			part_drop(other);
	}
	part_cut(part, part->pos - part->pos % BLOCK_BYTES + PART_MAX);
}

/* Paused for so long that its connection may be dead, such as after a suspend: to find that out
 * takes longer than to ask anew. */
static bool is_stale(const struct part *part)
{
	return part->paused && !part->resume &&
	       loop_now_ms() - part->paused_ms > part->contents->timeout_ms;
}

int content_fetch(struct content *content, uint64_t offset, uint64_t end, bool foreground)
{
	struct part *part = part_for(content, offset);
	int error = refusal(content, offset);

	if (part && is_stale(part)) {
		part_drop(part);
		part = part_for(content, offset);
	}
	if (part) {
		if (foreground)
			part_promote(part);
		part_extend(part, end);
		judge_long(part);
		return 0;
	}
	if (error)
		return error;
	if (!make_room(content))
		return 0; /* the end of another part wakes who waits */
	return part_new(content, fetch_start_of(content, offset), gap_end(content, offset, end),
			foreground, &part);
}

/* Lets what is held back come to `target`: the first part that still has bytes for a reader at
 * `end`. One behind it waits for its turn: its bytes would grow old in the cache. A little is not
 * worth going on for. */
static void extend(struct content *content, uint64_t end, uint64_t target)
{
	struct part *first = NULL;
	struct part *part;

	TAILQ_FOREACH (part, &content->parts, in_content) {
		if ((part->is_long || part->is_stream) && end_of(part) > end &&
		    part->pos < target && (!first || part->pos < first->pos))
			first = part;
	}
	if (first && is_stale(first))
		part_drop(first);
	else if (first && (!first->paused || target >= first->pos + (target - end) / 2))
		part_extend(first, target);
}

static void ask_long(struct content *content, uint64_t end, uint64_t target)
{
	const struct part *last = NULL;
	struct part *part;
	uint64_t from;
	size_t count = 0;

	TAILQ_FOREACH (part, &content->parts, in_content) {
		count += part->is_long;
		if (part->is_long && (!last || end_of(part) > end_of(last)))
			last = part;
	}
	from = last ? end_of(last) : first_uncovered(content, end, target);
	if (from >= (last ? content->size : target) || count >= LONGS_MAX ||
	    (last && target - end < LONG_NEXT))
		return;
	from = fetch_start_of(content, from);
	end = from + (last ? LONG_BYTES : LONG_BYTES_FIRST);
	if (part_new(content, from, end < content->size ? end : content->size, false, &part))
		return;
	part->is_long = true;
	part->until = target > from ? target : from;
}

static void ask_chunks(struct content *content, uint64_t end, uint64_t target)
{
	uint64_t chunk = (target - end) / 4 < PART_MIN ? PART_MIN : (target - end) / 4;

	if (chunk > PART_MAX)
		chunk = PART_MAX;
	chunk -= chunk % BLOCK_BYTES;
	while (content->part_count < PARTS_MAX) {
		uint64_t from = first_uncovered(content, end, target);
		uint64_t to = from - from % BLOCK_BYTES + chunk;
		struct part *part;

		/* Many small parts would cost more than they bring. */
		if (from >= target || (to > target && target < content->size))
			break;
		to = gap_end(content, from, to < content->size ? to : content->size);
		if (part_new(content, fetch_start_of(content, from), to, false, &part))
			break;
	}
}

static void read_ahead(struct content *content, uint64_t end, uint64_t lead)
{
	uint64_t target = end + lead < content->size ? end + lead : content->size;

	if (target <= end)
		return;
	extend(content, end, target);
	if (content->no_range || refusal(content, end) || content->part_count >= PARTS_MAX ||
	    loop_now_ms() - content->ahead_failed_ms < ERROR_TTL_MS)
		return;
	if (lead >= LONG_LEAD && !content->in_chunks)
		ask_long(content, end, target);
	else
		ask_chunks(content, end, target);
}

/* Who jumps leaves a long range behind, unless another may be reading on in it. */
static void leave_longs(struct content *content)
{
	struct part *part;
	struct part *next;

	if (content->references > 1)
		return;
	for (part = TAILQ_FIRST(&content->parts); part; part = next) {
		next = TAILQ_NEXT(part, in_content);
		if (part->is_long && part->paused && !part->resume)
			part_drop(part);
	}
}

/* Who reads on gets a part that is worth its request. It ends where a block does: the next part
 * would fetch the rest of a block with its beginning. */
static uint64_t part_end_of(const struct content *content, uint64_t start, uint64_t end,
			    uint64_t lead)
{
	if (lead > 0 && end < start + PART_MIN)
		end = start + PART_MIN;
	if (lead > 0 && end % BLOCK_BYTES)
		end += BLOCK_BYTES - end % BLOCK_BYTES;
	return end < content->size ? end : content->size;
}

int content_want(struct content *content, struct readahead *readahead, uint64_t offset, size_t len)
{
	uint64_t end = offset + len < content->size ? offset + len : content->size;
	uint64_t most = content->contents->memory / LEAD_SHARE / content->contents->held;
	uint64_t lead = readahead_note(readahead, offset, end - offset,
				       content->lead_max < most ? content->lead_max : most);
	uint64_t missing = first_missing(content, offset, end);
	int error = 0;

	if (content->broken)
		return content->broken;
	if (missing < end)
		error = content_fetch(content, missing, part_end_of(content, missing, end, lead),
				      true);
	/* The rest may be further on, behind a part that is on its way. */
	missing = first_uncovered(content, missing, end);
	if (!error && missing < end)
		error = content_fetch(content, missing, part_end_of(content, missing, end, lead),
				      true);
	if (!error && lead > 0)
		read_ahead(content, end, lead);
	else if (lead == 0)
		leave_longs(content);
	return error;
}
