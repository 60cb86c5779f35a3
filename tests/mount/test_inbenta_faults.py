"""The fault matrix for a knowledge base: as test_faults.py, whose faults these are.

One listing holds everything, so a fault that lasts is every call's; what differs is what a fault on
each route means.
"""

import os
import signal

from inbenta_client import Inbenta
from mounting import api_requests, mounted, simulated
from pooling import NOISE_S, outcome_of, pooled, refusal_of, results, status, until_works  # noqa: F401
from test_faults import FAULTS, PASSING, TIMEOUT_S, explanation_of

SMALL = ("--contents=3", "--categories=2")
# While a fault lasts, in a case: tries with back-off within timeout=, by two callers.
REQUESTS_MAX = 8

# What is another's there, or means something else here.
HERE = {
    # The client's may be wrong, or its domain; whose data is forbidden stays so.
    "403": ({"EACCES"}, {}),
    # Not a resource: the token's address. Of lists, that their address is wrong.
    "404": ({"ENOENT"}, {"auth": {"EBADMSG"}}),
    "400": ({"EBADMSG"}, {"auth": {"EACCES"}}),
    "405": ({"EBADMSG"}, {}),
    "bad_utf8": (None, {"auth": {"EBADMSG"}}),
    "null_items": ({"EBADMSG"}, {}),
    # hasMore on every page: nothing is ever the last.
    "big_total": ({"EBADMSG"}, {}),
    **{f"wrong_types-{n}": ({"EBADMSG"}, {}) for n in range(8)},
}
ROUTES = ("auth", "categories", "contents")
CASES = [
    (route, fault)
    for route in ROUTES
    for fault in FAULTS
    if route == "contents" or fault not in ("big_total", "zero_page")
]


def expected_of(route, fault):
    planted, expected, _ = FAULTS[fault]
    expected, others = HERE.get(fault, (expected, {}))
    return planted, others.get(route, expected)


def names(mount):
    return sorted(os.listdir(mount / "knowledge"))


@pooled(CASES)
def test_a_fault_ends_in_time_is_explained_and_passes(route, fault):
    planted, expected = expected_of(route, fault)
    with simulated(*SMALL, kind=Inbenta) as sim:
        sim.fault(route, times=-1, **planted)
        until_deadline = expected and (expected & PASSING or route == "auth" and expected != {"EACCES"})
        with mounted(sim, f"timeout={TIMEOUT_S if until_deadline else 3 * TIMEOUT_S}") as mount:
            for call in lambda: names(mount), lambda: os.stat(mount / "knowledge/category.json"):
                seen, took = outcome_of(call)
                assert (seen in expected) if expected else (seen is None), seen
                assert took < TIMEOUT_S + 1 + NOISE_S
            stats = sim.stats()
            assert stats["routes"][route] <= REQUESTS_MAX
            assert stats["headers_seen_by_redirect_target"] == []
            assert stats["routes"]["redirect_target"] == stats["clicks"] == 0
            if expected:
                explanation_of(mount, "token:" if route == "auth" else "knowledge:", planted, seen)
            sim.clear()
            if route == "auth" and expected == {"EACCES"}:
                mount.signal(signal.SIGHUP)  # a refusal is not forgotten by itself so soon
            until_works(lambda: names(mount))
            assert "category.json" in names(mount)
            metrics = mount.metrics()
            assert (metrics["waiters"], metrics["requests_in_flight"]) == (0, 0)


@pooled([("500",), ("503-html",), ("reset",), ("truncate",), ("429-now",)])
def test_a_single_fault_on_each_route_is_invisible_to_the_caller(fault):
    planted = FAULTS[fault][0]
    with simulated(*SMALL, kind=Inbenta) as sim:
        for route in ROUTES:
            sim.fault(route, times=1, **planted)
        with mounted(sim, "timeout=5") as mount:
            assert "category.json" in names(mount)
            assert api_requests(sim) == {"auth": 2, "categories": 2, "contents": 2}


@pooled([(fault,) for fault in ("404", "403", "500", "reset", "hang", "not_json", "wrong_types-7", "429-now", "deep")])
def test_a_fault_on_one_content_is_of_that_content_alone(fault):
    planted, expected, _ = FAULTS[fault]
    with simulated(*SMALL, kind=Inbenta) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        identity = sim.truth()["contents"][0]["id"]
        until_works(lambda: names(mount))
        sim.fault("content", times=-1, **planted)
        assert refusal_of(lambda: os.stat(mount / f"by-id/contents/{identity}.json")) in expected
        assert "category.json" in names(mount)
        assert sim.stats()["routes"]["content"] <= REQUESTS_MAX and sim.stats()["clicks"] == 0


@pooled([("big_total",), ("zero_page",)])
def test_pages_that_never_end_are_not_read_for_ever(fault):
    with simulated("--contents=250", kind=Inbenta) as sim, mounted(sim, f"timeout={3 * TIMEOUT_S}") as mount:
        sim.fault("contents", times=-1, **FAULTS[fault][0])
        assert refusal_of(lambda: names(mount)) == "EBADMSG"
        assert sim.stats()["routes"]["contents"] <= 6
