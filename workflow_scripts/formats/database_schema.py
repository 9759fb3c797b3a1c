"""Describe a SQLite database as prompts show it, value examples chosen by MAC-SQL's rules."""

import contextlib
import re
import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from workflow_scripts.formats.schema import (
    Column,
    ForeignKey,
    SchemaError,
    Table,
    name_words,
)

# Table -> column -> (description, note); a missing description is made from the column's name
Descriptions = Mapping[str, Mapping[str, tuple[str, str]]]

MOST_EXAMPLES = 6
MOST_NUMBERS = 10  # a numeric column with more distinct values shows none
LONGEST_VALUE = 50

_NUMERIC = re.compile(r"INT|REAL|FLOA|DOUB|NUM|DEC", re.IGNORECASE)
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?")
_ADDRESS = re.compile(r"https?://|^\S+@\S+\.\S+$")


def describe_database(
    sqlite_path: Path | str,
    descriptions: Descriptions | None = None,
    more_keys: Collection[ForeignKey] = (),
) -> tuple[list[Table], list[ForeignKey]]:
    """Read tables and foreign keys of a SQLite file, opened for reading only.

    `more_keys` are foreign keys that the file need not declare, in any case; those of columns that
    it hasn't are left out.

    Value examples: none for keys, for names ending in id, email or url, for numeric columns with
    more than 10 values, and for text that holds addresses or runs over 50 characters; one for
    dates; at most 6 otherwise, the most frequent first (ties by value), after None where the
    column has NULLs. Raises SchemaError when the file is missing or no SQLite database.
    """
    path = Path(sqlite_path)
    if not path.is_file():
        raise SchemaError(f"{path}: no such database file")
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        try:
            return describe(db, descriptions or {}, more_keys)
        except sqlite3.DatabaseError as error:
            raise SchemaError(f"{path}: not a readable SQLite database ({error})") from error


def describe(
    db: sqlite3.Connection, descriptions: Descriptions, more_keys: Collection[ForeignKey] = ()
) -> tuple[list[Table], list[ForeignKey]]:
    """Describe an open connection as `describe_database` does. Raises sqlite3.DatabaseError.

    A column whose values SQLite does not give has no examples: a progress handler that interrupts
    the connection so bounds the time that looking for them takes.
    """
    names = [
        name
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            " ORDER BY rowid"
        )
    ]
    columns = {
        name: db.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
        for name in names
    }
    keys = [key for name in names for key in _foreign_keys(db, name, columns)]
    keys += _find_undeclared(more_keys, keys, columns)
    in_keys = {(a, x) for a, x, _, _ in keys} | {(b, y) for _, _, b, y in keys}
    in_keys |= {(table, c) for table in names for c, _, pk in columns[table] if pk}

    def column(table: str, name: str, type_: str) -> Column:
        default = (name_words(name), "")
        description, note = descriptions.get(table, {}).get(name, default)
        examples = None if (table, name) in in_keys else _choose_examples(db, table, name, type_)
        return Column(name, description, examples, note)

    tables = [
        Table(table, tuple(column(table, name, type_) for name, type_, _ in columns[table]))
        for table in names
    ]
    return tables, keys


def _foreign_keys(
    db: sqlite3.Connection, table: str, columns: dict[str, list[tuple[str, str, int]]]
) -> list[ForeignKey]:
    """List foreign keys in the order of declaration (SQLite counts backwards)."""
    rows = db.execute(
        'SELECT "from", "table", "to", seq FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq',
        (table,),
    ).fetchall()
    spelled = {name.lower(): name for name in columns}
    keys = []
    for column, other, other_column, seq in rows:
        other = spelled.get(other.lower(), other)
        if other_column is None:  # REFERENCES other: its primary key is meant
            primary = sorted((pk, name) for name, _, pk in columns.get(other, []) if pk)
            if seq >= len(primary):
                continue
            other_column = primary[seq][1]
        keys.append((table, column, other, other_column))
    return keys


def _find_undeclared(
    more_keys: Collection[ForeignKey],
    declared: list[ForeignKey],
    columns: dict[str, list[tuple[str, str, int]]],
) -> list[ForeignKey]:
    """Select the keys of `more_keys` that are not declared, spelled as in the file."""
    spelled = {
        (t.lower(), c.lower()): (t, c) for t, described in columns.items() for c, _, _ in described
    }
    known = {tuple(part.lower() for part in key) for key in declared}
    added = []
    for key in more_keys:
        lower = a, x, b, y = tuple(part.lower() for part in key)
        if lower not in known and (a, x) in spelled and (b, y) in spelled:
            known.add(lower)
            added.append((*spelled[a, x], *spelled[b, y]))
    return added


def _choose_examples(
    db: sqlite3.Connection, table: str, column: str, type_: str
) -> tuple[Any, ...] | None:
    if column.lower().endswith(("id", "email", "url")):
        return None
    sql_table, sql_column = (name.replace('"', '""') for name in (table, column))
    sql = f'SELECT "{sql_column}" FROM "{sql_table}" GROUP BY 1 ORDER BY COUNT(*) DESC, 1'
    try:
        values = [value for (value,) in db.execute(sql)]
    except sqlite3.OperationalError:
        return None
    if len(values) > MOST_NUMBERS and _NUMERIC.search(type_ or ""):
        return None
    shown = [v for v in values if v is not None and str(v).strip() and not isinstance(v, bytes)]
    texts = [v for v in shown if isinstance(v, str)]
    if not shown or any(len(t) > LONGEST_VALUE or _ADDRESS.search(t) for t in texts):
        return None
    shown = shown[:MOST_EXAMPLES]
    if all(isinstance(v, str) and _DATE.fullmatch(v) for v in shown):
        shown = shown[:1]
    return (None, *shown) if None in values else tuple(shown)
