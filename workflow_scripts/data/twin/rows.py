"""The twin's rows: questions asked of its databases, answered and written in the real form."""

import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.artifacts.data import TwinSettings
from workflow_scripts.data.breaking import WAYS
from workflow_scripts.data.twin.asker import Draft
from workflow_scripts.data.twin.database import error_of, in_memory
from workflow_scripts.data.twin.domains import KNOWN_DOMAINS, UNSEEN_DOMAINS
from workflow_scripts.data.twin.query import agent_sql, breakable
from workflow_scripts.data.twin.questions import draft
from workflow_scripts.data.twin.schema import World, fill, join, parse_domain
from workflow_scripts.data.twin.selection import select
from workflow_scripts.data.twin.vague_questions import vague_question
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import (
    prune,
    render_decomposer,
    render_refiner,
    render_selector,
)
from workflow_scripts.formats.prompts import Prompt, render_prompt
from workflow_scripts.formats.schema import Column, Table, render_foreign_keys, render_schema
from workflow_scripts.sql.describe import describe_database

EXAMPLE_LETTERS = 40  # text examples of a column together, to keep schemas short
TRIES = 400  # questions that may fail in a row before a database counts as exhausted


@dataclass
class Database:
    """A database as the prompts describe it, with a connection that runs SQL on it."""

    world: World
    tables: list[Table]
    keys: str
    connection: sqlite3.Connection

    def keep_up_to(self) -> int:
        """Columns up to which this database's Selector keeps a table whole."""
        return 6 if len(self.world.db_id) % 2 else 10


def make_worlds(settings: TwinSettings) -> list[World]:
    """The hand-made domains, filled from the seed; tables that refer to others are larger.

    Several together make a database whose prompts are as long as those of the real rows.
    """
    worlds = []
    for text in (*KNOWN_DOMAINS, *UNSEEN_DOMAINS):
        world = parse_domain(text)
        rng = random.Random(f"{settings.seed} {world.db_id}")
        base = settings.rows_per_table
        sizes = {
            name: base * 3 if table.of_kind("ref") else base + rng.randint(-5, 5)
            for name, table in world.tables.items()
        }
        worlds.append(fill(world, rng, sizes))
    size = settings.domains_per_database
    return [join(worlds[first : first + size]) for first in range(0, len(worlds), size)]


def make_rows(
    worlds: list[World], files: dict[str, Path], settings: TwinSettings
) -> tuple[list[dict], list[dict]]:
    """Rows and their answer sheet, by idx: even idx Selector, odd Decomposer, then the Refiner."""
    rng = random.Random(settings.seed)
    databases = [_described(world, files[world.db_id]) for world in worlds]
    counts, seen = settings.rows, set()
    rows, truth = [], []
    for group in range(max(counts.Decomposer, counts.Selector)):
        database = databases[group % len(databases)]
        item, gold = fresh(database, rng, seen)
        if group < counts.Selector:
            _add(rows, truth, 2 * group, _selector(database, item, gold))
        if group < counts.Decomposer:
            _add(rows, truth, 2 * group + 1, _decomposer(database, item, gold))
    first = 2 * max(counts.Decomposer, counts.Selector)
    for number in range(counts.Refiner):
        database = databases[number % len(databases)]
        _add(rows, truth, first + number, _refiner(database, rng, seen, WAYS[number % len(WAYS)]))
    return rows, truth


def _described(world: World, file: Path) -> Database:
    notes = {
        table.name: {c.name: (c.phrase, _note(c)) for c in table.columns}
        for table in world.tables.values()
    }
    tables, keys = describe_database(file, notes)
    tables = [Table(t.name, tuple(map(_shortened, t.columns))) for t in tables]
    return Database(world, tables, render_foreign_keys(keys), in_memory(world))


def _note(column) -> str:
    if column.kind not in ("coded", "flag"):
        return ""
    return ". ".join(f"{code}: {meaning}" for code, meaning in column.codes.items())


def _shortened(column: Column) -> Column:
    if not column.examples or not any(isinstance(value, str) for value in column.examples):
        return column
    shown, letters = [], 0
    for value in column.examples:
        letters += len(str(value))
        if shown and letters > EXAMPLE_LETTERS:
            break
        shown.append(value)
    return Column(column.name, column.description, tuple(shown), column.note)


