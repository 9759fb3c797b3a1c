"""Controls of the ablation: what they change, and that it is what they say."""

from collections import Counter
from itertools import islice

import pytest
import tiny_model
from conftest import ROOT, overlaid

from workflow_scripts.config import ablation_names, recipe_settings
from workflow_scripts.config_check import checked
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.model.batches import TrainingData, read_sample, with_other_sources
from workflow_scripts.tables import Row, read_rows
from workflow_scripts.text.audit import audit_rows, summarise
from workflow_scripts.text.fit import RowFile
from workflow_scripts.text.preprocessing import model_input


def rows(counts: dict[str, int], questions: int = 100) -> list[Row]:
    """`counts[task]` rows of each task in turn, of so many questions; a source names its row."""
    empty = Row(**dict.fromkeys(Row._fields))
    tasks = [task for place in range(100) for task in TASKS if place < counts[task]]
    return [
        empty._replace(idx=idx, task=task, question=f"{idx % questions}?", source=f"source {idx}")
        for idx, task in enumerate(tasks)
    ]


@pytest.mark.parametrize("questions", [100, 7])
def test_another_rows_source_is_of_the_same_task_and_asks_something_else(questions):
    own = rows({"Selector": 20, "Decomposer": 30, "Refiner": 15}, questions)
    by_source = {row.source: row for row in own}
    given = with_other_sources(own, 1)
    for before, after in zip(own, given, strict=True):
        other = by_source[after.source]
        assert other.task == before.task and other.question != before.question
        assert after._replace(source=before.source) == before
    assert Counter(row.source for row in given) == Counter(list(by_source))
    assert with_other_sources(own, 1) == given != with_other_sources(own, 2)
    # A row that is alone has no other.
    with pytest.raises(EssenceError, match=r"1 of 1 Decomposer rows ask the same.*Ask for more"):
        with_other_sources(rows({"Selector": 4, "Decomposer": 1, "Refiner": 4}), 1)


def test_training_and_answers_see_the_same_other_sources(tiny):
    path = tiny / "val.parquet"
    other = tiny_model.settings(run={"sources": "other"})
    asked = read_sample(path, other)
    assert asked == with_other_sources(read_rows(path), other.seed)
    trained = TrainingData.load(path, path, tiny / "base", other)
    sources = trained.reads.sources([row.source for row in asked])
    for part in (trained.train, trained.val):
        assert [each["input_ids"] for each in part] == sources


def test_controls_that_are_called_uncut_cut_nothing_of_the_twin(twin):
    config = checked(overlaid("full_prompt.yaml"))
    names = [name for name in ablation_names(config) if name.endswith("uncut")]
    rows = list(islice(RowFile(twin / "rows.jsonl"), 0, None, 25))
    targets = [row.target for row in rows]
    for name in names:
        reads = model_input(ROOT / config["model"]["base"], recipe_settings(config, name), targets)
        found = summarise(audit_rows(rows, reads))
        assert found.sources_cut == 0 and found.question_kept == len(rows)
    assert names == ["repaired~own_sections_uncut", "repaired~full_prompt_uncut"]
