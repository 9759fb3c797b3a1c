"""Execution accuracy by task and by hardness, one bar a recipe, on held-out rows.

Each recipe is shown by its run with the lowest evaluation loss (mean over seeds): on the test rows,
or on the validation rows where the recipe keeps no test set. A row counts with its mean over the
seeds; bars carry 95 % intervals over rows.
"""

from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.tables import Judged
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import Run, best_runs, held_out
from workflow_scripts.stage import Setting, run_stage

CAPTION = """\
Execution accuracy: the share of rows whose SQL, run on the row's own database, returns the rows
that the gold SQL returns (BIRD's definition: equal sets of rows). The report asked for this figure
and could not make it.

**How to read it.** Each recipe is shown by its run with the lowest loss on its validation rows
(mean over seeds). Its SQL is executed on the test rows or, where a recipe keeps none, as in the
notebooks, on the validation rows it is scored on. Left: the two agents that write SQL. Right: the
same rows by the hardness of the gold SQL, as Spider counts it. Black lines are 95 % intervals over
rows; n is the number of rows. An answer without a fenced SQL statement counts as wrong, so a
tokenizer that cannot write a fence scores 0; `execution_accuracy_lenient` of results.csv takes SQL
in any form.
"""

PANELS = {
    "task": ("by task", ("Decomposer", "Refiner")),
    "hardness": (
        "by hardness of the gold SQL (Spider's levels)",
        ("easy", "medium", "hard", "extra"),
    ),
}
FILLS = ((style.BLUE, ""), (style.ORANGE, "//"), (style.GREEN, ".."))


@dataclass
class ExecutedRow:
    """A row whose gold SQL was executed; `accuracy` is the mean over the seeds."""

    task: str
    hardness: str
    accuracy: float


def executed_rows(seeds: list[Run]) -> tuple[str, list[ExecutedRow]]:
    """("test" or "val", the rows of that split in their order) of one run."""
    judged = [row for run in seeds for row in iter_rows(Judged, run.folder / "verdicts.parquet")]
    split = held_out(row.split for row in judged)
    of_row: dict[tuple[int, str, str], list[float]] = {}
    for row in judged:
        if row.split == split and row.hardness and row.execution_accuracy is not None:
            key = (row.idx, row.task, row.hardness)
            of_row.setdefault(key, []).append(row.execution_accuracy)
    return split, [
        ExecutedRow(task, hardness, fmean(values))
        for (_, task, hardness), values in sorted(of_row.items())
    ]


def plot_execution(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
) -> Figure:
    figure = style.new_figure("Execution accuracy of each recipe's best run", size=(7.2, 3.2))
    panels = figure.subplots(1, 2, width_ratios=(2, 4), sharey=True)
    chosen = best_runs(runs)
    for place, (recipe, seeds) in enumerate(chosen.items()):
        split, rows = executed_rows(seeds)
        label = f"{recipe}: {seeds[0].name}, {split} rows"
        shift = (place - (len(chosen) - 1) / 2) * 0.8 / len(chosen)
        for axes, (column, (_, groups)) in zip(panels, PANELS.items(), strict=True):
            for x, group in enumerate(groups):
                values = [row.accuracy for row in rows if getattr(row, column) == group]
                if values:
                    _bar(axes, x + shift, values, 0.8 / len(chosen), FILLS[place % 3], label)
    for axes, (title, groups) in zip(panels, PANELS.values(), strict=True):
        axes.set_title(title, loc="left", fontsize=8.5)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_ylim(0, 1.08)
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel("share of rows with gold's result")
    style.legend_below(figure, columns=1)
    return figure


def _bar(
    axes: Axes, x: float, values: list[float], width: float, fill: tuple[str, str], label: str
) -> None:
    """The mean with its 95 % interval over rows; `fill`: colour and hatch."""
    colour, hatch = fill
    value, low, high = mean_over_rows(values)
    axes.bar(x, value, width * 0.92, color=colour, hatch=hatch, edgecolor="white", label=label)
    spread = [[value - low], [high - value]]
    axes.errorbar(x, value, yerr=spread, color=style.BLACK, lw=1, capsize=2)
    text = f"{value:.2f}\nn={len(values)}"
    axes.text(x, high + 0.02, text, ha="center", va="bottom", fontsize=6)


if __name__ == "__main__":
    run_stage(plot_execution, save_figure)
