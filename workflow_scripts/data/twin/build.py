"""Make the twin: rows in the real form, the databases behind them, and the answer sheet.

    python -m workflow_scripts.data.twin.build --out resources/twin --settings '{"seed": 7}'

writes rows.jsonl, databases/<db_id>/<db_id>.sqlite, truth.jsonl (for tests and metrics only) and
card.json. The seed decides everything; with one version of SQLite the bytes are the same, too.
"""

import argparse
import json
import shutil
from pathlib import Path

from workflow_scripts.data.twin import database
from workflow_scripts.data.twin.rows import SETTINGS, make_rows, make_worlds
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import sha256, write_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS


def read_settings(given: dict) -> dict:
    """The defaults with `given` over them; raises EssenceError naming a bad key or value."""
    unknown = sorted(set(given) - set(SETTINGS))
    if unknown:
        raise EssenceError(
            f"twin settings: unknown key {unknown[0]!r}; known are {', '.join(SETTINGS)}"
        )
    settings = SETTINGS | given
    rows = SETTINGS["rows"] | settings["rows"]
    for task in sorted(rows):
        if task not in TASKS:
            raise EssenceError(f"twin settings: rows.{task}: tasks are {', '.join(TASKS)}")
        if not isinstance(rows[task], int) or rows[task] < 0:
            raise EssenceError(f"twin settings: rows.{task}: {rows[task]!r} is no count of rows")
    if (
        not isinstance(settings["rows_per_table"], int)
        or not 10 <= settings["rows_per_table"] <= 150
    ):
        raise EssenceError(
            f"twin settings: rows_per_table: {settings['rows_per_table']!r} is not a whole number "
            "between 10 and 150"
        )
    return settings | {"rows": rows}


def build(out: Path, settings: dict) -> dict:
    """Write the twin to `out`; gives its card."""
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
    card = {
        "what": "An embedded twin of the Agent-Instruct rows: same form, our own sentences.",
        "settings": settings,
        "rows": {task: sum(t["task"] == task for t in truth) for task in TASKS},
        "databases": {
            world.db_id: {
                "tables": len(world.tables),
                "columns": sum(len(t.columns) for t in world.tables.values()),
                "rows": sum(map(len, world.rows.values())),
                "sha256": sha256(files[world.db_id]),
            }
            for world in worlds
        },
        "sha256": {name: sha256(out / name) for name in ("rows.jsonl", "truth.jsonl")},
    }
    write_json(out / "card.json", card)
    return card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the twin")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON over the defaults")
    arguments = parser.parse_args()
    card = build(arguments.out, read_settings(arguments.settings))
    counts = ", ".join(f"{count} {task}" for task, count in card["rows"].items())
    print(f"twin: {len(card['databases'])} databases, rows: {counts}")


if __name__ == "__main__":
    run_cli(main)
