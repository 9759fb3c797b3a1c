"""The question grammar: a shape of `shapes.yaml`, a database and chance give a `Draft`.

An `Asker` offers the shapes tables, columns, conditions and their words, and keeps the evidence
that explains its vague words ("worth refers to unit_price") in the manner of BIRD.
"""

import functools
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jinja2 import Environment, StrictUndefined

from tools.twin.worlds import (
    LEXICON,
    NUMBER_KINDS,
    TEXT_KINDS,
    Column,
    Table,
    World,
)

USES_FILES = ["shapes.yaml"]
GRAMMAR = yaml.safe_load(Path(__file__).with_name("shapes.yaml").read_text(encoding="utf-8"))
JINJA = Environment(undefined=StrictUndefined)
EXPRESSION, TEXT = functools.cache(JINJA.compile_expression), functools.cache(JINJA.from_string)
SHOWN_KINDS = (*TEXT_KINDS, *NUMBER_KINDS, "date", "year")  # what a reader would like to see
WORDS = {"number_kinds": NUMBER_KINDS, "group_kinds": ("cat", "place", "country")}
REFERENCE = re.compile(r"\{([^.{}]+)\.([^{}]+)\}")


class CannotAsk(Exception):
    """This database has nothing for this shape of question; another shape is tried."""


class Place(NamedTuple):
    """A column of a table; as a text the reference that `finished` replaces."""

    table: Table
    column: Column

    def __str__(self) -> str:
        return f"{{{self.table.name}.{self.column.name}}}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.column, name)


class Relation(NamedTuple):
    """A foreign key: `source` of the child refers to `target` of the parent."""

    child: Table
    source: Place
    parent: Table
    target: Place

    @property
    def joined(self) -> str:
        join = f"INNER JOIN {self.parent} AS T2\n  ON {self.source} = {self.target}"
        return f"{self.child} AS T1\n  {join}"

    @property
    def child_key(self) -> Place:
        return Place(self.child, self.child.key)


class Condition(NamedTuple):
    words: str  # after the noun
    sql: str
    place: Place


@dataclass(frozen=True)
class Draft:
    """A question and its SQL; `steps` are (sub-question, SQL), the last being the whole.

    `request` says what a Refiner is asked for (`vague_questions`), and `kind` of which column.
    """

    shape: str
    question: str
    evidence: str
    sql: str
    steps: list[tuple[str, str]]
    request: str
    kind: str


