"""Box plots of the lengths of source and target by task, in words and in tokens of the base model.

`lengths.parquet` (one line a row) comes in; one figure goes out. The lines show where the recipes
cut: what lies to the right of a line is not seen, or not learnt.
"""

import argparse

import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.errors import run_cli
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures.style import (
    BLACK,
    TASK_COLOURS,
    add_figure_arguments,
    drawn_with,
    new_figure,
    save,
)

PANELS = {
    "source_words": "source, words",
    "target_words": "target, words",
    "source_tokens": "source, tokens",
    "target_tokens": "target, tokens",
}
Limits = dict[str, dict[int, list[str]]]


def draw(lengths: dict[str, list], limits: Limits, note: str = "") -> Figure:
    """`lengths`: columns of lengths.parquet. `limits`: panel -> cut at -> names of recipes."""
    figure = new_figure("Length of source and target by task", note, size=(7.2, 4.4))
    panels = figure.subplots(2, 2, sharey=True)
    for axes, (column, title) in zip(panels.flat, PANELS.items(), strict=True):
        by_task = {
            task: [
                value
                for value, each in zip(lengths[column], lengths["task"], strict=True)
                if each == task
            ]
            for task in TASKS
        }
        _draw_boxes(axes, by_task)
        for limit, recipes in limits.get(column, {}).items():
            axes.axvline(limit, color=BLACK, linestyle=":", linewidth=1.2)
            axes.annotate(
                f"cut at {limit:,}: {', '.join(recipes)}",
                (limit, 1),
                xycoords=("data", "axes fraction"),
                xytext=(3, -2),
                textcoords="offset points",
                rotation=90,
                ha="left",
                va="top",
                fontsize=6.5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
            )
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xlim(left=0)
    for axes in panels[1]:
        axes.set_xlabel("length")
    return figure


def _draw_boxes(axes: Axes, by_task: dict[str, list[int]]) -> None:
    tasks = list(reversed(by_task))  # the first task on top
    boxes = axes.boxplot(
        [by_task[task] for task in tasks],
        orientation="horizontal",
        tick_labels=tasks,
        widths=0.6,
        patch_artist=True,
        medianprops={"color": BLACK, "linewidth": 1.4},
        flierprops={"marker": "o", "markersize": 2, "alpha": 0.4, "markeredgewidth": 0.4},
    )
    for task, box in zip(tasks, boxes["boxes"], strict=True):
        box.set_facecolor(TASK_COLOURS[task])
        box.set_alpha(0.75)
    axes.grid(axis="y", visible=False)


def parse_limits(texts: list[str]) -> Limits:
    """`source_tokens=512=as_written` -> {"source_tokens": {512: ["as_written"]}}."""
    limits: Limits = {}
    for text in texts:
        column, limit, recipe = text.split("=")
        limits.setdefault(column, {}).setdefault(int(limit), []).append(recipe)
    return limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", required=True, help="results/data/lengths.parquet")
    parser.add_argument(
        "--limits", nargs="*", default=[], help="where recipes cut: source_tokens=512=as_written"
    )
    parser.add_argument("--out", required=True, help="figure without .svg or .png")
    add_figure_arguments(parser)
    args = parser.parse_args()
    lengths = pq.read_table(args.lengths).to_pydict()
    with drawn_with(args.style):
        save(draw(lengths, parse_limits(args.limits), args.note), args.out)


if __name__ == "__main__":
    run_cli(main)
