"""sizes=exact: what looks at a file in files/ before opening it finds its size, at the price of two
requests a document; and only what looks.
"""

import concurrent.futures
import os
import signal
import subprocess
import time

import pytest

from documents import documents_of, sha256, traffic
from mounting import mounted, need, run, simulated, wait_until
from pooling import NOISE_S, outcome_of, pooled, refusal_of, results, works  # noqa: F401

EXACT = "sizes=exact"
FLAT = ("--binders=1", "--folders=0", "--documents=40")
TTL_S = 0.5
TIMEOUT_S = 1


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


def both(count):
    """What that many documents cost: a link and a range each."""
    return {"downloadlink": count, "storage": count} if count else {}


def under(documents, directory):
    return [document for document in documents if document.path.parent == directory]


class Organisation:
    """Its documents, and a directory of files/ that holds some; `rest` of them stand elsewhere."""

    def __init__(self, sim, mount):
        self.sim, self.mount = sim, mount
        self.documents = documents_of(sim, mount)
        self.directory = max({d.path.parent for d in self.documents}, key=lambda d: len(under(self.documents, d)))
        self.inside = under(self.documents, self.directory)
        assert len(self.inside) > 3

    def sizes(self):
        return {str(document.path): document.size for document in self.documents}


@pytest.fixture(params=["nested", "small"])
def sim(request):
    options = {
        "nested": ("--binders=2", "--folders=5", "--depth=2", "--documents=30"),
        "small": ("--binders=1", "--folders=2", "--documents=30", "--size-min=0", "--size-max=3"),
    }[request.param]
    with simulated(*options) as sim:
        yield sim


@pytest.fixture
def flat():
    with simulated(*FLAT) as sim:
        yield sim


# --- Right the first time, each tool on a mount where nothing was looked at ---


def ls(mount, organisation):
    found = {}
    for line in run("ls", "-lR", "--literal", "--quoting-style=literal", str(mount / "files")).splitlines():
        if line.startswith("/"):
            top = line.removesuffix(":")
        elif line.startswith("-"):
            fields = line.split(None, 8)
            found[f"{top}/{fields[8]}"] = int(fields[4])
    assert found == organisation.sizes()


def stat(mount, organisation):
    for path, size in organisation.sizes().items():
        assert int(run("stat", "-c", "%s", path)) == size


def find(mount, organisation):
    lines = run("find", str(mount / "files"), "-type", "f", "-printf", "%s %p\\n").splitlines()
    assert {path: int(size) for size, path in (line.split(" ", 1) for line in lines)} == organisation.sizes()
    empty = run("find", str(mount / "files"), "-type", "f", "-size", "0").splitlines()
    assert sorted(empty) == sorted(path for path, size in organisation.sizes().items() if size == 0)


def du(mount, organisation):
    lines = run("du", "-ab", "--apparent-size", str(mount / "files")).splitlines()
    found = {path: int(size) for size, path in (line.split("\t") for line in lines)}
    assert {path: found[path] for path in organisation.sizes()} == organisation.sizes()
    assert found[str(mount / "files")] == sum(organisation.sizes().values())


def copied(organisation, directory):
    for document in organisation.documents:
        copy = directory / document.path.relative_to(organisation.mount.path)
        assert sha256(copy.read_bytes()) == sha256(document.truth()), copy
        assert os.stat(copy).st_mtime_ns // 10**9 == os.stat(document.path).st_mtime_ns // 10**9


def tar(mount, organisation, directory):
    run("tar", "-C", str(mount.path), "-cf", str(directory / "a.tar"), "files")
    run("tar", "-C", str(directory), "-xf", str(directory / "a.tar"))
    copied(organisation, directory)
    run("chmod", "-R", "u+w", str(directory))


def rsync(mount, organisation, directory):
    need("rsync")
    run("rsync", "-a", "--chmod=u+w", str(mount / "files"), str(directory))
    copied(organisation, directory)
    again = run("rsync", "-ai", "--chmod=u+w", str(mount / "files"), str(directory))
    assert again == ""  # all is as it was copied


@pytest.mark.parametrize("tool", [ls, stat, find, du, tar, rsync], ids=lambda tool: tool.__name__)
def test_a_tool_is_right_the_first_time(sim, tool, tmp_path):
    with mounted(sim, EXACT, "ttl=600") as mount:
        organisation = Organisation(sim, mount)
        with traffic(sim) as seen:
            tool(*(mount, organisation, tmp_path)[: tool.__code__.co_argcount])
        assert seen.links == len(organisation.documents)
        if tool not in (tar, rsync):  # which read, too
            assert seen.routes == both(len(organisation.documents))
            with traffic(sim) as seen:
                tool(mount, organisation)
            assert seen.routes == {}


# --- What it costs ---


