"""One simulator per test: an ordinary organisation, or one of odd names and numbers."""

import pytest

from sim_client import running


@pytest.fixture
def sim():
    with running("--binders=2", "--folders=7", "--depth=3", "--documents=60") as sim:
        yield sim


@pytest.fixture
def odd():
    options = ("--binders=4", "--folders=20", "--depth=4", "--documents=300", "--odd-names", "--odd-numbers")
    with running(*options) as sim:
        yield sim
