"""One folder opened by its path: it comes without the rest of its binder, and looks just the same.

The reference for what a folder holds is the simulator's truth; for what it costs, the calls that
it takes to find the folder, and two for its documents and its folders.
"""

import concurrent.futures
import json
import os
import signal
import time

import pytest

import reference
from mounting import api_requests, by_another, mounted, read_tree, run, simulated, wait_until

FOLDERS, DOCUMENTS = 8, 120
WHOLE = {"drive": 1, "metadataelements": 1, "search": 1, "subfolders": FOLDERS}
OPTIONS = ("--binders=2", f"--folders={FOLDERS}", "--depth=3", f"--documents={DOCUMENTS}")


@pytest.fixture
def sim():
    with simulated(*OPTIONS) as sim:
        yield sim
        assert not any(sim.stats()["refused"].values()), sim.stats()["refused"]


def expected_tree(sim):
    return reference.tree(sim.truth())


def folders_of(tree):
    """Of the first binder: paths of its folders, those at its top first."""
    binder = sorted(path for path in tree if "/" not in path)[0]
    folders = [path for path, entry in tree.items() if path.startswith(binder + "/") and entry.is_dir]
    return binder, sorted(folders, key=lambda path: (path.count("/"), path))


def inside(tree, folder):
    """Name and bytes (None: a directory) of what is in a folder."""
    names = [path for path in tree if os.path.dirname(path) == folder]
    return {os.path.basename(path): tree[path].content for path in names}


def read_folder(path):
    found = {}
    for name in os.listdir(path):
        file = path / name
        found[name] = None if file.is_dir() else file.read_bytes()
    return found


