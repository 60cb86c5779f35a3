"""That the search for secrets, which goes through every test, finds one."""

import base64
import json
import os
import shutil
import urllib.parse

import pytest

from background import background
from mounting import SECRET, canary, environment_for, mounted, simulated


@pytest.mark.parametrize("text", [
    SECRET, urllib.parse.quote(SECRET), f"x{urllib.parse.quote_plus(SECRET)}&", SECRET[:-3],
    base64.b64encode(b"canarytoken-0123").decode(), "https://h/p?a=1&sig=0123",
])
def test_each_spelling_is_found(text):
    with pytest.raises(AssertionError, match="the log holds") as caught:
        canary.look("the log", text)
    assert text not in str(caught.value)


def test_tokens_of_the_simulator_are_found(sim):
    with pytest.raises(AssertionError, match="holds a token"):
        canary.look("this", sim.ask_token().body)


def planted(mount, sim):
    """The server's words are shown to users; they are no secret of ours, so nothing keeps them back."""
    sim.fault("binders", "status", status=403, body=json.dumps({"title": "see https://x/?sig=planted"}))
    with pytest.raises(PermissionError):
        os.listdir(mount / "binders")


def test_one_in_errors_and_log_is_found(sim):
    with pytest.raises(AssertionError, match="errors holds a link"):
        with mounted(sim) as mount:
            planted(mount, sim)
            mount.control("errors")
    with pytest.raises(AssertionError, match="errors holds a link"):
        with mounted(sim) as mount:
            planted(mount, sim)
    with mounted(sim) as mount:
        planted(mount, sim)
        mount.wait_for_line("planted")
        mount.signal(15)
        with pytest.raises(AssertionError, match="the log holds a link"):
            mount.wait_for_end()
        mount.lines.clear()


def test_one_behind_a_daemon_in_the_background_is_found(sim, tmp_path):
    with pytest.raises(AssertionError, match="errors holds a link"):
        with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
            planted(daemon, sim)


def test_one_in_a_command_line_is_found(sim, tmp_path):
    (tmp_path / "sig=planted").mkdir()
    with pytest.raises(AssertionError, match="a command line holds a link"):
        with mounted(sim, path=tmp_path / "sig=planted"):
            pass


def test_credentials_that_come_to_storage_are_found():
    with pytest.raises(AssertionError, match="credentials came to storage"):
        with simulated("--binders=1", "--folders=1", "--depth=1", "--documents=1") as sim:
            sim.request("GET", "/storage/x", sim.headers())


def test_a_core_file_is_found(tmp_path):
    (tmp_path / "core.1").write_bytes(b"no core")
    canary.look_at_core_files(tmp_path)
    program = shutil.which("true")
    shutil.copy(program, tmp_path / "core.2")
    canary.look_at_core_files(tmp_path)
    with open(tmp_path / "core.2", "r+b") as file:
        file.seek(16)
        file.write(b"\x04")
    with pytest.raises(AssertionError, match="core.2"):
        canary.look_at_core_files(tmp_path)
    (tmp_path / "core.2").unlink()
