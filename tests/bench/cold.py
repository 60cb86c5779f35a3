"""The first look: a fresh mount beside the scripts, the peer and what latency and requests allow."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import time
import types

from model import Line, Measurement, Sample, in_turn, scaled, set_speed
from mounting import clean_environment, mounted
from nginx import Authority, nginx
from organisations import (COLUMNS, PARALLEL, Organisation, copy_of, costs, dump_by_script, find_all, folders_of,
                           fresh_mount, run_command, wait_for_token)
from peer import rclone_mounted

SOME = scaled(Organisation(10, 16, 960), Organisation(2, 4, 60, 2))
LARGE = scaled(Organisation(40, 16, 2400), Organisation(4, 4, 300, 2))
ONE = scaled(Organisation(1, 16, 240), Organisation(1, 2, 20, 1))
LATENCIES_MS = scaled((0, 20, 50, 200), (20,))
TARGET_MS = scaled(50, 20)  # the latency of the targets
PEER_MS = 50
PARALLEL_LS = 50
SCRIPT = f"script, `xargs -P{PARALLEL}`"
BOUND = "latency × chain + requests × latency ÷ connections"
ALLOWED = "allowed"


@contextlib.contextmanager
def simulated_world(organisation):
    with organisation.simulated() as sim:
        yield types.SimpleNamespace(sim=sim, organisation=organisation, folders=folders_of(sim))


def show_count(count):
    return f"{count:.0f}"


# --- Everything ---


def find_cold(world, turn, latency):
    """`find` over binders/ as soon as the mount is up; the token is perhaps still under way. Beside it the script,
    which asks for its token first, saves documents only, and knows nothing of folders."""
    cost = {}
    set_speed(world.sim, latency)

    def through_mount():
        with fresh_mount(world.sim, cost) as mount:
            return find_all(world.organisation, mount / "binders")

    values = in_turn(turn, {
        "mount": through_mount,
        SCRIPT: lambda: dump_by_script(world.sim, world.organisation, PARALLEL),
        "script, serial": lambda: dump_by_script(world.sim, world.organisation, 1),
    })
    if latency:
        values[BOUND] = world.organisation.bound(latency)
    return Sample(values, cost)


def walk_cold(world, turn, latency, name):
    """One command over all of a fresh mount."""
    cost = {}
    set_speed(world.sim, latency)
    with fresh_mount(world.sim, cost) as mount:
        return Sample({"mount": run_command(name, mount / "binders")}, cost)


def requests_cold(world, turn):
    """API requests of `find` over everything, beside what the organisation's size allows."""
    cost = {}
    set_speed(world.sim)
    with fresh_mount(world.sim, cost) as mount:
        find_all(world.organisation, mount / "binders")
    return Sample({"mount": cost["requests"], ALLOWED: world.organisation.most_requests}, cost)


def requests_after(world, turn, name):
    """API requests of another command after that."""
    cost = {}
    set_speed(world.sim)
    with fresh_mount(world.sim, {}) as mount:
        find_all(world.organisation, mount / "binders")
        with costs(world.sim, mount, cost):
            run_command(name, mount / "binders")
    return Sample({"mount": cost["requests"], ALLOWED: 0}, cost)


# --- One folder, fifty, and the first ---


def ls_cold(world, turn, latency):
    """`ls` of a folder of a fresh mount that has its token."""
    cost = {}
    set_speed(world.sim, latency)
    with fresh_mount(world.sim, cost) as mount:
        wait_for_token(world.sim)
        taken = run_command("ls", mount / folder_at(world, turn, world.organisation.depth))
    return Sample({"mount": taken, **({"4 × latency": 4 * latency / 1000} if latency else {})}, cost)


def folder_at(world, turn, level):
    """A folder so many levels below its binder, each turn in another binder."""
    folders = world.folders[turn % len(world.folders)]
    return next(path for path in folders if len(path.parts) == len(("binders", "binder")) + level)


def ls_parallel(world, turn, latency):
    """`ls` of fifty folders at once in a fresh mount."""
    cost = {}
    set_speed(world.sim, latency)
    folders = [path for binder in zip(*world.folders) for path in binder][:PARALLEL_LS]
    with fresh_mount(world.sim, cost) as mount:
        began = time.monotonic()
        running = [subprocess.Popen(["ls", mount / path], stdout=subprocess.DEVNULL, env=clean_environment())
                   for path in folders]
        assert not any(process.wait() for process in running)
        taken = time.monotonic() - began
    return Sample({"mount": taken}, cost)


def first_listing(world, turn, latency):
    """From the start of the daemon to the end of an `ls` of binders/."""
    cost = {}
    set_speed(world.sim, latency)
    began = time.monotonic()
    with fresh_mount(world.sim, cost) as mount:
        assert len(os.listdir(mount / "binders")) == world.organisation.binders
        taken = time.monotonic() - began
    return Sample({"mount": taken, **({"2 × latency": 2 * latency / 1000} if latency else {})}, cost)


