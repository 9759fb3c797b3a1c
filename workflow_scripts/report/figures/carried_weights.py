"""The chain of carried weights: evaluation loss over all runs end to end, published points over it.

The notebooks passed one model object from run to run: each run began with the weights that the run
before it had left. Put end to end, the runs form one long training; a loss that goes on where the
run before stopped is the sign.
"""

from collections.abc import Sequence
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.published import LoggedEpoch, Published
from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.figures import style
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
The evaluation losses of all runs, put end to end in the order in which they were trained
(recipe *{{ snakemake.wildcards.recipe }}*).

**How to read it.** Each stripe is one run, each point an epoch. Grey circles are the published
values. Blue runs start from the base model; orange runs start from the weights that the run before
them left. Of several seeds the first is shown. If a run were independent, its first point would lie
high, where the blue runs begin.

**What the report says.** The runs are presented as independent experiments. Their losses join end
to end: 0.335 to 0.332, 0.302 to 0.303, 0.274 to 0.274 (A3). What looks like the effect of a
learning rate or a batch size is mostly the effect of having trained longer.
"""


def plot_carried_weights(
    runs: Annotated[list[Run], Setting("run folders in the order of training, one recipe")],
    published: Annotated[Published, Input("resources/published.json")],
) -> Figure:
    title = f"The chain of carried weights ({runs[0].recipe})"
    figure = style.new_figure(title, size=(7.2, 4.4))
    axes = figure.subplots()
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
            _draw_part(axes, at, epochs, style.BLUE, "s", "measured, from the base model")
        ticks.append((at + width / 2, run.name))
        at += width
    axes.set_xticks([x for x, _ in ticks], [name for _, name in ticks], rotation=35, ha="right")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_xlim(0, at)
    axes.set_ylabel("evaluation loss (padding counted)")
    axes.set_xlabel("runs in the order of training; one point per epoch")
    style.legend_below(figure)
    return figure


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
