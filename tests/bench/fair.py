"""Whether one user's work makes another wait."""

import contextlib
import os
import subprocess
import time

from cold import LARGE, simulated_world
from model import Line, Measurement, Sample, scaled, set_speed
from mounting import by_another, clean_environment, mounted, wait_until
from organisations import COLUMNS, Organisation, costs, run_command

LATENCY_MS = 50
HUNG = scaled(100, 10)
ROUNDS = 100
WALKED_LINES = 50  # that far a walk is when another user comes
MANY_BINDERS = Organisation(HUNG + 1, 2, 10, 1)


@contextlib.contextmanager
def background(*arguments):
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=clean_environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def ls_while_walking(world, turn):
    """`ls` of a folder of the binder that the walk comes to last, while `find` over everything is at its beginning."""
    cost = {}
    set_speed(world.sim, LATENCY_MS)
    with mounted(world.sim) as mount:
        last = world.folders[-1][turn % len(world.folders[-1])]
        with costs(world.sim, mount, cost), background("find", mount / "binders") as walk:
            for _ in range(WALKED_LINES):
                assert walk.stdout.readline()
            drain = subprocess.Popen(["cat"], stdin=walk.stdout, stdout=subprocess.DEVNULL)
            taken = run_command("ls", mount / last)
            assert walk.poll() is None, "the walk was over before ls was"
            walk.kill()
            drain.wait()
    return Sample({"mount": taken, "3 × latency + 50 ms": 3 * LATENCY_MS / 1000 + 0.05}, cost)


@contextlib.contextmanager
def many_binders():
    with MANY_BINDERS.simulated() as sim:
        yield sim


def cached_while_hanging(sim, turn):
    """The slowest of many rounds of calls about what is cached, each call by itself, while an `ls` hangs in each of
    many other binders, because no answer comes."""
    cost = {}
    set_speed(sim)
    with mounted(sim, "ttl=3600") as mount, contextlib.ExitStack() as stack:
        cached, *others = by_another(lambda: [entry.path for entry in os.scandir(mount / "binders")])
        folder = next(entry.path for entry in os.scandir(cached) if entry.is_dir())
        file = next(entry.path for entry in os.scandir(folder) if entry.is_file())
        sim.fault("*", "hang", times=-1)
        with costs(sim, mount, cost):
            for other in others:
                stack.enter_context(background("ls", other))
            wait_until(lambda: mount.metrics()["waiters"] >= HUNG)
            slowest = max(timed_each(mount.path, folder, file) for _ in range(ROUNDS))
            assert mount.metrics()["waiters"] >= HUNG, "they no longer hang"
            sim.clear()
    return Sample({"mount": slowest, "5 ms": 0.005}, cost)


def timed_each(top, folder, file):
    """The longest of some calls, most of which the kernel hands to the daemon."""
    longest = 0
    for call in (lambda: os.statvfs(top), lambda: os.stat(file), lambda: os.listdir(folder),
                 lambda: open_and_read(file)):
        began = time.perf_counter()
        call()
        longest = max(longest, time.perf_counter() - began)
    return longest


def open_and_read(path):
    with open(path, "rb") as file:
        assert file.read()


MEASUREMENTS = {
    "fair-walk": Measurement(
        f"ls of a cold folder while a walk of {LARGE} runs, {LATENCY_MS} ms",
        lambda: simulated_world(LARGE), ls_while_walking,
        [Line(f"`ls` of a cold folder during `find`, {LARGE}, {LATENCY_MS} ms", {},
              targets={"3 × latency + 50 ms": 1})],
        COLUMNS),
    "fair-hang": Measurement(
        f"cached calls while {HUNG} fetches hang",
        many_binders, cached_while_hanging,
        [Line(f"slowest of {4 * ROUNDS} cached calls, {HUNG} fetches hanging", {}, targets={"5 ms": 1})], COLUMNS),
}
