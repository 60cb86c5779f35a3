"""The faults that tests can plant in the simulator.

Run:  IBINDERFS_BUILD=build /usr/bin/python3 -m pytest tests/sim
"""

import concurrent.futures
import contextlib
import http.client
import json
import time
import urllib.error

import pytest

from sim_client import link_of


def test_status_fault(sim):
    sim.fault("binders", "status", status=429, retry_after="3", times=2, after=1)
    seen = [sim.get("/binders") for _ in range(4)]
    assert [answer.status for answer in seen] == [200, 429, 429, 200]
    assert seen[1].headers["Retry-After"] == "3" and seen[1].json()["title"] == "Too Many Requests"
    fault = sim.control("GET", "/faults")[0]
    assert (fault["fired"], fault["passed"], fault["route"], fault["kind"]) == (2, 1, "binders", "status")
    sim.clear()
    assert sim.control("GET", "/faults") == []
    sim.fault("*", "status", status=503, times=-1, body="<h1>busy</h1>")
    for _ in range(3):
        answer = sim.get("/binders")
        assert (answer.status, answer.body) == (503, b"<h1>busy</h1>")
    assert sim.ask_token().status == 503
    assert sim.stats()["tokens_issued"] == 1


def test_reset_fault(sim):
    sim.headers()
    sim.fault("binders", "reset")
    with pytest.raises(ConnectionResetError):
        try:
            sim.get("/binders")
        except urllib.error.URLError as error:
            raise error.reason
    assert sim.get("/binders").status == 200


def test_hang_fault(sim):
    sim.headers()
    sim.fault("binders", "hang", times=-1)
    with pytest.raises(TimeoutError):
        sim.get("/binders", timeout=0.3)
    sim.settle()  # the client has gone, and so has the request
    with concurrent.futures.ThreadPoolExecutor() as pool:
        hung = pool.submit(sim.get, "/binders")
        while not sim.stats()["in_flight"]:
            time.sleep(0.01)
        assert sim.get("/documents/none").status == 404  # others are not kept waiting
        sim.clear()
        with pytest.raises(http.client.RemoteDisconnected):
            hung.result(timeout=5)
    assert sim.get("/binders").status == 200


@pytest.mark.parametrize("route", ["binders", "storage"])
def test_truncate_fault(sim, route):
    document = sim.truth()[0]["documents"][0]
    url = link_of(sim, document)
    sim.fault(route, "truncate")
    with pytest.raises(http.client.IncompleteRead) as caught:
        sim.get("/binders") if route == "binders" else sim.request("GET", url)
    assert caught.value.partial and caught.value.expected


def test_slow_and_delay_faults(sim):
    whole = sim.get("/binders").body
    sim.fault("binders", "slow", bytes_per_second=len(whole))
    began = time.monotonic()
    assert sim.get("/binders").body == whole
    assert 0.7 < time.monotonic() - began < 5
    sim.fault("binders", "delay", ms=400)
    began = time.monotonic()
    assert sim.get("/binders").body == whole
    assert 0.4 <= time.monotonic() - began < 3


def test_slow_body_begins_at_once(sim):
    sim.headers()
    sim.fault("binders", "slow", bytes_per_second=50)
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    connection.request("GET", "/api/binders", headers=sim.headers())
    began = time.monotonic()
    answer = connection.getresponse()
    assert answer.read(1) and time.monotonic() - began < 1
    connection.close()


def test_faults_that_spoil_the_body(sim):
    kinds = {
        "not_json": lambda body: body.startswith(b"<!DOCTYPE html>"),
        "empty_body": lambda body: body == b"",
        "wrong_types": lambda body: "items" in json.loads(body),
        "deep": lambda body: body.startswith(b"[" * 100000) and len(body) == 200000,
        "bad_utf8": lambda body: b'"fileName":"\xff\xc3' in body,
        "big_total": lambda body: json.loads(body)["totalCount"] == 10**15,
        "zero_page": lambda body: (json.loads(body)["items"], json.loads(body)["pageSize"]) == ([], 0)
        and json.loads(body)["totalCount"] > 0,
        "null_items": lambda body: json.loads(body)["items"] is None,
    }
    for kind, holds in kinds.items():
        sim.fault("search", kind)
        answer = sim.search()
        assert answer.status == 200 and holds(answer.body), kind
    for variant in range(8):
        sim.fault("search", "wrong_types", variant=variant)
        sim.search().json()
    sim.fault("binders", "null_items")
    assert sim.get("/binders").json() is None
    assert sim.search().json()["totalCount"] == 120


def test_endless_fault(sim):
    sim.headers()
    sim.fault("binders", "endless")
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    connection.request("GET", "/api/binders", headers=sim.headers())
    body = connection.getresponse().read(10_000_000)
    assert len(body) == 10_000_000 and body.startswith(b'[{"id":"endless"')
    connection.close()
    sim.settle()


def test_redirect_fault(sim):
    sim.fault("binders", "redirect")
    answer = sim.get("/binders")
    target = f"http://127.0.0.1:{sim.port}/redirect-target"
    assert (answer.status, answer.headers["Location"]) == (302, target)
    assert sim.stats()["headers_seen_by_redirect_target"] == []
    assert sim.request("GET", target).status == 200
    assert sim.stats()["headers_seen_by_redirect_target"] == []
    sim.request("GET", target, sim.headers())
    assert sim.stats()["headers_seen_by_redirect_target"] == ["Authorization", "x-ibinder-tenantid"]


def test_every_kind_on_every_route_leaves_the_simulator_well(sim):
    document = sim.truth()[0]["documents"][0]
    binder = sim.truth()[0]["id"]
    folder = document["folderId"]
    calls = {
        "token": sim.ask_token,
        "binders": lambda: sim.get("/binders", timeout=0.3),
        "metadataelements": lambda: sim.get(f"/binders/{binder}/metadataelements", timeout=0.3),
        "drive": lambda: sim.get(f"/documents/drives/binders/{binder}", timeout=0.3),
        "subfolders": lambda: sim.get(f"/documents/drives/binders/{binder}/folders/{folder}", timeout=0.3),
        "search": sim.search,
        "document": lambda: sim.get(f"/documents/{document['id']}", timeout=0.3),
        "downloadlink": lambda: sim.get(
            f"/documents/{document['id']}/versions/{document['latestVersionId']}/downloadlink", timeout=0.3),
    }
    sim.headers()
    kinds = ["status", "reset", "truncate", "not_json", "empty_body", "wrong_types", "deep", "redirect",
             "null_items", "bad_utf8"]
    for route, call in calls.items():
        for kind in kinds + (["hang"] if call not in (sim.ask_token, sim.search) else []):
            sim.fault(route, kind)
            with contextlib.suppress(OSError, http.client.HTTPException):
                call()
        sim.clear()
        assert call().status == 200
    sim.settle()


def test_faults_are_checked(sim):
    for body in (b"{}", b'{"route": "nowhere", "kind": "hang"}', b'{"route": "search", "kind": "odd"}',
                 b'{"route": "search", "kind": "none"}', b'{"route": "binders", "kind": "big_total"}',
                 b'{"route": "document", "kind": "wrong_range"}', b'{"route": "*", "kind": "encoded"}',
                 b'{"route": "*", "kind": "status", "status": 99}', b'{"route": "*", "kind": "hang", "times": "x"}',
                 b'{"route": "*", "kind": "wrong_types", "variant": 8}', b"[", b"7"):
        assert sim.request("POST", "/faults", body=body, port=sim.control_port).status == 400
    assert sim.control("GET", "/faults") == []
