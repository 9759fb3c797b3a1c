"""From what was measured of a claim to a verdict, by fixed rules, and its words."""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.artifacts.published import Published
from workflow_scripts.report.artefacts import repaired_in, suspects
from workflow_scripts.report.claims.evidence import (
    COLUMNS,
    FAILS,
    HOLDS,
    LEAST_ROWS,
    NOT_MEASURED,
    OPEN,
    Evidence,
    Outcome,
    holds_if,
)
from workflow_scripts.report.claims.tests import PUBLISHED, TESTS
from workflow_scripts.report.means import Mean

USES_FILES = ["../../../resources/claims.yaml"]
CLAIMS_FILE = Path(__file__).parents[3] / "resources/claims.yaml"
# The groups in which the claims are shown, in this order.
JUDGED, UNTESTED, NUMBERS = (
    "Claims judged here",
    "Claims not testable here",
    "Numbers quoted from the report",
)
# What became of a claim.
REPRODUCED, NOT_REPRODUCED, ARTEFACT = "reproduced", "not reproduced", "artefact"
NOT_TESTABLE = "not testable here"
FINDINGS = {REPRODUCED: HOLDS, OPEN: OPEN, NOT_REPRODUCED: FAILS}
REPORTS_ROWS, SEVERAL_SEEDS = "the report's rows", "several seeds (configs/seeds.yaml)"
AGAINST = "the report's own numbers speak against it"
DRAWN_WRONG = "A7"  # figures that show another thing than they are said to show


@dataclass(frozen=True)
class Verdict:
    """What became of a claim, and why; `artefacts` could have produced the published result."""

    kind: str
    why: str = ""
    artefacts: tuple[str, ...] = ()
    singled_out: bool = False  # by the ablation: each of the artefacts suffices
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = self.kind
        if self.kind == ARTEFACT and not self.singled_out:
            head = f"artefact of {' or '.join(self.artefacts)}"
        return "; ".join([f"{head}: {self.why}" if self.why else head, *self.remarks])


@functools.cache
def claims() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(CLAIMS_FILE.read_text(encoding="utf-8"))


def outcomes_of(entry: dict[str, Any], evidence: Evidence) -> dict[str, Outcome]:
    """Column of the claims -> outcome under its recipe."""

    def outcome(recipe: str) -> Outcome:
        if "untestable" in entry:
            return Outcome("")
        if not (evidence.runs.recipe == recipe).any():
            return Outcome("not trained here")
        return TESTS[entry["test"]](evidence, recipe, entry)

    return evidence.by_column(outcome)


def published_of(entry: dict[str, Any], published: Published) -> Outcome:
    """What the report shows for a claim, and whether its own numbers bear it out."""
    text = str(entry["published"])
    tested = PUBLISHED.get(text)
    return tested(published) if tested else holds_if(text, True)


def judge_claim(
    name: str, outcomes: dict[str, Outcome], published: Outcome, evidence: Evidence
) -> Verdict:
    """Reproduced where it holds as the report describes the procedure (else as it was run).

    An artefact where repairing the text makes it go, where carrying weights over alone brings it
    about, or where the figure that it was read from shows another thing. Open where what was
    measured decides nothing.
    """
    entry = claims()[name]
    if "untestable" in entry:
        return Verdict(NOT_TESTABLE, entry["untestable"])
    if entry.get("of_the_rows") and REPORTS_ROWS in evidence.missing:
        return Verdict(NOT_TESTABLE, f"needs {REPORTS_ROWS}")
    against = (AGAINST,) if published.finding == FAILS else ()
    as_run, as_written, repaired = (outcomes[column].finding for column in COLUMNS)
    if as_run == as_written == NOT_MEASURED:
        return Verdict(NOT_TESTABLE, f"needs {SEVERAL_SEEDS}", remarks=against)
    possible = suspects(name)
    of_procedure = tuple(each for each in possible if each in repaired_in("as_written"))
    of_text = tuple(each for each in possible if each in repaired_in("repaired"))
    sufficient = _sufficient(of_text, entry, evidence)
    decisive = as_run if as_written == NOT_MEASURED else as_written
    if decisive == HOLDS:
        if of_text and as_written == HOLDS and repaired == FAILS:
            why = "gone when repaired"
            if sufficient:
                suffice = "suffices" if len(sufficient) == 1 else "each suffice"
                names = " and ".join(sufficient)
                why += f"; on these rows {names} {suffice} to explain it, by the ablation"
            return Verdict(ARTEFACT, why, sufficient or of_text, bool(sufficient))
        return Verdict(REPRODUCED, remarks=_remarks(REPRODUCED, outcomes, "", against))
    if of_procedure and as_run == HOLDS:
        if as_written == FAILS:
            return Verdict(ARTEFACT, "there as run, gone as written", of_procedure)
        if _less(outcomes["as_written"].mean, outcomes["as_run"].mean):
            return Verdict(ARTEFACT, "there as run, less as written", of_procedure)
    if DRAWN_WRONG in possible and published.finding == HOLDS:
        why = "its figure can't show it"
        return Verdict(ARTEFACT, why, (DRAWN_WRONG,), remarks=(_true_losses(outcomes),))
    rid_of = ""
    if repaired == HOLDS and sufficient:
        rid_of = f" of {' and '.join(sufficient)} (by the ablation)"
    elif repaired == HOLDS and of_text:
        rid_of = f" of {' or '.join(of_text)}"
    kind = OPEN if decisive == OPEN else NOT_REPRODUCED
    why = f"{'there as run, but ' * (as_run == HOLDS)}{_doubt(outcomes)}" if kind == OPEN else ""
    return Verdict(kind, why, remarks=_remarks(kind, outcomes, rid_of, against))