def ls_large(world, turn, count, level):
    """What an `ls` of one folder of a fresh mount of a large organisation makes the daemon ask: requests until it is
    quiet again, and round trips, which is whole latencies until `ls` ended; both after the token. No order of calls
    is shorter than binders, drive, and the sub-folders of each level down to the folder."""
    cost = {}
    latency = 200
    set_speed(world.sim, latency)
    with fresh_mount(world.sim, {}) as mount:
        wait_for_token(world.sim)
        with costs(world.sim, mount, cost):
            taken = run_command("ls", mount / folder_at(world, turn, level))
    if count == "requests":
        return Sample({"mount": cost["requests"], ALLOWED: 12}, cost)
    return Sample({"mount": taken * 1000 // latency, ALLOWED: max(4, 2 + level)}, cost)


# --- TLS, and the peer ---


@contextlib.contextmanager
def tls_world():
    with simulated_world(SOME) as world, tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        authority = Authority(directory)
        world.authority = authority.file
        world.servers = {}
        for protocol in ("HTTP/2", "HTTP/1.1"):
            scratch = pathlib.Path(directory, protocol.replace("/", "-"))
            scratch.mkdir()
            world.servers[protocol] = stack.enter_context(
                nginx(scratch, world.sim.port, authority.certificate("server"), http2=protocol == "HTTP/2"))
        yield world


def find_tls(world, turn, latency, protocol):
    """The same through nginx with TLS; beside it without both, and the script through the same server."""
    cost = {}
    server = world.servers[protocol]
    set_speed(world.sim, latency)
    environment = {"IBINDER_API_URL": server.url("/api"), "IBINDER_AUTH_URL": server.url("/connect/token")}

    def through_tls():
        with fresh_mount(world.sim, cost, f"ca_file={world.authority}", env=environment) as mount:
            return find_all(world.organisation, mount / "binders")

    def plain():
        with fresh_mount(world.sim, {}) as mount:
            return find_all(world.organisation, mount / "binders")

    return Sample(in_turn(turn, {
        "mount": through_tls,
        "mount, plain HTTP": plain,
        SCRIPT + ", TLS": lambda: dump_by_script(world.sim, world.organisation, PARALLEL, server, world.authority),
    }), cost)


@contextlib.contextmanager
def peer_world():
    with simulated_world(ONE) as world, tempfile.TemporaryDirectory() as directory:
        world.scratch = pathlib.Path(directory)
        with mounted(world.sim) as mount:
            world.copy = copy_of(mount, world.scratch / "copy")
        yield world


def beside_peer(world, turn, name):
    """A command over a fresh mount, and over a fresh `rclone mount` of an HTTP index of the same tree."""
    cost = {}
    set_speed(world.sim, PEER_MS)

    def through_mount():
        with fresh_mount(world.sim, cost) as mount:
            return run_command(name, mount / "binders")

    def through_rclone():
        with rclone_mounted(world.copy, PEER_MS, world.scratch) as path:
            return run_command(name, path)

    return Sample(in_turn(turn, {"mount": through_mount, "`rclone mount`": through_rclone}), cost)


# --- The table ---


def some():
    return simulated_world(SOME)


MEASUREMENTS = {
    "find-cold": Measurement(
        f"find over a fresh mount of {SOME}, beside scripts of curl and jq",
        some, find_cold,
        [Line(f"`find`, {SOME}, {ms} ms", {"latency": ms},
              targets={SCRIPT: 1, BOUND: 2} if ms == TARGET_MS else {}) for ms in LATENCIES_MS],
        COLUMNS),
    "walk-cold": Measurement(
        "other commands over a fresh mount of the same",
        some, walk_cold,
        [Line(f"`{name}`, {SOME}, {ms} ms", {"latency": ms, "name": name})
         for ms in LATENCIES_MS for name in ("find -size", "ls -lR", "grep -r", "rg")],
        COLUMNS),
    "requests": Measurement(
        "API requests of find over a fresh mount of the same, and of what follows",
        some, lambda world, turn, **case: (requests_after if case else requests_cold)(world, turn, **case),
        [Line(f"requests of `find`, {SOME}", {}, show_count, {ALLOWED: 1})]
        + [Line(f"requests of `{name}` after it", {"name": name}, show_count, {ALLOWED: 1})
           for name in ("grep -r", "ls -lR")],
        COLUMNS),
    "ls-cold": Measurement(
        "ls of one folder of a fresh mount of the same",
        some, ls_cold,
        [Line(f"`ls` of a folder, {SOME}, {ms} ms", {"latency": ms}) for ms in LATENCIES_MS], COLUMNS),
    "ls-parallel": Measurement(
        f"ls of {PARALLEL_LS} folders at once in a fresh mount of the same",
        some, ls_parallel,
        [Line(f"{PARALLEL_LS} parallel `ls`, {SOME}, {ms} ms", {"latency": ms}) for ms in LATENCIES_MS], COLUMNS),
    "first-listing": Measurement(
        "from the start of the daemon to the first listing",
        some, first_listing,
        [Line(f"start to first `ls`, {ms} ms", {"latency": ms}) for ms in LATENCIES_MS], COLUMNS),
    "ls-large": Measurement(
        f"what ls of one folder asks in a fresh mount of {LARGE}",
        lambda: simulated_world(LARGE), ls_large,
        [Line(f"{count} of `ls` of a folder, level {level}, {LARGE}", {"count": count, "level": level}, show_count,
              {ALLOWED: 1}) for count in ("requests", "round trips") for level in range(1, LARGE.depth + 1)],
        COLUMNS),
    "tls": Measurement(
        "find over a fresh mount through nginx, HTTP/2 and HTTP/1.1",
        tls_world, find_tls,
        [Line(f"`find` over TLS, {protocol}, {SOME}, {ms} ms", {"latency": ms, "protocol": protocol})
         for ms in scaled((0, 50), (20,)) for protocol in ("HTTP/2", "HTTP/1.1")],
        COLUMNS),
    "peer": Measurement(
        f"find and grep -r over {ONE} at {PEER_MS} ms, beside rclone: no more, as it needs a request per file",
        peer_world, beside_peer,
        [Line(f"`{name}`, {ONE} only, {PEER_MS} ms", {"name": name}) for name in ("find", "grep -r")], COLUMNS),
}
