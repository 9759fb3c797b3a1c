"""Section 3.1 of the report: counts, duplicates, empty fields, anomalies and lengths of the rows.

    python -m workflow_scripts.data.profile --rows results/data/rows.parquet \\
        --tokenizer resources/models/standin/tokenizer.json \\
        --profile profile.json --lengths lengths.parquet

All rows are in memory at a time.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from tokenizers import Tokenizer

from workflow_scripts.data.anomalies import KINDS, anomalies_of
from workflow_scripts.data.pool import task_counts
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Input, Output, run_stage
from workflow_scripts.tables import LENGTHS, ROWS, read_rows, write_table

BATCH = 256  # texts encoded at a time: what that needs beside the texts grows with it
EXAMPLES = 5
FENCE = 1.5  # Tukey: beyond the quartiles by 1.5 interquartile ranges is an outlier
# The texts that a row of each task should carry; evidence may well be empty.
PROMPT_TEXTS = ("question", "evidence", "schema", "foreign_keys", "source", "target")
TEXTS = {
    "Selector": ("db_id", *PROMPT_TEXTS),
    "Decomposer": (*PROMPT_TEXTS, "gold_sql"),
    "Refiner": (*PROMPT_TEXTS, "old_sql", "error", "exception_class", "gold_sql"),
}
DUPLICATES = {  # kind -> what is equal, and what that means
    "source": (["source"], "the same prompt as an earlier row"),
    "source and target": (["source", "target"], "the same prompt and answer as an earlier row"),
    "question": (["task", "question"], "the same question as an earlier row of the same task"),
    "gold SQL": (["task", "gold_sql"], "the same gold SQL as an earlier row of the same task"),
}


def read_tokenizer(path: Path) -> Tokenizer:
    """A model's tokenizer.json, its own limits left out. Raises EssenceError without one."""
    if not path.is_file():
        raise EssenceError(
            f"{path}: no such file; set model.base to a folder with a tokenizer.json (a model's "
            "fast tokenizer writes one with save_pretrained)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise EssenceError(f"{path}: no tokenizer that can be read ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count_tokens(texts: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    """Tokens of each text, with the end mark."""
    return [
        len(encoded)
        for start in range(0, len(texts), BATCH)
        for encoded in tokenizer.encode_batch_fast(texts[start : start + BATCH])
    ]


def measure_lengths(rows: pd.DataFrame, tokenizer: Tokenizer) -> pd.DataFrame:
    """The words (what white space separates) and tokens of each row, in the order of idx."""
    lengths = rows[["idx", "task"]].copy()
    for side in ("source", "target"):
        lengths[f"{side}_words"] = [len(text.split()) for text in rows[side]]
        lengths[f"{side}_tokens"] = count_tokens(rows[side].tolist(), tokenizer)
    return lengths.sort_values("idx")[list(LENGTHS)]


def box(values: pd.Series) -> dict[str, Any]:
    """Quartiles (linear), whiskers, and how many points lie beyond them.

    A whisker reaches to the last value within `FENCE` interquartile ranges of its quartile.
    """
    q1, median, q3 = values.quantile([0.25, 0.5, 0.75]).tolist()
    low, high = q1 - FENCE * (q3 - q1), q3 + FENCE * (q3 - q1)
    return {
        **{"n": len(values), "mean": round(float(values.mean()), 3)},
        **{"min": int(values.min()), "max": int(values.max())},
        **{"q1": q1, "median": median, "q3": q3},
        "whisker_low": int(values[values >= low].min()),
        "whisker_high": int(values[values <= high].max()),
        "outliers_low": int((values < low).sum()),
        "outliers_high": int((values > high).sum()),
    }


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
    return {kind: finding(KINDS[kind], table[table.kind == kind]) for kind in KINDS}


def profile_rows(rows: pd.DataFrame, lengths: pd.DataFrame) -> dict[str, Any]:
    """What profile.json says. `empty`: task -> text -> rows in which it is empty."""
    tasks = task_counts(rows)
    compared = rows.assign(
        question=rows.question.map(comparable_text), gold_sql=rows.gold_sql.map(comparable_text)
    )
    several = compared[compared.question != ""].groupby("question").task.nunique()
    texts = rows.set_index("task").map(lambda text: not text or not str(text).strip())
    parts = {"all": lengths} | {task: lengths[lengths.task == task] for task in TASKS}
    return {
        "rows": len(rows),
        "tasks": tasks,
        "shares": {task: round(count / len(rows), 4) for task, count in tasks.items()},
        "duplicates": {kind: find_duplicates(compared, *of) for kind, of in DUPLICATES.items()},
        "questions": {
            "different": len(several),
            "asked_in_several_tasks": int((several > 1).sum()),
        },
        "empty": {
            task: {name: int(texts[name][texts.index == task].sum()) for name in names}
            for task, names in TEXTS.items()
        },
        "anomalies": find_anomalies(rows),
        "lengths": {
            name: {part: box(of_part[name]) for part, of_part in parts.items() if len(of_part)}
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
