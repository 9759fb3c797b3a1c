"""Recognising the files behind the report, by the checksums in resources/report_files.json."""

import hashlib
from pathlib import Path

from workflow_scripts.artifacts.data import FileFacts, ReportFiles
from workflow_scripts.files import own_file

USES_FILES = ["../../resources/report_files.json"]
REPORT_FILES = own_file("resources/report_files.json")


class Checksummer:
    """Computes the `FileFacts` of a file while it is read for another purpose."""

    def __init__(self, path: Path | str):
        self.name = Path(path).name
        self.size = Path(path).stat().st_size
        self.sha256 = hashlib.sha256()
        self.git_blob = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self.sha256.update(data)
        self.git_blob.update(data)

    def result(self) -> FileFacts:
        return FileFacts(
            name=self.name,
            bytes=self.size,
            sha256=self.sha256.hexdigest(),
            git_blob_sha1=self.git_blob.hexdigest(),
        )


def facts_of(path: Path | str) -> FileFacts:
    checksums = Checksummer(path)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            checksums.update(block)
    return checksums.result()


def report_files() -> ReportFiles:
    return ReportFiles.read(REPORT_FILES)


def is_the_reports_file(found: FileFacts) -> tuple[bool, str]:
    """Whether these are the report's rows, and a sentence that says so."""
    known = report_files()
    raw, processed = known.raw.git_blob_sha1, known.processed
    if found.git_blob_sha1 == raw:
        return True, "This is the report's raw file, byte for byte (its git blob id agrees)."
    if (found.bytes, found.sha256) == (processed.bytes, processed.sha256):
        return True, "This is the report's processed file, byte for byte (its sha256 agrees)."
    return False, (
        f"This is not the report's file: its git blob id is {found.git_blob_sha1[:12]}... (the "
        f"report's raw rows: {raw[:12]}...) and its sha256 {found.sha256[:12]}... (the report's "
        f"processed rows: {processed.sha256[:12]}...)."
    )
