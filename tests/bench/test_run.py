"""The benchmark is not run by the tests; that it can be asked what it measures keeps it from rotting unseen."""

import pathlib
import subprocess

RUN = pathlib.Path(__file__).with_name("run")


def run(*arguments):
    return subprocess.run([RUN, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_each_measurement_has_a_name_and_says_what_it_is():
    done = run("--list")
    assert (done.returncode, done.stderr) == (0, "")
    named = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert {"find-cold", "warm", "memory", "fair-walk", "cp"} <= set(named)
    assert all(named.values())


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    done = run("no-such")
    assert done.returncode == 1
    assert "find-cold" in done.stderr and "no-such" in done.stderr
