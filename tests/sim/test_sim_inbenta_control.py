"""The simulated knowledge base under control: changes, allowances, faults, settings, the demo.

Run:  IBINDERFS_BUILD=build /usr/bin/python3 -m pytest tests/sim
"""

import concurrent.futures
import contextlib
import http.client
import json
import re
import subprocess
import time

import pytest

from inbenta_client import KEY, Inbenta, message
from sim_client import BINARY, running

# --- changes


def test_changes_of_contents(kb):
    first, second = [category["id"] for category in kb.truth()["categories"]][1:3]
    before = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    new = kb.change("add_content", categories=[first], name='¿"Nueva"?', text="<p>Sí</p>\n")
    assert (new["title"], new["categories"]) == ('¿"Nueva"?', [int(first)])
    assert new["attributes"]["ANSWER_TEXT"] == "<p>Sí</p>\n" and new["modificationDate"] >= before
    path = str(new["id"])
    assert kb.one(path).json()["results"] == [new] == kb.contents(1, 150).json()["results"]
    assert new in kb.get(f"/categories/{first}/contents").json()["results"]
    renamed = kb.change("rename_content", id=new["id"], name="Otra", date="20200102030405")
    assert (renamed["title"], renamed["slug"], renamed["modificationDate"]) == ("Otra", "otra", "20200102030405")
    odd = kb.change("rename_content", id=path, name_raw='"\\ud800\\u0000x"')
    assert odd["title"] == "\ud800\0x" and b'"\\ud800\\u0000x"' in kb.one(path).body
    moved = kb.change("move_content", id=new["id"], categories=[second, 0, int(first), 77777777])
    assert moved["categories"] == [int(second), 0, int(first), 77777777]
    assert moved in kb.get(f"/categories/{second}/contents").json()["results"]
    assert kb.change("move_content", id=new["id"], categories=[])["categories"] == []
    modified = kb.change("modify_content", id=new["id"], text_raw='"a\\u0000b\\/"', date="")
    assert modified["attributes"]["ANSWER_TEXT"] == "a\0b/" and kb.answer(path) == b"a\0b/"
    assert "modificationDate" not in modified
    assert "ANSWER_TEXT" not in kb.change("modify_content", id=new["id"], text=None)["attributes"]
    assert kb.request("GET", f"/content?id={path}", port=kb.control_port).status == 404
    made = [kb.change("modify_content", id=new["id"])["attributes"]["ANSWER_TEXT"] for _ in range(2)]
    assert made[0] != made[1] and kb.answer(path).decode() == made[1]
    assert kb.change("delete_content", id=new["id"]) is None
    assert kb.one(path).status == 404 and len(kb.all_contents()) == 150


def test_changes_of_categories(kb):
    top = kb.change("add_category", name="Nueva")
    assert top["parent"] == 0 and top in kb.categories().json()["results"]
    sub = kb.change("add_category", name="Debajo", parent=str(top["id"]))
    assert sub["parent"] == top["id"]
    listed = {c["id"]: c for c in kb.categories().json()["results"]}
    assert listed[top["id"]]["children"] == [sub["id"]] and top["id"] in listed[0]["children"]
    assert kb.change("rename_category", id=top["id"], name="Otra")["name"] == "Otra"
    kept = kb.change("add_content", name="a", categories=[sub["id"]])
    assert kb.change("move_category", id=sub["id"], parent=0)["parent"] == 0
    assert kb.change("move_category", id=sub["id"], parent=sub["id"])["children"] == [sub["id"]]
    assert kb.change("move_category", id=sub["id"], parent=77777777)["parent"] == 77777777
    kb.change("move_category", id=sub["id"], parent=top["id"])
    kb.change("move_category", id=top["id"], parent=sub["id"])  # a cycle
    assert kb.change("delete_category", id=top["id"], keep_ids=True) is None
    listed = [c["id"] for c in kb.categories().json()["results"]]
    assert top["id"] not in listed and sub["id"] not in listed
    assert kb.one(str(kept["id"])).json()["results"] == [kept]
    assert kb.get(f"/categories/{sub['id']}/contents").status == 404
    other = kb.change("add_category", name="Otra más")
    lost = kb.change("add_content", name="b", categories=[other["id"], 0])
    kb.change("delete_category", id=other["id"])
    assert kb.one(str(lost["id"])).json()["results"][0]["categories"] == [0]