def test_what_does_not_look_at_sizes_costs_nothing(sim):
    with mounted(sim, EXACT, "ttl=600") as mount:
        organisation = Organisation(sim, mount)
        with traffic(sim) as seen:
            run("ls", str(organisation.directory))
            run("ls", "-R", str(mount / "files"))
            names = run("find", str(mount / "files"), "-type", "f").splitlines()
            run("find", str(mount / "files"), "-name", "*.pdf")
            assert len(list(os.scandir(organisation.directory))) >= len(organisation.inside)
        assert sorted(names) == sorted(organisation.sizes())
        assert seen.routes == {}
        with traffic(sim) as seen:
            run("ls", "-lR", str(mount / "binders"))
        assert seen.routes == {}


def test_a_directory_costs_its_own_documents_and_no_others(sim):
    with mounted(sim, EXACT, "ttl=600") as mount:
        organisation = Organisation(sim, mount)
        with traffic(sim) as seen:
            run("ls", "-l", str(organisation.directory))
        assert seen.routes == both(len(organisation.inside))
        with traffic(sim) as seen:
            for _ in range(3):
                run("ls", "-l", str(organisation.directory))
                for document in organisation.inside:
                    assert os.stat(document.path).st_size == document.size
        assert seen.routes == {}


def test_opening_after_looking_asks_for_no_other_link(flat):
    with mounted(flat, EXACT, "ttl=600") as mount:
        document = documents_of(flat, mount)[5]
        with traffic(flat) as seen:
            assert os.stat(document.path).st_size == document.size
        links = seen.links
        with traffic(flat) as seen:
            assert document.path.read_bytes() == document.truth()
            assert os.stat(document.path).st_size == document.size
        assert links >= 1 and seen.links == 0 and seen.requests <= 2


def test_sizes_are_learnt_in_parallel_within_the_budget(flat):
    with mounted(flat, EXACT, "ttl=600", "connections=5", "timeout=5") as mount:
        documents = documents_of(flat, mount)
        flat.control("POST", "/settings", latency_ms=20, storage_latency_ms=100)
        with traffic(flat) as seen:
            run("ls", "-l", str(documents[0].path.parent))
        assert seen.routes == both(len(documents))
        assert seen.peak > 4
        assert 1 < mount.metrics()["requests_in_flight_max"] <= 5


def test_many_who_look_at_one_file_cost_what_one_does(flat):
    with mounted(flat, EXACT, "ttl=600", "timeout=5") as mount:
        documents = documents_of(flat, mount)
        flat.control("POST", "/settings", storage_latency_ms=200)
        with traffic(flat) as seen, concurrent.futures.ThreadPoolExecutor(16) as pool:
            sizes = list(pool.map(lambda _: os.stat(documents[-1].path).st_size, range(16)))
        assert set(sizes) == {documents[-1].size}
        assert seen.routes == both(seen.links) and seen.links <= 16


def test_sizes_are_remembered_by_version(flat):
    with mounted(flat, EXACT, f"ttl={TTL_S}", "stale=0", "timeout=5") as mount:
        documents = documents_of(flat, mount)
        run("ls", "-l", str(documents[0].path.parent))
        for _ in range(2):
            let_ttl_pass()
            with traffic(flat) as seen:
                run("ls", "-l", str(documents[0].path.parent))
            assert (seen.links, seen.requests) == (0, 0)
        newer = documents[7].new_version()
        assert newer.size != documents[7].size
        let_ttl_pass()
        with traffic(flat) as seen:
            assert os.stat(newer.path).st_size == newer.size
            run("ls", "-l", str(newer.path.parent))
            assert newer.path.read_bytes() == newer.truth()
        assert seen.links == 1


# --- Trouble ---


def test_a_document_that_cannot_be_had_hides_no_other(flat):
    """It was deleted since it was listed: the API has no link for it."""
    with mounted(flat, EXACT, "ttl=600", "timeout=5") as mount:
        documents = documents_of(flat, mount)
        gone = documents[11]
        flat.change("delete_document", id=gone.id)
        assert refusal_of(lambda: os.stat(gone.path)) == "ENOENT"
        listed = subprocess.run(["ls", "-l", str(gone.path.parent)], capture_output=True, text=True, check=False)
        lines = [line for line in listed.stdout.splitlines() if line.startswith("-r")]
        found = {line.split(None, 8)[8]: int(line.split()[4]) for line in lines}
        assert found == {document.path.name: document.size for document in documents if document is not gone}
        assert gone.path.name in listed.stderr and len(listed.stderr.splitlines()) == 1
        assert gone.path.name in os.listdir(gone.path.parent)
        assert f" ENOENT files/{gone.path.parent.name}/{gone.path.name}" in mount.control("errors")


def test_what_failed_is_not_asked_for_again_at_once(flat):
    """Neither by who looks at the next file nor by who looks ahead of it."""
    with mounted(flat, EXACT, "ttl=600", "timeout=5") as mount:
        documents = documents_of(flat, mount)
        flat.fault("storage", "status", status=404, times=-1)
        with traffic(flat) as seen:
            for _ in range(2):
                done = subprocess.run(["ls", "-l", str(documents[0].path.parent)], capture_output=True, check=False)
                assert len(done.stderr.splitlines()) == len(documents)
        # A link, and another one because links expire; twice if this took more than a second.
        assert 2 * len(documents) <= seen.requests <= 4 * len(documents)
        flat.clear()


