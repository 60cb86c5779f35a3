"""What the simulated tenant serves and refuses: tokens, objects, search, storage.

Run:  IBINDERFS_BUILD=build /usr/bin/python3 -m pytest tests/sim
"""

import json
import re
import time
import urllib.parse

import pytest

from sim_client import GRANT, SECRET, TENANT, all_pages, link_of, metadata_of, running, walk

# --- the token endpoint


def test_token_is_issued_for_form_and_json(sim):
    form = sim.ask_token().json()
    other = sim.ask_token(body=json.dumps(GRANT).encode(), kind="application/json; charset=utf-8").json()
    assert form["expires_in"] == 3600 and form["token_type"] == "Bearer"
    assert form["access_token"] != other["access_token"]
    assert sim.stats()["tokens_issued"] == 2


@pytest.mark.parametrize(
    "change, status, error",
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"client_id": "other"}, 401, "invalid_client"),
        ({"client_secret": SECRET + " "}, 401, "invalid_client"),
        ({"client_secret": None}, 400, "invalid_request"),
        ({"scope": "openid"}, 400, "invalid_scope"),
        ({"scope": None}, 400, "invalid_scope"),
    ],
)
def test_token_is_refused(sim, change, status, error):
    wrong = {k: v for k, v in {**GRANT, **change}.items() if v is not None}
    for answer in (sim.ask_token(wrong), sim.ask_token(body=json.dumps(wrong).encode(), kind="application/json")):
        assert (answer.status, answer.json()) == (status, {"error": error})
    assert sim.stats()["tokens_issued"] == 0 and sim.stats()["tokens_refused"] == 2


def test_token_body_is_decoded_exactly(sim):
    good = urllib.parse.urlencode(GRANT)
    assert sim.ask_token(body=good.encode()).status == 200
    assert sim.ask_token(body=good.replace("+", "%20", 1).encode()).status == 200
    unencoded = good.replace(urllib.parse.quote_plus(SECRET), SECRET)
    assert sim.ask_token(body=unencoded.encode()).status == 401  # the secret ended at its '&'
    assert sim.ask_token(body=good.replace("%2F", "%/").encode()).status == 400
    assert sim.ask_token(body=good.replace("%2F", "%").encode()).status == 400
    assert sim.ask_token(body=good.encode() + b"&scope=ibinder_public").status == 400
    assert sim.ask_token(body=b"[]", kind="application/json").status == 400
    assert sim.ask_token(body=good.encode(), kind="text/plain").status == 415
    assert sim.ask_token(body=b"x" * 100000).status == 413
    assert sim.request("GET", "/connect/token").status == 405
    assert sim.ask_token(path="/connect/token?client_id=sim-client").status == 400


def test_secret_comes_from_the_environment():
    with running(env={"SIM_CLIENT_SECRET": "öppna"}) as sim:
        assert sim.ask_token().status == 401
        assert sim.ask_token({**GRANT, "client_secret": "öppna"}).status == 200


def test_tokens_die(sim):
    sim.control("POST", "/settings", token_life=1)
    assert sim.get("/binders").status == 200
    time.sleep(1.1)
    assert sim.get("/binders").status == 401
    sim.control("POST", "/settings", token_life=3600)
    sim.token = None
    assert sim.get("/binders").status == 200
    sim.control("POST", "/tokens/revoke")
    answer = sim.get("/binders")
    assert answer.status == 401 and "Bearer" in answer.headers["WWW-Authenticate"]
    assert sim.stats()["refused"]["dead_token"] == 2


# --- who may call


def test_callers_must_say_who_they_are(sim):
    good = sim.headers()
    cases = [
        ({}, 401, "missing_token"),
        ({**good, "Authorization": "Basic eDp5"}, 401, "missing_token"),
        ({**good, "Authorization": "Bearer nonsense"}, 401, "dead_token"),
        ({"Authorization": good["Authorization"]}, 400, "missing_tenant"),
        ({**good, "x-ibinder-tenantid": "someone-else"}, 403, "tenant"),
    ]
    for headers, status, why in cases:
        sim.control("POST", "/stats/reset")
        answer = sim.request("GET", "/api/binders", headers)
        assert (answer.status, sim.stats()["refused"][why]) == (status, 1)
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        problem = answer.json()
        assert problem["status"] == status and problem["traceId"] and problem["title"] and problem["type"]
    for query in ("access_token=x", "Access_Token=x", "client_secret=x", "x-ibinder-tenantid=" + TENANT):
        assert sim.request("GET", "/api/binders?" + query, good).status == 400


