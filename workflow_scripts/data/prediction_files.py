"""Predictions in the files that people have: one record each, or a pair of Spider's or BIRD's.

A file of records holds db_id, gold and prediction (and perhaps question): JSON lines, a JSON array,
CSV or Parquet. With a second file of gold SQL the predictions come alone, one per gold
query and in its order:

- Spider: predict.txt with one SQL a line, gold.txt with SQL, a tab and the database a line;
- BIRD: predict_dev.json, {"0": "SQL\\t----- bird -----\\tdb_id", ...}, and the gold SQL as dev.json
  (a JSON array with db_id and SQL) or as lines like Spider's.

A prediction that is null or empty holds no SQL: it counts as wrong.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import AliasChoices, ConfigDict, Field

from workflow_scripts.data.lines import Lines, RowError, record_in
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import NotJson, check_text_file, parse_json, read_json, read_text
from workflow_scripts.records import Record, parsed

BIRD_SEPARATOR = "\t----- bird -----\t"


class Gold(Record):
    """A question's gold SQL and its database; what else stands in the record is left alone."""

    model_config = ConfigDict(extra="ignore")

    db_id: str
    question: str | None = None
    gold: str = Field(validation_alias=AliasChoices("gold", "SQL", "query"))


class SqlPrediction(Gold):
    prediction: str | None


def read_predictions(path: Path, gold: Path | None = None) -> list[tuple[str, SqlPrediction]]:
    """(place in the file, prediction) of each; at least one.

    Raises EssenceError naming the record that lacks a field, and for files that don't fit together.
    """
    if gold is None:
        found = [(place, parsed(SqlPrediction, value, place)) for place, value in records(path)]
    else:
        found = list(_paired(path, gold))
    if not found:
        raise EssenceError(f"{path}: no predictions in it")
    for place, line in found:
        if not line.gold.strip():
            raise EssenceError(f"{place}: gold: there is no SQL in it")
    return found


def records(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, value) of each record of a file: JSON lines, a JSON array, CSV or Parquet."""
    kind = path.suffix.lower()
    if kind == ".csv":
        yield from _csv_records(path)
    elif kind == ".parquet":
        yield from _numbered(path, _parquet_records(path), "row")
    elif kind in (".txt", ".sql"):
        raise EssenceError(f"{path}: a file of SQL alone needs --gold FILE, its gold SQL")
    elif (whole := _one_object(path)) is not None and "db_id" not in whole:
        raise EssenceError(f"{path}: BIRD's predictions need --gold FILE, the gold SQL")
    else:
        yield from _json_records(path)


def _json_records(path: Path) -> Iterator[tuple[str, dict]]:
    lines = Lines(path)
    for number, line in lines:
        place = f"{path}, {lines.place(number)}"
        try:
            yield place, record_in(line)
        except RowError as error:
            raise EssenceError(f"{place}: {error}") from error


def _numbered(path: Path, values: list, word: str) -> Iterator[tuple[str, Any]]:
    return ((f"{path}, {word} {number}", value) for number, value in enumerate(values, 1))


def _csv_records(path: Path) -> Iterator[tuple[str, dict]]:
    check_text_file(path)
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


def _parquet_records(path: Path) -> list[dict]:
    check_text_file(path)
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise EssenceError(f"{path}: not a Parquet file that can be read ({error})") from error


def _paired(path: Path, gold: Path) -> Iterator[tuple[str, SqlPrediction]]:
    answers, golds = _answers(path), _golds(gold)
    if len(answers) != len(golds):
        raise EssenceError(
            f"{path} holds {len(answers)} predictions and {gold} {len(golds)} gold queries; "
            "give one prediction a gold, in the same order"
        )
    for answer, (place, question) in zip(answers, golds, strict=True):
        if question is None and not answer:
            continue  # an empty line in both parts two dialogues (SParC, CoSQL)
        if question is None:
            raise EssenceError(f"{place}: no gold SQL for the prediction {answer[:60]!r}")
        yield place, SqlPrediction(**question.model_dump(), prediction=answer)


def _answers(path: Path) -> list[str | None]:
    """The predictions of a file that holds nothing else."""
    first = _first_character(path)
    if first not in "[{":
        return [line.split("\t")[0].strip() or None for line in _lines(path)]
    values = read_json(path)
    if isinstance(values, dict):
        if all(key.isdecimal() for key in values):
            values = {key: values[key] for key in sorted(values, key=int)}
        values = list(values.values())
    return [v.split(BIRD_SEPARATOR)[0] if isinstance(v, str) else None for v in values]


def _golds(path: Path) -> list[tuple[str, Gold | None]]:
    """(place, gold) of a file of gold SQL; None for an empty line."""
    if _first_character(path) == "[":
        return [
            (at, parsed(Gold, value, at)) for at, value in _numbered(path, read_json(path), "entry")
        ]
    return [
        (place, _gold_line(line, place)) for place, line in _numbered(path, _lines(path), "line")
    ]


def _gold_line(line: str, place: str) -> Gold | None:
    if not line.strip():
        return None
    sql, tab, db_id = line.strip().rpartition("\t")
    if not tab:
        raise EssenceError(f"{place}: no tab between SQL and database")
    return Gold(gold=sql, db_id=db_id)


def _lines(path: Path) -> list[str]:
    return read_text(path).rstrip().split("\n")


def _first_character(path: Path) -> str:
    return read_text(path).lstrip()[:1] or " "


def _one_object(path: Path) -> dict | None:
    """The file as one JSON object; None when it is anything else, such as JSON lines."""
    try:
        value = parse_json(read_text(path, errors="replace"))
    except NotJson:
        return None
    return value if isinstance(value, dict) else None
