"""Recognising the files behind the report, by the checksums in resources/report_files.json."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workflow_scripts.files import own_file

USES_FILES = ["../../resources/report_files.json"]
REPORT_FILES = own_file("resources/report_files.json")


def facts_of(path: Path | str) -> dict[str, Any]:
    """A file's name, size and checksums; `git_blob_sha1` is what `git hash-object` prints."""
    path = Path(path)
    size = path.stat().st_size
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        sha1 = hashlib.file_digest(file, lambda: blob).hexdigest()
    return {"name": path.name, "bytes": size, "sha256": sha256, "git_blob_sha1": sha1}


def report_files() -> SimpleNamespace:
    """Read what is known of the report's rows, `raw` and `processed`, and of its `base_model`."""
    text = REPORT_FILES.read_text(encoding="utf-8")
    return json.loads(text, object_hook=lambda keys: SimpleNamespace(**keys))


def is_the_reports_file(facts: dict[str, Any]) -> bool:
    """Whether these are the report's rows, raw or processed, byte for byte."""
    raw, processed = report_files().raw, report_files().processed
    return facts["git_blob_sha1"] == raw.git_blob_sha1 or facts["sha256"] == processed.sha256
