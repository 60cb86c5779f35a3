"""What the measurements of metadata share: organisations, commands over them, what those cost the daemon,
the script that people write in place of a mount, and the floor.
"""

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import tempfile

from model import command, cpu_seconds, ended_by_id, run_timed, set_speed, status_of
from mounting import BUILD, clean_environment, mounted, simulated, wait_until
from sim_client import SECRET, TENANT

PAGE = 250
CONNECTIONS = 16  # the mount's default
PARALLEL = 8

COLUMNS = {
    "API requests": (lambda cost: cost["requests"], ".0f"),
    "upcalls": (lambda cost: cost["upcalls"], ".0f"),
    "daemon CPU s": (lambda cost: cost["cpu"], ".3f"),
    "peak MiB": (lambda cost: cost["peak"] / (1 << 20), ".0f"),
}

# What a user types; each is run as COMMAND PATH by a shell.
COMMANDS = {
    "ls": "ls",
    "find": "find",
    "find -size": "f() { find \"$1\" -size +100k; }; f",
    "ls -lR": "ls -lR",
    "grep -r": "grep -r NoSuchText",
    "rg": "rg NoSuchText",
}


@dataclasses.dataclass(frozen=True)
class Organisation:
    binders: int
    folders: int  # of each binder
    documents: int  # of each binder
    depth: int = 3

    @property
    def total(self):
        return self.binders * self.documents

    @property
    def entries(self):
        """Lines of a `find` over binders/."""
        return 1 + self.binders * (3 + 2 * self.folders + self.documents)

    @property
    def requests(self):
        """Token, binders, drive and schema of each, each folder, each page."""
        pages = -(-self.documents // PAGE)
        return 2 + self.binders * (2 + self.folders + pages)

    @property
    def most_requests(self):
        return 5 + 2 * self.binders + self.binders * self.folders + -(-self.total // PAGE)

    @property
    def chain(self):
        """The longest chain of calls that need one another: token, binders, drive, each level of folders."""
        return 3 + self.depth

    def bound(self, latency_ms):
        return latency_ms / 1000 * (self.chain + self.requests / CONNECTIONS)

    def simulated(self, *more):
        return simulated(f"--binders={self.binders}", f"--folders={self.folders}", f"--documents={self.documents}",
                         f"--depth={self.depth}", *more)

    def __str__(self):
        return f"{self.total:,} documents in {self.binders} binder{'s' * (self.binders > 1)}"


# --- Commands, and what they cost the daemon ---


def run_command(name, path):
    """Runs one of COMMANDS; its output goes to a file, as `grep` stops early for /dev/null. Returns the time."""
    with tempfile.TemporaryFile() as output:
        status, taken = run_timed(["sh", "-c", f'{COMMANDS[name]} "$1"', "sh", path], stdout=output)
        no_match = name in ("grep -r", "rg") and status == 1
        assert status == 0 or no_match, (name, status)
        output.seek(0)
        run_command.lines = sum(1 for _ in output)
    return taken


def find_all(organisation, path):
    """The time of a `find` that finds everything."""
    taken = run_command("find", path)
    assert run_command.lines == organisation.entries, (run_command.lines, organisation.entries)
    return taken


def requests_so_far(sim):
    return sum(sim.stats()["routes"].values())


def upcalls(mount, *kinds):
    """All so far, or those of some kinds. Those that read the counters are not counted themselves."""
    counted = {name.removeprefix("upcalls_").removesuffix("_total"): value
               for name, value in mount.metrics().items() if name.startswith("upcalls_")}
    return sum(value for kind, value in counted.items() if not kinds or kind in kinds)


@contextlib.contextmanager
def costs(sim, mount, cost):
    """Puts into `cost` what the daemon did meanwhile, until its last request has ended."""
    requests, calls, cpu = requests_so_far(sim), upcalls(mount), cpu_seconds(mount.process.pid)
    yield
    sim.settle()
    cost["cpu"] = cpu_seconds(mount.process.pid) - cpu
    cost["peak"] = status_of(mount.process.pid, "VmHWM")
    cost["requests"] = requests_so_far(sim) - requests
    cost["upcalls"] = upcalls(mount) - calls


@contextlib.contextmanager
def fresh_mount(sim, cost, *options, **more):
    """A mount that has just been started, its token perhaps still under way; `cost` is of its whole life."""
    sim.control("POST", "/stats/reset")
    with mounted(sim, *options, **more) as mount:
        yield mount
        sim.settle()
        cost["requests"] = requests_so_far(sim)
        cost["upcalls"] = upcalls(mount)
        cost["cpu"] = cpu_seconds(mount.process.pid)
        cost["peak"] = status_of(mount.process.pid, "VmHWM")


def wait_for_token(sim):
    wait_until(lambda: sim.stats()["routes"]["token"] == 1)
    sim.settle()


def drop_kernel_caches():
    """Names and attributes of every filesystem of this machine. Needs root."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("2")


def folders_of(sim):
    """Relative paths of all folders, binder by binder in the order of a listing."""
    set_speed(sim)
    with mounted(sim) as mount:
        return [[path.relative_to(mount.path) for top, names, _ in os.walk(binder)
                 for path in (pathlib.Path(top, name) for name in sorted(names))]
                for binder in (pathlib.Path(entry.path) for entry in os.scandir(mount / "binders"))]


# --- The script ---

# $1: number of the page; saves each document's JSON as ID.json.
PAGE_SCRIPT = r"""
curl -sf -H @headers -d '{"MetadataFilters":[]}' "$API/documents?pageSize=250&pageNumber=$1" >page.$1 || exit 255
jq -r '.items[] | .id, tojson' page.$1 | awk 'NR % 2 { file = $0 ".json"; next } { print >file; close(file) }'
"""
DUMP_SCRIPT = r"""
set -e
token=$(curl -sf -d grant_type=client_credentials -d scope=ibinder_public -d client_id=sim-client \
	--data-urlencode client_secret@"$SECRET_FILE" "$AUTH" | jq -r .access_token)
printf 'Authorization: Bearer %s\nx-ibinder-tenantid: %s\nContent-Type: application/json\n' "$token" "$TENANT" >headers
sh "$PAGE" 1
pages=$((($(jq .totalCount page.1) + 249) / 250))
seq 2 $pages | xargs -r -P"$PARALLEL" -n1 sh "$PAGE"
"""


def dump_by_script(sim, organisation, parallel, server=None, authority=None):
    """The time in which the script, with `parallel` pages at a time, has saved every document."""
    base = server.url("") if server else f"http://127.0.0.1:{sim.port}"
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scripts:
        page, secret = pathlib.Path(scripts, "page"), pathlib.Path(scripts, "secret")
        page.write_text(PAGE_SCRIPT)
        secret.write_text(SECRET)
        environment = {**clean_environment(), "API": f"{base}/api", "AUTH": f"{base}/connect/token",
                       "TENANT": TENANT, "SECRET_FILE": str(secret), "PAGE": str(page), "PARALLEL": str(parallel),
                       **({"CURL_CA_BUNDLE": str(authority)} if authority else {})}
        status, taken = run_timed(["sh", "-c", DUMP_SCRIPT], cwd=directory, env=environment)
        assert status == 0, status
        saved = sum(1 for _ in pathlib.Path(directory).glob("*.json"))
        assert saved == organisation.total, (saved, organisation.total)
    return taken


# --- The floor ---


def copy_of(mount, target):
    """A copy of binders/ on the local disk."""
    command("cp", "-r", mount / "binders", target)
    assert sum(len(names) for _, _, names in os.walk(target)) > 0
    return target


@contextlib.contextmanager
def floor(source, scratch, *options):
    """A mount of the floor over a copy of `source`."""
    path = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    program = pathlib.Path(BUILD, "tests", "bench", "floor")
    with ended_by_id(subprocess.Popen([program, *options, source, path], stdout=subprocess.PIPE)) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield path
        finally:
            subprocess.run(["fusermount3", "-u", path], check=True)
            process.wait(timeout=60)
    path.rmdir()
