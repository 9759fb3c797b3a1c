"""Which database is a row about? Stated, or worked out; rather no link than a wrong one.

    python -m workflow_scripts.sql.linking --rows rows.parquet --databases DIR --out links.parquet
        --report links.json

In turn: the id that the prompt states; the id that a row with the same question states; the only
database whose tables and columns contain the prompt's schema (prompts may show part of it); of
several such, the only one in which the prompt's value examples occur. Every link must agree with
the schema and the value examples, however it was found.
"""

import argparse
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.data.groups import normalised
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import write_json, write_parquet
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.formats.schema import SchemaError, Table
from workflow_scripts.formats.schema_text import parse_schema
from workflow_scripts.sql.catalog import Catalog, Columns

STATED, QUESTION, SCHEMA, VALUES = "stated", "question", "schema", "values"
# Why there is no link
NO_FILE = "no file"  # the database is known by name and not at hand
CONFLICT = "conflict"  # the named database has another schema or other values
AMBIGUOUS = "ambiguous"  # several databases fit equally well
NONE = "none"  # no database at hand has these tables and columns
WEAK = "weak"  # one has, but so little is shown that it may be chance

AGREES = 0.9  # least share of the value examples that must occur (a database may have grown since)
FEW_COLUMNS = 12  # a schema as small as this, without value examples, proves nothing by itself

LINKS = pa.schema(
    [
        pa.field("idx", pa.int64()),
        pa.field("db_id", pa.string()),  # null: not linked
        pa.field("how", pa.string()),
        pa.field("candidates", pa.list_(pa.string())),  # all that the schema allows
    ]
)


@dataclass(frozen=True)
class Link:
    """`db_id` None: not linked, and `how` says why."""

    idx: int
    db_id: str | None
    how: str
    candidates: tuple[str, ...] = ()


class Linker:
    """Links rows, given all rows (for the questions they share) and the databases at hand."""

    def __init__(self, rows: Iterable[dict[str, Any]], catalog: Catalog):
        self.catalog = catalog
        self._stated: defaultdict[str, set[str]] = defaultdict(set)
        self._absent: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows:
            if row["db_id"]:
                self._stated[normalised(row["question"])].add(row["db_id"])
                if row["db_id"] not in catalog.files:
                    self._absent[row["db_id"]] |= columns_of(read_schema(row["schema"]))

    def link(self, row: dict[str, Any]) -> Link:
        """`row`: idx, db_id (or None), question, schema."""
        tables = read_schema(row["schema"])
        columns = columns_of(tables)
        if row["db_id"]:
            return self._named(row["idx"], row["db_id"], STATED, tables, columns)
        asked = self._stated.get(normalised(row["question"]), set())
        asked = {name for name in asked if columns and columns <= self._known(name)}
        if len(asked) == 1:
            link = self._named(row["idx"], *asked, QUESTION, tables, columns)
            if link.how != CONFLICT:
                return link
        return self._by_schema(row["idx"], tables, columns)

    def _known(self, db_id: str) -> Columns:
        return self.catalog.columns.get(db_id) or frozenset(self._absent[db_id])

    def _agrees(self, db_id: str, tables: tuple[Table, ...]) -> bool:
        found, shown = self.catalog.agreement(db_id, tables)
        return found >= AGREES * shown

    def _named(
        self, idx: int, db_id: str, how: str, tables: tuple[Table, ...], columns: Columns
    ) -> Link:
        """A database known by name: a file of that name with another content is not it."""
        if db_id not in self.catalog.files:
            return Link(idx, None, NO_FILE, (db_id,))
        if columns <= self.catalog.columns[db_id] and self._agrees(db_id, tables):
            return Link(idx, db_id, how, (db_id,))
        return Link(idx, None, CONFLICT, (db_id,))

    def _by_schema(self, idx: int, tables: tuple[Table, ...], columns: Columns) -> Link:
        known = {**{name: frozenset(c) for name, c in self._absent.items()}, **self.catalog.columns}
        holding = tuple(sorted(name for name in known if columns and columns <= known[name]))
        at_hand = [name for name in holding if name in self.catalog.files]
        absent = len(holding) > len(at_hand)
        if not holding:
            return Link(idx, None, NONE)
        if not at_hand:
            return Link(idx, None, NO_FILE, holding)
        if absent:  # the row may be about the database that isn't here
            return Link(idx, None, AMBIGUOUS, holding)
        fitting = [name for name in at_hand if self._agrees(name, tables)]
        shown = self.catalog.agreement(at_hand[0], tables)[1]
        if len(fitting) > 1:
            return Link(idx, None, AMBIGUOUS, holding)
        if not fitting:
            return Link(idx, None, CONFLICT, holding)
        if not shown and len(columns) <= FEW_COLUMNS:
            return Link(idx, None, WEAK, holding)
        return Link(idx, fitting[0], SCHEMA if len(at_hand) == 1 else VALUES, holding)


@functools.lru_cache(maxsize=4096)
def read_schema(text: str | None) -> tuple[Table, ...]:
    """Tables of a schema text; none when it can't be read."""
    try:
        return tuple(parse_schema(text or ""))
    except SchemaError:
        return ()


@functools.lru_cache(maxsize=4096)
def columns_of(tables: tuple[Table, ...]) -> Columns:
    return frozenset((t.name.casefold(), c.name.casefold()) for t in tables for c in t.columns)


def link_rows(rows: list[dict[str, Any]], catalog: Catalog) -> list[Link]:
    linker = Linker(rows, catalog)
    return [linker.link(row) for row in rows]


def coverage(rows: list[dict[str, Any]], links: list[Link]) -> dict[str, Any]:
    """Counts by task and way, questions stated for several databases, and conflicts by idx."""
    stated = defaultdict(set)
    for row in rows:
        if row["db_id"]:
            stated[normalised(row["question"])].add(row["db_id"])
    tasks = {}
    for task in ("all", *TASKS):
        chosen = [x for x, row in zip(links, rows, strict=True) if task in ("all", row.get("task"))]
        linked = sum(link.db_id is not None for link in chosen)
        tasks[task] = {
            "rows": len(chosen),
            "linked": linked,
            "coverage": linked / len(chosen) if chosen else None,
            "how": dict(sorted(Counter(link.how for link in chosen).items())),
        }
    return {
        "tasks": tasks,
        "databases": len({link.db_id for link in links} - {None}),
        "questions_of_several_databases": sum(len(names) > 1 for names in stated.values()),
        "conflicts": [link.idx for link in links if link.how == CONFLICT],
        "ambiguous": [link.idx for link in links if link.how == AMBIGUOUS],
    }


def links_table(links: list[Link]) -> pa.Table:
    return pa.Table.from_pylist(
        [{**asdict(link), "candidates": list(link.candidates)} for link in links], schema=LINKS
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", required=True, type=Path, help="rows.parquet")
    parser.add_argument("--databases", required=True, type=Path, help="<db_id>/<db_id>.sqlite")
    parser.add_argument("--out", required=True, type=Path, help="links.parquet")
    parser.add_argument("--report", required=True, type=Path, help="links.json")
    given = parser.parse_args()
    columns = ["idx", "task", "db_id", "question", "schema"]
    try:
        rows = pq.read_table(given.rows, columns=columns).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise EssenceError(f"{given.rows}: not a table of rows ({error}); read again") from error
    with Catalog(given.databases) as catalog:
        links = link_rows(rows, catalog)
    write_parquet(given.out, links_table(links))
    write_json(given.report, coverage(rows, links))


if __name__ == "__main__":
    run_cli(main)
