"""What each artefact was worth: one repair added, one repair taken back; and controls.

Runs of all recipes of the ablation come in; `ablation.csv` and a figure go out. The effect of a
change is the paired difference on the same held-out rows and seeds. A loss has no rows: its effect
is over seeds, and only where both recipes count the same tokens. The intervals of all effects hold
together in 95 cases of 100, since one conclusion rests on them: which mistakes explain the report.
"""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Annotated

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from workflow_scripts.errors import EssenceError
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.artefacts import repairs
from workflow_scripts.report.figures import style as look
from workflow_scripts.report.frames import read_runs, select
from workflow_scripts.report.means import WORDS, difference_of_answers, mean_of_answers
from workflow_scripts.report.tabulate import COMPARED
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, read_table, write_csv

COLUMNS = ["recipe", "end", "change", "artefact", "split", "metric", "n", "value", "low", "high"]
COLUMNS += ["effect", "effect_low", "effect_high", "at_most"]
LOSS = "loss_per_token"
PANELS = {(metric, split): title for metric, split, title in WORDS["ablation"]}
OTHER = WORDS["hollow"]  # metric -> another reading of the same answers, and its words
VISIBLE = 0.005  # a smaller difference between two points is not drawn
CONTROLS = "controls"  # a line of its own above them
SIGNS = {"+": "+ ", "-": "\N{MINUS SIGN} ", "~": ""}  # repair added, taken back; control


def variants_of(recipes: Iterable[str], unrepaired: str, repaired: str) -> pd.DataFrame:
    """Ends, repairs added and taken back, controls. Raises EssenceError where an end is missing."""
    recipes = list(recipes)
    for end in (unrepaired, repaired):
        if end not in recipes:
            raise EssenceError(f"--runs: no run of the recipe {end}. Train it first.")
    kinds = [(unrepaired, ""), (unrepaired, "+"), (repaired, "-"), (repaired, ""), (repaired, "~")]
    lines = []
    for end, sign in kinds:
        for recipe in recipes:
            change = recipe.removeprefix(end)
            if recipe.startswith(end) and change[:1] == sign:
                words, artefact = change[1:].replace("_", " "), None
                if sign in ("+", "-") and change[1:] in repairs():
                    words, artefact = repairs()[change[1:]]
                    words += f" ({artefact})"
                label = SIGNS[sign] + words if change else end
                lines.append((recipe, end, change or None, artefact, label))
    return pd.DataFrame(lines, columns=["recipe", "end", "change", "artefact", "label"])


def effects_of(
    variants: pd.DataFrame, runs: pd.DataFrame, answers: pd.DataFrame, scores: pd.DataFrame
) -> pd.DataFrame:
    """ablation.csv: one row per variant, metric and split that has values.

    `effect` is the variant minus its end, `artefact` what a repair removes, `at_most`, of exact
    match, the highest that any model could reach on these rows.
    """
    comparisons = int(variants.change.notna().sum())
    whole = scores[scores.task == "all"]
    ceilings = whole.groupby(["recipe", "split", "metric"]).value.mean()
    losses = whole[whole.metric == LOSS].set_index(["recipe", "seed"]).value
    tokenizers = runs.groupby("recipe").tokenizer.first()
    lines, none = [], (None,) * 3
    for split, metric in product(TEST_SPLITS, COMPARED):
        of_split = select(answers, split=split)
        for recipe, end in zip(variants.recipe, variants.end, strict=True):
            own, base = (select(of_split, recipe=name) for name in (recipe, end))
            if mean := mean_of_answers(own, metric):
                _, *effect = difference_of_answers(own, base, metric, comparisons) or (0, *none)
                most = ceilings.get((recipe, split, f"{metric}_at_most"))
                lines.append((recipe, split, metric, mean.rows, *mean[:3], *effect, most))
    for recipe, end in zip(variants.recipe, variants.end, strict=True):
        own, effect = losses[recipe], none
        if tokenizers[recipe] == tokenizers[end]:
            effect = mean_over_seeds((own - losses[end]).dropna().tolist(), comparisons)
        mean = mean_over_seeds(own.tolist())
        lines.append((recipe, "val", LOSS, len(own), *mean, *effect, None))
    effects = pd.DataFrame(lines, columns=["recipe", *COLUMNS[4:]]).merge(variants, on="recipe")
    effects.loc[effects.change.isna(), ["effect", "effect_low", "effect_high"]] = None
    return effects[COLUMNS]


def draw_ablation(effects: pd.DataFrame, labels: dict[str, str]) -> Figure:
    """`labels`: recipe -> its words, from the unrepaired end to the repaired one, then controls."""
    lines = effects.assign(control=effects.change.str.startswith("~", na=False))
    controls = set(lines[lines.control].recipe)
    places = {recipe: row + (recipe in controls) for row, recipe in enumerate(labels)}
    lines = lines.assign(place=lines.recipe.map(places))
    last, measured = max(places.values()), set(zip(lines.metric, lines.split, strict=True))
    shown = [panel for panel in PANELS if panel in measured]
    figure = look.new_figure(1.1 + 0.36 * (1 + last))
    for axes, panel in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        _draw_panel(axes, *panel, lines, unrepaired=next(iter(labels)))
        look.lay_rows(axes, last)
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
        colour = look.BLUE if line.end == unrepaired else look.ORANGE
        colour, is_end = look.GREEN if line.control else colour, pd.isna(line.change)
        text, other = f"{line.value:.2f}", others.get(line.recipe, line.value)
        if is_end:
            axes.axvline(line.value, color=colour, linewidth=1, linestyle=":")
        grey = {"color": look.GREY, "clip_on": False}
        if pd.notna(line.at_most):
            axes.plot(line.at_most, line.place, "|", markersize=9, markeredgewidth=1.6, **grey)
        if abs(other - line.value) > VISIBLE:
            axes.plot(other, line.place, "o", markerfacecolor="white", markersize=5, **grey)
            text += f"\n({other:.2f})"
            below[1:] = [words]
        marker = {"color": colour, "marker": "D" if is_end else "o"}
        look.draw_interval(axes, line.place, (line.value, line.low, line.high), text, **marker)
    axes.set_xlabel("\n".join(below), fontsize=look.SMALL)
    axes.set_title(PANELS[metric, split], fontsize=8)


def tabulate_ablation(
    runs: Annotated[list[Path], Setting("one run's folders under all recipes of the ablation")],
    answers: Annotated[Path, Input("answers.parquet of these runs")],
    scores: Annotated[Path, Input("scores.parquet of these runs")],
    unrepaired: Annotated[str, Setting("the recipe to which repairs are added")],
    repaired: Annotated[str, Setting("the recipe from which repairs are taken back")],
    table: Annotated[Path, Output("ablation.csv")],
    svg: Annotated[Path, Output("the figure")],
    png: Annotated[Path, Output("the same, for a screen")],
    note: Annotated[str, Setting("small print: the rows, the model and the seeds used")] = "",
    style: Annotated[dict | None, Setting("matplotlib settings over ours")] = None,
) -> None:
    trainings = read_runs(runs)
    variants = variants_of(trainings.recipe.unique(), unrepaired, repaired)
    effects = effects_of(
        variants, trainings, read_table(answers, ANSWERS), read_table(scores, SCORES)
    )
    write_csv(table, effects)
    labels = dict(zip(variants.recipe, variants.label, strict=True))
    look.save_figure(lambda: draw_ablation(effects, labels), svg, png, note, style)


if __name__ == "__main__":
    run_stage(tabulate_ablation)
