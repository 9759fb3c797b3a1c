"""From what was measured to a verdict: for a claim in words, and for a number."""

from workflow_scripts.artifacts.claims import (
    COLUMNS,
    ClaimLine,
    Column,
    Finding,
    Group,
    Kind,
    Reason,
    Verdict,
)
from workflow_scripts.report.artefacts import mended_in, suspects
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import LEAST_ROWS, Outcome, less_than, too_few
from workflow_scripts.report.claims.statements import Claim
from workflow_scripts.report.runs import Measured

REPORTS_ROWS = "the report's rows"
SEVERAL_SEEDS = "several seeds (configs/seeds.yaml)"
DRAWN_WRONG = "A7"  # figures that show another thing than they are said to show


def untestable(*missing: str) -> Verdict:
    return Verdict(kind=Kind.NOT_TESTABLE, missing=list(missing))


def line_in_words(claim: Claim, evidence: Evidence) -> ClaimLine:
    outcomes, published = claim.outcomes(evidence), claim.published(evidence)
    verdict = judge_claim(claim, outcomes, published, evidence)
    return ClaimLine(
        claim=claim.text,
        group=Group.NOT_TESTABLE if verdict.kind == Kind.NOT_TESTABLE else Group.JUDGED,
        published=published.text,
        measured={column: outcome.text for column, outcome in outcomes.items()},
        verdict=verdict,
    )


def judge_claim(
    claim: Claim, outcomes: dict[Column, Outcome], published: Outcome, evidence: Evidence
) -> Verdict:
    """Reproduced where it holds as the report describes the procedure (else as it was run).

    An artefact where repairing the text makes it go, where carrying weights over alone brings it
    about, or where the figure that it was read from shows another thing. Open where what was
    measured decides nothing.
    """
    if claim.untestable:
        return Verdict(kind=Kind.NOT_TESTABLE, detail=claim.untestable)
    if claim.of_the_rows and REPORTS_ROWS in evidence.missing:
        return untestable(REPORTS_ROWS)
    findings = {column: outcome.finding for column, outcome in outcomes.items()}
    doubts = {column: outcome.doubt for column, outcome in outcomes.items() if outcome.doubt}
    as_run, as_written, repaired = (findings[column] for column in COLUMNS)

    def verdict(kind: Kind, reason: Reason | None = None, **why) -> Verdict:
        measured = {"findings": findings, "doubts": doubts}
        against = published.finding == Finding.FAILS
        return Verdict(kind=kind, reason=reason, **measured, contradicted=against, **why)

    if as_run == as_written == Finding.NOT_MEASURED:
        return verdict(Kind.NOT_TESTABLE, missing=[SEVERAL_SEEDS])
    possible = suspects(claim.id)
    of_procedure = [each for each in possible if each in mended_in("as_written")]
    of_text = [each for each in possible if each in mended_in("repaired")]
    narrowed = _narrowed(of_text, claim, evidence)
    decisive = as_run if as_written == Finding.NOT_MEASURED else as_written
    if decisive == Finding.HOLDS:
        if of_text and as_written == Finding.HOLDS and repaired == Finding.FAILS:
            return verdict(Kind.ARTEFACT, Reason.GONE_WHEN_REPAIRED, **narrowed)
        return verdict(Kind.REPRODUCED)
    if of_procedure and as_run == Finding.HOLDS:
        if as_written == Finding.FAILS:
            return verdict(Kind.ARTEFACT, Reason.GONE_AS_WRITTEN, artefacts=of_procedure)
        if less_than(outcomes["as_written"], outcomes["as_run"]):
            return verdict(Kind.ARTEFACT, Reason.LESS_AS_WRITTEN, artefacts=of_procedure)
    if DRAWN_WRONG in possible and published.finding == Finding.HOLDS:
        return verdict(Kind.ARTEFACT, Reason.WRONG_FIGURE, artefacts=[DRAWN_WRONG])
    kind = Kind.OPEN if decisive == Finding.OPEN else Kind.NOT_REPRODUCED
    return verdict(kind, **(narrowed if repaired == Finding.HOLDS else {}))


def _narrowed(possible: list[str], claim: Claim, evidence: Evidence) -> dict:
    """The artefacts that suffice, by the ablation, else all that could be.

    One suffices where taking back its repair alone costs so much that the metric of the claim stays
    below its limit.
    """
    metric, limit = claim.ablated or (None, 0)
    sufficient = {
        effect.artefact
        for effect in evidence.ablation
        if (effect.metric, effect.split) == (metric, "test")
        and (effect.change or "").startswith("-")
        and effect.n >= LEAST_ROWS
        and None not in (effect.high, effect.effect_high)
        and effect.high < limit
        and effect.effect_high < 0
    }
    guilty = [each for each in possible if each in sufficient]
    return {"artefacts": guilty or possible, "singled_out": bool(guilty)}


def judge_number(
    published: float,
    measured: dict[Column, Measured | None],
    possible: list[str],
    evidence: Evidence,
) -> Verdict:
    """Reproduced where it lies inside the interval as run (else as written).

    `possible`: the artefacts that could have made the difference between these two.
    """
    if evidence.missing:
        return untestable(*evidence.missing)
    known = {column: value for column, value in measured.items() if value and value.has_interval}
    inside = {column: value.low <= published <= value.high for column, value in known.items()}
    if not inside:
        return Verdict(kind=Kind.NOT_TESTABLE, reason=Reason.ONE_SEED)
    doubts = {column: doubt for column, value in known.items() if (doubt := too_few(value.rows))}
    if doubts:
        return Verdict(kind=Kind.OPEN, doubts=doubts)
    if inside.get("as_run") and inside.get("as_written") is False and possible:
        return Verdict(kind=Kind.ARTEFACT, reason=Reason.ONLY_AS_RUN, artefacts=possible)
    if inside.get("as_run", inside.get("as_written")):
        return Verdict(kind=Kind.REPRODUCED, inside=measured[next(iter(inside))].over)
    return Verdict(kind=Kind.NOT_REPRODUCED)
