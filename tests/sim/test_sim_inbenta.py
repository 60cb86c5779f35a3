"""What the simulated knowledge base serves and refuses: key, tokens, addresses, contents, categories.

Run:  IBINDERFS_BUILD=build /usr/bin/python3 -m pytest tests/sim
"""

import json
import re
import time

import pytest

from inbenta_client import DOMAIN_KEY, KEY, ORIGIN, SECRET, Inbenta, message
from sim_client import running

# --- taking a token


def test_a_secret_gives_a_token_and_addresses(kb):
    answer = kb.ask()
    granted = answer.json()
    assert list(granted) == ["accessToken", "expiration", "expires_in", "apis"]
    assert granted["expires_in"] == 1200 and abs(granted["expiration"] - time.time() - 1200) < 5
    assert granted["apis"]["knowledge"] == f"http://127.0.0.1:{kb.port}/km-2"
    assert "chatbot" in granted["apis"]
    assert kb.ask(kind="application/json; charset=utf-8").json()["accessToken"] != granted["accessToken"]
    assert kb.ask(raw=json.dumps({"secret": SECRET}).encode() + b"\n").status == 200
    assert (kb.stats()["tokens_issued"], kb.stats()["routes"]["auth"]) == (3, 3)


@pytest.mark.parametrize(
    "body, status, why",
    [
        ({"secret": SECRET + " "}, 401, "client"),
        ({"secret": ""}, 401, "client"),
        ({"domainKey": "other"}, 401, "client"),
        ({"secret": 7}, 400, "body"),
        ({}, 400, "body"),
        ({"Secret": SECRET}, 400, "body"),
        ({"domain_key": DOMAIN_KEY}, 400, "body"),
        ({"secret": SECRET, "domainKey": DOMAIN_KEY}, 400, "body"),
        ({"secret": SECRET, "more": 1}, 400, "body"),
        ([SECRET], 400, "body"),
        (SECRET, 400, "body"),
    ],
)
def test_no_token_for(kb, body, status, why):
    answer = kb.ask(body, headers={"Origin": ORIGIN})
    assert answer.status == status and message(answer)
    stats = kb.stats()
    assert (stats["refused"][why], stats["tokens_issued"], stats["tokens_refused"]) == (1, 0, 1)


def test_the_body_is_json_and_nothing_else(kb):
    good = json.dumps({"secret": SECRET}).encode()
    for raw in (b"", b"{", good[:-1], good + b"x", b"null"):
        assert kb.ask(raw=raw).status == 400
    assert kb.ask(raw=b"x" * 100000).status == 413
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        assert kb.ask(raw=good, kind=kind).status == 415
    assert kb.stats()["tokens_issued"] == 0


def test_a_domain_key_needs_a_registered_origin(kb):
    for origin in (None, "https://evil.example", ORIGIN + "/", ORIGIN + ":443", "http://help.example.com",
                   "https://help.example.com https://www.example.org:8443", "", "https://help.example.co"):
        answer = kb.ask({"domainKey": DOMAIN_KEY}, headers={"Origin": origin})
        assert answer.status == 403, origin
    assert kb.stats()["refused"]["domain"] == 8
    kb.take(body={"domainKey": DOMAIN_KEY}, headers={"Origin": ORIGIN})
    assert kb.contents().status == 200
    kb.take(body={"domainKey": DOMAIN_KEY}, headers={"Origin": "https://www.example.org:8443"})
    kb.set(domains="https://only.example", domain_key_field="key_of_domain", domain_key="né&w")
    assert kb.ask({"domainKey": "né&w"}, headers={"Origin": "https://only.example"}).status == 400
    assert kb.ask({"key_of_domain": "né&w"}, headers={"Origin": ORIGIN}).status == 403
    assert kb.ask({"key_of_domain": "né&w"}, headers={"Origin": "https://only.example"}).status == 200
    assert kb.ask(headers={"Origin": ORIGIN}).status == 200  # a secret does not care


def test_the_origin_may_be_asked_for_on_every_call(kb):
    kb.set(origin="every")
    kb.take(body={"domainKey": DOMAIN_KEY}, headers={"Origin": ORIGIN})
    good = {**kb.headers(), "Origin": ORIGIN}
    calls = [lambda h: kb.get("/contents?length=1&offset=0", h), kb.apis, lambda h: kb.refresh(headers=h)]
    for call in calls:
        assert call(kb.headers()).status == 403
        assert call({**good, "Origin": "https://evil.example"}).status == 403
        answer = call(good)
        assert answer.status == 200
    assert kb.stats()["refused"]["domain"] == 6
    kb.token = answer.json()["accessToken"]  # a refreshed one is as it was
    assert kb.apis().status == 403
    kb.token = None
    assert kb.apis().status == 200


