"""What the daemon needs of memory and processor."""

import contextlib
import time
import types

from model import Line, Measurement, Sample, cpu_seconds, scaled, status_of
from mounting import mounted, wait_until
from organisations import COLUMNS, Organisation, drop_kernel_caches, find_all, fresh_mount

FEW = scaled(Organisation(40, 25, 250), Organisation(4, 5, 25, 2))
MANY = scaled(Organisation(40, 25, 2500), Organisation(4, 5, 250, 2))
OPTIONS = ("ttl=36000", "memory=4G")
IDLE_S = scaled(10, 2)
MIB = 1 << 20


@contextlib.contextmanager
def two_sizes():
    with FEW.simulated() as few, MANY.simulated() as many:
        yield {FEW: few, MANY: many}


def rss_after_find(sims, organisation, cost):
    """Resident bytes before and after a `find` over everything, and bytes of all answers to searches: the documents'
    JSON and some 60 bytes a page."""
    with fresh_mount(sims[organisation], cost, *OPTIONS) as mount:
        before = status_of(mount.process.pid, "VmRSS")
        find_all(organisation, mount / "binders")
        after = status_of(mount.process.pid, "VmRSS")
    return before, after, sims[organisation].stats()["bytes"]["search"]


def memory(sims, turn, organisation):
    """All told, per document."""
    cost = {}
    _, rss, sent = rss_after_find(sims, organisation, cost)
    sent /= organisation.total
    return Sample({"mount": rss / organisation.total, "1.25 × JSON + 150": 1.25 * sent + 150, "JSON": sent}, cost)


def growth(sims, turn):
    """For each further document, beside each of the first ones, without what an empty daemon needs."""
    cost = {}
    before, few, _ = rss_after_find(sims, FEW, {})
    _, many, _ = rss_after_find(sims, MANY, cost)
    return Sample({"mount": (many - few) / (MANY.total - FEW.total),
                   "each of the first": (few - before) / FEW.total}, cost)


def cap(sims, turn):
    """Peak memory of a walk of an organisation whose listings need four times `memory=`, by the daemon's count."""
    cost = {}
    with fresh_mount(sims[MANY], {}, *OPTIONS) as mount:
        find_all(MANY, mount / "binders")
        limit = max(mount.metrics()["listing_bytes"] // 4 // MIB, 1) * MIB
    with fresh_mount(sims[MANY], cost, "ttl=36000", f"memory={limit}") as mount:
        find_all(MANY, mount / "binders")
    return Sample({"mount": cost["peak"], "`memory=`": limit}, cost)


def cpu_at_rest(mount):
    """The daemon's CPU seconds, once it does nothing any more."""
    def unchanged():
        before = cpu_seconds(mount.process.pid)
        time.sleep(0.2)
        return before if cpu_seconds(mount.process.pid) == before else None

    return wait_until(unchanged)


def cpu(sims, turn, serving):
    """CPU of a cold `find`, per document; ingesting alone: less that of a second one, with the kernel's caches
    dropped, which is the serving."""
    cost = {}
    with fresh_mount(sims[MANY], cost, *OPTIONS) as mount:
        start = cpu_seconds(mount.process.pid)
        find_all(MANY, mount / "binders")
        taken = cpu_at_rest(mount) - start
        if not serving:
            drop_kernel_caches()
            start = cpu_at_rest(mount)
            find_all(MANY, mount / "binders")
            taken -= cpu_at_rest(mount) - start
    values = {"mount": taken / MANY.total * 1e6}
    return Sample(values if serving else {**values, "allowed": 15}, cost)


def idle(sims, turn, what):
    """Of a mount that has listed everything and that nobody uses: wake-ups (voluntary switches) in a while, and CPU."""
    cost = {}
    with fresh_mount(sims[FEW], cost, *OPTIONS) as mount:
        find_all(FEW, mount / "binders")
        pid = mount.process.pid
        start = cpu_at_rest(mount)
        switches = status_of(pid, "voluntary_ctxt_switches")
        time.sleep(IDLE_S)
        used = types.SimpleNamespace(wakeups=status_of(pid, "voluntary_ctxt_switches") - switches,
                                     cpu=cpu_seconds(pid) - start)
    return Sample({"mount": getattr(used, what), "allowed": 0}, cost)


def show_bytes(count):
    return f"{count / MIB:.0f} MiB" if count >= MIB else f"{count:.0f} B"


MEASUREMENTS = {
    "memory": Measurement(
        f"resident memory per document after find over {FEW} and {MANY}, beside their JSON",
        two_sizes, lambda sims, turn, organisation=None: (memory(sims, turn, organisation) if organisation
                                                          else growth(sims, turn)),
        [Line(f"memory per document, {each}", {"organisation": each}, show_bytes, {"1.25 × JSON + 150": 1})
         for each in (FEW, MANY)]
        + [Line("memory of each further document", {}, show_bytes, {"each of the first": 1.05})],
        COLUMNS),
    "memory-cap": Measurement(
        f"peak memory of a walk of {MANY} with a quarter of the memory",
        two_sizes, cap, [Line(f"peak of `find`, {MANY}, `memory=` a quarter", {}, show_bytes, {"`memory=`": 1.1})],
        COLUMNS),
    "cpu": Measurement(
        f"the daemon's CPU per document, {MANY}",
        two_sizes, cpu,
        [Line(f"CPU per document {what}, {MANY}", {"serving": serving}, lambda us: f"{us:.1f} µs",
              {"allowed": 1}) for what, serving in (("ingested", False), ("ingested and served", True))],
        COLUMNS),
    "idle": Measurement(
        f"what the daemon does in {IDLE_S} s in which nobody asks",
        two_sizes, idle,
        [Line(f"wake-ups in {IDLE_S} s", {"what": "wakeups"}, lambda n: f"{n:.0f}", {"allowed": 1}),
         Line(f"CPU in {IDLE_S} s", {"what": "cpu"}, lambda s: f"{s * 1000:.2f} ms", {"allowed": 1})],
        COLUMNS),
}