def test_unknown_paths_and_methods(sim):
    assert sim.get("/nothing").status == 404
    assert sim.get("/binders/").status == 404
    assert sim.get("/binders/none/metadataelements").status == 404
    assert sim.get("/documents/drives/projects/x").status == 404
    assert sim.get("/documents/drives/binders/none").status == 404
    assert sim.get("/documents/nothing").status == 404
    assert sim.get("/documents").status == 405
    for method in ("PUT", "DELETE", "HEAD", "BREW"):
        answer = sim.request(method, "/api/binders", sim.headers())
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    assert sim.request("BREW", "/elsewhere").status == 404
    stats = sim.stats()
    assert stats["refused"]["method"] == 5 and stats["status"]["405"] == 5


# --- what the tenant holds


@pytest.mark.parametrize("name", ["sim", "odd"])
def test_what_is_served_is_the_truth(name, request):
    sim = request.getfixturevalue(name)
    truth = sim.truth()
    listing = sim.get("/binders").body.decode()
    assert listing == "[" + ",".join(binder["raw"] for binder in truth) + "]"
    for binder in truth:
        assert re.fullmatch(r"[0-9A-Za-z]{9}", binder["id"])
        assert sim.get(f"/binders/{binder['id']}/metadataelements").body.decode() == binder["metadataelements"]
        folders = {folder["id"]: json.loads(folder["raw"]) for folder in binder["folders"]}
        assert {entry["id"]: entry for entry in walk(sim, binder["id"])} == folders
        found = all_pages(sim, 50, [("GLOBAL_BinderId", binder["id"])])
        assert [item["id"] for item in found] == [document["id"] for document in binder["documents"]]
        for folder in folders:
            inside = [d["id"] for d in binder["documents"] if d["folderId"] == folder]
            assert [d["id"] for d in all_pages(sim, 7, [("GLOBAL_TabId", folder)])] == inside
        for document in binder["documents"][::37]:
            assert sim.get(f"/documents/{document['id']}").body.decode() == document["raw"]


def test_objects_have_the_documented_shape(sim):
    truth = sim.truth()[0]
    assert {"id", "name", "type", "createdAt"} < set(json.loads(truth["raw"]))
    assert {"id", "name", "type", "parentId"} < set(json.loads(truth["folders"][0]["raw"]))
    document = json.loads(truth["documents"][0]["raw"])
    assert {"id", "fileName", "folderId", "binderId", "metadata", "latestVersionId"} < set(document)
    metadata = {entry["metadataElementId"]: entry["valueId"] for entry in document["metadata"]}
    assert metadata["GLOBAL_TabId"] == document["folderId"] and metadata["GLOBAL_BinderId"] == document["binderId"]
    assert {"GLOBAL_TabType", "GLOBAL_Category", "GLOBAL_CreatedBy", "GLOBAL_Date", "GLOBAL_Status"} < set(metadata)
    assert sum(not key.startswith("GLOBAL_") for key in metadata) == 6


def test_depth_of_folders(sim):
    for binder in sim.truth():
        parents = {folder["id"]: folder["parentId"] for folder in binder["folders"]}
        depth = {}
        for folder in parents:
            at, n = folder, 0
            while at:
                at, n = parents[at], n + 1
            depth[folder] = n
        assert len(depth) == 7 and max(depth.values()) == 3


def test_odd_names_are_there(odd):
    truth = odd.truth()
    names = [json.loads(d["raw"])["fileName"] for b in truth for d in b["documents"]]
    for name in ("", ".", "..", "/", "binder.json", "-rf", "nul\0inside.pdf", "line\nbreak.pdf", "a" * 300,
                 "å" * 300 + ".pdf", "lone high \ud800.pdf", "trailing blanks   "):
        assert name in names
    raws = [json.loads(d["raw"]) for b in truth for d in b["documents"]]
    assert any("folderId" not in d for d in raws)
    assert any(d.get("folderId", 0) is None for d in raws)
    assert any(d.get("folderId") == "" for d in raws)
    listed = {folder["id"] for b in truth for folder in b["folders"]}
    lost = [d for d in raws if d.get("folderId") and d["folderId"] not in listed]
    assert lost
    found = all_pages(odd, 100, [("GLOBAL_TabId", lost[0]["folderId"])])
    assert lost[0]["id"] in [d["id"] for d in found]
    assert odd.get(f"/documents/drives/binders/{lost[0]['binderId']}/folders/{lost[0]['folderId']}").status == 404
    in_folder = {}
    for d in raws:
        in_folder.setdefault((d["binderId"], d.get("folderId")), []).append(d["fileName"])
    assert any(len(set(names)) < len(names) for names in in_folder.values())
    folder_names = {json.loads(f["raw"])["name"] for b in truth for f in b["folders"]}
    assert folder_names & set(names)
    raw = truth[0]["documents"][0]["raw"]
    assert '"x-big":12345678901234567890,"x-exp":1E400,"x-zero":-0' in raw and '"\\u00e5\\/\\u0000"' in raw


