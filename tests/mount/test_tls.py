"""TLS: HTTP/2 where the server offers it, certificates always verified, proxies used as told.

nginx terminates TLS in front of the simulator and tells it which protocol the daemon spoke.
"""

import contextlib
import errno
import os
import re
import socket
import threading

import pytest

from background import failing
from mounting import BINARY, environment_for, mounted, run, wait_until
from nginx import Authority, nginx


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def good(authority):
    return authority.certificate("good")


def tls(server, host="127.0.0.1", **more):
    """Token endpoint and API behind the server, as environment."""
    return {"IBINDER_API_URL": server.url("/api", host),
            "IBINDER_AUTH_URL": server.url("/connect/token", host), **more}


def binder_names(mount):
    return sorted(os.listdir(mount / "binders"))


def true_names(sim):
    return sorted(re.search(r'"name":\s*"([^"]*)"', binder["raw"])[1] for binder in sim.truth())


def test_http2_is_spoken_over_one_connection(sim, authority, good, tmp_path):
    with nginx(tmp_path, sim.port, good) as server:
        with mounted(sim, f"ca_file={authority.file}", env=tls(server)) as mount:
            assert binder_names(mount) == true_names(sim)
            for binder in binder_names(mount):
                os.listdir(mount / "binders" / binder)
            metrics = mount.metrics()
            stats = sim.stats()
        assert len(set(server.connections())) == 1, server.connections()
    assert metrics["answers_http2_total"] == metrics["requests_total"] > 3
    total = metrics["requests_total"] + metrics["token_requests_total"]
    assert stats["forwarded_protocols"] == {"HTTP/2.0": total}


def test_a_server_without_http2_works_as_well(sim, authority, good, tmp_path):
    with nginx(tmp_path, sim.port, good, http2=False) as server:
        with mounted(sim, f"ca_file={authority.file}", env=tls(server)) as mount:
            assert binder_names(mount) == true_names(sim)
            metrics = mount.metrics()
    assert metrics["answers_http2_total"] == 0
    assert sim.stats()["forwarded_protocols"] == {"HTTP/1.1": 2}


def test_host_names_are_verified_too(sim, authority, good, tmp_path):
    """The same server by a name that its certificate has."""
    with nginx(tmp_path, sim.port, good) as server:
        with mounted(sim, f"ca_file={authority.file}", env=tls(server, "localhost")) as mount:
            assert binder_names(mount) == true_names(sim)


# What nginx serves; whether the daemon trusts our authority; what the explanation says.
UNACCEPTABLE = {
    "another host's certificate": ({"hosts": "DNS:elsewhere.example"}, "", True,
                                   "does not match target host name|no alternative certificate subject name matches"),
    "self-signed": ({"self_signed": True}, "", True, "self.signed certificate"),
    "an unknown authority": ({}, "", False, "unable to get local issuer certificate|self.signed certificate in"),
    "expired": ({"days": -1}, "", True, "certificate has expired"),
    "TLS 1.1": ({}, "ssl_protocols TLSv1.1; ssl_ciphers ALL:@SECLEVEL=0;", True,
                "alert protocol version|unsupported protocol"),
}


@contextlib.contextmanager
def unacceptable(kind, sim, authority, directory):
    """A server that must be refused, the options that the daemon gets, and the explanation."""
    certificate, more, trusts, explanation = UNACCEPTABLE[kind]
    pair = authority.certificate(re.sub(r"\W", "-", kind), **certificate)
    with nginx(directory, sim.port, pair, more=more) as server:
        yield server, [f"ca_file={authority.file}"] if trusts else [], explanation


@pytest.mark.parametrize("kind", UNACCEPTABLE)
def test_refused_by_the_api_is_eproto_and_explained(kind, sim, authority, tmp_path):
    """The token comes another way, so it is the API's connection that fails: at once."""
    with unacceptable(kind, sim, authority, tmp_path) as (server, options, explanation):
        env = {"IBINDER_API_URL": server.url("/api")}
        with mounted(sim, "timeout=5", *options, env=env) as mount:
            with pytest.raises(OSError) as caught:
                os.listdir(mount / "binders")
            assert caught.value.errno == errno.EPROTO
            told = mount.control("errors")
            assert re.search(f"EPROTO binders: .*({explanation})", told, re.I), told
            assert "check ca_file=, proxy= and the clock" in told
            assert mount.metrics()["deadlines_missed_total"] == 0
    assert sim.stats()["routes"]["binders"] == 0


@pytest.mark.parametrize("kind", UNACCEPTABLE)
def test_no_secret_is_sent_to_an_unacceptable_token_endpoint(kind, sim, authority, tmp_path):
    with unacceptable(kind, sim, authority, tmp_path) as (server, options, explanation):
        env = {"IBINDER_AUTH_URL": server.url("/connect/token")}
        with mounted(sim, "timeout=1", *options, env=env) as mount:
            wait_until(lambda: "EPROTO token: " in mount.control("errors"))
            with pytest.raises(OSError) as caught:
                os.listdir(mount / "binders")
            assert caught.value.errno == errno.EPROTO
            told = mount.control("errors")
            assert re.search(f"EPROTO token: .*({explanation})", told, re.I), told
        assert server.connections() == []
    assert sim.stats()["routes"]["token"] == 0


def test_the_tls_1_1_server_is_one_indeed(sim, authority, tmp_path):
    """Else the tests above would refuse a server that nobody could use."""
    with unacceptable("TLS 1.1", sim, authority, tmp_path) as (server, _, _):
        told = run("openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-CAfile", authority.file,
                   "-connect", f"127.0.0.1:{server.port}", input=b"")
        assert "Protocol  : TLSv1.1" in told and "Verify return code: 0" in told, told


