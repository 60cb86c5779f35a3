"""The simulator's counters, changes and settings, its behaviour under load, its start and end.

Run:  IBINDERFS_BUILD=build /usr/bin/python3 -m pytest tests/sim
"""

import concurrent.futures
import http.client
import json
import re
import socket
import subprocess
import time
import urllib.parse

from sim_client import BINARY, GRANT, Sim, all_pages, link_of, metadata_of, running, walk

# --- counters, concurrency, latency


def test_counters(sim):
    sim.headers()
    sim.get("/binders")
    sim.search()
    sim.request("GET", "/elsewhere", {"X-Forwarded-Http": "h2"})
    stats = sim.stats()
    routes = {name: n for name, n in stats["routes"].items() if n}
    assert routes == {"token": 1, "binders": 1, "search": 1, "other": 1}
    assert stats["status"] == {"200": 3, "404": 1}
    assert stats["protocols"] == {"HTTP/1.1": 4} and stats["forwarded_protocols"] == {"h2": 1}
    assert stats["peak_concurrency"] >= 1 and stats["connections"] == 4
    sim.settle()
    sim.control("POST", "/stats/reset")
    stats = sim.stats()
    assert not any(stats["routes"].values()) and stats["status"] == {} and stats["peak_concurrency"] == 0


def test_latency_does_not_queue(sim):
    headers = sim.headers()
    sim.control("POST", "/settings", latency_ms=500, jitter_ms=100)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: sim.request("GET", "/api/binders", headers).status, range(200)))
    took = time.monotonic() - began
    assert answers == [200] * 200 and 0.5 <= took < 5
    assert sim.stats()["peak_concurrency"] >= 150


def test_one_connection_never_stalls(sim):
    """Nagle against delayed acknowledgement would cost 40 ms a request."""
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    document = sim.truth()[0]["documents"][0]
    path = urllib.parse.urlsplit(link_of(sim, document))
    targets = [("/api/binders", sim.headers()), (f"{path.path}?{path.query}", {})]
    connections = sim.stats()["connections"]
    began = time.monotonic()
    for _ in range(100):
        for target, headers in targets:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()
    assert time.monotonic() - began < 2
    assert sim.stats()["connections"] == connections + 1
    connection.close()


# --- changes


def test_changes_of_documents(sim):
    binder = sim.truth()[0]
    first, second = binder["folders"][0]["id"], binder["folders"][1]["id"]
    new = sim.change("add_document", binder=binder["id"], folder=first, name='Ny "ritning" å.pdf')
    path = f"/documents/{new['id']}"
    assert sim.get(path).json() == new and new["fileName"] == 'Ny "ritning" å.pdf'
    assert new in all_pages(sim, 50, [("GLOBAL_TabId", first)])
    renamed = sim.change("rename_document", id=new["id"], name="Annan.pdf")
    assert renamed == {**new, "fileName": "Annan.pdf"} == sim.get(path).json()
    assert [d["id"] for d in sim.search("searchTerm=annan.p").json()["items"]] == [new["id"]]
    odd = sim.change("rename_document", id=new["id"], name_raw='"\\ud800\\u0000x"')
    assert odd["fileName"] == "\ud800\0x" and b'"\\ud800\\u0000x"' in sim.get(path).body
    version = sim.change("new_version", id=new["id"])["latestVersionId"]
    assert version != new["latestVersionId"] and sim.get(path).json()["latestVersionId"] == version
    for v in (version, new["latestVersionId"]):
        assert sim.get(f"{path}/versions/{v}/downloadlink").status == 200
    sim.change("set_metadata", id=new["id"], key="GLOBAL_Status", valueId="Nytt värde")
    assert [d["id"] for d in all_pages(sim, 5, [("GLOBAL_Status", "Nytt värde")])] == [new["id"]]
    sim.change("set_metadata", id=new["id"], key="GLOBAL_Status", valueId=None)
    assert "GLOBAL_Status" not in metadata_of(sim.get(path).json())
    moved = sim.change("move_document", id=new["id"], folder=second)
    assert moved["folderId"] == second == metadata_of(moved)["GLOBAL_TabId"]
    assert new["id"] not in [d["id"] for d in all_pages(sim, 50, [("GLOBAL_TabId", first)])]
    assert moved in all_pages(sim, 50, [("GLOBAL_TabId", second)])
    assert sim.change("move_document", id=new["id"], folder=None)["folderId"] is None
    assert sim.change("delete_document", id=new["id"]) is None
    assert sim.get(path).status == 404
    assert sim.truth() == sim.truth() and len(all_pages(sim, 50)) == 120


def test_changes_of_folders_and_binders(sim):
    binder = sim.change("add_binder", name="Ny pärm")
    assert binder in sim.get("/binders").json()
    top = sim.change("add_folder", binder=binder["id"], parent=None, name="Flik")
    sub = sim.change("add_folder", binder=binder["id"], parent=top["id"], name="Under")
    assert list(walk(sim, binder["id"])) == [top, sub]
    kept = sim.change("add_document", binder=binder["id"], folder=sub["id"], name="kvar.pdf")
    assert sim.change("rename_folder", id=top["id"], name="Om")["name"] == "Om"
    assert sim.change("rename_binder", id=binder["id"], name="Ompärm")["name"] == "Ompärm"
    sim.change("delete_folder", id=top["id"], keep_documents=True)
    assert list(walk(sim, binder["id"])) == []
    assert all_pages(sim, 5, [("GLOBAL_BinderId", binder["id"])]) == [kept]
    other = sim.change("add_folder", binder=binder["id"], name="Bort")
    inner = sim.change("add_folder", binder=binder["id"], parent=other["id"], name="Inre")
    gone = sim.change("add_document", binder=binder["id"], folder=inner["id"], name="bort.pdf")
    sim.change("delete_folder", id=other["id"])
    assert sim.get(f"/documents/{gone['id']}").status == 404
    assert len(sim.truth()) == 3
    sim.change("delete_binder", id=binder["id"])
    assert len(sim.truth()) == 2 and sim.get(f"/documents/{kept['id']}").status == 404


