"""What testing a claim under one recipe gives: a text for the reader, and whether it holds.

A claim of the kind "A is larger than B" holds when the 95 % interval of the difference lies above
0, fails when it lies below, and is open when it holds 0: too few seeds to tell is not the same as
refuted. What compares trainings needs several seeds; steps, learning rates or rows of one seed are
not repetitions of it.
"""

import math
from dataclasses import dataclass

from workflow_scripts.artifacts.claims import Finding
from workflow_scripts.intervals import mean_over_seeds


@dataclass(frozen=True)
class Measured:
    """A mean with its interval (NaN where there is none) and what the interval is over."""

    value: float
    low: float = math.nan
    high: float = math.nan
    over: str = ""

    @property
    def has_interval(self) -> bool:
        return self.low == self.low

    def __str__(self) -> str:
        text = f"{self.value:.3f}"
        return f"{text} [{self.low:.3f}, {self.high:.3f}]" if self.has_interval else text


def over_seeds(values: list[float]) -> Measured | None:
    """Mean and t-interval of one value a seed (or a pair); None without values."""
    return Measured(*mean_over_seeds(values), "seeds") if values else None


@dataclass(frozen=True)
class Outcome:
    """`difference`: what the claim says to lie above 0, where it is of that kind."""

    text: str
    finding: Finding = Finding.NOT_MEASURED
    difference: Measured | None = None


NOT_MEASURED = Outcome("not measured")


def found(text: str, holds: bool) -> Outcome:
    return Outcome(text, Finding.HOLDS if holds else Finding.FAILS)


def above_zero(name: str, difference: Measured | None) -> Outcome:
    """The claim that a difference of trainings lies above 0."""
    if difference is None:
        return NOT_MEASURED
    text = f"{name}: {difference}"
    if not difference.has_interval:
        return Outcome(f"{text} (one seed: no interval)")
    return by_interval(text, difference)


def by_interval(text: str, value: Measured) -> Outcome:
    finding = Finding.OPEN
    if value.low > 0:
        finding = Finding.HOLDS
    elif value.high < 0:
        finding = Finding.FAILS
    return Outcome(text, finding, value)


def less_than(one: Outcome, other: Outcome) -> bool:
    """Whether a difference is clearly smaller than another recipe's.

    Of two independent means: their half-widths add as squares.
    """
    first, second = other.difference, one.difference
    if first is None or second is None:
        return False
    half = math.hypot(*((each.high - each.low) / 2 for each in (first, second)))
    return first.value - second.value > half
