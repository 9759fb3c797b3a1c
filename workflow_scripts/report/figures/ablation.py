"""What each repair is worth: the variants of the ablation under each other, a panel a metric."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from workflow_scripts.artifacts.report import Effect
from workflow_scripts.report.figures.style import BLUE, GREY, ORANGE, new_figure

LABELS = {
    "exact_match": "exact match",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution\naccuracy",
    "loss_per_token": "eval loss per\nreal token",
}
# Hollow, in the panel of a metric: another reading of the same answers, and its words.
OTHER_READINGS = {
    "exact_match": ("exact_match_decoded", "as the\nnotebooks compared"),
    "execution_accuracy": ("execution_accuracy_lenient", "with SQL in\nany form"),
}
VISIBLE = 0.005  # a smaller difference between two points is not drawn


def draw_ablation(effects: Sequence[Effect], labels: dict[str, str], title: str) -> Figure:
    """`labels`: recipe -> its words, from the unrepaired end to the repaired one."""
    figure = new_figure(title, size=(7.2, 0.9 + 0.34 * len(labels)))
    by_metric = {
        metric: {each.recipe: each for each in effects if each.metric == metric}
        for metric in (*LABELS, *(other for other, _ in OTHER_READINGS.values()))
    }
    shown = [metric for metric in LABELS if by_metric[metric]]
    panels = figure.subplots(1, len(shown), sharey=True)
    places = {recipe: place for place, recipe in enumerate(labels)}
    for axes, metric in zip(panels, shown, strict=True):
        _draw_metric(axes, by_metric[metric], places)
        if metric in OTHER_READINGS:
            other, words = OTHER_READINGS[metric]
            _draw_other(axes, by_metric[metric], by_metric[other], words, places)
        axes.set_title(LABELS[metric], loc="left", fontsize=9)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(left=-0.08 * axes.get_xlim()[1])
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(labels)), list(labels.values()))
    panels[0].invert_yaxis()
    for place, text in enumerate(panels[0].get_yticklabels()):
        text.set_fontweight("bold" if place in (0, len(labels) - 1) else "normal")
    return figure


def _draw_metric(axes: Axes, effects: dict[str, Effect], places: dict[str, int]) -> None:
    unrepaired, *_, repaired = places
    colours = {unrepaired: BLUE, repaired: ORANGE}
    for recipe, effect in effects.items():
        place, colour = places[recipe], colours[effect.end]
        if recipe in colours:
            axes.axvline(effect.value, color=colour, linewidth=1, linestyle=":")
        if effect.low is not None:
            axes.plot([effect.low, effect.high], [place, place], color=colour, linewidth=1.6)
        marker = "D" if recipe in colours else "o"
        axes.plot(effect.value, place, marker=marker, color=colour, markersize=5)
        _label(axes, f"{effect.value:.2f}", (effect.value, place), 6.5)
    axes.margins(x=0.12)


def _draw_other(
    axes: Axes,
    effects: dict[str, Effect],
    other: dict[str, Effect],
    words: str,
    places: dict[str, int],
) -> None:
    """Hollow, where it differs: the other reading of the same answers."""
    for recipe, effect in other.items():
        if abs(effect.value - effects[recipe].value) > VISIBLE:
            point = (effect.value, places[recipe])
            axes.plot(*point, marker="o", color=GREY, mfc="white", markersize=5)
            _label(axes, f"{effect.value:.2f} {words}", point, 6)


def _label(axes: Axes, text: str, point: tuple[float, float], size: float) -> None:
    axes.annotate(
        text,
        point,
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        fontsize=size,
        color=GREY,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
