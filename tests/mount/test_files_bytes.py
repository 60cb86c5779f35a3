"""What the bytes in files/ cost, and whose they are: requests and bytes as the simulator counted them,
memory, readers side by side, and versions that change while a file is open.
"""

import concurrent.futures
import contextlib
import hashlib
import mmap
import os
import pathlib
import random
import subprocess
import threading
import time

import pytest

import mounting
from documents import documents_of, is_quiet, sha256, traffic
from mounting import mounted, run, simulated, wait_until
from pooling import NOISE_S, outcome_of

KIB = 1024
MIB = 1024 * KIB
# What the sockets of two connections may hold of answers that are held back.
SOCKETS = 2 * 10 * MIB
BLOCK = 64 * KIB


@contextlib.contextmanager
def library(documents, size, *options, most=None):
    """A mount of that many documents, of `size` bytes each, or from `size` to `most`."""
    shape = ("--binders=1", "--folders=0", f"--documents={documents}", f"--size-min={size}", f"--size-max={most or size}")
    with simulated(*shape) as sim, mounted(sim, *options) as mount:
        yield sim, mount, documents_of(sim, mount)


@contextlib.contextmanager
def opened(path, flags=0):
    file = os.open(path, os.O_RDONLY | flags)
    try:
        yield file
    finally:
        os.close(file)


def pieces(file, length=128 * KIB):
    """To the end, in reads of so many bytes."""
    return iter(lambda: os.read(file, length), b"")


def forget_pages(file):
    """The kernel's; the daemon's blocks stay."""
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def storage_has_stopped(sim):
    before = sim.stats()["bytes"]
    time.sleep(0.2)
    return sim.stats()["bytes"] == before


def has_settled(sim):
    """What is read ahead is asked for a moment after the read that set it off was answered."""
    before = sim.stats()["routes"]
    time.sleep(0.2)
    return is_quiet(sim) and sim.stats()["routes"] == before


# --- What is fetched ---


def test_two_small_reads_in_a_large_file_fetch_little():
    with library(1, 60 * MIB) as (sim, _, (document,)):
        with traffic(sim) as seen, opened(document.path) as file:
            for offset in (20 * MIB + 5, 55 * MIB + 70_001):
                assert os.pread(file, 4096, offset) == document.truth(offset, 4096)
        assert seen.bytes <= 3 * MIB
        assert (seen.links, seen.requests) == (1, 3)


def test_random_small_reads_fetch_few_bytes_around_them():
    rng = random.Random(3)
    with library(1, 60 * MIB) as (sim, _, (document,)), opened(document.path, os.O_DIRECT) as file:
        with traffic(sim) as seen:
            for _ in range(40):
                offset = rng.randrange(1 * MIB, 59 * MIB)
                assert os.pread(file, 4096, offset) == document.truth(offset, 4096)
        assert seen.links == 0 and 40 <= seen.requests <= 80
        assert seen.bytes <= 40 * 2 * BLOCK


def test_sequential_reading_fetches_each_byte_once_and_several_parts_at_a_time():
    size = 40 * MIB
    with library(1, size) as (sim, _, (document,)):
        sim.control("POST", "/settings", storage_latency_ms=20)
        with traffic(sim) as seen, opened(document.path) as file:
            content = b"".join(pieces(file))
        assert sha256(content) == sha256(document.truth())
        assert seen.links == 1 and size <= seen.bytes <= 1.1 * size
        assert seen.requests <= 10  # long ranges, the next asked for before the one before has ended
        assert seen.peak >= 2


def test_where_one_connection_is_slow_several_short_ranges_are_in_flight():
    size, rate = 24 * MIB, 8 * MIB
    with library(1, size) as (sim, _, (document,)):
        sim.control("POST", "/settings", storage_latency_ms=20, storage_rate=rate)
        began = time.monotonic()
        with traffic(sim) as seen, opened(document.path) as file:
            content = b"".join(pieces(file))
        assert time.monotonic() - began < 0.8 * size / rate  # what one connection would take
        assert sha256(content) == sha256(document.truth())
        # Where the long range is given up, what storage has sent ahead of it is lost.
        assert seen.links == 1 and size <= seen.bytes <= 1.2 * size
        assert seen.peak >= 4


