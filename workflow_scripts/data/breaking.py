"""Ways to break a good SQL statement so that SQLite refuses it.

The statement is written as the agents do (`sql.layout`), a line for each clause. SQLite itself is
tried, and its own words are kept.
"""

import random
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import yaml
from sqlglot import exp

from workflow_scripts.formats.schema import quoted
from workflow_scripts.sql.parse import parse

COLUMN = re.compile(r"(?:(\w+)\.)?`([^`]+)`")
USES_FILES = ["breaking.yaml"]
HOW = yaml.safe_load(Path(__file__).with_name("breaking.yaml").read_text(encoding="utf-8"))
WAYS = list(HOW)


class Failure(NamedTuple):
    """SQL that SQLite refused, its words for that and the class of its error."""

    old_sql: str
    error: str
    exception_class: str


def break_sql(
    connection: sqlite3.Connection,
    sql: str,
    database: Mapping[str, Sequence[str]],
    ways: Sequence[str],
    rng: random.Random,
    other_number: Mapping[str, str] = {},
    accepts: Callable[[str], object] = bool,
) -> tuple[str, Failure] | None:
    """Break a statement in the first of the ways (of `WAYS`) that SQLite refuses.

    `database`: table -> columns; `other_number`: a table's name -> in the singular or plural, where
    that is not just an s more or less. What `accepts` rejects is not tried.
    """
    statement = _Statement(sql, database, rng, other_number)
    for way in ways:
        text = statement.broken(way).strip()
        if accepts(text) and text != sql:
            try:
                connection.execute(f"EXPLAIN {text}")  # it is not run
            except (sqlite3.Error, sqlite3.Warning) as error:
                return way, Failure(text, str(error), str(type(error)))
    return None


@dataclass(frozen=True)
class _Statement:
    """A good statement; each public method breaks it in one way, or leaves it as it is."""

    sql: str
    database: Mapping[str, Sequence[str]]
    rng: random.Random
    other_number: Mapping[str, str]

    def broken(self, way: str) -> str:
        how = HOW[way] or {}
        if "swap" in how:
            return self._any_swap(how["swap"])
        for pattern, replacement in how.get("patterns", {}).items():
            text, count = re.subn(pattern, replacement, self.sql, count=1)
            if count:
                return text
        return self.sql if how else getattr(self, way)()

    @cached_property
    def _tables(self) -> list[str]:
        """The tables of the database that the statement reads, under the names it has for them."""
        known = {name.lower() for name in self.database}
        names = dict.fromkeys(table.name for table in parse(self.sql).find_all(exp.Table))
        return [name for name in names if name.lower() in known]

    @cached_property
    def _columns(self) -> dict[str, Sequence[str]]:
        own = {name.lower(): name for name in self._tables}
        return {own.get(table.lower(), table): names for table, names in self.database.items()}

    @property
    def _joins(self) -> int:
        return self.sql.count("\n  INNER JOIN ")

    def _typo(self, word: str) -> str:
        if len(word) == 1:
            return 2 * word
        place = self.rng.randrange(1, len(word))
        ways = [word[:place] + word[place + 1 :], word[:place] + word[place - 1] + word[place:]]
        if place + 1 < len(word):
            ways.append(word[:place] + word[place + 1] + word[place] + word[place + 2 :])
        ways.append(word[:-1] if word.endswith("s") else word + "s")
        return self.rng.choice(ways)

    def _any_swap(self, swaps: dict[str, str]) -> str:
        fitting = [old for old in swaps if old in self.sql]
        if not fitting:
            return self.sql
        old = self.rng.choice(fitting)
        return self.sql.replace(old, swaps[old], 1)

    def _without_one(self, sign: str, every: int = 1) -> str:
        """The SQL without one of these signs, or of every second one, which closes what is open."""
        places = [place for place, each in enumerate(self.sql) if each == sign][every - 1 :: every]
        if not places:
            return self.sql
        place = self.rng.choice(places)
        return self.sql[:place] + self.sql[place + 1 :]

    def _any_column(self) -> str:
        return self.rng.choice(COLUMN.findall(self.sql) or [("", "x")])[1]

    def _realiased(self, new: Mapping[str, str], default: str) -> str:
        """Give a column of a join another alias."""
        prefixed = [(alias, name) for alias, name in COLUMN.findall(self.sql) if alias]
        if not (self._joins and prefixed):
            return self.sql
        alias, name = self.rng.choice(prefixed)
        return self.sql.replace(f"{alias}.`{name}`", f"{new.get(alias, default)}.`{name}`")

    def _renamed_table(self, name: str, new: str) -> str:
        return re.sub(rf"(FROM|JOIN) `?{re.escape(name)}`?", rf"\1 {new}", self.sql)

    def misspelt_column(self) -> str:
        name = self._any_column()
        return self.sql.replace(f"`{name}`", f"`{self._typo(name)}`")

    def invented_column(self) -> str:
        """A name that somebody might expect instead of the real one."""
        name = self._any_column()
        head, table = name.split("_")[-1].split(" ")[0], self.rng.choice(self._tables)
        guess = self.rng.choice([f"{table}_{head}", f"{head}_name", f"the_{head}", f"{head}_no"])
        return self.sql.replace(f"`{name}`", f"`{guess}`")

    def other_tables_column(self) -> str:
        """A column of a table that is not in the query."""
        others = [names for table, names in self._columns.items() if table not in self._tables]
        if not others:
            return self.sql
        column = self.rng.choice(self.rng.choice(others))
        return self.sql.replace(f"`{self._any_column()}`", f"`{column}`", 1)

    def wrong_alias(self) -> str:
        return self._realiased({"T1": "T2"}, "T1")

    def unknown_alias(self) -> str:
        return self._realiased({}, f"T{self._joins + 2}")

    def misspelt_table(self) -> str:
        name = self.rng.choice(self._tables)
        return self._renamed_table(name, self._typo(name))

    def singular_table(self) -> str:
        table = self.rng.choice(self._tables)
        other = table[:-1] if table.endswith("s") else f"{table}s"
        return self._renamed_table(table, self.other_number.get(table, other))

    def missing_quote(self) -> str:
        return self._without_one("'", every=2)

    def missing_parenthesis(self) -> str:
        return self._without_one(")")

    def missing_backticks(self) -> str:
        needy = [name for _, name in COLUMN.findall(self.sql) if quoted(name)]
        return self.sql.replace(f"`{needy[0]}`", needy[0]) if needy else self.sql

    def ambiguous_column(self) -> str:
        """The alias of a column that two joined tables share is lost."""
        names = [name for _, name in COLUMN.findall(self.sql)]
        if not self._joins or not names:
            return self.sql
        name = self.rng.choice(names)
        if sum(name in self._columns[table] for table in self._tables) < 2:
            return self.sql
        return re.sub(rf"\w+\.`{re.escape(name)}`", f"`{name}`", self.sql)

    def wrong_order(self) -> str:
        """Two neighbouring clauses change places."""
        lines = re.split(r"\n  (?=[A-Z])", self.sql)
        starts = ("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT")
        movable = [n for n, line in enumerate(lines) if line.startswith(starts)]
        if not movable:
            return self.sql
        place = self.rng.choice(movable)
        lines[place - 1], lines[place] = lines[place], lines[place - 1]
        return "\n  ".join(lines)
