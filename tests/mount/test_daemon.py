"""The daemon as a citizen: comes up, detaches, heeds signals, logs, and goes without a trace."""

import contextlib
import errno
import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from background import Background, background, failing, mounts_at, program_of, unescaped, unmount_all
from mounting import BINARY, PATIENCE_S, SECRET, Mount, clean_environment, environment_for, mounted, run, wait_until

NOBODY = pwd.getpwnam("nobody").pw_uid
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")

# A /dev of the daemon's own, in a mount namespace of its own: /dev/fuse open to everybody, as udev
# makes it, and /dev/log ($1) our socket. "$@" is what then runs.
OWN_DEV = ("unshare", "-m", "sh", "-c", """
    log=$1; shift
    mount -t tmpfs -o mode=755 none /dev &&
    mknod -m 666 /dev/fuse c 10 229 && mknod -m 666 /dev/null c 1 3 && ln -s "$log" /dev/log && exec "$@"
""", "sh")


@contextlib.contextmanager
def open_directory():
    """A mount point that any user may use: pytest's are root's alone."""
    with tempfile.TemporaryDirectory(prefix="ibinderfs-") as path:
        os.chmod(path, 0o777)
        yield pathlib.Path(path)


@contextlib.contextmanager
def log_socket(directory):
    """Where syslog(3) sends to: a function that gives the next message."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.settimeout(PATIENCE_S)
        log.bind(str(directory / "log"))
        os.chmod(directory / "log", 0o666)
        yield lambda: log.recv(65536).decode()


# --- Coming up ---


def test_returns_when_the_mount_is_up(sim, tmp_path):
    """The very next command sees the organisation, ten times in a row."""
    for _ in range(10):
        with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
            assert len(os.listdir(tmp_path / "binders")) == 3
            assert daemon.returncode == 0 and (daemon.stdout, daemon.stderr) == ("", "")


def test_is_detached(sim, tmp_path):
    """That the command ended although its output is a pipe is seen by every test here."""
    with background(tmp_path, env=environment_for(sim), path=tmp_path, cwd=tmp_path.parent) as daemon:
        fields = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
        session, terminal = int(fields[3]), int(fields[4])
        assert (session, terminal) == (daemon.pid, 0)
        assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"
        for number in range(3):
            assert os.readlink(f"/proc/{daemon.pid}/fd/{number}") == "/dev/null"


def test_a_pipeline_ends(sim, tmp_path):
    env = {**environment_for(sim), "binary": BINARY, "dir": str(tmp_path)}
    with background(env=env, path=tmp_path, command=["sh", "-c", '"$binary" "$dir" 2>&1 | cat']):
        assert os.path.ismount(tmp_path)


def test_comes_up_without_any_network(tmp_path):
    """Not even loopback: an account at the vendor's own addresses."""
    env = {**clean_environment(), "IBINDER_TENANT_ID": "t", "IBINDER_CLIENT_ID": "c", "IBINDER_CLIENT_SECRET": "s"}
    with background(tmp_path, "-o", "timeout=1", env=env, path=tmp_path, command=["unshare", "-n", BINARY]) as daemon:
        assert os.listdir(tmp_path) and os.statvfs(tmp_path)
        wait_until(lambda: "EHOSTUNREACH token: " in daemon.control("errors"))
        with pytest.raises(OSError) as caught:
            os.listdir(tmp_path / "binders")
        assert caught.value.errno == errno.EHOSTUNREACH
        assert "check the network" in daemon.control("errors")


@pytest.mark.parametrize("foreground", [[], ["-f"]])
def test_an_unusable_dev_fuse_fails_with_the_reason(sim, foreground, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "fuse").touch()
    script = 'mount --bind "$1" /dev/fuse; shift; exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(tmp_path / "fuse"), BINARY, str(tmp_path / "m")]
    told = failing([*command, *foreground], environment_for(sim), tmp_path / "m")
    assert re.fullmatch(r"ibinderfs: error: fuse: mount failed: Invalid argument\n"
                        rf"ibinderfs: error: {tmp_path}/m: cannot mount\n", told), told


