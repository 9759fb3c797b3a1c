"""What testing a claim under one recipe gives: a text for the reader, and whether it holds.

A claim says that something lies above a limit, or below it. It holds when the whole 95 % interval
does, fails when the whole interval lies on the other side, and is open when the interval holds the
limit: too little to tell is not the same as refuted.
"""

import math
from dataclasses import dataclass

from workflow_scripts.artifacts.claims import Doubt, Doubtful, Finding
from workflow_scripts.report.runs import Measured

# Fewer rows decide nothing. From 12 rows on Wilson's interval of a share is never wider than half
# of the scale (its width is at most z / sqrt(n + z^2), so n >= 3 z^2), which is the least that
# tells a quarter from three quarters.
LEAST_ROWS = 12


@dataclass(frozen=True)
class Outcome:
    """`difference`: what the claim says to lie above 0, where it is of that kind."""

    text: str
    finding: Finding = Finding.NOT_MEASURED
    difference: Measured | None = None
    doubt: Doubt | None = None


NOT_MEASURED = Outcome("not measured")


def found(text: str, holds: bool) -> Outcome:
    return Outcome(text, Finding.HOLDS if holds else Finding.FAILS)


def above(text: str, value: Measured, limit: float) -> Outcome:
    """The claim that something lies above a limit."""
    if not value.has_interval:
        return Outcome(f"{text} (no interval)")
    if doubt := too_few(value.rows):
        return Outcome(text, Finding.OPEN, value, doubt)
    if value.low > limit:
        return Outcome(text, Finding.HOLDS, value)
    if value.high < limit:
        return Outcome(text, Finding.FAILS, value)
    return Outcome(text, Finding.OPEN, value, Doubt(reason=Doubtful.INTERVAL, n=limit))


def below(text: str, value: Measured, limit: float) -> Outcome:
    """The claim that a share of rows lies below a limit."""
    outcome = above(text, value, limit)
    turned = {Finding.HOLDS: Finding.FAILS, Finding.FAILS: Finding.HOLDS}
    return Outcome(text, turned.get(outcome.finding, outcome.finding), doubt=outcome.doubt)


def too_few(rows: int | None) -> Doubt | None:
    """Where a value has too few rows behind it; `rows` is None for one that has none to count."""
    if rows is None or rows >= LEAST_ROWS:
        return None
    return Doubt(reason=Doubtful.TOO_FEW_ROWS, n=rows)


def less_than(one: Outcome, other: Outcome) -> bool:
    """Whether a difference is clearly smaller than another recipe's.

    Of two independent means: their half-widths add as squares.
    """
    first, second = other.difference, one.difference
    if first is None or second is None:
        return False
    half = math.hypot(*((each.high - each.low) / 2 for each in (first, second)))
    return first.value - second.value > half
