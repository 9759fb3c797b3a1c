"""What repairs are worth, and differences between runs: paired over the same rows."""

import math

import pytest
import report_files as made

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims import ablation
from workflow_scripts.report.runs import Run
from workflow_scripts.report.tables import differences

NOTE = "generated twin data"


def test_the_ablation_measures_paired_effects(tmp_path):
    sizes = {
        "as_written": 0,
        "as_written+tokenizer": 0.25,
        "repaired-tokenizer": 0,
        "repaired": 0.5,
    }
    folders = [
        made.make_run(tmp_path, made.recipe(name), "r", exact_match=share)
        for name, share in sizes.items()
    ]
    frame = ablation.table([Run(folder) for folder in folders], "as_written", "repaired", "test")
    lines = frame[frame["metric"] == "exact_match"].set_index("recipe")
    assert lines.loc["as_written+tokenizer", "effect"] == pytest.approx(3 / 12)
    lost = lines.loc["repaired-tokenizer"]
    assert lost["effect"] == pytest.approx(-0.5) and lost["effect_high"] < 0
    assert lost["artefact"] == "A2" and math.isnan(lines.loc["repaired", "effect"])
    with pytest.raises(EssenceError, match="no run of the recipe repaired"):
        ablation.steps_of(["as_written"], "as_written", "repaired")


def test_seeds_that_agree_do_not_narrow_an_interval(tmp_path):
    """They answer the same rows, so five seeds are not five times the rows."""

    def all_rows(seeds):
        folders = [
            made.make_run(tmp_path / str(len(seeds)), made.recipe(name), "r", seed=seed, **share)
            for name, share in (("as_written", {}), ("repaired", {"exact_match": 0.5}))
            for seed in seeds
        ]
        return differences.differences([Run(folder) for folder in folders])

    assert all_rows((1, 2, 3, 4, 5)).equals(all_rows((1,)))


def test_where_nothing_was_executed_the_rest_is_compared(tmp_path):
    folders = [
        made.make_run(tmp_path, made.recipe(name), "r", exact_match=share)
        for name, share in (("as_written", 0), ("repaired", 0.5))
    ]
    for folder in folders:
        (folder / "verdicts.parquet").unlink()
    runs = [Run(folder) for folder in folders]
    of_text = {"exact_match", "exact_match_decoded", "rouge_l"}
    assert set(differences.differences(runs)["metric"]) == of_text
    frame = ablation.table(runs, "as_written", "repaired", "test")
    assert set(frame["metric"]) == of_text | {"loss_per_token"}
    steps = ablation.steps_of(["as_written", "repaired"], "as_written", "repaired")
    assert len(ablation.draw(frame, steps, "What each repair is worth").axes) == 3


def test_differences_are_paired_over_the_same_rows(tmp_path):
    sizes = {("as_written", "exp3_bs4_lr1e-4"): 0, ("as_written", "a"): 0.5}
    sizes |= {("repaired", "exp3_bs4_lr1e-4"): 0.5, ("repaired", "a"): 0.5}
    folders = [
        made.make_run(tmp_path, made.recipe(recipe), run, exact_match=share, seed=seed)
        for (recipe, run), share in sizes.items()
        for seed in (1, 2)
    ]
    frame = differences.differences([Run(folder) for folder in folders])
    lines = frame[frame["metric"] == "exact_match"].set_index(["first", "second", "task"])
    chosen = "exp3_bs4_lr1e-4"
    up = lines.loc[(f"repaired {chosen}", f"as_written {chosen}", "all")]
    assert up["difference"] == 0.5 and up["n"] == 12 and 0 < up["low"] < 0.5 < up["high"]
    assert lines.loc[("repaired a", "as_written a", "all"), "difference"] == 0
    assert lines.loc[("as_written a", f"as_written {chosen}", "all"), "difference"] == 0.5
    by_task = lines.sort_index().loc[(f"repaired {chosen}", f"as_written {chosen}")]
    assert set(by_task.index) == {"all", *TASKS} and by_task["n"].sum() == 24
    executed = frame[frame["metric"] == "execution_accuracy"].set_index(["first", "second", "task"])
    executed = executed.sort_index().loc[("repaired a", "as_written a")]
    assert dict(executed["n"]) == {"all": 8, "Decomposer": 4, "Refiner": 4}
    page = differences.page(frame, NOTE)
    assert "+0.50 [" in page and NOTE in page and "as_written a" in page
