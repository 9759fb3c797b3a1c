"""A `World` as a SQLite database."""

import sqlite3
from pathlib import Path

from workflow_scripts.data.twin.schema import Table, World
from workflow_scripts.files import written_whole


def create_statement(world: World, table: Table) -> str:
    lines = [
        f"  `{c.name}` {c.sql_type}{' PRIMARY KEY' if c.kind == 'key' else ''}"
        for c in table.columns
    ]
    lines += [
        f"  FOREIGN KEY (`{column}`) REFERENCES `{parent}` (`{key}`)"
        for child, column, parent, key in world.foreign_keys
        if child == table.name
    ]
    return f"CREATE TABLE `{table.name}` (\n" + ",\n".join(lines) + "\n)"


def load(world: World, connection: sqlite3.Connection) -> sqlite3.Connection:
    """Create and fill the world's tables, in an order that the foreign keys allow."""
    connection.execute("PRAGMA foreign_keys = ON")
    for table in world.tables.values():
        connection.execute(create_statement(world, table))
        marks = ", ".join("?" * len(table.columns))
        rows = [tuple(row[c.name] for c in table.columns) for row in world.rows[table.name]]
        connection.executemany(f"INSERT INTO `{table.name}` VALUES ({marks})", rows)
    connection.commit()
    return connection


def write(world: World, path: Path) -> None:
    """Write one database file; the same world gives the same bytes with one SQLite version."""
    with written_whole(path) as temporary:
        temporary.unlink()
        connection = load(world, sqlite3.connect(temporary))
        connection.close()


def in_memory(world: World) -> sqlite3.Connection:
    return load(world, sqlite3.connect(":memory:"))


def error_of(connection: sqlite3.Connection, sql: str) -> sqlite3.Error | sqlite3.Warning | None:
    """What SQLite has against a statement, as soon as it is run."""
    try:
        connection.execute(sql)
    except (sqlite3.Error, sqlite3.Warning) as error:
        return error
    return None
