"""The command line: each mistake is one clear line and nothing mounted; --check says each step;
--demo needs nothing and leaves nothing behind."""

import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from background import Background, background, failing, mounts_at, program_of, unmount_all
from mounting import BINARY, BUILD, Mount, clean_environment, environment_for, mounted, run

ACCOUNT = {"IBINDER_TENANT_ID": "t", "IBINDER_CLIENT_ID": "c", "IBINDER_CLIENT_SECRET": "s"}
CONFIG = "[acme]\ntenant_id = t\nclient_id = c\nclient_secret_file = acme.secret\n[other]\nttl = 5\n"


def call(*arguments, env=None, within=20, **more):
    return subprocess.run([BINARY, *map(str, arguments)], env={**clean_environment(), **(env or {})},
                          capture_output=True, text=True, timeout=within, check=False, **more)


def refused(*arguments, env=None, path="/nonexistent"):
    """What a mistake is answered with: the one line after the program's name."""
    told = failing([BINARY, *arguments], {**clean_environment(), **(env or {})}, path)
    match = re.fullmatch(r"ibinderfs: error: (.+)\n", told)
    assert match, told
    return match[1]


def test_help_names_every_setting_and_goes_to_stdout():
    for flag in ("--help", "-h"):
        done = call(flag)
        assert (done.returncode, done.stderr) == (0, "")
        for words in ("ibinderfs [SOURCE] MOUNTPOINT", "--check", "--demo", "client_secret_file=", "ttl=", "ca_file=",
                      "allow_other", "IBINDER_TENANT_ID", "fusermount3 -u"):
            assert words in done.stdout
        # On a terminal of 80 columns only the longest default may break.
        assert [line for line in done.stdout.splitlines() if len(line) > 80 and not line.strip().startswith("(")] == []


def test_help_wins_over_what_else_is_wrong():
    assert call("--help", "a", "b", "c").returncode == 0


def test_version():
    for flag in ("--version", "-V"):
        done = call(flag)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"ibinderfs \d+\.\d+\.\d+\n", done.stdout)


