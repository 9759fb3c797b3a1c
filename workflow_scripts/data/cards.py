"""The cards that go with a test set or a sample: counts, and what the parts share, measured."""

from collections import Counter
from collections.abc import Hashable
from typing import Any

from workflow_scripts.artifacts.data import Card, Shared
from workflow_scripts.data.linking import QUESTION, SCHEMA, STATED
from workflow_scripts.data.pool import Pool
from workflow_scripts.formats.prompts import TASKS

DATABASE_FOUND = {
    STATED: "stated in the prompt",
    QUESTION: "same question as a row that states it",
    SCHEMA: "schema is part of one stated database only",
    None: "not placed: grouped by its table names",
}


def describe(pool: Pool, parts: dict[str, set[int]]) -> dict[str, Any]:
    """The keys of every `Card` that follow from the rows drawn; part -> idx comes in."""
    pairs = [(one, two) for place, one in enumerate(parts) for two in list(parts)[place + 1 :]]
    ways, groups = Counter(pool.linked.values()), Counter(pool.group.values())
    return {
        "tasks": {
            name: {task: sum(pool.task[idx] == task for idx in part) for task in TASKS}
            for name, part in parts.items()
        },
        "rows": {name: len(part) for name, part in parts.items()},
        "databases": {name: len({pool.database[i] for i in part}) for name, part in parts.items()},
        "database_found": {words: ways[way] for way, words in DATABASE_FOUND.items()},
        "groups": len(groups),
        "largest_group": max(groups.values()),
        "shared": {f"{one}_{two}": shared(pool, parts[one], parts[two]) for one, two in pairs},
    }


def shared(pool: Pool, one: set[int], other: set[int]) -> Shared:
    few, many = sorted((one, other), key=len)

    def common(column: dict[int, Hashable]) -> int:
        known = {column[idx] for idx in few} - {0}
        return len({column[idx] for idx in many if column[idx] in known})

    return Shared(
        questions=common(pool.question),
        gold_sql=common(pool.gold_sql),
        databases=common(pool.database),
    )


def print_counts(card: Card) -> None:
    for name, tasks in card.tasks.items():
        counts = ", ".join(f"{task} {count}" for task, count in tasks.items())
        print(f"{name}: {card.rows[name]} rows ({counts})")
    for reason, rows in card.set_aside.items():
        if rows:
            print(f"set aside: {rows} rows {reason}")
    if lost := card.database_found[DATABASE_FOUND[None]]:
        print(f"{lost} rows have no database that could be found")
