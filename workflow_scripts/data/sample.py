"""Draw the fixed test set, and the samples that are trained on; each with a data card.

In: rows.parquet. Out: Parquet files with the same columns, rows in the order of idx, and a card
(counts, seed, settings, checksums, and what the parts share, measured).

    python -m workflow_scripts.data.sample test --rows rows.parquet \\
        --per-task '{"Selector": 80, "Decomposer": 80, "Refiner": 40}' --seed 42 \\
        --test test.parquet --card test.card.json
    python -m workflow_scripts.data.sample draw --rows rows.parquet [--test test.parquet] \\
        --settings '{"sampling": "natural", "rows": 1011}' \\
        --train train.parquet --val val.parquet --card card.json
"""

import argparse
import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

from workflow_scripts.data.databases import NOT_PLACED
from workflow_scripts.data.draw import Settings, draw_sample, draw_test, reserved, split_sample
from workflow_scripts.data.table import Rows, idx_in, load_rows, write_rows
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import sha256, write_json
from workflow_scripts.formats.prompts import TASKS


def shared(rows: Rows, one: set[int], other: set[int]) -> dict[str, int]:
    """How many different questions, gold SQL and databases two sets of rows have in common."""
    return {
        what: len(({of[idx] for idx in one} & {of[idx] for idx in other}) - {""})
        for what, of in (
            ("questions", rows.question),
            ("gold_sql", rows.gold_sql),
            ("databases", rows.database),
        )
    }


def describe(rows: Rows, parts: dict[str, set[int]]) -> dict[str, Any]:
    """What every card says of its parts: counts by task, databases, and what is shared."""
    pairs = [(one, two) for place, one in enumerate(parts) for two in list(parts)[place + 1 :]]
    return {
        "tasks": {
            name: {task: sum(rows.task[idx] == task for idx in part) for task in TASKS}
            for name, part in parts.items()
        },
        "rows": {name: len(part) for name, part in parts.items()},
        "databases": {name: len({rows.database[i] for i in part}) for name, part in parts.items()},
        "database_found": rows.database_found,
        "groups": len(set(rows.group.values())),
        "largest_group": max(Counter(rows.group.values()).values()),
        "shared": {f"{one}_{two}": shared(rows, parts[one], parts[two]) for one, two in pairs},
    }


def make_test(
    rows_path: Path, per_task: dict[str, int], seed: int, test_path: Path, card_path: Path
) -> dict[str, Any]:
    """Draw the test set to `test_path`; write and return its card."""
    rows = load_rows(rows_path)
    test = draw_test(rows, per_task, seed)
    set_aside = reserved(rows, test)
    write_rows(rows_path, test, test_path)
    rest = set(rows.task) - set_aside
    card = {
        **describe(rows, {"test": test, "rest": rest}),
        "set_aside_with_test": len(set_aside - test),
        "seed": seed,
        "per_task": per_task,
        "sha256": {"input": sha256(rows_path), "test": sha256(test_path)},
    }
    write_json(card_path, card)
    return card


def make_sample(
    rows_path: Path,
    test_path: Path | None,
    settings: Settings,
    train_path: Path,
    val_path: Path,
    card_path: Path,
) -> dict[str, Any]:
    """Draw and split one sample; write train, val and card, and return the card."""
    rows = load_rows(rows_path)
    test = idx_in(test_path) if test_path else set()
    if not test <= set(rows.task):
        raise EssenceError(f"{test_path} was not drawn from {rows_path}; draw the test set again")
    set_aside = reserved(rows, test)
    sample = draw_sample(rows, set_aside, settings)
    validation = split_sample(rows, sample, settings)
    write_rows(rows_path, sample - validation, train_path)
    write_rows(rows_path, validation, val_path)
    parts = {"train": sample - validation, "val": validation}
    paths = {"input": rows_path, "train": train_path, "val": val_path}
    if test_path:
        parts["test"], paths["test"] = test, test_path
    card = {
        **describe(rows, parts),
        "settings": dataclasses.asdict(settings),
        "set_aside_with_test": len(set_aside - test),
        "sha256": {name: sha256(path) for name, path in paths.items()},
    }
    write_json(card_path, card)
    return card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    test = commands.add_parser("test", help="draw the fixed test set")
    draw = commands.add_parser("draw", help="draw one sample and split it")
    for command in (test, draw):
        command.add_argument("--rows", required=True, type=Path)
        command.add_argument("--card", required=True, type=Path)
    test.add_argument("--per-task", required=True, type=json.loads, help='{"Selector": 80, ...}')
    test.add_argument("--seed", type=int, default=42)
    test.add_argument("--test", required=True, type=Path)
    draw.add_argument("--test", type=Path, help="the test set, to stay away from")
    draw.add_argument("--settings", required=True, type=Settings.from_json)
    draw.add_argument("--train", required=True, type=Path)
    draw.add_argument("--val", required=True, type=Path)
    args = parser.parse_args()
    if args.command == "test":
        card = make_test(args.rows, args.per_task, args.seed, args.test, args.card)
    else:
        card = make_sample(args.rows, args.test, args.settings, args.train, args.val, args.card)
    for name, tasks in card["tasks"].items():
        counts = ", ".join(f"{task} {count}" for task, count in tasks.items())
        print(f"{name}: {card['rows'][name]} rows ({counts})")
    if card["database_found"][NOT_PLACED]:
        print(f"{card['database_found'][NOT_PLACED]} rows have no database that could be found")


if __name__ == "__main__":
    run_cli(main)
