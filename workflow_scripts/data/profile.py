"""Section 3.1 of the report: counts, duplicates, empty fields, anomalies and lengths of the rows.

    python -m workflow_scripts.data.profile --rows results/data/rows.parquet \\
        --tokenizer resources/models/standin/tokenizer.json \\
        --profile profile.json --lengths lengths.parquet
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

from tokenizers import Tokenizer

from workflow_scripts.artifacts.data import (
    Box,
    Example,
    Finding,
    Profile,
    Questions,
    TokenizerFacts,
)
from workflow_scripts.artifacts.parquet import iter_rows, write_rows
from workflow_scripts.artifacts.tables import Lengths, Row
from workflow_scripts.data.anomalies import KINDS, anomalies_of
from workflow_scripts.data.groups import comparable_text
from workflow_scripts.data.lengths import box, count_tokens, count_words, read_tokenizer
from workflow_scripts.data.source_tokens import SourceEncoder
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

    def add(self, kind: str, row: Row, detail: str) -> None:
        self.counts[kind][row.task] += 1
        if len(self.examples[kind]) < EXAMPLES:
            self.examples[kind].append(Example(idx=row.idx, line=row.line, detail=detail))

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
    """Takes the rows one by one; only digests of their texts stay in memory."""

    def __init__(self) -> None:
        self.tasks: Counter = Counter()
        self.empty = {task: Counter() for task in TASKS}
        self.anomalies = Findings(KINDS)
        self.duplicates = Findings(DUPLICATES)
        self._first_with: dict[bytes, int] = {}
        self._asked_by: defaultdict[bytes, set[str]] = defaultdict(set)

    def add(self, row: Row) -> None:
        self.tasks[row.task] += 1
        for name in TEXTS[row.task]:
            self.empty[row.task][name] += not (getattr(row, name) or "").strip()
        for kind, detail in _first_of_each(anomalies_of(row)).items():
            self.anomalies.add(kind, row, detail)
        self._look_for_duplicates(row)

    def _look_for_duplicates(self, row: Row) -> None:
        question, sql = comparable_text(row.question), comparable_text(row.gold_sql)
        for kind, what in (
            ("source", [row.source]),
            ("source and target", [row.source, row.target]),
            ("question", [row.task, question] if question else None),
            ("gold SQL", [row.task, sql] if sql else None),
        ):
            if what:
                first = self._first_with.setdefault(_digest(kind, *what), row.idx)
                if first != row.idx:
                    self.duplicates.add(kind, row, f"as idx {first}")
        if question:
            self._asked_by[_digest(question)].add(row.task)

    def report(self, tokenizer: Tokenizer, lengths: list[Lengths]) -> Profile:
        total = self.tasks.total()
        return Profile(
            rows=total,
            tasks={task: self.tasks[task] for task in TASKS},
            shares={task: round(self.tasks[task] / max(total, 1), 4) for task in TASKS},
            duplicates=self.duplicates.report(),
            questions=Questions(
                different=len(self._asked_by),
                asked_in_several_tasks=sum(len(tasks) > 1 for tasks in self._asked_by.values()),
            ),
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


def _digest(*texts: str) -> bytes:
    return blake2b("\0".join(texts).encode(), digest_size=16).digest()


def boxes(lengths: list[Lengths], column: str) -> dict[str, Box]:
    """The box of all rows, and of each task that has rows."""
    values: defaultdict[str, list[int]] = defaultdict(list)
    for row in lengths:
        for part in ("all", row.task):
            values[part].append(getattr(row, column))
    return {part: box(values[part]) for part in ("all", *TASKS) if values[part]}


def lengths_of(rows: list[Row], encoder: SourceEncoder) -> list[Lengths]:
    sources, targets = [row.source for row in rows], [row.target for row in rows]
    end_mark = encoder.tokenizer.num_special_tokens_to_add(is_pair=False)
    counted = zip(
        count_words(sources),
        count_words(targets),
        [len(tokens) + end_mark for tokens in encoder.encode(sources)],
        count_tokens(encoder.tokenizer, targets),
        strict=True,
    )
    return [Lengths(row.idx, row.task, *counts) for row, counts in zip(rows, counted, strict=True)]


def profile_rows(rows: Path | str, tokenizer_json: Path) -> tuple[Profile, list[Lengths]]:
    """Profile a rows file, batch by batch; the lengths come in the order of idx."""
    tokenizer, profiler, lengths = read_tokenizer(tokenizer_json), Profiler(), []
    encoder, stream = SourceEncoder(tokenizer), iter_rows(Row, rows, BATCH)
    while batch := list(itertools.islice(stream, BATCH)):
        for row in batch:
            profiler.add(row)
        lengths += lengths_of(batch, encoder)
    lengths.sort(key=lambda row: row.idx)
    return profiler.report(tokenizer, lengths), lengths


def profile_stage(
    rows: Annotated[Path, Input("rows.parquet")],
    tokenizer: Annotated[Path, Input("tokenizer.json of the model")],
    profile: Annotated[Path, Output("profile.json")],
    lengths: Annotated[Path, Output("Parquet: words and tokens of every row, for the box plots")],
) -> None:
    found, counted = profile_rows(rows, tokenizer)
    found.write(profile)
    write_rows(lengths, Lengths, counted)
    print(f"{found.rows} rows: " + ", ".join(f"{task} {n}" for task, n in found.tasks.items()))
    for name, findings in (("duplicates", found.duplicates), ("anomalies", found.anomalies)):
        counts = [f"{kind} {each.rows}" for kind, each in findings.items() if each.rows]
        print(f"{name}: " + (", ".join(counts) or "none"))


if __name__ == "__main__":
    run_stage(profile_stage)
