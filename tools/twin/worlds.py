"""The twin's databases ("worlds"): tables, columns, keys and values, in memory or as a file.

A domain is written as a short text, its name first. The stand-in's pre-training knows the words of
`KNOWN_DOMAINS` (not their databases). Of `UNSEEN_DOMAINS` it knows nothing: they are the databases
that no model has seen.

    students | student                    a table | what one row of it is
      student_id | key                    a column | its kind and what its values are
      full_name | person
      school_id | ref schools             a foreign key
      entry_year | year 2010-2020 ?       `?`: some values are NULL
      status | coded A=active, L=left     a code and what it means
      Unit Price (EUR) | real 2-90 | unit price        | what a question calls it

Kinds: key, ref, person, title, place, country, cat, coded, flag (0 or 1, with its meaning),
int and real (those of `NUMBERS` in a range), date, year, text (never asked about).
"""

import random
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import yaml

from workflow_scripts.formats.schema import quoted

USES_FILES = ["domains.txt", "unseen_domains.txt", "lexicon.yaml"]
_KNOWN, _UNSEEN, _LEXICON = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in USES_FILES
)
KNOWN_DOMAINS, UNSEEN_DOMAINS = (text.strip().split("\n\n") for text in (_KNOWN, _UNSEEN))
LEXICON = yaml.safe_load(_LEXICON)
NUMBERS = sorted(
    {*range(0, 32), *range(0, 100, 5), *range(100, 301, 10), *range(300, 1001, 50)}
    | {*range(1000, 10001, 500), *range(10000, 50001, 5000), 60, 70, 75, 80, 90}
)
TEXT_KINDS = ("person", "title", "place", "country", "cat")
NUMBER_KINDS = ("int", "real")


def plural(noun: str) -> str:
    """'box' -> 'boxes', 'story' -> 'stories', 'tree' -> 'trees'."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


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
    def note(self) -> str:
        return ". ".join(f"{code}: {meaning}" for code, meaning in self.codes.items())

    @property
    def sql_type(self) -> str:
        kind = "INTEGER" if self.kind in ("key", "ref", "int", "year", "flag") else "TEXT"
        return {"real": "REAL", "date": "DATE"}.get(self.kind, kind)


@dataclass(frozen=True)
class Table:
    name: str
    one: str
    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return f"`{self.name}`" if quoted(self.name) else self.name

    @property
    def many(self) -> str:
        return plural(self.one)

    @property
    def key(self) -> Column:
        return self.columns[0]

    def of_kind(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]


@dataclass
class World:
    """One database: schema, foreign keys (child, column, parent, key) and rows by table."""

    db_id: str
    tables: dict[str, Table]
    foreign_keys: list[tuple[str, str, str, str]]
    rows: dict[str, list[dict]] = field(default_factory=dict)

    @property
    def other_number(self) -> dict[str, str]:
        """Each table's name in the singular, or in the plural where it is in the singular."""
        tables = self.tables.items()
        return {name: table.one if table.one != name else table.many for name, table in tables}

    def values(self, table: str, column: str) -> list:
        """The column's values that are not NULL, one per row."""
        return [row[column] for row in self.rows[table] if row[column] is not None]

    @cached_property
    def text(self) -> str:
        """All words of the schema, lower case: what a vague word must not occur in."""
        names = [f"{t.name} {t.one} {t.many}" for t in self.tables.values()]
        names += [f"{c.name} {c.phrase}" for t in self.tables.values() for c in t.columns]
        return " ".join(names).lower()


def domain_names(domains: Iterable[str] = (*KNOWN_DOMAINS, *UNSEEN_DOMAINS)) -> list[str]:
    """List the databases' names: the first word of each domain."""
    return [text.split(maxsplit=1)[0] for text in domains]


