"""mount(8), fstab and the installed files.

Everything is installed below a temporary directory, which a private mount namespace shows where it
belongs: mount(8) finds /sbin/mount.ibinderfs, and that finds the program, while the machine stays
as it was.
"""

import os
import pathlib
import pwd
import re
import signal
import subprocess

import pytest

from background import Background, background, mounts_at, unescaped, unmount_all
from mounting import (
    BUILD,
    SECRET,
    api_requests,
    clean_environment,
    environment_for,
    mounted,
    need,
    run,
    wait_until,
)
from sim_client import TENANT

SOURCES = pathlib.Path(__file__).resolve().parents[2]
NOBODY = pwd.getpwnam("nobody").pw_uid


def cached(name):
    """A setting of the build."""
    return re.search(rf"^{name}:\w+=(.*)$", pathlib.Path(BUILD, "CMakeCache.txt").read_text(), re.M)[1]


PREFIX = cached("CMAKE_INSTALL_PREFIX")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Where the program is installed, as packages are made."""
    root = tmp_path_factory.mktemp("root")
    run("cmake", "--install", BUILD, env={**os.environ, "DESTDIR": str(root)})
    return root


@pytest.fixture(scope="module")
def installed(root):
    """Words before a command that runs it where the installed files are in place."""
    assert PREFIX not in ("/", "/usr"), "this would hide the system's own programs"
    (helper,) = root.rglob("mount.ibinderfs")
    script = f'mount --bind "{root}{PREFIX}" "{PREFIX}" && mount --bind "{helper.parent}" /usr/sbin && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh"]


@pytest.fixture
def place(sim, tmp_path):
    """A directory with configuration, secret and mount point."""
    (tmp_path / "m").mkdir()
    (tmp_path / "acme.secret").write_text(SECRET)
    (tmp_path / "acme.secret").chmod(0o600)
    (tmp_path / "config").write_text(f"""
