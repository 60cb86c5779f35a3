"""One simulator per test, of either vendor: with ordinary contents, or with odd names and numbers."""

import pytest

from inbenta_client import Inbenta
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


@pytest.fixture
def kb():
    with running("--contents=150", "--categories=9", "--category-depth=3", kind=Inbenta) as sim:
        yield sim


@pytest.fixture
def odd_kb():
    options = ("--contents=300", "--categories=20", "--category-depth=4", "--odd-names", "--odd-numbers",
               "--odd-categories", "--size-min=0", "--ids=mixed")
    with running(*options, kind=Inbenta) as sim:
        yield sim
