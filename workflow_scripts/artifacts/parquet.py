"""Tables that stages exchange: a dataclass declares the columns, a Parquet file holds them."""

import functools
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import written_whole

Row = TypeVar("Row")
ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@functools.cache
def schema_of(shape: type) -> pa.Schema:
    """The columns of a dataclass of texts, numbers, truth values and lists of them."""
    return pa.schema([pa.field(name, _arrow(kind)) for name, kind in get_type_hints(shape).items()])


def _arrow(kind: Any) -> pa.DataType:
    if isinstance(kind, types.UnionType):  # X | None: every column may hold nulls
        kind = next(each for each in get_args(kind) if each is not types.NoneType)
    if get_origin(kind) is list:
        return pa.list_(_arrow(get_args(kind)[0]))
    return ARROW[kind]


def open_table(shape: type, path: Path | str) -> pq.ParquetFile:
    """The file, once its columns are checked against the shape.

    Raises EssenceError naming the file and the column that is missing or of another type.
    """
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise EssenceError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise EssenceError(f"{path}: not a Parquet file that can be read ({error})") from error
    for field in schema_of(shape):
        place = file.schema_arrow.get_field_index(field.name)
        if place < 0:
            raise EssenceError(f"{path}: the column {field.name} is missing; make the file again")
        found = file.schema_arrow.field(place).type
        if found != field.type:
            raise EssenceError(
                f"{path}: the column {field.name} holds {found}, not {field.type}; make it again"
            )
    return file


def iter_rows(shape: type[Row], path: Path | str, batch: int = 1024) -> Iterator[Row]:
    """The rows of a file, a batch in memory at a time; raises as `open_table` does."""
    names = schema_of(shape).names
    with open_table(shape, path) as file:
        for part in file.iter_batches(batch, columns=names):
            columns = (part.column(name).to_pylist() for name in names)
            yield from (shape(*values) for values in zip(*columns, strict=True))


def read_rows(shape: type[Row], path: Path | str) -> list[Row]:
    return list(iter_rows(shape, path))


def table_of(shape: type, rows: Sequence[Any]) -> pa.Table:
    """Rows (dataclasses of the shape) as an Arrow table."""
    schema = schema_of(shape)
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
    return pa.table(columns, schema=schema)


def write_parquet(path: Path | str, table: pa.Table) -> None:
    """Write one Parquet file; the same table gives the same bytes (no time stamps, no index)."""
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary, compression="zstd")


def write_rows(path: Path | str, shape: type, rows: Sequence[Any]) -> None:
    write_parquet(path, table_of(shape, rows))
