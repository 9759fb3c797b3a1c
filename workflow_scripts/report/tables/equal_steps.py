"""Batch sizes at equal epochs, at equal steps and at their best.

Experiment 3 of every recipe comes in. `equal_steps.csv` has, for each learning rate and for all of
them, the mean evaluation loss of the smaller and of the larger batch and their difference, with
95 % intervals over seeds where there are several; `equal_steps.html` the same to be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

from workflow_scripts.artifacts.csv import write_csv
from workflow_scripts.report.equal_steps import At, Pair, epochs_at, mean_by_seed, pairs_by
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Output, Setting, run_stage

CAPTION = """\
Is a smaller batch better? Evaluation losses of experiment 3 at equal epochs, at equal steps and at
the epoch that each run kept.

**How to read it.** A smaller batch makes more steps of the same rows. At equal epochs it has made
more of them, at equal steps it has seen fewer rows, so the first comparison favours it and the
second the larger batch. Only runs that converged, which means that patience stopped them and not
their limit of epochs, can be compared by their best epochs.

**What the report says.** Batch 4 is better, by runs that patience stopped but that each began with
the weights that the run before had left (A3).
"""
LEAD = (
    "Evaluation loss of the smaller and the larger batch, and larger minus smaller, with 95 % "
    "intervals over seeds where there are several. <em>equal epochs</em>: after the last epoch "
    "that both runs reached. <em>equal steps</em>: by the last step that both reached, at the last "
    "evaluation before it. <em>best epochs</em>: at the epoch that each kept. "
    "<em>converged</em>: how many of the runs were stopped by patience, not by their limit of "
    "epochs; where it is not all of them, best epochs compare limits."
)
SHOWN = (At.EQUAL_EPOCHS, At.EQUAL_STEPS, At.BEST)
HEADS = ("learning rate", "compared", "batch", "steps", "eval loss", "batch", "steps", "eval loss",
         "larger - smaller", "converged")  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line of equal_steps.csv: a recipe, a learning rate or all, two batch sizes, a place.

    `converged` of the `runs` were stopped by patience; steps are means over pairs of runs.
    """

    recipe: str
    learning_rate: str
    compared: str
    seeds: int
    runs: int
    converged: int
    smaller: int
    smaller_steps: float
    smaller_loss: float
    smaller_low: float
    smaller_high: float
    larger: int
    larger_steps: float
    larger_loss: float
    larger_low: float
    larger_high: float
    difference: float
    low: float
    high: float


def lines_of(runs: list[Run]) -> list[Line]:
    lines = []
    for recipe in dict.fromkeys(run.recipe for run in runs):
        grid = [run for run in runs if run.recipe == recipe]
        sizes = sorted({run.settings.batch_size for run in grid})
        for smaller, larger in combinations(sizes, 2):
            pairs = pairs_by(grid, "batch_size", larger, smaller)
            lines += [
                line
                for name, of_rate in _by_rate(pairs).items()
                for at in SHOWN
                if (line := _line(name, of_rate, at))
            ]
    return lines


def _by_rate(pairs: list[Pair]) -> dict[str, list[Pair]]:
    """Learning rate -> its pairs, from low to high, and "all"."""
    by_rate: dict[float, list[Pair]] = {}
    for pair in pairs:
        by_rate.setdefault(pair[0].settings.learning_rate, []).append(pair)
    return {rate(value): by_rate[value] for value in sorted(by_rate)} | {"all": pairs}


def _line(learning_rate: str, pairs: list[Pair], at: At) -> Line | None:
    """None where a run of each pair had no evaluation yet."""
    epochs = [(pair[0].seed, *found) for pair in pairs if (found := epochs_at(pair, at))]
    if not epochs:
        return None
    runs = dict.fromkeys(run for pair in pairs for run in pair)
    larger, smaller = (run.settings.batch_size for run in pairs[0])
    return Line(
        pairs[0][0].recipe,
        learning_rate,
        at.value,
        len({seed for seed, *_ in epochs}),
        len(runs),
        sum(run.training.stopped_early for run in runs),
        smaller,
        fmean(small.step for _, _, small in epochs),
        *_limits((seed, small.eval_loss) for seed, _, small in epochs),
        larger,
        fmean(large.step for _, large, _ in epochs),
        *_limits((seed, large.eval_loss) for seed, large, _ in epochs),
        *_limits((seed, large.eval_loss - small.eval_loss) for seed, large, small in epochs),
    )


def _limits(by_seed: Iterable[tuple[int, float]]) -> tuple[float, float, float]:
    mean = mean_by_seed(by_seed)
    return mean.value, mean.low, mean.high


def equal_steps_page(lines: list[Line]) -> html.Page:
    """A table for each recipe."""
    tables = {
        recipe: html.Table(HEADS, [_row(line) for line in lines if line.recipe == recipe])
        for recipe in dict.fromkeys(line.recipe for line in lines)
    }
    return html.tables("Batch sizes at equal epochs and at equal steps", LEAD, tables)


def _row(line: Line) -> list[Any]:
    return [
        html.Number(line.learning_rate),
        line.compared,
        line.smaller,
        html.Number(f"{line.smaller_steps:.0f}"),
        html.number(line.smaller_loss, line.smaller_low, line.smaller_high),
        line.larger,
        html.Number(f"{line.larger_steps:.0f}"),
        html.number(line.larger_loss, line.larger_low, line.larger_high),
        html.number(line.difference, line.low, line.high),
        html.Number(f"{line.converged} of {line.runs}"),
    ]


def tabulate_equal_steps(
    runs: Annotated[list[Run], Setting("run folders of experiment 3 under all recipes")],
    table: Annotated[Path, Output("equal_steps.csv")],
) -> html.Page:
    lines = lines_of(runs)
    write_csv(table, Line, lines)
    return equal_steps_page(lines)


if __name__ == "__main__":
    run_stage(tabulate_equal_steps, write_page)