def test_secrets_come_from_the_environment():
    env = {"SIM_API_KEY": "clé", "SIM_SECRET": "öppna", "SIM_DOMAIN_KEY": "d"}
    with running(kind=Inbenta, env=env) as sim:
        assert sim.ask().status == 403
        assert sim.ask(key="clé".encode().decode("latin-1")).status == 401
        assert sim.ask({"secret": "öppna"}, key="clé".encode().decode("latin-1")).status == 200


# --- who may call


def test_every_call_needs_the_key(kb):
    good = kb.headers()
    content = kb.truth()["contents"][0]["id"]
    kb.control("POST", "/stats/reset")
    calls = [lambda h: kb.ask(headers=h, key=None), lambda h: kb.refresh(headers=h), kb.apis] + [
        lambda h, path=path: kb.get(path, h) for path in (
            "/contents?length=1&offset=0", f"/contents/{content}?tracking=0", "/categories/?maxDepth=-1",
            "/categories/0/contents")]
    for call in calls:
        without = {k: v for k, v in good.items() if k != "x-inbenta-key"}
        assert call(without).status == 401
        for key in ("", "other", KEY + "x", KEY.upper()):
            assert call({**good, "x-inbenta-key": key}).status == 403
    stats = kb.stats()
    assert (stats["refused"]["missing_key"], stats["refused"]["key"]) == (7, 28)
    assert stats["status"] == {"401": 7, "403": 28} and stats["clicks"] == 0
    assert all(stats["routes"][route] == 5 for route in (
        "auth", "refresh", "apis", "contents", "content", "categories", "category_contents"))


def test_every_call_but_the_first_needs_a_token(kb):
    kb.take()
    paths = ("/contents?length=1&offset=0", "/contents/1?tracking=0", "/categories/?maxDepth=-1",
             "/categories/0/contents")
    calls = [lambda h: kb.refresh(headers=h), kb.apis] + [lambda h, p=path: kb.get(p, h) for path in paths]
    for call in calls:
        for authorization in (None, "Basic eDp5", "Bearer", kb.token):
            headers = {"x-inbenta-key": KEY, "Authorization": authorization}
            answer = call({k: v for k, v in headers.items() if v is not None})
            assert (answer.status, answer.json()) == (401, {"message": "Unauthorized"})
        answer = call({"x-inbenta-key": KEY, "Authorization": "Bearer nonsense"})
        assert answer.status == 403 and "explicit deny" in answer.json()["Message"]
    refused = kb.stats()["refused"]
    assert (refused["missing_token"], refused["dead_token"]) == (24, 6)


def test_credentials_do_not_belong_into_the_query(kb):
    good = kb.headers()
    for name in ("secret", "domainKey", "key", "api_key", "accessToken", "access_token", "authorization",
                 "x-inbenta-key"):
        assert kb.get(f"/contents?length=1&offset=0&{name}=x", good).status == 400
        assert kb.ask(path=f"/v1/auth?{name}=x").status == 400
    assert kb.get("/contents?length=1&offset=0&ACCESSTOKEN=x", good).status == 400
    assert kb.stats()["refused"]["query_credentials"] == 17


def test_optional_headers_must_be_right(kb):
    good = kb.headers()
    for headers in ({"x-inbenta-env": "production", "x-inbenta-user-type": "0"}, {"x-inbenta-env": "development"},
                    {"x-inbenta-env": "preproduction", "x-inbenta-source": "anything"}):
        assert kb.get("/contents?length=1&offset=0", {**good, **headers}).status == 200
    for headers in ({"x-inbenta-env": "live"}, {"x-inbenta-user-type": "default"}, {"x-inbenta-env": ""}):
        assert kb.get("/contents?length=1&offset=0", {**good, **headers}).status == 400
    assert kb.stats()["refused"]["header"] == 3


