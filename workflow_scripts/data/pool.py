"""The rows that samples are drawn from, without their long texts, and what a card says of them."""

from collections.abc import Collection, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.schema_names import schema_names
from workflow_scripts.tables import COUNT, ROWS, TEXT, iter_rows, read_table, write_table

POOL = {
    **{"idx": COUNT, "task": TEXT, "question": TEXT, "gold_sql": TEXT, "schema": TEXT},
    **{"database": TEXT, "how": TEXT, "candidates": pa.list_(TEXT)},
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
    pool["database"] = pool.database.fillna(pool.schema[~pool.known].map(tables_shown))
    return pool.drop(columns="schema")


def group_rows(keys: pd.DataFrame) -> pd.Series:
    """The group of each row, named by the smallest label of the index in it.

    Two rows are in one group when they share a value of a column, directly or through other rows;
    an empty text is no value. The order of the rows doesn't matter.
    """
    size = len(keys)  # a graph: the rows, then the values that they are linked through
    rows, values = [], []
    for name in keys:
        codes, texts = pd.factorize(keys[name].where(keys[name] != ""))
        rows.append(np.flatnonzero(codes >= 0))
        values.append(size + codes[codes >= 0])
        size += len(texts)
    ends = np.concatenate(rows), np.concatenate(values)
    graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    return keys.index.to_series().groupby(group[: len(keys)]).transform("min")


def tables_shown(schema: str) -> str:
    return "tables: " + ", ".join(sorted(schema_names(schema)))


def task_counts(rows: pd.DataFrame) -> dict[str, int]:
    return rows.task.value_counts().reindex(list(TASKS), fill_value=0).to_dict()


def copy_rows(path: Path | str, wanted: Collection[int], out: Path | str) -> None:
    """Copy the rows with these idx from `path` to `out`, in the order of idx."""
    wanted = set(wanted)
    rows = [row for row in iter_rows(path) if row.idx in wanted]
    write_table(out, sorted(rows, key=lambda row: row.idx), ROWS)


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
