"""What is seen at one time belongs together: versions never mix, in the kernel's caches nor in times,
and what one reader keeps or waits for is nobody else's loss.

Most of it needs two things at once: two handles, a handle and a refresh, a change and an eviction.
"""

import concurrent.futures
import contextlib
import json
import os
import signal
import time

from mounting import api_requests, by_another, mounted, read_tree, run, simulated, wait_until
from pooling import binders_of, outcome_of, until_works

TTL_S = 0.5


def let_ttl_pass(ttl_s=TTL_S):
    time.sleep(ttl_s + 0.05)


def path_of(mount, binder, document):
    """Where the mount shows the document of that id; the binder is in the form of the truth."""
    top = mount / "binders" / json.loads(binder["raw"])["name"]
    (path,) = [path for path, content in read_tree(top).items() if content and document.encode() in content]
    return top / path


# --- Directories ---

# A directory that takes several replies: one holds up to 32 KiB.
FLAT = ("--folders=0", "--documents=400", "--metadata=1")
ONE = ("--binders=1", *FLAT)


class Reading:
    """A directory that was opened, and is read in as many parts as a test wants."""

    def __init__(self, path):
        self.directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.entries = os.scandir(self.directory)
        self.names = []

    def read_some(self):
        self.names.append(next(self.entries).name)

    def read_all(self):
        self.names += [entry.name for entry in self.entries]

    def close(self):
        self.entries.close()
        if self.directory >= 0:
            os.close(self.directory)
        self.directory = -1


ORDERS = {
    "old": lambda old, new: old.read_all(),
    "old, new": lambda old, new: (old.read_all(), new.read_all()),
    "new, old": lambda old, new: (new.read_all(), old.read_all()),
    "some old, new, old": lambda old, new: (old.read_some(), new.read_all(), old.read_all()),
    "some new, old, new": lambda old, new: (new.read_some(), old.read_all(), new.read_all()),
    "some old, some new, old, new": lambda old, new: (
        old.read_some(),
        new.read_some(),
        old.read_all(),
        new.read_all(),
    ),
}


def test_readings_of_an_old_and_a_new_listing_never_mix():
    """Both handles are open at once, and are read in any order; then somebody lists the directory.
    Each order has a binder of its own."""
    with (
        simulated(f"--binders={len(ORDERS)}", *FLAT) as sim,
        mounted(sim, "ttl=1", "stale=0") as mount,
        contextlib.ExitStack() as held,
    ):
        cases = []
        for order, binder in zip(ORDERS, sim.truth()):
            gone = path_of(mount, binder, binder["documents"][60]["id"])
            cases.append((order, binder, gone, sorted(os.listdir(gone.parent))))
        let_ttl_pass(1)
        olds = [held.enter_context(contextlib.closing(Reading(gone.parent))) for _, _, gone, _ in cases]
        for _, binder, _, _ in cases:
            sim.change("delete_document", id=binder["documents"][60]["id"])
            for name in ("! first.pdf", "~ last.pdf"):
                sim.change("add_document", binder=binder["id"], folder=None, name=name)
        let_ttl_pass(1)
        for (order, _, gone, before), old in zip(cases, olds):
            path = gone.parent
            after = sorted({*before, "! first.pdf.json", "~ last.pdf.json"} - {gone.name})
            with contextlib.closing(Reading(path)) as new:
                ORDERS[order](old, new)
                assert sorted(os.listdir(path)) == after, order
                old.read_all()
                new.read_all()
                assert (sorted(old.names), sorted(new.names)) == (before, after), order
            old.close()
            assert sorted(os.listdir(path)) == after, order
            assert all((path / name).exists() for name in after) and not gone.exists(), order


# --- Files ---


def test_a_document_that_grew_is_read_whole_though_its_directory_was_read_in_part():
    """The entry that no longer fits into a reply is one that the kernel was not told of."""
    with simulated(*ONE) as sim, mounted(sim, "ttl=300") as mount:
        (binder,) = sim.truth()
        path = mount / "binders" / json.loads(binder["raw"])["name"]
        run("ls", "-l", str(path))
        names = os.listdir(path)
        for document in binder["documents"]:
            sim.change("set_metadata", id=document["id"], key="Remark", valueId="much longer than before " * 5)
        mount.signal(signal.SIGHUP)
        wait_until(lambda: sim.stats()["routes"]["token"] == 2)
        with os.scandir(path) as entries:
            next(entries)
        objects = [json.loads((path / name).read_text()) for name in names]
        grown = [entry for entry in objects if "much longer than before" in json.dumps(entry)]
        assert len(grown) == len(binder["documents"])


def test_an_open_file_can_be_looked_at_and_read_when_its_document_is_gone():
    with simulated(*ONE) as sim, mounted(sim, f"ttl={TTL_S}", "stale=0") as mount:
        (binder,) = sim.truth()
        path = path_of(mount, binder, binder["documents"][5]["id"])
        content = path.read_bytes()
        with open(path, "rb") as file:
            file.read(10)
            before = os.fstat(file.fileno())
            sim.change("delete_document", id=binder["documents"][5]["id"])
            let_ttl_pass()
            os.listdir(path.parent)
            assert not path.exists()
            for _ in range(2):
                now = os.fstat(file.fileno())
                assert (now.st_ino, now.st_size) == (before.st_ino, before.st_size)
                let_ttl_pass()
            file.seek(0)
            assert file.read() == content


