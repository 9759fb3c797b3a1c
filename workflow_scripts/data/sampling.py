"""The rows that samples are drawn from, which of them stay away, and the card of what was drawn.

Chance comes from a hash of (purpose, seed, idx), so a draw doesn't depend on the order of the
rows in the file, nor on a library's random numbers. Rows are named by their idx.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workflow_scripts import files
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.parse import schema_names
from workflow_scripts.tables import COUNT, ROWS, TEXT, read_table, write_table

POOL = {
    **{"idx": COUNT, "task": TEXT, "question": TEXT, "gold_sql": TEXT, "schema": TEXT},
    **{"database": TEXT, "candidates": pa.list_(TEXT)},
}


def load_pool(path: Path | str) -> pd.DataFrame:
    """What deciding about rows takes, by idx; raises EssenceError when the file holds no rows.

    `question` and `gold_sql` are comparable texts, empty where there is none. `group` is named by
    the smallest idx in it. `database` is the one that the row is linked to or, its file being
    another or missing, the only one that it can be about: `known` says whether there is one.
    Otherwise it is named by its tables, and `candidates` are all that it may be about.
    """
    pool = read_table(path, POOL).astype({"idx": "int64"}).set_index("idx")
    for name in ("question", "gold_sql"):
        pool[name] = [comparable_text(text) for text in pool[name].fillna("")]
    pool["group"] = group_rows(pool[["question", "gold_sql"]])
    only = pool.candidates.map(lambda names: names[0] if len(names) == 1 else None)
    pool["database"] = pool.database.fillna(only.astype("str"))
    pool["known"] = pool.database.notna()
    tables = pool.schema[~pool.known].map(lambda text: ", ".join(sorted(schema_names(text))))
    pool["database"] = pool.database.fillna("tables: " + tables.astype("str"))
    return pool.drop(columns="schema")


def group_rows(keys: pd.DataFrame) -> pd.Series:
    """The group of each row, named by the smallest label of the index in it.

    Two rows are in one group when they share a value of a column, directly or through other rows;
    an empty text is no value. The order of the rows doesn't matter.
    """
    group, before = keys.index.to_series(), None
    while not group.equals(before):
        before = group
        for name in keys:
            value = keys[name].where(keys[name] != "", keys.index.to_series())
            group = group.groupby(value, sort=False).transform("min")
    return group


def task_counts(rows: pd.DataFrame) -> dict[str, int]:
    return rows.task.value_counts().reindex(list(TASKS), fill_value=0).to_dict()


def chance(*what: Hashable) -> Callable[[Hashable], bytes]:
    """A sorting key that puts things in random order, the same order for the same `what`."""
    prefix = "/".join(map(str, what))
    return lambda thing: sha256(f"{prefix}/{thing}".encode()).digest()


def set_aside(
    pool: pd.DataFrame, test: Collection[int], unseen_databases: Collection[str]
) -> pd.Series:
    """The rows, besides the test rows, that no sample may use: idx -> the first reason that holds.

    Where databases are to stay unseen, a row whose database is not known is set aside too, unless
    all that it may be about are others. Raises EssenceError when no row is about one of them.
    """
    names = set(unseen_databases)
    known = sorted(set(pool.database[pool.known]))
    if unknown := sorted(names.difference(known)):
        raise EssenceError(
            f"test_set.unseen_databases: no row is about {', '.join(unknown)}; the rows are about "
            f"{', '.join(known) or 'no database that is known by name'}"
        )
    unseen = pool.database.isin(names)
    perhaps = pool.candidates.map(lambda may: not len(may) or not names.isdisjoint(may))
    reasons = {
        "same question or SQL as a test row": pool.group.isin(pool.group[list(test)]),
        "about an unseen database": unseen,
        "same question or SQL as a row about an unseen database": pool.group.isin(
            pool.group[unseen]
        ),
        "perhaps about an unseen database": ~pool.known & perhaps & bool(names),
    }
    why = pd.Series(np.select(list(reasons.values()), list(reasons), ""), pool.index)
    return why[(why != "") & ~why.index.isin(test)]


def publish(
    rows: Path,
    parts: Mapping[str, Collection[int]],
    outs: Mapping[str, Path],
    card: Path,
    pool: pd.DataFrame,
    aside: pd.Series,
    **settings: Any,
) -> dict[str, Any]:
    """Copy the rows of the parts in `outs` to their files, and write and print what was drawn.

    Parts (train, val, test, unseen, rest) are sets of idx. `shared`: how many different questions,
    queries and databases two parts have in common.
    """
    table = read_table(rows, ROWS).sort_values("idx")
    for name, out in outs.items():
        write_table(out, table[table.idx.isin(parts[name])], ROWS)
    of = {name: pool.loc[list(part)] for name, part in parts.items()}
    facts = settings | {
        "tasks": {name: task_counts(part) for name, part in of.items()},
        "rows": {name: len(part) for name, part in of.items()},
        "databases": {name: part.database.nunique() for name, part in of.items()},
        "database_unknown": int((~pool.known).sum()),
        "shared": {
            f"{one}_{other}": {
                column: len((set(of[one][column]) & set(of[other][column])) - {""})
                for column in ("question", "gold_sql", "database")
            }
            for one, other in combinations(of, 2)
        },
        "set_aside": aside.value_counts(sort=False).to_dict(),
        "sha256": {name: files.sha256(file) for name, file in {"input": rows, **outs}.items()},
    }
    files.write_json(card, facts)
    for name, tasks in facts["tasks"].items():
        counts = ", ".join(f"{task} {count}" for task, count in tasks.items())
        print(f"{name}: {facts['rows'][name]} rows ({counts})")
    for reason, count in facts["set_aside"].items():
        print(f"set aside: {count} rows {reason}")
    if facts["database_unknown"]:
        print(f"{facts['database_unknown']} rows have no database that is known by name")
    return facts