def test_plain_http_behind_an_https_url_is_eproto(sim):
    with mounted(sim, "timeout=5", env={"IBINDER_API_URL": f"https://127.0.0.1:{sim.port}/api"}) as mount:
        with pytest.raises(OSError) as caught:
            os.listdir(mount / "binders")
        assert caught.value.errno == errno.EPROTO


@pytest.mark.parametrize("variable", ["IBINDER_API_URL", "IBINDER_AUTH_URL"])
@pytest.mark.parametrize("host", ["api.example", "192.0.2.1", "127.0.0.1.example", "[2001:db8::1]", "0.0.0.0"])
def test_plain_http_to_other_computers_is_refused_at_start(sim, variable, host, tmp_path):
    env = {**environment_for(sim), variable: f"http://{host}/api"}
    told = failing([BINARY, tmp_path], env, tmp_path)
    assert told == (f"ibinderfs: error: environment variable {variable}: plain http is for this computer "
                    "only (127.0.0.0/8, [::1], localhost): use https://\n")


class Proxy:
    """A proxy that knows CONNECT alone; notes what it was asked and the plain bytes it saw."""

    def __init__(self, refuse=False):
        self.asked, self.refuse = [], refuse
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                threading.Thread(target=self._pass_on, args=[client], daemon=True).start()

    def _pass_on(self, client):
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    return
                head += piece
            self.asked.append(head.decode())
            match = re.match(r"CONNECT (127\.0\.0\.1):(\d+) ", self.asked[-1])
            if self.refuse or not match:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection((match[1], int(match[2]))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=pump, args=[server, client], daemon=True)
                back.start()
                pump(client, server)
                back.join()

    def end(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy():
    proxy = Proxy()
    yield proxy
    proxy.end()


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_proxy_is_used(how, sim, authority, good, proxy, tmp_path):
    """From proxy=, else from the environment; it sees tunnels and nothing of what is in them."""
    options = [f"proxy={proxy.url}"] if how == "option" else []
    env = {} if how == "option" else {"https_proxy": proxy.url}
    with nginx(tmp_path, sim.port, good) as server:
        with mounted(sim, f"ca_file={authority.file}", *options, env=tls(server, **env)) as mount:
            assert binder_names(mount) == true_names(sim)
        assert proxy.asked
        for head in proxy.asked:
            assert head.startswith(f"CONNECT 127.0.0.1:{server.port} ")
            assert not re.search("authorization|tenant|bearer", head, re.I), head


def test_an_empty_proxy_option_overrules_the_environment(sim, authority, good, proxy, tmp_path):
    with nginx(tmp_path, sim.port, good) as server:
        env = tls(server, https_proxy=proxy.url, all_proxy=proxy.url)
        with mounted(sim, f"ca_file={authority.file}", "proxy=", env=env) as mount:
            assert binder_names(mount) == true_names(sim)
    assert proxy.asked == []


def test_no_proxy_of_the_environment_is_heeded(sim, authority, good, proxy, tmp_path):
    with nginx(tmp_path, sim.port, good) as server:
        env = tls(server, https_proxy=proxy.url, no_proxy="127.0.0.1")
        with mounted(sim, f"ca_file={authority.file}", env=env) as mount:
            assert binder_names(mount) == true_names(sim)
    assert proxy.asked == []


def test_plain_loopback_never_goes_to_a_proxy(sim, proxy):
    """It would carry the secret and the token in the clear to another computer."""
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")
    for options in ([], [f"proxy={proxy.url}"]):
        with mounted(sim, *options, env=dict.fromkeys(names, proxy.url)) as mount:
            assert binder_names(mount) == true_names(sim)
    assert proxy.asked == []


def test_a_proxy_that_refuses_is_explained(sim, authority, good, tmp_path):
    proxy = Proxy(refuse=True)
    with nginx(tmp_path, sim.port, good) as server:
        options = [f"ca_file={authority.file}", f"proxy={proxy.url}", "timeout=1"]
        with mounted(sim, *options, env={"IBINDER_API_URL": server.url("/api")}) as mount:
            with pytest.raises(OSError) as caught:
                os.listdir(mount / "binders")
            assert caught.value.errno == errno.EHOSTUNREACH
            told = wait_until(lambda: mount.control("errors"))
            assert "CONNECT tunnel failed, response 403" in told and "proxy=" in told, told
    proxy.end()


def test_a_ca_file_without_certificates_is_eproto(sim, good, tmp_path):
    empty = tmp_path / "empty.crt"
    empty.write_text("")
    with nginx(tmp_path, sim.port, good) as server:
        with mounted(sim, f"ca_file={empty}", "timeout=5", env={"IBINDER_API_URL": server.url("/api")}) as mount:
            with pytest.raises(OSError) as caught:
                os.listdir(mount / "binders")
            assert caught.value.errno == errno.EPROTO
            assert "ca_file=" in mount.control("errors")


def test_a_server_that_wants_a_client_certificate_is_an_error_and_no_hang(sim, authority, good, tmp_path):
    """A server that wants one ends the handshake, or answers 400; either is an error, no hang."""
    more = f"ssl_verify_client on; ssl_client_certificate {authority.file};"
    with nginx(tmp_path, sim.port, good, more=more) as server:
        options = [f"ca_file={authority.file}", "timeout=2"]
        with mounted(sim, *options, env={"IBINDER_API_URL": server.url("/api")}) as mount:
            with pytest.raises(OSError) as caught:
                os.listdir(mount / "binders")
            assert caught.value.errno in (errno.EPROTO, errno.EBADMSG)
    assert sim.stats()["routes"]["binders"] == 0
