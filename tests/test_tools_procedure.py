"""A run beside the notebooks' procedure: both ways are measured, and the ratio is theirs."""

import re

import pytest
import tiny_model

from tools.procedure import procedure
from workflow_scripts.model.train import train


def test_both_ways_are_measured(tiny, tmp_path, capsys):
    run = tiny_model.arguments(tmp_path, tiny, tiny_model.settings())
    train(**run)
    capsys.readouterr()
    procedure(run["out"], tiny / "val.parquet", tiny / "base", steps=2, answers=2)
    made, _, *lines = capsys.readouterr().out.splitlines()
    assert re.search(r"[1-9]\d* steps, 36 answers$", made)  # 18 + 9 of its own, 9 of the file
    assert [line[:20].strip() for line in lines] == [
        "a step", "its layers alone", "an answer", "the run"
    ]  # fmt: skip
    for line in lines:
        notebooks, here, ratio = map(float, re.findall(r"[\d.]+", line))
        assert notebooks > 0 and here > 0
        assert ratio == pytest.approx(notebooks / here, rel=0.02, abs=0.06)