def test_a_new_version_that_comes_while_a_size_is_waited_for_has_its_own(flat):
    with mounted(flat, EXACT, f"ttl={TTL_S}", "stale=0", "timeout=5") as mount:
        document = documents_of(flat, mount)[-1]
        file = os.open(document.path, os.O_PATH)  # looks up, and opens nothing
        newer = document.new_version()
        let_ttl_pass()
        flat.fault("storage", "delay", ms=1500, times=1)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            size = pool.submit(lambda: os.fstat(file).st_size)
            wait_until(lambda: flat.stats()["storage_in_flight"] == 1)
            newest = newer.new_version()
            let_ttl_pass()
            assert newest.version.encode() in newest.json.read_bytes()
            assert not size.done() and size.result() == newest.size > 0
        os.close(file)


STORAGE_FAULTS = [
    ("storage", "status", 404, {"ENOENT"}),
    ("storage", "status", 403, {"EACCES"}),
    ("storage", "status", 500, {"EIO"}),
    ("storage", "hang", None, {"ETIMEDOUT"}),
    ("storage", "no_content_range", None, {"EBADMSG"}),
    ("storage", "reset", None, {"ETIMEDOUT", "EHOSTUNREACH"}),
    ("downloadlink", "status", 404, {"ENOENT"}),
    ("downloadlink", "status", 403, {"EACCES"}),
    ("downloadlink", "status", 500, {"EIO"}),
    ("downloadlink", "hang", None, {"ETIMEDOUT"}),
    ("downloadlink", "not_json", None, {"EBADMSG"}),
]


@pooled([(route, kind, status or "") for route, kind, status, _ in STORAGE_FAULTS])
def test_a_fault_is_an_errno_in_time_and_passes(route, kind, status):
    (expected,) = [case[3] for case in STORAGE_FAULTS if case[:3] == (route, kind, status or None)]
    with simulated(*FLAT) as sim, mounted(sim, EXACT, "ttl=600", f"timeout={TIMEOUT_S}") as mount:
        document = documents_of(sim, mount)[3]
        sim.fault(route, kind, times=-1, **({"status": status} if status else {}))
        seen, took = outcome_of(lambda: os.stat(document.path))
        assert seen in expected and took < TIMEOUT_S + 1 + NOISE_S
        # The whole directory does not take that for each of its 40 files.
        began = time.monotonic()
        listed = subprocess.run(["ls", "-l", str(document.path.parent)], capture_output=True, timeout=60, check=False)
        assert listed.returncode == 1 and time.monotonic() - began < 6 * TIMEOUT_S
        assert document.path.name in os.listdir(document.path.parent)
        assert document.json.read_bytes()
        assert f" {seen} files/" in mount.control("errors")
        sim.clear()
        wait_until(lambda: works(lambda: os.stat(document.path)), within=10)
        assert os.stat(document.path).st_size == document.size


def test_an_unknown_name_costs_nothing_also_while_storage_hangs(flat):
    with mounted(flat, EXACT, "ttl=600", "timeout=2") as mount:
        path = documents_of(flat, mount)[0].path
        flat.fault("*", "hang", times=-1)
        with traffic(flat) as seen:
            for name in (".git", "nothing.pdf", f"{path.name}.json", "binder.json"):
                assert refusal_of(lambda: os.stat(path.parent / name)) == "ENOENT"
        assert seen.routes == {}
        flat.clear()


@pytest.mark.parametrize("route", ["storage", "downloadlink"])
def test_who_waits_for_a_size_can_be_interrupted(flat, route):
    with mounted(flat, EXACT, "ttl=600", "timeout=20") as mount:
        document = documents_of(flat, mount)[3]
        flat.fault(route, "hang", times=-1)
        process = subprocess.Popen(["stat", str(document.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: mount.metrics()["waiters"] == 1)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=10)
        assert time.monotonic() - began < 0.5
        assert mount.metrics()["waiters"] == 0
        flat.clear()
        wait_until(lambda: works(lambda: os.stat(document.path)), within=5)
        assert os.stat(document.path).st_size == document.size


def test_the_end_does_not_wait_for_sizes(flat):
    with mounted(flat, EXACT, "ttl=600", "timeout=20") as mount:
        document = documents_of(flat, mount)[3]
        flat.fault("storage", "hang", times=-1)
        process = subprocess.Popen(["stat", str(document.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: mount.metrics()["waiters"] == 1)
        wait_until(lambda: flat.stats()["storage_in_flight"] > 1)
        began = time.monotonic()
        mount.signal(signal.SIGTERM)
        mount.wait_for_end()
        assert time.monotonic() - began < 3
        process.wait(timeout=5)
        flat.clear()
