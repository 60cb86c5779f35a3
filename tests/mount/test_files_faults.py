"""Storage in trouble: whatever it answers, a read gives the right bytes or an errno that the design
names, in time; when the trouble ends, a new open works. Links are renewed, never shown, and what is
sent to storage is bare.

What is mostly waiting runs in a pool, each case with a simulator and a mount of its own.
"""

import concurrent.futures
import errno
import hashlib
import os
import pathlib
import re
import signal
import time

from mounting import api_requests, mounted, simulated, wait_until
from pooling import NOISE_S, outcome_of, pooled, results, status, works  # noqa: F401
from storage_trouble import (
    SIZE, STEP, documents, nothing_under_way, opened, organisation, read_whole, reads_right, storage_idle,
)

TIMEOUT_S = 1
ENDS_WITHIN_S = TIMEOUT_S + 1 + NOISE_S
FAR = 2_500_000  # beyond what opening a file brings
MIDDLE = 1_000_000
NETWORK = {"ETIMEDOUT", "EHOSTUNREACH"}


def memory_kb(mount):
    return int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{mount.process.pid}/status").read_text())[1])


# --- Storage that knows no ranges ---


@pooled([(("--storage-length=on",),), (("--storage-length=off",),), (("--storage-etag=on",),)])
def test_without_ranges_one_stream_brings_a_whole_file(options):
    with simulated(*organisation(), "--storage-range=off", *options) as sim, mounted(sim) as mount:
        for document in documents(mount):
            assert reads_right(sim, document)
        assert api_requests(sim)["storage"] == 3
        assert sim.stats()["bytes"]["storage"] == 3 * SIZE
        wait_until(lambda: storage_idle(sim))
        assert nothing_under_way(mount)


LARGE = 100_000_000
LARGE_MEMORY_KB = 24_000


@pooled([("on",), ("off",)])
def test_a_large_file_streams_through_little_memory(length):
    """Without a length the size is known when all has come once; the bytes come a second time."""
    with simulated(*organisation(LARGE, 1), "--storage-range=off", f"--storage-length={length}") as sim:
        with mounted(sim, "memory=8M,timeout=20", env={"ASAN_OPTIONS": "quarantine_size_mb=1"}) as mount:
            document, = documents(mount)
            before, most = memory_kb(mount), 0
            digest, truth = hashlib.sha256(), hashlib.sha256()
            with opened(document.path) as fd:
                assert os.fstat(fd).st_size == LARGE
                for at in range(0, LARGE, 2_000_000):
                    digest.update(os.pread(fd, 2_000_000, at))
                    most = max(most, memory_kb(mount) - before)
            for at in range(0, LARGE, 10_000_000):
                truth.update(sim.content(document.version, at, 10_000_000))
            assert digest.digest() == truth.digest()
            assert most < LARGE_MEMORY_KB
            assert api_requests(sim)["storage"] == (1 if length == "on" else 2)
            assert mount.metrics()["content_bytes"] <= 8 << 20


@pooled([("on",), ("off",)])
def test_seeks_and_two_readers_in_a_stream(length):
    size = 12_000_000
    with simulated(*organisation(size, 1), "--storage-range=off", f"--storage-length={length}") as sim:
        with mounted(sim, "memory=8M,timeout=10") as mount:
            document, = documents(mount)
            with opened(document.path) as fd:
                for at in (9_000_000, 0, 11_999_000, 5_000_000, 4_000_000, 6_000_001, 100, 11_000_000):
                    assert document.right(sim, os.pread(fd, 70_000, at), at), at

            def follow(begin):
                with opened(document.path) as fd:
                    return [at for at in range(begin, begin + 3_000_000, 100_000)
                            if not document.right(sim, os.pread(fd, 100_000, at), at)]

            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                assert list(pool.map(follow, (500_000, 8_500_000))) == [[], []]
            wait_until(lambda: storage_idle(sim))