@pytest.mark.parametrize("length", [100_001, 65_537, 4096])
@pytest.mark.parametrize("start", [0, 1_060_864])
def test_reads_of_any_length_fetch_each_byte_once(start, length):
    """A part that does not end with a block would be fetched again to its block's beginning."""
    size = 8 * MIB + 12_345
    with library(1, size) as (sim, _, (document,)):
        sim.control("POST", "/settings", storage_latency_ms=10)
        with opened(document.path, os.O_DIRECT) as file, traffic(sim) as seen:
            os.lseek(file, start, os.SEEK_SET)
            content = b"".join(pieces(file, length))
        assert sha256(content) == sha256(document.truth(start))
        assert seen.bytes <= len(content) + 2 * BLOCK


def test_the_last_bytes_cost_no_more_than_they_hold():
    size = 20 * MIB + 11
    with library(1, size) as (sim, _, (document,)):
        with traffic(sim) as seen:
            assert run("tail", "-c", "1000", str(document.path)).encode(errors="surrogateescape") == document.truth(size - 1000)
        assert seen.bytes <= 2 * MIB and seen.requests <= 4


def test_a_jump_ends_the_read_ahead():
    with library(1, 60 * MIB) as (sim, mount, (document,)), opened(document.path, os.O_DIRECT) as file:
        for _ in range(8):
            os.read(file, MIB)
        # A range that is held back stays open; its reader's jump ends it.
        wait_until(lambda: mount.metrics()["storage_requests_in_flight"] >= 1)
        wait_until(lambda: storage_has_stopped(sim))
        before = sim.stats()
        assert before["bytes"]["storage"] <= 8 * MIB + 8 * MIB + SOCKETS
        assert os.pread(file, 4096, 40 * MIB) == document.truth(40 * MIB, 4096)
        wait_until(lambda: mount.metrics()["storage_requests_in_flight"] == 0)
        after = sim.stats()
        assert after["routes"]["storage"] == before["routes"]["storage"] + 1
        assert after["bytes"]["storage"] <= before["bytes"]["storage"] + 4096 + SOCKETS
        for i in range(8):
            offset = 41 * MIB + i * 128 * KIB
            assert os.pread(file, 128 * KIB, offset) == document.truth(offset, 128 * KIB)
        wait_until(lambda: storage_has_stopped(sim))
        stats = sim.stats()
        assert stats["bytes"]["storage"] - after["bytes"]["storage"] >= MIB
        # How much lies in the sockets of connections that are held back is the kernel's to say.
        assert stats["routes"]["storage"] - after["routes"]["storage"] <= 6
        assert mount.metrics()["storage_received_bytes_total"] <= (16 + 3) * MIB


def test_what_was_read_comes_from_the_kernel_and_then_from_the_blocks():
    size = 3 * MIB
    with library(1, size) as (sim, mount, (document,)):
        with traffic(sim):
            content = document.path.read_bytes()
        upcalls = mount.metrics()["upcalls_read_total"]
        with traffic(sim) as seen:
            assert document.path.read_bytes() == content
            assert mount.metrics()["upcalls_read_total"] == upcalls
            with opened(document.path) as file:
                forget_pages(file)
                assert b"".join(pieces(file)) == content == document.truth()
            assert mount.metrics()["upcalls_read_total"] > upcalls
        assert not seen.routes


# --- Memory ---

MEMORY = 8 * MIB


@pytest.fixture
def release(monkeypatch):
    """Of a build without sanitizers, whose memory is the daemon's own."""
    build = os.environ.get("IBINDERFS_RELEASE_BUILD")
    assert build, "IBINDERFS_RELEASE_BUILD is not set: it names a build directory without sanitizers; ./check makes one"
    monkeypatch.setattr(mounting, "BINARY", os.path.abspath(os.path.join(build, "ibinderfs")))


