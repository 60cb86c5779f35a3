"""What the API is asked: once for everything that is needed, and for nothing else.

One listing fills a whole binder, so what a command costs can be said beforehand: the list of
binders, and for each binder that is looked into its drive, its schema, the pages of its documents
and one request per folder. What one folder costs by itself is in test_folder.py.
"""

import os
import signal
import subprocess
import time

import pytest

from mounting import api_requests, by_another, mounted, run, simulated, wait_until

BINDERS, FOLDERS, DOCUMENTS = 3, 8, 120
ONE_BINDER = {"drive": 1, "metadataelements": 1, "search": 1, "subfolders": FOLDERS}
TOP = {"binders": 1}
ALL = {**TOP, **{route: BINDERS * count for route, count in ONE_BINDER.items()}}
UNKNOWN = (".git", ".Trash", ".Trash-0", "desktop.ini", ".hidden", "AUX", ".DS_Store", "n" * 255)


def requests_of(sim, *commands):
    """API requests while the commands run, and until what they set off has been answered."""
    sim.control("POST", "/stats/reset")
    for command in commands:
        run(*command)
    sim.settle()
    return api_requests(sim)


def wait_for_token(sim):
    wait_until(lambda: api_requests(sim) == {"token": 1})


@pytest.fixture
def sim():
    options = (f"--binders={BINDERS}", f"--folders={FOLDERS}", "--depth=3", f"--documents={DOCUMENTS}")
    with simulated(*options) as sim:
        yield sim
        # Whatever a test did: every call was one that the vendor documents.
        assert not any(sim.stats()["refused"].values()), sim.stats()["refused"]


@pytest.fixture
def mount(sim):
    with mounted(sim) as mount:
        wait_for_token(sim)
        yield mount


def commands_on(path):
    return {
        "find": ("find", path),
        "ls -lR": ("ls", "-lR", path),
        "grep -r": ("grep", "-r", "Archived", path),
        "du": ("du", "-a", "--apparent-size", path),
    }


def some_binder(mount):
    return mount / "binders" / sorted(os.listdir(mount / "binders"))[0]


def test_mounting_costs_one_token_and_nothing_else(sim, mount):
    os.statvfs(mount.path)
    time.sleep(0.2)  # nothing follows either
    assert api_requests(sim) == {"token": 1}


def test_root_statfs_and_control_files_cost_nothing(sim, mount):
    assert requests_of(
        sim,
        ("ls", "-la", str(mount.path)),
        ("ls", "-la", str(mount / ".ibinderfs")),
        ("grep", "-r", "provider", str(mount / ".ibinderfs")),
        ("stat", str(mount / "binders")),
        ("stat", "--file-system", str(mount / "binders")),
        ("df", str(mount.path)),
    ) == {}


def test_listing_the_binders_costs_one_request(sim, mount):
    assert requests_of(sim, ("ls", "-l", str(mount / "binders"))) == TOP


@pytest.mark.parametrize("name", commands_on("").keys())
def test_a_cold_walk_asks_exactly_what_is_needed_and_a_warm_one_nothing(sim, mount, name):
    assert requests_of(sim, commands_on(str(mount / "binders"))[name]) == ALL
    for again in commands_on(str(mount / "binders")).values():
        assert requests_of(sim, again) == {}, again


def test_looking_into_one_binder_asks_for_that_binder_alone(sim, mount):
    binder = some_binder(mount)
    assert requests_of(sim, ("find", str(binder))) == ONE_BINDER


def test_one_file_read_cold_costs_the_folders_on_its_path_and_then_nothing(sim):
    with mounted(sim) as mount:
        deep = next(some_binder(mount).glob("*/*/*/*.json")).relative_to(mount.path)
    sim.control("POST", "/stats/reset")
    with mounted(sim) as mount:
        file = mount / deep
        wait_for_token(sim)
        assert requests_of(sim, ("cat", str(file))) == {**TOP, "drive": 1, "search": 3, "subfolders": 3}
        assert requests_of(sim, ("cat", str(file)), ("ls", "-l", str(file.parent)), ("head", "-c1", str(file))) == {}


@pytest.mark.parametrize(
    "asked, largest, pages",
    [(250, 1000, 1), (120, 1000, 1), (119, 1000, 2), (50, 1000, 3), (250, 40, 3), (1, 1000, 120)],
)
def test_documents_cost_one_request_per_page(sim, asked, largest, pages):
    sim.control("POST", "/settings", max_page=largest)
    with mounted(sim, f"page_size={asked}") as mount:
        binder = some_binder(mount)
        assert requests_of(sim, ("find", str(binder))) == {**ONE_BINDER, "search": pages}


def test_names_that_nobody_listed_cost_nothing(sim, mount):
    run("find", str(mount.path))
    sim.control("POST", "/stats/reset")
    directories = [top for top, _, _ in os.walk(mount.path)]
    # The root, .ibinderfs, search, three of by-id; binders and files with all in them.
    assert len(directories) == 6 + 2 * (1 + BINDERS * (1 + FOLDERS))
    for top in directories:
        for name in UNKNOWN:
            # In search/ any name is a query, but for hidden ones; it is not made before it is read.
            is_query = top == str(mount / "search") and not name.startswith(".")
            assert os.path.lexists(os.path.join(top, name)) == is_query
    assert api_requests(sim) == {}


def test_names_that_nobody_listed_cost_nothing_in_a_cold_root(sim, mount):
    for name in UNKNOWN:
        assert not os.path.lexists(mount / name)
        assert not os.path.lexists(mount / ".ibinderfs" / name)
    assert api_requests(sim) == {"token": 1}


