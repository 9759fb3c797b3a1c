"""Draw one sample to train on and split it; with a card of counts, settings and checksums.

    python -m workflow_scripts.data.draw_sample --rows rows.parquet --test test.parquet \\
        --unseen-databases concert_singer world_1 \\
        --settings '{"sampling": "natural", "rows": 1011}' \\
        --train train.parquet --val val.parquet --card card.json
"""

import math
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.data.sampling import chance, load_pool, publish, set_aside
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.settings import SampleSettings
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, read_table

# Share of the rows wanted that a sample may lack. One row in a hundred may be unreadable
# (data.max_quarantine); where all of these are Refiner rows, that is a tenth of them.
MAY_BE_MISSING = Fraction(1, 10)
ALL_TASKS = "all tasks"


def draw_sample(
    rows: Annotated[Path, Input("rows.parquet")],
    train: Annotated[Path, Output("the rows to train on, in the order of idx")],
    val: Annotated[Path, Output("the rows to validate on, in the order of idx")],
    card: Annotated[Path, Output("JSON: what was drawn")],
    settings: Annotated[SampleSettings, Setting("how: sampling, rows, split, seed, ...")],
    test: Annotated[Path | None, Input("test.parquet, to stay away from")] = None,
    unseen_databases: Annotated[list[str], Setting("databases to stay away from")] = (),
) -> None:
    pool = load_pool(rows)
    held_out = read_table(test, {"idx": COUNT}).idx if test else pd.Series()
    if not held_out.isin(pool.index).all():
        raise EssenceError(f"{test} was not drawn from {rows}; draw the test set again")
    aside = set_aside(pool, held_out, unseen_databases)
    sample, missing = choose_sample(pool, aside.index.union(held_out), settings)
    validation = choose_validation(pool.loc[sample], settings)
    parts = {"train": sample.difference(validation), "val": validation}
    if test:
        parts["test"] = held_out
    given = {"settings": settings.model_dump(), "unseen_databases": list(unseen_databases)}
    outs = {"train": train, "val": val}
    publish(rows, parts, outs, card, pool, aside, missing=missing, **given)
    for what, count in missing.items():
        print(f"missing: {count} rows of {what}; there are no more, and all are taken")


def choose_sample(
    pool: pd.DataFrame, kept_back: Collection[int], settings: SampleSettings
) -> tuple[pd.Index, dict[str, int]]:
    """One sample, and what it lacks of the rows wanted: of each task of a balanced one, or of all.

    Raises EssenceError when it lacks more than `MAY_BE_MISSING` of them.
    """
    order = chance("sample", settings.sampling, settings.draw, settings.seed)
    kinds = pool.task if settings.sampling == "balanced" else pd.Series(ALL_TASKS, pool.index)
    free = kinds[~pool.index.isin(kept_back)]
    present = [kind for kind in (*TASKS, ALL_TASKS) if (kinds == kind).any()]
    each, rest = divmod(settings.rows, len(present))
    chosen, missing = [], {}
    for place, kind in enumerate(present):
        wanted, there = each + (place < rest), free.index[free == kind]
        chosen += sorted(there, key=order)[:wanted]
        if len(there) < wanted * (1 - MAY_BE_MISSING):
            aside = f" ({len(kept_back)} rows of all tasks are set aside with the test set)"
            raise EssenceError(
                f"sample: {wanted} rows of {kind} are wanted, there are {len(there)}"
                f"{aside if len(kept_back) else ''}; lower the run's rows (now {settings.rows}) or "
                "test_set.rows, or change its sampling."
            )
        if len(there) < wanted:
            missing[kind] = wanted - len(there)
    return pd.Index(sorted(chosen)), missing


def validation_counts(tasks: pd.Series, share: float) -> pd.Series:
    """How many rows of each task are for validation: ceil(share x all), by largest remainder.

    As scikit-learn's stratified `train_test_split` counts: 1,011 rows at 0.2 give 203.
    """
    total = tasks.sum()
    wanted = math.ceil(Fraction(str(share)) * int(total))
    counts, remainder = divmod(wanted * tasks, total)
    up = remainder.sort_values(ascending=False, kind="stable").index[: wanted - counts.sum()]
    return counts + counts.index.isin(up)


def choose_validation(rows: pd.DataFrame, settings: SampleSettings) -> pd.Index:
    """The rows of a sample that are for validation.

    A unit (a row, a group or a database, as `settings.split` says) stays on one side. Units are
    tried in random order and taken where that brings the counts nearer to the wanted ones; rows
    reach them exactly. Raises EssenceError when no row is left to train on.
    """
    unit = rows[settings.split] if settings.split != "row" else rows.index.to_series()
    order = sorted(unit.unique(), key=chance("split", settings.draw, settings.seed))
    counts = pd.crosstab(unit, rows.task).reindex(order, columns=list(TASKS), fill_value=0)
    missing = validation_counts(counts.sum(), settings.validation_share).to_numpy()
    chosen = []
    for name, count in zip(order, counts.to_numpy(), strict=True):
        if abs(missing - count).sum() < abs(missing).sum():
            missing = missing - count
            chosen.append(name)
    if not chosen:  # every unit is more than twice what was asked for
        chosen = [(counts - missing).abs().sum(axis=1).idxmin()]
    validation = rows.index[unit.isin(chosen)]
    if len(validation) == len(rows):
        raise EssenceError(
            f"validation_share: of {len(rows)} rows no row is left to train on; use a smaller "
            f"share, or split: row where all are of one {settings.split}"
        )
    return validation


if __name__ == "__main__":
    run_stage(draw_sample)
