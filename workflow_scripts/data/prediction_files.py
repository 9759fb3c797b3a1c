"""Predictions in the files that people have: one record each, or a pair of Spider's or BIRD's.

docs/scoring.md lists the forms. With a second file of gold SQL the predictions come alone, one per
question and in its order. A prediction that is null or empty holds no SQL: it counts as wrong.
"""

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field

from workflow_scripts.data.rows import Lines, RowError, record_in
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import check_text_file, read_json, read_text
from workflow_scripts.records import Record, parsed
from workflow_scripts.tables import open_table

BIRD_SEPARATOR = "\t----- bird -----\t"


class Gold(Record):
    """A question's database and gold SQL, one query or several that are all right.

    What else stands in the record is left alone.
    """

    model_config = ConfigDict(extra="ignore")

    db_id: str
    question: str | None = None
    gold: Annotated[
        list[str],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        Field(validation_alias=AliasChoices("gold", "SQL", "query")),
    ]


class Answer(Record):
    model_config = ConfigDict(extra="ignore")

    prediction: str | None


class SqlPrediction(Answer, Gold):
    """A prediction with its question's gold SQL."""


def read_predictions(
    path: Path | None, gold: Path | None = None
) -> list[tuple[str, SqlPrediction]]:
    """(place in the file, prediction) of each; at least one. Without `path`: gold predicts itself.

    Raises EssenceError naming the record that lacks a field, and for files that don't fit together.
    """
    if path is None:
        lines = [
            (place, SqlPrediction(**each.model_dump() | {"gold": [sql]}, prediction=sql))
            for place, each in _questions(gold)
            for sql in (each.gold or [""] if each else [])
        ]
    elif gold is None:
        lines = [(place, parsed(SqlPrediction, value, place)) for place, value in records(path)]
    else:
        lines = list(_paired(path, gold))
    if not lines:
        raise EssenceError(f"{path or gold}: no {'predictions' if path else 'gold SQL'} in it")
    for place, line in lines:
        if not line.gold or not all(map(str.strip, line.gold)):
            raise EssenceError(f"{place}: gold: there is no SQL in it")
    return lines


def records(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, value) of each record of a file: JSON lines, a JSON array, CSV or Parquet."""
    check_text_file(path)
    kind = path.suffix.lower()
    if kind in (".txt", ".sql"):
        raise EssenceError(f"{path}: a file of SQL alone needs --gold FILE, its gold SQL")
    if kind == ".csv":
        yield from _csv_records(path)
    elif kind == ".parquet":
        file, _ = open_table(path, {})
        with file:
            for number, value in enumerate(file.read().to_pylist(), 1):
                yield f"{path}, row {number}", value
    else:
        yield from _json_records(path)


def _json_records(path: Path) -> Iterator[tuple[str, dict]]:
    text = read_text(path, errors="replace") if path.suffix == ".json" else ""
    if text.startswith("{") and '"db_id"' not in text and '"question"' not in text:
        raise EssenceError(f"{path}: no db_id in it; BIRD's predictions need --gold FILE")
    lines = Lines(path)
    for number, line in lines:
        place = f"{path}, {lines.place(number)}"
        try:
            yield place, record_in(line)
        except RowError as error:
            raise EssenceError(f"{place}: {error}") from error


def _csv_records(path: Path) -> Iterator[tuple[str, dict]]:
    csv.field_size_limit(sys.maxsize)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            if len(set(names)) < len(names):
                raise EssenceError(f"{path}, line 1: a column comes more than once")
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
    except (UnicodeDecodeError, csv.Error) as error:
        raise EssenceError(f"{path}: not CSV in UTF-8 ({error})") from error


def _has_records(path: Path) -> bool:
    """Whether it is JSON lines, a JSON array of objects, CSV or Parquet, as `records` takes."""
    table = path.suffix.lower() in (".jsonl", ".csv", ".parquet")
    return table or bool(re.match(r"\s*\[\s*\{", read_text(path)))


def _paired(path: Path, gold: Path) -> Iterator[tuple[str, SqlPrediction]]:
    answers, questions = _answers(path), list(_questions(gold))
    if len(answers) != len(questions):
        raise EssenceError(
            f"{path} holds {len(answers)} predictions and {gold} gold SQL of {len(questions)} "
            "questions; give one prediction a question, in the same order"
        )
    for answer, (place, question) in zip(answers, questions, strict=True):
        if question is None and not answer:
            continue  # an empty line in both parts two dialogues (SParC, CoSQL)
        if question is None:
            raise EssenceError(f"{place}: no gold SQL for the prediction {answer[:60]!r}")
        yield place, SqlPrediction(**question.model_dump(), prediction=answer)


def _answers(path: Path) -> list[str | None]:
    """The predictions of a file, whose own gold SQL, if there is any, is left alone."""
    if _has_records(path):
        return [parsed(Answer, value, place).prediction for place, value in records(path)]
    text = read_text(path)
    if not text.lstrip().startswith(("[", "{")):
        return [line.split("\t")[0].strip() or None for line in text.rstrip().split("\n")]
    values = read_json(path)
    if isinstance(values, dict):
        by_number = sorted(values, key=lambda key: int(key) if key.isdecimal() else 0)
        values = [values[key] for key in by_number]
    return [v.split(BIRD_SEPARATOR)[0] if isinstance(v, str) else None for v in values]


def _questions(path: Path) -> Iterator[tuple[str, Gold | None]]:
    """(place, gold) of a file of gold SQL; None for an empty line."""
    if _has_records(path):
        for place, value in records(path):
            yield place, parsed(Gold, value, place)
        return
    for number, line in enumerate(read_text(path).rstrip().split("\n"), 1):
        place = f"{path}, line {number}"
        sql, tab, db_id = line.strip().rpartition("\t")
        if db_id and not tab:
            raise EssenceError(f"{place}: no tab between SQL and database")
        yield place, Gold(gold=[sql], db_id=db_id) if tab else None
