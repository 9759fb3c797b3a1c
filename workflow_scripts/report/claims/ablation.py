"""What each artefact was worth: one repair added, one repair taken back; and controls.

Runs of all recipes of the ablation come in; a table and a figure go out. Scores are compared on the
same held-out rows: the effect of a change is the paired difference over rows (95 %), a row's score
being the mean over seeds. A loss has no rows; its interval is over seeds, and it has an
effect only where both recipes count the same tokens.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

from matplotlib.figure import Figure

from workflow_scripts.artifacts.csv import write_csv
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.report import Effect
from workflow_scripts.artifacts.tables import TEST_SPLITS
from workflow_scripts.errors import EssenceError
from workflow_scripts.intervals import difference_over_rows, mean_over_rows, mean_over_seeds
from workflow_scripts.report.artefacts import Artefact, repairs
from workflow_scripts.report.figures.ablation import draw_ablation
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.runs import Run
from workflow_scripts.report.scores_by_row import METRICS, scores_by_row
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
What each mistake was worth: one run under the report's text handling with each repair alone, and
under the repaired handling with each repair taken back. Below them, controls: the repaired run with
something else changed.

**How to read it.** Diamonds are the two ends, dots one step away from them: blue adds a repair to
*as_written*, orange takes one back from *repaired*, green is a control. Lines through the points
are 95 % intervals over held-out rows (*unseen*: those of databases that no run saw); of the loss,
over seeds where there are several, and it compares only between recipes with the same tokenizer. A
grey bar is the highest exact match that any model could reach, since equal inputs have equal
answers. With the input of another row only what answers have in common can be learned: were it as
good as *repaired*, the question would count for nothing. The untrained base has the same shape and
tokenizer but random weights: what *repaired* has over it is due to the base model's training. A
repair that does nothing alone, but without which *repaired* collapses, is necessary and not
sufficient: for an answer to equal the raw one, the question must be in the input **and** the
tokenizer must be able to write it. That more generated tokens (A5) change next to nothing is so by
construction where next to no answer is longer than before: the share of those that are, by the fit
audit, stands beside the repair. Hollow: the same answers read otherwise. Exact match compares them
as the notebooks did, with what the tokenizer can write of the right one; then mended prompts alone
are enough. Execution accuracy asks for SQL in a fence, which the stock tokenizer cannot write;
hollow, SQL in any form counts.

**What the report says.** It ascribes its exact match of 0 to brackets around names.
"""
NO_EFFECT = (None, None, None)


@dataclass(frozen=True)
class Variant:
    """A recipe of the ablation, and the end that it differs from by one change (none: an end).

    `sign`: "+" where a repair was added, "-" where it was taken back, "~" for a control.
    """

    recipe: str
    end: str
    sign: str = ""
    change: str = ""
    reach: float | None = None  # see `Effect`

    @property
    def mends(self) -> Artefact | None:
        return repairs().get(self.change) if self.sign in "+-" else None

    @property
    def label(self) -> str:
        if not self.change:
            return self.end
        sign = {"+": "+ ", "-": "\N{MINUS SIGN} ", "~": ""}[self.sign]
        words = self.change.replace("_", " ")
        words = f"{self.mends.repair.words} ({self.mends.id})" if self.mends else words
        if self.reach is None:
            return sign + words
        longer = f"{self.reach:.1%} are" if self.reach else "none is"
        return f"{sign}{words}:\n{longer} longer, by the fit audit"


def variants_of(recipes: Iterable[str], unrepaired: str, repaired: str) -> list[Variant]:
    """The unrepaired end, repairs added, repairs taken back, the repaired end, controls.

    Raises EssenceError when one of the ends is not among the recipes.
    """
    recipes = list(dict.fromkeys(recipes))
    for end in (unrepaired, repaired):
        if end not in recipes:
            raise EssenceError(f"--runs: no run of the recipe {end}. Train it first.")

    def changed(end: str, sign: str) -> list[Variant]:
        names = [recipe for recipe in recipes if recipe.startswith(f"{end}{sign}")]
        return [Variant(name, end, sign, name.removeprefix(f"{end}{sign}")) for name in names]

    return [
        Variant(unrepaired, unrepaired),
        *changed(unrepaired, "+"),
        *changed(repaired, "-"),
        Variant(repaired, repaired),
        *changed(repaired, "~"),
    ]


