"""The first screen of the report: three numbers, what became of the claims, what repairs are worth.

Where this run has fewer seeds than the results that ship with the project
(resources/shipped_results.json, by tools/ship_results.py), or no ablation of its own, those stand
beside its numbers, labelled. The words are in templates/front_page.html.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.report.artefacts import artefacts, repaired_in
from workflow_scripts.report.claims import (
    ARTEFACT,
    COLUMNS,
    JUDGED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    NUMBERS,
    OPEN,
    REPRODUCED,
)
from workflow_scripts.report.means import TEST_SPLITS, held_out, written
from workflow_scripts.report.sections import verdict_tag
from workflow_scripts.report.tabulate import METRICS
from workflow_scripts.tables import read_csv
from workflow_scripts.text.audit import FitAudit

SCORES = ["exact_match", "execution_accuracy"]
# What leads where the tokenizer can write no right answer, which leaves the others at 0.
WITHIN_REACH = ["exact_match_decoded", "execution_accuracy_lenient"]
EFFECTS = [SCORES[0], WITHIN_REACH[0], SCORES[1], WITHIN_REACH[1], "rouge_l"]
UNTESTED = ("", "not measured", "not trained here")  # what a column of the claims says then


def cards(
    means: pd.DataFrame, best: dict[str, dict], fit: Iterable[FitAudit], recipes: dict[str, str]
) -> list[dict[str, Any]]:
    """A card for each recipe that was trained; an exact match that a model can reach comes first.

    `means`: over_seeds.csv; a score is a row of it with `at_most`, the highest that any model could
    reach, and `place`, the run's rank among the recipe's runs on the test rows they share: runs are
    chosen by the losses of their own validation rows, which differ from run to run.
    """
    audits = {audit.recipe: audit.all for audit in fit}
    columns = {recipe: column for column, recipe in recipes.items()}
    means, cards = means[means.task == "all"], []
    for recipe, run in best.items():
        of_recipe = means[means.recipe == recipe]
        own = of_recipe[of_recipe.run == run["run"]].set_index(["split", "metric"])
        measures = SCORES if audits[recipe].targets_surviving else WITHIN_REACH + SCORES
        scores = [
            {**own.loc[key], "split": split, "metric": metric}
            | {"at_most": own["mean"].get((split, f"{metric}_at_most"), 1)}
            for split in (held_out(own.index.unique("split")), *TEST_SPLITS[1:])
            for metric in measures
            if (key := (split, metric)) in own.index
        ]
        on_test = of_recipe[(of_recipe.split == "test") & (of_recipe.metric == "rouge_l")]
        ranks = on_test.set_index("run")["mean"].rank(ascending=False, method="min")
        card = {"recipe": recipe, "column": columns.get(recipe), "run": run["run"]}
        card |= {"place": ranks.get(run["run"]), "runs": len(ranks)}
        cards.append(card | {"audit": audits[recipe], "scores": scores})
    return cards


def verdict_counts(claims: pd.DataFrame) -> dict[str, Any]:
    """How many claims in words there are and have a verdict here, the verdicts, tests and scale."""
    in_words = claims[claims.group != NUMBERS]
    judged = in_words[in_words.group == JUDGED]
    kinds = judged.kind.value_counts()
    return {
        "claims": len(in_words),
        "judged": len(judged),
        "kinds": {kind: kinds[kind] for kind in (REPRODUCED, OPEN, NOT_REPRODUCED, ARTEFACT)
                  if kind in kinds},
        "tests": int((~judged[[*COLUMNS]].isin(UNTESTED)).sum().sum()),
        "scale": claims.scale.iloc[0],
    }  # fmt: skip


def claim_rows(claims: pd.DataFrame, shipped: list[dict]) -> list[dict[str, Any]]:
    """The claims in words that this run or the shipped results judge, those of this run first."""
    there = {each["claim"]: each["verdict"] for each in shipped if each["kind"] != NOT_TESTABLE}
    return [
        {
            "claim": line.claim,
            "here": verdict_tag(line.kind, line.verdict),
            "shipped": there.get(line.claim, ""),
        }
        for line in claims[claims.group != NUMBERS].itertuples()
        if line.group == JUDGED or line.claim in there
    ]


def effect_table(effects: pd.DataFrame) -> pd.DataFrame:
    """A line for each recipe of the ablation: what it repairs, and its scores on test rows."""
    own = effects[(effects.split == "test") & effects.metric.isin(EFFECTS)]
    titles = {name: f"{name} {each['title'].lower()}" for name, each in artefacts().items()}
    numbers = own[["value", "low", "high"]].itertuples(index=False)
    own = own.assign(
        repairs=own.artefact.map(titles).fillna(""),
        words=[written(*line, digits=2) for line in numbers],
    )
    table = own.pivot(index=["recipe", "repairs"], columns="metric", values="words").fillna("")
    table = table.reindex(pd.MultiIndex.from_frame(own[["recipe", "repairs"]].drop_duplicates()))
    table = table[[metric for metric in EFFECTS if metric in table]]
    return table.rename(columns=METRICS).reset_index()


def front_page(
    tables: Path,
    best: dict[str, dict],
    fit: Iterable[FitAudit],
    recipes: dict[str, str],
    shipped: dict[str, Any],
    ablation: pd.DataFrame | None,
) -> dict[str, Any]:
    """The values of templates/front_page.html; `best`: recipe -> its best run."""
    means = read_csv(tables / "over_seeds.csv")
    claims = read_csv(tables / "claims.csv").astype(object).fillna("")
    devices, seeds = read_csv(tables / "runs.csv").device, shipped["seeds"]
    more_seeds = seeds["seeds"] > means.seeds.max()
    effects = pd.DataFrame(shipped["ablation"]["effects"]) if ablation is None else ablation
    return {
        "cards": cards(means, best, fit, recipes),
        "removed": repaired_in("repaired"),
        "counts": verdict_counts(claims),
        "claims": claim_rows(claims, seeds["claims"] if more_seeds else []),
        "shipped": seeds if more_seeds else None,
        "precisions": sorted(set(devices.str.rpartition(", ")[2])),
        "effects": effect_table(effects),
        # A line of a loss counts seeds.
        "own_seeds": None if ablation is None else int(ablation[ablation.split == "val"].n.max()),
        "shipped_ablation": shipped["ablation"],
        "artefacts": artefacts(),
        "metrics": METRICS,
    }
