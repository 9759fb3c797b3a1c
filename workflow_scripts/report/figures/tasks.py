"""Figure 3.1: how many rows each task has.

The data rule's `profile.json` and `rows.parquet` come in; a figure (SVG and PNG) goes out.
"""

import argparse
from collections import Counter

import pyarrow.parquet as pq
from matplotlib.figure import Figure

from workflow_scripts.errors import run_cli
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures.style import (
    TASK_COLOURS,
    add_figure_arguments,
    drawn_with,
    new_figure,
    save,
)


def draw(counts: dict[str, int], note: str = "") -> Figure:
    """Bars with the number and the share of rows of each task written above them."""
    figure = new_figure("Figure 3.1  Rows by task", note, size=(5.2, 3.4))
    axes = figure.subplots()
    total = sum(counts.values())
    heights = [counts.get(task, 0) for task in TASKS]
    bars = axes.bar(TASKS, heights, width=0.62, color=[TASK_COLOURS[task] for task in TASKS])
    labels = [f"{height:,}\n({height / max(total, 1):.0%})" for height in heights]
    axes.bar_label(bars, labels, padding=2, fontsize=8)
    axes.set_ylim(0, max(heights) * 1.18 or 1)
    axes.set_ylabel("rows")
    axes.set_title(f"{total:,} rows in all", loc="left", color="#555555")
    axes.grid(axis="x", visible=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", required=True, help="results/data/rows.parquet")
    parser.add_argument("--out", required=True, help="figure without .svg or .png")
    add_figure_arguments(parser)
    args = parser.parse_args()
    tasks = pq.read_table(args.rows, columns=["task"])["task"].to_pylist()
    with drawn_with(args.style):
        save(draw(Counter(tasks), args.note), args.out)


if __name__ == "__main__":
    run_cli(main)
