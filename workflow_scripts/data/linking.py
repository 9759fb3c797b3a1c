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
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import SchemaError, Table, fold_name, parse_schema
from workflow_scripts.sql.databases import list_databases
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


class Catalog(contextlib.ExitStack):
    """The available databases: the tables and columns (`fold_name`) of every SQLite file.

    Use as a context manager. Raises EssenceError when the folder or a file in it can't be read.
    """

    def __init__(self, folder: Path | str):
        super().__init__()
        if not Path(folder).is_dir():
            raise EssenceError(f"{folder}: no such folder of databases")
        self.files = dict(list_databases(folder))
        self.columns: dict[str, Columns] = {}
        self._connections: dict[str, sqlite3.Connection] = {}
        for name, file in self.files.items():
            connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            self._connections[name] = self.enter_context(contextlib.closing(connection))
            try:
                columns = connection.execute(ALL_COLUMNS).fetchall()
            except sqlite3.Error as error:
                raise EssenceError(
                    f"{file}: not a readable SQLite database ({error}); remove it"
                ) from error
            self.columns[name] = frozenset((fold_name(t), fold_name(c)) for t, c in columns)
        self.occurs = functools.lru_cache(maxsize=200_000)(self._occurs)

    def agreement(self, db_id: str, tables: Tables) -> tuple[int, int]:
        """(value examples of a prompt that occur in this database, all of them)."""
        occur = [
            self.occurs(db_id, table.name, column.name, value)
            for table in tables
            for column in table.columns
            for value in column.examples or ()
            if isinstance(value, str | int | float)
        ]
        return sum(occur), len(occur)

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
        self.stated: defaultdict[str, set[str]] = defaultdict(set)  # question -> databases
        shown: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows:
            if row.db_id:
                self.stated[comparable_text(row.question)].add(row.db_id)
                shown[row.db_id] |= read_schema(row.schema)[1]
        self._known = dict(shown) | (databases.columns if databases else {})

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
        return self.databases is None or db_id in self.databases.columns

    def _agrees(self, db_id: str, tables: Tables) -> bool:
        if self.databases is None:
            return True
        occurring, shown = self.databases.agreement(db_id, tables)
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
        little = self.databases and len(columns) <= FEW_COLUMNS
        if little and not self.databases.agreement(fitting[0], tables)[1]:
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
