"""Some of the daemon's allocations fail: who asks just then is told ENOMEM, or shown what is right.
Nothing crashes or leaks, nothing is shown that is not so, and with memory again all is well."""

import errno
import os
import random
import signal
import subprocess

import pytest

from mounting import BUILD, SANITIZER_WORDS, Inbenta, Sim, environment_for, mounted, read_tree, simulated

BINARY = os.path.abspath(os.path.join(BUILD, "tests", "unit", "ibinderfs-oom"))
TOGGLE = signal.SIGRTMIN
ROUNDS = 6
STARTS = 5
PROVIDERS = {"binders": "ibinder", "knowledge": "inbenta"}
LOOKED_AT = ("by-id", ".ibinderfs/status", ".ibinderfs/errors", ".ibinderfs/metrics")
SEED = int(os.environ.get("IBINDERFS_SEED", random.randrange(10**6)))


def wander(path, right, told):
    """All that can be read below a path must be as in `right`; errors go to `told`."""
    for top, dirs, files in os.walk(path, onerror=told.append):
        shown = {os.path.relpath(os.path.join(top, name), path) for name in dirs + files}
        below = os.path.relpath(top, path)
        assert shown == {name for name in right if (os.path.dirname(name) or ".") == below}, top
        for name in files:
            try:
                with open(os.path.join(top, name), "rb") as file:
                    assert file.read() == right[os.path.relpath(file.name, path)], file.name
            except OSError as error:
                told.append(error)


@pytest.fixture(params=["binders", "knowledge"])
def small(request):
    kinds = {
        "binders": (Sim, "--binders=2", "--folders=4", "--depth=2", "--documents=24"),
        "knowledge": (Inbenta, "--categories=4", "--contents=24"),
    }
    kind, *options = kinds[request.param]
    with simulated(*options, kind=kind) as sim:
        sim.top = request.param
        yield sim


@pytest.mark.parametrize("content", ["on", "off"])
@pytest.mark.parametrize("one_of", [20, 200])
def test_allocations_fail(small, one_of, content):
    print(f"IBINDERFS_SEED={SEED}")
    env = {"OOM_ONE_OF": str(one_of), "OOM_SEED": str(SEED)}
    with mounted(small, "ttl=0", "stale=0", f"content={content}", binary=BINARY, env=env) as mount:
        views = (small.top, "files") if content == "on" else (small.top,)
        right = {view: read_tree(mount / view) for view in views}
        told = []
        mount.signal(TOGGLE)
        for _ in range(ROUNDS):
            for view in right:
                wander(mount / view, right[view], told)
            for name in (*LOOKED_AT, *(("search/a",) if small.top == "binders" else ())):
                look_at(mount / name, told)
        mount.signal(TOGGLE)
        assert {error.errno for error in told} <= {errno.ENOMEM}, told
        assert told or one_of > 20
        for view in right:
            assert read_tree(mount / view) == right[view]


def look_at(path, told):
    try:
        if path.is_dir():
            os.listdir(path)
        else:
            text = path.read_text()
            # A text is whole; that of the errors is empty as long as there was none.
            assert text.endswith("\n") or (text == "" and path.name == "errors"), path
    except OSError as error:
        told.append(error)


def test_starting(small):
    """--check goes through configuration, secret, token and a listing: it says what it cannot, and ends."""
    print(f"IBINDERFS_SEED={SEED}")
    ends = set()
    for turn in range(STARTS):
        env = {**environment_for(small), "OOM_AT_ONCE": "1", "OOM_ONE_OF": "100", "OOM_SEED": str(SEED + 1000 * turn)}
        command = [BINARY, "--check", "-o", f"timeout=0.5,provider={PROVIDERS[small.top]}"]
        done = subprocess.run(
            command, env=env, text=True, timeout=30, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        assert not any(word in done.stdout for word in SANITIZER_WORDS), (turn, done.stdout)
        assert done.returncode in (0, 1), (turn, done)
        assert done.stdout, turn
        ends.add(done.returncode)
    assert 1 in ends