def fresh(database: Database, rng: random.Random, seen: set[str]) -> tuple[Draft, str]:
    """A question whose gold SQL is new and returns something, with that SQL.

    `seen` collects questions and SQL strings; raises EssenceError when the database is exhausted.
    """
    for _ in range(TRIES):
        item = draft(database.world, rng)
        gold = agent_sql(item.query)
        if gold in seen or item.question in seen or not _returns(database.connection, gold):
            continue
        seen |= {gold, item.question}
        return item, gold
    raise EssenceError(
        f"twin: no new question found on {database.world.db_id} after {TRIES} tries; "
        "ask for fewer rows (twin settings: rows) or larger tables (rows_per_table)"
    )


def _returns(connection: sqlite3.Connection, sql: str) -> bool:
    """Whether the SQL returns a value other than NULL, and is not just a count of nothing."""
    rows = connection.execute(sql).fetchall()
    return any(value is not None for row in rows for value in row) and rows not in (
        [(0,)],
        [(0.0,)],
    )


def _add(rows: list[dict], truth: list[dict], idx: int, made: tuple[str, str, dict]) -> None:
    user, answer, facts = made
    messages = [
        {"role": "system", "content": ""},
        {"role": "user", "content": user},
        {"role": "assistant", "content": answer},
    ]
    rows.append({"idx": idx, "messages": messages})
    truth.append({"idx": idx, **facts})


def _facts(database: Database, task: str, question: str, item: Draft, gold: str) -> dict:
    return {
        "task": task,
        "db_id": database.world.db_id,
        "question": question,
        "gold_sql": gold,
        "sub_questions": [[text, agent_sql(query)] for text, query in item.steps],
        "shape": item.shape,
        "tables": item.query.tables,
        "columns": [f"{table}.{column}" for table, column in item.query.columns],
    }


def _prompt(database: Database, task: str, item: Draft, **own: str | None) -> Prompt:
    """A question's prompt; a Decomposer or Refiner sees the schema that the Selector leaves."""
    answer = select(database.world, item.query, database.keep_up_to())
    fields = {
        "db_id": None,
        "question": item.question,
        "evidence": item.evidence,
        "schema": render_schema(prune(database.tables, answer)),
        "foreign_keys": database.keys,
    }
    return Prompt(task, **(fields | own))


def _selector(database: Database, item: Draft, gold: str) -> tuple[str, str, dict]:
    schema = render_schema(database.tables)
    prompt = _prompt(database, "Selector", item, db_id=database.world.db_id, schema=schema)
    answer = select(database.world, item.query, database.keep_up_to())
    # Some of the real answers close with these words: here, where tables are cut to 6 columns.
    closing = "Question Solved.\n" if database.keep_up_to() == 6 else ""
    facts = _facts(database, "Selector", item.question, item, gold) | {"selection": answer}
    return render_prompt(prompt), render_selector(answer) + closing, facts


def _decomposer(database: Database, item: Draft, gold: str) -> tuple[str, str, dict]:
    steps = [(text, agent_sql(query)) for text, query in item.steps]
    facts = _facts(database, "Decomposer", item.question, item, gold)
    return render_prompt(_prompt(database, "Decomposer", item)), render_decomposer(steps), facts


def _refiner(
    database: Database, rng: random.Random, seen: set[str], way: str
) -> tuple[str, str, dict]:
    """A row for SQL broken in the given way, or in another where no question allows it."""
    item, gold, (way, old_sql), error = _broken(database, rng, seen, way)
    question = vague_question(database.world, item, rng)
    failure = {"old_sql": old_sql, "error": str(error), "exception_class": str(type(error))}
    prompt = _prompt(database, "Refiner", item, question=question, evidence="", **failure)
    facts = _facts(database, "Refiner", question, item, gold) | {"broken_by": way} | failure
    return render_prompt(prompt), render_refiner(gold), facts


def _broken(database: Database, rng: random.Random, seen: set[str], way: str):
    """A fresh question, its gold SQL, (way, broken SQL) and SQLite's error."""
    for attempt in range(TRIES):
        if attempt > 60:
            way = rng.choice(WAYS)
        item = draft(database.world, rng)
        gold = agent_sql(item.query)
        old = (breakable(item.query, database.world, rng).broken(way) or "").strip()
        if gold in seen or not old or not _returns(database.connection, gold):
            continue
        error = error_of(database.connection, old)
        if error:
            seen.add(gold)
            return item, gold, (way, old), error
    raise EssenceError(
        f"twin: no SQL on {database.world.db_id} could be broken; ask for fewer rows"
    )
