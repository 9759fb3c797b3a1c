"""What each repair is worth, and controls: the variants of the ablation, one panel per metric."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.report.figures import style

LOSS = "loss_per_token"
PANELS = {  # (metric, split) -> title
    ("exact_match", "test"): "exact\nmatch",
    ("exact_match", "unseen"): "exact match,\nunseen",
    ("rouge_l", "test"): "ROUGE-L",
    ("execution_accuracy", "test"): "execution\naccuracy",
    ("execution_accuracy", "unseen"): "execution\nacc., unseen",
    (LOSS, "val"): "eval loss per\nreal token",
}
OTHER = {  # metric -> another reading of the same answers, hollow where it differs, and its name
    "exact_match": ("exact_match_decoded", "hollow: as the\nnotebooks did"),
    "execution_accuracy": ("execution_accuracy_lenient", "hollow: SQL\nin any form"),
}
VISIBLE = 0.005  # a smaller difference between two points is not drawn
CONTROLS = "controls"  # a line of its own above them


def draw_ablation(effects: pd.DataFrame, labels: dict[str, str]) -> Figure:
    """`effects`: ablation.csv. `labels`: recipe -> its words, in order.

    The order is from the unrepaired end to the repaired one, then controls.
    """
    lines = effects.assign(control=effects.change.str.startswith("~", na=False))
    controls = set(lines[lines.control].recipe)
    places = {recipe: row + (recipe in controls) for row, recipe in enumerate(labels)}
    lines = lines.assign(place=lines.recipe.map(places))
    last, measured = max(places.values()), set(zip(lines.metric, lines.split, strict=True))
    shown = [panel for panel in PANELS if panel in measured]
    figure = style.new_figure(1.1 + 0.36 * (1 + last))
    for axes, panel in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        _draw_panel(axes, *panel, lines, unrepaired=next(iter(labels)))
        style.lay_rows(axes, last)
        if panel[0] == LOSS:
            most = 1.04 * lines[lines.metric == LOSS][["value", "high"]].max().max()
            axes.set_xticks(MaxNLocator(2).tick_values(0, most))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_xlim(0, most)
    names = dict.fromkeys(range(last + 1), CONTROLS)
    names |= {place: labels[recipe] for recipe, place in places.items()}
    figure.axes[0].set_yticks(list(names), list(names.values()))
    for text in figure.axes[0].get_yticklabels():
        text.set_fontweight("bold" if text.get_text() in set(lines.end) else "normal")
        text.set_fontstyle("italic" if text.get_text() == CONTROLS else "normal")
    return figure


def _draw_panel(axes: Axes, metric: str, split: str, lines: pd.DataFrame, unrepaired: str) -> None:
    reading, words = OTHER.get(metric, ("", ""))
    lines = lines[lines.split == split]
    others = lines[lines.metric == reading].set_index("recipe").value
    lines = lines[lines.metric == metric]
    n, counted = int(lines.n.max()), "seed" if metric == LOSS else "row"
    below = [f"n = {n} {counted}{'s' * (n > 1)}"]
    for line in lines.itertuples():
        colour = style.BLUE if line.end == unrepaired else style.ORANGE
        colour, is_end = style.GREEN if line.control else colour, pd.isna(line.change)
        text, other = f"{line.value:.2f}", others.get(line.recipe, line.value)
        if is_end:
            axes.axvline(line.value, color=colour, linewidth=1, linestyle=":")
        grey = {"color": style.GREY, "clip_on": False}
        if pd.notna(line.at_most):
            axes.plot(line.at_most, line.place, "|", markersize=9, markeredgewidth=1.6, **grey)
        if abs(other - line.value) > VISIBLE:
            axes.plot(other, line.place, "o", markerfacecolor="white", markersize=5, **grey)
            text += f"\n({other:.2f})"
            below[1:] = [words]
        look = {"color": colour, "marker": "D" if is_end else "o"}
        style.draw_interval(axes, line.place, (line.value, line.low, line.high), text, **look)
    axes.set_xlabel("\n".join(below), fontsize=style.SMALL)
    axes.set_title(PANELS[metric, split], fontsize=8)
