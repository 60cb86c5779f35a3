"""by-id/: names that stay when people rename things. binders/ID are links into binders/, and cost
nothing beyond the list of binders; documents/GUID.json is one document, for one request.
"""

import concurrent.futures
import contextlib
import http.server
import json
import os
import subprocess
import threading
import time
import uuid

import pytest

import reference
from mounting import api_requests, mounted, read_tree, run, simulated, wait_until
from pooling import NOISE_S, outcome_of, pooled, refusal_of, results, works  # noqa: F401

ODD = ("--binders=3", "--folders=6", "--depth=2", "--documents=90", "--odd-names", "--odd-numbers")
TTL_S = 0.5
TIMEOUT_S = 1
MIB = 1 << 20


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


def reset(sim):
    sim.control("POST", "/stats/reset")


def data_requests(sim):
    """Without the token's, which comes when it likes."""
    return {route: count for route, count in api_requests(sim).items() if route != "token"}


def raw_documents(sim):
    """{id: the object as the API sends it}"""
    return {document["id"]: document["raw"] for binder in sim.truth() for document in binder["documents"]}


def by_id(mount, document):
    return mount / "by-id" / "documents" / f"{document}.json"


@pytest.fixture
def sim():
    with simulated("--binders=3", "--folders=4", "--depth=2", "--documents=20") as sim:
        yield sim


@pytest.fixture
def document(sim):
    return sim.truth()[1]["documents"][7]["id"]


@pytest.fixture
def mount(sim):
    with mounted(sim, "ttl=600", f"timeout={TIMEOUT_S}") as mount:
        yield mount


@pytest.fixture
def watchful(sim):
    """Past ttl, every access waits."""
    with mounted(sim, f"ttl={TTL_S}", "stale=0", "timeout=2") as mount:
        yield mount


# --- Binders ---


def test_binders_are_listed_as_relative_links_that_lead_to_them():
    with simulated(*ODD) as sim, mounted(sim) as mount:
        links = mount / "by-id" / "binders"
        binders = {binder["id"]: json.loads(binder["raw"]) for binder in sim.truth()}
        run("ls", "-l", str(links))
        for identity, name in zip(binders, reference.assign([(b["name"], i, "") for i, b in binders.items()], ())):
            target = os.readlink(links / identity)
            assert target == f"../../binders/{name}"
            found = os.lstat(links / identity)
            assert (found.st_size, found.st_mode) == (len(target.encode()), 0o120777)
        assert sorted(os.listdir(links)) == sorted(binders)
        assert data_requests(sim) == {"binders": 1}  # nothing beyond their list
        for identity, binder in binders.items():
            assert json.loads((links / identity / "binder.json").read_bytes()) == binder
            assert os.path.samefile(links / identity, mount / "binders" / os.path.basename(os.readlink(links / identity)))


def test_a_link_to_a_renamed_binder_leads_to_its_new_name(sim, watchful):
    binder = sim.truth()[0]["id"]
    link = watchful / "by-id" / "binders" / binder
    before = os.lstat(link)
    assert (link / "binder.json").exists()
    sim.change("rename_binder", id=binder, name="Något helt annat, och längre än förut 🏗")
    let_ttl_pass()
    target = "../../binders/Något helt annat, och längre än förut 🏗"
    assert os.readlink(link) == target
    after = os.lstat(link)
    assert (after.st_size, after.st_ino) == (len(target.encode()), before.st_ino)
    assert json.loads((link / "binder.json").read_bytes())["id"] == binder


def test_a_rename_is_seen_past_ttl_though_the_old_list_is_shown_meanwhile(sim):
    binder = sim.truth()[0]["id"]
    with mounted(sim, f"ttl={TTL_S}", "stale=600") as mount:
        link = mount / "by-id" / "binders" / binder
        before = os.readlink(link)
        sim.change("rename_binder", id=binder, name="Nytt namn")
        # The refresh that the name's look-up begins must not end before the link is read.
        sim.control("POST", "/settings", latency_ms=1000)
        let_ttl_pass()
        assert os.readlink(link) == before
        sim.control("POST", "/settings", latency_ms=0)
        wait_until(lambda: os.readlink(link) == "../../binders/Nytt namn")
        assert (link / "binder.json").exists()


