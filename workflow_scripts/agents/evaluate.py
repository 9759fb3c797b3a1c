"""The agents end to end on test rows: execution accuracy with each one left out, or given gold.

`outcomes.parquet` has a line for each question and setup, `traces.jsonl` every step of all agents
together. Questions whose database is not known are left out. An endpoint, whose answers cost, is
asked by all agents together alone.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.agents.loop import BackEnd, Loop, read_schema, run_loop
from workflow_scripts.agents.model import FineTuned, Remembering, Remote
from workflow_scripts.agents.trace import Question, Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_jsonl
from workflow_scripts.formats.schema import Schema
from workflow_scripts.metrics.execution import Case, judge
from workflow_scripts.settings import Endpoint, Settings
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import OUTCOMES, Row, iter_rows, read_rows, write_table

SHOWN_ROWS = 5  # of a result, in the traces that are kept


@dataclass(frozen=True)
class Setup:
    """Agents that are left out, or replaced by gold.

    `changes` to the loop's settings; `gold` is what a question gets from its row. `task`: whose
    rows are asked. Setups of one task are asked the same questions.
    """

    name: str
    changes: dict[str, Any]
    gold: Callable[[Row], dict[str, Any]] = lambda _: {}
    task: str = "Decomposer"


def _gold_schema(row: Row) -> dict[str, Any]:
    """Give the schema of the row's own prompt: pruned by a right Selector's answer."""
    return {"schema": Schema.parsed(row.schema, row.foreign_keys or "")}


ALL = Setup("all agents", {})
# The first four are the ablation of MAC-SQL's paper (table 5 there). Gold in place of an agent
# shows what the others could do if that one were perfect.
SETUPS = (
    ALL,
    Setup("without Selector", {"selector": "never"}),
    Setup("without Decomposer", {"decomposer": False}),
    Setup("without Refiner", {"repairs": 0}),
    Setup("gold Selector", {"selector": "never"}, _gold_schema),
    Setup(
        "gold Decomposer",
        {"selector": "never", "repair_on": "nothing"},
        lambda row: _gold_schema(row) | {"sql": row.gold_sql},
    ),
    Setup(
        "broken gold",
        {"selector": "never"},
        lambda row: _gold_schema(row) | {"sql": row.old_sql},
        "Refiner",
    ),
)
Questions = list[tuple[str, Row, Question]]  # split, a test row, its question


def read_questions(
    splits: dict[str, Path | None], rows: Path | None, databases: Path | None, most: int
) -> Questions:
    """Read at most so many rows of each split and task that writes SQL, spread evenly over it.

    A database's whole schema is that of its Selector rows' prompts, which may say more than the
    file: what a column means, and its codes. One without such a row is described from its file.
    Raises EssenceError when a database is missing or unreadable.
    """
    files = {split: file for split, file in splits.items() if file}
    schemas: dict[str, Schema] = {}
    for row in iter_rows(rows) if files else ():
        if row.task == "Selector" and row.database and row.database not in schemas:
            schemas[row.database] = Schema.parsed(row.schema, row.foreign_keys or "")
    questions = []
    for split, file in files.items():
        linked = [row for row in read_rows(file) if row.database]
        for task in dict.fromkeys(setup.task for setup in SETUPS):
            of_task = [row for row in linked if row.task == task]
            for row in of_task[:: -(-len(of_task) // most) or 1]:
                database = find_database(databases, row.database)
                if row.database not in schemas:
                    schemas[row.database] = read_schema(database)
                schema, evidence = schemas[row.database], row.evidence or ""
                question = Question(database, schema, row.question, evidence)
                questions.append((split, row, question))
    return questions


def run_setup(
    setup: Setup, questions: Questions, loop: Loop, back_end: BackEnd, sandbox: Sandbox
) -> tuple[list[Trace], pd.DataFrame]:
    """Return the traces and the outcomes of the questions that the setup asks, in order."""
    changed = [
        (split, row, dataclasses.replace(question, **setup.gold(row)))
        for split, row, question in questions
        if row.task == setup.task
    ]
    loop = loop.model_copy(update=setup.changes)
    traces = run_loop([question for *_, question in changed], loop, back_end, sandbox.map)
    cases = [
        Case(row.gold_sql, trace.answer[0], question.database)
        for (_, row, question), trace in zip(changed, traces, strict=True)
    ]
    lines = []
    verdicts = judge(cases, sandbox, repeat=0)
    for (split, row, question), trace, verdict in zip(changed, traces, verdicts, strict=True):
        agents = [step.agent for step in trace.steps]
        line = {
            "setup": setup.name,
            "split": split,
            "idx": row.idx,
            "db_id": question.database.stem,
            "question": row.question,
            "gold": row.gold_sql,
            "sql": trace.answer[0],
            "verdict": verdict["verdict"],
            "error": verdict["error"],
            "selected": "Selector" in agents,
            "repairs": agents.count("Refiner"),
            "right": verdict.get("execution_accuracy"),
        }
        lines.append(line)
    return traces, pd.DataFrame(lines, columns=list(OUTCOMES))


def evaluate(
    loop: Annotated[Loop, Setting("how the agents work together, as JSON")],
    questions: Annotated[int, Setting("most questions of each split")],
    rows: Annotated[Path, Input("rows.parquet, for the whole schemas")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    outcomes: Annotated[Path, Output("outcomes.parquet")],
    traces: Annotated[Path, Output("traces.jsonl")],
    settings: Annotated[
        Settings | None, Setting("the run's settings as JSON, or a file with them")
    ] = None,
    model: Annotated[Path | None, Setting("folder of the run's model")] = None,
    endpoint: Annotated[
        Endpoint | None, Setting("the settings of an endpoint in their place")
    ] = None,
    answers: Annotated[Path | None, Setting("folder that keeps the endpoint's answers")] = None,
    summary: Annotated[Path | None, Output("answering.json of the endpoint")] = None,
    test: Annotated[Path | None, Input("rows of the split test")] = None,
    unseen: Annotated[Path | None, Input("rows of the split unseen")] = None,
    other: Annotated[Path | None, Input("rows of the split other")] = None,
    other_databases: Annotated[Path | None, Setting("databases of these")] = None,
    batch_size: Annotated[int, Setting("prompts answered at a time")] = 32,
    seconds: Annotated[float, Setting("longest query")] = Limits.seconds,
    threads: Annotated[int, Setting("CPU threads of torch, and queries at a time")] = 1,
) -> None:
    """Raises EssenceError when there is nothing to ask, or model or databases cannot be used."""
    pool = [
        *read_questions({"test": test, "unseen": unseen}, rows, databases, questions),
        *read_questions({"other": other}, other, other_databases, questions),
    ]
    if not any(row.task == ALL.task for _, row, _ in pool):
        raise EssenceError("nothing to ask: no test row of the Decomposer has a known database")
    if endpoint:
        from workflow_scripts.endpoint import Client

        back_end: BackEnd = (remote := Remote(Client(endpoint, answers)))
    else:
        from workflow_scripts.model.device import choose_device

        device = choose_device(settings.device, "fp32", threads)
        back_end = Remembering(
            FineTuned(model, settings.recipe, device.kind, batch_size, loop.constrained)
        )
    frames = []
    sandbox = Sandbox(Limits(seconds=seconds), threads)
    for setup in (ALL,) if endpoint else SETUPS:
        of_setup, frame = run_setup(setup, pool, loop, back_end, sandbox)
        frames.append(frame)
        if setup is ALL:
            write_jsonl(traces, (trace.as_json(SHOWN_ROWS, times=False) for trace in of_setup))
    table = pd.concat(frames, ignore_index=True)
    write_table(outcomes, table, OUTCOMES)
    if endpoint:
        from workflow_scripts.endpoint import answering

        answering(endpoint, remote.answers, len(table)).write(summary)


if __name__ == "__main__":
    run_stage(evaluate)
