"""Keeps the benchmark from rotting unseen: times are for people, but that it can be asked what it measures, and that
the floor builds and shows what it was given, is checked."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mount")]

from mounting import BUILD, read_tree  # noqa: E402
from organisations import floor  # noqa: E402


def run(*arguments):
    return subprocess.run([HERE / "run", *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_each_measurement_has_a_name_and_says_what_it_is():
    done = run("--list")
    assert (done.returncode, done.stderr) == (0, "")
    named = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert {"find-cold", "warm", "memory", "fair-walk", "cp", "knowledge-cold"} <= set(named)
    assert all(named.values())


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    done = run("no-such")
    assert done.returncode == 1
    assert "find-cold" in done.stderr and "no-such" in done.stderr


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    subprocess.run(["cmake", "--build", BUILD, "--target", "bench-floor"], check=True, stdout=subprocess.DEVNULL)
    top = tmp_path_factory.mktemp("tree")
    (top / "empty").mkdir()
    (top / "many").mkdir()
    for number in range(1000):  # more than one reply holds
        (top / "many" / f"{number} {'long' * 40}").write_bytes(b"x" * number)
    (top / "large").write_bytes(os.urandom(1 << 20))
    return top


@pytest.mark.parametrize("options", [(), ("--no-open",)])
def test_the_floor_shows_what_it_was_given_and_nothing_else(tree, tmp_path, options):
    with floor(tree, tmp_path, *options) as path:
        assert read_tree(path) == read_tree(tree)
        assert not (path / "many" / "no such").exists()