def _sufficient(
    possible: tuple[str, ...], entry: dict[str, Any], evidence: Evidence
) -> tuple[str, ...]:
    """The artefacts that suffice, by the ablation.

    One suffices where taking back its repair alone costs so much that the metric of the claim stays
    below its limit.
    """
    ablated, effects = entry.get("ablated"), evidence.ablation
    if not ablated or effects.empty:
        return ()
    enough = effects[
        (effects.metric == ablated["metric"])
        & (effects.split == "test")
        & effects.change.fillna("").str.startswith("-")
        & (effects.n >= LEAST_ROWS)
        & (effects.high < ablated["limit"])
        & (effects.effect_high < 0)
    ]
    return tuple(each for each in possible if each in set(enough.artefact))


def _less(one: Mean | None, other: Mean | None) -> bool:
    """Whether a difference is clearly smaller than another recipe's.

    Of two independent means: their half-widths add as squares.
    """
    if one is None or other is None:
        return False
    return other.value - one.value > math.hypot(
        (one.high - one.low) / 2, (other.high - other.low) / 2
    )


def _doubt(outcomes: dict[str, Outcome]) -> str:
    """What leaves a claim open, under the first recipe that does: as written, else as run."""
    first = next(each for each in ("as_written", *COLUMNS) if outcomes[each].doubt)
    return f"{first.replace('_', ' ')} {outcomes[first].doubt}"


def _remarks(
    kind: str, outcomes: dict[str, Outcome], rid_of: str, against: tuple[str, ...]
) -> tuple[str, ...]:
    repaired = outcomes["repaired"]
    if repaired.finding in (FINDINGS[kind], NOT_MEASURED):
        return against
    more = f" ({repaired.doubt})" if repaired.doubt else rid_of
    return (f"{repaired.finding} once repaired{more}", *against)


def _true_losses(outcomes: dict[str, Outcome]) -> str:
    """What measuring a claim gave that the report read from a wrong figure."""
    showing = [column for column, outcome in outcomes.items() if outcome.finding == HOLDS]
    if showing:
        return f"the true losses show it under {' and '.join(showing)}"
    if any(outcome.finding == FAILS for outcome in outcomes.values()):
        return "the true losses show the opposite"
    return f"the true losses leave it open ({_doubt(outcomes)})"


def claim_lines(evidence: Evidence) -> Iterator[dict[str, str]]:
    for name, entry in claims().items():
        outcomes = outcomes_of(entry, evidence)
        published = published_of(entry, evidence.published)
        verdict = judge_claim(name, outcomes, published, evidence)
        texts = {column: outcome.text for column, outcome in outcomes.items()}
        group = UNTESTED if verdict.kind == NOT_TESTABLE else JUDGED
        yield line_of(group, entry["text"], published.text, texts, verdict)


def line_of(
    group: str, claim: str, published: str, measured: dict[str, str], verdict: Verdict
) -> dict[str, str]:
    line = {"group": group, "claim": claim, "published": published, **measured}
    return line | {"kind": verdict.kind, "verdict": str(verdict)}
