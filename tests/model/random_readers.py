"""Readers of a random run: each does at random what programs do, and judges what it gets.

What is read is right for some time there was: a JSON file is one that an object had, bytes are those
of the version that was opened. Errors may come, those of the design. No call outlasts its deadline.
"""

import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import time

# Threads, processors, sanitizers: what a call may take beside what the design grants.
NOISE_S = 1.5
# Every errno that the design has, ESTALE for what changed between look-up and open, and what comes of a name
# that was a directory's and is now a file's, or the other way round.
ERRORS = {"EACCES", "EBADMSG", "EBUSY", "EFBIG", "EHOSTUNREACH", "EIO", "ENOENT", "EPROTO", "ESTALE", "ETIMEDOUT",
          "EISDIR", "ENOTDIR"}


class Problem(Exception):
    pass


class Reader:
    """`paths`: what stood in the mount at the last quiet point, below the mount point."""

    def __init__(self, run, seed):
        self.run, self.world, self.rng = run, run.world, random.Random(seed)
        self.deeds = self.failures = 0
        self.held = []  # (descriptor, what it showed)

    def work(self):
        deeds = [self.list, self.stat, self.read_text, self.read_text, self.read_bytes, self.read_bytes,
                 self.by_id, self.link, self.unknown, self.hold, self.look_again, self.local, self.interrupted]
        if self.world.SEARCHES:
            deeds.append(self.search)
        try:
            while self.run.lasts():
                self.deeds += 1
                self.rng.choice(deeds)()
        except Exception as problem:  # whatever it is, the run has failed
            self.run.problems.append(problem)
        finally:
            while self.held:
                os.close(self.held.pop()[0])

    def call(self, waits, function, *arguments, **more):
        """The call's value, or None for an error that may be. `waits`: how many listings and documents
        it may have to wait for, one after the other."""
        began = time.monotonic()
        if waits and arguments and self.run.refetches:  # each name on the way may wait
            waits += str(arguments[0]).count("/")
        try:
            return function(*arguments, **more)
        except OSError as error:
            name = errno.errorcode[error.errno]
            if name not in ERRORS:
                raise Problem(f"{function.__name__} {arguments}: {name}") from error
            self.failures += 1
            return None
        finally:
            took = time.monotonic() - began
            if took > waits * self.run.timeout + 1 + NOISE_S:
                raise Problem(f"{function.__name__} {arguments} took {took:.2f} s")

    def path(self, below=None, suffix=""):
        below = below or self.rng.choice((self.world.TOP, "files"))
        paths = [path for path in self.run.paths if path.startswith(below) and path.endswith(suffix)]
        return str(self.run.mount.path / self.rng.choice(paths)) if paths else str(self.run.mount / below)

    # --- Deeds ---

    def list(self):
        names = self.call(3, os.listdir, os.path.dirname(self.path()))
        if names and len(set(names)) != len(names):
            raise Problem(f"a name is listed twice: {sorted(names)}")

    def stat(self):
        self.call(2, os.stat, self.path())

    def judge_text(self, path, content):
        if path.endswith(".json"):
            try:
                json.loads(content.decode(errors="replace"))
            except ValueError:
                raise Problem(f"{path} is no JSON: {content[:200]!r}") from None
            # Servers that send nonsense are shown as they are, and what no quiet point looks at may stay so.
            if self.world.spoiled_ns or self.world.ever_spoiled and f"/{self.world.TOP}/" not in path:
                return
        with self.world.lock:
            if content not in self.world.texts:
                raise Problem(f"{path} never was so: {content[:2000]!r}")

    def open(self, waits, path):
        return self.call(waits, os.open, path, os.O_RDONLY)

    def read_whole(self, path, waits):
        fd = self.open(waits, path)
        if fd is None:
            return None
        pieces = []
        try:
            about = self.call(1, os.fstat, fd)
            if about is None:  # it is a directory by now
                return None
            size = about.st_size
            while piece := self.call(1, os.read, fd, self.rng.choice((100, 4096, 131072))):
                pieces.append(piece)
        finally:
            os.close(fd)
        content = b"".join(pieces)
        if piece is not None and len(content) != size:
            raise Problem(f"{path} has {len(content)} bytes, and says {size}")
        return None if piece is None else content

    def read_text(self):
        path = self.path(*self.rng.choice(self.world.EXACT))
        content = None if os.path.isdir(path) else self.read_whole(path, 2)
        if content is not None:
            self.judge_text(path, content)

    def read_bytes(self):
        """Here and there in one open file: all of one version."""
        path = self.path("files")
        fd = None if os.path.isdir(path) else self.open(3, path)
        if fd is None:
            return
        possible = None
        try:
            about = self.call(1, os.fstat, fd)
            if about is None:
                return
            size, offset = about.st_size, 0
            for _ in range(self.rng.randint(1, 8)):
                length = self.rng.choice((1, 100, 4096, 70_000, 131_072))
                offset = self.rng.choice((offset, 0, self.rng.randint(0, size), max(0, size - length)))
                if self.rng.random() < 0.2:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                data = self.call(1, os.pread, fd, length, offset)
                if data is None:
                    continue
                possible = self.judge_bytes(path, possible, data, offset, length)
                offset += len(data)
        finally:
            os.close(fd)

    def judge_bytes(self, path, possible, data, offset, length):
        with self.world.lock:
            if possible is None:
                possible = [body for bodies in self.world.bodies.values() for body in bodies]
            possible = [body for body in possible if self.may_be(body[offset:offset + length], data)]
        if not possible:
            raise Problem(f"{path}: {len(data)} bytes at {offset} are of no version, or of two")
        return possible

    @staticmethod
    def may_be(right, data):
        """Fewer bytes than asked for: an error came after them. None: the end."""
        return right.startswith(data) and bool(data) == bool(right)

    def by_id(self):
        with self.world.lock:
            known = list(self.world.bodies)
        identity = self.rng.choice((*known, self.world.UNKNOWN_ID))
        path = str(self.run.mount / "by-id" / self.world.OBJECTS / f"{identity}.json")
        content = self.read_whole(path, 2)
        if content is not None:
            self.judge_text(path, content)

    def link(self):
        links = self.run.mount / "by-id" / self.world.LINKS
        names = self.call(1, os.listdir, links)
        if names:
            path = links / self.rng.choice(names)
            target = self.call(1, os.readlink, path)
            if target and not target.startswith(f"../../{self.world.TOP}/"):
                raise Problem(f"a link to {target}")
            self.call(3, os.listdir, path)

    def search(self):
        query = self.run.mount / "search" / self.rng.choice(self.world.SEARCHES)
        names = self.call(1, os.listdir, query)
        if names:
            path = str(query / self.rng.choice(names))
            content = self.read_whole(path, 1)
            if content is not None:
                self.judge_text(path, content)

    def unknown(self):
        path = os.path.join(os.path.dirname(self.path()), self.rng.choice((".git", "nothing", "x" * 200)))
        self.call(2, os.stat, path)
        for flags in (os.O_WRONLY, os.O_RDWR | os.O_CREAT):
            with contextlib.suppress(OSError):
                os.close(os.open(path, flags))
                raise Problem(f"{path} was opened for writing")

    def hold(self):
        """Keeps a file open; who has it open sees the same for ever."""
        if len(self.held) > 5:
            os.close(self.held.pop(0)[0])
        path = self.path(*self.rng.choice(self.world.EXACT))
        fd = None if os.path.isdir(path) else self.open(2, path)
        if fd is None:
            return
        content = self.call(1, os.pread, fd, 1 << 20, 0)
        if content is None:
            os.close(fd)
            return
        self.held.append((fd, content))
        self.judge_text(path, content)

    def look_again(self):
        if self.held:
            fd, content = self.rng.choice(self.held)
            if self.rng.random() < 0.5:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            again = self.call(1, os.pread, fd, 1 << 20, 0)
            if again != content:
                raise Problem(f"an open file changed: {content[:200]!r}, {again and again[:200]!r}")

    def local(self):
        """What never waits for the network."""
        mount = self.run.mount
        deeds = [lambda: os.statvfs(mount.path), lambda: os.stat(mount.path), lambda: os.listdir(mount.path),
                 lambda: mount.control(self.rng.choice(("status", "status.json", "errors", "metrics", "config")))]
        self.call(0, self.rng.choice(deeds))

    def interrupted(self):
        """A command that is ended while it may be waiting."""
        if self.rng.random() < 0.7:  # a process takes its time
            return
        with subprocess.Popen(["cat", self.path()], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.rng.uniform(0, 0.1))
            process.send_signal(self.rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)))
            self.call(0, process.wait)
