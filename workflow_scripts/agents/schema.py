"""The description of a database that the agents receive."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import Selection
from workflow_scripts.formats.database_schema import describe
from workflow_scripts.formats.schema import Column, ForeignKey, SchemaError, Table
from workflow_scripts.formats.schema_text import (
    parse_foreign_keys,
    parse_schema,
    render_foreign_keys,
    render_schema,
)
from workflow_scripts.formats.selection import prune
from workflow_scripts.sql.worker import BUSY_SECONDS, STEPS, address

EXAMPLE_SECONDS = 10.0  # of processor time, to look for value examples; then columns have none


@dataclass(frozen=True)
class Schema:
    """Tables with columns, and foreign keys; both can be written as text and read again."""

    tables: Sequence[Table]
    foreign_keys: Sequence[ForeignKey]

    @classmethod
    def parsed(cls, schema: str, foreign_keys: str) -> "Schema":
        """Parse the schema of a prompt. Raises SchemaError."""
        return cls(parse_schema(schema), parse_foreign_keys(foreign_keys))

    def pruned(self, selection: Selection) -> "Schema":
        """Prune by a Selector's answer; the foreign keys all stay, as in the rows."""
        return Schema(prune(self.tables, selection), self.foreign_keys)

    @property
    def text(self) -> str:
        return render_schema(list(self.tables))

    @property
    def foreign_keys_text(self) -> str:
        return render_foreign_keys(list(self.foreign_keys))

    @property
    def names(self) -> dict[str, list[str]]:
        """Table -> names of its columns."""
        return {table.name: [column.name for column in table.columns] for table in self.tables}

    @property
    def width(self) -> int:
        """The number of columns of all tables."""
        return sum(len(table.columns) for table in self.tables)


def read_schema(database: Path) -> Schema:
    """Read the schema of a SQLite file, without writing to it or beside it.

    A name that a prompt cannot carry (one with a line break, say) is left out. Raises EssenceError
    saying what is wrong with the file.
    """
    if database.is_dir():
        raise EssenceError(f"{database}: a folder. Give the SQLite file in it.")
    try:
        with closing(sqlite3.connect(address(str(database)), uri=True, timeout=BUSY_SECONDS)) as db:
            db.execute("PRAGMA query_only = ON")
            db.text_factory = lambda raw: raw.decode("utf-8", "replace")
            end = time.process_time() + EXAMPLE_SECONDS
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            db.set_progress_handler(lambda: time.process_time() > end, STEPS)
            schema = _keep_writable(*describe(db, {}))
    except FileNotFoundError as error:
        raise EssenceError(f"{database}: no such file") from error
    except (OSError, sqlite3.Error) as error:
        raise EssenceError(f"{database}: {_explain(error)}") from error
    if not schema.width:
        raise EssenceError(f"{database}: the database has no tables to ask about.")
    return schema


def _explain(error: OSError | sqlite3.Error) -> str:
    message = getattr(error, "strerror", None) or str(error)
    if "locked" in message:
        return "locked by another program. Close it there and ask again."
    if "not a database" in message:
        return "not a SQLite database, or an encrypted one."
    if "malformed" in message:
        return f"a damaged SQLite database ({message}). `sqlite3 FILE .recover` may save its rows."
    return message


def _keep_writable(tables: Sequence[Table], foreign_keys: Sequence[ForeignKey]) -> Schema:
    """Keep the tables, columns and keys that survive being written as text and read again."""
    kept = [Table(t.name, tuple(c for c in t.columns if _is_reversible(t.name, c))) for t in tables]
    keys = [key for key in foreign_keys if _is_key_reversible(key)]
    return Schema([table for table in kept if table.columns], keys)


def _is_reversible(table: str, column: Column) -> bool:
    try:
        again = parse_schema(render_schema([Table(table, (column,))]))
    except SchemaError:
        return False
    return [(t.name, [c.name for c in t.columns]) for t in again] == [(table, [column.name])]


def _is_key_reversible(key: ForeignKey) -> bool:
    try:
        return parse_foreign_keys(render_foreign_keys([key])) == [key]
    except SchemaError:
        return False
