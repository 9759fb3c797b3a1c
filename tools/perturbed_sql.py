"""Predictions to measure scoring with: gold SQL, changed as models change it."""

import random
import re
from collections.abc import Callable
from pathlib import Path

from workflow_scripts.data.prediction_files import records

KEPT = 0.15  # share of predictions that are gold itself
Change = Callable[[str, random.Random, list[str]], str]


def perturbed(rng: random.Random, gold: str, others: list[str]) -> str:
    """A prediction that may be right, wrong or broken: now and then gold, else gold changed."""
    if rng.random() < KEPT:
        return gold
    made = (rng.choice(CHANGES)(gold, rng, others) for _ in range(12))
    return next((sql for sql in made if sql != gold), rng.choice(others))


def _compared_otherwise(gold: str, rng: random.Random, _: list[str]) -> str:
    """Another comparison; joins keep theirs, on != they would take minutes."""
    if re.search(r"\bon\b", gold, re.IGNORECASE):
        return gold.replace(" AND ", " OR ")
    pairs = [(" > ", " >= "), (" >= ", " > "), (" < ", " > "), (" = ", " != "), ("max(", "min(")]
    known = [pair for pair in pairs if pair[0] in gold]
    return gold.replace(*rng.choice(known), 1) if known else gold


def _cut(keyword: str) -> Change:
    return lambda gold, rng, others: re.split(rf"\s{keyword}\s", gold, flags=re.IGNORECASE)[0]


def _replaced(pattern: str, by: str, count: int = 0) -> Change:
    return lambda gold, rng, others: re.sub(pattern, by, gold, count=count, flags=re.IGNORECASE)


# What models do: forget a clause or DISTINCT, another comparison, join or order, one column too
# many, a broken end; and other spellings of the same query.
CHANGES: tuple[Change, ...] = (
    lambda gold, rng, others: rng.choice(others),
    lambda gold, rng, others: gold.rsplit(" ", rng.randint(1, 3))[0],
    lambda gold, rng, others: f"SELECT * FROM ({gold.rstrip('; ')})",
    _compared_otherwise,
    _cut("ORDER BY"),
    _cut("WHERE"),
    _cut("GROUP BY"),
    _replaced(r"\bDISTINCT\b", ""),
    _replaced(r"\bSELECT\b", "SELECT DISTINCT", 1),
    _replaced(r"\b(INNER )?JOIN\b", "LEFT JOIN"),
    _replaced(r"\bDESC\b", "ASC"),
    _replaced(r"count\(\*\)", "count(1)"),
    _replaced(r"\bT1\b", "x1"),
    _replaced(r" , ", " || ", 1),
)


def read_questions(path: Path) -> list[dict[str, str]]:
    """Rows with SQL of a Spider questions.json, or of JSON lines with gold_sql."""
    rows = (row for _, row in records(path))
    gold_queries = [(row["db_id"], row.get("query") or row.get("gold_sql")) for row in rows]
    return [{"db_id": db_id, "gold": gold} for db_id, gold in gold_queries if gold]
