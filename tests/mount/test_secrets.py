"""Secrets: taken only from where nobody else can read, and never shown.

Canaries go through whole runs: the client secret from each of its sources, tokens, right ones and
wrong ones. Then everything that a run leaves is searched for them, by a search that is shown to
find what was planted in the same places.
"""

import ast
import base64
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import urllib.parse

import pytest

from background import background, failing
from mounting import BINARY, clean_environment, mounted, wait_until
from sim_client import TENANT
from test_daemon import release  # noqa: F401

CANARY = "Kanariefågel+%&=/ 7f3a-91c4"
WRONG = "Fel-kanarie+%&=/ 55d0-17be"
PLANTED = "plantedtitle4c81"
NOBODY = pwd.getpwnam("nobody").pw_uid


class Recorder:
    """Passes connections on to the simulator, and keeps what the daemon sent."""

    def __init__(self, upstream):
        self.upstream, self.sent = upstream, bytearray()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.upstream))
            threading.Thread(target=self._pump, args=[client, server, True], daemon=True).start()
            threading.Thread(target=self._pump, args=[server, client, False], daemon=True).start()

    def _pump(self, source, sink, keep):
        try:
            while piece := source.recv(65536):
                if keep:
                    self.sent += piece
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def tokens(self):
        return set(re.findall(rb"Authorization: Bearer (\S+)\r\n", bytes(self.sent)))

    def end(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def recorder(sim):
    sim.control("POST", "/settings", client_secret=CANARY)
    recorder = Recorder(sim.port)
    yield recorder
    recorder.end()


def account(port, **more):
    return {**clean_environment(), "IBINDER_TENANT_ID": TENANT, "IBINDER_CLIENT_ID": "sim-client",
            "IBINDER_API_URL": f"http://127.0.0.1:{port}/api",
            "IBINDER_AUTH_URL": f"http://127.0.0.1:{port}/connect/token", **more}


def prepare(source, directory, secret):
    """Puts the secret into one of the places it may be in; returns environment and lines of the section."""
    file = directory / "acme.secret"
    file.write_text(secret + "\n")
    file.chmod(0o600)
    return {
        "environment": ({"IBINDER_CLIENT_SECRET": secret}, ""),
        "file": ({}, "client_secret_file = acme.secret\n"),
        "command": ({}, f"client_secret_command = cat '{file}'\n"),
        "configuration": ({}, f"client_secret = {secret}\n"),
    }[source]


def configure(directory, lines, mode=0o600):
    config = directory / "config"
    config.write_text(f"[acme]\nlog_level = debug\n{lines}")
    config.chmod(mode)
    return f"config={config}"


def call(*arguments, env, **more):
    done = subprocess.run([BINARY, *map(str, arguments)], env=env, capture_output=True, timeout=20, check=False, **more)
    return done.returncode, done.stdout, done.stderr


def spellings(secret):
    """How a secret might be written: as it is, in a form, in JSON, in base64, in part."""
    data = secret.encode()
    return {data, urllib.parse.quote(secret).encode(), urllib.parse.quote_plus(secret).encode(),
            urllib.parse.quote(secret, safe="").encode(), base64.b64encode(data), data[:12], data[-12:]}


def found(secret, traces):
    """Names of the traces that hold the secret in any spelling."""
    return sorted(name for name, data in traces.items() if any(spelling in data for spelling in spellings(secret)))


def traces_of(mount):
    """What others could see of a running mount."""
    return {"cmdline": pathlib.Path(f"/proc/{mount.process.pid}/cmdline").read_bytes(),
            "log": mount.log.encode(),
            **{name: (mount / ".ibinderfs" / name).read_bytes() for name in os.listdir(mount / ".ibinderfs")}}


def names_in(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return None


def exercise(mount, sim):
    """Walks, is refused, is told nonsense, loses its token, renews, reads its secret again."""
    sim.fault("binders", "status", status=403, body=json.dumps({"title": PLANTED}))
    with pytest.raises(PermissionError):
        os.listdir(mount / "binders")
    binders = wait_until(lambda: names_in(mount / "binders"))  # a failure is remembered for a moment
    sim.control("POST", "/tokens/revoke")
    for binder in binders:
        os.listdir(mount / "binders" / binder)
    sim.fault("binders", "not_json")
    mount.signal(signal.SIGUSR1)
    mount.wait_for_line("status: server")
    before = mount.metrics()["token_requests_total"]
    mount.signal(signal.SIGHUP)
    wait_until(lambda: mount.metrics()["token_requests_total"] > before)
    wait_until(lambda: "token          held" in mount.control("status"))
    os.listdir(mount / "binders")


@pytest.mark.parametrize("source", ["environment", "file", "command", "configuration"])
def test_no_run_shows_a_secret(source, sim, recorder, tmp_path):
    (tmp_path / "m").mkdir()
    secret, lines = prepare(source, tmp_path, CANARY)
    config = configure(tmp_path, lines)
    env = account(recorder.port, **{"IBINDER_CLIENT_SECRET": "", **secret})
    with mounted(sim, config, "ttl=0,stale=0,timeout=2", source="acme", path=tmp_path / "m", env=env) as mount:
        exercise(mount, sim)
        traces = traces_of(mount)
    traces["log"] = mount.log.encode()
    traces["check"] = b"".join(call("--check", "acme", "-o", config, env=env)[1:])
    sim.fault("binders", "status", status=403, body=json.dumps({"title": PLANTED}))
    traces["failed check"] = b"".join(call("--check", "acme", "-o", config, env=env)[1:])

    assert b"ok: 3 entries" in traces["check"]
    assert len(recorder.tokens()) >= 4  # first, after the loss, after SIGHUP, of the check
    assert found(CANARY, {"wire": bytes(recorder.sent)}) == ["wire"]
    assert found(CANARY, traces) == []
    for token in recorder.tokens():
        assert len(token) > 20 and found(token.decode(), traces) == []
    # The same search in the same places finds what does stand there.
    assert found(PLANTED, traces) == ["errors", "failed check", "log"]
    assert {"cmdline", "config", "check"} <= set(found("acme", traces))


def test_no_wrong_secret_or_token_is_shown(sim, recorder, tmp_path):
    """A secret with a slip in it is nearly the right one."""
    (tmp_path / "m").mkdir()
    token = "felkanarietoken.0123456789"
    sim.fault("token", "status", status=200, body=json.dumps({"access_token": token, "expires_in": 3600}))
    env = account(recorder.port, IBINDER_CLIENT_SECRET=WRONG)
    with mounted(sim, "log_level=debug,timeout=2", path=tmp_path / "m", env=env) as mount:
        with pytest.raises(PermissionError):
            os.listdir(mount / "binders")
        wait_until(lambda: "token          refused" in mount.control("status"))
        traces = traces_of(mount)
    traces["log"] = mount.log.encode()
    traces["check"] = b"".join(call("--check", env=env)[1:])
    assert b"invalid_client" in traces["check"]
    assert recorder.tokens() == {token.encode()}
    assert found(WRONG, {"wire": bytes(recorder.sent)}) == ["wire"]
    assert found(WRONG, traces) == found(token, traces) == []
    assert {"errors", "log", "check"} <= set(found("invalid_client", traces))


def test_a_server_that_echoes_them_cannot_make_them_shown(sim, recorder, tmp_path):
    """What the server says of a failure is shown, unless it holds the secret or the token."""
    (tmp_path / "m").mkdir()
    env = account(recorder.port, IBINDER_CLIENT_SECRET=CANARY)
    with mounted(sim, "log_level=debug,ttl=0,stale=0,timeout=2", path=tmp_path / "m", env=env) as mount:
        os.listdir(mount / "binders")
        (token,) = (sent.decode() for sent in recorder.tokens())
        sim.fault("binders", "status", status=403, body=json.dumps({"title": f"no: {token}", "traceId": token}))
        os.listdir(mount / "binders")  # shown as it was
        wait_until(lambda: "the server forbids it" in mount.control("errors"))
        sim.fault("token", "status", status=401, body=json.dumps({"error": f"{CANARY} is wrong"}))
        mount.signal(signal.SIGHUP)
        wait_until(lambda: "token          refused" in mount.control("status"))
        traces = traces_of(mount)
    traces["log"] = mount.log.encode()
    assert found(CANARY, traces) == found(token, traces) == []
    assert "EACCES token: the server refuses this client" in traces["errors"].decode()


@pytest.mark.parametrize("words", [
    ["-o", "client_secret=hush"], ["-o", "ttl=1,client_secret=hush,stale=3"], ["-o", "secret=hush"],
    ["--client-secret=hush"], ["-o", "password=hush"], ["-o", "IBINDER_CLIENT_SECRET=hush"],
    ["-o", "auth_url=https://u:hush@h/"],
    ["-o", "auth_url=https://h/?client_secret=hush"], ["-o", "proxy=http://u:hush@h/"],
    ["-o", "client_secret_command=echo hush"], ["-o", "client_secret\\,hush1"],
])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(words, tmp_path):
    told = failing([BINARY, tmp_path, *words], account(1, IBINDER_CLIENT_SECRET="s"), tmp_path)
    assert "hush" not in told and told.count("\n") == 1, told


def test_the_refusal_says_where_a_secret_belongs(tmp_path):
    told = failing([BINARY, tmp_path, "-o", "client_secret=hush"], account(1), tmp_path)
    for place in ("client_secret_file", "client_secret_command", "IBINDER_CLIENT_SECRET"):
        assert place in told


def test_a_stray_secret_in_the_file_is_not_repeated(tmp_path):
    for lines in ("aHVzaA+/x==\n", "client_secret aHVzaA+/x==\n", "client_secretaHVzaA+/x=1\n",
                  "client_secret = aHVzaA\nclient_secret = x\n"):
        told = failing([BINARY, "acme", tmp_path, "-o", configure(tmp_path, lines)], account(1), tmp_path)
        assert told.count("\n") == 1 and "aHVzaA" not in told, told


# --- In memory ---


def memory_of(pid):
    """Everything that the process could read in its memory."""
    found = []
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in (line.split()[0].split("-") for line in maps if line.split()[1].startswith("r")):
            try:
                memory.seek(int(start, 16))
                found.append(memory.read(int(end, 16) - int(start, 16)))
            except (OSError, ValueError, OverflowError):
                continue  # of the kernel, as [vvar]
    return b"\n".join(found)


def test_the_secret_and_the_token_are_in_memory_once_and_an_old_one_not_at_all(release, sim, tmp_path):  # noqa: F811
    """Whatever libcurl has copied of them is overwritten, too: else an old token is there for long."""
    sim.control("POST", "/settings", client_secret=CANARY)
    _, lines = prepare("file", tmp_path, CANARY)
    config = configure(tmp_path, lines)
    (tmp_path / "m").mkdir()
    words = ["acme", tmp_path / "m", "-o", config, "-o", "ttl=0,stale=0"]
    with background(*words, env=account(sim.port), path=tmp_path / "m", command=[release]) as daemon:
        def walk():
            for binder in os.listdir(tmp_path / "m/binders"):
                os.listdir(tmp_path / "m/binders" / binder)

        walk()
        wait_until(lambda: "requests_in_flight 0\n" in daemon.control("metrics"))
        memory = memory_of(daemon.pid)
        assert memory.count(CANARY.encode()) == 1
        (old,) = re.findall(rb"canarytoken-[\w-]+", memory)
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: sim.stats()["tokens_issued"] == 2)
        wait_until(lambda: "token          held" in daemon.control("status"))
        walk()
        wait_until(lambda: "requests_in_flight 0\n" in daemon.control("metrics"))
        memory = memory_of(daemon.pid)
        assert memory.count(CANARY.encode()) == 1
        (new,) = re.findall(rb"canarytoken-[\w-]+", memory)
        assert new != old
        keeper = pathlib.Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()[0]
        assert CANARY.encode() not in memory_of(keeper)


# --- Where a secret may be ---


def check_with_file(sim, directory, path, name=None, **env):
    config = configure(directory, f"client_secret_file = {name or path}\n")
    status, out, err = call("--check", "acme", "-o", config, env=account(sim.port, **env))
    return status, (out + err).decode()


@pytest.fixture
def secret_file(sim, tmp_path):
    sim.control("POST", "/settings", client_secret=CANARY)
    file = tmp_path / "the secret's file"
    file.write_text(CANARY)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_closed_file_is_accepted(mode, sim, secret_file, tmp_path):
    secret_file.chmod(mode)
    assert check_with_file(sim, tmp_path, secret_file)[0] == 0


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o620, 0o602, 0o610, 0o601])
def test_an_open_file_is_refused_with_the_command_that_closes_it(mode, sim, secret_file, tmp_path):
    secret_file.chmod(mode)
    status, told = check_with_file(sim, tmp_path, secret_file)
    assert status == 1
    assert f"{secret_file} is open to other users (mode {mode:04o}): run " in told
    command = re.search(r": run (.*)$", told, re.M)[1]
    assert command.startswith("chmod 600 ")
    subprocess.run(["sh", "-c", command], check=True)
    assert secret_file.stat().st_mode & 0o777 == 0o600
    assert check_with_file(sim, tmp_path, secret_file)[0] == 0
    assert sim.stats()["routes"]["token"] == 1, "the first check went on to the network"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_another_user_s_file_is_refused_with_the_command_that_mends_it(mode, sim, secret_file, tmp_path):
    os.chown(secret_file, NOBODY, NOBODY)
    secret_file.chmod(mode)
    status, told = check_with_file(sim, tmp_path, secret_file)
    assert status == 1 and f"belongs to another user (uid {NOBODY})" in told
    assert ("chmod" in told) is (mode == 0o644)
    subprocess.run(["sh", "-c", re.search(r": run (.*)$", told, re.M)[1]], check=True)
    assert check_with_file(sim, tmp_path, secret_file)[0] == 0


