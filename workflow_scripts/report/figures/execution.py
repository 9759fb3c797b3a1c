"""Execution accuracy by task and by hardness, one bar a recipe, on held-out rows.

Each recipe is shown by its run with the lowest evaluation loss (mean over seeds): on the test rows,
or on the validation rows where the recipe keeps no test set. A row counts with its mean over the
seeds; bars carry 95 % intervals over rows.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    drawn_with,
    legend_below,
    new_figure,
    save,
)
from workflow_scripts.report.look import PLAIN, Look
from workflow_scripts.report.runs import Run, best_runs, held_out, read_runs
from workflow_scripts.stage import Output, Setting, run_stage

CAPTION = """\
Execution accuracy: the share of rows whose SQL, run on the row's own database, returns the rows
that the gold SQL returns (BIRD's definition: equal sets of rows). The report asked for this figure
and could not make it.

**How to read it.** Each recipe is shown by its run with the lowest loss on its validation rows
(mean over seeds). Its SQL is executed on the test rows or, where a recipe keeps none, as in the
notebooks, on the validation rows it is scored on. Left: the two agents that write SQL. Right: the
same rows by the hardness of the gold SQL, as Spider counts it. Black lines are 95 % intervals over
rows; n is the number of rows. An answer without a fenced SQL statement counts as wrong, so a
tokenizer that cannot write a fence scores 0.
"""

METRIC = "execution_accuracy"
PANELS = {
    "task": ("by task", ("Decomposer", "Refiner")),
    "hardness": (
        "by hardness of the gold SQL (Spider's levels)",
        ("easy", "medium", "hard", "extra"),
    ),
}
LOOKS = ((BLUE, ""), (ORANGE, "//"), (GREEN, ".."))


def executed_rows(runs: list[Run]) -> tuple[str, pd.DataFrame]:
    """("test" or "val", rows that were executed, each with its mean over the seeds)."""
    read = [pd.read_parquet(run.folder / "verdicts.parquet") for run in runs]
    verdicts = pd.concat(read, ignore_index=True)
    split = held_out(verdicts["split"])
    own = verdicts[(verdicts["split"] == split) & verdicts[METRIC].notna()]
    return split, own.groupby(["idx", "task", "hardness"], as_index=False, sort=True)[METRIC].mean()


def draw(runs: list[Run], note: str = "") -> Figure:
    figure = new_figure("Execution accuracy of each recipe's best run", note, size=(7.2, 3.2))
    panels = figure.subplots(1, 2, width_ratios=(2, 4), sharey=True)
    chosen = best_runs(runs)
    for place, (recipe, seeds) in enumerate(chosen.items()):
        split, verdicts = executed_rows(seeds)
        label = f"{recipe}: {seeds[0].name}, {split} rows"
        for axes, (column, (_, groups)) in zip(panels, PANELS.items(), strict=True):
            _bars(axes, verdicts, column, groups, place, len(chosen), label)
    for axes, (title, groups) in zip(panels, PANELS.values(), strict=True):
        axes.set_title(title, loc="left", fontsize=8.5)
        axes.set_xticks(range(len(groups)), groups)
        axes.set_ylim(0, 1.08)
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel("share of rows with gold's result")
    legend_below(figure, columns=1)
    return figure


def _bars(
    axes: Axes, verdicts: pd.DataFrame, column: str, groups: tuple[str, ...], place: int,
    recipes: int, label: str,
) -> None:  # fmt: skip
    colour, hatch = LOOKS[place % len(LOOKS)]
    width = 0.8 / recipes
    for x, group in enumerate(groups):
        values = verdicts.loc[verdicts[column] == group, METRIC].tolist()
        if not values:
            continue
        value, low, high = mean_over_rows(values)
        where = x + (place - (recipes - 1) / 2) * width
        axes.bar(where, value, width * 0.92, color=colour, hatch=hatch, edgecolor="white",
                 label=label)  # fmt: skip
        spread = [[value - low], [high - value]]
        axes.errorbar(where, value, yerr=spread, color=BLACK, lw=1, capsize=2)
        axes.text(where, high + 0.02, f"{value:.2f}\nn={len(values)}", ha="center", va="bottom",
                  fontsize=6)  # fmt: skip


def plot_execution(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    svg: Annotated[Path, Output("the figure")],
    png: Annotated[Path, Output("the same, for a screen")],
    look: Annotated[Look, Setting("small print and style")] = PLAIN,
) -> None:
    with drawn_with(look):
        save(draw(read_runs(runs), look.note), svg, png)


if __name__ == "__main__":
    run_stage(plot_execution)