def test_tokens_die(kb):
    kb.set(token_life=1)
    kb.take()
    assert kb.contents().status == 200
    time.sleep(1.1)
    for call in (kb.contents, kb.apis, kb.refresh):
        answer = call()
        assert answer.status == 403 and message(answer).endswith("with an explicit deny")
    kb.set(dead_token="401", token_life=1200)
    for call in (kb.contents, kb.apis, kb.refresh):
        answer = call()
        assert answer.status == 401 and message(answer) == "Unauthorized"
    assert kb.stats()["refused"]["dead_token"] == 6
    kb.take()
    assert kb.contents().status == 200
    kb.control("POST", "/tokens/revoke")
    assert kb.contents().status == 401


def test_refresh(kb):
    kb.take()
    answer = kb.refresh()
    assert answer.status == 200 and list(answer.json()) == ["accessToken", "expiration"]
    assert abs(answer.json()["expiration"] - time.time() - 1200) < 5
    old, kb.token = kb.token, answer.json()["accessToken"]
    assert old != kb.token
    kb.base = kb.apis().json()["apis"]["knowledge"]
    assert kb.contents().status == 200
    assert kb.refresh(headers={"x-inbenta-key": KEY, "Authorization": f"Bearer {old}"}).status == 200
    for body in (b"{}", b'{"secret": "x"}', b" "):
        assert kb.refresh(body).status == 400
    assert kb.stats()["refused"]["body"] == 3 and kb.stats()["tokens_issued"] == 3


# --- addresses


def test_addresses_change_with_each_token(kb):
    first = kb.take()["apis"]["knowledge"]
    assert kb.apis().json()["apis"]["knowledge"] == first
    assert kb.contents().status == 200
    kb.token = kb.refresh().json()["accessToken"]
    answer = kb.contents()
    assert answer.status == 403 and "key=value pair" in answer.json()["Message"]
    second = kb.apis().json()["apis"]["knowledge"]
    assert second != first
    kb.base = second
    assert kb.contents().status == 200
    kb.set(old_address="404")
    kb.base = first
    for path in ("/contents?length=1&offset=0", "/contents/1?tracking=0", "/categories/?maxDepth=-1",
                 "/categories/0/contents"):
        assert kb.get(path).status == 404
    kb.base = f"http://127.0.0.1:{kb.port}/km-4"  # one that has not been given out
    assert kb.contents().status == 404
    kb.base = f"http://127.0.0.1:{kb.port}/km-0"
    assert kb.contents().status == 404
    assert kb.stats()["refused"]["address"] == 7
    kb.base = second
    kb.control("POST", "/addresses/move")
    assert kb.contents().status == 404
    kb.set(old_addresses=2)
    assert kb.contents().status == 200
    kb.set(old_addresses=100)
    for number in (0, 5, "", "x", "99999999999999999999"):
        kb.base = f"http://127.0.0.1:{kb.port}/km-{number}"
        assert kb.contents().status == 404, number


def test_a_wrong_address_may_repeat_the_token(kb):
    kb.take()
    kb.control("POST", "/addresses/move")
    assert kb.token not in message(kb.contents())
    kb.set(echo_token="on")
    assert kb.token in message(kb.contents())


def test_addresses_may_lead_elsewhere():
    with running("--service-base=https://kb.example/x", kind=Inbenta) as sim:
        assert sim.take()["apis"]["knowledge"] == "https://kb.example/x/km-2"
        assert sim.apis().json()["apis"]["knowledge"] == "https://kb.example/x/km-2"


def test_unknown_paths_and_methods(kb):
    good = kb.headers()
    for path in ("/v1/auth/", "/auth", "/v1/apis/knowledge", "/km-2/contents", "/km-2/v1/contents/",
                 "/km-2/v1/categories", "/km-2/v1/categories/0", "/km-2/v1/contents/1/2", "/km-/v1/contents", "/"):
        assert kb.request("GET", path, good).status == 404, path
    assert kb.stats()["refused"]["path"] == 10
    for method, path, allowed in (("GET", "/v1/auth", "POST"), ("GET", "/v1/refreshToken", "POST"),
                                  ("POST", "/v1/apis", "GET"), ("HEAD", "/km-2/v1/contents", "GET"),
                                  ("DELETE", "/km-2/v1/contents/1", "GET"), ("PUT", "/km-2/v1/categories/", "GET")):
        answer = kb.request(method, path, good)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    assert kb.stats()["refused"]["method"] == 6


# --- errors


