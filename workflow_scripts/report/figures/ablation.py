"""What each repair is worth, and controls: the variants of the ablation, a panel a metric."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from workflow_scripts.artifacts.report import Effect
from workflow_scripts.report.figures.style import BLUE, GREEN, GREY, ORANGE, SMALL, new_figure


class Panel(NamedTuple):
    """`other`: another reading of the same answers, hollow where it differs; `words`: its name."""

    metric: str
    split: str
    title: str
    other: str = ""
    words: str = ""


EXACT = ("exact_match_decoded", "hollow: as the\nnotebooks did")
EXECUTED = ("execution_accuracy_lenient", "hollow: SQL\nin any form")
PANELS = (
    Panel("exact_match", "test", "exact\nmatch", *EXACT),
    Panel("exact_match", "unseen", "exact match,\nunseen", *EXACT),
    Panel("rouge_l", "test", "ROUGE-L"),
    Panel("execution_accuracy", "test", "execution\naccuracy", *EXECUTED),
    Panel("execution_accuracy", "unseen", "execution\nacc., unseen", *EXECUTED),
    Panel("loss_per_token", "val", "eval loss per\nreal token"),
)
VISIBLE = 0.005  # a smaller difference between two points is not drawn
CONTROLS = "controls"  # a line of its own above them


def draw_ablation(effects: Sequence[Effect], labels: dict[str, str]) -> Figure:
    """`labels`: recipe -> its words, from the unrepaired end to the repaired one, then controls."""
    measured = {(each.metric, each.split) for each in effects}
    shown = [panel for panel in PANELS if (panel.metric, panel.split) in measured]
    places = _places(effects, labels)
    rows = max(places.values()) + 1
    figure = new_figure(1.4 + 0.36 * rows)
    for axes, panel in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        _draw_panel(axes, panel, effects, places)
    _name_rows(figure.axes[0], {place: labels[recipe] for recipe, place in places.items()}, effects)
    return figure


def _name_rows(axes: Axes, names: dict[int, str], effects: Sequence[Effect]) -> None:
    rows = max(names) + 1
    names = {place: names.get(place, CONTROLS) for place in range(rows)}
    axes.set_yticks(list(names), list(names.values()))
    axes.set_ylim(rows - 0.5, -0.5)
    ends = {each.end for each in effects}
    for text in axes.get_yticklabels():
        text.set_fontweight("bold" if text.get_text() in ends else "normal")
        text.set_fontstyle("italic" if text.get_text() == CONTROLS else "normal")


def _places(effects: Sequence[Effect], labels: dict[str, str]) -> dict[str, int]:
    """Recipe -> its row in the figure; one is left free above the controls."""
    controls = {each.recipe for each in effects if _is_control(each)}
    return {recipe: row + (recipe in controls) for row, recipe in enumerate(labels)}


def _is_control(effect: Effect) -> bool:
    return (effect.change or "").startswith("~")


def _draw_panel(
    axes: Axes, panel: Panel, effects: Sequence[Effect], places: dict[str, int]
) -> None:
    of = {
        metric: {e.recipe: e for e in effects if (e.metric, e.split) == (metric, panel.split)}
        for metric in (panel.metric, panel.other)
    }
    unrepaired = next(iter(places))
    for effect in of[panel.metric].values():
        _draw_effect(axes, effect, BLUE if effect.end == unrepaired else ORANGE, places)
    n = max(effect.n for effect in of[panel.metric].values())
    counted = "row" if panel.metric != "loss_per_token" else "seed"
    below = [f"n = {n} {counted}{'s' * (n > 1)}"]
    for recipe, effect in of[panel.other].items():
        if abs(effect.value - of[panel.metric][recipe].value) > VISIBLE:
            point = (effect.value, places[recipe])
            axes.plot(*point, marker="o", color=GREY, mfc="white", markersize=5)
            _label(axes, f"{effect.value:.2f}", point, below=True)
            below[1:] = [panel.words]
    axes.set_xlabel("\n".join(below), fontsize=SMALL, color=GREY)
    axes.set_title(panel.title, loc="left", fontsize=8)
    axes.grid(axis="y", visible=False)
    right = axes.get_xlim()[1] if panel.metric == "loss_per_token" else 1  # else a share
    axes.set_xlim(-0.2 * right, 1.08 * right)
    axes.tick_params(axis="y", length=0)


def _draw_effect(axes: Axes, effect: Effect, colour: str, places: dict[str, int]) -> None:
    place, is_end = places[effect.recipe], effect.change is None
    colour = GREEN if _is_control(effect) else colour
    if is_end:
        axes.axvline(effect.value, color=colour, linewidth=1, linestyle=":")
    if effect.low is not None:
        axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=1.6)
    if effect.at_most is not None:
        axes.plot(effect.at_most, place, marker="|", color=GREY, markersize=9, markeredgewidth=1.6)
    axes.plot(effect.value, place, marker="D" if is_end else "o", color=colour, markersize=5)
    _label(axes, f"{effect.value:.2f}", (effect.value, place))


def _label(axes: Axes, text: str, point: tuple[float, float], below: bool = False) -> None:
    axes.annotate(
        text,
        point,
        xytext=(0, -4 if below else 4),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        fontsize=SMALL,
        color=GREY,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
