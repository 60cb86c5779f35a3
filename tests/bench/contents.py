"""The bytes of documents: the mount beside `curl` and `rclone`.

Bytes and requests are those that the simulator counted.
"""

import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import time
import types

from mounting import clean_environment, mounted, simulated
from model import Line, Measurement, Sample, command, cpu_seconds, in_turn, run_timed, scaled, set_speed, timed
from peer import rclone_mounted
from sim_client import link_of

SEQUENTIAL_BYTES = scaled(256, 8) << 20
RANDOM_DOCUMENTS, RANDOM_BYTES = 8, scaled(60, 2) << 20
RANDOM_READS, RANDOM_LENGTH = scaled(200, 10), 4096
SMALL_DOCUMENTS, SMALL_BYTES = scaled(500, 20), (100_000, 300_000)
PARALLEL = 8


@contextlib.contextmanager
def watched(sim, mount, cost):
    """Puts into `cost` what the daemon did meanwhile, until its last request has ended."""
    sim.settle()
    sim.control("POST", "/stats/reset")
    cpu = cpu_seconds(mount.process.pid)
    yield
    sim.settle()
    stats = sim.stats()
    cost["cpu"] = cpu_seconds(mount.process.pid) - cpu
    cost["fetched"] = stats["bytes"]["storage"]
    cost["storage"] = stats["routes"]["storage"]
    cost["api"] = sum(stats["routes"].values()) - cost["storage"]


def documents_of(mount):
    """(path in files/, the document's object) for each document; lists all, so links and bytes alone
    are still to be asked for."""
    binders = mount / "binders"
    found = []
    for top, _, names in os.walk(binders):
        for name in names:
            path = pathlib.Path(top, name)
            listed = json.loads(path.read_text())
            if isinstance(listed, dict) and "latestVersionId" in listed:
                found.append(((mount / "files" / path.relative_to(binders)).with_suffix(""), listed))
    assert found, "no documents"
    return sorted(found, key=lambda pair: pair[0])


def organisation(documents, size_min, size_max):
    """A simulated organisation: one binder with one folder, and all documents there."""
    return simulated("--binders=1", "--folders=1", "--depth=1", f"--documents={documents}",
                     f"--size-min={size_min}", f"--size-max={size_max}", "--link-life=3600")


# --- One large document from start to end ---


def sequential(sim, turn, latency=0, rate=0):
    """`cat` of a document in a fresh mount whose folder has been listed: it asks for the link and for
    the bytes. Beside it `curl` with the link given, its own time without the start of its process.
    Calls of the API take no time."""
    cost = {}
    set_speed(sim)
    with mounted(sim) as mount:
        ((path, listed),) = documents_of(mount)
        link = link_of(sim, listed)
        set_speed(sim, storage_ms=latency, rate=rate)

        def through_mount():
            with watched(sim, mount, cost):
                with open(os.devnull, "wb") as null:
                    return timed(lambda: subprocess.run(["cat", path], stdout=null, check=True))

        def with_curl():
            return float(command("curl", "-sf", "-o", os.devnull, "-w", "%{time_total}", link))

        times = in_turn(turn, {"mount": through_mount, "`curl`": with_curl})
    return Sample(times, {"read": SEQUENTIAL_BYTES, **cost})


def show_sequential(seconds):
    return f"{seconds:.2f} s, {SEQUENTIAL_BYTES / seconds / 1e6:.0f} MB/s"


# --- Here and there in large documents ---


def pread_all(places, files):
    for number, offset in places:
        assert len(os.pread(files[number], RANDOM_LENGTH, offset)) == RANDOM_LENGTH


def random_reads(sim, turn, latency=0):
    """4 KiB reads at random places of several open documents, one after the other. Opening, which
    fetches each document's beginning, is not in the time and not in the bytes. Beside it one process
    of `curl` asks for the same ranges over one kept connection, with the links given; the times of
    its transfers are added up."""
    cost = {}
    places = random.Random(turn)
    places = [(places.randrange(RANDOM_DOCUMENTS), places.randrange(RANDOM_BYTES - RANDOM_LENGTH))
              for _ in range(RANDOM_READS)]
    set_speed(sim)
    with mounted(sim) as mount, contextlib.ExitStack() as stack:
        documents = documents_of(mount)
        links = [link_of(sim, listed) for _, listed in documents]
        files = [os.open(path, os.O_RDONLY) for path, _ in documents]
        for file in files:
            stack.callback(os.close, file)
        set_speed(sim, storage_ms=latency)

        def through_mount():
            with watched(sim, mount, cost):
                return timed(pread_all, places, files) / RANDOM_READS

        def with_curl():
            one = 'url="{}"\nrange={}-{}\noutput={}\nsilent\nfail\nwrite-out="%{{time_total}}\\n"\n'
            config = "next\n".join(one.format(links[number], at, at + RANDOM_LENGTH - 1, os.devnull)
                                   for number, at in places)
            taken = command("curl", "-K", "-", input=config.encode()).split()
            assert len(taken) == RANDOM_READS
            return sum(map(float, taken)) / RANDOM_READS

        times = in_turn(turn, {"mount": through_mount, "`curl -r`, one connection": with_curl})
    return Sample(times, {"read": RANDOM_READS * RANDOM_LENGTH, **cost})


# --- Many small documents ---

