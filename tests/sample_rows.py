"""Agent-Instruct rows made on the spot, in the real format.

A `Topic` is a question on a database, with what each agent is told and should answer. `farm` gives
as many plain ones as a test needs: farm d has two tables, and its question n has one gold SQL.
`pottery` has what is hard to read: names with signs in them, quotes and brackets in values.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.data.read import read
from workflow_scripts.formats import answers, prompts
from workflow_scripts.formats.schema import Column, Table, render_schema

SCHEMA = """\
# Table: kiln
[
  (kiln_no, kiln no.),
  (Heat (C/h), rise of heat. Value examples: [None, 60, 90.5]. And a slow rise (60) is safe),
  (maker, maker. Value examples: ["O'Neill", 'Brand, Sons].', '12', 'None'].),
  (built, built. Value examples: ['2019-03-01'].)
]
# Table: pot
[
  (pot_no, number of the pot. And it stands on the foot),
  (kiln_no, kiln no.)
]"""
KEYS = "pot.`kiln_no` = kiln.`kiln_no`"
SQL = """\
SELECT T1.`maker`
  FROM kiln AS T1
  WHERE T1.`Heat (C/h)` <= 60
  AND T1.`maker` <> 'x  y'"""


@dataclass(frozen=True)
class Topic:
    """`steps`: (sub-question, SQL), the last SQL being the gold; `failed`: (old SQL, error)."""

    db_id: str
    question: str
    evidence: str
    schema: str
    foreign_keys: str
    selection: answers.Selection
    steps: tuple[tuple[str, str], ...]
    failed: tuple[str, str]


def tables(db: int) -> list[Table]:
    key = Column("id", "id")
    return [
        Table(f"keeper_{db}", (key, Column("name", "name", ("Ada", "Bo")))),
        Table(f"goat_{db}", (key, Column("age", "age in years", (3, None)))),
    ]


def farm(db: int, number: int) -> Topic:
    count = f"SELECT COUNT(*) FROM goat_{db} WHERE"
    return Topic(
        db_id=f"farm_{db}",
        question=f"How many goats of farm {db} are older than {number}?",
        evidence="older than refers to age",
        schema=render_schema(tables(db)),
        foreign_keys=f"goat_{db}.`id` = keeper_{db}.`id`",
        selection={f"keeper_{db}": "drop_all", f"goat_{db}": ["id", "age"]},
        steps=(("How many goats are older?", f"{count} age > {number}"),),
        failed=(f"{count} years > {number}", "no such column: years"),
    )


def pottery(number: int = 1) -> Topic:
    return Topic(
        db_id="pottery",
        question=f"Who made the {number} slowest kilns?",
        evidence="slowest refers to MIN(`Heat (C/h)`); maker = name",
        schema=SCHEMA,
        foreign_keys=KEYS,
        selection={"kiln": ["maker", f"c{number}"], "pot": "drop_all"},
        steps=(
            ("How slow is slow?", "SELECT 1"),
            (f"Who made {number}?", f"{SQL}\n  LIMIT {number}"),
        ),
        failed=(f"SELECT makr\n  FROM kiln\n  LIMIT {number}", "no such column: makr"),
    )


POTTERY = pottery()


def prompt(task: str, topic: Topic = POTTERY, **changes: Any) -> prompts.Prompt:
    fields: dict[str, Any] = {
        "task": task,
        "db_id": topic.db_id if task == "Selector" else None,
        "question": topic.question,
        "evidence": topic.evidence,
        "schema": topic.schema,
        "foreign_keys": topic.foreign_keys,
    }
    if task == "Refiner":
        fields |= dict(zip(("old_sql", "error"), topic.failed, strict=True))
        fields["exception_class"] = "<class 'sqlite3.OperationalError'>"
    return prompts.Prompt(**(fields | changes))


def answer(task: str, topic: Topic = POTTERY) -> str:
    if task == "Selector":
        return answers.render_selector(topic.selection)
    if task == "Refiner":
        return answers.render_refiner(topic.steps[-1][1])
    return answers.render_decomposer(list(topic.steps))


def raw(
    idx: Any, task: str, db: int, number: int, user: Any = None, assistant: Any = None, **changes
) -> dict[str, Any]:
    """A raw row about a farm, or with other messages; `changes` are fields of its prompt."""
    topic = farm(db, number)
    if user is None:
        user = prompts.render_prompt(prompt(task, topic, **changes))
    if assistant is None:
        assistant = answer(task, topic)
    contents = {"system": "", "user": user, "assistant": assistant}
    messages = [{"role": role, "content": content} for role, content in contents.items()]
    return ({} if idx is None else {"idx": idx}) | {"messages": messages}


def many(databases: int, questions: int, refined_every: int = 6) -> Iterator[dict[str, Any]]:
    """A Selector and a Decomposer row for each question, a Refiner row for every sixth."""
    idx = 0
    for question in range(questions):
        for db in range(databases):
            for task in prompts.TASKS[: 2 + (question % refined_every == 0)]:
                yield raw(idx, task, db, question)
                idx += 1


def write(path: Path, rows: Iterable[dict[str, Any] | str | bytes]) -> Path:
    """A JSONL file; texts and bytes go in as they are."""
    with open(path, "wb") as file:
        for row in rows:
            line = json.dumps(row, ensure_ascii=False) if isinstance(row, dict) else row
            file.write((line.encode() if isinstance(line, str) else line) + b"\n")
    return path


def processed(task: str, topic: Topic) -> dict[str, str]:
    """The same in the processed form, about any topic."""
    user = prompts.render_prompt(prompt(task, topic))
    return {"source": prompts.to_source(user), "target": answer(task, topic) + "</s>"}


def rows(count: int, *tasks: str) -> list[dict[str, str]]:
    """`count` rows of each task about pottery, questions and answers all different."""
    return [processed(task, pottery(n + 1)) for task in tasks for n in range(count)]


def rows_parquet(folder: Path, made: Iterable[dict[str, Any]]) -> Path:
    """rows.parquet of these rows, as the pipeline reads them."""
    path = write(folder / "in.jsonl", made)
    read(path, folder / "rows.parquet", folder / "quarantine.jsonl", folder / "reading.json")
    return folder / "rows.parquet"