def test_a_missing_dev_fuse_fails_with_the_reason(sim, tmp_path):
    command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev; exec "$@"', "sh", BINARY, str(tmp_path)]
    told = failing(command, environment_for(sim), tmp_path)
    assert "fuse: device not found, try 'modprobe fuse' first" in told
    assert f"{tmp_path}: cannot mount" in told


def test_a_foreign_mount_point_fails_with_the_reason(sim, tmp_path):
    """An ordinary user may mount only on what is the user's own."""
    with open_directory() as path:
        os.chmod(path, 0o755)
        command = [*OWN_DEV, "/nonexistent", *AS_NOBODY, BINARY, str(path)]
        told = failing(command, environment_for(sim), path)
        assert "fusermount3: user has no write access to mountpoint" in told
        assert f"{path}: cannot mount" in told


def test_a_mount_point_behind_a_closed_directory_fails_with_the_reason(sim, tmp_path):
    (tmp_path / "m").mkdir()
    os.chmod(tmp_path, 0o700)
    path = tmp_path / "m"
    told = failing([*OWN_DEV, "/nonexistent", *AS_NOBODY, BINARY, path], environment_for(sim), path)
    assert told == f"ibinderfs: error: {path}: Permission denied\n"


@pytest.mark.parametrize("foreground", [False, True])
def test_a_dead_mount_is_cleared(sim, foreground, tmp_path):
    """Killed with a file open; the next start makes way for itself, also by a symbolic link."""
    (tmp_path / "m").mkdir()
    (tmp_path / "link").symlink_to("m")
    path = tmp_path / "m"
    if foreground:
        dead = Mount(environment_for(sim), path=path)
        held = os.open(path / ".ibinderfs/status", os.O_RDONLY)
        os.stat(path)  # the kernel may answer for the dead for a while
        dead.process.kill()
        dead.process.wait()
    else:
        dead = Background([BINARY, str(path)], environment_for(sim), path)
        held = os.open(path / ".ibinderfs/status", os.O_RDONLY)
        dead.kill()
    try:
        assert len(mounts_at(path)) == 1
        says = f"ibinderfs: {path}: cleared a dead mount\n"
        with background(tmp_path / "link", env=environment_for(sim), path=path, says=says):
            assert len(mounts_at(path)) == 1
            assert len(os.listdir(path / "binders")) == 3
    finally:
        close_dead(held)
        unmount_all(path)


def close_dead(descriptor):
    """Closing asks the file system, which is gone."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


def test_another_s_dead_mount_is_left_alone(sim, tmp_path):
    """A FUSE mount that nobody serves, of another type."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0"
    run("mount", "-i", "-t", "fuse", "-o", options, "other", str(tmp_path), pass_fds=[fuse])
    os.close(fuse)
    try:
        told = failing([BINARY, tmp_path], environment_for(sim), tmp_path)
        assert "Transport endpoint is not connected" in told and "umount -l" in told
        assert [line[-2] for line in mounts_at(tmp_path)] == ["other"]
    finally:
        unmount_all(tmp_path)


def test_many_mounts_at_once(sim, tmp_path):
    with contextlib.ExitStack() as stack:
        mounts = []
        for number in range(5):
            (tmp_path / str(number)).mkdir()
            mounts.append(stack.enter_context(mounted(sim, path=tmp_path / str(number))))
        listings = [sorted(os.listdir(mount / "binders")) for mount in mounts]
        assert len(listings[0]) == 3 and listings == [listings[0]] * 5
        inodes = [os.stat(mount / "binders" / listings[0][0]).st_ino for mount in mounts]
        assert len(set(inodes)) == 1
        mounts[2].unmount()
        assert all(os.listdir(mount / "binders") for number, mount in enumerate(mounts) if number != 2)
    assert sim.stats()["routes"]["token"] == 5


# --- What the mount is ---


def mount_options(path):
    """(mount's options, type, source, file system's options) of the only mount at `path`."""
    (line,) = mounts_at(path)
    dash = line.index("-")
    return set(line[5].split(",")), line[dash + 1], line[dash + 2], set(line[dash + 3].split(","))


