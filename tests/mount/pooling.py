"""Tests that mostly wait, run at the same time; and what the tests of faults, token and trouble share.

A pooled test is a function of its case, with a simulator and a mount of its own. A module that has
some imports `results` and `pooled`.
"""

import concurrent.futures
import contextlib
import errno
import json
import signal
import socket
import time

import pytest

from mounting import wait_until

WORKERS = 12
# What other cases at the same time, two cores and sanitizers may add to a duration.
NOISE_S = 1.0


def leave_children_to_the_main_thread():
    """Else the end of a child, while the main thread starts another, can interrupt a call of ours."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})


@pytest.fixture(scope="module")
def results(request):
    """Of the module's pooled tests that this run has; they begin together."""
    items = [
        item
        for item in request.session.items
        if item.module is request.module and hasattr(item.function, "check")
    ]
    with concurrent.futures.ThreadPoolExecutor(WORKERS, initializer=leave_children_to_the_main_thread) as pool:
        futures = {item.nodeid: pool.submit(item.function.check, *item.callspec.params["case"]) for item in items}
        # The main thread has no other test meanwhile: the ends of their children would interrupt its calls.
        concurrent.futures.wait(futures.values())
        yield futures


def pooled(cases):
    """Makes a test of a function, for each of `cases`: tuples of its arguments."""

    def decorate(check):
        @pytest.mark.parametrize("case", cases, ids=lambda case: "-".join(map(str, case)) or "once")
        def test(results, request, case):
            results[request.node.nodeid].result()

        test.check = check
        test.__doc__ = check.__doc__
        return test

    return decorate


def outcome_of(call):
    """The name of the errno, None if the call worked; and the seconds that it took."""
    began = time.monotonic()
    try:
        call()
        name = None
    except OSError as error:
        name = errno.errorcode[error.errno]
    return name, time.monotonic() - began


def refusal_of(call):
    """The errno's name; fails if the call works."""
    name, _ = outcome_of(call)
    assert name, "the call works"
    return name


def works(call):
    return outcome_of(call)[0] is None


def until_works(call):
    """What a test needs before its trouble begins, where timeout= is short: while many cases start
    on a busy machine, not everything is there in time."""
    wait_until(lambda: works(call))


def wait_for_faults(sim, count):
    """Until planted faults have struck that often: whoever waits, waits perhaps for something that
    comes before, and a request takes time to arrive."""
    wait_until(lambda: sum(fault["fired"] for fault in sim.control("GET", "/faults")) == count)


def shorten_token(sim, mount, life_s):
    """Has the daemon hold a token of that life, just begun: its renewal is not under way yet."""
    sim.control("POST", "/settings", token_life=life_s)
    mount.signal(signal.SIGHUP)
    wait_until(lambda: 0 < mount.metrics()["token_life_seconds"] < life_s)


@contextlib.contextmanager
def reserved_port(number=0):
    """A port that refuses connections and that nobody gets by chance, but a simulator that is told to
    listen there."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", number))
        yield reserved.getsockname()[1]


def status(number, **more):
    """A fault: that HTTP status."""
    return {"kind": "status", "status": number, **more}


def binders_of(sim):
    return [json.loads(binder["raw"])["name"] for binder in sim.truth()]
