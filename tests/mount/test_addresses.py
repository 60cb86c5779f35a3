"""Where a server may send us: never to this computer or a private network, unless the API itself is
there. The API is at an address that looks public, in a network of the test's own."""

import errno
import os
import pathlib
import signal

import pytest

from mounting import Inbenta, api_requests, environment_for, simulated, wait_until
from network import OTHER, PRIVATE, PUBLIC, Names, in_network, named
from nginx import Authority, nginx
from pooling import outcome_of
from storage_trouble import organisation

HOSTS = f"DNS:api.example,DNS:storage.example,DNS:storage.elsewhere.example,DNS:localhost,IP:127.0.0.1,IP:{PUBLIC},IP:{OTHER},IP:{PRIVATE}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.certificate("all", hosts=HOSTS)


class Place:
    """An organisation whose API and storage are nginx, on every address that there is."""

    def __init__(self, sim, server, daemon):
        self.sim, self.server, self.daemon = sim, server, daemon
        (binder,) = os.listdir(daemon / "binders")
        top = pathlib.Path(daemon / "files", binder)
        self.document = next(path for path in top.rglob("*") if path.is_file())

    def opens(self, host):
        """The errno of opening a document that storage has at `host`, and how often it was asked."""
        before = api_requests(self.sim).get("storage", 0)
        self.sim.control("POST", "/settings", storage_base=self.server.url("/storage", host))
        tokens = self.sim.stats()["tokens_issued"]
        self.daemon.signal(signal.SIGHUP)  # forgets links, and has another token
        wait_until(lambda: self.sim.stats()["tokens_issued"] > tokens)
        name = outcome_of(lambda: os.close(os.open(self.document, os.O_RDONLY)))[0]
        return name, api_requests(self.sim).get("storage", 0) - before


def place(names, directory, authority, certificate, api, check):
    with simulated(*organisation(documents=1)) as sim:
        with nginx(directory, sim.port, certificate, address="0.0.0.0") as server:
            env = environment_for(sim, IBINDER_API_URL=server.url("/api", api),
                                  IBINDER_AUTH_URL=server.url("/connect/token", api))
            (directory / "m").mkdir()
            with named(names, directory / "m", env, f"ca_file={authority.file}", "timeout=5") as daemon:
                check(Place(sim, server, daemon))


@in_network(PUBLIC, OTHER, PRIVATE)
def test_a_link_may_not_lead_into_the_machine_or_a_private_network(tmp_path, authority, certificate):
    names = Names(tmp_path, api_example=PUBLIC, storage_example="127.0.0.1")

    def check(at):
        assert at.opens(OTHER) == (None, 1)  # the size, and the first bytes
        for host in ("127.0.0.1", PRIVATE, "localhost", "2130706433", "storage.example"):
            assert at.opens(host) == ("EBADMSG", 0), host
        told = at.daemon.control("errors")
        assert "the server names an address of this computer or of a private network" in told and "sig=" not in told
        names.lead(api_example=PUBLIC, storage_elsewhere_example=OTHER)
        assert at.opens("storage.elsewhere.example") == (None, 1)

    place(names, tmp_path, authority, certificate, "api.example", check)


@in_network(PUBLIC, OTHER, PRIVATE)
def test_where_the_api_is_private_links_may_be_too_but_not_into_the_machine(tmp_path, authority, certificate):
    names = Names(tmp_path, api_example=PRIVATE)

    def check(at):
        assert at.opens(PRIVATE) == (None, 1)
        assert at.opens(OTHER) == (None, 1)
        assert at.opens("127.0.0.1") == ("EBADMSG", 0)

    place(names, tmp_path, authority, certificate, "api.example", check)


@in_network(PUBLIC, OTHER, PRIVATE)
def test_an_address_that_comes_with_a_token_is_judged_too(tmp_path, authority, certificate):
    """Inbenta tells where its API is: to another public address we follow, not into a private network."""
    with simulated("--contents=3", "--categories=1", kind=Inbenta) as sim:
        with nginx(tmp_path, sim.port, certificate, address="0.0.0.0") as server:
            env = environment_for(sim, INBENTA_AUTH_URL=server.url("/v1", PUBLIC))
            (tmp_path / "m").mkdir()
            options = ("provider=inbenta", f"ca_file={authority.file}", "timeout=2", "ttl=0,stale=0")
            for host in (OTHER, PRIVATE, "127.0.0.1"):
                sim.set(service_base=server.url("", host))
                with named(Names(tmp_path), tmp_path / "m", env, *options) as daemon:
                    sim.control("POST", "/stats/reset")
                    error = outcome_of(lambda: os.listdir(daemon / "knowledge"))[0]
                    asked = api_requests(sim)
                    assert (error, asked.get("contents", 0) > 0) == ((None, True) if host == OTHER else ("EBADMSG", False))
                    if error:
                        assert "the server names an address of this computer" in daemon.control("errors")
