"""Section 3.1 of the report: counts, duplicates, empty fields, anomalies and lengths of the rows.

In: rows.parquet and the model's tokenizer.json. Out: profile.json, and lengths.parquet with one
line a row (idx, task, and source and target length in words and tokens) for the box plots.

    python -m workflow_scripts.data.profile --rows results/data/rows.parquet \\
        --tokenizer resources/models/standin --out profile.json --lengths lengths.parquet
"""

import argparse
from collections import Counter, defaultdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.data.anomalies import KINDS, anomalies_of
from workflow_scripts.data.groups import normalised
from workflow_scripts.data.lengths import TokenCounter, box, count_words
from workflow_scripts.errors import run_cli
from workflow_scripts.files import write_json, write_parquet
from workflow_scripts.formats.prompts import TASKS

BATCH = 256
EXAMPLES = 5
LENGTHS = ("source_words", "target_words", "source_tokens", "target_tokens")
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
        self.examples: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def add(self, kind: str, row: dict[str, Any], detail: str) -> None:
        self.counts[kind][row["task"]] += 1
        if len(self.examples[kind]) < EXAMPLES:
            example = {"idx": row["idx"], "line": row["line"], "detail": detail}
            self.examples[kind].append(example)

    def report(self) -> dict[str, Any]:
        return {
            kind: {
                "meaning": meaning,
                "rows": self.counts[kind].total(),
                "by_task": {task: self.counts[kind][task] for task in TASKS},
                "examples": self.examples[kind],
            }
            for kind, meaning in self.meanings.items()
        }


class Profile:
    """Takes rows in batches; `report` gives the content of profile.json."""

    def __init__(self, counter: TokenCounter):
        self.counter = counter
        self.tasks: Counter = Counter()
        self.empty = {task: Counter() for task in TASKS}
        self.anomalies = Findings(KINDS)
        self.duplicates = Findings(DUPLICATES)
        self.lengths: dict[str, list] = {name: [] for name in ("idx", "task", *LENGTHS)}
        self._first_with: dict[bytes, int] = {}
        self._asked_by: defaultdict[bytes, set[str]] = defaultdict(set)

    def add(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self.tasks[row["task"]] += 1
            for name in TEXTS[row["task"]]:
                self.empty[row["task"]][name] += not (row[name] or "").strip()
            seen_in_row = set()
            for kind, detail in anomalies_of(row):
                if kind not in seen_in_row:  # rows are counted, not occurrences
                    seen_in_row.add(kind)
                    self.anomalies.add(kind, row, detail)
            self._look_for_duplicates(row)
        for text in ("source", "target"):
            texts = [row[text] for row in rows]
            self.lengths[f"{text}_words"] += count_words(texts)
            self.lengths[f"{text}_tokens"] += self.counter.count(texts)
        self.lengths["idx"] += [row["idx"] for row in rows]
        self.lengths["task"] += [row["task"] for row in rows]

    def _look_for_duplicates(self, row: dict[str, Any]) -> None:
        question, sql = normalised(row["question"]), normalised(row["gold_sql"])
        for kind, what in (
            ("source", [row["source"]]),
            ("source and target", [row["source"], row["target"]]),
            ("question", [row["task"], question] if question else None),
            ("gold SQL", [row["task"], sql] if sql else None),
        ):
            if what:
                first = self._first_with.setdefault(_digest(kind, *what), row["idx"])
                if first != row["idx"]:
                    self.duplicates.add(kind, row, f"as idx {first}")
        if question:
            self._asked_by[_digest(question)].add(row["task"])

    def report(self) -> dict[str, Any]:
        total = self.tasks.total()
        return {
            "rows": total,
            "tasks": {task: self.tasks[task] for task in TASKS},
            "shares": {task: round(self.tasks[task] / max(total, 1), 4) for task in TASKS},
            "duplicates": self.duplicates.report(),
            "questions": {
                "different": len(self._asked_by),
                "asked_in_several_tasks": sum(len(tasks) > 1 for tasks in self._asked_by.values()),
            },
            "empty": {
                task: {name: self.empty[task][name] for name in TEXTS[task]} for task in TASKS
            },
            "anomalies": self.anomalies.report(),
            "tokenizer": {
                "vocabulary": self.counter.tokenizer.get_vocab_size(),
                "counts_end_mark": True,
            },
            "lengths": {name: self._boxes(name) for name in LENGTHS},
        }

    def _boxes(self, name: str) -> dict[str, dict[str, float]]:
        values, tasks = np.asarray(self.lengths[name]), np.asarray(self.lengths["task"])
        parts = {"all": values} | {task: values[tasks == task] for task in TASKS}
        return {part: box(some) for part, some in parts.items() if len(some)}

    def lengths_table(self) -> pa.Table:
        return pa.table(self.lengths).sort_by("idx")


def _digest(*texts: str) -> bytes:
    return blake2b("\0".join(texts).encode(), digest_size=16).digest()


def profile_rows(rows: Path | str, model: Path | str) -> Profile:
    """Profile a rows file, batch by batch; only lengths and digests stay in memory."""
    profile = Profile(TokenCounter(model))
    for batch in pq.ParquetFile(rows).iter_batches(BATCH):
        profile.add(batch.to_pylist())
    return profile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", required=True, type=Path)
    parser.add_argument("--tokenizer", required=True, type=Path, help="folder of the model")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--lengths", type=Path, help="lengths of every row, for the box plots")
    args = parser.parse_args()
    profile = profile_rows(args.rows, args.tokenizer)
    report = profile.report()
    write_json(args.out, report)
    if args.lengths:
        write_parquet(args.lengths, profile.lengths_table())
    print(f"{report['rows']} rows: " + ", ".join(f"{k} {n}" for k, n in report["tasks"].items()))
    for group in ("duplicates", "anomalies"):
        found = {kind: each["rows"] for kind, each in report[group].items() if each["rows"]}
        print(f"{group}: " + (", ".join(f"{k} {n}" for k, n in found.items()) or "none"))


if __name__ == "__main__":
    run_cli(main)
