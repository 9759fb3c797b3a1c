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

from workflow_scripts.errors import EssenceError
from workflow_scripts.intervals import mean_over_seeds
from workflow_scripts.report.artefacts import repairs
from workflow_scripts.report.figures.ablation import draw_ablation
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.means import TEST_SPLITS, difference_of_answers, mean_of_answers
from workflow_scripts.report.tabulate import COMPARED
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, read_table, write_csv

COLUMNS = ["recipe", "end", "change", "artefact", "split", "metric", "n", "value", "low", "high"]
COLUMNS += ["effect", "effect_low", "effect_high", "at_most"]
SIGNS = {"+": "+ ", "-": "\N{MINUS SIGN} ", "~": ""}  # repair added, taken back; control


def variants_of(recipes: Iterable[str], unrepaired: str, repaired: str) -> pd.DataFrame:
    """One row per recipe: one end, repairs added, repairs taken back, the other end, controls.

    `change`: what it differs in from its `end`, with its sign; `label`: its words in the figure.
    Raises EssenceError when one of the ends is not among the recipes.
    """
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
    ceilings = scores[scores.task == "all"].groupby(["recipe", "split", "metric"]).value.mean()
    lines = []
    for split in TEST_SPLITS:
        of_recipe = dict(list(answers[answers.split == split].groupby("recipe")))
        for metric, variant in product(COMPARED, variants.itertuples()):
            own = of_recipe.get(variant.recipe, answers[:0])
            if (mean := mean_of_answers(own, metric)) is None:
                continue
            effect = None
            if variant.recipe != variant.end:
                sides = own, of_recipe.get(variant.end, answers[:0])
                effect = difference_of_answers(*sides, metric, comparisons)
            effect = effect[1:] if effect else (None, None, None)
            most = ceilings.get((variant.recipe, split, f"{metric}_at_most"))
            lines.append((variant.recipe, split, metric, mean.rows, *mean[:3], *effect, most))
    losses = scores[(scores.metric == "loss_per_token") & (scores.task == "all")]
    losses = losses.set_index(["recipe", "seed"]).value
    tokenizers = runs.groupby("recipe").tokenizer.first()
    for variant in variants.itertuples():
        own, base = losses[variant.recipe], losses[variant.end]
        both, effect = own.index.intersection(base.index), (None, None, None)
        same_tokens = tokenizers[variant.recipe] == tokenizers[variant.end]
        if variant.recipe != variant.end and same_tokens:
            effect = mean_over_seeds((own[both] - base[both]).tolist(), comparisons)
        mean = mean_over_seeds(own.tolist())
        lines.append((variant.recipe, "val", "loss_per_token", len(own), *mean, *effect, None))
    names = ["recipe", "split", "metric", "n", "value", "low", "high"]
    names += ["effect", "effect_low", "effect_high", "at_most"]
    return pd.DataFrame(lines, columns=names).merge(variants, on="recipe")[COLUMNS]


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
    save_figure(lambda: draw_ablation(effects, labels), svg, png, note, style)


if __name__ == "__main__":
    run_stage(tabulate_ablation)
