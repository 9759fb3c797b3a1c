"""The rows of the three agents for one question, its database and its gold SQL."""

import functools
import random
from dataclasses import dataclass

from sqlglot import exp

from workflow_scripts.data.breaking import WAYS, Statement
from workflow_scripts.data.gold import Execute, Gold
from workflow_scripts.data.rows import row_from
from workflow_scripts.data.shown_database import ShownDatabase
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import (
    Selection,
    prune,
    render_decomposer,
    render_refiner,
    render_selector,
)
from workflow_scripts.formats.prompts import Prompt, parse_prompt, render_prompt
from workflow_scripts.formats.schema import render_schema
from workflow_scripts.sql.parse import parse


@dataclass(frozen=True)
class Failure:
    """SQL that SQLite refused, its words for that and the class of its error."""

    old_sql: str
    error: str
    exception_class: str


@dataclass(frozen=True)
class Agents:
    """What the agents are asked about a question, and what they should answer."""

    database: ShownDatabase
    gold: Gold

    @functools.cached_property
    def selection(self) -> Selection | None:
        """None where the schema is small, so that the Selector isn't asked."""
        return self.database.selection(self.gold.question.sql) if self.database.large else None

    def rows(self) -> list[dict]:
        """The Selector's row, if it is asked, and the Decomposer's."""
        return [*([] if self.selection is None else [self.selector()]), self.decomposer()]

    def selector(self) -> dict:
        prompt = self._prompt("Selector", self.database.tables, db_id=self.gold.question.db_id)
        return self._row(2 * self.gold.number, prompt, render_selector(self.selection))

    def decomposer(self) -> dict:
        prompt = self._prompt("Decomposer", self._seen())
        return self._row(2 * self.gold.number + 1, prompt, render_decomposer(self.gold.steps))

    def refiner(self, idx: int, failure: Failure) -> dict:
        prompt = self._prompt("Refiner", self._seen(), **vars(failure))
        return self._row(idx, prompt, render_refiner(self.gold.sql))

    def _seen(self) -> list:
        """The tables that the Selector leaves."""
        tables = self.database.tables
        return tables if self.selection is None else prune(tables, self.selection)

    def _prompt(self, task: str, tables: list, **own: str) -> Prompt:
        question = self.gold.question
        fields = {
            "db_id": None,
            "question": question.question.strip(),
            "evidence": (question.evidence or "").strip(),
            "schema": render_schema(tables),
            "foreign_keys": self.database.foreign_keys,
        }
        return Prompt(task, **(fields | own))

    def _row(self, idx: int, prompt: Prompt, answer: str) -> dict:
        """Raises EssenceError when reading the row would not give the prompt back."""
        user = render_prompt(prompt)
        if parse_prompt(user) != prompt:
            raise EssenceError("a text of it looks like a part of the prompt")
        messages = [
            {"role": "system", "content": ""},
            {"role": "user", "content": user},
            {"role": "assistant", "content": answer},
        ]
        row = {"idx": idx, "db_id": self.gold.question.db_id, "messages": messages}
        row_from(row, line=1)
        return row


def broken(agents: Agents, rng: random.Random, execute: Execute) -> tuple[str, Failure] | None:
    """(way, failure) of the gold SQL broken so that SQLite refuses it; None where no way does it.

    The ways take turns from question to question.
    """
    gold = agents.gold
    statement = _statement(agents.database, gold, rng)
    first = WAYS[gold.number % len(WAYS)]
    for way in [first, *rng.sample(WAYS, len(WAYS))]:
        old_sql = (statement.broken(way) or "").strip()
        if not old_sql or old_sql == gold.sql:
            continue
        (result,) = execute([old_sql])
        if result.exception:
            return way, Failure(old_sql, result.error, result.exception)
    return None


def _statement(database: ShownDatabase, gold: Gold, rng: random.Random) -> Statement:
    """The gold SQL, with the database's tables under the names by which it calls them."""
    tables = dict.fromkeys(table.name for table in parse(gold.question.sql).find_all(exp.Table))
    called = {name.lower(): name for name in tables}
    columns = {
        called.get(table.name.lower(), table.name): [column.name for column in table.columns]
        for table in database.tables
    }
    return Statement(
        sql=gold.sql,
        tables=[name for name in tables if name in columns],  # and not those that WITH defines
        columns=columns,
        other_number={name: name[:-1] if name.endswith("s") else f"{name}s" for name in columns},
        rng=rng,
    )
