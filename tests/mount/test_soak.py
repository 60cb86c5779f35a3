"""A short soak, to see that the long one (soak.py) works and finds what is wrong."""

from soak import Sample, Soak, soak


def test_readers_get_what_is_right_through_changes_and_faults():
    run = soak(seconds=8, every=1, seed=1)
    assert not run.wrong, run.wrong[:10]
    assert sum(run.operations.values()) > 50 and run.errors, (run.operations, run.errors)
    assert {sample.threads for sample in run.samples} and len(run.samples) >= 5


def test_what_grows_is_found(sim, mount):
    run = Soak(sim, mount, 1)
    run.samples = [Sample(n, 10000, 2000, 20, 5, 0, 0, 0, 0) for n in range(30)]
    assert run.problems() == []
    run.samples = [Sample(n, 10000 + 200 * n, 2000, 20 + n, 5, 0, 0, 0, 0) for n in range(30)]
    assert [problem.split()[0] for problem in run.problems()] == ["rss_kb", "descriptors"]
    run.wrong = ["x: other bytes"]
    assert run.problems()[0] == "x: other bytes"