def parse_domain(text: str) -> World:
    """Read a domain's text (form: the module's docstring). The first line is the db_id."""
    first, *lines = (line for line in text.splitlines() if line.strip())
    world = World(first.strip(), {}, [])
    for line in lines:
        parts = [part.strip() for part in line.split("|")]
        if not line.startswith(" "):
            name = parts[0]
            world.tables[name] = Table(name, parts[1], ())
            continue
        column, table = _parse_column(*parts), world.tables[name]
        world.tables[name] = replace(table, columns=(*table.columns, column))
        if column.kind == "ref":
            parent = column.args
            world.foreign_keys.append((name, column.name, parent, world.tables[parent].key.name))
    return world


def _parse_column(name: str, kind: str, phrase: str = "") -> Column:
    kind, nullable = kind.removesuffix("?").strip(), kind.endswith("?")
    kind, _, args = kind.partition(" ")
    return Column(name, kind, phrase or name.replace("_", " ").lower(), args.strip(), nullable)


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


def make_worlds(seed: int, rows_per_table: int = 40, domains_each: int = 1) -> list[World]:
    """Fill the hand-made domains from the seed; tables that refer to others are larger.

    Several together, under the name of the first, make a database whose prompts are as long as
    those of the real rows.
    """
    worlds: list[World] = []
    for number, text in enumerate((*KNOWN_DOMAINS, *UNSEEN_DOMAINS)):
        world = parse_domain(text)
        rng = random.Random(f"{seed} {world.db_id}")
        sizes = {
            name: rows_per_table * 3
            if table.of_kind("ref")
            else rows_per_table + rng.randint(-5, 5)
            for name, table in world.tables.items()
        }
        fill(world, rng, sizes)
        if number % domains_each:
            worlds[-1].tables |= world.tables
            worlds[-1].foreign_keys += world.foreign_keys
            worlds[-1].rows |= world.rows
        else:
            worlds.append(world)
    return worlds


def _values(world: World, column: Column, count: int, rng: random.Random) -> list:
    if column.kind == "key":
        return list(range(1, count + 1))
    if column.kind == "ref":
        parents = len(world.rows[column.args])
        # The last parents have no children, so that "without any" questions have an answer.
        return [rng.randint(1, max(1, parents - 2)) for _ in range(count)]
    if column.kind in ("person", "title"):
        first, second = LEXICON[column.kind]
        picks = rng.sample(range(len(first) * len(second)), count)
        return [f"{first[pick // len(second)]} {second[pick % len(second)]}" for pick in picks]
    return [_value(column, rng) for _ in range(count)]


def _value(column: Column, rng: random.Random):
    kind, args = column.kind, column.args
    if kind in ("place", "country"):
        return rng.choice(LEXICON[kind])
    if kind == "cat":
        return rng.choice(args.split(",")).strip()
    if kind == "coded":
        return rng.choice(list(column.codes))
    if kind == "flag":
        return int(rng.random() < 0.4)
    if kind == "text":
        return f"{args or 'x'}{rng.randint(100, 999)}"
    low, high = map(int, args.split("-"))
    if kind == "year":
        return rng.randint(low, high)
    if kind == "date":
        year, month, day = rng.randint(low, high), rng.randint(1, 12), rng.randint(1, 28)
        return f"{year}-{month:02d}-{day:02d}"
    number = rng.choice([number for number in NUMBERS if low <= number <= high])
    return number if kind == "int" else number + rng.choice((0.0, 0.5))


def write_database(world: World, path: Path | str) -> sqlite3.Connection:
    """Write a new database; the same world gives the same bytes with one SQLite version."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = ON")
    for table in world.tables.values():
        connection.execute(_create_statement(world, table))
        marks = ", ".join("?" * len(table.columns))
        rows = [tuple(row[c.name] for c in table.columns) for row in world.rows[table.name]]
        connection.executemany(f"INSERT INTO `{table.name}` VALUES ({marks})", rows)
    connection.commit()
    return connection


def in_memory(world: World) -> sqlite3.Connection:
    return write_database(world, ":memory:")


def _create_statement(world: World, table: Table) -> str:
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
