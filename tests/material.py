"""What tests compare with and may not be copied into the project, and what stands in for it.

The material lies in a folder `shared` beside the checkout (of a clone: beside what it was cloned
from), or where ESSENCE_SHARED says: rows of the original dataset, T5's tokenizer and Spider's
databases. The fixtures `real_rows` and `real_databases` run each test with it, where it is there,
and always with the twin's rows in the same form and with `awkward_databases`.
"""

import contextlib
import json
import os
import random
import sqlite3
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward_databases
import yaml

from workflow_scripts.formats.prompts import to_source

ROOT = Path(__file__).resolve().parent.parent


def find_shared() -> Path | None:
    """The folder with the material, or None when it isn't on this machine."""
    origin = subprocess.run(
        ["git", "config", "--get", "remote.origin.url"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    candidates = [ROOT.parent / "shared", Path(origin).parent / "shared"]
    if "ESSENCE_SHARED" in os.environ:
        candidates = [Path(os.environ["ESSENCE_SHARED"])]
    return next((folder for folder in candidates if (folder / "data").is_dir()), None)


SHARED = find_shared()
SQL_EXAMPLES = yaml.safe_load((ROOT / "tests/sql_examples.yaml").read_text(encoding="utf-8"))
ROW_SOURCES = [*(["original"] if SHARED else []), "twin"]
DATABASE_SOURCES = [*(["spider"] if SHARED else []), "awkward"]


def made_database(path: Path, script: str = "") -> Path:
    """A SQLite file, made by a script or changed by it, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(script)
        database.commit()
    return path


@dataclass(frozen=True)
class Rows:
    """Five rows (idx, messages, source, target): Selector, Decomposer, Selector, Decomposer, ...

    `tokenizer` is the folder of a T5's tokenizer and config.json.
    """

    file: Path
    tokenizer: Path

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text(encoding="utf-8").splitlines()]

    @property
    def answers(self) -> list[str]:
        return [record["messages"][2]["content"] for record in self.records]


@dataclass(frozen=True)
class Databases:
    """Databases in `folder`/<db_id>/<db_id>.sqlite; `questions` has db_id, question and query."""

    folder: Path
    questions: Path

    def path(self, db_id: str) -> Path:
        return self.folder / db_id / f"{db_id}.sqlite"

    def sample(self, count: int, seed: int) -> list[dict[str, str]]:
        """`count` questions, or all when there are fewer, in a random order."""
        rows = json.loads(self.questions.read_text(encoding="utf-8"))
        return random.Random(seed).sample(rows, min(count, len(rows)))


def original_rows() -> Rows:
    folder = SHARED / "data"
    return Rows(folder / "agent_instruct/rows.jsonl", folder / "t5-small-awesome-text-to-sql")


def rows_of_twin(twin: Path, file: Path) -> Rows:
    """The first five rows of the twin in that folder, written to `file` in the original's form."""
    lines = (twin / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    records = list(map(json.loads, lines[:5]))
    for record in records:
        record["source"] = to_source(record["messages"][1]["content"])
        record["target"] = record["messages"][2]["content"] + "</s>"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return Rows(file, ROOT / "resources/models/standin")


def databases_of(source: str, folder: Path) -> Databases:
    """The databases of one of DATABASE_SOURCES; the awkward ones are built in `folder`."""
    if source == "spider":
        return Databases(SHARED / "data/spider/database", SHARED / "data/spider/questions.json")
    awkward_databases.build(folder)
    return Databases(folder / "databases", folder / "questions.json")
