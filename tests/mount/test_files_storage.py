"""Who talks to storage and how: bare requests, few redirects, TLS; link queries are never shown. When
storage is down, the rest goes on; who waits for it can be interrupted, and the daemon ended."""

import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest

from mounting import api_requests, mounted, simulated, wait_until
from nginx import Authority, nginx
from pooling import outcome_of, works
from storage_trouble import SIZE, documents, nothing_under_way, opened, organisation, read_whole, reads_right

FAR = 2_500_000
NETWORK = {"ETIMEDOUT", "EHOSTUNREACH"}
# What two cores and sanitizers may add to what takes no time.
NOISE_S = 0.3


class Storage:
    """Another storage, which keeps what it receives: a link's path leads to the true bytes, one below
    `/to/` to what `answers` holds for it."""

    def __init__(self, sim):
        self.sim, self.requests, self.answers = sim, [], {}
        storage = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                storage.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        self.requests.append((handler.path, dict(handler.headers)))
        path, _, query = handler.path.partition("?")
        redirect = self.answers.get(path.rsplit("/", 1)[0])
        handler.send_response(302 if redirect is not None else 206)
        handler.send_header("Set-Cookie", "session=secret; Path=/")
        if redirect is not None:
            if redirect:
                handler.send_header("Location", redirect.format(version=path.rsplit("/", 1)[1], query=query))
            data = b""
        else:
            whole = self.sim.content(path.rsplit("/", 1)[1])
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers["Range"]).groups())
            data = whole[first:last + 1]
            handler.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{len(whole)}")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)


@contextlib.contextmanager
def other_storage(sim, base="/storage"):
    storage = Storage(sim)
    sim.control("POST", "/settings", storage_base=storage.base + base)
    try:
        yield storage
    finally:
        storage.server.shutdown()
        storage.server.server_close()


def shown(mount):
    """All that users and administrators can read of it."""
    return mount.log + "".join(mount.control(name) for name in os.listdir(mount / ".ibinderfs"))


def check_nothing_leaks(storage, mount):
    assert storage.requests
    for _, headers in storage.requests:
        assert set(headers) == {"Host", "Range"}, headers
    text = shown(mount)
    for path, _ in storage.requests:
        query = path.partition("?")[2]
        assert query and query not in text
        for value in re.findall(r"=([^&]{8,})", query):
            assert value not in text
    assert "sig=" not in text and "exp=" not in text


# --- Bare requests, redirects ---


def test_what_storage_gets_is_bare_and_links_are_not_shown():
    """Also of what the daemon says about requests that fail."""
    with simulated(*organisation()) as sim, mounted(sim, "log_level=debug,timeout=1") as mount:
        with other_storage(sim) as storage:
            first, second, third = documents(mount)
            assert reads_right(sim, first) and reads_right(sim, first)
            storage.answers["/storage"] = "http://192.0.2.1/{version}?token=verysecret&{query}"
            assert read_whole(second.path)[1] == "EBADMSG"
            storage.answers["/storage"] = ""
            assert read_whole(third.path)[1] == "EBADMSG"
            check_nothing_leaks(storage, mount)
            assert "verysecret" not in shown(mount) and "session" not in shown(mount)
            # Of the address only whose it is: the path may be a secret too.
            assert f"GET {storage.base}: status" in mount.log and storage.base + "/" not in shown(mount)
        sim.control("POST", "/settings", storage_base="http://127.0.0.1:1/storage")  # nobody listens there
        mount.signal(signal.SIGHUP)  # forgets links
        wait_until(lambda: read_whole(third.path)[1] in NETWORK)
        assert "sig=" not in shown(mount)
        stats = sim.stats()
        assert (stats["refused"]["link"], stats["leaked_credentials"]) == (0, 0)


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
def test_two_redirects_are_followed(hops):
    with simulated(*organisation()) as sim, mounted(sim, "log_level=debug,timeout=2") as mount:
        with other_storage(sim, "/to/0") as storage:
            document = documents(mount)[0]
            for hop in range(hops):
                storage.answers[f"/to/{hop}"] = storage.base + f"/to/{hop + 1}/{{version}}?signature=hop{hop:08}"
            if hops <= 2:
                assert reads_right(sim, document)
            else:
                assert read_whole(document.path)[:2] == (b"", "EBADMSG")
                assert "redirects more than twice" in mount.control("errors")
            paths = {path.partition("?")[0] for path, _ in storage.requests}
            assert paths == {f"/to/{hop}/{document.version}" for hop in range(min(hops, 2) + 1)}
            check_nothing_leaks(storage, mount)
        assert sim.stats()["leaked_credentials"] == 0


@pytest.mark.parametrize("target", ["http://192.0.2.1/{version}", "ftp://127.0.0.1/x", "http://me:pw@127.0.0.1:1/x",
                                    "http://127.0.0.2.example.com/", "file:///etc/passwd", "", "http:///"])