@dataclass
class Asker:
    """`vagueness`: how often a column gets a vague word; `less_than`: whether `<` may be used."""

    world: World
    rng: random.Random
    vagueness: float = 0.3
    less_than: bool = True
    evidence: list[str] = field(default_factory=list)
    said: dict[Place, str] = field(default_factory=dict)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def pick(self, options: Iterable[Any]) -> Any:
        options = list(options)
        if not options:
            raise CannotAsk
        return self.rng.choice(options)

    def unused(self, words: Iterable[str]) -> list[str]:
        """The words that do not occur in the schema."""
        return [word for word in words if word not in self.world.text]

    def explain(self, words: str) -> None:
        self.evidence.append(words)

    def table(self, kinds: Sequence[str] = ()) -> Table:
        """A table with a column of one of these kinds."""
        return self.pick(t for t in self.world.tables.values() if not kinds or t.of_kind(*kinds))

    def column(self, table: Table, kinds: Sequence[str], but: Sequence[Place] = ()) -> Place:
        places = [Place(table, column) for column in table.of_kind(*kinds)]
        return self.pick(place for place in places if place not in but)

    def any_column(self, kinds: Sequence[str]) -> Place:
        return self.column(self.table(kinds), kinds)

    def some(self, table: Table, count: int, kinds: Sequence[str] = SHOWN_KINDS) -> list[Place]:
        columns = table.of_kind(*kinds)
        if len(columns) < count:
            raise CannotAsk
        return [Place(table, column) for column in self.rng.sample(columns, count)]

    def label(self, table: Table) -> Place:
        """The column that names a row."""
        named = table.of_kind("person", "title") or table.of_kind("place", "country")
        return Place(table, named[0] if named else table.key)

    def relation(self, beside: Relation | None = None) -> Relation:
        """A foreign key between two tables, or from one of a relation's tables to a third."""
        keys = [key for key in self.world.foreign_keys if key[0] != key[2]]
        if beside:
            pair = (beside.child.name, beside.parent.name)
            keys = [key for key in keys if key[0] in pair and key[2] not in pair]
        child, column, parent, key = self.pick(keys)
        child, parent = self.world.tables[child], self.world.tables[parent]
        source, target = (
            Place(table, next(c for c in table.columns if c.name == name))
            for table, name in ((child, column), (parent, key))
        )
        return Relation(child, source, parent, target)

    def say(self, place: Place) -> str:
        """The column in words, or a vague word that the evidence then explains."""
        if place not in self.said:
            words = self.unused(LEXICON["vague columns"].get(place.kind, ()))
            free = [word for word in words if word not in self.said.values()]
            self.said[place] = place.phrase
            if free and self.chance(self.vagueness):
                self.said[place] = self.rng.choice(free)
                self.explain(f"{self.said[place]} refers to {place.name}")
        return self.said[place]

    def ranking(self, place: Place) -> dict[str, str]:
        way = GRAMMAR["rankings"][0 if self.chance(0.6) else 1]
        return way | {"words": f"{way['word']} {self.say(place)}"}

    def conditions(self, table: Table, count: int) -> Condition:
        """One condition or two on different columns."""
        one = self.condition(table)
        if count == 1:
            return one
        other = self.condition(table, [one.place])
        word = "or" if self.chance(0.3) else "and"
        words = f"{one.words} {word} {other.words}"
        return Condition(words, f"{one.sql} {word.upper()} {other.sql}", one.place)

    def condition(self, table: Table, but: Sequence[Place] = ()) -> Condition:
        place = self.column(table, (*SHOWN_KINDS, "coded", "flag"), but)
        if place.nullable and self.chance(0.25):
            self.explain(f"no {place.phrase} refers to {place.name} IS NULL")
            return Condition(f"with no {place.phrase}", f"{place} IS NULL", place)
        kinds = dict.fromkeys(("coded", "flag"), self._coded) | {"date": self._dated}
        kinds |= dict.fromkeys(TEXT_KINDS, self._equal)
        return Condition(*kinds.get(place.kind, self._compared)(place), place)

    def _coded(self, place: Place) -> tuple[str, str]:
        code, meaning = self.pick(sorted(place.codes.items()))
        value = code if place.kind == "flag" else f"'{code}'"
        self.explain(f"{meaning} refers to {place.name} = {value}")
        return f"that are {meaning}", f"{place} = {value}"

    def _equal(self, place: Place) -> tuple[str, str]:
        value = self.value(place)
        if place.kind in ("person", "title") and place == self.label(place.table):
            words = [f"named {value}", f"called {value}"]
        else:
            word = self.say(place)
            words = [f"whose {word} is {value}", f"with the {word} {value}"]
        return self.pick(words), f"{place} = '{value}'"

    def _dated(self, place: Place) -> tuple[str, str]:
        value, word = self.value(place), self.say(place)
        year, month, _ = value.split("-")
        way = self.rng.random()
        if way < 0.5:
            return f"whose {word} is in {year}", f"STRFTIME('%Y', {place}) = '{year}'"
        if way < 0.7:
            self.explain(f"month {month} refers to STRFTIME('%m', {place.name}) = '{month}'")
            return f"whose {word} is in month {month}", f"STRFTIME('%m', {place}) = '{month}'"
        return f"whose {word} is after {value}", f"{place} > '{value}'"

    def _compared(self, place: Place) -> tuple[str, str]:
        value = self.value(place)
        if place.kind in NUMBER_KINDS and self.chance(self.vagueness / 2):
            term = self.pick(self.unused(LEXICON["vague conditions"]))
            self.explain(f"{term} refers to {place.name} > {value}")
            return f"that are {term}", f"{place} > {value}"
        word = self.say(place)
        options = GRAMMAR["comparisons"]["year" if place.kind == "year" else "number"]
        options = [each for each in options if self.less_than or each[1] != "<"]
        if place.kind != "year" and self.chance(0.2):
            low, high = sorted((value, self.value(place)), key=float)
            if low != high:
                words = f"whose {word} is between {low} and {high}"
                return words, f"{place} BETWEEN {low} AND {high}"
        words, sign = self.pick(options)
        article = "an" if word[0] in "aeiou" else "a"
        return words.format(word=word, article=article, value=value), f"{place} {sign} {value}"

    def value(self, place: Place) -> str:
        """One of the column's values as SQL and question write it, 12.0 as 12."""
        value = self.pick(self.world.values(place.table.name, place.name))
        return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def draft(
    world: World, rng: random.Random, *, vagueness: float = 0.3, less_than: bool = True
) -> Draft:
    """Ask one question on `world`, of any shape that the database allows; see `Asker`."""
    shapes = GRAMMAR["shapes"]
    while True:
        (name,) = rng.choices(list(shapes), [shape["weight"] for shape in shapes.values()])
        try:
            return _ask(name, Asker(world, rng, vagueness, less_than))
        except CannotAsk:
            continue