def test_same_seed_same_organisation():
    def truth(seed):
        with running(f"--seed={seed}", "--odd-names") as sim:
            return sim.control("GET", "/truth")

    assert truth(7) == truth(7) != truth(8)


def test_items_wrapper_and_subfolders_setting(sim):
    binder = sim.truth()[0]
    sim.control("POST", "/settings", items_wrapper=True)
    for path in ("/binders", f"/binders/{binder['id']}/metadataelements", f"/documents/drives/binders/{binder['id']}"):
        assert list(sim.get(path).json()) == ["items"]
    for status in ("404", "405"):
        sim.control("POST", "/settings", subfolders=status)
        path = f"/documents/drives/binders/{binder['id']}/folders/{binder['folders'][0]['id']}"
        assert sim.get(path).status == int(status)


# --- search


def test_search_pages(sim):
    everything = all_pages(sim, 1000)
    assert len(everything) == 120
    assert all_pages(sim, 11) == everything
    page = sim.search("pageSize=50&pageNumber=4").json()
    assert page == {"items": [], "totalCount": 120, "pageNumber": 4, "pageSize": 50}
    sim.control("POST", "/settings", max_page=10)
    page = sim.search("pageSize=250&pageNumber=2").json()
    assert page["pageSize"] == 10 and page["items"] == everything[10:20]
    assert all_pages(sim, 250) == everything


@pytest.mark.parametrize("query", ["pageSize=0", "pageNumber=0", "pageSize=-1", "pageSize=x", "pageNumber=1.5",
                                   "pageSize=", "pageNumber=99999999999999999999", "pageSize=%2010"])
def test_search_refuses_bad_pages(sim, query):
    assert sim.search(query).status == 400
    assert sim.stats()["refused"]["paging"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"metadataFilters": []}',
        b'{"MetadataFilters": {}}',
        b'{"MetadataFilters": [7]}',
        b'{"MetadataFilters": [{"MetadataElementId": "x", "valueId": "y"}]}',
        b'{"MetadataFilters": [{"metadataElementId": "GLOBAL_Category"}]}',
        b'{"MetadataFilters": [{"metadataElementId": "GLOBAL_Status", "value": "Archived"}]}',
        b'{"MetadataFilters": [{"metadataElementId": "GLOBAL_TabId", "value": "x"}]}',
        b'{"MetadataFilters": [{"metadataElementId": "GLOBAL_BinderId", "valueId": 7}]}',
        b'{"SortBy": [{"metadataElementId": "GLOBAL_Date", "direction": "up"}]}',
        b'{"MetadataFilters": [], "PageSize": 10}',
    ],
)
def test_search_refuses_bad_bodies(sim, body):
    assert sim.search(raw=body).status == 400
    assert sim.stats()["refused"]["body"] == 1


def test_search_needs_the_content_type(sim):
    assert sim.search(kind="text/plain").status == 415
    assert sim.search(kind="application/jsonp").status == 415
    assert sim.search(kind="application/json; charset=utf-8").status == 200
    assert sim.search(raw=b" " * 70000).status == 413


