"""The command that measures linking."""

import json

from shell import run_module


def test_linking_trial(twin, tmp_path):
    trial = run_module("tools.linking_trial", "--databases", twin / "databases", "--each", 2)
    linked = json.loads(trial.stdout)
    assert linked["whole"]["precision"] == 1 and linked["pruned"]["precision"] >= 0.99
    assert "no <db_id>" in run_module("tools.linking_trial", "--databases", tmp_path).stderr
