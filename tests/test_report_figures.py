"""The figures of the report, drawn from runs with known numbers."""

from pathlib import Path
from statistics import fmean

import pytest
import report_files as made
from report_files import pick

from workflow_scripts.artifacts.base import write_lines
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.runs import Provenance, Step, StepSums
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import (
    carried_weights,
    execution,
    fit,
    heatmap,
    losses,
    task_losses,
)
from workflow_scripts.report.figures.loss_figures import (
    loss_figures,
    task_loss_figures,
    training_order,
)
from workflow_scripts.report.figures.style import drawn_with, new_figure, save_figure
from workflow_scripts.report.runs import Run, best_runs, logged_losses

PUBLISHED = Published.read(Path(__file__).resolve().parent.parent / "resources/published.json")
NOTE = "generated twin data"


def texts_of(figure) -> str:
    shown = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        shown += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        shown += [text.get_text() for text in axes.texts]
    return "\n".join([figure.get_suptitle(), *shown])


def test_figures_are_the_same_bytes_each_time(tmp_path, runs):
    run = pick(runs, "as_written", "exp3_bs8_lr1e-4")
    for name in ("one", "two"):
        files = (tmp_path / f"{name}.{kind}" for kind in ("svg", "png"))
        save_figure(lambda: losses.plot_losses([run], "Figure 5.5"), *files, NOTE)
    for kind in ("svg", "png"):
        files = [(tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two")]
        assert files[0] == files[1] and len(files[0]) > 5000
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


def test_a_style_that_matplotlib_does_not_know_is_named():
    with pytest.raises(EssenceError, match=r"font\.sise"), drawn_with("", {"font.sise": 9}):
        pass


def test_the_small_print_stands_in_the_figures_that_are_drawn_with_it():
    with drawn_with(NOTE):
        assert NOTE in texts_of(new_figure("title", size=(7.2, 3.6)))
    assert NOTE not in texts_of(new_figure("title", size=(7.2, 3.6)))


def test_loss_curves_mark_the_best_epoch_and_the_early_stop(runs):
    early = pick(runs, "as_written", "exp3_bs8_lr1e-4")
    late = pick(runs, "as_written", "exp3_bs4_lr1e-4")
    shown = texts_of(losses.plot_losses([late, early], "Figure 5.5"))
    assert shown.count("stopped early") == 1 and "best: epoch 3" in shown
    assert "batch 4, learning rate 1e-4" in shown and "batch 8, learning rate 1e-4" in shown


def test_task_curves_as_they_were_are_one_curve(runs):
    run = pick(runs, "as_written", "exp1_natural")
    row_tasks = [TASKS[place % 3] for place in range(30)]
    curves = task_losses.as_they_were(run, row_tasks, 60)
    logged = {point.step: point.loss for point in logged_losses(run)}
    steps = sorted(step for x, _ in curves.values() for step in x)
    assert steps == list(range(5, 61)), "from the first logged step on, every step once"
    for task, (x, y) in curves.items():
        assert all(row_tasks[(step - 1) % 30] == task for step in x)
        assert y == [logged[step - step % 5] for step in x], "the loss logged last, whatever task"


def test_true_task_curves_pool_token_losses(tmp_path):
    folder = made.make_run(tmp_path, made.recipe("as_written"), "exp1_natural", batch_size=1)
    lines = [
        Step(step=step, epoch=0.1, loss=9, learning_rate=1, tasks={"Selector": sums})
        for step, sums in (
            (1, StepSums(loss_sum=10, tokens=5)),
            (2, StepSums(loss_sum=2, tokens=1)),
        )
    ]
    write_lines(folder / "training_log.jsonl", lines)
    curves = task_losses.true_losses(Run(folder), 800, window=5)
    assert curves["Selector"] == ([1, 2], [2.0, 2.0])
    assert curves["Refiner"] == ([], [])


def test_execution_accuracy_is_shown_of_each_recipes_best_run_on_held_out_rows(runs):
    chosen = best_runs(runs)
    assert set(chosen) == {run.recipe for run in runs}
    of_run = {
        name: fmean(
            run.training.best_eval_loss
            for run in runs
            if (run.recipe, run.name) == ("repaired", name)
        )
        for name in {run.name for run in runs}
    }
    seeds = chosen["repaired"]
    assert len(seeds) == 2 and of_run[seeds[0].name] == min(of_run.values())
    split, rows = execution.executed_rows(chosen["as_written"])
    assert split == "test" and len(rows) == 8, "two seeds, and each row once"
    shown = texts_of(execution.plot_execution(runs))
    decomposer = [row.accuracy for row in rows if row.task == "Decomposer"]
    assert f"{fmean(decomposer):.2f}\nn={len(decomposer)}" in shown


def test_the_heatmap_frames_the_best_cell_of_each_panel(runs):
    chosen = [run for run in runs if run.recipe == "as_written" and run.settings.experiment == 3]
    figure = heatmap.plot_heatmap(chosen, PUBLISHED)
    assert "0.266" in texts_of(figure) and "measured (2 seeds)" in texts_of(figure)
    # Published: loss, ROUGE-L, exact match have a best cell; measured: only the loss varies.
    assert [len(axes.patches) for axes in figure.axes] == [1, 1, 1, 1, 0, 0]


def test_the_chain_shows_what_each_run_starts_from(tmp_path):
    names = ("exp1_natural", "exp1_balanced")
    first, second = (made.make_run(tmp_path, made.recipe("as_run"), name) for name in names)
    provenance = Provenance.read(second / "provenance.json")
    folder = "results/runs/as_run/exp1_natural/seed42/model"
    carried = provenance.base.model_copy(update={"folder": folder})
    provenance.model_copy(update={"base": carried}).write(second / "provenance.json")
    figure = carried_weights.plot_carried_weights([Run(first), Run(second)], PUBLISHED)
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [
        "published",
        "measured, from the base model",
        "published",
        "measured, weights carried over",
    ]
    assert lines[2].get_xdata()[0] > lines[0].get_xdata()[-1], "end to end"


def test_the_fit_figure_counts_and_shares(tmp_path):
    path = made.make_fit(tmp_path / "as_written.json", made.recipe("as_written"))
    audit = FitAudit.read(path)
    assert fit.bar(audit.tasks["Refiner"], "question_kept") == (1, "337")
    assert fit.bar(audit.tasks["Selector"], "distinct_inputs") == (1 / 1009, "1")
    assert fit.bar(audit.tasks["Selector"], "max_exact_match_decoded") == (1, "100%")
    assert "question is in the input" in texts_of(fit.plot_fit([audit]))


def test_runs_find_their_figures():
    grid = {
        name: {"experiment": 3, "batch_size": batch, "learning_rate": value}
        for name, (batch, value) in made.GRID.items()
    }
    runs = {
        "exp1_natural": {"experiment": 1, "sampling": "natural"},
        "exp1_balanced": {"experiment": 1, "sampling": "balanced"},
        "exp2_bs4": {"experiment": 2, "batch_size": 4, "learning_rate": 5e-5},
        "mine": {"experiment": 3, "batch_size": 2, "learning_rate": 2e-4},
        **grid,
    }
    runs = {name: {"batch_size": 1, "learning_rate": 5e-5, **run} for name, run in runs.items()}
    figures = loss_figures(runs)
    assert figures["figure_5.1_losses"].runs == ["exp1_natural"]
    assert figures["figure_5.1_losses"].label.startswith("5.1 Training and evaluation loss")
    assert figures["figure_5.6_losses"].runs == ["exp3_bs4_lr3e-5", "exp3_bs8_lr3e-5"]
    assert figures["losses_lr2e-4"].runs == ["mine"]
    assert figures["losses_experiment2_lr5e-5"].runs == ["exp2_bs4"]
    by_task = task_loss_figures(runs)
    assert by_task["figure_5.2_tasks"].runs == ["exp1_natural"]
    assert by_task["figure_5.4_tasks"].runs == ["exp1_balanced"]


def test_training_order_follows_the_weights():
    chain = {"c": ("b", 3), "a": ("base", 1), "b": ("a", 2), "d": ("a", 1)}
    runs = {name: {"starts_from": before, "experiment": n} for name, (before, n) in chain.items()}
    assert training_order(runs) == ["a", "d", "b", "c"]