def resident_bytes(mount):
    for line in pathlib.Path(f"/proc/{mount.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * KIB
    raise AssertionError("no VmRSS")


def test_a_file_larger_than_the_memory_is_read_within_it(release):
    size = 100 * MIB
    with library(1, size, f"memory={MEMORY >> 20}M") as (sim, mount, (document,)):
        digest, resident, held = hashlib.sha256(), [], []
        with traffic(sim) as seen, opened(document.path) as file:
            for number, piece in enumerate(pieces(file, MIB)):
                digest.update(piece)
                if number % 5 == 4:
                    resident.append(resident_bytes(mount))
                    metrics = mount.metrics()
                    held.append(metrics["block_bytes"])
                    assert metrics["block_bytes"] <= metrics["content_bytes"] <= MEMORY / 2
        assert digest.hexdigest() == sha256(document.truth())
        assert seen.bytes <= 1.1 * size
        assert max(held) > 0
        assert max(resident) - resident[1] <= 4 * MIB, resident
        assert max(resident) <= MEMORY + 24 * MIB, resident


def test_sizes_of_many_documents_are_remembered_within_memory():
    """One by one they are forgotten, and had again."""
    with library(1000, 10, "memory=4M", "timeout=20") as (sim, mount, documents):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert all(pool.map(lambda document: len(document.path.read_bytes()) == 10, documents))
        metrics = mount.metrics()
        assert metrics["content_bytes"] <= MIB
        assert 0 < metrics["contents"] < 1000
        assert documents[0].path.read_bytes() == documents[0].truth()


def test_with_little_memory_bytes_are_fetched_again_and_right():
    size = 2 * MIB + 17
    with library(6, size, "memory=2M", "timeout=20") as (sim, mount, documents):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            contents = list(pool.map(lambda document: sha256(document.path.read_bytes()), documents))
        assert contents == [sha256(document.truth()) for document in documents]
        assert mount.metrics()["content_bytes"] <= MIB
        with opened(documents[0].path) as file:
            forget_pages(file)
            assert sha256(b"".join(pieces(file))) == contents[0]


# --- Readers side by side ---


@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["through the page cache", "past it"])
def test_readers_of_one_file_share_its_bytes(flags):
    size = 3 * MIB + 5
    with library(1, size) as (sim, _, (document,)):
        sim.control("POST", "/settings", storage_latency_ms=30)
        start = threading.Barrier(10)

        def read(_):
            start.wait()
            with opened(document.path, flags) as file:
                return sha256(b"".join(pieces(file)))

        with traffic(sim) as seen, concurrent.futures.ThreadPoolExecutor(10) as pool:
            hashes = set(pool.map(read, range(10)))
        assert hashes == {sha256(document.truth())}
        # Who is far from the others begins within a block that they fetch.
        assert seen.links == 1 and size <= seen.bytes <= size + 3 * BLOCK


def test_many_readers_of_many_files_get_the_right_bytes():
    with library(24, 1, most=600 * KIB) as (sim, mount, documents):
        truths = {document.id: sha256(document.truth()) for document in documents}

        def read(seed):
            rng = random.Random(seed)
            for document in rng.sample(documents, len(documents)):
                with opened(document.path, rng.choice((0, os.O_DIRECT))) as file:
                    content = b"".join(pieces(file, rng.choice((1000, 65536, 300_000))) if document.size < 50_000 else pieces(file, 100_000))
                assert sha256(content) == truths[document.id]

        with traffic(sim) as seen, concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(read, range(8)))
        size = sum(document.size for document in documents)
        assert seen.links == len(documents) and size <= seen.bytes <= 1.05 * size
        metrics = mount.metrics()
        assert metrics["storage_requests_in_flight"] == 0 and metrics["content_failures_total"] == 0


@contextlib.contextmanager
def waiting(commands):
    """Processes that wait for bytes; they are killed in the end, which must not take long."""
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(timeout=5)


@pytest.mark.parametrize("fault", [{"kind": "hang"}, {"kind": "slow", "bytes_per_second": 1000}], ids=lambda fault: fault["kind"])
def test_nobody_waits_for_the_slow_download_of_others(fault):
    """Neither for several parts of one large file, nor for many files."""
    with library(20, 4 * MIB, "timeout=60", "connections=4") as (sim, mount, documents):
        large, quick, *others = documents
        with opened(large.path) as file:
            os.read(file, 1000)
            offsets = [MIB + number * 256 * KIB for number in range(8)]
            commands = [["cat", str(document.path)] for document in others]
            commands += [["dd", f"if={large.path}", "bs=1", "count=1000", f"skip={offset}"] for offset in offsets]
            sim.fault("storage", times=len(commands), **fault)
            with waiting(commands) as processes:
                wait_until(lambda: sim.control("GET", "/faults")[0]["fired"] == len(commands))
                wait_until(lambda: mount.metrics()["waiters"] >= len(commands))
                for call in (
                    lambda: quick.path.read_bytes(),
                    lambda: quick.path.read_bytes(),
                    lambda: os.pread(file, 1000, 0),
                    lambda: os.statvfs(mount.path),
                    lambda: run("ls", "-lR", str(mount / "files")),
                    lambda: large.path.lstat(),
                    lambda: others[0].json.read_bytes(),
                ):
                    name, seconds = outcome_of(call)
                    assert name is None and seconds < 1 + NOISE_S
                assert all(process.poll() is None for process in processes)
                assert sha256(quick.path.read_bytes()) == sha256(quick.truth())