def test_mount_options_are_the_safe_ones_always(sim, tmp_path):
    """Also when asked for others, as mount(8) does."""
    for options in ([], ["rw,suid,dev,exec"]):
        with mounted(sim, *options, path=tmp_path):
            options, kind, source, special = mount_options(tmp_path)
            assert {"ro", "nosuid", "nodev", "noexec"} <= options
            assert (kind, source) == ("fuse.ibinderfs", "ibinderfs")
            assert "ro" in special and not special & {"allow_other", "default_permissions"}


@pytest.mark.parametrize("name", ["acme", "två ord, och \\komma"])
def test_the_source_is_the_section(sim, name, tmp_path):
    (tmp_path / "config").write_text(f"[{name}]\nttl = 5\n")
    (tmp_path / "m").mkdir()
    with mounted(sim, f"config={tmp_path}/config", source=name, path=tmp_path / "m"):
        assert unescaped(mount_options(tmp_path / "m")[2]) == f"ibinderfs#{name}"


def as_nobody(*command):
    done = subprocess.run([*AS_NOBODY, *map(str, command)], capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stdout + done.stderr


def test_others_are_refused(sim):
    with open_directory() as path, mounted(sim, path=path):
        status, told = as_nobody("ls", path)
        assert status != 0 and "Permission denied" in told


def test_allow_other_lets_others_in_and_umask_keeps_them_out(sim):
    with open_directory() as path:
        with mounted(sim, "allow_other", path=path):
            assert {"allow_other", "default_permissions"} <= mount_options(path)[3]
            assert as_nobody("ls", path / "binders")[0] == 0
        with mounted(sim, "allow_other,umask=007", path=path):
            status, told = as_nobody("ls", path)
            assert status != 0 and "Permission denied" in told
            assert len(os.listdir(path / "binders")) == 3
        with mounted(sim, f"allow_other,umask=077,uid={NOBODY}", path=path):
            assert as_nobody("ls", path / "binders")[0] == 0


def test_uid_gid_and_umask_are_shown(sim, tmp_path):
    group = grp.getgrnam("daemon")
    with mounted(sim, "uid=nobody,gid=daemon,umask=027", path=tmp_path):
        for name, mode in (("", 0o40550), ("binders", 0o40550), (".ibinderfs/status", 0o100440)):
            path = tmp_path / name
            shown = os.stat(path)
            assert (shown.st_uid, shown.st_gid, shown.st_mode) == (NOBODY, group.gr_gid, mode), path


def test_without_uid_the_mounting_user_owns_everything(sim, tmp_path):
    with mounted(sim, path=tmp_path):
        shown = os.stat(tmp_path / "binders")
        assert (shown.st_uid, shown.st_gid, shown.st_mode) == (os.getuid(), os.getgid(), 0o40555)


def test_an_ordinary_user_mounts_and_unmounts(sim):
    """By fusermount3, on a /dev/fuse that is open to everybody, as udev makes it."""
    with open_directory() as path:
        os.chown(path, NOBODY, NOBODY)
        env = environment_for(sim)
        command = [*OWN_DEV, "/nonexistent", *AS_NOBODY, BINARY]
        with background(path, env=env, path=path, command=command) as daemon:
            assert os.stat(f"/proc/{daemon.pid}/root").st_ino  # alive
            seen = daemon.inside(*AS_NOBODY, "stat", "-c", "%u %g %a", path / "binders")
            assert (seen.returncode, seen.stdout) == (0, f"{NOBODY} {NOBODY} 555\n"), seen.stderr
            (line,) = mounts_at(path, daemon.pid)
            assert f"user_id={NOBODY}" in line[-1] and {"nosuid", "nodev", "noexec", "ro"} <= set(line[5].split(","))
            done = daemon.inside(*AS_NOBODY, "fusermount3", "-u", path)
            assert done.returncode == 0, done.stderr
            daemon.wait_for_end()
        with background(path, env=env, path=path, command=command) as daemon:
            watcher = os.open(f"/proc/{daemon.pid}/ns/mnt", os.O_RDONLY)  # keeps the namespace to look at
            try:
                daemon.signal(signal.SIGTERM)
                daemon.wait_for_end()
                look = ["nsenter", f"--mount=/proc/self/fd/{watcher}", "cat", "/proc/self/mountinfo"]
                left = run(*look, pass_fds=[watcher])
                assert str(path) not in left
            finally:
                os.close(watcher)


def test_an_ordinary_user_s_dead_mount_is_cleared(sim):
    """Two starts in one namespace, with a kill between them."""
    script = f"""
        {BINARY} "$1" && ls "$1/binders" || exit 2
        kill -9 "$(pgrep -o -u {NOBODY} -f -x "{BINARY} $1")" # not its keeper, which is younger
        until ! stat -f "$1" 2>/dev/null; do :; done
        {BINARY} "$1" && ls "$1/binders" && fusermount3 -u "$1"
    """
    with open_directory() as path:
        os.chown(path, NOBODY, NOBODY)
        command = [*OWN_DEV, "/nonexistent", *AS_NOBODY, "sh", "-ec", script, "sh", str(path)]
        daemon = Background(command, environment_for(sim), path)
        assert daemon.returncode == 0, daemon.stderr
        daemon.kill()  # only to reap the two
        assert len(daemon.stdout.splitlines()) == 6


# --- Logging ---


def test_the_log_goes_to_syslog(sim, tmp_path):
    """With -f it would go to standard error, so log=syslog there has the same effect."""
    (tmp_path / "m").mkdir()
    env = environment_for(sim)
    for options in ([], ["-o", "log=syslog", "-o", "log_level=debug"]):
        with log_socket(tmp_path) as next_message:
            command = [*OWN_DEV, str(tmp_path / "log"), BINARY]
            with background(tmp_path / "m", *options, env=env, path=tmp_path / "m", command=command) as daemon:
                message = next_message()
                # <priority>date ibinderfs[pid]: …; 3 is LOG_DAEMON, 6 LOG_INFO.
                assert re.fullmatch(rf"<{3 * 8 + 6}>\S+ +\d+ [\d:]+ ibinderfs\[{daemon.pid}\]: "
                                    rf"{tmp_path}/m is mounted, version [\d.]+", message.rstrip("\n\0")), message
                daemon.signal(signal.SIGUSR1)
                while "status: server" not in message:
                    message = next_message()
        os.unlink(tmp_path / "log")


def test_failures_are_warnings_in_the_log_without_a_log_flood(sim, tmp_path):
    """The same failure again and again is one line."""
    sim.fault("binders", "status", times=-1, status=403)
    with mounted(sim, "ttl=0,stale=0", path=tmp_path) as mount:
        for _ in range(20):
            with pytest.raises(PermissionError):
                os.listdir(tmp_path / "binders")
        mount.wait_for_line("warning: binders:")
    # Ended: all is written and read.
    assert len([line for line in mount.lines if line.startswith("ibinderfs: warning: binders:")]) == 1, mount.log


def test_stderr_with_f_by_default_and_levels_are_heeded(sim, tmp_path):
    for level, expected in (("error", set()), ("info", {"is mounted", "is unmounted"})):
        process = subprocess.Popen([BINARY, str(tmp_path), "-f", "-o", f"log_level={level}"], env=environment_for(sim),
                                   stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: mounts_at(tmp_path))
            assert os.listdir(tmp_path)  # up, not only mounted
            run("umount", str(tmp_path))
            _, log = process.communicate(timeout=10)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0
        assert {words for words in ("is mounted", "is unmounted") if words in log} == expected, log


def test_in_the_background_standard_error_is_kept_if_it_is_the_log(sim, tmp_path):
    """As in: ibinderfs acme /mnt -o log=stderr 2>>/var/log/ibinderfs"""
    (tmp_path / "m").mkdir()
    command = ["sh", "-c", 'log=$1; shift; exec "$@" 2>"$log"', "sh", str(tmp_path / "log"), BINARY]
    path = tmp_path / "m"
    with background(path, "-o", "log=stderr", env=environment_for(sim), path=path, command=command) as daemon:
        daemon.signal(signal.SIGUSR1)
        wait_until(lambda: "ibinderfs: status: server" in (tmp_path / "log").read_text())


# --- Signals and the end ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("state", ["idle", "file open", "request under way"])
def test_a_signal_unmounts_and_ends_with_0(sim, number, state, tmp_path):
    if state == "request under way":
        sim.fault("binders", "hang", times=-1)
    with background(tmp_path, "-o", "timeout=30", env=environment_for(sim), path=tmp_path) as daemon:
        waiting = None
        if state == "file open":
            held = os.open(tmp_path / ".ibinderfs/status", os.O_RDONLY)
        elif state == "request under way":
            waiting = subprocess.Popen(["ls", str(tmp_path / "binders")], stderr=subprocess.PIPE, text=True)
            wait_until(lambda: "ibinderfs_waiters 1\n" in daemon.control("metrics"))
        daemon.signal(number)
        daemon.wait_for_end(within=10)  # not timeout=, which is 30
        assert not mounts_at(tmp_path)
        if waiting:
            _, told = waiting.communicate(timeout=5)
            assert waiting.returncode != 0 and told
        if state == "file open":
            close_dead(held)
    sim.clear()


def test_the_foreground_process_ends_on_sigint_with_0(sim):
    with mounted(sim) as mount:
        mount.signal(signal.SIGINT)
        mount.wait_for_end()
        assert not mounts_at(mount.path)
        assert "ending on signal 2" in mount.log


def test_sighup_forgets_listings(sim, tmp_path):
    with mounted(sim, "ttl=1000", path=tmp_path) as mount:
        before = sorted(os.listdir(tmp_path / "binders"))
        sim.change("add_binder", name="Ny pärm")
        assert sorted(os.listdir(tmp_path / "binders")) == before
        mount.signal(signal.SIGHUP)
        mount.wait_for_line("forgetting every listing")
        # The kernel's own copy is as old as ttl allows; a look at a name that it does not know asks us.
        wait_until(lambda: "Ny pärm" in os.listdir(tmp_path / "binders"))


def test_sighup_reads_the_secret_again(sim, tmp_path):
    """Rotated while mounted: the server forgets the old secret and every token got with it."""
    (tmp_path / "m").mkdir()
    secret = tmp_path / "acme.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (tmp_path / "config").write_text("[acme]\nclient_secret_file = acme.secret\n")
    env = {"IBINDER_CLIENT_SECRET": ""}
    options = [f"config={tmp_path}/config", "ttl=0,stale=0,timeout=2"]
    with mounted(sim, *options, source="acme", path=tmp_path / "m", env=env) as mount:
        assert os.listdir(mount / "binders")
        sim.control("POST", "/settings", client_secret="a new one")
        sim.control("POST", "/tokens/revoke")
        assert len(os.listdir(mount / "binders")) == 3  # as it was: refused, but not logged out
        wait_until(lambda: "\ntoken          refused" in mount.control("status"))
        sim.change("add_binder", name="Ny pärm")
        secret.write_text("a new one\n")
        mount.signal(signal.SIGHUP)
        wait_until(lambda: "\ntoken          held" in mount.control("status"))
        assert "Ny pärm" in os.listdir(mount / "binders")
        secret.chmod(0o644)
        mount.signal(signal.SIGHUP)
        mount.wait_for_line(rf"warning: secret: the one in use stays: .*chmod 600 {secret}")
        sim.change("add_binder", name="Nyare pärm")
        assert "Nyare pärm" in os.listdir(mount / "binders")


def test_sigusr1_writes_the_status_to_the_log(sim):
    with mounted(sim) as mount:
        assert os.listdir(mount / "binders")
        mount.signal(signal.SIGUSR1)
        mount.wait_for_line(rf"^ibinderfs: status: server +http://127.0.0.1:{sim.port}/api: answering$")
        mount.wait_for_line("^ibinderfs: status: token +held")
        mount.wait_for_line("^ibinderfs: status: listings +1 cached")


def test_sigpipe_and_many_signals_do_no_harm(sim):
    with mounted(sim) as mount:
        for _ in range(50):
            for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR1):
                mount.signal(number)
        assert len(os.listdir(mount / "binders")) == 3