def test_links_come_and_go_with_their_binders(sim, watchful):
    links = watchful / "by-id" / "binders"
    gone, *others = [binder["id"] for binder in sim.truth()]
    assert os.path.lexists(links / gone)
    sim.change("delete_binder", id=gone)
    new = sim.change("add_binder", name="Ny")["id"]
    let_ttl_pass()
    assert not os.path.lexists(links / gone)
    assert sorted(os.listdir(links)) == sorted([*others, new])
    assert os.readlink(links / new) == "../../binders/Ny"


def test_unknown_binders_are_not_found_without_a_request(sim, mount):
    links = mount / "by-id" / "binders"
    known = os.listdir(links)[0]
    reset(sim)
    for name in ("NOSUCHONE", known[:-1], known + "x", known.swapcase(), f"{known}.json", ".git", "n" * 255, "å", " "):
        assert refusal_of(lambda: os.lstat(links / name)) == "ENOENT", name
    assert data_requests(sim) == {}


@contextlib.contextmanager
def binders_with_ids(ids):
    """A server that knows nothing but the list of binders."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, value):
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer({"access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600})

        def do_GET(self):
            self.answer([{"id": identity, "name": f"Binder {n}"} for n, identity in enumerate(ids)])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {
                "IBINDER_API_URL": f"http://127.0.0.1:{server.server_port}/api",
                "IBINDER_AUTH_URL": f"http://127.0.0.1:{server.server_port}/connect/token",
            }
        finally:
            server.shutdown()


def test_ids_that_could_mislead_get_no_link_and_their_binders_are_shown_all_the_same(sim):
    plain = ["MNWI5YR89", "a-b_C", "x" * 128]
    odd = [".", "..", ".hidden", "a b", "a/b", "a.b", "å", "../../etc", "a\nb", "%2E", "*"]
    with binders_with_ids(plain + odd) as env, mounted(sim, env=env) as mount:
        links = mount / "by-id" / "binders"
        assert sorted(os.listdir(links)) == sorted(plain)
        assert sorted(os.listdir(mount / "binders")) == sorted(f"Binder {n}" for n in range(len(plain + odd)))
        for name in set(odd) - {".", "..", "a/b", "../../etc"}:
            assert not os.path.lexists(links / name), name


# --- Documents ---


def test_a_document_costs_one_request_and_then_none(sim, mount, document):
    path = by_id(mount, document)
    assert os.stat(path).st_size > 0
    assert data_requests(sim) == {"document": 1}
    content = path.read_bytes()
    for _ in range(3):
        assert path.read_bytes() == content and os.stat(path).st_size == len(content)
    run("cat", str(path))
    assert data_requests(sim) == {"document": 1}


def test_every_document_is_byte_for_byte_that_of_binders():
    with simulated(*ODD) as sim, mounted(sim, "ttl=600") as mount:
        raws = raw_documents(sim)
        shown = [content for content in read_tree(mount / "binders").values() if content]
        reset(sim)
        for identity, raw in raws.items():
            path = by_id(mount, identity)
            found = os.stat(path)
            content = path.read_bytes()
            assert content == reference.indent(raw) and content in shown
            assert found.st_size == len(content)
            dated = reference.document_mtime_ns(json.loads(raw))
            assert dated is None or found.st_mtime_ns == dated
        assert data_requests(sim) == {"document": len(raws)}


def test_past_ttl_a_change_shows_and_moves_the_times(sim, watchful, document):
    path = by_id(watchful, document)
    before, unchanged = path.read_bytes(), os.stat(path)
    let_ttl_pass()
    reset(sim)
    assert path.read_bytes() == before and os.stat(path).st_mtime_ns == unchanged.st_mtime_ns
    assert data_requests(sim) == {"document": 1}
    for change in ("new_version", {"key": "Remark", "valueId": "much longer " * 20}, {"key": "Remark", "valueId": "x"}):
        if change == "new_version":
            sim.change(change, id=document)
        else:
            sim.change("set_metadata", id=document, **change)
        changed_ns = time.time_ns()
        let_ttl_pass()
        assert path.read_bytes() == reference.indent(raw_documents(sim)[document])
        found = os.stat(path)
        assert found.st_mtime_ns == found.st_ctime_ns > changed_ns
        assert found.st_ino == unchanged.st_ino


def test_past_ttl_and_within_stale_the_old_one_is_shown_while_one_request_is_made(sim, document):
    with mounted(sim, f"ttl={TTL_S}", "stale=600") as mount:
        path = by_id(mount, document)
        before = path.read_bytes()
        sim.change("set_metadata", id=document, key="Remark", valueId="new")
        let_ttl_pass()
        reset(sim)
        sim.control("POST", "/settings", latency_ms=200)
        assert path.read_bytes() == before
        sim.control("POST", "/settings", latency_ms=0)
        wait_until(lambda: path.read_bytes() == reference.indent(raw_documents(sim)[document]))
        assert data_requests(sim)["document"] <= 2


def test_what_cannot_be_an_id_is_not_found_without_a_request(sim, mount, document):
    directory = mount / "by-id" / "documents"
    names = (
        document, f"{document}.JSON", f"{document}.json.json", f"{document}.txt", f"{document[:-1]}.json",
        f"{document}0.json", f"{{{document}}}.json", f" {document}.json", f"g{document[1:]}.json",
        f"{document.replace('-', '')}.json", f"{document.replace('-', '_')}.json", f"{document[:8]}*.json",
        f"{document[:8]}-{document[8:]}.json", ".json", "json", "x", ".git", "..json", "%2e.json", "å.json",
        "-" * 36 + ".json", "0" * 36 + ".json", "n" * 255, "desktop.ini",
    )  # fmt: skip
    for name in names:
        assert refusal_of(lambda: os.lstat(directory / name)) == "ENOENT", name
        assert refusal_of(lambda: os.open(directory / name, os.O_RDONLY)) == "ENOENT", name
    assert data_requests(sim) == {}


def test_an_unknown_document_costs_one_request_and_then_none(sim, watchful):
    path = by_id(watchful, uuid.uuid4())
    for _ in range(2):
        reset(sim)
        for call in (os.stat, os.lstat, os.readlink, lambda path: os.open(path, os.O_RDONLY)):
            assert refusal_of(lambda: call(path)) == "ENOENT"
        assert data_requests(sim) == {"document": 1}
        let_ttl_pass()


def test_a_document_that_is_not_yet_there_is_found_past_ttl(sim, watchful):
    """Also one that was there, was deleted, and of which somebody keeps the file open."""
    binder = sim.truth()[0]["id"]
    document = sim.change("add_document", binder=binder, folder=None, name="Ny.pdf")["id"]
    path = by_id(watchful, document)
    content = path.read_bytes()
    with open(path, "rb") as file:
        sim.change("delete_document", id=document)
        let_ttl_pass()
        assert refusal_of(lambda: os.stat(path)) == "ENOENT"
        assert refusal_of(lambda: path.read_bytes()) == "ENOENT"
        assert file.read() == content and os.fstat(file.fileno()).st_size == len(content)
    assert refusal_of(lambda: os.stat(path)) == "ENOENT"


def test_documents_are_not_listed_and_a_walk_asks_for_none(sim, mount, document):
    path = by_id(mount, document)
    path.read_bytes()
    reset(sim)
    assert os.listdir(path.parent) == []
    assert data_requests(sim) == {}
    found = run("find", str(mount / "by-id")).splitlines()
    assert len(found) == 3 + 3
    assert data_requests(sim) == {"binders": 1}


def test_twenty_processes_with_one_id_make_one_request(sim, watchful, document):
    """In the cold, when the kernel already sends one look-up for all; and past ttl, when it does not."""
    expected = reference.indent(raw_documents(sim)[document])
    for least in (1, 10):
        waits = watchful.metrics()["waits_total"]
        reset(sim)
        sim.fault("document", "delay", ms=700, times=1)
        command = ["cat", str(by_id(watchful, document))]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(20)]
        assert {process.communicate(timeout=30)[0] for process in processes} == {expected}
        assert data_requests(sim) == {"document": 1}
        # They did wait together: else this shows nothing.
        assert watchful.metrics()["waits_total"] - waits >= least
        let_ttl_pass()


# --- Trouble ---

FAULTS = {
    "403": ({"kind": "status", "status": 403}, {"EACCES"}, "the server forbids it"),
    "401": ({"kind": "status", "status": 401}, {"EACCES"}, "token"),
    "429": ({"kind": "status", "status": 429, "retry_after": "1"}, {"EBUSY"}, "429|too many|timeout"),
    "500": ({"kind": "status", "status": 500}, {"EIO"}, "HTTP 500"),
    "reset": ({"kind": "reset"}, {"ETIMEDOUT", "EHOSTUNREACH"}, "GET|timeout"),
    "truncate": ({"kind": "truncate"}, {"ETIMEDOUT", "EHOSTUNREACH"}, "GET|timeout"),
    "hang": ({"kind": "hang"}, {"ETIMEDOUT"}, "timeout"),
    "not JSON": ({"kind": "not_json"}, {"EBADMSG"}, "not as documented"),
    "nothing": ({"kind": "empty_body"}, {"EBADMSG"}, "not as documented"),
    "endless": ({"kind": "endless"}, {"EFBIG"}, ""),
    "redirect": ({"kind": "redirect"}, {"EBADMSG"}, "redirect"),
}


@pooled([(fault,) for fault in FAULTS])
def test_a_fault_is_an_errno_in_time_and_an_explanation_and_passes(fault):
    planted, expected, words = FAULTS[fault]
    with simulated("--binders=1", "--documents=5") as sim, mounted(sim, "ttl=600", f"timeout={TIMEOUT_S}") as mount:
        ((document, raw), *_) = raw_documents(sim).items()
        path = by_id(mount, document)
        sim.fault("document", times=-1, **planted)
        seen, took = outcome_of(lambda: os.stat(path))
        assert seen in expected and took < TIMEOUT_S + 1 + NOISE_S
        lines = mount.control("errors").splitlines()
        lines = [line for line in lines if f" {seen} by-id/documents/{document}.json" in line]
        assert lines and any(word in lines[-1] for word in words.split("|")), mount.control("errors")
        sim.clear()
        wait_until(lambda: works(lambda: os.stat(path)), within=8)
        assert path.read_bytes() == reference.indent(raw)


def test_while_the_server_fails_an_old_document_is_shown_and_one_that_is_forbidden_too(sim, watchful, document):
    path = by_id(watchful, document)
    content = path.read_bytes()
    for status in (500, 403):
        sim.fault("document", "status", status=status, times=-1)
        let_ttl_pass()
        assert path.read_bytes() == content
        sim.clear()


def test_thousands_of_ids_stay_within_memory():
    with simulated("--binders=1", "--folders=0", "--documents=700", "--metadata=20") as sim:
        raws = raw_documents(sim)
        ids = [*raws, *(str(uuid.UUID(int=n)) for n in range(700))]
        with mounted(sim, "ttl=600", "memory=1M", "timeout=20") as mount, concurrent.futures.ThreadPoolExecutor(8) as pool:
            seen = list(pool.map(lambda identity: outcome_of(lambda: by_id(mount, identity).read_bytes())[0], ids))
            assert seen == [None] * 700 + ["ENOENT"] * 700
            metrics = mount.metrics()
            assert metrics["listing_evictions_total"] > 500
            assert metrics["listing_bytes"] <= MIB * 3 // 4
            # What the kernel no longer knows is no longer kept.
            run("mount", "-i", "-o", "remount,ro", str(mount.path))
            wait_until(lambda: mount.metrics()["nodes"] < 20)
            metrics = mount.metrics()
            assert metrics["resources"] <= metrics["listings"] + 3
            for identity in list(raws)[::70]:
                assert by_id(mount, identity).read_bytes() == reference.indent(raws[identity])
