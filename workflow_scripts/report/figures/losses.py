"""Figures 5.1, 5.3, 5.5 to 5.7: training and evaluation loss of a run, or of two side by side."""

from collections.abc import Sequence
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.published import LoggedEpoch, Published, PublishedRun
from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.runs import Run, logged_losses
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
Training and evaluation loss over the epochs, one panel for each run (recipe
*{{ snakemake.wildcards.recipe }}*).

**How to read it.** The solid line is the training loss as the Trainer logs it, the mean over a few
steps (the legend says how many). Squares are the evaluation loss on the validation rows after each
epoch. The star marks the epoch with the lowest evaluation loss, whose weights were kept; a dotted
line marks an early stop. The panels of one figure share the loss axis. Where padding counts in the
loss (*as_run*, *as_written*; A4) the level cannot be compared with *repaired*. Of several seeds the
first is shown.

**What the report says.** Figure 5.1: natural mix, training unstable. Figure 5.3: balanced tasks,
smoother. Figures 5.5 (1e-4), 5.6 (3e-5) and 5.7 (5e-5): batch 4 on the left, batch 8 on the right;
the report's discussion swaps the sides and names a Figure 5.8 that does not exist (A12). It finds
that batch 8 overfits. In its notebooks each run began with the weights that the run before had left
(A3), which is why its curves start so low: see the chain of carried weights.
"""


def plot_losses(
    runs: Annotated[list[Run], Setting("folders of the runs to show, from left to right")],
    title: Annotated[str, Setting("above the figure")],
    published: Annotated[
        Published | None, Input("resources/published.json, to show its runs in grey")
    ] = None,
) -> Figure:
    """One panel for each run, on one loss axis."""
    figure = style.new_figure(title, size=(7.2, 3.5))
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    for axes, run in zip(panels, runs, strict=True):
        _draw_run(axes, run, published.runs.get(run.name) if published else None)
    panels[0].set_ylabel("loss (as the recipe counts it)")
    style.legend_below(figure)
    return figure


def _draw_run(axes: Axes, run: Run, published: PublishedRun | None) -> None:
    training, logged = run.training, logged_losses(run)
    x, y = [point.epoch for point in logged], [point.loss for point in logged]
    label = f"training (mean of {run.log_every} steps)"
    axes.plot(x, y, color=style.TRAIN, linewidth=1, label=label)
    x, y = _evaluations(training.epochs)
    label = "evaluation (each epoch)"
    axes.plot(x, y, "s--", color=style.EVAL, markersize=4, label=label)
    best = {"markerfacecolor": "white", "markeredgecolor": style.BLACK, "markersize": 12}
    label = "best epoch, kept"
    axes.plot(training.best_epoch, training.best_eval_loss, "*", **best, label=label)
    if published:
        x, y = _evaluations(published.log)
        label = "evaluation, published"
        axes.plot(x, y, "o:", color=style.PUBLISHED, markersize=3, label=label)
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


def _evaluations(epochs: Sequence[Epoch | LoggedEpoch]) -> tuple[list[int], list[float]]:
    return [each.epoch for each in epochs], [each.eval_loss for each in epochs]


def _mark_stop(axes: Axes, epoch: int) -> None:
    side = -1 if epoch > axes.get_xlim()[1] / 2 else 1
    axes.axvline(epoch, color=style.BLACK, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.annotate(
        f"stopped early\nafter epoch {epoch}", (epoch, 1), xycoords=("data", "axes fraction"),
        xytext=(4 * side, -2), textcoords="offset points",
        ha="right" if side < 0 else "left", va="top", fontsize=7.5,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(plot_losses, save_figure)
