"""Which questions of a file of rows the stand-in has met word for word in its pre-training.

    python -m tools.overlap --rows results/data/test.parquet

The corpus is made again, from the settings that the stand-in was made with. Prints JSON: the rows,
their distinct questions, and those of them that some example asks, on a schema of its own.
"""

import argparse
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from workflow_scripts.artifacts.pretraining import Pretraining, PretrainingSettings
from workflow_scripts.data.groups import comparable_text
from workflow_scripts.model.standin.batches import CHUNK, chunk_of

STANDIN = "resources/models/standin/pretrain.json"


def overlap(questions: set[str], settings: PretrainingSettings) -> set[str]:
    """Those of `questions` (as `comparable_text`) that the corpus of these settings asks."""
    met: set[str] = set()
    chunks = -(-settings.steps // CHUNK)
    for number in range(chunks):
        asked = {comparable_text(example.draft.question) for example in chunk_of(settings, number)}
        met |= questions & asked
        print(f"\r{number + 1}/{chunks} chunks, {len(met)} met", end="", file=sys.stderr)
    print(file=sys.stderr)
    return met


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", required=True, type=Path, help="rows.parquet or test.parquet")
    parser.add_argument("--made", default=STANDIN, type=Path, help="pretrain.json of the model")
    given = parser.parse_args()
    settings = Pretraining.read(given.made).settings
    table = pq.read_table(given.rows, columns=["question"])["question"].to_pylist()
    questions = {comparable_text(question) for question in table}
    met = sorted(overlap(questions, settings))
    print(json.dumps({"rows": len(table), "questions": len(questions), "met": met}, indent=1))


if __name__ == "__main__":
    main()
