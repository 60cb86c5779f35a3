"""What a knowledge base costs: requests are counted, and none is counted as a reader's."""

import concurrent.futures
import json
import os
import time

import pytest

from inbenta_client import Inbenta
from mounting import api_requests, mounted, read_tree, run, simulated, wait_until
from pooling import outcome_of, pooled, results, works  # noqa: F401

# Each way of telling what is used up, and each of telling when that ends.
USAGES = ("fraction", "percent", "ratio")


def listed(mount):
    """How many contents the mount shows."""
    return len({os.lstat(mount / "knowledge" / path).st_ino for path in read_tree(mount / "knowledge")
                if path.endswith(".json") and not path.endswith("category.json")})


def test_a_whole_walk_is_one_call_for_categories_and_the_pages():
    with simulated("--contents=1050", "--categories=60", "--clicks=all", kind=Inbenta) as sim, mounted(sim) as mount:
        run("find", str(mount.path), "-ls")
        run("grep", "-rc", "Garant", str(mount / "knowledge"), str(mount / "files"))
        counts = api_requests(sim)
        # Pages are asked for ahead: some may be beyond the end, whose place nobody tells.
        assert 11 <= counts.pop("contents") <= 11 + 7
        assert counts == {"auth": 1, "categories": 1}
        assert sim.stats()["clicks"] == 0
        assert listed(mount) == 1050 and mount.metrics()["requests_total"] <= 1 + 11 + 7


def test_the_second_listing_asks_for_the_pages_there_are_at_once():
    # A page begins with the last content of the one before: 99 are new.
    options = ("--contents=1600", "--latency-ms=100", "--clicks=all")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, "ttl=0.2", "stale=0", "timeout=20") as mount:
        os.listdir(mount / "knowledge")
        sim.control("POST", "/stats/reset")
        time.sleep(0.25)
        os.listdir(mount / "knowledge")
        stats = sim.stats()
        assert stats["routes"]["contents"] == 17 and stats["routes"]["categories"] == 1
        assert stats["peak_concurrency"] >= 8 and stats["clicks"] == 0


def test_pages_of_a_first_listing_overlap():
    with simulated("--contents=3000", "--latency-ms=50", kind=Inbenta) as sim, mounted(sim, "timeout=20") as mount:
        assert listed(mount) == 3000
        stats = sim.stats()
        assert stats["peak_concurrency"] >= 4 and 31 <= stats["routes"]["contents"] <= 38


def test_connections_bounds_what_is_under_way():
    options = ("--contents=1000", "--latency-ms=20")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, "connections=2", "timeout=20") as mount:
        assert listed(mount) == 1000 and sim.stats()["peak_concurrency"] <= 2


@pytest.mark.parametrize("contents, pages", [(0, 1), (99, 1), (100, 1), (101, 2), (199, 2), (200, 3), (298, 3), (299, 5)])
def test_small_knowledge_bases_cost_few_pages(contents, pages):
    with simulated(f"--contents={contents}", kind=Inbenta) as sim, mounted(sim) as mount:
        assert listed(mount) == contents
        assert api_requests(sim)["contents"] == pages