def test_a_redirect_to_where_no_bytes_may_be_fetched_is_refused(target):
    with simulated(*organisation()) as sim, mounted(sim, "timeout=2") as mount, other_storage(sim) as storage:
        document = documents(mount)[0]
        storage.answers["/storage"] = target
        data, seen, longest = read_whole(document.path)
        assert (data, seen) == (b"", "EBADMSG")
        assert longest < 1 and len(storage.requests) == 1
        line, = [line for line in mount.control("errors").splitlines() if "files/" in line]
        assert "(HTTP 302)" in line and "pw" not in line and "192.0.2.1" not in line


def test_redirects_in_a_circle_end():
    with simulated(*organisation()) as sim, mounted(sim, "timeout=2") as mount:
        document = documents(mount)[0]
        sim.fault("storage", "redirect", times=-1, location="{self}")
        data, seen, longest = read_whole(document.path)
        assert (data, seen) == (b"", "EBADMSG") and longest < 1
        assert api_requests(sim)["storage"] == 3
        sim.clear()
        sim.fault("storage", "redirect", times=2, location="{self}")
        wait_until(lambda: reads_right(sim, document))
        headers = sim.stats()["headers_seen_by_redirect_target"]
        assert not any(headers), headers


def test_the_status_says_how_storage_is():
    def word(mount):
        line = next(line for line in mount.control("status").splitlines() if line.startswith("storage"))
        assert json.loads(mount.control("status.json"))["storage"] in line
        return line.split(None, 1)[1]

    with simulated(*organisation()) as sim, mounted(sim, "timeout=2") as mount:
        first, second, *_ = documents(mount)
        assert word(mount).startswith("not asked yet")
        assert reads_right(sim, first)
        assert word(mount).startswith("answering")
        sim.fault("storage", "status", status=429, retry_after="60", times=-1)
        assert read_whole(second.path)[1] == "EBUSY"
        assert word(mount).startswith("limiting, for another ")
        assert "asks for fewer requests" in mount.control("errors")
        sim.clear()
        mount.signal(signal.SIGHUP)  # lifts the pause
        wait_until(lambda: reads_right(sim, second))


# --- TLS ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def good(authority):
    return authority.certificate("good")


@pytest.mark.parametrize("options", [(), ("--storage-range=off",)], ids=["ranges", "stream"])
def test_over_tls_bytes_are_right(authority, good, tmp_path, options):
    with simulated(*organisation(), *options) as sim, nginx(tmp_path, sim.port, good) as server:
        sim.control("POST", "/settings", storage_base=server.url("/storage"))
        env = {"IBINDER_API_URL": server.url("/api"), "IBINDER_AUTH_URL": server.url("/connect/token")}
        with mounted(sim, f"ca_file={authority.file}", env=env) as mount:
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                assert all(pool.map(lambda document: reads_right(sim, document), documents(mount)))
            wait_until(lambda: nothing_under_way(mount))
        stats = sim.stats()
        storage = stats["routes"]["storage"]
        assert storage >= 3
        # Several ranges at once want several connections, and one that is held back wants its own.
        assert stats["forwarded_protocols"] == {"HTTP/2.0": sum(stats["routes"].values()) - storage, "HTTP/1.1": storage}
        assert len(set(server.connections())) <= 6  # API and storage, not one for each request


def test_storage_whose_certificate_is_not_trusted_gets_no_request(authority, tmp_path):
    certificate = authority.certificate("own", self_signed=True)
    with simulated(*organisation()) as sim, nginx(tmp_path, sim.port, certificate) as server:
        sim.control("POST", "/settings", storage_base=server.url("/storage"))
        with mounted(sim, f"ca_file={authority.file},timeout=2") as mount:
            assert read_whole(documents(mount)[0].path)[1] == "EPROTO"
            assert "sig=" not in shown(mount)
        assert "storage" not in api_requests(sim)


def test_no_redirect_leads_from_https_to_http(authority, good, tmp_path):
    with simulated(*organisation()) as sim, nginx(tmp_path, sim.port, good, more="proxy_redirect off;") as server:
        sim.control("POST", "/settings", storage_base=server.url("/storage"))
        with mounted(sim, f"ca_file={authority.file},timeout=2") as mount:
            document = documents(mount)[0]
            sim.fault("storage", "redirect", location=f"http://127.0.0.1:{sim.port}/redirect-target")
            assert read_whole(document.path)[1] == "EBADMSG"
            assert "from https to http" in mount.control("errors")
            assert sim.stats()["routes"]["redirect_target"] == 0
            wait_until(lambda: reads_right(sim, document))


# --- Storage that is down ---


