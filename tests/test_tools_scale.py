"""The measurement of rows against time: its rows can be read, and its stages take its arguments."""

import importlib
import json
from pathlib import Path

import pytest
import sample_rows as made

from tools.scale import stages, varied
from workflow_scripts import stage
from workflow_scripts.data.rows import row_from
from workflow_scripts.formats.prompts import TASKS

FUNCTIONS = {"profile": "profile_stage"}  # of a module, where they have another name


def test_repeated_rows_differ_in_idx_question_and_sql():
    lines = [json.dumps(made.raw(n, task, 1, n)) for n, task in enumerate(TASKS)]
    rows = [row_from(json.loads(line), n) for n, line in enumerate(varied(lines, 9))]
    assert [row.task for row in rows] == [*TASKS] * 3
    assert len({row.idx for row in rows}) == len({row.question for row in rows}) == 9
    assert len({row.gold_sql for row in rows if row.gold_sql}) == 6


@pytest.mark.parametrize("name", stages(Path("folder"), Path("base"), "as_written"))
def test_every_stage_takes_its_arguments(name):
    module, *arguments = stages(Path("folder"), Path("base"), "as_written")[name]
    loaded = importlib.import_module(f"workflow_scripts.{module}")
    last = module.rpartition(".")[2]
    assert stage.arguments(getattr(loaded, FUNCTIONS.get(last, last)), arguments)
