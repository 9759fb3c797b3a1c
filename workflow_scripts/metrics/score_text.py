"""Score the saved answers of one run by their text, with intervals over rows.

`*_decoded` compares with gold as the model's tokenizer can write it, which is what the notebooks
compared with; the others with gold as it is. `answer_in_training` is the share of rows whose gold
is also, letter for letter, the answer to one of the run's own training rows: so many can be matched
by repeating what was learned. Rows that a run before it was trained on are not counted.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.parquet import iter_rows, read_rows
from workflow_scripts.artifacts.runs import Score, Scores, Training
from workflow_scripts.artifacts.tables import BoundedPrediction, Prediction, RowAnswer
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.metrics.ceilings import ceilings
from workflow_scripts.metrics.estimates import estimate
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.text.similarity import exact_match, rouge_l

# metric -> (its function, column of the predictions that it compares with)
TEXT_METRICS = {
    "rouge_l": (rouge_l, "gold"),
    "exact_match": (exact_match, "gold"),
    "rouge_l_decoded": (rouge_l, "gold_decoded"),
    "exact_match_decoded": (exact_match, "gold_decoded"),
}
SEEN = "answer_in_training"
LOSSES = ("eval_loss", "loss_per_token")


def text_scores(rows: list[Prediction]) -> Iterator[Score]:
    """A score a split, task and metric."""
    for split in dict.fromkeys(row.split for row in rows):
        of_split = [row for row in rows if row.split == split]
        for metric, (similarity, reference) in TEXT_METRICS.items():
            for task in ("all", *TASKS):
                values = [
                    similarity(row.prediction, getattr(row, reference))
                    for row in of_split
                    if task in ("all", row.task)
                ]
                if values:
                    yield Score(split=split, task=task, metric=metric, **dict(estimate(values)))


def answers_in_training(rows: list[Prediction], training_answers: set[str]) -> Iterator[Score]:
    """The share of rows whose answer is one of these, a score a split and task.

    Counted, not estimated, so without an interval; training rows themselves are left out.
    """
    for split in dict.fromkeys(row.split for row in rows if row.split != "train"):
        for task in ("all", *TASKS):
            seen = [
                row.gold in training_answers
                for row in rows
                if row.split == split and task in ("all", row.task)
            ]
            if seen:
                share = {"value": sum(seen) / len(seen), "low": None, "high": None}
                yield Score(split=split, task=task, metric=SEEN, n=len(seen), **share)


def loss_scores(training: Training) -> Iterator[Score]:
    """The losses of the best epoch on the run's validation rows; they come without intervals."""
    counts = training.rows["val"]
    for task, losses in (("all", training.best), *training.best.tasks.items()):
        for metric in LOSSES:
            yield Score(
                split="val", task=task, metric=metric,
                value=getattr(losses, metric), low=None, high=None, n=counts[task],
            )  # fmt: skip


def score_text(
    predictions: Annotated[Path, Input("predictions.parquet of the run")],
    recipe: Annotated[str, Setting("recipe of the run")],
    run: Annotated[str, Setting("name of the run")],
    seed: Annotated[int, Setting("seed of the run")],
    scores: Annotated[Path, Output("scores.json")],
    training: Annotated[Path | None, Input("training.json of the run, if it was trained")] = None,
    train: Annotated[Path | None, Input("train.parquet of the run, likewise")] = None,
) -> None:
    """Raises EssenceError when there is nothing to score."""
    rows = read_rows(BoundedPrediction, predictions)
    if not rows:
        raise EssenceError(f"{predictions}: no answers in it. Predict again.")
    found = [*text_scores(rows), *ceilings(rows)]
    if train:
        found += answers_in_training(rows, {row.target for row in iter_rows(RowAnswer, train)})
    if training:
        found += loss_scores(Training.read(training))
    Scores(recipe=recipe, run=run, seed=seed, scores=found).write(scores)


if __name__ == "__main__":
    run_stage(score_text)
