"""At a quiet point of a random run: the mount equals the server's truth, by every way that leads there.

Names, types, bytes, sizes, modes, link counts, inode numbers, and times: an object has the API's date,
or when it was first seen, until a change of it is seen; then it has the time of that, and no other
without a change.
"""

import collections
import json
import os
import stat
import time
import urllib.parse

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
        self.seen = {}  # by key: (body, mtime_ns, inode) at the last quiet point
        self.last_ns = time.time_ns()
        self.began_ns = self.last_ns

    def all(self):
        """The paths that stand below the mount point."""
        top = self.mount / self.world.TOP
        read_tree(top)  # where a category of a cycle stands is asked of what is shown then
        expected = self.world.expected(self.mount)
        contents = {path: entry.content for path, entry in expected.objects.items()}
        same(top.name, read_tree(top), contents)
        self.statuses(top, contents, expected.keys)
        self.files(expected)
        self.links(expected.links)
        self.some_by_id()
        if self.world.SEARCHES:
            self.query()
        self.times(expected, scan(top))
        self.last_ns = time.time_ns()
        self.world.spoiled_ns = 0
        return [f"{top.name}/{path}" for path in contents] + [f"files/{path}" for path in expected.files]

    # --- Parts ---

    def statuses(self, top, contents, keys):
        stats = scan(top)
        if top.name in dict(self.world.EXACT):
            same("sizes",
                 {path: None if stat.S_ISDIR(found.st_mode) else found.st_size for path, found in stats.items()},
                 {path: None if content is None else len(content) for path, content in contents.items()})
        links, inodes = collections.Counter(keys.values()), {}
        for path, found in stats.items():
            key = keys.get(path, path)
            assert found.st_nlink == links.get(key, 1), (path, found, links.get(key))
            assert inodes.setdefault(key, found.st_ino) == found.st_ino, (path, key)
            assert stat.S_IMODE(found.st_mode) == (0o555 if stat.S_ISDIR(found.st_mode) else 0o444), (path, found)
            assert found.st_mtime_ns == found.st_ctime_ns, (path, found)
        assert len(set(inodes.values())) == len(inodes)

    def files(self, expected):
        top = self.mount / "files"
        same("files/", read_tree(top), expected.files)
        for path, content in expected.files.items():
            if content is not None:
                with open(top / path, "rb") as file:
                    assert os.fstat(file.fileno()).st_size == len(content), path
        self.statuses(top, expected.files, expected.file_keys)

    def links(self, expected):
        top = self.mount / "by-id" / self.world.LINKS
        same("by-id/", {name: os.readlink(top / name) for name in os.listdir(top)},
             {name: f"../../{self.world.TOP}/{path}" for name, path in expected.items()})

    def some_by_id(self):
        top, there = self.mount / "by-id" / self.world.OBJECTS, self.world.by_id()
        for identity, text in list(there.items())[::7]:
            assert (top / f"{identity}.json").read_bytes() == text, identity
        for identity in [identity for identity in self.world.bodies if identity not in there][:5]:
            assert not (top / f"{identity}.json").exists(), identity

    def query(self):
        """As the API itself answers it."""
        term = self.world.SEARCHES[0]
        answer = self.world.sim.search(f"pageSize=1000&pageNumber=1&searchTerm={urllib.parse.quote(term)}")
        items = answer.json()["items"]
        found = {json.loads(content)["id"]: content for content in read_tree(self.mount / "search" / term).values()}
        same("search/", found, {item["id"]: found.get(item["id"]) for item in items})
        assert all(content in self.world.texts for content in found.values())

    def times(self, expected, stats):
        now_ns, seen = time.time_ns(), {}
        for path, key in expected.keys.items():
            entry, found = expected.objects[path], stats[path]
            seen[key] = entry.content, found.st_mtime_ns, found.st_ino
            possible = self.possible_times(key, entry, now_ns)
            assert any(first <= found.st_mtime_ns <= last for first, last in possible), (
                path, found.st_mtime_ns, possible, self.seen.get(key, ("", "new"))[1])
            if key in self.seen:
                assert found.st_ino == self.seen[key][2], path
        self.directory_times(expected.objects, stats, now_ns, seen)
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
        touched = self.world.touched.get(key, 0) >= self.last_ns
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
