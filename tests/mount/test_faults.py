"""Whatever a server answers or does not answer: calls end in time with the errno that the design
names, `.ibinderfs/errors` explains, requests stay few, and when the fault goes the call works.

What is mostly waiting runs in a pool, each case with a simulator and a mount of its own.
"""

import concurrent.futures
import email.utils
import json
import os
import re
import signal
import statistics
import time

import pytest

from mounting import api_requests, by_another, mounted, simulated, wait_until
from pooling import (  # noqa: F401
    NOISE_S,
    binders_of,
    outcome_of,
    pooled,
    refusal_of,
    results,
    status,
    until_works,
    works,
)

TIMEOUT_S = 1
SMALL = ("--binders=2", "--folders=2", "--depth=2", "--documents=3")
# While a fault lasts, in a case: tries with back-off within timeout=, by two callers.
REQUESTS_MAX = 8

NETWORK = {"ETIMEDOUT", "EHOSTUNREACH"}
# What is tried again until the deadline.
PASSING = NETWORK | {"EBUSY", "EIO"}
ADVICE = {
    "EACCES": "check the account's ids, keys and secret|does not allow this",
    "EBADMSG": "check api_url=|check auth_url=|redirects are not followed",
    "EBUSY": "allowance is used up",
    "EFBIG": "raise memory=",
    "EHOSTUNREACH": "check the network",
    "EIO": "the server has a fault",
    "ENOENT": "it is gone, or api_url= or auth_url= is wrong",
    "ETIMEDOUT": "raise timeout=",
}


# A fault, the errno that a caller may see (None: the call works), and other errnos for some routes.
FAULTS = {
    "400": (status(400), {"EBADMSG"}, {"token": {"EACCES"}}),
    "401": (status(401), {"EACCES"}, {}),
    # What the client may not see of a binder does not hide the rest.
    "403": (status(403), {"EACCES"}, {"metadataelements": None, "subfolders": None}),
    # Not a resource: the token's address, or a call that the server may lack.
    "404": (status(404), {"ENOENT"}, {"token": {"EBADMSG"}, "metadataelements": None, "subfolders": None}),
    "405": (status(405), {"EBADMSG"}, {"subfolders": None}),
    "429": (status(429, retry_after="1"), {"EBUSY"}, {}),
    "429-now": (status(429, retry_after="0"), {"EBUSY"}, {}),
    "500": (status(500), {"EIO"}, {}),
    "503-html": (status(503, body="<html>busy</html>"), {"EIO"}, {}),
    "reset": ({"kind": "reset"}, NETWORK, {}),
    "hang": ({"kind": "hang"}, {"ETIMEDOUT"}, {}),
    "truncate": ({"kind": "truncate"}, NETWORK, {}),
    "slow": ({"kind": "slow", "bytes_per_second": 1}, {"ETIMEDOUT"}, {}),
    "delay": ({"kind": "delay", "ms": 400}, None, {}),
    "not_json": ({"kind": "not_json"}, {"EBADMSG"}, {}),
    "empty_body": ({"kind": "empty_body"}, {"EBADMSG"}, {}),
    "deep": ({"kind": "deep"}, {"EBADMSG"}, {}),
    "endless": ({"kind": "endless"}, {"EFBIG"}, {}),
    "redirect": ({"kind": "redirect"}, {"EBADMSG"}, {}),
    "redirect-308": ({"kind": "redirect", "status": 308}, {"EBADMSG"}, {}),
    # A name is shown whatever its bytes are; a token of such bytes is none.
    "bad_utf8": ({"kind": "bad_utf8"}, None, {"token": {"EBADMSG"}}),
    "null_items": ({"kind": "null_items"}, {"EBADMSG"}, {"token": None, "metadataelements": None}),
    "big_total": ({"kind": "big_total"}, {"EFBIG"}, {}),
    "zero_page": ({"kind": "zero_page"}, {"EBADMSG"}, {}),
    # The schema's shape is not documented: any JSON of it is shown.
    **{
        f"wrong_types-{n}": ({"kind": "wrong_types", "variant": n}, {"EBADMSG"}, {"metadataelements": None})
        for n in range(8)
    },
}
ROUTES = ("token", "binders", "metadataelements", "drive", "subfolders", "search")
CASES = [
    (route, fault)
    for route in ROUTES
    for fault in FAULTS
    if route == "search" or fault not in ("big_total", "zero_page")
]


