"""From what was measured to a verdict: for a claim in words, and for a number."""

from dataclasses import dataclass

from workflow_scripts.artifacts.claims import COLUMNS, ClaimLine, Column, Kind, Reason, Verdict
from workflow_scripts.report.artefacts import mended_in, suspects
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import Measured, Outcome
from workflow_scripts.report.claims.statements import Claim

REPORTS_ROWS = "the report's rows"
SEVERAL_SEEDS = "several seeds (configs/seeds.yaml)"
DRAWN_WRONG = "A7"  # figures that show another thing than they are said to show


def untestable(*missing: str) -> Verdict:
    return Verdict(kind=Kind.NOT_TESTABLE, reason=Reason.MISSING, missing=list(missing))


def line_in_words(claim: Claim, evidence: Evidence) -> ClaimLine:
    outcomes, published = claim.outcomes(evidence), claim.published(evidence)
    return ClaimLine(
        claim=claim.text,
        in_words=True,
        published=published.text,
        measured={column: outcome.text for column, outcome in outcomes.items()},
        verdict=judge_claim(claim, outcomes, published, evidence),
    )


def judge_claim(
    claim: Claim, outcomes: dict[Column, Outcome], published: Outcome, evidence: Evidence
) -> Verdict:
    """Reproduced where it holds as the report describes the procedure (else as it was run).

    An artefact where repairing the text makes it go, where carrying weights over alone brings it
    about, or where the figure that it was read from shows another thing.
    """
    as_run, as_written, repaired = (outcomes[column] for column in COLUMNS)
    facts = {
        "findings": {column: outcome.finding for column, outcome in outcomes.items()},
        "contradicted": published.fails,
    }
    if claim.untestable:
        return Verdict(kind=Kind.NOT_TESTABLE, reason=Reason.STATED, detail=claim.untestable)
    if claim.of_the_rows and REPORTS_ROWS in evidence.missing:
        return untestable(REPORTS_ROWS)
    if not (as_run.measured or as_written.measured):
        return untestable(SEVERAL_SEEDS).model_copy(update=facts)
    possible = suspects(claim.id)
    of_procedure = [each for each in possible if each in mended_in("as_written")]
    of_text = [each for each in possible if each in mended_in("repaired")]
    if (as_written if as_written.measured else as_run).holds:
        if of_text and as_written.holds and repaired.fails:
            return Verdict(
                kind=Kind.ARTEFACT,
                reason=Reason.GONE_WHEN_REPAIRED,
                **_narrowed(of_text, claim, evidence),
                **facts,
            )
        return Verdict(kind=Kind.REPRODUCED, **facts)
    if of_procedure and as_run.holds and (as_written.fails or as_written.less_than(as_run)):
        reason = Reason.GONE_AS_WRITTEN if as_written.fails else Reason.LESS_AS_WRITTEN
        return Verdict(kind=Kind.ARTEFACT, reason=reason, artefacts=of_procedure, **facts)
    if DRAWN_WRONG in possible and published.holds:
        return Verdict(
            kind=Kind.ARTEFACT, reason=Reason.WRONG_FIGURE, artefacts=[DRAWN_WRONG], **facts
        )
    explained = _narrowed(of_text, claim, evidence) if repaired.holds else {}
    kind = Kind.OPEN if as_written.open else Kind.NOT_REPRODUCED
    return Verdict(kind=kind, **explained, **facts)


def _narrowed(possible: list[str], claim: Claim, evidence: Evidence) -> dict:
    """The artefacts whose repair, taken back alone, costs exact match; else all that could be."""
    costly = {
        effect.artefact
        for effect in evidence.ablation
        if effect.metric == claim.ablated
        and (effect.repair or "").startswith("-")
        and effect.effect_high is not None
        and effect.effect_high < 0
    }
    guilty = [each for each in possible if each in costly]
    return {"artefacts": guilty or possible, "singled_out": bool(guilty)}


@dataclass(frozen=True)
class Number:
    """A number of the report, and what was measured of it in each column."""

    value: float
    measured: dict[Column, Measured | None]
    suspects: list[str]


def judge_number(number: Number, evidence: Evidence) -> Verdict:
    """Reproduced where it lies inside the interval as run (else as written)."""
    if evidence.missing:
        return untestable(*evidence.missing)
    inside = {
        column: value.low <= number.value <= value.high
        for column, value in number.measured.items()
        if value is not None and value.has_interval
    }
    if not inside:
        return Verdict(kind=Kind.NOT_TESTABLE, reason=Reason.ONE_SEED)
    if inside.get("as_run") and inside.get("as_written") is False and number.suspects:
        return Verdict(kind=Kind.ARTEFACT, reason=Reason.ONLY_AS_RUN, artefacts=number.suspects)
    if inside.get("as_run", inside.get("as_written")):
        over = number.measured[next(iter(inside))].over
        return Verdict(kind=Kind.REPRODUCED, reason=Reason.INSIDE, detail=over)
    return Verdict(kind=Kind.NOT_REPRODUCED)
