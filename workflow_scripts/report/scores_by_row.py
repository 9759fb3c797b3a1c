"""Scores of single held-out answers: what is compared in pairs, row by row.

Seeds answer the same rows, so their answers are not independent: a row has one score, the mean
over the seeds, and intervals are over rows.
"""

from collections.abc import Callable, Iterable

import pyarrow.parquet as pq

from workflow_scripts.metrics.exact_match.rows import exact_match_rows
from workflow_scripts.metrics.rouge_l.rows import rouge_l_rows
from workflow_scripts.report.runs import Run

# metric -> (its function, column of predictions.parquet that it compares with)
TEXT = {
    "exact_match": (exact_match_rows, "gold"),
    "exact_match_decoded": (exact_match_rows, "gold_decoded"),
    "rouge_l": (rouge_l_rows, "gold"),
}
METRICS = (*TEXT, "execution_accuracy")
Scored = tuple[int, str, float]  # row, task, score


def row_scores(runs: Iterable[Run], metric: str, split: str) -> dict[int, tuple[str, float]]:
    """Row -> (task, score) of one run, the mean over its seeds.

    Text is compared with the raw answer; `_decoded`, as the notebooks did, with what the tokenizer
    can write of it. Execution accuracy has the rows whose gold was executed,
    and none where there is no database.
    """
    tasks: dict[int, str] = {}
    values: dict[int, list[float]] = {}
    for run in runs:
        scored = _text(run, *TEXT[metric], split) if metric in TEXT else _executed(run, split)
        for row, task, value in scored:
            tasks[row] = task
            values.setdefault(row, []).append(value)
    return {row: (tasks[row], sum(some) / len(some)) for row, some in values.items()}


def _text(run: Run, score: Callable, gold: str, split: str) -> list[Scored]:
    wanted = [("split", "==", split)]
    lines = pq.read_table(run.folder / "predictions.parquet", filters=wanted).to_pylist()
    values = score([line["prediction"] for line in lines], [line[gold] for line in lines])
    return [(line["idx"], line["task"], value) for line, value in zip(lines, values, strict=True)]


def _executed(run: Run, split: str) -> list[Scored]:
    path = run.folder / "verdicts.parquet"
    if not path.is_file():
        return []
    names = ["idx", "task", "execution_accuracy"]
    lines = pq.read_table(path, columns=names, filters=[("split", "==", split)]).to_pylist()
    told = [(line["idx"], line["task"], line["execution_accuracy"]) for line in lines]
    return [scored for scored in told if scored[-1] is not None]
