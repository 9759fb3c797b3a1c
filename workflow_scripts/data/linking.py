"""Which database each row is about: stated in its prompt, or inferred.

Tried in turn: the id that the prompt states; the id that a row with the same question states; the
only database that has all tables and columns of the prompt's schema (prompts may show part of it).
Where there are databases, every link must agree with them, and of several whose schemas fit, the
only one in which the prompt's value examples occur is taken; otherwise a database is known by the
schemas of the rows that state its id. Better unlinked than wrongly linked.
"""

import contextlib
import functools
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import SchemaError, Table, fold_name, parse_schema
from workflow_scripts.sql.parse import Columns, columns_of, names_of
from workflow_scripts.tables import Row

AGREES = 0.9  # least share of the value examples that must occur (a database may have grown since)
FEW_COLUMNS = 12  # a schema as small as this, without value examples, proves nothing by itself

ALL_COLUMNS = """SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table'"""

Tables = tuple[Table, ...]


class Link(NamedTuple):
    """The columns of `ROWS` of the same names.

    `how`: by what is "stated", by the "question", the "schema" or the "values"; or why there is no
    database: "no file" (of a database known by name), "conflict" (the file of that name has another
    schema or other values), "ambiguous" (several fit equally well), "none" (no known database has
    these tables and columns), "weak" (one has, but so little is shown that it may be chance).
    """

    database: str | None
    how: str
    candidates: list[str]


class Linker:
    """Links rows, given all rows that state a database and, perhaps, the databases' files by name.

    Raises EssenceError where a file can't be read.
    """

    def __init__(self, rows: Iterable[Row], files: Mapping[str, Path] | None = None):
        self.files = files
        self.stated: defaultdict[str, set[str]] = defaultdict(set)  # question -> databases
        shown: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows:
            if row.db_id:
                self.stated[comparable_text(row.question)].add(row.db_id)
                shown[row.db_id] |= read_schema(row.schema)[1]
        self._known = shown | {name: columns_in(file) for name, file in (files or {}).items()}

    def link(self, row: Row) -> Link:
        tables, columns = read_schema(row.schema)
        if row.db_id:
            return self._named(row.db_id, "stated", tables, columns)
        stated = self.stated.get(comparable_text(row.question), ())
        fitting = self._containing(columns, stated)
        if len(fitting) == 1:
            link = self._named(fitting[0], "question", tables, columns)
            if link.how != "conflict":
                return link
        return self._by_schema(tables, columns)

    def _containing(self, columns: Columns, names: Iterable[str]) -> list[str]:
        return sorted(name for name in names if columns and columns <= self._known[name])

    def _available(self, db_id: str) -> bool:
        return self.files is None or db_id in self.files

    def _agrees(self, db_id: str, tables: Tables) -> bool:
        if self.files is None:
            return True
        occurring, shown = agreement(self.files[db_id], tables)
        return occurring >= AGREES * shown

    def _named(self, db_id: str, how: str, tables: Tables, columns: Columns) -> Link:
        """A database known by name: a file of that name with another content is not it."""
        if not self._available(db_id):
            return Link(None, "no file", [db_id])
        if columns <= self._known[db_id] and self._agrees(db_id, tables):
            return Link(db_id, how, [db_id])
        return Link(None, "conflict", [db_id])

    def _by_schema(self, tables: Tables, columns: Columns) -> Link:
        candidates = self._containing(columns, self._known)
        available = [name for name in candidates if self._available(name)]
        if not available:
            return Link(None, "no file" if candidates else "none", candidates)
        if len(available) < len(candidates):  # the row may be about the database that isn't here
            return Link(None, "ambiguous", candidates)
        fitting = [name for name in available if self._agrees(name, tables)]
        if len(fitting) != 1:
            return Link(None, "ambiguous" if fitting else "conflict", candidates)
        little = self.files and len(columns) <= FEW_COLUMNS
        if little and not agreement(self.files[fitting[0]], tables)[1]:
            return Link(None, "weak", candidates)
        return Link(fitting[0], "schema" if len(available) == 1 else "values", candidates)


@functools.lru_cache(maxsize=4096)  # many rows show the same schema
def read_schema(text: str) -> tuple[Tables, Columns]:
    """The tables of a schema text, and their columns; none when it can't be read."""
    try:
        tables = tuple(parse_schema(text))
    except SchemaError:
        return (), frozenset()
    return tables, columns_of(names_of(tables))


@functools.lru_cache(maxsize=4096)
def columns_in(file: Path) -> Columns:
    try:
        with _opened(file) as connection:
            columns = connection.execute(ALL_COLUMNS).fetchall()
    except sqlite3.Error as error:
        raise EssenceError(
            f"{file}: not a readable SQLite database ({error}); remove it"
        ) from error
    return frozenset((fold_name(table), fold_name(column)) for table, column in columns)


def agreement(file: Path, tables: Tables) -> tuple[int, int]:
    """(value examples of a prompt that occur in this database, all of them)."""
    occurring = [
        occurs(file, table.name, column.name, value)
        for table in tables
        for column in table.columns
        for value in column.examples or ()
        if isinstance(value, str | int | float)
    ]
    return sum(occurring), len(occurring)


@functools.lru_cache(maxsize=200_000)
def occurs(file: Path, table: str, column: str, value: str | int | float) -> bool:
    name, of = (text.replace('"', '""') for text in (column, table))
    sql = f'SELECT 1 FROM "{of}" WHERE "{name}" = ? OR CAST("{name}" AS TEXT) = ? LIMIT 1'
    with contextlib.suppress(sqlite3.Error, OverflowError), _opened(file) as connection:
        return connection.execute(sql, (value, str(value))).fetchone() is not None
    return False


def _opened(file: Path) -> contextlib.closing[sqlite3.Connection]:
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return contextlib.closing(connection)