@pytest.mark.parametrize("command", [["fusermount3", "-u"], ["umount"]])
def test_unmounting_ends_the_daemon_with_0(command, sim, tmp_path):
    with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
        assert os.listdir(tmp_path / "binders")
        run(*command, str(tmp_path))
        daemon.wait_for_end()
    assert not mounts_at(tmp_path)


@pytest.mark.parametrize("command, lazily", [(["fusermount3", "-u"], "-z"), (["umount"], "-l")])
def test_unmounting_in_use_is_refused_and_lazily_possible(command, lazily, sim, tmp_path):
    with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
        binder = sorted(os.listdir(tmp_path / "binders"))[0]
        with open(tmp_path / "binders" / binder / "binder.json", "rb") as file:
            done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
            assert done.returncode != 0 and "busy" in done.stderr
            assert os.listdir(tmp_path / "binders")
            run(*command, lazily, str(tmp_path))
            assert not mounts_at(tmp_path)
            # Who has a file open goes on reading it, and the daemon serves till the last one goes.
            assert file.read().startswith(b"{")
            os.kill(daemon.pid, 0)
        daemon.wait_for_end()


def test_mounting_again_at_once_works(sim, tmp_path):
    for _ in range(5):
        with background(tmp_path, env=environment_for(sim), path=tmp_path):
            assert len(os.listdir(tmp_path / "binders")) == 3


