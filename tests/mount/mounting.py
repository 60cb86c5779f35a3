"""Mounts a simulated organisation with the real daemon and the real kernel: what the tests share.

The programs are those of $IBINDERFS_BUILD. A mount ends with exit status 0 and a clean sanitizer,
or the test fails.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "sim"))

import canary  # noqa: E402
import inbenta_client  # noqa: E402
from inbenta_client import Inbenta  # noqa: E402
from sim_client import SECRET, TENANT, Sim  # noqa: E402

BUILD = os.environ.get("IBINDERFS_BUILD", "build")
BINARY = os.path.abspath(os.path.join(BUILD, "ibinderfs"))
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error")
# For what has to happen, but is not promised to be quick: the machine may be slow and busy.
PATIENCE_S = 20
CREDENTIALS = ("IBINDER_", "INBENTA_", "XDG_", "CREDENTIALS_DIRECTORY")


def clean_environment():
    """The caller's own accounts and proxies must not reach the daemon under test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(CREDENTIALS) and "proxy" not in k.lower()}
    return {**kept, "HOME": "/nonexistent", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}


def account_of(sim):
    """The account for what is simulated, as the environment has it."""
    if isinstance(sim, Inbenta):
        return {
            "INBENTA_API_KEY": inbenta_client.KEY,
            "INBENTA_SECRET": inbenta_client.SECRET,
            "INBENTA_AUTH_URL": f"http://127.0.0.1:{sim.port}/v1",
        }
    return {
        "IBINDER_TENANT_ID": TENANT,
        "IBINDER_CLIENT_ID": "sim-client",
        "IBINDER_CLIENT_SECRET": SECRET,
        "IBINDER_API_URL": f"http://127.0.0.1:{sim.port}/api",
        "IBINDER_AUTH_URL": f"http://127.0.0.1:{sim.port}/connect/token",
    }


def environment_for(sim, **more):
    return {**clean_environment(), **account_of(sim), **more}


def wait_until(condition, within=PATIENCE_S, step=0.01):
    """For what has no event to wait for; fails with the last value seen."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {within} s: {value!r}")
        time.sleep(step)


def by_another(call, *arguments):
    """Has another reader do it, in the daemon's eyes: one that goes from binder to binder walks, and
    others are fetched ahead of it."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(call, *arguments).result()


class Mount:
    """One running daemon in the foreground. `path` is the mount point, `log` what it wrote."""

    def __init__(self, env, *options, source=None, path=None, binary=None):
        self.made_path = path is None
        self.path = pathlib.Path(path or tempfile.mkdtemp(prefix="ibinderfs-"))
        command = [binary or BINARY, *([source] if source else []), str(self.path), "-f"]
        for option in options:
            command += ["-o", option]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env
        )
        self.lines = []
        self.new_lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.wait_for_line("is mounted")
            canary.look_at_process(self.process.pid)
        except AssertionError:
            self.kill()
            raise

    def _read(self):
        for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip("\n")
            self.lines.append(text)
            self.new_lines.put(text)
        self.new_lines.put(None)

    @property
    def log(self):
        return "\n".join(self.lines)

    def wait_for_line(self, pattern, within=PATIENCE_S):
        """Waits for a line of the log that was not waited for before; returns the match."""
        end = time.monotonic() + within
        while True:
            try:
                line = self.new_lines.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line {pattern!r} within {within} s:\n{self.log}") from None
            if line is None:
                raise AssertionError(f"the daemon ended before a line {pattern!r}:\n{self.log}")
            match = re.search(pattern, line)
            if match:
                return match

    def __truediv__(self, name):
        return self.path / name

    def control(self, name):
        text = (self.path / ".ibinderfs" / name).read_text()
        canary.look(f".ibinderfs/{name}", text)
        return text

    def metrics(self):
        values = (line.split(" ") for line in self.control("metrics").splitlines() if not line.startswith("#"))
        return {name.removeprefix("ibinderfs_"): int(value) for name, value in values}

    def signal(self, number):
        self.process.send_signal(number)

    def wait_for_end(self, within=PATIENCE_S):
        """Demands exit status 0 and nothing from the sanitizers."""
        try:
            self.process.wait(timeout=within)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # shows where it stands
            raise AssertionError(f"the daemon does not end:\n{self.log}") from None
        self.reader.join(timeout=5)
        canary.look("the log", self.log)
        assert not any(word in self.log for word in SANITIZER_WORDS), self.log
        assert self.process.returncode == 0, (self.process.returncode, self.log)

    def unmount(self, *flags):
        subprocess.run(["fusermount3", "-u", *flags, str(self.path)], check=True)
        self.wait_for_end()

    def end(self):
        if self.process.poll() is None:
            canary.look_at_control(self.path / ".ibinderfs")
            self.unmount()
        self.wait_for_end()
        if self.made_path:
            self.path.rmdir()

    def kill(self):
        """Last resort of a test that failed already."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        subprocess.run(["umount", "-l", str(self.path)], stderr=subprocess.DEVNULL, check=False)
        if self.made_path:
            with contextlib.suppress(OSError):
                self.path.rmdir()


@contextlib.contextmanager
def simulated(*options, kind=Sim):
    sim = kind(*options)
    try:
        yield sim
        sim.clear()
        assert sim.stats()["leaked_credentials"] == 0, "credentials came to storage, or where a redirect led"
        sim.end()
    finally:
        if sim.process.poll() is None:
            sim.process.kill()
            sim.process.communicate()


@contextlib.contextmanager
def mounted(sim, *options, env=None, **more):
    """Mounts what is simulated; `env` adds to or replaces the environment."""
    if isinstance(sim, Inbenta):
        options = ("provider=inbenta", *options)
    mount = Mount({**environment_for(sim), **(env or {})}, *options, **more)
    try:
        yield mount
        mount.end()
    finally:
        mount.kill()


def api_requests(sim):
    """Requests per API route since the counters were reset, without those that were not made."""
    return {route: count for route, count in sim.stats()["routes"].items() if count}


def run(*command, within=30, **more):
    """Runs a command of a user; returns its standard output."""
    done = subprocess.run(command, capture_output=True, timeout=within, check=False, **more)
    assert done.returncode == 0, (command, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="surrogateescape")


def need(program):
    """A test that cannot run has failed: a skipped test proves nothing."""
    assert shutil.which(program), f"{program} is not installed: ./check installs it"


def read_tree(path):
    """Everything below a directory, as a user finds it: {relative path: bytes, None: a directory}."""
    found = {}
    for top, dirs, files in os.walk(path, onerror=_raise):
        for name in dirs:
            found[os.path.relpath(os.path.join(top, name), path)] = None
        for name in files:
            with open(os.path.join(top, name), "rb") as file:
                found[os.path.relpath(file.name, path)] = file.read()
    return found


def _raise(error):
    raise error
