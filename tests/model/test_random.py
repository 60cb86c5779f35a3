"""Random readers, changes, faults, expiries, signals, with little memory: at each quiet point the mount
equals the server's truth, no call outlasts its deadline, and at the end nothing is left.

The seed decides what is done and in which order, for each reader and for the server, not how the
machine interleaves them. It is printed; SEED=n repeats it. MODEL_SECONDS=n sets how long it goes on.
"""

import collections
import os
import pathlib
import random
import signal
import sys
import threading
import time

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mount")]

from mounting import mounted, simulated, wait_until  # noqa: E402
from pooling import pooled, results  # noqa: E402,F401
from random_compare import Compare  # noqa: E402
from random_ibinder import Organisation  # noqa: E402
from random_inbenta import KnowledgeBase  # noqa: E402
from random_readers import Problem, Reader  # noqa: E402

# A shell that runs us in the background has SIGINT ignored, and so would the commands that are interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)

READERS = 4
ROUND_S = (2, 5)
CALM_WITHIN_S = 60
# A call that is never answered would be waited for in vain.
STUCK_S = 2 * CALM_WITHIN_S + 30  # a quiet point has two waits
LOG_SHOWN = 40
ACTION_SHOWN = 300
# Gauges of the API, and of a storage if there is one.
BUSY = ("waiters", "requests_in_flight", "breaker_open")
KEPT = ("contents", "content_bytes")
WORLDS = {"ibinder": Organisation, "inbenta": KnowledgeBase}
# Runs that have found something once: (provider, seed).
KNOWN = ()


class Run:
    """One mount, until `seconds` have passed, with a quiet point after each round."""

    def __init__(self, seed, seconds):
        self.rng = random.Random(seed)
        self.seed, self.seconds = seed, seconds
        self.actions = collections.deque(maxlen=LOG_SHOWN)
        self.problems, self.paths = [], []
        self.mount = None
        self.round_end = 0
        self.deeds = self.failures = self.disturbances = self.rounds = 0

    def log(self, *what):
        self.actions.append((round(time.monotonic() - self.began, 2), *what))

    def lasts(self):
        return time.monotonic() < self.round_end and not self.problems

    def disturb(self):
        """One deed against the server, or the daemon."""
        world, roll = self.world, self.rng.random()
        self.disturbances += 1
        if roll < 0.45:
            world.change()
        elif roll < 0.85:
            if self.rng.random() < self.wellness:
                world.clear()
            else:
                world.fail(self.dirty)
        elif roll < 0.93:
            world.expire()
        elif roll < 0.97:
            world.set_speed()
        else:
            self.log("SIGHUP")
            self.mount.signal(signal.SIGHUP)
        time.sleep(self.rng.uniform(0, 0.1))

    def round(self):
        self.dirty = self.rng.random() < 0.3
        self.wellness = self.rng.choice((0.1, 0.4, 0.8))
        self.round_end = time.monotonic() + self.rng.uniform(*ROUND_S)
        readers = [Reader(self, self.rng.random()) for _ in range(READERS)]
        threads = [threading.Thread(target=reader.work) for reader in readers]
        for thread in threads:
            thread.start()
        try:
            while self.lasts():
                self.disturb()
        finally:
            self.round_end = 0
            for thread in threads:
                thread.join()
        self.deeds += sum(reader.deeds for reader in readers)
        self.failures += sum(reader.failures for reader in readers)
        if self.problems:
            raise self.problems[0]

    def is_calm(self):
        metrics = self.mount.metrics()
        return not any(value for name, value in metrics.items() if name.endswith(BUSY))

    def quiet(self):
        self.log("quiet")
        self.world.be_well()
        if "refused" in self.mount.control("status") or self.rng.random() < 0.2:
            self.mount.signal(signal.SIGHUP)  # what the text of a refusal advises
        wait_until(self.is_calm, CALM_WITHIN_S)
        last = None
        end = time.monotonic() + CALM_WITHIN_S
        while True:  # what is shown may be ttl + stale old, and what failed is not tried again at once
            try:
                self.paths = self.compare.all()
                break
            except (AssertionError, OSError) as problem:
                last = problem
                if "refused" in self.mount.control("status"):  # it was on its way when all became well
                    self.mount.signal(signal.SIGHUP)
            if time.monotonic() > end:
                raise AssertionError(
                    f"all is well, and the mount is not as the server:\n{self.mount.control('status')}") from last
            time.sleep(0.1)
        self.rounds += 1

    def go(self, sim, world, options, env):
        with mounted(sim, options, env=env) as self.mount:
            self.began = time.monotonic()
            self.world = world(sim, self.rng, self.log)
            self.compare = Compare(self.mount, self.world)
            self.watched(self.quiet)
            first = self.leftovers()
            while time.monotonic() - self.began < self.seconds:
                self.watched(self.round)
                self.watched(self.quiet)
            self.end(first)

    def watched(self, step):
        """Ends the daemon if it leaves somebody waiting: then every call comes back, and says how long it took."""
        watchdog = threading.Timer(STUCK_S, self.mount.signal, (signal.SIGABRT,))
        watchdog.start()
        try:
            step()
        finally:
            watchdog.cancel()

    # --- The end ---

    def descriptors(self):
        """But sockets: connections are kept for a while."""
        found = pathlib.Path(f"/proc/{self.mount.process.pid}/fd")
        return sorted(target for target in (os.readlink(entry) for entry in found.iterdir())
                      if not target.startswith("socket:"))

    def forgotten(self):
        """The kernel's caches are dropped, those of the whole machine: there is no other way."""
        os.sync()
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")
        return self.mount.metrics()["nodes"] == 0

    def leftovers(self):
        wait_until(self.forgotten)
        return len(self.descriptors())

    def end(self, first):
        self.mount.signal(signal.SIGHUP)
        wait_until(lambda: not any(self.mount.metrics().get(name) for name in KEPT))
        assert self.leftovers() == first, self.descriptors()
        wait_until(self.is_calm)
        self.metrics = self.mount.metrics()
        assert self.metrics["listing_bytes"] <= self.memory * self.world.LISTINGS_SHARE, self.metrics


