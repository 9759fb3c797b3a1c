"""Score the saved answers of one run by their text, with intervals over rows.

Uses the arithmetic of the metric modules directly: loading them through `evaluate` would import
torch, which takes longer than the scoring.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import read_json, write_json
from workflow_scripts.metrics.exact_match.rows import exact_match_rows
from workflow_scripts.metrics.intervals import mean_interval
from workflow_scripts.metrics.rouge_l.rows import rouge_l_rows
from workflow_scripts.text.prompts import TASKS

# metric -> (arithmetic, what it compares with): gold as it is, or gold as the model's tokenizer
# can write it, which is what the notebooks compared with.
TEXT_METRICS = {
    "rouge_l": (rouge_l_rows, "gold"),
    "exact_match": (exact_match_rows, "gold"),
    "rouge_l_decoded": (rouge_l_rows, "gold_decoded"),
    "exact_match_decoded": (exact_match_rows, "gold_decoded"),
}
LOSSES = ("eval_loss", "loss_per_token")
Score = dict[str, Any]


def text_scores(rows: list[dict[str, Any]]) -> Iterator[Score]:
    """A score a split, task and metric, from rows of predictions.parquet."""
    for split in dict.fromkeys(row["split"] for row in rows):
        of_split = [row for row in rows if row["split"] == split]
        predictions = [row["prediction"] for row in of_split]
        for metric, (arithmetic, reference) in TEXT_METRICS.items():
            values = arithmetic(predictions, [row[reference] for row in of_split])
            for task in ("all", *TASKS):
                chosen = [
                    value
                    for value, row in zip(values, of_split, strict=True)
                    if task in ("all", row["task"])
                ]
                if chosen:
                    yield _score(split, task, metric, *mean_interval(chosen), len(chosen))


def loss_scores(training: dict[str, Any]) -> Iterator[Score]:
    """The losses of the best epoch on the run's validation rows; they come without intervals."""
    best = next(epoch for epoch in training["epochs"] if epoch["step"] == training["best_step"])
    counts = training["rows"]["val"]
    for task, losses in (("all", best), *best["tasks"].items()):
        for metric in LOSSES:
            yield _score("val", task, metric, losses[metric], None, None, counts[task])


def score_run(predictions: Path, training: Path) -> list[Score]:
    """Raises EssenceError when there is nothing to score."""
    rows = pq.read_table(predictions).to_pylist()
    if not rows:
        raise EssenceError(f"{predictions}: no answers in it. Predict again.")
    return [*text_scores(rows), *loss_scores(read_json(training))]


def _score(
    split: str,
    task: str,
    metric: str,
    value: float,
    low: float | None,
    high: float | None,
    n: int,
) -> Score:
    return {
        "split": split,
        "task": task,
        "metric": metric,
        "value": value,
        "low": low,
        "high": high,
        "n": n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", required=True, type=Path)
    parser.add_argument("--training", required=True, type=Path, help="the run's training.json")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    write_json(
        arguments.out,
        {
            "recipe": arguments.recipe,
            "run": arguments.run,
            "seed": arguments.seed,
            "scores": score_run(arguments.predictions, arguments.training),
        },
    )


if __name__ == "__main__":
    run_cli(main)
