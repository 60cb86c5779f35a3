"""search/: a name that is looked up is a query, and its directory the answer. Only reading it asks
the server; what is found is named, shown and kept as everywhere else.
"""

import contextlib
import json
import os
import re
import time
import urllib.parse

import pytest

import reference
from mounting import api_requests, mounted, read_tree, run, simulated, wait_until
from pooling import NOISE_S, outcome_of, pooled, refusal_of, results, works  # noqa: F401

BINDERS, DOCUMENTS = 3, 80
TTL_S = 0.5
TIMEOUT_S = 1
MIB = 1 << 20
ALL = "GLOBAL_TabType=Documents"  # every document has it
NAMES = ("A,B.pdf", "x=y.pdf", "50%.pdf", "a/b.pdf", ".dold.pdf", "名前 åäö 🏗.pdf", "twin.pdf", "twin.pdf")
REMARKS = ("a,b", "a=b=c", "50 % av", "1/2", "GLOBAL_Status=Draft,x", "Åsa 名前 🏗", " blanks ", "..")


def let_ttl_pass():
    time.sleep(TTL_S + 0.05)


def reset(sim):
    sim.control("POST", "/stats/reset")


def data_requests(sim):
    return {route: count for route, count in api_requests(sim).items() if route != "token"}


def documents_of(sim):
    """As the API sends them: (raw text, object) each."""
    return [(d["raw"], json.loads(d["raw"])) for binder in sim.truth() for d in binder["documents"]]


def expected(documents, text="", **filters):
    """What a query must show: {name: content}. The simulator ignores the case of A to Z alone."""

    def matches(document):
        values = {entry["metadataElementId"]: entry["valueId"] for entry in document["metadata"]}
        return text.encode().lower() in document["fileName"].encode(errors="replace").lower() and filters.items() <= values.items()

    found = [(raw, document) for raw, document in documents if matches(document)]
    names = reference.assign([(document["fileName"], document["id"], ".json") for _, document in found], ())
    return {name: reference.indent(raw) for name, (raw, _) in zip(names, found)}


def new_errors(mount, before):
    return [line for line in mount.control("errors").splitlines() if line not in before.splitlines()]


@pytest.fixture
def sim():
    with simulated("--binders=2", "--folders=3", "--depth=2", "--documents=40") as sim:
        yield sim


@pytest.fixture
def mount(sim):
    with mounted(sim, "ttl=600", f"timeout={TIMEOUT_S}") as mount:
        yield mount


@pytest.fixture
def watchful(sim):
    """Past ttl, every access waits."""
    with mounted(sim, f"ttl={TTL_S}", "stale=0", "timeout=2") as mount:
        yield mount


@pytest.fixture(scope="module")
def library():
    """An organisation with documents that are hard to ask for, its mount, and its documents. Nobody
    changes them."""
    options = (f"--binders={BINDERS}", "--folders=4", "--depth=2", f"--documents={DOCUMENTS}", "--odd-names")
    with simulated(*options) as sim:
        binders = [binder["id"] for binder in sim.truth()]
        for number, name in enumerate(NAMES):
            new = sim.change("add_document", binder=binders[number % BINDERS], folder=None, name=name)
            sim.change("set_metadata", id=new["id"], key="Remark", valueId=REMARKS[number])
            sim.change("set_metadata", id=new["id"], key="K,e=y %", valueId="odd key")
        documents = documents_of(sim)
        with mounted(sim, "ttl=600") as mount:
            yield sim, mount, documents


# --- What a query finds ---

