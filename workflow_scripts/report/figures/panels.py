"""Panels by recipe: a column each, on one x axis, and on one loss axis where losses compare."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workflow_scripts.artifacts.settings import Recipe
from workflow_scripts.report.figures import style
from workflow_scripts.report.runs import Run

NARROWEST = 2.3  # inches for a column
UNFINISHED = "* training ended with the last epoch allowed, not by patience: not converged"
PADDING = {True: "with", False: "without"}


def by_recipe(runs: list[Run]) -> dict[str, list[Run]]:
    """Recipe -> its runs, both in the order given."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run.recipe, []).append(run)
    return grouped


def counted_in_loss(recipe: Recipe) -> tuple[str, bool, int]:
    """What a loss is the mean over; two losses compare only where this is the same."""
    return recipe.tokenizer, recipe.padding_in_loss, recipe.target_tokens


def loss_panels(recipes: list[Recipe], rows: int, height: float) -> tuple[Figure, NDArray]:
    """A figure and its panels [row, column]: a column a recipe, whose name stands above it.

    `height` of one row, in inches. Recipes whose losses compare share the axis; each axis has its
    label and its numbers at the first of them.
    """
    width = max(style.WIDTH, NARROWEST * len(recipes))
    figure = style.new_figure(1.2 + height * rows, width)
    panels = figure.subplots(rows, len(recipes), sharex=True, squeeze=False)
    first: dict[tuple, Axes] = {}  # panel of each loss axis
    for column, recipe in enumerate(recipes):
        counted = counted_in_loss(recipe)
        is_first = counted not in first
        for axes in panels[:, column]:
            if counted in first:
                axes.sharey(first[counted])
            first.setdefault(counted, axes)
            if is_first:
                axes.set_ylabel(f"loss {PADDING[recipe.padding_in_loss]} padding")
            elif counted == counted_in_loss(recipes[column - 1]):
                axes.tick_params(axis="y", labelleft=False)
        panels[0, column].annotate(
            recipe.name, (0, 1), xycoords="axes fraction", xytext=(0, 27),
            textcoords="offset points", fontweight="bold",
        )  # fmt: skip
    return figure, panels


def rows_trained_on(runs: list[Run]) -> str:
    """Their numbers, the smallest first: "67" or "67, 264"."""
    return ", ".join(
        f"{rows:,}" for rows in sorted({run.training.rows["train"]["all"] for run in runs})
    )


def size_of(run: Run) -> str:
    """The batch size and the number of rows that a run is trained on."""
    return f"batch {run.settings.batch_size}, {rows_trained_on([run])} rows"


def unfinished(runs: list[Run]) -> str:
    """What the star behind a run that had not converged means; empty where all had."""
    return "" if all(run.training.stopped_early for run in runs) else UNFINISHED
