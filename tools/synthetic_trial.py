"""How far does EX-synthetic agree with EX? Both are taken where the real database is at hand.

    python -m tools.synthetic_trial --questions FILE --databases DIR

FILE holds rows with db_id, question and query or gold_sql (JSON or JSON lines). The predictions are
the golds themselves, changed in one place or another (`perturbed`).
"""

import json
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.files import read_jsonl, to_json
from workflow_scripts.formats.database_schema import describe_database
from workflow_scripts.formats.schema_text import render_foreign_keys, render_schema
from workflow_scripts.metrics.execution_verdicts import Case, verdicts_on
from workflow_scripts.metrics.synthetic import SyntheticCase, ex_synthetic
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Option, Setting, run_stage

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


def trial(rows: list[dict[str, str]], databases: Path, seed: int = 0) -> dict[str, Any]:
    """Confusion counts over `rows` with db_id and gold: all, and of predictions that aren't gold.

    Rows whose real gold returns nothing, and rows that EX-synthetic doesn't count, are left out of
    the confusion and counted.
    """
    rng, by_database = random.Random(seed), defaultdict(list)
    for row in rows:
        by_database[row["db_id"]].append(row["gold"])
    schemas = {name: describe_database(find_database(databases, name)) for name in by_database}
    cases, synthetic = [], []
    for row in rows:
        tables, keys = schemas[row["db_id"]]
        prediction = perturbed(rng, row["gold"], by_database[row["db_id"]])
        file = find_database(databases, row["db_id"])
        cases.append(Case(row["gold"], prediction, file))
        prompt = (render_schema(tables), render_foreign_keys(keys))
        synthetic.append(SyntheticCase(*prompt, row["gold"], prediction))
    with Sandbox(Limits(seconds=5)) as sandbox, tempfile.TemporaryDirectory() as folder:
        cached = CachedSandbox(sandbox)
        true = verdicts_on(cases, cached, repeat=0)
        rebuilt = ex_synthetic(synthetic, cached, Path(folder), seed)
    compared = [
        (bool(v.execution_accuracy), bool(made), v.prediction != v.gold)
        for v, made in zip(true, rebuilt, strict=True)
        if v.gold_rows and made is not None
    ]
    return {
        "rows": len(rows),
        "gold_empty_or_failing": sum(not v.gold_rows for v in true),
        "not_counted": sum(made is None for made in rebuilt),
        "all": confusion([(a, b) for a, b, _ in compared]),
        "changed": confusion([(a, b) for a, b, changed in compared if changed]),
    }


def confusion(pairs: list[tuple[bool, bool]]) -> dict[str, Any]:
    """Counts of (EX, EX-synthetic), their agreement and means, all None without pairs."""
    words, count = {True: "right", False: "wrong"}, len(pairs)
    return {
        "compared": count,
        "ex / ex-synthetic": {
            f"{words[a]} / {words[b]}": pairs.count((a, b)) for a in words for b in words
        },
        "agreement": sum(a == b for a, b in pairs) / count if count else None,
        "ex": sum(a for a, _ in pairs) / count if count else None,
        "ex_synthetic": sum(b for _, b in pairs) / count if count else None,
    }


def read_questions(path: Path) -> list[dict[str, str]]:
    """Rows with SQL of a Spider questions.json, or of JSON lines with gold_sql."""
    text = path.read_text(encoding="utf-8")
    rows = json.loads(text) if text.lstrip().startswith("[") else list(read_jsonl(path))
    golds = [(row["db_id"], row.get("query") or row.get("gold_sql")) for row in rows]
    return [{"db_id": db_id, "gold": gold} for db_id, gold in golds if gold]


def main(
    questions: Annotated[Path, Input("JSON or JSON lines")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    rows: Annotated[int, Option("how many questions, drawn at random")] = 500,
    seed: Annotated[int, Option("of the draw, the predictions and the databases")] = 0,
) -> None:
    known = read_questions(questions)
    drawn = random.Random(seed).sample(known, min(rows, len(known)))
    print(to_json(trial(drawn, databases, seed)), end="")


if __name__ == "__main__":
    run_stage(main)
