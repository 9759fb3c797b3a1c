"""claims.json: every claim of the report, what was measured of it and what became of it."""

from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import Field

from workflow_scripts.artifacts.base import Artifact

# What a claim is measured under; the configuration's `claims` says which recipe each one is.
Column = Literal["as_run", "as_written", "repaired"]
COLUMNS: tuple[Column, ...] = get_args(Column)


class Kind(StrEnum):
    """What became of a claim. OPEN: measured, but the interval of the difference holds 0."""

    REPRODUCED = "reproduced"
    OPEN = "open"
    NOT_REPRODUCED = "not reproduced"
    ARTEFACT = "artefact"
    NOT_TESTABLE = "not testable here"


class Reason(StrEnum):
    """What led to a verdict, where its kind and its findings do not say it."""

    MISSING = "what a test needs is missing"
    ONE_SEED = "an interval needs several seeds"
    INSIDE = "inside the interval"
    GONE_WHEN_REPAIRED = "gone when repaired"
    GONE_AS_WRITTEN = "gone as written"
    LESS_AS_WRITTEN = "less as written"
    ONLY_AS_RUN = "inside the interval as run alone"
    WRONG_FIGURE = "its figure cannot show it"
    STATED = "see the detail"


class Finding(StrEnum):
    """Whether a claim holds under one recipe."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "open"
    NOT_MEASURED = "not measured"


class Verdict(Artifact):
    """What became of a claim, and why.

    `artefacts` could have produced the published result: each of them alone, or, where they were
    `singled_out` by the ablation, all of them together. `missing` names what a test lacks here.
    `contradicted`: the report's own numbers speak against its claim.
    """

    kind: Annotated[Kind, Field(strict=False)]
    reason: Annotated[Reason | None, Field(strict=False)] = None
    artefacts: list[str] = Field(default_factory=list)
    singled_out: bool = False
    findings: dict[Column, Annotated[Finding, Field(strict=False)]] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)
    detail: str = ""
    contradicted: bool = False

    def found(self, column: Column) -> Finding:
        return self.findings.get(column, Finding.NOT_MEASURED)


class ClaimLine(Artifact):
    """A claim in words, or one number; `published` and `measured` are texts to be read."""

    claim: str
    in_words: bool = False
    published: str
    measured: dict[Column, str]
    verdict: Verdict


class ClaimRecipes(Artifact):
    """The configuration's `claims`: the recipe of each column."""

    as_run: str
    as_written: str
    repaired: str

    def of(self, column: Column) -> str:
        return getattr(self, column)


class Claims(Artifact):
    """`basis`: the data and the model that everything was computed on, in words."""

    basis: str
    recipes: ClaimRecipes
    trained: list[Column]
    lines: list[ClaimLine]
