"""Fixtures: a simulated organisation, and a mount of it."""

import faulthandler
import pathlib
import signal

import pytest

from mounting import canary, mounted, simulated

# A hang shows where it stands, and fails.
faulthandler.dump_traceback_later(900, exit=True)
# A shell that runs us in the background has SIGINT ignored, and so would the commands of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def sim():
    with simulated("--binders=3", "--folders=8", "--depth=3", "--documents=120") as sim:
        yield sim


@pytest.fixture
def mount(sim):
    with mounted(sim) as mount:
        yield mount


@pytest.fixture(scope="session", autouse=True)
def no_core_files(tmp_path_factory):
    yield
    canary.look_at_core_files(tmp_path_factory.getbasetemp(), pathlib.Path.cwd() / "tests")
