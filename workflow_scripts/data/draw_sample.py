"""Draw one sample to train on and split it; with a card of counts, settings and checksums.

    python -m workflow_scripts.data.draw_sample --rows rows.parquet --test test.parquet \\
        --unseen-databases concert_singer world_1 \\
        --settings '{"sampling": "natural", "rows": 1011}' \\
        --train train.parquet --val val.parquet --card card.json
"""

from pathlib import Path
from typing import Annotated

from workflow_scripts.data.pool import copy_rows, describe, load_pool, print_counts
from workflow_scripts.data.samples import SampleSettings
from workflow_scripts.data.sampling import (
    choose_sample,
    choose_validation,
    set_aside,
)
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256, write_json
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
    pool = load_pool(rows)
    held_out = set(read_table(test, {"idx": COUNT}).idx) if test else set()
    if not held_out <= set(pool.index):
        raise EssenceError(f"{test} was not drawn from {rows}; draw the test set again")
    aside = set_aside(pool, held_out, unseen_databases)
    sample, missing = choose_sample(pool, held_out.union(*aside.values()), settings)
    validation = choose_validation(pool, sample, settings)
    parts = {"train": sample - validation, "val": validation}
    paths = {"input": rows, "train": train, "val": val}
    for name, idx in parts.items():
        copy_rows(rows, idx, paths[name])
    if test:
        parts["test"], paths["test"] = held_out, test
    facts = describe(pool, parts) | {
        "settings": settings.model_dump(),
        "unseen_databases": list(unseen_databases),
        "missing": missing,
        "set_aside": {reason: len(idx) for reason, idx in aside.items()},
        "sha256": {name: sha256(path) for name, path in paths.items()},
    }
    write_json(card, facts)
    print_counts(facts)
    for what, count in missing.items():
        print(f"missing: {count} rows of {what}; there are no more, and all are taken")


if __name__ == "__main__":
    run_stage(draw_sample)