def test_changes_are_checked(kb):
    content = kb.truth()["contents"][0]["id"]
    category = kb.truth()["categories"][1]["id"]
    for status, body in (
        (400, {"op": "unheard"}),
        (400, {"op": "add_document", "binder": "x", "name": "x"}),
        (404, {"op": "delete_content", "id": 99999999}),
        (404, {"op": "delete_content", "id": "none"}),
        (404, {"op": "delete_content"}),
        (404, {"op": "rename_content", "id": -1, "name": "x"}),
        (404, {"op": "modify_content", "id": [], "text": "x"}),
        (404, {"op": "move_content", "id": 1.5e300, "categories": []}),
        (404, {"op": "rename_category", "id": 99999999, "name": "x"}),
        (404, {"op": "move_category", "id": 99999999, "parent": 0}),
        (404, {"op": "delete_category", "id": 99999999}),
        (400, {"op": "add_content", "categories": [0]}),
        (400, {"op": "add_content", "name": "x"}),
        (400, {"op": "add_content", "name": "x", "categories": ["y"]}),
        (400, {"op": "add_content", "name": "x", "categories": [0], "text_raw": "no quotes"}),
        (400, {"op": "add_content", "name": "x", "categories": [0], "date": "2024010203040506"}),
        (400, {"op": "rename_content", "id": content}),
        (400, {"op": "rename_content", "id": content, "name_raw": '"\\x"'}),
        (400, {"op": "modify_content", "id": content, "date": "2024010203040506"}),
        (400, {"op": "modify_content", "id": content, "date": 'a"b'}),
        (400, {"op": "move_content", "id": content, "categories": 7}),
        (400, {"op": "add_category", "name": "x", "parent": "-"}),
        (400, {"op": "add_category"}),
        (400, {"op": "rename_category", "id": category}),
        (400, {"op": "move_category", "id": 0, "parent": category}),
        (400, {"op": "delete_category", "id": 0}),
    ):
        answer = kb.request("POST", "/change", body=json.dumps(body).encode(), port=kb.control_port)
        assert (answer.status, answer.json()["ok"]) == (status, False), body
    assert len(kb.all_contents()) == 150


# --- allowances

SHOWN = ("x-throttle-usage", "x-throttle-reset", "x-quota-usage", "x-quota-reset")


def shown(answer):
    return [answer.headers[name] for name in SHOWN]


def test_allowance_headers(kb):
    kb.take()
    kb.set(throttle_limit=100, quota_limit=1000)
    seen = kb.contents()
    assert seen.headers["x-throttle-usage"] == "1/100" and seen.headers["x-quota-usage"] == "1/1000"
    assert 55 <= int(seen.headers["x-throttle-reset"]) <= 60
    assert 3590 <= int(seen.headers["x-quota-reset"]) <= 3600
    assert kb.one("none").headers["x-throttle-usage"] == "2/100"  # also on errors
    assert kb.apis().headers["x-throttle-usage"] == "2/100"  # authorization is another group
    kb.set(usage="percent")
    assert shown(kb.contents())[::2] == ["3%", "0%"]
    kb.set(usage="ratio", reset="unix")
    seen = shown(kb.contents())
    assert seen[::2] == ["0.04", "0.00"] and abs(int(seen[1]) - time.time() - 60) < 10
    kb.set(usage="garbage")
    garbage = {value for _ in range(8) for value in shown(kb.contents())}
    assert {"lots", "12/0", "-1"} < garbage
    kb.set(usage="absent")
    assert shown(kb.contents()) == [None] * 4
    assert shown(kb.request("GET", "/v1/apis")) == [None] * 4  # without a key nothing is counted


