"""The agents end to end on test rows: execution accuracy with each one left out, or given gold.

`outcomes.parquet` has a line for each question and setup (setups.py), `traces.jsonl` every step of
all agents together. Equal prompts are answered once. Questions whose database is not known are
left out, and so are those whose gold SQL fails. An endpoint, whose answers cost, is asked by all
agents together alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from workflow_scripts.agents.loop import Question, read_schema, run_loop
from workflow_scripts.agents.model import Answer, BackEnd, FineTuned
from workflow_scripts.agents.setups import ALL, SETUPS, Setup
from workflow_scripts.artifacts.agents import Loop, Trace
from workflow_scripts.artifacts.parquet import iter_rows, read_rows, write_rows
from workflow_scripts.artifacts.tables import AgentOutcome, Row
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import Schema
from workflow_scripts.metrics.execution_verdicts import Case, Verdict, verdicts_on
from workflow_scripts.records import write_lines
from workflow_scripts.settings import Endpoint, Settings
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Output, Setting, run_stage

SHOWN_ROWS = 5  # of a result, in the traces that are kept


@dataclass(frozen=True)
class Asked:
    """A test row as a question of its database."""

    split: str
    row: Row
    question: Question


class Remembering:
    """A back end that is asked everything once: setups share most of their prompts."""

    def __init__(self, back_end: BackEnd):
        self.back_end = back_end
        self.known: dict[tuple[str, str], Answer] = {}

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        asked = list(zip(prompts, beginnings or [""] * len(prompts), strict=True))
        new = [pair for pair in dict.fromkeys(asked) if pair not in self.known]
        if new:
            texts, starts = zip(*new, strict=True)
            answers = self.back_end.answer(texts, starts if any(starts) else ())
            self.known |= zip(new, answers, strict=True)
        return [self.known[pair] for pair in asked]


def questions_of(split: str, rows: list[Row], schemas: "Schemas", most: int) -> list[Asked]:
    """At most so many of each task that writes SQL, spread evenly over the rows."""
    asked = []
    for task in dict.fromkeys(setup.task for setup in SETUPS):
        linked = [row for row in rows if row.task == task and row.database]
        for row in linked[:: -(-len(linked) // most) or 1]:
            database, schema = schemas.of(row.database)
            question = Question(database, schema, row.question, row.evidence or "")
            asked.append(Asked(split, row, question))
    return asked


class Schemas:
    """The whole schema of each database, as the prompts of Selector rows show it.

    They may say more than the database: what a column means, and its codes. A database without
    such a row is described from its file.
    """

    def __init__(self, folder: Path, rows: Path):
        self.folder = folder
        self.known: dict[str, Schema] = {}
        for row in iter_rows(Row, rows):
            if row.task == "Selector" and row.database and row.database not in self.known:
                self.known[row.database] = Schema.parsed(row.schema, row.foreign_keys or "")

    def of(self, name: str) -> tuple[Path, Schema]:
        """(file, schema) of a database. Raises EssenceError when it is missing or unreadable."""
        file = find_database(self.folder, name)
        if name not in self.known:
            self.known[name] = read_schema(file)
        return file, self.known[name]


def outcomes_of(
    setup: Setup, asked: list[Asked], loop: Loop, back_end: BackEnd, sandbox: CachedSandbox
) -> tuple[list[Trace], list[AgentOutcome]]:
    """Of the rows that the setup asks, in order."""
    own = [each for each in asked if each.row.task == setup.task]
    questions = [setup.given(each.question, each.row) for each in own]
    traces = run_loop(questions, loop.model_copy(update=setup.changes), back_end, sandbox.map)
    cases = [
        Case(each.row.gold_sql, trace.sql, each.question.database)
        for each, trace in zip(own, traces, strict=True)
    ]
    verdicts = verdicts_on(cases, sandbox, repeat=0)
    return traces, list(_lines(setup, own, traces, verdicts))


def _lines(
    setup: Setup, asked: list[Asked], traces: list[Trace], verdicts: list[Verdict]
) -> Iterator[AgentOutcome]:
    for each, trace, verdict in zip(asked, traces, verdicts, strict=True):
        agents = [step.agent for step in trace.steps]
        yield AgentOutcome(
            setup=setup.name,
            split=each.split,
            idx=each.row.idx,
            db_id=trace.database,
            question=each.row.question,
            gold=each.row.gold_sql,
            sql=trace.sql,
            verdict=verdict.verdict,
            error=verdict.error,
            selected="Selector" in agents,
            repairs=agents.count("Refiner"),
            right=verdict.execution_accuracy,
        )


def without_times(trace: Trace) -> Trace:
    """What is the same every time, with the first rows of results."""

    def kept(did):
        return did and did.model_copy(update={"seconds": None, "rows": did.rows[:SHOWN_ROWS]})

    steps = [
        step.model_copy(update={"seconds": None, "executed": kept(step.executed)})
        for step in trace.steps
    ]
    return trace.model_copy(update={"steps": steps, "executed": kept(trace.executed)})


def evaluate(
    loop: Annotated[Loop, Setting("how the agents work together, as JSON")],
    questions: Annotated[int, Setting("most questions of each split")],
    rows: Annotated[Path, Input("rows.parquet, for the whole schemas")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    cache: Annotated[Path, Setting("folder that keeps what was executed")],
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
    asked = [
        *_asked({"test": test, "unseen": unseen}, rows, databases, questions),
        *_asked({"other": other}, other, other_databases, questions),
    ]
    if not any(each.row.task == ALL.task for each in asked):
        raise EssenceError("nothing to ask: no test row of the Decomposer has a known database")
    if endpoint:
        from workflow_scripts.agents.remote import Remote
        from workflow_scripts.endpoint import Client

        back_end: BackEnd = (remote := Remote(Client(endpoint, answers)))
    else:
        from workflow_scripts.model.device import choose_device

        device = choose_device(settings.device, "fp32", threads)
        back_end = Remembering(
            FineTuned(model, settings.recipe, device.kind, batch_size, loop.constrained)
        )
    lines: list[AgentOutcome] = []
    with Sandbox(Limits(seconds=seconds), threads) as sandbox:
        remembered = CachedSandbox(sandbox, cache / "results")
        for setup in (ALL,) if endpoint else SETUPS:
            made, found = outcomes_of(setup, asked, loop, back_end, remembered)
            lines += found
            if setup is ALL:
                write_lines(traces, map(without_times, made))
    write_rows(outcomes, AgentOutcome, lines)
    if endpoint:
        from workflow_scripts.endpoint import answering

        answering(endpoint, remote.answered, len(lines)).write(summary)


def _asked(
    of_splits: dict[str, Path | None],
    rows: Path | None,
    databases: Path | None,
    most: int,
) -> list[Asked]:
    """The questions of some splits, whose databases are of one folder."""
    files = {split: file for split, file in of_splits.items() if file}
    if not files:
        return []
    schemas = Schemas(databases, rows)
    return [
        each
        for split, file in files.items()
        for each in questions_of(split, read_rows(Row, file), schemas, most)
    ]


if __name__ == "__main__":
    run_stage(evaluate)
