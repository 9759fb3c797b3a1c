"""The commands that measure: linking and scoring."""

import json

from shell import run_module


def test_trials_on_the_twin(twin):
    databases = twin / "databases"
    linked = json.loads(
        run_module("tools.linking_trial", "--databases", databases, "--each", 2).stdout
    )
    assert linked["whole"]["precision"] == 1 and linked["pruned"]["precision"] >= 0.99
    done = run_module(
        "tools.scoring_agreement", "--questions", twin / "truth.jsonl", "--databases", databases,
        "--count", 60,
    )  # fmt: skip
    bird = json.loads(done.stdout)["BIRD, execution accuracy"]
    assert bird["differences"] == [] and bird["ours / theirs"]["True / True"] >= 15


def test_linking_trial_without_databases(tmp_path):
    assert "no <db_id>" in run_module("tools.linking_trial", "--databases", tmp_path).stderr
