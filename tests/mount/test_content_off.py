"""content=off: no files/, and opening costs no round trip to the daemon. The kernel then reads
without a handle, so what it was told of a file and what it reads must belong together by themselves.
"""

import concurrent.futures
import errno
import json
import mmap
import os
import signal
import subprocess
import threading
import time

import pytest

import reference
from mounting import api_requests, mounted, read_tree, run, simulated, wait_until
from pooling import outcome_of, refusal_of, works

OFF = "content=off"
TTL_S = 0.5
MIB = 1 << 20
CONTROL_FILES = ("config", "errors", "metrics", "status", "status.json")
# Each binder's listing takes a good part of 1 MiB.
LARGE = ("--binders=5", "--folders=0", "--documents=250", "--metadata=6")


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


def upcalls_so_far(mount):
    metrics = mount.metrics()
    return {kind: metrics[f"upcalls_{kind}_total"] for kind in ("open", "read", "lookup", "getattr")}


def expected_tree(sim):
    return {path: entry.content for path, entry in reference.tree(sim.truth()).items()}


def forget_pages(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def document_paths(mount, binder=0):
    top = mount / "binders" / sorted(os.listdir(mount / "binders"))[binder]
    own = ("binder.json", "metadata-elements.json", "folder.json")
    return sorted(path for path in top.rglob("*.json") if path.name not in own)


@pytest.fixture
def sim():
    with simulated("--binders=2", "--folders=5", "--depth=2", "--documents=60") as sim:
        yield sim


@pytest.fixture
def mount(sim):
    with mounted(sim, OFF, "ttl=600") as mount:
        yield mount


@pytest.fixture
def watchful(sim):
    with mounted(sim, OFF, f"ttl={TTL_S}", "stale=0") as mount:
        yield mount


# --- What is there ---


def test_there_are_no_files(sim, mount):
    wait_until(lambda: api_requests(sim) == {"token": 1})
    assert sorted(os.listdir(mount.path)) == [".ibinderfs", "binders", "by-id", "search"]
    for name in ("files", "files/x", f"files/{json.loads(sim.truth()[0]['raw'])['name']}"):
        assert refusal_of(lambda: os.stat(mount / name)) == "ENOENT"
    assert api_requests(sim) == {"token": 1}
    assert "content = off" in mount.control("config")


def test_every_file_is_right_byte_for_byte():
    odd = ("--binders=2", "--documents=100", "--odd-names", "--odd-numbers", "--metadata=60")
    with simulated(*odd) as sim, mounted(sim, OFF) as mount:
        assert read_tree(mount / "binders") == expected_tree(sim)


def test_bytes_can_be_had_in_every_way(sim, mount):
    path = document_paths(mount)[3]
    content = path.read_bytes()
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == content
        assert os.pread(file.fileno(), 100, 50) == content[50:150]
        assert os.pread(file.fileno(), 100, len(content)) == b"" and file.seek(0, os.SEEK_END) == len(content)
    assert run("tail", "-c", "7", str(path)).encode() == content[-7:]
    assert refusal_of(lambda: os.open(path, os.O_WRONLY)) == "EROFS"


def test_a_warm_grep_costs_no_upcalls(sim, mount):
    first = run("grep", "-r", "Archived", str(mount / "binders"))
    before = upcalls_so_far(mount)
    assert before["open"] <= 1  # the one that the kernel learns it from
    assert before["read"] >= 120
    assert run("grep", "-r", "Archived", str(mount / "binders")) == first != ""
    assert upcalls_so_far(mount) == before


def test_by_id_and_search_work(sim, mount):
    document = sim.truth()[0]["documents"][5]
    expected = reference.indent(document["raw"])
    assert (mount / "by-id" / "documents" / f"{document['id']}.json").read_bytes() == expected
    assert (mount / "by-id" / "binders" / sim.truth()[0]["id"] / "binder.json").exists()
    found = read_tree(mount / "search" / "GLOBAL_TabType=Documents")
    assert len(found) == 120 and expected in found.values()


# --- The control files ---


@pytest.mark.parametrize("name", CONTROL_FILES)
def test_control_files_are_read_whole_however_often(mount, name):
    """Readers have no handle: they must not meet one text's length and another's bytes."""
    path = mount / ".ibinderfs" / name
    last = {
        "config": b"", "errors": b"", "metrics": b"ibinderfs_", "status": b"readers", "status.json": b"}",
    }[name]  # fmt: skip
    end = time.monotonic() + 1.3
    number = 0
    while time.monotonic() < end:
        # The number of digits changes all the time.
        os.path.exists(mount / "binders" / f"nothing {number}")
        number += 1
        for content in (path.read_bytes(), run("cat", str(path)).encode()):
            assert not content or content.endswith(b"\n")
            assert content.splitlines()[-1:] == [] or content.splitlines()[-1].startswith(last)
            assert content.count(last) >= 1
            if name == "status.json":
                assert len(json.loads(content)) == 16
        assert len(run("head", "-c", "5", str(path)).encode()) == min(5, os.stat(path).st_size)


@pytest.mark.parametrize("first", [10, MIB], ids=["a line", "all"])
def test_who_reads_a_control_file_slowly_gets_one_text(mount, first):
    path = mount / ".ibinderfs" / "errors"

    def fail(words):
        for number in range(70):  # more than are kept: all lines move
            assert refusal_of(lambda: os.stat(mount / "search" / f"{words} {number},b")) == "EINVAL"

    fail("short")
    file = os.open(path, os.O_RDONLY)
    seen = os.read(file, first)
    fail("very much longer")
    time.sleep(1.1)  # a text is a second old at most
    while part := os.read(file, MIB):
        seen += part
    os.close(file)
    lines = seen.decode().splitlines()
    assert len(lines) == 64 and all(" EINVAL search/short " in line for line in lines)
    assert mount.control("errors").count(" EINVAL search/very much longer ") == 64


def test_control_files_tell_what_is_so_now(sim, mount):
    before = mount.metrics()["served_fresh_total"]
    os.listdir(mount / "binders")
    for name in os.listdir(mount / "binders"):
        os.listdir(mount / "binders" / name)
    wait_until(lambda: mount.metrics()["served_fresh_total"] > before and mount.metrics()["listings"] == 3, within=3)
    assert json.loads(mount.control("status.json"))["listings"] == 3


# --- Changes ---


@pytest.mark.parametrize("value", ["longer " * 30, "x", None], ids=["longer", "shorter", "as long"])
def test_a_change_shows_past_ttl(sim, watchful, value):
    path = document_paths(watchful)[3]
    before = path.read_bytes()
    document = json.loads(before)["id"]
    if value:
        sim.change("set_metadata", id=document, key="Remark", valueId=value)
    else:
        sim.change("new_version", id=document)
    let_ttl_pass()
    after = path.read_bytes()
    assert after != before and (len(after) == len(before)) == (value is None)
    (raw,) = [d["raw"] for b in sim.truth() for d in b["documents"] if d["id"] == document]
    assert after == reference.indent(raw) and os.stat(path).st_size == len(after)


def change_length(sim, document, number):
    sim.change("set_metadata", id=document, key="Remark", valueId=f"{number} " * (number * 7 % 300 + 1))


def keep_length(sim, document, number):
    sim.change("new_version", id=document)


@pytest.mark.parametrize("stale", [0, 600])
@pytest.mark.parametrize("change", [keep_length, change_length], ids=["as long", "of any length"])
def test_readers_never_meet_a_mixture_while_a_document_changes(sim, stale, change):
    """One read(2) each. What is not of the version that was opened is ESTALE; a reader that opens
    the file again has it."""
    readers = 4
    with mounted(sim, OFF, "ttl=0.1", f"stale={stale}") as mount:
        path = document_paths(mount)[3]
        document = json.loads(path.read_bytes())["id"]
        legal = {path.read_bytes()}
        stop = threading.Event()

        def read():
            file = os.open(path, os.O_RDONLY)
            try:
                return os.read(file, MIB)
            finally:
                os.close(file)

        def reader():
            seen, errors = set(), []
            while not stop.is_set():
                try:
                    seen.add(read())
                except OSError as error:
                    errors.append(error.errno)
                    wait_until(lambda: works(read), within=2)
            return seen, errors

        with concurrent.futures.ThreadPoolExecutor(readers) as pool:
            results = [pool.submit(reader) for _ in range(readers)]
            for number in range(25):
                change(sim, document, number)
                legal.add(reference.indent(raw_of(sim, document)))
                time.sleep(0.05)
            stop.set()
            results = [each.result() for each in results]
        seen = set().union(*(contents for contents, _ in results))
        assert seen <= legal
        assert len(seen) >= 5  # they did meet changes
        assert {code for _, errors in results for code in errors} <= {errno.ESTALE}
        assert wait_until(lambda: read() == reference.indent(raw_of(sim, document)))


@pytest.mark.parametrize("value", ["longer " * 1000, "x", None], ids=["longer", "shorter", "as long"])
def test_a_version_that_is_held_open_has_no_bytes_of_the_next_one(sim, watchful, value):
    path = document_paths(watchful)[3]
    document = json.loads(path.read_bytes())["id"]
    sim.change("set_metadata", id=document, key="Remark", valueId="middle " * 100)
    let_ttl_pass()
    held = os.open(path, os.O_RDONLY)
    try:
        before = os.read(held, MIB)
        assert before == reference.indent(raw_of(sim, document))
        if value:
            sim.change("set_metadata", id=document, key="Remark", valueId=value)
        else:
            sim.change("new_version", id=document)
        after = reference.indent(raw_of(sim, document))
        for _ in range(3):
            let_ttl_pass()
            assert path.read_bytes() == after and os.stat(path).st_size == len(after)
            assert run("wc", "-c", str(path)).split()[0] == str(len(after))
            assert refusal_of(lambda: os.pread(held, MIB, 0)) == "ESTALE"
            assert refusal_of(lambda: os.pread(held, MIB, len(before) - 1)) == "ESTALE"
            os.posix_fadvise(held, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(held)


@pytest.mark.parametrize("longer", [True, False])
def test_new_bytes_are_not_cut_to_the_size_that_the_kernel_knows(sim, longer):
    """SIGHUP forgets what the kernel still goes by, for as long as it was told: ESTALE until then."""
    with mounted(sim, OFF, "ttl=2", "stale=0") as mount:
        path = document_paths(mount)[3]
        before = path.read_bytes()
        document = json.loads(before)["id"]
        sim.change("set_metadata", id=document, key="Remark", valueId="longer " * 30 if longer else "x")
        after = reference.indent(raw_of(sim, document))
        assert len(after) != len(before)
        forget_pages(path)
        mount.signal(signal.SIGHUP)
        # One token for the mount, one for this test, one after the signal.
        wait_until(lambda: sim.stats()["routes"]["token"] == 3)
        seen = set()

        def read():
            try:
                seen.add(path.read_bytes())
            except OSError as error:
                seen.add(errno.errorcode[error.errno])
            return after in seen

        wait_until(read, within=5)
        assert seen <= {"ESTALE", after}


def raw_of(sim, document):
    """Only what changes is asked for: the whole truth takes long."""
    return sim.get(f"/documents/{document}").body.decode()


# --- Memory, and trouble ---


def test_what_was_evicted_is_read_again_unchanged_at_once():
    """The kernel goes by what it was told before the eviction; nothing has changed, so nothing fails."""
    with simulated(*LARGE) as sim, mounted(sim, OFF, "memory=1M", "ttl=600") as mount:
        paths = document_paths(mount)[:40]
        contents = [path.read_bytes() for path in paths]
        for _ in range(2):
            evictions = mount.metrics()["listing_evictions_total"]
            for name in sorted(os.listdir(mount / "binders"))[1:]:
                os.listdir(mount / "binders" / name)
            wait_until(lambda: mount.metrics()["listing_evictions_total"] > evictions)
            for path in paths:
                forget_pages(path)
            assert [outcome_of(path.read_bytes)[0] for path in paths] == [None] * 40
            assert [path.read_bytes() for path in paths] == contents
        assert mount.metrics()["listing_bytes"] <= MIB


def test_reading_everything_within_a_small_memory_is_right():
    with simulated(*LARGE) as sim, mounted(sim, OFF, "memory=1M", "ttl=600") as mount:
        tops = sorted(os.listdir(mount / "binders"))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = dict(zip(tops, pool.map(lambda name: read_tree(mount / "binders" / name), tops)))
        flat = {f"{top}/{path}": content for top, tree in found.items() for path, content in tree.items()}
        assert flat == {path: content for path, content in expected_tree(sim).items() if "/" in path}
        assert mount.metrics()["listing_evictions_total"] > 0


def test_reading_what_was_evicted_while_the_server_is_down_fails_in_time_and_then_works():
    with simulated(*LARGE) as sim, mounted(sim, OFF, "memory=1M", "ttl=600", "timeout=1") as mount:
        cold, warm = document_paths(mount)[:2]
        content = cold.read_bytes(), warm.read_bytes()
        for name in sorted(os.listdir(mount / "binders"))[1:]:
            os.listdir(mount / "binders" / name)
        wait_until(lambda: mount.metrics()["listing_evictions_total"] >= 1)
        forget_pages(cold)
        sim.fault("*", "hang", times=-1)
        seen, took = outcome_of(cold.read_bytes)
        assert seen == "ETIMEDOUT" and took < 1 + 1
        assert warm.read_bytes() == content[1]  # the kernel has these pages
        assert " ETIMEDOUT binders/" in mount.control("errors")
        sim.clear()
        wait_until(lambda: works(cold.read_bytes), within=5)
        assert (cold.read_bytes(), warm.read_bytes()) == content


def test_a_reader_that_waits_can_be_interrupted(sim, watchful):
    path = document_paths(watchful)[3]
    let_ttl_pass()
    sim.fault("*", "hang", times=-1)
    process = subprocess.Popen(["cat", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: watchful.metrics()["waiters"] == 1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=5)
    assert time.monotonic() - began < 1
    sim.clear()
