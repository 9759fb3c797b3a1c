"""A database as the prompts show it, and what a query takes of it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from workflow_scripts.data.questions import TablesEntry
from workflow_scripts.formats.answers import Selection, is_large, select
from workflow_scripts.formats.schema import (
    SchemaError,
    Table,
    parse_foreign_keys,
    parse_schema,
    render_foreign_keys,
    render_schema,
)
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.sql.parse import names_in
from workflow_scripts.sql.schema_names import Schema, names_of, needed_columns

KEEP_UP_TO = 10  # columns of a table that the Selector's instructions keep whole


@dataclass(frozen=True)
class ShownDatabase:
    """`foreign_keys` are the lines of the prompts."""

    file: Path
    tables: list[Table]
    foreign_keys: str

    @functools.cached_property
    def large(self) -> bool:
        return is_large(self.tables)

    @functools.cached_property
    def schema(self) -> Schema:
        return names_of(self.tables)

    @functools.cached_property
    def words(self) -> Mapping[tuple[str, str], str]:
        """(table, column) -> its description; ("", column) where all tables describe it alike."""
        found, anywhere = {}, {}
        for table in self.tables:
            for column in table.columns:
                found[table.name.lower(), column.name.lower()] = column.description
                anywhere.setdefault(column.name.lower(), set()).add(column.description)
        alike = {("", name): min(said) for name, said in anywhere.items() if len(said) == 1}
        return found | alike

    def selection(self, sql: str) -> Selection:
        """The Selector's answer for a query: every column that the query can mean is kept."""
        read = names_in(sql).tables
        needed = frozenset().union(*needed_columns(sql, self.schema))
        keys = parse_foreign_keys(self.foreign_keys)
        ends = {(a, x) for a, x, _, _ in keys} | {(b, y) for _, _, b, y in keys}
        columns = {table.name: [c.name for c in table.columns] for table in self.tables}
        return select(
            columns,
            used={
                table: [c for c in names if (table.lower(), c.lower()) in needed]
                for table, names in columns.items()
                if table.lower() in read
            },
            references={t: [c for c in names if (t, c) in ends] for t, names in columns.items()},
            keep_up_to=KEEP_UP_TO,
        )


def show_database(file: Path, entry: TablesEntry | None = None) -> ShownDatabase:
    """Columns go by the words that tables.json has for them, else by their names; foreign keys that
    the file does not declare are taken from there, too.

    Raises SchemaError for a file that can't be read, and for names that the prompts can't write.
    """
    tables, keys = describe_database(file, more_keys=entry.keys if entry else ())
    if not tables:
        raise SchemaError(f"{file}: no tables in it")
    if entry:
        tables = [_worded(table, entry.words) for table in tables]
    shown = ShownDatabase(file, tables, render_foreign_keys(keys))
    written = parse_schema(render_schema(tables)), parse_foreign_keys(shown.foreign_keys)
    if written != (tables, keys):
        raise SchemaError(f"{file}: the prompts can't write some of its names or values")
    return shown


def _worded(table: Table, words: Mapping[tuple[str, str], str]) -> Table:
    def described(name: str, default: str) -> str:
        return " ".join(words.get((table.name.lower(), name.lower()), default).split()) or default

    columns = (replace(c, description=described(c.name, c.description)) for c in table.columns)
    return Table(table.name, tuple(columns))