def last_binder(sim):
    return binders_of(sim)[-1]


def open_and_close(path):
    with open(path, "rb"):
        pass


def explanation_of(mount, path, planted, seen):
    """The latest failure of what is at that path, which tells of what was planted."""

    def lines_of():
        return [line for line in mount.control("errors").splitlines() if f" {seen} {path}" in line]

    line = wait_until(lines_of)[-1]  # the token's request may fail after the call that waited for it
    assert re.search(ADVICE[seen], line)
    if planted["kind"] == "status":
        assert f"(HTTP {planted['status']})" in line
        assert ("the server says: " in line) == ("body" not in planted)
    return line


@pooled(CASES)
def test_a_fault_ends_in_time_is_explained_and_passes(route, fault):
    planted, expected, others = FAULTS[fault]
    expected = others.get(route, expected)
    with simulated(*SMALL) as sim:
        name = last_binder(sim)
        sim.fault(route, times=-1, **planted)
        # Where the answer is definite it may take its time on a busy machine.
        until_deadline = expected and (expected & PASSING or route == "token" and expected != {"EACCES"})
        with mounted(sim, f"timeout={TIMEOUT_S if until_deadline else 3 * TIMEOUT_S}") as mount:

            def listing():
                return by_another(os.listdir, mount / "binders" / name)

            for call in listing, lambda: open_and_close(mount / "binders" / name / "binder.json"):
                seen, took = outcome_of(call)
                assert (seen in expected) if expected else (seen is None), seen
                assert took < TIMEOUT_S + 1 + NOISE_S
            stats = sim.stats()
            assert stats["routes"][route] <= REQUESTS_MAX
            assert stats["headers_seen_by_redirect_target"] == []
            assert stats["routes"]["redirect_target"] == 0
            if expected or fault == "403":
                path = {"token": "token:", "binders": "binders:"}.get(route, "binders/")
                line = explanation_of(mount, path, planted, seen or "EACCES")
                is_traced = planted["kind"] == "status" and "body" not in planted
                assert bool(re.search(r"traceId 00-[0-9a-f]{32}-", line)) == is_traced
            sim.clear()
            if route == "token" and expected == {"EACCES"}:
                mount.signal(signal.SIGHUP)  # a refusal is not forgotten by itself so soon
            until_works(listing)
            assert "binder.json" in listing()
            metrics = mount.metrics()
            assert (metrics["waiters"], metrics["requests_in_flight"]) == (0, 0)


# --- Faults that pass ---

MEDIUM = ("--binders=6", "--folders=4", "--depth=2", "--documents=8")


@pooled([("500",), ("503-html",), ("reset",), ("truncate",), ("429-now",)])
def test_a_single_fault_on_each_route_is_invisible_to_the_caller(fault):
    planted = FAULTS[fault][0]
    with simulated(*SMALL) as sim:
        for route in ROUTES:
            sim.fault(route, times=1, **planted)
        with mounted(sim, "timeout=5") as mount:
            assert "binder.json" in by_another(os.listdir, mount / "binders" / last_binder(sim))
            counts = api_requests(sim)
            assert {route: counts[route] for route in ROUTES} == {
                "token": 2, "binders": 2, "metadataelements": 2, "drive": 2, "subfolders": 3, "search": 2,
            }


