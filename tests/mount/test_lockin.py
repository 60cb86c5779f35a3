"""The daemon locks itself in, and a keeper does what it can no longer do. What the lock denies is
tried by tests/unit/test_lockin.c; here the real daemon is looked at."""

import errno
import os
import pathlib
import re
import signal
import subprocess

import pytest

from background import background, mounts_at, program_of, unmount_all
from mounting import BINARY, environment_for, mounted, wait_until
from nginx import Authority, nginx


def status_of(pid):
    return dict(re.findall(r"^(\w+):\t(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))


def keeper_of(pid):
    (keeper,) = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert program_of(keeper) == "ibinderfs-keep"
    return int(keeper)


def descriptors(pid):
    return {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}


def is_alive(pid):
    return os.path.exists(f"/proc/{pid}/exe") and status_of(pid)["State"][0] != "Z"


def test_the_daemon_has_no_power_left(sim, tmp_path):
    with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
        os.listdir(tmp_path / "binders")
        status = status_of(daemon.pid)
        assert (status["NoNewPrivs"], status["CapEff"], status["CapPrm"]) == ("1", "0" * 16, "0" * 16)
        keeper = keeper_of(daemon.pid)
        assert status_of(keeper)["NoNewPrivs"] == "0"  # fusermount3 could not unmount
        *standard, socket = (target for _, target in sorted(descriptors(keeper).items()))
        assert standard == ["/dev/null"] * 3 and socket.startswith("socket:")
    assert not is_alive(keeper)


def test_what_the_daemon_may_not_read_it_cannot(sim, tmp_path):
    """Another file in the place of the one that was there at the start. The token comes another way."""
    authority = Authority(tmp_path)
    ca_file = tmp_path / "the.crt"
    for replaced in (False, True):
        ca_file.write_bytes(authority.file.read_bytes())
        (tmp_path / str(replaced)).mkdir()
        with nginx(tmp_path / str(replaced), sim.port, authority.certificate("good")) as server:
            env = {"IBINDER_API_URL": server.url("/api")}
            with mounted(sim, f"ca_file={ca_file}", "timeout=5", env=env) as mount:
                if not replaced:
                    assert len(os.listdir(mount / "binders")) == 3
                    continue
                (tmp_path / "new").write_bytes(authority.file.read_bytes())
                (tmp_path / "new").rename(ca_file)
                with pytest.raises(OSError) as caught:
                    os.listdir(mount / "binders")
                assert caught.value.errno == errno.EPROTO
                assert str(ca_file) in mount.control("errors")


# As on a kernel without Landlock: its three system calls are unknown. NR, ERRNO(ENOSYS), ALLOW.
WITHOUT_LANDLOCK = """
import ctypes, os, struct, sys
steps = [(0x20, 0, 0, 0), (0x35, 0, 2, 444), (0x35, 1, 0, 447), (0x06, 0, 0, 0x50026), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_landlock_the_daemon_mounts_and_says_what_is_missing(sim, tmp_path):
    command = ["/usr/bin/python3", "-c", WITHOUT_LANDLOCK, BINARY]
    log = tmp_path / "log"
    (tmp_path / "m").mkdir()
    words = ["sh", "-c", 'log=$1; shift; exec "$@" 2>"$log"', "sh", str(log), *command]
    with background(tmp_path / "m", "-o", "log=stderr", env=environment_for(sim), path=tmp_path / "m",
                    command=words) as daemon:
        assert os.listdir(tmp_path / "m/binders")
        assert status_of(daemon.pid)["NoNewPrivs"] == "1"
        told = log.read_text()
        assert "warning: this kernel does not let the daemon lock itself in: Function not implemented" in told, told


def test_the_keeper_goes_with_a_killed_daemon_and_leaves_the_dead_mount(sim, tmp_path):
    """An empty directory in its place could be taken for an organisation that is empty."""
    with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
        keeper = keeper_of(daemon.pid)
        daemon.kill()
        wait_until(lambda: not is_alive(keeper))
        with pytest.raises(OSError) as caught:
            os.statvfs(tmp_path)
        assert caught.value.errno == errno.ENOTCONN
        unmount_all(tmp_path)


def test_a_secret_read_again_leaves_no_process_behind(sim, tmp_path):
    with mounted(sim, path=tmp_path) as mount:
        os.listdir(mount / "binders")
        keeper = keeper_of(mount.process.pid)
        for _ in range(3):
            tokens = sim.stats()["tokens_issued"]
            mount.signal(signal.SIGHUP)
            wait_until(lambda: sim.stats()["tokens_issued"] > tokens)
            wait_until(lambda: not pathlib.Path(f"/proc/{keeper}/task/{keeper}/children").read_text())


def test_without_its_keeper_the_daemon_serves_on_and_ends_well(sim, tmp_path):
    """Only it cannot unmount; the next start clears what is left."""
    with mounted(sim, "timeout=2", path=tmp_path) as mount:
        keeper = keeper_of(mount.process.pid)
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: not is_alive(keeper))
        mount.signal(signal.SIGHUP)
        mount.wait_for_line("warning: secret: the one in use stays: the process that reads it does not answer")
        assert len(os.listdir(mount / "binders")) == 3
        mount.signal(signal.SIGTERM)
        mount.wait_for_end()
        assert len(mounts_at(tmp_path)) == 1
        says = f"ibinderfs: {tmp_path}: cleared a dead mount\n"
        with background(tmp_path, env=environment_for(sim), path=tmp_path, says=says):
            assert len(os.listdir(tmp_path / "binders")) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_to_both_as_a_terminal_or_systemd_sends_it_does_not_keep_the_keeper(sim, number, tmp_path):
    with background(tmp_path, env=environment_for(sim), path=tmp_path) as daemon:
        keeper = keeper_of(daemon.pid)
        os.kill(keeper, number)
        daemon.signal(number)
        if number in (signal.SIGHUP, signal.SIGUSR1):
            assert len(os.listdir(tmp_path / "binders")) == 3
            daemon.signal(signal.SIGTERM)
        daemon.wait_for_end()
        assert not mounts_at(tmp_path)
    assert not is_alive(keeper)


def test_a_severed_connection_is_the_end_and_leaves_no_dead_mount(sim, tmp_path):
    """As an administrator does who finds no other way: /sys/fs/fuse/connections/N/abort."""
    with mounted(sim, path=tmp_path) as mount:
        os.listdir(mount / "binders")
        (line,) = mounts_at(tmp_path)
        number = os.minor(os.stat(tmp_path).st_dev)
        assert line[2] == f"0:{number}"
        abort(number)
        mount.wait_for_end()
        assert not mounts_at(tmp_path)


def abort(number):
    """Where fusectl is not mounted, in a namespace where it is."""
    script = 'mount -t fusectl none /sys/fs/fuse/connections 2>/dev/null; echo 1 >"/sys/fs/fuse/connections/$1/abort"'
    subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", str(number)], check=True)
