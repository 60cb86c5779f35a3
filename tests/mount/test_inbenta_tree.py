"""A mounted knowledge base is what the API says it holds, byte for byte, each content in each of its
categories as one file."""

import contextlib
import os
import stat
import time

import pytest

from inbenta_client import Inbenta
from mounting import api_requests, mounted, read_tree, run, simulated, wait_until
from pooling import outcome_of
from reference_inbenta import Tree, cut_in

PLAIN = ("--contents=150", "--categories=20", "--category-depth=4")
ODD = ("--contents=120", "--odd-names", "--odd-numbers", "--odd-categories", "--ids=mixed")
WATCHFUL = ("ttl=0.2", "stale=0")


def let_ttl_pass():
    time.sleep(0.25)


def contents(expected):
    return {path: entry.content for path, entry in expected.items()}


def differences(found, expected):
    paths = sorted(found.keys() | expected.keys())
    return [path for path in paths if found.get(path, "") != expected.get(path, "")][:10]


@pytest.fixture(scope="module")
def shared():
    """One mount for all tests that change nothing: (sim, mount, expected)."""
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, "ttl=600") as mount:
        yield sim, mount, Tree(sim.truth())


@pytest.mark.parametrize(
    "options",
    [
        PLAIN,
        (*PLAIN, "--seed=7", "--ids=string", "--max-page=7"),
        (*ODD, "--seed=1"),
        (*ODD, "--seed=2", "--max-page=11", "--ids=string"),
        (*ODD, "--seed=3", "--category-contents=nested"),
        ("--demo",),
        ("--contents=0",),
        ("--contents=0", "--categories=0"),
        ("--contents=9", "--categories=0"),
        ("--contents=300", "--categories=150", "--category-depth=100"),
    ],
    ids=lambda options: " ".join(options[-3:]),
)
def test_the_tree_equals_the_truth_byte_for_byte(options):
    with simulated(*options, kind=Inbenta) as sim, mounted(sim) as mount:
        before = time.time_ns()
        os.listdir(mount / "knowledge")
        after = time.time_ns()
        expected = Tree(sim.truth(), cut_in(sim.truth(), mount))
        # Sizes and times are known before anything is opened.
        for top, entries in ("knowledge", expected.knowledge), ("files", expected.files):
            for path, entry in entries.items():
                found = os.lstat(mount / top / path)
                assert stat.S_ISDIR(found.st_mode) == entry.is_dir, path
                assert entry.is_dir or found.st_size == len(entry.content), path
                if entry.mtime_ns is None:
                    assert before <= found.st_mtime_ns <= after, path
                else:
                    assert found.st_mtime_ns == entry.mtime_ns, path
        assert mount.metrics()["upcalls_open_total"] == 0
        assert not differences(read_tree(mount / "knowledge"), contents(expected.knowledge))
        assert not differences(read_tree(mount / "files"), contents(expected.files))
        assert mount.control("errors") == ""
        assert sim.stats()["clicks"] == 0


def test_the_root_holds_what_there_is(shared):
    _, mount, _ = shared
    assert sorted(os.listdir(mount.path)) == [".ibinderfs", "by-id", "files", "knowledge"]
    assert sorted(os.listdir(mount / "by-id")) == ["categories", "contents"]
    assert not os.path.exists(mount / "search")


def test_a_content_is_one_file_in_all_its_categories(shared):
    _, mount, expected = shared
    several = {i: paths for i, paths in expected.places.items() if len(paths) > 1}
    assert len(several) > 10
    inodes = set()
    for identity, paths in expected.places.items():
        for top, suffix in ("knowledge", ".json"), ("files", ".html"):
            found = [
                os.stat(mount / top / (path.removesuffix(".json") + suffix))
                for path in paths
                if top == "knowledge" or path.removesuffix(".json") + suffix in expected.files
            ]
            assert {each.st_nlink for each in found} <= {len(paths)}, identity
            assert len({each.st_ino for each in found}) <= 1, identity
            inodes |= {each.st_ino for each in found}
    in_files = sum(path.endswith(".html") for path in expected.files)
    assert len(inodes) <= len(expected.places) + in_files
    assert len({os.stat(mount / "knowledge" / path).st_ino for path in expected.knowledge}) == (
        len(expected.places) + 2 * len(expected.links) + 1
    )
    # As programs see it.
    path = next(iter(several.values()))[0]
    same = run("find", str(mount / "knowledge"), "-samefile", str(mount / "knowledge" / path)).splitlines()
    assert len(same) == os.stat(mount / "knowledge" / path).st_nlink > 1


def test_a_content_in_the_root_and_elsewhere_stands_in_both():
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim) as mount:
        category = next(c["id"] for c in sim.truth()["categories"] if c["id"] != "0")
        added = sim.change("add_content", categories=[int(category), 0, 999], name="Both")
        found = [os.stat(path) for path in (mount / "knowledge/Both.json",
                                            mount / "by-id/categories" / category / "Both.json")]
        assert found[0].st_ino == found[1].st_ino and found[0].st_nlink == found[1].st_nlink == 2
        assert added


