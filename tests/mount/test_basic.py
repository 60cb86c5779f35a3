"""A mount shows an organisation, and ends cleanly."""

import json
import os


def test_listing_and_reading(sim, mount):
    truth = sim.truth()
    assert sorted(os.listdir(mount.path)) == [".ibinderfs", "binders", "by-id", "files", "search"]
    assert sorted(os.listdir(mount / "binders")) == sorted(json.loads(b["raw"])["name"] for b in truth)
    for binder in truth:
        raw = json.loads(binder["raw"])
        assert json.loads((mount / "binders" / raw["name"] / "binder.json").read_text()) == raw
