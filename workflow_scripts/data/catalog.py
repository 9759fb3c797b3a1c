"""The available databases, as linking needs them: their columns, and whether a value occurs."""

import contextlib
import functools
import sqlite3
from pathlib import Path
from typing import Any

from workflow_scripts.data.linking import Tables
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import fold_name
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.schema_names import Columns


class Catalog:
    """Tables and columns (`fold_name`) of every SQLite file in a folder. Use as a context manager.

    Raises EssenceError when the folder or a file in it can't be read.
    """

    def __init__(self, folder: Path | str):
        if not Path(folder).is_dir():
            raise EssenceError(f"{folder}: no such folder of databases")
        self.files = dict(list_databases(folder))
        self._closing = contextlib.ExitStack()
        self._connections = {name: self._connect(file) for name, file in self.files.items()}
        self.columns: dict[str, Columns] = {name: self._columns(name) for name in self.files}
        self.occurs = functools.lru_cache(maxsize=200_000)(self._occurs)

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

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
        return self._closing.enter_context(contextlib.closing(connection))

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