def test_every_category_has_a_link_by_its_id(shared):
    _, mount, expected = shared
    top = mount / "by-id/categories"
    assert sorted(os.listdir(top)) == sorted(expected.links)
    for identity, path in expected.links.items():
        assert os.readlink(top / identity) == f"../../knowledge/{path}"
        assert os.path.samefile(top / identity, mount / "knowledge" / path)
        assert os.lstat(top / identity).st_size == len(os.fsencode(f"../../knowledge/{path}"))
    for name in ("x", "999999", "0" * 200, ".git"):
        assert not os.path.lexists(top / name)


def test_a_content_by_its_id_is_one_call_that_no_statistics_count():
    with simulated(*ODD, kind=Inbenta) as sim, mounted(sim) as mount:
        expected = Tree(sim.truth(), cut_in(sim.truth(), mount))
        sim.control("POST", "/stats/reset")
        for identity, (path, *_) in list(expected.places.items())[:5]:
            assert (mount / f"by-id/contents/{identity}.json").read_bytes() == expected.knowledge[path].content
        assert api_requests(sim) == {"content": 5} and sim.stats()["clicks"] == 0
        assert os.listdir(mount / "by-id/contents") == []
        for name in ("999999999.json", "999999999.json"):
            assert not os.path.exists(mount / "by-id/contents" / name)
        for name in ("1", "x.json", "1.html", "01.json", "-1.json", "1.5.json", "1" * 21 + ".json", ".json", "../1.json"):
            assert not os.path.exists(mount / "by-id/contents" / name)
        assert api_requests(sim) == {"content": 6} and mount.control("errors") == ""


def test_without_content_there_are_no_files_and_objects_can_be_read():
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, "content=off") as mount:
        assert sorted(os.listdir(mount.path)) == [".ibinderfs", "by-id", "knowledge"]
        assert not differences(read_tree(mount / "knowledge"), contents(Tree(sim.truth()).knowledge))


def test_the_answers_attribute_can_be_another():
    with simulated(*PLAIN, "--answer-attribute=RESPUESTA ñ", kind=Inbenta) as sim:
        expected = Tree(sim.truth())
        with mounted(sim, "answer_attribute=RESPUESTA ñ") as mount:
            assert not differences(read_tree(mount / "files"), contents(expected.files))
        with mounted(sim) as mount:
            assert all(content is None for content in read_tree(mount / "files").values())


def test_inode_numbers_are_the_same_after_a_remount():
    def inodes(sim):
        with mounted(sim) as mount:
            return {
                path: os.lstat(mount / path).st_ino
                for path in read_tree(mount.path)
                if not path.startswith(".ibinderfs")
            }

    with simulated(*ODD, kind=Inbenta) as sim:
        assert inodes(sim) == inodes(sim)


def test_a_directory_and_an_answer_of_one_name_both_show():
    with simulated("--contents=0", "--categories=0", kind=Inbenta) as sim, mounted(sim) as mount:
        sim.change("add_category", name="Pagos.html", parent=0)
        sim.change("add_category", name="Envíos", parent=0)
        sim.change("add_content", name="Pagos", categories=[], text="<p>a</p>")
        sim.change("add_content", name="Envíos", categories=[], text="<p>b</p>")
        expected = Tree(sim.truth())
        assert {"Envíos", "Envíos.html"} < set(expected.files) and "Pagos.html" not in expected.files
        assert not differences(read_tree(mount / "knowledge"), contents(expected.knowledge))
        assert not differences(read_tree(mount / "files"), contents(expected.files))


# --- Changes ---


@pytest.mark.parametrize("op", ["modify_content", "rename_content", "move_content", "delete_content"])
def test_a_change_is_seen_everywhere_and_dates_what_changed(op):
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, *WATCHFUL) as mount:
        before = Tree(sim.truth())
        read_tree(mount.path)
        identity = next(i for i, paths in before.places.items() if len(paths) == 2)
        target = next(c for c in before.links if c not in before.contents or
                      identity not in [content["id"] for content in before.contents[c]])
        old = {path: os.stat(mount / "knowledge" / path) for path in before.knowledge}
        more = {"modify_content": {"text": "<p>Nueva ñ</p>"}, "rename_content": {"name": "Nuevo"},
                "move_content": {"categories": [int(target)]}, "delete_content": {}}[op]
        sim.change(op, id=int(identity), **more)
        changed = time.time_ns()
        let_ttl_pass()
        after = Tree(sim.truth())
        assert not differences(read_tree(mount / "knowledge"), contents(after.knowledge))
        assert not differences(read_tree(mount / "files"), contents(after.files))
        for path in after.places.get(identity, ()):
            found = os.stat(mount / "knowledge" / path)
            assert found.st_mtime_ns >= changed and found.st_nlink == len(after.places[identity])
            assert found.st_ino == old[before.places[identity][0]].st_ino
        for other, paths in after.places.items():
            for path in paths if other != identity else ():
                assert os.stat(mount / "knowledge" / path).st_mtime_ns == old[path].st_mtime_ns