# --- An open file is one version ---


@pytest.fixture
def shelf():
    """What changes is seen half a second later."""
    with library(3, 300 * KIB, "ttl=0.5", "stale=0", most=900 * KIB) as shelf:
        yield shelf


def refreshed(document, shown):
    """Waits until the listing shows another than what lstat gave before."""
    wait_until(lambda: document.path.lstat().st_mtime_ns > shown.st_mtime_ns, step=0.05)


def read_whole(file):
    return b"".join(pieces(file, 100_000))


@pytest.mark.parametrize("flags", [0, os.O_DIRECT], ids=["through the page cache", "past it"])
@pytest.mark.parametrize("already_read", [0, 1000, 10**9])
def test_an_open_file_goes_on_with_its_version(shelf, already_read, flags):
    sim, _, (document, *_) = shelf
    with opened(document.path, flags) as old:
        assert os.fstat(old).st_size == document.size
        first = os.read(old, already_read)
        shown = document.path.lstat()
        newer = document.new_version()
        assert newer.size != document.size
        refreshed(document, shown)
        # Nobody has it open but the old handle.
        assert os.fstat(old).st_size == document.size
        assert first + read_whole(old) == document.truth()
        for _ in range(2):
            with opened(newer.path) as new:
                assert read_whole(new) == newer.truth()
                # Both at once, in turns.
                for offset in (0, 131_000, 262_000):
                    assert os.pread(old, 5000, offset) == document.truth(offset, 5000)
                    assert os.pread(new, 5000, offset) == newer.truth(offset, 5000)
                end = max(document.size, newer.size)
                assert os.pread(old, end, end - 1000) == document.truth()[end - 1000 :]
                assert os.pread(new, end, end - 1000) == newer.truth()[end - 1000 :]
        forget_pages(old)
        os.lseek(old, 0, os.SEEK_SET)
        assert read_whole(old) == document.truth()
    check_shown(newer, shown)


# What each writes of the file it is given as "$1".
PROGRAMS = {
    'cat "$1"': lambda content: content,
    'cp "$1" copy && cat copy': lambda content: content,
    'wc -c <"$1"': lambda content: b"%d\n" % len(content),
    'tail -c 1000 "$1"': lambda content: content[-1000:],
    '/usr/bin/python3 -c "import shutil; shutil.copyfile(\'$1\', \'copy\')" && cat copy': lambda content: content,
}


