"""Reading runs, and the two choices that several results share."""

import pytest
from report_files import pick

from workflow_scripts.errors import EssenceError
from workflow_scripts.report.runs import logged_losses
from workflow_scripts.report.tables.best_run import choose
from workflow_scripts.report.tables.results import results_table


def test_the_logged_loss_is_the_mean_over_the_window(runs):
    run = pick(runs, "as_written", "exp1_natural")
    first = [event.loss for event in run.steps[:5]]
    point = logged_losses(run)[0]
    assert point.step == 5 and point.loss == pytest.approx(sum(first) / 5)


def test_the_best_run_is_chosen_by_the_criterion(runs):
    results = results_table(runs)
    names = list(dict.fromkeys(results["run"]))
    best = choose(results, "as_written", "eval_loss", "val", names)
    assert best.run == "exp3_bs4_lr1e-4" and best.seed == 1
    values = [each.value for each in best.ranking]
    assert values == sorted(values) and len(values) == 8
    with pytest.raises(EssenceError, match="no execution_accuracy on val"):
        choose(results, "as_written", "execution_accuracy", "val", names)
    without = [name for name in names if name != best.run]
    assert choose(results, "as_written", "eval_loss", "val", without).run in without