QUERIES = {
    "planritning": {"text": "planritning"},
    "PLAN": {"text": "plan"},
    "40-1": {"text": "40-1"},
    "mot söder": {"text": "mot söder"},
    "MOT SöDER": {"text": "mot söder"},
    "名前": {"text": "名前"},
    "🏗": {"text": "🏗"},
    " åäö ": {"text": " åäö "},
    "GLOBAL_Status=Archived": {"GLOBAL_Status": "Archived"},
    "GLOBAL_CreatedBy=Maja Håkansson": {"GLOBAL_CreatedBy": "Maja Håkansson"},
    "GLOBAL_Status=Archived,a": {"GLOBAL_Status": "Archived", "text": "a"},
    "a,GLOBAL_Status=Archived": {"GLOBAL_Status": "Archived", "text": "a"},
    "Discipline=A,GLOBAL_Status=Draft": {"Discipline": "A", "GLOBAL_Status": "Draft"},
    "Discipline=A,pdf,GLOBAL_TabType=Documents": {"Discipline": "A", "GLOBAL_TabType": "Documents", "text": "pdf"},
    ALL: {"GLOBAL_TabType": "Documents"},
    "A%2CB": {"text": "a,b"},
    "x%3Dy": {"text": "x=y"},
    "x%3dy": {"text": "x=y"},
    "50%25": {"text": "50%"},
    "a%2Fb": {"text": "a/b"},
    "%2Edold": {"text": ".dold"},
    "dold.pdf": {"text": "dold.pdf"},
    "%61%2f%62.pdf": {"text": "a/b.pdf"},
    "Remark=a%2Cb": {"Remark": "a,b"},
    "Remark=a=b=c": {"Remark": "a=b=c"},
    "Remark=a%3Db%3Dc": {"Remark": "a=b=c"},
    "Remark=50 %25 av": {"Remark": "50 % av"},
    "Remark=1%2F2": {"Remark": "1/2"},
    "Remark=GLOBAL_Status=Draft%2Cx": {"Remark": "GLOBAL_Status=Draft,x"},
    "Remark=Åsa 名前 🏗": {"Remark": "Åsa 名前 🏗"},
    "Remark=%C3%85sa 名前 🏗": {"Remark": "Åsa 名前 🏗"},
    "Remark= blanks ": {"Remark": " blanks "},
    "Remark=..": {"Remark": ".."},
    "K%2Ce%3Dy %25=odd key": {"K,e=y %": "odd key"},
    "twin,K%2Ce%3Dy %25=odd key": {"K,e=y %": "odd key", "text": "twin"},
}  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_finds_what_it_says(library, query):
    _, mount, documents = library
    right = expected(documents, **QUERIES[query])
    assert right, "a query that finds nothing shows nothing"
    assert read_tree(mount / "search" / query) == right
    for name in list(right)[:3]:
        assert os.stat(mount / "search" / query / name).st_size == len(right[name])


def test_a_binder_can_be_searched_by_its_id(library):
    sim, mount, documents = library
    binder = sim.truth()[1]["id"]
    right = expected([(raw, d) for raw, d in documents if d["binderId"] == binder], "a-")
    assert right and read_tree(mount / "search" / f"GLOBAL_BinderId={binder},a-") == right


def test_names_that_clash_are_told_apart_by_ids(library):
    _, mount, documents = library
    ids = [document["id"] for _, document in documents if document["fileName"] == "twin.pdf"]
    assert sorted(os.listdir(mount / "search" / "twin.pdf")) == sorted(f"twin [{i[:8]}].pdf.json" for i in ids)


def test_what_is_found_has_the_dates_of_the_documents(library):
    _, mount, documents = library
    dated = {d["id"]: reference.document_mtime_ns(d) for _, d in documents}
    for entry in os.scandir(mount / "search" / ALL):
        with open(entry.path, "rb") as file:
            date = dated[json.loads(file.read())["id"]]
        assert date is None or entry.stat().st_mtime_ns == date


def test_nothing_found_is_an_empty_directory_and_one_request(sim, mount):
    for query in ("no such name", "GLOBAL_Status=Nonsense", "NoSuchKey=x", "Discipline=A,Discipline=B"):
        reset(sim)
        path = mount / "search" / query
        for _ in range(3):
            assert os.listdir(path) == [] and os.path.isdir(path)
            assert refusal_of(lambda: os.stat(path / "x.json")) == "ENOENT"
        assert data_requests(sim) == {"search": 1}


def test_one_document_in_two_answers_is_two_files_each_with_its_own_inode(sim):
    raw, document = documents_of(sim)[4]
    queries = (urllib.parse.quote(document["fileName"], safe=" "), ALL, f"GLOBAL_BinderId={document['binderId']}")
    seen = []
    for _ in range(2):
        with mounted(sim, "ttl=600") as mount:
            for again in range(2):
                inodes = [os.stat(mount / "by-id" / "documents" / f"{document['id']}.json").st_ino]
                for query in queries:
                    path = mount / "search" / query
                    (name,) = [n for n, content in read_tree(path).items() if content == reference.indent(raw)]
                    inodes += [os.stat(path).st_ino, os.stat(path / name).st_ino]
                seen.append(inodes)
                if not again:
                    reset(sim)
                    mount.signal(1)
                    wait_until(lambda: api_requests(sim).get("token") == 1)
    assert len(set(seen[0])) == 1 + 2 * len(queries)
    assert seen == [seen[0]] * 4


