"""Execution accuracy of the stand-in model on databases it has never seen."""

import random
import sqlite3
from contextlib import closing
from typing import Any

from tools.pretrain.layouts import LAYOUTS, Layout, Request, in_line
from tools.pretrain.random_world import random_world
from tools.twin.shapes import Draft, draft
from tools.twin.worlds import (
    KNOWN_DOMAINS,
    UNSEEN_DOMAINS,
    World,
    fill,
    in_memory,
    parse_domain,
)
from workflow_scripts.intervals import wilson

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
        rows = rows_of(connections[place], in_line(drafted.sql))
        if rows and any(value is not None for row in rows for value in row):
            found.append((worlds[place], drafted))
    return found


def hand_made_worlds(domains: list[str]) -> list[World]:
    """Domains with a few rows each, for measuring alone."""
    worlds = [parse_domain(text) for text in domains]
    return [fill(world, random.Random(5), dict.fromkeys(world.tables, 30)) for world in worlds]


def accuracy(
    model: Any, tokenizer: Any, asked: list[tuple[World, Draft]], layout: Layout, tokens: int
) -> dict[str, float]:
    """Shares of `n` questions; `low` and `high` are the 95% Wilson interval of the first."""
    correct = exact = 0
    for start in range(0, len(asked), 32):
        batch = asked[start : start + 32]
        sources = [layout(world, Request("Query", d.question, d.evidence), 2) for world, d in batch]
        inputs = tokenizer(sources, padding=True, return_token_type_ids=False, return_tensors="pt")
        written = model.generate(**inputs, max_new_tokens=tokens)
        texts = tokenizer.batch_decode(written, skip_special_tokens=True)
        for (world, drafted), sql in zip(batch, texts, strict=True):
            right = in_line(drafted.sql)
            with closing(in_memory(world)) as connection:
                correct += rows_of(connection, sql) == rows_of(connection, right)
            exact += sql == right
    low, high = wilson(correct, len(asked))
    shares = {"execution_accuracy": correct / len(asked), "low": low, "high": high}
    shares["exact_match"] = exact / len(asked)
    return {"n": len(asked)} | {name: round(share, 4) for name, share in shares.items()}


def measure(model: Any, tokenizer: Any, count: int, tokens: int) -> dict[str, dict[str, dict]]:
    """Layout -> databases, which the pre-training has not seen -> accuracy on `count` questions."""
    rng = random.Random(HELD_OUT_SEED)
    groups = {
        "random schemas": [random_world(rng, rows=12) for _ in range(max(1, count // 2))],
        "domains whose words it knows": hand_made_worlds(KNOWN_DOMAINS),
        "domains it knows nothing of": hand_made_worlds(UNSEEN_DOMAINS),
    }
    asked = {name: questions(worlds, count, HELD_OUT_SEED + 1) for name, worlds in groups.items()}
    return {
        layout.__name__: {
            name: accuracy(model, tokenizer, each, layout, tokens) for name, each in asked.items()
        }
        for layout in LAYOUTS
    }