def test_an_allowance_is_used_up(kb):
    kb.take()
    kb.set(throttle_limit=3, throttle_window=2)
    assert [kb.contents().status for _ in range(5)] == [200, 200, 200, 429, 429]
    answer = kb.contents()
    assert answer.status == 429 and message(answer) == "Too Many Requests"
    assert shown(answer)[0] == "3/3" and 1 <= int(shown(answer)[1]) <= 2
    assert kb.apis().status == 200
    assert kb.stats()["refused"]["allowance"] == 3
    time.sleep(2.1)
    assert kb.contents().status == 200
    kb.set(throttle_limit=0, quota_limit=5)
    assert [kb.contents().status for _ in range(3)] == [200, 429, 429]
    kb.control("POST", "/allowances/reset")
    assert [kb.contents().status for _ in range(6)] == [200] * 5 + [429]
    kb.set(quota_limit=0)
    assert kb.contents().status == 200


# --- faults

CALLS = {
    "auth": lambda kb: kb.ask(),
    "refresh": lambda kb: kb.refresh(),
    "apis": lambda kb: kb.apis(),
    "contents": lambda kb: kb.contents(),
    "content": lambda kb: kb.one(kb.first),
    "categories": lambda kb: kb.categories(),
    "category_contents": lambda kb: kb.get("/categories/0/contents"),
}


@pytest.fixture
def calm(kb):
    """One where tokens can be taken without losing the address."""
    kb.set(old_addresses=1000000)
    kb.first = kb.truth()["contents"][0]["id"]
    kb.take()
    kb.control("POST", "/stats/reset")
    return kb


@pytest.mark.parametrize("route", CALLS)
def test_every_kind_of_fault_on_every_route(calm, route):
    call = CALLS[route]
    calm.fault(route, "status", status=429, retry_after="3", times=2, after=1)
    seen = [call(calm) for _ in range(4)]
    assert [answer.status for answer in seen] == [200, 429, 429, 200]
    assert seen[1].headers["Retry-After"] == "3" and message(seen[1]) == "Too Many Requests"
    calm.clear()
    calm.fault(route, "status", status=403, body='{"Message":"no"}')
    answer = call(calm)
    assert (answer.status, answer.headers["Content-Type"], answer.json()) == (403, "application/json",
                                                                              {"Message": "no"})
    kinds = ["reset", "truncate", "not_json", "empty_body", "deep", "redirect", "bad_utf8"]
    for kind in kinds:
        calm.fault(route, kind)
        with contextlib.suppress(OSError, http.client.HTTPException):
            call(calm)
    for variant in range(8):
        calm.fault(route, "wrong_types", variant=variant)
        call(calm).json()
    fired = sum(fault["fired"] for fault in calm.control("GET", "/faults"))
    assert fired == 1 + len(kinds) + 8 and calm.stats()["routes"][route] == 4 + fired
    calm.clear()
    assert call(calm).status == 200
    calm.settle()


