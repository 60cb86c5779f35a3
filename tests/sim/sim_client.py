"""Starts a simulator and talks to it: what the tests of this directory share.

Standard library only. The binary is $IBINDERFS_BUILD/tests/sim/ibinderfs-sim.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

BINARY = os.path.join(os.environ.get("IBINDERFS_BUILD", "build"), "tests", "sim", "ibinderfs-sim")
SECRET = "s3cr&t=+%/ å"
TENANT = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
FORM = "application/x-www-form-urlencoded"
GRANT = {
    "grant_type": "client_credentials",
    "client_id": "sim-client",
    "client_secret": SECRET,
    "scope": "ibinder_public",
}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


OPENER = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Sim:
    """One running simulator, and the calls that the tests make to it."""

    def __init__(self, *options, env=None, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            [BINARY, "--control-port=0", *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
        )
        line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"ready port=(\d+) control=(\d+)\n", line)
        assert match, (line, self.process.communicate()[1])
        self.port, self.control_port = int(match[1]), int(match[2])
        self.token = None

    def end(self, signum=signal.SIGTERM, within=20):
        """Demands a clean end: status 0, nothing from the sanitizers."""
        if signum:
            self.process.send_signal(signum)
        _, errors = self.process.communicate(timeout=within)
        assert (self.process.returncode, errors) == (0, b"")

    def request(self, method, path, headers=(), body=None, port=None, timeout=20):
        url = path if "://" in path else f"http://127.0.0.1:{port or self.port}{path}"
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        try:
            with OPENER.open(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            return Answer(answer.code, answer.headers, answer.read())

    def ask_token(self, form=None, body=None, kind=FORM, path="/connect/token"):
        body = body if body is not None else urllib.parse.urlencode(form or GRANT).encode()
        return self.request("POST", path, {"Content-Type": kind} if kind else (), body)

    def headers(self):
        if not self.token:
            self.token = self.ask_token().json()["access_token"]
        return {"Authorization": f"Bearer {self.token}", "x-ibinder-tenantid": TENANT}

    def get(self, path, **options):
        return self.request("GET", "/api" + path, self.headers(), **options)

    def search(self, query="", filters=(), raw=None, kind="application/json", **outer):
        body = {"MetadataFilters": [{"metadataElementId": k, "valueId": v} for k, v in filters], **outer}
        body = raw if raw is not None else json.dumps(body).encode()
        return self.request("POST", f"/api/documents?{query}", {**self.headers(), "Content-Type": kind}, body)

    def control(self, method, path, **body):
        data = json.dumps(body).encode() if body else None
        answer = self.request(method, path, body=data, port=self.control_port)
        assert answer.status == 200, answer.body
        return answer.json()

    def stats(self):
        return self.control("GET", "/stats")

    def set(self, **settings):
        self.control("POST", "/settings", **settings)

    def truth(self):
        return self.control("GET", "/truth")["binders"]

    def content(self, version, offset=0, length=None):
        """The true bytes of a version, whatever storage sends."""
        query = f"version={version}&offset={offset}" + (f"&length={length}" if length is not None else "")
        answer = self.request("GET", f"/content?{query}", port=self.control_port)
        assert answer.status == 200, answer.body
        return answer.body

    def expire_links(self):
        self.control("POST", "/links/expire")

    def fault(self, route, kind, times=1, **more):
        self.control("POST", "/faults", route=route, kind=kind, times=times, **more)

    def change(self, op, **more):
        return self.control("POST", "/change", op=op, **more)["object"]

    def clear(self):
        self.control("DELETE", "/faults")

    def settle(self):
        """A request is under way until its last byte is out: wait for the counter. What one answer makes
        the client ask next takes a moment."""
        quiet = 0
        for _ in range(2000):
            quiet = 0 if self.stats()["in_flight"] else quiet + 1
            if quiet == 5:
                return
            time.sleep(0.01)
        raise AssertionError("requests stay in flight")


@contextlib.contextmanager
def running(*options, kind=Sim, **more):
    sim = kind(*options, **more)
    try:
        yield sim
        sim.end()
    finally:
        if sim.process.poll() is None:
            sim.process.kill()
            sim.process.communicate()


def all_pages(sim, size, filters=(), **outer):
    items, number = [], 1
    while True:
        page = sim.search(f"pageSize={size}&pageNumber={number}", filters, **outer).json()
        assert page["pageNumber"] == number
        items += page["items"]
        if number * page["pageSize"] >= page["totalCount"]:
            assert len(items) == page["totalCount"]
            return items
        number += 1


def walk(sim, binder, folder=None):
    path = f"/documents/drives/binders/{binder}" + (f"/folders/{folder}" if folder else "")
    for entry in sim.get(path).json():
        assert entry["parentId"] == folder
        yield entry
        yield from walk(sim, binder, entry["id"])


def metadata_of(document):
    return {entry["metadataElementId"]: entry["valueId"] for entry in document["metadata"]}


def link_of(sim, document):
    answer = sim.get(f"/documents/{document['id']}/versions/{document['latestVersionId']}/downloadlink")
    assert answer.status == 200
    return answer.json()["url"]
