"""Figures, tables and claims on runs with known numbers."""

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pyarrow.parquet as pq
import pytest
import report_files as made
from report_files import pick

from workflow_scripts.artifacts.base import write_lines
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.runs import Step, StepSums
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.figures import carried_weights, heatmap, task_losses
from workflow_scripts.report.figures import execution as execution_figure
from workflow_scripts.report.figures import fit as fit_figure
from workflow_scripts.report.figures import losses as loss_curves
from workflow_scripts.report.figures.loss_figures import loss_figures, task_figures, training_order
from workflow_scripts.report.figures.style import drawn_with, new_figure, save
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import examples, html, predictions
from workflow_scripts.report.pages.answer_quality import verdict_of
from workflow_scripts.report.runs import Run, best_runs, logged_losses
from workflow_scripts.report.tables.results import over_seeds, results_table, summary_table

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = Published.read(ROOT / "resources/published.json")
NOTE = "generated twin data"


def texts_of(figure) -> str:
    shown = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        shown += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        shown += [text.get_text() for text in axes.texts]
    return "\n".join([figure.get_suptitle(), *shown])


# --- numbers


def test_the_interval_over_seeds_is_students():
    mean, _, high = mean_over_seeds([1.0, 2.0, 3.0])
    assert mean == 2 and high - mean == pytest.approx(4.302653 / math.sqrt(3))
    assert math.isnan(mean_over_seeds([1.0])[1])


@pytest.mark.parametrize(("value", "text"), [(1e-4, "1e-4"), (3e-5, "3e-5"), (2.5e-4, "2.5e-4")])
def test_learning_rates_are_written_as_people_do(value, text):
    assert rate(value) == text


# --- reading runs


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


# --- figures


