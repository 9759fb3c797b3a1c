"""Draw the fixed test set, and the samples that are trained on; each with a data card.

In: rows.parquet. Out: Parquet files with the same columns, rows in the order of idx, and a card
(counts, seed, settings, checksums, and what the parts share, measured).

    python -m workflow_scripts.data.sample test --rows rows.parquet \\
        --per-task '{"Selector": 80, "Decomposer": 80, "Refiner": 40}' --seed 42 \\
        --test test.parquet --card test.card.json
    python -m workflow_scripts.data.sample draw --rows rows.parquet [--test test.parquet] \\
        --settings '{"sampling": "natural", "rows": 1011}' \\
        --train train.parquet --val val.parquet --card card.json

Chance comes from a hash of (seed, purpose, idx), so a draw doesn't depend on the order of the
rows in the file, nor on a library's random numbers.
"""

import argparse
import dataclasses
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction
from hashlib import sha256 as sha256_of
from pathlib import Path
from typing import Any

from workflow_scripts.data.table import Rows, idx_in, load_rows, write_rows
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import sha256, write_json
from workflow_scripts.text.prompts import TASKS

Chance = Callable[[Hashable], bytes]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How one sample is drawn and split; the config's words.

    `draw` numbers the samples that one seed gives, so that two runs can have different rows.
    """

    sampling: str  # natural: at random; balanced: the same number of each task
    rows: int
    split: str = "row"  # row, group (question or gold SQL kept on one side), database
    validation_share: float = 0.2
    draw: int = 1
    seed: int = 42

    def __post_init__(self) -> None:
        for key, allowed in (
            ("sampling", ("natural", "balanced")),
            ("split", ("row", "group", "database")),
        ):
            if getattr(self, key) not in allowed:
                raise EssenceError(
                    f"{key}: {getattr(self, key)!r} is unknown; use one of: {', '.join(allowed)}"
                )
        if not 0 < self.validation_share < 1:
            raise EssenceError(
                f"validation_share: {self.validation_share} must lie between 0 and 1"
            )
        if self.rows < 2:
            raise EssenceError(f"rows: {self.rows} can't be split in two; give at least 2")

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            keys = ", ".join(field.name for field in dataclasses.fields(cls))
            raise EssenceError(
                f"--settings: {error}; give a JSON object with (some of) {keys}"
            ) from error


def chance(*what: Hashable) -> Chance:
    """A sorting key that puts things in random order, the same order for the same `what`."""
    prefix = "/".join(map(str, what))
    return lambda thing: sha256_of(f"{prefix}/{thing}".encode()).digest()


def draw_test(rows: Rows, per_task: dict[str, int], seed: int) -> set[int]:
    """The idx of the test set: for each task the first n rows, in a random order of the groups.

    Whole groups (see `groups.group_rows`) are thereby set aside: `reserved` gives all rows that
    no sample may use.

    Raises EssenceError when a task has fewer rows than asked for.
    """
    have = Counter(rows.task.values())
    for task, wanted in per_task.items():
        if task not in TASKS:
            raise EssenceError(f"test_set.rows: task {task!r} is unknown; use: {', '.join(TASKS)}")
        if wanted > have[task]:
            raise EssenceError(
                f"test set: {wanted} rows of {task} are wanted, there are {have[task]}; "
                f"lower test_set.rows.{task}"
            )
    order = chance("test", seed)
    chosen: set[int] = set()
    left = dict(per_task)
    for idx in sorted(rows.task, key=lambda idx: (order(rows.group[idx]), order(f"row {idx}"))):
        if left.get(rows.task[idx], 0):
            left[rows.task[idx]] -= 1
            chosen.add(idx)
    return chosen


def reserved(rows: Rows, test: Iterable[int]) -> set[int]:
    """Every row that shares a group with a test row, the test rows included."""
    groups = {rows.group[idx] for idx in test}
    return {idx for idx, group in rows.group.items() if group in groups}


def draw_sample(rows: Rows, kept_back: set[int], settings: Settings) -> set[int]:
    """The idx of one sample. Raises EssenceError when there are too few rows."""
    order = chance("sample", settings.sampling, settings.draw, settings.seed)
    pool = sorted(set(rows.task) - kept_back, key=order)
    if settings.sampling == "natural":
        _enough("rows", len(pool), settings.rows, len(kept_back), "rows")
        return set(pool[: settings.rows])
    tasks = [task for task in TASKS if task in set(rows.task.values())]
    chosen: set[int] = set()
    for place, task in enumerate(tasks):
        wanted = settings.rows // len(tasks) + (place < settings.rows % len(tasks))
        mine = [idx for idx in pool if rows.task[idx] == task]
        _enough(f"rows of {task}", len(mine), wanted, len(kept_back), f"rows (now {settings.rows})")
        chosen.update(mine[:wanted])
    return chosen


def _enough(what: str, have: int, wanted: int, kept_back: int, key: str) -> None:
    if have >= wanted:
        return
    because = f" ({kept_back} rows of all tasks are set aside with the test set)"
    raise EssenceError(
        f"sample: {wanted} {what} are wanted, there are {have}{because if kept_back else ''}; "
        f"lower the run's {key}{', or test_set.rows' if kept_back else ''}, or change its sampling."
    )


def validation_counts(tasks: Counter, share: float) -> dict[str, int]:
    """How many rows of each task are for validation: ceil(share x all), by largest remainder.

    As scikit-learn's stratified `train_test_split` counts: 1,011 rows at 0.2 give 203.
    """
    total = tasks.total()
    wanted = math.ceil(Fraction(str(share)) * total)
    exact = {task: Fraction(wanted * tasks[task], total) for task in TASKS}
    counts = {task: math.floor(value) for task, value in exact.items()}
    by_remainder = sorted(TASKS, key=lambda task: counts[task] - exact[task])
    for task in by_remainder[: wanted - sum(counts.values())]:
        counts[task] += 1
    return counts


def split_sample(rows: Rows, sample: set[int], settings: Settings) -> set[int]:
    """The idx of the validation rows: units in random order, each taken if it brings us nearer.

    A unit is a row, a group or a database. Rows give the wanted counts exactly, larger units as
    nearly as they allow. Raises EssenceError when one unit holds everything.
    """
    unit_of = {"row": lambda idx: idx, "group": rows.group.get, "database": rows.database.get}
    units: defaultdict[Hashable, list[int]] = defaultdict(list)
    for idx in sorted(sample):
        units[unit_of[settings.split](idx)].append(idx)
    if len(units) < 2:
        raise EssenceError(
            f"split: all {len(sample)} rows belong to one {settings.split} ({next(iter(units))}), "
            "so there are no two sides; use split: row, or rows of more databases"
        )
    target = validation_counts(Counter(rows.task[idx] for idx in sample), settings.validation_share)
    taken: Counter = Counter()

    def distance_with(unit: Hashable) -> int:
        counts = taken + Counter(rows.task[idx] for idx in units[unit])
        return sum(abs(target[task] - counts[task]) for task in TASKS)

    order = sorted(units, key=chance("split", settings.draw, settings.seed))
    chosen: list[Hashable] = []
    distance = sum(target.values())
    for unit in order:
        if distance_with(unit) < distance:
            distance = distance_with(unit)
            taken.update(rows.task[idx] for idx in units[unit])
            chosen.append(unit)
    if not chosen:  # every unit is more than twice what was asked for
        chosen = [min(order, key=distance_with)]
    validation = {idx for unit in chosen for idx in units[unit]}
    if validation == sample:
        raise EssenceError("validation_share: no row is left to train on; use a smaller share")
    return validation


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
        **describe(rows, {"test": test, "set_aside": set_aside - test, "rest": rest}),
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
    sample = draw_sample(rows, reserved(rows, test), settings)
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
        "set_aside_with_test": len(reserved(rows, test)),
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


if __name__ == "__main__":
    run_cli(main)
