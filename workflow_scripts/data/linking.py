"""Which database each row is about: stated in its prompt, or inferred.

Better unlinked than wrongly linked.

Tried in turn: the id that the prompt states; the id that a row with the same question states; the
only database that has all tables and columns of the prompt's schema (prompts may show part of it).
Where there are databases, every link must agree with them, and of several whose schemas fit,
the only one in which the prompt's value examples occur is taken. Where they are not, a database is
known by the schemas of the rows that state its id.
"""

import contextlib
import functools
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import SchemaError, Table, fold_name, parse_schema
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.schema_names import Columns, columns_of, names_of
from workflow_scripts.tables import Row

STATED, QUESTION, SCHEMA, VALUES = "stated", "question", "schema", "values"
# Why there is no link
NO_FILE = "no file"  # the database is known by name, and there is none of it
CONFLICT = "conflict"  # the named database has another schema or other values
AMBIGUOUS = "ambiguous"  # several databases fit equally well
NONE = "none"  # no known database has these tables and columns
WEAK = "weak"  # one has, but so little is shown that it may be chance

AGREES = 0.9  # least share of the value examples that must occur (a database may have grown since)
FEW_COLUMNS = 12  # a schema as small as this, without value examples, proves nothing by itself

Tables = tuple[Table, ...]


class Link(NamedTuple):
    """The columns of `ROWS` of the same names; `how` says why where there is no database."""

    database: str | None
    how: str
    candidates: list[str]


class Catalog(contextlib.ExitStack):
    """The available databases: the tables and columns (`fold_name`) of every SQLite file.

    Use as a context manager.

    Raises EssenceError when the folder or a file in it can't be read.
    """

    def __init__(self, folder: Path | str):
        super().__init__()
        if not Path(folder).is_dir():
            raise EssenceError(f"{folder}: no such folder of databases")
        self.files = dict(list_databases(folder))
        self._connections = {name: self._connect(file) for name, file in self.files.items()}
        self.columns: dict[str, Columns] = {name: self._columns(name) for name in self.files}
        self.occurs = functools.lru_cache(maxsize=200_000)(self._occurs)

    def agreement(self, db_id: str, tables: Tables) -> tuple[int, int]:
        """(value examples of a prompt that occur in this database, all of them)."""
        asked = [
            self.occurs(db_id, table.name, column.name, value)
            for table in tables
            for column in table.columns
            for value in column.examples or ()
            if isinstance(value, str | int | float)
        ]
        return sum(asked), len(asked)

    def _connect(self, file: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return self.enter_context(contextlib.closing(connection))

    def _columns(self, db_id: str) -> Columns:
        sql = (
            "SELECT t.name, c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c"
            " WHERE t.type = 'table'"
        )
        try:
            rows = self._connections[db_id].execute(sql).fetchall()
        except sqlite3.Error as error:
            raise EssenceError(
                f"{self.files[db_id]}: not a readable SQLite database ({error}); remove it"
            ) from error
        return frozenset((fold_name(table), fold_name(column)) for table, column in rows)

    def _occurs(self, db_id: str, table: str, column: str, value: Any) -> bool:
        name, of = (text.replace('"', '""') for text in (column, table))
        sql = f'SELECT 1 FROM "{of}" WHERE "{name}" = ? OR CAST("{name}" AS TEXT) = ? LIMIT 1'
        try:
            return self._connections[db_id].execute(sql, (value, str(value))).fetchone() is not None
        except (sqlite3.Error, OverflowError):
            return False


class Linker:
    """Links rows, given all rows that state a database and, perhaps, the databases."""

    def __init__(self, rows: Iterable[Row], databases: Catalog | None = None):
        self.databases = databases
        at_hand = dict(databases.columns) if databases else {}
        self.stated: dict[str, tuple[str, ...]] = {}  # question -> databases
        shown: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows:
            if row.db_id:
                question, name = comparable_text(row.question), sys.intern(row.db_id)
                named = self.stated.get(question, ())
                self.stated[question] = named if name in named else (*named, name)
                if row.db_id not in at_hand:
                    shown[row.db_id] |= read_schema(row.schema)[1]
        self._known = {name: frozenset(columns) for name, columns in shown.items()} | at_hand

    def link(self, row: Row) -> Link:
        tables, columns = read_schema(row.schema)
        if row.db_id:
            return self._named(row.db_id, STATED, tables, columns)
        stated = self.stated.get(comparable_text(row.question), ())
        fitting = self._containing(columns, stated)
        if len(fitting) == 1:
            link = self._named(fitting[0], QUESTION, tables, columns)
            if link.how != CONFLICT:
                return link
        return self._by_schema(tables, columns)

    def _containing(self, columns: Columns, names: Collection[str]) -> list[str]:
        return sorted(name for name in names if columns and columns <= self._known[name])

    def _agrees(self, db_id: str, tables: Tables) -> bool:
        found, shown = self.databases.agreement(db_id, tables)
        return found >= AGREES * shown

    def _named(self, db_id: str, how: str, tables: Tables, columns: Columns) -> Link:
        """A database known by name: a file of that name with another content is not it."""
        if self.databases is None:
            return Link(db_id, how, [db_id])
        if db_id not in self.databases.columns:
            return Link(None, NO_FILE, [db_id])
        if columns <= self._known[db_id] and self._agrees(db_id, tables):
            return Link(db_id, how, [db_id])
        return Link(None, CONFLICT, [db_id])

    def _by_schema(self, tables: Tables, columns: Columns) -> Link:
        candidates = self._containing(columns, self._known)
        if not candidates:
            return Link(None, NONE, [])
        if self.databases is None:
            one = len(candidates) == 1
            return Link(candidates[0] if one else None, SCHEMA if one else AMBIGUOUS, candidates)
        at_hand = [name for name in candidates if name in self.databases.columns]
        if not at_hand:
            return Link(None, NO_FILE, candidates)
        if len(at_hand) < len(candidates):  # the row may be about the database that isn't here
            return Link(None, AMBIGUOUS, candidates)
        fitting = [name for name in at_hand if self._agrees(name, tables)]
        if len(fitting) != 1:
            return Link(None, AMBIGUOUS if fitting else CONFLICT, candidates)
        if len(columns) <= FEW_COLUMNS and not self.databases.agreement(fitting[0], tables)[1]:
            return Link(None, WEAK, candidates)
        return Link(fitting[0], SCHEMA if len(at_hand) == 1 else VALUES, candidates)


@functools.lru_cache(maxsize=4096)  # many rows show the same schema
def read_schema(text: str) -> tuple[Tables, Columns]:
    """The tables of a schema text, and their columns; none when it can't be read."""
    try:
        tables = tuple(parse_schema(text))
    except SchemaError:
        return (), frozenset()
    return tables, columns_of(names_of(tables))