def test_who_stops_reading_ends_the_stream():
    with simulated(*organisation(50_000_000, 1), "--storage-range=off") as sim, mounted(sim, "memory=8M") as mount:
        document, = documents(mount)
        with opened(document.path) as fd:
            assert document.right(sim, os.pread(fd, 1000, 0))
            # A reader that pauses holds the stream, and it does not run on.
            wait_until(lambda: sim.stats()["storage_in_flight"] == 1)
            sent = sim.stats()["bytes"]["storage"]
            assert document.right(sim, os.pread(fd, 1000, 2_000_000), 2_000_000)
            assert sim.stats()["bytes"]["storage"] < sent + 30_000_000
        wait_until(lambda: storage_idle(sim))
        assert sim.stats()["bytes"]["storage"] < 40_000_000
        assert api_requests(sim)["storage"] == 1
        wait_until(lambda: nothing_under_way(mount))


@pooled([("--storage-length=on",), ("--storage-length=off",)])
def test_ranges_that_are_no_longer_obeyed_and_obeyed_again(length):
    with simulated(*organisation(), length) as sim, mounted(sim) as mount:
        document = documents(mount)[0]
        with opened(document.path) as fd:
            assert document.right(sim, os.pread(fd, 1000, 0))
            sim.fault("storage", "ignore_range", times=-1)
            for at in (FAR, 1_500_000, SIZE - 10):
                assert document.right(sim, os.pread(fd, 1000, at), at)
            sim.clear()
        for other in documents(mount):
            assert reads_right(sim, other)


# --- Links ---


def test_a_link_that_expires_in_the_middle_is_renewed_once():
    size = 12_000_000
    with simulated(*organisation(size, 1), "--storage-latency-ms=5") as sim, mounted(sim, "memory=8M") as mount:
        document, = documents(mount)
        with opened(document.path) as fd:
            for at in range(0, size, 100_000):
                if at in (3_000_000, 8_000_000):
                    before = api_requests(sim)["downloadlink"]
                    sim.expire_links()
                assert document.right(sim, os.pread(fd, 100_000, at), at)
                if at in (6_000_000, 11_000_000):  # an answer may have been long; this needs another
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    assert document.right(sim, os.pread(fd, 1000, MIDDLE), MIDDLE)
                    assert api_requests(sim)["downloadlink"] == before + 1
        assert mount.control("errors") == ""


def test_a_link_that_expired_during_a_pause_is_renewed_also_for_a_stream():
    with simulated(*organisation(), "--storage-range=off") as sim, mounted(sim) as mount:
        first, second, _ = documents(mount)
        for document in first, second:
            with opened(document.path) as fd:
                assert document.right(sim, os.pread(fd, 1000, 0))
                sim.expire_links()
                sim.fault("storage", "reset")
                assert document.right(sim, os.pread(fd, 1000, FAR), FAR)
        assert api_requests(sim)["downloadlink"] <= 4


@pooled([(401, "EACCES"), (403, "EACCES"), (404, "ENOENT"), (410, "ENOENT")])
def test_a_link_that_is_refused_again_is_explained_and_another_is_asked_for_later(number, expected):
    with simulated(*organisation()) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        known, unknown, _ = documents(mount)
        with opened(known.path) as fd:
            assert known.right(sim, os.pread(fd, 1000, 0))
            # Once is no refusal: the new link works.
            sim.fault("storage", "status", status=number)
            assert known.right(sim, os.pread(fd, 1000, 1_000_000), 1_000_000)
            links = api_requests(sim)["downloadlink"]
            assert links == 2
            sim.fault("storage", "status", status=number, times=-1)
            seen, took = outcome_of(lambda: os.pread(fd, 1000, FAR))
            assert (seen, api_requests(sim)["downloadlink"]) == (expected, links + 1)
            assert took < ENDS_WITHIN_S
            assert outcome_of(lambda: os.open(unknown.path, os.O_RDONLY))[0] == expected
            lines = mount.control("errors").splitlines()
            for document in known, unknown:
                name = os.path.relpath(document.path, mount.path)
                assert [line for line in lines if f" {expected} {name}: GET http://127.0.0.1:" in line
                        and f"(HTTP {number})" in line], lines
            # The link that was given last is of no use later either.
            sim.expire_links()
            sim.clear()
            wait_until(lambda: works(lambda: os.pread(fd, 1000, FAR)), within=3)
            assert known.right(sim, os.pread(fd, 1000, FAR), FAR)
        wait_until(lambda: reads_right(sim, unknown))


