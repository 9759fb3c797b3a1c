"""The artefacts A1 to A12, mistakes of the original procedure: resources/artefacts.yaml."""

import functools
from typing import Any

import yaml

from workflow_scripts.files import own_file

USES_FILES = ["../../resources/artefacts.yaml"]
FILE = own_file("resources/artefacts.yaml")


@functools.cache
def artefacts() -> dict[str, dict[str, Any]]:
    """All by id, "A1" to "A12", in their order."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def suspects(claim: str) -> list[str]:
    """The artefacts that could have produced a claim or a number."""
    return [name for name, each in artefacts().items() if claim in each.get("claims", [])]


def repaired_in(column: str) -> list[str]:
    """The artefacts that this column of the claims is the first to be rid of."""
    return [name for name, each in artefacts().items() if each.get("repaired_in") == column]


def repairs() -> dict[str, tuple[str, str]]:
    """Name of a repair in the configuration's ablation -> (its words, the artefact it removes)."""
    known = {name: each["repair"] for name, each in artefacts().items() if "repair" in each}
    return {repair["name"]: (repair["words"], name) for name, repair in known.items()}
