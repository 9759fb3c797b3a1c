"""The tools that measure: what they print has its numbers. (test_documents.py calls the others.)"""

import json
import re

import pytest
import torch
from material import made_database
from shell import run_module
from test_agents_loop import SHOP

from tools.gpu_check import cell, compared, gpu_check
from tools.narrowing_trial import narrowing_trial
from workflow_scripts.errors import EssenceError


@pytest.mark.slow
def test_the_check_of_a_gpu_measures_every_line():
    done = run_module("tools.gpu_check", "--device", "cpu", "--tiny")
    assert done.returncode == 0, done.stderr
    machine, _, _, _, *lines = done.stdout.splitlines()
    assert re.search(r" cores; Python 3\.\d+.*, torch .*; commit \w+", machine)
    assert len(lines) == 1 + 6 + 2 + 2 + 1  # losses, steps, answers, trainings at once, rehearsal
    for line in lines:
        _, here, notebooks = (each.strip() for each in line.strip("|").split("|"))
        both = "A step" in line or "Answers" in line
        assert re.match(r"[\d.,]*[1-9]", here) and bool(notebooks) == both, line


def test_the_check_of_a_gpu_says_what_it_needs_and_goes_on_after_a_fault(monkeypatch):
    def no_room():
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert cell(no_room) == "out of memory"
    for bf16 in (10.0, float("nan")):
        assert "failed: " in cell(lambda loss=bf16: compared(loss, 11.0))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EssenceError, match=r"no GPU is visible here.* --tiny"):
        gpu_check()


def test_the_trial_of_narrowing_counts_needed_tables(tmp_path, capsys):
    parts = "CREATE TABLE part (part_id INTEGER, colour TEXT); CREATE TABLE maker (maker TEXT);"
    for name, script in {"shops": SHOP, "parts": parts, "again": parts, "sold": SHOP}.items():
        made_database(tmp_path / f"{name}.sqlite", script)
    questions = [
        {"db_id": "shops", "question": "Which towns?", "query": "SELECT town FROM shop"},
        {"db_id": "shops", "question": "Who?", "query": "SELECT buyer FROM sale NATURAL JOIN shop"},
        {"db_id": "parts", "question": "Which colour?", "query": "SELECT colour FROM part"},
        {"db_id": "elsewhere", "question": "Which?", "query": "SELECT x FROM y"},
    ]
    (tmp_path / "questions.json").write_text(json.dumps(questions))
    narrowing_trial(tmp_path, tmp_path / "questions.json", keep=[1, 4])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["questions"], answer["tables"]) == (3, 4.0), "no table of a name twice"
    assert answer["all_needed_tables_stay"]["4"] == 1
    assert 0 < answer["all_needed_tables_stay"]["1"] < 1
    assert answer["characters_narrowed"]["1"] < answer["characters"]
