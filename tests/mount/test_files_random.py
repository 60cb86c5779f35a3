"""Document bytes at random: readers that seek, read and close as they like, while storage changes its
habits, fails and recovers, links expire and documents get new versions.

Every byte that a read returns is that of the version that was opened. A seed is printed; SEED=n
repeats it.
"""

import errno
import json
import os
import random
import threading
import time

import pytest

from mounting import mounted, simulated, wait_until
from storage_trouble import documents, nothing_under_way, read_whole

TIMEOUT_S = 1
NOISE_S = 1.5  # six threads, two cores, sanitizers
LASTS_S = 4
READERS = 5
# Every errno that the design has for a read, and ESTALE for a document that changed between look-up and open.
ERRORS = {"EACCES", "EBADMSG", "EBUSY", "EHOSTUNREACH", "EIO", "ENOENT", "ESTALE", "ETIMEDOUT"}
SIZES = ("--binders=1", "--folders=1", "--depth=1", "--documents=12", "--size-min=0", "--size-max=3000000")
# Those that nothing tells from a right answer of who sees the size for the first time are left out.
FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 503, "retry_after": "1"},
    {"kind": "status", "status": 403}, {"kind": "status", "status": 404}, {"kind": "status", "status": 416},
    {"kind": "status", "status": 429, "retry_after": "0"}, {"kind": "reset"}, {"kind": "hang"}, {"kind": "truncate"},
    {"kind": "slow", "bytes_per_second": 50_000}, {"kind": "delay", "ms": 200}, {"kind": "wrong_range"},
    {"kind": "short_range"}, {"kind": "ignore_range"}, {"kind": "no_content_range"}, {"kind": "other_etag"},
    {"kind": "encoded"}, {"kind": "redirect", "location": "{self}"},
]


class Truth:
    """The bytes of each version there ever was."""

    def __init__(self, sim):
        self.sim, self.lock, self.known = sim, threading.Lock(), {}

    def of(self, version):
        with self.lock:
            if version not in self.known:
                self.known[version] = self.sim.content(version)
            return self.known[version]


class World:
    def __init__(self, sim, mount, found):
        self.sim, self.truth, self.lock = sim, Truth(sim), threading.Lock()
        self.paths = [document.path for document in found]
        self.versions = {document.path: [document.version] for document in found}
        self.ids = {document.path: json.loads((mount / "binders" / os.path.relpath(document.path, mount / "files"))
                                              .with_name(os.path.basename(document.path) + ".json").read_text())["id"]
                    for document in found}
        self.problems, self.reads, self.failures = [], 0, 0
        self.end = time.monotonic() + LASTS_S

    def lasts(self):
        return time.monotonic() < self.end and not self.problems


def may_be(truth, data, offset, length):
    """Whether a version's reading may have these bytes. Fewer than asked for: an error came after
    them; none: the end."""
    right = truth[offset:offset + length]
    return right.startswith(data) and bool(data) == bool(right)


def timed(world, what, call, *arguments):
    """The call's value, or None for an error that may be."""
    began = time.monotonic()
    try:
        return call(*arguments)
    except OSError as error:
        if errno.errorcode[error.errno] not in ERRORS:
            world.problems.append((what, error))
        world.failures += 1
        return None
    finally:
        took = time.monotonic() - began
        if took > TIMEOUT_S + 1 + NOISE_S:
            world.problems.append((what, "took", took))


def read_one(world, rng, path):
    """Opens a file, reads here and there, closes it."""
    fd = timed(world, ("open", path), os.open, path, os.O_RDONLY)
    if fd is None:
        return
    try:
        size, versions, offset = os.fstat(fd).st_size, None, 0
        # While others read an older version, the kernel has the size of that one for all.
        if len(world.versions[path]) == 1 and size != len(world.truth.of(world.versions[path][0])):
            world.problems.append((path, "size", size, world.versions[path]))
        for _ in range(rng.randint(1, 25)):
            length = rng.choice((1, 100, 4096, 70_000, 131_072))
            offset = rng.choice((offset, offset, rng.randint(0, size), max(0, offset - 50_000), max(0, size - length)))
            if rng.random() < 0.3:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            data = timed(world, ("read", path, offset, length), os.pread, fd, length, offset)
            if data is None:
                continue
            world.reads += 1
            with world.lock:  # who opens a file may see a version before we are told of it
                known = list(world.versions[path])
            versions = [version for version in versions or known
                        if may_be(world.truth.of(version), data, offset, length)]
            if not versions:
                world.problems.append((path, offset, length, len(data), size, world.versions[path]))
                return
            offset += len(data)
    finally:
        os.close(fd)


def read_on(world, rng):
    while world.lasts():
        read_one(world, rng, rng.choice(world.paths))


def new_version(world, rng):
    path = rng.choice(world.paths)
    with world.lock:
        world.versions[path].append(world.sim.change("new_version", id=world.ids[path])["latestVersionId"])


def disturb(world, rng):
    while world.lasts():
        deed = rng.randrange(8)
        if deed < 3:
            world.sim.fault("storage", times=rng.choice((1, 1, 2, 5, -1)), after=rng.randrange(4), **rng.choice(FAULTS))
        elif deed < 5:
            world.sim.clear()
        elif deed == 5:
            world.sim.expire_links()
        elif deed == 6:
            world.sim.control("POST", "/settings", storage_range=rng.choice(("on", "on", "off")),
                              storage_length=rng.choice(("on", "off")), storage_416=rng.choice(("range", "bare")))
        else:
            new_version(world, rng)
        time.sleep(rng.uniform(0.01, 0.15))


def seed_of(number):
    return int(os.environ.get("SEED", 0)) or random.SystemRandom().randrange(1, 1 << 31) + number


@pytest.mark.parametrize("number", range(2))
def test_bytes_at_random_are_those_of_the_version_opened(number):
    seed = seed_of(number)
    print(f"SEED={seed}")
    rng = random.Random(seed)
    options = f"timeout={TIMEOUT_S},memory={rng.randint(1, 4)}M,ttl={rng.choice((0, 1))},stale=0"
    etag = f"--storage-etag={rng.choice(('on', 'off'))}"
    with simulated(*SIZES, f"--seed={rng.randint(1, 1000)}", etag) as sim, mounted(sim, options) as mount:
        world = World(sim, mount, documents(mount))
        threads = [threading.Thread(target=read_on, args=(world, random.Random(rng.random()))) for _ in range(READERS)]
        threads.append(threading.Thread(target=disturb, args=(world, random.Random(rng.random()))))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not world.problems, (seed, world.problems[:3])
        assert world.reads > 50, (seed, world.reads, world.failures)
        sim.clear()
        for path in world.paths:
            version = world.versions[path][-1]
            wait_until(lambda path=path, version=version: read_whole(path)[:2] == (world.truth.of(version), None),
                       within=12)
        wait_until(lambda: nothing_under_way(mount))
        wait_until(lambda: sim.stats()["storage_in_flight"] == 0)
        metrics = mount.metrics()
        assert metrics["storage_breaker_open"] == 0
