"""The first screen of the report: three numbers, what became of the claims, what repairs are worth.

Where this run has fewer seeds than the results that ship with the project, or no ablation of its
own, those stand beside its numbers, labelled.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from workflow_scripts.artifacts.shipped import Shipped
from workflow_scripts.report.artefacts import artefacts, repaired_in
from workflow_scripts.report.claims.evidence import OPEN
from workflow_scripts.report.claims.verdict import (
    ARTEFACT,
    JUDGED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    NUMBERS,
    REPRODUCED,
)
from workflow_scripts.report.html import interval
from workflow_scripts.report.means import TEST_SPLITS, held_out
from workflow_scripts.report.sections import verdict_tag
from workflow_scripts.text.audit import FitAudit

ROWS = {
    "test": "test rows",
    "unseen": "rows of databases never seen",
    "other": "rows of another file",
    "val": "validation rows",
}
SCORES = {
    "exact_match": "exact match",
    "execution_accuracy": "execution accuracy, Decomposer and Refiner",
}
# What leads where the tokenizer can write no right answer, which leaves the others at 0.
WITHIN_REACH = {
    "exact_match_decoded": "exact match with what the tokenizer can write",
    "execution_accuracy_lenient": "execution accuracy, SQL in any form",
}
EFFECTS = {
    "exact_match": "exact match",
    "exact_match_decoded": "exact match, decoded",
    "execution_accuracy": "execution accuracy",
    "execution_accuracy_lenient": "execution accuracy, lenient",
    "rouge_l": "ROUGE-L",
}
DESCRIPTIONS = {
    "as_run": "What the notebooks behind the report did, mistakes included.",
    "as_written": "What the report describes, carried out as described.",
}


def cards(
    means: pd.DataFrame, best: dict[str, str], fit: list[FitAudit], recipes: dict[str, str]
) -> list[dict[str, Any]]:
    """A card for each recipe that was trained; an exact match that a model can reach comes first.

    `means`: over_seeds.csv.
    """
    audits = {audit.recipe: audit.all for audit in fit}
    columns = {recipe: column for column, recipe in recipes.items()}
    cards = []
    for recipe, run in best.items():
        own = means[(means.recipe == recipe) & (means.run == run) & (means.task == "all")]
        splits = set(own.split)
        judged_on = [held_out(splits), *(split for split in TEST_SPLITS[1:] if split in splits)]
        column = columns.get(recipe)
        words = DESCRIPTIONS.get(column, "A recipe of this configuration.")
        if column == "repaired":
            removed = ", ".join(repaired_in(column))
            words = f"As written, with the handling of text repaired ({removed})."
        audit = audits[recipe]
        measures = SCORES if audit.targets_surviving else WITHIN_REACH | SCORES
        shown = (
            f"The model is shown the question of {audit.question_kept:,} of {audit.rows:,} rows."
        )
        cards.append(
            {
                "title": columns.get(recipe, recipe).replace("_", " ").capitalize(),
                "sentence": f"{words} {shown}",
                "scores": [
                    score
                    for split in judged_on
                    for metric, what in measures.items()
                    if (score := _score(own[own.split == split], metric, what, split))
                ],
            }
        )
    return cards


def _score(means: pd.DataFrame, metric: str, what: str, split: str) -> dict[str, str] | None:
    """A run's score over all tasks in words; None where it was not measured."""
    by_metric = means.set_index("metric")
    if metric not in by_metric.index:
        return None
    mean = by_metric.loc[metric]
    several = f"{mean.seeds} seeds, each on " if mean.seeds > 1 else ""
    rows = f"{several}{mean.rows:.0f} {ROWS[split]}"
    highest = by_metric["mean"].get(f"{metric}_at_most", 1)
    if highest < 1:
        rows += f"; no model could exceed {highest:.0%}"
    interval = f"[{mean.low:.0%}, {mean.high:.0%}] over {mean.over}" if mean.low == mean.low else ""
    return {"what": what, "value": f"{mean['mean']:.0%}", "interval": interval, "rows": rows}


def verdict_counts(claims: pd.DataFrame) -> str:
    """How many claims in words have a verdict here, and what the verdicts are."""
    in_words = claims[claims.group != NUMBERS]
    judged = in_words[in_words.group == JUDGED].kind
    counts = [
        f"{(judged == kind).sum()} {kind}"
        for kind in (REPRODUCED, OPEN, NOT_REPRODUCED, ARTEFACT)
        if (judged == kind).any()
    ]
    return (
        f"The report makes {len(in_words)} claims in words. This run judges "
        f"{len(judged)} of them{': ' * bool(counts)}{', '.join(counts)}."
    )


def claim_rows(claims: pd.DataFrame, shipped: Shipped | None) -> list[dict[str, Any]]:
    """The claims in words that this run or the shipped results judge, those of this run first."""
    there = {}
    if shipped:
        judged = (each for each in shipped.seeds.claims if each.kind != NOT_TESTABLE)
        there = {each.claim: each.verdict for each in judged}
    return [
        {"claim": line.claim, "here": verdict_tag(line), "shipped": there.get(line.claim, "")}
        for _, line in claims[claims.group != NUMBERS].iterrows()
        if line.group == JUDGED or line.claim in there
    ]


def effect_table(effects: pd.DataFrame) -> dict[str, Any]:
    """A line for each recipe of the ablation: what it repairs, and its scores on test rows."""
    own = effects[(effects.split == "test") & effects.metric.isin(EFFECTS)]
    if own.empty:
        return {}
    metrics = [metric for metric in EFFECTS if (own.metric == metric).any()]
    lines = []
    for recipe, rows in own.groupby("recipe", sort=False):
        artefact = rows.artefact.iloc[0]
        named = (
            f"{artefact} {artefacts()[artefact].title.lower()}" if isinstance(artefact, str) else ""
        )
        by_metric = rows.set_index("metric").reindex(metrics)
        values = [interval(line.value, line.low, line.high) for line in by_metric.itertuples()]
        lines.append((recipe, named, values))
    heads = [EFFECTS[metric] for metric in metrics]
    return {"heads": heads, "lines": lines, "controls": any("~" in recipe for recipe, *_ in lines)}


def front_page(
    means: pd.DataFrame,
    claims: pd.DataFrame,
    best: dict[str, str],
    fit: Iterable[FitAudit],
    recipes: dict[str, str],
    shipped: Shipped,
    ablation: pd.DataFrame | None,
) -> dict[str, Any]:
    """The values of templates/front_page.html; `best`: recipe -> its best run."""
    more_seeds = shipped.seeds.seeds > means.seeds.max()
    measured_with = shipped.ablation.measured
    if ablation is not None:
        seeds = int(ablation[ablation.split == "val"].n.max())  # a line of a loss counts seeds
        source, effects = f"Measured by this run (seeds: {seeds}).", effect_table(ablation)
    else:
        source = (
            f"Shipped with the project: the run {shipped.ablation.run} (seeds: "
            f"{shipped.ablation.seeds}), measured with the code and the stand-in of "
            f"{measured_with.date} (commit {measured_with.commit[:9]}), not by this run."
        )
        records = [effect.model_dump() for effect in shipped.ablation.effects]
        effects = effect_table(pd.DataFrame(records))
    return {
        "cards": cards(means, best, list(fit), recipes),
        "best": best,
        "counts": verdict_counts(claims),
        "claims": claim_rows(claims, shipped if more_seeds else None),
        "shipped": shipped.seeds if more_seeds else None,
        "shipped_scores": [
            (each, interval(each.mean, each.low, each.high)) for each in shipped.seeds.scores
        ],
        "effects": effects,
        "effects_from": source,
    }