def test_an_error_is_remembered_for_a_second_and_costs_one_request(sim, mount):
    first, second = binders_of(sim)[:2]
    by_another(os.listdir, mount / "binders")
    sim.fault("drive", times=1, **status(404))
    began = time.monotonic()
    assert refusal_of(lambda: by_another(os.listdir, mount / "binders" / first)) == "ENOENT"
    calls = 0
    while time.monotonic() - began < 0.5:
        assert refusal_of(lambda: by_another(os.listdir, mount / "binders" / first)) == "ENOENT"
        calls += 1
    assert calls > 5 and sim.stats()["routes"]["drive"] == 1
    by_another(os.listdir, mount / "binders" / second)  # it is of that binder alone
    wait_until(lambda: works(lambda: by_another(os.listdir, mount / "binders" / first)), within=1 + NOISE_S)
    assert sim.stats()["routes"]["drive"] == 3


@pooled([("500", 12), ("404", 4), ("401", 4), ("429", 4), ("429-now", 20), ("reset", 12), ("not_json", 4)])
def test_requests_stay_few_while_a_fault_lasts_and_many_ask(fault, most):
    planted = FAULTS[fault][0]
    with simulated(*SMALL) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        path = mount / "binders" / last_binder(sim)
        until_works(lambda: by_another(os.listdir, mount / "binders"))
        sim.fault("drive", times=-1, **planted)
        end = time.monotonic() + 2.5

        def ask():
            calls = 0
            while time.monotonic() < end:
                refusal_of(lambda: os.listdir(path))
                calls += 1
                time.sleep(0.02)
            return calls

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            calls = sum(future.result() for future in [pool.submit(ask) for _ in range(8)])
        counts = sim.stats()["routes"]
        assert calls >= 16 and 0 < counts["drive"] <= most, (calls, counts)
        assert counts["token"] <= 2


@pooled([()])
def test_a_limit_that_is_never_lifted_is_not_tried_for_ever_behind_everybodys_back():
    with simulated(*SMALL) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        until_works(lambda: by_another(os.listdir, mount / "binders"))
        sim.fault("drive", times=-1, **FAULTS["429-now"][0])
        assert refusal_of(lambda: by_another(os.listdir, mount / "binders" / last_binder(sim))) == "EBUSY"
        wait_until(lambda: mount.metrics()["fetches_failed_total"] == 1)
        counts = api_requests(sim)
        assert counts["drive"] <= 6
        time.sleep(0.7)
        assert api_requests(sim) == counts


# --- Retry-After ---


def seconds_until(sim, route, count, began):
    wait_until(lambda: sim.stats()["routes"][route] >= count, step=0.02)
    return time.monotonic() - began


@pooled([(False,), (True,)])
def test_retry_after_is_obeyed_for_all_requests_and_never_beyond_a_deadline(as_date):
    with simulated(*MEDIUM) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        first, second, cached = binders_of(sim)[:3]
        until_works(lambda: by_another(os.listdir, mount / "binders" / cached))
        sim.control("POST", "/stats/reset")
        began, now = time.monotonic(), time.time()
        asked_s = 4
        if as_date:  # whole seconds: more than three of them
            asked_s = int(now) + 4 - now
        after = email.utils.formatdate(now + asked_s, usegmt=True) if as_date else str(asked_s)
        sim.fault("search", times=1, **status(429, retry_after=after))
        for binder in first, second:
            name, took = outcome_of(lambda: by_another(os.listdir, mount / "binders" / binder))
            assert name == "EBUSY" and took < TIMEOUT_S + 1
        assert "binder.json" in by_another(os.listdir, mount / "binders" / cached)
        assert "limiting" in mount.control("status")
        counts = api_requests(sim)
        assert counts["search"] == 1 and time.monotonic() - began < asked_s
        # In the background it goes on when it may, and not before.
        assert seconds_until(sim, "search", 2, began) >= asked_s - 0.01
        wait_until(lambda: mount.metrics()["listings"] == 3)  # with the top's
        counts = api_requests(sim)
        assert "binder.json" in by_another(os.listdir, mount / "binders" / first)
        assert api_requests(sim) == counts


