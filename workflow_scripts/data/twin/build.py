"""Make the twin: rows in the real form, the databases behind them, and the answer sheet.

    python -m workflow_scripts.data.twin.build --out resources/twin --settings '{"seed": 7}'

writes rows.jsonl, databases/<db_id>/<db_id>.sqlite, truth.jsonl (for tests and metrics only) and
card.json. The seed decides everything; with one version of SQLite the bytes are the same, too.
"""

import shutil
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.data import TwinCard, TwinDatabase, TwinSettings
from workflow_scripts.data.twin import database
from workflow_scripts.data.twin.rows import make_rows, make_worlds
from workflow_scripts.files import sha256, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Setting, run_stage


def build(
    out: Annotated[Path, Setting("folder of the twin")],
    settings: Annotated[TwinSettings, Setting("JSON: what differs from the defaults")],
) -> None:
    worlds = make_worlds(settings)
    folder = out / "databases"
    shutil.rmtree(folder, ignore_errors=True)
    files = {}
    for world in worlds:
        files[world.db_id] = folder / world.db_id / f"{world.db_id}.sqlite"
        database.write(world, files[world.db_id])
    rows, truth = make_rows(worlds, files, settings)
    write_jsonl(out / "rows.jsonl", rows)
    write_jsonl(out / "truth.jsonl", truth)
    card = TwinCard(
        what="An embedded twin of the Agent-Instruct rows: same form, our own sentences.",
        settings=settings,
        rows={task: sum(t["task"] == task for t in truth) for task in TASKS},
        databases={
            world.db_id: TwinDatabase(
                tables=len(world.tables),
                columns=sum(len(t.columns) for t in world.tables.values()),
                rows=sum(map(len, world.rows.values())),
                sha256=sha256(files[world.db_id]),
            )
            for world in worlds
        },
        sha256={name: sha256(out / name) for name in ("rows.jsonl", "truth.jsonl")},
    )
    card.write(out / "card.json")
    counts = ", ".join(f"{count} {task}" for task, count in card.rows.items())
    print(f"twin: {len(card.databases)} databases, rows: {counts}")


if __name__ == "__main__":
    run_stage(build)
