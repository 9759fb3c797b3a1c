"""Execution accuracy of the agents in each setup, a panel for each set of databases."""

from pathlib import Path
from typing import Annotated

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.report import AgentScore
from workflow_scripts.report.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    new_figure,
    save_figure,
)
from workflow_scripts.report.models import ALL_AGENTS as ALL
from workflow_scripts.report.sections import SPLIT_WORDS as SPLITS
from workflow_scripts.stage import Input, run_stage

CAPTION = """\
What each agent is worth: execution accuracy of the whole loop with one agent left out (orange), and
with gold in the place of one (green).

**How to read it.** The dotted line is all agents together. Lines through the points are 95 %
intervals over questions; n is the number of questions. *Broken gold* asks other questions than the
rest: those of the Refiner's test rows.
"""


def plot_agents(scores: Annotated[Path, Input("agents.csv")]) -> Figure:
    lines = read_csv(AgentScore, scores)
    setups = list(dict.fromkeys(line.setup for line in lines))
    splits = [split for split in SPLITS if any(line.split == split for line in lines)]
    figure = new_figure(1.1 + 0.3 * len(setups))
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for axes, split in zip(panels, splits, strict=True):
        _draw(axes, [line for line in lines if line.split == split], setups)
        axes.set_title(SPLITS[split], loc="left", fontsize=9)
    panels[0].set_yticks(range(len(setups)), setups)
    panels[0].invert_yaxis()
    return figure


def _draw(axes: Axes, lines: list[AgentScore], setups: list[str]) -> None:
    for line in lines:
        place = setups.index(line.setup)
        colour = _colour(line.setup)
        axes.plot([line.low, line.high], [place, place], color=colour, linewidth=1.6)
        axes.plot(line.value, place, marker="D" if line.setup == ALL else "o", color=colour)
        axes.annotate(
            f"{line.value:.2f}",
            (line.value, place),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=SMALL,
            color=GREY,
        )
        if line.setup == ALL:
            axes.axvline(line.value, color=colour, linewidth=1, linestyle=":")
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel(f"execution accuracy (n = {max(line.n for line in lines)})")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _colour(setup: str) -> str:
    if setup == ALL:
        return BLUE
    return ORANGE if setup.startswith("without") else GREEN


if __name__ == "__main__":
    run_stage(plot_agents, save_figure)
