"""Tables for people that stages read too: a dataclass declares the columns of a CSV file."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from workflow_scripts.artifacts.base import parsed
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_text

Line = TypeVar("Line")


def read_csv(shape: type[Line], path: Path | str) -> list[Line]:
    """The lines of a file; an empty cell is None, and columns that `shape` lacks are passed over.

    Raises EssenceError naming the file, and the line and the column that do not fit.
    """
    names, adapter = [field.name for field in fields(shape)], TypeAdapter(shape)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in names if name not in (reader.fieldnames or ())]
        if missing:
            raise EssenceError(f"{path}: the column {missing[0]} is missing; make the file again")
        return [
            parsed(adapter, {name: line[name] or None for name in names}, f"{path}, line {number}")
            for number, line in enumerate(reader, 2)
        ]


def write_csv(path: Path | str, shape: type[Line], lines: Iterable[Line]) -> None:
    write_table(path, [field.name for field in fields(shape)], map(astuple, lines))


def write_table(path: Path | str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Twelve digits of a number: what was measured, and the same bytes on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: Any) -> Any:
    if value is None or value != value:  # NaN
        return ""
    return f"{value:.12g}" if isinstance(value, float) else value
