"""Describe a SQLite database as prompts show it, value examples chosen by MAC-SQL's rules."""

import math
import re
import sqlite3
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from workflow_scripts.formats.schema import Column, ForeignKey, SchemaError, Table, name_words
from workflow_scripts.sql.worker import BUSY_SECONDS, STEPS, address

# (table, column) in lower case -> (description, note); a missing one is made from the column's name
Descriptions = Mapping[tuple[str, str], tuple[str, str]]

MOST_EXAMPLES = 6
MOST_NUMBERS = 10  # a numeric column with more distinct values shows none
LONGEST_VALUE = 50
WRONG = {  # words of SQLite's message -> what is wrong with the file
    "locked": "locked by another program. Close it there and ask again.",
    "not a database": "not a SQLite database, or an encrypted one.",
    "malformed": "a damaged SQLite database. `sqlite3 FILE .recover` may save its rows.",
}

_COLUMNS = """
SELECT own.name, c.name, c.type, c.pk FROM sqlite_master AS own, pragma_table_info(own.name) AS c
WHERE own.type = 'table' AND own.name NOT LIKE 'sqlite_%' ORDER BY own.rowid, cid
"""
# In the order of declaration (SQLite counts backwards); `REFERENCES other` means its primary key.
_KEYS = """
SELECT own.name, "from", coalesce(other.name, "table"),
    coalesce("to", (SELECT name FROM pragma_table_info("table") WHERE pk = seq + 1))
FROM sqlite_master AS own, pragma_foreign_key_list(own.name)
LEFT JOIN sqlite_master AS other ON other.type = 'table' AND lower(other.name) = lower("table")
WHERE own.type = 'table' AND own.name NOT LIKE 'sqlite_%' ORDER BY own.rowid, id DESC, seq
"""
_NUMERIC = re.compile(r"INT|REAL|FLOA|DOUB|NUM|DEC", re.IGNORECASE)
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?")
_ADDRESS = re.compile(r"https?://|^\S+@\S+\.\S+$")


def describe_database(
    file: Path | str,
    descriptions: Descriptions | None = None,
    more_keys: Collection[ForeignKey] = (),
    seconds: float = math.inf,
) -> tuple[list[Table], list[ForeignKey]]:
    """Read tables and foreign keys of a SQLite file, writing nothing to it or beside it.

    `more_keys` are foreign keys, in any case, that the file need not declare. After `seconds` of
    processor time, columns get no more value examples. These are: none for keys, for names ending
    in id, email or url, for numeric columns with more than 10 values, and for text that holds
    addresses or runs over 50 characters; one for dates; at most 6 otherwise, the most frequent
    first (ties by value), after None where the column has NULLs. Raises SchemaError saying what is
    wrong.
    """
    if Path(file).is_dir():
        raise SchemaError(f"{file}: a folder. Give the SQLite file in it.")
    end = time.process_time() + seconds
    try:
        with closing(sqlite3.connect(address(str(file)), uri=True, timeout=BUSY_SECONDS)) as db:
            db.execute("PRAGMA query_only = ON")
            db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            db.set_progress_handler(lambda: time.process_time() > end, STEPS)
            return _describe(db, descriptions or {}, more_keys)
    except FileNotFoundError as error:
        raise SchemaError(f"{file}: no such file") from error
    except (OSError, sqlite3.Error) as error:
        message = getattr(error, "strerror", None) or str(error)
        why = next((why for words, why in WRONG.items() if words in message), message)
        raise SchemaError(f"{file}: {why}") from error


def _describe(
    db: sqlite3.Connection, descriptions: Descriptions, more_keys: Collection[ForeignKey]
) -> tuple[list[Table], list[ForeignKey]]:
    columns: dict[str, list[tuple[str, str, int]]] = {}
    for table, *column in db.execute(_COLUMNS).fetchall():
        columns.setdefault(table, []).append(tuple(column))
    keys = [key for key in db.execute(_KEYS).fetchall() if None not in key]
    spelled = {(t.lower(), c.lower()): (t, c) for t in columns for c, _, _ in columns[t]}
    declared, more = ([tuple(map(str.lower, key)) for key in each] for each in (keys, more_keys))
    keys += [
        (*spelled[key[:2]], *spelled[key[2:]])
        for key in dict.fromkeys(more)
        if key not in declared and key[:2] in spelled and key[2:] in spelled
    ]
    in_keys = {(a, x) for a, x, _, _ in keys} | {(b, y) for _, _, b, y in keys}
    in_keys |= {(table, c) for table in columns for c, _, pk in columns[table] if pk}

    def column(table: str, name: str, type_: str) -> Column:
        text, note = descriptions.get((table.lower(), name.lower()), (name_words(name), ""))
        examples = None if (table, name) in in_keys else _choose_examples(db, table, name, type_)
        return Column(name, text, examples, note)

    tables = [
        Table(table, tuple(column(table, name, type_) for name, type_, _ in columns[table]))
        for table in columns
    ]
    return tables, keys


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
    usable = [v for v in values if v is not None and str(v).strip() and not isinstance(v, bytes)]
    texts = [v for v in usable if isinstance(v, str)]
    if not usable or any(len(t) > LONGEST_VALUE or _ADDRESS.search(t) for t in texts):
        return None
    examples = usable[:MOST_EXAMPLES]
    if all(isinstance(v, str) and _DATE.fullmatch(v) for v in examples):
        examples = examples[:1]
    return (None, *examples) if None in values else tuple(examples)
