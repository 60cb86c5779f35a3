"""The token: asked for by one request however many wait, renewed before it dies, and neither a 401
nor a token server in trouble logs anybody out who need not be."""

import concurrent.futures
import json
import os
import signal
import subprocess
import time

import pytest

from mounting import TENANT, Mount, Sim, api_requests, by_another, environment_for, mounted, simulated, wait_until
from pooling import (  # noqa: F401
    NOISE_S,
    binders_of,
    outcome_of,
    pooled,
    refusal_of,
    reserved_port,
    results,
    shorten_token,
    status,
    until_works,
)

MANY = ("--binders=100", "--folders=1", "--depth=1", "--documents=1")
FEW = ("--binders=6", "--folders=1", "--depth=1", "--documents=2")
API_ROUTES = ("binders", "metadataelements", "drive", "subfolders", "search")


def token_state(mount):
    return json.loads(mount.control("status.json"))["token"]


def hold_token(mount):
    wait_until(lambda: token_state(mount) == "held")


def list_binder(mount, name):
    assert "binder.json" in by_another(os.listdir, mount / "binders" / name)


def list_with_100_processes(mount, names, meanwhile=lambda: None):
    processes = [
        subprocess.Popen(["ls", mount / "binders" / name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in names
    ]
    meanwhile()
    for process in processes:
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b"") and b"binder.json" in out
    assert len(processes) == 100


# --- One request ---


def test_a_revoked_token_costs_100_processes_one_request():
    with simulated(*MANY) as sim, mounted(sim) as mount:
        os.listdir(mount / "binders")
        sim.control("POST", "/tokens/revoke")
        sim.control("POST", "/stats/reset")
        list_with_100_processes(mount, binders_of(sim))
        stats = sim.stats()
        assert stats["routes"]["token"] == 1
        # No more than were under way when the first of them said 401.
        assert 0 < stats["refused"]["dead_token"] <= 16
        assert mount.control("errors") == ""


def test_an_expired_token_costs_100_processes_one_request_and_no_call_with_it():
    with simulated(*MANY) as sim, mounted(sim) as mount:
        shorten_token(sim, mount, life_s=2)
        os.listdir(mount / "binders")
        mount.signal(signal.SIGSTOP)  # as a suspended machine: the renewal is slept past
        time.sleep(2.1)
        sim.control("POST", "/settings", token_life=3600)
        sim.control("POST", "/stats/reset")
        list_with_100_processes(mount, binders_of(sim), lambda: mount.signal(signal.SIGCONT))
        stats = sim.stats()
        assert (stats["routes"]["token"], stats["refused"]["dead_token"]) == (1, 0)
        assert mount.control("errors") == ""


def test_a_401_is_healed_by_one_new_token_and_nobody_notices(sim, mount):
    for name in binders_of(sim)[:1]:
        list_binder(mount, name)
    sim.control("POST", "/tokens/revoke")
    sim.control("POST", "/stats/reset")
    list_binder(mount, binders_of(sim)[1])
    assert sim.stats()["routes"]["token"] == 1
    assert mount.control("errors") == ""


# --- Renewal ---


@pooled([()])
def test_a_token_is_renewed_at_80_percent_and_never_used_dead():
    """Also while the renewal is slow: the old one serves until the new one is there."""
    with simulated("--token-life=4", *FEW) as sim:
        with mounted(sim, "ttl=0.05,stale=0,timeout=5") as mount:
            hold_token(mount)
            sim.fault("token", "delay", times=-1, ms=500)
            sim.control("POST", "/stats/reset")
            names, served = binders_of(sim), {}
            end = time.monotonic() + 8
            while time.monotonic() < end:
                for name in names:
                    before = sim.stats()
                    list_binder(mount, name)
                    after = sim.stats()
                    # During one and the same renewal, whose answer is not there at the end.
                    asked = after["routes"]["token"]
                    if before["routes"]["token"] == asked > after["tokens_issued"]:
                        served[asked] = served.get(asked, 0) + after["routes"]["search"] - before["routes"]["search"]
                time.sleep(0.02)
            stats = sim.stats()
            # At 2.8 to 3.2 s of each 4 s.
            assert 2 <= stats["routes"]["token"] <= 3
            assert (stats["refused"]["dead_token"], stats["refused"]["missing_token"]) == (0, 0)
            assert served.get(1, 0) > 0 and served.get(2, 0) > 0, "everybody waited for the token"
            assert mount.control("errors") == ""


@pooled([()])
def test_a_token_is_renewed_also_when_nobody_asks_for_anything():
    with simulated("--token-life=1", *FEW) as sim, mounted(sim):
        wait_until(lambda: sim.stats()["routes"]["token"] >= 3)
        assert set(api_requests(sim)) == {"token"}


@pooled([("reset",), ("hang",), ("not_json",), (500,), (429,)])
def test_a_renewal_that_fails_logs_nobody_out(fault):
    with simulated(*FEW) as sim, mounted(sim, "timeout=1,ttl=600") as mount:
        cached, first, second = binders_of(sim)[:3]
        until_works(lambda: list_binder(mount, cached))
        sim.fault("token", times=-1, **(status(fault) if isinstance(fault, int) else {"kind": fault}))
        sim.control("POST", "/stats/reset")
        mount.signal(signal.SIGHUP)  # renews
        wait_until(lambda: sim.stats()["routes"]["token"] >= 1)
        for name in first, cached:
            seen, took = outcome_of(lambda: list_binder(mount, name))
            assert seen is None and took < 1 + NOISE_S
        wait_until(lambda: "token: " in mount.control("errors"))
        time.sleep(1.5)
        list_binder(mount, second)
        metrics = mount.metrics()
        assert metrics["token_life_seconds"] > 3000 and metrics["breaker_open"] == 0
        # 0, 0.5 and 1.5 s; libcurl itself repeats what is reset on a connection used before.
        assert sim.stats()["routes"]["token"] <= 8
        sim.clear()
        wait_until(lambda: token_state(mount) == "held")


# --- A token server that is busy or broken ---


@pooled([(429,), (500,), (503,)])
def test_tries_for_a_token_back_off(number):
    with simulated(*FEW) as sim:
        sim.fault("token", times=-1, **status(number))
        with mounted(sim, "timeout=1") as mount:
            expected = "EBUSY" if number == 429 else "EIO"
            wait_until(lambda: f"{expected} token: " in mount.control("errors"))
            end = time.monotonic() + 4
            while time.monotonic() < end:
                seen, took = outcome_of(lambda: os.listdir(mount / "binders"))
                assert seen == expected and took < 2 + NOISE_S
                time.sleep(0.02)
            # After 0.5, 1, 2 s, with jitter; the probe of the breaker asks as well.
            assert 3 <= sim.stats()["routes"]["token"] <= 7
            assert set(api_requests(sim)) == {"token"}
            sim.clear()
            until_works(lambda: os.listdir(mount / "binders"))


@pooled([(429,), (503,)])
def test_retry_after_of_the_token_server_is_obeyed(number):
    """Also by the breaker's probe, which wants a token first."""
    with simulated(*FEW) as sim:
        sim.fault("token", times=1, **status(number, retry_after="4"))
        began = time.monotonic()
        with mounted(sim, "timeout=0.5") as mount:
            wait_until(lambda: "token: " in mount.control("errors"))
            while sim.stats()["routes"]["token"] < 2:
                seen, took = outcome_of(lambda: os.listdir(mount / "binders"))
                assert seen in ("EBUSY", "EIO", None) and took < 1.5 + NOISE_S
                assert time.monotonic() - began < 9
                time.sleep(0.02)
            assert time.monotonic() - began >= 3.99
            until_works(lambda: os.listdir(mount / "binders"))


@pooled([('{"access_token": "a b", "expires_in": 3600}',), ('{"access_token": "a\\r\\nX: y", "expires_in": 60}',),
         ('{"access_token": "", "expires_in": 3600}',), ('{"access_token": "abc", "expires_in": -1}',)])
def test_a_token_that_is_none_is_not_sent(body):
    with simulated(*FEW) as sim:
        sim.fault("token", times=-1, **status(200, body=body))
        with mounted(sim, "timeout=0.5") as mount:
            wait_until(lambda: "EBADMSG token: " in mount.control("errors"))
            assert refusal_of(lambda: os.listdir(mount / "binders")) == "EBADMSG"
            assert set(api_requests(sim)) == {"token"}


class Absent:
    """A simulator that is not there."""

    def __init__(self, port):
        self.port = port


@pooled([()])
def test_a_mount_comes_up_without_a_server_and_heals_by_itself():
    with reserved_port() as port, mounted(Absent(port), "timeout=1") as mount:
        assert sorted(os.listdir(mount.path)) == [".ibinderfs", "binders", "by-id", "files", "search"]
        wait_until(lambda: "EHOSTUNREACH token: " in mount.control("errors"))
        for _ in range(2):
            seen, took = outcome_of(lambda: os.listdir(mount / "binders"))
            assert seen == "EHOSTUNREACH" and took < 2 + NOISE_S
        sim = Sim(f"--port={port}", *FEW)
        try:
            # Nobody touches the mount meanwhile.
            wait_until(lambda: sim.stats()["tokens_issued"] == 1)
            until_works(lambda: list_binder(mount, binders_of(sim)[0]))
        finally:
            sim.end()


# --- Refusals ---


def refused_times(sim):
    return sim.stats()["tokens_refused"]


@pooled([()])
def test_a_refused_client_does_not_hammer():
    with simulated(*FEW) as sim:
        with mounted(sim, env={"IBINDER_CLIENT_SECRET": "wrong"}) as mount:
            wait_until(lambda: token_state(mount) == "refused")
            end = time.monotonic() + 2
            while time.monotonic() < end:
                seen, took = outcome_of(lambda: os.listdir(mount / "binders"))
                assert seen == "EACCES" and took < NOISE_S
            assert api_requests(sim) == {"token": 1}
            assert "the server says: invalid_client" in mount.control("errors")
            assert token_state(mount) == "refused"


class Account:
    """A section of a configuration file, whose secret is in a file of its own."""

    def __init__(self, sim, directory, secret=None, command=None):
        self.secret_file = directory / "acme.secret"
        self.env = environment_for(sim)
        for name in "IBINDER_TENANT_ID", "IBINDER_CLIENT_ID", "IBINDER_CLIENT_SECRET":
            del self.env[name]
        source = f"client_secret_command = {command}" if command else "client_secret_file = acme.secret"
        self.file = directory / "config"
        self.write(self.file, f"[acme]\ntenant_id = {TENANT}\nclient_id = sim-client\n{source}\n")
        if secret:
            self.correct(secret)

    @staticmethod
    def write(path, text):
        path.touch(0o600)
        path.write_text(text)

    def correct(self, secret):
        self.write(self.secret_file, secret + "\n")

    def mount(self, *options):
        return Mount(self.env, f"config={self.file}", *options, source="acme")


@pytest.mark.parametrize("alive", [False, True], ids=["token-dead", "token-alive"])
def test_a_refusal_is_healed_by_sighup_once_the_secret_is_right(tmp_path, alive):
    with simulated(*FEW) as sim:
        sim.control("POST", "/settings", client_secret="old")
        account = Account(sim, tmp_path, "old")
        mount = account.mount("ttl=600")
        try:
            cached, other, third = binders_of(sim)[:3]
            list_binder(mount, cached)
            sim.control("POST", "/settings", client_secret="new")
            if alive:
                mount.signal(signal.SIGHUP)
                wait_until(lambda: token_state(mount) == "refused")
                list_binder(mount, cached)  # the old token serves
            else:
                sim.control("POST", "/tokens/revoke")
            assert outcome_of(lambda: list_binder(mount, other))[0] == (None if alive else "EACCES")
            for _ in range(50):
                list_binder(mount, cached)
                outcome_of(lambda: list_binder(mount, third))
            assert refused_times(sim) == 1
            account.correct("new")
            mount.signal(signal.SIGHUP)
            wait_until(lambda: token_state(mount) == "held")
            for name in cached, other, third:
                list_binder(mount, name)
            assert refused_times(sim) == 1
            mount.end()
        finally:
            mount.kill()


@pooled([()])
def test_a_401_for_ever_is_eacces_and_cached_data_is_served():
    with simulated(*FEW) as sim, mounted(sim, "ttl=0.2") as mount:
        cached, other = binders_of(sim)[:2]
        list_binder(mount, cached)
        sim.control("POST", "/stats/reset")
        for route in API_ROUTES:
            sim.fault(route, times=-1, **status(401))
        end = time.monotonic() + 2
        while time.monotonic() < end:
            list_binder(mount, cached)
            assert refusal_of(lambda: os.listdir(mount / "binders" / other)) == "EACCES"
            time.sleep(0.01)
        counts = api_requests(sim)
        assert counts["token"] <= 2 and sum(counts.values()) <= 30
        sim.clear()
        until_works(lambda: list_binder(mount, other))


# --- Secrets ---


@pooled([(secret,) for secret in ("a b+c&d=e%2Bf;g?h#i", "ÅÄÖ€😀\"'\\$`", " leads and trails ", "%00%", "x" * 200)])
def test_a_secret_may_hold_any_character(secret):
    with simulated(*FEW) as sim:
        sim.control("POST", "/settings", client_secret=secret)
        with mounted(sim, env={"IBINDER_CLIENT_SECRET": secret}) as mount:
            list_binder(mount, binders_of(sim)[0])
            shown = "".join(mount.control(name) for name in os.listdir(mount / ".ibinderfs"))
            assert secret not in shown + mount.log


def wait_for_file(path):
    wait_until(path.exists)


def test_a_daemon_that_ends_while_it_reads_its_secret_again_ends_well(tmp_path):
    with simulated(*FEW) as sim:
        sim.control("POST", "/settings", client_secret="s")
        script = tmp_path / "secret.sh"
        Account.write(script, f"#!/bin/sh\n[ ! -e {tmp_path}/slow ] || {{ touch {tmp_path}/reading; sleep 0.5; }}\necho s\n")
        script.chmod(0o700)
        mount = Account(sim, tmp_path, command=script).mount()
        try:
            hold_token(mount)
            (tmp_path / "slow").touch()
            mount.signal(signal.SIGHUP)
            wait_for_file(tmp_path / "reading")
            mount.signal(signal.SIGTERM)
            mount.wait_for_end()
        finally:
            mount.kill()


def test_a_sighup_while_the_secret_is_being_read_is_not_lost(tmp_path):
    with simulated(*FEW) as sim:
        sim.control("POST", "/settings", client_secret="old")
        script = tmp_path / "secret.sh"
        account = Account(sim, tmp_path, "old", command=script)
        # What it prints it read at its start.
        account.write(script, f"#!/bin/sh\ns=$(cat {account.secret_file}); touch {tmp_path}/reading\n"
                              f"until [ -e {tmp_path}/go ]; do sleep 0.02; done\necho \"$s\"\n")
        script.chmod(0o700)
        (tmp_path / "go").touch()
        mount = account.mount()
        try:
            hold_token(mount)
            (tmp_path / "reading").unlink()
            (tmp_path / "go").unlink()
            mount.signal(signal.SIGHUP)
            wait_for_file(tmp_path / "reading")
            sim.control("POST", "/settings", client_secret="new")
            account.correct("new")
            mount.signal(signal.SIGHUP)
            (tmp_path / "go").touch()
            wait_until(lambda: sim.stats()["tokens_issued"] == 2)
            wait_until(lambda: token_state(mount) == "held")
            mount.end()
        finally:
            mount.kill()


def test_a_token_had_after_failures_ends_them():
    """Whether the API's server answers is another question, which nobody has asked yet."""
    with simulated("--binders=1") as sim:
        sim.fault("token", "status", status=500, times=1)
        with mounted(sim, "timeout=5") as mount:
            wait_until(lambda: "token          held" in mount.control("status"))
            assert ": not asked yet\n" in mount.control("status")
            assert sim.stats()["routes"]["binders"] == 0
