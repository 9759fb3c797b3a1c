"""Learning rate x batch size: evaluation loss, ROUGE-L and exact match on the validation rows.

Upper row: what the report's notebooks printed. Lower row: what was measured here, the mean over
seeds. Both compare with what the tokenizer can write of the answer, as the notebooks did. The best
cell of each panel has a frame.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from workflow_scripts.artifacts.published import Published
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
Experiment 3: evaluation loss, ROUGE-L and exact match on the validation rows, for each learning
rate and batch size (recipe *{{ snakemake.wildcards.recipe }}*).

**How to read it.** Upper row: the numbers printed by the report's notebooks. Lower row: measured
here, means over seeds. Scores compare with what the tokenizer can write of an answer, as the
notebooks did. Yellow is better and the frame marks the best cell; a panel without colour has the
same value everywhere. Learning rates are the nominal ones; the configuration may multiply them
(``training.learning_rate_scale``) for a model of another size.

**What the report says.** 1e-4 with batch 4 is best. By its own numbers that run is fourth in
evaluation loss and third in ROUGE-L; it was chosen for one exact match in 203 rows (A10). And as
each run continued the one before (A3), the published row shows the order of training more than
the effect of the settings.
"""

METRICS = {
    "eval_loss": ("evaluation loss (lower is better)", min, "cividis_r"),
    "rouge_l_decoded": ("ROUGE-L (higher is better)", max, "cividis"),
    "exact_match_decoded": ("exact match (higher is better)", max, "cividis"),
}
Grid = dict[tuple[float, int], float]


def measured_grid(runs: list[Run], metric: str) -> Grid:
    """(learning rate, batch size) -> mean over seeds of the validation value."""
    values: dict[tuple[float, int], list[float]] = {}
    for run in runs:
        value = run.score(metric)
        if value is not None:
            cell = (run.settings.learning_rate, run.settings.batch_size)
            values.setdefault(cell, []).append(value)
    return {cell: sum(each) / len(each) for cell, each in values.items()}


def published_grid(published: Published, metric: str) -> Grid:
    key = {"eval_loss": "best_eval_loss"}.get(metric, metric.replace("_decoded", "_val"))
    return {cell: getattr(run, key) for cell, run in published.grid.items()}


def plot_heatmap(
    runs: Annotated[list[Run], Setting("run folders of experiment 3 under one recipe")],
    published: Annotated[Published, Input("resources/published.json")],
) -> Figure:
    title = f"Experiment 3: learning rate x batch size ({runs[0].recipe})"
    figure = style.new_figure(title, size=(7.2, 4.6))
    panels = figure.subplots(2, 3, squeeze=False)
    for column, (metric, (label, best_of, colours)) in enumerate(METRICS.items()):
        _draw_grid(panels[0, column], published_grid(published, metric), best_of, colours)
        _draw_grid(panels[1, column], measured_grid(runs, metric), best_of, colours)
        panels[0, column].set_title(label, loc="left", fontsize=8.5)
        panels[1, column].set_xlabel("learning rate")
    seeds = len({run.seed for run in runs})
    panels[0, 0].set_ylabel("published\nbatch size")
    panels[1, 0].set_ylabel(f"measured ({seeds} seed{'s' * (seeds > 1)})\nbatch size")
    return figure


def _draw_grid(axes: Axes, grid: Grid, best_of: Callable, colours: str) -> None:
    """`best_of` (min or max) finds the cell that gets a frame."""
    rates = sorted({learning_rate for learning_rate, _ in grid})
    batches = sorted({batch for _, batch in grid})
    values = np.full((len(batches), len(rates)), np.nan)
    for (learning_rate, batch), value in grid.items():
        values[batches.index(batch), rates.index(learning_rate)] = value
    low, high = np.nanmin(values), np.nanmax(values)
    if low == high:  # exact match 0 everywhere: no colour may suggest a spread
        colours, low, high = "Greys", low, low + 8
    axes.imshow(values, cmap=colours, vmin=low, vmax=high, aspect="auto", alpha=0.9)
    best = best_of(grid.values())
    for (learning_rate, batch), value in grid.items():
        x, y = rates.index(learning_rate), batches.index(batch)
        height = (value - low) / (high - low)
        dark = {"cividis": height < 0.5, "cividis_r": height > 0.5}.get(colours, False)
        colour = "white" if dark else style.BLACK
        axes.text(x, y, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=8.5)
        if value == best and colours != "Greys":
            corner = (x - 0.46, y - 0.46)
            axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=style.ORANGE, lw=2))
    axes.set_xticks(range(len(rates)), [rate(value) for value in rates])
    axes.set_yticks(range(len(batches)), [str(batch) for batch in batches])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


if __name__ == "__main__":
    run_stage(plot_heatmap, save_figure)