def test_a_short_retry_after_delays_the_call_and_nothing_else():
    with simulated(*SMALL) as sim, mounted(sim, "timeout=4") as mount:
        by_another(os.listdir, mount / "binders")
        sim.fault("search", times=1, **status(429, retry_after="1"))
        began = time.monotonic()
        assert "binder.json" in by_another(os.listdir, mount / "binders" / last_binder(sim))
        assert 1 <= time.monotonic() - began < 3
        assert sim.stats()["routes"]["search"] == 2
        assert mount.control("errors") == ""


@pooled([("3600",), ("99999999999999999999",), ("Fri, 31 Dec 2199 23:59:59 GMT",)])
def test_a_huge_retry_after_refuses_new_calls_at_once_until_sighup(after):
    with simulated(*MEDIUM) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        first, second, cached = binders_of(sim)[:3]
        until_works(lambda: by_another(os.listdir, mount / "binders" / cached))
        sim.fault("drive", times=1, **status(429, retry_after=after))
        assert refusal_of(lambda: by_another(os.listdir, mount / "binders" / first)) == "EBUSY"
        before = api_requests(sim)
        durations = []
        for _ in range(10):
            name, took = outcome_of(lambda: by_another(os.listdir, mount / "binders" / second))
            assert name == "EBUSY"
            durations.append(took)
        assert statistics.median(durations) < 0.2 and max(durations) < TIMEOUT_S
        assert "binder.json" in by_another(os.listdir, mount / "binders" / cached)
        assert api_requests(sim) == before
        left = re.search(r"limiting, for another (\d+) s", mount.control("status"))
        assert 100 < int(left[1]) <= 3600  # a server cannot shut us out for ever
        mount.signal(signal.SIGHUP)
        wait_until(lambda: works(lambda: by_another(os.listdir, mount / "binders" / second)))


@pooled([("soon",), ("-5",), ("1.5e3 parsecs",)])
def test_a_retry_after_that_says_nothing_waits_a_moment(after):
    with simulated(*SMALL) as sim, mounted(sim, "timeout=4") as mount:
        by_another(os.listdir, mount / "binders")
        sim.fault("search", times=1, **status(429, retry_after=after))
        began = time.monotonic()
        assert "binder.json" in by_another(os.listdir, mount / "binders" / last_binder(sim))
        assert 0.5 < time.monotonic() - began < 3
        assert sim.stats()["routes"]["search"] == 2


# --- Sub-folders: an undocumented call ---


def walk(path):
    return sorted(os.path.relpath(os.path.join(at, name), path) for at, names, _ in os.walk(path) for name in names)


TREE = ("--binders=1", "--folders=12", "--depth=2", "--documents=0")
# A walk is of one listing.
TREE_TTL_S = 2


@pooled([()])
def test_a_404_for_one_folder_is_of_that_folder_alone():
    """Also when it is the first answer that the call ever gave."""
    # One connection: the first folder asked about is the first of all, which has some inside.
    with simulated(*TREE) as sim, mounted(sim, f"ttl={TREE_TTL_S},stale=0,connections=1") as mount:
        path = mount / "binders" / last_binder(sim)
        sim.fault("subfolders", times=1, **status(404))
        part = walk(path)
        time.sleep(TREE_TTL_S + 0.1)
        whole = walk(path)
        lost = set(whole) - set(part)
        assert set(part) < set(whole) and len({os.path.dirname(name) for name in lost}) == 1
        assert sim.stats()["routes"]["subfolders"] == 24 - len(lost)


@pooled([()])
def test_a_404_after_the_call_has_worked_does_not_switch_it_off():
    with simulated(*TREE) as sim, mounted(sim, f"ttl={TREE_TTL_S},stale=0,connections=1") as mount:
        path = mount / "binders" / last_binder(sim)
        # The last folder asked about, which has none inside: no answer comes after this one.
        sim.fault("subfolders", times=1, after=11, **status(404))
        whole = walk(path)
        time.sleep(TREE_TTL_S + 0.1)
        assert walk(path) == whole and any("/" in name for name in whole)
        assert sim.stats()["routes"]["subfolders"] == 24
        assert "subfolders_path" not in mount.control("status")