# --- What it costs ---


def test_looking_at_a_query_without_reading_it_costs_no_request(sim, mount):
    search = mount / "search"
    wait_until(lambda: api_requests(sim) == {"token": 1})
    run("test", "-d", str(search / "rit"))
    run("stat", str(search / "rit"), str(search / ALL))
    run("ls", "-ld", str(search / "rit"))
    run("ls", "-la", str(search))
    run("find", str(search))
    run("find", str(search / "rit"), "-maxdepth", "0")
    run("sh", "-c", 'cd "$1" && pwd', "sh", str(search / "rit"))
    for words in ("search/", "search/ri", "search/GLOBAL_Status=Archived,p"):
        run("bash", "-c", 'compgen -f "$1"; compgen -d "$1"; true', "bash", str(mount / words))
    assert os.path.isdir(search / "rit") and not os.path.isfile(search / "rit")
    assert not os.access(search / "rit", os.W_OK) and os.listdir(search) == []
    assert api_requests(sim) == {"token": 1}


def test_a_walk_of_the_mount_never_searches(sim, mount):
    os.listdir(mount / "search" / "plan")
    os.stat(mount / "search" / "other")
    os.listdir(mount / "binders")
    reset(sim)
    found = run("find", str(mount.path)).splitlines()
    assert [path for path in found if "/search" in path] == [str(mount / "search")]
    assert data_requests(sim)["search"] == 2  # the documents of two binders
    reset(sim)
    run("find", str(mount / "search"))
    run("grep", "-r", "x", str(mount / "binders"), str(mount / "by-id"), str(mount / "search"))
    assert data_requests(sim) == {}


@pytest.mark.parametrize("page_size, pages", [(250, 1), (80, 1), (79, 2), (20, 4), (7, 12)])
def test_reading_costs_one_request_a_page_and_then_none(sim, page_size, pages):
    with mounted(sim, "ttl=600", f"page_size={page_size}") as mount:
        path = mount / "search" / ALL
        first = read_tree(path)
        assert first == expected(documents_of(sim)) and len(first) == 80
        assert data_requests(sim) == {"search": pages}
        assert read_tree(path) == first
        run("ls", "-l", str(path))
        run("grep", "-r", "Archived", str(path))
        assert refusal_of(lambda: os.stat(path / "nothing.json")) == "ENOENT"
        assert data_requests(sim) == {"search": pages}


def test_once_the_first_page_told_how_many_the_others_come_in_parallel(sim):
    with mounted(sim, "page_size=4", "connections=8") as mount:
        sim.control("POST", "/settings", latency_ms=50)
        assert len(os.listdir(mount / "search" / ALL)) == 80
        assert data_requests(sim) == {"search": 20}
        assert sim.stats()["peak_concurrency"] >= 7  # the eighth place is for others


# --- The bound ---


def test_at_most_ten_thousand_are_shown_and_the_errors_say_so():
    organisation = ("--binders=2", "--folders=0", "--documents=5002", "--metadata=0")
    with simulated(*organisation) as sim, mounted(sim, "ttl=1", "stale=0", "page_size=1000", "timeout=30") as mount:
        path = mount / "search" / ALL
        assert len(set(os.listdir(path))) == 10000
        assert data_requests(sim) == {"search": 10}
        (line,) = [line for line in mount.control("errors").splitlines() if f" search/{ALL}" in line]
        assert re.search("10004 documents.* first 10000 ", line), line
        # Less is whole, and nothing is said of it: another query, and this one with just as many.
        binder = sim.truth()[0]
        assert len(os.listdir(mount / "search" / f"GLOBAL_BinderId={binder['id']}")) == 5002
        for document in binder["documents"][:4]:
            sim.change("delete_document", id=document["id"])
        time.sleep(1.05)
        before = mount.control("errors")
        assert len(set(os.listdir(path))) == 10000
        assert new_errors(mount, before) == []
        assert len([line for line in before.splitlines() if " search/" in line]) == 1


# --- What is no query ---

