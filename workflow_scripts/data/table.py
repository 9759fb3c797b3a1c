"""rows.parquet as the sampler needs it: the short columns in memory, the long texts on disk."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.data.databases import Linker
from workflow_scripts.data.groups import group_rows, normalised
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_parquet

COLUMNS = ["idx", "task", "db_id", "question", "gold_sql", "schema"]


@dataclass(frozen=True)
class Rows:
    """What deciding about rows takes; every dict goes from idx to the value.

    `question` and `gold_sql` are normalised for comparing, "" where there is none. `group` is
    named by the smallest idx in it, `database` by its id or, where that isn't known, by its
    tables; `database_found` counts the ways in which databases were found.
    """

    task: dict[int, str]
    question: dict[int, str]
    gold_sql: dict[int, str]
    group: dict[int, int]
    database: dict[int, str]
    database_found: dict[str, int]


def load_rows(path: Path | str) -> Rows:
    """Read the short columns of a rows file. Raises EssenceError when it isn't one."""
    linker = Linker()
    columns: dict[str, list] = {name: [] for name in ("idx", "task", "question", "gold_sql")}
    for batch in open_rows(path).iter_batches(columns=COLUMNS):
        rows = batch.to_pydict()
        for name, values in columns.items():
            values.extend(rows[name])
        for each in zip(rows["db_id"], rows["question"], rows["schema"], strict=True):
            linker.add(*each)
    databases, found = linker.keys()
    idx = columns["idx"]
    groups = group_rows(idx, columns["question"], columns["gold_sql"])

    def by_idx(values: list) -> dict:
        return dict(zip(idx, values, strict=True))

    return Rows(
        task=by_idx(columns["task"]),
        question=by_idx([normalised(text) for text in columns["question"]]),
        gold_sql=by_idx([normalised(text) for text in columns["gold_sql"]]),
        group=by_idx(groups),
        database=by_idx(databases),
        database_found=found,
    )


def idx_in(path: Path | str) -> set[int]:
    """The idx of all rows of a file."""
    return set(open_rows(path).read(columns=["idx"])["idx"].to_pylist())


def write_rows(path: Path | str, wanted: Collection[int], out: Path | str) -> None:
    """Copy the rows with these idx from `path` to `out`, in the order of idx."""
    values = pa.array(sorted(wanted), pa.int64())
    batches = (
        batch.filter(pc.is_in(batch["idx"], value_set=values))
        for batch in open_rows(path).iter_batches()
    )
    schema = open_rows(path).schema_arrow
    write_parquet(out, pa.Table.from_batches(batches, schema).sort_by("idx").combine_chunks())


def open_rows(path: Path | str) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise EssenceError(f"{path}: no Parquet file that can be read ({error})") from error
    missing = set(COLUMNS) - set(file.schema_arrow.names)
    if missing:
        raise EssenceError(
            f"{path}: the columns {', '.join(sorted(missing))} are missing; make the file with "
            "workflow_scripts.data.read"
        )
    return file
