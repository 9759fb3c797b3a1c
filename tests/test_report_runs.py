"""Reading runs, and the two choices that several results share."""

import pytest
from report_files import pick

from workflow_scripts.artifacts.report import Result
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.runs import held_out, logged_losses, ranked
from workflow_scripts.report.tables.best_run import choose


def test_the_logged_loss_is_the_mean_over_the_window(runs):
    run = pick(runs, "as_written", "exp1_natural")
    first = [event.loss for event in run.steps[:5]]
    point = logged_losses(run)[0]
    assert point.step == 5 and point.loss == pytest.approx(sum(first) / 5)


def test_the_best_run_is_chosen_by_the_criterion(runs):
    results = [
        Result(run.recipe, run.name, run.seed, **score.model_dump())
        for run in runs
        for score in run.scores
    ]
    names = list(dict.fromkeys(run.name for run in runs))
    best = choose(results, "as_written", "eval_loss", "val", names)
    assert best.run == "exp3_bs4_lr1e-4" and best.seed == 1
    values = [each.value for each in best.ranking]
    assert values == sorted(values) and len(values) == 8
    with pytest.raises(EssenceError, match="no execution_accuracy on val"):
        choose(results, "as_written", "execution_accuracy", "val", names)
    without = [name for name in names if name != best.run]
    assert choose(results, "as_written", "eval_loss", "val", without).run in without


def test_runs_are_ranked_by_their_mean_and_of_equals_the_first_given_wins():
    values = {"a": [2.0, 2.0], "b": [1.0, 3.0], "c": [1.0], "d": [5.0]}
    assert [each.run for each in ranked(values, "eval_loss")] == ["c", "a", "b", "d"]
    assert [each.run for each in ranked(values, "rouge_l")] == ["d", "a", "b", "c"]


def test_validation_rows_stand_in_where_no_test_rows_are():
    assert held_out(["val", "train", "test"]) == "test"
    assert held_out(["val", "train"]) == "val"
