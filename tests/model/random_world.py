"""The server's side of a random run: what it has, all that it ever had, how it changes, how it fails.

Whatever is changed is remembered before anybody can have read it: who judges what was read takes the
same lock as who changes.
"""

import collections
import json
import threading
import time

import reference

SECOND = reference.SECOND

API_ROUTES = ("binders", "metadataelements", "drive", "subfolders", "search", "document", "downloadlink", "*")
# Nothing that these leave behind is shown: a fetch fails, or comes later.
CLEAN_FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 503, "retry_after": "1"},
    {"kind": "status", "status": 429, "retry_after": "1"}, {"kind": "status", "status": 429}, {"kind": "reset"},
    {"kind": "status", "status": 401}, {"kind": "hang"}, {"kind": "truncate"}, {"kind": "not_json"},
    {"kind": "slow", "bytes_per_second": 2000}, {"kind": "delay", "ms": 300}, {"kind": "empty_body"},
]
# These may come through as answers, so that objects change for a while, or are not there.
DIRTY_FAULTS = [
    {"kind": "status", "status": 403}, {"kind": "bad_utf8"}, {"kind": "null_items"}, {"kind": "zero_page"},
    {"kind": "big_total"}, {"kind": "deep"}, {"kind": "redirect"},
    *({"kind": "wrong_types", "variant": variant} for variant in range(8)),
]
OF_PAGES = ("null_items", "zero_page", "big_total")
TOKEN_FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 429}, {"kind": "reset"}, {"kind": "hang"},
    {"kind": "not_json"}, {"kind": "status", "status": 401},
]
# Those that nothing tells from a right answer of who sees the size for the first time are left out.
STORAGE_FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 503, "retry_after": "1"},
    {"kind": "status", "status": 403}, {"kind": "status", "status": 404},
    {"kind": "status", "status": 429, "retry_after": "0"}, {"kind": "reset"}, {"kind": "hang"}, {"kind": "truncate"},
    {"kind": "slow", "bytes_per_second": 50_000}, {"kind": "delay", "ms": 200}, {"kind": "wrong_range"},
    {"kind": "short_range"}, {"kind": "ignore_range"}, {"kind": "no_content_range"}, {"kind": "encoded"},
]


