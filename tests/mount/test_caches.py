"""The kernel's caches work for the mount, and never show what is no longer so.

What reaches the daemon is counted by the daemon itself (upcalls_*_total in `.ibinderfs/metrics`):
a request that the kernel answers from its caches is not counted.
"""

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import time

import pytest

from mounting import mounted, read_tree, run, simulated, wait_until

TTL_S = 0.5
# Past ttl every access waits for a new listing: no refresh comes in between by itself.
WATCHFUL = (f"ttl={TTL_S}", "stale=0")
DOCUMENTS = 60
DIRECTORIES = 1 + 2 * (1 + 5)  # binders/, and for each of two binders its own and its folders


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


class Upcalls(dict):
    """Those that were made, by kind; what was not called is 0."""

    def __missing__(self, kind):
        return 0


def upcalls_so_far(mount):
    counters = {name: value for name, value in mount.metrics().items() if name.startswith("upcalls_")}
    return {name.removeprefix("upcalls_").removesuffix("_total"): value for name, value in counters.items()}


@contextlib.contextmanager
def upcalls_during(mount):
    made = Upcalls()
    before = upcalls_so_far(mount)
    yield made
    made.update({kind: n - before[kind] for kind, n in upcalls_so_far(mount).items() if n != before[kind]})


@pytest.fixture
def sim():
    with simulated("--binders=2", "--folders=5", "--depth=2", f"--documents={DOCUMENTS}") as sim:
        yield sim


@pytest.fixture
def mount(sim):
    """Whatever it knows stays fresh for the whole test."""
    with mounted(sim, "ttl=600") as mount:
        yield mount


@pytest.fixture
def watchful(sim):
    with mounted(sim, *WATCHFUL) as mount:
        yield mount


class Document:
    """A document of the organisation, and where a mount shows it."""

    def __init__(self, sim, mount, index=3):
        self.sim, self.mount = sim, mount
        self.truth = sim.truth()[0]["documents"][index]
        self.id = self.truth["id"]
        # Both lengths can follow: a value that is longer, and one that is shorter.
        self.set_value("value of " + "middling" * 20)
        let_ttl_pass()
        tree = read_tree(mount / "binders")
        (path,) = [path for path, content in tree.items() if content and self.id.encode() in content]
        self.path, self.content = mount / "binders" / path, tree[path]

    def set_value(self, value):
        self.sim.change("set_metadata", id=self.id, key="Remark", valueId=value)

    def new_version(self):
        """Changes it without changing its length; returns what only the new one holds."""
        return self.sim.change("new_version", id=self.id)["latestVersionId"].encode()

    def read(self):
        return self.path.read_bytes()


@pytest.fixture
def document(sim, watchful):
    return Document(sim, watchful)


HOLDER = """
import os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
first = os.read(file, int(sys.argv[2]))
print("open", flush=True)
sys.stdin.readline()
sys.stdout.buffer.write(first + b"".join(iter(lambda: os.read(file, 100), b"")))
"""


