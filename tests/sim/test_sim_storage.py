"""Storage: how it can be set to answer, what is counted of it, the faults that spoil its answers.

Run:  IBINDERFS_BUILD=build /usr/bin/python3 -m pytest tests/sim
"""

import concurrent.futures
import http.client
import json
import re
import time
import urllib.error
import urllib.parse

import pytest

from sim_client import link_of, running

SIZE = 10_000
OPTIONS = ("--binders=1", "--documents=3", f"--size-min={SIZE}", f"--size-max={SIZE}")


@pytest.fixture
def sim():
    with running(*OPTIONS) as sim:
        yield sim


def first_document(sim):
    return sim.truth()[0]["documents"][0]


def get(sim, url, spec=None, headers=(), **more):
    return sim.request("GET", url, {**dict(headers), **({"Range": "bytes=" + spec} if spec else {})}, **more)


def open_answer(sim, url, headers=()):
    """An answer whose body is still to be read; the connection belongs to the caller."""
    split = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    connection.request("GET", f"{split.path}?{split.query}", headers=dict(headers))
    return connection, connection.getresponse()


def part_of(answer):
    """First, last and total of the Content-Range."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers["Content-Range"])
    return tuple(int(number) for number in match.groups())


# --- what is counted


def test_bytes_are_counted_per_route(sim):
    url = link_of(sim, first_document(sim))
    sim.control("POST", "/stats/reset")
    assert not any(sim.stats()["bytes"].values())
    get(sim, url)
    get(sim, url, "10-109")
    sim.content(first_document(sim)["latestVersionId"])
    assert sim.stats()["bytes"] == {**dict.fromkeys(sim.stats()["bytes"], 0), "storage": SIZE + 100}
    listing = sim.get("/binders")
    refused = sim.request("GET", "/elsewhere")
    assert not sim.request("HEAD", "/api/binders", sim.headers()).body
    sent = sim.stats()["bytes"]
    assert (sent["binders"], sent["other"], sent["storage"]) == (len(listing.body), len(refused.body), SIZE + 100)
    sim.control("POST", "/stats/reset")
    assert not any(sim.stats()["bytes"].values())


def test_bytes_of_spoilt_answers_count_as_far_as_sent(sim):
    url = link_of(sim, first_document(sim))
    sim.control("POST", "/stats/reset")
    sim.fault("storage", "truncate")
    with pytest.raises(http.client.IncompleteRead):
        get(sim, url)
    assert sim.stats()["bytes"]["storage"] == SIZE // 2
    sim.fault("storage", "reset")
    with pytest.raises(OSError):
        get(sim, url)
    assert sim.stats()["bytes"]["storage"] == SIZE // 2
    sim.fault("storage", "short_range")
    get(sim, url, "0-99")
    assert sim.stats()["bytes"]["storage"] == SIZE // 2 + 50


def test_ranges_are_counted_at_storage_only(sim):
    url = link_of(sim, first_document(sim))
    get(sim, url)
    assert sim.stats()["ranges"] == 0
    get(sim, url, "0-9")
    get(sim, url, f"{SIZE}-")
    sim.request("GET", "/api/binders", {**sim.headers(), "Range": "bytes=0-9"})
    assert sim.stats()["ranges"] == 2
    sim.control("POST", "/stats/reset")
    assert sim.stats()["ranges"] == 0


def test_concurrency_of_storage_alone(sim):
    url = link_of(sim, first_document(sim))
    sim.headers()
    sim.fault("storage", "hang", times=-1)
    sim.fault("binders", "hang", times=-1)
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        hung = [pool.submit(get, sim, url) for _ in range(3)] + [pool.submit(sim.get, "/binders") for _ in range(2)]
        while sim.stats()["in_flight"] < 5:
            time.sleep(0.01)
        stats = sim.stats()
        assert (stats["storage_in_flight"], stats["storage_peak_concurrency"]) == (3, 3)
        sim.control("POST", "/stats/reset")
        assert sim.stats()["storage_peak_concurrency"] == 3  # requests under way stay counted
        sim.clear()
        for future in hung:
            assert isinstance(future.exception(), http.client.RemoteDisconnected)
    sim.settle()
    sim.control("POST", "/stats/reset")
    get(sim, url)
    assert sim.stats()["storage_peak_concurrency"] == 1


# --- settings


def test_storage_latency(sim):
    url = link_of(sim, first_document(sim))
    sim.control("POST", "/settings", storage_latency_ms=300)
    began = time.monotonic()
    sim.get("/binders")
    assert time.monotonic() - began < 0.25
    began = time.monotonic()
    assert len(get(sim, url).body) == SIZE
    assert 0.3 <= time.monotonic() - began < 3


def test_storage_rate():
    size = 20_000_000
    with running("--binders=1", "--documents=1", f"--size-min={size}", f"--size-max={size}",
                 "--storage-rate=10000") as sim:
        version = first_document(sim)["latestVersionId"]
        url = link_of(sim, first_document(sim))
        began = time.monotonic()
        assert get(sim, url, "0-4999").body == sim.content(version, 0, 5000)
        assert 0.4 < time.monotonic() - began < 3
        sim.control("POST", "/settings", storage_rate=40_000_000)
        with concurrent.futures.ThreadPoolExecutor() as pool:  # each answer by itself
            began = time.monotonic()
            assert [len(answer.body) for answer in pool.map(lambda _: get(sim, url), range(2))] == [size, size]
            assert 0.45 < time.monotonic() - began < 5
        sim.control("POST", "/settings", storage_rate=1)
        began = time.monotonic()
        assert len(sim.content(version)) == size  # the truth is not held up
        assert sim.get("/binders").status == 200 and time.monotonic() - began < 5


def test_storage_length(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"])
    assert get(sim, url).headers["Content-Length"] == str(SIZE)
    sim.control("POST", "/settings", storage_length="off")
    whole = get(sim, url)
    assert (whole.status, whole.body, whole.headers["Content-Length"]) == (200, truth, None)
    assert whole.headers["Transfer-Encoding"] == "chunked"
    part = get(sim, url, "5-14")
    assert (part.status, part.body, part.headers["Content-Length"]) == (206, truth[5:15], "10")
    sim.fault("storage", "truncate")
    with pytest.raises(http.client.IncompleteRead):
        get(sim, url)


def test_storage_etag(sim):
    one, other = sim.truth()[0]["documents"][:2]
    assert get(sim, link_of(sim, one)).headers["ETag"] is None
    sim.control("POST", "/settings", storage_etag="on")
    tag = get(sim, link_of(sim, one)).headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]+"', tag)
    assert get(sim, link_of(sim, one), "0-0").headers["ETag"] == tag
    assert get(sim, link_of(sim, other)).headers["ETag"] != tag
    changed = sim.change("new_version", id=one["id"])
    assert get(sim, link_of(sim, changed)).headers["ETag"] != tag


@pytest.mark.parametrize("size", [0, SIZE])
def test_storage_416(size):
    with running("--binders=1", "--documents=1", f"--size-min={size}", f"--size-max={size}") as sim:
        url = link_of(sim, first_document(sim))
        for spec in (f"{size}-", f"{size}-{size + 9}", *(["0-0", "0-", "-5"] if not size else [])):
            answer = get(sim, url, spec)
            assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
        sim.control("POST", "/settings", storage_416="bare")
        answer = get(sim, url, f"{size}-")
        assert (answer.status, answer.headers["Content-Range"]) == (416, None)
        assert len(get(sim, url).body) == size


def test_settings_of_storage_are_checked(sim):
    for body in ({"storage_416": "x"}, {"storage_rate": -1}, {"storage_rate": 10**13}, {"storage_length": "range"},
                 {"storage_etag": 2}, {"storage_latency_ms": "x"}):
        answer = sim.request("POST", "/settings", body=json.dumps(body).encode(), port=sim.control_port)
        assert answer.status == 400
    with running("--storage-latency-ms=1", "--storage-rate=9", "--storage-length=off", "--storage-etag=on",
                 "--storage-416=bare", *OPTIONS) as other:
        answer = get(other, link_of(other, first_document(other)), f"{SIZE}-")
        assert (answer.status, answer.headers["Content-Range"]) == (416, None)


# --- sizes, links, the truth


def test_contents_of_several_gigabytes():
    size = 6_000_000_007
    with running("--binders=1", "--documents=1", f"--size-min={size}", f"--size-max={size}") as sim:
        document = first_document(sim)
        version, url = document["latestVersionId"], link_of(sim, document)
        assert document["size"] == size
        for first in (0, 2**32 - 50, size - 100):
            answer = get(sim, url, f"{first}-{first + 99}")
            assert part_of(answer) == (first, first + 99, size)
            assert answer.body == sim.content(version, first, 100)
            # The same byte whatever the request begins with.
            assert answer.body[37:] == sim.content(version, first + 37, 63)
        assert get(sim, url, "-7").body == sim.content(version, size - 7)
        connection, answer = open_answer(sim, url)
        assert answer.headers["Content-Length"] == str(size)
        assert answer.read(200_000) == sim.content(version, 0, 200_000)
        connection.close()
        sim.settle()


def test_empty_versions_among_others():
    with running("--binders=1", "--documents=50", "--size-min=0", "--size-max=1") as sim:
        documents = sim.truth()[0]["documents"]
        assert {document["size"] for document in documents} == {0, 1}
        for document in documents[:10]:
            assert len(get(sim, link_of(sim, document)).body) == document["size"]
            assert len(sim.content(document["latestVersionId"])) == document["size"]


def test_links_expire(sim):
    old = link_of(sim, first_document(sim))
    assert get(sim, old).status == 200
    sim.expire_links()
    assert get(sim, old).status == 403 and sim.stats()["refused"]["link"] == 1
    assert get(sim, link_of(sim, first_document(sim))).status == 200
    assert sim.get("/binders").status == 200  # tokens live on


def test_truth_tells_versions_and_their_bytes():
    with running("--binders=1", "--documents=1", "--size-min=1000", "--size-max=9000") as sim:
        document = first_document(sim)
        first = {"id": document["latestVersionId"], "size": document["size"]}
        assert document["versions"] == [first]
        second = sim.change("new_version", id=document["id"])["latestVersionId"]
        document = first_document(sim)
        assert [version["id"] for version in document["versions"]] == [second, first["id"]]
        assert document["versions"][1] == first and document["versions"][0]["size"] == document["size"]
        storage = sim.stats()["routes"]["storage"]
        for version in document["versions"]:
            content = sim.content(version["id"])
            assert len(content) == version["size"] and version["id"].encode() in content
            assert sim.content(version["id"], 100, 50) == content[100:150]
            assert sim.content(version["id"], version["size"] - 3, 50) == content[-3:]
            assert sim.content(version["id"], version["size"] + 3) == b""
            url = link_of(sim, {**document, "latestVersionId": version["id"]})
            assert get(sim, url).body == content
            blocks = [content[at : at + 64] for at in range(0, version["size"], 64)]
            assert len(set(blocks)) == len(blocks)
        assert sim.stats()["routes"]["storage"] == storage + 2
        for query, status in (("", 404), ("?version=none", 404), (f"?version={second}&offset=x", 400),
                              (f"?version={second}&length=-1", 400)):
            assert sim.request("GET", "/content" + query, port=sim.control_port).status == status


# --- faults that every route has


def test_common_faults_strike_ranged_requests(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"], 0, 1000)
    sim.fault("storage", "truncate")
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(sim, url, "0-999")
    assert (caught.value.partial, caught.value.expected) == (truth[:500], 500)
    for kind, more in (("slow", {"bytes_per_second": 2500}), ("delay", {"ms": 400})):
        sim.fault("storage", kind, **more)
        began = time.monotonic()
        assert get(sim, url, "0-999").body == truth
        assert 0.35 < time.monotonic() - began < 3
    sim.fault("storage", "status", status=503, retry_after="7")
    answer = get(sim, url, "0-999")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    sim.fault("storage", "hang")
    with pytest.raises(TimeoutError):
        get(sim, url, "0-999", timeout=0.3)
    sim.fault("storage", "reset")
    with pytest.raises(ConnectionResetError):
        try:
            get(sim, url, "0-999")
        except urllib.error.URLError as error:
            raise error.reason
    assert get(sim, url, "0-999").body == truth
    sim.settle()


def test_endless_fault_at_storage(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"])
    for headers, status in (({}, 200), ({"Range": "bytes=0-99"}, 206)):
        sim.fault("storage", "endless")
        connection, answer = open_answer(sim, url, headers)
        assert (answer.status, answer.headers["Content-Length"]) == (status, None)
        if status == 206:
            assert part_of(answer) == (0, 99, SIZE)
        body = answer.read(3_000_000)
        assert len(body) == 3_000_000 and body.startswith(truth)
        connection.close()
    sim.settle()


def test_redirects_to_the_same_place_end_in_the_right_answer(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"])
    here = f"http://127.0.0.1:{sim.port}"
    assert url.startswith(here)
    for location, base in ((here + "{self}", ""), ("{self}", here)):
        sim.fault("storage", "redirect", status=307, location=location, times=3)
        at, seen = url, []
        while (answer := get(sim, at, "3-9")).status == 307:
            at = base + answer.headers["Location"]
            seen.append(at)
        assert seen == [f"{url}&hop={hop}" for hop in (1, 2, 3)]
        assert (answer.status, answer.body) == (206, truth[3:10])
    assert sim.stats()["headers_seen_by_redirect_target"] == []
    get(sim, seen[0], headers={"Cookie": "a=b", "Authorization": "Bearer x"})
    assert sorted(sim.stats()["headers_seen_by_redirect_target"]) == ["Authorization", "Cookie"]


def test_redirect_of_storage_elsewhere(sim):
    url = link_of(sim, first_document(sim))
    sim.fault("storage", "redirect", status=301)
    answer = get(sim, url)
    assert (answer.status, answer.headers["Location"]) == (301, f"http://127.0.0.1:{sim.port}/redirect-target")
    sim.fault("storage", "redirect", location="http://files.example{self}#x")
    assert get(sim, url).headers["Location"] == (
        "http://files.example" + url[len(f"http://127.0.0.1:{sim.port}"):] + "&hop=1#x")
    sim.fault("binders", "redirect", location="{self}")
    assert sim.get("/binders").headers["Location"] == "/api/binders?hop=1"


# --- faults of ranges


@pytest.mark.parametrize("spec, start", [("1000-1999", 2000), ("9500-9999", 9000), ("9000-9899", 9100), ("0-9999", 1)])
def test_wrong_range_fault(sim, spec, start):
    document = first_document(sim)
    sim.fault("storage", "wrong_range")
    answer = get(sim, link_of(sim, document), spec)
    first, last, total = part_of(answer)
    assert (answer.status, first, total) == (206, start, SIZE)
    assert answer.body == sim.content(document["latestVersionId"], first, last - first + 1)


def test_other_length_fault(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"])
    sim.fault("storage", "other_length", times=3)
    part = get(sim, url, "10-19")
    assert (part.status, part.body) == (206, truth[10:20])
    first, last, total = part_of(part)
    assert (first, last) == (10, 19) and total > SIZE
    whole = get(sim, url)
    assert (whole.status, whole.headers["Content-Length"]) == (200, str(total))
    assert len(whole.body) == total and whole.body.startswith(truth)
    assert get(sim, url, f"{SIZE}-").headers["Content-Range"] == f"bytes */{total}"


def test_faults_of_the_range_sent(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"])
    sim.fault("storage", "no_content_range")
    answer = get(sim, url, "10-19")
    assert (answer.status, answer.headers["Content-Range"], answer.body) == (206, None, truth[10:20])
    for spec, last in (("10-19", 14), ("10-10", 10), ("10-", 10 + (SIZE - 10) // 2 - 1)):
        sim.fault("storage", "short_range")
        answer = get(sim, url, spec)
        assert (answer.status, part_of(answer)) == (206, (10, last, SIZE))
        assert (answer.body, answer.headers["Content-Length"]) == (truth[10 : last + 1], str(last - 9))
    sim.fault("storage", "ignore_range")
    answer = get(sim, url, "10-19")
    assert (answer.status, answer.headers["Content-Range"], answer.body) == (200, None, truth)
    assert get(sim, url, "10-19").status == 206


def test_faults_of_the_head(sim):
    document = first_document(sim)
    url, truth = link_of(sim, document), sim.content(document["latestVersionId"])
    sim.control("POST", "/settings", storage_etag="on")
    tag = get(sim, url).headers["ETag"]
    sim.fault("storage", "other_etag")
    answer = get(sim, url, "0-9")
    assert (answer.status, answer.body) == (206, truth[:10]) and answer.headers["ETag"] not in (tag, None)
    sim.fault("storage", "encoded")
    answer = get(sim, url, "0-9")
    assert (answer.headers["Content-Encoding"], answer.headers["ETag"], answer.body) == ("gzip", tag, truth[:10])
    assert get(sim, url).headers["Content-Encoding"] is None
