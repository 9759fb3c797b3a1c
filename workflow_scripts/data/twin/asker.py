"""What the question grammar says about one database: tables, columns, conditions, relations.

An `Asker` makes the words and the SQL of one question side by side, and keeps the evidence
that explains its vague words ("worth refers to unit_price") in the manner of BIRD.
"""

import random
from dataclasses import dataclass, field

from workflow_scripts.data.twin import lexicon
from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.worlds import NUMBER_KINDS, TEXT_KINDS, Column, Table, World

SHOWN_KINDS = (*TEXT_KINDS, *NUMBER_KINDS, "date", "year")  # what a reader would like to see


class CannotAsk(Exception):
    """This database has nothing for this shape of question; another shape is tried."""


@dataclass
class Asker:
    """`vagueness`: how often a column gets a vague word; `less_than`: whether `<` may be used."""

    world: World
    rng: random.Random
    vagueness: float = 0.3
    less_than: bool = True
    evidence: list[str] = field(default_factory=list)
    said: dict[tuple[str, str], str] = field(default_factory=dict)

    def pick(self, options):
        options = list(options)
        if not options:
            raise CannotAsk
        return self.rng.choice(options)

    def table(self, *kinds: str) -> Table:
        """A table with a column of one of these kinds."""
        return self.pick(t for t in self.world.tables.values() if not kinds or t.of_kind(*kinds))

    def relation(self, *, beside: "Relation | None" = None) -> "Relation":
        """A foreign key between two tables, or from one of a relation's tables to a third."""
        keys = [key for key in self.world.foreign_keys if key[0] != key[2]]
        if beside:
            pair = (beside.child.name, beside.parent.name)
            keys = [key for key in keys if key[0] in pair and key[2] not in pair]
        child, column, parent, key = self.pick(keys)
        column, key = f"{{{child}.{column}}}", f"{{{parent}.{key}}}"
        return Relation(self.world.tables[child], column, self.world.tables[parent], key)

    def column(self, table: Table, *kinds: str, but: tuple[str, ...] = ()) -> Column:
        return self.pick(c for c in table.of_kind(*kinds) if c.name not in but)

    def shown(self, table: Table, count: int = 1) -> list[Column]:
        columns = table.of_kind(*SHOWN_KINDS)
        if len(columns) < count:
            raise CannotAsk
        return self.rng.sample(columns, count)

    def label(self, table: Table) -> Column:
        """The column that names a row."""
        named = table.of_kind("person", "title") or table.of_kind("place", "country")
        return named[0] if named else table.key

    def say(self, table: Table, column: Column) -> str:
        """The column in words, or a vague word that the evidence then explains."""
        place = (table.name, column.name)
        if place not in self.said:
            words = lexicon.VAGUE_COLUMNS.get(column.kind, ())
            free = [w for w in words if w not in self.said.values() and w not in self.world.text]
            self.said[place] = column.phrase
            if free and self.rng.random() < self.vagueness:
                self.said[place] = self.rng.choice(free)
                self.evidence.append(f"{self.said[place]} refers to {column.name}")
        return self.said[place]

    def condition(self, table: Table, but: tuple[str, ...] = ()) -> tuple[str, str, str]:
        """A condition on one column: (words after the noun, SQL, the column's name)."""
        column = self.column(table, *SHOWN_KINDS, "coded", "flag", but=but)
        if column.nullable and self.rng.random() < 0.25:
            self.evidence.append(f"no {column.phrase} refers to {column.name} IS NULL")
            return f"with no {column.phrase}", f"{ref(table, column)} IS NULL", column.name
        kinds = dict.fromkeys(("coded", "flag"), self._coded) | {"date": self._dated}
        kinds |= dict.fromkeys(TEXT_KINDS, self._equal)
        words, sql = kinds.get(column.kind, self._compared)(table, column)
        return words, sql, column.name

    def _coded(self, table: Table, column: Column) -> tuple[str, str]:
        code, meaning = self.pick(sorted(column.codes.items()))
        value = code if column.kind == "flag" else f"'{code}'"
        self.evidence.append(f"{meaning} refers to {column.name} = {value}")
        return f"that are {meaning}", f"{ref(table, column)} = {value}"

    def _equal(self, table: Table, column: Column) -> tuple[str, str]:
        value = self.value(table, column)
        if column.kind in ("person", "title") and column == self.label(table):
            words = self.pick(["named", "called"]) + f" {value}"
        else:
            word = self.say(table, column)
            words = self.pick([f"whose {word} is {value}", f"with the {word} {value}"])
        return words, f"{ref(table, column)} = '{value}'"

    def _dated(self, table: Table, column: Column) -> tuple[str, str]:
        value, word = self.value(table, column), self.say(table, column)
        year, month, _ = value.split("-")
        way, place = self.rng.random(), ref(table, column)
        if way < 0.5:
            return f"whose {word} is in {year}", f"STRFTIME('%Y', {place}) = '{year}'"
        if way < 0.7:
            self.evidence.append(
                f"month {month} refers to STRFTIME('%m', {column.name}) = '{month}'"
            )
            return f"whose {word} is in month {month}", f"STRFTIME('%m', {place}) = '{month}'"
        return f"whose {word} is after {value}", f"{place} > '{value}'"

    def _compared(self, table: Table, column: Column) -> tuple[str, str]:
        value, place = self.value(table, column), ref(table, column)
        if column.kind in NUMBER_KINDS and self.rng.random() < self.vagueness / 2:
            term = self.pick(w for w in lexicon.TERMS if w not in self.world.text)
            self.evidence.append(f"{term} refers to {column.name} > {value}")
            return f"that are {term}", f"{place} > {value}"
        word = self.say(table, column)
        options = [
            (f"whose {word} is above {value}", f"{place} > {value}"),
            (f"with {article(word)} of more than {value}", f"{place} > {value}"),
            (f"whose {word} is at least {value}", f"{place} >= {value}"),
            (f"whose {word} is exactly {value}", f"{place} = {value}"),
        ]
        if self.less_than:
            options += [
                (f"whose {word} is below {value}", f"{place} < {value}"),
                (f"with {article(word)} of less than {value}", f"{place} < {value}"),
            ]
        if column.kind == "year":
            options = options[:1] + [(f"whose {word} is {value}", f"{place} = {value}")] * 2
        elif self.rng.random() < 0.2:
            other = self.value(table, column)
            low, high = sorted((value, other), key=float)
            if low != high:
                words = f"whose {word} is between {low} and {high}"
                return words, f"{place} BETWEEN {low} AND {high}"
        return self.pick(options)

    def value(self, table: Table, column: Column) -> str:
        """One of the column's values as SQL and question write it, 12.0 as 12."""
        value = self.pick(self.world.values(table.name, column.name))
        return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


@dataclass(frozen=True)
class Relation:
    """A foreign key: `column` of the child refers to `key` of the parent, both as `ref` writes."""

    child: Table
    column: str
    parent: Table
    key: str

    @property
    def join(self) -> tuple[str, str, str]:
        return self.parent.name, self.column, self.key

    def query(self, *select: str, **clauses) -> Query:
        """A query over both tables."""
        return Query(select, self.child.name, (self.join,), **clauses)


def article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def ref(table: Table, column: Column) -> str:
    """The column as a `Query` refers to it."""
    return f"{{{table.name}.{column.name}}}"