# --- Hardening, of a build without sanitizers ---


@pytest.fixture(scope="module")
def release():
    build = os.environ.get("IBINDERFS_RELEASE_BUILD")
    assert build, "IBINDERFS_RELEASE_BUILD is not set: it names a build directory without sanitizers; ./check makes one"
    binary = os.path.abspath(os.path.join(build, "ibinderfs"))
    assert "libasan" not in run("readelf", "-d", binary) and "__asan" not in run("readelf", "-Ws", "--dyn-syms", binary)
    return binary


def test_the_binary_is_hardened(release):
    header = run("readelf", "-Wh", release)
    assert re.search(r"Type: +DYN", header), "no PIE"
    segments = run("readelf", "-Wl", release)
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK .* RW ", segments), "executable stack"
    dynamic = run("readelf", "-Wd", release)
    assert re.search(r"FLAGS_1.*\bNOW\b.*\bPIE\b", dynamic) or "BIND_NOW" in dynamic, "no full RELRO"
    assert not re.search("RPATH|RUNPATH", dynamic)
    symbols = run("readelf", "-W", "--dyn-syms", release)
    assert "__stack_chk_fail" in symbols, "no stack protector"
    assert re.search(r"__(memcpy|snprintf|vsnprintf)_chk", symbols), "no FORTIFY"


