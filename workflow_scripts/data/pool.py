"""The rows that samples are drawn from: what decides about them in memory, the texts on disk."""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workflow_scripts.artifacts.parquet import iter_rows, open_table, write_parquet
from workflow_scripts.artifacts.tables import Row, RowSubject
from workflow_scripts.data.groups import group_rows, text_key
from workflow_scripts.data.linking import Linker, read_schema


@dataclass(frozen=True)
class Pool:
    """What deciding about rows takes; every dict goes from idx to the value.

    `question` and `gold_sql` are keys of the texts (`text_key`), 0 where there is none. `group` is
    named by the smallest idx in it, `database` by its id or, where that isn't known, by its tables.
    `linked` says how the database was found (`data.linking`), None where it was not; `candidates`
    are the databases that the row may then be about, none where nothing is known.
    """

    task: dict[int, str]
    question: dict[int, int]
    gold_sql: dict[int, int]
    group: dict[int, int]
    database: dict[int, str]
    linked: dict[int, str | None]
    candidates: dict[int, tuple[str, ...]]


def load_pool(path: Path | str) -> Pool:
    """Read a rows file, and keep some 600 bytes a row. Raises EssenceError when it isn't one."""
    pool = Pool({}, {}, {}, {}, {}, {}, {})
    linker = Linker(iter_rows(RowSubject, path))
    lists: dict[tuple[str, ...], tuple[str, ...]] = {}  # one object for all rows with the same
    for row in iter_rows(RowSubject, path):
        pool.task[row.idx] = sys.intern(row.task)
        pool.question[row.idx] = text_key(row.question)
        pool.gold_sql[row.idx] = text_key(row.gold_sql)
        link = linker.link(row)
        pool.database[row.idx] = sys.intern(link.db_id or _tables_shown(row.schema))
        pool.linked[row.idx] = link.how if link.db_id else None
        candidates = tuple(link.candidates)
        pool.candidates[row.idx] = lists.setdefault(candidates, candidates)
    del linker  # what it knows of the questions, and the schemas read, are as much as a few columns
    read_schema.cache_clear()
    idx = list(pool.task)
    groups = group_rows(idx, list(pool.question.values()), list(pool.gold_sql.values()))
    pool.group.update(zip(idx, groups, strict=True))
    return pool


def _tables_shown(schema: str) -> str:
    return "tables: " + ", ".join(sorted({table for table, _ in read_schema(schema)[1]}))


def idx_in(path: Path | str) -> set[int]:
    """The idx of all rows of a file."""
    return set(open_table(RowSubject, path).read(columns=["idx"])["idx"].to_pylist())


def copy_rows(path: Path | str, wanted: Collection[int], out: Path | str) -> None:
    """Copy the rows with these idx from `path` to `out`, in the order of idx.

    The long texts are read of those row groups alone that hold one of them.
    """
    file, values = open_table(Row, path), pa.array(sorted(wanted), pa.int64())
    found = [file.schema_arrow.empty_table()]
    for group in range(file.num_row_groups):
        here = pc.is_in(file.read_row_group(group, ["idx"])["idx"], value_set=values)
        if pc.any(here).as_py():
            found.append(file.read_row_group(group).filter(here))
    write_parquet(out, pa.concat_tables(found).sort_by("idx").combine_chunks())
