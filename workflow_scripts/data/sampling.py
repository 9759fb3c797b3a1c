"""The rows that samples are drawn from, which of them to draw, and the card that says what was.

Chance comes from a hash of (purpose, seed, idx), so a draw doesn't depend on the order of the
rows in the file, nor on a library's random numbers. Rows are named by their idx.
"""

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from fractions import Fraction
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workflow_scripts import files
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.samples import SampleSettings
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.parse import schema_names
from workflow_scripts.tables import COUNT, ROWS, TEXT, iter_rows, read_table, write_table

POOL = {
    **{"idx": COUNT, "task": TEXT, "question": TEXT, "gold_sql": TEXT, "schema": TEXT},
    **{"database": TEXT, "candidates": pa.list_(TEXT)},
}
# Share of the rows wanted that a sample may lack. One row in a hundred may be unreadable
# (data.max_quarantine); where all of these are Refiner rows, that is a tenth of them.
MAY_BE_MISSING = Fraction(1, 10)
ALL_TASKS = "all tasks"


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


def choose_test(
    pool: pd.DataFrame, per_task: Mapping[str, int], seed: int, kept_back: Collection[int] = ()
) -> pd.Index:
    """The test set: n rows of each task, in a random order of the groups that `set_aside` keeps
    whole.

    A task of which 0 rows are wanted keeps all of its rows for training: groups that hold one are
    passed over. Raises EssenceError when a task has fewer rows than asked for.
    """
    spared = [task for task, wanted in per_task.items() if wanted == 0]
    passed_over = pool.group[pool.task.isin(spared)]
    free = pool[~pool.index.isin(kept_back) & ~pool.group.isin(passed_over)]
    for task, wanted in per_task.items():
        if (there := (free.task == task).sum()) < wanted:
            apart = f" that share no question or SQL with one of {spared[0]}" if spared else ""
            raise EssenceError(
                f"test set: {wanted} rows of {task} are wanted, there are {there}{apart}; "
                f"lower test_set.rows.{task}"
            )
    return first_of_each_task(free, per_task, seed)


def first_of_each_task(rows: pd.DataFrame, per_task: Mapping[str, int], seed: int) -> pd.Index:
    """For each task the first n rows, or all, in a random order of the groups."""
    order = chance("test", seed)
    place = [order(group) + order(f"row {idx}") for idx, group in rows.group.items()]
    rows = rows.assign(place=place).sort_values("place")
    wanted = pd.Series(per_task).reindex(rows.task, fill_value=0).to_numpy()
    return rows.index[rows.groupby("task").cumcount() < wanted]


def choose_sample(
    pool: pd.DataFrame, kept_back: Collection[int], settings: SampleSettings
) -> tuple[pd.Index, dict[str, int]]:
    """One sample, and what it lacks of the rows wanted: of each task of a balanced one, or of all.

    Raises EssenceError when it lacks more than `MAY_BE_MISSING` of them.
    """
    order = chance("sample", settings.sampling, settings.draw, settings.seed)
    kinds = pool.task if settings.sampling == "balanced" else pd.Series(ALL_TASKS, pool.index)
    free = kinds[~pool.index.isin(kept_back)]
    present = [kind for kind in (*TASKS, ALL_TASKS) if (kinds == kind).any()]
    each, rest = divmod(settings.rows, len(present))
    chosen, missing = [], {}
    for place, kind in enumerate(present):
        wanted, there = each + (place < rest), free.index[free == kind]
        chosen += sorted(there, key=order)[:wanted]
        if len(there) < wanted * (1 - MAY_BE_MISSING):
            aside = f" ({len(kept_back)} rows of all tasks are set aside with the test set)"
            raise EssenceError(
                f"sample: {wanted} rows of {kind} are wanted, there are {len(there)}"
                f"{aside if len(kept_back) else ''}; lower the run's rows (now {settings.rows}) or "
                "test_set.rows, or change its sampling."
            )
        if len(there) < wanted:
            missing[kind] = wanted - len(there)
    return pd.Index(chosen), missing


def validation_counts(tasks: Mapping[str, int], share: float) -> dict[str, int]:
    """How many rows of each task are for validation: ceil(share x all), by largest remainder.

    As scikit-learn's stratified `train_test_split` counts: 1,011 rows at 0.2 give 203.
    """
    total = sum(tasks.values())
    wanted = math.ceil(Fraction(str(share)) * total)
    exact = {task: divmod(wanted * rows, total) for task, rows in tasks.items()}
    lacking = wanted - sum(whole for whole, _ in exact.values())
    rounded_up = sorted(exact, key=lambda task: -exact[task][1])[:lacking]
    return {task: whole + (task in rounded_up) for task, (whole, _) in exact.items()}


def choose_validation(
    pool: pd.DataFrame, sample: Iterable[int], settings: SampleSettings
) -> pd.Index:
    """The validation rows.

    A unit (a row, a group or a database, as `settings.split` says) stays on one side. Units are
    tried in random order and taken where that brings the counts nearer to the wanted ones; rows
    reach them exactly. Raises EssenceError when no row is left to train on.
    """
    rows = pool.loc[sorted(sample)]
    unit = rows[settings.split] if settings.split != "row" else rows.index.to_series()
    order = sorted(unit.unique(), key=chance("split", settings.draw, settings.seed))
    counts = pd.crosstab(unit, rows.task).reindex(order, columns=list(TASKS), fill_value=0)
    missing = pd.Series(validation_counts(task_counts(rows), settings.validation_share)).to_numpy()
    chosen = []
    for name, count in zip(order, counts.to_numpy(), strict=True):
        if abs(missing - count).sum() < abs(missing).sum():
            missing = missing - count
            chosen.append(name)
    if not chosen:  # every unit is more than twice what was asked for
        chosen = [(counts - missing).abs().sum(axis=1).idxmin()]
    validation = rows.index[unit.isin(chosen)]
    if len(validation) == len(rows):
        raise EssenceError(
            f"validation_share: of {len(rows)} rows no row is left to train on; use a smaller "
            f"share, or split: row where all are of one {settings.split}"
        )
    return validation


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
    for name, out in outs.items():
        wanted = set(parts[name])
        copied = [row for row in iter_rows(rows) if row.idx in wanted]
        write_table(out, sorted(copied, key=lambda row: row.idx), ROWS)
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