def test_errors_have_one_of_three_shapes(kb):
    def bodies():
        none = kb.request("GET", "/v1/apis")
        denied = kb.apis({"x-inbenta-key": KEY, "Authorization": "Bearer nonsense"})
        missing = kb.one("none")
        assert (none.status, denied.status, missing.status) == (401, 403, 404)
        assert all(answer.headers["Content-Type"] == "application/json" for answer in (none, denied, missing))
        return [list(answer.json()) for answer in (none, denied, missing)]

    assert bodies() == [["message"], ["Message"], ["error"]]
    assert kb.one("none").json() == {"error": {"code": 404, "message": "Not Found"}}
    for shape in ("error", "Message", "message"):
        kb.set(errors=shape)
        assert bodies() == [[shape]] * 3


# --- what the knowledge base holds


@pytest.mark.parametrize("name", ["kb", "odd_kb"])
def test_what_is_served_is_the_truth(name, request):
    kb = request.getfixturevalue(name)
    truth = kb.truth()
    categories = ",".join(category["raw"] for category in truth["categories"])
    assert kb.categories().body.decode() == '{"results":[' + categories + "]}"
    raws = [content["raw"] for content in truth["contents"]]
    for offset in range(0, len(raws), 60):
        more = "true" if offset + 60 < len(raws) else "false"
        expected = '{"results":[' + ",".join(raws[offset : offset + 60]) + '],"hasMore":' + more + "}"
        assert kb.contents(60, offset).body.decode() == expected
    for content in truth["contents"][::17] + truth["contents"][-2:]:
        assert kb.one(content["id"]).body.decode() == '{"results":[' + content["raw"] + "]}"
        if content["answer"] is not None:
            assert kb.answer(content["id"]).decode() == content["answer"]
    for category in truth["categories"]:
        inside = [c["raw"] for c in truth["contents"] if category["id"] in c["categories"]]
        answer = kb.get(f"/categories/{category['id']}/contents")
        assert answer.body.decode() == '{"results":[' + ",".join(inside) + "]}"
    assert kb.stats()["clicks"] == 0


@pytest.mark.parametrize("name", ["kb", "odd_kb"])
def test_the_truth_says_what_the_objects_say(name, request):
    truth = request.getfixturevalue(name).truth()
    for content in truth["contents"]:
        raw = json.loads(content["raw"])
        assert {"id", "title", "slug", "creationDate", "attributes"} < set(raw)
        assert str(raw["id"]) == content["id"]
        assert [str(i) for i in raw.get("categories") or []] == content["categories"]
        attributes = raw["attributes"] or {}
        assert attributes.get("ANSWER_TEXT") == content["answer"]
        assert raw.get("modificationDate", "") == content["modificationDate"]
    known = {category["id"]: category for category in truth["categories"]}
    for category in truth["categories"]:
        raw = json.loads(category["raw"])
        assert {"id", "name", "slug", "children"} < set(raw) and str(raw["id"]) == category["id"]
        children = [str(i) for i in raw["children"]]
        assert all(known[i]["parent"] == category["id"] for i in children if i in known)
        if category["parent"] is None:
            assert raw.get("parent") in ("-", None)
        else:
            assert str(raw["parent"]) == category["parent"]


def test_an_ordinary_knowledge_base(kb):
    truth = kb.truth()
    root, *others = [json.loads(category["raw"]) for category in truth["categories"]]
    assert (root["id"], root["parent"]) == (0, "-") and len(others) == 9
    parents = {category["id"]: category["parent"] for category in others}

    def depth(category):
        return 0 if category == 0 else 1 + depth(parents[category])

    assert max(map(depth, parents)) == 3
    contents = [json.loads(content["raw"]) for content in truth["contents"]]
    assert len(contents) == 150 and [c["id"] for c in contents] == sorted({c["id"] for c in contents})
    for content in contents:
        assert re.fullmatch(r"20\d{12}", content["creationDate"])
        assert content["creationDate"] < content["modificationDate"]
        time.strptime(content["modificationDate"], "%Y%m%d%H%M%S")
        assert 100 <= len(content["attributes"].get("ANSWER_TEXT", "x" * 100).encode()) <= 4000
    places = [content.get("categories") or [] for content in contents]
    unknown = [p for p in places if any(i not in parents and i != 0 for i in p)]
    assert {len(p) for p in places} == {0, 1, 2, 3} and unknown and [0] in places
    assert any("categories" not in c for c in contents) and any(c.get("categories", 0) is None for c in contents)
    assert any(c.get("categories") == [] for c in contents)
    assert any("ANSWER_TEXT" not in c["attributes"] for c in contents)
    raws = "".join(content["raw"] for content in truth["contents"])
    assert "<\\/p>" in raws and "</p>" in raws and "\\ud83d\\ude42" in raws and "🙂" in raws


