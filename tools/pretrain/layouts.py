"""The two layouts in which the stand-in's pre-training shows a request and its database.

One is near the compact prompt, the other is that of the original prompts, so that to the model
neither is more at home than the other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.twin.worlds import TEXT_KINDS, World
from tools.twin.worlds import Column as WorldColumn
from tools.twin.worlds import Table as WorldTable
from workflow_scripts.formats.prompts import Prompt, render_own
from workflow_scripts.formats.schema import Column, Table, render_foreign_keys, render_schema

Layout = Callable[[World, "Request", int], str]


@dataclass(frozen=True)
class Request:
    """What an example asks for: `kind` in one word; `error` and `old_sql` of a broken query."""

    kind: str
    question: str
    evidence: str = ""
    error: str = ""
    old_sql: str = ""


def compact(world: World, request: Request, examples: int) -> str:
    """On one line: request, evidence, error, SQL, schema, keys.

    Columns of words show up to `examples` of their values.
    """
    parts = [f"{request.kind}: {request.question}"]
    for name, text in (
        ("error", request.error),
        ("SQL", request.old_sql),
        ("evidence", request.evidence),
    ):
        parts += [f"{name}: {text}"] if text else []
    tables = (f"{t.name}: {', '.join(_columns(world, t, examples))}" for t in world.tables.values())
    parts.append("tables: " + " | ".join(tables))
    if world.foreign_keys:
        keys = (f"{a}.{x} = {b}.{y}" for a, x, b, y in world.foreign_keys)
        parts.append("keys: " + ", ".join(keys))
    return " | ".join(parts)


def _columns(world: World, table: WorldTable, examples: int) -> Iterator[str]:
    for column in table.columns:
        shown = ""
        if values := _examples(world, table, column, examples):
            shown = f" ({', '.join(map(repr, values))})"
        if shown and column.codes:
            shown += f" - {column.note}"
        yield column.name + shown


def original(world: World, request: Request, examples: int) -> str:
    """The sections of the prompt of the agent whose task is nearest, after the kind of request."""
    tables = [
        Table(
            table.name,
            tuple(
                Column(c.name, c.phrase, shown, c.note if shown else "")
                for c in table.columns
                for shown in [_examples(world, table, c, examples)]
            ),
        )
        for table in world.tables.values()
    ]
    prompt = Prompt(
        task={"Tables": "Selector", "Repair": "Refiner"}.get(request.kind, "Decomposer"),
        db_id=world.db_id,
        question=request.question,
        evidence=request.evidence,
        schema=render_schema(tables),
        foreign_keys=render_foreign_keys(world.foreign_keys),
        old_sql=request.old_sql,
        error=request.error,
        exception_class="",
    )
    return f"{request.kind}: {render_own(prompt)}"


def _examples(world: World, table: WorldTable, column: WorldColumn, examples: int) -> tuple | None:
    """Values that the schema shows of a column, None where it shows none."""
    if column.kind in TEXT_KINDS and examples:
        return tuple(dict.fromkeys(world.values(table.name, column.name)))[:examples] or None
    if column.kind == "coded" and examples > 1:
        return tuple(column.codes)
    return (0, 1) if column.kind == "flag" and examples > 1 else None


LAYOUTS: tuple[Layout, ...] = (compact, original)


def in_line(sql: str) -> str:
    """Write SQL as the base model's training data does: double quotes, one line."""
    return " ".join(sql.replace("`", '"').split()).replace("( ", "(").replace(" )", ")")
