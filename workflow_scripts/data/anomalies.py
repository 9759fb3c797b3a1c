"""What is odd about one row: named, and left in place for a person to judge."""

import re
from collections.abc import Iterator

from workflow_scripts.formats.answers import parse_selector
from workflow_scripts.formats.schema import fold_name
from workflow_scripts.sql.parse import names_in
from workflow_scripts.sql.schema_names import Schema, schema_names
from workflow_scripts.tables import Row

KINDS = {
    "blank question": "the prompt's question is empty",
    "unknown table": "the answer uses a table that the prompt's schema doesn't show",
    "unknown column": "the Selector's answer keeps a column that its table doesn't have",
    "nothing kept": "the Selector's answer drops every table",
    "SQL not parsed": "the answer's SQL can't be parsed as SQLite's",
    "unchanged SQL": "the Refiner's answer repeats the SQL that failed",
    "unusual end": "the answer doesn't end as answers of its task do",
    "odd character": "a control, replacement or byte order mark character is in the text",
}
ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\ufeff]")
ENDS = {
    "Selector": ("```", "Question Solved."),
    "Decomposer": ("Question Solved.",),
    "Refiner": ("```",),
}


def anomalies_of(row: Row) -> Iterator[tuple[str, str]]:
    """Yield (a key of `KINDS`, detail) for everything odd about a row."""
    if not row.question.strip():
        yield "blank question", ""
    tables = schema_names(row.schema)
    yield from _selection(row, tables) if row.task == "Selector" else _sql(row, tables)
    end = row.target.rstrip()
    if not end.endswith(ENDS[row.task]):
        yield "unusual end", f"...{end[-40:]!r}"
    for name, text in (("source", row.source), ("target", row.target)):
        if odd := sorted({f"U+{ord(character):04X}" for character in ODD.findall(text)}):
            yield "odd character", f"{', '.join(odd)} in {name}"


def _selection(row: Row, tables: Schema) -> Iterator[tuple[str, str]]:
    selection = parse_selector(row.target)
    for table, kept in selection.items():
        if fold_name(table) not in tables:
            yield "unknown table", table
            continue
        for column in kept if isinstance(kept, list) else ():
            if fold_name(column) not in tables[fold_name(table)]:
                yield "unknown column", f"{table}.{column}"
    if all(kept == "drop_all" for kept in selection.values()):
        yield "nothing kept", ""


def _sql(row: Row, tables: Schema) -> Iterator[tuple[str, str]]:
    if row.old_sql and row.old_sql.split() == row.gold_sql.split():
        yield "unchanged SQL", row.gold_sql[:80]
    names = names_in(row.gold_sql)
    if names is None:
        yield "SQL not parsed", row.gold_sql[:80]
        return
    for table in sorted(names.tables - set(tables) - {"sqlite_master"}):
        yield "unknown table", table
