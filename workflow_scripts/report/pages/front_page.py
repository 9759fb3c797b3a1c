"""The first screen of the report: three numbers, what became of the claims, what repairs are worth.

Where this run has fewer seeds than the results that ship with the project, or no ablation of its
own, those stand beside its numbers, labelled.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_scripts.artifacts.claims import Claims, Column, Group, Kind
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.report import Effect, Result, seeds_of
from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.artifacts.shipped import Shipped, ShippedEffect
from workflow_scripts.artifacts.tables import TEST_SPLITS
from workflow_scripts.report.artefacts import artefacts, mended_in
from workflow_scripts.report.claims.english import verdict_tag
from workflow_scripts.report.pages.html import Markup
from workflow_scripts.report.runs import held_out, mean_score

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
EFFECTS = {
    "exact_match": "exact match",
    "exact_match_decoded": "exact match, decoded",
    "execution_accuracy": "execution accuracy",
    "execution_accuracy_lenient": "execution accuracy, lenient",
    "rouge_l": "ROUGE-L",
}


@dataclass(frozen=True)
class Shown:
    """A score in words: "31%", "[22%, 41%]", "90 test rows"."""

    what: str
    value: str
    interval: str
    rows: str


@dataclass(frozen=True)
class Card:
    """A recipe on the first screen; its exact match comes first."""

    title: str
    sentence: str
    scores: list[Shown]


def shown(results: list[Result], recipe: str, run: str, metric: str, split: str) -> Shown | None:
    """A run's score over all tasks; None where it was not measured."""
    measured: dict[str, list[Result]] = {}
    for each in results:
        address = (each.recipe, each.run, each.split, each.task)
        if address == (recipe, run, split, "all") and each.value is not None:
            measured.setdefault(each.metric, []).append(each)
    scores = measured.get(metric, [])
    mean = mean_score(scores)
    if not mean:
        return None
    interval = f"[{mean.low:.0%}, {mean.high:.0%}]" if mean.has_interval else ""
    seeds = f"{len(scores)} seeds, each on " if len(scores) > 1 else ""
    rows = f"{seeds}{mean.rows} {ROWS[split]}"
    highest = mean_score(measured.get(f"{metric}_at_most", []))
    if highest and highest.value < 1:
        rows += f"; no model could exceed {highest.value:.0%}"
    return Shown(SCORES[metric], f"{mean.value:.0%}", interval, rows)


def cards(
    results: list[Result],
    best: BestRuns,
    audits: Iterable[FitAudit],
    recipes: dict[Column, str],
) -> list[Card]:
    """A card for each recipe that was trained."""
    fit = {audit.recipe: audit for audit in audits}
    columns = {recipe: column for column, recipe in recipes.items()}
    return [
        Card(
            title=columns.get(recipe, recipe).replace("_", " ").capitalize(),
            sentence=f"{_described(columns.get(recipe))} {_seen(fit[recipe])}",
            scores=list(filter(None, _scores(results, recipe, run.run))),
        )
        for recipe, run in best.recipes.items()
    ]


def _scores(results: list[Result], recipe: str, run: str) -> list[Shown | None]:
    splits = {each.split for each in results if (each.recipe, each.run) == (recipe, run)}
    judged_on = [held_out(splits), *(split for split in TEST_SPLITS[1:] if split in splits)]
    return [shown(results, recipe, run, metric, split) for split in judged_on for metric in SCORES]


def _described(column: Column | None) -> str:
    match column:
        case "as_run":
            return "What the notebooks behind the report did, mistakes included."
        case "as_written":
            return "What the report describes, carried out as described."
        case "repaired":
            return f"As written, with the handling of text mended ({', '.join(mended_in(column))})."
    return "A recipe of this configuration."


def _seen(audit: FitAudit) -> str:
    kept, rows = audit.all.question_kept, audit.all.rows
    return f"The model is shown the question of {kept:,} of {rows:,} rows."


def verdict_counts(claims: Claims) -> str:
    """How many claims in words have a verdict here, and what the verdicts are."""
    groups = claims.by_group()
    judged, untested = groups[Group.JUDGED], groups[Group.NOT_TESTABLE]
    found = Counter(line.verdict.kind for line in judged)
    counts = ", ".join(f"{found[kind]} {kind}" for kind in Kind if found[kind])
    return (
        f"The report makes {len(judged) + len(untested)} claims in words. This run judges "
        f"{len(judged)} of them{': ' * bool(counts)}{counts}."
    )


def claim_rows(claims: Claims, shipped: Shipped | None) -> list[dict[str, Any]]:
    """The claims in words that this run or the shipped results judge, those of this run first."""
    there = {}
    if shipped:
        judged = (each for each in shipped.seeds.claims if each.kind != Kind.NOT_TESTABLE)
        there = {each.claim: each.verdict for each in judged}
    return [
        {
            "claim": line.claim,
            "here": verdict_tag(line.verdict),
            "shipped": Markup("{}").format(there.get(line.claim, "")),
        }
        for group in (Group.JUDGED, Group.NOT_TESTABLE)
        for line in claims.by_group()[group]
        if group == Group.JUDGED or line.claim in there
    ]


def effect_table(effects: Sequence[Effect | ShippedEffect]) -> dict[str, Any]:
    """A line for each recipe of the ablation: what it mends, and its scores on test rows."""
    measured = {(each.recipe, each.metric): each for each in effects if each.split == "test"}
    metrics = [name for name in EFFECTS if any(metric == name for _, metric in measured)]
    mends = {each.recipe: each.artefact for each in measured.values()}
    lines = [
        (recipe, _named(artefact), [measured.get((recipe, metric)) for metric in metrics])
        for recipe, artefact in mends.items()
    ]
    if not lines:
        return {}
    return {
        "heads": [EFFECTS[metric] for metric in metrics],
        "lines": lines,
        "controls": any("~" in recipe for recipe in mends),
    }


def _named(artefact: str | None) -> str:
    return f"{artefact} {artefacts()[artefact].title.lower()}" if artefact else ""


def front_page(
    results: list[Result],
    claims: Claims,
    best: BestRuns,
    audits: list[FitAudit],
    recipes: dict[Column, str],
    shipped: Shipped,
    ablation: list[Effect],
) -> dict[str, Any]:
    """The values of templates/front_page.html."""
    on_test_rows = [each for each in ablation if each.split == "test"]
    more_seeds = shipped.seeds.seeds > len({each.seed for each in results})
    measured_with = shipped.ablation.measured
    return {
        "cards": cards(results, best, audits, recipes),
        "best": {name: each.run for name, each in best.recipes.items()},
        "counts": verdict_counts(claims),
        "claims": claim_rows(claims, shipped if more_seeds else None),
        "shipped": shipped.seeds if more_seeds else None,
        "effects": effect_table(on_test_rows or shipped.ablation.effects),
        "effects_from": f"Measured by this run (seeds: {seeds_of(ablation)})."
        if on_test_rows
        else f"Shipped with the project: the run {shipped.ablation.run} (seeds: "
        f"{shipped.ablation.seeds}), measured with the code and the stand-in of "
        f"{measured_with.date} (commit {measured_with.commit[:9]}), not by this run.",
    }
