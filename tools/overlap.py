"""Which questions of a file of rows the stand-in has met word for word in its pre-training.

    python -m tools.overlap --rows results/data/test.parquet

The corpus is made again, from the settings that the stand-in was made with. Prints JSON: the rows,
their distinct questions, and those of them that some example asks, on a schema of its own.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq

from workflow_scripts.artifacts.pretraining import Pretraining, PretrainingSettings
from workflow_scripts.data.groups import comparable_text
from workflow_scripts.model.standin.batches import CHUNK, chunk_of
from workflow_scripts.stage import Option, run_stage

STANDIN = Path("resources/models/standin/pretrain.json")


def overlap(questions: set[str], settings: PretrainingSettings) -> set[str]:
    """Those of `questions` (as `comparable_text`) that the corpus of these settings asks."""
    met: set[str] = set()
    chunks = settings.cycles * -(-settings.steps // CHUNK)
    for number in range(chunks):
        asked = {comparable_text(example.draft.question) for example in chunk_of(settings, number)}
        met |= questions & asked
        print(f"\r{number + 1}/{chunks} chunks, {len(met)} met", end="", file=sys.stderr)
    print(file=sys.stderr)
    return met


def count_overlap(
    rows: Annotated[Path, Option("rows.parquet or test.parquet")],
    made: Annotated[Path, Option("pretrain.json of the model")] = STANDIN,
) -> None:
    """Print how many of the rows' questions the stand-in has met, and which."""
    settings = Pretraining.read(made).settings
    table = pq.read_table(rows, columns=["question"])["question"].to_pylist()
    questions = {comparable_text(question) for question in table}
    met = sorted(overlap(questions, settings))
    print(json.dumps({"rows": len(table), "questions": len(questions), "met": met}, indent=1))


if __name__ == "__main__":
    run_stage(count_overlap)