LINK_FAULTS = {
    "401": (status(401), {"EACCES"}),
    "403": (status(403), {"EACCES"}),
    "404": (status(404), {"ENOENT"}),
    "429": (status(429, retry_after="2"), {"EBUSY"}),
    "500": (status(500), {"EIO"}),
    "hang": ({"kind": "hang"}, {"ETIMEDOUT"}),
    "reset": ({"kind": "reset"}, NETWORK),
    "truncate": ({"kind": "truncate"}, NETWORK),
    "not_json": ({"kind": "not_json"}, {"EBADMSG"}),
    "empty_body": ({"kind": "empty_body"}, {"EBADMSG"}),
    "redirect": ({"kind": "redirect"}, {"EBADMSG"}),
    **{f"wrong_types-{n}": ({"kind": "wrong_types", "variant": n}, {"EBADMSG"}) for n in range(8)},
}


@pooled([(name,) for name in LINK_FAULTS])
def test_a_link_that_cannot_be_had(fault):
    planted, expected = LINK_FAULTS[fault]
    with simulated(*organisation()) as sim, mounted(sim, f"timeout={TIMEOUT_S}") as mount:
        document, other, _ = documents(mount)
        with opened(other.path) as fd:
            sim.expire_links()
            sim.fault("downloadlink", times=-1, **planted)
            for call in lambda: os.open(document.path, os.O_RDONLY), lambda: os.pread(fd, 1000, FAR):
                seen, took = outcome_of(call)
                assert seen in expected
                assert took < ENDS_WITHIN_S
            assert re.search(f" {seen} .*{re.escape(os.path.relpath(document.path, mount.path))}: ",
                             mount.control("errors"))
            assert other.right(sim, os.pread(fd, 1000, 0))
            sim.clear()
            wait_until(lambda: works(lambda: os.pread(fd, 1000, FAR)), within=8)
            assert other.right(sim, os.pread(fd, 1000, FAR), FAR)
        wait_until(lambda: reads_right(sim, document), within=8)
        assert nothing_under_way(mount)


WRONG_LINKS = ("http://192.0.2.1/storage", "http://localhost.example.com/storage", "ftp://127.0.0.1/storage",
               "file:///etc/passwd", "https://user:pw@127.0.0.1/storage", "http://user@127.0.0.1/storage",
               "/storage", "//127.0.0.1/storage", "no address", "http://127.0.0.1:99999/storage",
               "javascript:alert(1)")


def test_a_link_to_where_no_bytes_may_be_fetched_is_refused_and_not_shown(tmp_path):
    with simulated(*organisation()) as sim, mounted(sim, "log_level=debug,ttl=0,stale=0") as mount:
        document = documents(mount)[0]
        for base in WRONG_LINKS:
            sim.control("POST", "/settings", storage_base=base)
            assert outcome_of(lambda: os.open(document.path, os.O_RDONLY))[0] == "EBADMSG", base
            mount.signal(signal.SIGHUP)  # forgets the failure
        assert api_requests(sim).get("storage", 0) == 0
        shown = mount.log + mount.control("errors")
        assert "the download link is no" in shown
        assert "sig=" not in shown and "user" not in shown and "192.0.2.1" not in shown
        sim.control("POST", "/settings", storage_base="")
        wait_until(lambda: reads_right(sim, document))


# --- Answers ---

