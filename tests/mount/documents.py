"""Documents as a mount shows them, beside what the simulator says they hold."""

import contextlib
import hashlib
import json
import os
import pathlib

from mounting import api_requests, wait_until


class Document:
    """`path` is in files/, `json` in binders/; `size` and `version` are the simulator's."""

    def __init__(self, sim, mount, path, truth):
        self.sim = sim
        self.json = mount / "binders" / path
        self.path = mount / "files" / str(path).removesuffix(".json")
        self.id, self.version, self.size = truth["id"], truth["latestVersionId"], truth["size"]

    def truth(self, offset=0, length=None):
        return self.sim.content(self.version, offset, length)

    def new_version(self):
        """The document as it will be shown once the listing is refreshed."""
        newer = object.__new__(Document)
        newer.__dict__.update(self.__dict__)
        newer.version = self.sim.change("new_version", id=self.id)["latestVersionId"]
        newer.size = len(newer.truth())
        return newer


def fail(error):
    raise error


def documents_of(sim, mount):
    """All of the organisation, as binders/ shows them; which lists everything."""
    truth = {document["id"]: document for binder in sim.truth() for document in binder["documents"]}
    found = []
    for top, _, names in os.walk(mount / "binders", onerror=fail):
        for name in names:
            path = pathlib.Path(top, name)
            content = json.loads(path.read_bytes())
            if "fileName" in content:
                found.append(Document(sim, mount, path.relative_to(mount / "binders"), truth[content["id"]]))
    assert len(found) == len(truth)
    return found


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Traffic:
    """What one part of a test has asked the simulator for."""

    def __init__(self):
        self.links = self.requests = self.bytes = self.peak = 0
        self.routes = {}


def is_quiet(sim):
    stats = sim.stats()
    return not stats["in_flight"] and not stats["storage_in_flight"]


@contextlib.contextmanager
def traffic(sim):
    """Counts until nothing is under way any more, also of what is only read ahead."""
    wait_until(lambda: is_quiet(sim))
    sim.control("POST", "/stats/reset")
    seen = Traffic()
    yield seen
    wait_until(lambda: is_quiet(sim))
    stats = sim.stats()
    seen.routes = api_requests(sim)
    seen.links = stats["routes"]["downloadlink"]
    seen.requests, seen.bytes = stats["routes"]["storage"], stats["bytes"]["storage"]
    seen.peak = stats["storage_peak_concurrency"]