[acme]
tenant_id = {TENANT}
client_id = sim-client
client_secret_file = acme.secret
api_url = http://127.0.0.1:{sim.port}/api
auth_url = http://127.0.0.1:{sim.port}/connect/token
""")
    return tmp_path


def the_mount(daemon):
    """(mount's options, type, source, file system's options)"""
    (line,) = mounts_at(daemon.path, daemon.pid)
    dash = line.index("-")
    return set(line[5].split(",")), line[dash + 1], line[dash + 2], set(line[dash + 3].split(","))


def test_mount_and_umount(installed, place):
    command = [*installed, "mount", "-t", "ibinderfs", "acme", place / "m", "-o", f"config={place}/config,ttl=5"]
    with background(env=clean_environment(), path=place / "m", command=map(str, command)) as daemon:
        assert len(os.listdir(daemon / "binders")) == 3
        options, kind, source, _ = the_mount(daemon)
        assert {"ro", "nosuid", "nodev", "noexec"} <= options
        assert (kind, unescaped(source)) == ("fuse.ibinderfs", "ibinderfs#acme")
        assert "ttl = 5\n" in daemon.control("config")
        done = daemon.inside("umount", place / "m")
        assert done.returncode == 0, done.stderr
        daemon.wait_for_end()


def test_mount_fails_with_the_reason(installed, place):
    command = [*installed, "mount", "-t", "ibinderfs", "akme", place / "m", "-o", f"config={place}/config"]
    daemon = Background([*map(str, command)], clean_environment(), place / "m")
    daemon.kill()
    assert daemon.returncode != 0 and not daemon.left
    assert f"ibinderfs: error: {place}/config: there is no section [akme]; it has acme\n" in daemon.stderr


def fstab(place, options, name="acme"):
    (place / "fstab").write_text(f"{name}  {place}/m  ibinderfs  {options},config={place}/config  0  0\n")
    return place / "fstab"


@pytest.mark.parametrize("what", ["one", "all"])
def test_an_fstab_line(what, installed, place):
    """As the manual page and the example have it."""
    table = fstab(place, f"_netdev,nofail,x-systemd.automount,uid={NOBODY},allow_other")
    place.chmod(0o755)
    words = ["mount", "-T", table, place / "m"] if what == "one" else ["mount", "-a", "-T", table]
    with background(env=clean_environment(), path=place / "m", command=map(str, [*installed, *words])) as daemon:
        assert len(os.listdir(daemon / "binders")) == 3
        assert {"allow_other", "default_permissions"} <= the_mount(daemon)[3]
        assert os.stat(daemon / "binders").st_uid == NOBODY
        done = daemon.inside("umount", place / "m")
        assert done.returncode == 0, done.stderr
        daemon.wait_for_end()


def test_mount_a_again_leaves_the_mount_as_it_is(installed, place):
    """mount(8) does not recognise it by its source; a second one would hide the first."""
    table = fstab(place, "_netdev,nofail")
    command = map(str, [*installed, "mount", "-a", "-T", table])
    with background(env=clean_environment(), path=place / "m", command=command) as daemon:
        done = daemon.inside("mount", "-a", "-T", table)
        assert "already mounted" in done.stderr
        the_mount(daemon)
        assert len(os.listdir(daemon / "binders")) == 3


def test_mount_a_leaves_noauto_lines_alone(installed, place):
    table = fstab(place, "_netdev,nofail,noauto")
    daemon = Background([*installed, "mount", "-a", "-T", str(table)], clean_environment(), place / "m")
    daemon.kill()
    assert (daemon.returncode, daemon.left) == (0, set()), daemon.stderr


# All that mount(8), fstab(5) and systemd.mount(5) say to every file system.
IGNORED = ("_netdev,nofail,auto,noauto,defaults,user,users,nouser,owner,group,ro,rw,suid,nosuid,dev,nodev,exec,noexec,"
           "relatime,noatime,nodiratime,sync,async,x-systemd.automount,x-systemd.idle-timeout=600,x-gvfs-show,"
           "x-systemd.requires=network-online.target,comment=of any kind")


def test_ignored_options_are_accepted_and_have_no_effect(sim, tmp_path):
    with background(tmp_path, "-o", IGNORED, env=environment_for(sim), path=tmp_path) as daemon:
        options, _, _, special = the_mount(daemon)
        assert {"ro", "nosuid", "nodev", "noexec"} <= options and "rw" not in special
    for option in IGNORED.split(","):
        done = run(os.path.join(BUILD, "ibinderfs"), "--check", "-o", option, env=environment_for(sim))
        assert "FAILED" not in done


def test_options_that_mount_passes_on_are_accepted(installed, place):
    table = fstab(place, "_netdev,nofail,noauto,user,sync,noatime,rw,exec,x-systemd.automount,comment=c")
    with background(env=clean_environment(), path=place / "m",
                    command=map(str, [*installed, "mount", "-v", "-T", table, place / "m"]), says=None) as daemon:
        options = the_mount(daemon)[0]
        assert {"ro", "nosuid", "nodev", "noexec"} <= options


@pytest.mark.parametrize("words, status", [
    (["-f"], 0), (["-s", "-n", "-v", "-f", "-t", "ibinderfs", "-o", "rw"], 0), (["-x"], 1),
])
def test_the_helper_s_own_flags(words, status, root, place):
    """Faked, it does nothing; what it does not know is an error."""
    (helper,) = root.rglob("mount.ibinderfs")
    done = subprocess.run([helper, "acme", place / "m", *words], capture_output=True, check=False, timeout=20)
    assert done.returncode == status
    assert not mounts_at(place / "m")


def test_the_helper_without_arguments_says_how(root):
    (helper,) = root.rglob("mount.ibinderfs")
    done = subprocess.run([helper], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("usage: mount.ibinderfs SOURCE")


def test_mount_into_another_namespace(installed, place):
    """mount -N: mount(8) stays where it is, and leaves it to the helper to go there."""
    script = """
        here=$(readlink /proc/self/ns/mnt)
        unshare -m cat /dev/zero >/dev/null & there=$!
        until [ "$(readlink /proc/$there/ns/mnt)" != "$here" ]; do :; done
        mount -N /proc/$there/ns/mnt -t ibinderfs acme "$1" -o "config=$2"; status=$?
        kill $there; wait $there
        grep -F " $1 " /proc/self/mountinfo && status=3
        exit $status
    """
    command = [*installed, "sh", "-c", script, "sh", str(place / "m"), str(place / "config")]
    with background(env=clean_environment(), path=place / "m", command=command, says=None) as daemon:
        assert len(os.listdir(daemon / "binders")) == 3


def test_installing_puts_everything_in_its_place(root):
    top = pathlib.Path(f"{root}{PREFIX}")
    files = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    for expected in ("bin/ibinderfs", "libexec/ibinderfs/ibinderfs-sim", "lib/systemd/system/ibinderfs@.service",
                     "share/man/man1/ibinderfs.1", "share/man/man8/mount.ibinderfs.8",
                     "share/bash-completion/completions/ibinderfs", "share/doc/ibinderfs/updatedb-prunefs.conf"):
        assert expected in files, sorted(files)
    assert not [file for file in files if file.endswith(".in") or "@CMAKE" in file]
    (helper,) = root.rglob("mount.ibinderfs")
    for file in (helper, root / f"{PREFIX[1:]}/lib/systemd/system/ibinderfs@.service"):
        assert "@CMAKE" not in file.read_text() and f"{PREFIX}/bin/ibinderfs" in file.read_text()
    for program in (helper, f"{root}{PREFIX}/bin/ibinderfs", f"{root}{PREFIX}/libexec/ibinderfs/ibinderfs-sim"):
        assert os.access(program, os.X_OK)


def test_installing_with_another_prefix_keeps_to_it(tmp_path):
    """cmake --install --prefix: nothing goes elsewhere, and the helper finds its program."""
    script = """
        mount -t tmpfs none "$1" && cmake --install "$2" --prefix "$3" >&2 && find "$1" -type f &&
        exec "$3/sbin/mount.ibinderfs" acme /nonexistent
    """
    command = ["unshare", "-m", "sh", "-c", script, "sh", PREFIX, BUILD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**clean_environment(), "PATH": "/usr/bin:/bin"}, check=False, timeout=30)
    assert done.stdout == "", "outside of the prefix"
    assert "ibinderfs: error: no configuration file for [acme]" in done.stderr, done.stderr


@pytest.mark.parametrize("page", ["man1/ibinderfs.1", "man8/mount.ibinderfs.8"])
def test_manual_pages_have_no_warnings(page, root):
    need("man")
    path = f"{root}{PREFIX}/share/man/{page}"
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_page_names_every_setting_and_option(root):
    page = re.sub(r"\\(.)", r"\1", pathlib.Path(f"{root}{PREFIX}/share/man/man1/ibinderfs.1").read_text())
    usage = run(os.path.join(BUILD, "ibinderfs"), "--help")
    settings = re.findall(r"^  ([a-z]\w+)(?:=| )", usage, re.M)
    assert len(settings) > 20
    for word in [*settings, "--check", "--demo", "--help", "--version", *re.findall(r"(?:IBINDER|INBENTA)_\w+", usage)]:
        assert word in page, word


def test_completion_offers_options_settings_and_sections(root, place):
    script = f"""
        source /usr/share/bash-completion/bash_completion 2>/dev/null
        source {root}{PREFIX}/share/bash-completion/completions/ibinderfs
        XDG_CONFIG_HOME={place}
        try() {{
            COMP_LINE=$1 COMP_POINT=${{#1}} COMPREPLY=()
            read -ra COMP_WORDS <<<"$1"; COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _ibinderfs 2>/dev/null; printf '%s|' "${{COMPREPLY[@]}}"; echo
        }}
        mkdir -p {place}/ibinderfs; cp {place}/config {place}/ibinderfs/config
        cd {place}
        try 'ibinderfs --ch'; try 'ibinderfs -o log_l'; try 'ibinderfs -o ttl=5,log_level=d'; try 'ibinderfs ac'
    """
    lines = run("bash", "-c", script).splitlines()
    assert lines[0] == "--check|" and lines[1] == "log_level=|", lines
    assert lines[2] in ("ttl=5,log_level=debug|", "debug|"), lines
    assert "acme" in lines[3].split("|"), lines


def test_the_unit_is_sound(installed, root):
    need("systemd-analyze")
    unit = f"{PREFIX}/lib/systemd/system/ibinderfs@.service"
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit.replace("@", "@acme")]
    done = subprocess.run([*installed, *command], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_the_unit_is_as_closed_as_a_mount_allows(installed):
    """Without a mount namespace of its own, which would hide the mount; 100 is wide open."""
    unit = f"{PREFIX}/lib/systemd/system/ibinderfs@.service"
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=40", unit]
    done = subprocess.run([*installed, *command], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout[-300:]


def system_calls(words):
    """Those that a SystemCallFilter= of these words names."""
    groups = {word for word in words if word[0] == "@"}
    names = set(words) - groups
    if not groups:
        return names
    lines = run("systemd-analyze", "syscall-filter", "--no-pager", *groups)
    names |= {line.strip() for line in lines.splitlines() if re.match(r"    \w", line)}
    return names | system_calls(re.findall(r"^    (@[\w-]+)$", lines, re.M))


def test_the_unit_s_filter_knows_what_is_called(sim, tmp_path):
    """By the daemon and its keeper, from the start to the end."""
    need("strace")
    unit = pathlib.Path(f"{SOURCES}/mount-helper/ibinderfs@.service.in").read_text()
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.M):
        words = line.lstrip("~").split()
        allowed = allowed - system_calls(words) if line[0] == "~" else allowed | system_calls(words)
    assert {"mount", "umount2"} <= allowed and not {"reboot", "init_module", "chroot", "settimeofday"} & allowed
    build = os.environ.get("IBINDERFS_RELEASE_BUILD")
    assert build, "IBINDERFS_RELEASE_BUILD is not set: it names a build directory without sanitizers; ./check makes one"
    binary = os.path.abspath(os.path.join(build, "ibinderfs"))
    (tmp_path / "m").mkdir()
    command = ["strace", "-f", "-qq", "-o", str(tmp_path / "calls"), binary, str(tmp_path / "m"), "-f"]
    env = environment_for(sim, IBINDER_API_URL=f"http://localhost:{sim.port}/api")  # a name to resolve
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.ismount(tmp_path / "m"))
        assert os.listdir(tmp_path / "m/binders")
        status = (tmp_path / "m/.ibinderfs/status").read_text()
        pid = int(re.search(r", process (\d+),", status)[1])
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: sim.stats()["tokens_issued"] == 2)
        next(path for path in (tmp_path / "m/files").rglob("*") if path.is_file()).read_bytes()
        os.kill(pid, signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        unmount_all(tmp_path / "m")
        process.kill()
        process.wait()
    called = set(re.findall(r"^\d+ +(\w+)\(", (tmp_path / "calls").read_text(), re.M))
    assert {"landlock_restrict_self", "capset", "mount", "umount2", "openat", "socket"} <= called
    assert called <= allowed, called - allowed


def test_updatedb_leaves_a_mount_alone_once_told(sim, tmp_path):
    """By the command that the installed snippet has; without it every directory is listed."""
    need("updatedb")
    (tmp_path / "m").mkdir()
    snippet = (SOURCES / "mount-helper/updatedb-prunefs.conf").read_text()
    (told,) = re.findall(r"^# +(sed .*) /etc/updatedb\.conf$", snippet, re.M)
    config = tmp_path / "updatedb.conf"
    config.write_text('PRUNE_BIND_MOUNTS="no"\nPRUNEPATHS="/nonexistent"\nPRUNEFS="NFS afs"\n')
    scan = ["unshare", "-m", "sh", "-c", 'mount --bind "$1" /etc/updatedb.conf && exec updatedb -l no -U "$2" -o "$3"',
            "sh", str(config), str(tmp_path), str(tmp_path / "db")]

    def lists():
        with mounted(sim, path=tmp_path / "m"):
            sim.control("POST", "/stats/reset")
            run(*scan)
            return sum(api_requests(sim).values()) - api_requests(sim).get("token", 0)

    assert lists() >= 3  # it is a scan of this mount
    for _ in range(2):  # the second time it changes nothing
        run("sh", "-c", f'{told} "$1"', "sh", str(config))
        assert config.read_text().count("fuse.ibinderfs") == 1
        assert lists() == 0


def test_the_unit_leaves_what_mounting_needs(installed, place):
    """What can be had of it without systemd: its command, credential, capabilities and umask."""
    unit = pathlib.Path(f"{SOURCES}/mount-helper/ibinderfs@.service.in").read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.M))
    assert settings["CapabilityBoundingSet"] == "CAP_SYS_ADMIN" and settings["NoNewPrivileges"] == "yes"
    assert settings["LoadCredential"].startswith("client_secret:") and settings["Type"] == "forking"
    words = settings["ExecStart"].replace("@CMAKE_INSTALL_FULL_BINDIR@", f"{PREFIX}/bin")
    words = words.replace("/mnt/%i", f"{place}/m").replace("%i", "acme").split()
    (place / "credentials").mkdir(mode=0o700)
    (place / "acme.secret").rename(place / "credentials/client_secret")
    (place / "credentials/client_secret").chmod(0o400)
    config = (place / "config").read_text().replace("acme.secret", "client_secret")
    (place / "config").write_text(config)
    command = [*installed, "setpriv", "--bounding-set=-all,+sys_admin", "--no-new-privs", "--",
               "sh", "-c", 'umask 077; exec "$@"', "sh", *words, "-o", f"config={place}/config"]
    env = {**clean_environment(), "CREDENTIALS_DIRECTORY": str(place / "credentials")}
    with background(env=env, path=place / "m", command=command) as daemon:
        assert len(os.listdir(daemon / "binders")) == 3
        status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
        assert re.search(r"CapEff:\s+0{16}\nCapBnd:\s+0000000000200000\n", status), status
        assert oct(os.stat(daemon / "binders").st_mode) == "0o40555"
        daemon.signal(15)
        daemon.wait_for_end()


def example_lines():
    lines = (SOURCES / "mount-helper/fstab.example").read_text().splitlines()
    return [line.lstrip("# ").split() for line in lines if re.match(r"#? ?acme ", line)]


@pytest.mark.parametrize("fields", example_lines())
def test_the_example_lines_for_fstab_work(fields, installed, place):
    assert len(fields) == 6 and (fields[2], fields[4:]) == ("ibinderfs", ["0", "0"])
    command = [*installed, "mount", "-T", fstab(place, fields[3]), place / "m"]
    with background(env=clean_environment(), path=place / "m", command=map(str, command)) as daemon:
        assert len(os.listdir(daemon / "binders")) == 3
