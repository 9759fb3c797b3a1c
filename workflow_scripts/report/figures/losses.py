"""Figures 5.1, 5.3 and 5.5 to 5.7: training and evaluation loss of one run or of two side by side.

The training loss is the mean over each `log_every` steps, as the Trainer logs it; the evaluation
loss is that of the validation rows after each epoch. The epoch whose weights were kept and an
early stop are marked.
"""

import argparse
import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.published import Published, PublishedRun
from workflow_scripts.errors import run_cli
from workflow_scripts.report.figures.style import (
    BLACK,
    EVAL,
    PUBLISHED,
    TRAIN,
    add_figure_arguments,
    drawn_with,
    legend_below,
    new_figure,
    save,
)
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.runs import Run, logged_losses


def draw(title: str, runs: list[Run], note: str = "", published: Published | None = None) -> Figure:
    """One panel for each run, on one loss axis. `published`: the report's runs, drawn in grey."""
    figure = new_figure(title, note, size=(7.2, 3.5))
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axes, run in zip(panels, runs, strict=True):
        _draw_run(axes, run, published.runs.get(run.name) if published else None)
    panels[0].set_ylabel("loss (as the recipe counts it)")
    legend_below(figure)
    return figure


def _draw_run(axes: Axes, run: Run, published: PublishedRun | None) -> None:
    training = run.training
    logged = logged_losses(run)
    axes.plot(
        [point.epoch for point in logged],
        [point.loss for point in logged],
        color=TRAIN,
        linewidth=1,
        label=f"training (mean of {run.log_every} steps)",
    )
    epochs = training.epochs
    axes.plot(
        [epoch.epoch for epoch in epochs],
        [epoch.eval_loss for epoch in epochs],
        color=EVAL,
        linestyle="--",
        marker="s",
        markersize=4,
        label="evaluation (each epoch)",
    )
    axes.plot(
        training.best_epoch,
        training.best_eval_loss,
        linestyle="none",
        marker="*",
        markersize=12,
        markerfacecolor="white",
        markeredgecolor=BLACK,
        label="best epoch, kept",
    )
    if published:
        axes.plot(
            [point.epoch for point in published.log],
            [point.eval_loss for point in published.log],
            color=PUBLISHED,
            linestyle=":",
            marker="o",
            markersize=3,
            label="evaluation, published",
        )
    axes.set_xlim(left=0)
    if training.stopped_early:
        _mark_stop(axes, training.epochs_done)
    settings = run.settings
    axes.set_title(
        f"batch {settings.batch_size}, learning rate {rate(settings.learning_rate)}"
        f"\nbest: epoch {training.best_epoch:g}, loss {training.best_eval_loss:.3f}",
        loc="left",
        fontsize=9,
    )
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _mark_stop(axes: Axes, epoch: float) -> None:
    side = -1 if epoch > axes.get_xlim()[1] / 2 else 1
    axes.axvline(epoch, color=BLACK, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.annotate(
        f"stopped early\nafter epoch {epoch:g}",
        (epoch, 1),
        xycoords=("data", "axes fraction"),
        xytext=(4 * side, -2),
        textcoords="offset points",
        ha="right" if side < 0 else "left",
        va="top",
        fontsize=7.5,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--figures",
        required=True,
        help='JSON: {"name": {"title": text, "runs": [folder, ...]}}; name.svg and .png are made',
    )
    parser.add_argument("--folder", required=True, help="where the figures go")
    parser.add_argument("--published", help="resources/published.json, to draw its points too")
    add_figure_arguments(parser)
    args = parser.parse_args()
    published = Published.read(args.published) if args.published else None
    with drawn_with(args.style):
        for name, plan in json.loads(args.figures).items():
            runs = [Run(Path(folder)) for folder in plan["runs"]]
            figure = draw(plan["title"], runs, args.note, published)
            save(figure, Path(args.folder) / name)


if __name__ == "__main__":
    run_cli(main)
