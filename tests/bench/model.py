"""What a measurement is, and the tools that all of them share.

A measurement has a world (context manager: what all its lines share), a function that takes one
sample, and lines: what varies, as the keyword arguments of that function. To add one, write the
function and its entry in the table MEASUREMENTS of a module.
"""

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import threading
import time

from mounting import clean_environment

COMMAND_TIMEOUT_S = 600
# Set by `run --quick`: everything small, to see that it works; the numbers mean nothing.
QUICK = os.environ.get("IBINDERFS_BENCH_QUICK") == "1"


def scaled(full, quick):
    return quick if QUICK else full


def show_seconds(seconds):
    return f"{seconds:.2f} s" if seconds >= 0.0995 else f"{seconds * 1000:.1f} ms"


@dataclasses.dataclass
class Sample:
    values: dict  # what is measured, mostly seconds, by way; the mount's is "mount"
    costs: dict  # what it cost besides, by column


@dataclasses.dataclass
class Line:
    name: str
    case: dict
    show: object = staticmethod(show_seconds)
    targets: dict = dataclasses.field(default_factory=dict)  # by way: the mount's is at most so many times its


@dataclasses.dataclass
class Measurement:
    what: str
    world: object
    sample: object
    lines: list
    columns: dict  # the costs: what a column shows, and how


def command(*arguments, **more):
    """Runs a command to its good end; returns its output."""
    done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, timeout=COMMAND_TIMEOUT_S,
                          env=clean_environment(), **more)
    return done.stdout.decode()


def run_timed(arguments, **more):
    """Runs a command; returns its status and its time. Python's own timeouts look for the end at intervals of up to
    50 ms, which is no way to take times."""
    began = time.monotonic()
    process = subprocess.Popen(arguments, **{"env": clean_environment(), **more})
    watchdog = threading.Timer(COMMAND_TIMEOUT_S, process.kill)
    watchdog.start()
    status = process.wait()
    taken = time.monotonic() - began
    watchdog.cancel()
    return status, taken


def timed(function, *arguments):
    began = time.monotonic()
    function(*arguments)
    return time.monotonic() - began


def in_turn(turn, ways):
    """Takes the time of each way, beginning with another one each turn."""
    names = list(ways)
    first = turn % len(names)
    taken = {name: ways[name]() for name in names[first:] + names[:first]}
    return {name: taken[name] for name in names}


def cpu_seconds(pid):
    """Of all threads that there are: the daemon's helpers live as long as it does."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def status_of(pid, field):
    """A number of /proc/PID/status; sizes are in bytes."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    value = next(line.split()[1:] for line in text.splitlines() if line.startswith(field + ":"))
    return int(value[0]) * (1024 if value[1:] == ["kB"] else 1)


def set_speed(sim, api_ms=0, storage_ms=0, rate=0):
    sim.control("POST", "/settings", latency_ms=api_ms, storage_latency_ms=storage_ms, storage_rate=rate)


@contextlib.contextmanager
def ended_by_id(process, within=20):
    """Ends a program that was started here, whatever happened."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
