"""A generated database (a "world"): its tables, columns, keys and values.

A domain is written as a short text, its name first; see domains.txt and unseen_domains.txt:

    students | student                    a table | what one row of it is
      student_id | key                    a column | its kind and what its values are
      full_name | person
      school_id | ref schools             a foreign key
      entry_year | year 2010-2020 ?       `?`: some values are NULL
      status | coded A=active, L=left     a code and what it means
      Unit Price (EUR) | real 2-90 | unit price        | what a question calls it

Kinds: key, ref, person, title, place, country, cat, coded, flag (0 or 1, with its meaning),
int and real (those of `lexicon.NUMBERS` in a range), date, year, text (never asked about).
"""

import random
from dataclasses import dataclass, field
from functools import cache, cached_property

from workflow_scripts.data.twin import lexicon

TEXT_KINDS = ("person", "title", "place", "country", "cat")
NUMBER_KINDS = ("int", "real")


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    phrase: str
    args: str = ""
    nullable: bool = False

    @property
    def codes(self) -> dict[str, str]:
        """Code -> meaning, of a coded or flag column; of another, none."""
        if self.kind == "flag":
            return {"1": self.args}
        if self.kind != "coded":
            return {}
        return dict(part.strip().split("=") for part in self.args.split(","))

    @property
    def sql_type(self) -> str:
        if self.kind in ("key", "ref", "int", "year", "flag"):
            return "INTEGER"
        return "REAL" if self.kind == "real" else "DATE" if self.kind == "date" else "TEXT"


@dataclass(frozen=True)
class Table:
    name: str
    one: str
    columns: tuple[Column, ...]

    @property
    def many(self) -> str:
        return lexicon.plural(self.one)

    @property
    def key(self) -> Column:
        return self.columns[0]

    def of_kind(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


@dataclass
class World:
    """One database: schema, foreign keys (child, column, parent, key) and rows by table."""

    db_id: str
    tables: dict[str, Table]
    foreign_keys: list[tuple[str, str, str, str]]
    rows: dict[str, list[dict]] = field(default_factory=dict)

    def values(self, table: str, column: str) -> list:
        """The column's values that are not NULL, one per row."""
        return [row[column] for row in self.rows[table] if row[column] is not None]

    @cached_property
    def text(self) -> str:
        """All words of the schema, lower case: what a vague word must not occur in."""
        names = [f"{t.name} {t.one} {t.many}" for t in self.tables.values()]
        names += [f"{c.name} {c.phrase}" for t in self.tables.values() for c in t.columns]
        return " ".join(names).lower()


def parse_domain(text: str) -> World:
    """Read a domain's text (form: the module's docstring). The first line is the db_id."""
    lines = [line for line in text.strip("\n").splitlines() if line.strip()]
    tables, keys = {}, []
    name, one, columns = "", "", []
    for line in [*lines[1:], "|"]:
        parts = [part.strip() for part in line.split("|")]
        if not line.startswith(" "):
            if name:
                tables[name] = Table(name, one, tuple(columns))
            name, one, columns = parts[0], parts[1], []
            continue
        columns.append(_column(parts))
        if columns[-1].kind == "ref":
            keys.append((name, columns[-1].name, columns[-1].args))
    links = [(child, column, parent, tables[parent].key.name) for child, column, parent in keys]
    return World(lines[0].strip(), tables, links)


def _column(parts: list[str]) -> Column:
    nullable = parts[1].endswith("?")
    kind, _, args = parts[1].rstrip("? ").partition(" ")
    phrase = parts[2] if len(parts) > 2 else parts[0].replace("_", " ").lower()
    return Column(parts[0], kind, phrase, args.strip(), nullable)


def fill(world: World, rng: random.Random, rows: dict[str, int]) -> World:
    """Give every table seeded rows; a table comes after those it refers to."""
    for table in world.tables.values():
        made = [{} for _ in range(rows[table.name])]
        for column in table.columns:
            values = _values(world, column, len(made), rng)
            for row, value in zip(made, values, strict=True):
                row[column.name] = None if column.nullable and rng.random() < 0.15 else value
        world.rows[table.name] = made
    return world


def join(worlds: list[World]) -> World:
    """One database with the tables of all, under the name of the first."""
    return World(
        db_id=worlds[0].db_id,
        tables={name: table for world in worlds for name, table in world.tables.items()},
        foreign_keys=[key for world in worlds for key in world.foreign_keys],
        rows={name: rows for world in worlds for name, rows in world.rows.items()},
    )


def _values(world: World, column: Column, count: int, rng: random.Random) -> list:
    kind = column.kind
    if kind == "key":
        return list(range(1, count + 1))
    if kind == "ref":
        parents = len(world.rows[column.args])
        # The last parents have no children, so that "without any" questions have an answer.
        return [rng.randint(1, max(1, parents - 2)) for _ in range(count)]
    if kind in ("person", "title"):
        return _distinct_names(kind, count, rng)
    return [_value(column, rng) for _ in range(count)]


def _distinct_names(kind: str, count: int, rng: random.Random) -> list[str]:
    first, second = (
        (lexicon.FIRST_NAMES, lexicon.LAST_NAMES)
        if kind == "person"
        else (lexicon.TITLE_FIRST, lexicon.TITLE_SECOND)
    )
    picks = rng.sample(range(len(first) * len(second)), count)
    return [f"{first[pick // len(second)]} {second[pick % len(second)]}" for pick in picks]


def _value(column: Column, rng: random.Random):
    kind, args = column.kind, column.args
    if kind == "place":
        return rng.choice(lexicon.CITIES)
    if kind == "country":
        return rng.choice(lexicon.COUNTRIES)
    if kind == "cat":
        return rng.choice(args.split(",")).strip()
    if kind == "coded":
        return rng.choice(list(column.codes))
    if kind == "flag":
        return int(rng.random() < 0.4)
    if kind == "text":
        return f"{args or 'x'}{rng.randint(100, 999)}"
    low, high = (float(part) for part in args.split("-"))
    if kind == "year":
        return rng.randint(int(low), int(high))
    if kind == "date":
        year, month, day = rng.randint(int(low), int(high)), rng.randint(1, 12), rng.randint(1, 28)
        return f"{year}-{month:02d}-{day:02d}"
    if kind == "int":
        return rng.choice(_numbers_between(low, high))
    return rng.choice(_numbers_between(low, high)) + rng.choice((0.0, 0.5))


@cache
def _numbers_between(low: float, high: float) -> list[int]:
    return [number for number in lexicon.NUMBERS if low <= number <= high]