def test_an_odd_knowledge_base(odd_kb):
    truth = odd_kb.truth()
    titles = [json.loads(content["raw"])["title"] for content in truth["contents"]]
    for title in ("", ".", "..", "/", "category.json", "category", "-rf", "nul\0inside.pdf", "a" * 300,
                  "lone high \ud800.pdf", "¿Cómo pago?"):
        assert title in titles
    assert titles.count("¿Cómo pago?") >= 2
    names = [json.loads(category["raw"])["name"] for category in truth["categories"]]
    assert set(names) & set(titles)
    raws = [content["raw"] for content in truth["contents"]]
    for spelling in ('"x-big":12345678901234567890', '"x-exp":1E400', '"x-zero":-0', '\\u0000'):
        assert spelling in raws[0]
    assert [content["id"] for content in truth["contents"]][-2:] == ["9007199254740992", "9007199254740993"]
    dates = {content["modificationDate"] for content in truth["contents"]}
    assert {"00000000000000", "20241301250000", "2024", ""} < dates
    assert any('"attributes":[]' in raw for raw in raws) and any('"attributes":{}' in raw for raw in raws)
    assert any(len(c["categories"]) > len(set(c["categories"])) for c in truth["contents"])
    parents = {category["id"]: category["parent"] for category in truth["categories"]}
    ids = {json.loads(category["raw"])["name"]: category["id"] for category in truth["categories"]}
    assert parents[parents[ids["Cycle of two, A"]]] == ids["Cycle of two, A"]
    assert parents[ids["Its own parent"]] == ids["Its own parent"]
    assert parents[ids["Unknown parent"]] not in parents
    assert parents[ids["Below an unknown parent"]] == ids["Unknown parent"]
    kinds = {type(json.loads(category["raw"])["id"]) for category in truth["categories"]}
    kinds |= {type(json.loads(category["raw"]).get("parent")) for category in truth["categories"]}
    assert kinds == {int, str, type(None)}
    answer = odd_kb.get(f"/categories/{ids['Its own parent']}/contents")
    assert answer.status == 200
    children = [str(i) for category in truth["categories"] for i in json.loads(category["raw"])["children"]]
    assert len(children) == len(set(children)) and len(set(children) - set(parents)) == 1
    shown = {str(category["id"]) for category in odd_kb.categories(100).json()["results"]}
    assert set(parents) - shown == {ids[name] for name in ids if name.startswith((
        "Cycle", "Its own", "Below", "Unknown", "A second", "Parent null", "No parent"))}
    odd_kb.set(category_contents="nested")
    for category in parents:
        assert odd_kb.get(f"/categories/{category}/contents").status == 200


def test_spelling_of_ids(kb):
    kb.set(ids="string")
    for page in (kb.contents().json()["results"], kb.categories().json()["results"]):
        assert all(isinstance(item["id"], str) for item in page)
    kb.set(ids="number")
    assert all(isinstance(item["id"], int) for item in kb.contents().json()["results"])
    kb.set(ids="mixed")
    spelt = kb.contents().json()["results"]
    assert {type(item["id"]) for item in spelt} == {int, str}
    differing = [item for item in spelt for i in item.get("categories") or [] if type(i) is not type(item["id"])]
    assert differing and kb.contents().json()["results"] == spelt


def test_one_seed_one_knowledge_base():
    def truth(*options):
        with running("--odd-names", "--odd-numbers", "--odd-categories", *options, kind=Inbenta) as sim:
            return sim.truth()

    assert truth("--seed=7") == truth("--seed=7") != truth("--seed=8")


@pytest.mark.parametrize("options, categories, contents", [
    (("--contents=0", "--categories=0"), 1, 0),
    (("--contents=40", "--categories=0", "--odd-names", "--odd-numbers"), 1, 40),
    (("--contents=1", "--odd-numbers", "--odd-names"), 13, 1),
])
def test_small_knowledge_bases(options, categories, contents):
    with running(*options, kind=Inbenta) as sim:
        assert len(sim.categories().json()["results"]) == categories
        assert len(sim.all_contents()) == contents


def test_sizes_and_attribute_of_answers():
    options = ("--size-min=70000", "--size-max=70000", "--contents=5", "--answer-attribute=BODY_ä")
    with running(*options, kind=Inbenta) as sim:
        for content in sim.all_contents():
            assert len(content["attributes"]["BODY_ä"].encode()) == 70000