def with_reach(variants: list[Variant], runs: list[Run], audits: list[FitAudit]) -> list[Variant]:
    """The variants, with the reach of those that differ in the tokens generated alone."""
    settings = {run.recipe: dict(run.training.settings.recipe) for run in runs}
    longer = {audit.recipe: audit.all.longer_than_generation for audit in audits}

    def reach(variant: Variant) -> float | None:
        own, end = settings[variant.recipe], settings[variant.end]
        if {key for key in own if own[key] != end[key]} != {"name", "generate_tokens"}:
            return None
        return longer.get(min(own, end, key=lambda each: each["generate_tokens"])["name"])

    return [replace(variant, reach=reach(variant)) for variant in variants]


def effects_of(runs: list[Run], variants: list[Variant]) -> list[Effect]:
    """One line for each variant, metric and split that has values; effect: recipe minus its end."""
    seeds: dict[str, list[Run]] = {}
    for run in runs:
        seeds.setdefault(run.recipe, []).append(run)
    lines = []
    for split, metric in itertools.product(TEST_SPLITS, METRICS):
        scores = {
            variant.recipe: {
                row: score.value
                for row, score in scores_by_row(seeds[variant.recipe], metric, split).items()
            }
            for variant in variants
        }
        lines += [
            replace(
                _of_scores(variant, scores, split, metric),
                at_most=_ceiling(seeds[variant.recipe], metric, split),
            )
            for variant in variants
            if scores[variant.recipe]  # else no such rows, or no database: nothing was executed
        ]
    return lines + [_of_losses(variant, seeds) for variant in variants]


def _of_scores(
    variant: Variant, scores: dict[str, dict[int, float]], split: str, metric: str
) -> Effect:
    own, base = scores[variant.recipe], scores[variant.end]
    rows = sorted(own.keys() & base.keys())
    effect = NO_EFFECT
    if variant.change and rows:
        effect = difference_over_rows([own[row] for row in rows], [base[row] for row in rows])
    mean = mean_over_rows(list(own.values()))
    return _line(variant, split, metric, len(own), mean, effect)


def _ceiling(seeds: list[Run], metric: str, split: str) -> float | None:
    """The mean over seeds: each has a tokenizer of its own rows' characters."""
    values = [run.score(f"{metric}_at_most", split) for run in seeds]
    return None if None in values else fmean(values)


def _of_losses(variant: Variant, seeds: dict[str, list[Run]]) -> Effect:
    own, base = (
        {run.seed: run.score("loss_per_token") for run in seeds[recipe]}
        for recipe in (variant.recipe, variant.end)
    )
    tokenizers = {
        seeds[recipe][0].training.settings.recipe.tokenizer
        for recipe in (variant.recipe, variant.end)
    }
    effect = NO_EFFECT
    if variant.change and len(tokenizers) == 1:
        effect = mean_over_seeds([own[seed] - base[seed] for seed in own if seed in base])
    mean = mean_over_seeds(list(own.values()))
    return _line(variant, "val", "loss_per_token", len(own), mean, effect)


def _line(variant: Variant, split: str, metric: str, n: int, mean: tuple, effect: tuple) -> Effect:
    numbers = (None if each is None or math.isnan(each) else each for each in (*mean, *effect))
    return Effect(
        variant.recipe,
        variant.end,
        f"{variant.sign}{variant.change}" or None,
        variant.mends.id if variant.mends else None,
        split,
        metric,
        n,
        *numbers,
        variant.reach,
    )


def tabulate_ablation(
    runs: Annotated[list[Run], Setting("one run's folders under all recipes of the ablation")],
    unrepaired: Annotated[str, Setting("the recipe to which repairs are added")],
    repaired: Annotated[str, Setting("the recipe from which repairs are taken back")],
    table: Annotated[Path, Output("ablation.csv")],
    fit: Annotated[list[FitAudit], Input("audits of recipes that generate too few tokens")] = [],  # noqa: B006
) -> Figure:
    variants = variants_of((run.recipe for run in runs), unrepaired, repaired)
    variants = with_reach(variants, runs, fit)
    effects = effects_of(runs, variants)
    write_csv(table, Effect, effects)
    return draw_ablation(effects, {variant.recipe: variant.label for variant in variants})


if __name__ == "__main__":
    run_stage(tabulate_ablation, save_figure)