INVALID = [
    ",", "a,", ",a", "a,,GLOBAL_Status=Draft", "a,b", "=", "=x", "k=", "a,=x", "a,k=", "%", "50%", "%4", "%zz", "a%2",
    "%2,a", "%00", "a%0Ab", "%7F", "a\nb", "a\x7f", "%FF", "k=%C3", b"\xff", b"k=a\xc3", "%FF=x",
    ",".join(f"k{n}=v" for n in range(17)),
]  # fmt: skip


def test_what_is_no_query_is_einval_and_the_errors_explain(sim, mount):
    wait_until(lambda: api_requests(sim) == {"token": 1})
    search = os.fsencode(mount / "search") + b"/"
    for query in INVALID:
        before = mount.control("errors")
        path = search + (query if isinstance(query, bytes) else query.encode())
        for call in (os.stat, os.listdir, os.lstat):
            assert refusal_of(lambda: call(path)) == "EINVAL", query
        (line,) = new_errors(mount, before)
        assert re.search(" EINVAL search/.*not a query: .{20}", line), line
    assert api_requests(sim) == {"token": 1}
    assert all(line.isprintable() for line in mount.control("errors").split("\n"))


def test_sixteen_filters_and_a_text_are_a_query(sim, mount):
    query = ",".join([*(f"k{n}=v" for n in range(16)), "x"])
    assert os.listdir(mount / "search" / query) == []


def test_a_query_longer_than_a_name_may_be_is_refused_without_a_request(sim, mount):
    wait_until(lambda: api_requests(sim) == {"token": 1})
    for length in (256, 1024, 1025, 2000):
        assert refusal_of(lambda: os.stat(mount / "search" / ("q" * length))) == "ENAMETOOLONG"
    assert os.path.isdir(mount / "search" / ("q" * 255))
    assert api_requests(sim) == {"token": 1}


def test_hidden_names_are_not_there_without_a_request_or_a_word(sim, mount):
    wait_until(lambda: api_requests(sim) == {"token": 1})
    before = mount.control("errors")
    for name in (".git", ".Trash-0", ".hidden", ".a,b", ".k=", "..x", "." * 255):
        for call in (os.stat, os.listdir, lambda path: os.open(path, os.O_RDONLY)):
            assert refusal_of(lambda: call(mount / "search" / name)) == "ENOENT"
    assert mount.control("errors") == before
    assert api_requests(sim) == {"token": 1}


# --- Freshness and memory ---


def test_changes_show_past_ttl(sim, watchful):
    path = watchful / "search" / "GLOBAL_Status=Draft"
    first = read_tree(path)
    (name, content), (_, other), *_ = [each for each in first.items() if " [" not in each[0]]
    document, gone = json.loads(content), json.loads(other)
    unchanged = os.stat(path / name)
    binder = sim.truth()[0]["id"]
    new = sim.change("add_document", binder=binder, folder=None, name="Ny.pdf")
    sim.change("set_metadata", id=new["id"], key="GLOBAL_Status", valueId="Draft")
    sim.change("set_metadata", id=document["id"], key="Remark", valueId="longer " * 20)
    sim.change("set_metadata", id=gone["id"], key="GLOBAL_Status", valueId="Approved")
    let_ttl_pass()
    reset(sim)
    after = read_tree(path)
    assert after == expected(documents_of(sim), GLOBAL_Status="Draft")
    assert after != first and "Ny.pdf.json" in after and len(after) == len(first)
    assert data_requests(sim) == {"search": 1}
    assert os.stat(path / name).st_ino == unchanged.st_ino
    assert os.stat(path / name).st_mtime_ns > unchanged.st_mtime_ns
    assert os.stat(path / name).st_size == len(after[name])


def test_past_ttl_and_within_stale_the_old_answer_is_shown_while_one_request_is_made(sim):
    with mounted(sim, f"ttl={TTL_S}", "stale=600") as mount:
        path = mount / "search" / "Ny"
        assert os.listdir(path) == []
        sim.change("add_document", binder=sim.truth()[0]["id"], folder=None, name="Ny.pdf")
        let_ttl_pass()
        reset(sim)
        sim.fault("search", "delay", ms=300, times=1)
        assert os.listdir(path) == []
        wait_until(lambda: os.listdir(path) == ["Ny.pdf.json"])
        assert data_requests(sim) == {"search": 1}