@contextlib.contextmanager
def held_open(path, already_read):
    """Another process opens the file and reads that much; `finish` gives all that it read."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), str(already_read)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"open\n"
        yield lambda: process.communicate(b"\n", timeout=10)[0]
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


# --- Counting ---


def test_the_daemon_counts_what_the_kernel_asks(mount):
    with upcalls_during(mount) as made:
        os.listdir(mount / "binders")
    assert made["opendir"] == 1 and made["readdir"] >= 1
    with upcalls_during(mount) as made:
        for number in range(7):
            assert not os.path.lexists(mount / "binders" / f"unknown {number}")
        os.statvfs(mount.path)
    assert made == {"lookup": 7, "statfs": 1}
    binder = mount / "binders" / os.listdir(mount / "binders")[0]
    os.listdir(binder)
    with upcalls_during(mount) as made:
        (binder / "binder.json").read_bytes()
    assert made == {"open": 1, "read": 1}


def test_looking_at_the_counters_does_not_change_them(mount):
    mount.metrics()
    with upcalls_during(mount) as made:
        mount.metrics()
        os.listdir(mount / ".ibinderfs")
        os.stat(mount / ".ibinderfs" / "status")
    assert made == {}


# --- Names and attributes ---


def test_a_cold_walk_makes_no_lookup_per_entry(mount):
    """readdirplus is forced: one listing of a directory brings the attributes of all entries."""
    with upcalls_during(mount) as made:
        lines = run("ls", "-lR", str(mount / "binders")).count("\n")
    assert lines > 2 * DOCUMENTS
    assert made["lookup"] <= 1 and made["getattr"] <= 2  # for the path that was named
    assert made["opendir"] == DIRECTORIES and made["readdir"] <= 2 * DIRECTORIES


@pytest.mark.parametrize("command", [("find",), ("ls", "-lR"), ("ls", "-laR"), ("du", "-a")], ids=" ".join)
def test_within_ttl_a_second_walk_only_opens_directories(mount, command):
    run("ls", "-laR", str(mount / "binders"))
    with upcalls_during(mount) as made:
        run(*command, str(mount / "binders"))
    assert made == {"opendir": DIRECTORIES}


@pytest.mark.parametrize("stale", ["0", "600"])
def test_past_ttl_attributes_come_back_in_bulk(sim, stale):
    """One lookup per entry is what makes other file systems slow here."""
    with mounted(sim, "ttl=2", f"stale={stale}") as mount:
        run("ls", "-lR", str(mount / "binders"))
        time.sleep(2.05)
        with upcalls_during(mount) as made:
            run("ls", "-lR", str(mount / "binders"))
        assert made["lookup"] <= DIRECTORIES and made["getattr"] <= 2 * DIRECTORIES
        assert made["readdir"] >= DIRECTORIES
        with upcalls_during(mount) as made:
            run("ls", "-lR", str(mount / "binders"))
        if stale == "0":
            assert made == {"opendir": DIRECTORIES}
        else:  # what was shown at once was old: it is filled in once more, again in bulk
            assert made["lookup"] <= DIRECTORIES and made["getattr"] <= 2 * DIRECTORIES


def test_an_unknown_name_is_asked_for_once_within_ttl(mount):
    binder = mount / "binders" / os.listdir(mount / "binders")[0]
    os.listdir(binder)
    with upcalls_during(mount) as made:
        for _ in range(20):
            for top in (mount.path, mount / "binders", binder):
                assert not os.path.lexists(top / ".git")
    assert made == {"lookup": 3}


LARGE = ("--binders=1", "--folders=1", "--documents=800")  # a folder that is too large for one reply


def only_folder(mount):
    (folder,) = [path for path in (mount / "binders").glob("*/*") if path.is_dir()]
    return folder


def test_a_walk_that_wants_names_alone_brings_the_attributes_all_the_same():
    with simulated(*LARGE) as sim, mounted(sim, "ttl=600") as mount:
        folder = only_folder(mount)
        names = os.listdir(folder)
        with upcalls_during(mount) as made:
            assert all((folder / name).stat().st_size for name in names)
        assert made == {}


def test_a_directory_being_read_does_not_change_under_its_reader():
    """Everything in it is renamed between two replies."""
    with simulated(*LARGE) as sim, mounted(sim, *WATCHFUL) as mount:
        (binder,) = sim.truth()
        folder = only_folder(mount)
        before = sorted(os.listdir(folder))
        let_ttl_pass()
        with os.scandir(folder) as entries:
            names = [next(entries).name]
            for document in binder["documents"]:
                sim.change("rename_document", id=document["id"], name=document["id"] + ".new")
            let_ttl_pass()
            after = sorted(os.listdir(folder))
            names += [entry.name for entry in entries]
        assert sorted(names) == before
        assert after == sorted([document["id"] + ".new.json" for document in binder["documents"]] + ["folder.json"])
        # Nor do the old names that were read last enter the caches.
        assert [name for name in names if (folder / name).exists()] == ["folder.json"]


def test_what_is_gone_is_forgotten(sim, watchful):
    tree = read_tree(watchful / "binders")
    assert watchful.metrics()["nodes"] == len(tree)
    sim.change("delete_binder", id=sim.truth()[1]["id"])
    let_ttl_pass()
    (kept,) = os.listdir(watchful / "binders")
    left = [path for path in tree if path.split("/")[0] == kept]
    for path in sorted(set(tree) - set(left)):
        assert not os.path.lexists(watchful / "binders" / path)
    wait_until(lambda: watchful.metrics()["nodes"] == len(left))


# --- Pages ---


def test_a_second_read_within_ttl_does_not_reach_the_daemon(mount):
    binder = mount / "binders" / os.listdir(mount / "binders")[0]
    first = run("grep", "-r", "", str(binder))
    with upcalls_during(mount) as made:
        assert run("grep", "-r", "", str(binder)) == first
    assert made["read"] == made["lookup"] == made["readdir"] == 0
    assert made["open"] > DOCUMENTS


def test_pages_are_kept_over_a_refresh_while_the_body_is_the_same(sim, watchful, document):
    other = sim.truth()[0]["documents"][7]["id"]
    assert document.read() == document.content
    sim.change("new_version", id=other)
    let_ttl_pass()
    os.listdir(document.path.parent)  # the binder is another now
    with upcalls_during(watchful) as made:
        assert document.read() == document.content
    assert made["open"] == 1 and made["read"] == 0


def test_a_change_of_the_same_length_is_never_read_from_old_pages(watchful, document):
    for _ in range(3):
        version = document.new_version()
        let_ttl_pass()
        found = document.read()
        assert version in found and len(found) == len(document.content)


def test_a_change_of_the_same_length_is_seen_through_mmap(watchful, document):
    for _ in range(3):
        with open(document.path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == document.content
        version = document.new_version()
        let_ttl_pass()
        with open(document.path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            document.content = mapped[:]
            assert version in document.content


def test_a_change_is_seen_after_sighup_though_the_kernel_believes_in_the_old_one(sim):
    with mounted(sim, "ttl=600") as mount:
        document = Document(sim, mount)
        same_length = document.new_version()
        mount.signal(signal.SIGHUP)
        wait_until(lambda: "status" in os.listdir(mount / ".ibinderfs") and sim.stats()["routes"]["token"] == 2)
        assert same_length in document.read()
        document.set_value("now longer " + "much" * 100)
        mount.signal(signal.SIGHUP)
        wait_until(lambda: sim.stats()["routes"]["token"] == 3)
        assert document.read().endswith(b"}\n") and b"muchmuch" in document.read()


# --- Open files ---


@pytest.mark.parametrize("already_read", [0, 50])
@pytest.mark.parametrize(
    "value", ["", "s", "longer " * 100, None], ids=["same length", "shorter", "longer", "deleted"]
)
def test_an_open_file_keeps_its_version_while_others_see_the_new_one(sim, watchful, document, value, already_read):
    with held_open(document.path, already_read) as finish:
        if value is None:
            sim.change("delete_document", id=document.id)
        elif value:
            document.set_value(value)
        else:
            marker = document.new_version()
        let_ttl_pass()
        # Everything that tells the kernel of the new one.
        run("ls", "-lR", str(watchful / "binders"))
        if value is None:
            assert not document.path.exists()
        else:
            document.path.stat()
            found = document.read()
            assert (value.encode() or marker) in found and found.endswith(b"}\n")
        assert finish() == document.content
    if value is not None:
        # And once nobody reads the old one: size, bytes and pages are those of the new.
        assert document.path.stat().st_size == len(found)
        assert document.read() == document.read() == found
        with open(document.path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[:] == found


def test_an_open_file_outlives_its_binder(sim, watchful, document):
    with held_open(document.path, 50) as finish:
        sim.change("delete_binder", id=sim.truth()[0]["id"])
        let_ttl_pass()
        assert len(os.listdir(watchful / "binders")) == 1
        assert not document.path.exists()
        assert finish() == document.content


def test_a_mapping_keeps_its_version(watchful, document):
    with open(document.path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:10] == document.content[:10]
        version = document.new_version()
        let_ttl_pass()
        run("ls", "-lR", str(watchful / "binders"))
        assert version in document.read()
        assert mapped[:] == document.content
