"""Draw the fixed test rows, and a card of them: counts, settings, checksums, what is left.

`test.parquet` holds rows of databases that other rows, to train on, are about too; `unseen.parquet`
rows of whole databases that no sample touches.

    python -m workflow_scripts.data.draw_test --rows rows.parquet --seed 42 \\
        --per-task '{"Selector": 80, "Decomposer": 80, "Refiner": 40}' \\
        --unseen-databases concert_singer world_1 \\
        --test test.parquet --unseen unseen.parquet --card test.card.json
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.data.sampling import chance, load_pool, publish, set_aside
from workflow_scripts.errors import EssenceError
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
    kept_back = set_aside(pool, (), unseen_databases).index
    of_unseen = pool[pool.database.isin(unseen_databases)]
    parts = {
        "test": choose_test(pool, per_task, seed, kept_back),
        "unseen": first_of_each_task(of_unseen, per_task, seed),
    }
    aside = set_aside(pool, parts["test"], unseen_databases).drop(parts["unseen"])
    drawn = parts["test"].union(parts["unseen"])
    parts["rest"] = pool.index.difference(drawn).difference(aside.index)
    given = {"seed": seed, "per_task": per_task, "unseen_databases": list(unseen_databases)}
    outs = {"test": test, "unseen": unseen}
    facts = publish(rows, parts, outs, card, pool, aside, **given)
    for task, wanted in per_task.items():
        if unseen_databases and (have := facts["tasks"]["unseen"][task]) < wanted:
            print(f"unseen: {wanted} rows of {task} are wanted, there are {have}")


def choose_test(
    pool: pd.DataFrame, per_task: Mapping[str, int], seed: int, kept_back: Collection[int] = ()
) -> pd.Index:
    """Choose n rows of each task, in a random order of the groups that `set_aside` keeps whole.

    A task of which 0 rows are wanted keeps all of its rows for training: groups that hold one are
    passed over. Raises EssenceError when a task has fewer rows than asked for.
    """
    spared = [task for task, wanted in per_task.items() if wanted == 0]
    passed_over = pool.group[pool.task.isin(spared)]
    free = pool[~pool.index.isin(kept_back) & ~pool.group.isin(passed_over)]
    for task, wanted in per_task.items():
        if (there := (free.task == task).sum()) < wanted:
            apart = f" that share no question or SQL with one of {spared[0]}" if spared else ""
            raise EssenceError(
                f"test set: {wanted} rows of {task} are wanted, there are {there}{apart}; "
                f"lower test_set.rows.{task}"
            )
    return first_of_each_task(free, per_task, seed)


def first_of_each_task(rows: pd.DataFrame, per_task: Mapping[str, int], seed: int) -> pd.Index:
    """For each task the first n rows, or all, in a random order of the groups."""
    order = chance("test", seed)
    place = [order(group) + order(f"row {idx}") for idx, group in rows.group.items()]
    rows = rows.assign(place=place).sort_values("place")
    wanted = pd.Series(per_task).reindex(rows.task, fill_value=0).to_numpy()
    return rows.index[rows.groupby("task").cumcount() < wanted]


if __name__ == "__main__":
    run_stage(draw_test)