def works(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        return False
    return True


def cost(sim, call, *arguments):
    """What a call asks of the API, what it sets off included."""
    sim.settle()
    sim.control("POST", "/stats/reset")
    by_another(call, *arguments)
    sim.settle()
    return api_requests(sim)


@pytest.mark.parametrize("tab_filter", ["exact", "nested", "top", "none"])
def test_every_folder_by_itself_is_as_in_the_whole(sim, tab_filter):
    """Also where the search by GLOBAL_TabId does not find what is below the top folders, or nothing."""
    sim.set(tab_filter=tab_filter)
    tree = expected_tree(sim)
    for folder in folders_of(tree)[1]:
        with mounted(sim) as mount:
            assert read_folder(mount / "binders" / folder) == inside(tree, folder), folder


@pytest.mark.parametrize("tab_filter", ["exact", "top"])
def test_folders_one_after_the_other_then_the_whole(sim, tab_filter):
    sim.set(tab_filter=tab_filter)
    tree = expected_tree(sim)
    binder, folders = folders_of(tree)
    with mounted(sim) as mount:
        for folder in reversed(folders):
            assert read_folder(mount / "binders" / folder) == inside(tree, folder), folder
        below = {path[len(binder) + 1 :]: entry.content for path, entry in tree.items() if path.startswith(binder + "/")}
        assert read_tree(mount / "binders" / binder) == below


def test_odd_names_and_places():
    """Clashing names, folders without a listing, documents without a folder."""
    with simulated("--binders=1", "--odd-names", f"--folders={FOLDERS}", "--documents=200") as sim:
        tree = expected_tree(sim)
        for folder in folders_of(tree)[1]:
            with mounted(sim) as mount:
                assert read_folder(mount / "binders" / folder) == inside(tree, folder), folder


@pytest.mark.parametrize("tab_filter", ["exact", "top", "none"])
def test_many_readers_of_one_folder(sim, tab_filter):
    """Nobody is told that the time is over because another has begun to fetch the rest."""
    sim.set(tab_filter=tab_filter, latency_ms=20)
    tree = expected_tree(sim)
    folder = folders_of(tree)[1][-1]
    with mounted(sim) as mount, concurrent.futures.ThreadPoolExecutor(30) as pool:
        listed = [pool.submit(os.listdir, mount / "binders" / folder) for _ in range(30)]
        assert all(sorted(each.result(20)) == sorted(inside(tree, folder)) for each in listed)


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_server_that_refuses_the_search_by_folder(sim, status):
    tree = expected_tree(sim)
    folder = folders_of(tree)[1][0]
    with mounted(sim) as mount:
        sim.fault("search", "status", status=status)
        assert sorted(os.listdir(mount / "binders" / folder)) == sorted(inside(tree, folder))


def test_what_failed_for_a_folder_alone_is_tried_with_the_binder(sim):
    tree = expected_tree(sim)
    folder = folders_of(tree)[1][0]
    with mounted(sim, "timeout=1") as mount:
        os.stat(mount / "binders" / folder)
        sim.fault("search", "status", status=500, times=-1)
        with pytest.raises(OSError):
            os.listdir(mount / "binders" / folder)
        assert "metadataelements" not in api_requests(sim)
        sim.clear()
        wait_until(lambda: works(os.listdir, mount / "binders" / folder))
        assert sorted(os.listdir(mount / "binders" / folder)) == sorted(inside(tree, folder))
        assert api_requests(sim)["metadataelements"] == 1


def test_what_a_folder_costs(sim):
    folders = folders_of(expected_tree(sim))[1]
    for depth in (1, 2, 3):
        folder = next(path for path in folders if path.count("/") == depth)
        with mounted(sim) as mount:
            by_another(os.listdir, mount / "binders")
            asked = cost(sim, os.listdir, mount / "binders" / folder)
            assert asked == {"drive": 1, "search": depth, "subfolders": depth}, folder
            assert cost(sim, run, "ls", "-l", str(mount / "binders" / folder)) == {}
            assert cost(sim, run, "cat", str(mount / "binders" / folder / "folder.json")) == {}


def test_the_binder_by_name_costs_its_drive(sim):
    binder, folders = folders_of(expected_tree(sim))
    with mounted(sim) as mount:
        by_another(os.listdir, mount / "binders")
        assert cost(sim, os.stat, mount / "binders" / binder) == {}
        assert cost(sim, os.stat, mount / "binders" / folders[0]) == {"drive": 1}
        assert cost(sim, (mount / "binders" / binder / "binder.json").read_bytes) == {}
        assert cost(sim, os.listdir, mount / "binders" / binder) == WHOLE
        assert cost(sim, os.listdir, mount / "binders" / folders[0]) == {}


def test_more_than_a_few_folders_bring_the_binder(sim):
    folders = folders_of(expected_tree(sim))[1]
    with mounted(sim) as mount:
        asked = [cost(sim, os.listdir, mount / "binders" / folder) for folder in folders]
    assert sum(each.get("metadataelements", 0) for each in asked) == 1
    assert [each for each in asked if "metadataelements" in each] == [WHOLE]
    assert asked[-1] == {}


def test_a_name_that_is_not_there(sim):
    binder, folders = folders_of(expected_tree(sim))
    with mounted(sim) as mount:
        os.listdir(mount / "binders" / folders[0])
        assert cost(sim, os.path.exists, mount / "binders" / folders[0] / "nothing") == {}
        assert not os.path.exists(mount / "binders" / folders[0] / "nothing")
        # At the binder's top there may be documents, which are not known yet, but none that is hidden.
        assert cost(sim, os.path.exists, mount / "binders" / binder / ".git") == {}
        assert cost(sim, os.path.exists, mount / "binders" / binder / "nothing") == WHOLE
        assert not os.path.exists(mount / "binders" / binder / "nothing")


def test_contents_in_a_folder_by_itself(sim):
    folder = folders_of(expected_tree(sim))[1][0]
    with mounted(sim) as mount:
        (document, *_) = (file for file in (mount / "files" / folder).iterdir() if file.is_file())
        metadata = json.loads((mount / "binders" / folder / f"{document.name}.json").read_bytes())
        assert document.read_bytes() == sim.content(metadata["latestVersionId"])
        assert "metadataelements" not in api_requests(sim)


def test_what_changed_since_the_folder_was_read_is_seen_to_have_changed(sim):
    """The whole binder is compared with what was seen of the folder."""
    binder, folders = folders_of(expected_tree(sim))
    folder = folders[0]
    with mounted(sim, "ttl=0.5", "stale=0") as mount:
        path = mount / "binders" / folder
        before = {name: os.stat(path / name) for name in os.listdir(path)}
        assert "metadataelements" not in api_requests(sim)
        document = min(name for name, stat in before.items() if name != "folder.json" and os.path.isfile(path / name))
        identity = json.loads((path / document).read_bytes())["id"]
        changed_ns = time.time_ns()
        sim.change("new_version", id=identity)
        wait_until(lambda: os.listdir(mount / "binders" / binder) and "metadataelements" in api_requests(sim))
        after = {name: os.stat(path / name) for name in os.listdir(path)}
    assert after.keys() == before.keys()
    assert all(after[name].st_ino == before[name].st_ino for name in before)
    assert [name for name in before if after[name].st_mtime_ns != before[name].st_mtime_ns] == [document]
    assert after[document].st_mtime_ns >= changed_ns


def test_who_wants_the_binder_does_not_wait_for_the_folder(sim):
    """And who waits for the folder gets it with the binder."""
    tree = expected_tree(sim)
    binder, folders = folders_of(tree)
    with mounted(sim, "timeout=20") as mount, concurrent.futures.ThreadPoolExecutor(1) as pool:
        folder = mount / "binders" / folders[0]
        os.stat(folder)
        sim.settle()
        sim.fault("search", "hang")
        waiting = pool.submit(os.listdir, folder)
        wait_until(lambda: sim.stats()["in_flight"] == 1)
        names = os.listdir(mount / "binders" / binder)
        assert sorted(names) == sorted(inside(tree, binder))
        assert sorted(waiting.result(10)) == sorted(inside(tree, folders[0]))
        sim.clear()


def test_who_is_served_an_old_folder_keeps_nobody_from_another(sim):
    tree = expected_tree(sim)
    _, (first, second, *_) = folders_of(tree)
    with mounted(sim, "ttl=0.3", "timeout=20") as mount, concurrent.futures.ThreadPoolExecutor(1) as pool:
        os.listdir(mount / "binders" / first)
        os.stat(mount / "binders" / second)
        listed_s = time.monotonic()
        sim.settle()
        sim.fault("search", "hang")
        waiting = pool.submit(os.listdir, mount / "binders" / second)
        wait_until(lambda: sim.stats()["in_flight"] == 1)
        wait_until(lambda: time.monotonic() > listed_s + 0.3)  # the first is past ttl
        before, tops = mount.metrics()["fetches_total"], api_requests(sim)["binders"]
        os.listdir(mount / "binders" / first)
        wait_until(lambda: api_requests(sim)["binders"] > tops)  # these are refreshed behind it
        assert mount.metrics()["fetches_total"] - before == api_requests(sim)["binders"] - tops
        sim.clear()
        assert sorted(waiting.result(10)) == sorted(inside(tree, second))


def test_a_folder_that_is_gone(sim):
    binder, folders = folders_of(expected_tree(sim))
    with mounted(sim, "ttl=0.2", "stale=0") as mount:
        folder = mount / "binders" / folders[-1]
        os.listdir(folder)
        held = os.open(folder, os.O_RDONLY)
        sim.change("delete_folder", id=json.loads((folder / "folder.json").read_bytes())["id"])
        wait_until(lambda: not folder.exists())
        with pytest.raises(FileNotFoundError):
            os.fstat(held)
        os.close(held)


def test_forgotten_by_hand(sim):
    """After SIGHUP the folder is asked for anew, with its binder."""
    folder = folders_of(expected_tree(sim))[1][0]
    with mounted(sim) as mount:
        os.listdir(mount / "binders" / folder)
        mount.signal(signal.SIGHUP)
        wait_until(lambda: "metadataelements" in (os.listdir(mount / "binders" / folder) and api_requests(sim)))
