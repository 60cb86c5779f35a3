"""The knowledge base's token and addresses: both flows, renewal, and what heals by itself.

Each test counts what the authorization server is asked.
"""

import os
import re
import signal
import subprocess
import time

import pytest

import inbenta_client
from inbenta_client import Inbenta
from mounting import (
    BINARY,
    api_requests,
    environment_for,
    mounted,
    simulated,
    wait_until,
)
from pooling import pooled, refusal_of, results, shorten_token, status, works  # noqa: F401

SMALL = ("--contents=3", "--categories=2")
# So every listing that knowledge() looks at is asked for anew.
TTL_S = 0.05
UNCACHED = (f"ttl={TTL_S}", "stale=0")
AUTHORIZATION = ("auth", "refresh", "apis")


def knowledge(mount):
    time.sleep(1.5 * TTL_S)
    return sorted(os.listdir(mount / "knowledge"))


def authorization(sim):
    counts = sim.stats()["routes"]
    return {route: counts[route] for route in AUTHORIZATION if counts[route]}


def by_domain_key(sim, domain=inbenta_client.ORIGIN, key=inbenta_client.DOMAIN_KEY):
    return {"INBENTA_SECRET": "", "INBENTA_DOMAIN_KEY": key, "INBENTA_DOMAIN": domain}


