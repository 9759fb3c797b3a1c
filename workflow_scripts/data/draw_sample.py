"""Draw one sample to train on and split it; with a card of counts, settings and checksums.

    python -m workflow_scripts.data.draw_sample --rows rows.parquet --test test.parquet \\
        --unseen-databases concert_singer world_1 \\
        --settings '{"sampling": "natural", "rows": 1011}' \\
        --train train.parquet --val val.parquet --card card.json
"""

from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.data import sampling
from workflow_scripts.data.samples import SampleSettings
from workflow_scripts.errors import EssenceError
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, read_table


def draw_sample(
    rows: Annotated[Path, Input("rows.parquet")],
    train: Annotated[Path, Output("the rows to train on, in the order of idx")],
    val: Annotated[Path, Output("the rows to validate on, in the order of idx")],
    card: Annotated[Path, Output("JSON: what was drawn")],
    settings: Annotated[SampleSettings, Setting("how: sampling, rows, split, seed, ...")],
    test: Annotated[Path | None, Input("test.parquet, to stay away from")] = None,
    unseen_databases: Annotated[list[str], Setting("databases to stay away from")] = (),
) -> None:
    pool = sampling.load_pool(rows)
    held_out = read_table(test, {"idx": COUNT}).idx if test else pd.Series()
    if not held_out.isin(pool.index).all():
        raise EssenceError(f"{test} was not drawn from {rows}; draw the test set again")
    aside = sampling.set_aside(pool, held_out, unseen_databases)
    sample, missing = sampling.choose_sample(pool, aside.index.union(held_out), settings)
    validation = sampling.choose_validation(pool, sample, settings)
    parts = {"train": sample.difference(validation), "val": validation}
    if test:
        parts["test"] = held_out
    given = {"settings": settings.model_dump(), "unseen_databases": list(unseen_databases)}
    outs = {"train": train, "val": val}
    sampling.publish(rows, parts, outs, card, pool, aside, missing=missing, **given)
    for what, count in missing.items():
        print(f"missing: {count} rows of {what}; there are no more, and all are taken")


if __name__ == "__main__":
    run_stage(draw_sample)
