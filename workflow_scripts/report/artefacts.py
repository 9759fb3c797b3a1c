"""What is known of the artefacts A1 to A12: resources/artefacts.yaml, read once.

An artefact is a mistake of the original procedure that could have produced a published result.
"""

import functools
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from workflow_scripts.records import Record, parsed

USES_FILES = ["../../resources/artefacts.yaml"]
FILE = Path(__file__).parents[2] / "resources" / "artefacts.yaml"


class Repair(Record):
    """A repair of the ablation: its name in the configuration, and what it does in words."""

    name: str
    words: str


class Artefact(Record):
    """See the head of resources/artefacts.yaml; `id` is the key, "A1" to "A12"."""

    id: str
    title: str
    happened: str
    follows: str = ""
    setting: str
    repaired_in: Literal["as_written", "repaired"] | None = None
    repair: Repair | None = None
    claims: list[str] = Field(default_factory=list)


@functools.cache
def artefacts() -> dict[str, Artefact]:
    """All by id, in their order. Raises EssenceError naming the file and the key that is wrong."""
    entries = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {
        name: parsed(Artefact, {"id": name, **entry}, f"{FILE}: {name}")
        for name, entry in entries.items()
    }


def suspects(claim: str) -> list[str]:
    """The artefacts that could have produced a claim or a number."""
    return [name for name, each in artefacts().items() if claim in each.claims]


def repaired_in(column: str) -> list[str]:
    """The artefacts that this column of the claims is the first to be rid of."""
    return [name for name, each in artefacts().items() if each.repaired_in == column]


def repairs() -> dict[str, Artefact]:
    """Name of a repair in the configuration's ablation -> the artefact that it removes."""
    return {each.repair.name: each for each in artefacts().values() if each.repair}
