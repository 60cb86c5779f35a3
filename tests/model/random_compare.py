"""At a quiet point of a random run: the mount equals the server's truth, by every way that leads there.

Names, types, bytes, sizes, modes, link counts, inode numbers, and times: an object has the API's date,
or when it was first seen, until a change of it is seen; then it has the time of that, and no other
without a change.
"""

import json
import os
import stat
import time
import urllib.parse

import reference
from mounting import read_tree

# The wall clock of another process, and file times are cut to what the kernel keeps.
CLOCK_NS = 20_000_000


def scan(top):
    """{relative path: os.stat_result} of everything below a directory."""
    found = {}

    def walk(path, below):
        for entry in os.scandir(path):
            found[below + entry.name] = entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                walk(entry.path, below + entry.name + "/")

    walk(top, "")
    return found


def same(what, found, expected):
    """Raises with the first differences."""
    if found == expected:
        return
    paths = sorted(found.keys() | expected.keys())
    different = [(path, found.get(path, "missing"), expected.get(path, "not expected"))
                 for path in paths if found.get(path, "") != expected.get(path, "")]
    raise AssertionError(f"{what}: {len(different)} differ: {different[:3]!r}")


class Compare:
    def __init__(self, mount, world):
        self.mount, self.world = mount, world
        self.seen = {}  # by (binder, kind, id): (body, mtime_ns, inode) at the last quiet point
        self.last_ns = time.time_ns()
        self.began_ns = self.last_ns

    def all(self):
        """The paths that stand below the mount point."""
        expected = reference.tree(self.world.truth)
        contents = {path: entry.content for path, entry in expected.items()}
        same("binders/", read_tree(self.mount / "binders"), contents)
        stats = scan(self.mount / "binders")
        same("sizes", {path: None if stat.S_ISDIR(found.st_mode) else found.st_size for path, found in stats.items()},
             {path: None if content is None else len(content) for path, content in contents.items()})
        for path, found in stats.items():
            assert found.st_nlink == 1, (path, found)
            assert stat.S_IMODE(found.st_mode) == (0o555 if stat.S_ISDIR(found.st_mode) else 0o444), (path, found)
            assert found.st_mtime_ns == found.st_ctime_ns, (path, found)
        self.files(contents)
        self.links(contents)
        self.some_by_id()
        self.query()
        self.times(expected, scan(self.mount / "binders"))
        self.last_ns = time.time_ns()
        self.world.spoiled_ns = 0
        return [f"binders/{path}" for path in contents] + self.file_paths

    # --- Parts ---

    def files(self, contents):
        expected, versions = {}, {}
        for path, content in contents.items():
            value = content is not None and json.loads(content)
            if content is None:
                expected[path] = None
            elif isinstance(value, dict) and "latestVersionId" in value:
                versions[path.removesuffix(".json")] = value["latestVersionId"]
        expected.update({path: self.world.contents[version] for path, version in versions.items()})
        same("files/", read_tree(self.mount / "files"), expected)
        for path, content in expected.items():
            if content is not None:
                with open(self.mount / "files" / path, "rb") as file:
                    assert os.fstat(file.fileno()).st_size == len(content), path
        self.file_paths = [f"files/{path}" for path in expected]

    def links(self, contents):
        expected = {json.loads(content)["id"]: "../../binders/" + path.split("/")[0]
                    for path, content in contents.items() if path.count("/") == 1 and path.endswith("/binder.json")}
        top = self.mount / "by-id" / "binders"
        same("by-id/binders/", {name: os.readlink(top / name) for name in os.listdir(top)}, expected)

    def some_by_id(self):
        documents = [document for binder in self.world.truth for document in binder["documents"]]
        for document in documents[::7]:
            path = self.mount / "by-id" / "documents" / f"{document['id']}.json"
            assert path.read_bytes() == reference.indent(document["raw"]), path
        there = {document["id"] for document in documents}
        for identity in [identity for identity in self.world.versions if identity not in there][:5]:
            assert not (self.mount / "by-id" / "documents" / f"{identity}.json").exists(), identity

    def query(self):
        """As the API itself answers it."""
        term = "ny"
        answer = self.world.sim.search(f"pageSize=1000&pageNumber=1&searchTerm={urllib.parse.quote(term)}")
        items = answer.json()["items"]
        found = {json.loads(content)["id"]: content for content in read_tree(self.mount / "search" / term).values()}
        same("search/", found, {item["id"]: found.get(item["id"]) for item in items})
        for identity, content in found.items():
            assert content in self.world.texts[identity], content

    def identities(self, expected):
        """{path: (binder's id, kind, id)}"""
        binders = {path: json.loads(expected[path + "/binder.json"].content)["id"]
                   for path in expected if "/" not in path}
        found = {}
        for path, entry in expected.items():
            top = path.split("/")[0]
            if entry.is_dir:
                continue
            value = json.loads(entry.content)
            identity = value["id"] if isinstance(value, dict) else binders[top]
            kind = os.path.basename(path) if "fileName" not in value else "document"
            found[path] = binders[top], kind, identity
        return found

    def times(self, expected, stats):
        now_ns, seen = time.time_ns(), {}
        identities = self.identities(expected)
        for path, key in identities.items():
            entry, found = expected[path], stats[path]
            seen[key] = entry.content, found.st_mtime_ns, found.st_ino
            possible = self.possible_times(key, entry, now_ns)
            assert any(first <= found.st_mtime_ns <= last for first, last in possible), (
                path, found.st_mtime_ns, possible, self.seen.get(key, ("", "new"))[1])
            if key in self.seen:
                assert found.st_ino == self.seen[key][2], path
        self.directory_times(expected, stats, now_ns, seen)
        self.seen = seen

    def possible_times(self, key, entry, now_ns):
        """Spans in which the time may be."""
        date = [(entry.mtime_ns, entry.mtime_ns)] if entry.mtime_ns is not None else []
        lately = (self.last_ns - CLOCK_NS, now_ns + CLOCK_NS)
        ever = (self.began_ns - CLOCK_NS, now_ns + CLOCK_NS)
        if key not in self.seen:
            return [*date, ever]
        body, mtime_ns, _ = self.seen[key]
        same_as_before = [(mtime_ns, mtime_ns)]
        touched = self.world.touched.get(key[2], 0) >= self.last_ns
        if self.world.spoiled_ns:  # it may have seemed to change, or to go, and back
            return [*date, *same_as_before, ever]
        if body == entry.content:
            return same_as_before if not touched else [*date, *same_as_before, lately]
        return [*date, lately]

    def directory_times(self, expected, stats, now_ns, seen):
        """A directory's time changes when its entries do."""
        for path, entry in expected.items():
            if not entry.is_dir:
                continue
            below = path + "/"
            names = frozenset(other for other in expected
                              if other.startswith(below) and "/" not in other[len(below):])
            found = stats[path]
            key = ("directory", path, found.st_ino)
            seen[key] = names, found.st_mtime_ns, found.st_ino
            if key not in self.seen or self.world.spoiled_ns:
                continue
            before, mtime_ns, _ = self.seen[key]
            if before != names:
                assert self.last_ns - CLOCK_NS <= found.st_mtime_ns <= now_ns + CLOCK_NS, (
                    path, found.st_mtime_ns, self.last_ns, before ^ names)
            elif max(self.world.touched.values(), default=0) < self.last_ns:
                assert found.st_mtime_ns == mtime_ns, (path, "has the same entries, and another time")
