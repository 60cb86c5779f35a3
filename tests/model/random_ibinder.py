"""A random run's organisation in iBinder."""

import json

import reference
from random_world import CLEAN_FAULTS, TOKEN_FAULTS, WRONG_TYPES, Expected, World
from sim_client import Sim

ROUTES = ("binders", "metadataelements", "drive", "subfolders", "search", "document", "downloadlink")
# These may come through as answers, so that objects change for a while, or are not there.
DIRTY_FAULTS = [
    {"kind": "status", "status": 403}, {"kind": "bad_utf8"}, {"kind": "null_items"}, {"kind": "zero_page"},
    {"kind": "big_total"}, {"kind": "deep"}, {"kind": "redirect"}, *WRONG_TYPES,
]
OF_PAGES = ("null_items", "zero_page", "big_total")
# Those that nothing tells from a right answer of who sees the size for the first time are left out.
STORAGE_FAULTS = [
    {"kind": "status", "status": 500}, {"kind": "status", "status": 503, "retry_after": "1"},
    {"kind": "status", "status": 403}, {"kind": "status", "status": 404},
    {"kind": "status", "status": 429, "retry_after": "0"}, {"kind": "reset"}, {"kind": "hang"}, {"kind": "truncate"},
    {"kind": "slow", "bytes_per_second": 50_000}, {"kind": "delay", "ms": 200}, {"kind": "wrong_range"},
    {"kind": "short_range"}, {"kind": "ignore_range"}, {"kind": "no_content_range"}, {"kind": "encoded"},
]
SMALL = ("--binders=3", "--folders=5", "--depth=3", "--documents=24", "--size-min=0", "--size-max=200000")
# Its listings do not fit into the least memory there is.
LARGE = ("--binders=5", "--folders=6", "--depth=3", "--documents=70", "--metadata=30", "--size-max=3000")


class Organisation(World):
    TOP, LINKS, OBJECTS = "binders", "binders", "documents"
    EXACT = (("binders", ".json"),)
    SEARCHES = ("ny", "samma", "a", "GLOBAL_Status=Archived")
    UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
    LISTINGS_SHARE = 3 / 4  # of memory=; the rest is for document bytes
    EXPIRIES = ("/tokens/revoke", "/links/expire")
    SETTINGS = {
        "latency_ms": (0, 0, 5, 50), "jitter_ms": (0, 20), "max_page": (1000, 3, 20),
        "storage_range": ("on", "on", "off"), "storage_length": ("on", "on", "off"),
    }
    SIMULATOR = Sim

    @staticmethod
    def draw_options(rng, large):
        """Options of the simulator, and of the mount, and its environment."""
        return (
            (*(LARGE if large else SMALL), "--odd-names"),
            {"page_size": 250 if large else rng.choice((7, 250)), "sizes": rng.choice(("lazy", "lazy", "exact"))},
            {},
        )

    def __init__(self, *arguments):
        self.versions = {}  # their bytes
        super().__init__(*arguments)

    def objects(self):
        found = {}
        for binder in self.truth:
            identity = json.loads(binder["raw"])["id"]
            found[identity, "binder.json", identity] = reference.indent(binder["raw"])
            found[identity, "metadata-elements.json", identity] = reference.indent(binder["metadataelements"])
            for kind, items in ("folder.json", binder["folders"]), ("document", binder["documents"]):
                found.update(((identity, kind, item["id"]), reference.indent(item["raw"])) for item in items)
        return found

    def remember_bodies(self):
        for binder in self.truth:
            for document in binder["documents"]:
                version = document["latestVersionId"]
                if version not in self.versions:  # the simulator forgets what it deletes
                    self.versions[version] = self.sim.content(version)
                    self.bodies[document["id"]].append(self.versions[version])

    def by_id(self):
        return {identity: text for (_, kind, identity), text in self.current.items() if kind == "document"}

    def expected(self, _mount):
        objects = reference.tree(self.truth)
        values = {path: entry.content and json.loads(entry.content) for path, entry in objects.items()}
        binders = {path: values[path + "/binder.json"]["id"] for path in objects if "/" not in path}
        files, keys = {}, {}
        for path, value in values.items():
            binder = binders[path.split("/")[0]]
            if value is None:
                files[path] = None
            elif isinstance(value, list):
                keys[path] = binder, "metadata-elements.json", binder
            elif "latestVersionId" in value:
                keys[path] = binder, "document", value["id"]
                files[path.removesuffix(".json")] = self.versions[value["latestVersionId"]]
            else:
                keys[path] = binder, path.split("/")[-1], value["id"]
        file_keys = {path: path for path, content in files.items() if content is not None}
        return Expected(objects, keys, files, file_keys, {identity: path for path, identity in binders.items()})

    def draw_change(self):
        rng = self.rng
        binder = rng.choice(self.truth)
        binder_id = json.loads(binder["raw"])["id"]
        folder = rng.choice(binder["folders"]) if binder["folders"] else None
        document = rng.choice(binder["documents"]) if binder["documents"] else None
        name = self.draw_name()
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

    def draw_fault(self, dirty):
        rng = self.rng
        roll = rng.random()
        if roll < 0.25:
            return "storage", rng.choice(STORAGE_FAULTS), False
        if roll < 0.35:
            return "token", rng.choice(TOKEN_FAULTS), False
        if dirty and roll < 0.6:
            fault = rng.choice(DIRTY_FAULTS)
            return "search" if fault["kind"] in OF_PAGES else rng.choice(ROUTES), fault, True
        fault = rng.choice(CLEAN_FAULTS)
        # "*" is storage as well, where nothing tells such an answer from a document.
        return rng.choice(ROUTES if fault["kind"] in ("not_json", "empty_body") else (*ROUTES, "*")), fault, False
