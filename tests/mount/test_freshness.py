"""How old a listing may be: fresh within ttl, then old at once with a new one behind, then waited for.

Requests are counted at the simulator, and what was served at the daemon. Answers of the simulator
are slow where a test has to see that nobody waited for them.
"""

import concurrent.futures
import contextlib
import json
import os
import signal
import time

import pytest

import reference
from mounting import api_requests, mounted, read_tree, run, simulated, wait_until

ORGANISATION = ("--binders=2", "--folders=4", "--depth=2", "--documents=40")
TTL_S = 0.5
LATENCY_MS = 500


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


def slow(sim, latency_ms=LATENCY_MS):
    sim.control("POST", "/settings", latency_ms=latency_ms)


def reset(sim):
    sim.control("POST", "/stats/reset")


def expected_tree(sim):
    return {path: entry.content for path, entry in reference.tree(sim.truth()).items()}


@contextlib.contextmanager
def faster_than(seconds):
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


@pytest.fixture
def sim():
    with simulated(*ORGANISATION) as sim:
        yield sim


@pytest.fixture
def watchful(sim):
    """Past ttl, every access waits."""
    with mounted(sim, f"ttl={TTL_S}", "stale=0", "timeout=2") as mount:
        yield mount


class Binder:
    """The first binder of the truth, and where the mount shows it."""

    def __init__(self, sim, mount):
        self.sim, self.mount = sim, mount
        self.truth = sim.truth()[0]
        self.id = self.truth["id"]
        self.path = mount / "binders" / json.loads(self.truth["raw"])["name"]

    def add(self, name, folder=None):
        return self.sim.change("add_document", binder=self.id, folder=folder, name=name)["id"]


# --- The three ages ---


def test_within_ttl_nothing_is_asked_and_nothing_new_is_shown(sim):
    with mounted(sim, "ttl=600") as mount:
        binder = Binder(sim, mount)
        before = read_tree(mount / "binders")
        binder.add("Ny.pdf")
        reset(sim)
        assert read_tree(mount / "binders") == before
        assert api_requests(sim) == {}


def test_past_ttl_the_old_is_shown_at_once_and_one_refresh_runs_behind(sim):
    with mounted(sim, "ttl=2", "stale=600") as mount:
        binder = Binder(sim, mount)
        before = sorted(os.listdir(binder.path))
        binder.add("Ny.pdf")
        time.sleep(2.05)
        reset(sim)
        slow(sim)
        waits = mount.metrics()["waits_total"]
        with faster_than(2 * LATENCY_MS / 1000):  # the new one takes three answers, one after the other
            for _ in range(5):
                assert sorted(os.listdir(binder.path)) == before
                (binder.path / "binder.json").read_bytes()
                assert not (binder.path / "Ny.pdf.json").exists()
        assert mount.metrics()["served_stale_total"] >= 5 and mount.metrics()["waits_total"] == waits
        # Both listings are past ttl, and of each one new one is on its way.
        wait_until(lambda: "Ny.pdf.json" in os.listdir(binder.path))
        assert api_requests(sim) == {"binders": 1, "drive": 1, "metadataelements": 1, "search": 1, "subfolders": 4}
        assert (binder.path / "Ny.pdf.json").exists()


def test_past_ttl_and_stale_the_new_one_is_waited_for(sim):
    with mounted(sim, f"ttl={TTL_S / 2}", f"stale={TTL_S / 2}") as mount:
        binder = Binder(sim, mount)
        os.listdir(binder.path)
        binder.add("Ny.pdf")
        let_ttl_pass()
        slow(sim, 50)
        assert "Ny.pdf.json" in os.listdir(binder.path)


def test_with_stale_0_the_new_one_is_waited_for_as_soon_as_ttl_is_over(sim, watchful):
    binder = Binder(sim, watchful)
    os.listdir(binder.path)
    for number in range(3):
        binder.add(f"Ny {number}.pdf")
        let_ttl_pass()
        assert f"Ny {number}.pdf.json" in os.listdir(binder.path)


def test_with_ttl_0_everything_is_asked_for_again_and_a_walk_still_ends():
    with simulated("--binders=1", "--folders=2", "--documents=4") as sim:
        with mounted(sim, "ttl=0", "stale=0") as mount:
            for number in range(3):
                Binder(sim, mount).add(f"Ny {number}.pdf")
                assert read_tree(mount / "binders") == expected_tree(sim)


