"""The first screen of the report: three numbers, what became of the claims, what repairs are worth.

Where this run has fewer seeds than the results that ship with the project
(resources/shipped_results.json, by tools/ship_results.py), or no ablation of its own, those stand
beside its numbers, labelled.
"""

from collections.abc import Iterable
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
    "repaired": "As written, with the handling of text repaired ({removed}).",
}
SCALES = {  # the column `scale` of claims.csv
    "toy": "with generated rows or the stand-in model",
    "rehearsal": "with random weights of the real size",
    "real": "with the report's rows and model",
    "own": "with rows and a model that are neither the report's nor this project's",
}


def cards(
    means: pd.DataFrame, best: dict[str, str], fit: Iterable[FitAudit], recipes: dict[str, str]
) -> list[dict[str, Any]]:
    """A card for each recipe that was trained; an exact match that a model can reach comes first.

    `means`: over_seeds.csv.
    """
    audits = {audit.recipe: audit.all for audit in fit}
    columns = {recipe: column for column, recipe in recipes.items()}
    cards = []
    for recipe, run in best.items():
        own = means[(means.recipe == recipe) & (means.run == run) & (means.task == "all")]
        audit, column = audits[recipe], columns.get(recipe)
        measures = SCORES if audit.targets_surviving else WITHIN_REACH | SCORES
        words = DESCRIPTIONS.get(column, "A recipe of this configuration.")
        words = words.format(removed=", ".join(repaired_in("repaired")))
        shown = f"{words} The model is shown the question of "
        shown += f"{audit.question_kept:,} of {audit.rows:,} rows."
        scores = (
            _score(own[own.split == split], metric, what, split)
            for split in (held_out(own.split), *TEST_SPLITS[1:])
            for metric, what in measures.items()
        )
        title = (column or recipe).replace("_", " ").capitalize()
        cards.append({"title": title, "sentence": shown, "scores": list(filter(None, scores))})
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
    """How many claims in words have a verdict here, what the verdicts are, and the scale."""
    in_words = claims[claims.group != NUMBERS]
    judged = in_words[in_words.group == JUDGED].kind
    counts = [
        f"{(judged == kind).sum()} {kind}"
        for kind in (REPRODUCED, OPEN, NOT_REPRODUCED, ARTEFACT)
        if (judged == kind).any()
    ]
    scale, untested = claims.scale.iloc[0], ("", "not measured", "not trained here")
    tests = (~in_words[in_words.group == JUDGED][[*COLUMNS]].fillna("").isin(untested)).sum().sum()
    return (
        f"The report makes {len(in_words)} claims in words. This run judges {len(judged)} of "
        f"them{': ' * bool(counts)}{', '.join(counts)}. The verdicts rest on {tests} tests with "
        f"95% intervals, so some {tests / 20:.0f} may be decided by chance alone. Its scale is "
        f"{scale}: it was made {SCALES[scale]}."
    )


def claim_rows(claims: pd.DataFrame, shipped: list[dict]) -> list[dict[str, Any]]:
    """The claims in words that this run or the shipped results judge, those of this run first."""
    there = {each["claim"]: each["verdict"] for each in shipped if each["kind"] != NOT_TESTABLE}
    return [
        {"claim": line.claim, "here": verdict_tag(line), "shipped": there.get(line.claim, "")}
        for line in claims[claims.group != NUMBERS].itertuples()
        if line.group == JUDGED or line.claim in there
    ]


def effect_table(effects: pd.DataFrame) -> dict[str, Any]:
    """A line for each recipe of the ablation: what it repairs, and its scores on test rows."""
    own = effects[(effects.split == "test") & effects.metric.isin(EFFECTS)]
    metrics = [metric for metric in EFFECTS if (own.metric == metric).any()]
    lines = []
    for recipe, rows in own.groupby("recipe", sort=False):
        name = rows.artefact.iloc[0]
        words = f"{name} {artefacts()[name]['title'].lower()}" if name in artefacts() else ""
        by_metric = rows.set_index("metric").reindex(metrics)[["value", "low", "high"]]
        lines.append((recipe, words, [written(*line, digits=2) for line in by_metric.to_numpy()]))
    if not lines:
        return {}
    heads = [EFFECTS[metric] for metric in metrics]
    return {"heads": heads, "lines": lines, "controls": any("~" in recipe for recipe, *_ in lines)}


def rank_on_test(means: pd.DataFrame, best: dict[str, str]) -> dict[str, str]:
    """Recipe -> its best run, with its place among the recipe's runs on the test rows they share.

    Runs are chosen by the losses of their own validation rows, which differ from run to run.
    """
    own = means[(means.split == "test") & (means.metric == "rouge_l") & (means.task == "all")]
    words = {}
    for recipe, run in best.items():
        scores = own[own.recipe == recipe].set_index("run")["mean"]
        words[recipe] = run
        if run in scores.index:
            place = scores.rank(ascending=False, method="min")[run]
            words[recipe] += f", number {place:.0f} of {len(scores)} by ROUGE-L on test rows"
    return words


def precision_note(devices: Iterable[str], shipped: str) -> str:
    """What to say where this run's arithmetic is not that of the shipped results."""
    own = sorted({device.rpartition(", ")[2] for device in devices})
    if own == [shipped]:
        return ""
    return (
        f"This run was trained in {' and '.join(own)}, the shipped results in {shipped}: numbers "
        "of one seed differ between the two as between two seeds."
    )


def front_page(
    means: pd.DataFrame,
    claims: pd.DataFrame,
    best: dict[str, str],
    fit: Iterable[FitAudit],
    recipes: dict[str, str],
    shipped: dict[str, Any],
    ablation: pd.DataFrame | None,
    devices: Iterable[str],
) -> dict[str, Any]:
    """The values of templates/front_page.html; `best`: recipe -> its best run."""
    seeds, measured = shipped["seeds"], shipped["ablation"]["measured"]
    more_seeds = seeds["seeds"] > means.seeds.max()
    if ablation is not None:
        count = int(ablation[ablation.split == "val"].n.max())  # a line of a loss counts seeds
        source = f"Measured by this run (seeds: {count})."
    else:
        ablation = pd.DataFrame(shipped["ablation"]["effects"])
        source = (
            f"Shipped with the project: the run {shipped['ablation']['run']} (seeds: "
            f"{shipped['ablation']['seeds']}), measured with the code and the stand-in of "
            f"{measured['date']} (commit {measured['commit'][:9]}), not by this run."
        )
    return {
        "cards": cards(means, best, fit, recipes),
        "best": rank_on_test(means, best),
        "counts": verdict_counts(claims),
        "claims": claim_rows(claims, seeds["claims"] if more_seeds else []),
        "shipped": seeds if more_seeds else None,
        "precision": precision_note(devices, seeds["measured"]["precision"]),
        "shipped_scores": [
            (each, written(each["mean"], each["low"], each["high"], digits=2))
            for each in seeds["scores"]
        ],
        "effects": effect_table(ablation),
        "effects_from": source,
    }
