"""The machine under the daemon: no descriptors left, a full disk, a clock that steps; and a scan of
everything beside a person who looks for one thing."""

import concurrent.futures
import contextlib
import functools
import os
import pathlib
import re
import resource
import signal
import stat
import subprocess
import tempfile
import time

from background import background
from mounting import BINARY, api_requests, by_another, environment_for, mounted, run, simulated, wait_until
from pooling import NOISE_S, binders_of, outcome_of, until_works
from test_daemon import NOBODY, as_nobody, open_directory, release  # noqa: F401

FEW = ("--binders=6", "--folders=2", "--depth=1", "--documents=6")


@contextlib.contextmanager
def without_descriptors(pid):
    """What is open stays; nothing more can be."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_without_descriptors_calls_fail_in_time_and_what_is_cached_is_served():
    """The connections that there are hang, and there can be no others."""
    with simulated(*FEW) as sim, mounted(sim, "ttl=600,timeout=2") as mount:
        cached, *others = (mount / "binders" / name for name in binders_of(sim))
        by_another(os.listdir, cached)
        sim.fault("*", "hang", times=-1)
        with without_descriptors(mount.process.pid), concurrent.futures.ThreadPoolExecutor(len(others)) as pool:
            looks = [pool.submit(outcome_of, functools.partial(os.listdir, other)) for other in others]
            wait_until(lambda: "Could not" in mount.control("errors") or "Couldn't" in mount.control("errors"))
            assert os.listdir(cached) and mount.control("status")
            for look in looks:
                error, seconds = look.result()
                assert error in ("EHOSTUNREACH", "ETIMEDOUT") and seconds < 2 + 1 + NOISE_S
        sim.clear()
        for other in others:
            until_works(functools.partial(os.listdir, other))


def test_a_full_disk_under_the_log_is_no_reason_to_stop(sim, tmp_path):
    """Every line of a log on /dev/full fails with ENOSPC."""
    command = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", BINARY]
    with background(tmp_path, "-o", "log=stderr,log_level=debug", env=environment_for(sim), path=tmp_path,
                    command=command) as daemon:
        assert os.readlink(f"/proc/{daemon.pid}/fd/2") == "/dev/full"
        for binder in os.listdir(tmp_path / "binders"):
            os.listdir(tmp_path / "binders" / binder)


# Between the daemon and libc: a wall clock that is as far off as a file says.
CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now)
{
	char text[32] = "";
	int fd;
	if (syscall(SYS_clock_gettime, clock, now))
		return -1;
	if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
		return 0;
	fd = open("/run/STEP", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		now->tv_sec += atol(text);
	close(fd);
	return 0;
}
time_t time(time_t *out)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return out ? (*out = now.tv_sec) : now.tv_sec;
}
"""
DAY_S = 86400


def test_a_clock_that_steps_changes_no_age(release, tmp_path):  # noqa: F811
    """Listings stay fresh, tokens alive, deadlines what they are; only what is shown moves."""
    with simulated(*FEW) as sim, tempfile.NamedTemporaryFile("w", dir="/run", prefix="ibinderfs-clock-") as step:
        run("cc", "-shared", "-fPIC", "-x", "c", "-o", str(tmp_path / "clock.so"), "-",
            input=CLOCK.replace("/run/STEP", step.name).encode())
        os.chmod(step.name, 0o644)
        (tmp_path / "m").mkdir()
        env = {**environment_for(sim), "LD_PRELOAD": str(tmp_path / "clock.so")}
        with background(tmp_path / "m", "-o", "ttl=3000,timeout=2", env=env, path=tmp_path / "m",
                        command=[release]) as daemon:
            binders = [tmp_path / "m/binders" / name for name in os.listdir(tmp_path / "m/binders")]
            by_another(os.listdir, binders[0])
            for number, days in enumerate((3, -3, 0)):
                until_works(lambda: by_another(os.listdir, binders[0]))
                sim.settle()
                sim.control("POST", "/stats/reset")
                pathlib.Path(step.name).write_text(str(days * DAY_S), encoding="ascii")
                by_another(os.listdir, binders[0])
                (binders[0] / "binder.json").read_bytes()
                assert api_requests(sim) == {}, days  # all fresh, also the token
                sim.fault("drive", "status", times=-1, status=429, retry_after="60")
                error, seconds = outcome_of(functools.partial(os.listdir, binders[1 + number]))
                assert error in ("EBUSY", None) and 1.9 < seconds < 3  # None: an old one is shown then
                shown = time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * DAY_S))
                assert re.search(rf"^{shown}T\S+ EBUSY ", daemon.control("errors"), re.M)
                sim.clear()
                tokens = sim.stats()["tokens_issued"]
                daemon.signal(signal.SIGHUP)  # ends the pause
                wait_until(lambda: sim.stats()["tokens_issued"] > tokens)
            assert "token          held" in daemon.control("status")


# --- Who looks, and who scans ---


def test_a_scan_of_everything_does_not_starve_who_looks_for_one_thing():
    """In requests that the server answers until the one has what it wants: not what the scan still needs."""
    many = 60
    connections = 4
    options = (f"--binders={many}", "--folders=1", "--depth=1", "--documents=2", "--latency-ms=50")
    with simulated(*options) as sim, mounted(sim, f"connections={connections},timeout=30") as mount:
        names = sorted(os.listdir(mount / "binders"))
        last = names[-1]
        with subprocess.Popen(["find", str(mount / "binders"), "-type", "f"], stdout=subprocess.DEVNULL) as scan:
            wait_until(lambda: sum(api_requests(sim).values()) > 20)
            before = sum(api_requests(sim).values())
            by_another(os.listdir, mount / "binders" / last)
            answered = sum(api_requests(sim).values()) - before
            assert scan.poll() is None, "the scan was over first"
            scan.kill()
        # Its own three, and what the scan gets over the other connections meanwhile.
        assert answered <= 6 * connections, answered


# --- allow_other ---


def test_allow_other_shows_nothing_that_umask_forbids(sim):
    """By no path, whoever has looked before: the owner has everything in the kernel's cache."""
    with open_directory() as path, mounted(sim, "allow_other,umask=077,sizes=exact", path=path) as mount:
        binder = next(path for path in sorted((mount / "binders").iterdir()) if path.is_dir())
        document = next(path for path in sorted((mount / "files").rglob("*")) if path.is_file())
        link = mount / "by-id/binders" / os.listdir(mount / "by-id/binders")[0]
        paths = (path, binder / "binder.json", document, link, mount / ".ibinderfs/config", mount / "by-id/documents")
        for seen in paths:
            mode = os.lstat(seen).st_mode
            assert stat.S_ISLNK(mode) or mode & 0o077 == 0, (seen, oct(mode))
            for command in ("cat", "ls", "stat", "readlink"):
                status, told = as_nobody(command, seen)
                if seen == path and command == "stat":
                    continue  # of the mount point itself
                assert status != 0 and (command == "readlink" or "Permission denied" in told), (command, seen, told)
    with open_directory() as path, mounted(sim, f"allow_other,umask=077,uid={NOBODY}", path=path):
        assert as_nobody("ls", path / "binders")[0] == 0


