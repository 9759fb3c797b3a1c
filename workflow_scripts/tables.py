"""The tables that stages exchange: Parquet files whose columns are declared once, here.

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

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import written_whole

TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()

# rows.parquet, and the samples and test rows drawn from it: one row per line of the input. A prompt
# of another task lacks some of the texts. `line` counts from 1, and is the row's number (`idx`)
# where it has none of its own. `source`: "### Input:\n" ... "### Response:\n"; `target`: the
# answer, without "</s>". `database` is missing where the row is not linked; `how` says why, or how
# it was linked, and `candidates` are all databases that the schema allows (data/linking.py).
ROWS = {
    **{"idx": COUNT, "line": COUNT, "task": TEXT, "db_id": TEXT, "question": TEXT},
    **{"evidence": TEXT, "schema": TEXT, "foreign_keys": TEXT},
    **{"old_sql": TEXT, "error": TEXT, "exception_class": TEXT, "gold_sql": TEXT},
    **{"source": TEXT, "target": TEXT},
    **{"database": TEXT, "how": TEXT, "candidates": pa.list_(TEXT)},
}
Row = namedtuple("Row", ROWS, defaults=(None, "none", ()))

LENGTHS = {
    **{"idx": COUNT, "task": TEXT, "source_words": COUNT, "target_words": COUNT},
    **{"source_tokens": COUNT, "target_tokens": COUNT},
}

RUN = {"recipe": TEXT, "run": TEXT, "seed": COUNT}  # a model: one fine-tuning, or one endpoint
ROW = {"split": TEXT, "idx": COUNT, "task": TEXT, "db_id": TEXT, "question": TEXT}

SEEN = "answer_in_training"  # the right answer is, to the letter, also that of a training row

MORE = "*"  # stands for all further columns of a kind
# One answer of a run. `gold_decoded` is what the run's tokenizer can write of `gold`, which the
# notebooks compared with. `cut`: the limit of generated tokens was reached. `input`: equal numbers
# are equal token ids, so equal answers. `reachable`: `gold_decoded` fits into the limit.
PREDICTIONS = {
    **ROW,
    **{"gold": TEXT, "gold_decoded": TEXT, "prediction": TEXT, "prediction_tokens": COUNT},
    **{"cut": FLAG, "input": COUNT, "reachable": FLAG},
}
Prediction = namedtuple("Prediction", PREDICTIONS)
# `verdict` and what follows: what the SQL of the answer did; of a Selector's answer, which is not
# executed, whether it is right.
ANSWERS = {
    **RUN,
    **PREDICTIONS,
    **{"database": TEXT, "how": TEXT, "schema": TEXT},
    **{"gold_sql": TEXT, "predicted_sql": TEXT, "gold_rows": COUNT},
    **{"verdict": TEXT, "error": TEXT, "hardness": TEXT},
    MORE: NUMBER,  # the metrics that metrics/score_runs.py lists
}
# `task`: "all" or one of the tasks. `low` and `high`: the 95% interval over rows, missing where a
# number is counted or comes without rows, such as a loss.
SCORES = {
    **RUN,
    **{"split": TEXT, "task": TEXT, "metric": TEXT},
    **{"value": NUMBER, "low": NUMBER, "high": NUMBER, "n": COUNT},
}
# outcomes.parquet: one row per question that the agents were asked, and setup. `selected`: whether
# the Selector was asked. `right`: 1 for gold's rows, 0 for any others or none, missing where gold
# itself fails.
OUTCOMES = {
    **{"setup": TEXT, "split": TEXT, "idx": COUNT, "db_id": TEXT, "question": TEXT, "gold": TEXT},
    **{"sql": TEXT, "verdict": TEXT, "error": TEXT, "selected": FLAG, "repairs": COUNT},
    **{"right": NUMBER},
}

Columns = dict[str, pa.DataType]
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
