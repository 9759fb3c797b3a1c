"""Figures of the data and of what recipes leave of it: rows by task, lengths, the fit audit."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, TEXT, read_table
from workflow_scripts.text.audit import FitAudit, TaskFit

Cuts = dict[str, dict[str, int]]  # recipe -> side of a row -> how many tokens of it are kept
LENGTHS = {
    "source_words": "source",
    "target_words": "target",
    "source_tokens": "source",
    "target_tokens": "target",
}
HEIGHTS = (3, 2, 1)  # of the tasks' boxes
REMAINS = {
    "question_kept": "rows whose question is in the input",
    "distinct_inputs": "distinct inputs left",
    "targets_surviving": "answers that survive the tokenizer",
    "max_exact_match_given_inputs": "highest exact match within reach",
}
BAR = 0.32  # width; three stand together
HATCHES = {"Selector": "", "Decomposer": "///", "Refiner": "..."}


def plot_data(
    figures: Annotated[dict, Setting('JSON, name -> kind: {"fit": {"kind": "fit"}}')],
    rows: Annotated[Path, Input("results/data/rows.parquet")],
    lengths: Annotated[Path, Input("results/data/lengths.parquet")],
    fit: Annotated[list[FitAudit], Input("results/fit/<recipe>.json of each recipe")],
    limits: Annotated[
        Cuts, Setting('where recipes cut, JSON: {"as_written": {"source_tokens": 512}}')
    ],
    pictures: Annotated[list[Path], Output("<name>.svg and <name>.png of each figure")],
) -> None:
    draw = {
        "tasks": lambda: draw_tasks(read_table(rows, {"task": TEXT}).task),
        "lengths": lambda: draw_lengths(
            read_table(lengths, {"task": TEXT, **dict.fromkeys(LENGTHS, COUNT)}), limits
        ),
        "fit": lambda: draw_fit(fit),
    }
    style.save_figures(figures, lambda figure: draw[figure["kind"]](), pictures)


def draw_tasks(tasks: pd.Series) -> Figure:
    """Bars with the number and the share of rows of each task written above them."""
    figure = style.new_figure(height=3.2, width=5.2)
    axes = figure.subplots()
    heights = tasks.value_counts().reindex(TASKS, fill_value=0)
    bars = axes.bar(TASKS, heights, width=0.62, color=[style.TASK_COLOURS[task] for task in TASKS])
    labels = [f"{height:,}\n({height / max(len(tasks), 1):.0%})" for height in heights]
    axes.bar_label(bars, labels, padding=2, fontsize=8)
    axes.set(ylim=(0, heights.max() * 1.2 or 1), ylabel="rows", title=f"{len(tasks):,} rows in all")
    axes.grid(axis="x", visible=False)
    return figure


def draw_lengths(lengths: pd.DataFrame, limits: Cuts) -> Figure:
    """Box plots by task; dotted lines where recipes cut: what lies to the right is not seen."""
    figure = style.new_figure(height=4.8)
    panels = figure.subplots(2, 2, sharey=True)
    for axes, (column, side) in zip(panels.flat, LENGTHS.items(), strict=True):
        boxes = axes.boxplot(
            [lengths[lengths.task == task][column] for task in TASKS],
            positions=HEIGHTS, orientation="horizontal", manage_ticks=False, widths=0.6,
            patch_artist=True, medianprops={"color": style.BLACK, "linewidth": 1.4},
            flierprops={"marker": "o", "markersize": 2, "alpha": 0.4, "markeredgewidth": 0.4},
        )  # fmt: skip
        for task, box in zip(TASKS, boxes["boxes"], strict=True):
            box.set(facecolor=style.TASK_COLOURS[task], alpha=0.75)
        recipes: dict[int, list[str]] = {}  # where they cut -> which
        for recipe, cut in limits.items():
            if column in cut:
                recipes.setdefault(cut[column], []).append(recipe)
        for limit in recipes:
            axes.axvline(limit, color=style.BLACK, linestyle=":", linewidth=1.2)
        cuts = "; ".join(f"{limit:,} ({', '.join(recipes[limit])})" for limit in sorted(recipes))
        axes.set(xlim=(0, None), xlabel=f"length in {column.split('_')[1]}")
        axes.set_title(f"{side}\ncut at {cuts}" if cuts else side)
        axes.set_yticks(HEIGHTS, TASKS)
        axes.grid(axis="y", visible=False)
    return figure


def draw_fit(audits: list[FitAudit]) -> Figure:
    """What each recipe leaves of the rows, as shares of a task's rows: 100% loses nothing."""
    figure = style.new_figure(height=4.6)
    panels = figure.subplots(2, 2, sharey=True)
    for axes, (measure, title) in zip(panels.flat, REMAINS.items(), strict=True):
        for offset, task in enumerate(TASKS):
            _draw_remains(axes, audits, measure, task, (offset - 1) * BAR)
        axes.set(title=title, xlim=(-0.5, len(audits) - 0.5), ylim=(0, 1.16))
        axes.set_xticks(range(len(audits)), [audit.recipe for audit in audits])
        axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        axes.grid(axis="x", visible=False)
    for axes in panels[:, 0]:
        axes.set_ylabel("share of rows")
    style.add_legend(figure)
    return figure


def _draw_remains(
    axes: Axes, audits: list[FitAudit], measure: str, task: str, offset: float
) -> None:
    known = [audit.tasks.get(task) for audit in audits]
    bars = [bar_of(fit, measure) if fit else (np.nan, "") for fit in known]
    drawn = axes.bar(
        np.arange(len(audits)) + offset, [height for height, _ in bars], BAR,
        color=style.TASK_COLOURS[task], hatch=HATCHES[task], edgecolor="white", linewidth=0,
        label=f"{task} (n = {max(fit.rows if fit else 0 for fit in known):,})",
    )  # fmt: skip
    axes.bar_label(drawn, [label for _, label in bars], fontsize=style.SMALL, padding=1)


def bar_of(fit: TaskFit, measure: str) -> tuple[float, str]:
    """(share of a task's rows, label); counts are labelled as counts, rates as per cent."""
    value = getattr(fit, measure)
    if isinstance(value, float):
        return value, f"{value:.0%}"
    return value / max(fit.rows, 1), f"{value:,}"


if __name__ == "__main__":
    run_stage(plot_data)
