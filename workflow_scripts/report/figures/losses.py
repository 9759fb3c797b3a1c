"""Figures 5.1, 5.3, 5.5 to 5.7: training and evaluation loss, a column a recipe, a row a run."""

from collections.abc import Sequence
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.published import LoggedEpoch, Published, PublishedRun
from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.panels import by_recipe, loss_panels, size_of
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import Run, logged_losses
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
Training and evaluation loss over the epochs: one column for each recipe, one row for each run.

**How to read it.** The solid line is the training loss as the Trainer logs it, the mean over a few
steps (the legend says how many). Squares are the evaluation loss on the validation rows after each
epoch. The star marks the epoch with the lowest evaluation loss, whose weights were kept. It is
filled where training ended because the loss had stopped falling (patience): the run had converged.
It is hollow where no more epochs were allowed: such a run says nothing about which settings are
better in the end. Above each panel: batch size, number of rows trained on, the
lowest evaluation loss, and its epoch and step. The title gives the learning rate of the report and,
where the configuration multiplies it, the one used here. All panels share the epochs. Losses
compare only where the same tokens are counted, and only such panels share a loss axis: with padding
in the loss (A4), or with another tokenizer (A2), the level is another. Of several seeds the first
is shown.

**What the report says.** Figure 5.1: natural mix, training unstable. Figure 5.3: balanced tasks,
smoother. Figures 5.5 (1e-4), 5.6 (3e-5) and 5.7 (5e-5): batch 4 on the left, batch 8 on the right,
here above each other; the report's discussion swaps the sides and names a Figure 5.8 that does not
exist (A12). It finds that batch 8 overfits. In its notebooks each run began with the weights that
the run before had left (A3), which is why its curves start so low: see the chain of carried
weights.
"""
CROWDED = 15  # more epochs have smaller marks


def plot_losses(
    runs: Annotated[list[Run], Setting("folders of the runs to show, by recipe")],
    published: Annotated[
        Published | None, Input("resources/published.json, to show its runs in grey")
    ] = None,
) -> Figure:
    columns = by_recipe(runs)
    names = list(dict.fromkeys(run.name for run in runs))
    recipes = [of_recipe[0].training.settings.recipe for of_recipe in columns.values()]
    figure, panels = loss_panels(recipes, len(names), height=2.0)
    for column, of_recipe in enumerate(columns.values()):
        shown = {run.name: run for run in of_recipe}
        for axes, name in zip(panels[:, column], names, strict=True):
            if name in shown:
                _draw_run(axes, shown[name], _comparable(shown[name], published))
            else:
                axes.set_title(f"no run {name}", loc="left", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    style.legend_below(figure, columns=3)
    return figure


def _comparable(run: Run, published: Published | None) -> PublishedRun | None:
    """The published run of that name, where its loss counts what this one's does."""
    recipe = run.training.settings.recipe
    if published and recipe.padding_in_loss and recipe.tokenizer == "stock":
        return published.runs.get(run.name)
    return None


def _draw_run(axes: Axes, run: Run, published: PublishedRun | None) -> None:
    training, logged = run.training, logged_losses(run)
    x, y = [point.epoch for point in logged], [point.loss for point in logged]
    label = f"training (mean of {run.log_every} steps)"
    axes.plot(x, y, color=style.TRAIN, linewidth=1, label=label)
    x, y = _evaluations(training.epochs)
    size = 3.5 if len(x) <= CROWDED else 2
    axes.plot(x, y, "s--", color=style.EVAL, markersize=size, label="evaluation (each epoch)")
    if published:
        x, y = _evaluations(published.log)
        axes.plot(x, y, "o:", color=style.PUBLISHED, markersize=3, label="evaluation, published")
    fill, label = ("white", "best epoch, not converged")
    if training.stopped_early:
        fill, label = (style.BLACK, "best epoch, converged")
    best = {"markerfacecolor": fill, "markeredgecolor": style.BLACK, "markersize": 10}
    axes.plot(training.best_epoch, training.best_eval_loss, "*", color="none", **best, label=label)
    axes.set_xlim(left=0)
    axes.set_title(
        f"{size_of(run)}\nlowest {training.best_eval_loss:.3f}: "
        f"epoch {training.best_epoch}, step {training.best_step:,}",
        loc="left",
        fontsize=8,
    )
    axes.xaxis.get_major_locator().set_params(integer=True)


def _evaluations(epochs: Sequence[Epoch | LoggedEpoch]) -> tuple[list[int], list[float]]:
    return [each.epoch for each in epochs], [each.eval_loss for each in epochs]


if __name__ == "__main__":
    run_stage(plot_losses, save_figure)