@pytest.mark.parametrize("server, client", [(7, 100), (100, 7), (13, 20)])
def test_pages_that_are_shorter_than_asked_for_leave_nothing_out(server, client):
    options = ("--contents=200", f"--max-page={server}")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, f"page_size={client}") as mount:
        assert listed(mount) == 200
        pages = -(-199 // (min(server, client) - 1))
        assert pages <= api_requests(sim)["contents"] <= pages + 8


@pooled([("max_page=100",), ("max_page=40",)])
def test_a_page_length_that_changes_meanwhile_leaves_no_gap(change):
    """The server shortens its pages while they are being read."""
    with simulated("--contents=900", kind=Inbenta) as sim:
        with mounted(sim, "timeout=10") as mount:
            sim.fault("contents", "delay", times=1, after=2, ms=300)
            name, value = change.split("=")

            def shorten():
                wait_until(lambda: sim.stats()["routes"]["contents"] >= 3)
                sim.control("POST", "/settings", **{name: int(value)})

            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                shortened = pool.submit(shorten)
                assert listed(mount) == 900
                shortened.result()


def test_contents_that_go_while_pages_are_read_take_none_with_them():
    """When one goes before what was read, those behind it move to pages that were read already."""
    with simulated("--contents=450", kind=Inbenta) as sim, mounted(sim, "timeout=10") as mount:
        first = sim.truth()["contents"][0]["id"]
        # The second page comes after the change, and so do those that are asked for after it.
        sim.control("POST", "/settings", latency_ms=300)

        def change():
            wait_until(lambda: sim.stats()["routes"]["contents"] >= 2, step=0.001)
            sim.change("delete_content", id=int(first))

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            changed = pool.submit(change)
            assert listed(mount) == 450
            changed.result()
        sim.control("POST", "/settings", latency_ms=0)
        # All that there are, and the one that was there when it was read.
        assert {c["id"] for c in sim.truth()["contents"]} | {first} == {
            str(json.loads(content)["id"])
            for path, content in read_tree(mount / "knowledge").items()
            if content and not path.endswith("category.json")
        }
        assert sim.stats()["routes"]["contents"] > 9  # read once more


def test_a_warm_walk_costs_nothing():
    with simulated("--contents=500", "--categories=40", kind=Inbenta) as sim, mounted(sim) as mount:
        read_tree(mount.path)
        sim.control("POST", "/stats/reset")
        before = mount.metrics()
        run("find", str(mount / "knowledge"), "-size", "+1k")
        assert api_requests(sim) == {}
        assert mount.metrics()["upcalls_lookup_total"] == before["upcalls_lookup_total"]


# --- Allowances ---


@pooled([(usage, reset) for usage in USAGES for reset in ("seconds", "unix")])
def test_requests_slow_down_before_the_allowance_is_used_up(usage, reset):
    """40 pages where 25 requests a window are allowed: it takes two windows, and nothing is refused."""
    options = ("--contents=4000", "--size-max=100", "--throttle-limit=25", "--throttle-window=3",
               f"--usage={usage}", f"--reset={reset}")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, "timeout=20", "connections=4") as mount:
        assert listed(mount) == 4000
        assert sim.stats()["refused"]["allowance"] == 0, sim.stats()["status"]
        assert mount.control("errors") == ""


@pooled([("garbage", "seconds"), ("absent", "seconds"), ("garbage", "unix")])
def test_what_cannot_be_read_of_the_allowance_does_no_harm(usage, reset):
    options = ("--contents=2000", "--size-max=100", f"--usage={usage}", f"--reset={reset}")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim) as mount:
        assert listed(mount) == 2000
        assert mount.metrics()["request_retries_total"] == 0 and mount.control("errors") == ""


@pooled([("absent",), ("garbage",)])
def test_a_429_that_came_all_the_same_is_waited_out(usage):
    options = ("--contents=1500", "--size-max=100", "--throttle-limit=10", "--throttle-window=2", f"--usage={usage}")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, "timeout=20") as mount:
        assert listed(mount) == 1500
        assert 0 < sim.stats()["refused"]["allowance"] < 30


def test_the_hourly_allowance_counts_as_well():
    options = ("--contents=1500", "--size-max=100", "--quota-limit=20", "--throttle-window=1")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, "timeout=20", "connections=2") as mount:
        assert listed(mount) == 1500
        assert sim.stats()["refused"]["allowance"] == 0


def test_the_status_says_when_the_allowance_is_used_up():
    options = ("--contents=1000", "--throttle-limit=8", "--throttle-window=30")
    with simulated(*options, kind=Inbenta) as sim, mounted(sim, "timeout=1") as mount:
        assert not works(lambda: os.listdir(mount / "knowledge"))
        wait_until(lambda: "limiting, for another" in mount.control("status"))
        assert sim.stats()["refused"]["allowance"] <= 4
