"""The second look: what a mount that knows everything costs beside the floor and the local disk."""

import contextlib
import pathlib
import statistics
import tempfile
import time
import types

from model import Line, Measurement, Sample, in_turn, scaled
from mounting import mounted
from organisations import (COLUMNS, COMMANDS, Organisation, copy_of, costs, drop_kernel_caches, find_all, floor,
                           run_command, upcalls)

LARGE = scaled(Organisation(40, 25, 2500), Organisation(4, 5, 50, 2))
SOME = scaled(Organisation(10, 16, 960), Organisation(2, 4, 60, 2))
OPTIONS = ("ttl=36000", "memory=4G")
TTL_S = 5
FLOOR, FLOOR_NO_OPEN, DISK = "floor", "floor, `open` ENOSYS", "local disk"
ROUNDS = scaled(7, 1)
READS_FILES = ("grep -r", "rg")


@contextlib.contextmanager
def warm_world():
    """Two mounts that have listed everything, with and without `content`; two floors of the same tree."""
    with LARGE.simulated() as sim, tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        scratch = pathlib.Path(directory)
        world = types.SimpleNamespace(sim=sim)
        world.mount = stack.enter_context(mounted(sim, *OPTIONS))
        world.off = stack.enter_context(mounted(sim, *OPTIONS, "content=off"))
        world.disk = copy_of(world.mount, scratch / "copy")
        world.floor = stack.enter_context(floor(world.disk, scratch))
        world.floor_no_open = stack.enter_context(floor(world.disk, scratch, "--no-open"))
        yield world


def warm(world, turn, name, off=False):
    """A command that has been run before, everywhere. The short ones are taken several times in a run."""
    cost = {}
    mount = world.off if off else world.mount

    def through_mount():
        with costs(world.sim, mount, cost):
            return run_command(name, mount / "binders")

    ways = {"mount": through_mount}
    for way, path in ((FLOOR, world.floor), (FLOOR_NO_OPEN, world.floor_no_open), (DISK, world.disk)):
        # With opens or without: only the same is comparable, and without files it is all the same.
        if way == DISK or (way == FLOOR_NO_OPEN) == off:
            ways[way] = lambda path=path: run_command(name, path)
    if turn == 0:
        in_turn(0, ways)
    rounds = [in_turn(turn + number, ways) for number in range(1 if name in READS_FILES else ROUNDS)]
    return Sample({way: statistics.median(taken[way] for taken in rounds) for way in ways}, cost)


def dropped(world, turn, name):
    """The same after the kernel has dropped its names and attributes, on all sides."""
    cost = {}

    def measured(path):
        drop_kernel_caches()
        return run_command(name, path)

    def through_mount():
        drop_kernel_caches()
        with costs(world.sim, world.mount, cost):
            return run_command(name, world.mount / "binders")

    return Sample(in_turn(turn, {"mount": through_mount, FLOOR: lambda: measured(world.floor),
                                 DISK: lambda: measured(world.disk)}), cost)


@contextlib.contextmanager
def some_world():
    with SOME.simulated() as sim:
        yield sim


def upcalls_dropped(sim, turn):
    """Upcalls of `find -size` other than of reading directories, once the kernel's caches have been dropped: one
    look-up and one getattr for each of the mount, and binders/, on the way."""
    cost = {}
    with mounted(sim, *OPTIONS) as mount:
        find_all(SOME, mount / "binders")
        drop_kernel_caches()
        before = upcalls(mount, "lookup", "getattr", "open", "read")
        with costs(sim, mount, cost):
            run_command("find -size", mount / "binders")
        made = upcalls(mount, "lookup", "getattr", "open", "read") - before
    return Sample({"mount": made, "allowed": 4}, cost)


def upcalls_past_ttl(sim, turn):
    """Look-ups and getattrs of `find -size` past `ttl`, nothing changed, beside one of each for every directory."""
    cost = {}
    with mounted(sim, f"ttl={TTL_S}") as mount:
        find_all(SOME, mount / "binders")
        time.sleep(TTL_S)
        before = upcalls(mount, "lookup", "getattr")
        with costs(sim, mount, cost):
            run_command("find -size", mount / "binders")
        made = upcalls(mount, "lookup", "getattr") - before
    directories = 1 + SOME.binders * (1 + SOME.folders)
    return Sample({"mount": made, "2 per directory": 2 * directories}, cost)


def show_count(count):
    return f"{count:.0f}"


def warm_line(name):
    return Line(f"`{name}`, {LARGE}, warm", {"name": name}, targets={FLOOR: 1.15})


def off_line(name):
    targets = {DISK: 1.3} if name in READS_FILES else {FLOOR_NO_OPEN: 1.15}
    return Line(f"`{name}`, {LARGE}, warm, `content=off`", {"name": name, "off": True}, targets=targets)


MEASUREMENTS = {
    "warm": Measurement(
        f"commands over a warm mount of {LARGE}, beside the floor and the local disk",
        warm_world, lambda world, turn, first=False, **case: (dropped if first else warm)(world, turn, **case),
        [warm_line(name) for name in COMMANDS if name != "ls"]
        + [off_line(name) for name in COMMANDS if name != "ls"]
        + [Line(f"`{name}`, {LARGE}, kernel's caches dropped", {"name": name, "first": True})
           for name in ("find", "find -size", "ls -lR")],
        COLUMNS),
    "upcalls-dropped": Measurement(
        "upcalls beside those of reading directories, kernel's caches dropped",
        some_world, upcalls_dropped,
        [Line(f"look-ups, getattrs, opens, reads of `find -size`, {SOME}, caches dropped", {}, show_count,
              {"allowed": 1})],
        COLUMNS),
    "upcalls-past-ttl": Measurement(
        "look-ups and getattrs of a walk past ttl, nothing changed",
        some_world, upcalls_past_ttl,
        [Line(f"look-ups and getattrs of `find -size`, {SOME}, past `ttl`", {}, show_count, {"2 per directory": 1})],
        COLUMNS),
}
