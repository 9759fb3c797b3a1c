"""Experiment 4: the rows that the best runs are asked, from the test rows and from all rows."""

import random
from pathlib import Path
from typing import Annotated

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ROWS, Row, read_rows, write_table


def draw(rows: list[Row], per_task: int, seed: int) -> list[Row]:
    """`per_task` rows of each task. Raises EssenceError naming the task that has too few rows."""
    rng = random.Random(seed)
    drawn: list[Row] = []
    for task in TASKS:
        places = [place for place, row in enumerate(rows) if row.task == task]
        if places and len(places) < per_task:
            raise EssenceError(
                f"examples.rows_per_task: {per_task} rows of each task are wanted, but there are "
                f"{len(places)} {task} rows. Lower it or draw a larger test set."
            )
        if places:
            drawn += [rows[place] for place in sorted(rng.sample(places, per_task))]
    return drawn


def draw_examples(
    rows: Annotated[Path, Input("results/data/rows.parquet")],
    per_task: Annotated[int, Setting("rows of each task")],
    seed: Annotated[int, Setting("which rows are drawn")],
    held_out: Annotated[Path, Output("rows drawn from the test rows, if there are any")],
    from_all: Annotated[Path, Output("rows drawn from all rows")],
    test: Annotated[Path | None, Input("the test rows")] = None,
) -> None:
    write_table(held_out, draw(read_rows(test) if test else [], per_task, seed), ROWS)
    write_table(from_all, draw(read_rows(rows), per_task, seed), ROWS)


if __name__ == "__main__":
    run_stage(draw_examples)