def test_a_hang_keeps_no_other_waiting(calm):
    calm.fault("contents", "hang", times=-1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        hung = pool.submit(calm.contents)
        while not calm.stats()["in_flight"]:
            time.sleep(0.01)
        assert calm.one(calm.first).status == 200
        calm.clear()
        with pytest.raises(http.client.RemoteDisconnected):
            hung.result(timeout=5)
    assert calm.contents().status == 200


def test_faults_of_pages(calm):
    calm.fault("contents", "zero_page")
    assert calm.contents().json() == {"results": [], "hasMore": True}
    calm.fault("contents", "big_total", times=2)
    assert calm.contents(100, 100).json()["hasMore"] is True
    assert calm.contents(100, 200).json() == {"results": [], "hasMore": True}
    calm.fault("contents", "null_items")
    assert calm.contents().json() == {"results": None, "hasMore": False}
    for route in ("content", "categories", "category_contents"):
        calm.fault(route, "null_items")
        assert CALLS[route](calm).json() == {"results": None}
    calm.fault("apis", "null_items")
    assert calm.apis().json() is None
    calm.fault("contents", "bad_utf8")
    assert b'"title":"\xff\xc3' in calm.contents().body
    assert calm.contents(100, 100).json()["hasMore"] is False
    for body in ({"route": "content", "kind": "big_total"}, {"route": "categories", "kind": "zero_page"},
                 {"route": "search", "kind": "hang"}, {"route": "contents", "kind": "wrong_range"}):
        answer = calm.request("POST", "/faults", body=json.dumps(body).encode(), port=calm.control_port)
        assert answer.status == 400


def test_redirects_are_followed_by_credentials_or_not(calm):
    calm.fault("contents", "redirect", location="{self}")
    target = calm.contents().headers["Location"]
    assert target.endswith("&hop=1") and calm.stats()["headers_seen_by_redirect_target"] == []
    assert calm.request("GET", target, {"x-inbenta-key": KEY}).status == 401
    assert calm.stats()["headers_seen_by_redirect_target"] == ["x-inbenta-key"]
    calm.fault("categories", "redirect")
    target = calm.categories().headers["Location"]
    assert calm.request("GET", target, calm.headers()).json() == []
    assert sorted(calm.stats()["headers_seen_by_redirect_target"]) == ["Authorization", "x-inbenta-key"]


# --- settings, counters, the process


def test_settings_are_checked_and_all_or_none(kb):
    for body in ({"dead_token": "402"}, {"usage": "x"}, {"old_address": "500"}, {"throttle_window": 0}, {"ids": "x"},
                 {"max_page": 0}, {"errors": "MESSAGE"}, {"items_wrapper": True}, {"contents": 5},
                 {"token_life": 5, "origin": "maybe"}, {"api_key": "x" * 300}):
        answer = kb.request("POST", "/settings", body=json.dumps(body).encode(), port=kb.control_port)
        assert answer.status == 400, body
    assert kb.ask().json()["expires_in"] == 1200
    kb.set(token_life=60, latency_ms=300)
    began = time.monotonic()
    assert kb.ask().json()["expires_in"] == 60
    assert time.monotonic() - began >= 0.3


def test_counters(kb):
    kb.take()
    kb.contents()
    kb.request("GET", "/elsewhere")
    kb.settle()
    stats = kb.stats()
    assert set(stats["routes"]) == {"auth", "refresh", "apis", "contents", "content", "categories",
                                    "category_contents", "redirect_target", "other"}
    assert {name: n for name, n in stats["routes"].items() if n} == {"auth": 1, "contents": 1, "other": 1}
    assert stats["status"] == {"200": 2, "404": 1} and stats["bytes"]["contents"] > 10000
    assert (stats["tokens_issued"], stats["in_flight"], stats["connections"]) == (1, 0, 3)


def test_the_demo_is_quick_and_plausible():
    began = time.monotonic()
    with running("--demo", kind=Inbenta) as sim:
        assert time.monotonic() - began < 2
        contents = sim.all_contents()
        titles = [content["title"] for content in contents]
        assert "¿Cómo pago?" in titles and "How can I pay?" in titles
        assert 30 <= len(titles) == len(set(titles)) <= 60
        categories = {c["id"]: c for c in sim.categories().json()["results"]}
        assert len(categories) == 15 and categories[0]["parent"] == "-"
        assert any(len(c["categories"]) > 1 for c in contents) and any(not c["categories"] for c in contents)
        for content in contents:
            assert all(i in categories for i in content["categories"])
            assert re.fullmatch(r"<(p|ol|ul|table)>.*</(p|ol|ul|table)>", content["attributes"]["ANSWER_TEXT"], re.S)
            for date in ("creationDate", "modificationDate"):
                time.strptime(content[date], "%Y%m%d%H%M%S")
            assert content["creationDate"] <= content["modificationDate"]


def test_options_belong_to_a_vendor():
    for options in (["--vendor=x"], ["--vendor"], ["--vendor=inbenta", "--binders=1"], ["--contents=1"],
                    ["--vendor=ibinder", "--ids=mixed"], ["--vendor=inbenta", "--size-min=9", "--size-max=8"],
                    ["--vendor=inbenta", "--ids=x"], ["--vendor=inbenta", "--category-depth=0"],
                    ["--vendor=inbenta", "--vendor=ibinder"]):
        ended = subprocess.run([BINARY, *options], capture_output=True, timeout=10)
        assert ended.returncode == 2 and ended.stderr and not ended.stdout, options
    with running("--vendor", "inbenta", kind=Inbenta) as sim:
        assert sim.take()


def test_log(tmp_path):
    with running(f"--log={tmp_path / 'log'}", kind=Inbenta) as sim:
        sim.contents(5)
        sim.request("GET", "/nothing")
    assert (tmp_path / "log").read_text().splitlines() == [
        "POST /v1/auth 200", "GET /km-2/v1/contents?length=5&offset=0&tracking=0 200", "GET /nothing 404"]
