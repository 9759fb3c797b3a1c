"""Scores of single held-out answers, from predictions.parquet: what is compared in pairs."""

from collections.abc import Iterable

import pyarrow.parquet as pq

from workflow_scripts.metrics.exact_match.rows import exact_match_rows
from workflow_scripts.metrics.rouge_l.rows import rouge_l_rows
from workflow_scripts.report.runs import Run

METRICS = {"exact_match": exact_match_rows, "rouge_l": rouge_l_rows}


def row_scores(
    runs: Iterable[Run], metric: str, split: str
) -> dict[tuple[int, int], tuple[str, float]]:
    """(seed, row) -> (task, score) of all seeds of one run, against the raw text of the answer."""
    scores: dict[tuple[int, int], tuple[str, float]] = {}
    for run in runs:
        lines = pq.read_table(
            run.folder / "predictions.parquet", filters=[("split", "==", split)]
        ).to_pylist()
        values = METRICS[metric](
            [line["prediction"] for line in lines], [line["gold"] for line in lines]
        )
        scores |= {
            (run.seed, line["idx"]): (line["task"], value)
            for line, value in zip(lines, values, strict=True)
        }
    return scores
