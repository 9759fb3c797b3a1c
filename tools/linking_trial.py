"""How often is linking right? Prompts are rendered from databases whose names are then hidden.

    python -m tools.linking_trial --databases DIR

Whole schemas, and schemas pruned as a Selector prunes them (1 to 3 tables, some with 6 columns
only); then the same prompts with the true database taken away, where every link is wrong.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.data.linking import Linker
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import to_json
from workflow_scripts.formats.prompts import Prompt, parse_prompt, render_prompt
from workflow_scripts.formats.schema import Table, render_schema
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.stage import Option, run_stage

KEPT_COLUMNS = 6

Files = dict[str, Path]  # of databases, by name


def pruned(tables: list[Table], rng: random.Random) -> list[Table]:
    chosen = sorted(rng.sample(range(len(tables)), min(rng.randint(1, 3), len(tables))))
    return [_narrowed(tables[at], rng) if rng.random() < 0.5 else tables[at] for at in chosen]


def _narrowed(table: Table, rng: random.Random) -> Table:
    count = min(KEPT_COLUMNS, len(table.columns))
    kept = sorted(rng.sample(range(len(table.columns)), count))
    return Table(table.name, tuple(table.columns[at] for at in kept))


def trial_rows(files: Files, kind: str, each: int, seed: int) -> Iterator[tuple[str, Prompt]]:
    """(true db_id, row without it), the schema having gone through a Decomposer's prompt."""
    rng = random.Random(f"{kind} {seed}")
    number = 0
    for db_id, file in files.items():
        tables, _ = describe_database(file)
        for _ in range(each):
            shown = tables if kind == "whole" else pruned(tables, rng)
            number += 1
            prompt = Prompt("Decomposer", None, f"Question {number}?", "", render_schema(shown), "")
            read = parse_prompt(render_prompt(prompt))
            yield db_id, read


def trial(files: Files, kind: str, each: int, seed: int = 0) -> dict[str, Any]:
    """Precision and recall of links, and links made when the true database is not there.

    Returns counts with precision (None without links) and recall.
    """
    rows = list(trial_rows(files, kind, each, seed))
    linker = Linker([], files)
    found = [(linker.link(row).database, true) for true, row in rows]
    links = sum(db_id is not None for db_id, _ in found)
    right = sum(db_id == true for db_id, true in found)
    others = {true: Linker([], {n: f for n, f in files.items() if n != true}) for true in files}
    away = [others[true].link(row) for true, row in rows]
    return {
        "prompts": len(rows),
        "links": links,
        "right": right,
        "precision": right / links if links else None,
        "recall": right / len(rows),
        "links_without_the_true_database": sum(link.database is not None for link in away),
    }


def linking_trial(
    databases: Annotated[Path, Option("<db_id>/<db_id>.sqlite")],
    each: Annotated[int, Option("pruned prompts a database")] = 10,
    seed: Annotated[int, Option("decides what is pruned")] = 0,
) -> None:
    """Print how often links are right for whole and for pruned schemas."""
    files = dict(list_databases(databases))
    if not files:
        raise EssenceError(f"{databases}: no <db_id>/<db_id>.sqlite in it")
    answer = {
        "whole": trial(files, "whole", 1, seed),
        "pruned": trial(files, "pruned", each, seed),
    }
    print(to_json(answer), end="")


if __name__ == "__main__":
    run_stage(linking_trial)
