"""Telling whether a file is one of the report's: what `resources/report_files.json` knows."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.files import read_json

USES_FILES = ["../../resources/report_files.json"]
REPORT_FILES = Path(__file__).parents[2] / "resources" / "report_files.json"


@dataclass(frozen=True)
class Checksums:
    """Size and digests of one file; `git_blob_sha1` is what `git hash-object` prints."""

    bytes: int
    sha256: str
    git_blob_sha1: str


class Checksummer:
    """Collects `Checksums` from a file's bytes as they pass, so that it is read only once."""

    def __init__(self, size: int):
        self.size = size
        self.sha256 = hashlib.sha256()
        self.git_blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self.sha256.update(data)
        self.git_blob.update(data)

    def result(self) -> Checksums:
        return Checksums(self.size, self.sha256.hexdigest(), self.git_blob.hexdigest())


def checksums_of(path: Path | str) -> Checksums:
    summer = Checksummer(Path(path).stat().st_size)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            summer.update(block)
    return summer.result()


def report_files() -> dict[str, Any]:
    """The facts file: `raw`, `processed` and `base_model`, each with its checksums."""
    return read_json(REPORT_FILES)


def is_the_reports_file(found: Checksums) -> tuple[bool, str]:
    """Whether these are the report's rows, and a sentence for the reader that says so."""
    known = report_files()
    if found.git_blob_sha1 == known["raw"]["git_blob_sha1"]:
        return True, "This is the report's raw file, byte for byte (its git blob id agrees)."
    processed = known["processed"]
    if (found.bytes, found.sha256) == (processed["bytes"], processed["sha256"]):
        return True, "This is the report's processed file, byte for byte (its sha256 agrees)."
    return False, (
        "This is not the report's file: its git blob id is "
        f"{found.git_blob_sha1[:12]}... (the report's raw rows: "
        f"{known['raw']['git_blob_sha1'][:12]}...) and its sha256 {found.sha256[:12]}... "
        f"(the report's processed rows: {processed['sha256'][:12]}...)."
    )
