"""The cards that go with a test set or a sample: counts, and what the parts share, measured."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from workflow_scripts.data.sampling import task_counts


def describe(pool: pd.DataFrame, parts: Mapping[str, set[int]]) -> dict[str, Any]:
    """What every card says of the rows drawn (part -> idx).

    A part is a set of rows: train, val, test, unseen, or the rest. `database_found` and
    `database_unknown` (rows that may be about any) count rows of the whole input. `shared`: how
    many different questions, queries and databases two parts have in common.
    """
    rows = {name: pool.loc[list(part)] for name, part in parts.items()}
    groups = pool.group.value_counts()
    return {
        "tasks": {name: task_counts(part) for name, part in rows.items()},
        "rows": {name: len(part) for name, part in rows.items()},
        "databases": {name: part.database.nunique() for name, part in rows.items()},
        "database_found": pool.how.value_counts().sort_index().to_dict(),
        "database_unknown": int((~pool.known).sum()),
        "groups": len(groups),
        "largest_group": int(groups.max()),
        "shared": {f"{a}_{b}": shared(rows[a], rows[b]) for a, b in combinations(rows, 2)},
    }


def shared(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, int]:
    columns = {"questions": "question", "gold_sql": "gold_sql", "databases": "database"}
    return {
        name: len((set(one[column]) & set(other[column])) - {""})
        for name, column in columns.items()
    }


def print_counts(card: Mapping[str, Any]) -> None:
    for name, tasks in card["tasks"].items():
        counts = ", ".join(f"{task} {count}" for task, count in tasks.items())
        print(f"{name}: {card['rows'][name]} rows ({counts})")
    for reason, rows in card["set_aside"].items():
        if rows:
            print(f"set aside: {rows} rows {reason}")
    if card["database_unknown"]:
        print(f"{card['database_unknown']} rows have no database that is known by name")
