"""The agents end to end on test rows: execution accuracy with each one left out, or given gold.

Questions whose database is not known are left out. An endpoint, whose answers cost, is asked by
all agents together alone.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from workflow_scripts.agents.loop import BackEnd, Loop, Trace, read_schema, run_loop
from workflow_scripts.agents.model import FineTuned, Remote
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


class Setup(NamedTuple):
    """Agents that are left out, by `changes` to the loop's settings, or replaced by gold.

    `gold_schema`: that of the row's own prompt, which a right Selector has pruned. `sql`: the
    column that stands in the Decomposer's place. `task`: whose rows are asked.
    """

    name: str
    changes: dict[str, Any]
    gold_schema: bool = False
    sql: str | None = None
    task: str = "Decomposer"

    def of(self, row: Row, question: Trace, loop: Loop) -> Trace:
        """Return a row's question as this setup asks it."""
        return dataclasses.replace(
            question,
            schema=schema_of(row) if self.gold_schema else question.schema,
            sql=getattr(row, self.sql) if self.sql else None,
            loop=loop.model_copy(update=self.changes),
            steps=[],
        )


ALL = Setup("all agents", {})
WHOLE = {"selector": "never"}
# The first four are the ablation of MAC-SQL's paper (table 5 there). Gold in place of an agent
# shows what the others could do if that one were perfect.
SETUPS = (
    ALL,
    Setup("without Selector", WHOLE),
    Setup("without Decomposer", {"decomposer": False}),
    Setup("without Refiner", {"repairs": 0}),
    Setup("gold Selector", WHOLE, True),
    Setup("gold Decomposer", WHOLE | {"repair_on": "nothing"}, True, "gold_sql"),
    Setup("broken gold", WHOLE, True, "old_sql", "Refiner"),
)


def schema_of(row: Row) -> Schema:
    return Schema.parsed(row.schema, row.foreign_keys or "")


def read_questions(
    splits: dict[str, Path | None], rows: Path | None, databases: Path | None, most: int
) -> list[tuple[str, Row, Trace]]:
    """Read at most so many rows of each split and task that writes SQL, spread evenly over it.

    A database's whole schema is that of its Selector rows' prompts, which may say more than the
    file.
    """
    files = {split: file for split, file in splits.items() if file}
    schemas: dict[str, Schema] = {}
    for row in iter_rows(rows) if files else ():
        if row.task == "Selector" and row.database and row.database not in schemas:
            schemas[row.database] = schema_of(row)
    questions = []
    for split, file in files.items():
        linked = [row for row in read_rows(file) if row.database]
        for task in ("Decomposer", "Refiner"):
            of_task = [row for row in linked if row.task == task]
            for row in of_task[:: -(-len(of_task) // most) or 1]:
                database = find_database(databases, row.database)
                if row.database not in schemas:
                    schemas[row.database] = read_schema(database)
                texts = row.question, row.evidence or ""
                questions.append((split, row, Trace(database, schemas[row.database], *texts)))
    return questions


def outcome(setup: Setup, split: str, row: Row, trace: Trace, verdict: dict) -> dict[str, Any]:
    agents = [step.agent for step in trace.steps]
    line = {"setup": setup.name, "split": split, "idx": row.idx, "db_id": trace.database.stem}
    line |= {"question": row.question, "sql": verdict["prediction"]}
    line |= {"selected": "Selector" in agents, "repairs": agents.count("Refiner")}
    return verdict | line | {"right": verdict.get("execution_accuracy")}


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
        from workflow_scripts.endpoint import Client, answering

        back_end: BackEnd = Remote(Client(endpoint, answers))
    else:
        from workflow_scripts.model.device import choose_device

        device = choose_device(settings.device, "fp32", threads)
        back_end = FineTuned(model, settings.recipe, device.kind, batch_size, loop.constrained)
    asked = [
        (setup, split, row, setup.of(row, question, loop))
        for setup in ((ALL,) if endpoint else SETUPS)
        for split, row, question in pool
        if row.task == setup.task
    ]
    sandbox = Sandbox(Limits(seconds=seconds), threads)
    run_loop([trace for *_, trace in asked], back_end, sandbox.map)
    together = [trace for setup, *_, trace in asked if setup is ALL]
    write_jsonl(traces, (trace.as_json(SHOWN_ROWS, times=False) for trace in together))
    cases = [Case(row.gold_sql, trace.answer[0], trace.database) for *_, row, trace in asked]
    verdicts = judge(cases, sandbox, repeat=0)
    lines = [outcome(*each, verdict) for each, verdict in zip(asked, verdicts, strict=True)]
    write_table(outcomes, lines, OUTCOMES)
    if endpoint:
        answering(endpoint, back_end.answers, len(together)).write(summary)


if __name__ == "__main__":
    run_stage(evaluate)
