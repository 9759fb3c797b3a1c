"""Execution accuracy of the stand-in model on databases it has never seen."""

import random
import sqlite3
from typing import Any

from workflow_scripts.artifacts.pretraining import Accuracy, Measured, PretrainingSettings
from workflow_scripts.data.twin.asker import Draft
from workflow_scripts.data.twin.database import in_memory
from workflow_scripts.data.twin.domains import KNOWN_DOMAINS, UNSEEN_DOMAINS
from workflow_scripts.data.twin.layouts import Layout, Request, compact, original
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


def hand_made_worlds(domains: list[str]) -> list[World]:
    """Domains with a few rows each, for measuring alone."""
    worlds = [parse_domain(text) for text in domains]
    return [fill(world, random.Random(5), dict.fromkeys(world.tables, 30)) for world in worlds]


def accuracy(
    model: Any, tokenizer: Any, asked: list[tuple[World, Draft]], layout: Layout, tokens: int
) -> Accuracy:
    sources = [layout(w, Request("Query", d.question, d.evidence), 2) for w, d in asked]
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
    """Accuracy in both layouts, on databases that the pre-training has not seen."""
    rng, count = random.Random(HELD_OUT_SEED), settings.measure
    groups = {
        "random schemas": [random_world(rng, rows=12) for _ in range(max(1, count // 2))],
        "domains whose words it knows": hand_made_worlds(KNOWN_DOMAINS),
        "domains it knows nothing of": hand_made_worlds(UNSEEN_DOMAINS),
    }
    asked = {name: questions(worlds, count, HELD_OUT_SEED + 1) for name, worlds in groups.items()}

    def on_all(layout: Layout) -> dict[str, Accuracy]:
        return {
            name: accuracy(model, tokenizer, each, layout, settings.target_tokens)
            for name, each in asked.items()
        }

    return Measured(compact=on_all(compact), original=on_all(original))
