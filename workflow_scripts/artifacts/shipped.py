"""resources/shipped_results.json: results that come with the project (tools/ship_results.py).

The report shows them, labelled, where a run has fewer seeds or no ablation of its own.
"""

from workflow_scripts.records import Record


class Measured(Record):
    """When and with what code: the date of the commit, and the commit."""

    date: str
    commit: str


class ShippedClaim(Record):
    """A claim of the report in words; `kind` is a value of artifacts.claims.Kind."""

    claim: str
    kind: str
    verdict: str


class ShippedScore(Record):
    """A score of a recipe's best run over all tasks: a mean, and its 95 % interval over seeds."""

    recipe: str
    run: str
    split: str
    metric: str
    mean: float
    low: float | None
    high: float | None


class ShippedSeeds(Record):
    measured: Measured
    seeds: int
    claims: list[ShippedClaim]
    scores: list[ShippedScore]


class ShippedEffect(Record):
    """A line of ablation.csv, without its effects."""

    recipe: str
    artefact: str | None
    split: str
    metric: str
    n: int
    value: float
    low: float | None
    high: float | None


class ShippedAblation(Record):
    measured: Measured
    run: str
    seeds: int
    effects: list[ShippedEffect]


class Shipped(Record):
    seeds: ShippedSeeds
    ablation: ShippedAblation
