"""Figure 3.1: how many rows each task has."""

from collections import Counter
from pathlib import Path
from typing import Annotated

from matplotlib.figure import Figure

from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.tables import RowSubject
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.stage import Input, run_stage

CAPTION = """\
Figure 3.1: how many rows each of the three tasks has.

**How to read it.** A bar is the number of rows of a task; above it stands its share of all rows.

**What the report says.** 2,029 Decomposer, 1,009 Selector and 337 Refiner rows. This imbalance is
the report's main insight into the data and the reason for its experiment 1, which compares a sample
with the natural mix to a sample with equally many rows of each task.
"""


def plot_tasks(
    rows: Annotated[Path, Input("results/data/rows.parquet")],
) -> Figure:
    """Bars with the number and the share of rows of each task written above them."""
    counts = Counter(row.task for row in iter_rows(RowSubject, rows))
    figure = style.new_figure(height=3.4, width=5.2)
    axes = figure.subplots()
    total = sum(counts.values())
    heights = [counts.get(task, 0) for task in TASKS]
    bars = axes.bar(TASKS, heights, width=0.62, color=[style.TASK_COLOURS[task] for task in TASKS])
    labels = [f"{height:,}\n({height / max(total, 1):.0%})" for height in heights]
    axes.bar_label(bars, labels, padding=2, fontsize=8)
    axes.set_ylim(0, max(heights) * 1.18 or 1)
    axes.set_ylabel("rows")
    axes.set_title(f"{total:,} rows in all", loc="left", color="#555555")
    axes.grid(axis="x", visible=False)
    return figure


if __name__ == "__main__":
    run_stage(plot_tasks, save_figure)
