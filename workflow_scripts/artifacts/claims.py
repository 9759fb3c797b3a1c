"""claims.json: every claim of the report, what was measured of it and what became of it."""

from enum import StrEnum
from typing import Annotated, Literal, get_args

from pydantic import Field

from workflow_scripts.artifacts.base import Artifact

# What a claim is measured under; the configuration's `claims` says which recipe each one is.
Column = Literal["as_run", "as_written", "repaired"]
COLUMNS: tuple[Column, ...] = get_args(Column)


class Group(StrEnum):
    """The groups in which the claims are shown, in this order, and their headings."""

    JUDGED = "Claims judged here"
    NOT_TESTABLE = "Claims not testable here"
    NUMBERS = "Numbers quoted from the report"


class Kind(StrEnum):
    """What became of a claim. OPEN: measured, but what was measured decides nothing."""

    REPRODUCED = "reproduced"
    OPEN = "open"
    NOT_REPRODUCED = "not reproduced"
    ARTEFACT = "artefact"
    NOT_TESTABLE = "not testable here"


class Reason(StrEnum):
    """What led to a verdict, in words, where its other fields do not say it."""

    ONE_SEED = "an interval needs two seeds that differ"
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


class Doubtful(StrEnum):
    """What leaves a claim open, in words; `{n}` and `{of}` are the numbers of its `Doubt`."""

    INTERVAL = "the interval holds {n}"
    TOO_FEW_ROWS = "too few rows ({n})"
    NOT_CONVERGED = "{n} of {of} runs had not converged"
    OPPOSED = "at equal epochs and at equal steps the difference has opposite signs"


class Doubt(Artifact):
    """Why a claim is open under one recipe."""

    reason: Annotated[Doubtful, Field(strict=False)]
    n: float = 0
    of: int = 0

    def __str__(self) -> str:
        return self.reason.format(n=f"{self.n:g}", of=self.of)


class Verdict(Artifact):
    """What became of a claim, and why.

    `artefacts` could have produced the published result: each of them alone, or, where they were
    `singled_out` by the ablation, each of these suffices. `findings` and `doubts` are those of the
    recipes. `missing` names what a test lacks here, `inside` what the interval is over that a
    number lies in, `detail` is a reason of this claim alone. `contradicted`: the report's own
    numbers speak against its claim.
    """

    kind: Annotated[Kind, Field(strict=False)]
    reason: Annotated[Reason | None, Field(strict=False)] = None
    artefacts: list[str] = Field(default_factory=list)
    singled_out: bool = False
    findings: dict[Column, Annotated[Finding, Field(strict=False)]] = Field(default_factory=dict)
    doubts: dict[Column, Doubt] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)
    inside: str = ""
    detail: str = ""
    contradicted: bool = False


class ClaimLine(Artifact):
    """A claim in words, or one number; `published` and `measured` are texts to be read."""

    claim: str
    group: Annotated[Group, Field(strict=False)] = Group.NUMBERS
    published: str
    measured: dict[Column, str]
    verdict: Verdict


class Claims(Artifact):
    lines: list[ClaimLine]

    def by_group(self) -> dict[Group, list[ClaimLine]]:
        """All groups in their order, each with its lines; one may be empty."""
        return {group: [line for line in self.lines if line.group == group] for group in Group}
