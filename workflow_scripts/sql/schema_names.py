"""Sets of names: those of a schema, those that an answer keeps, those that a query needs.

Names are folded (`fold_name`). A column is (table, column).
"""

import functools
from collections.abc import Iterable, Mapping

from workflow_scripts.formats.schema import SchemaError, Table, fold_name, parse_schema
from workflow_scripts.sql.parse import Names, names_in

Schema = Mapping[str, tuple[str, ...]]
Columns = frozenset[tuple[str, str]]
ROW_IDS = frozenset({"rowid", "oid", "_rowid_"})  # SQLite's, which every table has


@functools.lru_cache(maxsize=4096)
def schema_names(schema: str) -> Schema:
    """Read table -> columns of a prompt's schema text; empty when it can't be read."""
    try:
        return names_of(parse_schema(schema))
    except SchemaError:
        return {}


def names_of(tables: Iterable[Table]) -> Schema:
    return {fold_name(t.name): tuple(fold_name(c.name) for c in t.columns) for t in tables}


def columns_of(schema: Schema) -> Columns:
    return frozenset((table, column) for table in schema for column in schema[table])


def needed_columns(sql: str, schema: Schema) -> list[Columns]:
    """Collect the columns that each name in a query can mean: several where it has no prefix.

    `SELECT *` needs every column of its tables. Names that the schema hasn't are left out.
    """
    names = names_in(sql) or Names()
    starred = columns_of({table: schema.get(table, ()) for table in names.starred})
    needed = {frozenset([column]) for column in starred}
    for table, column in names.columns:
        meant = (table,) if table else names.tables
        needed.add(frozenset((t, column) for t in meant if column in schema.get(t, ())))
    return sorted(needed - {frozenset()}, key=sorted)


def unknown_names(sql: str, schema: Schema) -> set[str]:
    """List the tables and columns of a query that are missing from the schema."""
    names = names_in(sql) or Names()
    anywhere = ROW_IDS.union(*schema.values())
    unknown = {table for table in names.tables if table not in schema}
    for table, column in names.columns:
        here = ROW_IDS.union(schema[table]) if table in schema else anywhere
        if column not in here:
            unknown.add(f"{table}.{column}" if table else column)
    return unknown
