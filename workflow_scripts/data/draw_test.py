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

from workflow_scripts.data import sampling
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
    pool = sampling.load_pool(rows)
    kept_back = sampling.set_aside(pool, (), unseen_databases).index
    of_unseen = pool[pool.database.isin(unseen_databases)]
    parts = {
        "test": sampling.choose_test(pool, per_task, seed, kept_back),
        "unseen": sampling.first_of_each_task(of_unseen, per_task, seed),
    }
    aside = sampling.set_aside(pool, parts["test"], unseen_databases).drop(parts["unseen"])
    drawn = parts["test"].union(parts["unseen"])
    parts["rest"] = pool.index.difference(drawn).difference(aside.index)
    given = {"seed": seed, "per_task": per_task, "unseen_databases": list(unseen_databases)}
    outs = {"test": test, "unseen": unseen}
    facts = sampling.publish(rows, parts, outs, card, pool, aside, **given)
    for task, wanted in per_task.items():
        if unseen_databases and (have := facts["tasks"]["unseen"][task]) < wanted:
            print(f"unseen: {wanted} rows of {task} are wanted, there are {have}")


if __name__ == "__main__":
    run_stage(draw_test)