def test_if_the_fetch_fails_the_old_one_is_shown_and_the_status_says_so(sim, watchful):
    binder = Binder(sim, watchful)
    before = read_tree(watchful / "binders")
    sim.fault("*", "status", status=503, times=-1)
    let_ttl_pass()
    with faster_than(2 + 1):  # timeout, and a second
        assert {f"{binder.path.name}/{name}" for name in os.listdir(binder.path)} <= before.keys()
    # From now on it is known to fail, and nobody waits for it.
    waits = watchful.metrics()["waits_total"]
    assert read_tree(watchful / "binders") == before
    assert watchful.metrics()["waits_total"] == waits
    status = watchful.control("status")
    assert "shown as it was" in status and binder.path.name in status and "EIO" in status
    summary = json.loads(watchful.control("status.json"))
    assert summary["listings_failed"] >= 1 and summary["listings_past_ttl"] >= 1 and summary["errors"] >= 1
    assert "503" in watchful.control("errors")

    sim.clear()
    binder.add("Ny.pdf")

    def healed():
        found = read_tree(watchful / "binders")
        return found == expected_tree(sim) and json.loads(watchful.control("status.json"))["listings_failed"] == 0

    wait_until(healed)
    assert "shown as it was" not in watchful.control("status")


def test_if_nothing_was_fetched_before_the_failure_is_told(sim):
    sim.fault("binders", "status", status=403, times=-1)
    with mounted(sim, "timeout=1") as mount:
        with pytest.raises(PermissionError):
            os.listdir(mount / "binders")
        sim.clear()
        wait_until(lambda: _can_list(mount / "binders"))


def _can_list(path):
    with contextlib.suppress(OSError):
        return os.listdir(path)
    return None


def test_sighup_forgets_every_listing(sim):
    with mounted(sim, "ttl=600") as mount:
        binder = Binder(sim, mount)
        read_tree(mount / "binders")
        binder.add("Ny.pdf")
        sim.change("add_binder", name="Nytt projekt")
        reset(sim)
        mount.signal(signal.SIGHUP)
        wait_until(lambda: api_requests(sim) == {"token": 1})
        # Forgotten, not stale: the next one waits for the new listing.
        slow(sim, 50)
        assert "Nytt projekt" in os.listdir(mount / "binders")
        assert "Ny.pdf.json" in os.listdir(binder.path)


# --- Every kind of change ---


def test_every_change_shows_up(sim, watchful):
    """One after the other, each compared with the whole truth."""
    binder = Binder(sim, watchful)
    documents = binder.truth["documents"]
    top = next(folder for folder in binder.truth["folders"] if not folder["parentId"])
    below = next(folder for folder in binder.truth["folders"] if folder["parentId"])
    other = sim.truth()[1]["id"]
    changes = [
        ("rename_document", {"id": documents[0]["id"], "name": "Nytt namn.pdf"}),
        ("rename_document", {"id": documents[1]["id"], "name": "Nytt namn.pdf"}),  # a twin, perhaps
        ("move_document", {"id": documents[2]["id"], "folder": below["id"]}),
        ("move_document", {"id": documents[3]["id"], "folder": None}),
        ("delete_document", {"id": documents[4]["id"]}),
        ("set_metadata", {"id": documents[5]["id"], "key": "GLOBAL_Status", "valueId": "Archived"}),
        ("add_folder", {"binder": binder.id, "parent": below["id"], "name": "Ny mapp"}),
        ("rename_folder", {"id": top["id"], "name": "Omdöpt"}),
        ("delete_folder", {"id": below["id"], "keep_documents": True}),
        ("add_binder", {"name": "Nytt projekt"}),
        ("rename_binder", {"id": binder.id, "name": "Annat namn"}),
        ("delete_binder", {"id": other}),
    ]
    for op, arguments in changes:
        sim.change(op, **arguments)
        let_ttl_pass()
        assert read_tree(watchful / "binders") == expected_tree(sim), op


def test_a_name_that_was_unknown_appears_with_its_document(sim, watchful):
    binder = Binder(sim, watchful)
    file, folder = binder.path / "Ny.pdf.json", binder.path / "Ny mapp"
    os.listdir(binder.path)
    assert not file.exists() and not folder.exists()
    added = binder.add("Ny.pdf")
    sim.change("add_folder", binder=binder.id, parent=None, name="Ny mapp")
    let_ttl_pass()
    # Without anybody listing the directory.
    assert json.loads(file.read_text())["id"] == added
    assert os.listdir(folder) == ["folder.json"]
    sim.change("delete_document", id=added)
    let_ttl_pass()
    assert not file.exists()
    with pytest.raises(FileNotFoundError):
        file.read_text()


def test_a_renamed_binder_is_the_same_directory_under_its_new_name(sim, watchful):
    binder = Binder(sim, watchful)
    inode = binder.path.stat().st_ino
    before = read_tree(binder.path)
    sim.change("rename_binder", id=binder.id, name="Annat namn")
    let_ttl_pass()
    assert not binder.path.exists()
    renamed = watchful / "binders" / "Annat namn"
    assert renamed.stat().st_ino == inode
    after = read_tree(renamed)
    assert json.loads(after.pop("binder.json"))["name"] == "Annat namn"
    del before["binder.json"]
    assert after == before


def test_a_binder_renamed_within_its_own_ttl_says_so_in_binder_json(sim, watchful):
    """The binder's listing is younger than the list of binders, and still has to be asked for."""
    binder = Binder(sim, watchful)
    os.listdir(watchful / "binders")
    time.sleep(TTL_S * 0.7)
    (binder.path / "binder.json").read_bytes()
    sim.change("rename_binder", id=binder.id, name="Annat namn")
    wait_until((watchful / "binders" / "Annat namn").exists)
    assert b'"Annat namn"' in (watchful / "binders" / "Annat namn" / "binder.json").read_bytes()