def test_changes_are_checked(sim):
    binder = sim.truth()[0]["id"]
    document = sim.truth()[0]["documents"][0]["id"]
    for status, body in (
        (400, {"op": "unheard"}),
        (404, {"op": "delete_document", "id": "none"}),
        (404, {"op": "add_document", "binder": "none", "name": "x"}),
        (404, {"op": "add_document", "binder": binder, "folder": "none", "name": "x"}),
        (400, {"op": "add_document", "binder": binder}),
        (400, {"op": "rename_document", "id": document, "name_raw": "no quotes"}),
        (400, {"op": "rename_document", "id": document, "name_raw": '"\\x"'}),
        (400, {"op": "set_metadata", "id": document, "key": "GLOBAL_TabId", "valueId": "x"}),
        (400, {"op": "add_folder", "binder": binder, "parent": sim.truth()[1]["folders"][0]["id"], "name": "x"}),
    ):
        answer = sim.request("POST", "/change", body=json.dumps(body).encode(), port=sim.control_port)
        assert (answer.status, answer.json()["ok"]) == (status, False)


def test_settings_are_checked_and_all_or_none(sim):
    for body in ({"latency_ms": -1}, {"subfolders": "403"}, {"unheard": 1}, {"max_page": 0}, {"tab_filter": "x"},
                 {"token_life": 5, "items_wrapper": "maybe"}):
        answer = sim.request("POST", "/settings", body=json.dumps(body).encode(), port=sim.control_port)
        assert answer.status == 400
    assert sim.ask_token().json()["expires_in"] == 3600
    sim.control("POST", "/settings", client_secret="ny & hemlig")
    assert sim.ask_token().status == 401
    assert sim.ask_token({**GRANT, "client_secret": "ny & hemlig"}).status == 200


# --- the process


def test_demo_is_quick_and_plausible():
    began = time.monotonic()
    with running("--demo") as sim:
        assert time.monotonic() - began < 2
        truth = sim.truth()
        assert [json.loads(b["raw"])["name"] for b in truth][0] == "Projekt 012 Kv. Björken"
        names = [json.loads(d["raw"])["fileName"] for b in truth for d in b["documents"]]
        assert 130 <= len(names) <= 170 and any("/" in name for name in names)
        assert names.count("Offert.pdf") == 2
        document = truth[0]["documents"][0]
        assert sim.request("GET", link_of(sim, document)).body.decode("ascii").startswith("%PDF-1.7\n")


def test_ends_with_requests_under_way():
    sim = Sim()
    headers = sim.headers()
    sim.fault("binders", "hang", times=-1)
    sim.fault("search", "slow", bytes_per_second=1, times=-1)
    sim.fault("document", "endless", times=-1)
    sim.control("POST", "/settings", latency_ms=0)
    idle = socket.create_connection(("127.0.0.1", sim.port))
    waiting = []
    for target, method in (("binders", "GET"), ("documents", "POST"), ("documents/x", "GET")):
        connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
        connection.request(method, f"/api/{target}", b"{}" if method == "POST" else None,
                           {**headers, "Content-Type": "application/json"})
        waiting.append(connection)
    while sim.stats()["in_flight"] < 3:
        time.sleep(0.01)
    began = time.monotonic()
    sim.end()
    assert time.monotonic() - began < 3
    for connection in waiting:
        connection.close()
    idle.close()


def test_ends_with_stdin():
    sim = Sim("--exit-with-stdin", stdin=subprocess.PIPE)
    assert sim.control("GET", "/ping") == {"ok": True}
    sim.end(signum=None)  # communicate() closes stdin


def test_options_are_checked():
    for options in (["--port=x"], ["--unheard"], ["--size-min=9", "--size-max=8"], ["stray"], ["--subfolders=1"]):
        ended = subprocess.run([BINARY, *options], capture_output=True, timeout=10)
        assert ended.returncode == 2 and ended.stderr and not ended.stdout
    ended = subprocess.run([BINARY, "--exit-with-stdin"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    assert ended.returncode == 0 and re.fullmatch(rb"ready port=\d+ control=0\n", ended.stdout)


def test_port_in_use():
    with running() as sim:
        ended = subprocess.run([BINARY, f"--port={sim.port}"], capture_output=True, timeout=10)
        assert ended.returncode == 1 and ended.stderr


def test_log(tmp_path):
    with running(f"--log={tmp_path / 'log'}") as sim:
        sim.search("pageSize=5&searchTerm=a%20b")
        sim.get("/nothing")
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == ["POST /connect/token 200", "POST /api/documents?pageSize=5&searchTerm=a%20b 200",
                     "GET /api/nothing 404"]
