"""Daemons in the background: started as users start them, found, and followed to their end.

This process adopts what a finished command leaves behind, so the exit status of a daemon can be
asked for, and that nothing stays behind is known rather than guessed.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import signal
import subprocess
import tempfile

from mounting import BINARY, PATIENCE_S, canary, wait_until

PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)
assert LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def children():
    """Process ids of our children, also the adopted ones."""
    found = set()
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            fields = pathlib.Path("/proc", str(int(entry)), "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.add(int(entry))
    return found


def program_of(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def is_zombie(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def unescaped(field):
    """mountinfo writes blanks and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def mounts_at(path, pid="self"):
    """Fields of the lines of mountinfo for `path`, the topmost last."""
    lines = (line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return [line for line in lines if unescaped(line[4]) == str(path)]


class Background:
    """A command that should leave a daemon. `pid` is the daemon's, None if there is none;
    `returncode`, `stdout` and `stderr` are the command's."""

    def __init__(self, command, env, path, **more):
        before = children()
        self.path = pathlib.Path(path)
        self.reports = tempfile.TemporaryDirectory(prefix="sanitizer-")
        os.chmod(self.reports.name, 0o777)
        report = f"log_path={self.reports.name}/report"
        env = {**env, "ASAN_OPTIONS": report, "UBSAN_OPTIONS": f"halt_on_error=1:{report}"}
        try:
            done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=20, check=False, text=True, **more)
        except subprocess.TimeoutExpired as hung:
            self.left = children() - before
            self.kill()
            unmount_all(path)
            raise AssertionError("the command hangs, or what it left keeps its standard output or error") from hung
        self.returncode, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        canary.look("standard output or error", self.stdout + self.stderr)
        self.left = children() - before
        daemons = [pid for pid in self.left if program_of(pid) == "ibinderfs" and not is_zombie(pid)]
        assert len(daemons) <= 1, daemons
        self.pid = daemons[0] if daemons else None
        if self.pid:
            canary.look_at_process(self.pid)

    def __truediv__(self, name):
        """A path in the mount, also when the daemon has a mount namespace of its own."""
        return pathlib.Path(f"/proc/{self.pid}/root{self.path}", name)

    def control(self, name):
        return (self / ".ibinderfs" / name).read_text()

    def inside(self, *command):
        """Runs a command in the daemon's mount namespace."""
        return subprocess.run(["nsenter", "-t", str(self.pid), "-m", "--", *map(str, command)],
                              capture_output=True, timeout=20, check=False, text=True)

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_for_end(self, within=PATIENCE_S):
        """Demands exit status 0 of everything that was left, and nothing from the sanitizers."""
        for pid in self.left:
            _, status = wait_until(lambda pid=pid: reaped(pid), within)
            code = os.waitstatus_to_exitcode(status)
            reports = [report.read_text() for report in pathlib.Path(self.reports.name).iterdir()]
            assert (code, reports) == (0, []), (pid, code, reports)
        self.left = set()

    def unmount(self, *flags):
        done = self.inside("umount", *flags, self.path)
        assert done.returncode == 0, done.stderr

    def kill(self):
        """Last resort of a test that failed already, or that wants a dead mount."""
        for pid in self.left:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        self.left = set()


def reaped(pid):
    found, status = os.waitpid(pid, os.WNOHANG)
    return (found, status) if found else None


@contextlib.contextmanager
def background(*arguments, env, path, command=(BINARY,), says="", **more):
    """A mount made by `command` and `arguments`, which end with exit status 0 and say `says` (None:
    anything) on standard error; ended by umount."""
    daemon = Background([*command, *map(str, arguments)], env, path, **more)
    try:
        assert daemon.returncode == 0 and says in (None, daemon.stderr), (daemon.returncode, daemon.stderr)
        assert daemon.pid, "no daemon was left"
        yield daemon
        if daemon.left:
            canary.look_at_control(daemon / ".ibinderfs")
            daemon.unmount()
            daemon.wait_for_end()
    finally:
        daemon.kill()
        unmount_all(path)


def unmount_all(path, but=0):
    """Takes away what a failed test, or a killed daemon, left."""
    while len(mounts_at(path)) > but:
        subprocess.run(["umount", "-l", str(path)], check=True)


def failing(command, env, path, **more):
    """Standard error of a command that must fail and leave neither process nor mount."""
    mounts = len(mounts_at(path))
    daemon = Background([str(word) for word in command], env, path, **more)
    try:
        assert (daemon.returncode, daemon.stdout, daemon.left) == (1, "", set()), (daemon.returncode, daemon.stderr)
        assert len(mounts_at(path)) == mounts
        return daemon.stderr
    finally:
        daemon.kill()
        unmount_all(path, but=mounts)
