"""The figures of the report, drawn from runs with known numbers."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import report_files as made
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from report_files import pick

from workflow_scripts.artifacts.base import write_lines
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.parquet import iter_rows, write_rows
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.runs import Provenance, Step, StepSums
from workflow_scripts.artifacts.tables import Judged
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import (
    carried_weights,
    execution,
    fit,
    heatmap,
    lengths,
    losses,
    style,
    task_losses,
)
from workflow_scripts.report.figures.loss_figures import (
    Title,
    loss_figures,
    numbered,
    task_loss_figures,
    training_order,
)
from workflow_scripts.report.figures.panels import unfinished
from workflow_scripts.report.figures.style import drawn_with, label, save_figure
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
        save_figure(lambda: losses.plot_losses([run]), *files, "Figure 5.5", NOTE)
    for kind in ("svg", "png"):
        files = [(tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two")]
        assert files[0] == files[1] and len(files[0]) > 5000
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


def test_a_style_that_matplotlib_does_not_know_is_named():
    with pytest.raises(EssenceError, match=r"font\.sise"), drawn_with({"font.sise": 9}):
        pass


def test_every_figure_has_its_title_its_small_print_and_text_that_can_be_read(runs, tmp_path):
    made.make_lengths(tmp_path / "lengths.parquet")
    audits = [FitAudit.read(made.make_fit(tmp_path / "fit.json", made.recipe("repaired")))]
    grid = [run for run in runs if run.settings.experiment == 3]
    natural = [pick(runs, recipe, "exp1_natural") for recipe in made.RECIPES]
    made.make_rows(tmp_path / "train.parquet", dict.fromkeys(TASKS, 4))
    draw = [
        lambda: losses.plot_losses(grid[:4], PUBLISHED),
        lambda: task_losses.plot_task_losses(natural, [tmp_path / "train.parquet"] * 3),
        lambda: heatmap.plot_heatmap(grid, PUBLISHED),
        lambda: execution.plot_execution(runs),
        lambda: fit.plot_fit(audits),
        lambda: carried_weights.plot_carried_weights(natural[:1], PUBLISHED),
        lambda: lengths.plot_lengths(tmp_path / "lengths.parquet", {"a": {"source_tokens": 512}}),
    ]
    for draw_one in draw:
        with drawn_with():
            figure = draw_one()
            label(figure, "Figure 0", NOTE)
            renderer = FigureCanvasAgg(figure).get_renderer()
            figure.draw(renderer)
        assert figure.get_suptitle() == "Figure 0" and NOTE in texts_of(figure)
        drawn = figure.get_tightbbox(renderer)  # inches
        assert drawn.x0 >= 0 and drawn.x1 <= figure.get_figwidth(), "nothing is cut off"
        small = [text for text in figure.findobj(Text) if text.get_fontsize() < style.SMALL]
        assert not any(text.get_text() for text in small)


def test_the_cuts_of_recipes_are_labelled_without_overprinting(tmp_path):
    path = made.make_lengths(tmp_path / "lengths.parquet")
    cuts = {"a": {"target_tokens": 260}, "b": {"target_tokens": 280}, "c": {"target_tokens": 260}}
    figure = lengths.plot_lengths(path, cuts)
    texts = [text for axes in figure.axes for text in axes.texts]
    assert [text.get_text() for text in texts] == ["cut at 260: a, c", "cut at 280: b"]
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    first, second = (text.get_window_extent(renderer) for text in texts)
    assert not first.overlaps(second)
    assert figure.bbox.containsx(second.x1) and figure.bbox.containsx(first.x0)


def test_losses_stand_beside_each_other_by_recipe_and_show_how_training_ended(runs):
    names = ("exp3_bs4_lr1e-4", "exp3_bs8_lr1e-4")
    shown = [pick(runs, recipe, name) for recipe in made.RECIPES for name in names]
    figure = losses.plot_losses(shown)
    panels = np.array(figure.axes).reshape(2, 3)
    assert panels[0, 0].get_title(loc="left").startswith("batch 4, 12 rows\nlowest ")
    assert panels[1, 2].get_title(loc="left").endswith("epoch 3, step 90")
    fills = {
        line.get_label(): line.get_markerfacecolor()
        for axes in panels.flat
        for line in axes.get_lines()
        if line.get_marker() == "*"
    }
    late, early = "best epoch, not converged", "best epoch, converged"
    assert fills == {late: "white", early: style.BLACK}
    names_above = [text.get_text() for axes in panels[0] for text in axes.texts]
    assert names_above == ["as_run", "as_written", "repaired"]
    bottom, last = panels[1, 0], panels[0, 2]
    assert panels[0, 1].get_shared_y_axes().joined(panels[0, 1], bottom), "the same tokens count"
    assert not last.get_shared_y_axes().joined(last, bottom), "losses that do not compare"
    assert last.get_shared_x_axes().joined(last, bottom)


def test_a_recipe_without_a_run_says_so_and_published_losses_stand_where_they_compare(runs):
    both = [pick(runs, recipe, "exp3_bs4_lr1e-4") for recipe in ("as_written", "repaired")]
    figure = losses.plot_losses([*both, pick(runs, "repaired", "exp3_bs8_lr1e-4")], PUBLISHED)
    panels = np.array(figure.axes).reshape(2, 2)
    assert panels[1, 0].get_title(loc="left") == "no run exp3_bs8_lr1e-4"
    quoted = [
        sum(line.get_label() == "evaluation, published" for line in axes.get_lines())
        for axes in panels.flat
    ]
    assert quoted == [1, 0, 0, 0]


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
    rows = execution.executed_rows(chosen["as_written"])
    assert list(rows) == ["test"] and len(rows["test"]) == 8, "two seeds, and each row once"
    figure = execution.plot_execution(runs)
    decomposer = [row.accuracy for row in rows["test"] if row.task == "Decomposer"]
    assert f"{fmean(decomposer):.0%}\nn={len(decomposer)}" in texts_of(figure)
    assert len(figure.axes) == 2


def test_rows_of_databases_never_seen_have_panels_of_their_own(tmp_path):
    folder = made.make_run(tmp_path, made.recipe("repaired"), "exp3_bs4_lr1e-4")
    judged = list(iter_rows(Judged, folder / "verdicts.parquet"))
    unseen, other = (
        [replace(row, split=split, idx=row.idx + 1000) for row in judged[:count]]
        for split, count in (("unseen", 6), ("other", 3))
    )
    write_rows(folder / "verdicts.parquet", Judged, [*judged, *unseen, *other])
    counts = {
        split: len(of_split) for split, of_split in execution.executed_rows([Run(folder)]).items()
    }
    assert counts == {"test": 8, "unseen": 4, "other": 2}
    figure = execution.plot_execution([Run(folder)])
    firsts = [axes.get_title(loc="left") for axes in figure.axes[::2]]
    words = ("held-out rows", "databases never seen", "rows of another file")
    assert firsts == [f"{whose}, by task" for whose in words]


def test_the_heatmap_frames_the_best_cell_of_a_panel_and_greys_equal_ones(runs):
    grid = [run for run in runs if run.settings.experiment == 3]
    figure = heatmap.plot_heatmap(grid, PUBLISHED)
    panels = np.array(figure.axes).reshape(4, 3)
    assert [axes.get_ylabel() for axes in panels[:2, 0]] == [
        "published\nn = 203\nbatch size",
        "as_run\nn = 12\nbatch size",
    ]
    # Published: the exact match of one row in 203 has no frame; measured: only the loss varies.
    assert [[len(axes.patches) for axes in row] for row in panels] == [[1, 1, 0], *[[1, 0, 0]] * 3]
    equal = ["all equal" in [text.get_text() for text in axes.texts] for axes in panels.flat]
    assert equal == [False] * 3 + [False, True, True] * 3
    cells = {text.get_text()[-1] for text in panels[1, 0].texts if text.get_position()[1] == 0}
    stopped = {text.get_text()[-1] for text in panels[1, 0].texts if text.get_position()[1] == 1}
    assert cells == {"*"} and "*" not in stopped, "batch 8 ended by patience"
    assert f"Each run is trained on 12 rows. {unfinished(grid)}" in texts_of(figure)
    assert unfinished([run for run in grid if run.settings.batch_size == 8]) == ""
    of_loss = [axes.get_images()[0].norm for axes in panels[:, 0]]
    limits = [(norm.vmin, norm.vmax) for norm in of_loss]
    assert limits[1] == limits[2] and limits[0] != limits[1]


@pytest.mark.parametrize(
    ("metric", "second", "framed"),
    [
        ("exact_match_decoded", 8 / 17, True),
        ("exact_match_decoded", 9 / 17, False),
        ("exact_match_decoded", 10 / 17, False),
        ("eval_loss", 11 / 17, True),
        ("eval_loss", 10 / 17, False),
    ],
)
def test_one_row_makes_no_best_cell(metric, second, framed):
    best, other = (1e-4, 4), (1e-4, 8)
    grid = {other: heatmap.Cell(second, 17), best: heatmap.Cell(10 / 17, 17)}
    assert heatmap.best_cell(grid, metric) == (best if framed else None)
    assert heatmap.best_cell({best: grid[best]}, metric) is None


def test_the_chain_shows_what_each_run_starts_from(tmp_path):
    names = ("exp1_natural", "exp1_balanced")
    first, second = (made.make_run(tmp_path, made.recipe("as_run"), name) for name in names)
    provenance = Provenance.read(second / "provenance.json")
    folder = "results/runs/as_run/exp1_natural/seed42/model"
    carried = provenance.base.model_copy(update={"folder": folder})
    provenance.model_copy(update={"base": carried}).write(second / "provenance.json")
    figure = carried_weights.plot_carried_weights([Run(first), Run(second)], PUBLISHED)
    assert "as_run, 2 runs on 12 rows, exp1_natural to exp1_balanced:" in texts_of(figure)
    quoted = "published: 0.374 at first, 0.314 at last (falls 1 of 1 times, rises 0)"
    assert quoted in texts_of(figure)
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
    own = {"exp2_bs4": runs.pop("exp2_bs4"), **runs}
    recipes = {"as_run": own, "repaired": runs}
    figures = loss_figures(recipes, rate_scale=10)
    both = {key: ["exp1_natural"] for key in recipes}
    assert figures["figure_5.1_losses"].runs == both
    title = "Training and evaluation loss, natural mix, learning rate 5e-5 (here 5e-4)"
    assert figures["figure_5.1_losses"].label == f"5.1 {title}"
    pair = ["exp3_bs4_lr3e-5", "exp3_bs8_lr3e-5"]
    assert figures["figure_5.6_losses"].runs == dict.fromkeys(recipes, pair)
    assert figures["losses_lr2e-4"].runs == {key: ["mine"] for key in recipes}
    assert figures["losses_experiment2_lr5e-5"].runs == {"as_run": ["exp2_bs4"]}
    again = {"repaired": {**runs, "again": runs["exp1_natural"]}}
    assert loss_figures(again, 1)["losses_again"].runs == {"repaired": ["again"]}
    by_task = task_loss_figures(recipes, rate_scale=1)
    assert by_task["figure_5.2_tasks"].runs == both
    assert by_task["figure_5.4_tasks"].text == (
        "Training loss by task, balanced tasks, learning rate 5e-5"
    )
    titles = numbered({"lengths": Title("", "Lengths"), **figures}).values()
    numbers = [title.number for title in titles]
    assert numbers == ["E1", "5.1", "5.3", "E2", "5.5", "5.6", "5.7", "E3"]


def test_training_order_follows_the_weights():
    chain = {"c": ("b", 3), "a": ("random", 1), "b": ("a", 2), "d": ("a", 1)}
    runs = {name: {"starts_from": before, "experiment": n} for name, (before, n) in chain.items()}
    assert training_order(runs) == ["a", "d", "b", "c"]
