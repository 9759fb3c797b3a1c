"""The chain of carried weights: evaluation loss over all runs end to end, published points over it.

The notebooks passed one model object from run to run: each run began with the weights that the run
before it had left. Put end to end, the runs form one long training.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.published import LoggedEpoch, Published
from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.panels import PADDING, by_recipe, rows_trained_on, unfinished
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
The evaluation losses of all runs, put end to end in the order in which they were trained.

**How to read it.** Each stripe is one run, each point an epoch. Grey circles are the published
values, of other rows and another model. Blue runs start from the base model; orange runs start from
the weights that the run before them left. If a run were independent, its first point would lie
where the blue runs begin. The lines above the panel say what became of the loss along the longest
chain, from run to run: of each run the lowest evaluation loss counts. A star behind a run's name
says that its training ended with the last epoch allowed, not by patience. Of several seeds the
first is shown.

**What the report says.** The runs are presented as independent experiments. Their losses join end
to end: 0.335 to 0.332, 0.302 to 0.303, 0.274 to 0.274 (A3).
"""


def longest_chain(runs: list[Run]) -> list[Run]:
    """The most runs each of which starts from the weights that the one before it left."""
    chains: dict[str, list[Run]] = {}  # name of the last run -> the chain up to it
    for run in runs:
        chains[run.name] = [*chains.get(run.provenance.base.run, []), run]
    return max(chains.values(), key=len)


def course(losses: Sequence[float]) -> str:
    """What becomes of a loss from run to run, in words."""
    falls = sum(after < before for before, after in pairwise(losses))
    rises = sum(after > before for before, after in pairwise(losses))
    steps = f"falls {falls} of {len(losses) - 1} times, rises {rises}"
    return f"{losses[0]:.3f} at first, {losses[-1]:.3f} at last ({steps})"


def plot_carried_weights(
    runs: Annotated[list[Run], Setting("run folders in the order of training, by recipe")],
    published: Annotated[Published, Input("resources/published.json")],
) -> Figure:
    recipes = by_recipe(runs)
    figure = style.new_figure(0.8 + 3.6 * len(recipes))
    panels = figure.subplots(len(recipes), squeeze=False)[:, 0]
    for axes, of_recipe in zip(panels, recipes.values(), strict=True):
        _draw_chain(axes, of_recipe, published)
        axes.set_title(_seen(longest_chain(of_recipe), published), loc="left", fontsize=8)
    panels[-1].set_xlabel("runs in the order of training; one point per epoch")
    style.legend_below(figure, footnote=unfinished(runs))
    return figure


def _seen(chain: list[Run], published: Published) -> str:
    rows, first, last = rows_trained_on(chain), chain[0], chain[-1]
    words = f"{first.recipe}, {len(chain)} runs on {rows} rows, {first.name} to {last.name}:"
    losses = {"measured": [run.training.best_eval_loss for run in chain]}
    if all(run.name in published.runs for run in chain):
        losses["published"] = [published.runs[run.name].best_eval_loss for run in chain]
    return "\n".join([words, *(f"{kind}: {course(each)}" for kind, each in losses.items())])


def _draw_chain(axes: Axes, runs: list[Run], published: Published) -> None:
    at, ticks = 0.0, []
    for index, run in enumerate(runs):
        quoted = published.runs[run.name].log if run.name in published.runs else []
        epochs = run.training.epochs
        width = max(len(quoted), len(epochs)) + 1.0
        if index % 2:
            axes.axvspan(at, at + width, color="#F2F2F2", linewidth=0)
        _draw_part(axes, at, quoted, style.PUBLISHED, "o", "published")
        if run.provenance.base.run:
            _draw_part(axes, at, epochs, style.ORANGE, "s", "measured, weights carried over")
        else:
            _draw_part(axes, at, epochs, style.BLUE, "^", "measured, from the base model")
        ticks.append((at + width / 2, run.name + "*" * (not run.training.stopped_early)))
        at += width
    axes.set_xticks([x for x, _ in ticks], [name for _, name in ticks], rotation=35, ha="right")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_xlim(0, at)
    padding = runs[0].training.settings.recipe.padding_in_loss
    axes.set_ylabel(f"evaluation loss {PADDING[padding]} padding")


def _draw_part(
    axes: Axes, at: float, log: Sequence[LoggedEpoch | Epoch], colour: str, marker: str, label: str
) -> None:
    if log:
        x = [at + place + 1 for place in range(len(log))]
        y = [point.eval_loss for point in log]
        hollow = {"linestyle": ":", "markerfacecolor": "white"} if marker == "o" else {}
        axes.plot(x, y, color=colour, marker=marker, markersize=3.5, label=label, **hollow)


if __name__ == "__main__":
    run_stage(plot_carried_weights, save_figure)