def test_a_deleted_binder_is_gone_also_for_who_stands_in_it(sim, watchful):
    binder = Binder(sim, watchful)
    read_tree(binder.path)
    directory = os.open(binder.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sim.change("delete_binder", id=binder.id)
        let_ttl_pass()
        assert not binder.path.exists()
        with pytest.raises(FileNotFoundError):
            os.stat("binder.json", dir_fd=directory)
        with pytest.raises(FileNotFoundError):
            os.listdir(directory)
    finally:
        os.close(directory)


def test_documents_that_move_while_pages_are_read_are_neither_lost_nor_doubled(sim):
    """Every page is slow, and a document in front of the others goes while they are read."""
    sim.control("POST", "/settings", max_page=5)
    with mounted(sim, "ttl=600", "connections=1") as mount:
        binder = Binder(sim, mount)
        os.listdir(mount / "binders")
        reset(sim)
        sim.fault("search", "delay", times=-1, ms=50)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            walk = pool.submit(read_tree, binder.path)
            wait_until(lambda: api_requests(sim).get("search", 0) >= 3)
            sim.change("delete_document", id=binder.truth["documents"][0]["id"])
            found = walk.result(timeout=20)
        documents = [json.loads(content) for content in found.values() if content and b'"fileName"' in content]
        shown = [document["id"] for document in documents]
        kept = {document["id"] for document in binder.truth["documents"][1:]}
        assert len(set(shown)) == len(shown) and set(shown) >= kept


# --- Under load ---


def test_readers_of_changing_data_read_whole_versions(sim):
    with mounted(sim, "ttl=0.1", "stale=0.1") as mount:
        binder = Binder(sim, mount)
        document = binder.truth["documents"][0]["id"]
        tree = read_tree(binder.path)
        (path,) = [path for path, content in tree.items() if content and document.encode() in content]
        versions = {tree[path]}
        began = time.monotonic()
        reads = []

        def going_on():
            """Until there was enough to see, whatever time the machine needs for it."""
            passed = time.monotonic() - began
            return passed < 3 or passed < 30 and (len(reads) <= 100 or len(set(reads)) <= 5)

        def read(_):
            while going_on():
                os.stat(binder.path / path)
                reads.append((binder.path / path).read_bytes())

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            readers = [pool.submit(read, number) for number in range(6)]
            length = 0
            while going_on():
                length = (length * 7 + 13) % 1900
                changed = sim.change("set_metadata", id=document, key="Remark", valueId="x" * length)
                versions.add(reference.indent(json.dumps(changed, ensure_ascii=False)))
                time.sleep(0.02)
            for reader in readers:
                reader.result(timeout=10)
        assert not [content for content in reads if content not in versions]
        assert len(reads) > 100 and len(set(reads)) > 5


def test_an_organisation_larger_than_memory_is_shown_right_and_evicted():
    with simulated("--binders=12", "--folders=4", "--documents=130", "--metadata=20") as sim:
        with mounted(sim, "memory=1M", "ttl=600") as mount:
            expected = expected_tree(sim)
            size = sum(len(content) for content in expected.values() if content)
            assert size > 3 << 20
            for _ in range(2):
                assert read_tree(mount / "binders") == expected
            metrics = mount.metrics()
            assert metrics["listing_evictions_total"] >= 12
            assert metrics["listing_bytes"] <= 1 << 20
            assert metrics["listings"] < 12

            # Who has a file open keeps it, whatever is evicted meanwhile.
            files = [path for path in expected if expected[path]]
            held = {path: open(mount / "binders" / path, "rb") for path in files[::97]}
            assert read_tree(mount / "binders") == expected
            for path, file in held.items():
                with file:
                    assert file.read() == expected[path]


def test_what_was_seen_to_change_keeps_its_time_over_an_eviction():
    with simulated("--binders=6", "--folders=2", "--documents=250", "--metadata=20") as sim:
        with mounted(sim, "memory=1M", f"ttl={TTL_S}", "stale=0") as mount:
            document = sim.truth()[0]["documents"][0]["id"]
            tree = read_tree(mount / "binders" / json.loads(sim.truth()[0]["raw"])["name"])
            (path,) = [path for path, content in tree.items() if content and document.encode() in content]
            path = mount / "binders" / json.loads(sim.truth()[0]["raw"])["name"] / path
            sim.change("new_version", id=document)
            let_ttl_pass()
            changed = path.stat().st_mtime_ns
            assert abs(changed - time.time_ns()) < 10 * reference.SECOND
            evictions = mount.metrics()["listing_evictions_total"]
            run("ls", "-R", str(mount / "binders"))
            assert mount.metrics()["listing_evictions_total"] >= evictions + 5
            let_ttl_pass()
            assert path.stat().st_mtime_ns == changed