@pytest.mark.parametrize("longer", [True, False], ids=["longer", "shorter"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_new_version_is_whole_for_every_program_while_an_old_one_is_held_open(shelf, tmp_path, program, longer):
    """And the other way round: what is read of the new one does not reach the old."""
    _, _, (document, *_) = shelf
    while True:
        with opened(document.path) as old:
            assert read_whole(old) == document.truth()
            shown = document.path.lstat()
            newer = document.new_version()
            refreshed(document, shown)
            if (newer.size > document.size) == longer:
                command = ["bash", "-c", program, "bash", str(document.path)]
                done = subprocess.run(command, capture_output=True, timeout=10, check=False, cwd=tmp_path)
                assert (done.returncode, done.stderr) == (0, b"")
                assert done.stdout == PROGRAMS[program](newer.truth())
                os.lseek(old, 0, os.SEEK_SET)
                assert read_whole(old) == document.truth()
                return
        document = newer


def check_shown(document, before):
    """Opened by nobody else, a version has its bytes, size and times."""
    with opened(document.path) as file:
        attributes = os.fstat(file)
        assert attributes.st_size == document.size and attributes.st_mtime_ns > before.st_mtime_ns
        assert os.lseek(file, 0, os.SEEK_END) == document.size
        os.lseek(file, 0, os.SEEK_SET)
        assert read_whole(file) == document.truth()
        with mmap.mmap(file, 0, prot=mmap.PROT_READ) as pages:
            assert pages[:] == document.truth()
    assert document.path.lstat().st_size == document.size
    assert document.path.lstat().st_mtime_ns == document.json.lstat().st_mtime_ns
    assert run("wc", "-c", str(document.path)).split()[0] == str(document.size)


def test_a_file_that_nobody_holds_open_changes_at_once_in_bytes_size_and_times(shelf):
    """Its old pages are in the kernel's cache when that happens, some of the new ones too."""
    sim, _, (document, *_) = shelf
    for _ in range(3):
        assert document.path.read_bytes() == document.truth()
        shown = document.path.lstat()
        document = document.new_version()
        refreshed(document, shown)
        with traffic(sim) as seen:
            check_shown(document, shown)
        assert (seen.links, seen.bytes) == (1, document.size)


def test_a_version_of_the_same_length_is_never_taken_for_the_old_one():
    with library(1, 200_000, "ttl=0.5", "stale=0") as (_, _, (document,)):
        for _ in range(3):
            shown = document.path.lstat()
            with opened(document.path) as old:
                assert os.pread(old, 70_000, 0) == document.truth(0, 70_000)
                newer = document.new_version()
                refreshed(document, shown)
                assert newer.path.read_bytes() == newer.truth()
                assert read_whole(old) == document.truth()
            check_shown(newer, shown)
            document = newer


def test_a_mapping_keeps_its_version_also_when_the_handle_is_closed(shelf):
    _, _, (document, *_) = shelf
    with opened(document.path) as file:
        pages = mmap.mmap(file, 0, prot=mmap.PROT_READ)
    with pages:
        shown = document.path.lstat()
        assert pages[:1000] == document.truth(0, 1000)
        newer = document.new_version()
        refreshed(document, shown)
        assert newer.path.read_bytes() == newer.truth()
        assert pages[:] == document.truth()
        assert newer.path.read_bytes() == newer.truth()
        pages.madvise(mmap.MADV_DONTNEED)
        assert pages[:] == document.truth()
    check_shown(newer, shown)


def test_a_document_deleted_while_it_is_open_is_read_to_its_end(shelf):
    sim, _, (document, *_) = shelf
    with opened(document.path) as file, opened(document.path) as idle:
        attributes = os.fstat(file)
        assert os.read(file, 1000) == document.truth(0, 1000)
        truth = document.truth()
        sim.change("delete_document", id=document.id)
        wait_until(lambda: outcome_of(document.path.lstat)[0] == "ENOENT", step=0.05)
        for handle in file, idle:
            assert os.fstat(handle).st_size == document.size
            assert os.fstat(handle).st_mtime_ns == attributes.st_mtime_ns
            assert os.pread(handle, document.size, 0) == truth
        assert outcome_of(document.path.read_bytes)[0] == "ENOENT"
        with mmap.mmap(file, 0, prot=mmap.PROT_READ) as pages:
            assert pages[:] == truth
    assert document.path.name not in os.listdir(document.path.parent)


def test_versions_change_while_readers_read(shelf):
    """Each reading is of one version, whole, and none goes back to an older one."""
    sim, _, documents = shelf
    versions = [[sha256(document.truth())] for document in documents]
    stop = threading.Event()

    def read(path):
        seen = []
        while not stop.is_set():
            with opened(path) as file:
                seen.append(sha256(read_whole(file)))
        return seen

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read, document.path) for document in documents * 2]
        try:
            for _ in range(2):
                for index, document in enumerate(documents):
                    shown = document.path.lstat()
                    documents[index] = document.new_version()
                    versions[index].append(sha256(documents[index].truth()))
                    refreshed(document, shown)
        finally:
            stop.set()
    for reader, known in zip(readers, versions * 2):
        order = [known.index(content) for content in reader.result()]
        assert order == sorted(order) and len(set(order)) > 1
    for document, known in zip(documents, versions):
        assert sha256(document.path.read_bytes()) == known[-1]