def _ask(name: str, asker: Asker) -> Draft:
    """Fill in a shape; chance is used in the order in which the shape states its parts."""
    shape = GRAMMAR["shapes"][name]
    own = {method: getattr(asker, method) for method in dir(asker) if not method.startswith("_")}
    facts = {**WORDS, "aggregates": list(GRAMMAR["aggregates"].items()), **own}
    for each, expression in shape["let"].items():
        facts[each] = EXPRESSION(expression)(**facts)
    if "ask" in shape:
        request = TEXT(shape["ask"]).render(facts)
        opening = asker.pick(GRAMMAR["openings"])
        question = f"{opening} {request}{'?' if opening == 'What is' else '.'}"
    else:
        question = TEXT(asker.pick(shape["questions"])).render(facts)
    raw = TEXT(shape["sql"]).render(facts)
    steps = [(question, finished(raw))]
    if "first" in shape:
        words, sql = (TEXT(part).render(facts) for part in shape["first"])
        steps.insert(0, (words, finished(sql)))
    evidence = "; ".join(dict.fromkeys(asker.evidence))
    return Draft(name, question, evidence, steps[-1][1], steps, *_request(raw, asker.world))


def finished(sql: str) -> str:
    """SQL as MAC-SQL's agents write it: columns in backticks, with an alias in joins."""
    alias = dict(re.findall(r"(?:FROM|JOIN) `?([^`\n]+?)`? AS (T\d)\n", sql))

    def column(match: re.Match) -> str:
        return f"{alias[match[1]]}.`{match[2]}`" if alias else f"`{match[2]}`"

    return REFERENCE.sub(column, sql)


def _request(sql: str, world: World) -> tuple[str, str]:
    """What a query asks for, and the kind of the first column that it selects."""
    selected = sql.splitlines()[0]
    place = REFERENCE.search(selected)
    kind = "int"
    if place:
        (kind,) = (c.kind for c in world.tables[place[1]].columns if c.name == place[2])
    if "\n  GROUP BY " in sql and "\n  LIMIT " not in sql:
        return "group", kind
    if "\n  ORDER BY " in sql:
        return "rank", kind
    if selected == "SELECT COUNT(*)":
        return "count", kind
    return "value" if "(" in selected.split(", ")[0] else "list", kind


def vague_question(world: World, item: Draft, rng: random.Random) -> str:
    words = LEXICON["vague columns"].get(item.kind, ["detail", "particulars"])
    free = [word for word in words if word not in world.text] or ["detail"]
    records = [word for word in LEXICON["vague tables"] if word not in world.text]
    return rng.choice(GRAMMAR["vague_questions"][item.request]).format(
        word=rng.choice(free), records=rng.choice(records)
    )
