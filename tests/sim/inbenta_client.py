"""The second vendor's calls, for the tests of this directory."""

import json
import urllib.parse

from sim_client import Sim

KEY = "sim-api-key"
SECRET = 's3cr"t\\/+% ñ'
DOMAIN_KEY = "sim-domain-key"
ORIGIN = "https://help.example.com"
JSON = "application/json"


class Inbenta(Sim):
    """A simulated knowledge base. A token and the addresses that came with it are taken when first needed."""

    def __init__(self, *options, **more):
        super().__init__("--vendor=inbenta", *options, **more)
        self.base = None

    def ask(self, body=None, raw=None, kind=JSON, headers=(), path="/v1/auth", key=KEY):
        raw = json.dumps({"secret": SECRET} if body is None else body).encode() if raw is None else raw
        sent = {"x-inbenta-key": key, "Content-Type": kind, **dict(headers)}
        return self.request("POST", path, {k: v for k, v in sent.items() if v is not None}, raw)

    def take(self, **options):
        """Takes a token, which becomes the one in use."""
        answer = self.ask(**options)
        assert answer.status == 200, answer.body
        granted = answer.json()
        self.token, self.base = granted["accessToken"], granted["apis"]["knowledge"]
        return granted

    def headers(self):
        if not self.token:
            self.take()
        return {"x-inbenta-key": KEY, "Authorization": f"Bearer {self.token}"}

    def refresh(self, body=b"", headers=None):
        return self.request("POST", "/v1/refreshToken", self.headers() if headers is None else headers, body)

    def apis(self, headers=None):
        return self.request("GET", "/v1/apis", self.headers() if headers is None else headers)

    def get(self, path, headers=None, **options):
        """A call below the service address in use."""
        sent = self.headers() if headers is None else headers
        if not self.base:
            self.take()
        return self.request("GET", f"{self.base}/v1{path}", sent, **options)

    def contents(self, length=100, offset=0):
        return self.get(f"/contents?length={length}&offset={offset}&tracking=0")

    def one(self, content):
        return self.get(f"/contents/{content}?tracking=0")

    def categories(self, depth=-1):
        return self.get(f"/categories/?maxDepth={depth}")

    def all_contents(self, length=100):
        found = []
        while True:
            page = self.contents(length, len(found)).json()
            found += page["results"]
            if not page["hasMore"]:
                return found

    def truth(self):
        return self.control("GET", "/truth")

    def answer(self, content):
        """The true bytes of a content's answer."""
        answer = self.request("GET", f"/content?id={urllib.parse.quote(content)}", port=self.control_port)
        assert answer.status == 200, answer.body
        return answer.body


def message(answer):
    """What an error says, in whichever of the three shapes."""
    body = answer.json()
    if "error" in body:
        assert set(body) == {"error"} and body["error"]["code"] == answer.status
        return body["error"]["message"]
    assert list(body) in (["Message"], ["message"])
    return next(iter(body.values()))
