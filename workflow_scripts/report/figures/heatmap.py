"""Learning rate x batch size: evaluation loss, ROUGE-L and exact match on the validation rows.

First row: what the report's notebooks printed. Below, a row for each recipe: what was measured
here, the mean over seeds. Scores compare with what the tokenizer can write of the answer, as the
notebooks did.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from workflow_scripts.artifacts.published import Published
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.panels import (
    by_recipe,
    counted_in_loss,
    rows_trained_on,
    unfinished,
)
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import LOWER_IS_BETTER, Run
from workflow_scripts.report.tabulate import rate
from workflow_scripts.stage import Input, Setting, run_stage
from workflow_scripts.tables import SCORES, read_table

CAPTION = """\
Experiment 3: evaluation loss, ROUGE-L and exact match on the validation rows, for each learning
rate and batch size.

**How to read it.** First row: the numbers printed by the report's notebooks, which come from other
rows and another model. Below: measured here, a row for each recipe, means over seeds; n is the
number of validation rows of one seed. Yellow is better. The colours of the scores go from 0 to 1 in
every panel. Those of the losses are shared by recipes that count the same tokens; with padding in
the loss (A4), or with another tokenizer (A2), the level is another. A grey panel has the same value
everywhere. A frame marks the lowest loss, and the highest score where it is ahead of the next by
more than one row could make. A star behind a value says that training ended with the last epoch
allowed, not because the loss had stopped falling (patience): that run had not converged, and which
settings are better in the end is not known from it. Scores compare with what the tokenizer can
write of an answer, as the notebooks did. Learning rates are those used.

**What the report says.** 1e-4 with batch 4 is best. By its own numbers that run is fourth in
evaluation loss and third in ROUGE-L; it was chosen for one exact match in 203 rows (A10). And as
each run continued the one before (A3), the published row shows the order of training more than
the effect of the settings. So does any recipe whose runs start from each other (*as_run*).
"""

METRICS = {  # metric -> (title, its name in published.json)
    "eval_loss": ("evaluation loss (lower is better)", "best_eval_loss"),
    "rouge_l_decoded": ("ROUGE-L (higher is better)", "rouge_l_val"),
    "exact_match_decoded": ("exact match (higher is better)", "exact_match_val"),
}
EQUAL = "#E9E9E9"  # a panel whose cells are all equal


@dataclass(frozen=True)
class Cell:
    """The mean of one value over seeds; `rows` that it is measured on, of all seeds together."""

    value: float
    rows: int
    converged: bool = True  # every seed's training ended by patience


Grid = dict[tuple[float, int], Cell]  # (learning rate, batch size) -> cell


def measured_grid(runs: list[Run], metric: str, scores: pd.Series) -> Grid:
    """Values on validation rows; learning rates are those used, after `learning_rate_scale`."""
    seeds: dict[tuple[float, int], list[Run]] = {}
    for run in runs:
        cell = (run.training.settings.learning_rate, run.settings.batch_size)
        seeds.setdefault(cell, []).append(run)
    return {
        cell: Cell(
            fmean(scores[run.recipe, run.name, run.seed, metric] for run in of_cell),
            sum(run.training.rows["val"]["all"] for run in of_cell),
            all(run.training.stopped_early for run in of_cell),
        )
        for cell, of_cell in seeds.items()
    }


def published_grid(published: Published, metric: str) -> Grid:
    (_, name), rows = METRICS[metric], published.dataset.validation_rows
    return {cell: Cell(getattr(run, name), rows) for cell, run in published.grid.items()}


def best_cell(grid: Grid, metric: str) -> tuple[float, int] | None:
    """The cell with the lowest loss, or the highest score.

    None where there is no other, where two share it, or where a score is ahead of the next by no
    more than one row could make.
    """
    sign = 1 if metric in LOWER_IS_BETTER else -1
    if len(grid) < 2:
        return None
    first, second, *_ = sorted(grid, key=lambda cell: sign * grid[cell].value)
    lead = abs(grid[first].value - grid[second].value)
    rounding = 1e-9
    one_row = 0 if metric in LOWER_IS_BETTER else 1 / grid[first].rows
    return first if lead > one_row + rounding else None


def plot_heatmap(
    runs: Annotated[list[Run], Setting("run folders of experiment 3 under all recipes")],
    scores: Annotated[Path, Input("scores.parquet")],
    published: Annotated[Published, Input("resources/published.json")],
) -> Figure:
    recipes = by_recipe(runs)
    table = read_table(scores, SCORES)
    table = table[(table.split == "val") & (table.task == "all") & table.metric.isin(METRICS)]
    values = table.set_index(["recipe", "run", "seed", "metric"]).value
    measured = [name for name in METRICS if (table.metric == name).any()]
    figure = style.new_figure(0.9 + 1.1 * (1 + len(recipes)))
    panels = figure.subplots(1 + len(recipes), len(measured), squeeze=False)
    for column, metric in enumerate(measured):
        grids = [published_grid(published, metric)]
        grids += [measured_grid(of_recipe, metric, values) for of_recipe in recipes.values()]
        for axes, grid, scale in zip(
            panels[:, column], grids, _scales(metric, grids, recipes), strict=True
        ):
            _draw_grid(axes, grid, metric, scale)
        panels[0, column].set_title(METRICS[metric][0], loc="left", fontsize=8.5)
        panels[-1, column].set_xlabel("learning rate")
    _name_rows(panels[:, 0], recipes, published)
    trained = f"Each run is trained on {rows_trained_on(runs)} rows."
    style.legend_below(figure, footnote=f"{trained} {unfinished(runs)}")
    return figure


def _scales(metric: str, grids: list[Grid], recipes: dict[str, list[Run]]) -> list[Normalize]:
    """The scale of each grid's colours: one for those whose values compare. Scores: 0 to 1."""
    if metric not in LOWER_IS_BETTER:
        return [Normalize(0, 1)] * len(grids)
    settings = [of_recipe[0].training.settings.recipe for of_recipe in recipes.values()]
    counted = ["published", *map(counted_in_loss, settings)]
    values: dict[object, list[float]] = {}
    for key, grid in zip(counted, grids, strict=True):
        values.setdefault(key, []).extend(cell.value for cell in grid.values())
    return [Normalize(min(values[key]), max(values[key])) for key in counted]