def test_a_mount_is_refused_as_the_check_is(sim, secret_file, tmp_path):
    (tmp_path / "m").mkdir()
    secret_file.chmod(0o644)
    config = configure(tmp_path, f"client_secret_file = {secret_file}\n")
    told = failing([BINARY, "acme", tmp_path / "m", "-o", config], account(sim.port), tmp_path / "m")
    assert told.count("\n") == 1 and "is open to other users (mode 0644): run chmod 600 " in told


def test_symbolic_links_are_followed_and_the_file_behind_counts(sim, secret_file, tmp_path):
    (tmp_path / "link").symlink_to(secret_file)
    assert check_with_file(sim, tmp_path, tmp_path / "link")[0] == 0
    secret_file.chmod(0o644)
    status, told = check_with_file(sim, tmp_path, tmp_path / "link")
    assert status == 1 and "is open to other users (mode 0644)" in told


@pytest.mark.parametrize("kind", ["directory", "fifo", "device", "empty", "large", "missing", "dangling link"])
def test_what_is_no_good_file_is_refused_at_once(kind, sim, tmp_path):
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "device":
        path = pathlib.Path("/dev/zero")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind != "missing":
        path.write_bytes(b"x" * 10_000_000 if kind == "large" else b"")
        path.chmod(0o600)
    status, told = check_with_file(sim, tmp_path, path)
    assert status == 1 and str(path) in told
    assert ("not a regular file" in told) is (kind in ("directory", "fifo", "device"))
    assert "xxx" not in told.replace(str(path), "")
    assert sim.stats()["routes"]["token"] == 0