def test_looking_at_an_open_file_waits_for_no_listing():
    with simulated(*ONE) as sim, mounted(sim, f"ttl={TTL_S}", "stale=0") as mount:
        (binder,) = sim.truth()
        json_path = path_of(mount, binder, binder["documents"][5]["id"])
        path = mount / "files" / os.path.relpath(json_path, mount / "binders").removesuffix(".json")
        with open(json_path, "rb") as object_file, open(path, "rb") as file:
            before = [os.fstat(one.fileno()) for one in (object_file, file)]
            sim.fault("search", "hang", times=-1)
            let_ttl_pass()
            searches, waits = api_requests(sim)["search"], mount.metrics()["waits_total"]
            now = [os.fstat(one.fileno()) for one in (object_file, file)]
            assert [(one.st_ino, one.st_size) for one in now] == [(one.st_ino, one.st_size) for one in before]
            assert mount.metrics()["waits_total"] == waits
            wait_until(lambda: api_requests(sim)["search"] > searches)  # it is refreshed behind
            sim.clear()


# --- Times ---


def test_a_change_during_an_eviction_is_dated_when_it_is_seen_and_no_other_time_moves():
    with simulated("--binders=6", "--folders=2", "--documents=250", "--metadata=20") as sim:
        with mounted(sim, "memory=1M", f"ttl={TTL_S}", "stale=0") as mount:
            binder = sim.truth()[0]
            document, other = (binder["documents"][index]["id"] for index in (0, 1))
            sim.change("set_metadata", id=document, key="Remark", valueId="AAAA")
            path, unchanged = path_of(mount, binder, document), path_of(mount, binder, other)
            top = mount / "binders" / json.loads(binder["raw"])["name"]

            def directories():
                """A binder's time is told with the list of binders, and follows when it is listed."""
                for _ in range(2):
                    run("ls", "-lR", str(mount / "binders"))
                    let_ttl_pass()
                return {name: os.stat(name).st_mtime_ns for name, _, _ in os.walk(mount / "binders")}

            # One directory's entries change while it is cached: its time is an observed one.
            sim.change("add_document", binder=binder["id"], folder=None, name="Ny.pdf")
            added = time.time_ns()
            let_ttl_pass()
            os.listdir(top)
            before, size, kept = directories(), path.stat().st_size, unchanged.stat().st_mtime_ns
            assert before[str(top)] >= added
            evictions = mount.metrics()["listing_evictions_total"]
            others = [mount / "binders" / name for name in binders_of(sim) if name != top.name]
            for name in others:
                os.listdir(name)
            assert mount.metrics()["listing_evictions_total"] >= evictions + len(others)

            sim.change("set_metadata", id=document, key="Remark", valueId="BBBB")
            changed = time.time_ns()
            let_ttl_pass()
            os.listdir(top)
            now = path.stat()
            assert now.st_size == size and now.st_mtime_ns >= changed
            assert unchanged.stat().st_mtime_ns == kept
            assert b"BBBB" in path.read_bytes()
            assert directories() == before

            # And entries that change while it is evicted move it forward, alone.
            sim.change("add_document", binder=binder["id"], folder=None, name="Ännu en.pdf")
            changed = time.time_ns()
            let_ttl_pass()
            after = directories()
            assert after.pop(str(top)) >= changed
            del before[str(top)]
            assert after == before


# --- Memory ---


def test_the_listing_of_a_deleted_binder_goes_when_nothing_refers_to_it():
    with simulated("--binders=3", "--documents=40") as sim, mounted(sim, f"ttl={TTL_S}", "stale=0") as mount:
        tree = read_tree(mount / "binders")
        before = mount.metrics()
        assert (before["listings"], before["resources"]) == (4, 4)
        gone = sim.truth()[0]
        name = json.loads(gone["raw"])["name"]
        sim.change("delete_binder", id=gone["id"])
        let_ttl_pass()
        os.listdir(mount / "binders")
        for path in sorted(path for path in tree if path.split("/")[0] == name):
            assert not os.path.lexists(mount / "binders" / path)

        def left():
            os.listdir(mount / "binders")
            now = mount.metrics()
            return (now["listings"], now["resources"]) == (3, 3) and now["listing_bytes"] < before["listing_bytes"]

        wait_until(left)


def test_files_held_open_do_not_add_a_copy_with_each_refresh():
    with simulated("--binders=1", "--folders=2", "--documents=200") as sim:
        with mounted(sim, "ttl=0.05", "stale=0") as mount, contextlib.ExitStack() as held:
            (name,) = os.listdir(mount / "binders")
            path = mount / "binders" / name / "binder.json"
            os.listdir(path.parent)
            alone = mount.metrics()["listing_bytes"]
            fetches = mount.metrics()["fetches_total"]
            for _ in range(10):
                held.enter_context(open(path, "rb"))
                time.sleep(0.06)
            assert mount.metrics()["fetches_total"] >= fetches + 10
            assert mount.metrics()["listing_bytes"] < alone * 1.5


