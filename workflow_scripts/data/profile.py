"""Section 3.1 of the report: counts, duplicates, empty fields, anomalies and lengths of the rows.

    python -m workflow_scripts.data.profile --rows results/data/rows.parquet \\
        --tokenizer resources/models/standin/tokenizer.json \\
        --profile profile.json --lengths lengths.parquet
"""

import itertools
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from workflow_scripts.artifacts.data import (
    Box,
    Example,
    Finding,
    Profile,
    Questions,
    TokenizerFacts,
)
from workflow_scripts.artifacts.parquet import iter_rows, table_of, write_parquet
from workflow_scripts.artifacts.tables import Lengths, Row
from workflow_scripts.data.anomalies import KINDS, anomalies_of
from workflow_scripts.data.groups import comparable_text, digest64
from workflow_scripts.data.lengths import TokenCounter, box, count_words, read_tokenizer
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Input, Output, run_stage

BATCH = 256
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


class Findings:
    """Counts by kind and task, with the first few examples of each kind."""

    def __init__(self, meanings: dict[str, str]):
        self.meanings = meanings
        self.counts = {kind: Counter() for kind in meanings}
        self.examples: defaultdict[str, list[Example]] = defaultdict(list)

    def add(self, kind: str, task: str, idx: int, line: int, detail: str) -> None:
        self.counts[kind][task] += 1
        if len(self.examples[kind]) < EXAMPLES:
            self.examples[kind].append(Example(idx=idx, line=line, detail=detail))

    def report(self) -> dict[str, Finding]:
        return {
            kind: Finding(
                meaning=meaning,
                rows=self.counts[kind].total(),
                by_task={task: self.counts[kind][task] for task in TASKS},
                examples=self.examples[kind],
            )
            for kind, meaning in self.meanings.items()
        }


class Profiler:
    """Takes the rows one by one; of their texts only digests stay in memory, 8 bytes each."""

    def __init__(self) -> None:
        self.tasks: Counter = Counter()
        self.empty = {task: Counter() for task in TASKS}
        self.anomalies = Findings(KINDS)
        self._idx, self._line, self._task = array("q"), array("q"), array("b")
        self._texts = {kind: array("Q") for kind in (*DUPLICATES, "asked")}  # 0: no text

    def add(self, row: Row) -> None:
        self.tasks[row.task] += 1
        for name in TEXTS[row.task]:
            self.empty[row.task][name] += not (getattr(row, name) or "").strip()
        for kind, detail in _first_of_each(anomalies_of(row)).items():
            self.anomalies.add(kind, row.task, row.idx, row.line, detail)
        self._idx.append(row.idx)
        self._line.append(row.line)
        self._task.append(TASKS.index(row.task))
        question, sql = comparable_text(row.question), comparable_text(row.gold_sql)
        for kind, what in (
            ("source", [row.source]),
            ("source and target", [row.source, row.target]),
            ("question", [row.task, question] if question else None),
            ("gold SQL", [row.task, sql] if sql else None),
            ("asked", [question] if question else None),
        ):
            self._texts[kind].append(digest64("\0".join(what).encode()) if what else 0)

    def duplicates(self) -> dict[str, Finding]:
        found = Findings(DUPLICATES)
        for kind in DUPLICATES:
            texts = np.asarray(self._texts[kind])
            _, first, text_of = np.unique(texts, return_index=True, return_inverse=True)
            earlier = first[text_of]
            for place in np.flatnonzero((earlier != np.arange(len(texts))) & (texts != 0)):
                detail = f"as idx {self._idx[earlier[place]]}"
                task = TASKS[self._task[place]]
                found.add(kind, task, self._idx[place], self._line[place], detail)
        return found.report()

    def questions(self) -> Questions:
        texts, tasks = np.asarray(self._texts["asked"]), np.asarray(self._task)
        of_task = (texts[(tasks == place) & (texts != 0)] for place in range(len(TASKS)))
        asked = np.concatenate([np.unique(each) for each in of_task])
        _, tasks_of = np.unique(asked, return_counts=True)
        return Questions(different=len(tasks_of), asked_in_several_tasks=int((tasks_of > 1).sum()))

    def report(self, tokenizer: Tokenizer, lengths: pa.Table) -> Profile:
        total = self.tasks.total()
        return Profile(
            rows=total,
            tasks={task: self.tasks[task] for task in TASKS},
            shares={task: round(self.tasks[task] / max(total, 1), 4) for task in TASKS},
            duplicates=self.duplicates(),
            questions=self.questions(),
            empty={task: {name: self.empty[task][name] for name in TEXTS[task]} for task in TASKS},
            anomalies=self.anomalies.report(),
            tokenizer=TokenizerFacts(vocabulary=tokenizer.get_vocab_size(), counts_end_mark=True),
            lengths={
                column: boxes(lengths, column)
                for column in ("source_words", "target_words", "source_tokens", "target_tokens")
            },
        )


