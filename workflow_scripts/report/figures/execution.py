"""Execution accuracy by task and by hardness, one bar a recipe, on rows that no run trained on.

Each recipe is shown by its run with the lowest evaluation loss (mean over seeds): on the test rows,
or on the validation rows where the recipe keeps no test set, and below on rows of databases that no
run saw and of another file, where there are such rows. A row counts with its mean over the seeds;
bars carry 95 % intervals over rows.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.means import best_runs, held_out
from workflow_scripts.stage import Input, Setting, run_stage
from workflow_scripts.tables import ANSWERS, read_table

CAPTION = """\
Execution accuracy: the share of rows whose SQL, run on the row's own database, returns the rows
that the gold SQL returns (BIRD's definition: equal sets of rows). The report asked for this figure
and could not make it.

**How to read it.** Each recipe is shown by its run with the lowest loss on its validation rows
(mean over seeds). *Held-out rows*: rows that this run was not trained on; other rows about the same
databases were. They are the test rows or, where a recipe keeps none, as in the notebooks, the
validation rows it is scored on. *Databases never seen*: rows of whole databases that were kept from
all training. Left: the two agents that write SQL. Right: the same rows by the hardness of the gold
SQL, as Spider counts it. Black lines are 95 % intervals over rows; n is the number of rows. An
answer without a fenced SQL statement counts as wrong, so a tokenizer that cannot write a fence
scores 0; `execution_accuracy_lenient` of results.csv takes SQL in any form.
"""

PANELS = {
    "task": ("by task", ("Decomposer", "Refiner")),
    "hardness": (
        "by hardness of the gold SQL (Spider's levels)",
        ("easy", "medium", "hard", "extra"),
    ),
}
SPLITS = {  # split -> its row of panels
    "test": "held-out rows",
    "val": "held-out rows",
    "unseen": "databases never seen",
    "other": "rows of another file",
}
FILLS = (("#C9C9C9", ""), ("#56B4E9", "//"), ("#1F3A68", ".."))  # light to dark: readable in grey


def executed_rows(answers: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Split (test or else val, unseen, other) -> the rows of one run whose gold SQL was executed.

    `accuracy` is the mean over the seeds.
    """
    own = answers[answers.hardness.notna() & answers.execution_accuracy.notna()]
    splits = (held_out(answers.split.unique()), "unseen", "other")
    keys = ["split", "idx", "task", "hardness"]
    rows = own.groupby(keys).execution_accuracy.mean().rename("accuracy").reset_index()
    return {split: rows[rows.split == split] for split in splits if (rows.split == split).any()}


def plot_execution(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    answers: Annotated[Path, Input("answers.parquet")],
) -> Figure:
    chosen, table = best_runs(read_runs(runs)), read_table(answers, ANSWERS)
    rows = {
        recipe: executed_rows(table[(table.recipe == recipe) & (table.run == run)])
        for recipe, run in chosen.items()
    }
    measured = {split for of_recipe in rows.values() for split in of_recipe}
    words = list(dict.fromkeys(SPLITS[split] for split in SPLITS if split in measured))
    figure = style.new_figure(height=0.8 + 2.3 * len(words))
    panels = figure.subplots(len(words), 2, width_ratios=(2, 4), sharey=True, squeeze=False)
    for place, (recipe, run) in enumerate(chosen.items()):
        own = " (its validation rows)" if "val" in rows[recipe] else ""
        bars = Bars(place, len(chosen), f"{recipe}: {run}{own}")
        for split, of_split in rows[recipe].items():
            for axes, column in zip(panels[words.index(SPLITS[split])], PANELS, strict=True):
                bars.draw(axes, column, of_split)
    for row, whose in zip(panels, words, strict=True):
        for axes, (title, groups) in zip(row, PANELS.values(), strict=True):
            axes.set_title(title, loc="left", fontsize=8.5)
            axes.set_xticks(range(len(groups)), groups)
            axes.set_xlim(-0.5, len(groups) - 0.5)
            axes.set_ylim(0, 1.25)
            axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
            axes.grid(visible=False, axis="x")
        row[0].set_title(f"{whose}, {PANELS['task'][0]}", loc="left", fontsize=8.5)
        row[0].set_ylabel("share of rows\nwith gold's result")
    style.legend_below(figure, columns=1)
    return figure


@dataclass
class Bars:
    """The bars of one recipe, at its `place` among `count`."""

    place: int
    count: int
    label: str

    def draw(self, axes: Axes, column: str, rows: pd.DataFrame) -> None:
        """A bar for each group of a panel: the mean, its 95 % interval over rows, and n."""
        width = 0.84 / self.count
        shift = (self.place - (self.count - 1) / 2) * width
        colour, hatch = FILLS[self.place % len(FILLS)]
        for x, group in enumerate(PANELS[column][1]):
            values = rows[rows[column] == group].accuracy.to_numpy()
            if not len(values):
                continue
            value, low, high = mean_over_rows(values)
            axes.bar(x + shift, value, width * 0.9, color=colour, hatch=hatch, edgecolor="white",
                     label=self.label)  # fmt: skip
            spread = [[value - low], [high - value]]
            axes.errorbar(
                x + shift, value, yerr=spread, color=style.BLACK, lw=1, capsize=2,
                marker="o", markersize=4, markerfacecolor=colour, clip_on=False,
            )  # fmt: skip
            text = f"{value:.0%}\nn={len(values)}"
            axes.text(x + shift, high + 0.02, text, ha="center", va="bottom", fontsize=style.SMALL)


if __name__ == "__main__":
    run_stage(plot_execution, save_figure)
