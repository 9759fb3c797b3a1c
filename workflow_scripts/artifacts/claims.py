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
    """What led to a verdict, in words, where its other fields do not say it."""

    ONE_SEED = "an interval needs at least two seeds"
    GONE_WHEN_REPAIRED = "gone when repaired"
    GONE_AS_WRITTEN = "there as run, gone as written"
    LESS_AS_WRITTEN = "there as run, less as written"
    ONLY_AS_RUN = "inside the interval as run, not as written"
    WRONG_FIGURE = "its figure can't show it"


class Finding(StrEnum):
    """Whether a claim holds under one recipe."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "open"
    NOT_MEASURED = "not measured"


class Verdict(Artifact):
    """What became of a claim, and why.

    `artefacts` could have produced the published result: each of them alone, or, where they were
    `singled_out` by the ablation, all of them together. `missing` names what a test lacks here,
    `inside` what the interval is over that a number lies in, `detail` is a reason of this claim
    alone. `contradicted`: the report's own numbers speak against its claim.
    """

    kind: Annotated[Kind, Field(strict=False)]
    reason: Annotated[Reason | None, Field(strict=False)] = None
    artefacts: list[str] = Field(default_factory=list)
    singled_out: bool = False
    findings: dict[Column, Annotated[Finding, Field(strict=False)]] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)
    inside: str = ""
    detail: str = ""
    contradicted: bool = False


class ClaimLine(Artifact):
    """A claim in words, or one number; `published` and `measured` are texts to be read."""

    claim: str
    in_words: bool = False
    published: str
    measured: dict[Column, str]
    verdict: Verdict


class Claims(Artifact):
    lines: list[ClaimLine]
