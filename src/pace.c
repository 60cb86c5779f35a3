/* pace.c: how quickly requests may go out. */
#include "pace.h"

/* Answers may tell of the reset in whole seconds, and arrive later than others did. */
#define SAME_RESET_MS 2000
#define TRUST_MAX     8

int64_t pace_told(struct pace *pace, const struct provider_allowance *allowance, bool is_limited,
		  int64_t sent_ms, int64_t now_ms)
{
	int64_t reset_ms = now_ms + allowance->reset_ms;
	/* What was asked before, and comes late, tells of nothing new. */
	bool is_late = sent_ms <= pace->asked_ms;
	/* An earlier reset is another allowance's: that for a minute, after that for an hour. */
	bool is_new = now_ms >= pace->reset_ms ||
		      (!is_late && (reset_ms > pace->reset_ms + SAME_RESET_MS ||
				    reset_ms < pace->reset_ms - SAME_RESET_MS));

	if (!is_late)
		pace->asked_ms = sent_ms;

	if (!is_new && allowance->left < pace->left && pace->trust < TRUST_MAX)
		pace->trust++;
	else if (!is_new && !is_late && allowance->left > pace->left && pace->trust > -TRUST_MAX)
		pace->trust--;
	if (is_limited && allowance->left == 0)
		pace->trust = TRUST_MAX; /* that proves it */
	/* Answers may overtake each other: of one allowance the least counts. */
	if (is_new || allowance->left < pace->left || pace->trust <= 0)
		pace->left = allowance->left;
	if (is_new)
		pace->reset_ms = reset_ms;
	pace->gap_ms = 0;
	if (pace->trust <= 0)
		return 0;
	if (allowance->is_short && pace->reset_ms > now_ms)
		pace->gap_ms = (pace->reset_ms - now_ms) / (int64_t)(pace->left + 1);
	if (pace->gap_ms > PACE_GAP_MAX_MS)
		pace->gap_ms = PACE_GAP_MAX_MS;
	return pace->left == 0 ? pace->reset_ms - now_ms : 0;
}

/* All that is under way may still have to be counted by the server. */
bool pace_allows(const struct pace *pace, uint64_t in_flight, int64_t now_ms)
{
	if (now_ms < pace->next_ms)
		return false;
	return pace->trust <= 0 || in_flight == 0 || now_ms >= pace->reset_ms ||
	       in_flight < pace->left;
}

void pace_sent(struct pace *pace, int64_t now_ms)
{
	pace->next_ms = now_ms < pace->reset_ms ? now_ms + pace->gap_ms : 0;
}
