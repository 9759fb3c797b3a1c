"""The commands that measure: linking and scoring."""

import json

from material import ROOT
from shell import run_module


def test_benchmark_on_made_up_databases():
    done = run_module(
        "tools.scoring_benchmark", "--predictions", 60, "--hostile", 0.3, "--seconds", 2
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["predictions"] == 60 == answer["databases"]
    assert answer["hostile"] >= 8 and sum(answer["verdicts"].values()) == 60
    assert answer["verdicts"]["right"] >= 10 and answer["verdicts"]["refused"] >= 1
    assert "together" in run_module("tools.scoring_benchmark", "--databases", ROOT).stderr


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