class World:
    """`texts`: for each id, all files' contents that ever were right. `touched`: when each object last
    changed. `versions`: for each document, all that it ever had; `contents`: their bytes."""

    def __init__(self, sim, rng, log):
        self.sim, self.rng, self.log = sim, rng, log
        self.lock = threading.RLock()
        self.texts = collections.defaultdict(set)
        self.versions = collections.defaultdict(list)
        self.touched = {}
        self.contents = {}
        self.added = 0
        self.spoiled_ns = 0  # when an answer that may have been shown was last wrong
        self.remember()

    def remember(self):
        self.truth = self.sim.truth()
        for binder in self.truth:
            binder_id = json.loads(binder["raw"])["id"]
            self.texts[binder_id].add(reference.indent(binder["raw"]))
            self.texts["elements"].add(reference.indent(binder["metadataelements"]))
            for item in binder["folders"] + binder["documents"]:
                self.texts[item["id"]].add(reference.indent(item["raw"]))
            for document in binder["documents"]:
                version = document["latestVersionId"]
                if version not in self.contents:  # the simulator forgets what it deletes
                    self.contents[version] = self.sim.content(version)
                    self.versions[document["id"]].append(version)

    # --- Changes ---

    def change(self):
        with self.lock:
            made = self._change()
            if made:
                op, arguments = made
                self.log(op, arguments)
                answer = self.sim.change(op, **arguments)
                now = time.time_ns()
                for identity in (arguments.get("id"), arguments.get("binder"), (answer or {}).get("id")):
                    self.touched[identity] = now
                self.remember()

    def _change(self):
        """What is changed, as the simulator takes it; None: there is nothing to change so."""
        rng = self.rng
        binder = rng.choice(self.truth)
        binder_id = json.loads(binder["raw"])["id"]
        folder = rng.choice(binder["folders"]) if binder["folders"] else None
        document = rng.choice(binder["documents"]) if binder["documents"] else None
        self.added += 1
        name = rng.choice((f"Ny {self.added}", f"Ny {self.added}.pdf", "Samma namn.pdf", ".dold", "a/b", "ö" * 100))
        roll = rng.random()
        if roll < 0.06:
            if len(self.truth) < 7:
                return "add_binder", {"name": name}
            return "delete_binder", {"id": binder_id}
        if roll < 0.1:
            return "rename_binder", {"id": binder_id, "name": name}
        if roll < 0.2:
            parent = folder["id"] if folder and rng.random() < 0.5 else None
            return "add_folder", {"binder": binder_id, "parent": parent, "name": name}
        if roll < 0.3 and folder:
            if rng.random() < 0.5:
                return "rename_folder", {"id": folder["id"], "name": name}
            return "delete_folder", {"id": folder["id"], "keep_documents": rng.random() < 0.5}
        if roll < 0.5 or not document:
            if len(binder["documents"]) > 150:
                return None
            return "add_document", {"binder": binder_id, "folder": folder and folder["id"], "name": name}
        if roll < 0.6:
            return "delete_document", {"id": document["id"]}
        if roll < 0.7:
            return "rename_document", {"id": document["id"], "name": name}
        if roll < 0.8:
            return "move_document", {"id": document["id"], "folder": rng.choice((folder and folder["id"], None))}
        if roll < 0.9:
            return "new_version", {"id": document["id"]}
        return "set_metadata", {"id": document["id"], "key": rng.choice(("Remark", "GLOBAL_RevisionDate")),
                                "valueId": rng.choice(("x" * rng.randrange(300), "2024-05-06T07:08:09Z", None))}

    # --- Trouble ---

    def fail(self, dirty):
        rng = self.rng
        roll = rng.random()
        if roll < 0.25:
            route, fault = "storage", rng.choice(STORAGE_FAULTS)
        elif roll < 0.35:
            route, fault = "token", rng.choice(TOKEN_FAULTS)
        elif dirty and roll < 0.6:
            fault = rng.choice(DIRTY_FAULTS)
            route = "search" if fault["kind"] in OF_PAGES else rng.choice(API_ROUTES[:-1])
        else:
            fault = rng.choice(CLEAN_FAULTS)
            # "*" is storage as well, where nothing tells such an answer from a document.
            route = rng.choice(API_ROUTES[:-1] if fault["kind"] in ("not_json", "empty_body") else API_ROUTES)
        times = rng.choice((1, 1, 2, 5, -1))
        self.log("fault", route, fault, times)
        if fault in DIRTY_FAULTS:
            self.spoiled_ns = time.time_ns()
        self.sim.fault(route, times=times, after=rng.randrange(4), **fault)

    def clear(self):
        self.log("clear")
        if self.spoiled_ns:
            self.spoiled_ns = time.time_ns()
        self.sim.clear()

    def revoke(self):
        self.log("revoke tokens")
        self.sim.control("POST", "/tokens/revoke")

    def expire_links(self):
        self.log("expire links")
        self.sim.expire_links()

    def set_speed(self):
        setting = {"latency_ms": self.rng.choice((0, 0, 5, 50)), "jitter_ms": self.rng.choice((0, 20)),
                   "max_page": self.rng.choice((3, 20, 1000)),
                   "storage_range": self.rng.choice(("on", "on", "off")),
                   "storage_length": self.rng.choice(("on", "on", "off"))}
        self.log("settings", setting)
        self.sim.set(**setting)

    def be_well(self):
        self.clear()
        self.sim.token = None  # ours may have been revoked as well
        self.sim.set(latency_ms=0, jitter_ms=0, max_page=1000, storage_range="on", storage_length="on")