def test_an_answer_that_was_evicted_is_read_on_and_asked_for_again():
    organisation = ("--binders=5", "--folders=0", "--documents=200")
    with simulated(*organisation) as sim, mounted(sim, "memory=1M", "ttl=600", "timeout=20") as mount:
        path = mount / "search" / "GLOBAL_Status=Draft"
        right = expected(documents_of(sim), GLOBAL_Status="Draft")
        with contextlib.closing(os.scandir(path)) as entries:
            seen = [next(entries).name]
            with open(path / seen[0], "rb") as file:
                for _ in range(2):
                    evictions = mount.metrics()["listing_evictions_total"]
                    for binder in sorted(os.listdir(mount / "binders")):
                        read_tree(mount / "binders" / binder)
                        os.listdir(mount / "search" / f"GLOBAL_Status=Archived,{binder[:3]}")
                    assert mount.metrics()["listing_evictions_total"] > evictions
                assert file.read() == right[seen[0]]
            seen += [entry.name for entry in entries]
        assert sorted(seen) == sorted(right)
        assert read_tree(path) == right
        assert mount.metrics()["listing_bytes"] <= MIB * 3 // 4
        # What the kernel no longer knows is no longer kept.
        for number in range(100):
            os.listdir(mount / "search" / f"nothing {number}")
        run("mount", "-i", "-o", "remount,ro", str(mount.path))
        wait_until(lambda: mount.metrics()["nodes"] < 20)
        assert mount.metrics()["resources"] <= 1 + 5 + mount.metrics()["listings"]


# --- Trouble ---

NETWORK = {"ETIMEDOUT", "EHOSTUNREACH"}
FAULTS = {
    "400": ({"kind": "status", "status": 400}, {"EBADMSG"}),
    "401": ({"kind": "status", "status": 401}, {"EACCES"}),
    "403": ({"kind": "status", "status": 403}, {"EACCES"}),
    "404": ({"kind": "status", "status": 404}, {"ENOENT"}),
    "429": ({"kind": "status", "status": 429, "retry_after": "1"}, {"EBUSY"}),
    "500": ({"kind": "status", "status": 500}, {"EIO"}),
    "reset": ({"kind": "reset"}, NETWORK),
    "hang": ({"kind": "hang"}, {"ETIMEDOUT"}),
    "truncate": ({"kind": "truncate"}, NETWORK),
    "not_json": ({"kind": "not_json"}, {"EBADMSG"}),
    "empty_body": ({"kind": "empty_body"}, {"EBADMSG"}),
    "deep": ({"kind": "deep"}, {"EBADMSG"}),
    "endless": ({"kind": "endless"}, {"EFBIG"}),
    "redirect": ({"kind": "redirect"}, {"EBADMSG"}),
    "null_items": ({"kind": "null_items"}, {"EBADMSG"}),
    "zero_page": ({"kind": "zero_page"}, {"EBADMSG"}),
    "big_total": ({"kind": "big_total"}, {"EBADMSG", "EFBIG"}),
    "wrong_types": ({"kind": "wrong_types", "variant": 3}, {"EBADMSG"}),
}


@pooled([(fault,) for fault in FAULTS])
def test_a_fault_is_an_errno_in_time_and_an_explanation_and_passes(fault):
    planted, errors = FAULTS[fault]
    with (
        simulated("--binders=1", "--folders=0", "--documents=20") as sim,
        mounted(sim, "ttl=600", f"timeout={TIMEOUT_S}") as mount,
    ):
        path = mount / "search" / "pdf"
        sim.fault("search", times=-1, **planted)
        assert os.path.isdir(path)  # which asks nobody
        seen, took = outcome_of(lambda: os.listdir(path))
        assert seen in errors and took < TIMEOUT_S + 1 + NOISE_S
        assert os.path.isdir(path)
        assert f" {seen} search/pdf" in mount.control("errors")
        sim.clear()
        wait_until(lambda: works(lambda: os.listdir(path)), within=8)
        assert read_tree(path) == expected(documents_of(sim), "pdf")


def test_while_the_server_fails_an_old_answer_is_shown(sim, watchful):
    path = watchful / "search" / "plan"
    before = read_tree(path)
    sim.fault("search", "status", status=500, times=-1)
    let_ttl_pass()
    assert read_tree(path) == before != {}
    sim.clear()