def test_a_secret_in_the_configuration_makes_that_file_a_secret_one(sim, secret_file, tmp_path):
    for mode, accepted in ((0o600, True), (0o640, False), (0o604, False), (0o644, False)):
        config = configure(tmp_path, f"client_secret = {CANARY}\n", mode)
        status, out, err = call("--check", "acme", "-o", config, env=account(sim.port))
        assert status == (0 if accepted else 1), (oct(mode), out, err)
        assert accepted or f"run chmod 600 {tmp_path}/config\n".encode() in err


def test_a_command_in_the_configuration_must_be_the_user_s_own(sim, secret_file, tmp_path):
    for mode, accepted in ((0o644, True), (0o664, False), (0o646, False)):
        config = configure(tmp_path, f'client_secret_command = cat "{secret_file}"\n', mode)
        status, _, err = call("--check", "acme", "-o", config, env=account(sim.port))
        assert status == (0 if accepted else 1), (oct(mode), err)
        assert accepted or f"run chmod go-w {tmp_path}/config\n".encode() in err


def test_a_relative_file_is_looked_for_in_the_credentials_directory_then_beside_the_configuration(sim, tmp_path):
    sim.control("POST", "/settings", client_secret=CANARY)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for directory, text in ((tmp_path, "not this one"), (credentials, CANARY)):
        (directory / "s").write_text(text)
        (directory / "s").chmod(0o600)
    elsewhere = {"cwd": "/"}
    config = configure(tmp_path, "client_secret_file = s\n")
    env = account(sim.port, CREDENTIALS_DIRECTORY=str(credentials))
    assert call("--check", "acme", "-o", config, env=env, **elsewhere)[0] == 0
    assert call("--check", "acme", "-o", config, env=account(sim.port), **elsewhere)[0] == 1
    (credentials / "s").rename(credentials / "other")
    (tmp_path / "s").write_text(CANARY)
    assert call("--check", "acme", "-o", config, env=env, **elsewhere)[0] == 0


