#!/usr/bin/env python3
"""Four readers, changes and faults for a long time: what is read is right, and memory, descriptors and
threads of the daemon stay flat.

    IBINDERFS_BUILD=build-release nice /usr/bin/python3 tests/mount/soak.py --minutes 30

Prints a line of figures now and then, and a verdict. Exit status 0: nothing was wrong and all is flat.
Errors that a planted fault explains are counted, not held against the daemon.
"""

import argparse
import collections
import errno
import json
import os
import pathlib
import random
import signal
import statistics
import sys
import threading
import time

from mounting import mounted, simulated, wait_until
from pooling import works

ORGANISATION = ("--binders=12", "--folders=4", "--depth=2", "--documents=100", "--size-min=1", "--size-max=300000")
# memory= is about what the organisation takes, so that what grows beyond is evicted.
OPTIONS = "ttl=2,stale=3,timeout=2,memory=8M,connections=8"
READERS = 4
# What a reader may meet while faults last; ENOENT and ESTALE: a change.
EXPLAINED = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EBUSY, errno.EIO, errno.EBADMSG, errno.EACCES, errno.ENOENT,
             errno.ESTALE, errno.EFBIG}
FAULTS = (
    *({"kind": "status", "status": status, "times": 3} for status in (400, 401, 403, 404, 500, 503)),
    {"kind": "status", "status": 429, "retry_after": "1", "times": 2},
    *({"kind": kind, "times": 3} for kind in ("reset", "hang", "truncate", "not_json", "empty_body", "redirect", "deep")),
    {"kind": "slow", "bytes_per_second": 100, "times": 2},
    {"kind": "delay", "ms": 500, "times": 10},
    *({"kind": "wrong_types", "variant": variant, "times": 2} for variant in range(8)),
)
# Of storage that sends something else as if it were the document nobody can tell who does not know its size.
STORAGE_FAULTS = tuple(fault for fault in FAULTS
                       if fault["kind"] in ("status", "reset", "hang", "truncate", "slow", "delay"))
ROUTES = ("token", "binders", "metadataelements", "drive", "subfolders", "search", "document", "downloadlink", "storage")
# Of the median of the middle third: what the last third's may exceed it by.
RSS_SLACK = 1.05
RSS_SLACK_KB = 512

Sample = collections.namedtuple("Sample", "second rss_kb keeper_kb descriptors threads cached_kb nodes operations errors")


