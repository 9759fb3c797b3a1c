"""The setups of the evaluation: all agents, each left out in turn, each replaced by gold.

The first four are the ablation of MAC-SQL's paper (table 5 there). Gold in place of an agent
shows what the others could do if that one were perfect.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workflow_scripts.agents.loop import Question
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.formats.schema import Schema


@dataclass(frozen=True)
class Setup:
    """`changes` to the loop's settings; `given` is what a question gets from its row's gold.

    `task`: whose rows are asked. Setups of one task are asked the same questions.
    """

    name: str
    changes: dict[str, Any]
    given: Callable[[Question, Row], Question] = lambda question, _: question
    task: str = "Decomposer"


def _gold_schema(question: Question, row: Row) -> Question:
    """Return the schema of the row's own prompt: pruned by a right Selector's answer."""
    shown = Schema.parsed(row.schema, row.foreign_keys or "")
    return dataclasses.replace(question, schema=shown)


def _gold_sql(question: Question, row: Row) -> Question:
    return dataclasses.replace(_gold_schema(question, row), sql=row.gold_sql)


def _broken_sql(question: Question, row: Row) -> Question:
    return dataclasses.replace(_gold_schema(question, row), sql=row.old_sql)


ALL = Setup("all agents", {})
SETUPS = (
    ALL,
    Setup("without Selector", {"selector": "never"}),
    Setup("without Decomposer", {"decomposer": False}),
    Setup("without Refiner", {"repairs": 0}),
    Setup("gold Selector", {"selector": "never"}, _gold_schema),
    Setup("gold Decomposer", {"selector": "never", "repair_on": "nothing"}, _gold_sql),
    Setup("broken gold", {"selector": "never"}, _broken_sql, "Refiner"),
)
