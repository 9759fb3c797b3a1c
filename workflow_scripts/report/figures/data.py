"""Figures of the data and of what recipes leave of it: rows by task, lengths, the fit audit."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.report.means import WORDS
from workflow_scripts.text.audit import FitAudit

LENGTHS = {
    "source_words": "source",
    "target_words": "target",
    "source_tokens": "source",
    "target_tokens": "target",
}
HEIGHTS = (3, 2, 1)  # of the tasks' boxes
BAR = 0.32  # width; three stand together
HATCHES = {"Selector": "", "Decomposer": "///", "Refiner": "..."}


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


def draw_lengths(lengths: pd.DataFrame, cuts: dict[str, dict[str, int]]) -> Figure:
    """Box plots by task; dotted lines at `cuts`: recipe -> side of a row -> tokens kept."""
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
        for recipe, cut in cuts.items():
            if column in cut:
                recipes.setdefault(cut[column], []).append(recipe)
        for limit in recipes:
            axes.axvline(limit, color=style.BLACK, linestyle=":", linewidth=1.2)
        words = "; ".join(f"{limit:,} ({', '.join(recipes[limit])})" for limit in sorted(recipes))
        axes.set(xlim=(0, None), xlabel=f"length in {column.split('_')[1]}")
        axes.set_title(f"{side}\ncut at {words}" if words else side)
        axes.set_yticks(HEIGHTS, TASKS)
        axes.grid(axis="y", visible=False)
    return figure


def draw_fit(fit: list[FitAudit]) -> Figure:
    """What each recipe leaves of the rows, as shares of a task's rows: 100% loses nothing."""
    figure = style.new_figure(height=4.6)
    panels = figure.subplots(2, 2, sharey=True)
    for axes, (measure, title) in zip(panels.flat, WORDS["fit"].items(), strict=True):
        for offset, task in enumerate(TASKS):
            known = [audit.tasks.get(task) for audit in fit]
            rows = np.array([each.rows if each else 0 for each in known])
            values = [getattr(each, measure) if each else np.nan for each in known]
            is_rate = measure.startswith("max_")
            heights = values if is_rate else np.array(values) / np.maximum(rows, 1)
            drawn = axes.bar(
                np.arange(len(fit)) + (offset - 1) * BAR, heights, BAR, edgecolor="white",
                color=style.TASK_COLOURS[task], hatch=HATCHES[task], linewidth=0,
                label=f"{task} (n = {rows.max():,})",
            )  # fmt: skip
            words = "{:.0%}" if is_rate else "{:,.0f}"
            labels = ["" if value != value else words.format(value) for value in values]
            axes.bar_label(drawn, labels, fontsize=style.SMALL, padding=1)
        axes.set(title=title, xlim=(-0.5, len(fit) - 0.5), ylim=(0, 1.16))
        axes.set_xticks(range(len(fit)), [audit.recipe for audit in fit])
        axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        axes.grid(axis="x", visible=False)
    for axes in panels[:, 0]:
        axes.set_ylabel("share of rows")
    style.add_legend(figure)
    return figure