# What is planted, the errnos that a read may end with; None: the right bytes may come too.
FAULTS = {
    "400": (status(400), {"EBADMSG"}),
    "204": (status(204), {"EBADMSG"}),
    "416": (status(416), {"EBADMSG"}),
    "429": (status(429), {"EBUSY", "ETIMEDOUT"}),
    "429-now": (status(429, retry_after="0"), {"EBUSY"}),
    "429-long": (status(429, retry_after="30"), {"EBUSY"}),
    "500": (status(500), {"EIO"}),
    "503": (status(503, body="<html>busy</html>"), {"EIO"}),
    "503-long": (status(503, retry_after="30"), {"EIO"}),
    "reset": ({"kind": "reset"}, NETWORK),
    "hang": ({"kind": "hang"}, {"ETIMEDOUT"}),
    "slow": ({"kind": "slow", "bytes_per_second": 1}, {"ETIMEDOUT"}),
    "truncate": ({"kind": "truncate"}, NETWORK | {None}),
    "delay": ({"kind": "delay", "ms": 300}, {None}),
    "short_range": ({"kind": "short_range"}, {None}),
    "ignore_range": ({"kind": "ignore_range"}, {None}),
    "wrong_range": ({"kind": "wrong_range"}, {"EBADMSG"}),
    "no_content_range": ({"kind": "no_content_range"}, {"EBADMSG"}),
    "encoded": ({"kind": "encoded"}, {"EBADMSG"}),
    # Without ranges, the size is known only at an end that never comes.
    "endless": ({"kind": "endless"}, {"EBADMSG", "ETIMEDOUT", None}),
}
# These cannot be told from right ones by who does not know the size, or the ETag, yet.
LIES = {
    "other_length": ({"kind": "other_length"}, {"EBADMSG"}),
    "other_etag": ({"kind": "other_etag"}, {"EBADMSG"}),
    "not_json": ({"kind": "not_json"}, {"EBADMSG"}),
    "empty_body": ({"kind": "empty_body"}, {"EBADMSG"}),
    "redirect": ({"kind": "redirect"}, {"EBADMSG"}),
}
PASSING = ("416", "429-now", "500", "503", "reset", "truncate", "wrong_range", "no_content_range", "encoded")
SETTINGS = {
    "plain": (),
    "stream": ("--storage-range=off",),
    "chunks": ("--storage-range=off", "--storage-length=off"),
}
RANGED = {"short_range", "ignore_range", "wrong_range", "no_content_range"}


@pooled([(status(500),), ({"kind": "reset"},), ({"kind": "truncate"},)])
def test_what_cannot_be_read_ahead_is_not_asked_for_again_and_again(fault):
    with simulated(*organisation(30_000_000, 1)) as sim, mounted(sim, "timeout=2") as mount:
        document, = documents(mount)
        with opened(document.path) as fd:
            for _ in range(40):
                os.read(fd, 1 << 17)
            requests = api_requests(sim)["storage"]
            sim.fault("storage", times=-1, **fault)
            end = time.monotonic() + 2
            while time.monotonic() < end and works(lambda: os.read(fd, 1 << 17)):
                pass
            assert api_requests(sim)["storage"] < requests + 100


def test_bytes_that_changed_are_an_error_and_never_the_end():
    with simulated(*organisation(), "--storage-etag=on") as sim, mounted(sim, "ttl=0,stale=0") as mount:
        document = documents(mount)[0]
        with opened(document.path) as fd:
            assert document.right(sim, os.pread(fd, 1000, 0))
            sim.fault("storage", "other_etag", times=-1)
            assert outcome_of(lambda: os.pread(fd, 1000, FAR))[0] == "EBADMSG"
            assert "changed its bytes while it was read" in mount.control("errors")
            os.stat(document.path)  # when the size is no longer known
            assert outcome_of(lambda: os.pread(fd, 1000, FAR))[0] == "EBADMSG"
            sim.clear()
            assert outcome_of(lambda: os.pread(fd, 1000, FAR))[0] == "EBADMSG"
        assert reads_right(sim, document)


@pooled([("empty_body",), ("not_json",)])
def test_a_document_that_storage_got_wrong_once_comes_anew_after_hangup(fault):
    with simulated(*organisation()) as sim, mounted(sim) as mount:
        document = documents(mount)[0]
        sim.fault("storage", fault, times=1)
        assert read_whole(document.path)[0] == read_whole(document.path)[0] != sim.content(document.version)
        mount.signal(signal.SIGHUP)
        mount.wait_for_line("forgetting every listing")
        assert reads_right(sim, document)
        assert os.stat(document.path).st_size == SIZE


@pooled([("storage",), ("downloadlink",)])
def test_a_reader_waits_once_also_if_the_kernel_asks_twice(route):
    with simulated(*organisation()) as sim, mounted(sim, "timeout=3") as mount:
        document = documents(mount)[0]
        with opened(document.path) as fd:
            assert document.right(sim, os.pread(fd, 1000, 0))
            sim.expire_links()
            # As many bytes come as keep it from being down.
            sim.fault(route, times=-1, **({"kind": "hang"} if route == "downloadlink" else
                                          {"kind": "slow", "bytes_per_second": 2000}))
            for at in FAR, 1_000_000:
                seen, took = outcome_of(lambda at=at: os.pread(fd, STEP, at))
                assert seen == "ETIMEDOUT" and took < 3 + 1 + NOISE_S


