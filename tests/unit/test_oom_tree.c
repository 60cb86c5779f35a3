/* test_oom_tree.c: what the tree and the token make of want of memory, once there is some again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "oom.h"

#include "control.h"
#include "fetch_fixture.h"
#include "tree_internal.h"

static struct wait_room *room;
static struct tree *tree;

static int set_up_tree(void **state)
{
	const struct config config = {.ttl_ms = 60000, .memory = 16 << 20};

	set_up_with_token(state);
	assert_int_equal(wait_room_new(&loop, TIMEOUT_MS, &room), 0);
	assert_int_equal(tree_new(&config, fetcher, room, &provider_ibinder, &tree), 0);
	return 0;
}

static int tear_down_tree(void **state)
{
	oom_at = 0;
	oom_lasting = false;
	tree_free(tree);
	wait_room_free(room);
	return tear_down(state);
}

/* The allocation of that number, from here on, and perhaps all that come after it. */
static void short_of_memory(unsigned long at, bool lasting)
{
	oom_seen = 0;
	oom_failed = 0;
	oom_at = at;
	oom_lasting = lasting;
}

static int look_up_query(void)
{
	struct resource *resource;
	struct node *node;
	int error = tree_resource(tree, PROVIDER_QUERY, "brand", "search/brand", &resource);

	if (!error)
		error = tree_lookup_query(tree, resource, &node);
	if (!error)
		tree_forget(tree, tree_node_id(node), 1);
	return error;
}

static void test_a_query_that_finds_no_memory_leaves_nothing(void **state)
{
	unsigned failures_seen = 0;
	int error = -ENOMEM;

	(void)state;
	for (unsigned long at = 1; error; at++) {
		short_of_memory(at, false);
		error = look_up_query();
		assert_int_equal(oom_failed > 0 ? -ENOMEM : 0, error);
		assert_int_equal(tree_counters(tree)->resources, 1); /* the top */
		assert_int_equal(tree_counters(tree)->nodes, 0);
		failures_seen += error != 0;
	}
	assert_true(failures_seen >= 4);
}

/* Its times would be lost with it, and what changes meanwhile would not be seen to. */
static void test_what_cannot_be_remembered_is_not_evicted(void **state)
{
	const struct listing *listing;

	(void)state;
	assert_int_equal(tree_access(tree, tree_top(tree), TREE_ALL, false, &listing), -EAGAIN);
	RUN_UNTIL(&loop, tree_peek(tree_top(tree)));
	tree->memory = 0;
	for (unsigned long at = 1; at <= 2; at++) {
		short_of_memory(at, false);
		tree_make_room(tree);
		assert_int_equal(oom_failed, 1);
		assert_non_null(tree_peek(tree_top(tree)));
		assert_null(tree_top(tree)->husk);
		assert_int_equal(tree_counters(tree)->listings, 1);
		assert_int_equal(tree_counters(tree)->evictions, 0);
	}
	oom_at = 0;
	tree_make_room(tree);
	assert_null(tree_peek(tree_top(tree)));
	assert_non_null(tree_top(tree)->husk);
	assert_int_equal(tree_counters(tree)->evictions, 1);
}

/* Whole, or not at all: a status that lacks what failed would mislead. */
static void test_a_status_is_whole(void **state)
{
	const struct config config = {.auth_url = (char *)"http://127.0.0.1", .memory = 16 << 20};
	struct control control = {
		.config = &config,
		.ops = &provider_ibinder,
		.provider = provider,
		.fetcher = fetcher,
		.tree = tree,
		.room = room,
		.failures = &failures,
	};
	struct buf whole = BUF_INIT(CONTROL_TEXT_MAX);
	const struct listing *listing;
	int error = -ENOMEM;

	(void)state;
	REFUSES(TOP_URL, 1, 404);
	assert_int_equal(tree_access(tree, tree_top(tree), TREE_ALL, false, &listing), -EAGAIN);
	RUN_UNTIL(&loop, failures.total == 1);
	assert_int_equal(control_print_status(&control, &whole), 0);
	assert_non_null(strstr(whole.data, "last fetch failed with ENOENT"));
	for (unsigned long at = 1; error; at++) {
		struct buf text = BUF_INIT(CONTROL_TEXT_MAX);

		short_of_memory(at, false);
		error = control_print_status(&control, &text);
		assert_int_equal(oom_failed > 0 ? -ENOMEM : 0, error);
		if (!error)
			assert_string_equal(text.data, whole.data);
		buf_reset(&text);
	}
	buf_reset(&whole);
}

/* The server is not to blame: neither it nor users are made to wait for long. */
static void test_a_token_comes_as_soon_as_there_is_memory(void **state)
{
	struct secret secret = {NULL, 0};
	int64_t waited_ms = 0;

	(void)state;
	assert_int_equal(secret_set(&secret, "hunter2", 7), 0);
	token_reject(fetcher_token(fetcher), 1, PROVIDER_REFUSAL_TOKEN); /* none is held */
	short_of_memory(1, true);
	fetcher_renew(fetcher, &secret);
	for (int64_t ms = 0; ms < 300000; ms += 500) {
		clock_skip(&loop, 500);
		assert_int_equal(token_state(fetcher_token(fetcher)), TOKEN_BACKING_OFF);
		assert_int_equal(token_error(fetcher_token(fetcher)), -ENOMEM);
		assert_false(fetcher_breaker_open(fetcher));
	}
	oom_at = 0;
	while (token_state(fetcher_token(fetcher)) != TOKEN_ASKING) {
		clock_skip(&loop, 50);
		waited_ms += 50;
		assert_true(waited_ms <= 700);
	}
	RUN_UNTIL(&loop, token_state(fetcher_token(fetcher)) == TOKEN_HELD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_query_that_finds_no_memory_leaves_nothing,
						set_up_tree, tear_down_tree),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_remembered_is_not_evicted,
						set_up_tree, tear_down_tree),
		cmocka_unit_test_setup_teardown(test_a_status_is_whole, set_up_tree,
						tear_down_tree),
		cmocka_unit_test_setup_teardown(test_a_token_comes_as_soon_as_there_is_memory,
						set_up_tree, tear_down_tree),
	};

	oom_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
