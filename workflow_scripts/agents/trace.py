"""What the agents did with a question: a trace of every step, as JSON and as text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_scripts.formats.answers import Selection
from workflow_scripts.formats.schema import Schema
from workflow_scripts.sql.execute import json_rows
from workflow_scripts.sql.sandbox import Result

JSON_ROWS = 1000  # of a result, in JSON
TEXT_ROWS = 20  # of a result, in a terminal
CELL_WIDTH = 40  # characters


@dataclass
class Step:
    """One agent's prompt and answer, what was read in the answer, and what its SQL returned.

    `problem`: why nothing could be read in it. `unread_tokens`: how much of the prompt lies beyond
    what the model reads. `sub_questions`: (question, SQL), which is empty where one has none.
    """

    agent: str
    prompt: str
    unread_tokens: int
    answer: str
    problem: str | None = None
    selection: Selection | None = None
    sub_questions: list[tuple[str, str]] = field(default_factory=list)
    sql: str | None = None
    executed: Result | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Question:
    """A question about a database with its whole `schema`.

    `sql`, where given, replaces the Decomposer's answer.
    """

    database: Path
    schema: Schema
    text: str
    evidence: str = ""
    sql: str | None = None


@dataclass
class Trace:
    """A question on its way through the agents.

    `schema` is what the Decomposer and the Refiner are shown. `first_result` is that of the
    question's own SQL.
    """

    question: Question
    schema: Schema
    steps: list[Step] = field(default_factory=list)
    first_result: Result | None = None

    @property
    def statements(self) -> list[tuple[str, Result]]:
        """List what was executed so far, with its results."""
        first = [(self.question.sql, self.first_result)] if self.first_result else []
        return first + [(step.sql, step.executed) for step in self.steps if step.executed]

    @property
    def answer(self) -> tuple[str | None, Result | None]:
        """Return the last statement that ran, or the last one; None: no agent wrote any."""
        good = [(sql, result) for sql, result in self.statements if result.ok]
        return (good or self.statements or [(None, None)])[-1]

    @property
    def answered(self) -> bool:
        _, result = self.answer
        return result is not None and result.ok

    def as_json(self, rows: int = JSON_ROWS, times: bool = True) -> dict[str, Any]:
        """Give all of it with the first rows of results; without times it is always the same."""

        def as_json(result: Result | None) -> dict[str, Any] | None:
            return result and {
                "status": result.status,
                "error": result.error,
                "exception": result.exception,
                "columns": result.columns or [],
                "rows": json_rows((result.rows or [])[:rows]),
                "row_count": len(result.rows or []),
                "seconds": result.seconds if times else None,
            }

        steps = [
            vars(step)
            | {
                "sub_questions": [{"question": q, "sql": sql} for q, sql in step.sub_questions],
                "executed": as_json(step.executed),
                "seconds": step.seconds if times else None,
            }
            for step in self.steps
        ]
        sql, result = self.answer
        return {
            "database": self.question.database.stem,
            "question": self.question.text,
            "evidence": self.question.evidence,
            "seen": self.schema.names,  # by the Decomposer and the Refiner
            "columns_in_database": self.question.schema.width,
            "steps": steps,
            "sql": sql,
            "executed": as_json(result),
        }


def answer_lines(trace: Trace) -> Iterator[str]:
    """Show the SQL and its rows, or say in one sentence why there are none."""
    sql, result = trace.answer
    if sql is None:
        yield "No answer: the model wrote no SQL."
    elif result.ok:
        yield sql
        yield ""
        yield from _table_lines(result)
    else:
        repairs = sum(step.agent == "Refiner" for step in trace.steps)
        tries = f" after {repairs} repair{'s' * (repairs > 1)}" if repairs else ""
        yield f"No answer: the SQL fails{tries} ({_printable(result.error or '')})."


def _table_lines(result: Result) -> Iterator[str]:
    """Align column names and the first rows, then count the rows."""
    rows = [[_cell_text(cell) for cell in row] for row in result.rows[:TEXT_ROWS]]
    heads = [_cut(_printable(name)) for name in result.columns]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for line in (heads, ["-" * width for width in widths], *rows):
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()
    count = len(result.rows)
    part = f", the first {len(rows)} of them shown" if count > len(rows) else ""
    yield f"({count:,} row{'s' * (count != 1)}{part})"


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bytes):
        return _cut(f"x'{cell.hex()}'")
    return "NULL" if cell is None else _cut(_printable(str(cell)))


def _printable(text: str) -> str:
    """Escape what is not printable, so that no text can control the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _cut(text: str) -> str:
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "\N{HORIZONTAL ELLIPSIS}"


def trace_lines(trace: Trace) -> Iterator[str]:
    """Show each agent's step."""
    if not any(step.agent == "Selector" for step in trace.steps):
        yield f"Selector: not asked, the schema has only {trace.question.schema.width} columns"
    for number, step in enumerate(trace.steps, 1):
        yield f"{number}. {step.agent} ({step.seconds:.2f} s)"
        yield from (f"   {_printable(line)}" for line in _step_lines(step, trace))
    yield ""


def _step_lines(step: Step, trace: Trace) -> Iterator[str]:
    if step.unread_tokens:
        yield f"(the prompt is too long for the model: {step.unread_tokens:,} tokens not read)"
    if step.problem:
        yield f"{step.problem}. It wrote:"
        yield from step.answer.splitlines()
    if step.selection:
        width = trace.question.schema.width
        yield f"{trace.schema.width} of {width} columns are shown to the others:"
        yield from (f"{table}: {', '.join(names)}" for table, names in trace.schema.names.items())
    for number, (question, sql) in enumerate(step.sub_questions, 1):
        yield f"sub-question {number}: {question}"
        if number < len(step.sub_questions):
            yield from (f"   {line}" for line in sql.splitlines())
    if step.sql:
        yield from step.sql.splitlines()
        result = step.executed
        outcome = f"{len(result.rows):,} rows" if result.ok else result.error or ""
        yield f"-> {result.status}: {outcome}"
