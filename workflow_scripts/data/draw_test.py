"""Draw the fixed test set, and a card of it: counts, settings, checksums, what is left to train on.

    python -m workflow_scripts.data.draw_test --rows rows.parquet --seed 42 \\
        --per-task '{"Selector": 80, "Decomposer": 80, "Refiner": 40}' \\
        --test test.parquet --card test.card.json
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.data import TestCard
from workflow_scripts.data.cards import describe, print_counts
from workflow_scripts.data.pool import copy_rows, load_pool
from workflow_scripts.data.sampling import choose_test, reserved
from workflow_scripts.files import sha256
from workflow_scripts.stage import Input, Output, Setting, run_stage


def draw_test(
    rows: Annotated[Path, Input("rows.parquet")],
    test: Annotated[Path, Output("the test rows, with the same columns, in the order of idx")],
    card: Annotated[Path, Output("JSON: what was drawn")],
    per_task: Annotated[dict[str, int], Setting('rows of each task: {"Selector": 80, ...}')],
    seed: Annotated[int, Setting("decides which rows")],
) -> None:
    pool = load_pool(rows)
    chosen = choose_test(pool, per_task, seed)
    set_aside = reserved(pool, chosen)
    copy_rows(rows, chosen, test)
    found = TestCard(
        **describe(pool, {"test": chosen, "rest": set(pool.task) - set_aside}),
        set_aside_with_test=len(set_aside - chosen),
        seed=seed,
        per_task=per_task,
        sha256={"input": sha256(rows), "test": sha256(test)},
    )
    found.write(card)
    print_counts(found)


if __name__ == "__main__":
    run_stage(draw_test)
