"""What each artefact was worth: one repair added, one repair taken back; and controls.

Runs of all recipes of the ablation come in; `ablation.csv` and a figure go out. Scores are compared
on the same held-out rows: the effect of a change is the paired difference over rows (95%), a row's
score being the mean over seeds. A loss has no rows; its interval is over seeds, and it has an
effect only where both recipes count the same tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.errors import EssenceError
from workflow_scripts.intervals import difference_over_rows, mean_over_seeds
from workflow_scripts.report.artefacts import Artefact, repairs
from workflow_scripts.report.figures.ablation import draw_ablation
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.means import TEST_SPLITS, mean_of_answers, row_means
from workflow_scripts.report.tabulate import COMPARED
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ANSWERS, SCORES, read_table, write_csv

COLUMNS = ["recipe", "end", "change", "artefact", "split", "metric", "n", "value", "low", "high"]
COLUMNS += ["effect", "effect_low", "effect_high", "at_most"]


@dataclass(frozen=True)
class Variant:
    """A recipe of the ablation, and the end that it differs from by one change (none: an end).

    `sign`: "+" where a repair was added, "-" where it was taken back, "~" for a control.
    """

    recipe: str
    end: str
    sign: str = ""
    change: str = ""

    @property
    def artefact(self) -> Artefact | None:
        return repairs().get(self.change) if self.sign in "+-" else None

    @property
    def label(self) -> str:
        if not self.change:
            return self.end
        sign = {"+": "+ ", "-": "\N{MINUS SIGN} ", "~": ""}[self.sign]
        words = self.change.replace("_", " ")
        words = f"{self.artefact.repair.words} ({self.artefact.id})" if self.artefact else words
        return sign + words


def variants_of(
    recipes: Iterable[str],
    unrepaired: str,
    repaired: str,
) -> list[Variant]:
    """The unrepaired end, repairs added, repairs taken back, the repaired end, controls.

    Raises EssenceError when one of the ends is not among the recipes.
    """
    for end in (unrepaired, repaired):
        if end not in recipes:
            raise EssenceError(f"--runs: no run of the recipe {end}. Train it first.")

    def changed(end: str, sign: str) -> list[Variant]:
        return [
            Variant(name, end, sign, name.removeprefix(f"{end}{sign}"))
            for name in recipes
            if name.startswith(f"{end}{sign}")
        ]

    return [
        Variant(unrepaired, unrepaired),
        *changed(unrepaired, "+"),
        *changed(repaired, "-"),
        Variant(repaired, repaired),
        *changed(repaired, "~"),
    ]


def effects_of(
    variants: list[Variant], runs: pd.DataFrame, answers: pd.DataFrame, scores: pd.DataFrame
) -> pd.DataFrame:
    """ablation.csv: one row per variant, metric and split that has values.

    `effect` is the variant minus its end, `change` what they differ in ("+tokenizer": a repair
    added, "-tokenizer": taken back, "~untrained_base": a control), `artefact` what a repair
    removes, `at_most`, of exact match, the highest that any model could reach on these rows.
    """
    lines = []
    for split in TEST_SPLITS:
        of_split = answers[answers.split == split]
        for metric in COMPARED:
            means = row_means(answers, metric, split).set_index(["recipe", "idx"]).value
            most = _ceilings(scores, metric, split)
            for variant in variants:
                if variant.recipe in means.index.get_level_values(0):  # else nothing was measured
                    own = means[variant.recipe]
                    whole = mean_of_answers(of_split[of_split.recipe == variant.recipe], metric)
                    mean, effect = (whole.value, whole.low, whole.high), None
                    both = own.index.intersection(means[variant.end].index)
                    if variant.change and len(both):
                        effect = difference_over_rows(own[both], means[variant.end][both])
                    line = _line(variant, split, metric, len(own), mean, effect)
                    lines.append(line | {"at_most": most.get(variant.recipe)})
    lines += [_losses(variant, runs, scores) for variant in variants]
    return pd.DataFrame(lines, columns=COLUMNS)


def _ceilings(scores: pd.DataFrame, metric: str, split: str) -> dict[str, float]:
    """Recipe -> the mean over seeds: each has a tokenizer of its own rows' characters."""
    own = scores[(scores.metric == f"{metric}_at_most") & (scores.split == split)]
    return own[own.task == "all"].groupby("recipe").value.mean().to_dict()


def _losses(variant: Variant, runs: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Any]:
    losses = scores[(scores.metric == "loss_per_token") & (scores.task == "all")]
    losses = losses.set_index(["recipe", "seed"]).value
    own, base = losses[variant.recipe], losses[variant.end]
    tokenizers = runs.groupby("recipe").tokenizer.first()
    effect = None
    if variant.change and tokenizers[variant.recipe] == tokenizers[variant.end]:
        both = own.index.intersection(base.index)
        effect = mean_over_seeds((own[both] - base[both]).tolist())
    return _line(variant, "val", "loss_per_token", len(own), mean_over_seeds(own.tolist()), effect)


def _line(
    variant: Variant, split: str, metric: str, n: int, mean: tuple, effect: tuple | None
) -> dict[str, Any]:
    line = {
        "recipe": variant.recipe,
        "end": variant.end,
        "change": f"{variant.sign}{variant.change}" or None,
        "artefact": variant.artefact.id if variant.artefact else None,
        **{"split": split, "metric": metric, "n": n},
        **dict(zip(("value", "low", "high"), mean, strict=True)),
    }
    if effect:
        line |= dict(zip(("effect", "effect_low", "effect_high"), effect, strict=True))
    return line


def measure(
    runs: list[Path],
    answers: Path,
    scores: Path,
    unrepaired: str,
    repaired: str,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The lines of ablation.csv, and recipe -> its label in the figure."""
    trainings = read_runs(runs)
    variants = variants_of(trainings.recipe.unique(), unrepaired, repaired)
    effects = effects_of(
        variants, trainings, read_table(answers, ANSWERS), read_table(scores, SCORES)
    )
    return effects, {variant.recipe: variant.label for variant in variants}


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
    """Write the ablation's table and its figure."""
    effects, labels = measure(runs, answers, scores, unrepaired, repaired)
    write_csv(table, effects)
    save_figure(partial(draw_ablation, effects, labels), svg, png, note, style)


if __name__ == "__main__":
    run_stage(tabulate_ablation)