def check_down(sim, mount, known, unknown, fd, expected):
    """The breaker is open: nothing waits."""
    requests = sim.stats()["routes"]["storage"]
    for call in lambda: os.pread(fd, 1000, FAR), lambda: os.open(unknown.path, os.O_RDONLY):
        seen, took = outcome_of(call)
        assert seen in expected and took < 0.05 + NOISE_S, (seen, took)
    began = time.monotonic()
    assert known.right(sim, os.pread(fd, 1000, 0))
    assert os.listdir(os.path.dirname(known.path)) and os.stat(unknown.path)
    assert time.monotonic() - began < NOISE_S
    assert sim.stats()["routes"]["storage"] <= requests + 1  # a probe
    metrics = mount.metrics()
    assert (metrics["breaker_open"], metrics["storage_breaker_open"]) == (0, 1)
    assert re.search(r"^storage +down", mount.control("status"), re.MULTILINE)


@pytest.mark.parametrize("fault", ["hang", "reset", "status"])
def test_storage_that_is_down_is_not_waited_for_while_the_api_works(fault):
    expected = {"hang": {"ETIMEDOUT"}, "status": {"EIO"}}.get(fault, NETWORK)
    with simulated(*organisation(SIZE, 6)) as sim, mounted(sim, "timeout=1,ttl=0,stale=0") as mount:
        known, unknown, *_, never = documents(mount)
        with opened(known.path) as fd:
            assert known.right(sim, os.pread(fd, 1000, 0))
            sim.fault("storage", fault, times=-1)

            def is_down():
                outcome_of(lambda: os.pread(fd, 1000, FAR))
                outcome_of(lambda: os.open(unknown.path, os.O_RDONLY))
                return mount.metrics()["storage_breaker_open"]

            wait_until(is_down, within=8)
            check_down(sim, mount, known, never, fd, expected)
            assert sum(line.count("storage has not answered for") for line in mount.lines) == 1
            sim.clear()
            requests = sim.stats()["routes"]["storage"]
            wait_until(lambda: not mount.metrics()["storage_breaker_open"], within=8)
            assert sim.stats()["routes"]["storage"] <= requests + 1  # the probe that closed it
            wait_until(lambda: works(lambda: os.pread(fd, 1000, FAR)), within=3)
            assert known.right(sim, os.pread(fd, 1000, FAR), FAR)
        for document in unknown, never:
            wait_until(lambda document=document: reads_right(sim, document), within=3)
        assert nothing_under_way(mount)


# --- Interrupts and ends ---


def waiting_readers(mount, document, fd):
    """One that waits in open(), one in read()."""
    readers = [
        subprocess.Popen(["cat", document.path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE),
        subprocess.Popen(["tail", "-c", "1000"], stdin=fd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE),
    ]
    wait_until(lambda: mount.metrics()["waiters"] == 2)
    return readers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_a_reader_that_waits(number):
    with simulated(*organisation()) as sim, mounted(sim, "timeout=10") as mount:
        known, unknown, _ = documents(mount)
        with opened(known.path) as fd:
            assert known.right(sim, os.pread(fd, 1000, 0))
            sim.fault("storage", "hang", times=-1)
            for reader in waiting_readers(mount, unknown, fd):
                check_interrupt(reader, number)
            sim.clear()
            assert reads_right(sim, unknown)
            assert known.right(sim, os.pread(fd, 1000, FAR), FAR)
        wait_until(lambda: nothing_under_way(mount))


def check_interrupt(reader, number):
    began = time.monotonic()
    reader.send_signal(number)
    reader.communicate(timeout=5)
    assert reader.returncode == -number
    assert time.monotonic() - began < 0.2 + NOISE_S


GONE = ("No such device", "not connected", "Software caused connection abort", "Input/output error")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_ends_while_readers_wait(number):
    with simulated(*organisation()) as sim, mounted(sim, "timeout=20") as mount:
        known, unknown, _ = documents(mount)
        with opened(known.path) as fd:
            assert known.right(sim, os.pread(fd, 1000, 0))
            sim.fault("storage", "hang", times=-1)
            readers = waiting_readers(mount, unknown, fd)
            mount.signal(number)
            mount.wait_for_end()
            for reader in readers:
                _, text = reader.communicate(timeout=5)
                assert reader.returncode == 1 and any(word in text.decode() for word in GONE), text


@pytest.mark.parametrize("options", [(), ("--storage-range=off", "--storage-rate=300000")], ids=["hang", "stream"])
def test_a_mount_taken_away_from_waiting_readers_ends_with_them(options):
    with simulated(*organisation(), *options) as sim, mounted(sim, "timeout=2,memory=4M") as mount:
        known, unknown, _ = documents(mount)
        fd = os.open(known.path, os.O_RDONLY)
        assert known.right(sim, os.pread(fd, 1000, 0))
        if not options:
            sim.fault("storage", "hang", times=-1)
        reader = subprocess.Popen(["cat", unknown.path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until(lambda: mount.metrics()["waiters"] >= 1)
        subprocess.run(["fusermount3", "-u", "-z", str(mount.path)], check=True)
        os.close(fd)
        reader.send_signal(signal.SIGKILL)
        reader.communicate(timeout=5)
        mount.wait_for_end()