# --- pages, depth, clicks


def test_pages(kb):
    everything = kb.all_contents()
    assert len(everything) == 150
    assert kb.all_contents(7) == everything
    page = kb.contents(50, 125).json()
    assert page == {"results": everything[125:], "hasMore": False}
    assert kb.contents(50, 100).json()["hasMore"] is False and kb.contents(49, 100).json()["hasMore"] is True
    assert kb.contents(50, 150).json() == {"results": [], "hasMore": False}
    assert kb.contents(50, 4000000000).json() == {"results": [], "hasMore": False}
    assert kb.contents(1000).json() == {"results": everything[:100], "hasMore": True}
    kb.set(max_page=10)
    assert kb.contents().json() == {"results": everything[:10], "hasMore": True}
    assert kb.all_contents() == everything


@pytest.mark.parametrize("query", ["", "length=10", "offset=0", "length=0&offset=0", "length=-1&offset=0",
                                   "length=10&offset=-1", "length=x&offset=0", "length=1.5&offset=0",
                                   "length=10&offset=99999999999999999999", "length=&offset=0",
                                   "Length=10&Offset=0"])
def test_bad_pages_are_refused(kb, query):
    assert kb.get("/contents?" + query).status == 400
    assert kb.stats()["refused"]["paging"] == 1


def test_depth_of_the_category_list(kb):
    everything = kb.categories().json()["results"]
    assert [c["id"] for c in kb.categories(0).json()["results"]] == [0]
    top = [c["id"] for c in everything if c["parent"] in (0, "-")]
    assert [c["id"] for c in kb.categories(1).json()["results"]] == top and len(top) > 1
    assert kb.categories(3).json()["results"] == everything
    for query in ("", "?maxDepth=", "?maxDepth=-2", "?maxDepth=x"):
        assert kb.get("/categories/" + query).status == 400


def test_contents_of_a_category(kb):
    truth = kb.truth()
    parents = {category["id"]: category["parent"] for category in truth["categories"]}
    top = next(c for c in parents if parents[c] == "0" and c in parents.values())

    def below(category):
        return category == top or (parents.get(category) is not None and below(parents[category]))

    own = [c["id"] for c in truth["contents"] if top in c["categories"]]
    nested = [c["id"] for c in truth["contents"] if any(map(below, c["categories"]))]
    assert [str(c["id"]) for c in kb.get(f"/categories/{top}/contents").json()["results"]] == own
    kb.set(category_contents="nested")
    assert [str(c["id"]) for c in kb.get(f"/categories/{top}/contents").json()["results"]] == nested
    assert len(nested) > len(own) > 0


def test_what_is_not_there(kb):
    for path in ("/contents/0", "/contents/none", "/contents/-1", "/contents/99999999999999999999",
                 "/categories/none/contents", "/categories/99999/contents", "/categories/00/contents",
                 "/contents/0" + kb.truth()["contents"][0]["id"]):
        assert kb.get(path + "?tracking=0").status == 404
    assert kb.stats()["refused"]["id"] == 8 and kb.stats()["clicks"] == 0


def test_clicks(kb):
    content = kb.truth()["contents"][0]["id"]
    clicks = []
    for query in ("?tracking=0", "", "?tracking=1", "?tracking", "?Tracking=0", "?x=1&tracking=0"):
        assert kb.get(f"/contents/{content}{query}").status == 200
        clicks.append(kb.stats()["clicks"])
    assert clicks == [0, 1, 2, 3, 4, 4]
    lists = ("/contents?length=1&offset=0", "/categories/?maxDepth=-1", "/categories/0/contents")
    for path in lists:
        assert kb.get(path).status == 200
    assert kb.stats()["clicks"] == 4  # where tracking is not known to be a parameter nothing is counted
    kb.set(clicks="all")
    for path in lists:
        kb.get(path)
        kb.get(path + ("&" if "?" in path else "?") + "tracking=0")
    assert kb.stats()["clicks"] == 7
    kb.control("POST", "/stats/reset")
    assert kb.stats()["clicks"] == 0


def test_a_large_knowledge_base_is_quick():
    with running("--contents=20000", "--categories=400", "--category-depth=6", kind=Inbenta) as sim:
        sim.control("POST", "/stats/reset")
        began = time.monotonic()
        assert len(sim.all_contents()) == 20000 and len(sim.categories().json()["results"]) == 401
        assert time.monotonic() - began < 20
        assert sim.stats()["routes"]["contents"] == 200
