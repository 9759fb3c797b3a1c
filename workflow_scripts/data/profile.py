"""Section 3.1 of the report: counts, duplicates, empty fields, anomalies and lengths of the rows.

    python -m workflow_scripts.data.profile --rows results/data/rows.parquet \\
        --tokenizer resources/models/standin/tokenizer.json \\
        --profile profile.json --lengths lengths.parquet

What stays in memory of a row are its question and SQL, and some numbers.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from tokenizers import Tokenizer

from workflow_scripts.artifacts.data import (
    Box,
    Example,
    Finding,
    Profile,
    Questions,
    TokenizerFacts,
)
from workflow_scripts.data.anomalies import KINDS, anomalies_of
from workflow_scripts.data.groups import comparable_text
from workflow_scripts.data.lengths import box, count_tokens, count_words, read_tokenizer
from workflow_scripts.data.sampling import task_counts
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Input, Output, run_stage
from workflow_scripts.tables import LENGTHS, Row, iter_rows, write_table

BATCH = 256  # what encoding needs beside the texts grows with it
EXAMPLES = 5
# The texts that a row of each task should carry; evidence may well be empty.
PROMPT_TEXTS = ("question", "evidence", "schema", "foreign_keys", "source", "target")
TEXTS = {
    "Selector": ("db_id", *PROMPT_TEXTS),
    "Decomposer": (*PROMPT_TEXTS, "gold_sql"),
    "Refiner": (*PROMPT_TEXTS, "old_sql", "error", "exception_class", "gold_sql"),
}
DUPLICATES = {
    "source": "the same prompt as an earlier row",
    "source and target": "the same prompt and answer as an earlier row",
    "question": "the same question as an earlier row of the same task",
    "gold SQL": "the same gold SQL as an earlier row of the same task",
}
EMPTY = {name: f"empty {name}" for of_task in TEXTS.values() for name in of_task}
MEASURES = ("source_words", "target_words", "source_tokens", "target_tokens")


def facts_of(row: Row) -> dict[str, Any]:
    """What is counted of one row: its own keys, those of `DUPLICATES`, `EMPTY` and `KINDS`."""
    facts = {
        "idx": row.idx,
        "line": row.line,
        "task": row.task,
        "source": hash(row.source),
        "source and target": hash((row.source, row.target)),
        "question": comparable_text(row.question) or None,
        "gold SQL": comparable_text(row.gold_sql) or None,
        **{EMPTY[name]: not (getattr(row, name) or "").strip() for name in TEXTS[row.task]},
    }
    for kind, detail in anomalies_of(row):
        facts.setdefault(kind, detail)  # rows are counted, not occurrences
    return facts


def read_facts(path: Path | str, tokenizer: Tokenizer) -> pd.DataFrame:
    """The facts and lengths of each row of a file, in its order."""
    stream, parts = iter_rows(path, batch=BATCH), []
    while batch := list(islice(stream, BATCH)):
        facts = pd.DataFrame(map(facts_of, batch))
        for side in ("source", "target"):
            texts = [getattr(row, side) for row in batch]
            facts[f"{side}_words"] = count_words(texts)
            facts[f"{side}_tokens"] = count_tokens(texts, tokenizer)
        parts.append(facts)
    columns = ["idx", "line", "task", *DUPLICATES, *EMPTY.values(), *KINDS, *MEASURES]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def finding(meaning: str, rows: pd.DataFrame, details: Iterable[str]) -> Finding:
    examples = zip(rows.idx, rows.line, details, strict=True)
    return Finding(
        meaning=meaning,
        rows=len(rows),
        by_task=task_counts(rows),
        examples=[
            Example(idx=idx, line=line, detail=detail)
            for idx, line, detail in islice(examples, EXAMPLES)
        ],
    )


def duplicates(rows: pd.DataFrame, kind: str) -> Finding:
    same = [kind] if kind.startswith("source") else ["task", kind]
    rows = rows[rows[kind].notna()]
    first = rows.groupby(same).idx.transform("first")
    again = rows.duplicated(same)
    return finding(DUPLICATES[kind], rows[again], "as idx " + first[again].astype(str))


def boxes(rows: pd.DataFrame, column: str) -> dict[str, Box]:
    """The box of all rows, and of each task that has rows."""
    parts = {"all": rows} | {task: rows[rows.task == task] for task in TASKS}
    return {part: box(of_part[column]) for part, of_part in parts.items() if len(of_part)}


def profile_rows(rows: Path | str, tokenizer_json: Path) -> tuple[Profile, pd.DataFrame]:
    """Profile a rows file; the lengths come in the order of idx."""
    tokenizer = read_tokenizer(tokenizer_json)
    facts = read_facts(rows, tokenizer)
    asked_in = facts.groupby("question").task.nunique()
    odd = {kind: facts[facts[kind].notna()] for kind in KINDS}
    profile = Profile(
        rows=len(facts),
        tasks=task_counts(facts),
        shares={task: round(rows / len(facts), 4) for task, rows in task_counts(facts).items()},
        duplicates={kind: duplicates(facts, kind) for kind in DUPLICATES},
        questions=Questions(
            different=len(asked_in), asked_in_several_tasks=int((asked_in > 1).sum())
        ),
        empty={
            task: {
                name: int(facts[facts.task == task][EMPTY[name]].eq(True).sum()) for name in names
            }
            for task, names in TEXTS.items()
        },
        anomalies={kind: finding(KINDS[kind], odd[kind], odd[kind][kind]) for kind in KINDS},
        tokenizer=TokenizerFacts(vocabulary=tokenizer.get_vocab_size(), counts_end_mark=True),
        lengths={column: boxes(facts, column) for column in MEASURES},
    )
    return profile, facts.sort_values("idx")[list(LENGTHS)]


def profile_stage(
    rows: Annotated[Path, Input("rows.parquet")],
    tokenizer: Annotated[Path, Input("tokenizer.json of the model")],
    profile: Annotated[Path, Output("profile.json")],
    lengths: Annotated[Path, Output("Parquet: words and tokens of every row, for the box plots")],
) -> None:
    found, counted = profile_rows(rows, tokenizer)
    found.write(profile)
    write_table(lengths, counted, LENGTHS)
    print(f"{found.rows} rows: " + ", ".join(f"{task} {n}" for task, n in found.tasks.items()))
    for name, findings in (("duplicates", found.duplicates), ("anomalies", found.anomalies)):
        counts = [f"{kind} {each.rows}" for kind, each in findings.items() if each.rows]
        print(f"{name}: " + (", ".join(counts) or "none"))


if __name__ == "__main__":
    run_stage(profile_stage)
