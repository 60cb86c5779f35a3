"""Tests that mostly wait, run at the same time; and what the tests of faults, token and trouble share.

A pooled test is a function of its case, with a simulator and a mount of its own. A module that has
some imports `results` and `pooled`.
"""

import concurrent.futures
import errno
import json
import signal
import time

import pytest

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
        yield {item.nodeid: pool.submit(item.function.check, *item.callspec.params["case"]) for item in items}


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


def status(number, **more):
    """A fault: that HTTP status."""
    return {"kind": "status", "status": number, **more}


def binders_of(sim):
    return [json.loads(binder["raw"])["name"] for binder in sim.truth()]
