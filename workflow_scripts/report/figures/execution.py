"""Execution accuracy by task and by hardness, one bar a recipe, on held-out rows.

Each recipe is shown by its run with the lowest evaluation loss (mean over seeds): on the test rows,
or on the validation rows where the recipe keeps no test set. A row counts with its mean over the
seeds; bars carry 95 % intervals over rows.
"""

import argparse
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.errors import run_cli
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    add_figure_arguments,
    drawn_with,
    legend_below,
    new_figure,
    save,
)
from workflow_scripts.report.runs import Run, best_runs, held_out, read_runs

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", required=True, type=Path, help="run folders")
    parser.add_argument("--out", required=True, help="figure without .svg or .png")
    add_figure_arguments(parser)
    args = parser.parse_args()
    with drawn_with(args.style):
        save(draw(read_runs(args.runs), args.note), args.out)


if __name__ == "__main__":
    run_cli(main)
