"""Draw the fixed test rows, and a card of them: counts, settings, checksums, what is left.

`test.parquet` holds rows of databases that other rows, to train on, are about too; `unseen.parquet`
rows of whole databases that no sample touches.

    python -m workflow_scripts.data.draw_test --rows rows.parquet --seed 42 \\
        --per-task '{"Selector": 80, "Decomposer": 80, "Refiner": 40}' \\
        --unseen-databases concert_singer world_1 \\
        --test test.parquet --unseen unseen.parquet --card test.card.json
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.data.pool import copy_rows, describe, load_pool, print_counts
from workflow_scripts.data.sampling import choose_test, choose_unseen, set_aside
from workflow_scripts.files import sha256, write_json
from workflow_scripts.stage import Input, Output, Setting, run_stage


def draw_test(
    rows: Annotated[Path, Input("rows.parquet")],
    test: Annotated[Path, Output("the test rows, with the same columns, in the order of idx")],
    unseen: Annotated[Path, Output("the same for rows of unseen databases, fewer where they lack")],
    card: Annotated[Path, Output("JSON: what was drawn")],
    per_task: Annotated[dict[str, int], Setting('rows of each task: {"Selector": 80, ...}')],
    seed: Annotated[int, Setting("decides which rows")],
    unseen_databases: Annotated[list[str], Setting("databases that no sample touches")] = (),
) -> None:
    pool = load_pool(rows)
    kept_back = set().union(*set_aside(pool, (), unseen_databases).values())
    parts = {
        "test": choose_test(pool, per_task, seed, kept_back),
        "unseen": choose_unseen(pool, unseen_databases, per_task, seed),
    }
    paths = {"test": test, "unseen": unseen}
    for name, path in paths.items():
        copy_rows(rows, parts[name], path)
    drawn = parts["test"] | parts["unseen"]
    aside = set_aside(pool, parts["test"], unseen_databases)
    parts["rest"] = set(pool.index) - drawn.union(*aside.values())
    facts = describe(pool, parts) | {
        "set_aside": {reason: len(idx - drawn) for reason, idx in aside.items()},
        "seed": seed,
        "per_task": per_task,
        "unseen_databases": list(unseen_databases),
        "sha256": {name: sha256(path) for name, path in {"input": rows, **paths}.items()},
    }
    write_json(card, facts)
    print_counts(facts)
    for task, wanted in per_task.items():
        if unseen_databases and (have := facts["tasks"]["unseen"][task]) < wanted:
            print(f"unseen: {wanted} rows of {task} are wanted, there are {have}")


if __name__ == "__main__":
    run_stage(draw_test)
