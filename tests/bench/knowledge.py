"""A knowledge base: one listing of everything, beside the script that people would write."""

import contextlib
import pathlib
import subprocess
import tempfile
import types

import inbenta_client
from inbenta_client import Inbenta
from model import Line, Measurement, Sample, in_turn, run_timed, scaled, status_of
from mounting import account_of, clean_environment, mounted, simulated
from organisations import COLUMNS, costs, fresh_mount, run_command

CONTENTS, CATEGORIES = scaled((20000, 400), (600, 20))
LENGTH = 100
LATENCIES_MS = scaled((0, 50), (20,))
NAME = f"{CONTENTS:,} contents in {CATEGORIES} categories"
ALLOWED = "allowed"
# The token, the categories, and the pages, of which those asked for ahead may be too many.
MOST_REQUESTS = 2 + -(-CONTENTS // (LENGTH - 1)) + 8
JSON = "their JSON as sent"

# Saves each content's JSON as ID.json; $1: the page's offset.
SCRIPT = r"""
set -e
printf '{"secret": %s}' "$SECRET_JSON" >secret
grant=$(curl -sf -H "x-inbenta-key: $KEY" -H 'Content-Type: application/json' -d @secret "$AUTH/auth")
api=$(printf %s "$grant" | jq -r .apis.knowledge)
printf 'x-inbenta-key: %s\nAuthorization: Bearer %s\n' "$KEY" "$(printf %s "$grant" | jq -r .accessToken)" >headers
offset=0 more=true
while [ $more = true ]; do
	curl -sf -H @headers "$api/v1/contents?length=100&offset=$offset&tracking=0" >page
	jq -r '.results[] | .id, tojson' page | awk 'NR % 2 { file = $0 ".json"; next } { print >file; close(file) }'
	more=$(jq .hasMore page) offset=$((offset + 100))
done
"""


@contextlib.contextmanager
def world():
    with simulated(f"--contents={CONTENTS}", f"--categories={CATEGORIES}", "--clicks=all", kind=Inbenta) as sim:
        yield types.SimpleNamespace(sim=sim)


def set_speed(sim, latency=0):
    """The vendor has no storage, so the others' settings are not all its."""
    sim.set(latency_ms=latency)


def dump_by_script(sim):
    """The time in which the script has saved every content, page by page: it cannot know how many there are."""
    account = account_of(sim)
    with tempfile.TemporaryDirectory() as directory:
        environment = {**clean_environment(), "AUTH": account["INBENTA_AUTH_URL"], "KEY": inbenta_client.KEY,
                       "SECRET_JSON": r'"s3cr\"t\\/+% ñ"'}
        status, taken = run_timed(["sh", "-c", SCRIPT], cwd=directory, env=environment, stdout=subprocess.DEVNULL)
        assert status == 0, status
        assert sum(1 for _ in pathlib.Path(directory).glob("*.json")) == CONTENTS
    return taken


def find_all(mount):
    taken = run_command("find", mount / "knowledge")
    assert run_command.lines > CONTENTS + 2 * CATEGORIES, run_command.lines
    return taken


def find_cold(world, turn, latency):
    """`find` over knowledge/ as soon as the mount is up, beside the script."""
    cost = {}
    set_speed(world.sim, latency)

    def through_mount():
        with fresh_mount(world.sim, cost, "timeout=60") as mount:
            taken = find_all(mount)
        assert world.sim.stats()["clicks"] == 0
        return taken

    return Sample(in_turn(turn, {"mount": through_mount, "script": lambda: dump_by_script(world.sim)}), cost)


def requests(world, turn, name):
    """Requests of a command over a fresh mount, or after `find`."""
    cost = {}
    set_speed(world.sim)
    with fresh_mount(world.sim, cost if name == "find" else {}, "timeout=60") as mount:
        find_all(mount)
        if name != "find":
            with costs(world.sim, mount, cost):
                run_command(name, mount.path)
    return Sample({"mount": cost["requests"], ALLOWED: MOST_REQUESTS if name == "find" else 0}, cost)


def warm(world, turn, name):
    """A command over knowledge/ once everything is cached."""
    cost = {}
    set_speed(world.sim)
    with mounted(world.sim, "ttl=36000", "timeout=60") as mount:
        find_all(mount)
        run_command(name, mount / "knowledge")
        with costs(world.sim, mount, cost):
            taken = run_command(name, mount / "knowledge")
    return Sample({"mount": taken}, cost)


def memory(world, turn):
    """Resident bytes for each content after a `find`, beside what the API sent of it."""
    cost = {}
    set_speed(world.sim)
    with fresh_mount(world.sim, cost, "timeout=60") as mount:
        before = status_of(mount.process.pid, "VmRSS")
        find_all(mount)
        held = status_of(mount.process.pid, "VmRSS") - before
    sent = world.sim.stats()["bytes"]["contents"]
    return Sample({"mount": held / CONTENTS, JSON: sent / CONTENTS}, cost)


def show_count(count):
    return f"{count:.0f}"


MEASUREMENTS = {
    "knowledge-cold": Measurement(
        f"find over a fresh mount of a knowledge base, {NAME}, beside a script of curl and jq",
        world, find_cold,
        [Line(f"`find`, {NAME}, {ms} ms", {"latency": ms}) for ms in LATENCIES_MS], COLUMNS),
    "knowledge-requests": Measurement(
        "API requests of find over a fresh mount of the same, and of what follows",
        world, requests,
        [Line(f"requests of `{name}`{' after it' if name != 'find' else ''}, {NAME}", {"name": name}, show_count,
              {ALLOWED: 1}) for name in ("find", "grep -r", "ls -lR")],
        COLUMNS),
    "knowledge-warm": Measurement(
        "commands over a mount of the same, everything cached",
        world, warm,
        [Line(f"`{name}`, {NAME}, warm", {"name": name}) for name in ("find", "ls -lR", "grep -r")], COLUMNS),
    "knowledge-memory": Measurement(
        "memory for each content of the same, after find",
        world, lambda world, turn: memory(world, turn),
        [Line(f"bytes for each of {NAME}", {}, show_count)], COLUMNS),
}
