"""Databases made from a prompt, for rows whose real one is not at hand: EX-synthetic.

A prompt's schema, keys and value examples become SQLite files with random rows, in which the
literals of the gold SQL occur; several instances, so that chance agreement is rare. They are not
the real database: what is measured on them is called EX-synthetic and never EX.
"""

import contextlib
import random
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.formats.schema import Column, ForeignKey, SchemaError, Table
from workflow_scripts.formats.schema_text import parse_foreign_keys, parse_schema
from workflow_scripts.sql.hints import Hints, Place, hints_of

SIZES = (6, 15, 40, 120)  # rows a table, one instance each
SPREAD = (3, 8, 12, 20)  # different values in a column of which no example is shown
PLANTED = 0.5  # share of the rows that get a value the gold SQL asks for
DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}")
NUMBER_NAME = re.compile(
    r"(^|_)(id|no|num|number|count|total|amount|price|cost|age|year|rank|score|salary|height|weight"
    r"|capacity|population|rating|size|length|distance|points|budget|sales|share|percent|quantity)s?$"
)
WORDS = "amber birch cedar delta ember fjord grove haven iris jade kelp lotus maple north".split()  # noqa: SIM905


@dataclass(frozen=True)
class Blueprint:
    """Tables, keys (lower-case places) and what the gold SQL hints at."""

    tables: tuple[Table, ...]
    parents: dict[Place, Place]
    hints: Hints


def blueprint_of(schema: str, foreign_keys: str, gold_sql: str) -> Blueprint:
    """Raises SchemaError when schema or keys can't be read, or two tables have one name."""
    tables = tuple(parse_schema(schema))
    for names in (tables, *(table.columns for table in tables)):
        if len({each.name.lower() for each in names}) < len(names):
            raise SchemaError("schema: a table, or a column of one table, comes twice")
    hints = hints_of(gold_sql)
    return Blueprint(tables, _parents(tables, parse_foreign_keys(foreign_keys), hints), hints)


def _parents(tables: tuple[Table, ...], keys: list[ForeignKey], hints: Hints) -> dict[Place, Place]:
    """Which column takes its values from which other: declared keys, joins of the gold SQL, and
    columns of one name of which one is the first of its table. Never in a circle."""
    places = {place_of(table, column) for table in tables for column in table.columns}
    firsts = [place_of(table, table.columns[0]) for table in tables]
    first_of = {column: (table, column) for table, column in reversed(firsts)}
    edges = [((a.lower(), x.lower()), (b.lower(), y.lower())) for a, x, b, y in keys]
    for one, other in hints.joined:
        pair = sorted((one, other), key=lambda place: place in firsts)
        edges.append((pair[0], pair[1]))
    edges += [
        (place, first_of[place[1]])
        for place in sorted(places)
        if place[1] in first_of and place[1].endswith(("id", "code")) and place not in firsts
    ]
    parents: dict[Place, Place] = {}
    for child, parent in edges:
        known = child in places and parent in places and child not in parents
        if known and child not in _ancestry(parent, parents):
            parents[child] = parent
    return parents


def _ancestry(place: Place, parents: dict[Place, Place]) -> list[Place]:
    """The column, its parent, the parent's parent and so on."""
    line = [place]
    while line[-1] in parents:
        line.append(parents[line[-1]])
    return line


