"""Controls of the ablation: what they change, and that it is what they say."""

from collections import Counter
from itertools import islice

import pytest
import tiny_model
import yaml
from conftest import ROOT, merged

from workflow_scripts.config import ablation_names, recipe_settings, run_settings, runs_of
from workflow_scripts.config_check import checked
from workflow_scripts.data.other_sources import with_other_sources
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.model.batches import TrainingData, read_sample
from workflow_scripts.tables import Row, read_rows
from workflow_scripts.text.audit import audit_rows, summarise
from workflow_scripts.text.fit import RowFile
from workflow_scripts.text.preprocessing import model_input


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def rows(counts: dict[str, int], questions: int = 100) -> list[Row]:
    """`counts[task]` rows of each task in turn, of so many questions; a source names its row."""
    unasked = dict.fromkeys(Row._fields)
    tasks = [task for place in range(100) for task in TASKS if place < counts[task]]
    return [
        Row(**unasked | {"idx": idx, "task": task, "question": f"{idx % questions}?"}
            | {"source": f"source {idx}", "target": f"target {idx}"})
        for idx, task in enumerate(tasks)
    ]  # fmt: skip


@pytest.mark.parametrize("questions", [100, 7])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_rows_source_is_of_the_same_task_and_asks_something_else(seed, questions):
    own = rows({"Selector": 20, "Decomposer": 30, "Refiner": 15}, questions)
    by_source = {row.source: row for row in own}
    given = with_other_sources(own, seed)
    for before, after in zip(own, given, strict=True):
        other = by_source[after.source]
        assert other.task == before.task and other.question != before.question
        assert after._replace(source=before.source) == before
    assert Counter(row.source for row in given) == Counter(list(by_source))


def test_which_row_follows_from_the_seed():
    own = rows({"Selector": 20, "Decomposer": 30, "Refiner": 0})
    assert with_other_sources(own, 1) == with_other_sources(own, 1) != with_other_sources(own, 2)


@pytest.mark.parametrize("counts", [(1, 4, 4), (4, 1, 4)])
def test_a_row_that_is_alone_has_no_other(counts):
    with pytest.raises(EssenceError, match=r"1 of 1 \w+ rows ask the same.*Ask for more rows"):
        with_other_sources(rows(dict(zip(TASKS, counts, strict=True))), 1)


def test_training_and_answers_see_the_same_other_sources(tiny):
    path = tiny / "val.parquet"
    own, other = (tiny_model.settings(run={"sources": name}) for name in ("own", "other"))
    assert read_sample(path, own) == read_rows(path)
    asked = read_sample(path, other)
    assert asked == with_other_sources(read_rows(path), other.seed)
    trained = TrainingData.load(path, path, tiny / "base", other)
    sources = trained.reads.sources([row.source for row in asked])
    assert [each["input_ids"] for each in trained.val] == sources == [
        each["input_ids"] for each in trained.train
    ]  # fmt: skip
    labels = [each["labels"] for each in trained.val]
    assert labels == [
        each["labels"] for each in TrainingData.load(path, path, tiny / "base", own).val
    ]


def test_a_control_is_the_repaired_recipe_and_run_but_for_its_settings(config):
    config["recipes"]["repaired"]["runs"] = {"exp5_long": {"rows": 300}}
    config["ablation"]["controls"] = {
        "both": {"prompt": "own", "source_tokens": 900, "starts_from": "random"},
        "mixed_up": {"sources": "other", "patience": None},
        "gone": None,
    }
    config = checked(config)
    names = [name for name in ablation_names(config) if "~" in name]
    assert names == ["repaired~both", "repaired~mixed_up"]
    base = run_settings(config, "repaired", "exp5_long", 1)
    both, mixed_up = (run_settings(config, name, "exp5_long", 1) for name in names)
    changed = {"name": "repaired~both", "prompt": "own", "source_tokens": 900}
    assert both == base.model_copy(update={"recipe": base.recipe.model_copy(update=changed)})
    assert runs_of(config, "repaired~both")["exp5_long"]["starts_from"] == "random"
    assert runs_of(config, "repaired")["exp5_long"]["starts_from"] == "base"
    assert mixed_up.run == base.run.model_copy(update={"sources": "other", "patience": None})
    assert base.run.patience is not None
    assert mixed_up.recipe == base.recipe.model_copy(update={"name": "repaired~mixed_up"})
    assert mixed_up.run.rows == 300


def test_an_unknown_setting_of_a_control_is_named(config):
    config["ablation"]["controls"]["mine"] = {"source": "other"}
    with pytest.raises(EssenceError, match=r"ablation.controls.mine: unknown key source. Known"):
        checked(config)


def test_controls_that_are_called_uncut_cut_nothing_of_the_twin(config, twin):
    overlay = yaml.safe_load((ROOT / "configs/full_prompt.yaml").read_text())
    config = checked(merged(config, overlay))
    names = [name for name in ablation_names(config) if name.endswith("uncut")]
    rows = list(islice(RowFile(twin / "rows.jsonl"), 0, None, 25))
    targets = [row.target for row in rows]
    for name in names:
        reads = model_input(ROOT / config["model"]["base"], recipe_settings(config, name), targets)
        found = summarise(audit_rows(rows, reads))
        assert found.sources_cut == 0 and found.question_kept == len(rows)
    assert names == ["repaired~own_sections_uncut", "repaired~full_prompt_uncut"]