def test_a_credential_as_systemd_writes_it_for_a_user_is_accepted_there_alone(sim, tmp_path):
    """Mode 0440, the group's bit being the mask of an access control list."""
    sim.control("POST", "/settings", client_secret=CANARY)
    (tmp_path / "s").write_text(CANARY)
    (tmp_path / "s").chmod(0o440)
    assert check_with_file(sim, tmp_path, None, "s", CREDENTIALS_DIRECTORY=str(tmp_path))[0] == 0
    assert check_with_file(sim, tmp_path, None, "s")[0] == 1
    (tmp_path / "s").chmod(0o444)
    assert check_with_file(sim, tmp_path, None, "s", CREDENTIALS_DIRECTORY=str(tmp_path))[0] == 1


# --- The command ---


def test_the_command_gets_no_descriptors_of_ours_or_our_caller_s(sim, secret_file, tmp_path):
    """At the start the caller's would leak; at SIGHUP /dev/fuse, connections and the loop's."""
    (tmp_path / "m").mkdir()
    seen = tmp_path / "seen"
    script = tmp_path / "script"
    script.write_text(f"""
import os
names = os.listdir("/proc/self/fd")  # among them the one that is open for the listing itself
own = [(int(name), os.readlink("/proc/self/fd/" + name)) for name in names if os.path.exists("/proc/self/fd/" + name)]
with open("{seen}", "a") as seen:
    print(sorted(own), file=seen)
print("{CANARY}")
""")
    config = configure(tmp_path, f"client_secret_command = exec /usr/bin/python3 {script}\n")
    inherited = os.open("/dev/null", os.O_RDONLY)
    command = ["sh", "-c", 'exec 7</etc/passwd; exec "$@"', "sh"]
    process = subprocess.Popen([*command, BINARY, "acme", str(tmp_path / "m"), "-f", "-o", config],
                               env=account(sim.port), stdin=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, pass_fds=[inherited])
    try:
        os.close(inherited)
        wait_until(lambda: os.path.ismount(tmp_path / "m"))
        wait_until(lambda: len(os.listdir(tmp_path / "m/binders")) == 3)
        assert os.path.exists(f"/proc/{process.pid}/fd/7")
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: seen.read_text().count("\n") == 2)
        for line in seen.read_text().splitlines():
            (zero, stdin), (one, stdout), (two, _) = ast.literal_eval(line)
            assert (zero, one, two, stdin) == (0, 1, 2, "/dev/null") and stdout.startswith("pipe:")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "m")], check=False)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("command, told", [
    ("echo hush; exit 3", "client_secret_command failed with status 3"),
    ("echo hush; kill -9 $$", "client_secret_command was ended by signal 9"),
    ("true", "the output of client_secret_command is empty"),
    ("yes hush", "client_secret_command printed more than"),
    ("printf 'hu\\000sh'", "holds a NUL byte"),
])
def test_a_failing_command_is_told_without_what_it_printed(command, told, sim, tmp_path):
    config = configure(tmp_path, f"client_secret_command = {command}\n")
    status, out, err = call("--check", "acme", "-o", config, env=account(sim.port))
    assert status == 1 and told in (out + err).decode()
    assert b"hush" not in out + err
    assert sim.stats()["routes"]["token"] == 0
