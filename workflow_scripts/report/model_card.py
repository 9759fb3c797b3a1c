"""The card of each run's model: what it is, from what and how it was made, how good, its limits.

The form is Hugging Face's: a YAML header that their tools read, Markdown below it. It lies beside
the weights, as `README.md`, and is written after the scores; training and answering do not read it.
"""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.html import ENVIRONMENT
from workflow_scripts.report.means import rate, written
from workflow_scripts.runs import Provenance, Training
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import SCORES, read_table

USES_FILES = ["templates/model_card.md"]
# The Hub's names for what models of an architecture do.
TASK_TYPES = {"encoder-decoder": "text2text-generation", "causal": "text-generation"}
METRICS = {
    "exact_match": "exact match",
    "exact_match_at_most": "highest exact match that these inputs allow",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
    "execution_accuracy_lenient": "execution accuracy, SQL in any form",
}
SPLITS = {
    "val": "validation rows, which chose the epoch unless a run was scored on another's",
    "test": "rows kept from all training; other rows about their databases were trained on",
    "unseen": "rows of databases that no run has seen",
    "other": "rows of another file and its databases",
    "train": "rows that it was trained on",
}


def model_card(
    folder: Path,
    scores: pd.DataFrame,
    reading: dict[str, Any],
    note: str,
    base: str | None,
    template: str = "model_card.md",
    **more: Any,
) -> str:
    """The card of the run in `folder`; `scores`: the table of all runs.

    `note`: what rows and model were used; `base`: the base model's name on the Hub, if any. `more`
    is for a template that says more than the usual one.
    """
    training = Training.read(folder / "training.json")
    facts = Provenance.read(folder / "provenance.json")
    name = f"{training.recipe} {training.run}, seed {training.seed}"
    task_type = TASK_TYPES[training.settings.model.architecture]
    own = scores[
        (scores.recipe == training.recipe)
        & (scores.run == training.run)
        & (scores.seed == training.seed)
        & scores.metric.isin(METRICS)
        & scores.value.notna()
    ]
    header = ModelCardData(
        language="en",
        library_name="transformers",
        pipeline_tag=task_type,
        tags=["text-to-sql", "mac-sql"],
        base_model=base,
        model_name=name,
        eval_results=[_eval_result(score, reading, task_type) for score in own.itertuples()],
    )
    return ENVIRONMENT.get_template(template).render(
        header=header.to_yaml(),
        name=name,
        training=training,
        facts=facts,
        settings=training.settings,
        learning_rate=rate(training.settings.run.learning_rate),
        reading=reading,
        note=note,
        metrics=METRICS,
        measured=_measured(own),
        limits=_limits(training, facts, own),
        **more,
    )


def _eval_result(score: Any, reading: dict[str, Any], task_type: str) -> EvalResult:
    return EvalResult(
        task_type=task_type,
        dataset_type=reading["file"]["sha256"],
        dataset_name=reading["file"]["name"],
        dataset_config=score.task,  # their tools tell results apart by it and by the split
        dataset_split=score.split,
        metric_type=score.metric,
        metric_name=f"{METRICS[score.metric]} (n = {score.n})",
        metric_value=score.value,
    )


def _measured(scores: pd.DataFrame) -> dict[str, list[list[str]]]:
    """Words of a split -> a line for each task: its name, and a cell for each metric."""
    cells = {
        (each.split, each.task, each.metric): written(each.value, each.low, each.high)
        + f", n = {each.n}"
        for each in scores.itertuples()
    }
    return {
        f"{split}: {words}": [
            [task, *(cells.get((split, task, metric), "") for metric in METRICS)]
            for task in ("all", *TASKS)
        ]
        for split, words in SPLITS.items()
        if (scores.split == split).any()
    }


def _limits(training: Training, facts: Provenance, scores: pd.DataFrame) -> list[str]:
    """What follows from its training and its scores, a sentence each."""
    limits = []
    if not training.stopped_early:
        limits.append(
            f"Training ended after {training.epochs_done} epochs, as planned, not because the loss "
            "on the validation rows had stopped falling; more epochs could lower it."
        )
    if facts.base.run:
        limits.append(f"It started from what the run {facts.base.run} had learned from other rows.")
    if training.settings.run.sources == "other":
        limits.append(
            "It is a control: each row was given the source of another row, so that its answers "
            "are right by chance alone."
        )
    highest = scores[(scores.metric == "exact_match_at_most") & (scores.task == "all")]
    limits += [
        f"No model could exceed an exact match of {each.value:.3f} on these {each.split} rows: "
        "prompts are cut until inputs are equal, or the tokenizer cannot write the answers."
        for each in highest[highest.value < 1].itertuples()
    ]
    return limits


def write_model_cards(
    runs: Annotated[list[Path], Setting("run folders")],
    scores: Annotated[Path, Input("scores.parquet with these runs")],
    reading: Annotated[dict, Input("reading.json: the file of the rows")],
    cards: Annotated[list[Path], Output("README.md of each run's model, in the same order")],
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
    base: Annotated[str | None, Setting("name of the base model on the Hub")] = None,
) -> None:
    table = read_table(scores, SCORES)
    for folder, card in zip(runs, cards, strict=True):
        write_text(card, model_card(folder, table, reading, note, base))


if __name__ == "__main__":
    run_stage(write_model_cards)