def test_categories_come_go_and_move():
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, *WATCHFUL) as mount:
        read_tree(mount.path)
        links = Tree(sim.truth()).links
        deep = max(links, key=lambda i: links[i].count("/"))
        new = sim.change("add_category", name="Nueva", parent=int(deep))
        sim.change("move_category", id=int(deep), parent=0)
        sim.change("rename_category", id=int(deep), name="Arriba")
        gone = next(i for i in links if i != deep and "/" not in links[i])
        sim.change("delete_category", id=int(gone), keep_ids=True)
        let_ttl_pass()
        expected = Tree(sim.truth())
        assert not differences(read_tree(mount / "knowledge"), contents(expected.knowledge))
        assert expected.links[deep] == "Arriba" and expected.links[str(new["id"])] == "Arriba/Nueva"
        # A cycle, and out of it.
        sim.change("move_category", id=int(deep), parent=int(new["id"]))
        let_ttl_pass()
        expected = Tree(sim.truth(), cut_in(sim.truth(), mount))
        assert not differences(read_tree(mount / "knowledge"), contents(expected.knowledge))
        sim.change("move_category", id=int(deep), parent=0)
        let_ttl_pass()
        assert not differences(read_tree(mount / "knowledge"), contents(Tree(sim.truth()).knowledge))


def test_an_open_answer_stays_what_it_was():
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, *WATCHFUL) as mount:
        expected = Tree(sim.truth())
        identity = next(c["id"] for c in sim.truth()["contents"] if c["answer"])
        path = mount / "files" / (expected.places[identity][0].removesuffix(".json") + ".html")
        old = path.read_bytes()
        with open(path, "rb", buffering=0) as file:
            sim.change("modify_content", id=int(identity), text="<p>" + "x" * 20000 + "</p>")
            wait_until(lambda: path.stat().st_size == 20007)
            assert os.fstat(file.fileno()).st_size == len(old)
            assert os.pread(file.fileno(), 1 << 20, 0) == old
        assert path.read_bytes() == b"<p>" + b"x" * 20000 + b"</p>"


def test_an_answer_that_was_taken_away_stays_for_who_has_it_open():
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, *WATCHFUL) as mount:
        expected = Tree(sim.truth())
        identity = next(c["id"] for c in sim.truth()["contents"] if c["answer"])
        path = mount / "files" / (expected.places[identity][0].removesuffix(".json") + ".html")
        looked_at = os.open(path, os.O_PATH)
        try:
            with open(path, "rb", buffering=0) as file:
                old = os.pread(file.fileno(), 1 << 20, 0)
                sim.change("modify_content", id=int(identity), text=None)
                wait_until(lambda: not path.exists())
                let_ttl_pass()
                assert os.fstat(file.fileno()).st_size == len(old)
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                assert os.pread(file.fileno(), 1 << 20, 0) == old
            let_ttl_pass()
            assert outcome_of(lambda: os.fstat(looked_at))[0] == "ENOENT"
        finally:
            os.close(looked_at)
        assert (mount / "knowledge" / expected.places[identity][0]).exists()


def test_an_answer_is_held_once_however_often_it_is_open():
    size, opens = 50_000, 800

    def resident(mount):
        (line,) = (line for line in open(f"/proc/{mount.process.pid}/status", encoding="ascii") if line.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    with simulated(*PLAIN, kind=Inbenta) as sim:
        identity = next(c["id"] for c in sim.truth()["contents"] if c["answer"])
        sim.change("modify_content", id=int(identity), text="x" * size)
        with mounted(sim) as mount, contextlib.ExitStack() as held:
            path = mount / "files" / (Tree(sim.truth()).places[identity][0].removesuffix(".json") + ".html")
            assert path.read_bytes() == b"x" * size
            before = resident(mount)
            for _ in range(opens):
                file = held.enter_context(open(path, "rb", buffering=0))
                assert os.pread(file.fileno(), 2, size - 1) == b"x"
            assert resident(mount) - before < opens // 4 * size


def test_rsync_keeps_hard_links_and_copies_nothing_twice(tmp_path):
    with simulated(*PLAIN, kind=Inbenta) as sim, mounted(sim, *WATCHFUL) as mount:
        command = ("rsync", "-aH", "--itemize-changes", str(mount / "knowledge") + "/", str(tmp_path / "copy"))
        run(*command)
        expected = Tree(sim.truth())
        assert read_tree(tmp_path / "copy") == contents(expected.knowledge)
        paths = next(paths for paths in expected.places.values() if len(paths) > 1)
        assert len({os.stat(tmp_path / "copy" / path).st_ino for path in paths}) == 1
        let_ttl_pass()
        assert run(*command) == ""
