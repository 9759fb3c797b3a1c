"""What the agents did with a question: a trace of every step, as JSON and as text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workflow_scripts.formats.answers import Selection
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


@dataclass
class Trace:
    """A question on its way through the agents.

    `seen`: the tables and columns that the Decomposer and the Refiner were shown, of
    `columns_in_database`. `sql` is the last statement that ran, or the last one when none did;
    None: no agent wrote any.
    """

    database: str
    question: str
    evidence: str
    seen: dict[str, list[str]]
    columns_in_database: int
    steps: list[Step]
    sql: str | None
    executed: Result | None

    @property
    def answered(self) -> bool:
        return self.executed is not None and self.executed.ok

    def as_json(self, rows: int = JSON_ROWS, times: bool = True) -> dict[str, Any]:
        """Give all of it with the first rows of results; without times it is always the same."""

        def result(executed: Result | None) -> dict[str, Any] | None:
            return executed and {
                "status": executed.status,
                "error": executed.error,
                "exception": executed.exception,
                "columns": executed.columns or [],
                "rows": json_rows((executed.rows or [])[:rows]),
                "row_count": len(executed.rows or []),
                "seconds": executed.seconds if times else None,
            }

        steps = [
            vars(step)
            | {
                "sub_questions": [{"question": q, "sql": sql} for q, sql in step.sub_questions],
                "executed": result(step.executed),
                "seconds": step.seconds if times else None,
            }
            for step in self.steps
        ]
        return vars(self) | {"steps": steps, "executed": result(self.executed)}


def answer_lines(trace: Trace) -> Iterator[str]:
    """Show the SQL and its rows, or say in one sentence why there are none."""
    if trace.answered:
        yield trace.sql
        yield ""
        yield from _table_lines(trace.executed)
    elif trace.sql is None:
        yield "No answer: the model wrote no SQL."
    else:
        repairs = sum(step.agent == "Refiner" for step in trace.steps)
        tries = f" after {repairs} repair{'s' * (repairs > 1)}" if repairs else ""
        yield f"No answer: the SQL fails{tries} ({_printable(trace.executed.error or '')})."


def _table_lines(result: Result) -> Iterator[str]:
    """Align column names and the first rows, then count the rows."""
    rows = [[_cell_text(cell) for cell in row] for row in result.rows[:TEXT_ROWS]]
    heads = [_cut(_printable(name)) for name in result.columns]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for line in (heads, ["-" * width for width in widths], *rows):
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        yield "  ".join(cells).rstrip()
    count = len(result.rows)
    shown = f", the first {len(rows)} of them shown" if count > len(rows) else ""
    yield f"({count:,} row{'s' * (count != 1)}{shown})"


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
        yield f"Selector: not asked, the schema has only {trace.columns_in_database} columns"
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
        kept = sum(map(len, trace.seen.values()))
        yield f"{kept} of {trace.columns_in_database} columns are shown to the others:"
        yield from (f"{table}: {', '.join(names)}" for table, names in trace.seen.items())
    for number, (question, sql) in enumerate(step.sub_questions, 1):
        yield f"sub-question {number}: {question}"
        if number < len(step.sub_questions):
            yield from (f"   {line}" for line in sql.splitlines())
    if step.sql:
        yield from step.sql.splitlines()
        result = step.executed
        outcome = f"{len(result.rows):,} rows" if result.ok else result.error or ""
        yield f"-> {result.status}: {outcome}"
