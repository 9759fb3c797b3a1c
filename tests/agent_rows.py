"""Agent-Instruct rows made on the spot, in the real format, for the tests of reading and drawing.

Database d has two tables; its question number n has one gold SQL, asked of each agent in turn.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.formats import answers, prompts
from workflow_scripts.formats.schema_text import Column, Table, render_schema


def tables(db: int) -> list[Table]:
    key = Column("id", "id")
    return [
        Table(f"keeper_{db}", (key, Column("name", "name", ("Ada", "Bo")))),
        Table(f"goat_{db}", (key, Column("age", "age in years", (3, None)))),
    ]


def prompt(task: str, db: int, number: int, **changes: Any) -> prompts.Prompt:
    fields: dict[str, Any] = {
        "task": task,
        "db_id": f"farm_{db}" if task == "Selector" else None,
        "question": f"How many goats of farm {db} are older than {number}?",
        "evidence": "older than refers to age",
        "schema": render_schema(tables(db)),
        "foreign_keys": f"goat_{db}.`id` = keeper_{db}.`id`",
    }
    if task == "Refiner":
        fields |= {
            "old_sql": f"SELECT COUNT(*) FROM goat_{db} WHERE years > {number}",
            "error": "no such column: years",
            "exception_class": "<class 'sqlite3.OperationalError'>",
        }
    return prompts.Prompt(**(fields | changes))


def answer(task: str, db: int, number: int) -> str:
    sql = f"SELECT COUNT(*) FROM goat_{db} WHERE age > {number}"
    if task == "Selector":
        return answers.render_selector({f"keeper_{db}": "drop_all", f"goat_{db}": ["id", "age"]})
    if task == "Refiner":
        return answers.render_refiner(sql)
    return answers.render_decomposer([("How many goats are older?", sql)])


def raw(idx: int | None, task: str, db: int, number: int, **changes: Any) -> dict[str, Any]:
    """One raw row; `changes` are fields of its prompt."""
    user = prompts.render_prompt(prompt(task, db, number, **changes))
    contents = ("", user, answer(task, db, number))
    messages = [
        {"role": role, "content": content}
        for role, content in zip(("system", "user", "assistant"), contents, strict=True)
    ]
    return ({} if idx is None else {"idx": idx}) | {"messages": messages}


def processed(idx: int | None, task: str, db: int, number: int) -> dict[str, Any]:
    row = raw(idx, task, db, number)
    user, assistant = (message["content"] for message in row.pop("messages")[1:])
    return row | {"source": prompts.to_source(user), "target": assistant + "</s>"}


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
