"""Ways to break a good SQL statement so that SQLite refuses it.

The statement is written as the agents do (`sql.layout`), a line for each clause. Whether SQLite
really refuses the broken one is tried by the caller, who keeps SQLite's own words.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from workflow_scripts.formats.schema import quoted
from workflow_scripts.sql.parse import parse

COLUMN = re.compile(r"(?:(\w+)\.)?`([^`]+)`")
KEYWORDS = {
    "SELECT": "SELCT",
    "FROM": "FORM",
    "WHERE": "WEHRE",
    "GROUP BY": "GRUOP BY",
    "ORDER BY": "ODER BY",
    "INNER JOIN": "INNER JION",
    "LIMIT": "LIMT",
    "DESC": "DSEC",
}
FUNCTIONS = {
    "AVG(": "MEAN(",
    "MAX(": "MAXIMUM(",
    "MIN(": "MINIMUM(",
    "SUM(": "TOTAL_OF(",
    "COUNT(*)": "NUMBER(*)",
    "STRFTIME('%Y', ": "YEAR(",
    "STRFTIME('%m', ": "MONTH(",
}
OPERATORS = {" >= ": " => ", " > ": " >> = ", " BETWEEN ": " IS BETWEEN "}


@dataclass(frozen=True)
class Statement:
    """A good statement. Its public methods are the ways to break it (`WAYS`).

    Each gives the broken SQL, or None where it doesn't apply. `database` has the columns of each
    table of the database; `other_number` has a table's name in the singular where it is in the
    plural, and the other way round, where that is not just an s more or less.
    """

    sql: str
    database: Mapping[str, Sequence[str]]
    rng: random.Random
    other_number: Mapping[str, str]

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

    def _swap(self, old: str, new: str) -> str | None:
        return self.sql.replace(old, new, 1) if old in self.sql and old != new else None

    def _any_swap(self, swaps: dict[str, str]) -> str | None:
        fitting = [old for old in swaps if old in self.sql]
        if not fitting:
            return None
        old = self.rng.choice(fitting)
        return self._swap(old, swaps[old])

    def _without_one(self, places: list[int]) -> str | None:
        """The SQL without the character at one of the places."""
        if not places:
            return None
        place = self.rng.choice(places)
        return self.sql[:place] + self.sql[place + 1 :]

    def _any_column(self) -> str:
        return self.rng.choice(COLUMN.findall(self.sql) or [("", "x")])[1]

    def _realiased(self, column: str, new: str) -> str:
        return self.sql.replace(column, f"{new}.{column.partition('.')[2]}")

    def _any_prefixed(self) -> str | None:
        """A column of a join that has an alias in front, with it."""
        prefixed = [f"{alias}.`{name}`" for alias, name in COLUMN.findall(self.sql) if alias]
        return self.rng.choice(prefixed) if self._joins and prefixed else None

    def _renamed_table(self, name: str, new: str) -> str:
        return re.sub(rf"(FROM|JOIN) `?{re.escape(name)}`?", rf"\1 {new}", self.sql)

    def misspelt_column(self) -> str | None:
        name = self._any_column()
        return self.sql.replace(f"`{name}`", f"`{self._typo(name)}`")

    def invented_column(self) -> str | None:
        """A name that somebody might expect instead of the real one."""
        name = self._any_column()
        head, table = name.split("_")[-1].split(" ")[0], self.rng.choice(self._tables)
        guess = self.rng.choice([f"{table}_{head}", f"{head}_name", f"the_{head}", f"{head}_no"])
        return self.sql.replace(f"`{name}`", f"`{guess}`")

    def other_tables_column(self) -> str | None:
        """A column of a table that is not in the query."""
        others = [names for table, names in self._columns.items() if table not in self._tables]
        if not others:
            return None
        column = self.rng.choice(self.rng.choice(others))
        return self._swap(f"`{self._any_column()}`", f"`{column}`")

    def wrong_alias(self) -> str | None:
        column = self._any_prefixed()
        return column and self._realiased(column, "T2" if column.startswith("T1.") else "T1")

    def unknown_alias(self) -> str | None:
        column = self._any_prefixed()
        return column and self._realiased(column, f"T{self._joins + 2}")

    def missing_join(self) -> str | None:
        joins = re.findall(r"\n  INNER JOIN .*\n  ON .*", self.sql)
        return self._swap(joins[-1], "") if joins else None

    def missing_on(self) -> str | None:
        """The join's condition lost half of itself."""
        if not self._joins:
            return None
        return re.sub(r"(\n  ON .*) = .*", r"\1 =", self.sql, count=1)

    def misspelt_table(self) -> str | None:
        name = self.rng.choice(self._tables)
        return self._renamed_table(name, self._typo(name))

    def singular_table(self) -> str | None:
        table = self.rng.choice(self._tables)
        other = table[:-1] if table.endswith("s") else f"{table}s"
        return self._renamed_table(table, self.other_number.get(table, other))

    def wrong_function(self) -> str | None:
        return self._any_swap(FUNCTIONS)

    def wrong_cast(self) -> str | None:
        found = re.search(r"CAST\((.*) AS REAL\) (\*.*|/.*)", self.sql)
        if not found:
            return None
        if found[2].startswith("/"):
            return self.sql.replace(found[0], f"DIVIDE({found[1]}, {found[2][2:]})")
        return self.sql.replace(found[0], f"TO_REAL({found[1]}) {found[2]}")

    def missing_quote(self) -> str | None:
        return self._without_one([match.start() for match in re.finditer("'", self.sql)][1::2])

    def missing_parenthesis(self) -> str | None:
        return self._without_one([match.start() for match in re.finditer(r"\)", self.sql)])

    def missing_backticks(self) -> str | None:
        needy = [name for _, name in COLUMN.findall(self.sql) if quoted(name)]
        return self.sql.replace(f"`{needy[0]}`", needy[0]) if needy else None

    def unquoted_value(self) -> str | None:
        """A text value without its quotes reads as a name."""
        values = re.findall(r"= '([^'%]+)'", self.sql)
        return self.sql.replace(f"'{values[0]}'", values[0]) if values else None

    def ambiguous_column(self) -> str | None:
        """The alias of a column that two joined tables share is lost."""
        names = [name for _, name in COLUMN.findall(self.sql)]
        if not self._joins or not names:
            return None
        name = self.rng.choice(names)
        if sum(name in self._columns[table] for table in self._tables) < 2:
            return None
        return re.sub(rf"\w+\.`{re.escape(name)}`", f"`{name}`", self.sql)

    def wrong_order(self) -> str | None:
        """Two neighbouring clauses change places."""
        lines = re.split(r"\n  (?=[A-Z])", self.sql)
        starts = ("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT")
        movable = [n for n, line in enumerate(lines) if line.startswith(starts)]
        if not movable:
            return None
        place = self.rng.choice(movable)
        lines[place - 1], lines[place] = lines[place], lines[place - 1]
        return "\n  ".join(lines)

    def misspelt_keyword(self) -> str | None:
        return self._any_swap(KEYWORDS)

    def aggregate_in_where(self) -> str | None:
        if "\n  HAVING " in self.sql:
            return re.sub(r"GROUP BY .*\n  HAVING", "WHERE", self.sql)
        found = re.search(r"\(\n    SELECT (.*)\n    FROM .*\n  \)", self.sql)
        return self.sql.replace(found[0], found[1]) if found else None

    def trailing_comma(self) -> str | None:
        return self._swap("\n  FROM", ",\n  FROM")

    def select_top(self) -> str | None:
        """Another dialect's way to limit."""
        limit = re.search(r"\n  LIMIT (\d+)$", self.sql, re.MULTILINE)
        if not limit:
            return None
        top = self.sql.replace("SELECT ", f"SELECT TOP {limit[1]} ", 1)
        return top.replace(limit[0], "")

    def wrong_operator(self) -> str | None:
        return self._any_swap(OPERATORS)

    def broken(self, way: str) -> str | None:
        return getattr(self, way)()


WAYS = [name for name in vars(Statement) if not name.startswith("_") and name != "broken"]