# What people write; $LIST has a line for each document: its id, its version, the file to write.
FETCH = """
url=$(curl -sf -H "@$HEADERS" "$API/documents/$1/versions/$2/downloadlink" | sed 's/.*"url":"\\([^"]*\\)".*/\\1/')
curl -sf -o "$3" "$url"
"""
SERIAL = 'while read -r one; do set -- $one; eval "$FETCH"; done <"$LIST"'
IN_PARALLEL = f'xargs -P{PARALLEL} -n3 sh -c "$FETCH" fetch <"$LIST"'


@contextlib.contextmanager
def small_world():
    """`true_files` is what every copy must equal, and what the index server serves; `folder` is that of
    all documents, below the mount point."""
    with organisation(SMALL_DOCUMENTS, *SMALL_BYTES) as sim, tempfile.TemporaryDirectory() as directory:
        world = types.SimpleNamespace(sim=sim, directory=pathlib.Path(directory), total=0)
        world.true_files = world.directory / "true"
        world.true_files.mkdir()
        with mounted(sim) as mount:
            documents = documents_of(mount)
            world.folder = documents[0][0].parent.relative_to(mount.path)
        with open(world.directory / "list", "w", encoding="utf-8") as listing:
            for path, listed in documents:
                content = sim.content(listed["latestVersionId"])
                (world.true_files / path.name).write_bytes(content)
                world.total += len(content)
                listing.write(f"{listed['id']} {listed['latestVersionId']} {listed['id']}\n")
        yield world


def contents_in(directory):
    return sorted(path.read_bytes() for path in directory.iterdir() if path.is_file())


def copied(world, copy):
    """The time of `copy(target)`, which must copy every document."""
    target = pathlib.Path(tempfile.mkdtemp(dir=world.directory))
    taken = timed(copy, target)
    (holder,) = {path.parent for path in target.rglob("*") if path.is_file()}
    assert contents_in(holder) == contents_in(world.true_files), "a copy that is not right"
    shutil.rmtree(target)
    return taken


def copy_with_curl(world, script):
    headers = world.directory / "headers"
    headers.write_text("".join(f"{name}: {value}\n" for name, value in world.sim.headers().items()))
    environment = {**clean_environment(), "HEADERS": str(headers), "LIST": str(world.directory / "list"),
                   "FETCH": FETCH, "API": f"http://127.0.0.1:{world.sim.port}/api"}

    def copy(target):
        status, _ = run_timed(["sh", "-c", script], cwd=target, env=environment)
        assert status == 0, status

    return copied(world, copy)


def copy_with_rclone(world, latency):
    with rclone_mounted(world.true_files, latency, world.directory) as path:
        return copied(world, lambda target: command("cp", "-r", path, target / "copy"))


def small_files(world, turn, latency):
    """`cp -r` of a folder of a fresh mount that has listed nothing yet. Beside it loops of `curl`,
    which are given the token and the list of documents and ask for each one's link and bytes; and `cp
    -r` of a fresh `rclone mount` with its default options over an index of the same files, which needs
    no links, but asks for each file's size by a HEAD. Each answer takes the same time, those of the
    index server too."""
    cost = {}
    set_speed(world.sim, api_ms=latency, storage_ms=latency)
    world.sim.token = None

    def through_mount():
        with mounted(world.sim) as mount, watched(world.sim, mount, cost):
            return copied(world, lambda target: command("cp", "-r", mount / world.folder, target / "copy"))

    times = in_turn(turn, {
        "mount": through_mount,
        "`curl` loop": lambda: copy_with_curl(world, SERIAL),
        f"`curl` by `xargs -P{PARALLEL}`": lambda: copy_with_curl(world, IN_PARALLEL),
        "`rclone mount`": lambda: copy_with_rclone(world, latency),
    })
    return Sample(times, {"read": world.total, **cost})


# --- The table ---

COLUMNS = {
    "bytes fetched per byte read": (lambda cost: cost["fetched"] / cost["read"], ".2f"),
    "GETs of bytes": (lambda cost: cost["storage"], ".0f"),
    "API calls": (lambda cost: cost["api"], ".0f"),
    "daemon CPU s": (lambda cost: cost["cpu"], ".2f"),
}

MEASUREMENTS = {
    "sequential": Measurement(
        f"one document of {SEQUENTIAL_BYTES >> 20} MiB from start to end",
        lambda: organisation(1, SEQUENTIAL_BYTES, SEQUENTIAL_BYTES),
        sequential,
        [Line(f"`cat` of {SEQUENTIAL_BYTES >> 20} MiB, storage at {ms} ms", {"latency": ms}, show_sequential) for ms in (0, 20, 50)]
        # One answer alone is slow: here several at a time matter, and the mount may well be faster.
        + [Line(f"the same at {ms} ms, each answer at most 50 MB/s", {"latency": ms, "rate": 50_000_000},
                show_sequential) for ms in (20, 50)],
        COLUMNS,
    ),
    "random": Measurement(
        f"{RANDOM_READS} reads of 4 KiB at random places in {RANDOM_DOCUMENTS} documents of {RANDOM_BYTES >> 20} MiB",
        lambda: organisation(RANDOM_DOCUMENTS, RANDOM_BYTES, RANDOM_BYTES),
        random_reads,
        [Line(f"4 KiB at random, each read, storage at {ms} ms", {"latency": ms}, lambda s: f"{s * 1000:.2f} ms")
         for ms in (0, 20, 50)],
        COLUMNS,
    ),
    "cp": Measurement(
        f"cp -r of {SMALL_DOCUMENTS} documents of 100 to 300 kB",
        small_world,
        small_files,
        [Line(f"`cp -r` of {SMALL_DOCUMENTS} documents, every answer after {ms} ms", {"latency": ms})
         for ms in (20, 50)],
        COLUMNS,
    ),
}