# Arguments (M: the mount point) and the whole line that answers them.
MISTAKES = {
    "no arguments": ([], "the mount point is missing; see ibinderfs --help"),
    "a third word": (["a", "b", "M"], "too many arguments; see ibinderfs --help"),
    "long option": (["--foo", "M"], "unknown option --foo; see ibinderfs --help"),
    "short option": (["-x", "M"], "unknown option -x; see ibinderfs --help"),
    "long option with a value": (["--client-secret=hush", "M"], "unknown option --client-secret; see ibinderfs --help"),
    "value where none goes": (["--check=yes"], "--check takes no value"),
    "-o without anything": (["M", "-o"], "-o needs a value"),
    "setting that does not exist": (["M", "-o", "frobnicate=1"],
                                    "-o: unknown setting 'frobnicate'; see ibinderfs --help"),
    "setting misspelt": (["M", "-o", "time_out=3"], "-o: unknown setting 'time_out'; did you mean timeout?"),
    "value missing": (["M", "-o", "ttl"], "-o ttl: needs a value: ttl=SECONDS"),
    "no number": (["M", "-o", "ttl=soon"], "-o ttl: 'soon' is no number of seconds, such as 60 or 0.5"),
    "out of range": (["M", "-o", "timeout=0"], "-o timeout: '0' is out of range: more than 0 and at most 3600 seconds"),
    "count": (["M", "-o", "connections=0"], "-o connections: '0' is no whole number from 1 to 256"),
    "size": (["M", "-o", "memory=12"], "-o memory: '12' is no size from 1M to 1024G, such as 256M"),
    "log level": (["M", "-o", "log_level=all"], "-o log_level: 'all' is none of error, warning, info, debug"),
    "log target": (["M", "-o", "log=file"], "-o log: 'file' is neither stderr nor syslog"),
    "user": (["M", "-o", "uid=nobody-like-this"], "-o uid: 'nobody-like-this' is no user's name or number"),
    "mode": (["M", "-o", "umask=9"], "-o umask: '9' is no octal mode such as 027"),
    "URL": (["M", "-o", "api_url=ftp://x/"], "-o api_url: must begin with https://"),
    "URL with a password": (["M", "-o", "api_url=https://u:hush@x/"],
                            "-o api_url: must not hold a user name or password"),
    "file that is not there": (["M", "-o", "ca_file=/nonexistent/ca"],
                               "-o ca_file: cannot read /nonexistent/ca: No such file or directory"),
    "both allow": (["M", "-o", "allow_other,allow_root"], "allow_other and allow_root exclude each other"),
    "secret command on the command line": (["M", "-o", "client_secret_command=hush"],
                                           "-o client_secret_command: only the configuration file takes it"),
    "configuration file without section": (["M", "-o", "config=/nonexistent"],
                                           "-o config: nothing is read from /nonexistent without SOURCE, the name of "
                                           "a section"),
    "check and demo": (["--check", "--demo", "M"], "--check and --demo exclude each other"),
    "demo with a source": (["--demo", "acme", "M"], "too many arguments; see ibinderfs --help"),
    "demo with an account": (["--demo", "M", "-o", "tenant_id=t"], "-o tenant_id: --demo brings its own"),
    "demo without a mount point": (["--demo"], "the mount point is missing; see ibinderfs --help"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_clear_line(kind, tmp_path):
    arguments, answer = MISTAKES[kind]
    arguments = [str(tmp_path) if argument == "M" else argument for argument in arguments]
    assert refused(*arguments, env=ACCOUNT, path=tmp_path) == answer


@pytest.mark.parametrize("missing, name", [
    ("IBINDER_TENANT_ID", "tenant_id (IBINDER_TENANT_ID)"),
    ("IBINDER_CLIENT_ID", "client_id (IBINDER_CLIENT_ID)"),
    ("IBINDER_CLIENT_SECRET", "client_secret_file (IBINDER_CLIENT_SECRET)"),
])
@pytest.mark.parametrize("mode", [[], ["--check"]])
def test_a_missing_credential_is_named_and_where_to_set_it(missing, name, mode, tmp_path):
    answer = refused(*mode, *([] if mode else [tmp_path]), env={**ACCOUNT, missing: ""}, path=tmp_path)
    assert answer == (f"{name} is not set: set it in the environment, or name a section of the "
                      "configuration file as SOURCE")


# Arguments and text of the configuration file (F: its path), and the line.
FILE_MISTAKES = {
    "section": (CONFIG.replace("acme", "akme"), "F: there is no section [acme]; it has akme, other"),
    "key": ("[acme]\nclint_id = c\n", "F:2: unknown setting 'clint_id'; did you mean client_id?"),
    "key twice": ("[acme]\nttl = 1\nttl = 2\n", "F:3: ttl is set already in line 2"),
    "value": ("[acme]\n\nttl = x\n", "F:3: ttl: 'x' is no number of seconds, such as 60 or 0.5"),
    "no section": ("ttl = 1\n", "F:1: a setting stands before the first [section]"),
    "nonsense": ("[acme]\nnonsense\n", "F:2: neither [section] nor key = value nor a ; comment"),
    "credential": ("[acme]\ntenant_id = t\nclient_id = c\n",
                   "client_secret_file (IBINDER_CLIENT_SECRET) is not set: put it into section [acme] of F or "
                   "into the environment"),
    "secret file": (CONFIG, "cannot read client_secret_file D/acme.secret: No such file or directory"),
}


@pytest.mark.parametrize("kind", FILE_MISTAKES)
def test_a_mistake_in_the_file_is_named_with_its_line(kind, tmp_path):
    text, answer = FILE_MISTAKES[kind]
    config = tmp_path / "config"
    config.write_text(text)
    config.chmod(0o600)
    expected = answer.replace("F", str(config), 1) if answer.startswith("F") else answer.replace(" F ", f" {config} ")
    assert refused("acme", tmp_path, "-o", f"config={config}", path=tmp_path) == expected.replace("D/", f"{tmp_path}/")


def test_no_configuration_file_at_all_says_where_it_was_looked_for(tmp_path):
    answer = refused("acme", tmp_path, env={"HOME": str(tmp_path)}, path=tmp_path)
    assert answer.startswith(f"no configuration file for [acme]: there is no {tmp_path}/.config/ibinderfs/config")
    answer = refused("acme", tmp_path, "-o", f"config={tmp_path}/c", path=tmp_path)
    assert answer == f"no configuration file for [acme]: there is no {tmp_path}/c"


def test_the_home_directory_s_configuration_is_found(sim, tmp_path):
    (tmp_path / ".config/ibinderfs").mkdir(parents=True)
    (tmp_path / ".config/ibinderfs/config").write_text("[acme]\nttl = 7\n")
    with mounted(sim, source="acme", env={"HOME": str(tmp_path)}) as mount:
        assert "ttl = 7\n" in mount.control("config")


# --- The mount point ---


def test_a_mount_point_that_is_not_there(tmp_path):
    answer = refused(tmp_path / "m", env=ACCOUNT, path=tmp_path / "m")
    assert answer == f"{tmp_path}/m: No such file or directory: make the directory first"


def test_a_mount_point_that_is_a_file(tmp_path):
    (tmp_path / "m").touch()
    assert refused(tmp_path / "m", env=ACCOUNT, path=tmp_path / "m") == f"{tmp_path}/m: not a directory"


@pytest.mark.parametrize("by_link", [False, True])
def test_a_mount_point_that_is_mounted_already(sim, by_link, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to("m")
    with mounted(sim, path=tmp_path / "m"):
        answer = refused(tmp_path / ("link" if by_link else "m"), env=ACCOUNT, path=tmp_path / "m")
        assert answer == f"{tmp_path}/m: already mounted; 'fusermount3 -u {tmp_path}/m' ends it"


@pytest.mark.parametrize("name", ["with blanks", "komma,streck\\", "räksmörgås", "tab\there"])
def test_a_mount_point_may_have_any_name(sim, name, tmp_path):
    (tmp_path / name).mkdir()
    with mounted(sim, path=tmp_path / name) as mount:
        assert os.path.ismount(mount.path)
        answer = refused(tmp_path / name, env=ACCOUNT, path=tmp_path / name)
        assert "already mounted" in answer
    assert not os.path.ismount(tmp_path / name)


def test_a_relative_mount_point_is_the_caller_s(sim, tmp_path):
    (tmp_path / "m").mkdir()
    with background("./m//", env=environment_for(sim), path=tmp_path / "m", cwd=tmp_path) as daemon:
        assert sorted(os.listdir(tmp_path / "m")) == [".ibinderfs", "binders", "by-id", "files", "search"]
        assert daemon.returncode == 0


def test_double_dash_ends_options(sim, tmp_path):
    (tmp_path / "-f").mkdir()
    with background("--", "-f", env=environment_for(sim), path=tmp_path / "-f", cwd=tmp_path):
        assert os.path.ismount(tmp_path / "-f")


# --- --check ---


def check(env, *options):
    """Exit status, {step: what was said of it}, everything said, and the seconds it took."""
    start = time.monotonic()
    done = call("--check", *options, env=env)
    assert done.stderr == ""
    steps = dict(re.findall(r"^(\w+) +((?:ok|FAILED).*)$", done.stdout, re.M))
    return done.returncode, steps, done.stdout, time.monotonic() - start


def test_check_says_each_step(sim):
    status, steps, told, _ = check(environment_for(sim))
    assert status == 0
    assert list(steps) == ["configuration", "secret", "token", "listing", "entry"]
    assert all(text.startswith("ok: ") for text in steps.values()), told
    assert f"http://127.0.0.1:{sim.port}/connect/token" in steps["token"]
    assert re.match(r"ok: 3 entries, ", steps["listing"])
    routes = sim.stats()["routes"]
    assert (routes["token"], routes["binders"], routes["drive"], routes["search"]) == (1, 1, 1, 1)


def test_check_sees_that_no_document_can_be_read(sim):
    """The list of binders may be open to a client that may not search."""
    sim.fault("search", "status", status=403, times=-1)
    status, steps, told, _ = check(environment_for(sim))
    assert status == 1
    assert steps["listing"].startswith("ok: ") and steps["entry"] == "FAILED: EACCES", told


@pytest.mark.parametrize("route", ["metadataelements", "subfolders"])
def test_check_tells_of_a_part_that_is_forbidden(sim, route):
    sim.fault(route, "status", status=403, times=-1)
    status, steps, told, _ = check(environment_for(sim))
    assert status == 0 and steps["entry"].startswith("ok: ")
    assert " EACCES " in told and "forbids a part of it" in told


def test_check_tells_of_a_missing_sub_folders_call(sim):
    sim.control("POST", "/settings", subfolders="404")
    status, _, told, _ = check(environment_for(sim))
    assert status == 0 and "subfolders_path" in told


def test_check_names_the_section_and_its_file(sim, tmp_path):
    config = tmp_path / "config"
    config.write_text("[acme]\nttl = 5\n")
    done = call("--check", "acme", "-o", f"config={config}", env=environment_for(sim))
    assert done.returncode == 0
    assert f"ok: acme in {config}\n" in done.stdout


def closed_port():
    """A port that refuses connections, as long as the socket lives."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


# What is changed in the environment, the fault, the step that fails, and what is said.
TROUBLE = {
    "wrong secret": ({"IBINDER_CLIENT_SECRET": "wrong"}, None, "token",
                     r"EACCES token: .*\(HTTP 401\).*check the account's ids, keys and secret"),
    "wrong client": ({"IBINDER_CLIENT_ID": "wrong"}, None, "token", r"EACCES token: .*check the account's ids"),
    "wrong tenant": ({"IBINDER_TENANT_ID": "wrong"}, None, "listing",
                     r"EACCES binders: .*\(HTTP 403\).*traceId.*tenant.* does not allow this"),
    "token endpoint down": ({"IBINDER_AUTH_URL": "http://127.0.0.1:CLOSED/connect/token"}, None, "token",
                            r"EHOSTUNREACH token: .*check the network, DNS and proxy="),
    "API down": ({"IBINDER_API_URL": "http://127.0.0.1:CLOSED/api"}, None, "listing",
                 r"EHOSTUNREACH binders: .*check the network, DNS and proxy="),
    "silent token endpoint": ({}, ("token", "hang"), "token", r"ETIMEDOUT(.|\n)*raise timeout="),
    "silent API": ({}, ("binders", "hang"), "listing", r"ETIMEDOUT(.|\n)*raise timeout="),
    "redirecting token endpoint": ({}, ("token", "redirect"), "token",
                                   r"\(HTTP 302\).*redirects are not followed; check (api|auth)_url="),
    "redirecting API": ({}, ("binders", "redirect"), "listing",
                        r"\(HTTP 302\).*redirects are not followed; check (api|auth)_url="),
    "TLS at the token endpoint": ({"IBINDER_AUTH_URL": "https://127.0.0.1:PORT/connect/token"}, None, "token",
                                  r"EPROTO token: .*check ca_file=, proxy= and the clock"),
    "TLS at the API": ({"IBINDER_API_URL": "https://127.0.0.1:PORT/api"}, None, "listing",
                       r"EPROTO binders: .*check ca_file=, proxy= and the clock"),
    "not JSON": ({}, ("binders", "not_json"), "listing", r"EBADMSG binders: .*check api_url="),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_check_says_what_is_wrong_and_what_to_do(kind, sim):
    changes, fault, step, explanation = TROUBLE[kind]
    timeout = 1 if "silent" in kind else 3  # what answers may take its time on a busy machine
    if fault:
        sim.fault(*fault, times=-1)
    with closed_port() as closed:
        changes = {name: value.replace("PORT", str(sim.port)).replace("CLOSED", str(closed.getsockname()[1]))
                   for name, value in changes.items()}
        status, steps, told, seconds = check(environment_for(sim, **changes), "-o", f"timeout={timeout}")
    assert status == 1
    assert list(steps)[-1] == step, told
    assert [text.startswith("FAILED") for text in steps.values()] == [False] * (len(steps) - 1) + [True], told
    assert re.search(explanation, told), told
    assert seconds < timeout + 4, "much longer than timeout="
    assert sim.stats()["routes"]["redirect_target"] == 0


def test_check_makes_no_mount(sim):
    script = 'cat /proc/self/mountinfo; "$1" --check >&2; echo ---; cat /proc/self/mountinfo'
    before, after = run("unshare", "-m", "sh", "-c", script, "sh", BINARY, env=environment_for(sim)).split("---\n")
    assert before == after


def test_check_warns_when_fuse_is_out_of_reach(sim):
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BINARY, "--check"],
                          env=environment_for(sim), capture_output=True, text=True, timeout=20, check=False)
    reachable = bool(os.stat("/dev/fuse").st_mode & stat.S_IWOTH)
    assert done.returncode == 0
    assert ("/dev/fuse cannot be opened here: mounting will fail" in done.stdout) is not reachable


# --- --demo ---


def demo_tour(path):
    """What every demo must show."""
    binders = os.listdir(path / "binders")
    assert "Projekt 012 Kv. Björken" in binders
    found = run("grep", "-rl", '"GLOBAL_Status".*"Archived"', str(path / "binders"))
    assert found.count(".json\n") >= 1


def test_demo_needs_no_account_and_ends_with_everything(tmp_path):
    with background("--demo", tmp_path, env=clean_environment(), path=tmp_path) as daemon:
        demo_tour(tmp_path)
        names = sorted(program_of(pid) for pid in daemon.left)
        assert names == ["ibinderfs", "ibinderfs-sim"]
        for pid in daemon.left:
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
        daemon.unmount()
        daemon.wait_for_end()  # of both, with exit status 0
    assert not mounts_at(tmp_path)


def test_demo_ends_on_sigterm_with_everything(tmp_path):
    with background("--demo", tmp_path, env=clean_environment(), path=tmp_path) as daemon:
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_end()
    assert not mounts_at(tmp_path)


def test_demo_server_ends_also_when_the_daemon_is_killed(tmp_path):
    daemon = Background([BINARY, "--demo", str(tmp_path)], clean_environment(), tmp_path)
    try:
        os.kill(daemon.pid, signal.SIGKILL)
        os.waitpid(daemon.pid, 0)
        daemon.left.discard(daemon.pid)
        daemon.wait_for_end()
    finally:
        daemon.kill()
        unmount_all(tmp_path)


def test_demo_in_the_foreground(tmp_path):
    mount = Mount(clean_environment(), "ttl=5", path=tmp_path, source="--demo")
    try:
        demo_tour(tmp_path)
        mount.end()
    finally:
        mount.kill()


def test_demo_heeds_neither_account_nor_configuration_nor_proxies(tmp_path):
    (tmp_path / "ibinderfs").mkdir()
    (tmp_path / "ibinderfs/config").write_text("nonsense\n")
    (tmp_path / "m").mkdir()
    env = {**clean_environment(), "XDG_CONFIG_HOME": str(tmp_path), "IBINDER_TENANT_ID": "wrong",
           "IBINDER_CLIENT_ID": "wrong", "IBINDER_CLIENT_SECRET": "wrong",
           "IBINDER_API_URL": "nonsense", "IBINDER_AUTH_URL": "nonsense",
           "http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}
    options = ["-o", "proxy=http://127.0.0.1:1"]
    with background("--demo", tmp_path / "m", *options, env=env, path=tmp_path / "m"):
        demo_tour(tmp_path / "m")


def test_demo_of_a_knowledge_base_needs_no_account_either(tmp_path):
    env = {**clean_environment(), "INBENTA_API_KEY": "wrong", "INBENTA_SECRET": "wrong", "INBENTA_DOMAIN_KEY": "wrong",
           "INBENTA_AUTH_URL": "nonsense"}
    options = ["-o", "provider=inbenta"]
    with background("--demo", tmp_path, *options, env=env, path=tmp_path) as daemon:
        assert "Envíos" in os.listdir(tmp_path / "knowledge")
        assert "plazos" in run("grep", "-rl", "plazos", str(tmp_path / "files"))
        assert (tmp_path / ".ibinderfs/errors").read_text() == ""
        assert sorted(program_of(pid) for pid in daemon.left) == ["ibinderfs", "ibinderfs-sim"]
    told = failing([BINARY, "--demo", tmp_path, *options, "-o", "api_key=x"], clean_environment(), tmp_path)
    assert told == "ibinderfs: error: -o api_key: --demo brings its own\n"


def test_demo_serves_this_computer_alone(tmp_path):
    with background("--demo", tmp_path, env=clean_environment(), path=tmp_path) as daemon:
        server = next(pid for pid in daemon.left if program_of(pid) == "ibinderfs-sim")
        sockets = {os.readlink(f"/proc/{server}/fd/{fd}") for fd in os.listdir(f"/proc/{server}/fd")}
        lines = (pathlib.Path("/proc/net/tcp").read_text() + pathlib.Path("/proc/net/tcp6").read_text()).splitlines()
        table = [line.split() for line in lines]
        listening = [line[1] for line in table if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]
        assert len(listening) == 1 and listening[0].startswith("0100007F:"), listening  # 127.0.0.1


def test_demo_works_from_an_installed_prefix_that_was_moved(tmp_path):
    run("cmake", "--install", BUILD, env={**os.environ, "DESTDIR": str(tmp_path / "root")})
    installed = list((tmp_path / "root").rglob("bin/ibinderfs"))
    assert len(installed) == 1
    (tmp_path / "m").mkdir()
    path = tmp_path / "m"
    with background("--demo", path, env=clean_environment(), path=path, command=installed) as daemon:
        demo_tour(tmp_path / "m")
        server = next(pid for pid in daemon.left if program_of(pid) == "ibinderfs-sim")
        assert os.readlink(f"/proc/{server}/exe").startswith(str(tmp_path / "root"))


def test_demo_without_its_server_says_so(tmp_path):
    (tmp_path / "ibinderfs").write_bytes(open(BINARY, "rb").read())
    (tmp_path / "ibinderfs").chmod(0o755)
    # Wherever the build would install it, there is nothing.
    command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /usr/local && exec "$@"', "sh"]
    told = failing([*command, tmp_path / "ibinderfs", "--demo", tmp_path], clean_environment(), tmp_path)
    assert told == "ibinderfs: error: the demo server (ibinderfs-sim) is not installed: No such file or directory\n"


def test_a_demo_that_cannot_mount_leaves_no_server(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "fuse").touch()
    script = 'mount --bind "$1" /dev/fuse; shift; exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", tmp_path / "fuse", BINARY, "--demo", tmp_path / "m"]
    daemon = Background([*map(str, command)], clean_environment(), tmp_path / "m")
    try:
        assert daemon.returncode == 1 and "cannot mount" in daemon.stderr
        daemon.wait_for_end()
    finally:
        daemon.kill()
