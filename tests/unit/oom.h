/* oom.h: makes the Nth allocation of the library fail: its own, cJSON's and libcurl's, but not
 * those of the test itself and of its server.
 *
 * Include after the system's headers and cmocka.h, and before fixtures. */
#ifndef OOM_H
#define OOM_H

#include "oom_hook.h"

/* Which fail: the one of that number, or (`lasting`) that and all after it. 0: none. */
static unsigned long oom_at;
static bool oom_lasting;
static unsigned long oom_seen;
static unsigned long oom_failed;

static bool oom_now(void)
{
	bool fails;

	if (oom_at == 0)
		return false;
	oom_seen++;
	fails = oom_lasting ? oom_seen >= oom_at : oom_seen == oom_at;
	oom_failed += fails;
	return fails;
}

/* Runs `scenario` with its first allocation failing, then its second, and so on until none is left
 * to fail; and the same with all that come after failing too. It returns 0 if it came to its end in
 * spite of that, with the right result, or -ENOMEM; and must leave nothing behind, which the
 * sanitizer sees, so that it can be run again. */
static inline void oom_run(int (*scenario)(void))
{
	unsigned long most = 0;

	assert_int_equal(scenario(), 0);
	for (int lasting = 0; lasting <= 1; lasting++) {
		unsigned long survived = 0;

		oom_lasting = lasting;
		for (unsigned long nth = 1;; nth++) {
			unsigned long failed;
			int error;

			oom_seen = 0;
			oom_failed = 0;
			oom_at = nth;
			error = scenario();
			failed = oom_failed;
			oom_at = 0;
			if (error && error != -ENOMEM)
				fail_msg("allocation %lu%s: %d is not -ENOMEM", nth,
					 lasting ? " and all after it" : "", error);
			if (failed == 0) {
				assert_int_equal(error, 0);
				most = nth - 1;
				break;
			}
			survived += !error;
		}
		print_message("%lu allocations failed%s; done without %lu of them\n", most,
			      lasting ? " for good" : "", survived);
	}
	assert_int_not_equal(most, 0);
	assert_int_equal(scenario(), 0);
}

#endif
