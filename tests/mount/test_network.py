"""The network under the daemon: names that fail, hang and change, a link that is cut, connections that
are dead when it is back. The daemon is in a network of its own, or in that of the test."""

import os
import pathlib
import signal
import time

import pytest

from mounting import PATIENCE_S, environment_for, simulated, wait_until
from network import OTHER, PUBLIC, Elsewhere, Names, NameServer, in_network, ip, named
from nginx import Authority, nginx
from pooling import NOISE_S, outcome_of, works

TIMEOUT_S = 2
THEIRS = "203.0.113.100"
FEW = ("--binders=4", "--folders=1", "--depth=1", "--documents=2")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.certificate("all", hosts="DNS:api.example,DNS:localhost,IP:127.0.0.1")


def look(daemon, name="binders"):
    """The errno of a look at a listing, or None; it ends within the promised time."""
    error, seconds = outcome_of(lambda: os.listdir(daemon / name))
    assert seconds < TIMEOUT_S + 1 + NOISE_S
    return error


def until_it_works(daemon):
    wait_until(lambda: works(lambda: os.listdir(daemon / "binders")))


class World:
    """An organisation behind https://api.example, and a daemon with `ttl=0,stale=0`."""

    def __init__(self, directory, authority, certificate):
        self.directory, self.authority, self.certificate = pathlib.Path(directory), authority, certificate

    def run(self, check, before=(), **hosts):
        with simulated(*FEW) as sim:
            with nginx(self.directory, sim.port, self.certificate, address="0.0.0.0") as server:
                env = environment_for(sim, IBINDER_API_URL=server.url("/api", "api.example"),
                                      IBINDER_AUTH_URL=server.url("/connect/token", "api.example"))
                (self.directory / "m").mkdir()
                names = Names(self.directory, **hosts)
                options = (f"ca_file={self.authority.file}", f"timeout={TIMEOUT_S}", "ttl=0,stale=0")
                with named(names, self.directory / "m", env, *options, before=before) as daemon:
                    check(daemon, names, sim)


@pytest.fixture
def world(tmp_path, authority, certificate):
    return World(tmp_path, authority, certificate)


@in_network(PUBLIC)
def test_a_name_that_does_not_exist_is_an_error_at_once_until_it_does(world):
    server = NameServer()

    def check(daemon, _names, _sim):
        wait_until(lambda: "token: Could not resolve host: api.example" in daemon.control("errors"))
        assert look(daemon) == "EHOSTUNREACH"
        server.hosts["api.example"] = PUBLIC
        until_it_works(daemon)

    world.run(check)
    server.end()


@in_network(PUBLIC)
def test_a_name_server_that_is_silent_holds_up_nobody_past_the_deadline(world):
    server = NameServer(api_example=PUBLIC)
    server.silent = True

    def check(daemon, _names, _sim):
        wait_until(lambda: server.asked)
        assert look(daemon) in ("ETIMEDOUT", "EHOSTUNREACH")
        began = time.monotonic()
        for _ in range(20):
            daemon.control("status")
            os.statvfs(daemon / "")
        assert time.monotonic() - began < NOISE_S
        server.silent = False
        until_it_works(daemon)

    world.run(check)
    server.end()


@in_network(PUBLIC)
def test_a_daemon_that_waits_for_a_name_ends_promptly(world):
    """Although libc's resolver cannot be interrupted: its next try would come after 30 s."""
    server = NameServer()
    server.silent = True

    def check(daemon, _names, _sim):
        wait_until(lambda: server.asked)
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_end()
        assert time.monotonic() - began < 5

    world.run(check)
    server.end()


@in_network()
def test_a_cut_link_ends_in_time_and_what_is_cached_is_served(world):
    far = Elsewhere(PUBLIC, THEIRS)

    def check(daemon, _names, _sim):
        until_it_works(daemon)
        seen = os.listdir(daemon / "binders")
        ip("link", "set", "near", "down")
        assert look(daemon) is None and os.listdir(daemon / "binders") == seen  # an old listing, and it says so
        assert look(daemon, f"binders/{seen[0]}") in ("ETIMEDOUT", "EHOSTUNREACH")
        wait_until(lambda: "ibinderfs_breaker_open 1\n" in daemon.control("metrics"))
        began = time.monotonic()
        assert look(daemon, f"binders/{seen[1]}") in ("ETIMEDOUT", "EHOSTUNREACH")
        assert time.monotonic() - began < NOISE_S
        ip("link", "set", "near", "up")
        wait_until(lambda: works(lambda: os.listdir(daemon / "binders" / seen[1])))

    try:
        world.run(check, before=far.before, api_example=PUBLIC)
    finally:
        far.end()


@in_network()
def test_a_server_that_moved_while_the_link_was_cut_is_found_past_dead_connections(world):
    """Its old address is nobody's: what is sent there over the connections in the pool is lost."""
    far = Elsewhere(PUBLIC, THEIRS)

    def check(daemon, names, _sim):
        until_it_works(daemon)
        ip("link", "set", "near", "down")
        ip("address", "del", f"{PUBLIC}/24", "dev", "near")
        ip("address", "add", f"{OTHER}/24", "dev", "near")
        ip("link", "set", "near", "up")
        names.lead(api_example=OTHER)
        binder = os.listdir(daemon / "binders")[0]  # as it was
        began = time.monotonic()
        wait_until(lambda: works(lambda: os.listdir(daemon / "binders" / binder)))
        assert time.monotonic() - began < 4 * TIMEOUT_S + NOISE_S < PATIENCE_S  # not a name's minute in the cache

    try:
        world.run(check, before=far.before, api_example=PUBLIC)
    finally:
        far.end()