def test_figures_are_the_same_bytes_each_time(tmp_path, runs):
    run = pick(runs, "as_written", "exp3_bs8_lr1e-4")
    for name in ("one", "two"):
        with drawn_with("{}"):
            save(loss_curves.draw("Figure 5.5", [run], NOTE), tmp_path / name)
    for kind in ("svg", "png"):
        files = [(tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two")]
        assert files[0] == files[1] and len(files[0]) > 5000
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


def test_loss_curves_mark_the_best_epoch_and_the_early_stop(runs):
    early = pick(runs, "as_written", "exp3_bs8_lr1e-4")
    late = pick(runs, "as_written", "exp3_bs4_lr1e-4")
    shown = texts_of(loss_curves.draw("Figure 5.5", [late, early], NOTE))
    assert shown.count("stopped early") == 1 and "best: epoch 3" in shown and NOTE in shown
    assert "batch 4, learning rate 1e-4" in shown and "batch 8, learning rate 1e-4" in shown


def test_execution_accuracy_is_shown_of_each_recipes_best_run_on_held_out_rows(runs):
    chosen = best_runs(runs)
    assert set(chosen) == {run.recipe for run in runs}
    losses = {
        name: fmean(
            run.training.best_eval_loss
            for run in runs
            if (run.recipe, run.name) == ("repaired", name)
        )
        for name in {run.name for run in runs}
    }
    seeds = chosen["repaired"]
    assert len(seeds) == 2 and losses[seeds[0].name] == min(losses.values())
    split, verdicts = execution_figure.executed_rows(chosen["as_written"])
    assert split == "test"
    assert verdicts["execution_accuracy"].notna().all() and verdicts["idx"].is_unique
    shown = texts_of(execution_figure.draw(runs, NOTE))
    decomposer = verdicts.loc[verdicts["task"] == "Decomposer", "execution_accuracy"]
    assert f"{decomposer.mean():.2f}\nn={len(decomposer)}" in shown
    assert NOTE in shown


def test_the_heatmap_frames_the_best_cell_of_each_panel(runs):
    chosen = [run for run in runs if run.recipe == "as_written" and run.settings.experiment == 3]
    figure = heatmap.draw("grid", chosen, PUBLISHED, NOTE)
    assert "0.266" in texts_of(figure) and "measured (2 seeds)" in texts_of(figure)
    # Published: loss, ROUGE-L, exact match have a best cell; measured: only the loss varies.
    assert [len(axes.patches) for axes in figure.axes] == [1, 1, 1, 1, 0, 0]


def test_the_chain_shows_what_each_run_starts_from(runs):
    chain = [
        ("exp1_natural", pick(runs, "as_run", "exp1_natural"), "base"),
        ("exp1_balanced", pick(runs, "as_run", "exp1_balanced"), "exp1_natural"),
    ]
    figure = carried_weights.draw("chain", chain, PUBLISHED, NOTE)
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [
        "published",
        "measured, from the base model",
        "published",
        "measured, weights carried over",
    ]
    assert lines[2].get_xdata()[0] > lines[0].get_xdata()[-1], "end to end"


def test_the_fit_figure_counts_and_shares():
    facts = {"rows": 4, "distinct_inputs": 1, "max_exact_match": 0.25, "old_sql_kept": None}
    assert fit_figure.share(facts, "distinct_inputs") == (0.25, "1")
    assert fit_figure.share(facts, "max_exact_match") == (0.25, "25%")
    assert fit_figure.share(facts, "old_sql_kept")[1] == ""


def test_a_style_that_matplotlib_does_not_know_is_named():
    with pytest.raises(EssenceError, match=r"font\.sise"), drawn_with('{"font.sise": 9}'):
        new_figure("title", NOTE)


# --- which runs stand where


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
    assert figures["figure_5.1_losses"]["runs"] == ["exp1_natural"]
    assert figures["figure_5.6_losses"]["runs"] == ["exp3_bs4_lr3e-5", "exp3_bs8_lr3e-5"]
    assert figures["losses_lr2e-4"]["runs"] == ["mine"]
    assert figures["losses_experiment2_lr5e-5"]["runs"] == ["exp2_bs4"]
    assert {each["run"] for each in task_figures(runs).values()} == {
        "exp1_natural",
        "exp1_balanced",
    }


def test_training_order_follows_the_weights():
    chain = {"c": ("b", 3), "a": ("base", 1), "b": ("a", 2), "d": ("a", 1)}
    runs = {name: {"starts_from": before, "experiment": n} for name, (before, n) in chain.items()}
    assert training_order(runs) == ["a", "d", "b", "c"]


# --- tables


def test_results_hold_every_number_and_means_over_seeds(runs):
    results = results_table(runs)
    columns = ["recipe", "run", "seed", "split", "task", "metric", "value", "low", "high"]
    columns.append("n")
    assert list(results.columns) == columns
    assert len(results) == sum(len(run.scores) for run in runs)
    means = over_seeds(results).set_index(["recipe", "run", "split", "task", "metric"])
    losses = [
        run.score("eval_loss")
        for run in runs
        if (run.recipe, run.name) == ("as_written", "exp3_bs4_lr1e-4")
    ]
    line = means.loc[("as_written", "exp3_bs4_lr1e-4", "val", "all", "eval_loss")]
    assert line["seeds"] == 2 and line["mean"] == pytest.approx(sum(losses) / 2)
    summary = summary_table(runs, over_seeds(results))
    assert len(summary) == 24 and set(summary["seeds"]) == {2}


# --- pages


def test_verdicts_of_answers():
    row = {"gold": "```a <b```", "gold_decoded": "a b", "cut": False}
    assert verdict_of({**row, "prediction": " ```a <b```\n"})[0] == "exact"
    assert verdict_of({**row, "prediction": "a b"})[0] == "equal after loss"
    assert verdict_of({**row, "prediction": "a", "cut": True})[0] == "cut"
    assert verdict_of({**row, "prediction": "a"})[0] == "different"


def test_rows_of_experiment_4_are_drawn_by_seed(tmp_path):
    rows = pq.read_table(made.make_rows(tmp_path / "rows.parquet", dict.fromkeys(TASKS, 9)))
    drawn = examples.draw(rows, 2, seed=4)
    assert drawn["task"].to_pylist() == [task for task in TASKS for _ in range(2)]
    assert drawn.equals(examples.draw(rows, 2, seed=4))
    assert not drawn.equals(examples.draw(rows, 2, seed=5))
    with pytest.raises(EssenceError, match="10 rows of each task"):
        examples.draw(rows, 10, seed=4)


def test_what_a_model_writes_cannot_break_out_of_the_page(runs):
    collected = predictions.collect([pick(runs, "repaired", "exp1_natural")])
    assert collected["executed"] == ["error"]
    data = html.embedded(collected)
    assert "</script>" not in data
    assert "SELECT </script> a FROM t" in {a["text"] for a in json.loads(data)["answers"]}
    assert html.table(["a"], [["<b>"]]).count("&lt;b&gt;") == 1


def test_the_report_never_imports_torch():
    modules = sorted(path.stem for path in (ROOT / "workflow_scripts/report").glob("*.py"))
    names = ", ".join(f"workflow_scripts.report.{name}" for name in modules if name != "__init__")
    code = f"import sys, {names}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
