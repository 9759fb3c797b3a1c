"""What the agents did with a question: a trace of every step, as JSON and as text."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from workflow_scripts.formats.answers import Selection, prune
from workflow_scripts.formats.schema import Schema
from workflow_scripts.records import Record
from workflow_scripts.sql.execute import json_rows
from workflow_scripts.sql.sandbox import Result

JSON_ROWS = 1000  # of a result, in JSON
TEXT_ROWS = 20  # of a result, in a terminal
CELL_WIDTH = 40  # characters


class Loop(Record, extra="ignore"):  # the configuration's `agents` has other keys too
    """How the agents work together; the defaults are MAC-SQL's.

    `selector` `large`: a schema is pruned whose tables have more than `mean_columns` columns on
    average or more than `all_columns` together. `decomposer` false: the answer is made to begin as
    if the question were its only sub-question. `repair_on`: the Refiner begins on SQL that fails
    (as MAC-SQL's on Spider), or also on SQL that returns no row or a NULL in its first rows (as on
    BIRD). `constrained`: answers keep to the forms of formats/answer_grammar.py.
    """

    selector: Literal["never", "large", "always"] = "large"
    mean_columns: PositiveInt = 6
    all_columns: PositiveInt = 30
    decomposer: bool = True
    repairs: NonNegativeInt = 3
    repair_on: Literal["error", "nothing"] = "error"
    constrained: bool = False


@dataclass
class Step:
    """One agent's prompt and answer, what was read in the answer, and what its SQL returned.

    The agent "given" is a question's own SQL. `unread_tokens` of the prompt lie beyond what the
    model reads. `problem`: why nothing could be read. `sub_questions`: (question, SQL or "").
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
    """A question about a database, its own `sql` if it has any, and what the agents did with it."""

    database: Path
    schema: Schema
    question: str
    evidence: str = ""
    sql: str | None = None
    loop: Loop = field(default_factory=Loop)
    steps: list[Step] = field(default_factory=list)

    @property
    def shown(self) -> Schema:
        """Return what the Decomposer and the Refiner see."""
        if not self.steps or not self.steps[0].selection:
            return self.schema
        tables = prune(self.schema.tables, self.steps[0].selection)
        return Schema(tables, self.schema.foreign_keys)  # all keys stay, as in the rows

    @property
    def answer(self) -> tuple[str | None, Result | None]:
        """Return the last statement that ran, or the last one; None: no agent wrote any."""
        executed = [(step.sql, step.executed) for step in self.steps if step.executed]
        good = [(sql, result) for sql, result in executed if result.ok]
        return (good or executed or [(None, None)])[-1]

    @property
    def answered(self) -> bool:
        _, result = self.answer
        return result is not None and result.ok

    def as_json(self, rows: int = JSON_ROWS, times: bool = True) -> dict[str, Any]:
        """Give all of it with the first rows of results; without times it is always the same."""

        def shown(result: Result | None) -> dict[str, Any] | None:
            every = (result and result.rows) or []
            return result and vars(result) | {
                "columns": result.columns or [],
                "rows": json_rows(every[:rows]),
                "row_count": len(every),
                "seconds": result.seconds if times else None,
            }

        steps = [
            vars(step)
            | {
                "sub_questions": [{"question": q, "sql": sql} for q, sql in step.sub_questions],
                "executed": shown(step.executed),
                "seconds": step.seconds if times else None,
            }
            for step in self.steps
        ]
        sql, result = self.answer
        return {
            "database": self.database.stem,
            "question": self.question,
            "evidence": self.evidence,
            "seen": self.shown.names,
            "columns_in_database": self.schema.width,
            "steps": steps,
            "sql": sql,
            "executed": shown(result),
        }

    def as_text(self, steps: bool = False) -> str:
        """Show the answer, after each agent's step if `steps`, or why there is none."""
        from jinja2 import Environment  # `essence ask --help` does without

        environment = Environment(
            trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_printable
        )
        template = Path(__file__).with_name("trace.txt").read_text(encoding="utf-8")
        sql, result = self.answer
        return environment.from_string(template).render(
            trace=self,
            agents=[step.agent for step in self.steps],
            show_steps=steps,
            sql=sql,
            result=result,
            table=_table(result) if self.answered else (),
            most=TEXT_ROWS,
        )


def _table(result: Result) -> list[str]:
    """Align column names and the first rows."""
    rows = [list(map(_cell_text, row)) for row in (result.columns, *result.rows[:TEXT_ROWS])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cell_text(cell: Any) -> str:
    text = f"x'{cell.hex()}'" if isinstance(cell, bytes) else _printable(cell, kept="")
    text = "NULL" if cell is None else text
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _printable(value: Any, kept: str = "\n\t") -> str:
    """Escape what is not printable, so that no text can control the terminal."""
    return "".join(
        char if char in kept or char.isprintable() else repr(char)[1:-1] for char in str(value)
    )