def build(blueprint: Blueprint, path: Path, number: int, seed: int = 0) -> Path:
    """Write instance number 0 to 3 of a blueprint; equal arguments give equal rows."""
    instance = _Instance(blueprint, number, random.Random(f"{seed} {number}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table in blueprint.tables:
            places = [place_of(table, column) for column in table.columns]
            described = ", ".join(
                f"{_quoted(column.name)} {instance.type_of(place)}"
                for column, place in zip(table.columns, places, strict=True)
            )
            connection.execute(f"CREATE TABLE {_quoted(table.name)} ({described})")
            marks = ", ".join("?" * len(places))
            rows = zip(*map(instance.column, places), strict=True)
            connection.executemany(f"INSERT INTO {_quoted(table.name)} VALUES ({marks})", rows)
        connection.execute("COMMIT")
    return path


def place_of(table: Table, column: Column) -> Place:
    return table.name.lower(), column.name.lower()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _Instance:
    """The values of one instance, column by column, made when first asked for."""

    def __init__(self, blueprint: Blueprint, number: int, rng: random.Random):
        self.hints, self.parents, self.rng = blueprint.hints, blueprint.parents, rng
        self.spread = SPREAD[number]
        tables = blueprint.tables
        self.size = {table.name.lower(): rng.randint(2, SIZES[number]) for table in tables}
        self.columns = {place_of(table, c): c for table in tables for c in table.columns}
        keys = {place_of(table, table.columns[0]) for table in tables} | {*self.parents.values()}
        self.keys = keys - self.parents.keys()
        self._made: dict[Place, list[Any]] = {}

    def hinted(self, kind: dict[Place, list], place: Place) -> list:
        """What is hinted for a column, and for the columns that share its values."""
        line = _ancestry(place, self.parents)
        line += [child for child in self.parents if place in _ancestry(child, self.parents)]
        found = []
        for table, column in dict.fromkeys(line):
            found += kind.get((table, column), []) + kind.get((None, column), [])
        return list(dict.fromkeys(found))

    def type_of(self, place: Place) -> str:
        place = _ancestry(place, self.parents)[-1]
        values = list(self.columns[place].examples or ()) or self.hinted(self.hints.values, place)
        values = [v for v in values if v is not None]
        if values:
            if all(isinstance(v, int) for v in values):
                return "INTEGER"
            return "REAL" if all(isinstance(v, int | float) for v in values) else "TEXT"
        numeric = place in self.hints.numeric or (None, place[1]) in self.hints.numeric
        if numeric or (NUMBER_NAME.search(place[1]) and not self._patterns(place)):
            return "INTEGER"
        return "INTEGER" if place in self.keys and place[1].endswith("id") else "TEXT"

    def _patterns(self, place: Place) -> list[str]:
        return self.hinted(self.hints.patterns, place)

    def column(self, place: Place) -> list[Any]:
        if place not in self._made:
            parent = self.parents.get(place)
            count = self.size[place[0]]
            if parent:
                source = self.column(parent)
                few = self.rng.sample(source, max(1, len(source) * 3 // 4))
                self._made[place] = [self.rng.choice(few) for _ in range(count)]
            elif place in self.keys:
                self._made[place] = self._distinct(place, count)
            else:
                pool = self._pool(place)
                planted = self._planted(place)
                self._made[place] = [
                    self.rng.choice(planted)
                    if planted and self.rng.random() < PLANTED
                    else self.rng.choice(pool)
                    for _ in range(count)
                ]
        return self._made[place]

    def _distinct(self, place: Place, count: int) -> list[Any]:
        """Values of a key: what the gold SQL asks for, then numbers or words, none twice."""
        numeric = self.type_of(place) != "TEXT"
        more = range(1, count + 1) if numeric else (f"{place[1]} {n}" for n in range(count))
        values = list(dict.fromkeys([*self._planted(place), *more]))[:count]
        self.rng.shuffle(values)
        return values

    def _planted(self, place: Place) -> list[Any]:
        values = []
        for value in self.hinted(self.hints.values, place):
            values += self._near(place, value)
        values += [self._like(pattern) for pattern in self._patterns(place)]
        return values

    def _near(self, place: Place, value: Any) -> list[Any]:
        """A value that the gold SQL names, and for numbers its neighbours."""
        if self.type_of(place) != "TEXT":
            try:
                number = float(value)
            except ValueError:
                return [value]
            number = int(number) if number.is_integer() else number
            return [number, number - 1, number + 1]
        if self._is_date(place) and re.fullmatch(r"\d{4}(-\d{2})?", str(value)):
            month = "" if "-" in str(value) else f"-{self.rng.randint(1, 12):02}"
            return [f"{value}{month}-{self.rng.randint(1, 28):02}"]
        return [value]

    def _like(self, pattern: str) -> str:
        words = [self.rng.choice(("", self.rng.choice(WORDS))) for _ in pattern]
        return "".join(
            word if c == "%" else self.rng.choice("aeiou") if c == "_" else c
            for c, word in zip(pattern, words, strict=True)
        )

    def _is_date(self, place: Place) -> bool:
        examples = [v for v in self.columns[place].examples or () if isinstance(v, str)]
        if examples:
            return all(DATE.match(v) for v in examples)
        return "date" in place[1] or place[1].endswith("_time")

    def _pool(self, place: Place) -> list[Any]:
        """Values of a column that is no key: its examples, else made-up ones."""
        examples = list(self.columns[place].examples or ())
        rng = self.rng
        if self._is_date(place):
            return [
                f"{rng.randint(1990, 2022)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
                for _ in range(self.spread)
            ] + examples
        if examples:
            return examples
        kind = self.type_of(place)
        if kind == "TEXT":
            return [f"{rng.choice(WORDS)} {rng.randint(1, 99)}" for _ in range(self.spread)]
        hinted = [v for v in self.hinted(self.hints.values, place) if _is_number(v)]
        top = int(2 * max(map(float, hinted), default=500)) or 10
        numbers = [rng.randint(min(0, top), max(0, top)) for _ in range(self.spread)]
        return [n + 0.5 for n in numbers] if kind == "REAL" else numbers


def _is_number(value: Any) -> bool:
    try:
        return abs(float(value)) < 1e15
    except ValueError:
        return False


def build_all(
    schema: str, foreign_keys: str, gold_sql: str, folder: Path, seed: int = 0
) -> list[Path]:
    """All instances of one row's database, in `folder`.

    Raises SchemaError when the prompt can't be made into a database.
    """
    made = blueprint_of(schema, foreign_keys, gold_sql)
    try:
        return [build(made, folder / f"{n}.sqlite", n, seed) for n in range(len(SIZES))]
    except (sqlite3.Error, OverflowError) as error:
        for path in folder.glob("*.sqlite"):
            path.unlink()
        raise SchemaError(f"schema: SQLite can't make it ({error})") from error
