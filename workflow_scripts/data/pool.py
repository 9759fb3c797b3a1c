"""The rows that samples are drawn from: what decides about them in memory, the texts on disk."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflow_scripts.data.groups import comparable_text
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


def copy_rows(path: Path | str, wanted: Collection[int], out: Path | str) -> None:
    """Copy the rows with these idx from `path` to `out`, in the order of idx."""
    wanted = set(wanted)
    rows = [row for row in iter_rows(path) if row.idx in wanted]
    write_table(out, sorted(rows, key=lambda row: row.idx), ROWS)
