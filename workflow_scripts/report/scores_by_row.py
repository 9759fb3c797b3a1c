"""Scores of single held-out answers: what is compared in pairs, row by row.

Seeds answer the same rows, so their answers are not independent: a row has one score, the mean
over the seeds, and intervals are over rows.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.tables import Judged, Prediction
from workflow_scripts.report.runs import Run
from workflow_scripts.text.similarity import exact_match, rouge_l

# metric -> (its function, column of predictions.parquet that it compares with)
TEXT: dict[str, tuple[Callable[[str, str], float], str]] = {
    "exact_match": (exact_match, "gold"),
    "exact_match_decoded": (exact_match, "gold_decoded"),
    "rouge_l": (rouge_l, "gold"),
}
# metric -> its words; one that is not of the text is a column of verdicts.parquet
METRICS = {
    "exact_match": "Exact match",
    "exact_match_decoded": "Exact match with what the tokenizer can write of the answer",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "Execution accuracy",
    "execution_accuracy_lenient": "Execution accuracy, the SQL taken from answers in any form",
}


class RowScore(NamedTuple):
    task: str
    value: float


def scores_by_row(seeds: Iterable[Run], metric: str, split: str) -> dict[int, RowScore]:
    """idx of a row -> its score: the mean over all seeds of one run.

    Text is compared with the raw answer; `_decoded`, as the notebooks did, with what the tokenizer
    can write of it. Execution accuracy has the rows whose gold was executed,
    and none where there is no database.
    """
    tasks: dict[int, str] = {}
    values: dict[int, list[float]] = {}
    for run in seeds:
        for idx, score in _scores(run.folder, metric, split):
            tasks[idx] = score.task
            values.setdefault(idx, []).append(score.value)
    return {idx: RowScore(tasks[idx], sum(of) / len(of)) for idx, of in values.items()}


def _scores(folder: Path, metric: str, split: str) -> Iterator[tuple[int, RowScore]]:
    if metric in TEXT:
        similarity, reference = TEXT[metric]
        for answer in iter_rows(Prediction, folder / "predictions.parquet"):
            if answer.split == split:
                value = similarity(answer.prediction, getattr(answer, reference))
                yield answer.idx, RowScore(answer.task, value)
    elif (verdicts := folder / "verdicts.parquet").is_file():
        for judged in iter_rows(Judged, verdicts):
            value = getattr(judged, metric)
            if judged.split == split and value is not None:
                yield judged.idx, RowScore(judged.task, value)