def check(sim, *options, **env):
    command = [BINARY, "--check", "-o", "provider=inbenta"]
    for option in options:
        command += ["-o", option]
    done = subprocess.run(command, env=environment_for(sim, **env), capture_output=True, timeout=30, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


# --- Renewal ---


@pooled([()])
def test_one_token_serves_until_it_is_refreshed_and_the_addresses_are_taken_anew():
    with simulated(*SMALL, kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        before = knowledge(mount)
        assert authorization(sim) == {"auth": 1}
        shorten_token(sim, mount, 2)  # SIGHUP begins with /auth
        assert authorization(sim) == {"auth": 2}
        wait_until(lambda: authorization(sim).get("apis") == 3)
        assert knowledge(mount) == before
        counts = authorization(sim)
        assert counts["auth"] == 2 and counts["refresh"] >= 3
        assert "km-" in mount.control("status") and mount.control("errors") == ""


@pooled([("refresh",), ("apis",)])
def test_a_refresh_that_is_refused_starts_again_with_auth(route):
    with simulated(*SMALL, kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        knowledge(mount)
        shorten_token(sim, mount, 2)
        sim.control("POST", "/stats/reset")
        sim.fault(route, times=-1, **status(400))
        wait_until(lambda: authorization(sim).get("auth") == 2)
        assert works(lambda: knowledge(mount))
        counts = authorization(sim)
        assert counts["refresh"] in (2, 3) and counts.get("apis", 2) in (2, 3)
        assert mount.control("errors") == ""


@pooled([("500",), ("hang",), ("not_json",), ("wrong_types-6",), ("reset",)])
def test_a_refresh_that_fails_does_not_cost_the_token_that_is_held(fault):
    planted = {"500": status(500), "hang": {"kind": "hang"}, "not_json": {"kind": "not_json"},
               "wrong_types-6": {"kind": "wrong_types", "variant": 6}, "reset": {"kind": "reset"}}[fault]
    with simulated(*SMALL, kind=Inbenta) as sim, mounted(sim, *UNCACHED, "timeout=1") as mount:
        wait_until(lambda: works(lambda: knowledge(mount)))
        shorten_token(sim, mount, 4)
        sim.control("POST", "/stats/reset")
        sim.fault("refresh", times=-1, **planted)
        wait_until(lambda: authorization(sim).get("auth"))
        wait_until(lambda: mount.metrics()["token_life_seconds"] >= 2)
        assert works(lambda: knowledge(mount))
        # One for each renewal, which libcurl sends twice where a connection that was kept is reset.
        counts = authorization(sim)
        assert counts["refresh"] <= 2 * (counts["auth"] + 1)


@pooled([("403",), ("401",)])
def test_an_expiry_slept_through_starts_again_with_auth(dead_token):
    """A daemon that was stopped knows nothing of the time that passed."""
    with simulated(*SMALL, f"--dead-token={dead_token}", kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        before = knowledge(mount)
        shorten_token(sim, mount, 2)
        mount.signal(signal.SIGSTOP)
        sim.control("POST", "/stats/reset")
        time.sleep(2.2)
        mount.signal(signal.SIGCONT)
        assert knowledge(mount) == before
        assert authorization(sim)["auth"] >= 1
        assert sim.stats()["refused"]["dead_token"] == 0 and mount.control("errors") == ""


# --- Refusals ---


@pooled([("403", "auto"), ("401", "auto"), ("403", "error"), ("403", "message"), ("401", "Message")])
def test_a_token_that_died_is_replaced_unnoticed(dead_token, errors):
    options = (f"--dead-token={dead_token}", f"--errors={errors}")
    with simulated(*SMALL, *options, kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        before = knowledge(mount)
        sim.control("POST", "/stats/reset")
        sim.control("POST", "/tokens/revoke")
        assert knowledge(mount) == before
        assert authorization(sim) == {"auth": 1}
        assert 1 <= sim.stats()["refused"]["dead_token"] <= 2  # both of a listing may be under way
        assert mount.control("errors") == ""


@pooled([("403", "auto"), ("404", "auto"), ("403", "error"), ("403", "message")])
def test_addresses_that_moved_are_taken_anew_with_the_same_token(old_address, errors):
    options = (f"--old-address={old_address}", f"--errors={errors}", "--echo-token=on")
    with simulated(*SMALL, *options, kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        before = knowledge(mount)
        sim.control("POST", "/stats/reset")
        sim.control("POST", "/addresses/move")
        assert knowledge(mount) == before
        assert authorization(sim) == {"apis": 1}
        assert mount.control("errors") == ""


@pooled([()])
def test_addresses_that_moved_and_a_token_that_died_heal_together():
    with simulated(*SMALL, kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        before = knowledge(mount)
        sim.control("POST", "/stats/reset")
        sim.control("POST", "/addresses/move")
        sim.control("POST", "/tokens/revoke")
        assert knowledge(mount) == before
        assert authorization(sim) == {"apis": 1, "auth": 1}


@pooled([("403",), ("401",)])
def test_a_token_refused_again_and_again_is_eacces_and_does_not_hammer(dead_token):
    with simulated(*SMALL, f"--dead-token={dead_token}", kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        knowledge(mount)
        sim.control("POST", "/stats/reset")
        body = '{"Message": "User is not authorized to access this resource with an explicit deny"}'
        sim.fault("categories", times=-1, **status(int(dead_token), body=body))
        wait_until(lambda: knowledge(mount) and "EACCES" in mount.control("errors"))
        end = time.monotonic() + 1
        while time.monotonic() < end:
            knowledge(mount)  # as it was
        assert authorization(sim) == {"auth": 1}
        assert "the server does not accept the token" in mount.control("errors")
        assert "explicit deny" in mount.control("errors")


@pooled([("auto",), ("error",), ("Message",), ("message",)])
def test_errors_are_told_in_whatever_shape_they_come(errors):
    with simulated(*SMALL, f"--errors={errors}", kind=Inbenta) as sim:
        with mounted(sim, env={"INBENTA_SECRET": "wrong"}) as mount:
            assert refusal_of(lambda: knowledge(mount)) == "EACCES"
            line = next(line for line in mount.control("errors").splitlines() if " token: " in line)
            assert "the server refuses this client" in line and "(HTTP 401)" in line
            assert re.search("the server says: .*[Uu]nauthorized", line)
            assert "wrong" not in mount.control("errors") + mount.log
        with mounted(sim, env={"INBENTA_API_KEY": "wrong"}) as mount:
            assert refusal_of(lambda: knowledge(mount)) == "EACCES"
            assert "(HTTP 403)" in mount.control("errors")
        assert authorization(sim) == {"auth": 2}


@pooled([("key=value",)])
def test_what_a_gateway_repeats_of_the_header_is_told_to_nobody(text):
    with simulated(*SMALL, "--echo-token=on", kind=Inbenta) as sim, mounted(sim, *UNCACHED) as mount:
        knowledge(mount)
        token = sim.take()["accessToken"]  # the addresses are old ones now, and are so again
        body = f'{{"Message": "\'Bearer {token}\' not a valid {text} pair in Authorization header: {token}"}}'
        sim.fault("categories", times=-1, **status(403, body=body))
        wait_until(lambda: knowledge(mount) and "EACCES" in mount.control("errors"))
        shown = mount.control("errors") + mount.log
        assert "not a valid key=value pair" in shown and token[:8] not in shown


# --- Addresses ---


@pooled([("http://192.0.2.1",), ("ftp://127.0.0.1",), ("https://user@127.0.0.1",), ("https://127.0.0.1/?a=b",), ("x",)])
def test_an_address_that_must_not_be_used_is_refused_and_said_so(base):
    with simulated(*SMALL, f"--service-base={base}", kind=Inbenta) as sim, mounted(sim, "timeout=1") as mount:
        assert refusal_of(lambda: knowledge(mount)) in ("EBADMSG", "ETIMEDOUT")
        assert "the API's address, as the server tells it, " in mount.control("errors")
        assert set(api_requests(sim)) == {"auth"}
        code, told = check(sim, "timeout=1")
        assert code == 1 and "the API's address, as the server tells it, " in told


@pooled([()])
def test_addresses_without_the_knowledge_api_are_no_grant():
    with simulated(*SMALL, kind=Inbenta) as sim:
        body = '{"accessToken": "abc", "expires_in": 1200, "apis": {"chatbot": "https://x.example"}}'
        sim.fault("auth", times=-1, **status(200, body=body))
        with mounted(sim, "timeout=1") as mount:
            assert refusal_of(lambda: knowledge(mount)) in ("EBADMSG", "ETIMEDOUT")
            assert "names no address of the knowledge API" in mount.control("errors")


# --- The domain-key flow ---


@pooled([("auth",), ("every",)])
def test_a_domain_key_serves_with_its_domain_as_origin(origin):
    with simulated(*SMALL, f"--origin={origin}", kind=Inbenta) as sim:
        with mounted(sim) as mount:
            expected = knowledge(mount)
        with mounted(sim, *UNCACHED, env=by_domain_key(sim)) as mount:
            assert knowledge(mount) == expected
            shorten_token(sim, mount, 2)
            wait_until(lambda: authorization(sim).get("apis", 0) >= 2)
            assert knowledge(mount) == expected
            assert sim.stats()["refused"]["domain"] == 0
            assert "domain key" in mount.control("status")
            shown = mount.control("config") + mount.control("status") + mount.control("errors") + mount.log
            assert inbenta_client.DOMAIN_KEY not in shown
            assert "domain = https://help.example.com\n" in mount.control("config")


@pooled([()])
def test_the_name_of_the_domain_keys_member_is_a_setting():
    with simulated(*SMALL, "--domain-key-field=llave \"ñ\\", kind=Inbenta) as sim:
        with mounted(sim, env=by_domain_key(sim)) as mount:
            assert refusal_of(lambda: knowledge(mount)) == "EACCES"
        with mounted(sim, "domain_key_field=llave \"ñ\\", env=by_domain_key(sim)) as mount:
            assert works(lambda: knowledge(mount))


@pooled([("https://other.example.com",), ("https://help.example.com:8443",)])
def test_another_domain_is_refused(domain):
    with simulated(*SMALL, kind=Inbenta) as sim, mounted(sim, env=by_domain_key(sim, domain)) as mount:
        assert refusal_of(lambda: knowledge(mount)) == "EACCES"
        assert sim.stats()["refused"]["domain"] == 1 and "(HTTP 403)" in mount.control("errors")


def test_check_says_what_each_flow_is_worth():
    with simulated(*SMALL, kind=Inbenta) as sim:
        code, told = check(sim)
        assert code == 0, told
        for step in ("configuration", "secret", "token", "listing"):
            assert re.search(rf"^{step} +ok", told, re.M), told
        assert f"http://127.0.0.1:{sim.port}/km-" in told and "domain key" not in told
        code, told = check(sim, **by_domain_key(sim))
        assert code == 0, told
        assert "domain_key, from the environment" in told
        for words in ("keeps other domains' pages out", "not other programs", "as good as public", "a secret is not"):
            assert words in told
        assert inbenta_client.DOMAIN_KEY not in told
        code, told = check(sim, INBENTA_SECRET="wrong")
        assert code == 1 and re.search(r"^token +FAILED: EACCES", told, re.M), told


@pytest.mark.parametrize(
    "env, option, problem",
    [
        ({"INBENTA_API_KEY": ""}, "ttl=1", "api_key (INBENTA_API_KEY) is not set"),
        ({"INBENTA_SECRET": ""}, "ttl=1", "secret_file (INBENTA_SECRET) is not set"),
        ({"INBENTA_SECRET": "", "INBENTA_DOMAIN_KEY": "k"}, "ttl=1", "domain (INBENTA_DOMAIN) is not set"),
        ({"INBENTA_DOMAIN_KEY": "k"}, "ttl=1", "the secret has another source already"),
        ({}, "domain=https://help.example.com/faq", "must end with the host"),
        ({}, "domain=http://help.example.com", "plain http is for this computer only"),
        ({}, "domain_key=k", "every user can read a command line"),
        ({}, "secret=k", "every user can read a command line"),
        ({}, "tenant_id=x", "-o tenant_id: is for provider=ibinder alone, this is inbenta"),
        ({}, "page_size=101", "no whole number from 1 to 100"),
    ],
)
def test_a_wrong_account_is_refused_before_anything_is_asked(env, option, problem):
    with simulated(*SMALL, kind=Inbenta) as sim:
        code, told = check(sim, option, **env)
        assert code == 1 and problem in told and told.count("\n") == 1, told
        assert api_requests(sim) == {}


def test_a_section_can_hold_either_account(tmp_path):
    config = tmp_path / "config"
    with simulated(*SMALL, kind=Inbenta) as sim:
        config.write_text(
            "[help]\nprovider = inbenta\napi_key = sim-api-key\nsecret_file = help.secret\n"
            f"auth_url = http://127.0.0.1:{sim.port}/v1/\n"
            "[web]\nprovider = inbenta\napi_key = sim-api-key\ndomain_key = sim-domain-key\n"
            f"domain = https://help.example.com/\nauth_url = http://127.0.0.1:{sim.port}/v1\n"
        )
        config.chmod(0o600)
        (tmp_path / "help.secret").write_text(inbenta_client.SECRET + "\n")
        (tmp_path / "help.secret").chmod(0o600)
        # Another vendor's account in the environment is no contradiction.
        env = {k: v for k, v in environment_for(sim).items() if not k.startswith("INBENTA_")}
        env["IBINDER_CLIENT_SECRET"] = env["IBINDER_TENANT_ID"] = "x"
        for section in "help", "web":
            done = subprocess.run([BINARY, "--check", section, "-o", f"config={config}"], env=env,
                                  capture_output=True, timeout=30, check=False)
            assert done.returncode == 0, (done.stdout, done.stderr)
        config.chmod(0o644)
        done = subprocess.run([BINARY, "--check", "web", "-o", f"config={config}"], env=env,
                              capture_output=True, timeout=30, check=False)
        assert done.returncode == 1 and b"chmod" in done.stderr, done.stderr