class Soak:
    def __init__(self, sim, mount, seed):
        self.sim, self.mount, self.seed = sim, mount, seed
        self.ended = threading.Event()
        self.wrong, self.samples = [], []
        self.operations, self.errors = collections.Counter(), collections.Counter()
        self.began = time.monotonic()
        children = pathlib.Path(f"/proc/{mount.process.pid}/task/{mount.process.pid}/children").read_text()
        self.keeper = int(children.split()[0])

    # --- Readers ---

    def read_json(self, rng):
        binder = rng.choice(os.listdir(self.mount / "binders"))
        for top, _, names in os.walk(self.mount / "binders" / binder):
            for name in names:
                path = os.path.join(top, name)
                with open(path, "rb") as file:
                    data = file.read()
                    size = os.fstat(file.fileno()).st_size
                if len(data) != size:
                    self.wrong.append(f"{path}: {len(data)} bytes of {size}")
                json.loads(data)  # which may be `null`, if the server says so
            if rng.random() < 0.3:
                return

    def some_document(self, rng):
        """A document's JSON and its path below the binders, or nothing."""
        binder = rng.choice(os.listdir(self.mount / "binders"))
        found = [path for path in (self.mount / "binders" / binder).rglob("*.json")]
        path = rng.choice(found)
        about = json.loads(path.read_bytes())
        return (path, about) if isinstance(about, dict) and "latestVersionId" in about else (None, None)

    def read_bytes(self, rng):
        path, about = self.some_document(rng)
        if not path:
            return
        inside = str(path.relative_to(self.mount / "binders")).removesuffix(".json")
        with open(self.mount / "files" / inside, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            offset = rng.randrange(max(1, size)) if rng.random() < 0.5 else 0
            file.seek(offset)
            data = file.read()
        if len(data) != max(0, size - offset):
            self.wrong.append(f"{path}: {len(data)} bytes from {offset} of {size}")
        elif not any(self.is_version(version, offset, data) for version in self.versions(about)):
            self.wrong.append(f"{path}: no version of {about['id']}")

    def versions(self, about):
        """Of a document, the one that its JSON had first: it may have changed since, or be gone."""
        yield about["latestVersionId"]
        for binder in self.sim.truth():
            for document in binder["documents"]:
                if json.loads(document["raw"])["id"] == about["id"]:
                    yield from (version["id"] for version in document["versions"])
                    return
        yield None

    def is_version(self, version, offset, data):
        if not data or not version:  # nothing to tell it by
            return True
        answer = self.sim.request("GET", f"/content?version={version}&offset={offset}&length={len(data)}",
                                  port=self.sim.control_port)
        return answer.body == data if answer.status == 200 else False

    def search(self, rng):
        for name in os.listdir(self.mount / "search" / rng.choice(("plan", "ritning", "A-40", "e", "nothing at all"))):
            json.loads((self.mount / "search" / "e" / name).read_bytes())
            return

    def by_id(self, rng):
        path, about = self.some_document(rng)
        if path and json.loads((self.mount / f"by-id/documents/{about['id']}.json").read_bytes())["id"] != about["id"]:
            self.wrong.append(f"by-id/documents/{about['id']}.json: another document")

    def look_at_status(self, _):
        for name in os.listdir(self.mount / ".ibinderfs"):
            self.mount.control(name)

    def read(self, number):
        rng = random.Random(f"{self.seed} reader {number}")
        while not self.ended.is_set():
            operation = rng.choice((self.read_json, self.read_json, self.read_bytes, self.read_bytes, self.search,
                                    self.by_id, self.look_at_status))
            try:
                operation(rng)
                self.operations[operation.__name__] += 1
            except OSError as error:
                self.errors[errno.errorcode[error.errno]] += 1
                if error.errno not in EXPLAINED:
                    self.wrong.append(f"{operation.__name__}: {error}")
            except IndexError:
                pass  # nothing is there to choose from
            except Exception as error:  # a reader that ends would go unnoticed
                self.wrong.append(f"{operation.__name__}: {error!r}")

    # --- Trouble ---

    def change(self):
        rng = random.Random(f"{self.seed} changes")
        while not self.ended.wait(0.3):
            binder = rng.choice(self.sim.truth())
            document = json.loads(rng.choice(binder["documents"])["raw"])["id"] if binder["documents"] else None
            if not document or (len(binder["documents"]) < 110 and rng.random() < 0.3):
                self.sim.change("add_document", binder=json.loads(binder["raw"])["id"], folder=None,
                                name=f"Ny {rng.randrange(10**6)}.pdf")
            elif rng.random() < 0.4:
                self.sim.change("rename_document", id=document, name=f"Omdöpt {rng.randrange(10**6)}.pdf")
            elif rng.random() < 0.6:
                self.sim.change("new_version", id=document)
            else:
                self.sim.change("delete_document", id=document)

    def trouble(self):
        rng = random.Random(f"{self.seed} faults")
        while not self.ended.wait(rng.uniform(0.5, 3)):
            what = rng.random()
            if what < 0.75:
                route = rng.choice(ROUTES)
                fault = dict(rng.choice(STORAGE_FAULTS if route == "storage" else FAULTS))
                self.sim.fault(route, fault.pop("kind"), **fault)
            elif what < 0.83:
                self.sim.control("POST", "/tokens/revoke")
            elif what < 0.91:
                self.sim.expire_links()
            else:
                self.mount.signal(signal.SIGHUP)
            if rng.random() < 0.5:
                self.ended.wait(rng.uniform(0.2, 2))
                self.sim.clear()

    # --- Figures ---

    def sample(self):
        pid = self.mount.process.pid
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        value = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
        keeper = pathlib.Path(f"/proc/{self.keeper}/statm").read_text().split()
        cached = json.loads(self.mount.control("status.json"))["memory_bytes"]
        self.samples.append(Sample(
            int(time.monotonic() - self.began), int(value["VmRSS"]), int(keeper[1]) * os.sysconf("SC_PAGE_SIZE") // 1024,
            len(os.listdir(f"/proc/{pid}/fd")), int(value["Threads"]), cached // 1024, self.mount.metrics()["nodes"],
            sum(self.operations.values()), sum(self.errors.values())))
        return self.samples[-1]

    def run(self, seconds, every):
        threads = [threading.Thread(target=self.read, args=[number]) for number in range(READERS)]
        threads += [threading.Thread(target=self.change), threading.Thread(target=self.trouble)]
        for thread in threads:
            thread.start()
        print(*Sample._fields, sep="\t", flush=True)
        try:
            while time.monotonic() - self.began < seconds:
                time.sleep(every)
                print(*self.sample(), sep="\t", flush=True)
        finally:
            self.ended.set()
            self.sim.clear()
            for thread in threads:
                thread.join()
        wait_until(self.quiet)
        wait_until(lambda: works(lambda: os.listdir(self.mount / "binders")))
        wait_until(self.quiet)

    def quiet(self):
        metrics = self.mount.metrics()
        return (metrics["waiters"], metrics["requests_in_flight"], metrics["storage_requests_in_flight"]) == (0, 0, 0)

    def problems(self):
        """What is wrong, as lines; a short run says little of what is flat."""
        found = list(dict.fromkeys(self.wrong))
        third = len(self.samples) // 3
        if third < 2:
            return found
        for field in ("rss_kb", "keeper_kb", "descriptors", "threads"):
            middle, last = (
                statistics.median(getattr(sample, field) for sample in part)
                for part in (self.samples[third:2 * third], self.samples[2 * third:])
            )
            slack = RSS_SLACK_KB if field.endswith("kb") else 3
            if last > middle * RSS_SLACK + slack:
                found.append(f"{field} is not flat: the median went from {middle} to {last}")
        return found


def soak(seconds, every, seed):
    with simulated(*ORGANISATION, f"--seed={seed}") as sim, mounted(sim, OPTIONS) as mount:
        run = Soak(sim, mount, seed)
        run.run(seconds, every)
        return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=10, help="seconds between samples")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    words = parser.parse_args()
    print(f"seed {words.seed}")
    run = soak(words.minutes * 60, words.every, words.seed)
    print("operations", dict(run.operations))
    print("errors", dict(run.errors))
    for field in ("rss_kb", "keeper_kb", "descriptors", "threads", "cached_kb", "nodes"):
        values = [getattr(sample, field) for sample in run.samples]
        thirds = [values[len(values) * part // 3:len(values) * (part + 1) // 3] for part in range(3)]
        medians = ", ".join(str(statistics.median(part)) for part in thirds if part)
        print(f"{field}: {min(values)} to {max(values)}, medians of the thirds {medians}")
    problems = run.problems()
    print(*problems or ["all right and flat"], sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