def test_fifty_processes_in_the_cold_share_one_fetch(sim):
    """Also one token: it is not there yet when they come."""
    sim.control("POST", "/settings", latency_ms=100)
    sim.fault("token", "delay", ms=60000)
    with mounted(sim, "timeout=30") as mount:
        processes = [
            subprocess.Popen(["ls", "-lR", str(mount / "binders")], stdout=subprocess.PIPE) for _ in range(50)
        ]
        # They do wait together: else the test shows nothing.
        wait_until(lambda: mount.metrics()["waiters"] == 50)
        sim.clear()
        outputs = {process.communicate(timeout=30)[0] for process in processes}
        assert [process.returncode for process in processes] == [0] * 50
        assert len(outputs) == 1
        assert api_requests(sim) == {"token": 1, **ALL}


def test_past_ttl_each_listing_is_fetched_once_however_many_ask(sim):
    with mounted(sim, "ttl=3") as mount:  # long enough for the three
        command = ("ls", "-lR", str(mount / "binders"))
        assert requests_of(sim, command) in (ALL, {"token": 1, **ALL})
        time.sleep(3.05)
        sim.control("POST", "/settings", latency_ms=50)
        assert requests_of(sim, command, command, command) == ALL


def test_sighup_costs_only_what_is_looked_at_again(sim, mount):
    run("find", str(mount / "binders"))
    binder = some_binder(mount)
    sim.control("POST", "/stats/reset")
    mount.signal(signal.SIGHUP)
    wait_until(lambda: api_requests(sim) == {"token": 1})
    assert requests_of(sim, ("find", str(binder))) == ONE_BINDER


# --- Ahead of who walks ---

AHEAD = 4  # binders fetched ahead at first


@pytest.fixture
def many():
    with simulated("--binders=12", "--folders=2", "--depth=1", "--documents=10") as sim:
        yield sim


@pytest.mark.parametrize("command", ["find", "ls -lR", "grep -r"])
def test_who_walks_finds_the_next_binders_fetched(many, command):
    with mounted(many) as mount:
        wait_for_token(many)
        many.fault("drive", "hang", times=1)
        binder = sorted(by_another(os.listdir, mount / "binders"))[0]
        first = subprocess.Popen(["ls", str(mount / "binders" / binder)], stdout=subprocess.DEVNULL)
        wait_until(lambda: api_requests(many).get("drive") == 1)  # so that it is this one that hangs
        walk = subprocess.Popen(commands_on(str(mount / "binders"))[command], stdout=subprocess.DEVNULL)
        wait_until(lambda: mount.metrics()["listings"] == 1 + AHEAD)  # though the first one hangs
        assert api_requests(many)["search"] == 1 + AHEAD
        many.clear()
        assert walk.wait(20) in (0, 1)  # grep finds nothing
        assert first.wait(20) == 0
        many.settle()
        once = {"binders": 1, "token": 1, "drive": 12, "metadataelements": 12, "search": 12, "subfolders": 24}
        assert {**api_requests(many), "drive": 12} == once  # what hung was asked for again


def test_who_takes_a_person_s_time_sets_off_no_walk(many):
    with mounted(many) as mount:
        one, other = sorted(os.listdir(mount / "binders"))[:2]
        for name in one, other:
            time.sleep(0.3)  # that is what makes the difference
            os.listdir(mount / "binders" / name)
        many.settle()
        assert api_requests(many)["search"] == 2


def test_several_readers_of_one_binder_each_set_off_no_walk(many):
    with mounted(many) as mount:
        names = by_another(os.listdir, mount / "binders")[:3]
        for name in names:
            by_another(os.listdir, mount / "binders" / name)
        many.settle()
        assert api_requests(many)["search"] == 3


def test_what_is_fetched_ahead_is_still_there_when_the_walk_comes_to_it():
    """Though the organisation is four times as large as memory=."""
    with simulated("--binders=60", "--folders=4", "--depth=2", "--documents=60") as sim:
        with mounted(sim, "memory=1900K", "ttl=600") as mount:
            found = run("find", str(mount / "binders"), "-name", "*.json").count("\n")
            sim.settle()
            assert api_requests(sim)["search"] == 60
            assert mount.metrics()["fetches_ahead_total"] >= 30
            assert mount.metrics()["listing_evictions_total"] >= 30
        # Beside the documents two files of each binder, and one of each folder.
        assert found == 60 * (60 + 2 + 4)


def test_no_more_requests_are_under_way_than_connections_allows(sim):
    sim.control("POST", "/settings", latency_ms=20)
    with mounted(sim, "connections=3") as mount:
        wait_for_token(sim)
        assert requests_of(sim, ("ls", "-lR", str(mount / "binders")))["subfolders"] == BINDERS * FOLDERS
        # A request counts here until a moment after its answer is there, and the next may be faster.
        assert 3 <= sim.stats()["peak_concurrency"] <= 3 + 1
        assert mount.metrics()["requests_in_flight_max"] == 3


def test_the_metrics_tell_the_requests_that_the_server_counted(sim, mount):
    run("find", str(mount / "binders"))
    metrics = mount.metrics()
    assert metrics["requests_total"] == metrics["answers_ok_total"] == sum(ALL.values())
    assert metrics["token_requests_total"] == 1
    assert metrics["fetches_total"] == 1 + BINDERS and metrics["request_retries_total"] == 0