def test_search_filters_term_and_sorting(sim):
    everything = all_pages(sim, 1000)
    binder = everything[0]["binderId"]
    both = [("GLOBAL_BinderId", binder), ("GLOBAL_Status", "Archived")]
    expected = [d for d in everything
                if d["binderId"] == binder and metadata_of(d)["GLOBAL_Status"] == "Archived"]
    assert expected and all_pages(sim, 5, both) == expected
    free = b'{"MetadataFilters": [{"metadataElementId": "GLOBAL_Category", "value": "Drawing"}]}'
    assert sim.search(raw=free).json()["totalCount"] == sum(
        metadata_of(d)["GLOBAL_Category"] == "Drawing" for d in everything)
    assert all_pages(sim, 5, [("GLOBAL_BinderId", binder.swapcase())]) == []
    assert all_pages(sim, 5, [("Unheard", "of")]) == []
    term = urllib.parse.quote("UPPSTÄLLNING".replace("Ä", "ä"))
    found = sim.search(f"searchTerm={term}&pageSize=1000").json()["items"]
    assert found == [d for d in everything if "Uppställning" in d["fileName"]] != []
    order = {"SortBy": [{"metadataElementId": "GLOBAL_Date", "direction": "desc"}]}
    dates = [metadata_of(d)["GLOBAL_Date"] for d in all_pages(sim, 13, **order)]
    assert dates == sorted(dates, reverse=True) and len(dates) == 120


def test_tab_filter_nested(sim):
    binder = sim.truth()[0]
    top = next(f for f in binder["folders"] if any(g["parentId"] == f["id"] for g in binder["folders"]))
    exact = all_pages(sim, 50, [("GLOBAL_TabId", top["id"])])
    sim.control("POST", "/settings", tab_filter="nested")
    nested = all_pages(sim, 50, [("GLOBAL_TabId", top["id"])])
    assert len(nested) > len(exact) and all(d in nested for d in exact)


def test_large_organisation_is_quick():
    with running("--binders=1", "--folders=50", "--documents=20000", "--max-page=1000") as sim:
        binder = json.loads(sim.get("/binders").body)[0]["id"]
        sim.control("POST", "/stats/reset")
        began = time.monotonic()
        assert len(all_pages(sim, 250, [("GLOBAL_BinderId", binder)])) == 20000
        assert time.monotonic() - began < 10
        assert sim.stats()["routes"]["search"] == 80


# --- storage


def test_download(sim):
    document = sim.truth()[0]["documents"][0]
    url, size = link_of(sim, document), document["size"]
    whole = sim.request("GET", url)
    assert whole.status == 200 and len(whole.body) == size and whole.headers["Accept-Ranges"] == "bytes"
    assert whole.body == sim.request("GET", link_of(sim, document)).body
    for spec, first, last in (("0-0", 0, 0), ("10-99", 10, 99), ("70-", 70, size - 1), ("-5", size - 5, size - 1),
                              (f"0-{size * 2}", 0, size - 1)):
        part = sim.request("GET", url, {"Range": "bytes=" + spec})
        assert (part.status, part.body) == (206, whole.body[first : last + 1])
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    beyond = sim.request("GET", url, {"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    sim.control("POST", "/settings", storage_range="off")
    assert sim.request("GET", url, {"Range": "bytes=0-0"}).body == whole.body


def test_storage_refuses(sim):
    document = sim.truth()[0]["documents"][0]
    url = link_of(sim, document)
    for headers in ({"Authorization": "Bearer x"}, {"x-ibinder-tenantid": TENANT}, {"Cookie": "a=b"}):
        assert sim.request("GET", url, headers).status == 400
    assert sim.stats()["leaked_credentials"] == 3
    assert sim.request("HEAD", url).status == 403
    assert sim.request("GET", url.split("?")[0]).status == 403
    assert sim.request("GET", url[:-1] + str(9 - int(url[-1]))).status == 403
    other = sim.truth()[1]["documents"][0]["latestVersionId"]
    assert sim.request("GET", url.replace(document["latestVersionId"], other)).status == 403
    sim.control("POST", "/settings", link_life=0)
    assert sim.request("GET", link_of(sim, document)).status == 403
    path = f"/documents/{document['id']}/versions/{other}/downloadlink"
    assert sim.get(path).status == 404


def test_storage_base_and_empty_content():
    with running("--storage-base=https://files.example/x", "--size-min=0", "--size-max=0", "--documents=1") as sim:
        document = sim.truth()[0]["documents"][0]
        url = link_of(sim, document)
        assert url.startswith(f"https://files.example/x/{document['latestVersionId']}?sig=")
        local = f"http://127.0.0.1:{sim.port}/storage" + url[len("https://files.example/x") :]
        answer = sim.request("GET", local)
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
        assert sim.request("GET", local, {"Range": "bytes=0-0"}).status == 416