def _name_rows(axes: np.ndarray, recipes: dict[str, list[Run]], published: Published) -> None:
    axes[0].set_ylabel(f"published\nn = {published.dataset.validation_rows}\nbatch size")
    for panel, (recipe, runs) in zip(axes[1:], recipes.items(), strict=True):
        rows = sorted({run.training.rows["val"]["all"] for run in runs})
        panel.set_ylabel(f"{recipe}\nn = {', '.join(map(str, rows))}\nbatch size")


def _draw_grid(axes: Axes, grid: Grid, metric: str, scale: Normalize) -> None:
    rates = sorted({learning_rate for learning_rate, _ in grid})
    batches = sorted({batch for _, batch in grid})
    values = np.full((len(batches), len(rates)), np.nan)
    for (learning_rate, batch), cell in grid.items():
        values[batches.index(batch), rates.index(learning_rate)] = cell.value
    equal = len({cell.value for cell in grid.values()}) == 1 < len(grid)
    colours = colormaps["cividis_r" if metric in LOWER_IS_BETTER else "cividis"]
    if equal:  # exact match 0 everywhere: no colour may suggest a spread
        axes.set_facecolor(EQUAL)
        axes.text(0.5, 0.5, "all equal", transform=axes.transAxes, ha="center", va="center",
                  style="italic", fontsize=8)  # fmt: skip
    else:
        axes.imshow(values, cmap=colours, norm=scale, aspect="auto")
    best = None if equal else best_cell(grid, metric)
    for key, cell in grid.items():
        x, y = rates.index(key[0]), batches.index(key[1])
        dark = not equal and _luminance(colours(scale(cell.value))) < 0.45
        text = f"{cell.value:.3f}" + "*" * (not cell.converged)
        colour = "white" if dark else style.BLACK
        axes.text(x, y, text, ha="center", va="center", color=colour, fontsize=8)
        if key == best:
            corner = (x - 0.46, y - 0.46)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=style.ORANGE, lw=2))
    axes.set(xlim=(-0.5, len(rates) - 0.5), ylim=(len(batches) - 0.5, -0.5))
    axes.set_xticks(range(len(rates)), [rate(value) for value in rates])
    axes.set_yticks(range(len(batches)), [str(batch) for batch in batches])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """0 (black) to 1 (white), by the weights of Rec. 709 without linearising."""
    return float(np.dot(colour[:3], (0.2126, 0.7152, 0.0722)))


if __name__ == "__main__":
    run_stage(plot_heatmap, save_figure)
