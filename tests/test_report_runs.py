"""Reading runs, and the two choices that several results share."""

import pytest
from report_files import pick

from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.report.runs import best_runs, held_out, logged_losses, ranked
from workflow_scripts.report.tables.best_run import choose_best


def test_the_logged_loss_is_the_mean_over_the_window(runs):
    run = pick(runs, "as_written", "exp1_natural")
    first = [event.loss for event in run.steps[:5]]
    point = logged_losses(run)[0]
    assert point.step == 5 and point.loss == pytest.approx(sum(first) / 5)


def test_the_best_run_has_the_lowest_mean_loss_on_its_validation_rows(runs, tmp_path):
    choose_best(runs, tmp_path / "best_runs.json")
    best = BestRuns.read(tmp_path / "best_runs.json").recipes
    assert list(best) == ["as_run", "as_written", "repaired"]
    for recipe, each in best.items():
        assert (each.recipe, each.run, each.seed) == (recipe, "exp3_bs4_lr1e-4", 1)
        assert best_runs(runs)[recipe][0].name == each.ranking[0].run == each.run
        values = [one.value for one in each.ranking]
        assert values == sorted(values) and len(values) == 8


def test_runs_are_ranked_by_their_mean_and_of_equals_the_first_given_wins():
    values = {"a": [2.0, 2.0], "b": [1.0, 3.0], "c": [1.0], "d": [5.0]}
    assert [each.run for each in ranked(values, "eval_loss")] == ["c", "a", "b", "d"]
    assert [each.run for each in ranked(values, "rouge_l")] == ["d", "a", "b", "c"]


def test_validation_rows_stand_in_where_no_test_rows_are():
    assert held_out(["val", "train", "test"]) == "test"
    assert held_out(["val", "train"]) == "val"