def show(line):
    """In one piece: two runs go on at the same time."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(provider, seed, seconds):
    world, made = WORLDS[provider], Run(seed, seconds)
    rng = made.rng
    large = rng.random() < 0.4
    made.memory = (1 if large else rng.choice((1, 4))) << 20
    made.timeout = 1
    simulated_options, special, env = world.draw_options(rng, large)
    settings = {
        "timeout": made.timeout,
        "memory": f"{made.memory >> 20}M",
        "ttl": rng.choice((0.3, 1) if large else (world.TTL_MIN, 0.3, 1)),
        "stale": rng.choice((0, 1)),
        "connections": rng.choice((1, 4, 16)),
        **special,
    }
    made.refetches = settings["ttl"] == 0 and settings["stale"] == 0
    options = ",".join(f"{key}={value}" for key, value in settings.items())
    show(f"{provider} SEED={seed} {options} {' '.join(simulated_options)}")
    try:
        with simulated(*simulated_options, f"--seed={rng.randint(1, 1000)}", kind=world.SIMULATOR) as sim:
            made.go(sim, world, options, env)
    except (AssertionError, OSError, Problem) as problem:
        latest = "\n".join(repr(action)[:ACTION_SHOWN] for action in made.actions)
        said = "\n".join(made.mount.lines[-LOG_SHOWN:]) if made.mount else ""
        raise AssertionError(
            f"{provider} SEED={seed}: {problem}\n{problem.__cause__ or ''}\n{latest}\n{said}") from problem
    took = time.monotonic() - made.began
    show(f"{provider} SEED={seed}: {made.rounds} quiet points, {made.deeds} deeds ({made.failures} failed), "
         f"{made.disturbances} disturbances, {60 * (made.deeds + made.disturbances) / took:.0f} a minute; "
         f"{made.metrics['listing_evictions_total']} evictions, {made.metrics['deadlines_missed_total']} deadlines "
         f"missed, {made.metrics['waits_total']} waits")


@pytest.fixture(scope="module", autouse=True)
def shown(request):
    """Seeds are printed even if a run does not come to an end."""
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        yield


def cases():
    """(provider, seed, seconds)"""
    seconds = float(os.environ.get("MODEL_SECONDS", 60))
    if "SEED" in os.environ:
        return [(provider, int(os.environ["SEED"]), seconds) for provider in WORLDS]
    known = [(provider, seed, 5) for provider, seed in KNOWN]
    return known + [(provider, random.SystemRandom().randrange(1, 1 << 31), seconds) for provider in WORLDS]


@pooled(cases())
def test_at_quiet_points_the_mount_is_as_the_server(provider, seed, seconds):
    run(provider, seed, seconds)
