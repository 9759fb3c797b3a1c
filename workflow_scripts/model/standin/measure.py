"""Execution accuracy of the stand-in model on databases it has never seen."""

import random
import sqlite3
from typing import Any

from workflow_scripts.artifacts.pretraining import Accuracy, Measured, PretrainingSettings
from workflow_scripts.data.twin import corpus
from workflow_scripts.data.twin.asker import Draft
from workflow_scripts.data.twin.database import in_memory
from workflow_scripts.data.twin.domains import DOMAINS
from workflow_scripts.data.twin.query import plain_sql
from workflow_scripts.data.twin.questions import draft
from workflow_scripts.data.twin.random_world import random_world
from workflow_scripts.data.twin.schema import World, fill, parse_domain
from workflow_scripts.intervals import wilson
from workflow_scripts.model.decoding import generate

HELD_OUT_SEED = 991  # far from the seeds of the training chunks
STEPS = 200_000  # of SQLite's virtual machine, so that a cross join ends


def rows_of(connection: sqlite3.Connection, sql: str) -> set | None:
    """The set of rows, or None when SQLite refuses or the query runs too long."""
    try:
        connection.set_progress_handler(lambda: 1, STEPS)
        return set(connection.execute(sql).fetchall())
    except (sqlite3.Error, sqlite3.Warning):
        return None


def questions(worlds: list[World], count: int, seed: int) -> list[tuple[World, Draft]]:
    """`count` questions whose gold SQL returns something, spread over the worlds."""
    rng, found = random.Random(seed), []
    connections = [in_memory(world) for world in worlds]
    while len(found) < count:
        place = len(found) % len(worlds)
        drafted = draft(worlds[place], rng)
        rows = rows_of(connections[place], plain_sql(drafted.query))
        if rows and any(value is not None for row in rows for value in row):
            found.append((worlds[place], drafted))
    return found


def hand_made_worlds() -> list[World]:
    """The twin's domains with a few rows each, for measuring alone."""
    worlds = [parse_domain(text) for text in DOMAINS]
    return [fill(world, random.Random(5), dict.fromkeys(world.tables, 30)) for world in worlds]


def accuracy(model: Any, tokenizer: Any, asked: list[tuple[World, Draft]], tokens: int) -> Accuracy:
    sources = [corpus.source_of(w, d.question, d.evidence) for w, d in asked]
    ids = tokenizer(sources)["input_ids"]
    answers = generate(model, ids, tokenizer.pad_token_id, tokens, batch_size=32)
    written = tokenizer.batch_decode(answers, skip_special_tokens=True)
    correct = exact = 0
    for (world, drafted), sql in zip(asked, written, strict=True):
        connection = in_memory(world)
        gold = rows_of(connection, plain_sql(drafted.query))
        correct += rows_of(connection, sql) == gold
        exact += sql == plain_sql(drafted.query)
        connection.close()
    low, high = wilson(correct, len(asked))
    return Accuracy(
        execution_accuracy=round(correct / len(asked), 4),
        low=round(low, 4),
        high=round(high, 4),
        exact_match=round(exact / len(asked), 4),
        n=len(asked),
    )


def measure(model: Any, tokenizer: Any, settings: PretrainingSettings) -> Measured:
    """Accuracy on held-out random schemas and on the twin's domains."""
    rng, count = random.Random(HELD_OUT_SEED), settings.measure
    random_worlds = [random_world(rng, rows=12) for _ in range(max(1, count // 2))]
    twin_worlds = hand_made_worlds()

    def on(worlds: list[World]) -> Accuracy:
        asked = questions(worlds, count, HELD_OUT_SEED + 1)
        return accuracy(model, tokenizer, asked, settings.target_tokens)

    return Measured(
        domains=len(twin_worlds), random_schemas=on(random_worlds), twin_domains=on(twin_worlds)
    )
