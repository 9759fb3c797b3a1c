"""What each repair is worth, and controls: the variants of the ablation, one panel per metric."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.report.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    draw_interval,
    lay_rows,
    new_figure,
)


class Panel(NamedTuple):
    """`other`: another reading of the same answers, hollow where it differs; `words`: its name."""

    metric: str
    split: str
    title: str
    other: str = ""
    words: str = ""


EXACT = ("exact_match_decoded", "hollow: as the\nnotebooks did")
EXECUTED = ("execution_accuracy_lenient", "hollow: SQL\nin any form")
LOSS = "loss_per_token"
PANELS = (
    Panel("exact_match", "test", "exact\nmatch", *EXACT),
    Panel("exact_match", "unseen", "exact match,\nunseen", *EXACT),
    Panel("rouge_l", "test", "ROUGE-L"),
    Panel("execution_accuracy", "test", "execution\naccuracy", *EXECUTED),
    Panel("execution_accuracy", "unseen", "execution\nacc., unseen", *EXECUTED),
    Panel(LOSS, "val", "eval loss per\nreal token"),
)
VISIBLE = 0.005  # a smaller difference between two points is not drawn
CONTROLS = "controls"  # a line of its own above them


def draw_ablation(effects: pd.DataFrame | Sequence[Any], labels: dict[str, str]) -> Figure:
    """`effects`: lines of ablation.csv. `labels`: recipe -> its words, in order.

    The order is from the unrepaired end to the repaired one, then controls.
    """
    lines = pd.DataFrame(effects)
    lines = lines.assign(control=lines.change.str.startswith("~", na=False))
    controls = set(lines[lines.control].recipe)
    places = {recipe: row + (recipe in controls) for row, recipe in enumerate(labels)}
    lines = lines.assign(place=lines.recipe.map(places))
    measured = set(zip(lines.metric, lines.split, strict=True))
    shown = [panel for panel in PANELS if (panel.metric, panel.split) in measured]
    figure = new_figure(1.1 + 0.36 * (1 + max(places.values())))
    for axes, panel in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        _draw_panel(axes, panel, lines, unrepaired=next(iter(labels)))
        lay_rows(axes, max(places.values()))
        if panel.metric == LOSS:
            axes.set_xlim(0, 1.04 * lines[lines.metric == LOSS][["value", "high"]].max().max())
            axes.xaxis.set_major_locator(MaxNLocator(2))
    _name_rows(figure.axes[0], {place: labels[recipe] for recipe, place in places.items()}, lines)
    return figure


def _name_rows(axes: Axes, names: dict[int, str], lines: pd.DataFrame) -> None:
    names = {place: names.get(place, CONTROLS) for place in range(max(names) + 1)}
    axes.set_yticks(list(names), list(names.values()))
    for text in axes.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() in set(lines.end) else "normal")
        text.set_fontstyle("italic" if text.get_text() == CONTROLS else "normal")


def _draw_panel(axes: Axes, panel: Panel, lines: pd.DataFrame, unrepaired: str) -> None:
    lines = lines[lines.split == panel.split]
    others = lines[lines.metric == panel.other].set_index("recipe").value
    lines = lines[lines.metric == panel.metric]
    n, counted = int(lines.n.max()), "seed" if panel.metric == LOSS else "row"
    below = [f"n = {n} {counted}{'s' * (n > 1)}"]
    for line in lines.itertuples():
        colour = BLUE if line.end == unrepaired else ORANGE
        colour, is_end = GREEN if line.control else colour, pd.isna(line.change)
        text, other = f"{line.value:.2f}", others.get(line.recipe, line.value)
        if is_end:
            axes.axvline(line.value, color=colour, linewidth=1, linestyle=":")
        if pd.notna(line.at_most):
            axes.plot(line.at_most, line.place, "|", color=GREY, markersize=9, markeredgewidth=1.6)
        if abs(other - line.value) > VISIBLE:
            look = {"color": GREY, "markerfacecolor": "white", "markersize": 5, "clip_on": False}
            axes.plot(other, line.place, "o", **look)
            text += f"\n({other:.2f})"
            below[1:] = [panel.words]
        mean = (line.value, line.low, line.high)
        marker = "D" if is_end else "o"
        draw_interval(axes, line.place, mean, text, color=colour, marker=marker)
    axes.set_xlabel("\n".join(below), fontsize=SMALL, color=BLACK)
    axes.set_title(panel.title, fontsize=8)