def _first_of_each(findings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Kind -> the first detail: rows are counted, not occurrences."""
    first: dict[str, str] = {}
    for kind, detail in findings:
        first.setdefault(kind, detail)
    return first


def boxes(lengths: pa.Table, column: str) -> dict[str, Box]:
    """The box of all rows, and of each task that has rows."""
    values, tasks = lengths[column].to_numpy(), lengths["task"].to_numpy()
    parts = {"all": values} | {task: values[tasks == task] for task in TASKS}
    return {part: box(of_part) for part, of_part in parts.items() if len(of_part)}


def lengths_of(rows: list[Row], counter: TokenCounter, end_mark: int) -> pa.Table:
    """The table of `Lengths`; `end_mark` is the number of tokens that close a text."""
    sources, targets = [row.source for row in rows], [row.target for row in rows]
    counted = zip(
        count_words(sources),
        count_words(targets),
        (tokens + end_mark for tokens in counter.count(sources)),
        (tokens + end_mark for tokens in counter.count(targets)),
        strict=True,
    )
    lengths = [Lengths(row.idx, row.task, *each) for row, each in zip(rows, counted, strict=True)]
    return table_of(Lengths, lengths)


def profile_rows(rows: Path | str, tokenizer_json: Path) -> tuple[Profile, pa.Table]:
    """Profile a rows file, batch by batch; the table of `Lengths` comes in the order of idx."""
    tokenizer, profiler, lengths = read_tokenizer(tokenizer_json), Profiler(), []
    counter, stream = TokenCounter(tokenizer), iter_rows(Row, rows, BATCH)
    end_mark = tokenizer.num_special_tokens_to_add(is_pair=False)
    while batch := list(itertools.islice(stream, BATCH)):
        for row in batch:
            profiler.add(row)
        lengths.append(lengths_of(batch, counter, end_mark))
    table = pa.concat_tables(lengths or [table_of(Lengths, [])]).sort_by("idx").combine_chunks()
    return profiler.report(tokenizer, table), table


def profile_stage(
    rows: Annotated[Path, Input("rows.parquet")],
    tokenizer: Annotated[Path, Input("tokenizer.json of the model")],
    profile: Annotated[Path, Output("profile.json")],
    lengths: Annotated[Path, Output("Parquet: words and tokens of every row, for the box plots")],
) -> None:
    found, counted = profile_rows(rows, tokenizer)
    found.write(profile)
    write_parquet(lengths, counted)
    print(f"{found.rows} rows: " + ", ".join(f"{task} {n}" for task, n in found.tasks.items()))
    for name, findings in (("duplicates", found.duplicates), ("anomalies", found.anomalies)):
        counts = [f"{kind} {each.rows}" for kind, each in findings.items() if each.rows]
        print(f"{name}: " + (", ".join(counts) or "none"))


if __name__ == "__main__":
    run_stage(profile_stage)
