"""Tables of the report that other stages read, one dataclass a file in results/tables/.

Intervals (`low`, `high`) are 95 % intervals, None where there is none.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """results.csv: one number of one fine-tuning; its interval is over rows."""

    recipe: str
    run: str
    seed: int
    split: str
    task: str  # "all" or one of the tasks
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Mean:
    """over_seeds.csv: the same for a run as a whole."""

    recipe: str
    run: str
    split: str
    task: str
    metric: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    over: str | None  # what the interval is over: "seeds", or "rows" where no two seeds differ


@dataclass(frozen=True)
class RunSummary:
    """summary.csv, without the columns of scores, which follow what was measured."""

    recipe: str
    run: str
    rows: int
    seeds: int


@dataclass(frozen=True)
class Difference:
    """differences.csv: the mean of first minus second over the rows that both have answered."""

    first: str  # "recipe run"
    second: str
    metric: str
    task: str
    n: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """ablation.csv: one recipe of the ablation, and what it has over its end.

    `end` is the recipe that it differs from by one change, `change` that change ("+tokenizer": a
    repair added, "-tokenizer": taken back, "~untrained_base": a control; None for the ends
    themselves), `artefact` what a repair mends. `reach`, of a change in nothing but the number of
    tokens that are generated: the share of the answers that are longer than the smaller number. No
    more of them can come to equal the right answer, or cease to. `at_most`, of exact match: the
    highest that any model could reach on these rows (metrics/ceilings.py).
    """

    recipe: str
    end: str
    change: str | None
    artefact: str | None
    split: str
    metric: str
    n: int
    value: float
    low: float | None
    high: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    reach: float | None = None
    at_most: float | None = None


def seeds_of(effects: Iterable[Effect]) -> int:
    """How many seeds an ablation has: a line of a loss counts seeds, where others count rows."""
    return max(each.n for each in effects if each.split == "val")


@dataclass(frozen=True)
class AgentScore:
    """agents.csv: execution accuracy of the agents in one setup, on one split.

    The difference is this setup's minus all agents' on the same questions, None where it asks
    others. `selected` counts the questions that the Selector was asked, `repairs` all repairs.
    """

    setup: str
    split: str
    n: int
    value: float
    low: float
    high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    selected: int
    repairs: int
