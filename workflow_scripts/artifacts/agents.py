"""What the agents do with a question: how they are set up, and a trace of every step.

`seconds` are None where a trace is kept in a file that must be the same every time.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt

from workflow_scripts.records import Record

Cell = str | int | float | dict[str, str] | None  # bytes are {"hex": ...}


class Loop(Record):
    """How the agents work together; the defaults are MAC-SQL's.

    `selector`: whether the schema is pruned, `large` meaning that its tables have more than
    `mean_columns` columns on average or more than `all_columns` together. `decomposer` false: the
    answer is made to begin as if the question were its only sub-question. `repairs`: at most so
    many. `repair_on`: what makes the Refiner begin, SQL that fails (as MAC-SQL does on Spider), or
    also SQL that returns no row or a NULL in its first rows (as on BIRD). `constrained`: answers
    can name nothing but tables and columns of the schema that is shown.
    """

    selector: Literal["never", "large", "always"] = "large"
    mean_columns: PositiveInt = 6
    all_columns: PositiveInt = 30
    decomposer: bool = True
    repairs: NonNegativeInt = 3
    repair_on: Literal["error", "nothing"] = "error"
    constrained: bool = False

    @classmethod
    def of(cls, agents: Mapping[str, Any]) -> Self:
        """That of the configuration's key `agents`, which says more than this."""
        return cls(**{key: agents[key] for key in cls.model_fields if key in agents})


class Executed(Record):
    """What became of a statement; `rows` are the first of `row_count`, none unless it ran.

    `exception` is the class of an error that SQLite raised, as Python writes it.
    """

    status: Literal["ok", "error", "refused", "timeout"]
    error: str | None
    exception: str | None
    columns: list[str]
    rows: list[list[Cell]]
    row_count: int
    seconds: float | None


class SubQuestion(Record):
    """`sql` is empty where the sub-question has none of its own."""

    question: str
    sql: str


class AgentStep(Record):
    """One agent's prompt and answer, what was read in the answer, and what its SQL did.

    `problem`: why nothing could be read in it. `unread_tokens`: how much of the prompt lies beyond
    what the model reads.
    """

    agent: Literal["Selector", "Decomposer", "Refiner"]
    prompt: str
    unread_tokens: int
    answer: str
    problem: str | None = None
    selection: dict[str, str | list[str]] | None = None
    sub_questions: list[SubQuestion] = Field(default_factory=list)
    sql: str | None = None
    executed: Executed | None = None
    seconds: float | None = None


class Trace(Record):
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
    steps: list[AgentStep]
    sql: str | None
    executed: Executed | None

    @property
    def answered(self) -> bool:
        return self.executed is not None and self.executed.status == "ok"