def check_seek(sim, mount, document, fd, expected):
    """A read of an open file's bytes. Right ones may also be there still, without any request."""
    requests = api_requests(sim)["storage"]
    began = time.monotonic()
    try:
        data, seen = os.pread(fd, 1000, MIDDLE), None
    except OSError as failed:
        data, seen = None, errno.errorcode[failed.errno]
    assert seen in expected or not seen and api_requests(sim)["storage"] == requests, mount.control("errors")
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert data is None or (len(data) == 1000 and document.right(sim, data, MIDDLE))


@pooled([(fault, settings) for fault in {**FAULTS, **LIES} for settings in SETTINGS
         if settings == "plain" or fault not in RANGED])
def test_bytes_are_right_or_refused_in_time(fault, settings):
    planted, expected = {**FAULTS, **LIES}[fault]
    with simulated(*organisation(), "--storage-etag=on", *SETTINGS[settings]) as sim:
        with mounted(sim, f"timeout={TIMEOUT_S},memory=1M") as mount:
            document, other, _ = documents(mount)
            # Past the kernel's cache, and more than the daemon's holds: then the size alone is known.
            assert reads_right(sim, other, flags=os.O_DIRECT)
            wait_until(lambda: storage_idle(sim))
            with opened(other.path) as fd:
                sim.fault("storage", times=-1, **planted)
                if (fault, settings) == ("other_length", "chunks"):  # which shows at the end alone
                    data, seen, _ = read_whole(other.path, os.O_DIRECT)
                    assert other.right(sim, data) and (seen in expected or not seen and len(data) == SIZE)
                else:
                    check_seek(sim, mount, other, fd, expected)
                if fault in FAULTS:
                    data, seen, longest = read_whole(document.path)
                    assert seen in expected, mount.control("errors")
                    assert longest < ENDS_WITHIN_S
                    assert document.right(sim, data) and (seen or len(data) == SIZE)
                    if seen:
                        assert f" {seen} files/" in mount.control("errors")
                stats = sim.stats()
                assert stats["leaked_credentials"] == 0
                assert stats["routes"]["storage"] < 200
            sim.clear()
            if fault.endswith("-long"):
                mount.signal(signal.SIGHUP)
            wait_until(lambda: reads_right(sim, document), within=6)
            wait_until(lambda: reads_right(sim, other), within=6)
            wait_until(lambda: nothing_under_way(mount))


@pooled([(fault, settings) for fault in PASSING for settings in SETTINGS
         if settings == "plain" or fault not in RANGED])
def test_what_fails_once_is_tried_again_before_the_reader_hears_of_it(fault, settings):
    planted, _ = FAULTS[fault]
    with simulated(*organisation(), *SETTINGS[settings]) as sim, mounted(sim, "timeout=4") as mount:
        for document in documents(mount):
            sim.fault("storage", times=1, after=0, **planted)
            data, seen, _ = read_whole(document.path)
            assert seen is None, mount.control("errors")
            assert len(data) == SIZE and document.right(sim, data)
        assert mount.control("errors") == ""


@pooled([(fault, form) for fault in ["none", *FAULTS, *LIES] for form in ("range", "bare")])
def test_empty_files_are_empty_or_refused(fault, form):
    planted, expected = {"none": (None, {None}), **FAULTS, **LIES}[fault]
    with simulated(*organisation(0), f"--storage-416={form}", "--storage-etag=on") as sim:
        with mounted(sim, f"timeout={TIMEOUT_S}") as mount:
            document, other, _ = documents(mount)
            assert read_whole(other.path)[:2] == (b"", None)
            if planted:
                sim.fault("storage", times=-1, **planted)
            data, seen, longest = read_whole(document.path)
            assert longest < ENDS_WITHIN_S
            assert seen is None or seen in expected or fault in RANGED and seen == "EBADMSG"
            assert data == b"" or fault in LIES and fault != "other_etag"
            assert read_whole(other.path)[:2] == (b"", None)
            sim.clear()
            if fault.endswith("-long"):
                mount.signal(signal.SIGHUP)
            if fault not in LIES:
                wait_until(lambda: read_whole(document.path)[:2] == (b"", None), within=6)
