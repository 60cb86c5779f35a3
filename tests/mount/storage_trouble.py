"""What the tests of storage in trouble share: small organisations of large files, and what a file in
files/ should hold."""

import contextlib
import errno
import json
import os
import pathlib
import time

SIZE = 3_000_000
STEP = 1 << 17


def organisation(size=SIZE, documents=3, *more):
    return ("--binders=1", "--folders=1", "--depth=1", f"--documents={documents}", f"--size-min={size}",
            f"--size-max={size}", *more)


class Document:
    """A file in files/, and the version whose bytes it should hold."""

    def __init__(self, path, version):
        self.path, self.version = path, version

    def right(self, sim, data, offset=0):
        return data == (sim.content(self.version, offset, len(data)) if data else b"")


def documents(mount):
    found = []
    for top, _, names in os.walk(mount / "binders"):
        for name in names:
            about = json.loads(pathlib.Path(top, name).read_text())
            if "latestVersionId" in about:
                inside = os.path.relpath(os.path.join(top, name), mount / "binders")
                found.append(Document(str(mount / "files" / inside).removesuffix(".json"), about["latestVersionId"]))
    return found


@contextlib.contextmanager
def opened(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def read_whole(path, flags=0):
    """As `cat` does. What came before the end or the first error, that error's name, and how long
    the longest call took."""
    data, longest, fd = [], 0, None

    def call(function, *arguments):
        nonlocal longest
        began = time.monotonic()
        try:
            return function(*arguments)
        finally:
            longest = max(longest, time.monotonic() - began)

    try:
        fd = call(os.open, path, os.O_RDONLY | flags)
        while piece := call(os.read, fd, STEP):
            data.append(piece)
        error = None
    except OSError as failed:
        error = errno.errorcode[failed.errno]
    finally:
        if fd is not None:
            os.close(fd)
    return b"".join(data), error, longest


def reads_right(sim, document, size=SIZE, flags=0):
    data, error, _ = read_whole(document.path, flags)
    return error is None and len(data) == size and document.right(sim, data)


def nothing_under_way(mount):
    metrics = mount.metrics()
    return (metrics["waiters"], metrics["storage_requests_in_flight"]) == (0, 0)


def storage_idle(sim):
    return sim.stats()["storage_in_flight"] == 0
