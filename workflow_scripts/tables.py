"""The tables that stages exchange: Parquet files whose columns are declared in columns.yaml.

`answers` has one row per answer of a model, with every metric as a column; one that does not apply
is missing. `scores` has one row per number.
"""

from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import written_whole

Columns = dict[str, pa.DataType]
USES_FILES = ["columns.yaml"]
TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
KINDS = {"text": TEXT, "count": COUNT, "number": NUMBER, "flag": FLAG, "texts": pa.list_(TEXT)}
DECLARED: dict[str, Columns] = {
    name: {column: KINDS[kind] for column, kind in columns.items()}
    for name, columns in yaml.safe_load(
        Path(__file__).with_name("columns.yaml").read_text(encoding="utf-8")
    ).items()
}
SEEN = "answer_in_training"  # the right answer is, to the letter, also that of a training row
MORE = "*"  # stands for all further columns of a kind
ROWS, LENGTHS, RUN, PREDICTIONS = map(DECLARED.get, ("rows", "lengths", "run", "predictions"))
ANSWERS = {**RUN, **PREDICTIONS, **DECLARED["answers"], MORE: NUMBER}
SCORES, OUTCOMES = RUN | DECLARED["scores"], DECLARED["outcomes"]
Row = namedtuple("Row", ROWS, defaults=(None, "none", ()))
Prediction = namedtuple("Prediction", PREDICTIONS)
ROW_GROUP = 1024  # rows in memory at a time, where a table is read in parts


def clusters_of(answers: pd.DataFrame) -> pd.Series | None:
    """The databases of rows that were drawn as whole databases; None for other rows."""
    if not len(answers) or not answers.split.isin(("unseen", "other")).all():
        return None
    databases = answers.get("database", answers.db_id).fillna(answers.db_id)
    return databases.fillna("").astype(str)


def open_table(path: Path | str, columns: Columns) -> tuple[pq.ParquetFile, list[str]]:
    """Open a file; return it with its checked columns' names. Raises EssenceError."""
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise EssenceError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise EssenceError(f"{path}: not a Parquet file that can be read ({error})") from error
    kinds = {field.name: field.type for field in file.schema_arrow}
    declared = {name: kind for name, kind in columns.items() if name != MORE}
    for name, kind in declared.items():
        if (actual := kinds.get(name)) != kind:
            wrong = f"holds {actual}, not {kind}" if actual else "is missing"
            raise EssenceError(f"{path}: the column {name} {wrong}; make the file again")
    more = [name for name in kinds if name not in declared and kinds[name] == columns.get(MORE)]
    return file, [*declared, *more]


def read_table(path: Path | str, columns: Columns) -> pd.DataFrame:
    """Read the declared columns of a file. Raises EssenceError naming it and the wrong column."""
    file, names = open_table(path, columns)
    with file:
        table = file.read(columns=names).select(names)
    return table.to_pandas(types_mapper={COUNT: pd.Int64Dtype()}.get)


def iter_rows(path: Path | str, columns: Columns = ROWS) -> Iterator[Any]:
    """Yield the rows of a file as named tuples, None where a value is missing, read in parts."""
    file, names = open_table(path, columns)
    shape = namedtuple("Row", names)
    with file:
        for part in file.iter_batches(ROW_GROUP, columns=names):
            yield from map(shape, *(part.column(name).to_pylist() for name in names))


def read_rows(path: Path | str, columns: Columns = ROWS) -> list[Any]:
    return list(iter_rows(path, columns))


def write_table(path: Path | str, rows: pd.DataFrame | Iterable[Any], columns: Columns) -> None:
    """Write the declared columns of a frame or of rows; equal rows give equal bytes."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
    frame = frame.reindex(columns=list(columns))
    frame = frame if len(frame) else frame.astype(object)  # no rows, no types
    table = pa.Table.from_pandas(frame, schema=pa.schema(columns.items()), preserve_index=False)
    with written_whole(path) as temporary:
        table = table.replace_schema_metadata(None)
        pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP)


def write_csv(path: Path | str, frame: pd.DataFrame) -> None:
    """A table for people, and for stages that read it again; twelve digits of a number."""
    with written_whole(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.12g", lineterminator="\n")


def read_csv(path: Path | str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A table that `write_csv` wrote. Raises EssenceError naming the file and a missing column."""
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError as error:
        raise EssenceError(f"{path}: no such file") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise EssenceError(f"{path}: not a CSV file that can be read ({error})") from error
    if missing := [name for name in columns if name not in frame]:
        raise EssenceError(f"{path}: the column {missing[0]} is missing; make the file again")
    return frame
