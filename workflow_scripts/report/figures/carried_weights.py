"""The chain of carried weights: evaluation loss over all runs end to end, published points over it.

The notebooks passed one model object from run to run: each run began with the weights that the run
before it had left. Put end to end, the runs form one long training; a loss that goes on where the
run before stopped is the sign.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.published import LoggedEpoch, Published
from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.errors import run_cli
from workflow_scripts.report.figures.style import (
    BLUE,
    ORANGE,
    PUBLISHED,
    add_figure_arguments,
    drawn_with,
    legend_below,
    new_figure,
    save,
)
from workflow_scripts.report.runs import Run


def draw(
    title: str,
    chain: list[tuple[str, Run | None, str]],
    published: Published,
    note: str = "",
) -> Figure:
    """`chain`: (run name, run or None, what it starts from) in the order they were trained."""
    figure = new_figure(title, note, size=(7.2, 4.4))
    axes = figure.subplots()
    at, ticks = 0.0, []
    for index, (name, run, starts_from) in enumerate(chain):
        quoted = published.runs[name].log if name in published.runs else []
        epochs = run.training.epochs if run else []
        width = max(len(quoted), len(epochs)) + 1.0
        if index % 2:
            axes.axvspan(at, at + width, color="#F2F2F2", linewidth=0)
        _draw_part(axes, at, quoted, PUBLISHED, "o", "published")
        carried = starts_from != "base"
        colour = ORANGE if carried else BLUE
        label = "measured, weights carried over" if carried else "measured, from the base model"
        _draw_part(axes, at, epochs, colour, "s", label)
        ticks.append((at + width / 2, name))
        at += width
    axes.set_xticks([x for x, _ in ticks], [name for _, name in ticks], rotation=35, ha="right")
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_xlim(0, at)
    axes.set_ylabel("evaluation loss (padding counted)")
    axes.set_xlabel("runs in the order of training; one point per epoch")
    legend_below(figure)
    return figure


def _draw_part(
    axes: Axes, at: float, log: Sequence[LoggedEpoch | Epoch], colour: str, marker: str, label: str
) -> None:
    if log:
        x = [at + place + 1 for place in range(len(log))]
        y = [point.eval_loss for point in log]
        style = {"linestyle": ":", "markerfacecolor": "white"} if marker == "o" else {}
        axes.plot(x, y, color=colour, marker=marker, markersize=3.5, label=label, **style)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True)
    parser.add_argument(
        "--chain",
        nargs="+",
        required=True,
        help="folder=starts_from for each run in the order of training, e.g. "
        "results/runs/as_run/exp1_balanced/seed42=exp1_natural",
    )
    parser.add_argument("--published", required=True, help="resources/published.json")
    parser.add_argument("--out", required=True, help="figure without .svg or .png")
    add_figure_arguments(parser)
    args = parser.parse_args()
    chain = []
    for link in args.chain:
        folder, starts_from = link.split("=")
        run = Run(Path(folder))
        chain.append((run.name, run, starts_from))
    with drawn_with(args.style):
        save(draw(args.title, chain, Published.read(args.published), args.note), args.out)


if __name__ == "__main__":
    run_cli(main)
