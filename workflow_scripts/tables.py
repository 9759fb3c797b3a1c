"""The tables that hold what was measured: Parquet files whose columns are declared once, here.

`answers` has one row per answer of a model, with every metric of that answer as a column; a metric
that does not apply to it is missing. `scores` has one row per number.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import written_whole

TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()

RUN = {"recipe": TEXT, "run": TEXT, "seed": COUNT}  # a model: one fine-tuning, or one endpoint
ROW = {"split": TEXT, "idx": COUNT, "task": TEXT, "db_id": TEXT, "question": TEXT}

SEEN = "answer_in_training"  # the right answer is, to the letter, also that of a training row

MORE = "*"  # stands for all further columns of a kind
# `gold_decoded` is what the run's tokenizer can write of `gold`, which the notebooks compared with.
# `cut`: the limit of generated tokens was reached. `input`: equal numbers are equal token ids.
# `reachable`: `gold_decoded` fits into the limit. `verdict` and what follows: what the SQL of the
# answer did; of a Selector's answer, which is not executed, whether it is right.
PREDICTED = {  # predictions.parquet
    **ROW,
    **{"gold": TEXT, "gold_decoded": TEXT, "prediction": TEXT, "prediction_tokens": COUNT},
    **{"cut": FLAG, "input": COUNT, "reachable": FLAG},
}
ANSWERS = {
    **RUN,
    **PREDICTED,
    **{"database": TEXT, "how": TEXT, "schema": TEXT},
    **{"gold_sql": TEXT, "predicted_sql": TEXT, "gold_rows": COUNT},
    **{"verdict": TEXT, "error": TEXT, "hardness": TEXT},
    MORE: NUMBER,  # the metrics that metrics/declared.py lists
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


def clusters_of(answers: pd.DataFrame) -> pd.Series | None:
    """The databases of rows that were drawn as whole databases (`unseen`); None for other rows."""
    if not len(answers) or (answers.split != "unseen").any():
        return None
    databases = answers.db_id
    if "database" in answers:
        databases = answers.database.fillna(databases)
    return databases.fillna("").astype(str)


def read_table(path: Path | str, columns: Columns) -> pd.DataFrame:
    """The declared columns of a file. Raises EssenceError naming the file and the wrong column."""
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise EssenceError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise EssenceError(f"{path}: not a Parquet file that can be read ({error})") from error
    if MORE in columns:
        more = [field.name for field in table.schema if field.type == columns[MORE]]
        columns = {**columns, **dict.fromkeys(more, columns[MORE])}
        del columns[MORE]
    for name, kind in columns.items():
        if name not in table.column_names:
            raise EssenceError(f"{path}: the column {name} is missing; make the file again")
        if (actual := table.schema.field(name).type) != kind:
            raise EssenceError(
                f"{path}: the column {name} holds {actual}, not {kind}; make the file again"
            )
    return table.select(list(columns)).to_pandas(types_mapper={COUNT: pd.Int64Dtype()}.get)


def write_table(path: Path | str, frame: pd.DataFrame, columns: Columns) -> None:
    """Write the declared columns; equal frames give equal bytes. A column it lacks is missing."""
    frame = frame.reindex(columns=list(columns))
    table = pa.Table.from_pandas(frame, schema=pa.schema(columns.items()), preserve_index=False)
    with written_whole(path) as temporary:
        pq.write_table(table.replace_schema_metadata(None), temporary, compression="zstd")


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