# PTRACE_SEIZE, which does not stop its victim; the exit status is errno.
SEIZE = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(ctypes.get_errno() if libc.ptrace(0x4206, int(sys.argv[1]), None, None) else 0)
"""


def test_no_core_files_and_no_debuggers(release, sim, tmp_path):
    """A process of the same user with the same rights can look into others, not into the daemon."""
    without = ("setpriv", "--bounding-set=-sys_ptrace", "--")
    with background(tmp_path, env=environment_for(sim), path=tmp_path, command=[*without, release]) as daemon:
        limits = pathlib.Path(f"/proc/{daemon.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits), limits
        with subprocess.Popen([*without, "cat"], stdin=subprocess.PIPE) as control:
            wait_until(lambda: program_of(control.pid) == "cat")
            results = [subprocess.run([*without, "/usr/bin/python3", "-c", SEIZE, str(pid)], check=False).returncode
                       for pid in (control.pid, daemon.pid)]
            assert results == [0, errno.EPERM]


def test_the_release_build_mounts_as_well(release, sim, tmp_path):
    start = time.monotonic()
    with background(tmp_path, env=environment_for(sim), path=tmp_path, command=[release]) as daemon:
        assert len(os.listdir(tmp_path / "binders")) == 3
        daemon.signal(signal.SIGTERM)
        daemon.wait_for_end()
    assert time.monotonic() - start < 10
