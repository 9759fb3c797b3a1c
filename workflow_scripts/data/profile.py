"""Section 3.1 of the report: counts, duplicates, empty fields, anomalies and lengths of the rows.

    python -m workflow_scripts.data.profile --rows results/data/rows.parquet \\
        --tokenizer resources/models/standin/tokenizer.json \\
        --profile profile.json --lengths lengths.parquet

All rows are in memory at a time.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from tokenizers import Tokenizer

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.sampling import task_counts
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_json
from workflow_scripts.formats.answers import parse_selector
from workflow_scripts.formats.schema import fold_name
from workflow_scripts.sql.parse import names_in, schema_names
from workflow_scripts.stage import Input, Output, run_stage
from workflow_scripts.tables import LENGTHS, ROWS, Row, read_rows, write_table

EXAMPLES = 5
USES_FILES = ["profile.yaml"]
CHECKS = yaml.safe_load(Path(__file__).with_name("profile.yaml").read_text(encoding="utf-8"))
ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\ufeff]")


def read_tokenizer(path: Path) -> Tokenizer:
    """A model's tokenizer.json, its own limits left out. Raises EssenceError without one."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise EssenceError(
            f"{path}: no tokenizer that can be read ({error}); set model.base to a folder with a "
            "tokenizer.json (a model's fast tokenizer writes one with save_pretrained)"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def measure_lengths(rows: pd.DataFrame, tokenizer: Tokenizer) -> pd.DataFrame:
    """The words (what white space separates) and tokens of each row, in the order of idx."""
    lengths = rows[["idx", "task"]].copy()
    for side in ("source", "target"):
        lengths[f"{side}_words"] = [len(text.split()) for text in rows[side]]
        lengths[f"{side}_tokens"] = [len(tokenizer.encode(text)) for text in rows[side]]
    return lengths.sort_values("idx")[list(LENGTHS)]


def finding(meaning: str, rows: pd.DataFrame) -> dict[str, Any]:
    """How many rows have something (each has a `detail`), and the first few of them."""
    examples = rows[["idx", "line", "detail"]].head(EXAMPLES).to_dict("records")
    by_task = task_counts(rows)
    return {"meaning": meaning, "rows": len(rows), "by_task": by_task, "examples": examples}


def find_duplicates(rows: pd.DataFrame, equal: list[str], meaning: str) -> dict[str, Any]:
    rows = rows[rows[equal[-1]] != ""]
    first = rows.groupby(equal).idx.transform("first")
    again = rows.assign(detail="as idx " + first.astype(str))[rows.duplicated(equal)]
    return finding(meaning, again)


def find_anomalies(rows: pd.DataFrame) -> dict[str, Any]:
    odd = [
        (row.idx, row.line, row.task, kind, detail)
        for row in rows.itertuples()
        for kind, detail in anomalies_of(row)
    ]
    table = pd.DataFrame(odd, columns=["idx", "line", "task", "kind", "detail"])
    table = table.drop_duplicates(["idx", "kind"])  # rows are counted, not occurrences
    return {
        kind: finding(text, table[table.kind == kind]) for kind, text in CHECKS["anomalies"].items()
    }


def anomalies_of(row: Row) -> Iterator[tuple[str, str]]:
    """Yield (kind of anomaly, detail) for all that is odd about a row."""
    if not row.question.strip():
        yield "blank question", ""
    yield from _in_selection(row) if row.task == "Selector" else _in_sql(row)
    end = row.target.rstrip()
    if not end.endswith(tuple(CHECKS["ends"][row.task])):
        yield "unusual end", f"...{end[-40:]!r}"
    for name in ("source", "target"):
        if odd := sorted({f"U+{ord(sign):04X}" for sign in ODD.findall(getattr(row, name))}):
            yield "odd character", f"{', '.join(odd)} in {name}"


def _in_selection(row: Row) -> Iterator[tuple[str, str]]:
    selection, tables = parse_selector(row.target), schema_names(row.schema)
    for table, kept in selection.items():
        if fold_name(table) not in tables:
            yield "unknown table", table
            continue
        for column in kept if isinstance(kept, list) else ():
            if fold_name(column) not in tables[fold_name(table)]:
                yield "unknown column", f"{table}.{column}"
    if all(kept == "drop_all" for kept in selection.values()):
        yield "nothing kept", ""


def _in_sql(row: Row) -> Iterator[tuple[str, str]]:
    if row.old_sql and row.old_sql.split() == row.gold_sql.split():
        yield "unchanged SQL", row.gold_sql[:80]
    names = names_in(row.gold_sql)
    if names is None:
        yield "SQL not parsed", row.gold_sql[:80]
        return
    for table in sorted(names.tables - set(schema_names(row.schema)) - {"sqlite_master"}):
        yield "unknown table", table


def profile_rows(rows: pd.DataFrame, lengths: pd.DataFrame) -> dict[str, Any]:
    """What profile.json says. `empty`: task -> text -> rows in which it is empty."""
    tasks = task_counts(rows)
    compared = rows.assign(
        question=rows.question.map(comparable_text), gold_sql=rows.gold_sql.map(comparable_text)
    )
    several = compared[compared.question != ""].groupby("question").task.nunique()
    blank = rows.set_index("task").map(lambda text: not text or not str(text).strip())
    parts = pd.concat([lengths, lengths.assign(task="all")]).groupby("task")
    return {
        "rows": len(rows),
        "tasks": tasks,
        "shares": {task: round(count / len(rows), 4) for task, count in tasks.items()},
        "duplicates": {
            kind: find_duplicates(compared, **of) for kind, of in CHECKS["duplicates"].items()
        },
        "questions": {"different": len(several), "asked_in_several_tasks": sum(several > 1)},
        "empty": {
            task: blank.loc[blank.index == task, names].sum().to_dict()
            for task, names in CHECKS["texts"].items()
        },
        "anomalies": find_anomalies(rows),
        "lengths": {
            name: parts[name].describe().drop(columns="std").round(3).to_dict("index")
            for name in LENGTHS
            if name not in ("idx", "task")
        },
    }


def profile_stage(
    rows: Annotated[Path, Input("rows.parquet")],
    tokenizer: Annotated[Path, Input("tokenizer.json of the model")],
    profile: Annotated[Path, Output("profile.json")],
    lengths: Annotated[Path, Output("Parquet: words and tokens of every row, for the box plots")],
) -> None:
    encoder = read_tokenizer(tokenizer)
    frame = pd.DataFrame(read_rows(rows), columns=list(ROWS), dtype=object)
    frame = frame.astype({"idx": int, "line": int})
    measured = measure_lengths(frame, encoder)
    facts = profile_rows(frame, measured)
    facts["tokenizer"] = {"vocabulary": encoder.get_vocab_size(), "counts_end_mark": True}
    write_json(profile, facts)
    write_table(lengths, measured, LENGTHS)
    print(f"{len(frame)} rows: " + ", ".join(f"{task} {n}" for task, n in facts["tasks"].items()))
    for name in ("duplicates", "anomalies"):
        counts = [f"{kind} {each['rows']}" for kind, each in facts[name].items() if each["rows"]]
        print(f"{name}: " + (", ".join(counts) or "none"))


if __name__ == "__main__":
    run_stage(profile_stage)