# --- Requests ---


def test_a_small_binder_is_not_kept_waiting_by_the_many_pages_of_a_large_one():
    """Not even by one that nearly fills memory=."""
    documents, page = 1600, 25
    with simulated("--binders=1", "--folders=0", f"--documents={documents}", "--metadata=20") as sim:
        sim.change("add_binder", name="small")
        with mounted(sim, "memory=5462K", "timeout=3", f"page_size={page}", "connections=2", "ttl=600") as mount:
            (large,) = [name for name in os.listdir(mount / "binders") if name != "small"]
            sim.control("POST", "/settings", latency_ms=50)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                walk = pool.submit(outcome_of, lambda: os.listdir(mount / "binders" / large))
                wait_until(lambda: api_requests(sim).get("search", 0) >= 46)
                sim.control("POST", "/settings", latency_ms=400)
                assert sorted(os.listdir(mount / "binders" / "small")) == ["binder.json", "metadata-elements.json"]
                assert api_requests(sim)["search"] < documents / page  # the large one is not here yet
                sim.control("POST", "/settings", latency_ms=0)
                walk.result(timeout=10)
            wait_until(lambda: mount.metrics()["listings"] == 3)  # binders, small, large
            assert len(os.listdir(mount / "binders" / large)) == documents + 2


def test_listings_make_room_for_one_that_is_still_being_fetched():
    """Or memory= would hold the whole of it beside them until it is there."""
    documents, page = 250, 25
    with simulated("--binders=3", "--folders=0", f"--documents={documents}") as sim:
        first, second, third = binders_of(sim)
        with mounted(sim, "memory=1M", f"page_size={page}", "connections=2", "ttl=600") as mount:
            for name in (first, second):
                by_another(os.listdir, mount / "binders" / name)
            assert mount.metrics()["listing_evictions_total"] == 0
            sim.control("POST", "/settings", latency_ms=200)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                listed = pool.submit(os.listdir, mount / "binders" / third)
                wait_until(lambda: mount.metrics()["listing_evictions_total"] == 1)
                assert api_requests(sim)["search"] < 3 * documents / page  # the third is not here yet
                sim.control("POST", "/settings", latency_ms=0)
                assert len(listed.result(timeout=10)) == documents + 2


def test_what_is_still_being_fetched_drives_out_neither_the_top_nor_what_was_used_last():
    documents, page = 350, 25
    with simulated("--binders=2", "--folders=0", f"--documents={documents}") as sim:
        first, second = binders_of(sim)
        with mounted(sim, "memory=1M", f"page_size={page}", "connections=2", "ttl=600") as mount:
            by_another(os.listdir, mount / "binders" / first)
            sim.control("POST", "/settings", latency_ms=100)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                listed = pool.submit(os.listdir, mount / "binders" / second)
                wait_until(lambda: api_requests(sim)["search"] > documents / page + 1)
                (mount / "binders" / first / "binder.json").read_bytes()
                wait_until(lambda: api_requests(sim)["search"] == 2 * documents / page)
                # All but the last two pages are here, and with the first binder more than memory= allows.
                assert mount.metrics()["listing_evictions_total"] == 0
                assert not listed.done()
                assert len(listed.result(timeout=10)) == documents + 2
            assert mount.metrics()["listing_evictions_total"] > 0


def test_a_walk_ends_though_each_fetch_takes_longer_than_ttl():
    with simulated("--binders=2", "--folders=4", "--depth=2", "--documents=20") as sim:
        sim.fault("search", "delay", times=-1, ms=1300)
        with mounted(sim, "ttl=1", "stale=0", "timeout=4") as mount:
            lines = run("find", str(mount / "binders"), within=30).splitlines()
            assert len(lines) > 2 * 20
            requests = api_requests(sim)
            assert (requests["drive"], requests["search"]) == (2, 2)


def test_a_server_that_always_wants_fewer_requests_gets_one_in_the_time_it_names():
    """However many ask: one request, of whichever of the three listings, and then the pause."""
    with simulated("--binders=2", "--folders=0", "--documents=1") as sim:
        with mounted(sim, "timeout=0.4", "ttl=0.2", "stale=0", "connections=1") as mount:
            until_works(lambda: os.listdir(mount / "binders"))
            sim.fault("*", "status", status=429, retry_after="1", times=-1)
            sim.control("POST", "/stats/reset")
            let_ttl_pass()
            began = time.monotonic()
            while time.monotonic() - began < 2.5:
                for name in (".", *binders_of(sim)):
                    outcome_of(lambda path=mount / "binders" / name: os.listdir(path))
                time.sleep(0.02)
            made = sum(api_requests(sim).values())
            assert 2 <= made <= 1 + (time.monotonic() - began)
